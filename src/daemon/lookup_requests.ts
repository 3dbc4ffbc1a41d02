/**
 * Answers what lookup asks of main: accounts of the name service, passwords of the system's, the text of `.forward` files, files of
 * tables that lookup may not read itself. A few at a time, and off the thread. Checks each question, and the answer is small.
 */

import { BoundedSet } from "../bounded_map.ts";
import type { Channel } from "../isolate/mod.ts";
import type { DnsAnswer } from "../mail_auth/dns.ts";
import type {
  Account,
  AnswerOfMain,
  AnswerToMain,
  AskedKind,
  Forward,
  LookupToMain,
  MainToLookup,
  PasswordCheck,
  QuestionOfMain,
  QuestionToMain,
  TriedRcpt,
} from "../protocol/mod.ts";
import { isForwardHome, isForwardSuffix } from "../protocol/files.ts";
import { MAX_ACCOUNT_NAME_CHARS, MAX_PASSWORD_CHARS } from "../protocol/lookup_main.ts";
import { type Clock, systemClock } from "../clock.ts";
import { systemReason } from "../events/mod.ts";
import { NameService } from "./machine/name_service.ts";
import { Passwords } from "./machine/passwords.ts";
import { TableFiles } from "./table_files.ts";

/** Questions that wait; lookup keeps to less. */
const MAX_WAITING_QUESTIONS = 40_000;
/** Accounts that the name service is asked for at one time: each takes a thread for as long as it lasts. */
const MAX_RUNNING_QUESTIONS = 16;
/** Of these so many are for names that were answered before: unknown names that hang do not delay known ones. */
const RESERVED_FOR_KNOWN_NAMES = 4;
/** A question that takes longer, in milliseconds, counts no longer among those, but among so many that hang. */
const HANGS_MS = 2_000, MAX_HANGING_QUESTIONS = 64;
/** Calls that wait for one name. */
const MAX_WAITING_CALLS = 100;
/** Names that were answered in time; the oldest are forgotten. */
const MAX_KNOWN_NAMES = 10_000;
/** `.forward` files that are asked for and not read yet; lookup keeps to less. */
const MAX_WAITING_FORWARDS = 40_000;
/** So long lookup may take for a question to the DNS, in milliseconds, and so many it has at one time. */
const TXT_MS = 30_000, MAX_TXT_QUESTIONS = 10_000;
/** Passwords that are verified at one time: each keeps a processor busy. */
const MAX_RUNNING_CHECKS = 2;

type AccountQuestion = Extract<LookupToMain, { type: "account" }>;
type PasswordQuestion = Extract<LookupToMain, { type: "login" | "crypt" }>;
type ForwardQuestion = Extract<LookupToMain, { type: "forward" }>;
/** Reads a `.forward` as its user. Rejects when it cannot be had now. */
export type ReadForward = (who: Account, suffix: string) => Promise<Forward>;
/** Main's side of the door to the lookup isolate that asks. */
type LookupChannel = Channel<MainToLookup, LookupToMain>;

/** A question to lookup, without its number. */
type LookupQuestion = DistributiveOmit<QuestionOfMain, "question">;
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** A question, and whom to answer: an isolate that was replaced meanwhile gets no answer, nor does the one in its place. */
interface Pending<Question> {
  readonly channel: LookupChannel;
  readonly question: Question;
}

export class LookupRequests {
  readonly #names: Pick<NameService, "find">;
  /** Of the lookup isolate that is there now. */
  #channel: LookupChannel | null = null;
  #accounts: Pending<AccountQuestion>[] = [];
  /** Those of names that were answered before. */
  #familiar: Pending<AccountQuestion>[] = [];
  readonly #verifier: Pick<Passwords, "ofAccount" | "ofHash">;
  /** May passwords of system accounts be tried? Only where a listener asks for it. */
  systemLogins = false;
  /** The files that lookup's tables are read from. */
  tableFiles = new TableFiles([]);
  #passwords: Pending<PasswordQuestion>[] = [];
  /** Names that are being asked for, with the calls that wait for each. */
  readonly #asked = new Map<string, { readonly calls: Pending<AccountQuestion>[]; hangs: boolean }>();
  /** Those of them that do not hang, and those that do. */
  #asking = 0;
  #hanging = 0;
  readonly #known = new BoundedSet<string>(MAX_KNOWN_NAMES);
  readonly #clock: Pick<Clock, "after">;
  #verifying = 0;
  /** `.forward` files that are being read. */
  #reading = 0;
  /** What lookup was asked and has not answered yet, by number. */
  readonly #questions = new Map<number, (answer: AnswerToMain | null) => void>();
  #nextQuestion = 1;

  constructor(
    names: Pick<NameService, "find"> = new NameService(),
    verifier: Pick<Passwords, "ofAccount" | "ofHash"> = new Passwords(),
    clock: Pick<Clock, "after"> = systemClock,
  ) {
    this.#clock = clock;
    this.#names = names;
    this.#verifier = verifier;
  }

  /** Answers the lookup isolate behind this channel until it ends. `read` has its `.forward` files read. */
  serve(channel: LookupChannel, read: ReadForward): void {
    this.#channel = channel;
    channel.onmessage = (question) => {
      if (question?.type === "dns-answer" || question?.type === "tried-rcpt") this.#answered(question);
      else if (question?.type === "table-file" || question?.type === "table-stamp") {
        void this.#readTable({ channel, question });
      } else if (question?.type !== "forward") this.#take(channel, question);
      else if (isForward(question)) void this.#read({ channel, question }, read);
    };
    channel.onreset = () => this.#forget(channel);
  }

  /** Asks lookup for TXT records. `temporary` where it is replaced, or does not answer in time. Never rejects. */
  txt(name: string): Promise<DnsAnswer<string>> {
    return this.records("txt", name);
  }

  /** Asks lookup for records of one type, as `txt` does. */
  async records(kind: AskedKind, name: string): Promise<DnsAnswer<string>> {
    const answer = await this.#askLookup({ type: "dns", kind, name });
    return answer?.type === "dns-answer" ? answer.answer : { kind: "temporary" };
  }

  /** Asks lookup what the rules say of a recipient; `unknown` where it does not answer in time. Never rejects. */
  async tryRcpt(
    question: Omit<Extract<QuestionOfMain, { type: "try-rcpt" }>, "type" | "question">,
  ): Promise<TriedRcpt> {
    const answer = await this.#askLookup({ type: "try-rcpt", ...question });
    return answer?.type === "tried-rcpt" ? answer.result : "unknown";
  }

  /** Null where lookup is replaced, or does not answer in time. */
  #askLookup(asked: LookupQuestion): Promise<AnswerToMain | null> {
    const channel = this.#channel;
    if (channel === null || this.#questions.size >= MAX_TXT_QUESTIONS) return Promise.resolve(null);
    const question = this.#nextQuestion++;
    return new Promise((resolve) => {
      const cancelLimit = this.#clock.after(TXT_MS, () => this.#questions.get(question)?.(null));
      this.#questions.set(question, (answer) => {
        this.#questions.delete(question);
        cancelLimit();
        resolve(answer);
      });
      channel.send({ ...asked, question });
    });
  }

  #answered(answer: AnswerToMain): void {
    this.#questions.get(answer.question)?.(answer);
  }

  #take(channel: LookupChannel, question: AccountQuestion | PasswordQuestion): void {
    const isFull = this.#familiar.length + this.#accounts.length + this.#passwords.length >= MAX_WAITING_QUESTIONS;
    if (isAccount(question)) {
      const pending = { channel, question };
      if (isFull) return this.#answer(pending, { error: "Too many questions wait for an answer" });
      if (this.#asked.has(question.name)) this.#askName(pending);
      else (this.#known.has(question.name) ? this.#familiar : this.#accounts).push(pending);
      this.#askNames();
    } else if (isPassword(question)) {
      if (isFull) return this.#answer({ channel, question }, "unknown");
      this.#passwords.push({ channel, question });
      this.#verify();
    }
  }

  async #read(pending: Pending<ForwardQuestion>, read: ReadForward): Promise<void> {
    if (this.#reading >= MAX_WAITING_FORWARDS) {
      return this.#answer(pending, { error: "Too many questions wait for an answer" });
    }
    const { who, suffix } = pending.question;
    this.#reading++;
    this.#answer(pending, await read(who, suffix).catch((error) => ({ error: systemReason(error) })));
    this.#reading--;
  }

  async #readTable(pending: Pending<Extract<LookupToMain, { type: "table-file" | "table-stamp" }>>): Promise<void> {
    const { question } = pending;
    const result = question.type === "table-file"
      ? await this.tableFiles.piece(question)
      : await this.tableFiles.stamp(question);
    this.#answer(pending, result);
  }

  /** The lookup isolate has ended, and with it the calls that wait. */
  #forget(channel: LookupChannel): void {
    if (this.#channel !== channel) return;
    this.#channel = null;
    for (const answer of [...this.#questions.values()]) answer(null);
    this.#accounts = [];
    this.#familiar = [];
    this.#passwords = [];
  }

  /** Answers unless who asked was replaced. */
  #answer({ channel, question }: Pending<QuestionToMain>, result: AnswerOfMain["result"]): void {
    if (channel !== this.#channel) return;
    const { type, call } = question;
    channel.send({ type, call, result } as MainToLookup);
  }

  #askNames(): void {
    for (
      const [waiting, limit] of [[this.#familiar, MAX_RUNNING_QUESTIONS], [
        this.#accounts,
        MAX_RUNNING_QUESTIONS - RESERVED_FOR_KNOWN_NAMES,
      ]] as const
    ) {
      while (waiting.length > 0 && this.#asking < limit) this.#askName(waiting.shift()!);
    }
  }

  /** One thread for each name, however many ask for it and for however long it hangs. */
  #askName(pending: Pending<AccountQuestion>): void {
    const { name } = pending.question;
    const already = this.#asked.get(name);
    if (already !== undefined) {
      // Lookup asks once for a name until its time limit: the oldest call has expired.
      if (already.calls.length >= MAX_WAITING_CALLS) {
        this.#answer(already.calls.shift()!, { error: "The name service does not answer" });
      }
      return void already.calls.push(pending);
    }
    const asked = { calls: [pending], hangs: false };
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
      for (const waiting of asked.calls) this.#answer(waiting, result);
      this.#askNames();
    });
  }

  #verify(): void {
    while (this.#verifying < MAX_RUNNING_CHECKS) {
      const pending = this.#passwords.shift();
      if (pending === undefined) return;
      this.#verifying++;
      this.#check(pending.question).catch((): PasswordCheck => "unknown").then((result) => {
        this.#verifying--;
        this.#answer(pending, result);
        this.#verify();
      });
    }
  }

  #check(question: PasswordQuestion): Promise<PasswordCheck> {
    if (question.type === "crypt") return this.#verifier.ofHash(question.hash, question.password);
    return this.systemLogins ? this.#verifier.ofAccount(question.user, question.password) : Promise.resolve("unknown");
  }
}

function isPassword(question: AccountQuestion | PasswordQuestion): question is PasswordQuestion {
  if (question?.type !== "login" && question?.type !== "crypt") return false;
  const { call, password } = question;
  const subject: unknown = question.type === "login" ? question.user : question.hash;
  return typeof call === "number" && typeof password === "string" && password.length <= MAX_PASSWORD_CHARS &&
    typeof subject === "string" && subject.length <= MAX_PASSWORD_CHARS;
}

function isForward({ call, who, suffix }: ForwardQuestion): boolean {
  return typeof call === "number" && typeof who?.home === "string" && isForwardHome(who.home) &&
    typeof suffix === "string" && isForwardSuffix(suffix);
}

function isAccount(question: AccountQuestion | PasswordQuestion): question is AccountQuestion {
  return question?.type === "account" && typeof question.call === "number" && typeof question.name === "string" &&
    question.name.length <= MAX_ACCOUNT_NAME_CHARS;
}
