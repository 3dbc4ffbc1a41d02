/** Admits SMTP connections: counts them, keeps to the limits, and chooses the smtp isolate for each. */

import type net from "node:net";
import { detachDescriptor } from "../../sockets/mod.ts";
import type { HandedSession, Listener, Peer } from "../../protocol/mod.ts";
import { type Supervisor } from "../../supervisor/mod.ts";
import { RefusalLog, type SourceLimits, Sources } from "../../smtp/mod.ts";
import { isPrivileged, ROOT_RESERVE, type Share, shareOf, Shares, USUAL_DESCRIPTORS } from "../machine/shares.ts";

/** Descriptors that stay free for files and other sockets (OpenSMTPD's reserve). */
const RESERVED_DESCRIPTORS = 5;
/** More sessions than this are not admitted unasked: an idle one costs some 15 KB of memory. */
const MOST_SESSIONS = 20_000;
/** Descriptors that stay free where `max-sessions` asks for more than half of them. */
const LEAST_FREE = 64;
/** Sessions that one isolate takes before the next is used: together they share wake-ups and commits, which cost more than they do. */
const PACKED = 64;
/** How often it is logged that all sessions are taken, in milliseconds. */
const LOG_INTERVAL_MS = 60_000;

const TOO_MANY = "421 4.3.2 Too many connections, try again later\r\n";
const TOO_MANY_OF_YOURS = "421 4.7.0 Too many connections from your address, try again later\r\n";
const TOO_MANY_LOCAL = "421 4.7.0 Too many local connections, try again later\r\n";
const PAUSED = "421 4.3.2 Service paused, try again later\r\n";
const NO_ISOLATE = "421 4.3.0 Service restarting, try again later\r\n";

export interface SessionLimits extends SourceLimits {
  /** Null: as many as the descriptors allow. */
  readonly maxSessions: number | null;
}

export interface SessionAdmissionOptions {
  readonly supervisor: Pick<Supervisor, "answering" | "whenAnswering"> & {
    post(door: "smtp-main", index: number, session: HandedSession): boolean;
  };
  readonly limits: SessionLimits;
  /** Limit of open files, null when unknown. */
  readonly descriptors: number | null;
  /** Uid of the daemon. */
  readonly uid: number;
  /** Calls `run` once, later; what it returns keeps that from happening. */
  after(ms: number, run: () => void): () => void;
  /** Milliseconds since the epoch. */
  now(): number;
  /** The listener that stands now where this one was; null where nobody listens any more. Absent: the configuration is never read again. */
  readonly relisten?: (listener: Listener) => Listener | null;
  /** The last session of a configuration that is no more in use has ended. */
  readonly onlast?: (generation: number) => void;
  /** Logs a client that is refused, where that is worth a line. */
  log(level: "info" | "warn", text: string): void;
  debug(text: () => string): void;
}

interface SessionRecord {
  readonly isolate: number;
  /** Null for a client that is not counted, and until the proxy has named it. */
  source: string | null;
  readonly share: Share | null;
  /** False while main has the connection. */
  handed: boolean;
  /** Number of the configuration that it began with; null while main has the connection. */
  generation: number | null;
}

/** An accepted connection that has not been handed over. */
interface Arrival {
  readonly socket: net.Socket;
  readonly listener: Listener;
  readonly peer: Peer;
}

/** How long an isolate may take to show that it is there before another is asked, in milliseconds. */
const ASK_MS = 1000;

/** What is wrong with a connection shows when it is handed over. */
function ignore(): void {}

export class SessionAdmission {
  /** `pause smtp`: new connections are refused with 421. */
  paused = false;
  /** Sessions at one time. */
  limit: number;
  /** Number of the configuration that new sessions begin with. */
  #generation = 0;
  readonly #options: SessionAdmissionOptions;
  readonly #sources: Sources;
  readonly #refusals: RefusalLog;
  readonly #shares: Shares;
  /** By the number that the isolate gives back at the end of a session. */
  readonly #sessions = new Map<number, SessionRecord>();
  readonly #counts = new Map<number, number>();
  readonly #byGeneration = new Map<number, number>();
  #nextNumber = 1;
  #fullLoggedAt = -Infinity;
  #turnedAway = 0;

  constructor(options: SessionAdmissionOptions) {
    this.#options = options;
    this.#sources = new Sources(options.limits, options.now);
    this.#refusals = new RefusalLog(options.now, (line) => options.log("info", line));
    this.#shares = new Shares(options.now);
    this.limit = this.#limitOf(options.limits);
  }

  #limitOf({ maxSessions }: SessionLimits): number {
    const descriptors = this.#options.descriptors ?? USUAL_DESCRIPTORS;
    const most = Math.max(10, descriptors - LEAST_FREE);
    if (maxSessions !== null && maxSessions > most) {
      this.#options.log("warn", `warn: smtp: max-sessions is ${most}: the process may open ${descriptors} files`);
    }
    // (descriptors − reserve) / 2: a session may need one more for its delivery.
    return maxSessions === null
      ? Math.min(MOST_SESSIONS, Math.max(10, Math.floor(descriptors / 2) - RESERVED_DESCRIPTORS))
      : Math.min(maxSessions, most);
  }

  /** Sessions begin with this configuration from now on. Those that there are stay, also where they are more than its limits allow. */
  configure(limits: SessionLimits, generation: number): void {
    this.#sources.configure(limits);
    this.limit = this.#limitOf(limits);
    this.#generation = generation;
  }

  /** Sessions that have begun with a configuration and are open. */
  sessionsOf(generation: number): number {
    return this.#byGeneration.get(generation) ?? 0;
  }

  /** Sessions that are open. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Hands an accepted, paused connection to an smtp isolate, or turns it away with 421. */
  admit(socket: net.Socket, listener: Listener, peer: Peer): void {
    const isolates = this.#options.supervisor.answering("smtp");
    const asker = { socket: listener.socket, uid: peer.uid, address: peer.address };
    const room = this.limit + (isPrivileged(asker, this.#options.uid) ? ROOT_RESERVE : 0);
    const refusal = this.paused
      ? PAUSED
      : this.#sessions.size >= room
      ? this.#full()
      : isolates.length === 0
      ? NO_ISOLATE
      : null;
    if (refusal !== null) return this.#turnAway(socket, listener, peer, refusal);
    // Behind a proxy all clients have its address.
    const counted = !listener.socket && !listener.proxyV2;
    const admission = counted ? this.#sources.enter(peer.address) : { ok: true, source: null } as const;
    if (!admission.ok) {
      if (admission.news !== null) this.#options.log("info", `smtp: ${admission.news}`);
      return this.#turnAway(socket, listener, peer, TOO_MANY_OF_YOURS);
    }
    const share = shareOf(asker, { limit: this.limit, ownUid: this.#options.uid });
    const taken = this.#shares.take(share);
    if (!taken.ok) {
      if (admission.source !== null) this.#sources.left(admission.source);
      if (this.#shares.shouldLog(taken.name)) {
        this.#options.log(
          "warn",
          `warn: smtp: ${taken.name} ${
            taken.name.startsWith("uid") ? "has" : "have"
          } ${taken.most} sessions: more are turned away, others are served`,
        );
      }
      return this.#turnAway(socket, listener, peer, TOO_MANY_LOCAL);
    }
    this.#place({ socket, listener, peer }, {
      isolate: this.#choose(isolates),
      source: admission.source,
      share,
      handed: false,
      generation: null,
    });
  }

  /** The connection is handed over when its isolate shows that it takes it; one that does not, because it is stuck, loses it to another. */
  #place(arrival: Arrival, record: SessionRecord): void {
    const sessionNumber = this.#nextNumber++;
    this.#sessions.set(sessionNumber, record);
    this.#counts.set(record.isolate, (this.#counts.get(record.isolate) ?? 0) + 1);
    let waiting = true;
    let cancel = () => {};
    this.#options.supervisor.whenAnswering("smtp", record.isolate, () => {
      if (!waiting) return;
      waiting = false;
      cancel();
      this.#hand(arrival, sessionNumber, record);
    });
    if (!waiting) return;
    // It may be placed many times.
    arrival.socket.off("error", ignore).on("error", ignore);
    cancel = this.#options.after(ASK_MS, () => {
      waiting = false;
      const others = this.#options.supervisor.answering("smtp").filter((index) => index !== record.isolate);
      // Where there is no other it waits on, for an answer or for the next isolate in this place.
      const isolate = others.length > 0 ? this.#choose(others) : record.isolate;
      this.#forget(sessionNumber, record);
      if (!arrival.socket.destroyed) return this.#place(arrival, { ...record, isolate });
      this.#release(record);
    });
  }

  #hand({ socket, listener: first, peer }: Arrival, sessionNumber: number, record: SessionRecord): void {
    // The configuration may have been read again since it came.
    const listener = this.#options.relisten === undefined ? first : this.#options.relisten(first);
    if (listener === null) {
      this.#leave(sessionNumber, record);
      return this.#turnAway(socket, first, peer, NO_ISOLATE);
    }
    record.handed = true;
    const generation = record.generation = this.#generation;
    this.#byGeneration.set(generation, this.sessionsOf(generation) + 1);
    try {
      const descriptor = detachDescriptor(socket);
      const session = {
        ...{ type: "session", descriptor, listener: listener.id, peer, sessionNumber } as const,
        ...generation > 0 && { generation },
      };
      this.#options.supervisor.post("smtp-main", record.isolate, session);
    } catch {
      // The client hung up before it was served.
      this.#leave(sessionNumber, record);
    }
  }

  #turnAway(socket: net.Socket, { tls }: Listener, peer: Peer, reply: string): void {
    this.#options.debug(() =>
      `${peer.address} is turned away, ${this.size} of ${this.limit} sessions: ${reply.trim()}`
    );
    this.#refusals.log(peer.address, reply);
    // Where TLS comes first nothing can be said in clear.
    if (tls === "smtps") socket.destroy();
    else socket.end(reply, () => socket.destroy());
  }

  /** All sessions are taken: logged at once, then once per minute with how many were refused. */
  #full(): string {
    this.#turnedAway++;
    const now = this.#options.now();
    if (now - this.#fullLoggedAt >= LOG_INTERVAL_MS || now < this.#fullLoggedAt) {
      const count = this.#turnedAway === 1 ? "" : ` (${this.#turnedAway} since the last line)`;
      this.#options.log("warn", `warn: smtp: all ${this.limit} sessions are taken: clients are turned away${count}`);
      this.#fullLoggedAt = now;
      this.#turnedAway = 0;
    }
    return TOO_MANY;
  }

  /** The first isolate with room, so that a few sessions stay together; the one with the fewest when all have many. */
  #choose(isolates: readonly number[]): number {
    const countOf = (index: number) => this.#counts.get(index) ?? 0;
    const roomy = isolates.find((index) => countOf(index) < PACKED);
    return roomy ?? isolates.reduce((least, index) => countOf(index) < countOf(least) ? index : least);
  }

  /** A session of an isolate came through a proxy from this client: says whether it is admitted. Sessions of other isolates are ignored. */
  source(
    isolate: number,
    { sessionNumber, address }: { readonly sessionNumber: number; readonly address: string },
  ): boolean {
    const record = this.#sessions.get(sessionNumber);
    if (record === undefined || record.isolate !== isolate || record.source !== null) return false;
    const admission = this.#sources.enter(address);
    if (admission.ok) record.source = admission.source;
    else if (admission.news !== null) this.#options.log("info", `smtp: ${admission.news}`);
    return admission.ok;
  }

  /** Sessions of an isolate are over. Sessions of other isolates are ignored. */
  ended(isolate: number, sessionNumbers: readonly number[]): void {
    for (const sessionNumber of sessionNumbers) {
      const record = this.#sessions.get(sessionNumber);
      if (record?.isolate === isolate) this.#leave(sessionNumber, record);
    }
  }

  /** The isolate has ended, its sessions with it; those that were not handed over yet go to another. */
  lost(isolate: number): void {
    for (const [sessionNumber, record] of this.#sessions) {
      if (record.isolate === isolate && record.handed) this.#leave(sessionNumber, record);
    }
  }

  #leave(sessionNumber: number, record: SessionRecord): void {
    this.#forget(sessionNumber, record);
    this.#release(record);
  }

  #forget(sessionNumber: number, { isolate, generation }: SessionRecord): void {
    this.#sessions.delete(sessionNumber);
    if (generation !== null) this.#leftGeneration(generation);
    this.#counts.set(isolate, (this.#counts.get(isolate) ?? 1) - 1);
  }

  #leftGeneration(generation: number): void {
    const left = this.sessionsOf(generation) - 1;
    if (left > 0) return void this.#byGeneration.set(generation, left);
    this.#byGeneration.delete(generation);
    if (generation !== this.#generation) this.#options.onlast?.(generation);
  }

  #release({ source, share }: SessionRecord): void {
    this.#shares.give(share);
    if (source !== null) this.#sources.left(source);
  }
}
