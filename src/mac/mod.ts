/** Front door of the mac folder: the MACs of envelopes, of jobs and of what may be signed, and SRS addresses. */
export * from "./envelope_mac.ts";
export { MAC_KEY_OCTETS } from "./hmac.ts";
export * from "./job_mac.ts";
export * from "./signing_mac.ts";
export * from "./srs.ts";
