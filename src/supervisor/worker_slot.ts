/** One place for an isolate: the worker that stands in it now, and what is known of it. Starts workers; decides nothing. */

import type { Clock } from "../clock.ts";
import { DoorChannel, WorkerPort } from "../isolate/mod.ts";
import type { Role, ToIsolate } from "../protocol/mod.ts";

/** What an isolate may do. Absent means refused; see the table in src/daemon/permissions.ts. */
export interface Grants {
  readonly read?: readonly string[] | true;
  readonly write?: readonly string[] | true;
  readonly net?: readonly string[] | true;
  readonly run?: readonly string[] | true;
  readonly ffi?: readonly string[] | true;
  /** What is known of the machine, by the names that Deno gives them. */
  readonly sys?: readonly string[];
}

/** What comes from a worker. */
export interface WorkerReceiver {
  /** A single message, unchecked. */
  onmessage(message: unknown): void;
  /** Something came that no isolate sends. */
  onfault(fault: string): void;
  /** An error that nobody caught has ended it. */
  onerror(reason: string): void;
}

export class WorkerSlot {
  readonly role: Role;
  readonly index: number;
  ready = false;
  /** How often it was started. */
  life = 0;
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
  /** The door to main of the isolate that stands here; null where the role has none. */
  main: DoorChannel<unknown, unknown> | null = null;
  #worker: Worker | null = null;
  #port: WorkerPort | null = null;

  readonly #clock: Pick<Clock, "steady">;

  constructor(role: Role, index: number, clock: Pick<Clock, "steady">) {
    this.#clock = clock;
    this.role = role;
    this.index = index;
  }

  /** True when a worker stands here, ready or not. */
  get running(): boolean {
    return this.#worker !== null;
  }

  /** Starts a worker with these permissions in this place, with `main` as its door to main. */
  launch(
    entry: URL,
    name: string,
    grants: Grants,
    receiver: WorkerReceiver,
    main: DoorChannel<unknown, unknown> | null,
  ): void {
    const worker = spawn(entry, name, grants);
    const isCurrent = () => this.#worker === worker;
    this.#worker = worker;
    worker.addEventListener("message", () => this.lastMessageAt = this.#clock.steady());
    this.#port = new WorkerPort(worker, {
      onmessage: (message) => {
        if (isCurrent()) receiver.onmessage(message);
      },
      onfault: (fault) => {
        if (isCurrent()) receiver.onfault(fault);
      },
      takesPorts: false,
    });
    worker.onerror = (event) => {
      event.preventDefault();
      if (isCurrent()) receiver.onerror(event.message);
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
    this.#worker?.terminate();
    this.#worker = this.#port = null;
    this.ready = false;
    this.main?.detach();
    this.main = null;
  }
}

/** The one place that starts workers. Omitting `permissions` would hand down everything that main has. */
function spawn(entry: URL, name: string, grants: Grants): Worker {
  const list = (grant: readonly string[] | true | undefined) =>
    grant === true ? true : grant?.length ? [...grant] : false;
  const permissions = {
    read: list(grants.read),
    write: list(grants.write),
    net: list(grants.net),
    run: list(grants.run),
    ffi: list(grants.ffi),
    env: false,
    sys: list(grants.sys),
    import: false,
  };
  return new Worker(entry, { type: "module", name, deno: { permissions } } as WorkerOptions);
}
