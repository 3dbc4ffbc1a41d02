/**
 * Where a connection behind a load balancer waits until its PROXY header was read; what follows stays in the kernel for the session. With
 * wire.ts the only file of this folder that touches sockets.
 */

import type net from "node:net";
import type { EmitEvent } from "../../events/mod.ts";
import { adoptSocket, detachDescriptor } from "../../sockets/mod.ts";
import type { Peer } from "../../protocol/mod.ts";
import { RefusalLog } from "../refusals.ts";
import { ProxyHeader, type ProxySource } from "./proxy_header.ts";
import { type SourceLimits, Sources } from "../sources.ts";

/** One line per proxy in so long about connections without a word, in milliseconds; and of so many proxies at most. */
const LOOKS_MS = 600_000, MAX_LOOKERS = 1000;
/** How long the header may take, in milliseconds: proxies send it at once. */
export const HEADER_MS = 30_000;
const LOOK_MS = 1000;
const TOO_MANY = "421 4.7.0 Too many connections from your address, try again later\r\n";

/** Octets that are read at a time; what was asked for before is used up at once, so all connections share it. */
const scratch = new Uint8Array(4096);

interface Closed {
  /** Nothing was sent, as by health checks. */
  readonly empty: boolean;
  /** For the log. */
  readonly reason: string;
}

interface ProxyIntakeEnd {
  /** The connection may go on under the descriptor; `source` is null when the connection is the proxy's own. */
  passed(descriptor: number, source: ProxySource | null): void;
  /** It is closed. */
  closed(how: Closed): void;
}

class ProxyIntake {
  /** When it was opened, ms since the epoch. */
  readonly since: number;
  readonly #header = new ProxyHeader();
  readonly #socket: net.Socket;
  readonly #end: ProxyIntakeEnd;
  #over = false;

  /** Adopts a descriptor. Exactly one of `end` is called, later. Throws when the descriptor is no good. */
  constructor({ descriptor, since }: { readonly descriptor: number; readonly since: number }, end: ProxyIntakeEnd) {
    this.since = since;
    this.#end = end;
    this.#socket = adoptSocket(descriptor, {
      // One octet more than the header would be lost for the session, or for its TLS.
      buffer: () => scratch.subarray(0, this.#header.want),
      callback: (count, buffer) => this.#read(buffer.subarray(0, count)),
    });
    this.#socket.on("error", () => this.close("the connection was lost"));
    this.#socket.on("end", () => this.close("the connection ended"));
    this.#socket.on("close", () => this.close("the connection ended"));
    this.#socket.resume();
  }

  /** The header did not come in time, or the service stops. */
  close(reason: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#socket.destroy();
    const { empty } = this.#header;
    this.#end.closed({ empty, reason: empty ? `${reason}, without any data` : reason });
  }

  #read(bytes: Uint8Array): boolean {
    if (this.#over) return false;
    const state = this.#header.push(bytes);
    if (state.at === "reading") return true;
    if (state.at === "refused") this.close(state.reason);
    else this.#pass(state.source);
    return false;
  }

  #pass(source: ProxySource | null): void {
    this.#over = true;
    let descriptor: number;
    try {
      descriptor = detachDescriptor(this.#socket);
    } catch {
      return this.#end.closed({ empty: false, reason: "the connection was lost" });
    }
    this.#end.passed(descriptor, source);
  }
}

/** Where a connection comes from, and what becomes of it. */
export interface Arrival {
  /** Main's number of it. */
  readonly sessionNumber: number;
  readonly descriptor: number;
  /** The proxy. */
  readonly peer: Peer;
  /** Where TLS comes first nothing can be sent in clear. */
  readonly tlsFirst: boolean;
  /** The client is known and welcome; `source` is to be given back to `left`. */
  passed(descriptor: number, peer: Peer, source: string | null): void;
  /** It is closed. */
  refused(): void;
}

/** Asks main whether a client that came through a proxy is admitted. */
export type AskSource = (sessionNumber: number, address: string, answer: (admitted: boolean) => void) => void;

/** All connections of an isolate whose header is awaited. Main counts the sessions of each client for all isolates; where there is no main, this does it. */
export class ProxyIntakes {
  readonly #open = new Set<ProxyIntake>();
  readonly #sources: Sources;
  readonly #ask: AskSource | null;
  readonly #clock: { now(): number; every(ms: number, run: () => void): () => void };
  readonly #report: EmitEvent;
  readonly #refusals: RefusalLog;
  #stopLooking: (() => void) | null = null;
  /** By address of a proxy: when it was last logged that it had sent nothing, and how often since. */
  readonly #looks = new Map<string, { readonly at: number; count: number }>();

  constructor(
    limits: SourceLimits,
    clock: { now(): number; every(ms: number, run: () => void): () => void },
    emit: EmitEvent,
    ask: AskSource | null = null,
  ) {
    this.#ask = ask;
    this.#sources = new Sources(limits, () => clock.now());
    this.#clock = clock;
    this.#report = emit;
    this.#refusals = new RefusalLog(() => clock.now(), (text) => emit({ type: "log", level: "info", text }));
  }

  /** Waits for the header of a connection; one of the functions of `arrival` is called, later. */
  enter(arrival: Arrival): void {
    const { peer } = arrival;
    try {
      const intake: ProxyIntake = new ProxyIntake({ descriptor: arrival.descriptor, since: this.#clock.now() }, {
        passed: (descriptor, source) => {
          this.#leave(intake);
          this.#admit(arrival, descriptor, source === null ? peer : { ...peer, ...source });
        },
        closed: (how) => {
          this.#leave(intake);
          this.#logClosed(peer.address, how);
          arrival.refused();
        },
      });
      this.#open.add(intake);
      this.#stopLooking ??= this.#clock.every(LOOK_MS, () => this.#look());
    } catch {
      // The client has left between main and here.
      arrival.refused();
    }
  }

  /** Other limits hold for those who connect from now on. */
  configure(limits: SourceLimits): void {
    this.#sources.configure(limits);
  }

  /** True for a client that is in a trusted network, or on this machine. */
  trusts(address: string): boolean {
    return this.#sources.trusts(address);
  }

  left(source: string): void {
    this.#sources.left(source);
  }

  stop(): void {
    for (const intake of [...this.#open]) intake.close("the service stops");
  }

  #admit(arrival: Arrival, descriptor: number, peer: Peer): void {
    if (this.#ask !== null) {
      return this.#ask(arrival.sessionNumber, peer.address, (admitted) => {
        if (admitted) arrival.passed(descriptor, peer, null);
        else this.#turnAway(arrival, descriptor, peer);
      });
    }
    const admission = this.#sources.enter(peer.address);
    if (admission.ok) return arrival.passed(descriptor, peer, admission.source);
    if (admission.news !== null) this.#log(admission.news);
    this.#turnAway(arrival, descriptor, peer);
  }

  #turnAway(arrival: Arrival, descriptor: number, peer: Peer): void {
    this.#refusals.log(peer.address, TOO_MANY);
    const socket = adoptSocket(descriptor);
    if (arrival.tlsFirst) socket.destroy();
    else socket.end(TOO_MANY, () => socket.destroy());
    arrival.refused();
  }

  #look(): void {
    const now = this.#clock.now();
    for (const intake of [...this.#open]) if (now - intake.since >= HEADER_MS) intake.close("it did not come in time");
  }

  #leave(intake: ProxyIntake): void {
    this.#open.delete(intake);
    if (this.#open.size > 0) return;
    this.#stopLooking?.();
    this.#stopLooking = null;
  }

  /** Health checks of load balancers come every few seconds: that they sent nothing is logged now and then. */
  #logClosed(address: string, { empty, reason }: Closed): void {
    const now = this.#clock.now(), known = this.#looks.get(address);
    let more = "";
    if (empty) {
      if (known !== undefined && now >= known.at && now - known.at < LOOKS_MS) return void known.count++;
      if (known === undefined && this.#looks.size >= MAX_LOOKERS) this.#looks.clear();
      this.#looks.set(address, { at: now, count: 0 });
      if (known !== undefined && known.count > 0) more = ` more=${known.count}`;
    }
    this.#log(`proxy event=closed address=${address} reason="${reason}"${more}`);
  }

  #log(text: string): void {
    this.#report({ type: "log", level: "info", text: `smtp: ${text}` });
  }
}
