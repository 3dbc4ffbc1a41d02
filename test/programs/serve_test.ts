/** The filter isolate at its door, with a fake system around it and programs that are made up. */

import assert from "node:assert/strict";
import type { Event } from "../../src/events/mod.ts";
import { type FilterParts, serveFilter } from "../../src/programs/serve.ts";
import { type ProcessHooks } from "../../src/programs/mod.ts";
import type { Channel, Isolate } from "../../src/isolate/mod.ts";
import type { FilterSettings, FromFilter, ToFilter } from "../../src/protocol/mod.ts";

/** A program that answers every lookup with its own name, and registers unless its argument is "mute". */
const start: FilterParts["start"] = ({ program, args }, hooks: ProcessHooks) => ({
  write(text) {
    for (const line of text.trim().split("\n")) {
      const words = line.split("|");
      if (line === "config|ready" && args[0] === "mute") queueMicrotask(() => hooks.onend("it exited with status 1"));
      else if (line === "config|ready") { for (const word of ["alias", "ready"]) hooks.online(`register|${word}`); }
      else if (words[0] === "table") hooks.online(`lookup-result|${words[6]}|found|${program} ${args} ${words[7]}`);
    }
  },
  end: (reason) => hooks.onend(reason),
});

function harness(tables: FilterSettings["tables"]) {
  const answers: FromFilter[] = [];
  const events: Event[] = [];
  let answered = () => {};
  const channel: Channel<FromFilter, ToFilter> = {
    send: (message) => (answers.push(message), answered()),
    onmessage: () => {},
    onreset: () => {},
  };
  const isolate: Isolate<"filter"> = {
    role: "filter",
    index: 0,
    settings: {
      shared: { serverName: "mx.example.org", version: "1", timeZone: "UTC", root: false },
      tables,
      identity: null,
      path: "",
    },
    emit: (event) => void events.push(event),
    ask: () => assert.fail("filter asks nobody"),
    serve: (
      name,
      welcome,
    ) => (assert.equal(name, "lookup-filter"), welcome(channel as never, { peer: 0, life: 1, refuse: () => {} })),
    traces: () => false,
    verbose: false,
    onstop: () => {},
  };
  const ask = async (table: string, call: number) => {
    const came = new Promise<void>((resolve) => answered = resolve);
    channel.onmessage({ type: "table", call, table, request: { op: "lookup", service: "alias", key: "bob" } });
    await came;
    return answers.at(-1)!;
  };
  return { isolate, events, ask };
}

const PARTS: FilterParts = { start, clock: { now: () => 0, after: () => () => {} } };

Deno.test("serveFilter() puts each request to the program of its table", async () => {
  const { isolate, ask } = harness([
    { name: "a", program: "/x/table-p", argument: "/1" },
    { name: "b", program: "/x/table-p", argument: "/2" },
  ]);
  await serveFilter(isolate, PARTS);
  assert.deepEqual(await ask("a", 7), {
    type: "table",
    call: 7,
    answer: { result: "found", value: "/x/table-p /1 bob" },
  });
  assert.deepEqual(await ask("b", 8), {
    type: "table",
    call: 8,
    answer: { result: "found", value: "/x/table-p /2 bob" },
  });
  const unknown = await ask("c", 9);
  assert.deepEqual(unknown.answer, { result: "error", reason: 'There is no program for table "c"' });
  await isolate.onstop();
  assert.equal((await ask("a", 10)).answer.result, "error");
});

Deno.test("serveFilter() rejects when one of the programs does not register", async () => {
  const { isolate } = harness([
    { name: "a", program: "/x/table-p", argument: null },
    { name: "b", program: "/x/table-p", argument: "mute" },
  ]);
  await assert.rejects(serveFilter(isolate, PARTS), /table "b": \/x\/table-p failed: it exited with status 1/);
});
