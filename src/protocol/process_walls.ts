/** What stands around each process of the running daemon, as main tells control for `smtpctl show status`. */

import { type Fields, list, nullOr, text, whole } from "./check.ts";

export interface ProcessWalls {
  /** Its name. */
  readonly process: string;
  /** Null: it does not run now. */
  readonly pid: number | null;
  /** What the kernel says of it, in words, one wall each. */
  readonly stands: readonly string[];
  /** What it says of itself, since the kernel tells nobody else. */
  readonly says: readonly string[];
  /** Walls that it should have and has not, or that are unknown. */
  readonly missing: readonly string[];
  /** Its isolates with what the runtime permits them, in words. */
  readonly isolates: readonly string[];
}

/** Entries of each list at most. */
const MAX_ENTRIES = 1_000;
export const MAX_PROCESSES = 16;
const words = list(text(), MAX_ENTRIES);

export const PROCESS_WALLS: Fields<ProcessWalls> = {
  process: text(),
  pid: nullOr(whole()),
  stands: words,
  says: words,
  missing: words,
  isolates: words,
};
