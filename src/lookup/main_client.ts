/**
 * What lookup asks of main, and remembers for a moment: `.forward` files, which isolates of main read with the rights of their users, the
 * accounts that only the name service has, and files of tables that lookup's user may not read. Reads nothing itself.
 */

import { BoundedMap } from "../bounded_map.ts";
import { systemReason } from "../events/mod.ts";
import type { DnsAnswer } from "../mail_auth/dns.ts";
import type {
  Account,
  AskedKind,
  Forward,
  LookupToMain,
  MainToLookup,
  PasswordCheck,
  QuestionOfMain,
  TriedRcpt,
} from "../protocol/mod.ts";
import { isForwardHome, isForwardSuffix } from "../protocol/files.ts";
import { MAX_ACCOUNT_NAME_CHARS, MAX_PASSWORD_CHARS, type TablePiece } from "../protocol/lookup_main.ts";
import { Caller, type Channel, type Isolate } from "../isolate/mod.ts";
import { LookupError } from "../tables/mod.ts";
import { type Clock, systemClock } from "../clock.ts";

/** A changed `.forward` may stay unseen for so long, in milliseconds. */
const FORWARD_MS = 1000;
/** How long accounts of the name service are kept, in ms: those that exist, and names without one. */
const ACCOUNT_MS = 5000;
/** Answers of each kind that are remembered. */
const MAX_KEPT_ANSWERS = 2000;
/** Questions on their way; more mean that main, or the name service, has come to a stop. */
const MAX_WAITING_QUESTIONS = 20_000;
/** Passwords on their way to main. */
const MAX_VERIFIED_PASSWORDS = 1000;
/** A name service that does not answer is an error after so long, and so is a file of a table. */
const ANSWER_MS = 30_000;
/** How often a file is read again that changes while it is read. */
const MAX_READ_TRIES = 5;

const UNREAD = { error: "The file is not answered for" };

type Result = Account | null | LookupError;
type PasswordQuestion =
  | Omit<Extract<LookupToMain, { type: "login" }>, "call">
  | Omit<Extract<LookupToMain, { type: "crypt" }>, "call">;

/** May mail of this client go to that recipient? */
export type RcptQuestion = Extract<QuestionOfMain, { type: "try-rcpt" }>;

/** Answers that are as fresh as `keepMs`. The oldest go first. */
class Memory<T> {
  readonly #kept = new BoundedMap<string, { readonly value: T; readonly until: number }>(MAX_KEPT_ANSWERS);
  readonly #keepMs: number;
  readonly #now: () => number;

  constructor(keepMs: number, now: () => number) {
    this.#keepMs = keepMs;
    this.#now = now;
  }

  get(key: string): T | undefined {
    const kept = this.#kept.get(key);
    return kept !== undefined && kept.until > this.#now() ? kept.value : undefined;
  }

  set(key: string, value: T): void {
    this.#kept.set(key, { value, until: this.#now() + this.#keepMs });
  }
}

export class MainClient {
  readonly #main: Caller<LookupToMain, MainToLookup>;
  readonly #forwards: Memory<Forward>;
  readonly #accounts: Memory<Account | null>;
  /** Accounts that main is asked for, by name: one question serves all who ask it meanwhile. */
  readonly #asked = new Map<string, Promise<Result>>();
  /** Passwords on their way to main. */
  #verifying = 0;
  /** Files that are being read. */
  readonly #reading = new Map<string, Promise<Forward>>();
  readonly #clock: Pick<Clock, "steady" | "after">;

  /** Answers main, which asks for records. Never rejects. */
  records: (kind: AskedKind, name: string) => Promise<DnsAnswer<string>> = () => Promise.resolve({ kind: "temporary" });
  /** Answers main, which asks what the rules say of a recipient. Never rejects. */
  tryRcpt: (question: RcptQuestion) => Promise<TriedRcpt> = () => Promise.resolve("unknown");

  /** Asks main at `door`. */
  constructor(door: Channel<LookupToMain, MainToLookup>, clock: Pick<Clock, "steady" | "after">) {
    this.#clock = clock;
    this.#main = new Caller(door);
    this.#main.onmessage = (message) => {
      if (message.type === "dns") void this.#answerDns(message);
      else if (message.type === "try-rcpt") void this.#answerRcpt(message);
    };
    this.#forwards = new Memory(FORWARD_MS, clock.steady);
    this.#accounts = new Memory(ACCOUNT_MS, clock.steady);
  }

  /** The client of the lookup isolate. */
  static of(isolate: Isolate<"lookup">): MainClient {
    return new MainClient(isolate.ask("lookup-main"), systemClock);
  }

  /** The `.forward` of an account if it was read just now. `suffix`: delimiter and sub-address, "" for none. */
  knownForward(who: Account, suffix: string): Forward | undefined {
    if (!isForwardHome(who.home)) return { kind: "none" };
    return this.#forwards.get(forwardKey(who, usable(suffix)));
  }

  /** The `.forward` of an account. Rejects never: what cannot be read now is a refusal that passes. */
  async forward(who: Account, asked: string): Promise<Forward> {
    const suffix = usable(asked), key = forwardKey(who, suffix);
    if (!isForwardHome(who.home)) return { kind: "none" };
    const reading = this.#reading.get(key);
    if (reading !== undefined) return await reading;
    if (this.#reading.size >= MAX_WAITING_QUESTIONS) return unread("Too many questions wait for an answer");
    const read = this.#read(who, suffix, key).finally(() => this.#reading.delete(key));
    this.#reading.set(key, read);
    return await read;
  }

  async #read(who: Account, suffix: string, key: string): Promise<Forward> {
    const { name, uid, gid, home } = who;
    try {
      const question = { type: "forward", who: { name, uid, gid, home }, suffix } as const;
      const { result } = await this.#main.ask<"forward">(question);
      if ("error" in result) return unread(`${home}/.forward: ${result.error}`);
      this.#forwards.set(key, result);
      return result;
    } catch (error) {
      return unread(`${home}/.forward: ${systemReason(error)}`);
    }
  }

  /** The account of this name if the name service was asked just now; null when it does not know it. */
  knownAccount(name: string): Account | null | undefined {
    return this.#accounts.get(name);
  }

  /** The account of this name as the name service has it; null when it does not. Rejects never: a failure is the value. */
  async account(name: string): Promise<Account | null | LookupError> {
    const result = await (this.#asked.get(name) ?? this.#ask(name));
    if (result instanceof LookupError) return result;
    this.#accounts.set(name, result);
    return result;
  }

  /** Checks the password of a system account; `unknown` when main does not answer in time. */
  login(user: string, password: string): Promise<PasswordCheck> {
    if (user.length > MAX_PASSWORD_CHARS) return Promise.resolve("unknown");
    return this.#verify({ type: "login", user, password });
  }

  /** Checks the password of a hash that only the C library supports; `unknown` when main does not answer in time. */
  crypt(hash: string, password: string): Promise<PasswordCheck> {
    if (hash.length > MAX_PASSWORD_CHARS) return Promise.resolve("unknown");
    return this.#verify({ type: "crypt", hash, password });
  }

  /** The content of a table's file that main may read, of at most `limit` octets, and its stamp. Rejects with the reason when it cannot be had. */
  async tableFile(path: string, limit: number): Promise<{ readonly stamp: string; readonly octets: Uint8Array }> {
    for (let left = MAX_READ_TRIES;; left--) {
      const first = await this.#tablePiece(path, 0, null);
      if (first.size > limit) throw new Error(`Larger than ${limit} bytes`);
      try {
        return { stamp: first.stamp, octets: await this.#restOf(path, first) };
      } catch (error) {
        if (left === 1) throw error;
      }
    }
  }

  async #restOf(path: string, { stamp, size, octets: first }: TablePiece): Promise<Uint8Array> {
    if (first.length === size) return first;
    const all = new Uint8Array(size);
    all.set(first);
    for (let at = first.length; at < size;) {
      const { octets } = await this.#tablePiece(path, at, stamp);
      if (octets.length === 0 || at + octets.length > size) throw new Error("It has changed while it was read");
      all.set(octets, at);
      at += octets.length;
    }
    return all;
  }

  async #tablePiece(path: string, from: number, stamp: string | null): Promise<TablePiece> {
    const ask = () =>
      this.#main.ask<"table-file">({ type: "table-file", path, from, stamp }).then(({ result }) => result);
    const result = await this.#inTime<TablePiece | { readonly error: string }>(ask, () => UNREAD);
    if ("error" in result) throw new Error(result.error);
    return result;
  }

  /** What changes with the content of a table's file that main may read. Rejects with the reason when it cannot be had. */
  async tableStamp(path: string): Promise<string> {
    const ask = () => this.#main.ask<"table-stamp">({ type: "table-stamp", path }).then(({ result }) => result);
    const result = await this.#inTime<{ readonly stamp: string } | { readonly error: string }>(ask, () => UNREAD);
    if ("error" in result) throw new Error(result.error);
    return result.stamp;
  }

  async #verify(question: PasswordQuestion): Promise<PasswordCheck> {
    if (this.#verifying >= MAX_VERIFIED_PASSWORDS || question.password.length > MAX_PASSWORD_CHARS) return "unknown";
    this.#verifying++;
    const ask = () => this.#main.ask<"login" | "crypt">(question).then(({ result }) => result);
    return await this.#inTime<PasswordCheck>(ask, () => "unknown").finally(() => this.#verifying--);
  }

  async #answerDns({ question, kind, name }: Extract<QuestionOfMain, { type: "dns" }>): Promise<void> {
    this.#main.send({ type: "dns-answer", question, answer: await this.records(kind, name) });
  }

  async #answerRcpt(question: RcptQuestion): Promise<void> {
    this.#main.send({ type: "tried-rcpt", question: question.question, result: await this.tryRcpt(question) });
  }

  #ask(name: string): Promise<Result> {
    if (this.#asked.size >= MAX_WAITING_QUESTIONS) {
      return Promise.resolve(new LookupError("Too many questions wait for an answer"));
    }
    if (name.length > MAX_ACCOUNT_NAME_CHARS) return Promise.resolve(new LookupError("The account's name is too long"));
    const ask = async (): Promise<Result> => {
      const { result } = await this.#main.ask<"account">({ type: "account", name });
      return result !== null && "error" in result ? new LookupError(result.error) : result;
    };
    const answer = this.#inTime(ask, () => new LookupError("The name service does not answer"))
      .finally(() => this.#asked.delete(name));
    this.#asked.set(name, answer);
    return answer;
  }

  /** Asks, and resolves with the answer, or with `otherwise` when there is none in time. */
  #inTime<T>(ask: () => Promise<T>, otherwise: () => T): Promise<T> {
    return new Promise((resolve) => {
      const cancelLimit = this.#clock.after(ANSWER_MS, () => resolve(otherwise()));
      ask().catch(otherwise).then((value) => {
        cancelLimit();
        resolve(value);
      });
    });
  }
}

/** A suffix that no name of a file can have stands for none: the plain `.forward` is looked for. */
function usable(suffix: string): string {
  return isForwardSuffix(suffix) ? suffix : "";
}

function forwardKey({ name, uid, gid, home }: Account, suffix: string): string {
  return `${uid} ${gid} ${name}\0${home}\0${suffix}`;
}

/** The mail has to wait. */
function unread(reason: string): Forward {
  return { kind: "refused", temporary: true, reason };
}
