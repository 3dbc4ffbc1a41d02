/**
 * The walls around this process where all isolates share it: Landlock (landlock(7)), and a filter of system calls (seccomp(2)). What may be refused
 * depends on whether this process starts programs, for these have the same walls.
 *
 * The filter holds for every thread at once. Landlock holds for the thread that asks for it and those which that one starts later. Main asks for it before it starts
 * isolates: it holds for main, for each isolate, and for the threads that call files for them. It does not hold for the few threads that the runtime has started
 * before; those compile and collect, or wait to call files for main and end after ten seconds of that. To begin anew behind it (execve(2)) would hold for these as well,
 * and doubles the time of the start: decision 19.
 */

import {
  describeSeccomp,
  installSeccomp,
  type KernelSupport,
  kernelSupport,
  type LandlockRules,
  restrictThread,
  type SeccompRules,
} from "../kernel/mod.ts";
import type { Settings } from "../protocol/mod.ts";
import { beyond } from "./one_process_files.ts";

/** What is to stand around the one process, and why not more. */
export interface OneProcessWall {
  /** Null: no filter. */
  readonly seccomp: SeccompRules | null;
  /** Null: no Landlock. It takes new privileges from programs, and these use files that nobody knows beforehand. */
  readonly landlock: LandlockRules | null;
  /** It starts programs, and these may need the rights of setuid(2) programs. */
  readonly programs: boolean;
  /** Of its user. */
  readonly uid: number;
}

const NO_PROGRAMS: SeccompRules = { internet: true, unix: true, listen: true, exec: false };
const PROGRAMS: SeccompRules = { ...NO_PROGRAMS, exec: true };

/** Returns the wall for a process with these settings that runs as the user `uid`. `files` returns what it may use where it starts no programs. */
export function oneProcessWall(
  settings: Pick<Settings, "filter" | "privileged" | "acme">,
  uid: number,
  files: () => LandlockRules,
): OneProcessWall {
  const { filter, privileged, acme } = settings;
  const programs = filter.tables.length > 0 || (filter.filters ?? []).length > 0 ||
    // By its hook.
    acme.certificates.some(({ challenge }) => challenge === "dns-01") ||
    // A user of any local action may name a command.
    Object.keys(privileged.actions).length > 0;
  if (!programs) return { seccomp: NO_PROGRAMS, landlock: files(), programs, uid };
  return { seccomp: uid === 0 ? PROGRAMS : null, landlock: null, programs, uid };
}

/** What the kernel has of that. */
type Support = Pick<KernelSupport, "seccomp" | "namespaces" | "landlockAbi">;

/** Describes it in one line, for `smtpd -n -v`, with what this kernel cannot give. */
export function describeOneProcess(
  { seccomp, landlock, programs, uid }: OneProcessWall,
  support: () => Support = kernelSupport,
): string {
  const has = supportOr(support);
  const user = `user: ${uid === 0 ? "root" : `uid ${uid}`}; namespaces and network: this machine's`;
  const all = `${user}; files: ${landlock === null ? UNRESTRICTED : describeFiles(landlock, has)}`;
  if (seccomp === null) {
    return `${all}; seccomp: none (filters, tables and local deliveries may start programs, and only root ` +
      "can leave setuid programs their rights behind a filter)";
  }
  return `${all}; ${describeSeccomp(seccomp)}${lacking({ programs }, has)}`;
}

const UNRESTRICTED = "all that its user may (filters, tables and local deliveries may start programs, " +
  "and Landlock would hold for these)";

function describeFiles({ read, write, sockets = [] }: LandlockRules, has: Support | string): string {
  const files = `read ${read.join(" ")}, write ${[...new Set([...write, ...sockets])].join(" ")}`;
  if (typeof has === "string") return `${files} (does not stand: ${has})`;
  return has.landlockAbi === 0 ? `${files} (does not stand: this kernel has no Landlock)` : files;
}

/** What the kernel has, or why that cannot be known. */
function supportOr(support: () => Support): Support | string {
  try {
    return support();
  } catch (error) {
    return (error as Error).message;
  }
}

function lacking({ programs }: Pick<OneProcessWall, "programs">, has: Support | string): string {
  if (typeof has === "string") return ` (does not stand: ${has})`;
  if (!has.seccomp) return " (does not stand: this kernel has no seccomp)";
  return programs && !has.namespaces ? " (does not stand: it takes CAP_SYS_ADMIN, which this root has not)" : "";
}

/** The calls that put walls up, replaced by tests. */
interface Installers {
  readonly seccomp: typeof installSeccomp;
  readonly landlock: typeof restrictThread;
}

/**
 * Puts it up, for good: Landlock around this thread and those that it starts from now on, the filter in all threads. Returns what does not stand, and why;
 * nothing when all does, or there is none to put up. Needs the permission ffi.
 */
export function putUpWall(
  { seccomp, landlock, programs }: Pick<OneProcessWall, "seccomp" | "landlock" | "programs">,
  install: Installers = { seccomp: installSeccomp, landlock: restrictThread },
): readonly string[] {
  const missing: string[] = [];
  try {
    if (landlock !== null) missing.push(...install.landlock(landlock));
  } catch (error) {
    missing.push(`Landlock (${(error as Error).message})`);
  }
  try {
    if (seccomp !== null) install.seccomp(seccomp, { keepsPrivileges: programs });
  } catch (error) {
    missing.push(`a filter of system calls (${(error as Error).message})`);
  }
  return missing;
}

/** Returns what keeps `stands`, which cannot be changed any more, from being `wanted`, in words; nothing when all goes on as it is. */
export function beyondWall(stands: OneProcessWall, wanted: OneProcessWall): readonly string[] {
  if (stands.landlock === null) return [];
  if (wanted.landlock === null) return ["it may not start programs"];
  return beyond(stands.landlock, wanted.landlock);
}
