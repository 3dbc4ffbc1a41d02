/** The relay side of the door to the filters: sends reports of sessions to their programs, and waits when one of them does not keep up. */

import type { Channel } from "../../isolate/mod.ts";
import type { FilterToSession, SessionToFilter } from "../../protocol/mod.ts";
import { SessionReports } from "./reports.ts";

interface OutgoingSession {
  /** Name of the relay action. */
  readonly action: string;
  /** Id of the session. */
  readonly session: string;
  readonly lmtp: boolean;
}

export class RelayFilters {
  readonly #channel: Channel<SessionToFilter, FilterToSession>;
  /** Returns the processes by action, as they are for sessions that begin now. */
  readonly #processes: () => Readonly<Record<string, readonly string[]>>;
  readonly #now: () => number;
  /** Processes that registered for reports of outgoing sessions; null before they have registered. */
  #listening: ReadonlySet<string> | null = null;
  #held: PromiseWithResolvers<void> | null = null;

  constructor(
    channel: Channel<SessionToFilter, FilterToSession>,
    processes: () => Readonly<Record<string, readonly string[]>>,
    now: () => number,
  ) {
    this.#channel = channel;
    this.#processes = processes;
    this.#now = now;
    channel.onmessage = (message) => this.#receive(message);
    channel.onreset = () => this.#release();
  }

  /** Returns the reports of a session of this action; null when no program registered for them. `closed` is the last of them. */
  session({ action, session, lmtp }: OutgoingSession): SessionReports | null {
    const listening = this.#listening;
    const byAction = this.#processes();
    const all = Object.hasOwn(byAction, action) ? byAction[action]! : [];
    const processes = listening === null ? all : all.filter((process) => listening.has(process));
    if (processes.length === 0) return null;
    return new SessionReports({ lmtp }, (event, params) => {
      const at = this.#now();
      this.#channel.send({ type: "event", session, processes, subsystem: "smtp-out", event, params, at });
      if (event === "link-disconnect") this.#channel.send({ type: "gone", session });
    });
  }

  /** Not null while a program does not keep up: nothing new should be begun before it resolves. */
  get held(): Promise<void> | null {
    return this.#held?.promise ?? null;
  }

  #receive(message: FilterToSession): void {
    if (message.type === "hold") return message.on ? this.#hold() : this.#release();
    if (message.type === "lost") return this.#release();
    if (message.type !== "registered") return;
    const wanting = message.registrations.filter(({ events }) => events["smtp-out"].length > 0);
    this.#listening = new Set(wanting.map(({ process }) => process));
  }

  #hold(): void {
    this.#held ??= Promise.withResolvers();
  }

  #release(): void {
    this.#held?.resolve();
    this.#held = null;
  }
}
