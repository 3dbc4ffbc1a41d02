/** sendmail(8): takes a message from standard input and submits it to the daemon as its user, or keeps it until the daemon runs. */

import type { Environment } from "../../config/mod.ts";
import { controlSocketPath, MAILNAME, spoolPath, submissionSocketPath } from "../../config/paths.ts";
import { systemReason, systemReasonAt } from "../../events/mod.ts";
import { AddressListError } from "./addresses.ts";
import { composeMessage, headerRecipients, headerSender, normalizeLines, parseDraft, withoutBcc } from "./compose.ts";
import { formatFrom, fullNameOf, type Person, qualify, qualifyAll, whoIs } from "./identity.ts";
import { readSendmailOptions, type SendmailCommand } from "./options.ts";
import { type Submission, submit, type Submitted, verify } from "./submission.ts";
import { InputTooLarge, processTerminal, type Terminal } from "../terminal.ts";
import { printInfo, usageOf } from "../usage.ts";
import { sleep } from "../../clock.ts";
import { formatDate } from "../../date.ts";

/** Exit statuses of sysexits(3). */
const EX_USAGE = 64, EX_DATAERR = 65, EX_NOUSER = 67, EX_UNAVAILABLE = 69, EX_SOFTWARE = 70, EX_TEMPFAIL = 75;
/** Largest message, in octets: it is held in memory. The server's own limit is far below. */
const MAX_INPUT_OCTETS = 256 * 1024 * 1024;
/** How long to wait before the next try when the connection was lost, in ms: an isolate that has ended is restarted after 100 ms or more. */
const TRY_AGAIN_MS = [200, 400, 800, 1600];
/** Longest address, in characters, as upstream's. */
const MAX_ADDRESS = 1000;

/** What sendmail needs to know of the machine. */
export interface SendmailWorld {
  readonly env: Environment;
  readonly terminal: Terminal;
  readonly uid: number;
  /** Text of passwd(5). */
  readonly passwd: string;
  readonly mailname: string;
  readonly now: () => Date;
  readonly wait: (ms: number) => Promise<void>;
}

/** Runs sendmail(8) and returns its exit status. */
export async function sendmailMain(args: string[], env: Environment): Promise<number> {
  return await runSendmail(args, {
    env,
    terminal: processTerminal(),
    uid: Deno.uid() ?? 0,
    ...localNames(),
    now: () => new Date(),
    wait: sleep,
  });
}

/** The machine's accounts and the domain of addresses that have none. */
export function localNames(): { passwd: string; mailname: string } {
  return {
    passwd: readText("/etc/passwd"),
    mailname: readText(MAILNAME).split("\n", 1)[0]!.trim() || Deno.hostname(),
  };
}

/** The same in a given world. */
export async function runSendmail(args: readonly string[], world: SendmailWorld): Promise<number> {
  const { terminal, env } = world;
  const command = readSendmailOptions(args);
  switch (command.kind) {
    case "newaliases": {
      const { newaliasesMain } = await import(
        import.meta.resolve("../maps/newaliases.ts")
      ) as typeof import("../maps/newaliases.ts");
      return await newaliasesMain([], env, terminal);
    }
    case "mailq": {
      const { smtpctlMain } = await import(
        import.meta.resolve("../smtpctl/smtpctl.ts")
      ) as typeof import("../smtpctl/smtpctl.ts");
      return await smtpctlMain(["show", "queue"], env);
    }
    case "session": {
      const { carrySession } = await import(
        import.meta.resolve("./stdio_session.ts")
      ) as typeof import("./stdio_session.ts");
      return await carrySession(submissionSocketPath(controlSocketPath(env)), terminal);
    }
    case "queue-run":
      return complain(
        terminal,
        "there is no queue run: the daemon does it by itself, and smtpctl schedule all makes everything due",
        EX_SOFTWARE,
      );
    case "info":
      return printInfo("sendmail", command.info, terminal);
    case "usage":
      return complain(terminal, `${command.text}\n${usageOf("sendmail").trimEnd()}`, EX_USAGE);
    case "send":
    case "verify":
      return await send(command, world);
  }
}

async function send(
  { kind, options }: Extract<SendmailCommand, { options: unknown }>,
  world: SendmailWorld,
): Promise<number> {
  const { terminal } = world;
  const login = options.realUser ? undefined : world.env.get("LOGNAME") ?? world.env.get("USER");
  const person = whoIs(world.passwd, world.uid, login);
  let input: Uint8Array = new Uint8Array();
  try {
    // There is no message to verify: only -t needs its header.
    if (kind === "send" || options.fromHeader) input = await terminal.input(MAX_INPUT_OCTETS);
  } catch (error) {
    if (error instanceof InputTooLarge) return complain(terminal, error.message, EX_DATAERR);
    throw error;
  }
  const draft = parseDraft(normalizeLines(input));
  let recipients: string[], named: string;
  try {
    recipients = qualifyAll(
      [...options.recipients, ...options.fromHeader ? headerRecipients(draft) : []],
      world.mailname,
    );
    named = options.sender ?? headerSender(draft) ?? person.name;
  } catch (error) {
    if (error instanceof AddressListError) {
      return complain(terminal, `malformed address list: ${error.message}`, EX_DATAERR);
    }
    throw error;
  }
  if (recipients.length === 0) return complain(terminal, "no recipients", EX_SOFTWARE);
  const sender = named === "" ? "" : qualify(named, world.mailname);
  const bad = [sender, ...recipients].find(isMalformed);
  if (bad !== undefined) return complain(terminal, `malformed address: ${JSON.stringify(bad)}`, EX_SOFTWARE);
  if (kind === "verify") return await verifyAll({ sender, recipients }, options, world);
  const name = options.fullName ?? (options.sender === null ? fullNameOf(person) : "");
  const from = formatFrom(name, sender || qualify(person.name, world.mailname));
  const message = composeMessage(draft, { from, date: formatDate(world.now()) });
  const keep = async () => {
    // While the daemon runs it is not needed.
    const { offlineArguments, saveOffline } = await import(
      import.meta.resolve("./offline.ts")
    ) as typeof import("./offline.ts");
    const args = offlineArguments(options, recipients), message = withoutBcc(draft);
    return { args, save: (spool: string, words: readonly string[]) => saveOffline(spool, words, message) };
  };
  return await handOver({ ...options, sender, recipients, message }, person, keep, world);
}

/** `-bv`: prints a line for each recipient. 67 (EX_NOUSER) when one is refused, 75 when there is no answer for one now. */
async function verifyAll(
  mail: Pick<Submission, "sender" | "recipients">,
  { verbose }: { readonly verbose: boolean },
  { terminal, env }: SendmailWorld,
): Promise<number> {
  let status = 0;
  const show = verbose ? (line: string) => terminal.out(`${line}\n`) : () => {};
  const verified = await verify(
    submissionSocketPath(controlSocketPath(env)),
    mail,
    show,
    ({ recipient, code, text }) => {
      const word = code < 300 ? "deliverable" : code < 500 ? "deferred" : "undeliverable";
      if (word === "undeliverable") status = EX_NOUSER;
      else if (word === "deferred" && status === 0) status = EX_TEMPFAIL;
      terminal.out(`${recipient}... ${word}: ${text}\n`);
    },
  ).catch((error: Error) => ({ result: "unavailable", text: error.message }) as const);
  if (verified.result === "accepted") return status;
  if (verified.result === "not-running") return complain(terminal, "smtpd doesn't seem to be running", EX_TEMPFAIL);
  if (verified.result === "deferred") {
    return complain(terminal, `command failed for now: ${verified.text}`, EX_TEMPFAIL);
  }
  if (verified.result === "refused") return complain(terminal, `command failed: ${verified.text}`, EX_SOFTWARE);
  return complain(terminal, `smtpd takes no mail: ${verified.text}`, EX_TEMPFAIL);
}

/** A line of the dialogue holds one address: no control characters, which could start another command. */
function isMalformed(address: string): boolean {
  return address.length > MAX_ADDRESS || /[\p{Cc}]/u.test(address);
}

async function handOver(
  mail: Submission & { readonly verbose: boolean },
  person: Person,
  keep: () => Promise<
    { readonly args: string[] | null; save(spool: string, args: readonly string[]): Promise<void> }
  >,
  world: SendmailWorld,
): Promise<number> {
  const { terminal, env } = world;
  const socket = submissionSocketPath(controlSocketPath(env));
  const show = mail.verbose ? (line: string) => terminal.out(`${line}\n`) : () => {};
  let submitted: Submitted = { result: "not-running" };
  let rest = mail.recipients;
  for (const ms of [0, ...TRY_AGAIN_MS]) {
    if (ms > 0) await world.wait(ms);
    submitted = await submit(socket, { ...mail, recipients: rest }, show)
      .catch((error: Error) => ({ result: "unavailable", text: error.message }) as const);
    if (submitted.result !== "lost") break;
    rest = submitted.rest ?? rest;
  }
  if (submitted.result === "accepted") return 0;
  if (submitted.result === "not-running") {
    const { args, save } = await keep();
    try {
      if (args === null) throw new Error("an argument contains a bar, which the offline folder cannot keep");
      await save(spoolPath(env), args);
      const kept = "smtpd doesn't seem to be running: the message is kept, and submitted when it starts";
      return complain(terminal, kept, EX_TEMPFAIL);
    } catch (error) {
      const status = args === null ? EX_SOFTWARE : EX_UNAVAILABLE;
      const reason = error instanceof Deno.errors.NotFound
        ? `${spoolPath(env)} has no folder for it before the first start of smtpd`
        : systemReasonAt(error);
      complain(terminal, `smtpd doesn't seem to be running, and the message cannot be kept: ${reason}`, status);
      saveDeadLetter(mail.message, person, world);
      return status;
    }
  }
  // Not 75 (EX_TEMPFAIL), which says that the message is kept and needs no other try.
  const [reason, status] = submitted.result === "refused"
    ? [`command failed: ${submitted.text}`, EX_SOFTWARE]
    : submitted.result === "deferred"
    ? [`command failed for now, try again later: ${submitted.text}`, EX_UNAVAILABLE]
    : [`smtpd takes no mail: ${submitted.text}`, EX_UNAVAILABLE];
  complain(terminal, reason, status);
  saveDeadLetter(mail.message, person, world);
  return status;
}

/** Adds the message to `dead.letter` in the home folder, and says so: nothing that a user wrote is lost. */
function saveDeadLetter(message: Uint8Array, person: Person, { env, terminal }: SendmailWorld): void {
  const home = env.get("HOME") || person.home;
  try {
    const file = Deno.openSync(`${home}/dead.letter`, { append: true, create: true, mode: 0o600 });
    try {
      for (const part of [Uint8Array.of(10), message, Uint8Array.of(10)]) {
        for (let left = part; left.length > 0;) left = left.subarray(file.writeSync(left));
      }
    } finally {
      file.close();
    }
    complain(terminal, `the message was added to ${home}/dead.letter`, 1);
  } catch (error) {
    complain(terminal, `cannot save ${home}/dead.letter: ${systemReason(error)}`, 1);
  }
}

function complain(terminal: Terminal, text: string, status: number): number {
  terminal.err(`sendmail: ${text}\n`);
  return status;
}

function readText(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}
