/** The real filter isolate, which dies when the verbosity of the log changes: it may read no file that could ask for it. */

import "../../workers/filter.ts";

self.addEventListener("message", (event) => {
  if (((event as MessageEvent).data as { type: string }).type === "verbosity") throw new Error("made to die");
});
