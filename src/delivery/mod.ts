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
export { deliverLmtp } from "./lmtp.ts";
export { MaildirWriter } from "./maildir.ts";
export { MboxWriter } from "./mbox.ts";
export { folderName, parseLmtpDestination } from "./planner.ts";
export type { Delivered } from "./delivered.ts";
export { DeliveryError, EX, EX_FATAL } from "./sysexits.ts";
export { readForward } from "./forward.ts";
export { DirectWriter, type FileWriter } from "./file_writer.ts";
export type { DeliveryDeps } from "./attempt.ts";
