/**
 * Answers what lookup asks of main: accounts of the name service, passwords of the system's. A few at a time, and off the thread. Trusts no
 * question, and the answer is small.
 */

import type { HouseAnswer, HouseQuestion, Verdict } from "../isolate/mod.ts";
import { NameService } from "./name_service.ts";
import { Passwords } from "./passwords.ts";

/** Questions that wait; lookup keeps to less. */
const WAITING_LIMIT = 40_000;
/** Accounts that the name service is asked for at one time: each takes a thread for as long as it lasts. */
const ASKING_LIMIT = 16;
const MAX_NAME = 255;
/** Passwords that are verified at one time: each keeps a processor busy. */
const VERIFYING_LIMIT = 2;
const MAX_PASSWORD = 4096;

type AccountQuestion = Extract<HouseQuestion, { type: "account" }>;
type PasswordQuestion = Extract<HouseQuestion, { type: "login" | "crypt" }>;

export class Clerk {
  readonly #names: Pick<NameService, "find">;
  readonly #answer: (answers: readonly HouseAnswer[]) => void;
  #accounts: AccountQuestion[] = [];
  readonly #verifier: Pick<Passwords, "ofAccount" | "ofHash">;
  /** May passwords of system accounts be tried? Only where a listener asks for it. */
  systemLogins = false;
  #passwords: PasswordQuestion[] = [];
  #asking = 0;
  #verifying = 0;
  /** Grows when lookup is replaced: its successor counts its questions from the start. */
  #generation = 0;

  constructor(
    answer: (answers: readonly HouseAnswer[]) => void,
    names: Pick<NameService, "find"> = new NameService(),
    verifier: Pick<Passwords, "ofAccount" | "ofHash"> = new Passwords(),
  ) {
    this.#answer = answer;
    this.#names = names;
    this.#verifier = verifier;
  }

  take(questions: readonly HouseQuestion[]): void {
    if (!Array.isArray(questions)) return;
    for (const question of questions) {
      if (this.#accounts.length + this.#passwords.length >= WAITING_LIMIT) return;
      if (isAccount(question)) this.#accounts.push(question);
      else if (isPassword(question)) this.#passwords.push(question);
    }
    this.#askNames();
    this.#verify();
  }

  /** The lookup isolate has ended, and with it those who asked. */
  forget(): void {
    this.#generation++;
    this.#accounts = [];
    this.#passwords = [];
  }

  #askNames(): void {
    while (this.#asking < ASKING_LIMIT) {
      const question = this.#accounts.shift();
      if (question === undefined) return;
      this.#asking++;
      const generation = this.#generation;
      this.#names.find(question.name).catch((error) => ({ error: String(error) })).then((result) => {
        this.#asking--;
        if (generation === this.#generation) this.#answer([{ type: "account", call: question.call, result }]);
        this.#askNames();
      });
    }
  }

  #verify(): void {
    while (this.#verifying < VERIFYING_LIMIT) {
      const question = this.#passwords.shift();
      if (question === undefined) return;
      this.#verifying++;
      const generation = this.#generation;
      this.#verdict(question).catch((): Verdict => "unknown").then((result) => {
        this.#verifying--;
        const { type, call } = question;
        if (generation === this.#generation) this.#answer([{ type, call, result }]);
        this.#verify();
      });
    }
  }

  #verdict(question: PasswordQuestion): Promise<Verdict> {
    if (question.type === "crypt") return this.#verifier.ofHash(question.hash, question.password);
    return this.systemLogins ? this.#verifier.ofAccount(question.user, question.password) : Promise.resolve("unknown");
  }
}

function isPassword(question: HouseQuestion): question is PasswordQuestion {
  if (question?.type !== "login" && question?.type !== "crypt") return false;
  const { call, password } = question;
  const subject: unknown = question.type === "login" ? question.user : question.hash;
  return typeof call === "number" && typeof password === "string" && password.length <= MAX_PASSWORD &&
    typeof subject === "string" && subject.length <= MAX_PASSWORD;
}

function isAccount(question: HouseQuestion): question is AccountQuestion {
  return question?.type === "account" && typeof question.call === "number" && typeof question.name === "string" &&
    question.name.length <= MAX_NAME;
}
