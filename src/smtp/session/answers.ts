/** The replies of a session: with refusals their line in the log, and the last reply before it closes. Pure, as session.ts. */

import { MAX_MESSAGE_ENVELOPES } from "../../protocol/smtp_queue.ts";
import type { ConnectionFacts, Effect, Refused, Session, Step } from "./state.ts";
import { bracketed } from "../message/received.ts";
import { printable, REPLY } from "./reply.ts";

/** Returns the effect that sends one reply line; `text` is without its CRLF. */
export function reply(text: string): Effect {
  return { do: "reply", text: `${text}\r\n` };
}

/** A 4xx or 5xx reply to a command, with its line in the log. */
export function refusal(facts: ConnectionFacts, line: string, text: string, about?: Refused): readonly Effect[] {
  const event = {
    type: "smtp-failed-command",
    session: facts.session,
    command: line,
    reply: text,
    address: facts.address,
  } as const;
  return [reply(text), about === undefined ? { do: "emit", event } : { do: "emit", event, about }];
}

/** Returns whether a reply can be sent: none during a handshake, and none in clear where TLS comes first. */
export function canSpeak(facts: ConnectionFacts, session: Session): boolean {
  return session.phase !== "handshake" && (facts.tls !== "smtps" || session.ciphers !== null);
}

/** How a last word is logged: `command` is the line that it answers, "" where there is none; `bad-input` is for what is no command. */
export interface LastWord {
  /** As in the log. */
  readonly reason: string;
  readonly log: "bad-input" | { readonly command: string; readonly about?: Refused | undefined };
}

/**
 * Sends the last reply, 4xx or 5xx, and closes the session. 421 and all replies to bad input come this way. Nothing is sent, and no reply
 * logged, during a handshake; where TLS comes first and has not begun, the log has what the client could not be sent.
 */
export function closeWith(facts: ConnectionFacts, session: Session, text: string, { reason, log }: LastWord): Step {
  const last = log === "bad-input"
    ? [reply(text), badInput(facts, text)]
    : refusal(facts, log.command, text, log.about);
  const effects: Effect[] = last.filter((effect) =>
    effect.do === "reply" ? canSpeak(facts, session) : session.phase !== "handshake"
  );
  effects.push({ do: "close", reason });
  return { session: { ...session, phase: "closed", transaction: null }, effects };
}

/** The log line of a reply to what is no command. */
export function badInput(facts: ConnectionFacts, text: string): Effect {
  return {
    do: "emit",
    event: { type: "smtp-bad-input", session: facts.session, reply: text, address: facts.address },
  };
}

/** Sends the replies at the head of `pending` that are known. */
export function settle(facts: ConnectionFacts, session: Session): Step {
  const transaction = session.transaction!;
  let { accepted: list, count, targets } = transaction;
  const effects: Effect[] = [];
  let done = 0;
  for (; done < transaction.pending.length; done++) {
    const { rcpt, dsn, line, result } = transaction.pending[done]!;
    if (result === null) break;
    if (typeof result === "string") effects.push(...refusal(facts, line, result, { rcpt }));
    // Accepting mail that goes nowhere would lose it.
    else if (result.ok && result.targets.length === 0) {
      effects.push(...refusal(facts, line, REPLY.temporaryMail, { rcpt }));
    } // Each of them is an envelope, and a message has only so many.
    else if (result.ok && targets + result.targets.length > MAX_MESSAGE_ENVELOPES) {
      effects.push(...refusal(facts, line, REPLY.tooManyRecipients, { rcpt }));
    } else if (result.ok) {
      list = { rcpt: rcpt!, dsn, expansion: result, before: list };
      count++;
      targets += result.targets.length;
      effects.push(reply(REPLY.rcptOk));
    } else {
      const text = foreignReply(result.code, result.text), about = { rcpt, routed: result.routed };
      if (text.startsWith("421")) {
        const last = closeWith(facts, session, text, { reason: "quit", log: { command: line, about } });
        return { session: last.session, effects: [...effects, ...last.effects] };
      }
      effects.push(...refusal(facts, line, text, about));
    }
  }
  const pending = transaction.pending.slice(done);
  return { session: { ...session, transaction: { ...transaction, accepted: list, count, targets, pending } }, effects };
}

/** A reply that another isolate made, checked: only a failure, only one line. */
export function foreignReply(code: number, text: string): string {
  const sane = Number.isInteger(code) && code >= 400 && code <= 599;
  return sane ? printable(`${code} ${text}`) : REPLY.temporaryMail;
}

/** `Hello` line of HELO and EHLO. */
export function hello(facts: ConnectionFacts, argument: string): string {
  return `${facts.hostname} Hello ${argument} ${bracketed(facts.address)}, pleased to meet you`;
}
