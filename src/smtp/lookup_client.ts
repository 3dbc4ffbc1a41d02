/** The smtp side of the door to lookup: questions on their way, and the names of clients, remembered for a while. */

import { BoundedMap } from "../bounded_map.ts";
import type {
  AuthResult,
  Challenge,
  Confirmed,
  DnsKind,
  Expansion,
  FromLookup,
  LoginResult,
  ToLookup,
} from "../protocol/mod.ts";
import type { Channel } from "../isolate/mod.ts";
import type { DnsAnswer } from "../mail_auth/dns.ts";

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

/** So long a session waits for another lookup when there is none, in milliseconds. */
const MISSED_MS = 3000;

interface CachedName {
  readonly name: string;
  readonly confirmed: Confirmed;
  readonly until: number;
}

/** A question on its way. */
interface Pending {
  readonly type: FromLookup["type"];
  readonly answer: (message: FromLookup) => void;
  readonly lost: () => void;
}

/** What the sessions of all configurations share of the door. */
interface Line {
  readonly channel: Channel<ToLookup, FromLookup>;
  readonly now: () => number;
  nextCall: number;
  /** Questions on their way, by the number of the call. */
  readonly pending: Map<number, Pending>;
  readonly names: BoundedMap<string, CachedName>;
  /** The sessions that wait for the name of an address; one question serves all. */
  readonly asking: Map<string, NameAnswer[]>;
  /** Since when there is seen to be no lookup; null while there is one. */
  missingSince: number | null;
}

export class LookupClient {
  /** Lookup was replaced: no question on its way is answered any more. Called when they are forgotten. */
  onreset: () => void = () => {};
  readonly #line: Line;
  readonly #generation: number;

  /** `generation`: number of the configuration whose sessions ask; questions of the first carry none. `line`: of another client of the same door. */
  constructor(channel: Channel<ToLookup, FromLookup>, now: () => number, generation = 0, line: Line | null = null) {
    this.#generation = generation;
    this.#line = line ?? {
      channel,
      now,
      nextCall: 1,
      pending: new Map(),
      names: new BoundedMap(MAX_NAMES),
      asking: new Map(),
      missingSince: null,
    };
    if (line !== null) return;
    channel.onmessage = (message) => this.#receive(message);
    channel.onreset = () => this.#reset();
  }

  /** Returns a client of the same door that asks for sessions of another configuration. */
  of(generation: number): LookupClient {
    return new LookupClient(this.#line.channel, this.#line.now, generation, this.#line);
  }

  #send(question: ToLookup): void {
    const generation = this.#generation;
    this.#line.channel.send(generation === 0 ? question : { ...question, generation });
  }

  /** To be called now and then: what was asked of a lookup that has not been there for too long is lost, as if it had been replaced again. */
  look(): void {
    if (this.#line.channel.connected !== false) this.#line.missingSince = null;
    else this.#line.missingSince ??= this.#line.now();
    if (this.#line.missingSince === null || this.#line.pending.size === 0) return;
    if (this.#line.now() - this.#line.missingSince >= MISSED_MS) this.#reset();
  }

  /** Asks where a recipient goes. `answer` is not called when lookup is replaced first, but `lost`. */
  expand(question: ExpandQuestion, answer: (result: Expansion) => void, lost?: () => void): void {
    const call = this.#await("expanded", (message) => answer(message.result), lost);
    this.#send({ type: "expand", call, ...question });
  }

  /** Asks whether a password is right. As `expand`. */
  authenticate(question: LoginQuestion, answer: (result: LoginResult) => void): void {
    const call = this.#await("authenticated", (message) => answer(message.result));
    this.#send({ type: "authenticate", call, ...question });
  }

  /** Asks what a user's password is hashed with, RFC 5802. As `expand`. */
  challenge(
    question: { readonly table: string; readonly user: string; readonly client: string | null },
    answer: (result: Challenge | "blocked" | null) => void,
  ): void {
    const call = this.#await("challenge", (message) => answer(message.challenge));
    this.#send({ type: "challenge", call, ...question });
  }

  /** Asks whether the proof of an exchange is right, RFC 5802. As `expand`. */
  prove(question: ProofQuestion, answer: (result: LoginResult, signature: string) => void): void {
    const call = this.#await("proved", (message) => answer(message.result, message.signature));
    this.#send({ type: "prove", call, ...question });
  }

  /** Asks whether everybody in the table can log in by SCRAM. `answer` is called with null when lookup was replaced. */
  mechanisms(table: string, answer: (scram: boolean | null) => void): void {
    const call = this.#await("mechanisms", (message) => answer(message.scram), () => answer(null));
    this.#send({ type: "mechanisms", call, table });
  }

  /** Asks whether a built-in filter's table has a key. As `expand`. */
  test(question: TestQuestion, answer: (found: boolean | null) => void, lost: () => void = () => {}): void {
    const call = this.#await("tested", (message) => answer(message.found), lost);
    this.#send({ type: "test", call, ...question });
  }

  /** Asks the DNS. `answer` is called in any case: when lookup was replaced, with what is true of a name server that does not answer. */
  dns(kind: DnsKind, name: string, answer: (answer: DnsAnswer<string>) => void): void {
    const call = this.#await("dns", (message) => answer(message.answer), () => answer({ kind: "temporary" }));
    this.#send({ type: "dns", call, kind, name });
  }

  /** Asks whether a user may send as this sender. As `expand`. */
  judgeSender({ table, user, sender }: SenderQuestion, answer: (result: AuthResult) => void): void {
    const call = this.#await("may-send", (message) => answer(message.result));
    this.#send({ type: "may-send", call, table, user, sender });
  }

  /** Asks what this server is called at one of its addresses. */
  ownName(table: string, address: string, answer: (name: OwnName) => void): void {
    const call = this.#await(
      "listener-name",
      ({ name }) => answer(name === null ? { known: "none" } : { known: "name", name }),
      () => answer({ known: "lost" }),
    );
    this.#send({ type: "listener-name", call, table, address });
  }

  /** Asks for the reverse DNS name of an address; `answer` is called at once when it is known, and with null when lookup was replaced. */
  clientName(address: string, answer: NameAnswer): void {
    const known = this.#line.names.get(address);
    if (known !== undefined && known.until > this.#line.now()) return answer(known.name, known.confirmed);
    const waiting = this.#line.asking.get(address);
    if (waiting !== undefined) {
      waiting.push(answer);
      return;
    }
    this.#line.asking.set(address, [answer]);
    const call = this.#await("client-name", ({ hostname, confirmed }) => {
      this.#remember(address, hostname, confirmed);
      this.#answerName(address, hostname, confirmed);
    }, () => this.#answerName(address, null, "error"));
    this.#send({ type: "client-name", call, address });
  }

  /** Returns the number of a call to which an answer of this type is expected. `lost` is called when lookup was replaced first. */
  #await<Type extends FromLookup["type"]>(
    type: Type,
    answer: (message: Extract<FromLookup, { type: Type }>) => void,
    lost: () => void = () => {},
  ): number {
    const call = this.#line.nextCall++;
    this.#line.pending.set(call, { type, answer: answer as Pending["answer"], lost });
    return call;
  }

  #receive(message: FromLookup): void {
    const pending = this.#line.pending.get(message.call);
    // An answer of another type is to no question of ours.
    if (pending?.type !== message.type) return;
    this.#line.pending.delete(message.call);
    pending.answer(message);
  }

  #remember(address: string, name: string, confirmed: Confirmed): void {
    const forMs = confirmed === "error" || confirmed === "temporary" ? FAILED_NAME_MS : NAME_MS;
    this.#line.names.set(address, { name, confirmed, until: this.#line.now() + forMs });
  }

  #answerName(address: string, name: string | null, confirmed: Confirmed): void {
    const waiting = this.#line.asking.get(address) ?? [];
    this.#line.asking.delete(address);
    for (const answer of waiting) answer(name, confirmed);
  }

  #reset(): void {
    const lost = [...this.#line.pending.values()];
    this.#line.pending.clear();
    for (const pending of lost) pending.lost();
    this.onreset();
  }
}
