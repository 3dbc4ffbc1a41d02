/**
 * What lookup asks of others, and remembers for a moment: `.forward` files, which isolates of their own read with the rights of their users,
 * and of main the accounts that only the name service knows. Reads nothing itself.
 */

import { BoundedMap } from "../bounded_map.ts";
import { systemReason } from "../events/mod.ts";
import { type Account, type Forward, type MainQuestion, type MainReply, type PasswordCheck } from "../protocol/mod.ts";
import { type Isolate, serveFilePool } from "../isolate/mod.ts";
import { LookupError } from "../tables/mod.ts";
import { type Clock, systemClock } from "../clock.ts";

/** A changed `.forward` may stay unseen for so long, in milliseconds. */
const FORWARD_MS = 1000;
/** Accounts of the name service: who is known, and who is not. */
const ACCOUNT_MS = 5000;
/** Answers of each kind that are remembered. */
const KEEP_LIMIT = 2000;
/** Questions on their way; more mean that main, or the name service, has come to a stop. */
const WAITING_LIMIT = 20_000;
/** Passwords on their way to main. */
const VERIFYING_LIMIT = 1000;
/** A name service that does not answer is an error after so long. */
const ACCOUNT_LIMIT_MS = 30_000;

type Question = Omit<Extract<MainQuestion, { type: "account" }>, "call">;
type Result = Account | null | LookupError;
/** Reads a `.forward` as its user. Rejects when it cannot be had now. */
export type ReadForward = (who: Account, suffix: string) => Promise<Forward>;

/** Answers that are as fresh as `keepMs`. The oldest go first. */
class Memory<T> {
  readonly #kept = new BoundedMap<string, { readonly value: T; readonly until: number }>(KEEP_LIMIT);
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
  readonly #tell: (questions: readonly MainQuestion[]) => void;
  readonly #forwards: Memory<Forward>;
  readonly #accounts: Memory<Account | null>;
  readonly #waiting = new Map<number, (result: Result) => void>();
  readonly #verifying = new Map<number, (verdict: PasswordCheck) => void>();
  /** One question serves all who ask it meanwhile. */
  readonly #asked = new Map<string, Promise<Result>>();
  readonly #readForward: ReadForward;
  /** Files that are being read. */
  readonly #reading = new Map<string, Promise<Forward>>();
  #batch: MainQuestion[] = [];
  #nextCall = 1;
  readonly #clock: Pick<Clock, "steady" | "after">;

  /** `tell` posts to main. */
  constructor(
    tell: (questions: readonly MainQuestion[]) => void,
    clock: Pick<Clock, "steady" | "after">,
    readForward: ReadForward,
  ) {
    this.#clock = clock;
    this.#tell = tell;
    this.#readForward = readForward;
    this.#forwards = new Memory(FORWARD_MS, clock.steady);
    this.#accounts = new Memory(ACCOUNT_MS, clock.steady);
  }

  /** The house as an isolate sees it. */
  static of(isolate: Isolate<"lookup">): MainClient {
    const pool = serveFilePool(isolate, "forward", () => false);
    const readForward: ReadForward = async (who, suffix) => {
      const result = await pool.run(`uid ${who.uid}`, { kind: "forward", who, suffix });
      if (result.kind === "forward") return result.forward;
      throw new Error(result.kind === "written" ? "The answer fits no question" : result.text);
    };
    const tell = (questions: readonly MainQuestion[]) => isolate.tell({ type: "ask", questions });
    const main = new MainClient(tell, systemClock, readForward);
    isolate.ontold = (answers) => main.hear(answers);
    return main;
  }

  /** The `.forward` of an account if it was read just now. `suffix`: delimiter and sub-address, "" for none. */
  knownForward(who: Account, suffix: string): Forward | undefined {
    return this.#forwards.get(forwardKey(who, suffix));
  }

  async forward(who: Account, suffix: string): Promise<Forward> {
    const key = forwardKey(who, suffix);
    const reading = this.#reading.get(key);
    if (reading !== undefined) return await reading;
    if (this.#reading.size >= WAITING_LIMIT) return unread("Too many questions wait for an answer");
    const read = this.#read(who, suffix, key).finally(() => this.#reading.delete(key));
    this.#reading.set(key, read);
    return await read;
  }

  async #read(who: Account, suffix: string, key: string): Promise<Forward> {
    try {
      const forward = await this.#readForward(who, suffix);
      this.#forwards.set(key, forward);
      return forward;
    } catch (error) {
      return unread(`${who.home}/.forward: ${systemReason(error)}`);
    }
  }

  /** The account of this name if the name service was asked just now; null when it does not know it. */
  knownAccount(name: string): Account | null | undefined {
    return this.#accounts.get(name);
  }

  async account(name: string): Promise<Account | null | LookupError> {
    const result = await this.#ask(`account ${name}`, { type: "account", name });
    if (result instanceof LookupError) return result;
    this.#accounts.set(name, result);
    return result;
  }

  /** The password of a system account. */
  login(user: string, password: string): Promise<PasswordCheck> {
    return this.#verify((call) => ({ type: "login", call, user, password }));
  }

  /** The password of a hash that only the C library knows. */
  crypt(hash: string, password: string): Promise<PasswordCheck> {
    return this.#verify((call) => ({ type: "crypt", call, hash, password }));
  }

  #verify(question: (call: number) => MainQuestion): Promise<PasswordCheck> {
    if (this.#verifying.size >= VERIFYING_LIMIT) return Promise.resolve("unknown");
    const call = this.#nextCall++;
    return new Promise((resolve) => {
      const done = (verdict: PasswordCheck) => {
        cancelLimit();
        this.#verifying.delete(call);
        resolve(verdict);
      };
      const cancelLimit = this.#clock.after(ACCOUNT_LIMIT_MS, () => done("unknown"));
      this.#verifying.set(call, done);
      this.#tell([question(call)]);
    });
  }

  /** Main's answers. */
  hear(answers: readonly MainReply[]): void {
    for (const answer of answers) {
      if (answer.type === "login" || answer.type === "crypt") {
        this.#verifying.get(answer.call)?.(answer.result);
        continue;
      }
      const { result } = answer;
      this.#waiting.get(answer.call)?.(result !== null && "error" in result ? new LookupError(result.error) : result);
    }
  }

  #ask(key: string, question: Question): Promise<Result> {
    const asked = this.#asked.get(key);
    if (asked !== undefined) return asked;
    if (this.#waiting.size >= WAITING_LIMIT) {
      return Promise.resolve(new LookupError("Too many questions wait for an answer"));
    }
    const call = this.#nextCall++;
    const answer = new Promise<Result>((resolve) => {
      const cancelLimit = this.#clock.after(
        ACCOUNT_LIMIT_MS,
        () => resolve(new LookupError("The name service does not answer")),
      );
      this.#waiting.set(call, (result) => {
        cancelLimit();
        resolve(result);
      });
    }).finally(() => {
      this.#waiting.delete(call);
      this.#asked.delete(key);
    });
    this.#asked.set(key, answer);
    // What is asked in one turn goes as one message: a message costs more than a question.
    if (this.#batch.length === 0) queueMicrotask(() => this.#flush());
    this.#batch.push({ ...question, call });
    return answer;
  }

  #flush(): void {
    const batch = this.#batch;
    this.#batch = [];
    this.#tell(batch);
  }
}

function forwardKey({ name, uid, gid, home }: Account, suffix: string): string {
  return `${uid} ${gid} ${name}\0${home}\0${suffix}`;
}

/** The mail has to wait. */
function unread(reason: string): Forward {
  return { kind: "refused", temporary: true, reason };
}
