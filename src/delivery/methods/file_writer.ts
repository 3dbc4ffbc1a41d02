/** Writing to users' files: in the isolates for it, or right here for programs that are the user. */

import { type FilePool, FilesHang } from "../../file_client/mod.ts";
import type { FileTask } from "../../protocol/mod.ts";
import { type Clock, sleep } from "../../clock.ts";
import type { Identity } from "../identity.ts";
import { LOCK_LIMIT_MS } from "./locks.ts";
import { type MaildirTarget, MaildirWriter } from "./maildir.ts";
import { type MboxOptions, type MboxTarget, MboxWriter, prepareMailbox } from "./mbox.ts";
import type { StoredBody } from "../../queue_client/mod.ts";
import type { Delivered } from "../delivered.ts";
import { DeliveryError, EX, EX_FATAL } from "./sysexits.ts";

/** A Maildir, a mailbox or a file. */
export type WriteTarget = ({ readonly kind: "maildir" } & MaildirTarget) | MboxTarget;

export interface FileWriter {
  /** Resolves when the message is there durably. Rejects with a DeliveryError. */
  write(who: Identity, target: WriteTarget, message: Delivered): Promise<void>;
  /** Makes the mailbox at `path`, for a command that will append to it, if it is missing. Rejects with a DeliveryError. */
  prepare(who: Identity, path: string): Promise<void>;
  /** Gives up what is not done yet. */
  close(): void;
}

/** Back-off of a locked mailbox: it is tried again after so long, and then after twice as long, up to the most. */
const FIRST_WAIT_MS = 250, MOST_WAIT_MS = 10_000;

/** Writes in the isolates of a pool, and waits for locks outside of them. */
export class PooledWriter implements FileWriter {
  readonly #pool: FilePool;
  readonly #clock: Clock;

  constructor(pool: FilePool, clock: Clock) {
    this.#pool = pool;
    this.#clock = clock;
  }

  async write(who: Identity, target: WriteTarget, message: Delivered): Promise<void> {
    const { trace, body } = message, { first, bytes, chunks } = body;
    const { uid, gid } = who;
    const task: FileTask = target.kind === "maildir"
      ? { ...pick(target), who: { uid, gid }, message: { trace, first, bytes, chunks } }
      : {
        kind: target.kind,
        path: target.path,
        from: target.from,
        who: { uid, gid },
        message: { trace, first, bytes, chunks },
      };
    await this.#untilDone(task, message.body);
  }

  async prepare({ uid, gid }: Identity, path: string): Promise<void> {
    await this.#untilDone({ kind: "prepare", who: { uid, gid }, path }, null);
  }

  async #untilDone(task: FileTask, body: StoredBody | null): Promise<void> {
    const deadline = this.#clock.steady() + LOCK_LIMIT_MS;
    for (let waitMs = FIRST_WAIT_MS;; waitMs = Math.min(2 * waitMs, MOST_WAIT_MS)) {
      const locked = await this.#try(task, body);
      if (locked === null) return;
      if (this.#clock.steady() + waitMs > deadline) throw new DeliveryError(EX.TEMPFAIL, locked);
      await sleep(waitMs, this.#clock);
    }
  }

  close(): void {
    this.#pool.close();
  }

  /** Null when it is written, else why the mailbox is locked. */
  async #try(task: FileTask, body: StoredBody | null): Promise<string | null> {
    try {
      const result = await this.#pool.run(`uid ${task.who.uid}`, task, (index) => body!.chunk(index));
      if (result.kind === "written") return null;
      if (result.kind === "locked") return result.text;
      if (result.kind === "failed") throw new DeliveryError(result.code, result.text);
    } catch (error) {
      throw error instanceof FilesHang ? new DeliveryError(EX.TEMPFAIL, error.message) : error;
    }
    throw new DeliveryError(EX_FATAL, "The answer fits no task");
  }
}

/** Returns what the isolate is to know of a Maildir. */
function pick({ kind, directory, junk, extension, spam, envelope }: Extract<WriteTarget, { kind: "maildir" }>) {
  return { kind, directory, junk, extension, spam, envelope: { id: envelope.id, createdAt: envelope.createdAt } };
}

/** Writes in this thread. */
export class DirectWriter implements FileWriter {
  readonly #maildir: MaildirWriter;
  readonly #mbox: MboxWriter;
  readonly #root: boolean;

  constructor(options: MboxOptions & { readonly hostname: string }) {
    this.#maildir = new MaildirWriter(options);
    this.#mbox = new MboxWriter(options);
    this.#root = options.root;
  }

  prepare(who: Identity, path: string): Promise<void> {
    return Promise.resolve().then(() => prepareMailbox(path, this.#root ? who : null));
  }

  async write(who: Identity, target: WriteTarget, message: Delivered): Promise<void> {
    if (target.kind === "maildir") await this.#maildir.deliver(who, target, message);
    else await this.#mbox.deliver(who, target, message);
  }

  close(): void {
    // What runs here runs to its end.
  }
}
