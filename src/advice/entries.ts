/** The entries of the tables that a check of the configuration can look into, each with its place. Reads through what it is given. */

import type { Config, SourceLine } from "../config/mod.ts";
import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { scanTableFile, tableKey } from "../config/tablefile.ts";
import { openDb, Table } from "../tables/mod.ts";

export interface Entry {
  /** As written, but for letters' case in tables of smtpd.conf. */
  readonly key: string;
  /** "" in a list. */
  readonly value: string;
  /** `file:line`, or the file alone where lines mean nothing. */
  readonly at: string;
}

export interface Content {
  readonly kind: "list" | "map";
  readonly entries: readonly Entry[];
}

/** Bytes of a file; null for one that is not to be looked into. Throws an Error when it cannot be read. */
export type ReadFile = (path: string) => Uint8Array | null;

const NEWLINE = 0x0a, HASH = 0x23;

/** Returns a place in smtpd.conf as it stands in messages, `file:line`. */
export function placeText({ file, line }: SourceLine): string {
  return `${file}:${line}`;
}

/** What tables hold, as far as that is known without the daemon. Each file is read once. */
export class Contents {
  readonly #config: Config;
  readonly #read: ReadFile;
  readonly #known = new Map<string, Content | null>();

  constructor(config: Config, read: ReadFile) {
    this.#config = config;
    this.#read = read;
  }

  /** Null for what only the daemon can ask: programs, databases with queries, built-in tables. `at`: who names a table that has no line of its own. */
  of(name: string, at: SourceLine): Content | null {
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    const content = this.#look(name, at);
    this.#known.set(name, content);
    return content;
  }

  /** The same, to be asked as the daemon asks it. */
  table(name: string): Table | null {
    const content = this.of(name, { file: this.#config.file, line: 0 });
    if (content === null) return null;
    const entries = content.entries.map(({ key, value }) => [tableKey(key), value] as const);
    return new Table({ name, kind: content.kind, entries }, this.#config.smtp.subAddressDelimiter);
  }

  /** The keys as they are looked up; none where only the daemon can ask. */
  keys(name: string): readonly string[] {
    return this.of(name, { file: this.#config.file, line: 0 })?.entries.map(({ key }) => tableKey(key)) ?? [];
  }

  /** Is it written in smtpd.conf, so that it stays as it is while the daemon runs? */
  isStatic(name: string): boolean {
    return this.#config.tables[name] !== undefined && this.#config.tableFiles[name] === undefined;
  }

  #look(name: string, at: SourceLine): Content | null {
    const file = this.#config.tableFiles[name];
    if (file === undefined) {
      const table = this.#config.tables[name];
      if (table === undefined) return null;
      const place = placeText(this.#config.declared[`table ${name}`] ?? at);
      return { kind: table.kind, entries: table.entries.map(([key, value]) => ({ key, value, at: place })) };
    }
    try {
      const bytes = file.backend === "sqlite" ? null : this.#read(file.path);
      if (bytes === null) return null;
      if (file.backend === "db") return ofDatabase(file.path, bytes);
      return file.backend === "passwd" ? ofPasswd(file.path, bytes) : ofText(file.path, bytes);
    } catch {
      // The check of the file itself reports what is wrong with it.
      return null;
    }
  }
}

/** A text file of table(5). */
function ofText(path: string, bytes: Uint8Array): Content | null {
  const entries: Entry[] = [];
  const decoder = new TextDecoder();
  let line = 1, counted = 0;
  const scan = scanTableFile(bytes, (keyStart, keyEnd, valueStart, valueEnd) => {
    for (let at = bytes.indexOf(NEWLINE, counted); at >= 0 && at < keyStart; at = bytes.indexOf(NEWLINE, counted)) {
      counted = at + 1;
      line++;
    }
    entries.push({
      key: decoder.decode(bytes.subarray(keyStart, keyEnd)),
      value: decoder.decode(bytes.subarray(valueStart, valueEnd)),
      at: `${path}:${line}`,
    });
  });
  return scan.ok ? { kind: scan.kind, entries } : null;
}

/** A file of passwd(5): the value is what stands behind the name. */
function ofPasswd(path: string, bytes: Uint8Array): Content {
  const entries: Entry[] = [];
  for (const [index, text] of new TextDecoder().decode(bytes).split("\n").entries()) {
    const colon = text.indexOf(":");
    if (colon <= 0 || colon > LANGUAGE_LIMITS.tableKey || text.charCodeAt(0) === HASH) continue;
    entries.push({ key: text.slice(0, colon), value: text.slice(colon + 1), at: `${path}:${index + 1}` });
  }
  return { kind: "map", entries };
}

function ofDatabase(path: string, bytes: Uint8Array): Content {
  const entries: Entry[] = [];
  const text = (part: Uint8Array) => new TextDecoder().decode(part).replace(/\0$/, "");
  for (const { key, value } of openDb(bytes).records()) entries.push({ key: text(key), value: text(value), at: path });
  return { kind: "map", entries };
}
