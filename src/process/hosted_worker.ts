/** What starts workers, as the supervisor sees it: this process does (LocalHost), or another one (RemoteHost). */

import type { PostPort } from "../isolate/mod.ts";
import type { GivenSockets } from "./given_sockets.ts";
import type { DoorName, Grants, Role } from "../protocol/mod.ts";
import { DESCRIPTOR_FIELDS } from "../protocol/processes.ts";

/** A worker, wherever it runs. */
export interface HostedWorker extends PostPort {
  /** Called with the reason when an error that nobody caught has ended it, or its process has ended. */
  onerror: ((reason: string) => void) | null;
  /** Ends it at once. */
  terminate(): void;
  /** Ends it because it has said what it may not say: its process is not trusted any more either, where that is another one. */
  condemn(): void;
  /** Ends it because it does not answer. Where it does not end then, its process is ended, where that is another one. */
  abandon(): void;
}

/** One side of a door: a worker, its index among those of its role, and its life. */
export interface HostedEnd {
  readonly worker: HostedWorker;
  readonly index: number;
  readonly life: number;
}

/** A place where workers run. Two workers of one host can be joined without a socket. */
export interface IsolateHost {
  /** Starts a worker of the role with these permissions. Throws when there is something missing for it now. */
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
  readonly #sockets: GivenSockets<HostedWorker> | null;
  readonly #needDescriptors: () => void;

  /**
   * `entry` returns the entry file of a role; `sockets` keeps the connections that workers are given. `needDescriptors` throws when there are too few
   * descriptors left to start a worker.
   */
  constructor(
    entry: (role: Role) => URL,
    sockets: GivenSockets<HostedWorker> | null,
    needDescriptors: () => void = () => {},
  ) {
    this.#entry = entry;
    this.#sockets = sockets;
    this.#needDescriptors = needDescriptors;
  }

  start(role: Role, name: string, grants: Grants): HostedWorker {
    this.#needDescriptors();
    return new LocalWorker(spawn(this.#entry(role), name, grants), this.#sockets);
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
  readonly #sockets: GivenSockets<HostedWorker> | null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onmessageerror: ((event: MessageEvent) => void) | null = null;
  onerror: ((reason: string) => void) | null = null;

  constructor(worker: Worker, sockets: GivenSockets<HostedWorker> | null) {
    this.#worker = worker;
    this.#sockets = sockets;
    worker.onmessage = (event) => this.onmessage?.(event);
    worker.onmessageerror = (event) => this.onmessageerror?.(event);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#sockets?.lost(this);
      this.onerror?.(event.message);
    };
  }

  postMessage(message: unknown, transfer: Transferable[]): void {
    if (this.#sockets !== null) { for (const one of descriptorsIn(message)) this.#sockets.give(this, one); }
    this.#worker.postMessage(message, transfer);
  }

  terminate(): void {
    this.#worker.terminate();
    this.#sockets?.lost(this);
  }

  condemn(): void {
    this.terminate();
  }

  abandon(): void {
    this.terminate();
  }
}

/** Returns the descriptors that a message to a worker carries, or the messages of a list, in order. */
export function descriptorsIn(message: unknown): number[] {
  if (!Array.isArray(message)) return descriptorsOf(message as Carrier);
  return message.flatMap(descriptorsOf);
}

/** Puts the numbers that descriptors have in this process into such a message or list, in the same order. */
export function putDescriptors(message: unknown, descriptors: readonly number[]): void {
  let next = 0;
  for (const one of (Array.isArray(message) ? message : [message]) as Carrier[]) {
    for (const field of DESCRIPTOR_FIELDS) if (typeof one[field] === "number") one[field] = descriptors[next++];
  }
}

/** A message that may carry descriptors. */
type Carrier = { [field in typeof DESCRIPTOR_FIELDS[number]]?: unknown };

function descriptorsOf(message: Carrier): number[] {
  return DESCRIPTOR_FIELDS.map((field) => message[field]).filter((one) => typeof one === "number");
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
