/** Entry of the history isolate. */
import { runIsolate } from "../src/isolate/mod.ts";
import { HISTORY_DOORS } from "../src/protocol/isolates/history.ts";
import { serveHistory } from "../src/history/serve.ts";

runIsolate("history", HISTORY_DOORS, (isolate) => serveHistory(isolate));
