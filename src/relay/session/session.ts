/** One connection to one host, from connect to quit: gets ready (handshake.ts), takes task after task from its relay, waits a while, leaves. It is long because it is one state with many ends. */

import { type Clock, sleep } from "../../clock.ts";
import type { RelayLimits } from "../../config/mod.ts";
import { type EnvelopeId, newSessionId } from "../../envelope/mod.ts";
import { type AttemptDetail, debug } from "../../events/mod.ts";
import {
  type Client,
  ClientDialogue,
  ClientError,
  type RecipientResult,
  type TransactionResult,
} from "../../smtp_client/mod.ts";
import { classifyText } from "../../reply_class/mod.ts";
import { triedAgain } from "./again.ts";
import type { DeliveryReporter } from "../delivery_reporter.ts";
import { Handshake, type HandshakeDeps } from "./handshake.ts";
import type { Message } from "./messages.ts";
import type { Exchanger } from "../routes/mx.ts";
import { type Reason, reasonOfError, type Remote } from "../reason.ts";
import { unheard } from "./result.ts";
import { knownRcptMax, learnFailure, learnPace, learnRcptMax, type Route } from "../routes/routes.ts";
import type { Target } from "../routes/target.ts";
import { partOf, type Task, without } from "../tasks.ts";

/** What a session needs of the isolate. */
export interface SessionDeps extends HandshakeDeps {
  readonly clock: Clock;
  readonly reporter: DeliveryReporter;
}

/** Its relay, as a session sees it. */
export interface SessionOwner {
  readonly target: Target;
  readonly limits: RelayLimits;
  /** The next task, or null when there is none now. */
  next(): Task | null;
  /** The session is ready for mail for the first time. */
  ready(session: Session): void;
  /** The host of this route has taken a message. */
  accepted(route: Route): void;
  /** It has nothing to do: `assign` it a task, or it will leave and say so. */
  idle(session: Session): void;
  leaving(session: Session): void;
  /** The exchanger cannot be given messages with REQUIRETLS, for this reason. */
  unsuited(exchanger: Exchanger, reason: string): void;
  /** A task with REQUIRETLS that this exchanger cannot be given: others may. */
  elsewhere(task: Task, exchanger: Exchanger, reason: string): void;
  /** A task about which this exchanger ended the session, for this reason: to the next one, or false when there is none. */
  moveOn(task: Task, exchanger: Exchanger, reason: Reason): boolean;
  /** A task that was never begun. */
  putBack(task: Task): void;
  /** True when this relay has other sessions. */
  hasOthers(): boolean;
  /** The host has said that it blocks this server: it, and those that belong to it, are left alone for a while. `failure`: what may be told of it to all. */
  blocked(route: Route, exchanger: Exchanger, reply: string, failure?: Reason): void;
  ended(session: Session, ending: Ending): void;
}

/** How a session ended. */
export interface Ending {
  /** It was ready for mail at some time. */
  readonly ready: boolean;
  /** Full term: it sent as many messages as one session may, and went well. */
  readonly fullTerm: boolean;
  /** Messages that at least one recipient got. */
  readonly sent: number;
  /** The host ended it in the middle of a transaction. */
  readonly broke: boolean;
  /** Messages in a row that the host refused, when they are so many that it should be left alone; else 0. */
  readonly refused: number;
  /** The host is this one, by its answer to EHLO. */
  readonly loops: boolean;
  /** Why it did not get ready; null when it did. It may become the reason of other messages, so that it never has a reply to a transaction. */
  readonly failure: Reason | null;
  readonly remote: Remote;
}

/** A host that has taken messages in this session may mean one sender alone when it speaks of a block: so many in a row, or 421, mean this server. */
const MAX_BLOCKED_TRANSACTIONS = 3;
/** Transactions in a row without success after which the host is left alone. */
const MAX_FAILED_TRANSACTIONS = 10;
/** How long an idle session waits when its relay has others, in ms. */
const SHORT_KEEPALIVE_MS = 1_000;

export class Session {
  readonly id: string = newSessionId();
  readonly route: Route;
  readonly #exchanger: Exchanger;
  readonly #owner: SessionOwner;
  readonly #deps: SessionDeps;
  readonly #handshake: Handshake;
  /** Null where the history does not record. */
  readonly #dialogue: ClientDialogue | null;
  #client: Client | null = null;
  #ready = false;
  #stopping = false;
  /** Transactions tried, and messages that at least one recipient got. */
  #tried = 0;
  #sent = 0;
  #failures = 0;
  #rejects = false;
  #broke = false;
  /** The host takes no more in this session. */
  #full = false;
  #failure: Reason | null = null;
  #wake: ((task: Task | null) => void) | null = null;

  constructor(owner: SessionOwner, route: Route, exchanger: Exchanger, deps: SessionDeps) {
    this.#owner = owner;
    this.route = route;
    this.#exchanger = exchanger;
    this.#deps = deps;
    const { target, limits } = owner;
    this.#dialogue = ClientDialogue.where(this.id, deps.observer, deps.clock);
    const recorder = this.#dialogue ?? undefined;
    this.#handshake = new Handshake({ id: this.id, route, exchanger, target, limits, recorder }, deps);
  }

  get #remote(): Remote {
    const { host, address } = this.#exchanger;
    return { host, address };
  }

  /** The host has said to another session that it blocks this server. */
  get #isSuspended(): boolean {
    return this.route.disabled === "blocked";
  }

  get isReady(): boolean {
    return this.#ready;
  }

  /** Runs to its end. Never rejects. */
  async run(): Promise<void> {
    try {
      const client = this.#client = await this.#handshake.run();
      this.#ready = true;
      this.#dialogue?.opened();
      this.#owner.ready(this);
      const obstacle = this.#owner.target.requireTls ? this.#requireTlsObstacle(client) : null;
      if (obstacle === null) await this.#serve(client);
      else {
        this.#owner.unsuited(this.#exchanger, obstacle);
        await this.#quit(client);
      }
    } catch (error) {
      this.#client?.close();
      if (!this.#ready) {
        this.#failure = this.#reasonOf(error, this.#handshake.step);
        this.#refused(error);
        this.#dialogue?.wentWrong();
      }
      this.#reportError(error instanceof ClientError ? error.message : String(error));
    }
    this.#handshake.reports?.closed();
    const fullTerm = this.#full || (this.#tried >= this.#mailMax() && this.#failures === 0);
    this.#owner.ended(this, {
      ready: this.#ready,
      fullTerm,
      sent: this.#sent,
      broke: this.#broke,
      refused: this.#rejects ? this.#failures : 0,
      loops: this.#handshake.loops,
      failure: this.#failure,
      remote: this.#remote,
    });
  }

  /** Gives an idle session work. */
  assign(task: Task): void {
    const wake = this.#wake!;
    this.#wake = null;
    wake(task);
  }

  /** Ends it after the transaction that runs. */
  stop(): void {
    this.#stopping = true;
    const wake = this.#wake;
    this.#wake = null;
    wake?.(null);
    if (!this.#ready) this.#handshake.stop();
  }

  // ── mail ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #serve(client: Client): Promise<void> {
    for (;;) {
      if (!client.usable) return this.#reportGone();
      if (this.#handshake.reports !== null) await this.#deps.filters?.held;
      const task = this.#stopping || this.#isSuspended ? null : this.#owner.next() ?? await this.#wait(client);
      if (task === null) break;
      if (this.#isSuspended) {
        this.#owner.putBack(task);
        break;
      }
      if (!client.usable) {
        this.#owner.putBack(task);
        return this.#reportGone();
      }
      if (!await this.#deliver(client, task)) return;
      if (this.#failures >= MAX_FAILED_TRANSACTIONS) {
        this.#rejects = true;
        this.#log("host-rejects-all-mails");
        break;
      }
      if (this.#tried >= this.#mailMax()) break;
      const pause = this.#owner.limits.sessionTransactionDelay;
      if (pause > 0) await sleep(pause * 1000, this.#deps.clock);
    }
    if (!client.usable) return this.#reportGone();
    await this.#quit(client);
  }

  async #quit(client: Client): Promise<void> {
    await client.quit();
    this.#deps.observer.emit({ type: "relay-disconnected", session: this.id, reason: "quit", messages: this.#sent });
  }

  /** Returns how many messages one session may carry: our limit, or that of the server (RFC 9422 §4.1). */
  #mailMax(): number {
    return Math.min(this.#owner.limits.sessionMailMax, this.#client?.capabilities.mailMax ?? Infinity);
  }

  /** Returns how many recipients one transaction takes: what the host says (RFC 9422 §4.2), or what it took when it was asked for more. */
  #rcptMax({ capabilities }: Client): number | null {
    const learnt = knownRcptMax(this.route.host, this.#deps.clock.steady());
    return learnt === null ? capabilities.rcptMax : Math.min(learnt, capabilities.rcptMax ?? Infinity);
  }

  /** Delivers a task, or as much of it as one transaction takes. Resolves to true when the session can go on. */
  async #deliver(client: Client, whole: Task): Promise<boolean> {
    const { reporter } = this.#deps;
    const { part, rest } = partOf(whole, this.#rcptMax(client));
    if (rest !== null) this.#owner.putBack(rest);
    let task = part;
    try {
      const opened = await reporter.open(part);
      if (opened === null) return true;
      const { message, apart, task: own } = reporter.partBySender(part, opened, this.#owner.target.action);
      if (apart !== null) this.#owner.putBack(apart);
      task = own;
      const obstacle = message.envelopes[0]!.handling?.requireTls ? this.#requireTlsObstacle(client) : null;
      if (obstacle === null) return await this.#transact(client, task, message);
      this.#owner.elsewhere(task, this.#exchanger, obstacle);
      return true;
    } catch (error) {
      // A mistake of ours must not leave the message here for ever, nor end the sessions of others.
      reporter.abandon(task, "Internal error", error);
      throw error;
    }
  }

  async #transact(client: Client, task: Task, message: Message): Promise<boolean> {
    const { clock, reporter, observer } = this.#deps;
    if (observer.verbose) {
      const rcpts = `${message.envelopes.length} envelope${message.envelopes.length === 1 ? "" : "s"}`;
      debug(observer, `mta: ${this.id}: attempt for message ${task.message}, ${rcpts}, ${message.body.bytes} bytes`);
    }
    const transaction = reporter.transaction(message, this.#owner.target.action);
    this.#handshake.reports?.begin({
      message: task.message,
      bytes: message.body.bytes,
      envelopes: message.envelopes.map(({ id }, at) => ({ id, address: transaction.recipients[at]!.address })),
    });
    const begunAt = clock.steady();
    let result = await client.transaction(transaction);
    const durationMs = clock.steady() - begunAt;
    learnPace(this.route.host, durationMs);
    this.#tried++;
    if (result.error !== null && !result.answered && this.#tried > 1) {
      if (!task.afterDeadConnection) {
        // The server had closed the connection before, while it was idle or at its limit: nothing has been said yet.
        this.#owner.putBack({ ...task, afterDeadConnection: true });
        this.#reportGone();
        return false;
      }
      result = unheard(result);
    }
    const good = result.recipients.some(({ outcome: outcome }) => outcome === "ok");
    if (good) this.#sent++;
    // What the host was not asked about says nothing of it.
    const asked = result.error !== null || result.recipients.some(({ reply }) => reply !== null);
    if (asked && !(task.further && !good)) this.#failures = good ? 0 : this.#failures + 1;
    if (good) this.#owner.accepted(this.route);
    else this.#heed(result);
    this.#settle(client, task, message, { ...result, durationMs });
    if (result.recipients.every(({ outcome }) => outcome === "ok")) this.#dialogue?.wentWell();
    else this.#dialogue?.wentWrong(task.message);
    if (result.error === null && !result.exhausted && !this.#full) return true;
    this.#broke = result.error !== null;
    if (client.usable) await this.#quit(client);
    else this.#reportError(result.error!.message);
    return false;
  }

  /** Notices that the host blocks this server for now, before others are sent there. */
  #heed({ recipients }: TransactionResult): void {
    const blocked = recipients.find(({ outcome, reply, text }) =>
      outcome === "tempfail" && reply !== null && classifyText(text) === "reputation"
    );
    if (blocked === undefined) return;
    const ofServer = this.#sent === 0 || blocked.reply!.code === 421 || this.#failures >= MAX_BLOCKED_TRANSACTIONS;
    if (ofServer) this.#owner.blocked(this.route, this.#exchanger, blocked.text);
  }

  /** The host did not let the session begin: for whatever code that it said so, nothing was given back. */
  #refused(error: unknown): void {
    if (!(error instanceof ClientError)) return;
    const { message: text, reply } = error, replyClass = classifyText(text);
    learnFailure(this.route.host, { replyClass, text, at: this.#deps.clock.steady() });
    if (reply !== null && replyClass === "reputation") {
      this.#owner.blocked(this.route, this.#exchanger, text, this.#failure ?? undefined);
    }
  }

  /** Returns why a message with REQUIRETLS must not go by this session, with what the host said to STARTTLS; null when it may. */
  #requireTlsObstacle({ requireTlsObstacle: obstacle }: Client): string | null {
    return obstacle === null || this.#handshake.tlsFailure === null
      ? obstacle
      : `${obstacle} (TLS failed: ${this.#handshake.tlsFailure.message})`;
  }

  /** A host that takes no mail in clear may take it when TLS works again: its 530 (RFC 3207 §4) is final only where TLS did not fail. */
  #worthTls(result: RecipientResult): RecipientResult {
    if (this.#handshake.tlsFailure === null || result.reply?.code !== 530) return result;
    const text = `${result.text} (TLS failed: ${this.#handshake.tlsFailure.message})`;
    return { ...result, outcome: "tempfail", text, enhanced: "4.7.10" };
  }

  /** Recipients that need not wait are tried at once, here or by the next exchanger. Returns them; the others are to be settled. */
  #goOn(task: Task, envelopes: Message["envelopes"], { recipients, error }: TransactionResult): Set<EnvelopeId> {
    const { putBack, elsewhere, full } = triedAgain(task, envelopes, recipients, this.#sent);
    this.#full = full;
    for (const one of putBack) this.#owner.putBack(one);
    const gone = putBack.flatMap(({ ids }) => ids);
    if (elsewhere !== null) {
      const reason = this.#reasonOf(error);
      if (this.#owner.moveOn(elsewhere, this.#exchanger, reason)) gone.push(...elsewhere.ids);
    }
    return new Set(gone);
  }

  /**
   * A smaller number than is known may be what was left of a limit of the session; that it is too large says only a refusal of the data, or
   * of a session that has sent nothing.
   */
  #learn({ rcptMax, recipients }: TransactionResult): void {
    const { host } = this.route;
    const now = this.#deps.clock.steady();
    const refused = this.#sent === 0 || recipients.some(({ again, stage }) => again === "here" && stage !== "RCPT");
    if (rcptMax !== null && (refused || rcptMax > (knownRcptMax(host, now) ?? 0))) {
      learnRcptMax(host, { most: rcptMax, now });
    }
  }

  #reasonOf(error: unknown, step?: string): Reason {
    const { port } = this.#owner.target;
    const code = error instanceof ClientError && error.reply !== null ? { code: error.reply.code } : {};
    const attempt = { ...this.#attempted, session: this.id, ...code };
    return { ...reasonOfError(error, this.#remote, port, step), attempt };
  }

  /** Where it goes, for the history. */
  get #attempted(): Pick<AttemptDetail, "method" | "host" | "address" | "port"> {
    const { port, lmtp } = this.#owner.target;
    return { method: lmtp ? "lmtp" : "smtp", ...this.#remote, port };
  }

  #settle(
    client: Client,
    whole: Task,
    { envelopes, body }: Message,
    result: TransactionResult & { readonly durationMs: number },
  ): void {
    const { address } = this.#exchanger;
    this.#learn(result);
    const failed = result.recipients.findLast(({ outcome, reply }) => outcome !== "ok" && reply !== null);
    if (failed !== undefined) {
      const { text } = failed;
      learnFailure(this.route.host, { replyClass: classifyText(text), text, at: this.#deps.clock.steady() });
    }
    const again = this.#goOn(whole, envelopes, result);
    const task = without(whole, again);
    const message = { body, envelopes: envelopes.filter(({ id }) => !again.has(id)) };
    const settled = result.recipients.filter((_, at) => !again.has(envelopes[at]!.id));
    this.#deps.reporter.settle(task, message, settled.map((one) => this.#worthTls(one)), {
      session: this.id,
      source: client.localAddress || "-",
      relay: `${address} (${this.route.host.name || address})`,
      remote: this.#exchanger.host,
      relaysDsn: client.capabilities.dsn,
      domain: this.#owner.target.domain,
      attempt: { ...this.#attempted, source: client.localAddress, tls: client.tls, durationMs: result.durationMs },
    });
  }

  /** Resolves when there is work, or to null when the session has waited long enough. */
  #wait(client: Client): Promise<Task | null> {
    return new Promise((resolve) => {
      const { clock } = this.#deps;
      const keepalive = this.#owner.limits.sessionKeepalive * 1000;
      const giveUp = () => this.#wake?.(null);
      const cancelShort = clock.after(
        Math.min(SHORT_KEEPALIVE_MS, keepalive),
        () => this.#owner.hasOthers() && giveUp(),
      );
      const cancelLong = clock.after(keepalive, giveUp);
      this.#wake = (task) => {
        this.#wake = null;
        cancelShort();
        cancelLong();
        client.onclosed = () => {};
        if (task === null) this.#owner.leaving(this);
        resolve(task);
      };
      client.onclosed = giveUp;
      this.#owner.idle(this);
    });
  }

  // ── log ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #log(text: string): void {
    this.#deps.observer.emit({ type: "log", level: "info", text: `${this.id} mta ${text}` });
  }

  #reportError(reason: string): void {
    const { emit } = this.#deps.observer;
    if (this.#sent === 0) return emit({ type: "relay-error", session: this.id, reason });
    const count = `${this.#sent} message${this.#sent === 1 ? "" : "s"}`;
    const text = `smtp-out: Error on session ${this.id} after ${count} sent: ${reason}`;
    emit({ type: "log", level: "info", text });
  }

  #reportGone(): void {
    const reason = "closed by remote host";
    this.#deps.observer.emit({ type: "relay-disconnected", session: this.id, reason, messages: this.#sent });
  }
}
