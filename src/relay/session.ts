/**
 * One connection to one host, from connect to quit: gets ready, takes task after task from its relay, waits a while, leaves. Longer than other
 * files, because its steps share the state of the connection.
 */

import type { RelayLimits } from "../config/mod.ts";
import { type EnvelopeId, newSessionId } from "../envelope/mod.ts";
import { debug, logTrace, type Observer } from "../events/mod.ts";
import type { Credentials, SharedSettings } from "../protocol/mod.ts";
import {
  type Client,
  ClientError,
  connectClient,
  type RecipientResult,
  type Reply,
  type Timeouts,
  type TlsOptions,
  type TransactionResult,
} from "../smtp_client/mod.ts";
import { triedAgain } from "./again.ts";
import type { Clock } from "../clock.ts";
import { DeliveryReporter } from "./delivery_reporter.ts";
import type { RelayFilters } from "./filters.ts";
import type { Message } from "./messages.ts";
import type { Exchanger } from "./mx.ts";
import type { SessionReports } from "./reports.ts";
import { type Reason, reasonOfError, type Remote } from "./reason.ts";
import { unheard } from "./result.ts";
import { type Host, knownRcptMax, learnRcptMax, type Route } from "./routes.ts";
import { isNamed, shownLabel, type Target } from "./target.ts";
import { partOf, type Task, without } from "./tasks.ts";

/** What a session needs of the house. */
export interface SessionTools {
  readonly shared: SharedSettings;
  readonly clock: Clock;
  /** The log, and who wants to know more than it tells. */
  readonly observer: Observer;
  readonly reporter: DeliveryReporter;
  readonly timeouts: Timeouts;
  /** What TLS needs besides a name and whether to verify: keys, roots, versions of the action. */
  tlsOptions(target: Target): Omit<TlsOptions, "serverName" | "verify">;
  /** The secret of the target's label, or why there is none. Asked for each connection: it may change, and nobody keeps it. */
  credentials(target: Target): Promise<Credentials | string>;
  /** Name of an address for the log, "" when it is not known soon. */
  hostName(host: Host): Promise<string>;
  /** True for a name that only this host answers EHLO with. */
  isSelf(name: string): boolean;
  /** What filters of the action are told; without it there are none. */
  readonly filters?: RelayFilters;
}

/** Its relay, as a session sees it. */
export interface SessionOwner {
  readonly target: Target;
  readonly limits: RelayLimits;
  /** The next task, or null when there is none now. */
  next(): Task | null;
  /** The session is ready for mail for the first time. */
  ready(session: Session): void;
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
  /** Are there other sessions of this relay? */
  crowded(): boolean;
  ended(session: Session, ending: Ending): void;
}

/** How a session ended. */
export interface Ending {
  /** It was ready for mail at some time. */
  readonly ready: boolean;
  /** Full term: it sent as many messages as one session may, and went well. */
  readonly fullTerm: boolean;
  /** Messages that went to someone. */
  readonly sent: number;
  /** The host ended it in the middle of a transaction. */
  readonly broke: boolean;
  /** Messages in a row that the host refused, when they are so many that it should be left alone; else 0. */
  readonly refused: number;
  /** The host is this one, by its answer to EHLO. */
  readonly loops: boolean;
  /** Why it did not get ready; null when it did. Other messages are told of it, so that it never has a reply to a transaction. */
  readonly failure: Reason | null;
  readonly remote: Remote;
}

/** Transactions in a row without success after which the host is left alone. */
const HOPELESS = 10;
/** How long an idle session waits when its relay has others, in ms. */
const CROWDED_MS = 1_000;

export class Session {
  readonly id: string = newSessionId();
  readonly route: Route;
  readonly #exchanger: Exchanger;
  readonly #owner: SessionOwner;
  readonly #tools: SessionTools;
  #client: Client | null = null;
  #reports: SessionReports | null = null;
  /** Why the session is in clear though the host offered TLS. */
  #tlsFailure: TlsFailure | null = null;
  #ready = false;
  /** How far getting ready has come, as a reason tells it. */
  #step = "";
  #stopping = false;
  /** Transactions tried, and messages that went to someone. */
  #tried = 0;
  #sent = 0;
  #failures = 0;
  #rejects = false;
  #loops = false;
  #broke = false;
  /** The host takes no more in this session. */
  #full = false;
  #failure: Reason | null = null;
  #wake: ((task: Task | null) => void) | null = null;

  constructor(owner: SessionOwner, route: Route, exchanger: Exchanger, tools: SessionTools) {
    this.#owner = owner;
    this.route = route;
    this.#exchanger = exchanger;
    this.#tools = tools;
  }

  get #remote(): Remote {
    const { host, address } = this.#exchanger;
    return { host, address };
  }

  get isReady(): boolean {
    return this.#ready;
  }

  /** Runs to its end. Never rejects. */
  async run(): Promise<void> {
    try {
      this.#client = await this.#connect();
      this.#ready = true;
      this.#owner.ready(this);
      const obstacle = this.#owner.target.requireTls ? this.#requireTlsObstacle(this.#client) : null;
      if (obstacle === null) await this.#serve(this.#client);
      else {
        this.#owner.unsuited(this.#exchanger, obstacle);
        await this.#quit(this.#client);
      }
    } catch (error) {
      this.#client?.close();
      if (!this.#ready) this.#failure = reasonOfError(error, this.#remote, this.#owner.target.port, this.#step);
      this.#reportError(error instanceof ClientError ? error.message : String(error));
    }
    this.#reports?.closed();
    const fullTerm = this.#full || (this.#tried >= this.#mailMax() && this.#failures === 0);
    this.#owner.ended(this, {
      ready: this.#ready,
      fullTerm,
      sent: this.#sent,
      broke: this.#broke,
      refused: this.#rejects ? this.#failures : 0,
      loops: this.#loops,
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
    if (!this.#ready) this.#client?.close();
  }

  // ── getting ready ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #connect(): Promise<Client> {
    const { target } = this.#owner;
    try {
      return await this.#establish(target.tls !== "never");
    } catch (error) {
      if (!(error instanceof ClientError && error.kind === "tls") || target.tls !== "opportunistic") throw error;
      // Better in clear than not at all, where nobody asked for more: once more to the same host.
      this.#log(`closing reason=tls-failure: ${error.message}`);
      this.#reports?.closed();
      this.#tlsFailure = error;
      return await this.#establish(false);
    }
  }

  async #establish(mayTls: boolean): Promise<Client> {
    const { target, limits } = this.#owner;
    const { timeouts, shared: shared, observer } = this.#tools;
    const trace = (direction: string, line: string) => logTrace(observer, "mta", `${this.id}: ${direction} ${line}`);
    const count = (what: string, bytes: number) => logTrace(observer, "io", `${this.id}: ${what} ${bytes} bytes`);
    const { address } = this.#exchanger;
    const host = await this.#tools.hostName(this.route.host);
    const shown = address.includes(":") ? `[${address}]` : address;
    observer.emit({
      type: "mta-connecting",
      session: this.id,
      address: `${target.scheme}://${shown}:${target.port}`,
      host,
    });
    const reports = this.#tools.filters?.session(target.action.name, this.id, target.lmtp) ?? null;
    const client = await connectClient({
      witness: reports ?? undefined,
      to: { host: address, port: target.port },
      ...(target.source === null ? {} : { localAddress: target.source.address }),
      timeouts,
      lmtp: target.lmtp,
      maxRefusals: limits.maxFailuresPerSession,
      ...(target.tls === "implicit" ? { tls: this.#tlsOptions() } : {}),
      get trace() {
        return observer.traces("mta") ? trace : undefined;
      },
      get count() {
        return observer.traces("io") ? count : undefined;
      },
    });
    this.#client = client;
    if (this.#stopping) throw new ClientError("closed", "Shutting down");
    observer.emit({ type: "mta-connected", session: this.id });
    this.#reports = reports;
    reports?.connected(host, endpoint(client.localAddress, client.localPort), endpoint(address, target.port));
    try {
      if (client.tls !== null) this.#reportTls(client);
      await this.#hello(client, target.source?.helo ?? target.action.helo ?? shared.serverName, mayTls);
      return client;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  async #hello(client: Client, name: string, mayTls: boolean): Promise<void> {
    const { target } = this.#owner;
    const starts = mayTls && target.tls !== "implicit";
    this.#step = "at the greeting";
    await client.greeting();
    this.#step = target.lmtp ? "at LHLO" : "at EHLO";
    const { startTls } = await client.hello(name, target.tls !== "mandatory" && target.label === "");
    // RFC 5321 §6.3 leaves it to us how loops are found. A host that the administrator named may be this one.
    if (!isNamed(target) && this.#tools.isSelf(client.peerName)) {
      this.#loops = true;
      throw new ClientError("refused", "It answers EHLO with a name of this host");
    }
    if (starts && startTls) await this.#startTls(client, name);
    else if (target.tls === "mandatory") {
      throw new ClientError("refused", "TLS required but not supported by remote host");
    }
    if (target.label !== "") await this.#authenticate(client);
  }

  async #authenticate(client: Client): Promise<void> {
    const credentials = await this.#tools.credentials(this.#owner.target);
    if (typeof credentials === "string") throw new ClientError("refused", credentials);
    this.#reports?.user(credentials.user);
    this.#step = `at our login with the label ${shownLabel(this.#owner.target)}`;
    await client.authenticate(credentials.user, credentials.password);
  }

  async #startTls(client: Client, name: string): Promise<void> {
    try {
      this.#step = "at STARTTLS";
      await client.startTls(this.#tlsOptions());
      this.#step = "at EHLO under TLS";
    } catch (error) {
      const { reply = null } = error instanceof ClientError ? error : {};
      const failure = new TlsFailure((error as Error).message, reply);
      if (reply === null || reply.code === 421 || this.#owner.target.tls !== "opportunistic") throw failure;
      // Refused before it began: an opportunist goes on in clear, where the host still listens.
      this.#tlsFailure = failure;
      await client.hello(name).catch(() => {
        throw failure;
      });
      return;
    }
    this.#reportTls(client);
    try {
      await client.hello(name);
    } catch (error) {
      // With TLS 1.3 a server finds out only now that it does not like the client (RFC 8446 §4.4.2.4).
      if (error instanceof ClientError && error.kind !== "refused") throw new TlsFailure(error.message, error.reply);
      throw error;
    }
  }

  #tlsOptions(): TlsOptions {
    const { target } = this.#owner;
    return { ...this.#tools.tlsOptions(target), serverName: this.#exchanger.host, verify: target.verify };
  }

  // ── mail ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #serve(client: Client): Promise<void> {
    for (;;) {
      if (!client.usable) return this.#reportGone();
      if (this.#reports !== null) await this.#tools.filters?.held;
      const task = this.#stopping ? null : this.#owner.next() ?? await this.#wait(client);
      if (task === null) break;
      if (!client.usable) {
        this.#owner.putBack(task);
        return this.#reportGone();
      }
      if (!await this.#deliver(client, task)) return;
      if (this.#failures >= HOPELESS) {
        this.#rejects = true;
        this.#log("host-rejects-all-mails");
        break;
      }
      if (this.#tried >= this.#mailMax()) break;
      const pause = this.#owner.limits.sessionTransactionDelay;
      if (pause > 0) await new Promise<void>((resolve) => this.#tools.clock.after(pause * 1000, resolve));
    }
    if (!client.usable) return this.#reportGone();
    await this.#quit(client);
  }

  async #quit(client: Client): Promise<void> {
    await client.quit();
    this.#tools.observer.emit({ type: "mta-disconnected", session: this.id, reason: "quit", messages: this.#sent });
  }

  /** Messages that one session may carry: our limit, or that of the server (RFC 9422 §4.1). */
  #mailMax(): number {
    return Math.min(this.#owner.limits.sessionMailMax, this.#client?.capabilities.mailMax ?? Infinity);
  }

  /** Recipients of one transaction: what the host says (RFC 9422 §4.2), or what it took when it was asked for more. */
  #rcptMax({ capabilities }: Client): number | null {
    const learnt = knownRcptMax(this.route.host, this.#tools.clock.steady());
    return learnt === null ? capabilities.rcptMax : Math.min(learnt, capabilities.rcptMax ?? Infinity);
  }

  /** True when the session can go on. */
  async #deliver(client: Client, whole: Task): Promise<boolean> {
    const { reporter } = this.#tools;
    const { part: task, rest } = partOf(whole, this.#rcptMax(client));
    if (rest !== null) this.#owner.putBack(rest);
    try {
      const message = await reporter.open(task);
      if (message === null) return true;
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
    const { reporter, observer } = this.#tools;
    if (observer.verbose) {
      const rcpts = `${message.envelopes.length} envelope${message.envelopes.length === 1 ? "" : "s"}`;
      debug(observer, `mta: ${this.id}: attempt for message ${task.message}, ${rcpts}, ${message.body.bytes} bytes`);
    }
    const transaction = reporter.transaction(message, this.#owner.target.action);
    this.#reports?.begin({
      message: task.message,
      bytes: message.body.bytes,
      envelopes: message.envelopes.map(({ id }, at) => ({ id, address: transaction.recipients[at]!.address })),
    });
    let result = await client.transaction(transaction);
    this.#tried++;
    if (result.error !== null && !result.heard && this.#tried > 1) {
      if (!task.afterDeadConnection) {
        // The server had left while we were not looking (the connection was idle or at its limit): nothing has been said yet.
        this.#owner.putBack({ ...task, afterDeadConnection: true });
        this.#reportGone();
        return false;
      }
      result = unheard(result);
    }
    const good = result.recipients.some(({ verdict }) => verdict === "ok");
    if (good) this.#sent++;
    // What the host was not asked about says nothing of it.
    const asked = result.error !== null || result.recipients.some(({ reply }) => reply !== null);
    if (asked && !(task.further && !good)) this.#failures = good ? 0 : this.#failures + 1;
    this.#settle(client, task, message, result);
    if (result.error === null && !result.exhausted && !this.#full) return true;
    this.#broke = result.error !== null;
    if (client.usable) await this.#quit(client);
    else this.#reportError(result.error!.message);
    return false;
  }

  /** Why a message with REQUIRETLS must not go by this session, with what the host said to STARTTLS; null when it may. */
  #requireTlsObstacle({ requireTlsObstacle: obstacle }: Client): string | null {
    return obstacle === null || this.#tlsFailure === null
      ? obstacle
      : `${obstacle} (TLS failed: ${this.#tlsFailure.message})`;
  }

  /** A host that takes no mail in clear may take it when TLS works again: its 530 (RFC 3207 §4) is final only where TLS did not fail. */
  #worthTls(result: RecipientResult): RecipientResult {
    if (this.#tlsFailure === null || result.reply?.code !== 530) return result;
    const text = `${result.text} (TLS failed: ${this.#tlsFailure.message})`;
    return { ...result, verdict: "tempfail", text, enhanced: "4.7.10" };
  }

  /** Those who need not wait go on at once, here or by the next exchanger. Returns who they are; the others are to be settled. */
  #goOn(task: Task, envelopes: Message["envelopes"], { recipients, error }: TransactionResult): Set<EnvelopeId> {
    const { putBack, elsewhere, full } = triedAgain(task, envelopes, recipients, this.#sent);
    this.#full = full;
    for (const one of putBack) this.#owner.putBack(one);
    const gone = putBack.flatMap(({ ids }) => ids);
    if (elsewhere !== null) {
      const reason = reasonOfError(error, this.#remote, this.#owner.target.port);
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
    const now = this.#tools.clock.steady();
    const refused = this.#sent === 0 || recipients.some(({ again, stage }) => again === "here" && stage !== "RCPT");
    if (rcptMax !== null && (refused || rcptMax > (knownRcptMax(host, now) ?? 0))) learnRcptMax(host, rcptMax, now);
  }

  #settle(client: Client, whole: Task, { envelopes, body }: Message, result: TransactionResult): void {
    const { address } = this.#exchanger;
    this.#learn(result);
    const again = this.#goOn(whole, envelopes, result);
    const task = without(whole, again);
    const message = { body, envelopes: envelopes.filter(({ id }) => !again.has(id)) };
    const settled = result.recipients.filter((_, at) => !again.has(envelopes[at]!.id));
    this.#tools.reporter.settle(task, message, settled.map((one) => this.#worthTls(one)), {
      session: this.id,
      source: client.localAddress || "-",
      relay: `${address} (${this.route.host.name || address})`,
      remote: this.#exchanger.host,
      relaysDsn: client.capabilities.dsn,
      domain: this.#owner.target.domain,
    });
  }

  /** Until there is work, or it has waited long enough (null). */
  #wait(client: Client): Promise<Task | null> {
    return new Promise((resolve) => {
      const { clock } = this.#tools;
      const keepalive = this.#owner.limits.sessionKeepalive * 1000;
      const giveUp = () => this.#wake?.(null);
      const crowded = clock.after(Math.min(CROWDED_MS, keepalive), () => this.#owner.crowded() && giveUp());
      const patience = clock.after(keepalive, giveUp);
      this.#wake = (task) => {
        this.#wake = null;
        crowded();
        patience();
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
    this.#tools.observer.emit({ type: "log", level: "info", text: `${this.id} mta ${text}` });
  }

  #reportTls(client: Client): void {
    const { ciphers, verified, fingerprint } = client.tls!;
    this.#reports?.secured(ciphers);
    this.#tools.observer.emit({ type: "mta-tls", session: this.id, ciphers });
    if (fingerprint === "") return;
    const result = verified ? "valid" : "unverified";
    this.#tools.observer.emit({ type: "mta-cert-check", session: this.id, result, fingerprint });
  }

  #reportError(reason: string): void {
    const { emit: emit } = this.#tools.observer;
    if (this.#sent === 0) return emit({ type: "mta-error", session: this.id, reason });
    const count = `${this.#sent} message${this.#sent === 1 ? "" : "s"}`;
    emit({
      type: "log",
      level: "info",
      text: `smtp-out: Error on session ${this.id} after ${count} sent: ${reason}`,
    });
  }

  #reportGone(): void {
    const reason = "closed by remote host";
    this.#tools.observer.emit({ type: "mta-disconnected", session: this.id, reason, messages: this.#sent });
  }
}

/** `ip:port`, `[ip6]:port`. */
function endpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** STARTTLS was offered and then failed, or was refused with this reply. */
class TlsFailure extends ClientError {
  constructor(message: string, reply: Reply | null) {
    super("tls", message, reply);
  }
}
