/** The real control isolate, which dies when the subsystem stat is traced: it may read no file that could ask for it. */

import "../../workers/control.ts";

self.addEventListener("message", (event) => {
  const message = (event as MessageEvent).data as { type: string; traces?: readonly string[] };
  if (message.type === "verbosity" && message.traces!.includes("stat")) throw new Error("made to die");
});
