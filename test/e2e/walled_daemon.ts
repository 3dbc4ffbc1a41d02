/** The daemon with its processes behind their walls, each of which an attacker can be made to own: see redteam/. As root only. */

import { join } from "node:path";
import { kernelSupport } from "../../src/kernel/mod.ts";
import type { ProcessName } from "../../src/protocol/mod.ts";
import { PROCESS_NAMES } from "../../src/protocol/processes.ts";
import { type Daemon, type DaemonOptions, PROJECT, withDaemon } from "./harness.ts";
import type { OrderBody } from "./redteam/attacks.ts";

/** Whether this machine gives all walls, to root. */
export const HAS_WALLS = Deno.build.os === "linux" && Deno.uid() === 0 && givesAll();

function givesAll(): boolean {
  const { landlockAbi, namespaces, seccomp } = kernelSupport();
  return landlockAbi >= 6 && namespaces && seccomp;
}

/** Where the program of the daemon lies; its imports are this project's. Its processes may read there. */
function copyProgram(): string {
  const folder = Deno.makeTempDirSync({ prefix: "vaultpost-program-" });
  Deno.chmodSync(folder, 0o755);
  const copy = (path: string) => {
    const text = Deno.readTextFileSync(join(PROJECT, path))
      .replace(/"(?:\.\.\/)+(src|workers)\//g, `"file://${PROJECT}/$1/`)
      .replace(/"(?:\.\.\/)+(?:kernel\/|isolate\/|(?=ids\.ts))/g, `"./`);
    Deno.writeTextFileSync(join(folder, path.split("/").at(-1)!), text);
  };
  for (const { name } of Deno.readDirSync(join(PROJECT, "test/e2e/redteam"))) copy(`test/e2e/redteam/${name}`);
  const more = [
    "kernel/attempts.ts",
    "isolate/hostile_messages.ts",
    "isolate/samples.ts",
    "isolate/event_details.ts",
    "ids.ts",
  ];
  for (const path of more) copy(`test/${path}`);
  return folder;
}

/** A running daemon of which processes can be owned. */
export interface Walled {
  readonly daemon: Daemon;
  /** Where its program lies. */
  readonly program: string;
  /** Ids of its processes that run now. */
  pids(): Record<ProcessName, number>;
  /** Tells the attacker in a process what to do. */
  order(process: ProcessName, order: OrderBody): void;
}

/** A walled daemon for the length of `body`. */
export async function withWalled(options: DaemonOptions, body: (walled: Walled) => Promise<void>): Promise<void> {
  const program = copyProgram();
  let number = 0;
  const runtime = ["run", "--allow-all", "--no-check", "--cached-only", "--config", `${PROJECT}/deno.json`];
  try {
    await withDaemon(
      { ...options, twoUsers: true, program: [Deno.execPath(), ...runtime, join(program, "main.ts")] },
      (daemon) =>
        body({
          daemon,
          program,
          pids: () => processesOf(daemon.pid),
          order: (process, order) => {
            const path = join(program, `order-${process}`);
            Deno.writeTextFileSync(`${path}.new`, JSON.stringify({ number: ++number, ...order }));
            Deno.renameSync(`${path}.new`, path);
          },
        }),
    );
  } finally {
    await Deno.remove(program, { recursive: true });
  }
}

/** Returns the ids of the processes of a daemon by their names; 0 for one that does not run. */
export function processesOf(parent: number): Record<ProcessName, number> {
  const found = Object.fromEntries(PROCESS_NAMES.map((name) => [name, 0])) as Record<ProcessName, number>;
  for (const pid of childrenOf(parent)) {
    const words = textOf(`/proc/${pid}/cmdline`).split("\0");
    const name = PROCESS_NAMES.find((name) => words.at(-2) === name && words.at(-3) === "isolates");
    if (name !== undefined) found[name] = pid;
  }
  return found;
}

function childrenOf(parent: number): number[] {
  const threads = [...Deno.readDirSync(`/proc/${parent}/task`)];
  const lists = threads.map(({ name }) => textOf(`/proc/${parent}/task/${name}/children`));
  return [...new Set(lists.join(" ").split(/\s+/).filter((pid) => pid !== "").map(Number))];
}

/** The text of a file that may be gone. */
export function textOf(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch {
    return "";
  }
}
