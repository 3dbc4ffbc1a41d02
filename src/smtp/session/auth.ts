/**
 * AUTH, RFC 4954: PLAIN (RFC 4616) and LOGIN, as part of the pure session; SCRAM is in scram.ts. What the client proves goes to lookup and is
 * never kept; a log line has the mechanism and no more.
 */

import { refusal, reply } from "./answers.ts";
import { type Command, lineText } from "./command.ts";
import { isUser, MASKED, offersAuth, offersBinding } from "./login.ts";
import { REPLY } from "./reply.ts";
import { prepare } from "../../sasl/mod.ts";
import { scramLine } from "./scram.ts";
import type { AuthDialog, ConnectionFacts, Session, Step } from "./state.ts";

/** Octets of a decoded response. */
const MAX_RESPONSE_OCTETS = 1023;

/** Takes an AUTH command, RFC 4954 §4: begins the dialog of its mechanism, or refuses it. */
export function authCommand(facts: ConnectionFacts, session: Session, command: Command): Step {
  const no = (text: string): Step => ({
    session: { ...session, maySeeSecret: true },
    effects: refusal(facts, command.line, text),
  });
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
    case "SCRAM-SHA-256":
      if (!session.scram) return no(REPLY.unknownMechanism);
      return start(facts, session, { step: "scram", plus: false }, first);
    case "SCRAM-SHA-256-PLUS":
      if (!offersBinding(session)) return no(REPLY.unknownMechanism);
      return start(facts, session, { step: "scram", plus: true }, first);
    default:
      return no(REPLY.unknownMechanism);
  }
}

/** RFC 4954 §4: "=" is an initial response of no octets. */
function start(facts: ConnectionFacts, session: Session, dialog: Prompted, first: string | undefined): Step {
  if (first !== undefined) return respond(facts, session, dialog, first === "=" ? "" : first);
  return prompt(session, dialog);
}

const PROMPT = {
  plain: "334 ",
  scram: "334 ",
  user: "334 VXNlcm5hbWU6",
  password: "334 UGFzc3dvcmQ6",
};
type Prompted = Extract<AuthDialog, { step: keyof typeof PROMPT }>;

function prompt(session: Session, dialog: Prompted): Step {
  return { session: { ...session, phase: "auth", dialog }, effects: [reply(PROMPT[dialog.step])] };
}

/** A line of the client's while a mechanism goes on. */
export function authLine(facts: ConnectionFacts, session: Session, line: string): Step {
  return respond(facts, session, session.dialog!, line);
}

function respond(facts: ConnectionFacts, session: Session, dialog: AuthDialog, response: string): Step {
  const ended: Session = { ...session, phase: "command", dialog: null, maySeeSecret: true };
  const no = (text: string): Step => ({ session: ended, effects: refusal(facts, MASKED[dialog.step], text) });
  if (response === "*") return no(REPLY.authCancelled);
  const text = decoded(response);
  if (text === null) return no(REPLY.badResponse);
  if (dialog.step === "plain") {
    // RFC 4616 §2: whom to act as, who it is, what proves it.
    const [actAs, user, password, ...more] = text.split("\0");
    if (actAs === undefined || user === undefined || password === undefined) return no(REPLY.badResponse);
    if (more.length > 0 || !isUser(user) || password === "") return no(REPLY.badResponse);
    return ask(session, dialog, user, isSameUser(actAs, user) ? password : null);
  }
  if (dialog.step !== "user" && dialog.step !== "password") {
    return scramLine(facts, session, dialog, text) ?? no(REPLY.badResponse);
  }
  if (dialog.step === "user") {
    return isUser(text) ? prompt(session, { step: "password", user: text }) : no(REPLY.badResponse);
  }
  return text === "" || text.includes("\0") ? no(REPLY.badResponse) : ask(session, dialog, dialog.user, text);
}

function ask(
  session: Session,
  dialog: Extract<AuthDialog, { step: "plain" | "user" | "password" }>,
  user: string,
  password: string | null,
): Step {
  const waiting: AuthDialog = dialog.step === "plain" ? dialog : { step: "password", user };
  return {
    session: { ...session, phase: "verify", dialog: waiting },
    effects: [{ do: "authenticate", user, password }],
  };
}

/** RFC 4422 §3.4.1: without an authorization identity, or with that of the login itself, the client acts as the user who logs in. Acting as another user is refused. */
function isSameUser(actAs: string, user: string): boolean {
  return actAs === "" || actAs === user || prepare(actAs, "query") === (prepare(user, "query") ?? user);
}

/** Text of a response in base64 (RFC 4648 §4, padded); null when it is none, is too long, or has line ends. */
function decoded(response: string): string | null {
  if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(response)) return null;
  const binary = atob(response);
  if (binary.length > MAX_RESPONSE_OCTETS || /[\r\n]/.test(binary)) return null;
  return lineText(Uint8Array.from(binary, (letter) => letter.charCodeAt(0)), 0, binary.length);
}
