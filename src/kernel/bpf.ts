/**
 * The filter of system calls as a program of classic BPF (seccomp(2)): made of rules, purely. What is asked of the kernel by number comes first,
 * argument by argument; then a list of what is refused; all else is allowed.
 */

import type { SeccompRules } from "./walls.ts";
import { type SyscallName, syscallNumber } from "./syscalls.ts";

export type Arch = "x86_64" | "aarch64";

/** struct sock_filter */
export interface Instruction {
  readonly code: number;
  /** How many instructions are skipped when the comparison holds, and when it does not. */
  readonly yes: number;
  readonly no: number;
  readonly k: number;
}

/** BPF_LD | BPF_W | BPF_ABS; BPF_JMP with BPF_JEQ, BPF_JGE, BPF_JSET, all | BPF_K; BPF_ALU | BPF_AND | BPF_K; BPF_RET | BPF_K. */
export const LOAD = 0x20, IF_EQUAL = 0x15, IF_AT_LEAST = 0x35, IF_ANY_BIT = 0x45, AND = 0x54, RETURN = 0x06;
const ALLOW = 0x7fff_0000, ERRNO = 0x0005_0000;
const EPERM = 1, ENOSYS = 38;
/** What the filter answers: the call is made, EPERM, or ENOSYS as from a kernel without that call. */
export const ANSWERS = { allow: ALLOW, refuse: ERRNO | EPERM, unknown: ERRNO | ENOSYS } as const;
type Answer = keyof typeof ANSWERS;

/** struct seccomp_data: where the number, the processor and the low half of an argument are. */
const NUMBER_AT = 0, ARCH_AT = 4;
const argument = (index: number): number => 16 + index * 8;
const AUDIT_ARCH: Readonly<Record<Arch, number>> = { x86_64: 0xc000_003e, aarch64: 0xc000_00b7 };
/** Numbers from here on are those of the x32 ABI. */
const X32 = 0x4000_0000;

/**
 * No program of a mail system needs these: other processes' memory, ways into the kernel, the machine itself. What is not here is what programs lock themselves
 * in with (chroot(8), sandboxes), or ask of the machine (quotas, keys of a file system).
 */
const NEVER: readonly SyscallName[] = [
  ...[
    "ptrace",
    "process_vm_readv",
    "process_vm_writev",
    "process_madvise",
    "process_mrelease",
    "pidfd_getfd",
    "kcmp",
  ] as const,
  ...["bpf", "perf_event_open", "userfaultfd", "lookup_dcookie", "open_by_handle_at"] as const,
  ...["io_uring_setup", "io_uring_enter", "io_uring_register", "fanotify_init", "fanotify_mark"] as const,
  ...["kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module"] as const,
  ...["query_module", "acct", "swapon", "swapoff", "reboot", "nfsservctl", "uselib", "sysfs", "ustat"] as const,
  ...["vhangup", "iopl", "ioperm", "modify_ldt", "sethostname", "setdomainname"] as const,
  ...["settimeofday", "clock_settime", "migrate_pages", "move_pages"] as const,
];

/** Only programs may need these: mounts, namespaces, keys, the rest of the machine. */
const FOR_SANDBOXES: readonly SyscallName[] = [
  ...[
    "mount",
    "umount2",
    "pivot_root",
    "chroot",
    "open_tree",
    "open_tree_attr",
    "move_mount",
    "mount_setattr",
  ] as const,
  ...["fsopen", "fsconfig", "fsmount", "fspick", "unshare", "setns", "name_to_handle_at"] as const,
  ...["keyctl", "add_key", "request_key", "personality", "quotactl", "quotactl_fd", "syslog"] as const,
  ...["adjtimex", "clock_adjtime"] as const,
];

/** Only who starts programs may need these: changes of user, other processes, System V and POSIX IPC, devices. */
const FOR_PROGRAMS: readonly SyscallName[] = [
  ...[
    "execve",
    "execveat",
    "fork",
    "vfork",
    "setuid",
    "setgid",
    "setreuid",
    "setregid",
    "setresuid",
    "setresgid",
  ] as const,
  ...["setfsuid", "setfsgid", "setgroups", "capset", "tkill", "pidfd_send_signal", "rt_sigqueueinfo"] as const,
  ...["rt_tgsigqueueinfo", "sched_setaffinity", "sched_setattr", "sched_setparam", "sched_setscheduler"] as const,
  ...[
    "setpriority",
    "ioprio_set",
    "mknod",
    "mknodat",
    "shmget",
    "shmat",
    "shmctl",
    "semget",
    "semop",
    "semctl",
  ] as const,
  ...["semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl", "mq_open", "mq_unlink"] as const,
];

const AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16, NETLINK_ROUTE = 0;
const SOCK_TYPE_MASK = 0xf, SOCK_DGRAM = 2;
const CLONE_THREAD = 0x0001_0000;
/** CLONE_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWUSER, _NEWPID, _NEWNET. */
const CLONE_NAMESPACES = 0x7e02_0000;
const TIOCSTI = 0x5412, TIOCLINUX = 0x541c;
/** Would open the process to its neighbours of the same user again. */
const PR_SET_DUMPABLE = 4, PR_SET_MM = 35, PR_SET_PTRACER = 0x5961_6d61;

const load = (at: number): Instruction => ({ code: LOAD, yes: 0, no: 0, k: at });
const answer = (what: Answer): Instruction => ({ code: RETURN, yes: 0, no: 0, k: ANSWERS[what] });
/** Where the loaded word is `k`, the answer. */
const answerIf = (k: number, what: Answer): Instruction[] => [{ code: IF_EQUAL, yes: 0, no: 1, k }, answer(what)];
/** Where the loaded word has a bit of `k`, the answer. */
const answerIfAny = (k: number, what: Answer): Instruction[] => [{ code: IF_ANY_BIT, yes: 0, no: 1, k }, answer(what)];

/** Allowed only with one of these values of an argument. */
const only = (index: number, values: readonly number[]): Instruction[] => [
  load(argument(index)),
  ...values.flatMap((value) => answerIf(value, "allow")),
  answer("refuse"),
];
/** Refused with one of these values of an argument. */
const except = (index: number, values: readonly number[]): Instruction[] => [
  load(argument(index)),
  ...values.flatMap((value) => answerIf(value, "refuse")),
  answer("allow"),
];

function socket(rules: SeccompRules): Instruction[] {
  const families = [rules.unix ? [AF_UNIX] : [], rules.internet ? [AF_INET, AF_INET6] : []].flat();
  const block = only(0, families);
  // Over netlink the kernel is asked for the addresses of this machine.
  if (!rules.internet) return block;
  const byProtocol = [load(argument(2)), ...answerIf(NETLINK_ROUTE, "allow")];
  return [
    ...block.slice(0, -1),
    { code: IF_EQUAL, yes: 0, no: byProtocol.length, k: AF_NETLINK },
    ...byProtocol,
    answer("refuse"),
  ];
}

/** A pair of datagram sockets could send to every address. */
function socketPair(): Instruction[] {
  return [
    load(argument(1)),
    { code: AND, yes: 0, no: 0, k: SOCK_TYPE_MASK },
    ...answerIf(SOCK_DGRAM, "refuse"),
    ...only(0, [AF_UNIX]),
  ];
}

function clone(): Instruction[] {
  return [
    load(argument(0)),
    ...answerIfAny(CLONE_NAMESPACES, "refuse"),
    ...answerIfAny(CLONE_THREAD, "allow"),
    answer("refuse"),
  ];
}

/** What is decided by an argument. Each block answers in any case. */
function blocks(rules: SeccompRules, pid: number): [SyscallName, Instruction[]][] {
  const terminals: [SyscallName, Instruction[]] = ["ioctl", except(1, [TIOCSTI, TIOCLINUX])];
  // Programs make sockets of every kind, processes, and sandboxes of their own.
  if (rules.exec) return [terminals];
  return [
    ["socket", socket(rules)],
    ["socketpair", socketPair()],
    ["clone", clone()],
    // Its flags are in memory, where a filter cannot look: without it the C library takes clone(2).
    ["clone3", [answer("unknown")]],
    terminals,
    ["prctl", except(0, [PR_SET_DUMPABLE, PR_SET_MM, PR_SET_PTRACER])],
    ["kill", only(0, [pid])],
    ["tgkill", only(0, [pid])],
    ["prlimit64", only(0, [0, pid])],
  ];
}

function refused(rules: SeccompRules): SyscallName[] {
  if (rules.exec) return [...NEVER];
  return [
    ...NEVER,
    ...FOR_SANDBOXES,
    ...FOR_PROGRAMS,
    ...(rules.listen ? [] : ["listen", "accept", "accept4"] as const),
    ...(rules.internet || rules.unix ? [] : ["connect"] as const),
    ...(rules.internet || rules.unix || rules.listen ? [] : ["bind"] as const),
  ];
}

/**
 * Returns the filter for the process `pid` on a processor. Refused calls answer EPERM. Calls of another ABI of the processor, whose numbers mean other
 * calls, are refused altogether.
 */
export function seccompProgram(
  rules: SeccompRules,
  process: { readonly arch: Arch; readonly pid: number },
): Instruction[] {
  const { arch, pid } = process;
  const program: Instruction[] = [
    load(ARCH_AT),
    { code: IF_EQUAL, yes: 1, no: 0, k: AUDIT_ARCH[arch] },
    answer("refuse"),
    load(NUMBER_AT),
  ];
  if (arch === "x86_64") program.push({ code: IF_AT_LEAST, yes: 0, no: 1, k: X32 }, answer("refuse"));
  for (const [name, block] of blocks(rules, pid)) {
    const number = syscallNumber(name, arch);
    if (number !== null) program.push({ code: IF_EQUAL, yes: 0, no: block.length, k: number }, ...block);
  }
  for (const name of refused(rules)) {
    const number = syscallNumber(name, arch);
    if (number !== null) program.push(...answerIf(number, "refuse"));
  }
  return [...program, answer("allow")];
}

/** Returns the program as an array of struct sock_filter. */
export function encodeProgram(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(program.length * 8), view = new DataView(bytes.buffer);
  for (const [at, { code, yes, no, k }] of program.entries()) {
    view.setUint16(at * 8, code, true);
    view.setUint8(at * 8 + 2, yes);
    view.setUint8(at * 8 + 3, no);
    view.setUint32(at * 8 + 4, k, true);
  }
  return bytes;
}
