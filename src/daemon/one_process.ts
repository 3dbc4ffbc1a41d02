/**
 * The wall around this process where all isolates share it: a filter of system calls (seccomp(2)), which holds for every thread at once. What it may refuse depends
 * on whether this process starts programs, for these have the same filter. There is no Landlock here: in a process that runs already it holds only for
 * the thread that asks for it and for those which that one starts later, and file calls are made by threads of the runtime which are there before.
 */

import {
  describeSeccomp,
  installSeccomp,
  type KernelSupport,
  kernelSupport,
  type SeccompRules,
} from "../kernel/mod.ts";
import type { Settings } from "../protocol/mod.ts";

/** What is to stand around the one process, and why not more. */
export interface OneProcessWall {
  /** Null: no filter. */
  readonly seccomp: SeccompRules | null;
  /** It starts programs, and these may need the rights of setuid(2) programs. */
  readonly programs: boolean;
  /** Of its user. */
  readonly uid: number;
}

const NO_PROGRAMS: SeccompRules = { internet: true, unix: true, listen: true, exec: false };
const PROGRAMS: SeccompRules = { ...NO_PROGRAMS, exec: true };

/** Returns the wall for a process with these settings that runs as the user `uid`. */
export function oneProcessWall(settings: Pick<Settings, "filter" | "privileged">, uid: number): OneProcessWall {
  const { filter, privileged } = settings;
  const programs = filter.tables.length > 0 || (filter.filters ?? []).length > 0 ||
    // A user of any local action may name a command.
    Object.keys(privileged.actions).length > 0;
  if (!programs) return { seccomp: NO_PROGRAMS, programs, uid };
  return { seccomp: uid === 0 ? PROGRAMS : null, programs, uid };
}

/** Describes it in one line, for `smtpd -n -v`, with what this kernel cannot give. */
export function describeOneProcess(
  { seccomp, programs, uid }: OneProcessWall,
  support: () => Pick<KernelSupport, "seccomp" | "namespaces"> = kernelSupport,
): string {
  const user = `user: ${uid === 0 ? "root" : `uid ${uid}`}; namespaces and network: this machine's`;
  const files = `${user}; files: all that its user may (Landlock cannot be put around a process that runs already)`;
  if (seccomp === null) {
    return `${files}; seccomp: none (filters, tables and local deliveries may start programs, and only root ` +
      "can leave setuid programs their rights behind a filter)";
  }
  return `${files}; ${describeSeccomp(seccomp)}${lacking({ programs }, support)}`;
}

function lacking(
  { programs }: Pick<OneProcessWall, "programs">,
  support: () => Pick<KernelSupport, "seccomp" | "namespaces">,
): string {
  try {
    const { seccomp, namespaces } = support();
    if (!seccomp) return " (does not stand: this kernel has no seccomp)";
    return programs && !namespaces ? " (does not stand: it takes CAP_SYS_ADMIN, which this root has not)" : "";
  } catch (error) {
    return ` (does not stand: ${(error as Error).message})`;
  }
}

/**
 * Puts it up, for good, in all threads. Returns why it does not stand; null when it does, or there is none to put up. Needs the permission ffi;
 * `install` is replaced by tests.
 */
export function putUpWall(
  { seccomp, programs }: Pick<OneProcessWall, "seccomp" | "programs">,
  install: typeof installSeccomp = installSeccomp,
): string | null {
  if (seccomp === null) return null;
  try {
    install(seccomp, { keepsPrivileges: programs });
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
