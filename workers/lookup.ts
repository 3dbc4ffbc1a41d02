/** Entry of the lookup isolate. */
import { runIsolate } from "../src/isolate/mod.ts";
import { LOOKUP_DOORS } from "../src/protocol/isolates/lookup.ts";
import { serveLookup } from "../src/lookup/serve.ts";

runIsolate("lookup", LOOKUP_DOORS, (isolate) => serveLookup(isolate));
