/** The kernel's walls as `smtpd -n -v` prints them: what each process will get, and what this kernel cannot give. Starts nothing. */

import { describeWalls, type KernelSupport, kernelSupport } from "../kernel/mod.ts";
import type { Grants, Role } from "../protocol/mod.ts";
import { PROCESSES, type ProcessName, processOf, type ProcessTraits } from "../protocol/processes.ts";
import { processPlans } from "./processes.ts";
import type { ProcessUsers } from "./users.ts";

/** What versions of Landlock before others cannot do. */
const LANDLOCK = [
  { since: 3, linux: "6.2", what: "cannot refuse to truncate files" },
  { since: 4, linux: "6.7", what: "cannot limit TCP" },
  { since: 6, linux: "6.12", what: "cannot keep abstract sockets and signals apart" },
];

/** Returns lines for each process: its roles, and its walls. */
export function describeProcesses(
  grants: Readonly<Record<Role, Grants>>,
  users: ProcessUsers,
  runtime: { readonly program: string; readonly denoDir: string | null },
  support: () => KernelSupport = kernelSupport,
): string[] {
  const roles = Object.keys(grants) as Role[];
  const isolatesOf = (process: ProcessName | null) => roles.filter((role) => processOf(role) === process);
  const kernel = support();
  return [
    "What the kernel lets each process do:",
    `  ${"parent".padEnd(10)} isolates: main ${isolatesOf(null).join(" ")}`,
    `  ${"".padEnd(10)} user: root; namespaces, network and files: all of this machine's; seccomp: none`,
    ...processPlans(grants, users, runtime).flatMap(({ name, walls }) => [
      `  ${name.padEnd(10)} isolates: ${(PROCESSES[name] as ProcessTraits).roles.join(" ")}`,
      `  ${"".padEnd(10)} ${describeWalls(walls)}`,
    ]),
    `  ${"kernel".padEnd(10)} ${describeSupport(kernel)}`,
    ...missingWalls(kernel).map((line) => `  warning: this kernel ${line}`),
  ];
}

/** What a kernel gives, in words. */
function describeSupport({ landlockAbi, seccomp, namespaces }: KernelSupport): string {
  return [
    `Landlock: ${landlockAbi === 0 ? "no" : `ABI ${landlockAbi}`}`,
    `seccomp: ${seccomp ? "yes" : "no"}`,
    `namespaces: ${namespaces ? "yes" : "no"}`,
  ].join("; ");
}

/** What a kernel cannot give, in words. */
export function missingWalls({ landlockAbi: abi, seccomp, namespaces }: KernelSupport): string[] {
  const byAbi = LANDLOCK.filter(({ since }) => abi < since)
    .map(({ since, linux, what }) => `${what} (Landlock ABI ${abi}; ${since} of Linux ${linux} can)`);
  return [
    ...abi === 0 ? ["has no Landlock: files are kept from the processes by their users alone"] : byAbi,
    ...seccomp ? [] : ["has no seccomp: every system call is open to the processes"],
    ...namespaces ? [] : ["lets smtpd make no namespaces: the processes share this machine's network and /proc"],
  ];
}
