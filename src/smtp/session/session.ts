/**
 * An SMTP session as a pure state machine, RFC 5321 §4: a state and something that happened give the next state and what is to be done.
 * Uses no socket, clock or disk, and no line framing; connection.ts drives it. Single commands are in commands.ts.
 */

import type { MailAuth } from "../../envelope/mod.ts";
import type { Expansion } from "../../protocol/mod.ts";
import { canSpeak, closeWith, foreignReply, refusal, reply, settle } from "./answers.ts";
import { authLine } from "./auth.ts";
import type { Command } from "./command.ts";
import { commandStep, senderJudged } from "./commands.ts";
import { type Fault, isHopeless } from "../message/data.ts";
import { authenticated, MASKED } from "./login.ts";
import { counted, exhausted } from "./command_limits.ts";
import { accepted, chunkAccepted, printable, REPLY } from "./reply.ts";
import { recorded } from "./recorded.ts";
import { challenged, proved } from "./scram.ts";
import type { ConnectionFacts, Effect, Input, Session, Step } from "./state.ts";

/** RCPTs of one session that lookup is asked about at the same time. */
export const MAX_PENDING_RCPTS = 32;

/** False when the command must wait for answers to earlier ones: replies keep the order of commands (RFC 2920 §3.2). */
export function takes(facts: ConnectionFacts, session: Session, command: Command): boolean {
  if (session.phase === "auth") return true;
  if (session.phase !== "command") return false;
  const transaction = session.transaction;
  if (transaction === null || transaction.pending.length === 0) return true;
  return command.verb === "RCPT" && transaction.pending.length < MAX_PENDING_RCPTS &&
    transaction.count + transaction.pending.length < facts.maxRcpt;
}

/**
 * The state machine: returns the state of a session after `input`, and what is to be done, in order. Never throws; a session that is closed stays
 * so, and nothing is to be done for it.
 */
export function step(facts: ConnectionFacts, session: Session, input: Input): Step {
  const done = stepOf(facts, session, input);
  const next = facts.history === undefined ? done : recorded({ facts, history: facts.history }, session, input, done);
  const mailAuth = input.on === "filtered" || input.on === "refused" ? input.mailAuth : undefined;
  return mailAuth === undefined ? next : { ...next, effects: next.effects.map((effect) => showing(effect, mailAuth)) };
}

/** The log line of the refusal of a message has what its checks have found. */
function showing(effect: Effect, mailAuth: MailAuth): Effect {
  const refused = effect.do === "emit" && effect.event.type === "smtp-failed-command";
  return refused
    ? { ...effect, event: { ...effect.event, mailAuth } as Extract<Effect, { do: "emit" }>["event"] }
    : effect;
}

function stepOf(facts: ConnectionFacts, session: Session, input: Input): Step {
  if (session.phase === "closed") return { session, effects: [] };
  switch (input.on) {
    case "connected":
      return connected(facts, {
        ...session,
        rdns: printableName(input.rdns),
        scram: input.scram ?? false,
        rdnsUnsure: input.rdnsUnsure ?? false,
      });
    case "early":
      return early(facts, { ...session, rdns: printableName(input.rdns) });
    case "turned-away":
      return turnedAway(facts, { ...session, rdns: printableName(input.rdns) }, input);
    case "filtered":
      return whenStopping(facts, counted(session.phase, input, filtered(facts, session, input)));
    case "command":
      return whenStopping(facts, counted(session.phase, input, command(facts, session, input)));
    case "authenticated":
      return whenStopping(facts, authenticated(facts, session, input.user, input.result));
    case "challenged":
      return whenStopping(facts, challenged(facts, session, input.challenge, input.nonce));
    case "proved":
      return whenStopping(facts, proved(facts, session, input.result, input.signature));
    case "expanded":
      return whenStopping(facts, counted(session.phase, input, expanded(facts, session, input.slot, input.result)));
    case "sender-judged":
      return whenStopping(facts, counted(session.phase, input, senderJudged(facts, session, input.result)));
    case "received":
      return whenStopping(facts, received(facts, session, input.fault));
    case "chunk-read":
      return whenStopping(facts, counted(session.phase, input, chunkRead(facts, session, input.fault)));
    case "committed":
      return whenStopping(facts, committed(facts, session, input));
    case "refused":
      return whenStopping(facts, refused(facts, session, input.code, input.text));
    case "secured":
      return secured(
        facts,
        { ...session, binding: input.binding, verified: input.verified ?? false },
        input.ciphers,
      );
    case "bad-input":
      return closeWith(facts, session, input.reply, { reason: "quit", log: "bad-input" });
    case "idle":
      return idle(facts, session);
    case "peer-gone":
      return closeWith(facts, session, REPLY.temporary, { reason: "quit", log: { command: answering(session) } });
    case "stop":
      return stop(facts, { ...session, stopping: true }, input);
  }
}

function command(facts: ConnectionFacts, session: Session, input: Extract<Input, { on: "command" }>): Step {
  const last = exhausted(facts, session, input.command);
  if (last !== null) {
    return closeWith(facts, session, last, { reason: "quit", log: { command: shown(session, input.command).line } });
  }
  if (session.rejected && input.command.verb !== "QUIT") {
    const { line, verb } = shown(session, input.command);
    return {
      session: { ...session, maySeeSecret: session.maySeeSecret || verb === "AUTH" },
      effects: refusal(facts, line, REPLY.notNow),
    };
  }
  if (session.phase === "auth") return authLine(facts, session, input.command.line);
  const maySeeSecret = session.maySeeSecret && isNoCommand(input.command);
  const next = maySeeSecret === session.maySeeSecret ? session : { ...session, maySeeSecret };
  return commandStep(facts, next, { command: shown(session, input.command), more: input.more });
}

/** The command as the log may have it. */
function shown(session: Session, command: Command): Command {
  return maybeSecret(session, command) ? { ...command, line: "********" } : command;
}

/** What follows a 334; and behind a refused AUTH, what is no command may be the secret of a client that did not wait. */
export function maybeSecret(session: Session, command: Command): boolean {
  return session.phase === "auth" || ((session.maySeeSecret || session.maySeeMail) && isNoCommand(command));
}

/** A secret may begin with the letters of a verb. */
function isNoCommand({ verb }: Command): boolean {
  return verb === "unknown" || verb === "malformed";
}

/** A name from elsewhere that goes into headers and logs: anything but a plain name counts as none. */
function printableName(name: string): string {
  return /^[A-Za-z0-9._-]{1,255}$/.test(name) ? name : "<unknown>";
}

function connected(facts: ConnectionFacts, session: Session): Step {
  const effects = [arrival(facts, session)];
  if (session.stopping) {
    const last = stop(facts, session, { now: true });
    return { session: last.session, effects: [...effects, ...last.effects] };
  }
  if (facts.tls === "smtps") {
    return { session: { ...session, phase: "handshake" }, effects: [...effects, { do: "secure" }] };
  }
  return { session: { ...session, phase: "command" }, effects: [...effects, banner(facts)] };
}

function arrival(facts: ConnectionFacts, session: Session): Effect {
  return {
    do: "emit",
    event: {
      type: "smtp-connected",
      session: facts.session,
      address: facts.address,
      host: session.rdns,
      family: facts.socket ? "local" : facts.address.startsWith("[") ? "inet6" : "inet4",
      smtps: facts.tls === "smtps",
    },
  };
}

/** A client that sends before the banner does not wait for replies: RFC 5321 §3.1 has 554 in its place. */
function early(facts: ConnectionFacts, session: Session): Step {
  const last = closeWith(facts, session, REPLY.early, { reason: "quit", log: "bad-input" });
  return { session: last.session, effects: [arrival(facts, session), ...last.effects] };
}

/** RFC 5321 §3.1: instead of the banner a refusal, after which QUIT is waited for. In clear where TLS comes first nothing can be sent. */
function turnedAway(
  facts: ConnectionFacts,
  session: Session,
  { text, close, filter }: Extract<Input, { on: "turned-away" }>,
): Step {
  const replyText = printable(text), about = { filter };
  const last = close || facts.tls === "smtps" || session.stopping
    ? closeWith(facts, session, replyText, { reason: "quit", log: { command: "", about } })
    : {
      session: { ...session, phase: "command" as const, rejected: true },
      effects: refusal(facts, "", replyText, about),
    };
  return { session: last.session, effects: [arrival(facts, session), ...last.effects] };
}

/** A filter's refusal of a command, or of a message that was read to its end. */
function filtered(
  facts: ConnectionFacts,
  session: Session,
  { line, text, close, filter }: Extract<Input, { on: "filtered" }>,
): Step {
  const replyText = printable(text), about = { filter };
  if (close) return closeWith(facts, session, replyText, { reason: "quit", log: { command: line, about } });
  const effects = refusal(facts, line, replyText, about);
  if (session.phase !== "data") {
    return { session: { ...session, maySeeSecret: session.maySeeSecret || isAuth(line) }, effects };
  }
  return { session: { ...session, phase: "command", transaction: null }, effects: [{ do: "discard" }, ...effects] };
}

/** Behind a refused AUTH may stand the credentials of a client that did not wait. */
function isAuth(line: string): boolean {
  return /^AUTH(?: |$)/i.test(line);
}

function banner(facts: ConnectionFacts): Effect {
  return reply(`220 ${facts.hostname} ESMTP Vaultpost`);
}

/** RFC 3207 §4.2: what the client sent before is forgotten. */
function secured(facts: ConnectionFacts, session: Session, ciphers: string): Step {
  const effects: Effect[] = [{ do: "emit", event: { type: "smtp-tls", session: facts.session, ciphers } }];
  if (facts.tls === "smtps") effects.push(banner(facts));
  return whenStopping(facts, {
    session: { ...session, phase: "command", ciphers, origin: null, esmtp: false, transaction: null, username: "" },
    effects,
  });
}

/** Lookup answered: fills the slot and sends every reply that is due, in order. */
function expanded(facts: ConnectionFacts, session: Session, slot: number, result: Expansion): Step {
  const { transaction } = session;
  if (transaction === null) return { session, effects: [] };
  const pending = transaction.pending.map((one) => one.slot === slot && one.result === null ? { ...one, result } : one);
  return settle(facts, { ...session, transaction: { ...transaction, pending } });
}

const FAULT_REPLY: Record<Fault, string> = {
  refused: REPLY.temporaryMail,
  bare: REPLY.bareLineEndInData,
  malformed: REPLY.malformed,
  loop: REPLY.loop,
  header: REPLY.headerTooBig,
  size: REPLY.tooBig,
  line: REPLY.lineTooLong,
  endless: REPLY.endless,
};

/** The end of the data was read, or a line that no session survives. */
function received(facts: ConnectionFacts, session: Session, fault: Fault | null): Step {
  if (session.phase !== "data") return { session, effects: [] };
  if (fault === null) return { session: { ...session, phase: "queue" }, effects: [{ do: "commit" }] };
  // Where line ends are in doubt, so is where the data ended: what comes behind is not taken for commands.
  if (fault === "bare" || isHopeless(fault)) {
    return closeWith(facts, session, FAULT_REPLY[fault], { reason: "quit", log: "bad-input" });
  }
  return {
    session: { ...session, phase: "command", transaction: null },
    effects: [{ do: "discard" }, ...refusal(facts, "DATA", FAULT_REPLY[fault])],
  };
}

/** RFC 3030 §2: each chunk has its reply; after one that failed nothing is left of the transaction, and those that follow fail too. */
function chunkRead(facts: ConnectionFacts, before: Session, fault: Fault | null): Step {
  const { chunk, transaction } = before;
  if (before.phase !== "chunk" || chunk === null) return { session: before, effects: [] };
  const session: Session = { ...before, phase: "command", chunk: null };
  if (fault !== null && isHopeless(fault)) {
    return closeWith(facts, session, FAULT_REPLY[fault], { reason: "quit", log: "bad-input" });
  }
  if (chunk.refusal !== null || transaction === null) {
    return { session, effects: refusal(facts, chunk.line, chunk.refusal ?? REPLY.notNow) };
  }
  if (fault !== null) {
    const effects: Effect[] = [{ do: "discard" }, ...refusal(facts, chunk.line, FAULT_REPLY[fault])];
    return { session: { ...session, transaction: null }, effects };
  }
  if (chunk.last) return { session: { ...session, phase: "queue" }, effects: [{ do: "commit" }] };
  return {
    session: { ...session, transaction: { ...transaction, chunked: true } },
    effects: [reply(chunkAccepted(chunk.octets))],
  };
}

/** The queue has the message on stable storage: the line that decides 250, RFC 5321 §6.1. */
function committed(
  facts: ConnectionFacts,
  session: Session,
  { message, bytes, mailAuth, detail }: Extract<Input, { on: "committed" }>,
): Step {
  if (session.phase !== "queue") return { session, effects: [] };
  return {
    session: {
      ...session,
      phase: "command",
      transaction: null,
      mails: session.mails + 1,
      idleCommands: 0,
      badCommands: 0,
    },
    effects: [reply(accepted(message)), {
      do: "emit",
      event: {
        type: "smtp-message",
        session: facts.session,
        message,
        bytes,
        rcpts: session.transaction?.count ?? 0,
        proto: session.esmtp ? "ESMTP" : "SMTP",
        ...(mailAuth === undefined ? {} : { mailAuth }),
        ...(detail === undefined ? {} : { detail }),
      },
    }],
  };
}

/** The queue does not take the message. The reply comes at the end of the data, RFC 5321 §4.1.1.4. */
function refused(facts: ConnectionFacts, session: Session, code: number, text: string): Step {
  if (session.phase !== "queue" && session.phase !== "data" && session.phase !== "chunk") {
    return { session, effects: [] };
  }
  const replyText = foreignReply(code, text);
  if (replyText.startsWith("421")) {
    return closeWith(facts, session, replyText, { reason: "quit", log: { command: answering(session) } });
  }
  return {
    session: { ...session, phase: "command", transaction: null, chunk: null },
    effects: [{ do: "discard" }, ...refusal(facts, session.chunk?.line ?? "DATA", replyText)],
  };
}

/** The command that the session is at, as the log may have it; "" between two of them. */
function answering({ phase, dialog, chunk, pendingMail, transaction }: Session): string {
  switch (phase) {
    case "data":
    case "queue":
      return "DATA";
    case "chunk":
      return chunk?.line ?? "";
    case "auth":
    case "verify":
      return dialog === null ? "" : MASKED[dialog.step];
    case "sender":
      return pendingMail?.line ?? "";
    case "command":
    case "greeting":
    case "handshake":
    case "closed":
      return transaction?.pending[0]?.line ?? "";
  }
}

/** The client was silent for too long, RFC 5321 §4.5.3.2.7. Where the delay is ours, the reply does not blame the client. */
function idle(facts: ConnectionFacts, session: Session): Step {
  const ours = session.phase === "queue" || session.phase === "greeting" || session.phase === "verify" ||
    session.phase === "sender" ||
    (session.transaction?.pending.length ?? 0) > 0;
  const text = ours ? REPLY.temporary : REPLY.idle;
  return closeWith(facts, session, text, { reason: "timeout", log: { command: answering(session) } });
}

/** RFC 5321 §3.8: a server that must stop replies 421; a transaction may end first unless there is no time. */
function stop(facts: ConnectionFacts, session: Session, { now }: { readonly now: boolean }): Step {
  const busy = session.transaction !== null || session.phase === "handshake";
  if (busy && !now) return { session, effects: [] };
  if (session.phase === "greeting" && !now) return { session, effects: [] };
  const effects: Effect[] = [];
  if (canSpeak(facts, session)) effects.push(...refusal(facts, answering(session), REPLY.stopping));
  effects.push({ do: "close", reason: "quit" });
  return { session: { ...session, phase: "closed", transaction: null }, effects };
}

function whenStopping(facts: ConnectionFacts, done: Step): Step {
  if (!done.session.stopping || done.session.phase === "closed") return done;
  const last = stop(facts, done.session, { now: false });
  return { session: last.session, effects: [...done.effects, ...last.effects] };
}
