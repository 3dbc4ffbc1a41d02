/** The real history isolate, of which the first dies when it is given something to record. */

import { runIsolate } from "../../src/isolate/mod.ts";
import { HISTORY_DOORS } from "../../src/protocol/isolates/history.ts";
import { serveHistory } from "../../src/history/serve.ts";

runIsolate("history", HISTORY_DOORS, (isolate) => {
  if ((isolate.life ?? 1) > 1) return serveHistory(isolate);
  isolate.serve("control-history", (channel) => {
    channel.onmessage = ({ type }) => {
      if (type === "record") throw new Error("made to die");
    };
  });
});
