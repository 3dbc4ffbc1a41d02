/**
 * Main's pool of the isolates that read `.forward` files, each as its user. Lookup, which asks for the files, is sent what they hold; the memory
 * that the pool shares with those isolates stays in this process.
 */

import { FilePool } from "../file_client/mod.ts";
import type { Channel } from "../isolate/mod.ts";
import type { Account, Forward, FromFiles, ToFiles } from "../protocol/mod.ts";
import { type Clock, systemClock } from "../clock.ts";

/** What the pool needs of main. */
export interface ForwardFilesOptions {
  /** Starts one isolate more. */
  grow(): void;
  /** A line for the log. */
  warn(text: string): void;
}

export class ForwardFiles {
  readonly #pool: FilePool;

  constructor({ grow, warn }: ForwardFilesOptions, clock: Pick<Clock, "steady" | "every"> = systemClock) {
    this.#pool = new FilePool({
      grow,
      contended: () => false,
      now: clock.steady,
      every: clock.every,
      warn: (text) => warn(`warn: forward: ${text}`),
    });
  }

  /** Has an isolate in the pool until it ends. */
  serve(channel: Channel<ToFiles, FromFiles>, index: number): void {
    this.#pool.add(channel, index);
  }

  /** Returns what the `.forward` of an account holds, or the file with the suffix before it. Rejects when it cannot be had now. */
  async read(who: Account, suffix: string): Promise<Forward> {
    const result = await this.#pool.run(`uid ${who.uid}`, { kind: "forward", who, suffix });
    if (result.kind === "forward") return result.forward;
    throw new Error(result.kind === "written" ? "The answer fits no question" : result.text);
  }
}
