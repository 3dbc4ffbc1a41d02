/** Puts the answers to the challenges of one line in place: on a port that main opens for as long as it takes, or in the DNS by the line's hook. */

import type { AcmeChallenge } from "../config/mod.ts";
import { type ChallengeAnswers, recordOf } from "./answers.ts";
import { AcmeFailure } from "./failure.ts";
import type { Responder } from "./order.ts";

/** What main does; each gives the reason why it could not. */
export interface MainForResponder {
  listen(): Promise<string | null>;
  unlisten(): void;
  hook(action: "present" | "cleanup", name: string, value: string): Promise<string | null>;
}

/** Makes the responder of one order. `log` gets what does not end the order. */
export function responderFor(
  challenge: AcmeChallenge,
  { answers, main, log }: {
    readonly answers: ChallengeAnswers;
    readonly main: MainForResponder;
    readonly log: (text: string) => void;
  },
): Responder {
  return challenge === "dns-01" ? new DnsResponder(main, log) : new PortResponder(challenge, answers, main);
}

class PortResponder implements Responder {
  readonly #challenge: "http-01" | "tls-alpn-01";
  readonly #answers: ChallengeAnswers;
  readonly #main: MainForResponder;
  #open = 0;

  constructor(challenge: "http-01" | "tls-alpn-01", answers: ChallengeAnswers, main: MainForResponder) {
    this.#challenge = challenge;
    this.#answers = answers;
    this.#main = main;
  }

  async present(name: string, token: string, authorization: string): Promise<void> {
    if (this.#challenge === "http-01") this.#answers.addToken(token, authorization);
    else await this.#answers.addName(name, authorization);
    if (this.#open++ > 0) return;
    const fault = await this.#main.listen();
    if (fault !== null) throw new AcmeFailure("here", fault);
  }

  cleanUp(name: string, token: string): Promise<void> {
    this.#answers.remove(name, token);
    if (--this.#open === 0) this.#main.unlisten();
    return Promise.resolve();
  }
}

class DnsResponder implements Responder {
  readonly #main: MainForResponder;
  readonly #log: (text: string) => void;

  constructor(main: MainForResponder, log: (text: string) => void) {
    this.#main = main;
    this.#log = log;
  }

  async present(name: string, _token: string, authorization: string): Promise<void> {
    const fault = await this.#main.hook("present", name, await recordOf(authorization));
    if (fault !== null) throw new AcmeFailure("here", fault);
  }

  async cleanUp(name: string, _token: string, authorization: string): Promise<void> {
    const fault = await this.#main.hook("cleanup", name, await recordOf(authorization));
    if (fault !== null) this.#log(`the record for ${name} may still be there: ${fault}`);
  }
}
