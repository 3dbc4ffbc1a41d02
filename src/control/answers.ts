/** The forms of answers that several requests share. */

import type { ControlAnswer } from "./protocol.ts";

/** The end of a request that failed for the reason `error`. */
export function failed(error: string): ControlAnswer {
  return { ok: false, error };
}

/** Lines to print, then the end. */
export function* shown(lines: readonly string[]): Generator<ControlAnswer> {
  for (const line of lines) yield { line };
  yield { ok: true };
}
