/** The filter of system calls, run by an interpreter of BPF; what the kernel makes of it is in walls_test.ts. */

import assert from "node:assert/strict";
import * as bpf from "../../src/kernel/bpf.ts";
import { type SyscallName, syscallNumber, SYSCALLS } from "../../src/kernel/syscalls.ts";
import type { SeccompRules } from "../../src/kernel/walls.ts";

const AUDIT_ARCH = { x86_64: 0xc000_003e, aarch64: 0xc000_00b7, i386: 0x4000_0003 } as const;
const PID = 4711;
const NOTHING: SeccompRules = { internet: false, unix: false, listen: false, exec: false };
const EVERYTHING: SeccompRules = { internet: true, unix: true, listen: true, exec: true };

interface Call {
  readonly number: number;
  readonly arch: number;
  readonly args: readonly (number | bigint)[];
}

/** Runs a program on struct seccomp_data, as bpf(4) and seccomp(2) say. Throws for what the kernel would refuse. */
function run(program: readonly bpf.Instruction[], { number, arch, args }: Call): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, number, true);
  data.setUint32(4, arch, true);
  args.forEach((arg, at) => data.setBigUint64(16 + at * 8, BigInt.asUintN(64, BigInt(arg)), true));
  let accumulator = 0;
  for (let at = 0; at < program.length; at++) {
    const { code, yes, no, k } = program[at]!;
    assert([yes, no].every((skip) => skip >= 0 && skip < 256), "a jump of an octet");
    const jump = (holds: boolean) => at += holds ? yes : no;
    if (code === bpf.LOAD) accumulator = data.getUint32(k, true);
    else if (code === bpf.AND) accumulator = (accumulator & k) >>> 0;
    else if (code === bpf.IF_EQUAL) jump(accumulator === k);
    else if (code === bpf.IF_AT_LEAST) jump(accumulator >= k);
    else if (code === bpf.IF_ANY_BIT) jump((accumulator & k) !== 0);
    else if (code === bpf.RETURN) return k;
    else throw new Error(`No such instruction: ${code}`);
  }
  throw new Error("The program ends without an answer");
}

const answerTo = (rules: SeccompRules, call: Call, arch: bpf.Arch = "x86_64") => {
  const k = run(bpf.seccompProgram(rules, { arch, pid: PID }), call);
  return Object.entries(bpf.ANSWERS).find(([, value]) => value === k)?.[0];
};

type Row = readonly [call: SyscallName, args: readonly (number | bigint)[], rules: Partial<SeccompRules>, want: string];
const UNIX = 1, INET = 2, INET6 = 10, NETLINK = 16, PACKET = 17, VSOCK = 40;
const STREAM = 1, DGRAM = 2, RAW = 3, SEQPACKET = 5, NONBLOCK_CLOEXEC = 0o2004000;
const THREAD_FLAGS = 0x3d0f00;
const rows: readonly Row[] = [
  ["read", [0], {}, "allow"],
  ["openat", [0], {}, "allow"],
  ["execve", [], {}, "refuse"],
  ["execve", [], { exec: true }, "allow"],
  ["fork", [], {}, "refuse"],
  ["clone", [THREAD_FLAGS], {}, "allow"],
  ["clone", [THREAD_FLAGS | 0x1000_0000], {}, "refuse"],
  ["clone", [17], {}, "refuse"],
  ["clone", [17], { exec: true }, "allow"],
  ...[0x0002_0000, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000].map((flag) =>
    ["clone", [THREAD_FLAGS | flag], {}, "refuse"] as const
  ),
  ["clone3", [], {}, "unknown"],
  ["clone3", [], { exec: true }, "allow"],
  ["clone", [17 | 0x1000_0000], { exec: true }, "allow"],
  ["socket", [INET, STREAM], {}, "refuse"],
  ["socket", [INET6, DGRAM], { unix: true }, "refuse"],
  ["socket", [INET, STREAM], { internet: true }, "allow"],
  ["socket", [INET6, DGRAM], { internet: true }, "allow"],
  // The kernel looks at 32 bits: what stands above them changes nothing.
  ["socket", [0x1_0000_0002n, STREAM], {}, "refuse"],
  ["socket", [UNIX, STREAM], {}, "refuse"],
  ["socket", [UNIX, STREAM], { internet: true }, "refuse"],
  ["socket", [UNIX, STREAM], { unix: true }, "allow"],
  ["socket", [NETLINK, RAW, 0], {}, "refuse"],
  ["socket", [NETLINK, RAW, 0], { internet: true }, "allow"],
  ["socket", [NETLINK, RAW, 15], { internet: true }, "refuse"],
  ["socket", [PACKET, RAW], { internet: true, unix: true, listen: true }, "refuse"],
  ["socket", [VSOCK, STREAM], { internet: true, unix: true, listen: true }, "refuse"],
  ["socket", [VSOCK, STREAM], EVERYTHING, "allow"],
  ["socketpair", [UNIX, DGRAM], EVERYTHING, "allow"],
  ["socketpair", [UNIX, STREAM | NONBLOCK_CLOEXEC], {}, "allow"],
  ["socketpair", [UNIX, SEQPACKET], {}, "allow"],
  ["socketpair", [UNIX, DGRAM | NONBLOCK_CLOEXEC], {}, "refuse"],
  ["socketpair", [VSOCK, STREAM], {}, "refuse"],
  ["connect", [3], {}, "refuse"],
  ["connect", [3], { internet: true }, "allow"],
  ["connect", [3], { unix: true }, "allow"],
  ["bind", [3], {}, "refuse"],
  ["bind", [3], { internet: true }, "allow"],
  ["listen", [3], { internet: true, unix: true }, "refuse"],
  ["listen", [3], { listen: true }, "allow"],
  ["accept4", [3], { internet: true }, "refuse"],
  ["accept", [3], { listen: true }, "allow"],
  ["kill", [PID, 9], {}, "allow"],
  ["kill", [PID + 1, 9], {}, "refuse"],
  ["kill", [-1, 9], {}, "refuse"],
  ["kill", [0, 9], {}, "refuse"],
  ["kill", [PID + 1, 9], { exec: true }, "allow"],
  ["tgkill", [PID, 5000, 6], {}, "allow"],
  ["tgkill", [1, 1, 6], {}, "refuse"],
  ["prlimit64", [0], {}, "allow"],
  ["prlimit64", [PID], {}, "allow"],
  ["prlimit64", [PID - 1], {}, "refuse"],
  ["prctl", [15], {}, "allow"],
  ["prctl", [4, 1], {}, "refuse"],
  ["prctl", [4, 0], EVERYTHING, "allow"],
  ["prctl", [35], {}, "refuse"],
  ["prctl", [0x5961_6d61, -1], {}, "refuse"],
  ["ioctl", [0, 0x5401], {}, "allow"],
  ["ioctl", [0, 0x5412], EVERYTHING, "refuse"],
  ["ioctl", [0, 0x1_0000_5412n], EVERYTHING, "refuse"],
  ...(["ptrace", "process_vm_writev", "pidfd_getfd", "bpf", "perf_event_open", "userfaultfd", "kexec_load"] as const)
    .flatMap((call) => [[call, [], {}, "refuse"], [call, [], EVERYTHING, "refuse"]] as const),
  ...(["finit_module", "io_uring_setup", "swapon", "reboot", "open_by_handle_at", "iopl", "clock_settime"] as const)
    .flatMap((call) => [[call, [], {}, "refuse"], [call, [], EVERYTHING, "refuse"]] as const),
  ...(["mount", "move_mount", "open_tree_attr", "pivot_root", "chroot", "unshare", "setns", "keyctl"] as const)
    .flatMap((call) => [[call, [], {}, "refuse"], [call, [], EVERYTHING, "allow"]] as const),
  ...(["personality", "quotactl", "syslog"] as const)
    .flatMap((call) => [[call, [], {}, "refuse"], [call, [], EVERYTHING, "allow"]] as const),
  ...(["setuid", "setresuid", "setgroups", "capset", "execveat", "vfork", "setpriority", "mknodat", "shmget"] as const)
    .flatMap((call) => [[call, [], {}, "refuse"], [call, [], EVERYTHING, "allow"]] as const),
];

for (const arch of ["x86_64", "aarch64"] as const) {
  Deno.test(`seccompProgram() for ${arch} answers each call as its rules say`, () => {
    for (const [call, args, rules, want] of rows) {
      const number = syscallNumber(call, arch);
      if (number === null) continue;
      const got = answerTo({ ...NOTHING, ...rules }, { number, arch: AUDIT_ARCH[arch], args }, arch);
      assert.equal(got, want, `${call}(${args}) with ${JSON.stringify(rules)}`);
    }
  });
}

Deno.test("seccompProgram() refuses whatever comes by another ABI of the processor", () => {
  for (const rules of [NOTHING, EVERYTHING]) {
    for (const number of [0, 1, 3, 59, 60, 400]) {
      assert.equal(answerTo(rules, { number, arch: AUDIT_ARCH.i386, args: [] }), "refuse");
      assert.equal(answerTo(rules, { number: 0x4000_0000 + number, arch: AUDIT_ARCH.x86_64, args: [] }), "refuse");
    }
    assert.equal(answerTo(rules, { number: 0, arch: AUDIT_ARCH.aarch64, args: [] }), "refuse");
  }
});

Deno.test("encodeProgram() lays instructions out as struct sock_filter", () => {
  const encoded = bpf.encodeProgram([{ code: bpf.IF_EQUAL, yes: 1, no: 2, k: 0xc000_003e }]);
  assert.deepEqual([...encoded], [0x15, 0, 1, 2, 0x3e, 0, 0, 0xc0]);
});

/** The kernel's own headers, where they are installed. Both processors' are part of those of one. */
const HEADERS = {
  x86_64: "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
  aarch64: "/usr/include/asm-generic/unistd.h",
} as const;
for (const [arch, path] of Object.entries(HEADERS) as [bpf.Arch, string][]) {
  Deno.test({
    name: `the numbers of system calls are those of the kernel's headers for ${arch}`,
    ignore: !exists(path),
    fn: () => {
      const text = Deno.readTextFileSync(path);
      let compared = 0;
      for (const name of Object.keys(SYSCALLS) as SyscallName[]) {
        const found = new RegExp(`#define __NR(?:3264)?_${name}\\s+(\\d+)$`, "m").exec(text)?.[1];
        const ours = syscallNumber(name, arch);
        // Headers may be older than a call.
        if (found === undefined) assert(ours === null || ours > 440, `${name} is not in ${path}`);
        else assert.equal(ours, Number(found), name);
        compared += found === undefined ? 0 : 1;
      }
      assert(compared > 100);
    },
  });
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
}
