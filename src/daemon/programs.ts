/** From what smtpd.conf says of filter programs to what can be started: the path, who it runs as, the folder it is locked in. Starts nothing. */

import type { Config, Environment, FilterProcess } from "../config/mod.ts";
import { libexecFolders, smtpdUserName } from "../config/paths.ts";
import { findProgram } from "../config/search.ts";
import { shown } from "../config/values.ts";
import type { FilterProgram, FilterSubsystem, Listener, Settings } from "../protocol/mod.ts";
import { parsePasswd } from "../tables/mod.ts";
import { Fatal, gatherNow } from "./fatal.ts";
import { systemReason } from "../events/mod.ts";
import { readIfPresent } from "./files.ts";

type Identity = NonNullable<Settings["filter"]["identity"]>;

const SHELL = "/bin/sh";
/** chroot(8), where systems have it. */
const CHROOT = ["/usr/sbin/chroot", "/usr/bin/chroot", "/sbin/chroot"];
/** A command of plain words needs no shell. */
const PLAIN_WORDS = /^[\w@%+=:,./ -]+$/;
/** The user that programs of the config, and commands of aliases, run as; where there is none, the user of the processes that speak to the network. */
const PROGRAM_USER = "_smtpd";
/** Programs of the config run as this one where there is neither. */
const LAST_USER = "nobody";

/** Every process of the config, used or not. Throws Fatal when one cannot be started as the config says. */
export function filterPrograms(config: Config, env: Environment, listeners: readonly Listener[]): FilterProgram[] {
  const inbound = listeners.flatMap(({ filter }) => filter == null ? [] : processesOf(config, filter));
  const outbound = Object.values(config.actions).flatMap((action) =>
    action.kind === "relay" && action.filter !== null ? processesOf(config, action.filter) : []
  );
  return gatherNow(
    Object.entries(config.processes).map(([process, declared]) => () => {
      const subsystems: FilterSubsystem[] = [];
      if (inbound.includes(process)) subsystems.push("smtp-in");
      if (outbound.includes(process)) subsystems.push("smtp-out");
      return { process, name: declared.name, subsystems, ...start(declared, env) };
    }),
  );
}

/** Processes behind a filter, a chain or a list. */
export function processesOf(config: Config, filter: string): string[] {
  const steps = config.filters[filter] ?? [];
  return [...new Set(steps.flatMap((step) => step.kind === "process" ? [step.process] : []))];
}

function start(process: FilterProcess, env: Environment): Pick<FilterProgram, "program" | "args" | "identity"> {
  const { command, chroot } = process;
  const absolute = command.startsWith("/") ? command : inFolder(process, env);
  const plain = PLAIN_WORDS.test(absolute);
  const [program, ...args] = plain
    ? absolute.split(" ").filter((word) => word !== "") as [string, ...string[]]
    : [SHELL, "-c", `exec ${absolute}`] as const;
  const identity = identityOf(process, env);
  if (chroot === null) {
    checkProgram(process, program);
    return { program, args, identity };
  }
  if (Deno.uid() !== 0) throw fatal(process, "chroot needs a daemon that is started by root");
  const locked = CHROOT.find((path) => reasonAgainst(path) === null);
  if (locked === undefined) throw fatal(process, "chroot(8) is not installed");
  checkFolder(process, chroot);
  const { uid, gid } = identity!;
  return { program: locked, args: [`--userspec=${uid}:${gid}`, "--groups=", chroot, program, ...args], identity: null };
}

/** The command with the folder before it that has its program; in a chroot, whose files may come later, our own folder for want of another. */
function inFolder(process: FilterProcess, env: Environment): string {
  const { command, chroot } = process;
  const name = /^[^\s"'\\$`|&;<>()*?]+/.exec(command)?.[0];
  // The shell makes a name of it.
  if (name === undefined) return `${libexecFolders(env)[0]}/${command}`;
  try {
    return findProgram(name, env, chroot ?? "") + command.slice(name.length);
  } catch (error) {
    if (chroot !== null) return `${libexecFolders(env)[0]}/${command}`;
    throw fatal(process, `cannot run ${shown(command)}: ${(error as Error).message}`);
  }
}

/** Null for the daemon's own user. */
function identityOf(process: FilterProcess, env: Environment): Identity | null {
  const user = process.user === null ? null : findUser(process.user);
  if (process.user !== null && user === null) throw fatal(process, `there is no user "${shown(process.user)}"`);
  const gid = process.group === null ? null : findGroup(process.group);
  if (process.group !== null && gid === null) throw fatal(process, `there is no group "${shown(process.group)}"`);
  if (Deno.uid() === 0) {
    const { uid, gid: own } = user ?? programUser(env);
    return { uid, gid: gid ?? own };
  }
  if ((user !== null && user.uid !== Deno.uid()) || (gid !== null && gid !== Deno.gid())) {
    throw fatal(process, '"user" and "group" need a daemon that is started by root');
  }
  return null;
}

/** Returns the user that commands of aliases run as: `_smtpd`, or, where there is none, that of the daemon's processes. */
export function commandUser(env: Environment): string {
  const other = smtpdUserName(env);
  return findUser(PROGRAM_USER) === null && (findUser(other)?.uid ?? 0) !== 0 ? other : PROGRAM_USER;
}

/** The user that programs run as when root starts the daemon: a user who owns nothing of the system. Throws Fatal when there is no such user. */
export function programUser(env: Environment): Identity {
  for (const name of [commandUser(env), LAST_USER]) {
    const account = findUser(name);
    if (account !== null && account.uid !== 0) return account;
  }
  throw new Fatal(`programs need a user to run as: make one called ${PROGRAM_USER}`);
}

function findUser(name: string): Identity | null {
  const account = parsePasswd(readIfPresent("/etc/passwd") ?? "").get(name);
  return account === undefined ? null : { uid: account.uid, gid: account.gid };
}

/** Returns the number of a group of /etc/group; null when there is none of that name. */
export function findGroup(name: string): number | null {
  for (const line of (readIfPresent("/etc/group") ?? "").split("\n")) {
    const [group, , gid] = line.split(":");
    if (group === name && /^\d+$/.test(gid ?? "")) return Number(gid);
  }
  return null;
}

function checkProgram(process: FilterProcess, program: string): void {
  const reason = reasonAgainst(program);
  if (reason !== null) throw fatal(process, `cannot run ${shown(program)}: ${reason}`);
}

/** Why a program cannot be run; null when it can. */
export function reasonAgainst(program: string): string | null {
  try {
    const info = Deno.statSync(program);
    if (!info.isFile) return "It is not a file";
    return info.mode !== null && (info.mode & 0o111) === 0 ? "It is not executable" : null;
  } catch (error) {
    return systemReason(error);
  }
}

function checkFolder(process: FilterProcess, folder: string): void {
  try {
    if (!Deno.statSync(folder).isDirectory) throw new Error("It is not a folder");
  } catch (error) {
    throw fatal(process, `cannot chroot to ${shown(folder)}: ${systemReason(error)}`);
  }
}

function fatal({ at, name }: FilterProcess, text: string): Fatal {
  return new Fatal(`${at.file}:${at.line}: filter program "${shown(name)}": ${text}`);
}
