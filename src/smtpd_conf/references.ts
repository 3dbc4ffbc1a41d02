/** References from one directive to another: tables and filters by name, and those written on the spot. */

import type { Cursor } from "./cursor.ts";
import type { FilterStep, SourceLine, StaticTable } from "../config/mod.ts";
import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { sortEntries } from "../config/tablefile.ts";
import { shown } from "../config/values.ts";
import { nearest, RESERVED } from "../config/words.ts";
import { declare, type DeclaredTable, type Draft, use } from "./draft.ts";

/** What an option requires of its table. Without `kinds` any will do. */
export interface TableUse {
  readonly option: string;
  readonly kinds?: readonly (StaticTable["kind"] | "accounts")[];
}

export interface InlineList {
  readonly kind: StaticTable["kind"];
  readonly entries: StaticTable["entries"];
}

/** After `{`: entries up to and with `}`, parted by commas, newlines or blanks. All keys, or all pairs of key and value. */
export function parseList(cursor: Cursor): InlineList | null {
  const entries: [string, string][] = [];
  let kind: StaticTable["kind"] | null = null;
  const opened = cursor.peek().at;
  cursor.skipNewlines();
  while (!cursor.atMark("}")) {
    const at = cursor.peek().at;
    const key = cursor.expectString('an entry of the list or "}"');
    if (key === null) return null;
    const pair = cursor.acceptMark("=") || cursor.acceptMark("=>");
    const value = pair ? cursor.expectString("a value") : "";
    if (value === null) return null;
    const entryKind = pair ? "map" : "list";
    if (kind !== null && kind !== entryKind) {
      const open = opened.line === at.line ? "" : `; is the "{" of line ${opened.line} closed?`;
      cursor.fail(at, `syntax error: a table holds either keys or pairs of key and value, not both${open}`);
      return null;
    }
    if (key.length > LANGUAGE_LIMITS.tableKey) {
      cursor.fail(at, "key is too long for a table");
      return null;
    }
    kind = entryKind;
    entries.push([key, value]);
    cursor.skipNewlines();
    cursor.acceptMark(",");
    cursor.skipNewlines();
  }
  if (kind === null) {
    cursor.fail(cursor.peek().at, "syntax error: the list is empty");
    return null;
  }
  cursor.take();
  return { kind, entries: sortEntries(entries) };
}

/** True when a table reference begins here: for options whose table may be left out. */
export function atTable(cursor: Cursor): boolean {
  return cursor.atString() || cursor.atMark("{") || cursor.atMark("<");
}

/** `<name>`, or a string or list that becomes a table of its own. Null after a mistake. */
export function parseTable(cursor: Cursor, draft: Draft, wanted: TableUse): string | null {
  const { at } = cursor.peek();
  if (cursor.acceptMark("<")) {
    const name = cursor.expectString("the name of a table");
    if (name === null || !cursor.expectMark(">")) return null;
    return checkTable(cursor, draft, at, name, wanted) ? name : null;
  }
  let list: InlineList | null;
  let forgotten = "";
  let word: string | null = null;
  if (cursor.acceptMark("{")) {
    list = parseList(cursor);
  } else {
    const text = cursor.expectString(`a table for "${wanted.option}"`);
    if (text !== null && text.length > LANGUAGE_LIMITS.tableKey) cursor.fail(at, "key is too long for a table");
    list = text === null ? null : { kind: "list", entries: sortEntries([[text, ""]]) };
    if (text !== null && draft.tables.has(text)) forgotten = `; the table of that name is written <${shown(text)}>`;
    else if (text !== null) word = text;
  }
  if (list === null || cursor.failed) return null;
  const name = `<dynamic:${draft.anonymousTables}>`;
  const table: DeclaredTable = { kind: list.kind, table: { name, ...list } };
  const which = word === null ? "this table" : `"${shown(word)}"`;
  const hint = word === null ? forgotten : wordHint(word, wanted);
  if (!checkKind(cursor, at, which, table, wanted, hint)) return null;
  if (forgotten !== "") {
    draft.warnings.push(
      `${at.file}:${at.line}: warning: "${wanted.option}" has the one entry "${list.entries[0]![0]}"${forgotten}`,
    );
  }
  draft.anonymousTables++;
  draft.tables.set(name, table);
  // What is wrong with its entries is reported with this line.
  declare(draft, { kind: "table", name }, at);
  use(draft, { kind: "table", name });
  return name;
}

/** What to write in the place of a lone word that stands where a table with pairs must. */
function wordHint(word: string, { option }: TableUse): string {
  if (/^(?:file|db|passwd|sqlite|proc|proc-exec):./.test(word)) {
    return `; write "table NAME ${shown(word)}" on a line before, and <NAME> here`;
  }
  const meant = word.includes("-") ? nearest(word, RESERVED) : null;
  if (meant !== null) return `; did you mean the option "${meant}"?`;
  return /^[a-z0-9_-]+$/i.test(word)
    ? `; the name of a table is written <${shown(word)}>, and "table ${shown(word)} …" stands on a line before`
    : `; a table for "${option}" is written { KEY = VALUE } or <NAME>`;
}

function checkTable(cursor: Cursor, draft: Draft, at: SourceLine, name: string, wanted: TableUse): boolean {
  const table = draft.tables.get(name);
  if (table === undefined) {
    cursor.failUndefined(at, { kind: "table", name }, () => namedTables(draft));
    return false;
  }
  use(draft, { kind: "table", name });
  return checkKind(cursor, at, `table <${shown(name)}>`, table, wanted);
}

function checkKind(
  cursor: Cursor,
  at: SourceLine,
  which: string,
  table: DeclaredTable,
  wanted: TableUse,
  hint = "",
): boolean {
  const { kind } = table;
  if (kind === "accounts") {
    if (wanted.kinds?.includes(kind)) return true;
    cursor.fail(at, `${which} may not be used for "${wanted.option}" lookups: it holds accounts, for a userbase only`);
    return false;
  }
  if (kind === "dynamic" || wanted.kinds === undefined || wanted.kinds.includes(kind)) return true;
  const needed = wanted.kinds.includes("map") ? "pairs of key and value are" : "a list of keys is";
  const got = kind === "map" ? "pairs of key and value" : "keys only";
  cursor.fail(at, `${which} may not be used for "${wanted.option}" lookups: it holds ${got}, ${needed} needed${hint}`);
  return false;
}

function namedTables(draft: Draft): string[] {
  return [...draft.tables.keys()].filter((name) => !name.startsWith("<"));
}

/** Names in `{ … }`, parted as in lists; none twice. Gives the filters' steps, null after a mistake. */
export function parseFilterNames(cursor: Cursor, draft: Draft): FilterStep[] | null {
  const steps: FilterStep[] = [];
  cursor.skipNewlines();
  do {
    const { at } = cursor.peek();
    const name = cursor.expectString("the name of a filter");
    if (name === null) return null;
    const filter = draft.filters.get(name);
    use(draft, { kind: "filter", name });
    if (filter === undefined) failFilter(cursor, draft, at, name);
    else if (filter.chain) cursor.fail(at, `filter "${shown(name)}" is a chain and cannot be part of a chain`);
    else if (steps.some((step) => step.name === name)) {
      cursor.fail(at, `filter "${shown(name)}" is already part of this chain`);
    } else if (filter.steps.some((step) => steps.some((other) => sharesProcess(step, other)))) {
      cursor.fail(at, `filter "${shown(name)}" shares its process with another filter of this chain`);
    }
    if (filter === undefined || cursor.failed) return null;
    steps.push(...filter.steps);
    if (steps.length > LANGUAGE_LIMITS.filtersPerChain) {
      cursor.fail(at, `too many filters in one chain: at most ${LANGUAGE_LIMITS.filtersPerChain}`);
    }
    cursor.skipNewlines();
    cursor.acceptMark(",");
    cursor.skipNewlines();
  } while (!cursor.atMark("}"));
  cursor.take();
  return steps;
}

/** What a process is asked is distinguished by the process alone: it cannot stand in one chain twice. */
function sharesProcess(one: FilterStep, other: FilterStep): boolean {
  return one.kind === "process" && other.kind === "process" && one.process === other.process;
}

/** `filter NAME` or `filter { … }` on a listener or a relay. A list gets a name of its own. Null after a mistake. */
export function parseFilterOption(cursor: Cursor, draft: Draft): string | null {
  if (!cursor.acceptMark("{")) {
    const { at } = cursor.peek();
    const name = cursor.expectString("the name of a filter");
    if (name !== null) use(draft, { kind: "filter", name });
    if (name !== null && !draft.filters.has(name)) failFilter(cursor, draft, at, name);
    return cursor.failed ? null : name;
  }
  const steps = parseFilterNames(cursor, draft);
  if (steps === null || cursor.failed) return null;
  const name = `<filters:${draft.filters.size}>`;
  draft.filters.set(name, { chain: true, steps });
  return name;
}

function failFilter(cursor: Cursor, draft: Draft, at: SourceLine, name: string): void {
  cursor.failUndefined(at, { kind: "filter", name }, () => namedFilters(draft));
}

function namedFilters(draft: Draft): string[] {
  return [...draft.filters.keys()].filter((name) => !name.startsWith("<"));
}
