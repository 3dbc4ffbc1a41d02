/** Puts the filter of system calls around the whole process. */

import { encodeProgram, seccompProgram } from "./bpf.ts";
import { KernelError, type Libc, libc } from "./libc.ts";
import type { SeccompRules } from "./walls.ts";

const PR_SET_DUMPABLE = 4, PR_SET_NO_NEW_PRIVS = 38;
const SET_MODE_FILTER = 1, GET_ACTION_AVAIL = 2, FLAG_TSYNC = 1;
const RET_ERRNO = 0x0005_0000;

/** Tells whether this kernel has filters of system calls. */
export function hasSeccomp(kernel: Libc): boolean {
  const action = new Uint8Array(4);
  new DataView(action.buffer).setUint32(0, RET_ERRNO, true);
  return kernel.call("seccomp", GET_ACTION_AVAIL, 0, action) === 0;
}

/**
 * Refuses system calls from now on, in every thread of this process and in all that it starts; it cannot be undone. Gives up new privileges too, unless
 * programs are started that may need them (`keepsPrivileges`), which takes CAP_SYS_ADMIN. Where no programs are started it closes the process to others of its user
 * (ptrace(2), /proc/PID/mem). Needs the permission ffi. Throws a KernelError.
 */
export function installSeccomp(
  rules: SeccompRules,
  { keepsPrivileges = false }: { readonly keepsPrivileges?: boolean } = {},
): void {
  const kernel = libc();
  const process = { arch: Deno.build.arch as "x86_64" | "aarch64", pid: kernel.call("getpid") };
  const program = seccompProgram(rules, process);
  const filter = kernel.pin(program.length * 8), header = kernel.pin(16);
  filter.bytes.set(encodeProgram(program));
  // struct sock_fprog
  header.view.setUint16(0, program.length, true);
  header.view.setBigUint64(8, filter.address, true);
  const doing = "Cannot refuse system calls";
  if (!keepsPrivileges) kernel.must(doing, "prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  if (!rules.exec) kernel.must(doing, "prctl", PR_SET_DUMPABLE, 0, 0, 0, 0);
  const stranger = kernel.must(doing, "seccomp", SET_MODE_FILTER, FLAG_TSYNC, header.bytes);
  // `filter` was needed until here.
  if (stranger !== 0) {
    throw new KernelError("seccomp(2)", 3, `${doing}, ${filter.bytes.length / 8} rules: thread ${stranger}`);
  }
}
