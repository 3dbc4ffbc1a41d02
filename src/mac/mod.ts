/** Front door of the mac folder: the MACs of envelopes and of jobs, and SRS addresses. */
export * from "./envelope_mac.ts";
export { MAC_KEY_OCTETS } from "./hmac.ts";
export * from "./job_mac.ts";
export * from "./srs.ts";
