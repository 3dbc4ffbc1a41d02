/** What each command does to a session. Checks stand in the order in which they answer: the first that fails does. */

import { type DsnParameters, isAscii } from "../../envelope/mod.ts";
import type { AuthResult } from "../../protocol/mod.ts";
import { closeWith, hello, refusal, reply, settle } from "./answers.ts";
import { authCommand } from "./auth.ts";
import { isDomain, parsePath } from "./address.ts";
import type { Command } from "./command.ts";
import { endlessOctets } from "../message/data.ts";
import { mechanisms } from "./login.ts";
import { mailParameters, rcptParameters } from "./parameters.ts";
import { REPLY } from "./reply.ts";
import type { ConnectionFacts, Input, Pending, Session, Step } from "./state.ts";

type CommandInput = Pick<Extract<Input, { on: "command" }>, "command" | "more">;

/**
 * Takes a command of RFC 5321 §4.1.1, or of an extension, between two transactions or in one. `more`: octets after its line have arrived already,
 * which STARTTLS must not have behind it (RFC 3207 §4).
 */
export function commandStep(facts: ConnectionFacts, session: Session, { command, more }: CommandInput): Step {
  switch (command.verb) {
    case "HELO":
    case "EHLO":
      return helo(facts, session, command);
    case "MAIL":
      return mail(facts, session, command);
    case "RCPT":
      return rcpt(facts, session, command);
    case "DATA":
      return data(facts, session, command);
    case "BDAT":
      return bdat(facts, session, command);
    case "RSET":
      if (command.argument !== "") return refuse(facts, session, command, REPLY.noArguments);
      // RFC 5321 §4.1.4: RSET is served at any time, before EHLO too.
      return forget(session, say({ ...session, transaction: null }, REPLY.reset));
    case "NOOP":
      return say(session, REPLY.ok);
    case "QUIT":
      if (command.argument !== "") return refuse(facts, session, command, REPLY.noArguments);
      return {
        session: { ...session, phase: "closed", transaction: null },
        effects: [reply(REPLY.bye), { do: "close", reason: "quit", clientClosed: true }],
      };
    case "STARTTLS":
      return startTls(facts, session, { command, more });
    case "HELP":
      if (command.argument !== "") return refuse(facts, session, command, REPLY.noArguments);
      return say(session, REPLY.help);
    case "VRFY":
      return vrfy(facts, session, command);
    case "EXPN":
      return refuse(facts, session, command, REPLY.expn);
    case "AUTH":
      return authCommand(facts, session, command);
    case "WIZ":
      return refuse(facts, session, command, command.argument !== "" ? REPLY.noArguments : REPLY.wiz);
    case "HTTP":
      return closeWith(facts, session, REPLY.otherProtocol, { reason: "quit", log: { command: command.line } });
    case "malformed":
      return malformed(facts, session, command);
    case "unknown":
      return refuse(facts, session, command, REPLY.unrecognized);
  }
}

/** RFC 5321 §4.3.2: MAIL and RCPT without their words in this order, and what has no blank behind its verb. */
function malformed(facts: ConnectionFacts, session: Session, command: Command): Step {
  switch (command.argument) {
    case "MAIL":
      return refuse(facts, session, command, REPLY.mailSyntax);
    case "RCPT":
      return refuse(facts, session, command, REPLY.rcptSyntax);
    // The octets that it announces come, and are no commands.
    case "BDAT":
      return closeWith(facts, session, REPLY.badChunk, { reason: "quit", log: "bad-input" });
    default:
      return refuse(facts, session, command, REPLY.noBlank);
  }
}

/** RFC 5321 §3.5.3: recipients are verified only by RCPT. RFC 6531 §3.7.4.2 has SMTPUTF8 behind the address as MAIL has. */
function vrfy(facts: ConnectionFacts, session: Session, command: Command): Step {
  const address = command.argument.replace(/(?:^| )SMTPUTF8$/i, "");
  if (address === "") return refuse(facts, session, command, REPLY.verifyWhom);
  if (address === command.argument && !isAscii(address)) return refuse(facts, session, command, REPLY.verifyNeedsUtf8);
  return say(session, REPLY.cannotVerify);
}

function say(session: Session, text: string): Step {
  return { session, effects: [reply(text)] };
}

function refuse(facts: ConnectionFacts, session: Session, command: Command, text: string): Step {
  return { session, effects: refusal(facts, command.line, text) };
}

/** RFC 5321 §4.1.4: a second one is as good as RSET. */
function helo(facts: ConnectionFacts, session: Session, command: Command): Step {
  const esmtp = command.verb === "EHLO";
  const name = command.argument;
  if (name === "") return refuse(facts, session, command, esmtp ? REPLY.ehloDomain : REPLY.heloDomain);
  if (!isDomain(name)) return refuse(facts, session, command, REPLY.badDomain);
  const next: Session = {
    ...session,
    esmtp,
    transaction: null,
    origin: {
      address: facts.address,
      hostname: session.rdns,
      ...(session.rdnsUnsure ? { hostnameUnsure: true } as const : {}),
      helo: name,
      smtpname: facts.hostname,
      tag: facts.tag,
      username: session.username,
      authenticated: facts.socket || session.username !== "",
    },
  };
  return forget(session, say(next, esmtp ? capabilities(facts, session, name) : `250 ${hello(facts, name)}`));
}

/** Chunks of a message that were read are let go of when its transaction ends without them. */
function forget(before: Session, done: Step): Step {
  return before.transaction?.chunked ? { ...done, effects: [{ do: "discard" }, ...done.effects] } : done;
}

function capabilities(facts: ConnectionFacts, session: Session, name: string): string {
  const auth = mechanisms(facts, session);
  const startTls = (facts.tls === "tls" || facts.tls === "tls-require") && session.ciphers === null;
  return `250-${hello(facts, name)}\r\n250-8BITMIME\r\n250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n` +
    `250-SIZE ${facts.maxMessageBytes}\r\n${facts.dsn ? "250-DSN\r\n" : ""}` +
    `250-SMTPUTF8\r\n${facts.filtered ? "" : "250-CHUNKING\r\n"}${limits(facts)}${
      session.ciphers === null ? "" : "250-REQUIRETLS\r\n"
    }` +
    `${startTls ? "250-STARTTLS\r\n" : ""}${auth === null ? "" : `250-AUTH ${auth}\r\n`}250 HELP`;
}

/** RFC 9422 §4: values have up to six digits; a larger limit is left out. */
function limits(facts: ConnectionFacts): string {
  const words = [["MAILMAX", facts.maxMails], ["RCPTMAX", facts.maxRcpt]] as const;
  const limits = words.filter(([, value]) => value > 0 && value <= 999_999).map(([name, value]) => ` ${name}=${value}`);
  return limits.length === 0 ? "" : `250-LIMITS${limits.join("")}\r\n`;
}

function mail(facts: ConnectionFacts, session: Session, command: Command): Step {
  if (session.origin === null || session.transaction !== null) return refuse(facts, session, command, REPLY.notNow);
  if (facts.tls === "tls-require" && session.ciphers === null) return refuse(facts, session, command, REPLY.needTls);
  if (facts.auth?.required && session.username === "") return refuse(facts, session, command, REPLY.needAuth);
  if (session.mails >= facts.maxMails) return refuse(facts, session, command, REPLY.tooManyMails);
  const path = parsePath(command.argument, facts.hostname);
  if (!path.ok) return refuse(facts, session, command, path.bare ? REPLY.bareOption : REPLY.badSender);
  const rules = { dsn: facts.dsn, maxBytes: facts.maxMessageBytes, tls: session.ciphers !== null };
  const parameters = mailParameters(path.rest, rules);
  if (!parameters.ok) return refuse(facts, session, command, parameters.reply);
  const { ret, envid, smtpUtf8, requireTls, eightBit, size } = parameters.value;
  // RFC 1870 §6.1 (4): before the client sends what cannot be stored.
  if (facts.room.bytes === 0 || size > facts.room.bytes) return refuse(facts, session, command, REPLY.noRoom);
  if (path.utf8 && !smtpUtf8) return refuse(facts, session, command, REPLY.needUtf8);
  const begun = {
    sender: path.path,
    ret,
    envid,
    smtpUtf8,
    requireTls,
    eightBit,
    chunked: false,
    accepted: null,
    targets: 0,
    count: 0,
    pending: [],
  };
  if (facts.senders === null || session.username === "") return say({ ...session, transaction: begun }, REPLY.ok);
  return {
    session: { ...session, phase: "sender", pendingMail: { transaction: begun, line: command.line } },
    effects: [{ do: "judge-sender", table: facts.senders, user: session.username, sender: path.path }],
  };
}

/** Lookup has answered whether the user who has logged in may send as this sender. */
export function senderJudged(facts: ConnectionFacts, session: Session, result: AuthResult): Step {
  const { phase, pendingMail } = session;
  if (phase !== "sender" || pendingMail === null) return { session, effects: [] };
  const next: Session = { ...session, phase: "command", pendingMail: null };
  if (result === "ok") return say({ ...next, transaction: pendingMail.transaction }, REPLY.ok);
  const text = result === "permfail" ? REPLY.notYourSender : REPLY.temporaryMail;
  const { sender } = pendingMail.transaction;
  return { session: next, effects: refusal(facts, pendingMail.line, text, { sender }) };
}

function rcpt(facts: ConnectionFacts, session: Session, command: Command): Step {
  const { transaction } = session;
  if (transaction === null || transaction.chunked) return refuse(facts, session, command, REPLY.notNow);
  const { sender, ret, envid } = transaction;
  const slot = session.nextSlot;
  const dsnOf = (notify: number, orcpt: string): DsnParameters => ({ notify, ret, envid, orcpt });
  const answerLater = (one: Omit<Pending, "slot" | "line">): Session => ({
    ...session,
    nextSlot: slot + 1,
    transaction: { ...transaction, pending: [...transaction.pending, { ...one, slot, line: command.line }] },
  });
  const no = (text: string): Step => settle(facts, answerLater({ rcpt: null, dsn: dsnOf(0, ""), result: text }));

  if (transaction.count >= facts.maxRcpt) return no(REPLY.tooManyRecipients);
  const path = parsePath(command.argument, facts.hostname);
  if (!path.ok) return no(path.bare ? REPLY.bareOption : REPLY.badRecipient);
  if (path.path === null) return no(REPLY.badRecipient);
  if (path.utf8 && !transaction.smtpUtf8) return no(REPLY.needUtf8);
  const parameters = rcptParameters(path.rest, { dsn: facts.dsn, smtpUtf8: transaction.smtpUtf8 });
  if (!parameters.ok) return no(parameters.reply);
  const { notify, orcpt } = parameters.value;
  return {
    session: answerLater({ rcpt: path.path, dsn: dsnOf(notify, orcpt), result: null }),
    effects: [{ do: "expand", slot, sender, rcpt: path.path }],
  };
}

function data(facts: ConnectionFacts, session: Session, command: Command): Step {
  if (command.argument !== "") return refuse(facts, session, command, REPLY.noArguments);
  // RFC 3030 §2: a transaction has DATA or BDAT, not both.
  if (session.transaction === null || session.transaction.chunked) return refuse(facts, session, command, REPLY.notNow);
  if (session.transaction.count === 0) return refuse(facts, session, command, REPLY.noRecipient);
  return { session: { ...session, phase: "data" }, effects: [reply(REPLY.sendData), { do: "receive" }] };
}

/**
 * RFC 3030 §2. Whether it may stand here or not, its octets come: they are read, and then it is answered. When their number cannot be read,
 * it is not known where the next command begins.
 */
function bdat(facts: ConnectionFacts, session: Session, command: Command): Step {
  const [, digits, last] = /^([0-9]{1,15})(?: +(LAST))?$/i.exec(command.argument) ?? [];
  if (digits === undefined) return closeWith(facts, session, REPLY.badChunk, { reason: "quit", log: "bad-input" });
  const { transaction } = session;
  const refusal = facts.filtered
    ? REPLY.notSupported
    : transaction === null
    ? REPLY.notNow
    : transaction.count === 0
    ? REPLY.noRecipient
    : null;
  const octets = Number(digits);
  // The end of what is refused and cannot be mail is not waited for.
  if (octets > endlessOctets(facts.maxMessageBytes)) {
    return closeWith(facts, session, REPLY.endless, { reason: "quit", log: "bad-input" });
  }
  const chunk = { line: command.line, octets, last: last !== undefined, refusal };
  return { session: { ...session, phase: "chunk", chunk }, effects: [{ do: "chunk", octets }] };
}

function startTls(facts: ConnectionFacts, session: Session, { command, more }: CommandInput): Step {
  if (session.origin === null || session.transaction !== null) return refuse(facts, session, command, REPLY.notNow);
  if (facts.tls === "none") return refuse(facts, session, command, REPLY.notSupported);
  if (session.ciphers !== null) return refuse(facts, session, command, REPLY.secureAlready);
  if (command.argument !== "") return refuse(facts, session, command, REPLY.noParameters);
  // Commands that were put behind STARTTLS in clear must never be run as if they had come under TLS.
  if (more) {
    return closeWith(facts, session, REPLY.aheadOfTls, { reason: "quit", log: "bad-input" });
  }
  return { session: { ...session, phase: "handshake" }, effects: [reply(REPLY.startTls), { do: "secure" }] };
}
