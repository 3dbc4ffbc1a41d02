/** The options of `smtpctl top`. Pure. */

import { LEAST_TOP_MS, MOST_TOP_MS } from "../../../control/mod.ts";
import type { CommandOption } from "../words.ts";

/** What the command line asks for. */
export interface TopOrder {
  readonly intervalMs: number;
  /** How many looks; null for no end. */
  readonly count: number | null;
  readonly json: boolean;
}

/** The options of the command. */
export const TOP_OPTIONS: readonly CommandOption[] = [
  { name: "-i", value: "seconds", about: "Looks again after so many seconds, 0.1 to 60; 2 without it." },
  { name: "-n", value: "count", about: "Ends after so many looks." },
  { name: "--json", about: "Prints an object of JSON each time." },
];

/** Reads the options that were given: what they ask for, or a sentence where they mean nothing. */
export function topOrder(given: ReadonlyMap<string, readonly string[]>): TopOrder | { readonly wrong: string } {
  const [seconds = "2"] = given.get("-i") ?? [], [count = null] = given.get("-n") ?? [];
  const intervalMs = /^\d{1,3}(\.\d{1,3})?$/.test(seconds) ? Number(seconds) * 1000 : NaN;
  if (!(intervalMs >= LEAST_TOP_MS && intervalMs <= MOST_TOP_MS)) {
    return { wrong: `-i ${seconds}: ${LEAST_TOP_MS / 1000} to ${MOST_TOP_MS / 1000} seconds are possible` };
  }
  if (count !== null && !/^[1-9]\d{0,8}$/.test(count)) return { wrong: `-n ${count}: a number from 1 on is needed` };
  return { intervalMs, count: count === null ? null : Number(count), json: given.has("--json") };
}
