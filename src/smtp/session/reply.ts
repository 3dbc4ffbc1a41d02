/**
 * Every reply the server gives of its own accord: code, enhanced code (RFC 2034, RFC 3463) and text, without CRLF. Read as a table.
 * RFC 2034 §4: the banner, the answers to HELO and EHLO and 3xx replies carry no enhanced code.
 */

import { PRODUCT } from "../../config/paths.ts";

export const REPLY = {
  // 2xx, 3xx
  ok: "250 2.0.0 Ok",
  reset: "250 2.0.0 Reset state",
  rcptOk: "250 2.1.5 Destination address valid: Recipient ok",
  cannotVerify: "252 2.0.0 Cannot verify the user, but will accept the message and attempt delivery",
  startTls: "220 2.0.0 Ready to start TLS",
  bye: "221 2.0.0 Bye",
  sendData: '354 Enter mail, end with "." on a line by itself',
  help: `214-2.0.0 This is ${PRODUCT}\r\n` +
    "214-2.0.0 To report problems with this server, please write to its\r\n" +
    "214-2.0.0 postmaster and give the full details\r\n" +
    "214 2.0.0 End of HELP info",

  // Order of commands
  notNow: "503 5.5.1 Invalid command: Command not allowed at this point.",
  noRecipient: "503 5.5.1 Invalid command: No valid recipient was given",
  notSupported: "502 5.5.1 Invalid command: Command not supported",
  secureAlready: "503 5.5.1 Invalid command: Channel already secured",
  needTls: "530 5.7.0 Must issue a STARTTLS command first",
  needAuth: "530 5.7.0 Authentication required: Must issue an AUTH command first",
  authAlready: "503 5.5.1 Invalid command: Already authenticated",
  aheadOfTls: "500 5.5.1 Invalid command: Input sent ahead of the TLS handshake",

  // Syntax
  unrecognized: "500 5.5.2 Syntax error: Command unrecognized",
  noBlank: "501 5.5.2 Syntax error: A blank is expected behind the command",
  mailSyntax: "501 5.5.2 Syntax error: MAIL FROM:<address> is expected",
  rcptSyntax: "501 5.5.2 Syntax error: RCPT TO:<address> is expected",
  bareOption: "501 5.5.4 Invalid command arguments: A blank is expected behind the address",
  wiz: "502 5.5.1 Invalid command: this feature is not supported yet ;-)",
  expn: "502 5.5.1 Invalid command: Command not implemented",
  noArguments: "501 5.5.4 Invalid command arguments: command does not accept arguments.",
  noParameters: "501 5.5.4 Invalid command arguments: No parameters allowed",
  noMechanism: "501 5.5.4 Invalid command arguments: No parameters given to AUTH",
  unknownMechanism: "504 5.5.4 Invalid command arguments: AUTH method not supported",
  unknownBinding: "504 5.5.4 Invalid command arguments: Only tls-server-end-point is known",
  badResponse: "501 5.5.2 Syntax error: Authentication response not valid",
  authCancelled: "501 5.5.2 Syntax error: Authentication cancelled",
  heloDomain: "501 5.5.4 Invalid command arguments: HELO requires domain name",
  ehloDomain: "501 5.5.4 Invalid command arguments: EHLO requires domain name",
  badDomain: "501 5.5.4 Invalid command arguments: Invalid domain name",
  badSender: "553 5.1.7 Sender address syntax error",
  badRecipient: "501 5.1.3 Recipient address syntax error",
  noRoom: "452 4.3.1 Insufficient system storage, try again later",
  badSize: "501 5.5.4 Invalid command arguments: Bad SIZE value",
  badRet: "501 5.5.4 Invalid command arguments: Bad RET value",
  badAuthParameter: "501 5.5.4 Invalid command arguments: Bad AUTH value",
  noValue: "501 5.5.4 Invalid command arguments: Option takes no value",
  badEnvid: "501 5.5.4 Invalid command arguments: Bad ENVID value",
  longEnvid: "501 5.5.4 Invalid command arguments: option too large: ENVID",
  mixedNever: "501 5.5.4 NOTIFY option NEVER cannot be combined with other options",
  badNotify: "501 5.5.4 Invalid command arguments: Bad NOTIFY value",
  badOrcpt: "501 5.5.4 ORCPT address syntax error",

  // RFC 6531 §3.5: an address beyond ASCII in a transaction that was begun without SMTPUTF8
  needUtf8: "553 5.6.7 Non-ASCII addresses not permitted: MAIL FROM has no SMTPUTF8",
  verifyNeedsUtf8: "553 5.6.7 Non-ASCII addresses not permitted: VRFY has no SMTPUTF8",
  requireTlsInClear: "530 5.7.10 Encryption needed: REQUIRETLS is for sessions under TLS",
  verifyWhom: "501 5.5.4 Invalid command arguments: VRFY needs an address",

  // AUTH
  notYourSender: "550 5.7.1 Sender rejected: not an address of yours",
  authOk: "235 2.7.0 Authentication succeeded",
  authFailed: "535 5.7.8 Authentication failed",
  authTemporary: "454 4.7.0 Temporary authentication failure",
  authBlocked: "454 4.7.0 Too many failed authentications from your address, try again later",

  // Limits
  tooManyMails: "452 4.5.3 Too many messages in one session",
  tooManyRecipients: "452 4.5.3 Too many recipients",
  tooBigAnnounced: "552 5.3.4 Message too big for system: Message size exceeds fixed maximum message size",

  // Input that ends the session
  otherProtocol: "500 5.5.1 Invalid command: This is SMTP and not HTTP, closing the connection",
  early: "554 5.7.1 Delivery not authorized, message refused: Wait for the banner",
  bareLineEnd: "500 5.5.2 Syntax error: Bare CR or LF, lines end with CRLF",
  nulInCommand: "500 5.5.2 Syntax error: NUL in command",
  badChunk: "501 5.5.4 Invalid command arguments: BDAT needs a number of octets, then LAST or nothing",
  lineTooLong: "500 5.5.2 Syntax error: Line too long",
  endless: "552 5.3.4 Message too big for system: Message without an end, closing the connection",
  commandTooLong: "500 5.5.2 Syntax error: Command line too long",

  // End of data
  bareLineEndInData: "550 5.6.0 Bare CR or LF in message data, lines end with CRLF",
  malformed: "554 5.6.0 Message is not RFC 5322 compliant: it does not begin with a header section",
  loop: "554 5.4.6 Routing loop detected: Loop detected",
  headerTooBig: "552 5.3.4 Message too big for system: Header section too big",
  tooBig: "552 5.3.4 Message too big for system: Transaction failed, message too big",

  temporaryMail: "451 4.3.0 Other/Undefined mail system status: Temporary failure",

  // 421 always closes
  temporary: "421 4.3.0 Temporary Error",
  authTooMany: "421 4.7.0 Too many failed authentications",
  stopping: "421 4.3.2 Service shutting down, try again later",
  tooManyIdle: "421 4.7.0 Too many commands without a message, closing the connection",
  tooManyBad: "421 4.7.0 Too many refused commands, closing the connection",
  idle: "421 4.4.2 Timeout, closing the connection",
} as const;

/** Octets of a reply line that repeats text from elsewhere, CRLF not included. RFC 5321 §4.5.3.1.5 allows 512 with it. */
export const MAX_REPLY_OCTETS = 510;

/** Returns `text` without control and non-ASCII characters and cut short, so that it can stand in a reply line. */
export function printable(text: string): string {
  // deno-lint-ignore no-control-regex
  const clean = /[\x00-\x1f\x7f-\uffff]/.test(text) ? text.replace(/[\x00-\x1f\x7f-\uffff]/g, "?") : text;
  return clean.length > MAX_REPLY_OCTETS ? clean.slice(0, MAX_REPLY_OCTETS) : clean;
}

/** Returns the refusal of a parameter of MAIL or RCPT that is not known, or of a value that cannot be served, RFC 5321 §4.1.1.11. */
export function unsupportedOption(option: string): string {
  return printable(`555 5.5.4 Invalid command arguments: Unsupported option ${option.slice(0, 100)}`);
}

/** Returns the reply to a chunk of so many octets that is not the last, RFC 3030 §4.1. */
export function chunkAccepted(octets: number): string {
  return `250 2.0.0 ${octets} octets received`;
}

/** Returns the refusal of a parameter of MAIL or RCPT that is given twice. */
export function duplicateOption(keyword: string): string {
  return printable(`501 5.5.4 Invalid command arguments: Option given twice: ${keyword.slice(0, 100)}`);
}

/** Returns the 250 for an accepted message. It may be sent only when the message is on stable storage: `committed` in session.ts decides that. */
export function accepted(message: string): string {
  return `250 2.0.0 ${message} Message accepted for delivery`;
}
