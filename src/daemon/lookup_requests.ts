/**
 * Answers what lookup asks of main: accounts of the name service, passwords of the system's. A few at a time, and off the thread. Trusts no
 * question, and the answer is small.
 */

import { BoundedSet } from "../bounded_map.ts";
import type { MainQuestion, MainReply, PasswordCheck } from "../protocol/mod.ts";
import { NameService } from "./name_service.ts";
import { Passwords } from "./passwords.ts";
import { type Clock, systemClock } from "../clock.ts";

/** Questions that wait; lookup keeps to less. */
const MAX_WAITING_QUESTIONS = 40_000;
/** Accounts that the name service is asked for at one time: each takes a thread for as long as it lasts. */
const MAX_RUNNING_QUESTIONS = 16;
/** Of these so many are for names that were answered before: names that hang, whoever makes them up, keep nobody who is known waiting. */
const KNOWN_SHARE = 4;
/** Who takes longer, in milliseconds, counts no longer among those, but among so many that hang. */
const HANGS_MS = 2_000, MAX_HANGING_QUESTIONS = 64;
/** Calls that wait for one name. */
const MAX_WAITING_CALLS = 100;
/** Names that were answered in time; the oldest are forgotten. */
const MAX_KNOWN_NAMES = 10_000;
const MAX_NAME_CHARACTERS = 255;
/** Passwords that are verified at one time: each keeps a processor busy. */
const MAX_RUNNING_CHECKS = 2;
const MAX_PASSWORD_CHARACTERS = 4096;

type AccountQuestion = Extract<MainQuestion, { type: "account" }>;
type PasswordQuestion = Extract<MainQuestion, { type: "login" | "crypt" }>;

export class LookupRequests {
  readonly #names: Pick<NameService, "find">;
  readonly #answer: (answers: readonly MainReply[]) => void;
  #accounts: AccountQuestion[] = [];
  /** Those of names that were answered before. */
  #familiar: AccountQuestion[] = [];
  readonly #verifier: Pick<Passwords, "ofAccount" | "ofHash">;
  /** May passwords of system accounts be tried? Only where a listener asks for it. */
  systemLogins = false;
  #passwords: PasswordQuestion[] = [];
  /** Names that are being asked for, with the calls that wait for each. */
  readonly #asked = new Map<string, { readonly calls: { call: number; generation: number }[]; hangs: boolean }>();
  /** Those of them that do not hang, and those that do. */
  #asking = 0;
  #hanging = 0;
  readonly #known = new BoundedSet<string>(MAX_KNOWN_NAMES);
  readonly #clock: Pick<Clock, "after">;
  #verifying = 0;
  /** Grows when lookup is replaced: its successor counts its questions from the start. */
  #generation = 0;

  constructor(
    answer: (answers: readonly MainReply[]) => void,
    names: Pick<NameService, "find"> = new NameService(),
    verifier: Pick<Passwords, "ofAccount" | "ofHash"> = new Passwords(),
    clock: Pick<Clock, "after"> = systemClock,
  ) {
    this.#clock = clock;
    this.#answer = answer;
    this.#names = names;
    this.#verifier = verifier;
  }

  take(questions: readonly MainQuestion[]): void {
    if (!Array.isArray(questions)) return;
    for (const question of questions) {
      if (this.#familiar.length + this.#accounts.length + this.#passwords.length >= MAX_WAITING_QUESTIONS) return;
      if (isAccount(question)) {
        if (this.#asked.has(question.name)) this.#askName(question);
        else (this.#known.has(question.name) ? this.#familiar : this.#accounts).push(question);
      } else if (isPassword(question)) this.#passwords.push(question);
    }
    this.#askNames();
    this.#verify();
  }

  /** The lookup isolate has ended, and with it those who asked. */
  forget(): void {
    this.#generation++;
    this.#accounts = [];
    this.#familiar = [];
    this.#passwords = [];
  }

  #askNames(): void {
    for (
      const [waiting, limit] of [[this.#familiar, MAX_RUNNING_QUESTIONS], [
        this.#accounts,
        MAX_RUNNING_QUESTIONS - KNOWN_SHARE,
      ]] as const
    ) {
      while (waiting.length > 0 && this.#asking < limit) this.#askName(waiting.shift()!);
    }
  }

  /** One thread for each name, however many ask for it and for however long it hangs. */
  #askName({ name, call }: AccountQuestion): void {
    const already = this.#asked.get(name);
    if (already !== undefined) {
      // Lookup asks once for a name until it loses patience: whoever asked long ago has given up.
      if (already.calls.length >= MAX_WAITING_CALLS) already.calls.shift();
      return void already.calls.push({ call, generation: this.#generation });
    }
    const asked = { calls: [{ call, generation: this.#generation }], hangs: false };
    this.#asked.set(name, asked);
    this.#asking++;
    const cancel = this.#clock.after(HANGS_MS, () => {
      this.#known.delete(name);
      if (this.#hanging >= MAX_HANGING_QUESTIONS) return;
      asked.hangs = true;
      this.#hanging++;
      this.#asking--;
      this.#askNames();
    });
    this.#names.find(name).catch((error) => ({ error: String(error) })).then((result) => {
      cancel();
      if (asked.hangs) this.#hanging--;
      else {
        this.#asking--;
        this.#known.add(name);
      }
      this.#asked.delete(name);
      const calls = asked.calls.filter(({ generation }) => generation === this.#generation);
      if (calls.length > 0) this.#answer(calls.map(({ call }) => ({ type: "account", call, result })));
      this.#askNames();
    });
  }

  #verify(): void {
    while (this.#verifying < MAX_RUNNING_CHECKS) {
      const question = this.#passwords.shift();
      if (question === undefined) return;
      this.#verifying++;
      const generation = this.#generation;
      this.#verdict(question).catch((): PasswordCheck => "unknown").then((result) => {
        this.#verifying--;
        const { type, call } = question;
        if (generation === this.#generation) this.#answer([{ type, call, result }]);
        this.#verify();
      });
    }
  }

  #verdict(question: PasswordQuestion): Promise<PasswordCheck> {
    if (question.type === "crypt") return this.#verifier.ofHash(question.hash, question.password);
    return this.systemLogins ? this.#verifier.ofAccount(question.user, question.password) : Promise.resolve("unknown");
  }
}

function isPassword(question: MainQuestion): question is PasswordQuestion {
  if (question?.type !== "login" && question?.type !== "crypt") return false;
  const { call, password } = question;
  const subject: unknown = question.type === "login" ? question.user : question.hash;
  return typeof call === "number" && typeof password === "string" && password.length <= MAX_PASSWORD_CHARACTERS &&
    typeof subject === "string" && subject.length <= MAX_PASSWORD_CHARACTERS;
}

function isAccount(question: MainQuestion): question is AccountQuestion {
  return question?.type === "account" && typeof question.call === "number" && typeof question.name === "string" &&
    question.name.length <= MAX_NAME_CHARACTERS;
}
