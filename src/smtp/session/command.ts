/** Command lines, RFC 5321 §4.1.1: from the bytes of one line to a verb with its argument. Independent of the order of commands; see session.ts. */

export type Verb =
  | "HELO"
  | "EHLO"
  | "MAIL"
  | "RCPT"
  | "DATA"
  | "BDAT"
  | "RSET"
  | "NOOP"
  | "QUIT"
  | "HELP"
  | "VRFY"
  | "EXPN"
  | "STARTTLS"
  | "AUTH"
  | "WIZ"
  /** A request of HTTP. */
  | "HTTP"
  /** One of the above, whose syntax is wrong from the verb on: `argument` is the verb. */
  | "malformed"
  | "unknown";

export interface Command {
  readonly verb: Verb;
  /** For MAIL and RCPT what stands behind the colon, else behind the verb; no blanks around it. */
  readonly argument: string;
  /** The whole line as text, for the log; what stands behind the mechanism of AUTH is hidden. */
  readonly line: string;
}

/** Octets of a command line without its CRLF. RFC 5321 §4.5.3.1.4 asks for 512; parameters of extensions need more. */
export const MAX_COMMAND_OCTETS = 2047;

/** Four letters as one number, lower-case. */
function word(letters: string): number {
  let value = 0;
  for (let at = 0; at < 4; at++) value = value << 8 | letters.charCodeAt(at);
  return value;
}
const HELO = word("helo"), EHLO = word("ehlo"), MAIL = word("mail"), RCPT = word("rcpt"), DATA = word("data");
const RSET = word("rset"), NOOP = word("noop"), QUIT = word("quit"), HELP = word("help"), VRFY = word("vrfy");
const EXPN = word("expn"), STAR = word("star"), AUTH = word("auth"), BDAT = word("bdat");

const utf8 = new TextDecoder();

/** Text of a line: ASCII as it is, anything else as UTF-8 with bad sequences replaced. */
export function lineText(bytes: Uint8Array, start: number, end: number): string {
  for (let at = start; at < end; at++) {
    if (bytes[at]! >= 0x80) return utf8.decode(bytes.subarray(start, end));
  }
  return String.fromCharCode.apply(null, bytes.subarray(start, end) as unknown as number[]);
}

/** Parses the line in `bytes` from `start` to `end`, CRLF not included, at most MAX_COMMAND_OCTETS octets. */
export function parseCommand(bytes: Uint8Array, start: number, end: number): Command {
  const line = lineText(bytes, start, end);
  // RFC 5321 §4.1.1: blanks before the CRLF SHOULD be tolerated.
  while (end > start && (bytes[end - 1] === 0x20 || bytes[end - 1] === 0x09)) end--;
  const length = end - start;
  if (length < 4) return other(line, length);
  const first = ((bytes[start]! << 24) | (bytes[start + 1]! << 16) | (bytes[start + 2]! << 8) | bytes[start + 3]!) |
    0x20202020;
  switch (first) {
    case MAIL:
      return path("MAIL", " from:", line, length);
    case RCPT:
      return path("RCPT", " to:", line, length);
    case STAR:
      return /^starttls(?:[ \t]|$)/i.test(line.slice(0, length)) ? plain("STARTTLS", line, length) : unknown(line);
    case HELO:
      return plain("HELO", line, length);
    case EHLO:
      return plain("EHLO", line, length);
    case DATA:
      return plain("DATA", line, length);
    case BDAT:
      return plain("BDAT", line, length);
    case RSET:
      return plain("RSET", line, length);
    case NOOP:
      return plain("NOOP", line, length);
    case QUIT:
      return plain("QUIT", line, length);
    case HELP:
      return plain("HELP", line, length);
    case VRFY:
      return plain("VRFY", line, length);
    case EXPN:
      return plain("EXPN", line, length);
    case AUTH:
      return { ...plain("AUTH", line, length), line: withoutSecret(line) };
    default:
      return other(line, length);
  }
}

/** A mistyped AUTH may carry a secret as well. */
function unknown(line: string): Command {
  return { verb: "unknown", argument: "", line: withoutSecret(line) };
}

/** AUTH with a mechanism that is known by its name. Any other word may be the secret itself, where the mechanism or a blank was forgotten. */
const AUTH_MECHANISM =
  /^\s*auth\s*(?:plain|login|cram-md5|digest-md5|scram-sha-(?:1|224|256|384|512)(?:-plus)?|external|anonymous|gssapi|ntlm|xoauth2?|oauthbearer)?(?=\s|$)/i;

/** Returns the line for the log without what proves who the client is, RFC 4954 §4: of AUTH it shows no more than a mechanism's name. */
function withoutSecret(line: string): string {
  const verb = /^\s*auth/i.exec(line);
  if (verb === null) return line;
  const [shown] = AUTH_MECHANISM.exec(line) ?? verb;
  const [, blanks = "", rest = ""] = /^(\s*)(.*)$/s.exec(line.slice(shown.length)) ?? [];
  return rest === "" ? line : `${shown}${blanks || " "}********`;
}

/** WIZ is the one verb with three letters. */
function other(line: string, length: number): Command {
  if (/^wiz(?: |$)/i.test(line.slice(0, length))) return plain("WIZ", line, length);
  return isHttp(line.slice(0, length)) ? { verb: "HTTP", argument: "", line: withoutSecret(line) } : unknown(line);
}

/**
 * RFC 9110 §9.1, and the preface of HTTP/2 (RFC 9113 §3.4): a browser, or a server that can be made to send requests, was pointed at this port. Its
 * body may hold commands, which must not be obeyed. Other methods are known by the version at the end of the line.
 */
function isHttp(line: string): boolean {
  return /^(?:GET|HEAD|POST|PUT|DELETE|CONNECT|OPTIONS|TRACE|PATCH|PRI)(?:[ \t]|$)/i.test(line) ||
    /[ \t](?:HTTP|RTSP|SIP)\/[0-9]+(?:\.[0-9]+)?$/i.test(line);
}

/** RFC 5321 §4.2.2: 500 is for a command that is not known, and 501 for one that is. */
function malformed(verb: Verb, line: string): Command {
  return { verb: "malformed", argument: verb, line: withoutSecret(line) };
}

/** A verb that must be followed by a blank or nothing. */
function plain(verb: Verb, line: string, length: number): Command {
  const verbLength = verb.length;
  if (length === verbLength) return { verb, argument: "", line };
  const separator = line.charCodeAt(verbLength);
  if (separator === 0x09) return malformed(verb, line);
  if (separator !== 0x20) return unknown(line);
  return { verb, argument: line.slice(verbLength + 1, length).trim(), line };
}

/** MAIL and RCPT: exactly one blank, no blank before the colon (RFC 5321 §3.3); after it, blanks are tolerated. */
function path(verb: Verb, keyword: string, line: string, length: number): Command {
  const end = 4 + keyword.length;
  if (length > 4 && !/[ \t]/.test(line[4]!)) return unknown(line);
  if (line.slice(4, end).toLowerCase() !== keyword || end > length) return malformed(verb, line);
  return { verb, argument: line.slice(end, length).trim(), line };
}
