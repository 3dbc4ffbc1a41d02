/**
 * Takes in messages that lie as files in the spool: `import/MSGID/message` and, beside it, one file per envelope, as `smtpctl import` leaves
 * them there or a person does by hand. A message comes in whole or not at all, and once, whenever the process dies: it is renamed to the id
 * under which it is queued before the commit, and removed before it is sent to the scheduler.
 */

import { systemReason } from "../../events/mod.ts";
import {
  type Envelope,
  type EnvelopeId,
  envelopeIdOf,
  envelopeNumber,
  isEnvelopeId,
  isEnvelopeOf,
  isMessageId,
  type MessageId,
  messageIdOf,
  type MessageNumber,
  messageNumber,
  newMessageId,
  rowOf,
} from "../../envelope/mod.ts";
import { CHUNK_BYTES } from "../../protocol/smtp_queue.ts";
import { MAX_ENVELOPE_BYTES, NotAnEnvelope, parseEnvelope } from "./envelope_parse.ts";
import { MAX_CHUNKS } from "../store/chunk_key.ts";
import { FIRST_ROW } from "../store/ranges.ts";
import { laneOf } from "../store/rows.ts";
import type { QueueState } from "../queue_state.ts";
import { queueMessage } from "../recorded.ts";

/** Envelopes of one message at most. */
const MAX_ENVELOPES = 100_000;
const BODY = "message";
/** What is being committed. */
const WORKING = ".importing";
const PART = `${WORKING}.part`;
/** What is queued, and only has to go. */
const DONE = ".imported";
const OLD_MS = 86_400_000;

export type Discovered = { readonly count: number; readonly error: null } | {
  readonly count: 0;
  readonly error: string;
};

export class Discovery {
  readonly #queue: QueueState;
  readonly #folder: string;
  readonly #busy = new Set<string>();

  constructor(queue: QueueState) {
    this.#queue = queue;
    this.#folder = `${queue.settings.spool}/import`;
  }

  /** Ends what a crash cut short. To be called before anything else can be queued. */
  recover(): void {
    for (const name of this.#names()) {
      try {
        this.#recover(name, `${this.#folder}/${name}`);
      } catch (error) {
        this.#queue.warn(
          `queue: "${name}" in the folder "import" of the spool stays as it is: ${systemReason(error)}`,
        );
      }
    }
  }

  #recover(name: string, path: string): void {
    // A copy of a body without envelopes, and what a smtpctl that was cut short was still writing.
    if (name.endsWith(PART) || (name.startsWith(".") && this.#isOld(path))) {
      return Deno.removeSync(path, { recursive: true });
    }
    if (name.endsWith(DONE)) return this.#remove(path);
    const message = name.slice(0, -WORKING.length);
    if (!name.endsWith(WORKING) || !isMessageId(message)) return;
    if (this.#queue.store.message(messageNumber(message)) !== null) return this.#dispose(path);
    // Somebody may have laid another message there under this name: it is the queue that gives ids.
    let free = message;
    while (this.#names().includes(free)) free = newMessageId();
    Deno.renameSync(path, `${this.#folder}/${free}`);
  }

  /** Takes in all that lies there; what cannot be taken in stays, and the log says why. */
  async all(): Promise<void> {
    for (const name of this.#names()) {
      if (!isMessageId(name)) continue;
      const { error } = await this.take(name, null);
      if (error !== null) this.#queue.warn(`queue: message ${name} is not imported: ${error}`);
    }
  }

  /** Takes in one message, or with `only` one of its envelopes. */
  async take(message: MessageId, only: EnvelopeId | null): Promise<Discovered> {
    if (!isMessageId(message) || (only !== null && (!isEnvelopeId(only) || !isEnvelopeOf(message, only)))) {
      return failed("That is not an id");
    }
    if (this.#busy.has(message)) return failed("It is being taken in already");
    this.#busy.add(message);
    try {
      return { count: await this.#take(message, only), error: null };
    } catch (error) {
      if (error instanceof Deno.errors.PermissionDenied) return failed(this.#closed(message));
      return failed(error instanceof Deno.errors.NotFound ? "It is not there" : systemReason(error));
    } finally {
      this.#busy.delete(message);
      if (this.#busy.size === 0) this.#queue.ids.release(this);
    }
  }

  /** Why a folder cannot be taken in that root has laid there. */
  #closed(message: MessageId): string {
    const { spool } = this.#queue.settings;
    return `The user of the queue may not read and remove it: use chown -R --reference=${spool} ${this.#folder}/${message}`;
  }

  async #take(message: MessageId, only: EnvelopeId | null): Promise<number> {
    const source = `${this.#folder}/${message}`;
    const found = this.#read(source, only);
    const number = this.#claim(message);
    const envelopes = found.map((envelope) => ({
      ...envelope,
      id: envelopeIdOf({ message: number, envelope: envelopeNumber(envelope.id) }),
    }));
    const working = `${this.#folder}/${messageIdOf(number)}${WORKING}`;
    if (only === null) Deno.renameSync(source, working);
    else this.#split(source, working, only);
    let bytes: number;
    try {
      bytes = await this.#store(number, working, envelopes);
    } catch (error) {
      Deno.renameSync(working, only === null ? source : `${this.#folder}/${messageIdOf(number)}`);
      throw error;
    }
    // Before anybody may deliver it: what lies here at the next start under its old name is taken in then.
    this.#dispose(working);
    if (this.#queue.observer.recording === true) this.#queue.emit(queueMessage("import", envelopes, bytes));
    this.#enqueue(envelopes);
    return envelopes.length;
  }

  /** Removes what is queued. The name goes first: files of another owner may not be ours to remove, and must not come in again. */
  #dispose(working: string): void {
    const done = `${this.#folder}/${crypto.randomUUID()}${DONE}`;
    Deno.renameSync(working, done);
    this.#remove(done);
  }

  #remove(done: string): void {
    try {
      Deno.removeSync(done, { recursive: true });
    } catch (error) {
      const { message } = error as Error;
      this.#queue.warn(`queue: ${done} is imported and may be removed, which does not work from here: ${message}`);
    }
  }

  /** The envelopes of a folder. Throws when one of them cannot be queued: then none is. */
  #read(folder: string, only: EnvelopeId | null): Envelope[] {
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter(isEnvelopeId);
    const wanted = only === null ? names : names.filter((name) => name === only);
    if (wanted.length === 0) throw new Error("There is no envelope");
    if (wanted.length > MAX_ENVELOPES) throw new Error(`There are more than ${MAX_ENVELOPES} envelopes`);
    // No link: it might lead to a file that is not mail.
    if (!Deno.lstatSync(`${folder}/${BODY}`).isFile) throw new Error(`"${BODY}" is not a file`);
    const numbers = new Set(wanted.map(envelopeNumber));
    if (numbers.size < wanted.length || numbers.has(FIRST_ROW.envelope)) {
      throw new Error("Two envelopes have one number, or one has none");
    }
    return wanted.sort().map((name) => {
      try {
        return this.#envelope(name, `${folder}/${name}`);
      } catch (error) {
        if (error instanceof NotAnEnvelope) throw new NotAnEnvelope(`Envelope ${name}: ${error.message}`);
        throw error;
      }
    });
  }

  #envelope(id: EnvelopeId, path: string): Envelope {
    const { isFile, size } = Deno.lstatSync(path);
    if (!isFile) throw new NotAnEnvelope("It is not a file");
    if (size > MAX_ENVELOPE_BYTES) throw new NotAnEnvelope("It is too large");
    const envelope = parseEnvelope(id, Deno.readTextFileSync(path));
    if (this.#queue.ttlSeconds(envelope.action) !== null) return envelope;
    throw new NotAnEnvelope(
      `There is no action "${envelope.action}" in the configuration: add one, or name another one in the line "dispatcher" of its file`,
    );
  }

  /** The message's own number, or another when that is taken. */
  #claim(message: MessageId): MessageNumber {
    const { ids } = this.#queue;
    if (ids.claim(this, message)) return messageNumber(message);
    const [other] = ids.reserve(this);
    ids.take(this, other!);
    return messageNumber(other!);
  }

  /** Makes a message of its own of one envelope. The envelope is in one place only at all times. */
  #split(source: string, working: string, only: EnvelopeId): void {
    const half = working.slice(0, -WORKING.length) + PART;
    Deno.mkdirSync(half, { mode: 0o700 });
    Deno.copyFileSync(`${source}/${BODY}`, `${half}/${BODY}`);
    Deno.renameSync(half, working);
    try {
      Deno.renameSync(`${source}/${only}`, `${working}/${only}`);
    } catch (error) {
      Deno.removeSync(working, { recursive: true });
      throw error;
    }
    if (![...Deno.readDirSync(source)].some(({ name }) => isEnvelopeId(name))) {
      Deno.removeSync(source, { recursive: true });
    }
  }

  /** Returns the octets of the message. */
  async #store(number: MessageNumber, working: string, envelopes: readonly Envelope[]): Promise<number> {
    using file = Deno.openSync(`${working}/${BODY}`, { read: true });
    const { size } = file.statSync();
    const chunks = Math.ceil(size / CHUNK_BYTES);
    if (chunks >= MAX_CHUNKS) throw new Error("The message is too large");
    let stored = false;
    try {
      for (let index = 0; index < chunks - 1; index++) {
        await this.#storeChunk(number, index, readChunk(file, CHUNK_BYTES));
        stored = true;
      }
      const tail = readChunk(file, size - Math.max(0, chunks - 1) * CHUNK_BYTES);
      await this.#commit(number, { size, chunks, tail, envelopes });
      return size;
    } catch (error) {
      if (stored) this.#queue.erase(number);
      throw error;
    }
  }

  async #storeChunk(number: MessageNumber, index: number, bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    const { store, commits } = this.#queue;
    const chunk = await store.makeChunk(number, index, bytes);
    await new Promise<void>((resolve, reject) => {
      commits.unsynced({
        bytes: bytes.length,
        apply: () => {
          if (index === 0) store.addOrphan(number);
          store.putChunk(number, index, chunk);
        },
        done: resolve,
        failed: reject,
      });
    });
  }

  async #commit(number: MessageNumber, { size, chunks, tail, envelopes }: {
    readonly size: number;
    readonly chunks: number;
    readonly tail: Uint8Array<ArrayBuffer>;
    readonly envelopes: readonly Envelope[];
  }): Promise<void> {
    const { store, commits } = this.#queue;
    const last = chunks === 0 ? null : await store.makeChunk(number, chunks - 1, tail);
    await new Promise<void>((resolve, reject) => {
      commits.now({
        bytes: tail.length,
        apply: () => {
          store.addMessage(number, { bytes: size, chunks });
          if (chunks > 1) store.removeOrphan(number);
          if (last !== null) store.putChunk(number, chunks - 1, last);
          for (const envelope of envelopes) this.#add(envelope);
        },
        done: resolve,
        failed: reject,
      });
    });
  }

  #add(envelope: Envelope): void {
    const { tries, lastTryAt, lastBounceAt, errorLine, status, suspended, ...content } = envelope;
    const { store } = this.#queue, row = rowOf(envelope.id);
    store.addEnvelope(content);
    store.setState(row, { tries, lastTryAt, lastBounceAt, errorLine, status });
    if (suspended) store.setSuspended(row, { suspended });
  }

  #enqueue(envelopes: readonly Envelope[]): void {
    const rows = envelopes.map((envelope) => ({
      ...rowOf(envelope.id),
      agent: envelope.agent,
      action: envelope.action,
      lane: laneOf(envelope),
      created_at: envelope.createdAt,
      tries: envelope.tries,
      last_try_at: envelope.lastTryAt,
      error: envelope.errorLine,
      suspended: envelope.suspended ? 1 : 0,
    }));
    this.#queue.loaded(rows, () => {});
  }

  #isOld(path: string): boolean {
    const { mtime } = Deno.statSync(path);
    return mtime !== null && mtime.getTime() < this.#queue.clock.now() - OLD_MS;
  }

  #names(): string[] {
    try {
      return [...Deno.readDirSync(this.#folder)].map(({ name }) => name).sort();
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return [];
      throw error;
    }
  }
}

function failed(error: string): Discovered {
  return { count: 0, error };
}

/** The next `size` octets. */
function readChunk(file: Deno.FsFile, size: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const read = file.readSync(bytes.subarray(at));
    if (read === null) throw new Error("The message became shorter while it was read");
    at += read;
  }
  return bytes;
}
