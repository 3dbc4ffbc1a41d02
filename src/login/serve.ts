/**
 * The login isolate at its door: verifies one password after the other, so that slow hashing holds up only those who log in. It may do
 * nothing else, and it says nothing but the verdict.
 */

import type { Channel, Isolate } from "../isolate/mod.ts";
import type { FromLogin, ToLogin } from "../protocol/mod.ts";
import { prove, verify } from "./verify.ts";

/** Passwords that wait for their turn; more get `unknown` at once. */
const WAITING_LIMIT = 1000;

export function serveLogin(isolate: Isolate<"login">): void {
  let waiting = 0;
  let last: Promise<void> = Promise.resolve();
  const take = (channel: Channel<FromLogin, ToLogin>, question: ToLogin): void => {
    if (waiting >= WAITING_LIMIT) return channel.send(undecided(question));
    waiting++;
    last = last.then(async () => {
      channel.send(await answer(question));
      waiting--;
    });
  };
  isolate.serve("lookup-login", (channel) => {
    channel.onmessage = (question) => take(channel, question);
  });
}

async function answer(question: ToLogin): Promise<FromLogin> {
  const { call } = question;
  if (question.type === "prove") {
    const { verifier, message, proof } = question;
    return { type: "proved", call, ...prove(String(verifier), String(message), String(proof)) };
  }
  const { hash, password } = question;
  return { type: "verified", call, verdict: await verify(String(password), String(hash)) };
}

function undecided({ type, call }: ToLogin): FromLogin {
  if (type === "verify") return { type: "verified", call, verdict: "unknown" };
  return { type: "proved", call, verdict: "unknown", signature: "" };
}
