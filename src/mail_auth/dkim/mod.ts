/** Front door of DKIM: verifying, signing, and what ARC shares with it. */
export * from "./body_hash.ts";
export type { Canonicalization } from "./canonicalize_body.ts";
export * from "./key_record.ts";
export * from "./sign_hash.ts";
export * from "./signature.ts";
export * from "./signed_header.ts";
export * from "./signer.ts";
export * from "./tag_list.ts";
export * from "./verifier.ts";
export * from "./verify_signature.ts";
