/** Asks the signer isolate, and asks again while it is replaced, for a bounded time. Independent of messages. */

import { Caller, type Channel } from "../isolate/mod.ts";
import type { FromSigner, ToSigner } from "../protocol/mod.ts";
import { type Clock, sleep } from "../clock.ts";

/** A message waits so long for its signatures, in milliseconds; then it is put off. */
export const SIGN_MS = 10_000;
/** Before a key is asked for again that the signer does not have yet, in milliseconds. */
const AGAIN_MS = 50;

export type SignOrder = Omit<ToSigner, "type" | "call">;

export class SignerClient {
  readonly #caller: Caller<ToSigner, FromSigner>;
  readonly #clock: Pick<Clock, "steady" | "after">;

  constructor(channel: Channel<ToSigner, FromSigner>, clock: Pick<Clock, "steady" | "after">) {
    this.#caller = new Caller(channel);
    this.#clock = clock;
  }

  /** When a message that begins to be signed now is put off, in ms of the clock. */
  deadline(): number {
    return this.#clock.steady() + SIGN_MS;
  }

  /** The signature; null when there is none until `deadline`, or the signer refuses to sign. Never rejects. */
  async sign(order: SignOrder, deadline: number): Promise<Uint8Array | null> {
    for (;;) {
      const left = deadline - this.#clock.steady();
      if (left <= 0) return null;
      const answer = await this.#ask(order, left);
      if (answer === "late") return null;
      if (answer === "lost") continue;
      if (answer.signature !== null) return answer.signature;
      if (answer.refusal !== "key") return null;
      // The names of keys may come here before the keys come there.
      await sleep(AGAIN_MS, this.#clock);
    }
  }

  #ask(order: SignOrder, withinMs: number): Promise<FromSigner | "lost" | "late"> {
    return new Promise((resolve) => {
      const cancelLimit = this.#clock.after(withinMs, () => resolve("late"));
      const end = (answer: FromSigner | "lost") => {
        cancelLimit();
        resolve(answer);
      };
      this.#caller.request<"signed">({ type: "sign", ...order }, end, () => end("lost"));
    });
  }
}
