/** Admits SMTP connections: counts them, keeps to the limit, and chooses the smtp isolate for each. */

import type net from "node:net";
import { detachDescriptor, type FromMain, type Peer, type Supervisor } from "../isolate/mod.ts";

/** Descriptors that a process has at least, where the real limit cannot be told. */
const USUAL_DESCRIPTORS = 1024;
/** Descriptors that stay free for files and other sockets (OpenSMTPD's reserve). */
const RESERVED_DESCRIPTORS = 5;
/** Sessions that one isolate takes before the next is used: together they share wake-ups and commits, which cost more than they do. */
const PACKED = 64;
const TOO_MANY = "421 4.3.2 Too many connections, try again later\r\n";
const PAUSED = "421 4.3.2 Service paused, try again later\r\n";
const NO_ISOLATE = "421 4.3.0 Service restarting, try again later\r\n";

export class SessionDesk {
  /** `pause smtp`: new connections are turned away with 421. */
  paused = false;
  readonly #supervisor: Supervisor;
  readonly #limit: number;
  readonly #debug: (text: () => string) => void;
  #count = 0;
  #counts = new Map<number, number>();

  /** `descriptors` is the limit of open files, null when unknown. `debug` hears who is turned away. */
  constructor(supervisor: Supervisor, descriptors: number | null, debug: (text: () => string) => void) {
    this.#supervisor = supervisor;
    this.#debug = debug;
    // (descriptors − reserve) / 2: a session may need one more for its delivery.
    this.#limit = Math.max(10, Math.floor((descriptors ?? USUAL_DESCRIPTORS) / 2) - RESERVED_DESCRIPTORS);
  }

  /** Hands an accepted, paused connection to an smtp isolate, or turns it away with 421. */
  admit(socket: net.Socket, listener: number, peer: Peer): void {
    const isolates = this.#supervisor.living("smtp");
    const refusal = this.paused
      ? PAUSED
      : this.#count >= this.#limit
      ? TOO_MANY
      : isolates.length === 0
      ? NO_ISOLATE
      : null;
    if (refusal !== null) {
      this.#debug(() =>
        `${peer.address} is turned away, ${this.#count} of ${this.#limit} sessions: ${refusal.trimEnd()}`
      );
      socket.on("error", () => {});
      socket.end(refusal, () => socket.destroy());
      return;
    }
    const index = this.#choose(isolates);
    try {
      const descriptor = detachDescriptor(socket);
      this.#supervisor.post("smtp", index, { type: "session", descriptor, listener, peer } satisfies FromMain);
    } catch {
      return; // The client hung up before it was served.
    }
    this.#count++;
    this.#counts.set(index, (this.#counts.get(index) ?? 0) + 1);
  }

  /** The first isolate with room, so that a few sessions stay together; the one with the fewest when all have many. */
  #choose(isolates: readonly number[]): number {
    const countOf = (index: number) => this.#counts.get(index) ?? 0;
    const roomy = isolates.find((index) => countOf(index) < PACKED);
    return roomy ?? isolates.reduce((least, index) => countOf(index) < countOf(least) ? index : least);
  }

  ended(index: number, count: number): void {
    this.#count -= count;
    this.#counts.set(index, (this.#counts.get(index) ?? count) - count);
  }

  /** The isolate died, its sessions with it. */
  lost(index: number): void {
    this.#count -= this.#counts.get(index) ?? 0;
    this.#counts.delete(index);
  }
}
