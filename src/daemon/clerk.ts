/**
 * Answers what lookup asks of main: `.forward` files and accounts of the name service. A few at a time, so that a long list of recipients
 * keeps nobody from being accepted. Trusts no question: it says only what a file in its place may be, and the answer is small.
 */

import type { ActAs } from "../delivery/mod.ts";
import type { Account, Forward, HouseAnswer, HouseQuestion } from "../isolate/mod.ts";
import { readForward } from "./forward.ts";
import { NameService } from "./name_service.ts";

/** Files that are read in one turn. */
const SLICE = 32;
/** Questions that wait; lookup keeps to less. */
const WAITING_LIMIT = 40_000;
/** Accounts that the name service is asked for at one time: each takes a thread for as long as it lasts. */
const ASKING_LIMIT = 16;
const MAX_ID = 0xffff_fffe;
const MAX_NAME = 255;

type ForwardQuestion = Extract<HouseQuestion, { type: "forward" }>;
type AccountQuestion = Extract<HouseQuestion, { type: "account" }>;

export class Clerk {
  readonly #actAs: ActAs;
  readonly #names: Pick<NameService, "find">;
  readonly #answer: (answers: readonly HouseAnswer[]) => void;
  #forwards: ForwardQuestion[] = [];
  #accounts: AccountQuestion[] = [];
  #asking = 0;
  #reading = false;
  /** Grows when lookup is replaced: its successor counts its questions from the start. */
  #generation = 0;

  constructor(
    actAs: ActAs,
    answer: (answers: readonly HouseAnswer[]) => void,
    names: Pick<NameService, "find"> = new NameService(),
  ) {
    this.#actAs = actAs;
    this.#answer = answer;
    this.#names = names;
  }

  take(questions: readonly HouseQuestion[]): void {
    if (!Array.isArray(questions)) return;
    for (const question of questions) {
      if (this.#forwards.length + this.#accounts.length >= WAITING_LIMIT) return;
      if (isForward(question)) this.#forwards.push(question);
      else if (isAccount(question)) this.#accounts.push(question);
    }
    if (!this.#reading) this.#read();
    this.#askNames();
  }

  /** The lookup isolate has ended, and with it those who asked. */
  forget(): void {
    this.#generation++;
    this.#forwards = [];
    this.#accounts = [];
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
