/** What the admin pages need to know of the daemon: given by src/control, faked by tests. */

import type { Envelope, EnvelopeCursor } from "../envelope/mod.ts";
import type { Statistic } from "../events/mod.ts";
import type { Checked, RunState } from "../protocol/mod.ts";

/** One envelope and where it stands. */
export interface AdminRow {
  readonly envelope: Envelope & { readonly expiresAt: number };
  readonly state: RunState | null;
}

export interface AdminSource {
  readonly serverName: string;
  readonly version: string;
  uptimeSeconds(): number;
  /** Touched statistics, sorted by key. */
  stats(): readonly Statistic[];
  /** At most `limit` envelopes after the id `after`, in order of id. */
  queuePage(after: EnvelopeCursor, limit: number): Promise<readonly AdminRow[]>;
  /** Which of the isolates that mail cannot do without answer. */
  health(): Promise<Readonly<Record<string, boolean>>>;
  /** What is wrong with the spool, a line each. */
  diskErrors(): Promise<readonly string[]>;
  /** What the last check of this host found, and when; null before the first. */
  checkup(): Checked | null;
  /** Why mail is refused or stands still though all answer, a sentence each: a full disk, isolates that do not run. */
  refusals(): Promise<readonly string[]>;
  paused(): Readonly<Record<string, boolean>>;
}
