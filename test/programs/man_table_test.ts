/** The program that table(5) shows: it registers, and answers as the page says. */

import assert from "node:assert/strict";
import { startProcess, TableKeeper } from "../../src/programs/mod.ts";
import { literalBlocks } from "../config/mdoc.ts";
import { systemClock } from "../../src/clock.ts";

const script = literalBlocks("table.5").find((block) => block.startsWith("#!/bin/sh\n"));

Deno.test("table(5): the program of the page is one", async () => {
  assert.ok(script !== undefined, "the page has a program");
  const folder = await Deno.makeTempDir();
  const program = `${folder}/table-page`;
  const log: string[] = [];
  const keeper = new TableKeeper({ name: "page", program, argument: null }, {
    start: startProcess,
    clock: systemClock,
    id: () => "0123abcd",
    log: (_level, text) => void log.push(text),
    version: "1",
    identity: null,
    path: "/usr/bin:/bin",
  });
  try {
    Deno.writeTextFileSync(program, script, { mode: 0o755 });
    await keeper.open();
    const lookup = (key: string) => keeper.ask({ op: "lookup", service: "alias", key });
    assert.deepEqual(await lookup("postmaster"), { result: "found", value: "root" });
    assert.deepEqual(await lookup("eve|mallory"), { result: "not-found" });
    assert.deepEqual(await keeper.ask({ op: "update" }), { result: "ok" });
    assert.deepEqual(log, []);
  } finally {
    await keeper.stop();
    await Deno.remove(folder, { recursive: true });
  }
});
