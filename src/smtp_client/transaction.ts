/** One mail transaction, RFC 5321 §3.3: MAIL, RCPT, DATA, with or without PIPELINING (RFC 2920), SMTP or LMTP (RFC 2033). */

import { type Body, DataEncoder, wireOctets } from "./body.ts";
import type { Capabilities } from "./capabilities.ts";
import { rcptCommand, type Recipient } from "./commands.ts";
import type { Connection } from "./connection.ts";
import { ClientError, refusedBy } from "./error.ts";
import { formatReply, type Reply } from "./reply.ts";
import {
  asClientError,
  ELSEWHERE,
  failure,
  lost,
  NO_REPLY,
  outcomeOf,
  type RecipientResult,
  type Stage,
  tooManyFailure,
  type TransactionResult,
} from "./results.ts";
import { BLOCK_OCTETS, type Timeouts } from "./timeouts.ts";
import { RecipientLimit, tooManyForMessage, tooManyRecipients } from "./too_many.ts";
import {
  isEightBit,
  messageRefusal,
  preparedMail,
  recipientRefusal,
  type Refusal,
  sizeRefusal,
  type Wanted,
} from "./prepare.ts";

export interface Transaction extends Wanted {
  readonly recipients: readonly Recipient[];
  readonly body: Body;
}

/** What a transaction needs of its session. */
export interface Session {
  readonly connection: Connection;
  readonly timeouts: Timeouts;
  readonly capabilities: Capabilities;
  readonly lmtp: boolean;
  /** Refused recipients in a row that end the session, 0 for any number. */
  readonly maxRefusals: number;
  /** Recipients refused in a row so far. */
  refusals: number;
}

/** RCPT commands that are sent before their replies are read. */
const RCPT_BATCH = 50;
const TOO_MANY = "Too many recipients refused in this session";
/** Runs it to the end. Never rejects: what breaks the connection is in the result, and closes it. */
export async function runTransaction(session: Session, transaction: Transaction): Promise<TransactionResult> {
  const run = new Run(session, transaction);
  try {
    const first = await transaction.body.chunk(0);
    if (await run.checkLocally(first)) await run.envelope(first);
  } catch (error) {
    run.broken(error);
  }
  return run.result();
}

class Run {
  readonly #session: Session;
  readonly #connection: Connection;
  readonly #transaction: Transaction;
  readonly #results: (RecipientResult | null)[];
  /** Indexes of recipients still to be offered, and of those that were accepted. */
  #todo: number[] = [];
  #accepted: number[] = [];
  readonly #limit = new RecipientLimit();
  #error: ClientError | null = null;
  #exhausted = false;
  /** Set when the server has replied that no more recipients go into this transaction. */
  #full: RecipientResult | null = null;
  #answered = false;
  /** Whatever the server replies no more: it may have the message. */
  #dotSent = false;
  /** What broke the connection is no fault of the server. */
  #ownFault = false;
  /** How far the dialogue got, for recipients without a reply of their own. */
  #stage: Stage = "MAIL";
  #mailLine = "";
  #utf8 = false;

  constructor(session: Session, transaction: Transaction) {
    this.#session = session;
    this.#connection = session.connection;
    this.#transaction = transaction;
    this.#results = transaction.recipients.map(() => null);
  }

  result(): TransactionResult {
    const fallback: RecipientResult = {
      outcome: "tempfail",
      text: this.#error?.message ?? "Not tried",
      reply: null,
      stage: this.#stage,
      ...(this.#error !== null && !this.#dotSent && !this.#ownFault ? ELSEWHERE : {}),
    };
    return {
      recipients: this.#results.map((result) => this.#afterData(result ?? fallback, fallback)),
      rcptMax: this.#limit.most,
      error: this.#error,
      exhausted: this.#exhausted,
      accepted: this.#accepted.length,
      answered: this.#answered,
    };
  }

  /**
   * Those who were too many try at once again only where those who were not came to something final, else it would be all in vain again; where
   * these go to another server they go with them.
   */
  #afterData(result: RecipientResult, fallback: RecipientResult): RecipientResult {
    if (this.#leftOverNumber && result.again !== undefined) return { ...result, again: "here" };
    const { again: _, ...later } = result;
    if (result.again === "reconnect" && this.#accepted.length > 0) return later;
    if (result.again !== "here" || result.stage !== "RCPT") return result;
    const others = this.#accepted.map((index) => this.#results[index] ?? fallback);
    if (others.some(({ outcome: outcome, again }) => outcome !== "tempfail" || again === "here")) return result;
    return others.some(({ again }) => again === "elsewhere") ? { ...later, ...ELSEWHERE } : later;
  }

  /** The server replied 421 to the number of recipients and left before it had the data of those that it had accepted: fewer may do. */
  get #leftOverNumber(): boolean {
    const left = this.#full?.reply?.code === 421 && this.#error !== null && !this.#dotSent && this.#limit.most !== null;
    return left && this.#accepted.every((index) => this.#results[index]?.again !== undefined || !this.#results[index]);
  }

  /** Whatever went wrong, the dialogue is out of step now: the rest is tried again later, on another connection. */
  broken(error: unknown): void {
    this.#ownFault ||= this.#error === null && !(error instanceof ClientError);
    this.#error ??= asClientError(error);
    this.#connection.close();
  }

  /** What can be refused without asking the server. False when nothing is left to send. */
  async checkLocally(first: Uint8Array): Promise<boolean> {
    const { capabilities } = this.#session;
    const { recipients, body } = this.#transaction;
    const { tls } = this.#connection;
    const refusal = messageRefusal(this.#transaction, { capabilities, tls });
    if (refusal !== null) return this.#refuseAll(refusal);
    // What is too big as it is stored need not be counted.
    const known = capabilities.size === null || sizeRefusal(body.bytes, capabilities) !== null;
    const octets = known ? body.bytes : await wireOctets(body);
    const tooLarge = sizeRefusal(octets, capabilities);
    if (tooLarge !== null) return this.#refuseAll(tooLarge);
    recipients.forEach(({ address }, index) => {
      const no = recipientRefusal(address, capabilities);
      if (no === null) this.#todo.push(index);
      else this.#results[index] = { outcome: "permfail", reply: null, stage: "RCPT", ...no };
    });
    this.#answered = this.#todo.length === 0;
    // What was not looked at may hold anything (RFC 6152 §2).
    const wire = { octets, eightBit: body.chunks > 1 || isEightBit(first) };
    const offered = this.#todo.map((index) => recipients[index]!.address);
    const { line, utf8 } = preparedMail(this.#transaction, offered, capabilities, wire);
    this.#utf8 = utf8;
    this.#mailLine = line;
    return this.#todo.length > 0;
  }

  #refuseAll(refusal: Refusal): false {
    this.#results.fill({ outcome: "permfail", reply: null, stage: "MAIL", ...refusal });
    this.#answered = true;
    return false;
  }

  async envelope(first: Uint8Array): Promise<void> {
    const { capabilities, maxRefusals, timeouts } = this.#session;
    const { recipients } = this.#transaction;
    let mail = this.#mailLine;
    if (!capabilities.pipelining) {
      if (!this.#mail((await this.#ask(mail, [timeouts.mailMs]))[0]!)) return this.#reset();
      mail = "";
    }
    this.#stage = "RCPT";
    for (let next = 0; next < this.#todo.length;) {
      const most = capabilities.pipelining ? RCPT_BATCH : 1;
      // Never more in one go than may be refused: who guesses at addresses is asked to stop after so many.
      const room = maxRefusals === 0 ? most : Math.min(most, maxRefusals - this.#session.refusals);
      if (room <= 0) {
        this.#giveUp(this.#todo.slice(next));
        break;
      }
      const batch = this.#todo.slice(next, next + room);
      next += batch.length;
      const withData = capabilities.pipelining && next === this.#todo.length;
      let lines = mail;
      const charset = this.#utf8 ? "utf-8" : "us-ascii";
      for (const index of batch) lines += rcptCommand(recipients[index]!, capabilities, charset);
      const limits = batch.map(() => timeouts.rcptMs);
      if (mail !== "") limits.unshift(timeouts.mailMs);
      if (withData) {
        lines += "DATA\r\n";
        limits.push(timeouts.dataMs);
      }
      const replies = await this.#ask(lines, limits);
      const welcome = mail === "" || this.#mail(replies.shift()!);
      mail = "";
      if (welcome) this.#rcpt(batch, replies);
      // What has no result by now gets the reason of the break.
      if (this.#connection.failure !== null) return;
      if (withData) return await this.#data(first, replies[batch.length]!);
      if (!welcome) return this.#reset();
      if (this.#full !== null) {
        // What it replied for one holds for those behind it.
        for (const index of this.#todo.slice(next)) this.#results[index] = this.#full;
        break;
      }
    }
    if (this.#accepted.length === 0) return this.#reset();
    await this.#data(first, (await this.#ask("DATA\r\n", [timeouts.dataMs]))[0]!);
  }

  /** Asks for replies. When the connection breaks in between, those that came still count; `lost` stands for the others. */
  async #ask(lines: string | Uint8Array, limitsMs: readonly number[]): Promise<Reply[]> {
    let replies: Reply[];
    try {
      replies = await this.#connection.exchange(lines, limitsMs);
      this.#answered = true;
    } catch (error) {
      this.broken(error);
      const reason = asClientError(error);
      replies = [...reason.partial];
      if (replies.length > 0) this.#answered = true;
      while (replies.length < limitsMs.length) replies.push(lost(reason));
    }
    // RFC 5321 §3.8: the server is about to close. Its 421 is a refusal like any 4xx, but nothing new should be started here.
    const closing = replies.find((reply) => reply.code === 421);
    if (closing !== undefined) this.#error ??= refusedBy(closing);
    return replies;
  }

  #mail(reply: Reply): boolean {
    if (outcomeOf(reply) === "ok") return true;
    this.#settle(this.#todo, reply, "MAIL");
    return false;
  }

  #rcpt(batch: readonly number[], replies: readonly Reply[]): void {
    batch.forEach((index, at) => {
      const reply = replies[at]!;
      if (outcomeOf(reply) === "ok") {
        this.#accepted.push(index);
        this.#limit.accepted();
        this.#session.refusals = 0;
        return;
      }
      const many = tooManyRecipients(reply, this.#accepted.length);
      if (many === null) this.#session.refusals++;
      this.#results[index] = many === null ? this.#failure(reply, "RCPT") : this.#tooMany(reply, many);
    });
  }

  /** RFC 5321 §4.5.3.1.10: nobody is given up because there were others; the first of all is refused for a reason of its own. */
  #tooMany(reply: Reply, many: "said" | "perhaps"): RecipientResult {
    const result = many === "said" ? tooManyFailure(reply, "RCPT") : failure(reply, "RCPT");
    if (this.#accepted.length === 0) {
      if (reply.code === 421) return this.#failure(reply, "RCPT");
      // x.2.x is about the mailbox (RFC 3463 §3.3), and it will be the same in any session.
      const later = result.outcome === "tempfail" && !/^[45]\.2\./.test(reply.text);
      return later ? { ...result, again: "reconnect" } : result;
    }
    this.#limit.refused(many);
    const excess = { ...result, outcome: "tempfail", again: "here" } as const;
    if (many === "said") this.#full = excess;
    return excess;
  }

  #giveUp(rest: readonly number[]): void {
    this.#exhausted = true;
    for (const index of rest) {
      this.#results[index] = { outcome: "tempfail", text: TOO_MANY, reply: null, stage: "RCPT" };
    }
  }

  #settle(indexes: readonly number[], reply: Reply, stage: Stage): void {
    const result = outcomeOf(reply) === "ok"
      ? { outcome: "ok", text: formatReply(reply), reply, stage } as const
      : this.#refusedData(reply, stage);
    for (const index of indexes) this.#results[index] = result;
  }

  /** RFC 5321 §3.8: with 421, and without a reply, a server decides nothing; but behind the end of the data silence may be consent. */
  #failure(reply: Reply, stage: Stage): RecipientResult {
    const undecided = reply.code === 421 || (reply.code === NO_REPLY && !this.#dotSent && !this.#ownFault);
    return undecided ? { ...failure(reply, stage), ...ELSEWHERE } : failure(reply, stage);
  }

  /** A refusal of the whole message. One that is about the number of its recipients is worth another try with half of them. */
  #refusedData(reply: Reply, stage: Stage): RecipientResult {
    if (!tooManyForMessage(reply)) return this.#failure(reply, stage);
    const undecided = reply.code === 421 ? this.#failure(reply, stage) : null;
    // What was too many is known: those that are left are to be fewer.
    if (undecided !== null && this.#full !== null) return { ...tooManyFailure(reply, stage), again: "here" };
    // What is too much before the first recipient is the messages of the session, whatever the words.
    if (stage === "MAIL") return undecided ?? { ...tooManyFailure(reply, stage), again: "reconnect" };
    const one = this.#accepted.length < 2 || (this.#session.lmtp && stage === "EOM");
    if (one) return undecided ?? tooManyFailure(reply, stage);
    this.#limit.halve();
    return { ...tooManyFailure(reply, stage), again: "here" };
  }

  /** `reply` is that of DATA; 354 invites the data. */
  async #data(first: Uint8Array, reply: Reply): Promise<void> {
    if (reply.code < 300 || reply.code >= 400) {
      const refused = this.#refusedData(reply, "DATA");
      for (const index of this.#accepted) this.#results[index] = refused;
      return this.#reset();
    }
    if (this.#accepted.length === 0) return this.#nothing();
    this.#stage = "EOM";
    const replies = await this.#stream(first, this.#session.lmtp ? this.#accepted.length : 1);
    // RFC 2033 §4.2: one reply for each accepted recipient, in the order of the RCPT commands.
    if (this.#session.lmtp) this.#accepted.forEach((index, at) => this.#settle([index], replies[at]!, "EOM"));
    else this.#settle(this.#accepted, replies[0]!, "EOM");
  }

  /** RFC 2920 §3.1: DATA was pipelined and accepted though no recipient was: an empty message, which the server must not deliver. */
  async #nothing(): Promise<void> {
    // RFC 2033 §4.2: no reply for no recipient. Whether the server follows that is not worth finding out.
    if (this.#session.lmtp) return this.broken(new ClientError("protocol", "DATA accepted without a recipient"));
    await this.#ask(".\r\n", [this.#session.timeouts.endOfDataMs]);
    await this.#reset();
  }

  /** Sends the body, block by block, and waits for the replies to it. */
  async #stream(first: Uint8Array, wanted: number): Promise<Reply[]> {
    const { body } = this.#transaction;
    const encoder = new DataEncoder();
    const limitsMs = new Array<number>(wanted).fill(this.#session.timeouts.endOfDataMs);
    const start = encoder.encode(first, { last: body.chunks <= 1 });
    this.#dotSent = body.chunks <= 1 && start.length <= BLOCK_OCTETS;
    if (this.#dotSent) return await this.#ask(start, limitsMs);
    let answered = false;
    const answer = this.#ask(start.subarray(0, BLOCK_OCTETS), limitsMs).finally(() => answered = true);
    for (let index = 0, from = BLOCK_OCTETS; index < Math.max(body.chunks, 1); index++, from = 0) {
      const octets = index === 0 ? start : encoder.encode(await body.chunk(index), { last: index === body.chunks - 1 });
      for (; from < octets.length; from += BLOCK_OCTETS) {
        if (answered || this.#connection.early) return await this.#interrupted(answer);
        this.#dotSent = index >= body.chunks - 1 && from + BLOCK_OCTETS >= octets.length;
        await this.#connection.send(octets.subarray(from, from + BLOCK_OCTETS));
      }
    }
    return await answer;
  }

  /** A server that answers in the middle has seen enough. It may take what comes next for more data, so the connection is given up. */
  async #interrupted(answer: Promise<Reply[]>): Promise<Reply[]> {
    this.broken(new ClientError("protocol", "Remote host answered before the end of data"));
    const replies = await answer;
    // Nobody can have accepted what was not sent.
    return replies.map((reply) => outcomeOf(reply) === "ok" ? lost(this.#error!) : reply);
  }

  /** Leaves nothing of this transaction behind, RFC 5321 §4.1.1.5. */
  async #reset(): Promise<void> {
    if (this.#error !== null) return;
    const reply = (await this.#ask("RSET\r\n", [this.#session.timeouts.commandMs]))[0]!;
    if (outcomeOf(reply) !== "ok") this.#error ??= refusedBy(reply);
  }
}
