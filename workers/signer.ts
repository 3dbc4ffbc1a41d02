/** Entry of the signer isolate. */
import { runIsolate } from "../src/isolate/mod.ts";
import { SIGNER_DOORS } from "../src/protocol/isolates/signer.ts";
import { serveSigner } from "../src/signer/serve.ts";
import { openLibcrypto } from "../src/signer/mod.ts";

// Before it has anything: what main sends comes later.
const libcrypto = openLibcrypto();

runIsolate("signer", SIGNER_DOORS, (isolate) => serveSigner(isolate, libcrypto));
