/** Entry of the signer isolate. */
import { runIsolate } from "../src/isolate/mod.ts";
import { SIGNER_DOORS } from "../src/protocol/isolates/signer.ts";
import { serveSigner } from "../src/signer/serve.ts";

runIsolate("signer", SIGNER_DOORS, (isolate) => serveSigner(isolate));
