/** Starts a process behind walls of the kernel, and awaits its end. Linux only. */

import { cString, KernelError, libc, LIBC_PATHS } from "./libc.ts";
import type { KernelWalls } from "./walls.ts";

export interface LaunchPlan {
  /** Absolute path. */
  readonly program: string;
  /** Without the program's name. */
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Become 3, 4, … in the process. There 0 is /dev/null, 1 and 2 are the parent's, and nothing else is open. The caller keeps its own. */
  readonly descriptors: readonly number[];
  readonly walls: KernelWalls;
}

export interface Launched {
  readonly pid: number;
  /** Walls that this kernel does not give, in words. */
  readonly missing: readonly string[];
  /** One of the two is null; both, if something else has waited for it. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: number | null }>;
  /** Does nothing when it has ended. */
  kill(signal: "SIGTERM" | "SIGKILL"): void;
}

/** What the worker answers. */
export type LaunchReply =
  | { readonly pid: number; readonly missing: readonly string[] }
  | { readonly refused: string };

const SIGNALS = { SIGTERM: 15, SIGKILL: 9 } as const;
const P_PID = 1, WEXITED = 4, WNOWAIT = 0x01000000, WNOHANG = 1, CLD_EXITED = 1, SIGINFO_OCTETS = 128;
const ECHILD = 10;
const AT_FDCWD = -100, O_CLOEXEC = 0o2000000;
/** ENFILE, EMFILE. */
const TOO_MANY_OPEN: readonly number[] = [23, 24];
/** Descriptors that a worker and its launch need, with some to spare. */
const LAUNCH_DESCRIPTORS = 24;

/**
 * Starts a process. Walls that this kernel does not give are left out and listed in `missing`; the change of the user is never left out.
 * Throws an error that names the system call and its reason.
 */
export async function launch(plan: LaunchPlan): Promise<Launched> {
  // Opened first: what cannot wait for a process does not start one.
  const kernel = libc();
  needDescriptors("a process");
  const reply = await inWorker(plan);
  if ("refused" in reply) throw new Error(reply.refused);
  const { pid, missing } = reply;
  let over = false;
  const ended = (async () => {
    const end = await awaitEnd(pid);
    over = true;
    // Only now its number may become another's: nobody signals it any more.
    kernel.call("waitid", P_PID, pid, 0, WEXITED | WNOHANG, 0);
    return end;
  })();
  const kill = (signal: keyof typeof SIGNALS) => {
    if (!over) kernel.call("kill", pid, SIGNALS[signal]);
  };
  return { pid, missing, ended, kill };
}

/** Without descriptors for it, the start of a worker would end this process: the runtime panics. Throws a KernelError that says that `what` cannot be started. */
export function needDescriptors(what: string): void {
  const held: number[] = [], kernel = libc();
  try {
    while (held.length < LAUNCH_DESCRIPTORS) {
      held.push(kernel.must(`Cannot start ${what}`, "openat", AT_FDCWD, cString("/dev/null"), O_CLOEXEC, 0));
    }
  } catch (error) {
    // Where the file cannot be opened for another reason, nothing is known.
    if (!(error instanceof KernelError) || TOO_MANY_OPEN.includes(error.errno)) throw error;
  } finally {
    for (const descriptor of held) kernel.call("close", descriptor);
  }
}

/** A worker per launch: what its thread gives up it cannot get back. */
async function inWorker(plan: LaunchPlan): Promise<LaunchReply> {
  const permissions = {
    ffi: [...LIBC_PATHS],
    ...{ read: false, write: false, net: false, run: false, env: false, sys: false, import: false },
  };
  // A compiled program has it inside only when it is named there (`deno compile --include`), like the workers.
  const entry = new URL("./launcher_worker.ts", import.meta.url);
  const worker = new Worker(entry, { type: "module", name: "launcher", deno: { permissions } } as WorkerOptions);
  const { promise, resolve, reject } = Promise.withResolvers<LaunchReply>();
  worker.onmessage = ({ data }: MessageEvent<LaunchReply>) => resolve(data);
  worker.onerror = (event) => {
    event.preventDefault();
    reject(new Error(`Cannot start ${plan.program}: ${event.message}`));
  };
  worker.postMessage(plan);
  return await promise;
}

/** Waits, on a thread of its own, until the process has ended, and leaves it to be waited for. */
async function awaitEnd(pid: number): Promise<{ code: number | null; signal: number | null }> {
  const kernel = libc();
  const info = new Uint8Array(SIGINFO_OCTETS), view = new DataView(info.buffer);
  while (await kernel.symbols.waitid(P_PID, pid, info, WEXITED | WNOWAIT) !== 0) {
    // That thread's errno cannot be seen from here.
    if (kernel.call("waitid", P_PID, pid, 0, WEXITED | WNOWAIT | WNOHANG, 0) === -ECHILD) {
      return { code: null, signal: null };
    }
  }
  // siginfo_t: si_code, si_status.
  const code = view.getInt32(8, true), status = view.getInt32(24, true);
  return code === CLD_EXITED ? { code: status, signal: null } : { code: null, signal: status };
}
