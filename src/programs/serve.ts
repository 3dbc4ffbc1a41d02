/** The filter isolate at its doors: starts the programs that the config names and passes on the questions to them. */

import type { Channel, Isolate } from "../isolate/mod.ts";
import type { FilterProgram, FilterSettings, FromFilter, ToFilter } from "../protocol/mod.ts";
import { FilterRouter } from "./filter_sessions.ts";
import {
  type ProcessHooks,
  type ProcessOptions,
  type StartFlowing,
  type StartProcess,
  startProcess,
} from "./child_process.ts";
import { type Surroundings, TableKeeper } from "./table_program.ts";
import { type Clock, systemClock } from "../clock.ts";

/** What a test replaces. */
export interface FilterParts {
  readonly start: StartProcess;
  /** For the programs of filters. */
  readonly flow?: StartFlowing;
  readonly clock: Pick<Clock, "now" | "after">;
}

const PARTS = {
  start: startProcess,
  flow: startProcess,
  clock: systemClock,
} satisfies FilterParts;

/** Serves once every program has registered; throws when one does not, since mail would wait for it in vain. */
export async function serveFilter(
  isolate: Isolate<"filter">,
  { start, clock, flow = startProcess }: FilterParts = PARTS,
): Promise<void> {
  const { shared, identity, path } = isolate.settings;
  const { tables } = ownPrograms(isolate);
  const log: Surroundings["log"] = (level, text) => isolate.emit({ type: "log", level, text });
  const around: Surroundings = {
    start: announced(isolate, start),
    clock,
    identity,
    path,
    id: () => crypto.getRandomValues(new Uint32Array(1))[0]!.toString(16).padStart(8, "0"),
    log,
    version: shared.version,
  };
  const keepers = new Map(tables.map((program) => [program.name, new TableKeeper(program, around)]));
  const filters = filterRouter(isolate, announced(isolate, flow), clock, log);
  // Programs never come to an isolate that runs: those that are gone, and that no session uses any more, are ended.
  isolate.onreload = () => {
    const own = ownPrograms(isolate);
    for (const [name, keeper] of keepers) {
      if (own.tables.some((table) => table.name === name)) continue;
      keepers.delete(name);
      void keeper.stop();
    }
    filters?.keep(own.filters.map(({ process }) => process));
  };
  isolate.onstop = async () => {
    await Promise.all([...[...keepers.values()].map((keeper) => keeper.stop()), filters?.stop()]);
  };
  isolate.serve("lookup-filter", (channel) => {
    channel.onmessage = (question) => void answer(keepers, channel, question);
  });
  await Promise.all([...[...keepers.values()].map((keeper) => keeper.open()), filters?.open()]);
}

/** The programs of this filter isolate. */
function ownPrograms({ settings, index }: Pick<Isolate<"filter">, "settings" | "index">): {
  readonly tables: FilterSettings["tables"];
  readonly filters: readonly FilterProgram[];
} {
  const isOwn = ({ isolate = 0 }: { readonly isolate?: number }) => isolate === index;
  return { tables: settings.tables.filter(isOwn), filters: (settings.filters ?? []).filter(isOwn) };
}

/** Null when the config has no filter programs. */
function filterRouter(
  isolate: Isolate<"filter">,
  start: StartFlowing,
  clock: Pick<Clock, "now" | "after">,
  log: Surroundings["log"],
): FilterRouter | null {
  const { shared, path, admd = shared.serverName, sessionTimeoutMs = 300_000 } = isolate.settings;
  const { filters } = ownPrograms(isolate);
  if (filters.length === 0) return null;
  const introduction = { version: shared.version, sessionTimeoutMs, admd };
  const router = new FilterRouter(
    filters,
    { start, clock, path, introduction, log },
    (reason) => isolate.ask("filter-main").send({ type: "lost-program", reason }),
  );
  for (const door of ["smtp-filter", "relay-filter"] as const) {
    isolate.serve(door, (channel, { refuse }) => router.addDoor(channel, refuse));
  }
  return router;
}

/** Main gets the number of each process: should this isolate end before them, it ends them. */
function announced<P>(
  isolate: Isolate<"filter">,
  start: (options: ProcessOptions, hooks: ProcessHooks) => P,
): (options: ProcessOptions, hooks: ProcessHooks) => P {
  return (options, hooks) => {
    let pid: number | null = null;
    const process = start(options, {
      ...hooks,
      onend: (reason) => {
        if (pid !== null) isolate.ask("filter-main").send({ type: "program", pid, running: false });
        hooks.onend(reason);
      },
    });
    pid = (process as { pid?: number | null }).pid ?? null;
    if (pid !== null) isolate.ask("filter-main").send({ type: "program", pid, running: true });
    return process;
  };
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
