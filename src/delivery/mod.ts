/** Front door of the delivery folder: local delivery to Maildirs, mailboxes, LMTP servers and commands. */
export { expandFormat, expandPath, FORMAT_TOKENS, formatFault, type FormatValues } from "./format.ts";
export { type ActAs, actAsRoot, actAsRootConfined, actAsSelf, libcPath } from "./identity.ts";
export {
  type DeliveryNeeds,
  deliveryNeeds,
  fileNeeds,
  forwardNeeds,
  mailboxNeeds,
  privilegedNeeds,
} from "./permissions.ts";
export { HeaderScan } from "./headers.ts";
export { deliverLmtp } from "./methods/lmtp.ts";
export { chosenFolder, MaildirWriter } from "./methods/maildir.ts";
export { MboxWriter } from "./methods/mbox.ts";
export { decide, type Deciding, folderName, isPrivileged, parseLmtpDestination, unknownAction } from "./planner.ts";
export type { LmtpEndpoint, Plan } from "./plan.ts";
export type { Delivered } from "./delivered.ts";
export { type DeliveryEnd, DeliveryError, EX, EX_FATAL, lookupFailed } from "./methods/sysexits.ts";
export { readForward } from "./forward.ts";
export { DirectWriter, type FileWriter } from "./methods/file_writer.ts";
export type { DeliveryDeps } from "./attempt.ts";
