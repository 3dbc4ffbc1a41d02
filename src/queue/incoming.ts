/**
 * Messages on their way in from one smtp isolate, which talks to the public and is not trusted: ids must be those it was given, envelopes must be
 * well-formed and as lookup has decided them for this message, credit must be kept. Here is what a reply of 250 rests on: `committed` goes out after the commit to disk.
 */

import {
  type Acceptance,
  type Envelope,
  type EnvelopeContent,
  type EnvelopeNumber,
  envelopeNumber,
  isMessageId,
  type MessageId,
  type MessageNumber,
  messageNumber,
} from "../envelope/mod.ts";
import { type Channel } from "../isolate/mod.ts";
import type { QueueToSmtp, SmtpToQueue } from "../protocol/mod.ts";
import { CHUNK_BYTES, CHUNK_CREDIT, MAX_FRONT_OCTETS } from "../protocol/smtp_queue.ts";
import { NO_ROOM, refusal } from "./store/commits.ts";
import { copyEnvelopes, freshEnvelope } from "./validate_envelope.ts";
import { BLOCK_IDS } from "./ids.ts";
import { MAX_CHUNKS } from "./store/chunk_key.ts";
import type { StoredChunk } from "./store/records.ts";
import type { NewEnvelope } from "./store/rows.ts";
import type { StoredMessage } from "./store/ranges.ts";
import type { QueueState } from "./queue_state.ts";

/**
 * What one isolate may have on its way to the disk, in octets, with so many for each envelope: more is refused for now. Its sessions keep to two
 * chunks each, and to small ones when there are many.
 */
const MAX_PENDING_OCTETS = 512 * 1024 * 1024, ENVELOPE_OCTETS = 1024;
/** Messages that one isolate may have in parts at once. */
const MAX_OPEN_MESSAGES = 10_000;
/** With fewer unused ids than this, more are sent. */
const LOW_IDS = BLOCK_IDS / 2;
/** Unused ids that one isolate may have: many slow clients hold one each. */
const MAX_UNUSED_IDS = 65_536;

const NOTHING = new Uint8Array(0);

type Reply = { readonly code: number; readonly text: string };
const BUSY: Reply = { code: 452, text: "4.3.1 Too much mail waits for the disk, try again later" };
const BROKEN: Reply = { code: 451, text: "4.3.0 The message could not be stored, try again later" };

/** A message of which chunks have arrived. */
interface Open {
  readonly number: MessageNumber;
  /** Chunks that have a place, a front that is still to come included. */
  chunks: number;
  /** The first place is kept for what the commit brings to stand in front. */
  readonly frontFollows: boolean;
  bytes: number;
  /** Chunks that were not yet given credit for. */
  waiting: number;
  /** The database has chunks of it. */
  stored: boolean;
  /** Ended by abort, by a failure, or with its isolate: what of it is still to be written is not. */
  ended: boolean;
  /** All of it has arrived: the last write answers for the others. */
  complete: boolean;
  /** Kept when all chunks that are being sealed are on their way to the disk; null when there are none. */
  making: Promise<void> | null;
  /** Why a part of it could not be stored: the last write is not made then. */
  failure: Reply | null;
}

/** A piece of text that arrives with the commit, and which chunk it becomes. */
interface Piece {
  readonly index: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What arrives with the commit. */
interface LastPart {
  /** What stands in front and the tail, as far as there are such. */
  readonly pieces: readonly Piece[];
  /** The pieces as they are stored. */
  readonly chunks: readonly StoredChunk[];
  readonly rows: readonly NewEnvelope[];
  readonly envelopes: readonly EnvelopeContent[];
  /** Called once, when it waits for the disk no more. */
  free(): void;
}

/** The smtp isolate that is served. */
export interface SmtpPeer extends Omit<Acceptance, "number"> {
  /** Has it replaced: it has said what no sound one says. */
  refuse(fault: string): void;
}

/** Serves one smtp isolate until the channel is reset. */
export function serveIncoming(queue: QueueState, channel: Channel<QueueToSmtp, SmtpToQueue>, who: SmtpPeer): void {
  if (queue.space.room !== Infinity) channel.send({ type: "room", bytes: queue.space.room });
  const incoming = new Incoming(queue, channel, who);
  channel.onmessage = (message) => incoming.receive(message);
  channel.onreset = () => incoming.end();
  incoming.sendIds();
}

class Incoming {
  readonly #queue: QueueState;
  readonly #channel: Channel<QueueToSmtp, SmtpToQueue>;
  readonly #open = new Map<MessageId, Open>();
  readonly #who: SmtpPeer;
  #unused = 0;
  /** Octets that wait for the disk. */
  #pending = 0;

  constructor(queue: QueueState, channel: Channel<QueueToSmtp, SmtpToQueue>, who: SmtpPeer) {
    this.#who = who;
    this.#queue = queue;
    this.#channel = channel;
  }

  receive(message: SmtpToQueue): void {
    if (message.type === "ids-wanted") {
      if (this.#unused + BLOCK_IDS <= MAX_UNUSED_IDS) this.sendIds();
      return;
    }
    if (message.type === "dmarc-result") return this.#queue.results?.count(message.result);
    if (!isMessageId(message.message)) return this.#queue.warn("queue: an smtp isolate named a message that cannot be");
    switch (message.type) {
      case "chunk":
        return this.#chunk(message);
      case "commit":
        return this.#commit(message);
      case "abort":
        return this.#abort(message.message);
    }
  }

  /** Counts octets as pending, until what is returned is called. */
  #hold(octets: number): () => void {
    this.#pending += octets;
    return () => this.#pending -= octets;
  }

  sendIds(): void {
    this.#unused += BLOCK_IDS;
    this.#channel.send({ type: "ids", ids: this.#queue.ids.reserve(this) });
  }

  /** The isolate is gone, and with it its sessions. */
  end(): void {
    for (const open of this.#open.values()) this.#discard(open);
    this.#open.clear();
    this.#queue.ids.release(this);
  }

  #chunk({ message: id, bytes, frontFollows }: Extract<SmtpToQueue, { type: "chunk" }>): void {
    let open = this.#open.get(id);
    if (open === undefined) {
      if (this.#open.size >= MAX_OPEN_MESSAGES || !this.#take(id)) return this.#refuse(id, BROKEN);
      this.#open.set(id, open = newOpen(id, { frontFollows: frontFollows === true }));
    }
    const sound = bytes instanceof Uint8Array && bytes.length > 0 && bytes.length <= CHUNK_BYTES;
    // The client got this reply at MAIL, if it was known then.
    if (this.#queue.space.room === 0) return this.#fail(id, open, NO_ROOM);
    // At the end of a message there may be one more than there was credit for.
    if (!sound || open.waiting > CHUNK_CREDIT || open.chunks >= MAX_CHUNKS - 1) return this.#fail(id, open, BROKEN);
    if (this.#pending + bytes.length > MAX_PENDING_OCTETS) return this.#fail(id, open, BUSY);
    const free = this.#hold(bytes.length);
    const index = open.chunks++;
    open.bytes += bytes.length;
    open.waiting++;
    const made = this.#queue.store.makeChunk(open.number, index, bytes);
    this.#inOrder(
      open,
      made,
      (chunk) => this.#writeChunk(id, open, { index, bytes, chunk, free }),
      (reply) => {
        free();
        this.#failLate(id, open, reply);
      },
    );
  }

  /**
   * Goes on when this chunk and those before it are made, which is at once unless one of them is made off the thread: what is stored first of
   * a message marks its chunks as an orphan, and the last write comes last.
   */
  #inOrder<T>(
    open: Open,
    made: T | Promise<T>,
    goOn: (chunk: T) => void,
    fail: (reply: Reply) => void,
  ): void {
    if (open.making === null && !(made instanceof Promise)) return goOn(made);
    const step = Promise.all([made, open.making]).then(([chunk]) => goOn(chunk), (error) => {
      this.#queue.diskErrors.note(error, this.#queue.clock.now());
      fail(refusal(error));
    }).then(() => {
      if (open.making === step) open.making = null;
    });
    open.making = step;
  }

  #writeChunk(
    id: MessageId,
    open: Open,
    { index, bytes, chunk, free }: {
      readonly index: number;
      readonly bytes: Uint8Array<ArrayBuffer>;
      readonly chunk: StoredChunk;
      free(): void;
    },
  ): void {
    if (open.ended) return free();
    this.#queue.commits.unsynced({
      bytes: bytes.length,
      apply: () => {
        if (open.ended) return;
        if (index === (open.frontFollows ? 1 : 0)) this.#queue.store.addOrphan(open.number);
        this.#queue.store.putChunk(open.number, index, chunk);
      },
      done: () => {
        free();
        this.#queue.stored(bytes.length);
        if (open.ended) return;
        open.stored = true;
        open.waiting--;
        if (open.complete) return;
        // The buffer goes back to be filled again.
        this.#channel.send({ type: "credit", message: id, spent: bytes.buffer }, [bytes.buffer]);
      },
      failed: (error) => {
        free();
        this.#failLate(id, open, refusal(error));
      },
    });
  }

  /** A part could not be stored; the end may have arrived meanwhile. */
  #failLate(id: MessageId, open: Open, reply: Reply): void {
    if (open.ended) return;
    if (open.complete) open.failure ??= reply;
    else this.#fail(id, open, reply);
  }

  #commit({ message: id, front, tail, envelopes }: Extract<SmtpToQueue, { type: "commit" }>): void {
    const open = this.#open.get(id);
    if (open === undefined && !this.#take(id)) return this.#refuse(id, BROKEN);
    const body = open ?? newOpen(id, { frontFollows: front !== undefined });
    const pieces = piecesOf(body, { ...(front === undefined ? {} : { front }), tail });
    const content = pieces === null ? null : copyEnvelopes(id, envelopes);
    if (pieces === null || content === null) {
      this.#queue.warn(`queue: an smtp isolate sent a message that cannot be stored: ${id}`);
      return this.#fail(id, body, BROKEN);
    }
    if (!content.every((each, index) => this.#queue.mac.verify({ ...each, message: id }, envelopes[index]!.mac))) {
      this.#fail(id, body, BROKEN);
      return this.#who.refuse(`commit: an envelope of ${id} is not as lookup has decided it`);
    }
    const octets = pieces.reduce((sum, { bytes }) => sum + bytes.length, content.length * ENVELOPE_OCTETS);
    if (this.#pending + octets > MAX_PENDING_OCTETS) return this.#fail(id, body, BUSY);
    const free = this.#hold(octets);
    this.#open.delete(id);
    body.complete = true;
    const { store } = this.#queue;
    const made = pieces.map(({ index, bytes }) => store.makeChunk(body.number, index, bytes));
    const rows = content.map((each) => store.makeEnvelope(each));
    this.#inOrder(
      body,
      together(made),
      (chunks) => this.#store(id, body, { pieces, chunks, rows, envelopes: content, free }),
      (reply) => {
        free();
        this.#fail(id, body, reply);
      },
    );
  }

  #store(id: MessageId, body: Open, { pieces, chunks: made, rows, envelopes, free }: LastPart): void {
    if (body.failure !== null) {
      free();
      return this.#fail(id, body, body.failure);
    }
    const { store, commits } = this.#queue;
    const chunks = Math.max(body.chunks, ...pieces.map(({ index }) => index + 1));
    const arrived = pieces.reduce((sum, piece) => sum + piece.bytes.length, 0);
    const bytes = body.bytes + arrived;
    commits.now({
      bytes: arrived,
      apply: () => {
        store.addMessage(body.number, { bytes, chunks });
        if (body.chunks > 0) store.removeOrphan(body.number);
        for (const [at, { index }] of pieces.entries()) store.putChunk(body.number, index, made[at]!);
        for (const row of rows) store.putEnvelope(row);
      },
      done: () => {
        free();
        const number = this.#queue.committed(body.number, this.#who);
        this.#channel.send({ type: "committed", message: id, number });
        if (arrived === bytes) this.#remember(body.number, { bytes, chunks }, pieces[0]?.bytes ?? NOTHING, envelopes);
        for (const content of envelopes) this.#queue.enqueued(content);
      },
      failed: (error) => {
        free();
        this.#discard(body);
        this.#refuse(id, refusal(error));
      },
    });
  }

  #remember(
    number: MessageNumber,
    { bytes, chunks }: StoredMessage,
    text: Uint8Array<ArrayBuffer>,
    envelopes: readonly EnvelopeContent[],
  ): void {
    // What came before the commit is here no more; and a view of a larger buffer would be posted with all of that buffer.
    const first = text.byteLength === text.buffer.byteLength ? text : text.slice();
    const kept = new Map<EnvelopeNumber, Envelope>();
    for (const content of envelopes) kept.set(envelopeNumber(content.id), freshEnvelope(content));
    this.#queue.recent.put(number, { bytes, chunks, first, envelopes: kept });
  }

  #abort(id: MessageId): void {
    const open = this.#open.get(id);
    // An abort of a message that never began gives its id back as used.
    if (open === undefined) return void this.#take(id);
    this.#open.delete(id);
    this.#discard(open);
  }

  /** Refuses a message that has not ended yet. Its id is used up: what still comes of it is refused as well. */
  #fail(id: MessageId, open: Open, reply: Reply): void {
    this.#open.delete(id);
    this.#discard(open);
    this.#refuse(id, reply);
  }

  #refuse(message: MessageId, { code, text }: Reply): void {
    this.#channel.send({ type: "refused", message, code, text });
  }

  #discard(open: Open): void {
    open.ended = true;
    if (open.stored) this.#queue.erase(open.number);
  }

  #take(id: MessageId): boolean {
    if (!this.#queue.ids.take(this, id)) return false;
    if (--this.#unused < LOW_IDS) this.sendIds();
    return true;
  }
}

/**
 * Returns what the commit of a message brings as text, with the place of each; null when it cannot be stored. A place that was kept for what stands
 * in front is filled, if need be with nothing: the chunks of a message are counted from the first to the last.
 */
function piecesOf(
  { chunks, frontFollows }: Open,
  { front = NOTHING, tail }: Pick<Extract<SmtpToQueue, { type: "commit" }>, "front" | "tail">,
): readonly Piece[] | null {
  if (!(tail instanceof Uint8Array) || tail.length > CHUNK_BYTES) return null;
  if (!(front instanceof Uint8Array) || front.length > MAX_FRONT_OCTETS) return null;
  if (front.length > 0 && !frontFollows) return null;
  const pieces: Piece[] = frontFollows ? [{ index: 0, bytes: front }] : [];
  if (tail.length > 0) pieces.push({ index: chunks, bytes: tail });
  return pieces;
}

/** All of them, as soon as the last is there. */
function together<T>(values: readonly (T | Promise<T>)[]): readonly T[] | Promise<readonly T[]> {
  return values.some((value) => value instanceof Promise) ? Promise.all(values) : values as readonly T[];
}

function newOpen(id: MessageId, { frontFollows }: Pick<Open, "frontFollows">): Open {
  return {
    number: messageNumber(id),
    chunks: frontFollows ? 1 : 0,
    frontFollows,
    bytes: 0,
    waiting: 0,
    stored: false,
    ended: false,
    complete: false,
    making: null,
    failure: null,
  };
}
