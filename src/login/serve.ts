/**
 * The login isolate at its door: verifies one password after the other, so that slow hashing delays logins only. It may do
 * nothing else, and it answers nothing but the result.
 */

import type { Channel, Isolate } from "../isolate/mod.ts";
import type { FromLogin, ToLogin } from "../protocol/mod.ts";
import { prove, verify } from "./verify.ts";

/** Passwords that wait for their turn; more get `unknown` at once. */
const MAX_WAITING_CHECKS = 1000;

/** Runs the login isolate: each question of lookup is answered in its turn, and with `unknown` when too many wait. */
export function serveLogin(isolate: Isolate<"login">): void {
  let waiting = 0;
  let last: Promise<void> = Promise.resolve();
  const take = (channel: Channel<FromLogin, ToLogin>, question: ToLogin): void => {
    if (waiting >= MAX_WAITING_CHECKS) return channel.send(undecided(question));
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
  return { type: "verified", call, result: await verify(String(password), String(hash)) };
}

function undecided({ type, call }: ToLogin): FromLogin {
  if (type === "verify") return { type: "verified", call, result: "unknown" };
  return { type: "proved", call, result: "unknown", signature: "" };
}
