/**
 * The login isolate at its door: verifies one password after the other, so that slow hashing holds up only those who log in. It may do
 * nothing else, and it says nothing but the verdict.
 */

import type { Channel, FromLogin, Isolate, ToLogin } from "../isolate/mod.ts";
import { verify } from "./verify.ts";

/** Passwords that wait for their turn; more get `unknown` at once. */
const WAITING_LIMIT = 1000;

export function serveLogin(isolate: Isolate<"login">): void {
  let waiting = 0;
  let last: Promise<void> = Promise.resolve();
  const take = (channel: Channel<FromLogin, ToLogin>, { call, hash, password }: ToLogin): void => {
    if (waiting >= WAITING_LIMIT) return channel.send({ type: "verified", call, verdict: "unknown" });
    waiting++;
    last = last.then(async () => {
      channel.send({ type: "verified", call, verdict: await verify(String(password), String(hash)) });
      waiting--;
    });
  };
  isolate.serve("lookup-login", (channel) => {
    channel.onmessage = (question) => take(channel, question);
  });
}
