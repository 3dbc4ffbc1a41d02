/** `log to …`: where the log goes and in which form, an extension of ours. */

import { isAbsolute, normalize } from "node:path";
import type { LogFormat, LogSink, SourceLine } from "../config/mod.ts";
import { shown } from "../config/values.ts";
import type { Context } from "./context.ts";

/** Each line of the log is written as often. */
const MAX_SINKS = 8;
const PLACES = ["file", "journald", "stderr", "syslog"] as const;

/** Reads what follows `log` into the draft. Several lines are several places. */
export function parseLog(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  if (!cursor.acceptWord("to")) return cursor.unknownWord("log directive", ["to"]);
  const place = PLACES.find((word) => cursor.acceptWord(word));
  if (place === undefined) return cursor.unknownWord("place for the log", PLACES);
  const sink = place === "file" ? parseFile(context, at) : parseOther(context, { at, place });
  if (sink === null || cursor.failed) return;
  const same = draft.log.find((other) => keyOf(other) === keyOf(sink));
  if (same !== undefined) {
    return cursor.fail(at, `the log goes to ${nameOf(sink)} already, by line ${same.at!.line}`);
  }
  if (draft.log.length >= MAX_SINKS) return cursor.fail(at, `the log goes to at most ${MAX_SINKS} places`);
  draft.log.push(sink);
}

function parseFile(context: Context, at: SourceLine): LogSink | null {
  const { cursor } = context;
  const { at: pathAt } = cursor.peek();
  const path = cursor.expectString("the path of a file");
  if (path === null) return null;
  if (!isAbsolute(path) || /[\0\n]/.test(path) || path.endsWith("/")) {
    cursor.fail(pathAt, `not a path of a log file: ${shown(path)} (one such as "/var/log/vaultpost/smtpd.log")`);
    return null;
  }
  const format = parseFormat(context);
  return format === null ? null : { kind: "file", path: normalize(path), format, at };
}

function parseOther(
  context: Context,
  { at, place }: { readonly at: SourceLine; readonly place: "journald" | "stderr" | "syslog" },
): LogSink | null {
  const { cursor } = context;
  if (place !== "journald") {
    const format = parseFormat(context);
    return format === null ? null : { kind: place, format, at };
  }
  if (!cursor.atWord("format")) return { kind: place, format: "text", at };
  cursor.fail(at, "journald gets each line with fields of its own, in no other format");
  return null;
}

/** `format text` or `format json`, or nothing. Null when it is wrong. */
function parseFormat({ cursor }: Pick<Context, "cursor">): LogFormat | null {
  if (!cursor.acceptWord("format")) {
    if (cursor.atEnd()) return "text";
    cursor.unknownWord("log option", ["format"]);
    return null;
  }
  for (const format of ["text", "json"] as const) if (cursor.acceptWord(format)) return format;
  cursor.unknownWord("format of the log", ["json", "text"]);
  return null;
}

function keyOf(sink: LogSink): string {
  return sink.kind === "file" ? `file ${sink.path}` : sink.kind;
}

function nameOf(sink: LogSink): string {
  return sink.kind === "file" ? shown(sink.path) : sink.kind;
}
