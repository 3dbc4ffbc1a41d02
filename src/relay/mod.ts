/** Front door of the relay folder: outgoing mail. */
export { parseRelayUrl, type RelayUrl, relayUrlFault, type TlsMode } from "./routes/url.ts";
