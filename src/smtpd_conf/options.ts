/** Options that follow a directive in any order, each at most once. Independent of particular options. */

import type { Cursor } from "./cursor.ts";
import type { SourceLine } from "../config/mod.ts";

export interface Option {
  /** Options of one group exclude each other; an option without one is its own group. */
  readonly group?: string;
  readonly repeats?: true;
  /** A word of ours that is not reserved, so that names of macros and tags keep working. */
  readonly ours?: true;
  /** Reads what follows the word. */
  parse(at: SourceLine, word: string): void;
}

export type Options = Readonly<Record<string, Option>>;

/** Reads options up to the end of the line, or up to one of the words in `until`. */
export function parseOptions(cursor: Cursor, what: string, options: Options, until: readonly string[] = []): void {
  const seen = new Map<string, string>();
  while (!cursor.atEnd()) {
    const token = cursor.peek();
    if (token.kind === "keyword" && until.includes(token.text)) return;
    const option = Object.hasOwn(options, token.text) ? options[token.text]! : null;
    if (option === null || token.kind !== (option.ours ? "string" : "keyword")) {
      return cursor.unknownWord(what, [...Object.keys(options), ...until]);
    }
    cursor.take();
    const group = option.group ?? token.text;
    if (!option.repeats && !firstOf(cursor, seen, token.at, group, token.text)) return;
    option.parse(token.at, token.text);
  }
}

/** Fails, and gives false, when something of the group was written before on this line. */
export function firstOf(
  cursor: Cursor,
  seen: Map<string, string>,
  at: SourceLine,
  group: string,
  word: string,
): boolean {
  const before = seen.get(group);
  seen.set(group, word);
  if (before === undefined) return true;
  if (before === word) cursor.fail(at, `"${word}" is already specified`);
  else cursor.fail(at, `"${word}" and "${before}" are mutually exclusive`);
  return false;
}
