/**
 * What an SMTP server says to which command when, written a second time and without looking at src/smtp: RFC 5321 §4.1.4 with the order of
 * OpenSMTPD's checks, RFC 3207, RFC 4954, RFC 3030. For session_test.ts.
 */

export interface ServerModel {
  readonly tls: "none" | "tls" | "tls-require" | "smtps";
  readonly auth: "none" | "optional" | "required";
}

export const MAX_MAILS = 2;
export const MAX_RCPT = 2;
/** The third one ends the session. */
const MAX_FAILURES = 3;

export interface Model {
  readonly open: boolean;
  readonly helo: boolean;
  readonly tls: boolean;
  readonly login: boolean;
  readonly failures: number;
  /** Whether MAIL was accepted, and how many RCPTs; `chunked` after the first BDAT. */
  readonly mail: boolean;
  readonly rcpts: number;
  readonly chunked: boolean;
  readonly mails: number;
  /** What the next line answers, after 334. */
  readonly asked: "nothing" | "plain" | "user" | "password-of-carol" | "password-of-another";
}

export function start({ tls }: ServerModel): Model {
  const none = { failures: 0, mail: false, rcpts: 0, chunked: false, mails: 0, asked: "nothing" } as const;
  return { open: true, helo: false, tls: tls === "smtps", login: false, ...none };
}

/** One line of the client; with what follows 354 or BDAT where that is accepted. */
export interface SentLine {
  readonly line: string;
  /** Octets have come behind it. */
  readonly more?: true;
}

const CAROL = "Y2Fyb2w=", SESAME = "c2VzYW1l";
const RIGHT = "AGNhcm9sAHNlc2FtZQ==", WRONG = "AGNhcm9sAHdyb25n";

/** Every command, well-formed and not, and the answers that AUTH asks for. */
export const SAID: readonly SentLine[] = [
  ...["EHLO a.example", "HELO [192.0.2.1]", "EHLO", "HELO", "EHLO a..b", "ehlo A.EXAMPLE"],
  ...["MAIL FROM:<a@example.net>", "MAIL FROM:<>", "MAIL FROM:<a@>", "MAIL FROM:<> X=1", "MAIL FROM :<>"],
  ...["RCPT TO:<b@example.org>", "RCPT TO:<nobody@example.org>", "RCPT TO:<>", "RCPT TO:<b@a> X=1"],
  ...["DATA", "DATA now", "BDAT 3", "BDAT 3 LAST", "BDAT 0", "RSET", "RSET now", "NOOP", "NOOP now", "HELP", "HELP me"],
  ...["VRFY joe", "EXPN list", "WIZ", "XYZZY", "", "QUIT now", "QUIT", "STARTTLS", "STARTTLS now"],
  ...[
    "AUTH",
    "AUTH PLAIN",
    "AUTH LOGIN",
    "AUTH CRAM-MD5",
    "AUTH PLAIN !",
    `AUTH PLAIN ${RIGHT}`,
    `AUTH PLAIN ${WRONG}`,
  ],
  ...[`AUTH LOGIN ${CAROL}`, "*", CAROL, SESAME, RIGHT, WRONG],
].map((line): SentLine => ({ line })).concat([{ line: "STARTTLS", more: true }]);

/** Codes of the replies to one line, and what is so afterwards. */
export interface Answer {
  readonly replies: readonly string[];
  readonly next: Model;
}

const NOTHING = { mail: false, rcpts: 0, chunked: false } as const;

export function answer(harness: ServerModel, now: Model, { line, more }: SentLine): Answer {
  const say = (reply: string, change: Partial<Model> = {}): Answer => ({
    replies: [reply],
    next: { ...now, ...change },
  });
  if (!now.open) return { replies: [], next: now };
  if (now.asked !== "nothing") return proof(now, line, say);
  const verb = /^[a-z]*/i.exec(line)![0].toUpperCase();
  const rest = line.slice(verb.length).trim();
  switch (verb) {
    case "EHLO":
    case "HELO":
      if (rest === "") return say("501 5.5.4");
      if (rest.includes("..")) return say("501 5.5.4");
      return say("250", { helo: true, ...NOTHING });
    case "NOOP":
      return say("250 2.0.0");
    case "VRFY":
      return say("252 2.0.0");
    case "EXPN":
    case "WIZ":
      return say("502 5.5.1");
    case "HELP":
      return say(rest === "" ? "214 2.0.0" : "501 5.5.4");
    case "RSET":
      return rest === "" ? say("250 2.0.0", NOTHING) : say("501 5.5.4");
    case "QUIT":
      return rest === "" ? say("221 2.0.0", { open: false }) : say("501 5.5.4");
    case "STARTTLS":
      return startTls(harness, now, rest, more === true, say);
    case "AUTH":
      return auth(harness, now, rest, say);
    case "MAIL":
    case "RCPT":
    case "DATA":
    case "BDAT":
      return transaction(harness, now, verb, rest, say);
    default:
      return say("500 5.5.2");
  }
}

type Say = (reply: string, change?: Partial<Model>) => Answer;

function transaction(
  harness: ServerModel,
  now: Model,
  verb: "MAIL" | "RCPT" | "DATA" | "BDAT",
  rest: string,
  say: Say,
): Answer {
  const taken = () => say("250 2.0.0", { ...NOTHING, mails: now.mails + 1 });
  if (verb === "MAIL") {
    if (!rest.startsWith("FROM:")) return say("501 5.5.2");
    if (!now.helo || now.mail) return say("503 5.5.1");
    if (harness.tls === "tls-require" && !now.tls) return say("530 5.7.0");
    if (harness.auth === "required" && !now.login) return say("530 5.7.0");
    if (now.mails >= MAX_MAILS) return say("452 4.5.3");
    if (rest.includes("@>")) return say("553 5.1.7");
    return rest.includes("X=1") ? say("555 5.5.4") : say("250 2.0.0", { mail: true });
  }
  if (verb === "DATA" && rest !== "") return say("501 5.5.4");
  if (!now.mail) return say("503 5.5.1");
  if (verb === "BDAT") {
    if (now.rcpts === 0) return say("503 5.5.1");
    return rest.endsWith("LAST") ? taken() : say("250 2.0.0", { chunked: true });
  }
  if (now.chunked) return say("503 5.5.1");
  if (verb === "DATA") {
    if (now.rcpts === 0) return say("503 5.5.1");
    const { next, replies } = taken();
    return { replies: ["354", ...replies], next };
  }
  if (now.rcpts >= MAX_RCPT) return say("452 4.5.3");
  if (rest === "TO:<>") return say("501 5.1.3");
  if (rest.includes("X=1")) return say("555 5.5.4");
  return rest.includes("nobody") ? say("550 5.1.1") : say("250 2.1.5", { rcpts: now.rcpts + 1 });
}

function startTls(harness: ServerModel, now: Model, rest: string, more: boolean, say: Say): Answer {
  if (!now.helo || now.mail || now.tls) return say("503 5.5.1");
  if (harness.tls === "none") return say("502 5.5.1");
  if (rest !== "") return say("501 5.5.4");
  if (more) return say("500 5.5.1", { open: false });
  return say("220 2.0.0", { tls: true, helo: false, login: false, ...NOTHING });
}

function auth(harness: ServerModel, now: Model, rest: string, say: Say): Answer {
  if (!now.helo || now.mail || now.login) return say("503 5.5.1");
  if (harness.auth === "none" || !now.tls) return say("502 5.5.1");
  const [mechanism, first] = rest.split(" ");
  if (rest === "") return say("501 5.5.4");
  if (mechanism !== "PLAIN" && mechanism !== "LOGIN") return say("504 5.5.4");
  const asked = mechanism === "PLAIN" ? "plain" : "user";
  return first === undefined ? say("334", { asked }) : proof({ ...now, asked }, first, say);
}

/** What the text is in base64; null for none. */
function decoded(text: string): string | null {
  if (text.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  return atob(text);
}

function proof(now: Model, line: string, say: Say): Answer {
  const done = { asked: "nothing" } as const;
  const text = decoded(line);
  if (line === "*" || text === null) return say("501 5.5.2", done);
  const judged = (right: boolean): Answer => {
    if (right) return say("235 2.7.0", { ...done, login: true });
    const failures = now.failures + 1;
    return failures < MAX_FAILURES ? say("535 5.7.8", { ...done, failures }) : say("421 4.7.0", { open: false });
  };
  if (now.asked === "plain") {
    return text.split("\0").length === 3 ? judged(line === RIGHT) : say("501 5.5.2", done);
  }
  // deno-lint-ignore no-control-regex
  const odd = text === "" || (now.asked === "user" ? /[\0-\x1f\x7f]/.test(text) : /[\0\r\n]/.test(text));
  if (odd) return say("501 5.5.2", done);
  if (now.asked === "user") {
    return say("334", { asked: line === CAROL ? "password-of-carol" : "password-of-another" });
  }
  return judged(now.asked === "password-of-carol" && line === SESAME);
}
