/**
 * Workers of another process, from the parent's side: starts the process when it is needed, says over its link what its workers are sent, and
 * ends it when it does not answer. What comes over the link is said by a process that may be compromised: it is checked here, and what its
 * workers say is checked by the supervisor as if they ran in this process.
 */

import { DoorChannel, type Transport } from "../isolate/mod.ts";
import type { DoorName, FromHost, Grants, Role, ToHost } from "../protocol/mod.ts";
import { compileTable } from "../protocol/check.ts";
import { FROM_HOST, HOST_REPLIES, MAX_HANDED_DESCRIPTORS } from "../protocol/processes.ts";
import { descriptorsIn, type HostedEnd, type HostedWorker, type IsolateHost } from "./hosted_worker.ts";

/** A process that was started. */
export interface RunningProcess {
  readonly pid: number;
  /** Its link. */
  readonly transport: Transport;
  /** Sends copies of descriptors, which stay the caller's. False when they cannot be taken just now. */
  hand(note: number, descriptors: readonly number[]): boolean;
  /** Threads of workers that it has; null where that cannot be known. */
  workerThreads(): number | null;
  /** Resolves with how it ended, in words. */
  readonly ended: Promise<string>;
  /** Closes the link and the socket of the descriptors: the process ends. */
  close(): void;
  /** Ends it at once. */
  kill(): void;
}

/** What a host needs of the system. */
export interface ProcessSystem {
  /** Starts the process. Rejects with the reason. */
  launch(): Promise<RunningProcess>;
  closeDescriptor(descriptor: number): void;
  after(ms: number, run: () => void): () => void;
  /** A wall that the process could not give itself does not stand, and why. */
  missing(reason: string): void;
  /** A line for the log about what the process said that it may not say. */
  refused(text: string): void;
}

/** Looks, about one per second, that find its last ping unanswered, after which the process is ended. It only passes messages on. */
const SILENT_LOOKS = 15;
/** As many for one that is not up yet: its start may hang, or it does. */
const START_LOOKS = 60;
/** Looks that find an isolate there which was told to end, after which the process is ended. */
const END_LOOKS = 3;
/** Packets with descriptors that wait because the process does not take any: more, and it is ended. */
const MAX_WAITING_PACKETS = 4_096;
/** How soon it is tried again, in milliseconds. */
const RETRY_MS = 1;
/** How long an answer about its walls is awaited, in milliseconds. */
const ANSWER_MS = 1_000;
/** Time for a process to end when its link is closed, in milliseconds. */
const CLOSE_MS = 2_000;
const ARRIVING = compileTable(FROM_HOST), REPLIES = new Map(Object.entries(HOST_REPLIES));

/** A message for the process, and the descriptors that go with it. */
interface Outgoing {
  readonly message: ToHost;
  readonly descriptors: readonly number[];
}

/** Which process it is. */
export interface ProcessHostTraits {
  readonly name: string;
  /** Its isolates may make connections of their own. */
  readonly internet: boolean;
  /** Libraries that one of its isolates may load, by their paths. */
  readonly libraries: readonly string[];
}

export class RemoteHost implements IsolateHost {
  readonly #traits: ProcessHostTraits;
  readonly #system: ProcessSystem;
  /** The process in this place now, starting or started; null before the first worker and after its end. */
  #life: ProcessLife | null = null;
  #closed = false;

  constructor(traits: ProcessHostTraits, system: ProcessSystem) {
    this.#traits = traits;
    this.#system = system;
  }

  /** Process id, while it runs. */
  get pid(): number | null {
    return this.#life?.pid ?? null;
  }

  /** Asks the process whether Landlock stands around it. Null: it does not run, or does not say. */
  landlock(): Promise<boolean | null> {
    return this.#life?.landlock() ?? Promise.resolve(null);
  }

  start(role: Role, name: string, grants: Grants): HostedWorker {
    return this.#running().start(role, name, grants);
  }

  join(door: DoorName, asker: HostedEnd, answerer: HostedEnd): void {
    this.#life?.join(door, asker, answerer);
  }

  look(): void {
    this.#life?.look();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#life?.close();
  }

  #running(): ProcessLife {
    if (this.#life !== null && !this.#life.over) return this.#life;
    this.#life = new ProcessLife(this.#traits, this.#system);
    if (!this.#closed) this.#life.launch();
    return this.#life;
  }
}

/** One process, from its start to its end. */
class ProcessLife {
  readonly #name: string;
  readonly #system: ProcessSystem;
  readonly #workers = new Map<number, RemoteWorker>();
  readonly #link: DoorChannel<ToHost, FromHost>;
  /** What waits for the process to start, or to take descriptors; in order. */
  #waiting: Outgoing[] = [];
  #process: RunningProcess | null = null;
  /** The process takes messages. */
  #up = false;
  #over = false;
  #cancelRetry: (() => void) | null = null;
  #nextWorker = 1;
  #nextNote = 1;
  #pinged = 0;
  #ponged = 0;
  #silent = 0;
  /** Looks since an isolate was told to end that did not answer; null when all have ended. */
  #ending: number | null = null;
  #nextCall = 1;
  /** Who waits for an answer, by its number. */
  readonly #asking = new Map<number, (stands: boolean | null) => void>();

  constructor({ name, internet, libraries }: ProcessHostTraits, system: ProcessSystem) {
    this.#name = name;
    this.#system = system;
    this.#link = new DoorChannel({
      arriving: ARRIVING,
      replies: REPLIES,
      onfault: (fault) => this.#refuse(fault),
    });
    this.#link.onmessage = (message) => this.#receive(message);
    this.#link.send({ type: "walls", internet, libraries });
  }

  get over(): boolean {
    return this.#over;
  }

  get pid(): number | null {
    return this.#over ? null : this.#process?.pid ?? null;
  }

  async landlock(): Promise<boolean | null> {
    if (!this.#up) return null;
    const call = this.#nextCall++;
    const { promise, resolve } = Promise.withResolvers<boolean | null>();
    this.#asking.set(call, resolve);
    const cancel = this.#system.after(ANSWER_MS, () => resolve(null));
    this.#send({ type: "landlock", call });
    try {
      return await promise;
    } finally {
      cancel();
      this.#asking.delete(call);
    }
  }

  launch(): void {
    this.#system.launch().then((process) => this.#started(process), (error) => this.#end((error as Error).message));
  }

  #started(process: RunningProcess): void {
    this.#process = process;
    void process.ended.then((how) => this.#end(how));
    if (this.#over) {
      process.kill();
      return process.close();
    }
    this.#link.attach(process.transport);
  }

  start(role: Role, name: string, grants: Grants): HostedWorker {
    const number = this.#nextWorker++;
    const worker = new RemoteWorker({
      post: (message) => this.#say(number, message),
      end: () => {
        if (this.#workers.delete(number)) this.#send({ type: "end", worker: number });
      },
      condemn: () => this.#refuse(`its isolate ${name} is not trusted any more`),
      abandon: () => {
        if (!this.#workers.delete(number)) return;
        this.#send({ type: "end", worker: number });
        this.#ending ??= 0;
      },
      number,
    });
    this.#workers.set(number, worker);
    this.#send({ type: "start", worker: number, role, name, grants });
    return worker;
  }

  join(door: DoorName, asker: HostedEnd, answerer: HostedEnd): void {
    const end = ({ worker, index, life }: HostedEnd) => ({ worker: (worker as RemoteWorker).number, index, life });
    this.#send({ type: "join", door, asker: end(asker), answerer: end(answerer) });
  }

  /** Sends to a worker; descriptors in the message are taken from this process and go to the other. */
  #say(worker: number, message: unknown): void {
    const descriptors = descriptorsIn(message);
    if (descriptors.length === 0) return this.#send({ type: "say", worker, message });
    if (descriptors.length <= MAX_HANDED_DESCRIPTORS) {
      return this.#send({ type: "say", worker, message, handed: this.#nextNote++ }, descriptors);
    }
    // A single message has two at most: this is a list.
    const posts = message as unknown[], half = posts.length >> 1;
    this.#say(worker, posts.slice(0, half));
    this.#say(worker, posts.slice(half));
  }

  #send(message: ToHost, descriptors: readonly number[] = []): void {
    if (this.#over) return this.#drop({ message, descriptors });
    if (this.#up && this.#waiting.length === 0 && this.#pass({ message, descriptors })) return;
    this.#waiting.push({ message, descriptors });
    if (this.#waiting.length > MAX_WAITING_PACKETS && this.#up) return this.#refuse("it takes no descriptors");
    if (this.#up) this.#retry();
  }

  /** False when the process cannot take the descriptors now. They arrive before the message does. */
  #pass({ message, descriptors }: Outgoing): boolean {
    if (descriptors.length > 0) {
      if (!this.#process!.hand((message as { handed: number }).handed, descriptors)) return false;
      for (const descriptor of descriptors) this.#system.closeDescriptor(descriptor);
    }
    this.#link.send(message);
    return true;
  }

  #retry(): void {
    this.#cancelRetry ??= this.#system.after(RETRY_MS, () => {
      this.#cancelRetry = null;
      this.#flush();
    });
  }

  #flush(): void {
    let passed = 0;
    while (passed < this.#waiting.length && this.#pass(this.#waiting[passed]!)) passed++;
    this.#waiting = this.#waiting.slice(passed);
    if (this.#waiting.length > 0) this.#retry();
  }

  #drop({ descriptors }: Outgoing): void {
    for (const descriptor of descriptors) this.#system.closeDescriptor(descriptor);
  }

  #receive(message: FromHost): void {
    if ("worker" in message && message.worker >= this.#nextWorker) {
      return this.#refuse(`${message.type}: there is no worker ${message.worker}`);
    }
    switch (message.type) {
      case "up":
        if (this.#up) return this.#refuse("up: it was up before");
        this.#up = true;
        this.#silent = 0;
        if (message.missing !== undefined) this.#system.missing(message.missing);
        return this.#flush();
      case "said":
        return this.#workers.get(message.worker)?.onmessage?.({ data: message.message, ports: [] } as never);
      case "fault":
        return this.#workers.get(message.worker)?.onmessageerror?.({} as MessageEvent);
      case "error": {
        const worker = this.#workers.get(message.worker);
        this.#workers.delete(message.worker);
        return worker?.onerror?.(message.reason);
      }
      case "pong":
        if (message.count > this.#pinged) return this.#refuse("pong: it was not asked");
        this.#ponged = message.count;
        this.#silent = 0;
        return;
      case "landlock":
        return this.#asking.get(message.call)?.(message.stands);
    }
    message satisfies never;
  }

  look(): void {
    if (this.#over) return;
    if (!this.#up || this.#pinged > this.#ponged) this.#silent++;
    else this.#send({ type: "ping", count: ++this.#pinged });
    if (!this.#up && this.#silent > START_LOOKS) this.#giveUp("it does not come up");
    if (this.#up && this.#silent > SILENT_LOOKS) this.#giveUp("it does not answer");
    if (this.#process !== null) this.#lookForEnd(this.#process);
  }

  /** What loops in the engine ends when it is told to; what stands still in the C++ or Rust beneath does not. */
  #lookForEnd(process: RunningProcess): void {
    if (this.#ending === null) return;
    const threads = process.workerThreads();
    if (threads === null || threads <= this.#workers.size) this.#ending = null;
    else if (++this.#ending > END_LOOKS) this.#giveUp("an isolate of it does not end");
  }

  #giveUp(why: string): void {
    if (this.#over) return;
    this.#system.refused(`the process ${this.#name} is replaced: ${why}`);
    this.#process?.kill();
    this.#end(why);
  }

  /** The process has said what it may not say, or does not do what it has to: it is replaced. */
  #refuse(fault: string): void {
    if (this.#over) return;
    this.#system.refused(`the process ${this.#name} is replaced: ${fault}`);
    this.#process?.kill();
    this.#end("It said something malformed");
  }

  #end(how: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#up = false;
    this.#cancelRetry?.();
    this.#link.detach();
    this.#process?.close();
    for (const outgoing of this.#waiting.splice(0)) this.#drop(outgoing);
    for (const answer of this.#asking.values()) answer(null);
    const workers = [...this.#workers.values()];
    this.#workers.clear();
    for (const worker of workers) worker.onerror?.(`the process ${this.#name} ended: ${how}`);
  }

  async close(): Promise<void> {
    const process = this.#process;
    this.#workers.clear();
    this.#end("it was closed");
    if (process === null) return;
    const cancel = this.#system.after(CLOSE_MS, () => process.kill());
    await process.ended;
    cancel();
  }
}

/** What a worker of another process asks of its host. */
interface RemoteWorkerOptions {
  readonly number: number;
  post(message: unknown): void;
  end(): void;
  condemn(): void;
  abandon(): void;
}

class RemoteWorker implements HostedWorker {
  readonly number: number;
  readonly #options: RemoteWorkerOptions;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onmessageerror: ((event: MessageEvent) => void) | null = null;
  onerror: ((reason: string) => void) | null = null;

  constructor(options: RemoteWorkerOptions) {
    this.number = options.number;
    this.#options = options;
  }

  postMessage(message: unknown): void {
    this.#options.post(message);
  }

  terminate(): void {
    this.#options.end();
  }

  condemn(): void {
    this.#options.condemn();
  }

  abandon(): void {
    this.#options.abandon();
  }
}
