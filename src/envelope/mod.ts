/** Front door of the envelope folder: addresses, ids and envelopes as values, for all others. */
export * from "./address.ts";
export * from "./envelope.ts";
export * from "./idn.ts";
export * from "./ids.ts";
export * from "./mail_auth.ts";
export * from "./routed.ts";
