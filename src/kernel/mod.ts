/**
 * System calls of Linux that put a wall around processes, and what travels between these: the start of a process under another user, in namespaces, behind
 * Landlock; the filter of system calls; descriptors over a unix socket. Knows nothing of the daemon. Over FFI, glibc, x86_64 and aarch64.
 */

export { clockIsKept } from "./clock.ts";
export {
  closeDescriptor,
  DescriptorSocket,
  type HandedDescriptors,
  MAX_DESCRIPTORS,
  socketPair,
} from "./descriptor_socket.ts";
export { launch, type Launched, type LaunchPlan, needDescriptors } from "./launch.ts";
export { KernelError, LIBC_PATHS } from "./libc.ts";
export { restrictThread } from "./landlock.ts";
export { makeReadOnly } from "./read_only.ts";
export {
  type KernelSupport,
  kernelSupport,
  landlockStands,
  readWalls,
  threadsOf,
  type WallsRead,
} from "./read_walls.ts";
export { type PipeEnds, pipeMark, pipePair } from "./pipes.ts";
export { listenOnIpv6, shutDown, socketCookie } from "./sockets.ts";
export { installSeccomp } from "./seccomp.ts";
export { describeSeccomp, describeWalls, type KernelWalls, type LandlockRules, type SeccompRules } from "./walls.ts";
