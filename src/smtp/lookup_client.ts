/** The smtp side of the door to lookup: questions on their way, and the names of clients, remembered for a while. */

import type {
  AuthResult,
  Challenge,
  Confirmed,
  Expansion,
  FromLookup,
  LoginResult,
  ToLookup,
} from "../protocol/mod.ts";
import type { Channel } from "../isolate/mod.ts";

export type ExpandQuestion = Omit<Extract<ToLookup, { type: "expand" }>, "type" | "call">;

export type TestQuestion = Omit<Extract<ToLookup, { type: "test" }>, "type" | "call">;

export type LoginQuestion = Omit<Extract<ToLookup, { type: "authenticate" }>, "type" | "call">;

export type ProofQuestion = Omit<Extract<ToLookup, { type: "prove" }>, "type" | "call">;

export type SenderQuestion = Omit<Extract<ToLookup, { type: "may-send" }>, "type" | "call">;

/** Names kept at most, and for how long, in milliseconds; shorter when DNS failed. */
const MAX_NAMES = 4096;
const NAME_MS = 300_000;
const FAILED_NAME_MS = 15_000;

type NameAnswer = (name: string | null, confirmed: Confirmed) => void;

/** `none`: the listener's usual name; `lost`: lookup was replaced. */
export type OwnName =
  | { readonly known: "name"; readonly name: string }
  | { readonly known: "none" }
  | { readonly known: "lost" };

interface CachedName {
  readonly name: string;
  readonly confirmed: Confirmed;
  readonly until: number;
}

export class LookupClient {
  /** Lookup was replaced: no question on its way is answered any more. Called when they are forgotten. */
  onreset: () => void = () => {};
  readonly #channel: Channel<ToLookup, FromLookup>;
  readonly #now: () => number;
  #nextCall = 1;
  readonly #expansions = new Map<number, (result: Expansion) => void>();
  readonly #logins = new Map<number, (result: LoginResult) => void>();
  readonly #challenges = new Map<number, (challenge: Challenge | "blocked" | null) => void>();
  readonly #proofs = new Map<number, (result: LoginResult, signature: string) => void>();
  readonly #senders = new Map<number, (result: AuthResult) => void>();
  readonly #ownNames = new Map<number, (name: OwnName) => void>();
  readonly #names = new Map<string, CachedName>();
  readonly #mechanisms = new Map<number, (scram: boolean | null) => void>();
  /** Who waits for the name of an address; one question serves all. */
  readonly #asking = new Map<string, NameAnswer[]>();
  readonly #tests = new Map<number, (found: boolean | null) => void>();
  readonly #addresses = new Map<number, string>();

  constructor(channel: Channel<ToLookup, FromLookup>, now: () => number) {
    this.#channel = channel;
    this.#now = now;
    channel.onmessage = (message) => this.#receive(message);
    channel.onreset = () => this.#reset();
  }

  /** `answer` is not called when lookup is replaced first. */
  expand(question: ExpandQuestion, answer: (result: Expansion) => void): void {
    const call = this.#nextCall++;
    this.#expansions.set(call, answer);
    this.#channel.send({ type: "expand", call, ...question });
  }

  /** As `expand`. */
  authenticate(question: LoginQuestion, answer: (result: LoginResult) => void): void {
    const call = this.#nextCall++;
    this.#logins.set(call, answer);
    this.#channel.send({ type: "authenticate", call, ...question });
  }

  /** As `expand`. */
  challenge(
    question: { readonly table: string; readonly user: string; readonly client: string | null },
    answer: (result: Challenge | "blocked" | null) => void,
  ): void {
    const call = this.#nextCall++;
    this.#challenges.set(call, answer);
    this.#channel.send({ type: "challenge", call, ...question });
  }

  /** As `expand`. */
  prove(question: ProofQuestion, answer: (result: LoginResult, signature: string) => void): void {
    const call = this.#nextCall++;
    this.#proofs.set(call, answer);
    this.#channel.send({ type: "prove", call, ...question });
  }

  /** Can everybody in the table log in by SCRAM? `answer` is called with null when lookup was replaced. */
  mechanisms(table: string, answer: (scram: boolean | null) => void): void {
    const call = this.#nextCall++;
    this.#mechanisms.set(call, answer);
    this.#channel.send({ type: "mechanisms", call, table });
  }

  /** As `expand`. */
  test(question: TestQuestion, answer: (found: boolean | null) => void): void {
    const call = this.#nextCall++;
    this.#tests.set(call, answer);
    this.#channel.send({ type: "test", call, ...question });
  }

  /** As `expand`. */
  judgeSender({ table, user, sender }: SenderQuestion, answer: (result: AuthResult) => void): void {
    const call = this.#nextCall++;
    this.#senders.set(call, answer);
    this.#channel.send({ type: "may-send", call, table, user, sender });
  }

  /** What this server is called at one of its addresses. */
  ownName(table: string, address: string, answer: (name: OwnName) => void): void {
    const call = this.#nextCall++;
    this.#ownNames.set(call, answer);
    this.#channel.send({ type: "listener-name", call, table, address });
  }

  /** Reverse DNS name of an address; `answer` is called at once when it is known, and with null when lookup was replaced. */
  clientName(address: string, answer: NameAnswer): void {
    const known = this.#names.get(address);
    if (known !== undefined && known.until > this.#now()) return answer(known.name, known.confirmed);
    const waiting = this.#asking.get(address);
    if (waiting !== undefined) {
      waiting.push(answer);
      return;
    }
    this.#asking.set(address, [answer]);
    const call = this.#nextCall++;
    this.#addresses.set(call, address);
    this.#channel.send({ type: "client-name", call, address });
  }

  #receive(message: FromLookup): void {
    if (message.type === "expanded") {
      const answer = this.#expansions.get(message.call);
      this.#expansions.delete(message.call);
      answer?.(message.result);
    } else if (message.type === "authenticated") {
      const answer = this.#logins.get(message.call);
      this.#logins.delete(message.call);
      answer?.(message.result);
    } else if (message.type === "challenge") {
      const answer = this.#challenges.get(message.call);
      this.#challenges.delete(message.call);
      answer?.(message.challenge);
    } else if (message.type === "proved") {
      const answer = this.#proofs.get(message.call);
      this.#proofs.delete(message.call);
      answer?.(message.result, message.signature);
    } else if (message.type === "mechanisms") {
      const answer = this.#mechanisms.get(message.call);
      this.#mechanisms.delete(message.call);
      answer?.(message.scram);
    } else if (message.type === "tested") {
      const answer = this.#tests.get(message.call);
      this.#tests.delete(message.call);
      answer?.(message.found);
    } else if (message.type === "may-send") {
      const answer = this.#senders.get(message.call);
      this.#senders.delete(message.call);
      answer?.(message.result);
    } else if (message.type === "listener-name") {
      const answer = this.#ownNames.get(message.call);
      this.#ownNames.delete(message.call);
      answer?.(message.name === null ? { known: "none" } : { known: "name", name: message.name });
    } else if (message.type === "client-name") {
      const address = this.#addresses.get(message.call);
      if (address === undefined) return;
      this.#addresses.delete(message.call);
      this.#remember(address, message.hostname, message.confirmed);
      this.#answerName(address, message.hostname, message.confirmed);
    }
  }

  #remember(address: string, name: string, confirmed: Confirmed): void {
    const forMs = confirmed === "error" || confirmed === "temporary" ? FAILED_NAME_MS : NAME_MS;
    this.#names.delete(address);
    // A Map lists its oldest entry first.
    if (this.#names.size >= MAX_NAMES) this.#names.delete(this.#names.keys().next().value!);
    this.#names.set(address, { name, confirmed, until: this.#now() + forMs });
  }

  #answerName(address: string, name: string | null, confirmed: Confirmed): void {
    const waiting = this.#asking.get(address) ?? [];
    this.#asking.delete(address);
    for (const answer of waiting) answer(name, confirmed);
  }

  #reset(): void {
    this.#expansions.clear();
    this.#logins.clear();
    this.#challenges.clear();
    this.#proofs.clear();
    const mechanisms = [...this.#mechanisms.values()];
    this.#mechanisms.clear();
    for (const answer of mechanisms) answer(null);
    this.#tests.clear();
    this.#senders.clear();
    this.#addresses.clear();
    const unnamed = [...this.#ownNames.values()];
    this.#ownNames.clear();
    for (const answer of unnamed) answer({ known: "lost" });
    const addresses = [...this.#asking.keys()];
    for (const address of addresses) this.#answerName(address, null, "error");
    this.onreset();
  }
}
