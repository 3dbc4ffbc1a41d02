/**
 * Answers what lookup asks of main: `.forward` files, accounts of the name service, passwords of the system's. A few at a time, so that a long list of recipients
 * keeps nobody from being accepted. Trusts no question: it says only what a file in its place may be, and the answer is small.
 */

import type { ActAs } from "../delivery/mod.ts";
import type { Account, Forward, HouseAnswer, HouseQuestion, Verdict } from "../isolate/mod.ts";
import { readForward } from "./forward.ts";
import { NameService } from "./name_service.ts";
import { Passwords } from "./passwords.ts";

/** Files that are read in one turn. */
const SLICE = 32;
/** Questions that wait; lookup keeps to less. */
const WAITING_LIMIT = 40_000;
/** Accounts that the name service is asked for at one time: each takes a thread for as long as it lasts. */
const ASKING_LIMIT = 16;
const MAX_ID = 0xffff_fffe;
const MAX_NAME = 255;
/** Passwords that are verified at one time: each keeps a processor busy. */
const VERIFYING_LIMIT = 2;
const MAX_PASSWORD = 4096;

type ForwardQuestion = Extract<HouseQuestion, { type: "forward" }>;
type AccountQuestion = Extract<HouseQuestion, { type: "account" }>;
type PasswordQuestion = Extract<HouseQuestion, { type: "login" | "crypt" }>;

export class Clerk {
  readonly #actAs: ActAs;
  readonly #names: Pick<NameService, "find">;
  readonly #answer: (answers: readonly HouseAnswer[]) => void;
  #forwards: ForwardQuestion[] = [];
  #accounts: AccountQuestion[] = [];
  readonly #verifier: Pick<Passwords, "ofAccount" | "ofHash">;
  /** May passwords of system accounts be tried? Only where a listener asks for it. */
  systemLogins = false;
  #passwords: PasswordQuestion[] = [];
  #asking = 0;
  #verifying = 0;
  #reading = false;
  /** Grows when lookup is replaced: its successor counts its questions from the start. */
  #generation = 0;

  constructor(
    actAs: ActAs,
    answer: (answers: readonly HouseAnswer[]) => void,
    names: Pick<NameService, "find"> = new NameService(),
    verifier: Pick<Passwords, "ofAccount" | "ofHash"> = new Passwords(),
  ) {
    this.#actAs = actAs;
    this.#answer = answer;
    this.#names = names;
    this.#verifier = verifier;
  }

  take(questions: readonly HouseQuestion[]): void {
    if (!Array.isArray(questions)) return;
    for (const question of questions) {
      if (this.#forwards.length + this.#accounts.length + this.#passwords.length >= WAITING_LIMIT) return;
      if (isForward(question)) this.#forwards.push(question);
      else if (isAccount(question)) this.#accounts.push(question);
      else if (isPassword(question)) this.#passwords.push(question);
    }
    if (!this.#reading) this.#read();
    this.#askNames();
    this.#verify();
  }

  /** The lookup isolate has ended, and with it those who asked. */
  forget(): void {
    this.#generation++;
    this.#forwards = [];
    this.#accounts = [];
    this.#passwords = [];
  }

  /** The first slice in the turn of the question, the rest in turns of their own. */
  #read(): void {
    const slice = this.#forwards.splice(0, SLICE);
    if (slice.length > 0) {
      this.#answer(slice.map(({ call, who, suffix }) => ({ type: "forward", call, result: this.#open(who, suffix) })));
    }
    this.#reading = this.#forwards.length > 0;
    if (this.#reading) setTimeout(() => this.#read());
  }

  #open(who: Account, suffix: string): Forward {
    return readForward(this.#actAs, who, suffix);
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

function isForward(question: HouseQuestion): question is ForwardQuestion {
  if (question?.type !== "forward" || typeof question.call !== "number" || typeof question.suffix !== "string") {
    return false;
  }
  const { uid, gid, home } = question.who ?? {};
  return isId(uid) && isId(gid) && typeof home === "string";
}

function isAccount(question: HouseQuestion): question is AccountQuestion {
  return question?.type === "account" && typeof question.call === "number" && typeof question.name === "string" &&
    question.name.length <= MAX_NAME;
}

function isId(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_ID;
}
