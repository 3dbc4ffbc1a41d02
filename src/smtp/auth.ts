/**
 * AUTH, RFC 4954: PLAIN (RFC 4616) and LOGIN, as part of the pure session. What the client proves goes to lookup and is never kept; a log line
 * has the mechanism and no more.
 */

import type { AuthResult } from "../isolate/mod.ts";
import { refusal, reply } from "./answers.ts";
import { type Command, lineText } from "./command.ts";
import { REPLY } from "./reply.ts";
import type { AuthDialog, Effect, Facts, Session, Step } from "./state.ts";

/** Failed attempts after which a session ends. */
export const MAX_AUTH_FAILURES = 3;
/** Octets of a decoded response, and characters of a user name. */
const MAX_RESPONSE = 1023;
const MAX_USER = 255;

/** Passwords are asked for under TLS, and in clear on loopback only; tls-require means what it says there too. */
export function offersAuth(facts: Facts, session: Session): boolean {
  if (facts.auth === null || session.username !== "") return false;
  return session.ciphers !== null || (facts.loopback && facts.tls !== "tls-require");
}

export function authCommand(facts: Facts, session: Session, command: Command): Step {
  const no = (text: string): Step => ({ session, effects: refusal(facts, command.line, text) });
  if (session.origin === null || session.transaction !== null) return no(REPLY.notNow);
  if (session.username !== "") return no(REPLY.authAlready);
  if (!offersAuth(facts, session)) return no(REPLY.notSupported);
  if (command.argument === "") return no(REPLY.noMechanism);
  const [mechanism = "", ...initial] = command.argument.split(" ");
  // RFC 4954 §4: at most one initial response.
  if (initial.length > 1) return no(REPLY.badResponse);
  const [first] = initial;
  switch (mechanism.toUpperCase()) {
    case "PLAIN":
      return start(facts, session, { step: "plain" }, first);
    case "LOGIN":
      return start(facts, session, { step: "user" }, first);
    default:
      return no(REPLY.unknownMechanism);
  }
}

/** RFC 4954 §4: "=" is an initial response of no octets. */
function start(facts: Facts, session: Session, dialog: AuthDialog, first: string | undefined): Step {
  if (first !== undefined) return respond(facts, session, dialog, first === "=" ? "" : first);
  return prompt(session, dialog);
}

const PROMPT: Record<AuthDialog["step"], string> = {
  plain: "334 ",
  user: "334 VXNlcm5hbWU6",
  password: "334 UGFzc3dvcmQ6",
};

function prompt(session: Session, dialog: AuthDialog): Step {
  return { session: { ...session, phase: "auth", dialog }, effects: [reply(PROMPT[dialog.step])] };
}

/** A line of the client's while a mechanism goes on. */
export function authLine(facts: Facts, session: Session, line: string): Step {
  return respond(facts, session, session.dialog!, line);
}

function respond(facts: Facts, session: Session, dialog: AuthDialog, response: string): Step {
  const ended: Session = { ...session, phase: "command", dialog: null };
  const no = (text: string): Step => ({ session: ended, effects: refusal(facts, MASKED[dialog.step], text) });
  if (response === "*") return no(REPLY.authCancelled);
  const text = decoded(response);
  if (text === null) return no(REPLY.badResponse);
  if (dialog.step === "plain") {
    // RFC 4616 §2: whom to act as, who it is, what proves it. Nobody acts as another here.
    const [, user, password, ...more] = text.split("\0");
    if (user === undefined || password === undefined || more.length > 0) return no(REPLY.badResponse);
    return isUser(user) && password !== "" ? ask(session, dialog, user, password) : no(REPLY.badResponse);
  }
  if (dialog.step === "user") {
    return isUser(text) ? prompt(session, { step: "password", user: text }) : no(REPLY.badResponse);
  }
  return text === "" || text.includes("\0") ? no(REPLY.badResponse) : ask(session, dialog, dialog.user, text);
}

const MASKED: Record<AuthDialog["step"], string> = {
  plain: "AUTH PLAIN (...)",
  user: "AUTH LOGIN (username)",
  password: "AUTH LOGIN (password)",
};

function ask(session: Session, dialog: AuthDialog, user: string, password: string): Step {
  const waiting: AuthDialog = dialog.step === "plain" ? dialog : { step: "password", user };
  return {
    session: { ...session, phase: "verify", dialog: waiting },
    effects: [{ do: "authenticate", user, password }],
  };
}

/** Text of a response in base64 (RFC 4648 §4, padded); null when it is none, is too long, or has line ends. */
function decoded(response: string): string | null {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(response)) return null;
  const binary = atob(response);
  if (binary.length > MAX_RESPONSE || /[\r\n]/.test(binary)) return null;
  return lineText(Uint8Array.from(binary, (letter) => letter.charCodeAt(0)), 0, binary.length);
}

/** It goes into envelopes, logs and headers. */
function isUser(user: string): boolean {
  // deno-lint-ignore no-control-regex
  return user !== "" && user.length <= MAX_USER && !/[\x00-\x1f\x7f]/.test(user);
}

/** Lookup has answered, or the address has failed too often (`blocked`). */
export function authenticated(
  facts: Facts,
  session: Session,
  user: string,
  result: AuthResult | "blocked",
): Step {
  if (session.phase !== "verify") return { session, effects: [] };
  const masked = MASKED[session.dialog!.step];
  const ended: Session = { ...session, phase: "command", dialog: null };
  const logged = result === "blocked" ? "tempfail" : result;
  const event: Effect = {
    do: "report",
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
