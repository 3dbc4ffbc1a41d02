/** Front door of the mac folder: the MAC of envelopes, and SRS addresses. */
export * from "./envelope_mac.ts";
export * from "./srs.ts";
