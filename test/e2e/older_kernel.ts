/**
 * Becomes a program for which this kernel has fewer system calls than it has: `older_kernel.ts CALL,… PROGRAM ARGUMENTS…`. Such calls answer ENOSYS, as from
 * an older kernel. Only root can do this to programs that keep their privileges.
 */

import { ANSWERS, encodeProgram, IF_EQUAL, type Instruction, LOAD, RETURN } from "../../src/kernel/bpf.ts";
import { cString, libc } from "../../src/kernel/libc.ts";
import { type SyscallName, syscallNumber } from "../../src/kernel/syscalls.ts";

const SET_MODE_FILTER = 1;
const [calls, ...command] = Deno.args as [string, string, ...string[]];
const kernel = libc();

function answer(k: number): Instruction {
  return { code: RETURN, yes: 0, no: 0, k };
}

const program: Instruction[] = [
  { code: LOAD, yes: 0, no: 0, k: 0 },
  ...calls.split(",").flatMap((name) => [
    { code: IF_EQUAL, yes: 0, no: 1, k: syscallNumber(name as SyscallName)! },
    answer(ANSWERS.unknown),
  ]),
  answer(ANSWERS.allow),
];

/** What the kernel has the address of. */
const kept: unknown[] = [];

function strings(texts: readonly string[]): Uint8Array<ArrayBuffer> {
  const array = kernel.pin((texts.length + 1) * 8);
  for (const [at, text] of texts.entries()) {
    const string = cString(text), pinned = kernel.pin(string.length);
    pinned.bytes.set(string);
    kept.push(pinned);
    array.view.setBigUint64(at * 8, pinned.address, true);
  }
  kept.push(array);
  return array.bytes;
}

const argv = strings(command),
  envp = strings(Object.entries(Deno.env.toObject()).map(([key, value]) => `${key}=${value}`));
const filter = kernel.pin(program.length * 8), header = kernel.pin(16);
filter.bytes.set(encodeProgram(program));
header.view.setUint16(0, program.length, true);
header.view.setBigUint64(8, filter.address, true);
kernel.must("test", "seccomp", SET_MODE_FILTER, 0, header.bytes);
kernel.must("test", "execve", cString(command[0]), argv, envp);
