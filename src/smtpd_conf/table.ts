/** `table NAME …` of smtpd.conf(5): inline tables, files of every kind, programs, the accounts of the system. */

import type { SourceLine, TableFile } from "../config/mod.ts";
import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { mayInclude, scanTableFile } from "../config/tablefile.ts";
import { shown } from "../config/values.ts";
import { suggestion } from "../config/words.ts";
import { systemReason } from "../events/mod.ts";
import type { Context } from "./context.ts";
import { declare } from "./draft.ts";
import { parseList } from "./references.ts";

/** Back-ends that are no programs. */
const BACKENDS = ["file", "static", "db", "passwd", "sqlite", "getpwnam"];

/** Reads what follows `table` into the draft. */
export function parseTableDirective(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  const name = cursor.expectString("the name of a table");
  if (name === null) return;
  if (draft.tables.has(name)) return cursor.fail(at, `table <${shown(name)}> is already declared`);
  if (name === "" || name.length > LANGUAGE_LIMITS.tableName || /^<|>$/.test(name)) {
    return cursor.fail(at, `invalid name of a table: "${shown(name)}"`);
  }
  declare(draft, { kind: "table", name }, at);
  if (cursor.acceptMark("{")) {
    // Declared before it is read: a mistake in the list must not make every use of the table a mistake of its own.
    draft.tables.set(name, { kind: "dynamic", table: null });
    const list = parseList(cursor);
    if (list !== null) draft.tables.set(name, { kind: list.kind, table: { name, ...list } });
    return;
  }
  const source = cursor.expectString("a list in braces, a path or a back-end");
  if (source !== null) declareFrom(context, at, name, source);
}

/** `/path`, `file:/path` or `BACKEND[:/path]`. */
function declareFrom(context: Context, at: SourceLine, name: string, source: string): void {
  const { cursor, draft } = context;
  const colon = source.indexOf(":");
  const [backend, path] = source.startsWith("/")
    ? ["file", source]
    : colon < 0
    ? [source, null]
    : [source.slice(0, colon), source.slice(colon + 1)];
  // Declared whatever is wrong with it: its uses are not mistakes of their own.
  draft.tables.set(name, { kind: "dynamic", table: null });
  if (path === "") return cursor.fail(at, `table <${shown(name)}> needs a path right behind "${shown(backend)}:"`);
  if (path !== null && !path.startsWith("/")) {
    return cursor.fail(at, `invalid path for table <${shown(name)}>: "${shown(path)}" does not start with a slash`);
  }
  if (backend === "file" || backend === "static") {
    if (path === null) return cursor.fail(at, `table <${shown(name)}> needs a path: file:/path`);
    return readFileTable(context, at, name, path);
  }
  if (backend === "db" || backend === "passwd" || backend === "sqlite") {
    if (path === null) return cursor.fail(at, `table <${shown(name)}> needs a path: ${backend}:/path`);
    return openTable(context, at, name, backend, path);
  }
  if (backend === "getpwnam") {
    if (path !== null) cursor.fail(at, `table <${shown(name)}>: getpwnam has no path`);
    // An empty table by that name is there to be updated, which changes nothing.
    draft.tables.set(name, { kind: "accounts", table: { name, kind: "map", entries: [] } });
    return;
  }
  if (!/^[A-Za-z0-9_.-]+$/.test(backend)) return cursor.fail(at, `invalid table back-end "${shown(backend)}"`);
  declareProgram(context, at, name, backend, path);
}

/** Any other back-end is the name of a program. */
function declareProgram(
  { cursor, draft, files }: Context,
  at: SourceLine,
  name: string,
  backend: string,
  argument: string | null,
) {
  // The name stands in every line that is said to the program.
  // deno-lint-ignore no-control-regex
  if (/[|\x00-\x1f\x7f]/.test(name)) {
    return cursor.fail(
      at,
      `table <${shown(name)}>: the name of a program's table holds no "|" and no control characters`,
    );
  }
  try {
    if (files.programPath === undefined) throw new Error("programs are not looked for here");
    draft.programs.set(name, { name, program: files.programPath(`table-${backend}`), argument });
  } catch (error) {
    const guess = suggestion(backend, BACKENDS);
    cursor.fail(
      at,
      `table <${shown(name)}>: no program for back-end "${shown(backend)}": ${systemReason(error)}${guess}`,
    );
  }
}

/** Other back-ends are opened for a moment, and report the type of their answers only then. */
function openTable(
  { cursor, draft, files }: Context,
  at: SourceLine,
  name: string,
  backend: "db" | "passwd" | "sqlite",
  path: string,
): void {
  try {
    const found = files.inspectTable?.(backend, path) ?? { files: [path], includes: [] };
    draft.tableFiles.set(name, { name, backend, kind: "dynamic", path, ...found });
  } catch (error) {
    cursor.fail(at, `table <${shown(name)}>: cannot open ${shown(path)}: ${shown(systemReason(error))}`);
  }
}

/** Only checked here: a large table would cost its memory twice. */
function readFileTable({ cursor, draft, files }: Context, at: SourceLine, name: string, path: string): void {
  let bytes: Uint8Array;
  try {
    bytes = files.readBytes?.(path) ?? new TextEncoder().encode(files.readText(path));
  } catch (error) {
    return cursor.fail(at, `table <${shown(name)}>: cannot read ${shown(path)}: ${shown(systemReason(error))}`);
  }
  const includes: string[] = [];
  const result = scanTableFile(bytes, (_keyStart, _keyEnd, start, end) => {
    if (mayInclude(bytes, start, end)) includes.push(new TextDecoder().decode(bytes.subarray(start, end)));
  });
  if (!result.ok) {
    const where = result.line === null ? path : `${path}:${result.line}`;
    return cursor.fail(at, `table <${shown(name)}>: ${shown(where)}: ${result.message}`);
  }
  const file: TableFile = { name, backend: "file", kind: result.kind, path, files: [path], includes };
  draft.tables.set(name, { kind: result.kind, table: null });
  draft.tableFiles.set(name, file);
}
