/** Between the queue and a session: opens the message of a task, makes a transaction of it, and sends outcomes to queue and log. */

import { BoundedMap } from "../bounded_map.ts";
import type { RelayAction } from "../config/mod.ts";
import { type Envelope, type EnvelopeId, formatMailbox, type Outcome } from "../envelope/mod.ts";
import type { SrsKeys } from "../mac/mod.ts";
import type { AttemptDetail, Observer } from "../events/mod.ts";
import type { RecipientResult, Transaction } from "../smtp_client/mod.ts";
import { classifyText } from "../reply_class/mod.ts";
import type { QueueClient } from "../queue_client/mod.ts";
import { type Message, Messages } from "./session/messages.ts";
import type { Reason } from "./reason.ts";
import { failureOutcome, outcomeOf } from "./session/result.ts";
import { relayedSender } from "./routes/sender.ts";
import { type Task, without } from "./tasks.ts";

/** The session and host that dealt with the message, for the log. */
export interface RelayHop {
  readonly session: string;
  /** Local address, "-" for none. */
  readonly source: string;
  /** `IP (PTR)`, or the domain when it never came to a connection. */
  readonly relay: string;
  /** Its name, for DSNs; absent when it never came to a connection. */
  readonly remote?: string;
  readonly relaysDsn: boolean;
  readonly domain: string;
  /** For the history; absent where nothing was tried. */
  readonly attempt?: Omit<AttemptDetail, "tries" | "status">;
}

/** What the administrator sees of a destination. */
export interface HostStatus {
  /** ms since the epoch. */
  readonly at: number;
  readonly status: string;
}

/** Domains whose last status is remembered. */
const MAX_STATUS_DOMAINS = 10_000;

export class DeliveryReporter {
  /** Last status of each destination domain, the latest last. */
  readonly statuses: Map<string, HostStatus> = new BoundedMap(MAX_STATUS_DOMAINS);
  /** An envelope of this domain waits because the host blocks this server. */
  onblocked: (domain: string, id: EnvelopeId) => void = () => {};
  /** A recipient of this domain was accepted. */
  onaccepted: (domain: string) => void = () => {};
  readonly #queue: QueueClient;
  readonly #messages: Messages;
  readonly #observer: Pick<Observer, "emit" | "recording">;
  readonly #now: () => number;
  /** Called with the ids of a task that are settled or gone. */
  readonly #done: (ids: readonly EnvelopeId[]) => void;

  /** For actions that rewrite senders. */
  srs: SrsKeys | null;

  /** `now` returns ms since the epoch. `srs` is for actions that rewrite senders. */
  constructor(
    queue: QueueClient,
    observer: Pick<Observer, "emit" | "recording">,
    now: () => number,
    done: (ids: readonly EnvelopeId[]) => void,
    srs: SrsKeys | null = null,
  ) {
    this.srs = srs;
    this.#queue = queue;
    this.#messages = new Messages(queue);
    this.#observer = observer;
    this.#now = now;
    this.#done = done;
  }

  /** Opens the message of a task. Resolves to null when there is nothing to send: all is settled then. */
  async open(task: Task): Promise<Message | null> {
    const opened = await this.#messages.open(task);
    if (typeof opened === "string") {
      this.abandon(task, opened);
      return null;
    }
    if (opened.envelopes.length > 0) return opened;
    // Removed while it waited.
    this.#done(task.ids);
    return null;
  }

  /** Settles a task about which nothing but its ids is known as a temporary failure, for the reason `text`. `cause` is for the log alone. */
  abandon(task: Task, text: string, cause?: unknown): void {
    const detail = cause === undefined ? "" : ` (${cause})`;
    this.#observer.emit({ type: "log", level: "warn", text: `warn: relay: Message ${task.message}: ${text}${detail}` });
    for (const id of task.ids) this.#queue.settle(id, failureOutcome("tempfail", { text, enhanced: "4.3.0" }));
    this.#done(task.ids);
  }

  /** Returns what the client is to send. The sender and what it asks for are those of the first envelope: they belong to the message. */
  transaction({ envelopes, body }: Message, action: RelayAction): Transaction {
    const { dsn, handling } = envelopes[0]!;
    return {
      ...(handling === undefined ? {} : { handling }),
      sender: relayedSender(envelopes[0]!, action, this.srs, this.#now()),
      ret: dsn.ret,
      envid: dsn.envid,
      recipients: envelopes.map(({ dest, dsn }) => ({
        address: formatMailbox(dest),
        notify: dsn.notify,
        orcpt: dsn.orcpt,
      })),
      body,
    };
  }

  /** Parts those off that must not share the transaction of the first recipient: SRS gives mail that was forwarded another sender. */
  partBySender(
    task: Task,
    message: Message,
    action: RelayAction,
  ): { task: Task; message: Message; apart: Task | null } {
    const { envelopes } = message;
    const now = this.#now();
    const senders = action.srs ? envelopes.map((envelope) => relayedSender(envelope, action, this.srs, now)) : [];
    const other = new Set(envelopes.flatMap(({ id }, at) => senders[at] === senders[0] ? [] : [id]));
    if (other.size === 0) return { task, message, apart: null };
    return {
      task: without(task, other),
      message: { ...message, envelopes: envelopes.filter(({ id }) => !other.has(id)) },
      apart: { ...task, ids: [...other], further: true },
    };
  }

  /** Settles the envelopes of a message; `results` are those of its recipients, in their order. */
  settle(task: Task, { envelopes }: Message, results: readonly RecipientResult[], hop: RelayHop): void {
    const outcomes = results.map((result) => outcomeOf(result, hop));
    envelopes.forEach((envelope, index) => this.#settle(envelope, outcomes[index]!, hop, results[index]));
    if (outcomes.some(({ result }) => result === "ok")) this.onaccepted(hop.domain);
    this.#done(task.ids);
  }

  /** Settles all envelopes of a task with one result, for one reason. */
  async fail(task: Task, result: "tempfail" | "permfail", reason: Reason, domain: string): Promise<void> {
    const message = await this.open(task);
    if (message === null) return;
    const { remote, attempt } = reason;
    const relay = remote === undefined ? domain : `${remote.address} (${remote.host})`;
    const hop: RelayHop = {
      session: "0000000000000000",
      source: "-",
      relay,
      relaysDsn: false,
      domain,
      ...(attempt === undefined ? {} : { attempt }),
    };
    for (const envelope of message.envelopes) this.#settle(envelope, failureOutcome(result, reason), hop);
    this.#done(task.ids);
  }

  #settle(envelope: Envelope, outcome: Outcome, hop: RelayHop, result: RecipientResult | null = null): void {
    this.#queue.settle(envelope.id, outcome);
    this.#remember(hop.domain, outcome.text);
    const blocked = outcome.result === "tempfail" && classifyText(outcome.text) === "reputation";
    if (blocked) this.onblocked(hop.domain, envelope.id);
    this.#observer.emit({
      type: "delivery",
      agent: "mta",
      session: hop.session,
      envelope: envelope.id,
      from: envelope.sender,
      to: envelope.dest,
      rcpt: envelope.rcpt,
      delayMs: Math.max(0, this.#now() - envelope.createdAt),
      outcome: outcome.result,
      stat: outcome.text,
      source: hop.source,
      relay: hop.relay,
      ...(envelope.accepted === undefined ? {} : { accepted: envelope.accepted }),
      ...(this.#observer.recording === true ? { detail: attemptDetail(envelope, outcome, hop, result) } : {}),
    });
  }

  #remember(domain: string, status: string): void {
    this.statuses.set(domain, { at: this.#now(), status });
  }
}

/** What the history is told of an attempt; `result` is that of the recipient, null where no transaction was begun. */
function attemptDetail(
  { tries }: Envelope,
  outcome: Outcome,
  { attempt = { method: "smtp" } }: RelayHop,
  result: RecipientResult | null,
): AttemptDetail {
  const code = result?.reply?.code;
  return {
    ...attempt,
    ...(code !== undefined && code >= 200 ? { code } : {}),
    ...(result === null ? {} : { stage: result.stage }),
    ...(outcome.result === "ok" ? {} : { status: outcome.status }),
    tries: tries + 1,
  };
}
