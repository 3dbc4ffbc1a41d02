/** One program, many names: `main.ts NAME ARGUMENTS…` runs the tool of that name; a compiled binary goes by the name it was called. */

import { basename } from "node:path";
import type { Environment } from "./config/mod.ts";
import { isDefect, systemReasonAt } from "./events/mod.ts";

type Tool = (args: string[], env: Environment) => Promise<number>;

/** Tools are loaded when called: `mailq` need not read the daemon. */
const TOOLS: Readonly<Record<string, () => Promise<Tool>>> = {
  isolates: async () => (await import("./cli/smtpd/isolates.ts")).isolatesMain,
  smtpd: async () => (await import("./cli/smtpd/smtpd.ts")).smtpdMain,
  smtpctl: async () => (await import("./cli/smtpctl/smtpctl.ts")).smtpctlMain,
  mailq: async () => (await import("./cli/smtpctl/smtpctl.ts")).mailqMain,
  sendmail: async () => (await import("./cli/sendmail/sendmail.ts")).sendmailMain,
  "send-mail": async () => (await import("./cli/sendmail/sendmail.ts")).sendmailMain,
  newaliases: async () => (await import("./cli/maps/newaliases.ts")).newaliasesMain,
  makemap: async () => (await import("./cli/maps/makemap.ts")).makemapMain,
  smtp: async () => (await import("./cli/smtp/smtp.ts")).smtpMain,
  "mail.maildir": async () => (await import("./cli/mail_helpers.ts")).maildirMain,
  "mail.mboxfile": async () => (await import("./cli/mail_helpers.ts")).mboxfileMain,
  "mail.lmtp": async () => (await import("./cli/mail_helpers.ts")).lmtpMain,
};

/** What smtpd starts of itself, whatever the binary is called. */
const OWN = "isolates";
const called = Deno.build.standalone && Deno.args[0] !== OWN ? basename(Deno.execPath()) : "";
const [name, args] = called in TOOLS ? [called, Deno.args] : [Deno.args[0] ?? "", Deno.args.slice(1)];
const load = TOOLS[name];
if (load === undefined) {
  const asked = name === "--help" || name === "-h";
  (asked ? console.log : console.error)(
    `usage: vaultpost ${Object.keys(TOOLS).filter((tool) => tool !== OWN).join("|")} [arguments]`,
  );
  Deno.exit(asked ? 0 : 1);
}
const tool = await load().catch((error: Error) => {
  // A file of the program is missing or damaged, as in the middle of an update. Nothing has been read or done: 75 (EX_TEMPFAIL) is "try again".
  console.error(`${name}: the program cannot be loaded: ${error.message.split("\n", 1)[0]}`);
  Deno.exit(name === "sendmail" || name === "send-mail" ? 75 : 1);
});
try {
  Deno.exit(await tool([...args], Deno.env));
} catch (error) {
  const { OutputClosed } = await import("./cli/terminal.ts");
  // As in `smtpctl --help | head -n 1`.
  if (error instanceof OutputClosed) Deno.exit(0);
  if (isDefect(error)) throw error;
  console.error(`${name}: ${systemReasonAt(error)}`);
  Deno.exit(1);
}
