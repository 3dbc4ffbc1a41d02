/** Front door of the SMTP and LMTP client: one outgoing dialogue. Used by relay, by `action lmtp` and by smtp(1). */
export { type Body, bodyOf, DataEncoder, wireOctets } from "./body.ts";
export { type Capabilities, NO_CAPABILITIES, parseCapabilities } from "./capabilities.ts";
export { Client, type ClientOptions, connectClient } from "./client.ts";
export { ClientDialogue } from "./client_dialogue.ts";
export type { Recipient, Sender } from "./commands.ts";
export type { ConnectOptions, DialogueRecorder, Endpoint, Trace } from "./connection.ts";
export { ClientError, type ClientErrorKind, codeOfFailure } from "./error.ts";
export { enhancedCode, formatReply, type Reply, ReplyReader } from "./reply.ts";
export { TIMEOUTS, type Timeouts, uniformTimeouts } from "./timeouts.ts";
export type { TlsInfo, TlsOptions } from "./tls.ts";
export { tooManyRecipients } from "./too_many.ts";
export { outcomeOf, type RecipientResult, type TransactionResult } from "./results.ts";
export {
  isEightBit,
  messageRefusal,
  NO_REQUIRETLS_CODE,
  type Peer,
  preparedMail,
  recipientRefusal,
  type Refusal,
  sizeRefusal,
  type Wanted,
  type Wire,
} from "./prepare.ts";
export type { Transaction } from "./transaction.ts";
