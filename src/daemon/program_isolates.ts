/**
 * Which filter isolate has which program of the configurations in use. A program that a reload leaves as it was stays where it is, with all its state; those
 * that are new or others start together in an isolate of their own, since one that runs gets no further permissions. Starts nothing. Pure.
 */

import { isDeepStrictEqual } from "node:util";
import type { FilterSettings, Grants, Settings } from "../protocol/mod.ts";

type Table = FilterSettings["tables"][number];
type Filter = NonNullable<FilterSettings["filters"]>[number];

/** Programs with their isolates. */
type Assigned = Pick<FilterSettings, "tables" | "filters">;

export class ProgramIsolates {
  /** By generation: those of which there are sessions. */
  readonly #generations = new Map<number, FilterSettings>();
  #next = 1;

  constructor(first: FilterSettings) {
    this.#generations.set(0, first);
  }

  /**
   * Returns the settings of a configuration with the isolate of each program, and the index of the isolate that is to be started for those that are new; null
   * where there are none. `current`: the generation that is in use.
   */
  assign(settings: Settings, current: number): { readonly settings: Settings; readonly started: number | null } {
    const { filter } = settings, before = this.#generations.get(current)!;
    const goesOn = isDeepStrictEqual(surroundings(before), surroundings(filter));
    let started: number | null = null;
    const place = <P extends Table | Filter>(program: P, known: readonly P[]): P => {
      const same = goesOn ? known.find((one) => isDeepStrictEqual(definition(one), definition(program))) : undefined;
      if (same !== undefined) return same;
      started ??= this.#next++;
      return { ...program, isolate: started };
    };
    const tables = filter.tables.map((one) => place(one, before.tables));
    const filters = (filter.filters ?? []).map((one) => place(one, before.filters ?? []));
    const filterIsolates = indexes(filters.map(({ process, isolate }) => [process, isolate]));
    const programIsolates = indexes(tables.map(({ name, isolate }) => [name, isolate]));
    return {
      started,
      settings: {
        ...settings,
        filter: { ...filter, tables, filters },
        smtp: { ...settings.smtp, ...filterIsolates !== null && { filterIsolates } },
        relay: { ...settings.relay, ...filterIsolates !== null && { filterIsolates } },
        lookup: { ...settings.lookup, ...programIsolates !== null && { programIsolates } },
      },
    };
  }

  use(generation: number, filter: FilterSettings): void {
    this.#generations.set(generation, filter);
  }

  forget(generation: number): void {
    this.#generations.delete(generation);
  }

  /** Returns the settings of the filter isolates: all programs that are in use, with those of `more`. */
  union(latest: FilterSettings): FilterSettings {
    const all = [...this.#generations.values(), latest];
    return {
      ...latest,
      tables: distinct(all.flatMap(({ tables }) => tables), ({ name, isolate = 0 }) => `${isolate} ${name}`),
      filters: distinct(
        all.flatMap(({ filters = [] }) => filters),
        ({ process, isolate = 0 }) => `${isolate} ${process}`,
      ),
    };
  }
}

/** How many programs there are. */
export function programsIn({ tables, filters = [] }: Assigned): number {
  return tables.length + filters.length;
}

/** Indexes of the isolates that have a program. */
export function isolatesOf({ tables, filters = [] }: Assigned): ReadonlySet<number> {
  return new Set([...tables, ...filters].map(({ isolate = 0 }) => isolate));
}

/** What filter isolates may run. */
export function runGrants({ tables, filters = [] }: Assigned): Grants {
  return { run: [...new Set([...tables, ...filters].map(({ program }) => program))] };
}

function definition<P extends Table | Filter>({ isolate: _, ...rest }: P): Omit<P, "isolate"> {
  return rest;
}

/** What every program is told at its start. */
function surroundings({ tables: _tables, filters: _filters, ...rest }: FilterSettings): unknown {
  return rest;
}

/** Null where all are in the first isolate. */
function indexes(isolates: readonly (readonly [string, number | undefined])[]): Record<string, number> | null {
  const others = isolates.flatMap(([name, isolate = 0]) => isolate === 0 ? [] : [[name, isolate] as const]);
  return others.length === 0 ? null : Object.fromEntries(others);
}

function distinct<T>(all: readonly T[], keyOf: (one: T) => string): T[] {
  return [...new Map(all.map((one) => [keyOf(one), one])).values()];
}
