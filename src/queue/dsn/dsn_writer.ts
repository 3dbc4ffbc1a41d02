/**
 * Writes the DSNs that envelopes of agent "bounce" ask for. A DSN is ordinary mail with a null sender: see Notices for where it goes, and how it is
 * enqueued in the transaction that takes those envelopes away.
 */

import {
  type Envelope,
  type EnvelopeContent,
  type EnvelopeId,
  formatPath,
  type Handling,
  hex8,
  isAscii,
  type Mailbox,
  type MessageId,
  type MessageNumber,
  messageNumber,
  messageOf,
  NO_DSN,
  random32,
  type Routed,
  rowOf,
} from "../../envelope/mod.ts";
import { type DsnEvent, logTrace, MAX_LISTED_PARTS, systemReason } from "../../events/mod.ts";
import type { Expansion } from "../../protocol/mod.ts";
import { composeDsn, headerSection } from "./compose.ts";
import { Damaged } from "../store/records.ts";
import { localOrigin, newBoundary, type NoticeOrder, type Notices } from "../notices.ts";
import type { QueueState } from "../queue_state.ts";
import { errorLine } from "../disposition.ts";
import { listedEnvelopes } from "../recorded.ts";

/** A complete original above this is returned as its headers only. */
const MAX_RETURNED_OCTETS = 4 * 1024 * 1024;
/** Headers of the original that are returned at most. */
const MAX_RETURNED_HEADER_OCTETS = 256 * 1024;

type Expanded = Extract<Expansion, { ok: true }>;

export class DsnWriter {
  readonly #queue: QueueState;
  readonly #notices: Notices;
  /** Being written now: a scheduler that was replaced asks for them again. */
  readonly #busy = new Set<EnvelopeId>();

  constructor(queue: QueueState, notices: Notices) {
    this.#queue = queue;
    this.#notices = notices;
  }

  /**
   * Writes the DSNs that these envelopes of one message ask for, one per kind, and settles the envelopes. Rejects when the database fails; where
   * only a DSN cannot be written now, its envelopes are tried again.
   */
  async write(ids: readonly EnvelopeId[]): Promise<void> {
    const groups = new Map<string, Envelope[]>();
    for (const id of ids) {
      if (this.#busy.has(id)) continue;
      const envelope = this.#queue.envelope(id);
      if (envelope?.bounce === undefined) {
        this.#queue.dropped([id]);
        continue;
      }
      const { kind, expired = false, delaySeconds = "" } = envelope.bounce;
      const key = `${kind} ${expired} ${delaySeconds} ${envelope.origin.smtpname}`;
      const group = groups.get(key);
      if (group === undefined) groups.set(key, [envelope]);
      else group.push(envelope);
    }
    await Promise.all([...groups.values()].map((group) => this.#writeOne(group)));
  }

  async #writeOne(group: readonly Envelope[]): Promise<void> {
    for (const { id } of group) this.#busy.add(id);
    try {
      await this.#notices.withId((message) => this.#writeAs(message, group));
    } catch (error) {
      this.#again(group, systemReason(error));
    }
  }

  async #writeAs(message: MessageId, group: readonly Envelope[]): Promise<void> {
    const { origin, sender } = group[0]!;
    if (sender === null) return this.#drop(group, "no return path");
    const order = { message, sender: null, rcpt: sender, origin: localOrigin(origin.smtpname) };
    const expansion = await this.#notices.expand(order);
    if (!expansion.ok && expansion.code >= 500) return this.#drop(group, `${expansion.code} ${expansion.text}`);
    if (!expansion.ok) return this.#again(group, `${expansion.code} ${expansion.text}`);
    if (expansion.targets.length === 0) return this.#drop(group, "its address leads nowhere");
    await this.#enqueue(group, order, expansion);
  }

  async #enqueue(group: readonly Envelope[], order: NoticeOrder, { targets, grant, routed }: Expanded): Promise<void> {
    const queue = this.#queue, { store } = queue;
    const { message } = order, original = messageNumber(group[0]!.id);
    const text = await this.#compose(group, message);
    const handling = dsnHandling(group[0]!);
    const envelopes = this.#notices.envelopes(order, targets, { dsn: NO_DSN, handling });
    let erase = false;
    await this.#notices.enqueue({ message, text, grant, envelopes }, {
      claim: () => {
        // The administrator may have removed them meanwhile.
        const found = group.filter((each) => store.removeEnvelope(rowOf(each.id))).length > 0;
        erase = found && store.sweep(original);
        return found;
      },
      done: (written) => {
        for (const each of group) {
          queue.recent.removeEnvelope(rowOf(each.id));
          queue.settled(each.id, { again: false });
        }
        if (erase) queue.erase(original);
        this.#free(group);
        if (!written) return;
        queue.tally.add("bounce.message");
        queue.tally.add("bounce.envelope", group.length);
        if (queue.observer.traces("bounce")) traceWritten(queue, group, message);
        logWritten(queue, group, envelopes);
        if (queue.observer.recording === true) {
          queue.emit(writtenEvent(group, envelopes, { to: order.rcpt, bytes: text.length, routed }));
        }
      },
      failed: () => {
        for (const each of group) queue.settled(each.id, { again: true });
        this.#free(group);
      },
    });
  }

  async #compose(group: readonly Envelope[], id: MessageId): Promise<Uint8Array<ArrayBuffer>> {
    const { bounce, sender, origin, dsn, handling } = group[0]!;
    const { kind, delaySeconds = 0, ttlSeconds } = bounce!;
    const number = messageNumber(group[0]!.id);
    // RFC 8689 §5: what was to go by TLS alone is not sent back whole.
    const complete = kind === "failed" && dsn.ret === "FULL" && !handling?.requireTls &&
      (this.#queue.store.message(number)?.bytes ?? Infinity) <= MAX_RETURNED_OCTETS;
    const original = await this.#original(number, complete ? MAX_RETURNED_OCTETS : MAX_RETURNED_HEADER_OCTETS);
    return composeDsn({
      kind,
      smtpname: origin.smtpname,
      to: sender!,
      recipients: group.map(({ dest, dsn, bounce }) => ({
        dest,
        orcpt: dsn.orcpt,
        text: bounce!.text,
        status: bounce!.status,
        remote: bounce!.remote ?? "",
      })),
      expired: bounce!.expired ?? false,
      envid: dsn.envid,
      delaySeconds,
      ttlSeconds,
      now: this.#queue.clock.now(),
      boundary: newBoundary(id),
      messageId: `${id}${hex8(random32())}`,
      original: complete ? original : headerSection(original),
      complete,
      ...(handling === undefined ? {} : { handling }),
    });
  }

  /** The first `limit` bytes of a message, of whole chunks; what cannot be read is left out. */
  async #original(message: MessageNumber, limit: number): Promise<Uint8Array> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (let index = 0; length < limit; index++) {
      let bytes: Uint8Array | null;
      try {
        bytes = await this.#queue.store.chunk(message, index);
      } catch (error) {
        // The failure is reported to the sender, if not with the sender's own text.
        if (!(error instanceof Damaged)) throw error;
        break;
      }
      if (bytes === null) break;
      parts.push(bytes);
      length += bytes.length;
    }
    if (parts.length === 1) return parts[0]!;
    const all = new Uint8Array(length);
    let at = 0;
    for (const bytes of parts) {
      all.set(bytes, at);
      at += bytes.length;
    }
    return all;
  }

  /** Temporary failure: the envelopes stay and are tried again. */
  #again(group: readonly Envelope[], text: string): void {
    const queue = this.#queue;
    if (queue.observer.traces("bounce")) {
      logTrace(queue.observer, "bounce", `notice for message ${messageOf(group[0]!.id)} has to wait: ${text}`);
    }
    const now = queue.clock.now();
    queue.commits.later({
      apply: () => {
        for (const each of group) {
          const state = { ...each, tries: each.tries + 1, lastTryAt: now, errorLine: errorLine(text) };
          queue.store.setState(rowOf(each.id), state);
        }
      },
      done: () => {
        for (const each of group) {
          const state = { tries: each.tries + 1, lastTryAt: now, errorLine: errorLine(text) };
          queue.recent.setState(rowOf(each.id), state);
          queue.settled(each.id, { again: true });
        }
        this.#free(group);
      },
      failed: null,
    });
  }

  /** The DSN can never be sent. */
  #drop(group: readonly Envelope[], reason: string): void {
    const queue = this.#queue;
    if (queue.observer.traces("bounce")) {
      logTrace(queue.observer, "bounce", `notice for message ${messageOf(group[0]!.id)} is dropped: ${reason}`);
    }
    let erase = false;
    const message = messageNumber(group[0]!.id);
    queue.commits.later({
      apply: () => {
        for (const each of group) queue.store.removeEnvelope(rowOf(each.id));
        erase = queue.store.sweep(message);
      },
      done: () => {
        for (const each of group) {
          queue.recent.removeEnvelope(rowOf(each.id));
          queue.settled(each.id, { again: false });
        }
        if (erase) queue.erase(message);
        this.#free(group);
        for (const { id, bounce, sender, dest } of group) {
          if (queue.observer.recording === true) {
            queue.emit({ type: "queue-dsn-dropped", envelope: id, reason: errorLine(reason) });
          }
          queue.warn(
            `queue: the ${bounce!.kind} notice for message ${messageOf(id)}, to ${formatPath(sender)} about ` +
              `${formatPath(dest)}, is dropped: ${errorLine(reason)}`,
          );
        }
      },
      failed: null,
    });
  }

  #free(group: readonly Envelope[]): void {
    for (const { id } of group) this.#busy.delete(id);
  }
}

/** One line for each recipient that a DSN is about: from the envelope that asked for it to those of the DSN. */
function logWritten(queue: QueueState, group: readonly Envelope[], written: readonly EnvelopeContent[]): void {
  const ids = written.map(({ id }) => id).join(",");
  for (const { bounce, sender, dest, id } of group) {
    queue.info(`queue: ${bounce!.kind} notice ${id} about ${formatPath(dest)} goes to ${formatPath(sender)} as ${ids}`);
  }
}

/** What the history is told of a notice that is on stable storage: what it is about, and what it is itself. */
function writtenEvent(
  group: readonly Envelope[],
  written: readonly EnvelopeContent[],
  { to, bytes, routed }: { readonly to: Mailbox; readonly bytes: number; readonly routed: Routed | undefined },
): DsnEvent {
  const about = group.slice(0, MAX_LISTED_PARTS);
  return {
    type: "queue-dsn-written",
    message: messageOf(group[0]!.id),
    requests: about.map(({ id }) => id),
    kind: group[0]!.bounce!.kind,
    rcpts: about.map(({ dest }) => dest),
    dsn: messageOf(written[0]!.id),
    to,
    bytes,
    envelopes: listedEnvelopes(written),
    ...(routed === undefined ? {} : { routed }),
  };
}

function traceWritten(queue: QueueState, group: readonly Envelope[], dsn: MessageId): void {
  const { id, bounce, sender } = group[0]!;
  const about = `${group.length} recipient${group.length === 1 ? "" : "s"} of message ${messageOf(id)}`;
  logTrace(
    queue.observer,
    "bounce",
    `${bounce!.kind} notice ${dsn} written to ${formatPath(sender)} about ${about}`,
  );
}

/** RFC 8689 §5: the DSN goes as the original had to. RFC 6533 §4: its `To` may be beyond ASCII. */
function dsnHandling({ handling, sender }: Envelope): Handling | undefined {
  if (handling === undefined) return undefined;
  const { utf8Header: _, ...others } = handling;
  return isAscii(formatPath(sender)) ? others : { ...others, smtpUtf8: true, utf8Header: true };
}
