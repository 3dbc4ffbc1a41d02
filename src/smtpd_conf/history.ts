/** `history keep TIME [size SIZE] [refs]`: what became of each message is recorded, an extension of ours. */

import type { SourceLine } from "../config/mod.ts";
import { DEFAULT_HISTORY_BYTES, MIN_HISTORY_BYTES } from "../config/defaults.ts";
import { parseSize, shown } from "../config/values.ts";
import { expectDelay } from "./action.ts";
import type { Context } from "./context.ts";
import { HISTORY_PLACE } from "./draft.ts";

/** Reads what follows `history` into the draft. */
export function parseHistory(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  if (!cursor.acceptWord("keep")) return cursor.unknownWord("history directive", ["keep"]);
  const seconds = expectDelay({ cursor }, "history");
  if (seconds === null) return;
  let size: number | null = null, refs = false;
  while (!cursor.atEnd()) {
    if (size === null && cursor.acceptWord("size")) {
      size = expectHistorySize(context);
      if (size === null) return;
    } else if (!refs && cursor.acceptWord("refs")) refs = true;
    else return cursor.unknownWord("history option", ["size", "refs"].slice(size === null ? 0 : 1, refs ? 1 : 2));
  }
  if (draft.history !== null) {
    const { line } = draft.declared.get(HISTORY_PLACE) ?? at;
    return cursor.fail(at, `the history is already declared in line ${line}`);
  }
  draft.history = { keepMs: seconds * 1000, maxBytes: size ?? DEFAULT_HISTORY_BYTES, refs };
  draft.declared.set(HISTORY_PLACE, at);
}

function expectHistorySize({ cursor }: Context): number | null {
  const token = cursor.peek();
  const text = token.kind === "number" ? cursor.take().text : cursor.expectString("a size such as 4G");
  if (text === null) return null;
  const bytes = parseSize(text);
  if (bytes !== null && bytes >= MIN_HISTORY_BYTES) return bytes;
  const wrong = bytes === null ? "invalid size" : "the history is too small";
  cursor.fail(token.at, `${wrong}: ${shown(text)} (a size such as 4G, at least ${MIN_HISTORY_BYTES / 1024 ** 2}M)`);
  return null;
}
