/** Front door of the signer folder: the isolate that signs with the keys of DKIM. */
export { Signatures } from "./signatures.ts";
