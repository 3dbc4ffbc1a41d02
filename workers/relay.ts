/** Entry of the relay isolate: the network and nothing else. */

import { runIsolate } from "../src/isolate/mod.ts";
import { serveRelay } from "../src/relay/serve.ts";

runIsolate("relay", (isolate) => serveRelay(isolate));
