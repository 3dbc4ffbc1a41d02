/** Front door of the delivery folder: local delivery to Maildirs, mailboxes, LMTP servers and commands. */
export { expandFormat, expandPath, type FormatValues } from "./format.ts";
export { type ActAs, actAsRoot, actAsSelf, libcPath } from "./identity.ts";
export { type DeliveryNeeds, deliveryNeeds } from "./permissions.ts";
export { serveDelivery } from "./service.ts";
export type { DeliveryTools } from "./attempt.ts";
