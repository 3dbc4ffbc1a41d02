/** The side of the isolates that touch users' files: does the tasks that it is given, each as its user. The order of tasks is decided in src/file_client. */

import type { FileResult, FileRole, FileTask, FromFiles, ToFiles } from "../protocol/mod.ts";
import { ABANDONED, COMMITTED, FLAG_ABANDONED, FLAG_BYTES, FLAG_CALLS, FLAG_IN_CALL } from "../protocol/files.ts";
import { type Channel, type Isolate } from "../isolate/mod.ts";
import { systemReason } from "../events/mod.ts";
import { systemClock } from "../clock.ts";
import { readForward } from "./forward.ts";
import { type ActAs, actAsSelf } from "./identity.ts";
import { MailboxLocked } from "./methods/locks.ts";
import { MaildirWriter } from "./methods/maildir.ts";
import { MboxWriter, prepareMailbox } from "./methods/mbox.ts";
import type { Delivered } from "./delivered.ts";
import { DeliveryError, EX } from "./methods/sysexits.ts";
import { random32 } from "../envelope/mod.ts";

/** What each role may be asked for. */
const KINDS: Readonly<Record<FileRole, readonly FileTask["kind"][]>> = {
  mailbox: ["maildir", "mbox"],
  file: ["file", "maildir", "prepare"],
  forward: ["forward"],
};

/** Sets an isolate up that serves file tasks. `actAs` is what the entry has loaded; without root there is nobody else to act as. */
export function serveFiles<R extends FileRole>(isolate: Isolate<R>, actAs: ActAs = actAsSelf): void {
  const doors = { mailbox: "mailbox-delivery", file: "file-privileged", forward: "forward-main" } as const;
  const channel = isolate.ask(doors[isolate.role as FileRole]) as unknown as Channel<FromFiles, ToFiles>;
  const service = new FileService(isolate, channel, actAs);
  channel.onmessage = (message) => service.receive(message);
}

class FileService {
  readonly #kinds: readonly FileTask["kind"][];
  readonly #channel: Channel<FromFiles, ToFiles>;
  readonly #actAs: ActAs;
  readonly #maildir: MaildirWriter;
  readonly #mbox: MboxWriter;
  readonly #root: boolean;
  readonly #reading = new Map<number, PromiseWithResolvers<Uint8Array>>();
  #flags: Int32Array = new Int32Array(FLAG_BYTES / 4);

  constructor({ role, settings }: Isolate<FileRole>, channel: Channel<FromFiles, ToFiles>, actAs: ActAs) {
    const { root, serverName, timeZone } = settings.shared;
    this.#kinds = KINDS[role];
    this.#root = root;
    this.#channel = channel;
    this.#actAs = (who, work) => this.#watched(() => actAs(who, work));
    this.#maildir = new MaildirWriter({ actAs: this.#actAs, undo: actAs, hostname: serverName });
    this.#mbox = new MboxWriter({
      actAs: this.#actAs,
      watched: (work) => this.#watched(work),
      root,
      clock: systemClock,
      timeZone,
      random: random32,
      // Locks are waited for outside of this isolate: this thread is for one user at a time.
      lockLimitMs: 0,
    });
  }

  receive(message: ToFiles): void {
    if (message.type === "flags") this.#flags = new Int32Array(message.flags);
    else if (message.type === "task") void this.#do(message.number, message.task);
    else {
      const reading = this.#reading.get(message.number);
      this.#reading.delete(message.number);
      if (message.bytes !== null) reading?.resolve(message.bytes);
      else reading?.reject(new DeliveryError(EX.TEMPFAIL, message.text));
    }
  }

  async #do(number: number, task: FileTask): Promise<void> {
    let result: FileResult;
    let done = false;
    const commit = () => {
      this.#commit();
      done = true;
    };
    try {
      result = await this.#result(number, task, commit);
      if (!done) commit();
    } catch (error) {
      result = done
        ? { kind: "written" }
        : error instanceof MailboxLocked
        ? { kind: "locked", text: error.message }
        : error instanceof DeliveryError
        ? { kind: "failed", code: error.code, text: error.message }
        : { kind: "failed", code: EX.TEMPFAIL, text: systemReason(error) };
    }
    this.#reading.delete(number);
    this.#channel.send({ type: "done", number, result });
  }

  /** `commit` is called when what is done is durable; when it throws, that is undone. */
  async #result(number: number, task: FileTask, commit: () => void): Promise<FileResult> {
    if (!this.#kinds.includes(task.kind)) throw new DeliveryError(EX.TEMPFAIL, "Not a task of this isolate");
    if (task.kind === "forward") {
      const forward = this.#watched(() => readForward(this.#actAs, task.who, task.suffix));
      return { kind: "forward", forward };
    }
    if (task.kind === "prepare") {
      this.#watched(() => prepareMailbox(task.path, this.#root ? task.who : null));
      return { kind: "written" };
    }
    const { trace, first, bytes, chunks } = task.message;
    const message: Delivered = {
      trace,
      body: { bytes, chunks, first, chunk: (index) => this.#read({ number, index }) },
    };
    if (task.kind === "maildir") await this.#maildir.deliver(task.who, task, message, commit);
    else await this.#mbox.deliver(task.who, { ...task, kind: task.kind }, message, commit);
    return { kind: "written" };
  }

  #read({ number, index }: { readonly number: number; readonly index: number }): Promise<Uint8Array> {
    const reading = Promise.withResolvers<Uint8Array>();
    this.#reading.set(number, reading);
    this.#channel.send({ type: "read", number, index });
    return reading.promise;
  }

  /** Marks a task as finally done, unless the other side has given it up: it has been reported as failed then, and comes again. */
  #commit(): void {
    for (;;) {
      const state = Atomics.load(this.#flags, FLAG_ABANDONED);
      if ((state & ABANDONED) !== 0) throw new DeliveryError(EX.TEMPFAIL, "The files did not answer in time");
      if (Atomics.compareExchange(this.#flags, FLAG_ABANDONED, state, state + COMMITTED) === state) return;
    }
  }

  /** Does file calls so that the other side sees the thread in them; not at all once it has given the task up. */
  #watched<T>(work: () => T): T {
    if ((Atomics.load(this.#flags, FLAG_ABANDONED) & ABANDONED) !== 0) {
      throw new DeliveryError(EX.TEMPFAIL, "The files did not answer in time");
    }
    Atomics.add(this.#flags, FLAG_CALLS, 1);
    // A number, since one may stand in another.
    Atomics.add(this.#flags, FLAG_IN_CALL, 1);
    try {
      return work();
    } finally {
      Atomics.sub(this.#flags, FLAG_IN_CALL, 1);
    }
  }
}

export { actAsRootConfined, actAsSelf } from "./identity.ts";
