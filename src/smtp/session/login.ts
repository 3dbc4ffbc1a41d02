/** What all mechanisms of AUTH have in common: where they are offered, what a login or a failed one does to the session. Pure. */

import type { AuthResult } from "../../protocol/mod.ts";
import { refusal, reply } from "./answers.ts";
import { REPLY } from "./reply.ts";
import type { AuthDialog, ConnectionFacts, Effect, Session, Step } from "./state.ts";

/** Failed attempts after which a session ends. */
export const MAX_AUTH_FAILURES = 3;
/** Characters of a user name. */
const MAX_USER_CHARACTERS = 255;

/** Passwords are asked for under TLS, and in clear on loopback only; tls-require holds there too. */
export function offersAuth(facts: ConnectionFacts, session: Session): boolean {
  if (facts.auth === null || session.username !== "") return false;
  return session.ciphers !== null || (facts.loopback && facts.tls !== "tls-require");
}

/** Returns the mechanisms that can work for everybody, for the AUTH line of the reply to EHLO (RFC 4954 §3); null when there are none. */
export function mechanisms(facts: ConnectionFacts, session: Session): string | null {
  if (!offersAuth(facts, session)) return null;
  return `PLAIN LOGIN${session.scram ? " SCRAM-SHA-256" : ""}${offersBinding(session) ? " SCRAM-SHA-256-PLUS" : ""}`;
}

/** Returns whether the variant of SCRAM is offered that binds the login to the TLS connection, RFC 5802 §6. */
export function offersBinding(session: Session): boolean {
  return session.scram && session.binding !== null;
}

/** A step of AUTH as the log has it. */
export const MASKED: Record<AuthDialog["step"], string> = {
  scram: "AUTH SCRAM-SHA-256 (...)",
  "scram-salt": "AUTH SCRAM-SHA-256 (...)",
  "scram-final": "AUTH SCRAM-SHA-256 (...)",
  "scram-proof": "AUTH SCRAM-SHA-256 (...)",
  "scram-end": "AUTH SCRAM-SHA-256 (...)",
  plain: "AUTH PLAIN (...)",
  user: "AUTH LOGIN (username)",
  password: "AUTH LOGIN (password)",
};

/** It goes into envelopes, logs and headers. */
export function isUser(user: string): boolean {
  // deno-lint-ignore no-control-regex
  return user !== "" && user.length <= MAX_USER_CHARACTERS && !/[\x00-\x1f\x7f]/.test(user);
}

/** Lookup has answered, or the address has failed too often (`blocked`). */
export function authenticated(
  facts: ConnectionFacts,
  session: Session,
  user: string,
  result: AuthResult | "blocked",
): Step {
  if (session.phase !== "verify") return { session, effects: [] };
  const masked = MASKED[session.dialog!.step];
  const ended: Session = { ...session, phase: "command", dialog: null, maySeeSecret: result !== "ok" };
  const logged = result === "blocked" ? "tempfail" : result;
  const event: Effect = {
    do: "emit",
    event: { type: "smtp-authentication", session: facts.session, user, result: logged },
  };
  if (result === "ok") {
    const origin = { ...session.origin!, username: user, authenticated: true };
    return { session: { ...ended, username: user, origin }, effects: [event, reply(REPLY.authOk)] };
  }
  const no = (next: Session, text: string): Step => ({
    session: next,
    effects: [event, ...refusal(facts, masked, text)],
  });
  if (result === "blocked") return no(ended, REPLY.authBlocked);
  if (result === "tempfail") return no(ended, REPLY.authTemporary);
  const failures = session.authFailures + 1;
  if (failures < MAX_AUTH_FAILURES) return no({ ...ended, authFailures: failures }, REPLY.authFailed);
  return {
    session: { ...ended, phase: "closed" },
    effects: [event, ...refusal(facts, masked, REPLY.authTooMany), { do: "close", reason: "quit" }],
  };
}
