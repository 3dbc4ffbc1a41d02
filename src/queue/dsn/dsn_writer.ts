/**
 * Writes the DSNs that envelopes of agent "bounce" ask for. A DSN is ordinary mail with a null sender: lookup says where it goes, and it is
 * enqueued in the transaction that takes those envelopes away, so that no crash loses or doubles it.
 */

import {
  type Deliverable,
  type Envelope,
  type EnvelopeContent,
  type EnvelopeId,
  envelopeNumber,
  formatPath,
  type Handling,
  hex8,
  isAscii,
  type Mailbox,
  type MessageId,
  type MessageNumber,
  messageNumber,
  messageOf,
  newEnvelopeId,
  NO_DSN,
  type Origin,
  random32,
  rowOf,
} from "../../envelope/mod.ts";
import { logTrace, systemReason } from "../../events/mod.ts";
import { type Caller } from "../../isolate/mod.ts";
import type { Expansion, FromLookup, ToLookup } from "../../protocol/mod.ts";
import { CHUNK_BYTES } from "../../protocol/smtp_queue.ts";
import { composeDsn, headerSection } from "./compose.ts";
import { freshEnvelope } from "../validate_envelope.ts";
import { Damaged } from "../store/records.ts";
import type { NoticeSigner } from "../notice_signer.ts";
import type { QueueState } from "../queue_state.ts";
import { errorLine } from "../disposition.ts";

/** A complete original above this is returned as its headers only. */
const MAX_RETURNED_OCTETS = 4 * 1024 * 1024;
/** Headers of the original that are returned at most. */
const MAX_RETURNED_HEADER_OCTETS = 256 * 1024;

/** What lookup is asked about a notice. */
interface Order {
  readonly message: MessageId;
  readonly sender: null;
  readonly rcpt: Mailbox;
  readonly origin: Origin;
}

type Expanded = Extract<Expansion, { ok: true }>;

export class DsnWriter {
  readonly #queue: QueueState;
  readonly #lookup: Caller<ToLookup, FromLookup>;
  readonly #signer: Pick<NoticeSigner, "sign">;
  /** Being written now: a scheduler that was replaced asks for them again. */
  readonly #busy = new Set<EnvelopeId>();
  #ids: MessageId[] = [];

  constructor(queue: QueueState, lookup: Caller<ToLookup, FromLookup>, signer: Pick<NoticeSigner, "sign">) {
    this.#signer = signer;
    this.#queue = queue;
    this.#lookup = lookup;
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
    const message = this.#newMessageId();
    let queued = false;
    try {
      const { origin, sender } = group[0]!;
      if (sender === null) return this.#drop(group, "no return path");
      const order = { message, sender: null, rcpt: sender, origin: localOrigin(origin.smtpname) };
      const expansion = await this.#expand(order);
      if (!expansion.ok && expansion.code >= 500) return this.#drop(group, `${expansion.code} ${expansion.text}`);
      if (!expansion.ok) return this.#again(group, `${expansion.code} ${expansion.text}`);
      if (expansion.targets.length === 0) return this.#drop(group, "its address leads nowhere");
      queued = this.#queue.ids.take(this, message);
      await this.#enqueue(group, order, expansion);
    } catch (error) {
      this.#again(group, systemReason(error));
    } finally {
      if (!queued) this.#ids.push(message);
    }
  }

  /** Where the notice goes. The envelopes of what smtp brings are checked like this too. */
  async #expand(order: Order): Promise<Expansion> {
    const { result } = await this.#lookup.ask<"expanded">({ type: "expand", tls: false, ...order });
    const sound = !result.ok || result.targets.every((target, index) => {
      return this.#queue.mac.verify({ ...order, ...target, internal: result.internal[index] ?? false }, target.mac);
    });
    if (sound) return result;
    throw new Error("lookup has not decided where it goes");
  }

  async #enqueue(group: readonly Envelope[], order: Order, { targets, grant }: Expanded): Promise<void> {
    const queue = this.#queue;
    const { store } = queue;
    const { message: id, origin, rcpt } = order;
    const number = messageNumber(id), original = messageNumber(group[0]!.id);
    const body = await this.#signer.sign(id, grant, await this.#compose(group, id));
    const handling = dsnHandling(group[0]!);
    const envelopes = makeEnvelopes({ message: id, origin, rcpt, handling }, targets, queue.clock.now());
    const chunks = Math.ceil(body.length / CHUNK_BYTES);
    const parts = await Promise.all(
      Array.from(
        { length: chunks },
        (_, i) => store.makeChunk(number, i, body.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)),
      ),
    );
    const rows = envelopes.map((content) => store.makeEnvelope(content));
    let written = false, erase = false;
    queue.commits.now({
      bytes: body.length,
      apply: () => {
        // The administrator may have removed them meanwhile.
        written = group.filter((each) => store.removeEnvelope(rowOf(each.id))).length > 0;
        if (!written) return;
        erase = store.sweep(original);
        store.addMessage(number, { bytes: body.length, chunks });
        for (const [i, part] of parts.entries()) store.putChunk(number, i, part);
        for (const row of rows) store.putEnvelope(row);
      },
      done: () => {
        for (const each of group) {
          queue.recent.removeEnvelope(rowOf(each.id));
          queue.settled(each.id, { again: false });
        }
        if (erase) queue.erase(original);
        this.#free(group);
        if (!written) return;
        const kept = new Map(envelopes.map((content) => [envelopeNumber(content.id), freshEnvelope(content)]));
        queue.recent.put(number, { bytes: body.length, chunks, first: body, envelopes: kept });
        for (const content of envelopes) queue.enqueued(content);
        queue.tally.add("bounce.message");
        queue.tally.add("bounce.envelope", group.length);
        if (queue.observer.traces("bounce")) traceWritten(queue, group, id);
        logWritten(queue, group, envelopes);
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
      boundary: `${id}/${hex8(random32())}${hex8(random32())}${hex8(random32())}`,
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

  #newMessageId(): MessageId {
    if (this.#ids.length === 0) this.#ids = this.#queue.ids.reserve(this);
    return this.#ids.pop()!;
  }
}

/** One line for each recipient that a DSN is about: from the envelope that asked for it to those of the DSN. */
function logWritten(queue: QueueState, group: readonly Envelope[], written: readonly EnvelopeContent[]): void {
  const ids = written.map(({ id }) => id).join(",");
  for (const { bounce, sender, dest, id } of group) {
    queue.info(`queue: ${bounce!.kind} notice ${id} about ${formatPath(dest)} goes to ${formatPath(sender)} as ${ids}`);
  }
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

/** The daemon itself as a client. */
function localOrigin(smtpname: string): Origin {
  return {
    address: "local",
    hostname: "localhost",
    helo: smtpname,
    smtpname,
    tag: "",
    username: "",
    authenticated: false,
  };
}

/** RFC 8689 §5: the DSN goes as the original had to. RFC 6533 §4: its `To` may be beyond ASCII. */
function dsnHandling({ handling, sender }: Envelope): Handling | undefined {
  if (handling === undefined) return undefined;
  const { utf8Header: _, ...others } = handling;
  return isAscii(formatPath(sender)) ? others : { ...others, smtpUtf8: true, utf8Header: true };
}

function makeEnvelopes(
  { message, origin, rcpt, handling }: {
    readonly message: MessageId;
    readonly origin: Origin;
    readonly rcpt: EnvelopeContent["rcpt"];
    readonly handling: Handling | undefined;
  },
  targets: readonly Deliverable[],
  createdAt: number,
): EnvelopeContent[] {
  const ids = new Set<EnvelopeId>();
  while (ids.size < targets.length) ids.add(newEnvelopeId(message));
  const asked = handling === undefined ? {} : { handling };
  const common = { sender: null, rcpt, origin, dsn: NO_DSN, internal: true, createdAt, ...asked };
  return [...ids].map((id, i) => {
    const target = targets[i]!;
    const { agent, action, dest } = target;
    const content = { ...common, id, agent, action, dest };
    if (target.agent === "mta") return content;
    return { ...content, user: target.user, subAddress: target.subAddress, exec: target.exec };
  });
}
