/** smtpctl(8) and mailq(8): sends a request to the running daemon over its control socket, and prints the answer. */

import type { Environment } from "../../config/mod.ts";
import { DEFAULTS } from "../../config/defaults.ts";
import { controlSocketPath, spoolPath } from "../../config/paths.ts";
import { suggestion } from "../../config/words.ts";
import { askControl, type ControlAnswer, formatListing, NotRunning, queueRecord } from "../../control/mod.ts";
import { safeJson, safeLine, systemReasonAt, TRACES } from "../../events/mod.ts";
import { getopt, guessInfo, type InfoOption } from "../getopt.ts";
import { JSON_FORMS, jsonWords } from "./json_fields.ts";
import { MessageDocument } from "./message_document.ts";
import { MonitorPrinter } from "./monitor.ts";
import { late } from "./late.ts";
import { COMMANDS, type ParsedCommand } from "./commands.ts";
import { OutputClosed, processTerminal, type Terminal } from "../terminal.ts";
import { helpOf, lettersOf, printInfo, table, usageOf } from "../usage.ts";
import { optionCommand, readOptionCommand } from "./command_options.ts";
import { commandsWith, describeCommands, resolveCommand } from "./words.ts";

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
  const own = optionCommand(COMMANDS, args);
  if (own !== null) {
    const read = readOptionCommand(own, terminal);
    return typeof read === "number" ? read : await runSafely(read.value, env, terminal, "text");
  }
  const line = readLine(args);
  if ("wrong" in line) return invalid(terminal, `${line.wrong}\n`);
  if (line.info === "version") return printInfo("smtpctl", "version", terminal);
  if (line.info === "help") return help(line.words, terminal);
  if (line.words.length === 0) {
    const commands = COMMANDS.map(({ pattern }) => `  ${pattern}\n`).join("");
    terminal.err(
      `${usageOf("smtpctl")}The commands, whose words may be cut short (--help tells what they do):\n${commands}`,
    );
    return 1;
  }
  const resolved = resolveCommand(COMMANDS, line.words, line.literal);
  if (!resolved.ok) return unknown(line.words, resolved, terminal);
  if (line.json && !hasJson(resolved.value)) {
    const words = Object.keys(JSON_FORMS).join(", ");
    return invalid(terminal, `${safeLine(line.words.join(" "))} has no --json: these have it: ${words}\n`);
  }
  return await runSafely(resolved.value, env, terminal, line.json ? "json" : "text");
}

/** Runs a command; what goes wrong is a line on standard error. */
async function runSafely(command: ParsedCommand, env: Environment, terminal: Terminal, format: Format) {
  try {
    return await run(command, env, terminal, format);
  } catch (error) {
    if (error instanceof OutputClosed) return 0;
    return complain(terminal, reasonOf(error));
  }
}

/** How the answer is printed. */
type Format = "text" | "json";

function hasJson(command: ParsedCommand): boolean {
  return "dmarcRead" in command || ("request" in command && Object.hasOwn(JSON_FORMS, jsonWords(command.request)));
}

/** Runs mailq(8), which is `smtpctl show queue`, and returns its exit status. */
export async function mailqMain(args: string[], env: Environment, terminal = processTerminal()): Promise<number> {
  const options = getopt(args, lettersOf("mailq"));
  if (options.ok) {
    const words = ["show", "queue", ...options.operands];
    const resolved = resolveCommand(COMMANDS, words, 2);
    if (resolved.ok) return await smtpctlMain(["show", "queue", "--", ...options.operands], env, terminal);
    const why = guessInfo(options.operands[0]!) ?? (resolved.fault === undefined ? "" : `: ${resolved.fault}`);
    terminal.err(`mailq: invalid message id${safeLine(why)}\n${usageOf("mailq")}`);
    return EX_INVALID;
  }
  if (options.info !== null) return printInfo("mailq", options.info, terminal);
  terminal.err(`mailq: ${options.text}\n${usageOf("mailq")}`);
  return 1;
}

/** The words of a command line. Options may stand among them, up to `--`. */
interface Line {
  readonly words: string[];
  /** Words from this place on stood behind `--`. */
  readonly literal: number;
  readonly info: InfoOption | null;
  /** `--json` stood among them. */
  readonly json: boolean;
}

function readLine(args: readonly string[]): Line | { readonly wrong: string } {
  const end = args.indexOf("--");
  const before = end < 0 ? args : args.slice(0, end);
  const words: string[] = [];
  let info: Line["info"] = null, json = false;
  for (const arg of before) {
    if (arg === "--help" || arg === "-h") info ??= "help";
    else if (arg === "--version") info ??= "version";
    else if (arg === "--json") json = true;
    // An option stands behind the first word, wherever it was written.
    else if (OPTIONS.has(arg)) words.splice(1, 0, arg);
    else if (!arg.startsWith("-") || arg === "-") words.push(arg);
    else if (info === null) {
      const guess = /^-v$/i.test(arg)
        ? ', did you mean "--version"?'
        : suggestion(arg, ["--help", "--version", "--json", ...OPTIONS]);
      return {
        wrong: `unknown option ${arg}${guess}${
          guess === "" ? ":" : ""
        } a word that begins with "-" and is no option stands behind --`,
      };
    }
  }
  return { words: end < 0 ? words : [...words, ...args.slice(end + 1)], literal: words.length, info, json };
}

/** Words of commands that are options. */
const OPTIONS: ReadonlySet<string> = new Set(
  COMMANDS.flatMap(({ pattern }) => pattern.split(" ").filter((word) => word.startsWith("-"))),
);

/** Help for the commands that begin with these words: all of them, for none. */
function help(words: readonly string[], terminal: Terminal): number {
  if (words.length === 0) {
    terminal.out(
      helpOf(
        "smtpctl",
        `\nThe commands, whose words may be cut short:\n${table(describeCommands(COMMANDS))}\n` +
          "All of show, and monitor, dkim check and dmarc read, print JSON with --json.\n",
      ),
    );
    return 0;
  }
  const found = commandsWith(COMMANDS, words);
  if (!found.ok) return unknown(words, found, terminal);
  const rows = describeCommands(found.value);
  terminal.out(
    rows.map(([term, about]) => `usage: smtpctl ${term}${hasForm(term) ? " [--json]" : ""}\n${about}\n`).join("\n"),
  );
  return 0;
}

/** Has the command with these words a form in JSON? */
function hasForm(term: string): boolean {
  return Object.keys(JSON_FORMS).some((words) => term === words || term.startsWith(`${words} `));
}

function unknown(
  [word]: readonly string[],
  { possibilities, guess, fault }: {
    readonly possibilities: readonly string[];
    readonly guess: string;
    readonly fault?: string;
  },
  terminal: Terminal,
): number {
  if (possibilities.length === 0) {
    guess = guessInfo(word!) ?? meantBy(word!) ?? guess;
    return invalid(terminal, `invalid command "${word}"${guess === "" ? ":" : guess} smtpctl alone lists them\n`);
  }
  const list = possibilities.map((one) => `  ${one}\n`).join("");
  const why = fault === undefined ? "" : `${safeLine(fault)}\n`;
  return invalid(terminal, `${why}possibilities are:\n${list}`);
}

/** What people ask for under names that are none of ours. */
const OTHER_WORDS: Readonly<Record<string, string>> = {
  refresh: ', did you mean "reload"?',
  restart: ": reload reads a changed smtpd.conf; stop ends the daemon, and smtpd starts it;",
  start: ": smtpd itself starts the daemon;",
  shutdown: ', did you mean "stop"?',
  quit: ', did you mean "stop"?',
  kill: ', did you mean "stop"?',
  flush: ', did you mean "schedule all"?',
  delete: ', did you mean "remove"?',
  mailq: ', did you mean "show queue"?',
};

/** A hint for a first word that is none: another program's word for the same, or the second word of commands here. */
function meantBy(word: string): string | undefined {
  if (Object.hasOwn(OTHER_WORDS, word)) return OTHER_WORDS[word];
  const starts = COMMANDS.map(({ pattern }) => pattern.split(" ").slice(0, 2)).filter(([, second]) => second === word);
  const whole = [...new Set(starts.map((words) => `"${words.join(" ")}"`))];
  return whole.length === 0 ? undefined : `, did you mean ${whole.join(" or ")}?`;
}

function invalid(terminal: Terminal, text: string): number {
  terminal.err(text);
  return EX_INVALID;
}

async function run(
  command: ParsedCommand,
  env: Environment,
  terminal: Terminal,
  format: Format = "text",
): Promise<number> {
  if ("encrypt" in command) return await (await late.encrypt()).encryptMain(command.encrypt, terminal);
  if ("dkimGenerate" in command) {
    return await (await late.dkim()).generateMain(command.dkimGenerate, env, terminal);
  }
  if ("dmarcRead" in command) {
    return await (await late.dmarc()).readDmarcReports(command.dmarcRead, format, terminal);
  }
  if ("backup" in command) return await (await late.backup()).backup(command.backup, env, terminal);
  if ("restore" in command) {
    return await (await late.restore()).restore(command.restore, command, env, terminal);
  }
  if ("find" in command) return await (await late.history()).findMain(command.find, env, terminal);
  if ("story" in command) return await (await late.history()).storyMain(command.story, env, terminal);
  if ("top" in command) return await (await late.top()).startTop(command.top, env, terminal);
  if ("transfer" in command) return await transfer(command, env, terminal);
  if ("adminToken" in command) {
    return await (await late.adminToken()).makeToken(command.adminToken, env, terminal);
  }
  if ("check" in command) return await (await late.check()).checkMain(command.check, env, terminal);
  if ("explain" in command) return await (await late.explain()).explainMain(command.explain, env, terminal);
  if ("setup" in command) return await (await late.setup()).setupMain(command.setup, env, terminal);
  const { request } = command;
  if ((request.do === "trace" || request.do === "untrace") && ![...TRACES, "all"].includes(request.what)) {
    const guess = suggestion(request.what, ["all", ...TRACES]);
    return complain(terminal, `invalid trace keyword: ${request.what}${guess}, known are: all ${TRACES.join(" ")}`);
  }
  const answers = askControl(controlSocketPath(env), format === "json" ? { ...request, json: true } : request);
  try {
    return await print(command, answers, format, terminal);
  } catch (error) {
    if (!(error instanceof NotRunning) || request.do !== "show-queue") throw error;
    return await listOffline(spoolPath(env), request.message, format, terminal);
  }
}

async function transfer(
  { transfer: what, folder, key, again }: Extract<ParsedCommand, { transfer: unknown }>,
  env: Environment,
  terminal: Terminal,
): Promise<number> {
  const socket = controlSocketPath(env), spool = spoolPath(env);
  if (what === "export") return await (await late.exporter()).exportQueue(socket, folder, terminal);
  const { EXPORT_ID, exportedMessages, readKey, spooledMessages } = await late.foreignQueue();
  const messages = what === "import"
    ? exportedMessages(folder)
    : spooledMessages(folder, key === null ? null : readKey(key));
  const names = what === "import" && messages.length === 0 ? [...Deno.readDirSync(folder)].map(({ name }) => name) : [];
  if (names.length > 0 && !names.includes(EXPORT_ID)) {
    return complain(terminal, `${folder} holds nothing that export wrote: messages are files with the ending .eml`);
  }
  return await (await late.importer()).importMessages(
    messages,
    { socket, spool },
    { again, label: what },
    terminal,
  );
}

async function print(
  command: Extract<ParsedCommand, { request: unknown }>,
  answers: AsyncIterable<ControlAnswer>,
  format: Format,
  terminal: Terminal,
): Promise<number> {
  const monitor = new MonitorPrinter();
  const message = format === "json" && command.request.do === "show-message"
    ? new MessageDocument(command.request.message, terminal)
    : null;
  let printed = 0;
  let waiting = "";
  const flush = () => {
    if (waiting !== "") terminal.out(waiting);
    waiting = "";
  };
  for await (const answer of answers) {
    if ("line" in answer) {
      waiting += safeLine(answer.line) + "\n";
      printed++;
      if (waiting.length > OUTPUT_PIECE) flush();
    } else if ("record" in answer) {
      waiting += safeJson(answer.record) + "\n";
      printed++;
      if (waiting.length > OUTPUT_PIECE) flush();
    } else if ("bytes" in answer) {
      const bytes = Uint8Array.fromBase64(answer.bytes);
      if (message === null) terminal.outBytes(bytes);
      else message.add(bytes);
    } else if ("sample" in answer) {
      terminal.out(format === "json" ? safeJson(answer.sample) + "\n" : monitor.next(answer.sample));
    } else if ("ok" in answer) {
      flush();
      if (answer.ok) message?.end();
      return conclude(command, answer, terminal);
    }
  }
  throw new Error(`The daemon broke off after ${printed} lines`);
}

/** The last words: what was done, or why not. */
function conclude(
  command: Extract<ParsedCommand, { request: unknown }>,
  answer: Extract<ControlAnswer, { ok: boolean }>,
  terminal: Terminal,
): number {
  if (!answer.ok) {
    if (answer.denied || command.shows) return complain(terminal, answer.error);
    terminal.out(answer.error === "" ? "command failed\n" : `command failed: ${safeLine(answer.error)}\n`);
    return 1;
  }
  if (answer.count !== undefined) {
    // `discover` has always counted "0 envelopes", the others "0 envelope".
    const plural = answer.count > 1 || (answer.count === 0 && command.done === "discovered");
    terminal.out(`${answer.count} envelope${plural ? "s" : ""} ${command.done ?? "changed"}\n`);
  } else if (!command.shows) terminal.out("command succeeded\n");
  if (answer.unchanged === undefined) return 0;
  complain(terminal, answer.unchanged.reason);
  return answer.unchanged.failed ? 1 : 0;
}

/** `show queue` while the daemon is down: reads the spool. Actions and their time to live are not known here: the default is shown. */
async function listOffline(
  spool: string,
  message: string | null,
  format: Format,
  terminal: Terminal,
): Promise<number> {
  const { listOffline } = await late.queue();
  try {
    let found = message === null;
    for (const envelope of listOffline(spool, DEFAULTS.queue.ttlSeconds)) {
      if (message !== null && !envelope.id.startsWith(message)) continue;
      found = true;
      if ("unreadable" in envelope) {
        complain(terminal, `envelope ${envelope.id}: ${envelope.unreadable}`);
        continue;
      }
      const line = format === "json"
        ? safeJson(queueRecord(envelope, null, null))
        : formatListing(envelope, null, Date.now());
      terminal.out(line + "\n");
    }
    return found ? 0 : complain(terminal, `message ${message} is not in the queue`);
  } catch (error) {
    if (error instanceof OutputClosed) throw error;
    return complain(terminal, `smtpd doesn't seem to be running, and ${spool} cannot be read: ${reasonOf(error)}`);
  }
}

function complain(terminal: Terminal, text: string): number {
  terminal.err(`smtpctl: ${safeLine(text)}\n`);
  return 1;
}

function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  // The socket, or the folder it is in, is closed to us.
  if (code === "EACCES" || code === "EPERM") return "need root privileges";
  return systemReasonAt(error);
}
