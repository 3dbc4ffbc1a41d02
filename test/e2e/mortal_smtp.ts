/** The real smtp isolate, which dies when the subsystem smtp is traced: it may read no file that could tell it to. */

import "../../workers/smtp.ts";

self.addEventListener("message", (event) => {
  const message = (event as MessageEvent).data as { type: string; traces?: readonly string[] };
  if (message.type === "verbosity" && message.traces!.includes("smtp")) throw new Error("told to die");
});
