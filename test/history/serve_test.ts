/** The isolate of the history as control sees it: what it cannot keep is counted. */

import { deepEqual } from "node:assert/strict";
import { join } from "node:path";
import { serveHistory } from "../../src/history/serve.ts";
import type { Isolate } from "../../src/isolate/mod.ts";
import { lineOf, made } from "./harness.ts";

Deno.test("events that cannot be written are told with the next answer, once", async () => {
  const file = await Deno.makeTempFile();
  const answers: { readonly type: string; readonly leftOut?: number }[] = [];
  const door = { send: (answer: typeof answers[number]) => answers.push(answer), onmessage: (_message: object) => {} };
  const isolate = {
    // A file is no folder: nothing can be written.
    settings: { folder: join(file, "history"), policy: null, reserve: { share: null, bytes: 0 } },
    emit: () => {},
    serve: (_name: string, take: (channel: typeof door) => void) => take(door),
    onreload: () => {},
    onstop: () => {},
  };
  try {
    serveHistory(isolate as unknown as Isolate<"history">);
    for (let number = 1; number <= 3; number++) {
      // Who asks has what came before written.
      door.onmessage({ type: "record", call: number, events: lineOf(0, made.accepted(number)).text });
      door.onmessage({ type: "history-state", call: 0 });
    }
    deepEqual(answers.filter(({ type }) => type === "recorded").map(({ leftOut }) => leftOut), [0, 1, 1]);
  } finally {
    isolate.onstop();
    await Deno.remove(file);
  }
});
