/** What `smtpctl admin token` may be told. */

import type { GivenOptions } from "./command_options.ts";
import type { CommandOption } from "./words.ts";

export const ADMIN_TOKEN_OPTIONS: readonly CommandOption[] = [
  { name: "--read", about: "The token may read only." },
  {
    name: "--write",
    about: "The token may read, and change what the page and smtpctl can; so it is without an option.",
  },
  {
    name: "--name",
    value: "name",
    about: "What it is called in lists and in the log; without it token-1, token-2 ...",
  },
  {
    name: "--expires",
    value: "time",
    about: "After this time it is good no more: 12h, 30d. Without it, it is until it is revoked.",
  },
  { name: "--json", about: "Prints one JSON document instead of the token." },
];

export interface AdminTokenOrder {
  readonly read: boolean;
  readonly write: boolean;
  readonly name: string | null;
  /** As it was given. */
  readonly expires: string | null;
  readonly json: boolean;
}

/** Reads what was given, without checking it. */
export function adminTokenOrderOf(given: GivenOptions): AdminTokenOrder {
  return {
    read: given.has("--read"),
    write: given.has("--write"),
    name: given.get("--name")?.[0] ?? null,
    expires: given.get("--expires")?.[0] ?? null,
    json: given.has("--json"),
  };
}
