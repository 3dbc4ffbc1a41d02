/** Entry of the lookup isolate. */
import { runIsolate } from "../src/isolate/mod.ts";
import { serveLookup } from "../src/lookup/serve.ts";

runIsolate("lookup", (isolate) => serveLookup(isolate));
