/** Front door of ARC: verifying the chain of a message. */
export { MAX_ARC_SETS } from "./chain.ts";
export * from "./verifier.ts";
