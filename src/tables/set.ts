/** All tables of a configuration by name, the built-in ones among them, and how a table is read again. Decides nothing about mail. */

import { BUILTIN_TABLES, type StaticTable, tableKey } from "../config/mod.ts";
import { NO_OBSERVER, type Observer } from "../events/mod.ts";
import type { ProgramTable } from "./program.ts";
import { type LookupTable, Table } from "./table.ts";

/** What this machine is called; the built-in tables follow from it. */
export interface LocalNames {
  readonly serverName: string;
  /** Text of every local interface address: IPv4 dotted, IPv6 in brackets. */
  readonly localAddresses: readonly string[];
}

function builtinTables(local: LocalNames): StaticTable[] {
  const list = (name: string, keys: readonly string[]): StaticTable => ({
    name,
    kind: "list",
    entries: keys.map((key) => [tableKey(key), ""] as const),
    path: null,
  });
  return [
    list(BUILTIN_TABLES.localNames, ["localhost", local.serverName, ...local.localAddresses.flatMap(literals)]),
    list(BUILTIN_TABLES.localHost, ["local", ...local.localAddresses]),
    list(BUILTIN_TABLES.anyHost, ["local", "0.0.0.0/0", "::/0"]),
    list(BUILTIN_TABLES.anyDestination, ["*"]),
  ];
}

/** RFC 5321 §4.1.3: a domain may be an address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]`. The bare forms are OpenSMTPD's. */
function literals(address: string): string[] {
  return address.startsWith("[") ? [address, `[ipv6:${address.slice(1)}`] : [address, `[${address}]`];
}

/** What is needed to read a table again: reads the file and parses it, or says why not. */
export type ReadTable = (name: string, path: string) => StaticTable | { readonly error: string };

export class TableSet {
  readonly #tables = new Map<string, Table>();
  readonly #programs: ReadonlyMap<string, ProgramTable>;

  constructor(
    tables: Readonly<Record<string, StaticTable>>,
    local: LocalNames,
    delimiter: string,
    observer: Observer = NO_OBSERVER,
    programs: readonly ProgramTable[] = [],
  ) {
    this.#programs = new Map(programs.map((program) => [program.name, program]));
    for (const source of [...builtinTables(local), ...Object.values(tables)]) {
      this.#tables.set(source.name, new Table(source, delimiter, observer));
    }
  }

  /** The table that the configuration names; it was checked to exist, so a missing one is our bug. */
  get(name: string): LookupTable {
    const table = this.#tables.get(name) ?? this.#programs.get(name);
    if (table === undefined) throw new Error(`There is no table "${name}"`);
    return table;
  }

  /**
   * Reads a table's file again: all of it, or nothing changes and the reason is returned. A program is told to. Null is success.
   */
  update(name: string, read: ReadTable): string | null | Promise<string | null> {
    const program = this.#programs.get(name);
    if (program !== undefined) return program.update();
    const table = this.#tables.get(name);
    if (table === undefined) return `There is no table "${name}"`;
    if (table.path === null) return null;
    const fresh = read(name, table.path);
    if ("error" in fresh) return fresh.error;
    // The configuration was checked for the kind that the file had: a map where domains are listed would match nobody.
    if (fresh.kind !== table.kind && fresh.entries.length > 0 && table.size > 0) {
      return `${table.path}: The file was a ${table.kind} and is a ${fresh.kind} now`;
    }
    table.replace(fresh);
    return null;
  }
}
