/** What `smtpctl check` may be told. */

import type { GivenOptions } from "./command_options.ts";
import type { CommandOption } from "./words.ts";

/** Lists that are asked where none are named. */
export const BLOCKLISTS = ["zen.spamhaus.org", "bl.spamcop.net", "b.barracudacentral.org"];

export const CHECK_OPTIONS: readonly CommandOption[] = [
  { name: "--json", about: "Prints one JSON document instead of lines." },
  {
    name: "--blocklists",
    value: "list,...",
    optional: true,
    about: `Also asks these blocklists for our addresses, by default ${BLOCKLISTS.join(", ")}.`,
  },
  { name: "-f", value: "file", about: "Checks this configuration from here, and asks no daemon." },
];

export interface CheckOrder {
  readonly json: boolean;
  /** Null for none; "" for the usual ones. */
  readonly blocklists: string | null;
  readonly file: string | null;
}

/** Reads what was given, without checking it. */
export function checkOrderOf(given: GivenOptions): CheckOrder {
  return {
    json: given.has("--json"),
    blocklists: given.get("--blocklists")?.[0] ?? null,
    file: given.get("-f")?.[0] ?? null,
  };
}
