/** Which deliveries of one message end in the same mailbox, so that one copy is enough. Pure; smtp goes by it when the recipients are known. */

import type { LocalAction } from "../config/mod.ts";
import type { OncePer } from "../envelope/mod.ts";

/** A format specifier whose value follows the address that was named, see smtpd.conf(5). */
const BY_ADDRESS = /%\{(?:rcpt|dest)\b/i;

/**
 * What distinguishes a delivery from others of the same action, user and `exec` (as in Deliverable). Null: nothing does. A command gets the address and
 * may use it: mailing lists and catch-alls do.
 */
export function oncePer({ method, wrapper }: LocalAction, exec: string): OncePer | null {
  if (BY_ADDRESS.test(exec !== "" ? exec : templateOf(method)) || BY_ADDRESS.test(wrapper ?? "")) return "spelling";
  if (exec !== "") return exec.startsWith(">") ? null : "address";
  switch (method.type) {
    case "maildir":
      return "sub-address";
    case "lmtp":
      return method.rcptTo ? "address" : null;
    case "mda":
      return "address";
    case "mbox":
    case "forward-only":
    case "expand-only":
      return null;
  }
}

function templateOf(method: LocalAction["method"]): string {
  switch (method.type) {
    case "maildir":
      return method.path ?? "";
    case "lmtp":
      return method.destination;
    case "mda":
      return method.command;
    case "mbox":
    case "forward-only":
    case "expand-only":
      return "";
  }
}
