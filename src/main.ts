/** One program, many names: `main.ts NAME ARGUMENTS…` runs the tool of that name; a compiled binary goes by the name it was called. */

import type { Environment } from "./config/mod.ts";

type Tool = (args: string[], env: Environment) => Promise<number>;

/**
 * The file of each tool and its function there. Loaded when called: `mailq` need not read the daemon. No name stands in `import("…")` itself, for the runtime
 * would look through all of these files, and all that they import, before each tool; nor is anything imported here.
 */
const TOOLS: Readonly<Record<string, readonly [file: string, main: string]>> = {
  isolates: ["./cli/smtpd/isolates.ts", "isolatesMain"],
  smtpd: ["./cli/smtpd/smtpd.ts", "smtpdMain"],
  smtpctl: ["./cli/smtpctl/smtpctl.ts", "smtpctlMain"],
  mailq: ["./cli/smtpctl/smtpctl.ts", "mailqMain"],
  sendmail: ["./cli/sendmail/sendmail.ts", "sendmailMain"],
  "send-mail": ["./cli/sendmail/sendmail.ts", "sendmailMain"],
  newaliases: ["./cli/maps/newaliases.ts", "newaliasesMain"],
  makemap: ["./cli/maps/makemap.ts", "makemapMain"],
  smtp: ["./cli/smtp/smtp.ts", "smtpMain"],
  "mail.maildir": ["./cli/mail_helpers.ts", "maildirMain"],
  "mail.mboxfile": ["./cli/mail_helpers.ts", "mboxfileMain"],
  "mail.lmtp": ["./cli/mail_helpers.ts", "lmtpMain"],
};

/** Loads the tool. Rejects when a file of it is missing or damaged. */
async function load([file, main]: readonly [file: string, main: string]): Promise<Tool> {
  const module = await import(import.meta.resolve(file)) as Readonly<Record<string, Tool>>;
  return module[main]!;
}

/** What smtpd starts of itself, whatever the binary is called: `isolates`, and `--as NAME`. */
const OWN = "isolates", AS = "--as";
/** The name that a compiled binary was called by, through links; nothing else needs the runtime's `process`, which takes its time. */
const calledAs = globalThis as unknown as { readonly process: { readonly argv0: string } };
const called = Deno.build.standalone && Deno.args[0] !== OWN ? calledAs.process.argv0.replace(/^.*\//, "") : "";
const named = Deno.build.standalone && Deno.args[0] === AS ? Deno.args.slice(1) : Deno.args;
const [name, args] = called in TOOLS && named === Deno.args ? [called, Deno.args] : [named[0] ?? "", named.slice(1)];
const place = TOOLS[name];
if (place === undefined) {
  if (name === "--version") {
    const { PRODUCT, VERSION } = await import(import.meta.resolve("./config/paths.ts"));
    console.log(`vaultpost (${PRODUCT}) ${VERSION}`);
    Deno.exit(0);
  }
  const asked = name === "--help" || name === "-h";
  (asked ? console.log : console.error)(
    `usage: vaultpost ${Object.keys(TOOLS).filter((tool) => tool !== OWN).join("|")} [arguments]`,
  );
  Deno.exit(asked ? 0 : 1);
}
const tool = await load(place).catch((error: Error) => {
  // A file of the program is missing or damaged, as in the middle of an update. Nothing has been read or done: 75 (EX_TEMPFAIL) is "try again".
  console.error(`${name}: the program cannot be loaded: ${error.message.split("\n", 1)[0]}`);
  Deno.exit(name === "sendmail" || name === "send-mail" ? 75 : 1);
});
try {
  Deno.exit(await tool([...args], Deno.env));
} catch (error) {
  const { OutputClosed } = await import(import.meta.resolve("./cli/terminal.ts")) as typeof import("./cli/terminal.ts");
  // As in `smtpctl --help | head -n 1`.
  if (error instanceof OutputClosed) Deno.exit(0);
  const { isDefect, systemReasonAt } = await import(
    import.meta.resolve("./events/mod.ts")
  ) as typeof import("./events/mod.ts");
  if (isDefect(error)) throw error;
  console.error(`${name}: ${systemReasonAt(error)}`);
  Deno.exit(1);
}
