/** Landlock (landlock(7)): which files, TCP ports and neighbours a thread, and what it starts, can reach. Structures by hand, as in linux/landlock.h. */

import { cString, ENOENT, ENOTDIR, KernelError, type Libc, libc as thisLibc } from "./libc.ts";
import type { LandlockRules } from "./walls.ts";

const CREATE_RULESET_VERSION = 1;
const RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2;
const PR_SET_NO_NEW_PRIVS = 38;
const AT_FDCWD = -100, O_PATH = 0o10000000, O_CLOEXEC = 0o2000000;
const O_DIRECTORY = Deno.build.arch === "x86_64" ? 0o200000 : 0o40000;

/** LANDLOCK_ACCESS_FS_* */
const EXECUTE = 1 << 0, WRITE_FILE = 1 << 1, READ_FILE = 1 << 2, READ_DIR = 1 << 3;
const REMOVE_DIR = 1 << 4, REMOVE_FILE = 1 << 5, MAKE_DIR = 1 << 7, MAKE_REG = 1 << 8, MAKE_SOCK = 1 << 9;
const REFER = 1 << 13, TRUNCATE = 1 << 14;
/** What may be allowed of something that is no folder. */
const OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE;

const READ = READ_FILE | READ_DIR;
/** No links, sockets, pipes or devices: what follows them could be somebody with more rights. */
const WRITE = READ | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE;

/** Where sockets are made. */
const WRITE_AND_LISTEN = WRITE | MAKE_SOCK;

/** All file rights up to an ABI: what is handled is refused where no rule allows it. */
const FILE_RIGHTS: readonly (readonly [abi: number, rights: number])[] = [[5, 0xffff], [3, 0x7fff], [2, 0x3fff], [
  1,
  0x1fff,
]];
const BIND_TCP = 1n, CONNECT_TCP = 2n;
const SCOPE_ABSTRACT_UNIX_SOCKET = 1n, SCOPE_SIGNAL = 2n;
/** The ABI that brought it. */
const ABI_TRUNCATE = 3, ABI_TCP = 4, ABI_SCOPES = 6;

/** Returns the version of Landlock that this kernel has; 0 for none. */
export function landlockAbi(libc: Libc): number {
  return Math.max(0, libc.call("landlock_create_ruleset", 0, 0, CREATE_RULESET_VERSION));
}

/** A set of rules that is made but does not stand yet. */
export interface Ruleset {
  /** Null: this kernel has no Landlock. */
  readonly descriptor: number | null;
  /** What this kernel cannot give, in words. */
  readonly missing: readonly string[];
}

/**
 * Makes the rules; /proc is read in any case. Opens every path as the user that this thread still is. A path to read or execute that does not exist is left out and told of;
 * throws a KernelError for one that is to be written, and for any that cannot be opened.
 */
export function makeRuleset(libc: Libc, walls: LandlockRules): Ruleset {
  const abi = landlockAbi(libc);
  if (abi === 0) {
    const what = walls.neighbours === true ? "files" : "files, TCP and neighbours";
    return {
      descriptor: null,
      missing: [`${what} (Landlock is not in this kernel, or is switched off)`],
    };
  }
  const missing: string[] = [];
  if (abi < ABI_TRUNCATE) missing.push(`truncation of files (Landlock ABI 3 of Linux 6.2; this kernel has ${abi})`);
  if (abi < ABI_TCP && walls.tcp !== "any") missing.push(`TCP (Landlock ABI 4 of Linux 6.7; this kernel has ${abi})`);
  if (abi < ABI_SCOPES && walls.neighbours !== true) {
    missing.push(`signals and abstract sockets (Landlock ABI 6 of Linux 6.12; this kernel has ${abi})`);
  }
  const handled = FILE_RIGHTS.find(([since]) => abi >= since)![1];
  const { bytes, octets } = rulesetAttributes({ abi, files: handled, walls });
  const descriptor = libc.must("Cannot make Landlock rules", "landlock_create_ruleset", bytes, octets, 0);
  try {
    missing.push(...allow(libc, { descriptor, walls, handled }));
    if (abi >= ABI_TCP && walls.tcp === "connect") allowPort0(libc, descriptor);
  } catch (error) {
    libc.call("close", descriptor);
    throw error;
  }
  return { descriptor, missing };
}

/** Adds a rule for each path. Returns those that are not there. */
function allow(libc: Libc, about: { descriptor: number; walls: LandlockRules; handled: number }): string[] {
  const { descriptor, walls, handled } = about;
  const missing: string[] = [];
  const grants = [
    [["/proc", ...walls.read], READ],
    [walls.execute, READ | EXECUTE],
    [walls.write, WRITE],
    [walls.sockets ?? [], WRITE_AND_LISTEN],
  ] as const;
  for (const [paths, rights] of grants) {
    for (const path of paths) {
      if (allowPath(libc, { descriptor, path, rights: rights & handled })) continue;
      if ((rights & WRITE_FILE) !== 0) throw new KernelError("openat(2)", ENOENT, `Cannot give ${path} to the process`);
      missing.push(`the path ${path} (it does not exist)`);
    }
  }
  return missing;
}

/** Puts the rules around this thread. Needs no-new-privs, or root. */
export function restrictSelf(libc: Libc, ruleset: number): void {
  libc.must("Cannot enforce Landlock rules", "landlock_restrict_self", ruleset, 0);
}

/**
 * Puts rules around this thread and those that it starts from now on, so around the isolates of this process that are started later: they, and the
 * threads that call files for them, are threads of this one. It cannot be undone, and gives up new privileges. Returns what this kernel cannot give. Needs the
 * permission ffi. Throws a KernelError, for a path to write that is not there too.
 */
export function restrictThread(rules: LandlockRules): readonly string[] {
  const kernel = thisLibc(), { descriptor, missing } = makeRuleset(kernel, rules);
  if (descriptor === null) return missing;
  try {
    kernel.must("Cannot give up new privileges", "prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    restrictSelf(kernel, descriptor);
    return missing;
  } finally {
    kernel.call("close", descriptor);
  }
}

/** struct landlock_ruleset_attr, as long as the kernel knows it. */
function rulesetAttributes(about: { abi: number; files: number; walls: Pick<LandlockRules, "tcp" | "neighbours"> }) {
  const { abi, files, walls: { tcp, neighbours = false } } = about;
  const bytes = new Uint8Array(24), view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(files), true);
  view.setBigUint64(8, tcp === "any" ? 0n : tcp === "none" ? BIND_TCP | CONNECT_TCP : BIND_TCP, true);
  view.setBigUint64(16, neighbours ? 0n : SCOPE_ABSTRACT_UNIX_SOCKET | SCOPE_SIGNAL, true);
  return { bytes, octets: abi >= ABI_SCOPES ? 24 : abi >= ABI_TCP ? 16 : 8 };
}

/** False: there is no such path. */
function allowPath(libc: Libc, rule: { descriptor: number; path: string; rights: number }): boolean {
  const { descriptor, path } = rule;
  const name = cString(path);
  const doing = `Cannot open ${path} for a Landlock rule`;
  let rights = rule.rights;
  let opened = libc.call("openat", AT_FDCWD, name, O_PATH | O_CLOEXEC | O_DIRECTORY, 0);
  if (opened === -ENOTDIR) {
    rights &= OF_FILES;
    opened = libc.call("openat", AT_FDCWD, name, O_PATH | O_CLOEXEC, 0);
  }
  if (opened === -ENOENT || opened === -ENOTDIR) return false;
  if (opened < 0) throw new KernelError("openat(2)", -opened, doing);
  // struct landlock_path_beneath_attr, packed.
  const bytes = new Uint8Array(12), view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(rights), true);
  view.setInt32(8, opened, true);
  const added = libc.call("landlock_add_rule", descriptor, RULE_PATH_BENEATH, bytes, 0);
  libc.call("close", opened);
  if (added < 0) throw new KernelError("landlock_add_rule(2)", -added, `Cannot give ${path} to the process`);
  return true;
}

/** A client may have its address bound, to a port that the kernel chooses. */
function allowPort0(libc: Libc, descriptor: number): void {
  // struct landlock_net_port_attr
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setBigUint64(0, BIND_TCP, true);
  libc.must("Cannot allow TCP connections", "landlock_add_rule", descriptor, RULE_NET_PORT, bytes, 0);
}
