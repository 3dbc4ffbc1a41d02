/** Limits of the commands of a session that lead nowhere: those that bring no mail, and those that are refused. Pure, as session.ts. */

import type { Command, Verb } from "./command.ts";
import { REPLY } from "./reply.ts";
import type { ConnectionFacts, Input, Session, Step } from "./state.ts";

/** Commands and refused recipients between two accepted messages, after which a session that brings none ends. */
export const MAX_IDLE_COMMANDS = 1000;

/** Octets of a chunk below which it counts as bringing no mail. */
const CRUMB = 1024;

/** What moves no mail by itself. MAIL is among them: addresses are probed with MAIL, RCPT, RSET. */
const IDLE: ReadonlySet<Verb> = new Set(["HELO", "EHLO", "MAIL", "RSET", "NOOP", "HELP", "VRFY", "EXPN"]);

/** The 421 that a command gets instead of its answer (RFC 5321 §3.8, §4.3.2), null while the limits are not reached. QUIT is always served. */
export function exhausted({ maxErrors }: ConnectionFacts, session: Session, command: Command): string | null {
  if (session.phase === "command" && command.verb === "QUIT") return null;
  if (maxErrors > 0 && session.badCommands >= maxErrors) return REPLY.tooManyBad;
  return session.idleCommands >= MAX_IDLE_COMMANDS ? REPLY.tooManyIdle : null;
}

/** A chunk of a message that brings hardly anything, RFC 3030 §2. */
function isCrumb({ session, effects }: Step): boolean {
  return effects.some((one) => one.do === "chunk" && one.octets < CRUMB && session.chunk?.last === false);
}

/** An RCPT that a filter has refused. */
function isRcpt(input: Input): boolean {
  return input.on === "filtered" && /^RCPT /i.test(input.line);
}

/** Adds what came of `input`, which was dealt with in `phase`, to the counts of the session. */
export function counted(phase: Session["phase"], input: Input, done: Step): Step {
  if (done.session.phase === "closed") return done;
  const verb = input.on === "command" && phase === "command" ? input.command.verb : null;
  let idle = verb !== null && IDLE.has(verb) || isCrumb(done) ? 1 : 0;
  let bad = 0;
  for (const effect of done.effects) {
    if (effect.do !== "emit" || effect.event.type !== "smtp-failed-command") continue;
    // A list with many unknown addresses is no attack by itself, a search for existing ones is.
    if (input.on === "expanded" || verb === "RCPT" || isRcpt(input)) idle++;
    else if (effect.event.reply.startsWith("5")) bad++;
  }
  if (idle === 0 && bad === 0) return done;
  const { session } = done;
  return {
    session: { ...session, idleCommands: session.idleCommands + idle, badCommands: session.badCommands + bad },
    effects: done.effects,
  };
}
