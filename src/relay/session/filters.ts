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

/** The door to one filter isolate. */
interface FilterDoor {
  readonly channel: Channel<SessionToFilter, FilterToSession>;
  /** Processes that registered for reports of outgoing sessions; null before they have registered. */
  listening: ReadonlySet<string> | null;
  held: PromiseWithResolvers<void> | null;
}

/** What the configuration says of filters of actions. */
interface ActionFilters {
  /** Processes by action. */
  readonly filters?: Readonly<Record<string, readonly string[]>>;
  /** Indexes of their isolates, where that is not 0. */
  readonly filterIsolates?: Readonly<Record<string, number>>;
}

export class RelayFilters {
  readonly #open: (isolate: number) => Channel<SessionToFilter, FilterToSession>;
  readonly #doors = new Map<number, FilterDoor>();
  /** Returns what holds for sessions that begin now. */
  readonly #settings: () => ActionFilters;
  readonly #now: () => number;

  /** `open` returns the door to a filter isolate. */
  constructor(
    open: (isolate: number) => Channel<SessionToFilter, FilterToSession>,
    settings: () => ActionFilters,
    now: () => number,
  ) {
    this.#open = open;
    this.#settings = settings;
    this.#now = now;
  }

  /** Returns the reports of a session of this action; null when no program registered for them. `closed` is the last of them. */
  session({ action, session, lmtp }: OutgoingSession): SessionReports | null {
    const { filters = {}, filterIsolates = {} } = this.#settings();
    const all = Object.hasOwn(filters, action) ? filters[action]! : [];
    const isolateOf = (process: string) => Object.hasOwn(filterIsolates, process) ? filterIsolates[process]! : 0;
    const parts = [...Map.groupBy(all, isolateOf)].flatMap(([isolate, own]) => {
      const door = this.#door(isolate), { listening } = door;
      const processes = listening === null ? own : own.filter((process) => listening.has(process));
      return processes.length === 0 ? [] : [{ channel: door.channel, processes }];
    });
    if (parts.length === 0) return null;
    return new SessionReports({ lmtp }, (event, params) => {
      const at = this.#now();
      for (const { channel, processes } of parts) {
        channel.send({ type: "event", session, processes, subsystem: "smtp-out", event, params, at });
        if (event === "link-disconnect") channel.send({ type: "gone", session });
      }
    });
  }

  /** Not null while a program does not keep up: nothing new should be begun before it resolves. */
  get held(): Promise<void> | null {
    const held = [...this.#doors.values()].flatMap((door) => door.held?.promise ?? []);
    return held.length === 0 ? null : Promise.all(held).then(() => {});
  }

  #door(isolate: number): FilterDoor {
    let door = this.#doors.get(isolate);
    if (door !== undefined) return door;
    const opened: FilterDoor = door = { channel: this.#open(isolate), listening: null, held: null };
    this.#doors.set(isolate, opened);
    opened.channel.onmessage = (message) => receive(opened, message);
    opened.channel.onreset = () => release(opened);
    return door;
  }
}

function receive(door: FilterDoor, message: FilterToSession): void {
  if (message.type === "hold" && message.on) door.held ??= Promise.withResolvers();
  else if (message.type === "hold" || message.type === "lost") release(door);
  if (message.type !== "registered") return;
  const wanting = message.registrations.filter(({ events }) => events["smtp-out"].length > 0);
  door.listening = new Set(wanting.map(({ process }) => process));
}

function release(door: FilterDoor): void {
  door.held?.resolve();
  door.held = null;
}
