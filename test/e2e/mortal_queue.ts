/** The real queue isolate, which dies when it finds a file named `die` in its spool. */

import "../../workers/queue.ts";

let spool = "";
self.addEventListener("message", (event) => {
  const message = (event as MessageEvent).data as { type: string; settings?: { spool: string } };
  if (message.type === "start") spool = message.settings!.spool;
});

setInterval(() => {
  try {
    Deno.removeSync(`${spool}/die`);
  } catch {
    return;
  }
  throw new Error("made to die");
}, 10);
