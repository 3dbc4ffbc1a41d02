/**
 * What runs in a process besides the workers: starts them with their permissions at the parent's word, joins them, and passes on what the parent
 * and they say to each other. Takes no decision of its own. Before the first worker starts it puts the walls up that a process can only give
 * itself (seccomp(2)) and gives up the right to load libraries, but for those that a worker is granted. It ends when its link ends: no process outlives the parent.
 */

import { systemClock } from "../clock.ts";
import { DoorChannel, SocketTransport } from "../isolate/mod.ts";
import {
  closeDescriptor,
  DescriptorSocket,
  installSeccomp,
  KernelError,
  landlockStands,
  LIBC_PATHS,
  needDescriptors,
  pipeMark,
  type SeccompRules,
  shutDown,
  socketCookie,
} from "../kernel/mod.ts";
import type { FromHost, Role, ToHost } from "../protocol/mod.ts";
import { HANDED_DESCRIPTOR, LINK_DESCRIPTOR, LINK_WRITE_DESCRIPTOR } from "../protocol/processes.ts";
import { GivenSockets, type HostedEnd, type HostedWorker, LocalHost, putDescriptors } from "../process/mod.ts";

/** The parent gets these as well, from a terminal or the service manager, and decides what becomes of its processes. */
const PARENTS_SIGNALS = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;

/** Serves the parent until the link ends, then ends the process. `entry` returns the entry file of a role. Never returns. */
export async function runHost(entry: (role: Role) => URL): Promise<never> {
  for (const signal of PARENTS_SIGNALS) Deno.addSignalListener(signal, () => {});
  const handed = new DescriptorSocket(HANDED_DESCRIPTOR);
  const host = new Host(handed, entry);
  await host.serve(new SocketTransport(LINK_DESCRIPTOR, { writeDescriptor: LINK_WRITE_DESCRIPTOR }));
  Deno.exit(0);
}

type Of<T extends ToHost["type"]> = Extract<ToHost, { readonly type: T }>;

/** ENOSYS, EINVAL: a kernel without it. EPERM, EACCES: a container that keeps it to itself. */
const NOT_GIVEN: readonly number[] = [38, 22, 1, 13];

/** Returns why this kernel does not give the filter; null when it stands. Throws a KernelError when it gives only a part. */
function install(rules: SeccompRules): string | null {
  try {
    installSeccomp(rules);
    return null;
  } catch (error) {
    if (!(error instanceof KernelError) || !NOT_GIVEN.includes(error.errno)) throw error;
    return error.message;
  }
}

/**
 * Gives up the permission to load libraries, but for `kept`: who was not granted each by its path keeps none. A worker can be granted no more than this
 * isolate has, also one that is started later.
 */
function giveUpLibraries(kept: readonly string[]): void {
  if (kept.length > 0) { for (const path of LIBC_PATHS) Deno.permissions.revokeSync({ name: "ffi", path }); }
  const mayAny = () => Deno.permissions.querySync({ name: "ffi", path: LIBC_PATHS[0]! }).state === "granted";
  if (kept.length === 0 || mayAny()) Deno.permissions.revokeSync({ name: "ffi" });
}

/** Returns a mark of a socket or a pipe. */
const mark = (descriptor: number) => socketCookie(descriptor) ?? pipeMark(descriptor);

class Host {
  readonly #handed: DescriptorSocket;
  readonly #local: LocalHost;
  // The parent is trusted: what it says is not checked here.
  readonly #link = new DoorChannel<FromHost, ToHost>();
  readonly #workers = new Map<number, HostedWorker>();

  constructor(handed: DescriptorSocket, entry: (role: Role) => URL) {
    this.#handed = handed;
    const after = systemClock.after;
    this.#local = new LocalHost(
      entry,
      new GivenSockets({ mark, shutDown, closeDescriptor, after }),
      () => needDescriptors("an isolate"),
    );
  }

  /** Obeys what comes over the link. Resolves when that has ended. */
  serve(transport: SocketTransport): Promise<void> {
    return new Promise((resolve) => {
      this.#link.onclose = resolve;
      this.#link.onmessage = (message) => this.#obey(message);
      this.#link.attach(transport);
    });
  }

  #obey(message: ToHost): void {
    switch (message.type) {
      case "walls":
        return this.#putUpWalls(message);
      case "start":
        return this.#start(message);
      case "say":
        return this.#say(message);
      case "join":
        return this.#join(message);
      case "end":
        this.#workers.get(message.worker)?.terminate();
        return void this.#workers.delete(message.worker);
      case "ping":
        return this.#link.send({ type: "pong", count: message.count });
      case "landlock":
        return this.#link.send({ type: "landlock", call: message.call, stands: landlockStands() });
    }
    message satisfies never;
  }

  #putUpWalls({ internet, libraries }: Of<"walls">): void {
    const missing = install({ internet, unix: false, listen: false, exec: false });
    giveUpLibraries(libraries);
    this.#link.send({ type: "up", ...missing !== null && { missing } });
  }

  #start({ worker: number, role, name, grants }: Of<"start">): void {
    let worker: HostedWorker;
    try {
      worker = this.#local.start(role, name, grants);
    } catch (error) {
      return this.#link.send({ type: "error", worker: number, reason: (error as Error).message });
    }
    worker.onmessage = ({ data, ports }) => {
      if (ports.length > 0) this.#link.send({ type: "fault", worker: number, fault: "it carries ports" });
      else this.#link.send({ type: "said", worker: number, message: data });
    };
    worker.onmessageerror = () => this.#link.send({ type: "fault", worker: number, fault: "it cannot be read" });
    worker.onerror = (reason) => {
      this.#workers.delete(number);
      this.#link.send({ type: "error", worker: number, reason });
    };
    this.#workers.set(number, worker);
  }

  #say({ worker, message, handed }: Of<"say">): void {
    if (handed !== undefined) {
      const descriptors = this.#descriptorsOf(handed);
      // It has ended meanwhile.
      if (!this.#workers.has(worker)) return descriptors.forEach(closeDescriptor);
      putDescriptors(message, descriptors);
    }
    this.#workers.get(worker)?.postMessage(message, []);
  }

  /** Takes the packet of that number: it was sent before the message that names it, and in the order of these. */
  #descriptorsOf(note: number): readonly number[] {
    const packet = this.#handed.take();
    if (packet?.note !== note) throw new Error("The descriptors of a message have not come");
    return packet.descriptors;
  }

  #join({ door, asker, answerer }: Of<"join">): void {
    const one = this.#endOf(asker), other = this.#endOf(answerer);
    if (one !== null && other !== null) this.#local.join(door, one, other);
  }

  #endOf({ worker, index, life }: Of<"join">["asker"]): HostedEnd | null {
    const hosted = this.#workers.get(worker);
    return hosted === undefined ? null : { worker: hosted, index, life };
  }
}
