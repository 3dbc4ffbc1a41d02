/** One place for an isolate: the worker that stands in it now, and what is known of it. Starts workers; decides nothing. */

import type { Clock } from "../clock.ts";
import { DoorChannel, LIFECYCLE_RATE, MessageMeter, WorkerPort } from "../isolate/mod.ts";
import type { HostedEnd, HostedWorker, IsolateHost } from "../process/mod.ts";
import type { Grants, Role, ToIsolate } from "../protocol/mod.ts";

/** What comes from a worker. */
export interface WorkerReceiver {
  /** A single message, unchecked. */
  onmessage(message: unknown): void;
  /** Something came that no isolate sends. */
  onfault(fault: string): void;
  /** An error that nobody caught has ended it. */
  onerror(reason: string): void;
}

/** Which isolate stands there, and where its workers run. */
export interface Place {
  readonly role: Role;
  readonly index: number;
  readonly host: IsolateHost;
}

export class WorkerSlot {
  readonly role: Role;
  readonly index: number;
  ready = false;
  /** How often it was started. */
  life = 0;
  /** What the isolate that stands here may do. */
  grants: Grants = {};
  /** In ms of the steady clock. */
  startedAt = 0;
  /** Restarts in a row; a minute of quiet clears it. */
  failures = 0;
  pinged = 0;
  ponged = 0;
  /** Looks since its last answer that found it silent. */
  silent = 0;
  /** When it last said anything, in ms of the steady clock. */
  lastMessageAt = 0;
  /** Called when the ping of this number, or a later one, is answered. */
  readonly probes: { readonly ping: number; readonly run: () => void }[] = [];
  /** Called when the isolate says `stopped`, or ends. */
  stopped: (() => void) | null = null;
  /** Called with null when it becomes ready, with the reason when it ends before that. */
  onready: ((failure: string | null) => void) | null = null;
  /** It is told to finish, and another one takes its place when it has. */
  replacing = false;
  /** Settings that it was given and has not confirmed, by the number of the call: called with why it cannot use them, or null. */
  readonly reloading = new Map<number, (fault: string | null) => void>();
  /** The door to main of the isolate that stands here; null where the role has none. */
  main: DoorChannel<unknown, unknown> | null = null;
  /** Where its workers run. */
  readonly host: IsolateHost;
  #worker: HostedWorker | null = null;
  #port: WorkerPort | null = null;

  readonly #clock: Pick<Clock, "steady">;

  constructor({ role, index, host }: Place, clock: Pick<Clock, "steady">) {
    this.#clock = clock;
    this.role = role;
    this.index = index;
    this.host = host;
  }

  /** True when a worker stands here, ready or not. */
  get running(): boolean {
    return this.#worker !== null;
  }

  /** The worker that stands here, as one side of a door; null when none does. */
  get end(): HostedEnd | null {
    return this.#worker === null ? null : { worker: this.#worker, index: this.index, life: this.life };
  }

  /** Starts a worker with these permissions in this place, with `main` as its door to main. */
  launch(
    name: string,
    grants: Grants,
    receiver: WorkerReceiver,
    main: DoorChannel<unknown, unknown> | null,
  ): void {
    const worker = this.host.start(this.role, name, grants);
    const isCurrent = () => this.#worker === worker;
    this.#worker = worker;
    this.grants = grants;
    const meter = new MessageMeter(LIFECYCLE_RATE, this.#clock);
    this.#port = new WorkerPort(worker, {
      onmessage: (message) => {
        if (!isCurrent()) return;
        const excess = meter.take(1);
        if (excess === null) receiver.onmessage(message);
        else receiver.onfault(excess);
      },
      onfault: (fault) => {
        if (isCurrent()) receiver.onfault(fault);
      },
      onheard: () => this.lastMessageAt = this.#clock.steady(),
      takesPorts: false,
    });
    worker.onerror = (reason) => {
      if (isCurrent()) receiver.onerror(reason);
    };
    main?.attach(this.#port.door);
    this.main = main;
    this.life++;
    this.startedAt = this.#clock.steady();
    this.pinged = this.ponged = this.silent = 0;
    this.probes.length = 0;
  }

  /** Sends to the worker, if there is one. */
  send(message: ToIsolate, transfer?: Transferable[]): void {
    this.#port?.send(message, transfer);
  }

  ping(): void {
    this.send({ type: "ping", count: ++this.pinged });
  }

  /** Ends the worker at once. Its door to main is reset. */
  terminate(): void {
    this.#end((worker) => worker.terminate());
  }

  /** As `terminate`, for one that is not trusted any more: what else runs in its process ends with it. */
  condemn(): void {
    this.#end((worker) => worker.condemn());
  }

  /** As `terminate`, for one that does not answer and may never end by itself. */
  abandon(): void {
    this.#end((worker) => worker.abandon());
  }

  #end(how: (worker: HostedWorker) => void): void {
    const worker = this.#worker;
    this.#worker = this.#port = null;
    if (worker !== null) how(worker);
    this.ready = false;
    // The one that takes its place starts with the settings as they are by then.
    for (const settle of this.reloading.values()) settle(null);
    this.reloading.clear();
    this.main?.detach();
    this.main = null;
  }
}
