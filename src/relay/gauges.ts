/** Gauges of the relay isolate: tasks, sessions, routes and the like, sent to the statistics now and then. */

import type { QueueClient } from "../queue_client/mod.ts";
import type { Tally } from "../isolate/mod.ts";
import type { Clock } from "../clock.ts";
import type { Relay } from "./relay.ts";
import type { RouteTable } from "./routes/routes.ts";

/** Gauges are counted once per so many ms at most. */
const PERIOD_MS = 250;

/** What is counted. */
export interface InHand {
  readonly queue: Pick<QueueClient, "inFlight">;
  readonly relays: ReadonlyMap<string, Relay>;
  readonly table: RouteTable;
}

export class Gauges {
  readonly #of: InHand;
  readonly #tally: Tally;
  readonly #clock: Clock;
  #cancel: (() => void) | null = null;

  constructor(of: InHand, tally: Tally, clock: Clock) {
    this.#of = of;
    this.#tally = tally;
    this.#clock = clock;
  }

  /** Something has changed: it is counted in a moment. */
  touch(): void {
    this.#cancel ??= this.#clock.after(PERIOD_MS, () => {
      this.#cancel = null;
      this.#send();
    });
  }

  /** Sends what was counted, and counts no more. */
  close(): void {
    this.#cancel?.();
    this.#tally.flush();
  }

  #send(): void {
    const { queue, relays, table } = this.#of;
    let tasks = 0;
    for (const relay of relays.values()) tasks += relay.tasks;
    this.#tally.set("mta.envelope", queue.inFlight);
    this.#tally.set("mta.task", tasks);
    this.#tally.set("mta.session", table.connections);
    this.#tally.set("mta.relay", relays.size);
    this.#tally.set("mta.connector", relays.size);
    this.#tally.set("mta.route", table.size);
    this.#tally.set("mta.host", table.size);
  }
}
