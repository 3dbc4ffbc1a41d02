/**
 * A worker that starts one process and ends. The raw system calls change only its own thread: it puts the walls around itself, and the process that it
 * starts inherits them. Started by launch.ts with nothing but the C library. Between the change of the user and its end its thread belongs to that
 * user, so nothing is done there but the start. The change of the user also ends core dumps of the parent, and keeps that user from tracing it (PR_SET_DUMPABLE).
 */

import { cString, errorText, KernelError, type Libc, libc, LIBC_PATHS } from "./libc.ts";
import { makeRuleset, restrictSelf } from "./landlock.ts";
import type { LaunchPlan, LaunchReply } from "./launch.ts";

const FIRST_DESCRIPTOR = 3;
const AT_FDCWD = -100, O_RDWR = 2, O_CLOEXEC = 0o2000000;
const F_DUPFD_CLOEXEC = 1030, CLOSE_RANGE_CLOEXEC = 4;
const MS_NOSUID = 2, MS_NODEV = 4, MS_NOEXEC = 8, MS_REC = 0x4000, MS_SLAVE = 0x80000;
const CLONE_NEWNS = 0x00020000, CLONE_NEWIPC = 0x08000000, CLONE_NEWNET = 0x40000000;
const PR_SET_NO_NEW_PRIVS = 38;
/** With it setresuid(2) and setresgid(2) leave everything as it is, and succeed; greater ones would be cut. */
const NO_ID = 0xffff_ffff;
const SPAWN_SETSIGDEF = 0x04, SPAWN_SETSIGMASK = 0x08, SPAWN_SETSID = 0x80;
/** More than glibc's structures have (80 and 336), and its sigset_t. */
const ACTIONS_OCTETS = 256, ATTRIBUTES_OCTETS = 512, SIGSET_OCTETS = 128;

const SPAWN_SYMBOLS = {
  posix_spawn: { parameters: ["buffer", "buffer", "buffer", "buffer", "buffer", "buffer"], result: "i32" },
  posix_spawn_file_actions_init: { parameters: ["buffer"], result: "i32" },
  posix_spawn_file_actions_adddup2: { parameters: ["buffer", "i32", "i32"], result: "i32" },
  /** From glibc 2.34 on. */
  posix_spawn_file_actions_addclosefrom_np: { parameters: ["buffer", "i32"], result: "i32", optional: true },
  posix_spawnattr_init: { parameters: ["buffer"], result: "i32" },
  posix_spawnattr_setflags: { parameters: ["buffer", "i16"], result: "i32" },
  posix_spawnattr_setsigmask: { parameters: ["buffer", "buffer"], result: "i32" },
  posix_spawnattr_setsigdefault: { parameters: ["buffer", "buffer"], result: "i32" },
} as const;

type Spawn = Deno.DynamicLibrary<typeof SPAWN_SYMBOLS>["symbols"];

function openSpawn(): Spawn {
  let reason: unknown;
  for (const path of LIBC_PATHS) {
    try {
      return Deno.dlopen(path, SPAWN_SYMBOLS).symbols;
    } catch (error) {
      reason = error;
    }
  }
  throw reason;
}

/** An array of pointers to C strings, ended by a null; which have to be kept while it is used. */
function pointers(kernel: Libc, strings: readonly Uint8Array<ArrayBuffer>[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array((strings.length + 1) * 8), view = new DataView(bytes.buffer);
  for (const [at, string] of strings.entries()) {
    view.setBigUint64(at * 8, kernel.addressOf(string), true);
  }
  return bytes;
}

/** What this thread has opened: its descriptors are those of the whole process, and stay when it ends. */
const mine: number[] = [];
/** Kept from the collector: the kernel has their addresses. */
const kept: Uint8Array<ArrayBuffer>[] = [];

/** Copies beyond all numbers that the process gets, so that no dup2 overwrites one that is still needed. First that of /dev/null. */
function copies(kernel: Libc, plan: LaunchPlan): number[] {
  const end = FIRST_DESCRIPTOR + plan.descriptors.length;
  const nothing = kernel.must("Cannot open /dev/null", "openat", AT_FDCWD, cString("/dev/null"), O_RDWR | O_CLOEXEC, 0);
  mine.push(nothing);
  return [nothing, ...plan.descriptors].map((descriptor) => {
    const doing = `Cannot duplicate descriptor ${descriptor}`;
    const copy = kernel.must(doing, "fcntl", descriptor, F_DUPFD_CLOEXEC, end);
    mine.push(copy);
    return copy;
  });
}

/**
 * Mounts a /proc in which the process sees itself alone, in a mount namespace that follows this machine's mounts. The C library looks up the stack of a
 * process there, and the runtime does not start without. Returns what this kernel does not give.
 */
function ownProc(kernel: Libc): string[] {
  const unshared = kernel.call("unshare", CLONE_NEWNS);
  if (unshared < 0) return [`a /proc of its own (unshare(2): ${errorText(-unshared)})`];
  const root = cString("/"), [type, place] = [cString("proc"), cString("/proc")];
  // Without that it would be mounted for the whole machine.
  const apart = kernel.call("mount", 0, root, 0, MS_REC | MS_SLAVE, 0);
  if (apart < 0) return [`a /proc of its own (mount(2): ${errorText(-apart)})`];
  const options = cString("hidepid=ptraceable,subset=pid");
  const mounted = kernel.call("mount", type, place, type, MS_NOSUID | MS_NODEV | MS_NOEXEC, options);
  return mounted < 0 ? [`a /proc of its own (mount(2): ${errorText(-mounted)})`] : [];
}

/** Puts the walls around this thread. Returns what this kernel does not give. */
function wallIn(kernel: Libc, { walls }: LaunchPlan): string[] {
  const missing = ownProc(kernel);
  // Opened while this thread may open them, and in its own mounts.
  const ruleset = makeRuleset(kernel, walls);
  if (ruleset.descriptor !== null) mine.push(ruleset.descriptor);
  missing.push(...ruleset.missing);
  if (walls.ownNetwork) {
    const result = kernel.call("unshare", CLONE_NEWNET | CLONE_NEWIPC);
    if (result < 0) missing.push(`a network of its own (unshare(2): ${errorText(-result)})`);
  }
  kernel.must("Cannot give up new privileges", "prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (walls.user !== null) {
    const { name, uid, gid } = walls.user;
    const doing = `Cannot become the user ${name}`;
    for (const id of [uid, gid]) if (!(id >= 0 && id < NO_ID)) throw new Error(`${doing}: ${id} is nobody's number`);
    kernel.must(doing, "setgroups", 0, 0);
    kernel.must(doing, "setresgid", gid, gid, gid);
    kernel.must(doing, "setresuid", uid, uid, uid);
  }
  // As that user: with no-new-privs it needs no more.
  if (ruleset.descriptor !== null) restrictSelf(kernel, ruleset.descriptor);
  return missing;
}

/** The descriptors of the process, and what else is closed for it. */
function fileActions(kernel: Libc, spawn: Spawn, copied: readonly number[]): Uint8Array<ArrayBuffer> {
  const actions = new Uint8Array(ACTIONS_OCTETS);
  check("posix_spawn_file_actions_init", spawn.posix_spawn_file_actions_init(actions));
  for (const [at, descriptor] of copied.entries()) {
    const target = at === 0 ? 0 : FIRST_DESCRIPTOR - 1 + at;
    check("posix_spawn_file_actions_adddup2", spawn.posix_spawn_file_actions_adddup2(actions, descriptor, target));
  }
  const end = FIRST_DESCRIPTOR + copied.length - 1;
  const closeFrom = spawn.posix_spawn_file_actions_addclosefrom_np;
  if (closeFrom !== null) check("posix_spawn_file_actions_addclosefrom_np", closeFrom(actions, end));
  else kernel.must("Cannot keep descriptors", "close_range", FIRST_DESCRIPTOR, 0xffff_ffff, CLOSE_RANGE_CLOEXEC);
  return actions;
}

/** A session of its own, so that a terminal's Ctrl-C reaches only the parent; all signals as they are by default, none blocked. */
function attributes(spawn: Spawn): Uint8Array<ArrayBuffer> {
  const made = new Uint8Array(ATTRIBUTES_OCTETS);
  check("posix_spawnattr_init", spawn.posix_spawnattr_init(made));
  const flags = SPAWN_SETSIGDEF | SPAWN_SETSIGMASK | SPAWN_SETSID;
  check("posix_spawnattr_setflags", spawn.posix_spawnattr_setflags(made, flags));
  check("posix_spawnattr_setsigmask", spawn.posix_spawnattr_setsigmask(made, new Uint8Array(SIGSET_OCTETS)));
  check(
    "posix_spawnattr_setsigdefault",
    spawn.posix_spawnattr_setsigdefault(made, new Uint8Array(SIGSET_OCTETS).fill(255)),
  );
  return made;
}

/** These return the error instead of setting errno. */
function check(call: string, errno: number): void {
  if (errno !== 0) throw new KernelError(`${call}(3)`, errno, "Cannot prepare the start of a process");
}

function start(plan: LaunchPlan): LaunchReply {
  const kernel = libc(), spawn = openSpawn();
  const program = cString(plan.program);
  const args = [plan.program, ...plan.args].map(cString);
  const env = Object.entries(plan.env).map(([name, value]) => cString(`${name}=${value}`));
  kept.push(...args, ...env);
  const argv = pointers(kernel, args), envp = pointers(kernel, env);
  const pid = new Uint8Array(4);
  const attributesMade = attributes(spawn), actions = fileActions(kernel, spawn, copies(kernel, plan));
  const missing = wallIn(kernel, plan);
  const errno = spawn.posix_spawn(pid, program, actions, attributesMade, argv, envp);
  if (errno !== 0) throw new KernelError("posix_spawn(3)", errno, `Cannot start ${plan.program}`);
  return { pid: new DataView(pid.buffer).getInt32(0, true), missing };
}

function answer(plan: LaunchPlan): LaunchReply {
  try {
    return start(plan);
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error) };
  } finally {
    for (const descriptor of mine) libc().call("close", descriptor);
  }
}

interface Scope {
  onmessage: (event: MessageEvent<LaunchPlan>) => void;
  postMessage(message: LaunchReply): void;
  close(): void;
}
const scope = self as unknown as Scope;

scope.onmessage = ({ data }) => {
  scope.postMessage(answer(data));
  scope.close();
};
