/**
 * mail.maildir, mail.mboxfile and mail.lmtp: the daemon's own ways of delivery as programs, for wrappers. They read a message, act as whoever
 * runs them, and end with an exit status of sysexits(3); what went wrong is the last line that they write.
 */

import { hostname } from "node:os";
import type { Environment } from "../config/mod.ts";
import {
  actAsSelf,
  type Delivered,
  deliverLmtp,
  DeliveryError,
  EX,
  EX_FATAL,
  folderName,
  HeaderScan,
  MaildirWriter,
  MboxWriter,
  parseLmtpDestination,
} from "../delivery/mod.ts";
import { type Mailbox, newEnvelopeId, newMessageId, random32 } from "../envelope/mod.ts";
import { TIMEOUTS } from "../smtp_client/mod.ts";
import { getopt, type Options } from "./getopt.ts";
import { processTerminal, type Terminal } from "./terminal.ts";
import { lettersOf, printInfo, type Tool, usageOf } from "./usage.ts";
import { systemClock } from "../clock.ts";

/** Largest message, in octets: it is held in memory. */
const MAX_BYTES = 1 << 30;
const NO_TRACE = new Uint8Array();
const NOBODY: Mailbox = { local: "", domain: "" };
/** These programs act as whoever runs them, and the writers need the account. */
const SELF = () => ({ uid: Deno.uid() ?? 0, gid: Deno.gid() ?? 0 });

/** All of standard input, in the form that the writers take. */
async function readMessage(terminal: Terminal): Promise<Delivered> {
  const first = await terminal.input(MAX_BYTES);
  const chunk = () => Promise.reject(new Error("There is one chunk only"));
  return { trace: NO_TRACE, body: { bytes: first.length, chunks: 1, first, chunk } };
}

/** Runs `work`; its failure is an exit status and a line. */
async function ending(terminal: Terminal, name: Tool, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    terminal.err(`${name}: ${error instanceof Error ? error.message : error}\n`);
    return error instanceof DeliveryError ? error.code : EX.TEMPFAIL;
  }
}

/** The usage, and as the last line what is wrong, if that is known: it stands in the log of who called. */
function usage(terminal: Terminal, name: Tool, text = ""): number {
  terminal.err(usageOf(name));
  if (text !== "") terminal.err(`${name}: ${text}\n`);
  return EX_FATAL;
}

/** Help, the version, or what is wrong with the options. */
function answerOptions(options: Extract<Options, { ok: false }>, name: Tool, terminal: Terminal): number {
  return options.info === null ? usage(terminal, name, options.text) : printInfo(name, options.info, terminal);
}

/** `mail.maildir [-j] [dir]`. */
export function maildirMain(args: string[], env: Environment, terminal = processTerminal()): Promise<number> {
  return ending(terminal, "mail.maildir", async () => {
    const options = getopt(args, lettersOf("mail.maildir"));
    if (!options.ok) return answerOptions(options, "mail.maildir", terminal);
    if (options.operands.length > 1) return usage(terminal, "mail.maildir");
    if (Deno.uid() === 0) throw new DeliveryError(EX_FATAL, "Not for root");
    const directory = (options.operands[0] ?? `${env.get("HOME")}/Maildir`).replace(/(?!^)\/+$/, "");
    if (!directory.startsWith("/")) throw new DeliveryError(EX_FATAL, `${directory}: Not an absolute path`);
    const message = await readMessage(terminal);
    const scan = new HeaderScan(NOBODY);
    scan.feed(message.body.first);
    await new MaildirWriter({ actAs: actAsSelf, hostname: hostname() }).deliver(SELF(), {
      directory,
      junk: options.given.has("j"),
      extension: folderName(env.get("EXTENSION") ?? ""),
      spam: scan.junk,
      envelope: { id: newEnvelopeId(newMessageId()), createdAt: Date.now() },
    }, message);
    return 0;
  });
}

/** `mail.mboxfile [-f from] file`. */
export function mboxfileMain(args: string[], _env: Environment, terminal = processTerminal()): Promise<number> {
  return ending(terminal, "mail.mboxfile", async () => {
    const options = getopt(args, lettersOf("mail.mboxfile"));
    if (!options.ok) return answerOptions(options, "mail.mboxfile", terminal);
    const [path] = options.operands;
    if (path === undefined || options.operands.length > 1) return usage(terminal, "mail.mboxfile");
    if (Deno.uid() === 0) throw new DeliveryError(EX_FATAL, "Not for root");
    const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
    const writer = new MboxWriter({ actAs: actAsSelf, root: false, clock: systemClock, timeZone, random: random32 });
    const from = options.given.get("f") || "MAILER-DAEMON";
    await writer.deliver(SELF(), { kind: "file", path, from }, await readMessage(terminal));
    return 0;
  });
}

/** `mail.lmtp -d dest [-f from] [-l lhlo] -r | -u | rcpt ...`. */
export function lmtpMain(args: string[], env: Environment, terminal = processTerminal()): Promise<number> {
  return ending(terminal, "mail.lmtp", async () => {
    const options = getopt(args, lettersOf("mail.lmtp"));
    if (!options.ok) return answerOptions(options, "mail.lmtp", terminal);
    const { given, operands } = options;
    const recipients = given.has("r") ? [env.get("RECIPIENT")] : given.has("u") ? [env.get("USER")] : operands;
    if (!given.has("d") || recipients.length === 0) return usage(terminal, "mail.lmtp");
    const to = parseLmtpDestination(given.get("d")!);
    if (to === null) throw new DeliveryError(EX_FATAL, `${given.get("d")}: Not a host:port or a socket`);
    const from = given.get("f") ?? env.get("SENDER");
    if (from === undefined) throw new DeliveryError(EX.TEMPFAIL, "SENDER is not set");
    const at = from.lastIndexOf("@");
    const sender = from === "" ? null : { local: from.slice(0, at), domain: from.slice(at + 1) };
    const message = await readMessage(terminal);
    for (const recipient of recipients) {
      if (recipient === undefined) throw new DeliveryError(EX.TEMPFAIL, "The recipient is not set");
      const target = { to, recipient, lhlo: given.get("l") ?? null };
      const { outcome } = await deliverLmtp(target, { sender }, message, TIMEOUTS);
      if (outcome.result === "ok") continue;
      terminal.err(`${outcome.text}\n`);
      return outcome.result === "tempfail" ? EX.TEMPFAIL : EX.UNAVAILABLE;
    }
    return 0;
  });
}
