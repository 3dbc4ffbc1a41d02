/** Entry of the acme isolate. */
import { runIsolate } from "../src/isolate/mod.ts";
import { ACME_DOORS } from "../src/protocol/isolates/acme.ts";
import { serveAcme } from "../src/acme/serve.ts";

runIsolate("acme", ACME_DOORS, serveAcme);
