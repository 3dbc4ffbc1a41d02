/**
 * The real smtp isolate, which dies when the subsystem smtp is traced, and the first of which does nothing but loop when io is: it may read no
 * file that could make it.
 */

import "../../workers/smtp.ts";

self.addEventListener("message", (event) => {
  const message = (event as MessageEvent).data as { type: string; traces?: readonly string[] };
  if (message.type === "verbosity" && message.traces!.includes("smtp")) throw new Error("made to die");
  if (message.type === "verbosity" && message.traces!.includes("io") && self.name === "smtp-0") { for (;;); }
});
