/** The filter isolate at its doors: starts the programs that the config names and passes on what is asked of them. */

import type { Channel, FromFilter, Isolate, ToFilter } from "../isolate/mod.ts";
import { type StartProcess, startProcess } from "./process.ts";
import { type Clock, type Surroundings, TableKeeper } from "./table.ts";

/** What a test replaces. */
export interface FilterParts {
  readonly start: StartProcess;
  readonly clock: Clock;
}

const PARTS: FilterParts = {
  start: startProcess,
  clock: {
    now: Date.now,
    after(ms, action) {
      const timer = setTimeout(action, ms);
      return () => clearTimeout(timer);
    },
  },
};

/** Serves once every program has registered; throws when one does not, since mail would wait for it in vain. */
export async function serveFilter(isolate: Isolate<"filter">, { start, clock }: FilterParts = PARTS): Promise<void> {
  const { house, tables, identity, path } = isolate.settings;
  const around: Surroundings = {
    start,
    clock,
    identity,
    path,
    id: () => crypto.getRandomValues(new Uint32Array(1))[0]!.toString(16).padStart(8, "0"),
    log: (level, text) => isolate.report({ type: "log", level, text }),
    version: house.version,
  };
  const keepers = new Map(tables.map((program) => [program.name, new TableKeeper(program, around)]));
  isolate.onstop = async () => {
    await Promise.all([...keepers.values()].map((keeper) => keeper.stop()));
  };
  isolate.serve("lookup-filter", (channel) => {
    channel.onmessage = (question) => void answer(keepers, channel, question);
  });
  await Promise.all([...keepers.values()].map((keeper) => keeper.open()));
}

async function answer(
  keepers: ReadonlyMap<string, TableKeeper>,
  channel: Channel<FromFilter, ToFilter>,
  { call, table, request }: ToFilter,
): Promise<void> {
  const keeper = keepers.get(table);
  const answer = keeper === undefined
    ? { result: "error" as const, reason: `There is no program for table "${table}"` }
    : await keeper.ask(request);
  channel.send({ type: "table", call, answer });
}
