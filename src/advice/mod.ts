/** Front door of the advice folder: what is right by the grammar of smtpd.conf, and cannot be meant. Pure but for the files that it is let read. */

import type { Config } from "../config/mod.ts";
import { Contents, type ReadFile } from "./entries.ts";
import { literalWarnings } from "./literals.ts";
import type { MachineFacts } from "./machine.ts";
import { peopleWarnings, type SystemUsers } from "./people.ts";
import { openRelayWarnings } from "./open_relay.ts";
import { reachWarnings } from "./reach.ts";
import { unreachableWarnings } from "./unreachable.ts";
import { valueWarnings } from "./values.ts";

export type { MachineFacts, ReadFile, SystemUsers };

/** `file:line: warning: …`, most urgent first: who can relay that should not, rules without mail, entries of tables that cannot work. */
export async function adviseOn(
  config: Config,
  read: ReadFile,
  machine: MachineFacts,
  users: SystemUsers,
): Promise<string[]> {
  const contents = new Contents(config, read);
  return [
    ...openRelayWarnings(config, contents),
    ...reachWarnings(config, contents),
    ...unreachableWarnings(config, contents),
    ...literalWarnings(config),
    ...valueWarnings(config, contents, machine),
    ...await peopleWarnings(config, contents, users, (path) => machine.readText(path)),
  ];
}
