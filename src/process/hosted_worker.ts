/** What starts workers, as the supervisor sees it: this process does (LocalHost), or another one (RemoteHost). */

import type { PostPort } from "../isolate/mod.ts";
import type { DoorName, Grants, Role } from "../protocol/mod.ts";

/** A worker, wherever it runs. */
export interface HostedWorker extends PostPort {
  /** Called with the reason when an error that nobody caught has ended it, or its process has ended. */
  onerror: ((reason: string) => void) | null;
  /** Ends it at once. */
  terminate(): void;
  /** Ends it because it has said what it may not say: its process is not trusted any more either, where that is another one. */
  condemn(): void;
}

/** One side of a door: a worker, its index among those of its role, and its life. */
export interface HostedEnd {
  readonly worker: HostedWorker;
  readonly index: number;
  readonly life: number;
}

/** A place where workers run. Two workers of one host can be joined without a socket. */
export interface IsolateHost {
  /** Starts a worker of the role with these permissions. */
  start(role: Role, name: string, grants: Grants): HostedWorker;
  /** Gives the two sides of a door to two workers of this host. */
  join(door: DoorName, asker: HostedEnd, answerer: HostedEnd): void;
  /** Looks whether it answers. Called about once per second. */
  look(): void;
  /** Ends what still runs there. Resolves when it has ended. */
  close(): Promise<void>;
}

/** Workers of this process. */
export class LocalHost implements IsolateHost {
  readonly #entry: (role: Role) => URL;

  /** `entry` returns the entry file of a role. */
  constructor(entry: (role: Role) => URL) {
    this.#entry = entry;
  }

  start(role: Role, name: string, grants: Grants): HostedWorker {
    return new LocalWorker(spawn(this.#entry(role), name, grants));
  }

  join(name: DoorName, asker: HostedEnd, answerer: HostedEnd): void {
    const { port1, port2 } = new MessageChannel();
    asker.worker.postMessage({ type: "door", name, peer: answerer.index, life: answerer.life, port: port1 }, [port1]);
    answerer.worker.postMessage({ type: "door", name, peer: asker.index, life: asker.life, port: port2 }, [port2]);
  }

  look(): void {}

  close(): Promise<void> {
    return Promise.resolve();
  }
}

class LocalWorker implements HostedWorker {
  readonly #worker: Worker;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onmessageerror: ((event: MessageEvent) => void) | null = null;
  onerror: ((reason: string) => void) | null = null;

  constructor(worker: Worker) {
    this.#worker = worker;
    worker.onmessage = (event) => this.onmessage?.(event);
    worker.onmessageerror = (event) => this.onmessageerror?.(event);
    worker.onerror = (event) => {
      event.preventDefault();
      this.onerror?.(event.message);
    };
  }

  postMessage(message: unknown, transfer: Transferable[]): void {
    this.#worker.postMessage(message, transfer);
  }

  terminate(): void {
    this.#worker.terminate();
  }

  condemn(): void {
    this.terminate();
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
