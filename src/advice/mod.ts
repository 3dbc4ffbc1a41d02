/** Front door of the advice folder: what is right by the grammar of smtpd.conf, and cannot be meant. Pure but for the files that it is let read. */

import type { Config } from "../config/mod.ts";
import { Contents, type ReadFile } from "./entries.ts";
import { openRelayWarnings } from "./open_relay.ts";
import { unreachableWarnings } from "./unreachable.ts";
import { type MachineFacts, valueWarnings } from "./values.ts";

export type { MachineFacts, ReadFile };

/** `file:line: warning: …`, most urgent first: who can relay that should not, rules without mail, entries of tables that cannot work. */
export function adviseOn(config: Config, read: ReadFile, machine: MachineFacts): string[] {
  const contents = new Contents(config, read);
  return [
    ...openRelayWarnings(config, contents),
    ...unreachableWarnings(config, contents),
    ...valueWarnings(config, contents, machine),
  ];
}
