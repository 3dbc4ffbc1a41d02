/** Front door of the signer folder: the isolate that signs with the keys of DKIM. */
export { LIBCRYPTO_PATHS, openLibcrypto } from "./libcrypto.ts";
export { Signatures } from "./signatures.ts";
