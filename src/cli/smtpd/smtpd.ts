/** smtpd(8): reads the command line, checks the configuration, runs the daemon in the foreground or puts it in the background. */

import { parseArgs } from "node:util";
import {
  type Config,
  controlSocketPath,
  DEFAULT_CONFIG,
  type Environment,
  libexecDirectory,
  PRODUCT,
  spoolPath,
  submissionSocketPath,
  suggestion,
  VERSION,
} from "../../config/mod.ts";
import { formatDiagnostic, parseConfig } from "../../smtpd_conf/mod.ts";
import {
  advice,
  checkConfig,
  Fatal,
  FileGuard,
  inheritedDescriptors,
  interfaceList,
  machineFaults,
  readQueueInput,
  regexWarnings,
  runDaemon,
  userWarnings,
} from "../../daemon/mod.ts";
import { type Trace, TRACES } from "../../events/mod.ts";
import type { Role } from "../../protocol/mod.ts";
import { inspectTableFile, openMachine, readTableBytes } from "../../lookup/mod.ts";
import { startInBackground } from "./background.ts";
import { openOfflineFolder, replayOffline } from "../sendmail/offline.ts";
import { findProgram } from "./programs.ts";
import { type Asked, guessOption } from "../getopt.ts";
import { localNames } from "../sendmail/sendmail.ts";
import { processTerminal } from "../terminal.ts";
import { answerAsked, TOOLS, usageOf } from "../usage.ts";

const USAGE = usageOf("smtpd").trimEnd();

interface Options {
  foreground: boolean;
  log: "stderr" | "syslog";
  check: boolean;
  verbose: boolean;
  file: string;
  defines: [string, string][];
  traces: Trace[];
  paused: { smtp: boolean; mda: boolean; mta: boolean };
}

/** Runs smtpd(8) and returns its exit status. */
export async function smtpdMain(args: string[], env: Environment): Promise<number> {
  const options = readOptions(args);
  if (typeof options === "string") {
    console.error(options);
    return 1;
  }
  if ("asked" in options) return answerAsked("smtpd", options.asked, processTerminal());
  const guard = new FileGuard(Deno.uid() ?? 0);
  const parsed = parseConfig(options.file, {
    defines: options.defines,
    files: {
      readText: (path) => {
        guard.note(path);
        return Deno.readTextFileSync(path);
      },
      readBytes: (path) => {
        guard.note(path);
        return readTableBytes(path);
      },
      inspectTable: (backend, path) => inspectTableFile(backend, path, openMachine()),
      programPath: (name) => findProgram(libexecDirectory(env), name),
      interfaceList,
    },
    verbose: options.verbose,
  });
  if (!parsed.ok) {
    for (const diagnostic of parsed.diagnostics) console.error(formatDiagnostic(diagnostic));
    if (parsed.fatal !== null) console.error(`smtpd: ${parsed.fatal}`);
    if (parsed.partial !== undefined) complain(parsed.partial, await machineFaults(parsed.partial, env));
    return 1;
  }
  const { refused, warnings: fileWarnings } = guard.faults(parsed.config);
  if (refused.length > 0) {
    for (const line of refused) console.error(`smtpd: ${line}`);
    return 1;
  }
  const warnings = [
    ...parsed.warnings,
    ...fileWarnings,
    ...options.check ? parsed.notes : [],
    ...regexWarnings(parsed.config),
    ...await userWarnings(parsed.config),
    ...await advice(parsed.config, env, options.check ? "check" : "start"),
  ];
  for (const warning of warnings) console.error(warning);
  try {
    if (options.check) {
      for (const line of await checkConfig(parsed.config, env, options.verbose)) console.error(line);
      console.error("configuration OK");
      return 0;
    }
    const queueInput = await readQueueInput(parsed.config);
    if (!options.foreground && inheritedDescriptors(env, Deno.pid).length > 0) {
      throw new Fatal("sockets of a service manager stay with this process: start it with -d or -F");
    }
    if (!options.foreground) return await startInBackground(args, env, queueInput, warnings);
    await runDaemon({
      config: parsed.config,
      queueInput,
      env,
      log: options.log,
      verbose: options.verbose,
      traces: options.traces,
      paused: options.paused,
      entry: (role: Role) => new URL(`../../../workers/${role}.ts`, import.meta.url),
      onready: (log) => {
        const line = `info: ${PRODUCT} ${VERSION} starting`;
        log("info", line);
        // The process that waits in startInBackground reads this one.
        if (options.log === "syslog") console.log(line);
        void sendWaiting(env, log);
      },
    });
    return 0;
  } catch (error) {
    if (!(error instanceof Fatal)) throw error;
    // The start ends at its first fault: what else is wrong is told as well.
    complain(parsed.config, [...new Set([...error.faults, ...await machineFaults(parsed.config, env)])]);
    return 1;
  }
}

/** Prints what is wrong. What begins with a place of the configuration, as its diagnostics do, needs no name of the program before it. */
function complain(config: Config, faults: readonly string[]): void {
  const places = [...Object.values(config.declared), ...config.listen.map(({ at }) => at)];
  const files = new Set([config.file, ...places.map(({ file }) => file)]);
  for (const fault of faults) {
    const file = /^(.*?):\d+: /.exec(fault)?.[1];
    console.error(file !== undefined && files.has(file) ? fault : `smtpd: ${fault}`);
  }
}

/** Opens the folder for what sendmail takes while the daemon is down, and submits what waits there. */
async function sendWaiting(env: Environment, log: (level: "info" | "warn", text: string) => void): Promise<void> {
  const spool = spoolPath(env);
  try {
    openOfflineFolder(spool);
    const taken = await replayOffline({
      spool,
      submissionSocket: submissionSocketPath(controlSocketPath(env)),
      ...localNames(),
      log,
    });
    if (taken > 0) log("info", `info: ${taken} offline message${taken > 1 ? "s" : ""} submitted`);
  } catch (error) {
    log("warn", `warn: offline messages wait: ${(error as Error).message}`);
  }
}

const LETTERS = TOOLS.smtpd.options.map(({ letter }) => letter).join("");

/** The options, what was asked instead, or the text to print before exit status 1. */
function readOptions(args: string[]): Options | { readonly asked: Asked } | string {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        d: { type: "boolean", short: "d" },
        F: { type: "boolean", short: "F" },
        h: { type: "boolean", short: "h" },
        n: { type: "boolean", short: "n" },
        v: { type: "boolean", short: "v" },
        D: { type: "string", short: "D", multiple: true },
        f: { type: "string", short: "f" },
        P: { type: "string", short: "P", multiple: true },
        T: { type: "string", short: "T", multiple: true },
        help: { type: "boolean" },
        version: { type: "boolean" },
      },
    });
  } catch (error) {
    // Behind its first sentence the parser tells how to write positional arguments, which there are none of.
    const text = (error as Error).message.replace(/\. To specify a positional argument.*/s, "")
      .replace(/^Option '(-\w).*' argument missing.*/s, "$1 needs a value");
    const word = /^Unknown option '(-.*)'$/.exec(text)?.[1];
    return `smtpd: ${text}${word === undefined ? "" : guessOption(word, word.slice(1), LETTERS)}\n${USAGE}`;
  }
  const { values, positionals } = parsed;
  if (values.help) return { asked: "help" };
  if (values.version) return { asked: "version" };
  if (values.h) return `version: ${PRODUCT} ${VERSION}\n${USAGE}`;
  if (positionals.length > 0) return `smtpd: "${positionals[0]}" is no option\n${USAGE}`;
  const defines: [string, string][] = [];
  for (const define of values.D ?? []) {
    const split = define.lastIndexOf("=");
    if (split < 1) return `smtpd: could not parse macro definition ${define}: write -D name=value`;
    defines.push([define.slice(0, split), define.slice(split + 1)]);
  }
  return {
    foreground: values.d === true || values.F === true,
    log: values.d === true ? "stderr" : "syslog",
    check: values.n === true,
    verbose: values.v === true,
    file: values.f ?? DEFAULT_CONFIG,
    defines,
    traces: readTraces(values.T ?? []),
    paused: readPaused(values.P ?? []),
  };
}

/** Trace names of -T; `all` stands for every one. Unknown names are warned of, as upstream does. */
function readTraces(names: string[]): Trace[] {
  const traces = new Set<Trace>();
  for (const name of names) {
    const wanted = TRACES.filter((trace) => name === "all" || name === trace || ALIASES[name] === trace);
    if (wanted.length === 0) {
      console.error(
        `warn: unknown trace flag "${name}"${suggestion(name, TRACES)}, known are: all ${TRACES.join(" ")}`,
      );
    }
    for (const trace of wanted) traces.add(trace);
  }
  return [...traces];
}

const ALIASES: Readonly<Record<string, Trace>> = { transfer: "mta", bounces: "bounce", stats: "stat", table: "tables" };

/** Subsystems of -P; unknown names are warned of, as for -T. */
function readPaused(names: string[]): Options["paused"] {
  for (const name of names) {
    if (!["smtp", "mda", "mta"].includes(name)) {
      console.error(`warn: unknown subsystem "${name}", those that can be paused are: smtp mda mta`);
    }
  }
  return { smtp: names.includes("smtp"), mda: names.includes("mda"), mta: names.includes("mta") };
}
