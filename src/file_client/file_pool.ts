/**
 * Runs what touches users' files in isolates of their own, the tasks of one user at a time in each: a file server that is dead, a lease or a
 * FIFO holds up the thread of that isolate, and with it that user only. An isolate that makes no progress for too long is given up, with the user's further
 * tasks, until that isolate answers; another isolate takes its place, up to a fixed number. Independent of files.
 */

import { BoundedSet } from "../bounded_map.ts";
import type { Channel, Isolate } from "../isolate/mod.ts";
import type { DoorName, FileResult, FileRole, FileTask, FromFiles, Grow, ToFiles } from "../protocol/mod.ts";
import { ABANDONED, COMMITTED, FLAG_ABANDONED, FLAG_BYTES, FLAG_CALLS, FLAG_IN_CALL } from "../protocol/files.ts";
import { MAX_FILE_ISOLATES, MAX_STUCK_ISOLATES } from "../protocol/roles.ts";
import { type Clock, systemClock } from "../clock.ts";

/** How often the isolates are looked at while something runs, in milliseconds. */
const LOOK_MS = 250;
/** A task that waits so long for a free isolate gets another one. */
const GROW_AFTER_MS = 250;
/** A thread that is in one and the same file call for so long is given up: at once when others need the room, else later. */
const STUCK_MS = 5_000, STUCK_CONTENDED_MS = 3_000;
/** Tasks without any progress, whatever they wait for, are given up; so are those that wait for an isolate that does not start. */
const IDLE_MS = 60_000;
/** Tasks of one user that run at one time in their isolate: together they share syncs. */
const TOGETHER = 32;
/** Users whose last task ended well: when many stand still, these are served and others wait. */
const MAX_KNOWN_USERS = 10_000;

/** The user's files do not answer, or have not yet: the task is worth another try later. Whether it had an effect is not known. */
export class FilesHang extends Error {
  constructor(text = "The files of this user do not answer") {
    super(text);
  }
}

export interface FilePoolOptions {
  /** Asks for one isolate more. */
  grow(): void;
  /** True when others wait for the room that hanging tasks take. */
  contended(): boolean;
  /** Milliseconds of a clock that does not go back. */
  now(): number;
  /** Calls `run` every `ms` milliseconds until the returned function is called. */
  every(ms: number, run: () => void): () => void;
  /** A line for the log. */
  warn(text: string): void;
}

/** Answers a task's question for a chunk of its message. The chunk is given away: its buffer may be moved to another isolate. */
export type ReadChunk = (index: number) => Promise<Uint8Array>;

/** The pool of an isolate that has file tasks done, at its door. `contended`: others wait for the room that hanging tasks take. */
export function serveFilePool(
  isolate: Isolate<"delivery"> | Isolate<"privileged">,
  role: Exclude<FileRole, "forward">,
  contended: () => boolean,
  clock: Clock = systemClock,
): FilePool {
  const main = isolate.ask(`${isolate.role}-main`) as unknown as Channel<Grow<FileRole>, never>;
  const pool = new FilePool({
    grow: () => main.send({ type: "grow", role }),
    contended,
    now: clock.steady,
    every: clock.every,
    warn: (text) => isolate.emit({ type: "log", level: "warn", text: `warn: ${role}: ${text}` }),
  });
  isolate.serve(`${role}-${isolate.role}` as DoorName, (channel, { peer }) => {
    pool.add(channel as unknown as Channel<ToFiles, FromFiles>, peer);
  });
  return pool;
}

interface Task {
  readonly key: string;
  readonly task: FileTask;
  readonly read: ReadChunk;
  readonly since: number;
  resolve(result: FileResult): void;
  reject(error: Error): void;
}

interface Member {
  readonly peer: number;
  readonly channel: Channel<ToFiles, FromFiles>;
  readonly flags: Int32Array;
  /** Whose tasks run; null when none do. */
  key: string | null;
  readonly running: Map<number, Task>;
  /** Given up, and not back yet: so many answers are outstanding. */
  lost: number;
  /** When something was last received, and since when it is in the file call of that number. */
  progressAt: number;
  calls: number;
  callSince: number;
  /** It was to be given up while an answer was on its way. */
  spared: boolean;
}

export class FilePool {
  readonly #options: FilePoolOptions;
  readonly #members = new Map<number, Member>();
  /** Tasks that wait, by user, in the order of their turns. */
  readonly #queues = new Map<string, Task[]>();
  /** Users whose isolate was given up. */
  readonly #stuck = new Map<string, Member>();
  readonly #known = new BoundedSet<string>(MAX_KNOWN_USERS);
  #nextNumber = 1;
  #grownAt = -Infinity;
  #stopLooking: (() => void) | null = null;

  constructor(options: FilePoolOptions) {
    this.#options = options;
  }

  /** Users who are given up until their isolate answers. */
  get stuck(): number {
    return this.#stuck.size;
  }

  /** Isolates there are. */
  get size(): number {
    return this.#members.size;
  }

  /** An isolate has come, or come again. */
  add(channel: Channel<ToFiles, FromFiles>, peer: number): void {
    const flags = new SharedArrayBuffer(FLAG_BYTES);
    const member: Member = {
      peer,
      channel,
      flags: new Int32Array(flags),
      key: null,
      running: new Map(),
      lost: 0,
      progressAt: 0,
      calls: 0,
      callSince: 0,
      spared: false,
    };
    this.#members.set(peer, member);
    channel.onmessage = (message) => this.#receive(member, message);
    channel.onreset = () => this.#gone(member);
    channel.send({ type: "flags", flags });
    this.#dispatch();
  }

  /** Runs a task of the user `key`. Rejects with FilesHang when it does not end in time, or the user is given up already. */
  run(
    key: string,
    task: FileTask,
    read: ReadChunk = () => Promise.reject(new Error("There are no chunks")),
  ): Promise<FileResult> {
    if (this.#stuck.has(key)) return Promise.reject(new FilesHang());
    if (this.#stuck.size >= MAX_STUCK_ISOLATES && !this.#known.has(key)) {
      return Promise.reject(new FilesHang("The files of many users do not answer"));
    }
    return new Promise((resolve, reject) => {
      const queue = this.#queues.get(key);
      const one: Task = { key, task, read, since: this.#options.now(), resolve, reject };
      if (queue === undefined) this.#queues.set(key, [one]);
      else queue.push(one);
      if (this.#members.size === 0) this.#grow(one.since);
      this.#dispatch();
    });
  }

  /** Gives up all that runs or waits. */
  close(): void {
    for (const member of this.#members.values()) {
      member.spared = true;
      if (member.key !== null && member.lost === 0) this.#abandon(member, { warn: false });
    }
    for (const key of [...this.#queues.keys()]) this.#refuse(key, new FilesHang("The daemon stops"));
    this.#watch();
  }

  #dispatch(): void {
    for (const member of this.#members.values()) {
      if (member.key === null || member.lost > 0) continue;
      // A user keeps the isolate while no other user waits for one.
      if (this.#othersWait()) continue;
      this.#feed(member, member.key);
    }
    for (const [key] of [...this.#queues]) {
      if (this.#memberOf(key) !== undefined) continue;
      const free = [...this.#members.values()].find((member) => member.key === null && member.lost === 0);
      if (free === undefined) break;
      free.key = key;
      this.#feed(free, key);
    }
    this.#watch();
  }

  #memberOf(key: string): Member | undefined {
    for (const member of this.#members.values()) if (member.key === key && member.lost === 0) return member;
  }

  /** Users without an isolate wait for one. */
  #othersWait(): boolean {
    for (const key of this.#queues.keys()) if (this.#memberOf(key) === undefined) return true;
    return false;
  }

  #feed(member: Member, key: string): void {
    const queue = this.#queues.get(key);
    if (queue === undefined) return;
    if (member.running.size === 0) this.#progress(member);
    while (queue.length > 0 && member.running.size < TOGETHER) {
      const task = queue.shift()!, number = this.#nextNumber++;
      member.running.set(number, task);
      member.channel.send({ type: "task", number, task: task.task });
    }
    // The rest has its next turn behind the others.
    this.#queues.delete(key);
    if (queue.length > 0) this.#queues.set(key, queue);
  }

  #receive(member: Member, message: FromFiles): void {
    if (message.type === "read") return void this.#read(member, message);
    const task = member.running.get(message.number);
    if (member.lost > 0 && task === undefined) return this.#back(member);
    if (task === undefined) return;
    member.running.delete(message.number);
    const { kind } = message.result;
    if (kind !== "failed" && kind !== "locked" && committed(member) > 0) {
      Atomics.sub(member.flags, FLAG_ABANDONED, COMMITTED);
    }
    member.spared = false;
    this.#progress(member);
    this.#know(task.key, { well: message.result.kind !== "failed" });
    task.resolve(message.result);
    if (member.running.size === 0) member.key = null;
    this.#dispatch();
  }

  async #read(member: Member, { number, index }: Extract<FromFiles, { type: "read" }>): Promise<void> {
    const task = member.running.get(number);
    this.#progress(member);
    let bytes: Uint8Array | null = null, text = "The task was given up";
    try {
      if (task !== undefined) bytes = await task.read(index);
    } catch (error) {
      text = (error as Error).message;
    }
    member.channel.send({ type: "chunk", number, bytes, text }, bytes === null ? undefined : wholeBuffer(bytes));
    this.#progress(member);
  }

  #progress(member: Member): void {
    member.progressAt = this.#options.now();
  }

  #know(key: string, { well }: { readonly well: boolean }): void {
    if (well) this.#known.add(key);
    else this.#known.delete(key);
  }

  /** An answer to what was given up: with the last one the isolate is free again, and its user is served. */
  #back(member: Member): void {
    if (--member.lost > 0) return;
    this.#free(member);
    Atomics.store(member.flags, FLAG_ABANDONED, 0);
    this.#dispatch();
  }

  #free(member: Member): void {
    if (member.key !== null && this.#stuck.get(member.key) === member) this.#stuck.delete(member.key);
    member.key = null;
  }

  /** The isolate has ended. */
  #gone(member: Member): void {
    if (this.#members.get(member.peer) !== member) return;
    this.#members.delete(member.peer);
    this.#free(member);
    const tasks = [...member.running.values()];
    member.running.clear();
    for (const { reject } of tasks) reject(new FilesHang("The isolate that had it has ended"));
    this.#dispatch();
  }

  #watch(): void {
    const busy = this.#queues.size > 0 || [...this.#members.values()].some(({ running }) => running.size > 0);
    if (busy) this.#stopLooking ??= this.#options.every(LOOK_MS, () => this.#look());
    else {
      this.#stopLooking?.();
      this.#stopLooking = null;
    }
  }

  #look(): void {
    const now = this.#options.now();
    for (const member of this.#members.values()) {
      if (member.running.size > 0 && this.#hangs(member, now)) this.#abandon(member, { warn: true });
    }
    for (const [key, [first]] of [...this.#queues]) {
      if (this.#memberOf(key) !== undefined) continue;
      if (now - first!.since >= IDLE_MS) this.#refuse(key, new FilesHang("The files of many users do not answer"));
      else if (now - first!.since >= GROW_AFTER_MS) this.#grow(now);
    }
    this.#dispatch();
  }

  /** True when the thread is in one call for too long, or nothing has come of the tasks for longer. */
  #hangs(member: Member, now: number): boolean {
    if (now - member.progressAt >= IDLE_MS) return true;
    const calls = Atomics.load(member.flags, FLAG_CALLS);
    if (Atomics.load(member.flags, FLAG_IN_CALL) === 0 || calls !== member.calls) {
      member.calls = calls;
      member.callSince = now;
      return false;
    }
    return now - member.callSince >= (this.#options.contended() ? STUCK_CONTENDED_MS : STUCK_MS);
  }

  #grow(now: number): void {
    if (now - this.#grownAt < GROW_AFTER_MS) return;
    if (this.#members.size >= MAX_FILE_ISOLATES + Math.min(this.#stuck.size, MAX_STUCK_ISOLATES)) return;
    this.#grownAt = now;
    this.#options.grow();
  }

  /** From here on none of its tasks can be done any more. */
  #abandon(member: Member, { warn }: { readonly warn: boolean }): void {
    const done = Atomics.or(member.flags, FLAG_ABANDONED, ABANDONED) >> 1;
    const key = member.key!, tasks = [...member.running.values()];
    if (done > 0 && done < tasks.length && !member.spared) {
      // Messages that say which of them are done are on their way.
      member.spared = true;
      Atomics.and(member.flags, FLAG_ABANDONED, ~ABANDONED);
      return;
    }
    // All are done, and only the word of it is missing.
    const all = done > 0 && done >= tasks.length && tasks.every(({ task }) => task.kind !== "forward");
    member.spared = false;
    member.lost = member.running.size;
    member.running.clear();
    this.#stuck.set(key, member);
    this.#know(key, { well: false });
    if (warn) this.#options.warn(`the files of ${key} do not answer: what is to be done with them has to wait`);
    for (const { resolve, reject } of tasks) {
      if (all) resolve({ kind: "written" });
      else reject(new FilesHang());
    }
    this.#refuse(key, new FilesHang());
  }

  #refuse(key: string, error: Error): void {
    const queue = this.#queues.get(key) ?? [];
    this.#queues.delete(key);
    for (const { reject } of queue) reject(error);
  }
}

/** Tasks of the isolate that are finally done and whose answers were not received yet. */
function committed({ flags }: Member): number {
  return Atomics.load(flags, FLAG_ABANDONED) >> 1;
}

/** What is to be moved with a chunk instead of being copied: its buffer, unless there is more in that. */
function wholeBuffer({ buffer, byteLength }: Uint8Array): Transferable[] | undefined {
  return buffer instanceof ArrayBuffer && buffer.byteLength === byteLength ? [buffer] : undefined;
}
