/** All tables of a configuration by name, the built-in ones among them, and how a table is read again. Decides nothing about mail. */

import type { StaticTable } from "../config/mod.ts";
import { BUILTIN_TABLES } from "../config/defaults.ts";
import { tableKey } from "../config/tablefile.ts";
import { NO_OBSERVER, type Observer } from "../events/mod.ts";
import { type LookupTable, Table, type UpdatableTable } from "./table.ts";

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

export class TableSet {
  readonly #tables = new Map<string, Table>();
  readonly #others: ReadonlyMap<string, UpdatableTable>;

  /** `others`: tables whose content is not in the configuration. */
  constructor(
    tables: Readonly<Record<string, StaticTable>>,
    local: LocalNames,
    delimiter: string,
    observer: Observer = NO_OBSERVER,
    others: readonly UpdatableTable[] = [],
  ) {
    this.#others = new Map(others.map((table) => [table.name, table]));
    for (const source of [...builtinTables(local), ...Object.values(tables)]) {
      this.#tables.set(source.name, new Table(source, delimiter, observer));
    }
  }

  /** The table that the configuration names; it was checked to exist, so a missing one is our bug. */
  get(name: string): LookupTable {
    const table = this.#tables.get(name) ?? this.#others.get(name);
    if (table === undefined) throw new Error(`There is no table "${name}"`);
    return table;
  }

  /** The tables that have no answer to any question now, or only old ones, each with the reason. */
  faults(): string[] {
    return [...this.#others.values()].flatMap(({ name, fault }) => fault == null ? [] : [`table <${name}>: ${fault}`]);
  }

  /**
   * Has a table's content read again: all of it, or nothing changes and the reason is returned. Null is success, also for a table that was
   * written in smtpd.conf and cannot change.
   */
  update(name: string): string | null | Promise<string | null> {
    const other = this.#others.get(name);
    if (other !== undefined) return other.update();
    return this.#tables.has(name) ? null : `There is no table "${name}"`;
  }
}
