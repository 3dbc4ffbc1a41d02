/** The filters of a listener whose processes are in several filter isolates: brings each question to the isolate that has the process. */

import type { FilterEvent, FilterPhaseName, FilterRegistration } from "../../protocol/mod.ts";
import type { FilterClient, Filtered } from "./filter_client.ts";

/** What sessions use of the filter isolate. */
export type Filters = Pick<FilterClient, keyof FilterClient>;

/** Returns the filters of these processes: the client of their isolate, or one for all of these. `of` returns the client of the isolate of a process. */
export function filtersOf(processes: readonly string[], of: (process: string) => FilterClient): Filters {
  const clients = new Set(processes.map(of));
  return clients.size === 1 ? [...clients][0]! : new SplitFilters(processes, of);
}

class SplitFilters implements Filters {
  readonly #processes: readonly string[];
  readonly #of: (process: string) => FilterClient;
  readonly #all: readonly FilterClient[];

  constructor(processes: readonly string[], of: (process: string) => FilterClient) {
    this.#processes = processes;
    this.#of = of;
    this.#all = [...new Set(processes.map(of))];
  }

  get registered(): ReadonlyMap<string, FilterRegistration> | null {
    if (this.#all.some(({ registered }) => registered === null)) return null;
    return new Map(this.#processes.flatMap((process) => {
      const known = this.#of(process).registered!.get(process);
      return known === undefined ? [] : [[process, known] as const];
    }));
  }

  holds(session: Filtered): boolean {
    // Each of them calls the session again.
    return this.#all.map((one) => one.holds(session)).includes(true);
  }

  get lost(): boolean {
    return this.#all.some(({ lost }) => lost);
  }

  enter(session: Filtered): void {
    for (const one of this.#all) one.enter(session);
  }

  leave(session: Filtered): void {
    for (const one of this.#all) one.leave(session);
  }

  event(session: Filtered, processes: readonly string[], event: FilterEvent, params: string): void {
    for (const [client, own] of Map.groupBy(processes, this.#of)) client.event(session, own, event, params);
  }

  request(
    session: Filtered,
    process: string,
    phase: Exclude<FilterPhaseName, "data-line">,
    token: string,
    param: string,
  ): void {
    this.#of(process).request(session, process, phase, token, param);
  }

  lines(session: Filtered, process: string, token: string, bytes: Uint8Array<ArrayBuffer>): void {
    this.#of(process).lines(session, process, token, bytes);
  }

  used(process: string, bytes: number): void {
    this.#of(process).used(process, bytes);
  }
}
