/** Entry of the relay isolate: the network and nothing else. */

import { runIsolate } from "../src/isolate/mod.ts";
import { RELAY_DOORS } from "../src/protocol/isolates/relay.ts";
import { serveRelay } from "../src/relay/serve.ts";

runIsolate("relay", RELAY_DOORS, (isolate) => serveRelay(isolate));
