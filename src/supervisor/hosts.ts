/** The places where isolates run, this process and others: finds that of a role, and joins two isolates wherever they are. */

import type { DoorName, Role } from "../protocol/mod.ts";
import { processOf } from "../protocol/processes.ts";
import { type IsolateHost, LocalHost } from "../process/mod.ts";
import type { DoorPipes, Processes, SystemPlan } from "./plan.ts";
import type { WorkerSlot } from "./worker_slot.ts";

export class Hosts {
  readonly #local: IsolateHost;
  readonly #processes: Processes | null;

  /** Without `processes` all run in this one. */
  constructor(
    { entry, sockets, needDescriptors, processes }: Pick<
      SystemPlan,
      "entry" | "sockets" | "needDescriptors" | "processes"
    >,
  ) {
    this.#local = new LocalHost(entry, sockets ?? null, needDescriptors);
    this.#processes = processes ?? null;
  }

  /** Returns where isolates of the role run. */
  of(role: Role): IsolateHost {
    const process = processOf(role);
    return (process === null ? undefined : this.#processes?.hosts[process]) ?? this.#local;
  }

  /** Gives the two sides of a door to two isolates that run: a port where they share a process, else pipes. Throws when there are none left. */
  join(name: DoorName, asker: WorkerSlot, answerer: WorkerSlot): void {
    if (asker.host === answerer.host) return asker.host.join(name, asker.end!, answerer.end!);
    const [one, other] = this.#processes!.pipePair();
    asker.send({ type: "door", name, peer: answerer.index, life: answerer.life, ...opening(one) });
    answerer.send({ type: "door", name, peer: asker.index, life: asker.life, ...opening(other) });
  }

  /** Looks whether the other processes answer. */
  look(): void {
    for (const host of this.#all()) host.look();
  }

  /** Ends the other processes. */
  async close(): Promise<void> {
    await Promise.all(this.#all().map((host) => host.close()));
  }

  #all(): IsolateHost[] {
    return [this.#local, ...Object.values(this.#processes?.hosts ?? {})];
  }
}

function opening({ read, write }: DoorPipes): { readonly descriptor: number; readonly writeDescriptor: number } {
  return { descriptor: read, writeDescriptor: write };
}
