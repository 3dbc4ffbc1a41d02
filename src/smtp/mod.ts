/** Front door of the smtp folder: the server, and the address parser for all who read addresses. */
export {
  isDomain,
  MAX_DOMAIN_OCTETS,
  MAX_LOCAL_OCTETS,
  type ParsedPath,
  parseMailbox,
  parsePath,
} from "./session/address.ts";
export { RefusalLog } from "./refusals.ts";
export { dateWriter } from "./message/received.ts";
export { type Admission, type SourceLimits, sourceOf, Sources } from "./sources.ts";
