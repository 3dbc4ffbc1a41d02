/** Makes the command line that does what a plan says, for `%{mda}` of wrappers. Pure; the programs are mail.maildir and its like. */

import { hostPort } from "../../net/mod.ts";
import type { LocalMethod } from "../../config/mod.ts";
import type { Plan } from "../plan.ts";

const SIMPLE = /^[A-Za-z0-9_@%+=:,./-]+$/;
/** A command whose words the shell takes as they stand, however it is wrapped. */
const SIMPLE_COMMAND = /^[A-Za-z0-9_@%+=:,./ -]+$/;

/** Returns the command line, null for what no program does. `helpers` is the folder of the programs. */
export function helperCommand(helpers: string, plan: Plan, method: LocalMethod): string | null {
  const helper = (name: string, ...args: string[]) => [`${helpers}/${name}`, ...args].map(word).join(" ");
  switch (plan.kind) {
    case "maildir":
      return helper("mail.maildir", ...(plan.junk ? ["-j"] : []), plan.directory);
    case "file":
      return helper("mail.mboxfile", "-f", plan.from, plan.path);
    case "lmtp": {
      const { to } = plan;
      const place = "path" in to ? to.path : hostPort(to);
      return helper("mail.lmtp", "-d", place, method.type === "lmtp" && method.rcptTo ? "-r" : "-u");
    }
    case "command":
      return SIMPLE_COMMAND.test(plan.command) ? plan.command : `/bin/sh -c ${word(plan.command)}`;
    case "mbox":
      // The mailbox is there by then: its folder may be closed to the user.
      return helper("mail.mboxfile", "-f", plan.from, plan.path);
    case "refused":
      return null;
  }
}

/** One word of the shell. */
function word(text: string): string {
  return SIMPLE.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
