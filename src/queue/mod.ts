/** Front door of the queue folder: OpenSMTPD's envelope files and the offline folder, for the tools. */
export { MAX_ENVELOPE_BYTES, NotAnEnvelope, parseEnvelope } from "./transfer/envelope_parse.ts";
export { listOffline } from "./store/offline.ts";
