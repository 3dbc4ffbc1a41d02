/**
 * Mail that the daemon itself writes, DSNs and reports: lookup says where it goes, its signatures are made where it goes by an action with `dkim`, and
 * it is enqueued in the transaction that takes away what asked for it, so that no crash loses or doubles it.
 */

import {
  type Deliverable,
  type DsnParameters,
  type EnvelopeContent,
  type EnvelopeId,
  envelopeNumber,
  type Handling,
  hex8,
  type Mailbox,
  type MessageId,
  messageNumber,
  newEnvelopeId,
  type Origin,
  random32,
} from "../envelope/mod.ts";
import type { Caller } from "../isolate/mod.ts";
import type { Expansion, FromLookup, ToLookup } from "../protocol/mod.ts";
import { CHUNK_BYTES } from "../protocol/smtp_queue.ts";
import type { NoticeSigner } from "./notice_signer.ts";
import type { QueueState } from "./queue_state.ts";
import { freshEnvelope } from "./validate_envelope.ts";

/** What lookup is asked about a notice. */
export interface NoticeOrder {
  readonly message: MessageId;
  readonly sender: Mailbox | null;
  readonly rcpt: Mailbox;
  readonly origin: Origin;
}

/** A notice that is written. `grant` is that of its expansion; see NoticeSigner. */
export interface Notice {
  readonly message: MessageId;
  readonly text: Uint8Array<ArrayBuffer>;
  readonly grant: string | undefined;
  readonly envelopes: readonly EnvelopeContent[];
}

/** What its transaction takes away, and who is told of its end. */
export interface NoticeCommit {
  /** Within the transaction: takes away what asked for the notice. False when that is gone: then there is no notice. */
  claim(): boolean;
  /** `written`: what `claim` returned. */
  done(written: boolean): void;
  failed(error: unknown): void;
}

export class Notices {
  readonly #queue: QueueState;
  readonly #lookup: Caller<ToLookup, FromLookup>;
  readonly #signer: Pick<NoticeSigner, "sign">;
  /** Those that are free. */
  #ids: MessageId[] = [];
  /** Those of notices that are being written, and have been signed or stored. */
  readonly #taken = new Set<MessageId>();

  constructor(
    queue: QueueState,
    { lookup, signer }: {
      readonly lookup: Caller<ToLookup, FromLookup>;
      readonly signer: Pick<NoticeSigner, "sign">;
    },
  ) {
    this.#queue = queue;
    this.#lookup = lookup;
    this.#signer = signer;
  }

  /** Runs `write` with an id for a notice, which serves for another one if `write` ends without `enqueue`. */
  async withId<T>(write: (message: MessageId) => Promise<T>): Promise<T> {
    if (this.#ids.length === 0) this.#ids = this.#queue.ids.reserve(this);
    const message = this.#ids.pop()!;
    try {
      return await write(message);
    } finally {
      if (!this.#taken.delete(message)) this.#ids.push(message);
    }
  }

  /** Where a notice goes by the rules. The envelopes of what smtp brings are checked like this too. Rejects when lookup cannot be asked. */
  async expand(order: NoticeOrder): Promise<Expansion> {
    const explain = this.#queue.observer.recording === true ? { explain: true } : {};
    const { result } = await this.#lookup.ask<"expanded">({ type: "expand", tls: false, ...order, ...explain });
    const sound = !result.ok || result.targets.every((target, index) => {
      return this.#queue.mac.verify({ ...order, ...target, internal: result.internal[index] ?? false }, target.mac);
    });
    if (sound) return result;
    throw new Error("lookup has not decided where it goes");
  }

  /** The envelopes of a notice, one for each target. */
  envelopes(
    { message, sender, rcpt, origin }: NoticeOrder,
    targets: readonly Deliverable[],
    { dsn, handling }: { readonly dsn: DsnParameters; readonly handling?: Handling | undefined },
  ): EnvelopeContent[] {
    const ids = new Set<EnvelopeId>();
    while (ids.size < targets.length) ids.add(newEnvelopeId(message));
    const asked = handling === undefined ? {} : { handling };
    const common = { sender, rcpt, origin, dsn, internal: true, createdAt: this.#queue.clock.now(), ...asked };
    return [...ids].map((id, i) => {
      const target = targets[i]!;
      const { agent, action, dest } = target;
      const content = { ...common, id, agent, action, dest };
      if (target.agent === "mta") return content;
      return { ...content, user: target.user, subAddress: target.subAddress, exec: target.exec };
    });
  }

  /** Signs a notice, and hands it to the next commit. Rejects when it cannot be signed now: then nothing was changed. */
  async enqueue({ message, text, grant, envelopes }: Notice, commit: NoticeCommit): Promise<void> {
    const queue = this.#queue, { store } = queue, number = messageNumber(message);
    // What was signed under an id is not signed again under it.
    queue.ids.take(this, message);
    this.#taken.add(message);
    const body = await this.#signer.sign(message, grant, text);
    const chunks = Math.ceil(body.length / CHUNK_BYTES);
    const parts = await Promise.all(
      Array.from(
        { length: chunks },
        (_, i) => store.makeChunk(number, i, body.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)),
      ),
    );
    const rows = envelopes.map((content) => store.makeEnvelope(content));
    let written = false;
    queue.commits.now({
      bytes: body.length,
      apply: () => {
        written = commit.claim();
        if (!written) return;
        store.addMessage(number, { bytes: body.length, chunks });
        for (const [i, part] of parts.entries()) store.putChunk(number, i, part);
        for (const row of rows) store.putEnvelope(row);
      },
      done: () => {
        commit.done(written);
        if (!written) return;
        const kept = new Map(envelopes.map((content) => [envelopeNumber(content.id), freshEnvelope(content)]));
        queue.recent.put(number, { bytes: body.length, chunks, first: body, envelopes: kept });
        for (const content of envelopes) queue.enqueued(content);
      },
      failed: (error) => commit.failed(error),
    });
  }
}

/** The daemon itself as a client. */
export function localOrigin(smtpname: string): Origin {
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

/** A line that divides the parts of a notice, and stands nowhere in them. */
export function newBoundary(message: MessageId): string {
  return `${message}/${hex8(random32())}${hex8(random32())}${hex8(random32())}`;
}
