/** The smtp side of the door to the filters: which programs are registered for what, and which session each answer is for. */

import { type Channel } from "../../isolate/mod.ts";
import type {
  FilterDecision,
  FilterEvent,
  FilterPhaseName,
  FilterRegistration,
  FilterToSession,
  SessionToFilter,
} from "../../protocol/mod.ts";
import { weightOf } from "../../protocol/filters.ts";

/** A session that has filters. */
export interface Filtered {
  readonly id: string;
  answered(token: string, decision: FilterDecision): void;
  /** Lines of its message as the process reads them. They count as used when `used` is called. */
  lines(process: string, token: string, bytes: Uint8Array<ArrayBuffer>): void;
  /** The process has read lines of its message that weigh so much. */
  taken(process: string, weight: number): void;
  reported(name: string, message: string): void;
  /** What the session was waiting for has changed. */
  resume(): void;
  /** Without its filters it cannot go on. */
  lost(): void;
}

/**
 * Weight of lines on their way to one program from all sessions: above, they begin nothing new until half of it was read. The filter isolate
 * would say so too late when many send at once.
 */
const AHEAD_LIMIT_OCTETS = 1024 * 1024;

export class FilterClient {
  readonly #channel: Channel<SessionToFilter, FilterToSession>;
  readonly #now: () => number;
  readonly #sessions = new Map<string, Filtered>();
  #registered: ReadonlyMap<string, FilterRegistration> | null = null;
  #holding = false;
  /** Sessions that have asked meanwhile. The others need not be called, and there may be thousands. */
  readonly #held = new Set<Filtered>();
  /** Weight of the lines that each process was sent and has not read. */
  readonly #ahead = new Map<string, number>();
  /** Processes that have too much before them. */
  readonly #burdened = new Set<string>();
  #lost = false;

  constructor(channel: Channel<SessionToFilter, FilterToSession>, now: () => number) {
    this.#channel = channel;
    this.#now = now;
    channel.onmessage = (message) => this.#receive(message);
    channel.onreset = () => this.#lose();
  }

  /** What the programs have registered for; null until they are ready. */
  get registered(): ReadonlyMap<string, FilterRegistration> | null {
    return this.#registered;
  }

  /** True while a program does not keep up: the session begins nothing new, and `resume` is called when it may. */
  holds(session: Filtered): boolean {
    if (!this.#holds) return false;
    this.#held.add(session);
    return true;
  }

  get #holds(): boolean {
    return this.#holding || this.#burdened.size > 0;
  }

  /** No filter answers any more. */
  get lost(): boolean {
    return this.#lost;
  }

  enter(session: Filtered): void {
    this.#sessions.set(session.id, session);
  }

  leave(session: Filtered): void {
    this.#held.delete(session);
    if (this.#sessions.delete(session.id)) this.#channel.send({ type: "gone", session: session.id });
  }

  event(session: Filtered, processes: readonly string[], event: FilterEvent, params: string): void {
    const { id } = session;
    this.#channel.send({ type: "event", session: id, processes, subsystem: "smtp-in", event, params, at: this.#now() });
  }

  request(
    session: Filtered,
    process: string,
    phase: Exclude<FilterPhaseName, "data-line">,
    token: string,
    param: string,
  ): void {
    this.#channel.send({ type: "request", session: session.id, process, phase, token, param, at: this.#now() });
  }

  /** `bytes` are given away. */
  lines(session: Filtered, process: string, token: string, bytes: Uint8Array<ArrayBuffer>): void {
    const message = { type: "lines", session: session.id, process, token, bytes, at: this.#now() } as const;
    const ahead = (this.#ahead.get(process) ?? 0) + weightOf(bytes);
    this.#ahead.set(process, ahead);
    if (ahead > AHEAD_LIMIT_OCTETS) this.#burdened.add(process);
    this.#channel.send(message, [bytes.buffer]);
  }

  #read(process: string, weight: number): void {
    const ahead = Math.max(0, (this.#ahead.get(process) ?? 0) - weight);
    this.#ahead.set(process, ahead);
    if (ahead > AHEAD_LIMIT_OCTETS / 2 || !this.#burdened.delete(process)) return;
    this.#release();
  }

  #release(): void {
    if (this.#holds) return;
    const held = [...this.#held];
    this.#held.clear();
    for (const session of held) session.resume();
  }

  /** So many octets of a process's lines were used. */
  used(process: string, bytes: number): void {
    this.#channel.send({ type: "taken", process, bytes });
  }

  #receive(message: FilterToSession): void {
    switch (message.type) {
      case "registered":
        this.#registered = new Map(message.registrations.map((one) => [one.process, one]));
        for (const session of [...this.#sessions.values()]) session.resume();
        return;
      case "hold":
        this.#holding = message.on;
        return this.#release();
      case "lost":
        return this.#lose();
      case "answer":
        return this.#sessions.get(message.session)?.answered(message.token, message.decision);
      case "lines": {
        const session = this.#sessions.get(message.session);
        if (session === undefined) return this.used(message.process, message.bytes.length);
        return session.lines(message.process, message.token, message.bytes);
      }
      case "taken":
        this.#read(message.process, message.bytes);
        return this.#sessions.get(message.session)?.taken(message.process, message.bytes);
      case "reported":
        return this.#sessions.get(message.session)?.reported(message.name, message.message);
    }
  }

  /** The daemon is about to stop, or the filters were restarted and know nothing of these sessions. */
  #lose(): void {
    this.#lost = true;
    this.#registered = null;
    for (const session of [...this.#sessions.values()]) session.lost();
  }
}
