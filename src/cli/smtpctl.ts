/** smtpctl(8) and mailq(8): asks the running daemon over its control socket, and prints what it says. */

import { controlSocketPath, DEFAULTS, type Environment, spoolPath } from "../config/mod.ts";
import { askControl, type ControlAnswer, formatListing, NotRunning } from "../control/mod.ts";
import { systemReasonAt, TRACES } from "../events/mod.ts";
import { encryptMain } from "./encrypt.ts";
import { MonitorPrinter } from "./monitor.ts";
import { type Asked, COMMANDS } from "./smtpctl-commands.ts";
import { OutputClosed, processTerminal, type Terminal } from "./terminal.ts";
import { resolveCommand } from "./words.ts";

/** A command line that means nothing exits with this status. */
const EX_INVALID = 255;
/** Output is written in pieces of about this many characters. */
const OUTPUT_PIECE = 65_536;

/** Runs smtpctl(8) and returns its exit status. */
export async function smtpctlMain(
  args: string[],
  env: Environment,
  terminal: Terminal = processTerminal(),
): Promise<number> {
  if (args.length === 0) {
    const commands = COMMANDS.map(({ pattern }) => `  ${pattern}\n`);
    terminal.err(
      `usage: smtpctl command [argument ...]\nThe commands, whose words may be cut short:\n${commands.join("")}`,
    );
    return 1;
  }
  const resolved = resolveCommand(COMMANDS, args);
  if (!resolved.ok) {
    const { possibilities } = resolved;
    if (possibilities.length === 0) terminal.err(`invalid command "${args[0]}": smtpctl alone lists them\n`);
    else terminal.err(`possibilities are:\n${possibilities.map((one) => `  ${one}\n`).join("")}`);
    return EX_INVALID;
  }
  try {
    return await run(resolved.value, env, terminal);
  } catch (error) {
    if (error instanceof OutputClosed) return 0;
    return complain(terminal, reasonOf(error));
  }
}

async function run(asked: Asked, env: Environment, terminal: Terminal): Promise<number> {
  if ("encrypt" in asked) return await encryptMain(asked.encrypt, terminal);
  if ("transfer" in asked) return await transfer(asked, env, terminal);
  const { request } = asked;
  if ((request.do === "trace" || request.do === "untrace") && ![...TRACES, "all"].includes(request.what)) {
    return complain(terminal, `invalid trace keyword: ${request.what}, known are: all ${TRACES.join(" ")}`);
  }
  const answers = askControl(controlSocketPath(env), request);
  try {
    return await print(asked, answers, terminal);
  } catch (error) {
    if (!(error instanceof NotRunning) || request.do !== "show-queue") throw error;
    return await listOffline(spoolPath(env), request.message, terminal);
  }
}

async function transfer(
  { transfer: what, folder, key }: Extract<Asked, { transfer: unknown }>,
  env: Environment,
  terminal: Terminal,
): Promise<number> {
  const socket = controlSocketPath(env), spool = spoolPath(env);
  if (what === "export") return await (await import("./export.ts")).exportQueue(socket, folder, terminal);
  const { exportedMessages, readKey, spooledMessages } = await import("./foreign-queue.ts");
  const messages = what === "import"
    ? exportedMessages(folder)
    : spooledMessages(folder, key === null ? null : readKey(key));
  if (what === "import" && messages.length === 0 && !Deno.readDirSync(folder)[Symbol.iterator]().next().done) {
    return complain(terminal, `${folder} holds nothing that export wrote: messages are files with the ending .eml`);
  }
  return await (await import("./import.ts")).importMessages(messages, { socket, spool }, terminal);
}

async function print(
  asked: Extract<Asked, { request: unknown }>,
  answers: AsyncIterable<ControlAnswer>,
  terminal: Terminal,
): Promise<number> {
  const monitor = new MonitorPrinter();
  let printed = 0;
  let waiting = "";
  const flush = () => {
    if (waiting !== "") terminal.out(waiting);
    waiting = "";
  };
  for await (const answer of answers) {
    if ("line" in answer) {
      waiting += answer.line + "\n";
      printed++;
      if (waiting.length > OUTPUT_PIECE) flush();
    } else if ("bytes" in answer) terminal.outBytes(Uint8Array.fromBase64(answer.bytes));
    else if ("sample" in answer) terminal.out(monitor.next(answer.sample));
    else if ("ok" in answer) {
      flush();
      return conclude(asked, answer, terminal);
    }
  }
  throw new Error(`The daemon broke off after ${printed} lines`);
}

/** The last words: what was done, or why not. */
function conclude(
  asked: Extract<Asked, { request: unknown }>,
  answer: Extract<ControlAnswer, { ok: boolean }>,
  terminal: Terminal,
): number {
  if (!answer.ok) {
    if (answer.denied || asked.shows) return complain(terminal, answer.error);
    terminal.out(answer.error === "" ? "command failed\n" : `command failed: ${answer.error}\n`);
    return 1;
  }
  if (answer.count !== undefined) {
    // `discover` has always counted "0 envelopes", the others "0 envelope".
    const plural = answer.count > 1 || (answer.count === 0 && asked.done === "discovered");
    terminal.out(`${answer.count} envelope${plural ? "s" : ""} ${asked.done ?? "changed"}\n`);
  } else if (!asked.shows) terminal.out("command succeeded\n");
  return 0;
}

/** `show queue` while the daemon is down: reads the spool. Actions and their time to live are not known here: the default is shown. */
async function listOffline(spool: string, message: string | null, terminal: Terminal): Promise<number> {
  const { listOffline } = await import("../queue/mod.ts");
  try {
    for (const envelope of listOffline(spool, DEFAULTS.queue.ttlSeconds)) {
      if (message !== null && !envelope.id.startsWith(message)) continue;
      if ("unreadable" in envelope) {
        terminal.err(`smtpctl: envelope ${envelope.id}: ${envelope.unreadable}\n`);
        continue;
      }
      terminal.out(formatListing(envelope, null, Date.now()) + "\n");
    }
    return 0;
  } catch (error) {
    if (error instanceof OutputClosed) throw error;
    return complain(terminal, `smtpd doesn't seem to be running, and ${spool} cannot be read: ${reasonOf(error)}`);
  }
}

function complain(terminal: Terminal, text: string): number {
  terminal.err(`smtpctl: ${text}\n`);
  return 1;
}

function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  // The socket, or the folder it is in, is closed to us.
  if (code === "EACCES" || code === "EPERM") return "need root privileges";
  return systemReasonAt(error);
}
