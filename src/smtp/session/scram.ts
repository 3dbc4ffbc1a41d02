/**
 * AUTH SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, RFC 5802 and RFC 7677, as part of the pure session. The client proves that it knows the password
 * without sending it; the login isolate verifies the proof, and no key comes here.
 */

import type { AuthResult, Challenge } from "../../protocol/mod.ts";
import { END_POINT, expectedBinding, parseClientFinal, parseClientFirst, serverFirst } from "../../sasl/mod.ts";
import { refusal, reply } from "./answers.ts";
import { authenticated, isUser, MASKED, offersBinding } from "./login.ts";
import { REPLY } from "./reply.ts";
import type { AuthDialog, ConnectionFacts, Session, Step } from "./state.ts";

type ScramDialog = Exclude<AuthDialog, { step: "plain" | "user" | "password" }>;

/** The client's next message, decoded. Null when it is not one. */
export function scramLine(facts: ConnectionFacts, session: Session, dialog: ScramDialog, text: string): Step | null {
  switch (dialog.step) {
    case "scram":
      return first(facts, session, { plus: dialog.plus, text });
    case "scram-final":
      return final(session, dialog, text);
    case "scram-end":
      // RFC 4954 §4: what the server has to say at the end goes into a challenge, which is answered by an empty line.
      return text === "" ? authenticated(facts, { ...session, phase: "verify" }, dialog.user, "ok") : null;
    case "scram-salt":
    case "scram-proof":
      return null;
  }
}

function first(
  facts: ConnectionFacts,
  session: Session,
  { plus, text }: { readonly plus: boolean; readonly text: string },
): Step | null {
  const message = parseClientFirst(text);
  if (message === null || !isUser(message.user)) return null;
  const { binding, user } = message;
  if (plus ? binding.kind !== "used" : binding.kind === "used") return null;
  // No guess, and no failure that is counted: the client may have another mechanism.
  if (binding.kind === "used" && binding.name !== END_POINT) {
    const ended: Session = { ...session, phase: "command", dialog: null, maySeeSecret: true };
    return { session: ended, effects: refusal(facts, MASKED.scram, REPLY.unknownBinding) };
  }
  // A client that could have bound, and was kept from seeing that we can: an attacker is between the two (RFC 5802 §6).
  if (binding.kind === "unoffered" && offersBinding(session)) return deny(session, user);
  // RFC 4422 §3.6: it fails, as with a wrong password.
  if (message.actsAsOther) return deny(session, user);
  const dialog: AuthDialog = { step: "scram-salt", plus, first: message };
  return { session: { ...session, phase: "verify", dialog }, effects: [{ do: "challenge", user }] };
}

/** Lookup has answered, or the address has failed too often (`blocked`). */
export function challenged(
  facts: ConnectionFacts,
  session: Session,
  challenge: Challenge | "blocked" | null,
  nonce: string,
): Step {
  const { dialog } = session;
  if (session.phase !== "verify" || dialog?.step !== "scram-salt") return { session, effects: [] };
  const { first, plus } = dialog;
  if (challenge === null || challenge === "blocked") {
    const proof: Session = { ...session, dialog: { step: "scram-proof", user: first.user } };
    return authenticated(facts, proof, first.user, challenge === null ? "tempfail" : challenge);
  }
  const both = first.nonce + nonce;
  const serverMessage = serverFirst(both, challenge.salt, challenge.iterations);
  return {
    session: {
      ...session,
      phase: "auth",
      dialog: { step: "scram-final", plus, first, nonce: both, serverMessage: serverMessage },
    },
    effects: [reply(`334 ${btoa(serverMessage)}`)],
  };
}

function final(session: Session, dialog: Extract<ScramDialog, { step: "scram-final" }>, text: string): Step | null {
  const message = parseClientFinal(text);
  if (message === null) return null;
  const { first, nonce, serverMessage: serverMessage, plus } = dialog;
  const { user } = first;
  const wanted = expectedBinding(first.header, plus ? session.binding : null);
  // RFC 5802 §5.1: a nonce that is not ours is a replay; another binding means that another server was shown to the client.
  if (message.nonce !== nonce || message.binding !== wanted) return deny(session, user);
  const proof = { message: `${first.bare},${serverMessage},${message.withoutProof}`, proof: message.proof };
  return {
    session: { ...session, phase: "verify", dialog: { step: "scram-proof", user } },
    effects: [{ do: "prove", user, proof }],
  };
}

/** A failure that is answered, counted and delayed as that of a wrong password. */
function deny(session: Session, user: string): Step {
  return {
    session: { ...session, phase: "verify", dialog: { step: "scram-proof", user } },
    effects: [{ do: "prove", user, proof: null }],
  };
}

/** Takes lookup's answer to the client's proof: the server's signature is sent (RFC 5802 §3), or the login is refused. */
export function proved(
  facts: ConnectionFacts,
  session: Session,
  result: AuthResult | "blocked",
  signature: string,
): Step {
  const { dialog } = session;
  if (session.phase !== "verify" || dialog?.step !== "scram-proof") return { session, effects: [] };
  const { user } = dialog;
  if (result !== "ok") return authenticated(facts, session, user, result);
  return {
    session: { ...session, phase: "auth", dialog: { step: "scram-end", user } },
    effects: [reply(`334 ${btoa(`v=${signature}`)}`)],
  };
}
