/** How the history stands, for `smtpctl show status`. Pure. */

import type { HistoryState } from "../protocol/mod.ts";
import type { JsonRecord } from "./protocol.ts";

/** What control knows of the history: null where it is not wanted, "silent" where it does not answer. */
export type KnownHistory = HistoryState | "silent" | null;

/** Returns its lines: one says how large it is, the others what is wrong. */
export function describeHistory(known: KnownHistory): string[] {
  if (known === null) return [];
  if (known === "silent") return ["HISTORY does not answer: it is being started anew"];
  const { messages, bytes, oldestAt, leftOut, stopped, damaged } = known;
  const since = oldestAt === null ? "" : `, the first of ${new Date(oldestAt).toISOString()}`;
  return [
    `HISTORY ${messages} message${messages === 1 ? "" : "s"}, ${sizeText(bytes)}${since}`,
    ...stopped === null ? [] : [`HISTORY nothing is recorded now: ${stopped}`],
    ...leftOut === 0 ? [] : [`HISTORY ${leftOut} events were not recorded since it was started`],
    ...damaged.map((file) => `HISTORY ${file}`),
  ];
}

/** Returns the same as a record. */
export function historyRecord(known: KnownHistory): JsonRecord | null {
  if (known === null || known === "silent") return null;
  const { messages, bytes, segments, oldestAt, leftOut, stopped, damaged } = known;
  return {
    ...{ messages, bytes, segments, leftOut, stopped, damaged },
    oldestAt: oldestAt === null ? null : new Date(oldestAt).toISOString(),
  };
}

function sizeText(bytes: number): string {
  if (bytes < 1024 ** 2) return `${Math.ceil(bytes / 1024)} KiB`;
  return bytes < 1024 ** 3 ? `${(bytes / 1024 ** 2).toFixed(1)} MiB` : `${(bytes / 1024 ** 3).toFixed(2)} GiB`;
}
