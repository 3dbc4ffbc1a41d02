/** Front door of the advice folder: the warnings of `smtpd -n` about lines that are valid and cannot work. Pure but for the files that it may read. */

import type { Config } from "../config/mod.ts";
import { shown } from "../config/values.ts";
import { Contents, type ReadFile } from "./entries.ts";
import { literalWarnings } from "./literals.ts";
import type { MachineState } from "./machine.ts";
import { peopleWarnings, type SystemUsers } from "./people.ts";
import { openRelayWarnings } from "./open_relay.ts";
import { reachWarnings } from "./reach.ts";
import { unreachableWarnings } from "./unreachable.ts";
import { brokenEntries, valueWarnings } from "./values.ts";

export type { MachineState, ReadFile, SystemUsers };

/** `file:line: warning: …`, most urgent first: who can relay without permission, rules without mail, entries of tables that cannot work. */
export async function adviseOn(
  config: Config,
  read: ReadFile,
  machine: MachineState,
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

/**
 * Why a table is not to be read again: what would fail when mail or a login comes to it, each with `file:line`, or that it has no file. Null
 * when nothing is known against it, or it is none of the configuration.
 */
export function tableFault(config: Config, read: ReadFile, machine: MachineState, name: string): string | null {
  const contents = new Contents(config, read);
  if (contents.isStatic(name)) return `table <${shown(name)}> is written in smtpd.conf: there is no file to read again`;
  const broken = brokenEntries(config, contents, machine, name);
  return broken.length === 0 ? null : `${broken.join("; ")}. The table stays as it was`;
}
