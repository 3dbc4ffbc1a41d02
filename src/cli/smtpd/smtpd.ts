/** smtpd(8): reads the command line, checks the configuration, runs the daemon in the foreground or puts it in the background. */

import type { Config, Environment } from "../../config/mod.ts";
import {
  controlSocketPath,
  credentialsPath,
  PRODUCT,
  spoolPath,
  statePath,
  submissionSocketPath,
  VERSION,
} from "../../config/paths.ts";
import { findConfig, findProgram, noConfigAdvice } from "../../config/search.ts";
import { formatDiagnostic, parseConfig, type ParseOptions } from "../../smtpd_conf/mod.ts";
import {
  accessFaults,
  advice,
  checkConfig,
  chooseUsers,
  type ChosenUsers,
  Fatal,
  FileGuard,
  inheritedDescriptors,
  interfaceList,
  machineFaults,
  Native,
  programPlaces,
  readQueueInput,
  regexWarnings,
  type Reread,
  runDaemon,
  userWarnings,
} from "../../daemon/mod.ts";
import type { Role } from "../../protocol/mod.ts";
import { inspectTableFile, openMachine, readTableBytes } from "../../lookup/mod.ts";
import { startInBackground } from "./background.ts";
import { openOfflineFolder, replayOffline } from "../sendmail/offline.ts";
import { type CommandLine, readOptions } from "./options.ts";
import { localNames } from "../sendmail/sendmail.ts";
import { processTerminal } from "../terminal.ts";
import { printInfo } from "../usage.ts";

/** Runs smtpd(8) and returns its exit status. */
export async function smtpdMain(args: string[], env: Environment): Promise<number> {
  const given = readOptions(args);
  if (typeof given === "string") {
    console.error(given);
    return 1;
  }
  if ("info" in given) return printInfo("smtpd", given.info, processTerminal());
  const { file, found } = findConfig(given.file);
  const options = { ...given, file, searched: found !== null };
  const read = await readConfig(options, env);
  if ("faults" in read) {
    for (const fault of read.faults) console.error(fault);
    return 1;
  }
  for (const warning of read.warnings) console.error(warning);
  try {
    if (options.expect !== null) {
      // Named so that a start does not look through what it does not need.
      const late = await (import(import.meta.resolve("./expect.ts")) as Promise<typeof import("./expect.ts")>);
      return await late.expectMain(options.expect, read.config, env);
    }
    const users = await chooseUsers(env, options);
    const access = accessFaults(
      { config: read.config, spool: spoolPath(env), users: users.users },
      programPlaces(env.get("DENO_DIR") ?? null),
    );
    // A trial without the users is warned of, a configuration is not wrong for it.
    const ofUsers = options.check && users.users === null ? [] : users.warnings;
    const warnings = [...ofUsers, ...access.warnings];
    for (const warning of warnings) console.error(warning);
    if (access.faults.length > 0) throw new Fatal(...access.faults);
    if (options.check) {
      for (const line of await checkConfig(read.config, env, options)) console.error(line);
      if (options.searched) console.error(`the configuration is ${options.file}`);
      console.error("configuration OK");
      return 0;
    }
    return await serve(args, options, { ...read, users, warnings: [...read.warnings, ...warnings] }, env);
  } catch (error) {
    if (!(error instanceof Fatal)) throw error;
    // The start ends at its first fault: what else is wrong is printed as well.
    const faults = new Set([...error.faults, ...await machineFaults(read.config, env, options)]);
    for (const line of complaints(read.config, [...faults])) console.error(line);
    return 1;
  }
}

/** The command line, with the configuration that counts. */
interface Options extends CommandLine {
  readonly file: string;
  /** It was found, not named. */
  readonly searched: boolean;
}

function isMissing(file: string): boolean {
  try {
    Deno.statSync(file);
    return false;
  } catch (error) {
    return error instanceof Deno.errors.NotFound;
  }
}

interface ReadConfig {
  readonly config: Config;
  /** To be printed, whatever follows. */
  readonly warnings: readonly string[];
}

/** Reads the configuration and what it names. Lines that say what is wrong, when it cannot be used. */
async function readConfig(
  options: Options,
  env: Environment,
  readText: (path: string) => string = Deno.readTextFileSync,
): Promise<ReadConfig | { readonly faults: string[] }> {
  const { file, defines, verbose, check } = options;
  const guard = new FileGuard(Deno.uid() ?? 0);
  const parsed = parseConfig(file, {
    defines,
    files: configFiles(guard, env, readText),
    credentials: credentialsPath(env),
    verbose,
  });
  if (!parsed.ok) {
    const { diagnostics, fatal, partial } = parsed;
    const looks = partial !== undefined && options.expect === null;
    const faults = looks ? complaints(partial, await machineFaults(partial, env, options)) : [];
    return {
      faults: [
        ...diagnostics.map(formatDiagnostic),
        ...fatal === null ? [] : [`smtpd: ${fatal}${isMissing(file) ? noConfigAdvice(options) : ""}`],
        ...faults,
      ],
    };
  }
  const { config } = parsed;
  const { refused, warnings } = guard.faults(config);
  if (refused.length > 0) return { faults: refused.map((line) => `smtpd: ${line}`) };
  return {
    config,
    warnings: [
      ...parsed.warnings,
      ...warnings,
      ...check ? parsed.notes : [],
      ...regexWarnings(config),
      ...await userWarnings(config),
      ...await advice(config, env, check ? "check" : "start"),
    ],
  };
}

/** The files of this machine, as the parser reads them: `guard` notes each. */
function configFiles(
  guard: FileGuard,
  env: Environment,
  readText: (path: string) => string,
): ParseOptions["files"] {
  return {
    readText: (path) => {
      guard.note(path);
      return readText(path);
    },
    readBytes: (path) => {
      guard.note(path);
      return readTableBytes(path);
    },
    inspectTable: (backend, path) => inspectTableFile(backend, path, openMachine()),
    state: statePath(env),
    programPath: (name) => findProgram(name, env),
    interfaceList,
  };
}

/** Octets of a file of the configuration that is read while mail flows, at most: nothing else is done meanwhile. */
const MAX_REREAD_OCTETS = 16 * 2 ** 20;

/** Text of a file of the configuration, for a daemon that runs. Throws for a pipe or a device, whose reading might never end while mail waits. */
function readConfigAgain(path: string): string {
  const { isFile, isDirectory, size } = Deno.statSync(path);
  if (!isFile && !isDirectory) throw new Error("it is no file, and a daemon that runs waits for no pipe");
  if (size > MAX_REREAD_OCTETS) throw new Error(`it is larger than ${MAX_REREAD_OCTETS} octets`);
  return Deno.readTextFileSync(path);
}

/** Reads the configuration again for a daemon that runs, and checks all that a start would check. */
async function reread(options: Options, users: ChosenUsers, env: Environment): Promise<Reread> {
  const read = await readConfig(options, env, readConfigAgain);
  if ("faults" in read) return read;
  const { config } = read;
  const access = accessFaults(
    { config, spool: spoolPath(env), users: users.users },
    programPlaces(env.get("DENO_DIR") ?? null),
  );
  const faults = [...access.faults, ...await machineFaults(config, env, options)];
  if (faults.length > 0) return { faults: complaints(config, [...new Set(faults)]) };
  return { config, warnings: [...read.warnings, ...access.warnings] };
}

/** Runs the daemon here until it ends, or starts it in the background, and returns the exit status. */
async function serve(
  args: string[],
  options: Options,
  read: ReadConfig & { readonly users: ChosenUsers },
  env: Environment,
): Promise<number> {
  const { config, warnings, users } = read;
  const queueInput = await readQueueInput(config);
  if (!options.foreground && inheritedDescriptors(env, Deno.pid).length > 0) {
    throw new Fatal("sockets of a service manager stay with this process: start it with -d or -F");
  }
  const deaf = options.foreground ? undefined : config.log.find(({ kind }) => kind === "stderr");
  if (deaf !== undefined) {
    throw new Fatal(
      `${deaf.at!.file}:${
        deaf.at!.line
      }: in the background nobody reads standard error: start smtpd with -d or -F, or log to a file`,
    );
  }
  if (!options.foreground) return await startInBackground(args, env, queueInput, warnings);
  await runDaemon({
    config,
    queueInput,
    env,
    users,
    log: options.log,
    verbose: options.verbose,
    traces: options.traces,
    paused: options.paused,
    reread: () => reread(options, users, env),
    entry: (role: Role) => new URL(`../../../workers/${role}.ts`, import.meta.url),
    onready: (log) => {
      // The folder is there when the line says that the daemon is.
      void sendWaiting(env, log);
      const line = `info: ${PRODUCT} ${VERSION} starting`;
      log("info", line);
      if (options.searched) log("info", `info: the configuration is ${options.file}`);
      // The process that waits in startInBackground reads this one.
      if (options.log === "syslog") console.log(line);
    },
  });
  return 0;
}

/** Lines that say what is wrong. What begins with a place of the configuration, as its diagnostics do, needs no name of the program before it. */
function complaints(config: Config, faults: readonly string[]): string[] {
  const places = [
    ...Object.values(config.declared),
    ...config.listen.map(({ at }) => at),
    ...config.dkim.map(({ at }) => at),
  ];
  const files = new Set([config.file, ...places.map(({ file }) => file)]);
  return faults.map((fault) => {
    const file = /^(.*?):\d+: /.exec(fault)?.[1];
    return file !== undefined && files.has(file) ? fault : `smtpd: ${fault}`;
  });
}

/** Opens the folder for what sendmail takes while the daemon is down, and submits what waits there. */
async function sendWaiting(env: Environment, log: (level: "info" | "warn", text: string) => void): Promise<void> {
  const spool = spoolPath(env), native = new Native();
  try {
    const folder = openOfflineFolder(spool);
    try {
      const taken = await replayOffline({
        spool,
        submissionSocket: submissionSocketPath(controlSocketPath(env)),
        ...localNames(),
        log,
        remove: (name) => native.removeAt(folder, name),
      });
      if (taken > 0) log("info", `info: ${taken} offline message${taken > 1 ? "s" : ""} submitted`);
    } finally {
      native.close(folder);
    }
  } catch (error) {
    log("warn", `warn: offline messages wait: ${(error as Error).message}`);
  }
}
