/**
 * Starts the processes front, out and vault behind their walls: what each may do is derived here from the settings, for the runtime's
 * permissions and for the kernel. `smtpd -n -v` prints it.
 */

import { dirname, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Environment } from "../config/mod.ts";
import { shown } from "../config/values.ts";
import { Fatal } from "./fatal.ts";
import { SocketTransport } from "../isolate/mod.ts";
import {
  closeDescriptor,
  DescriptorSocket,
  type KernelWalls,
  launch,
  type LaunchPlan,
  LIBC_PATHS,
  makeReadOnly,
  type PipeEnds,
  pipePair,
  socketPair,
  threadsOf,
} from "../kernel/mod.ts";
import { RemoteHost, type RunningProcess } from "../process/mod.ts";
import type { Grants, ProcessName, ProcessTraits, Role } from "../protocol/mod.ts";
import { PROCESS_NAMES, PROCESSES } from "../protocol/processes.ts";
import type { Processes } from "../supervisor/mod.ts";
import type { ProcessUsers } from "./users.ts";

/** What a process has of the roles that live in it. */
export interface ProcessPlan {
  readonly name: ProcessName;
  readonly grants: Grants;
  readonly walls: KernelWalls;
}

export interface ProcessesOptions {
  readonly plans: readonly ProcessPlan[];
  /** The parent's own command line, as the kernel has it. */
  readonly commandLine: readonly string[];
  /** Folder of the runtime's module cache; null in a compiled binary. */
  readonly denoDir: string | null;
  /** Folder for what the database puts aside while it works. */
  readonly spool: string;
  after(ms: number, run: () => void): () => void;
  warn(text: string): void;
}

/** Where the C library and its kin are. */
const LIBRARY_FOLDERS = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib"];
/** What the runtime reads when it starts. */
const RUNTIME_FILES = ["/etc/ld.so.cache", "/dev/urandom", "/dev/null", "/sys/fs/cgroup", "/proc"];
const root = fileURLToPath(new URL("../..", import.meta.url));

/** Returns what each process may do, in the order in which they are shown. */
export function processPlans(
  grants: Readonly<Record<Role, Grants>>,
  users: ProcessUsers,
  runtime: { readonly program: string; readonly denoDir: string | null },
): ProcessPlan[] {
  return PROCESS_NAMES.map((name) => {
    const traits: ProcessTraits = PROCESSES[name];
    const granted = union(traits.roles.map((role) => grants[role]));
    const walls: KernelWalls = {
      user: users[traits.user],
      ownNetwork: traits.network === "own",
      read: [
        ...RUNTIME_FILES,
        ...programFiles(runtime.denoDir),
        ...outermost(withCompanions(paths(granted.read))),
      ],
      execute: [runtime.program, ...LIBRARY_FOLDERS],
      write: outermost(paths(granted.write)),
      tcp: traits.network === "own" ? "none" : "connect",
      seccomp: { internet: traits.network === "connect", unix: false, listen: false, exec: false },
    };
    return { name, grants: granted, walls };
  });
}

/** The files of the program and of the packages that it uses, which workers are loaded from; none where they are in the binary. */
export function programFiles(denoDir: string | null): string[] {
  if (denoDir === null) return [];
  const main = dirname(fileURLToPath(Deno.mainModule));
  const own = ["src", "workers", "deno.json", "deno.lock", ".npmrc"].map((file) => `${root}${file}`);
  return [...new Set([main, ...own]), denoDir];
}

function paths(grant: readonly string[] | true | undefined): readonly string[] {
  return grant === true || grant === undefined ? [] : grant;
}

/**
 * Of a database its folder: the files beside it that SQLite needs come and go, and another database may be put in its place, which the kernel takes for
 * another file. The runtime still permits the isolate only these files in it.
 */
function withCompanions(read: readonly string[]): string[] {
  const all = new Set(read);
  const isDatabase = (path: string) => all.has(path) && all.has(`${path}-journal`);
  return [
    ...new Set(read.map((path) => {
      const database = path.replace(/-(?:wal|shm|journal)$/, "");
      return isDatabase(database) ? dirname(database) : path;
    })),
  ];
}

/**
 * Takes from this process, and so from the isolates in it, the right to write into the runtime's caches that it has open: what stands there is run at
 * the next start. Only this process needs it, the others cannot open them to write. Says so where it fails.
 */
export function protectCaches(env: Environment, warn: (text: string) => void): void {
  const denoDir = env.get("DENO_DIR");
  if (denoDir === undefined || Deno.build.standalone || Deno.build.os !== "linux") return;
  try {
    makeReadOnly(Deno.realPathSync(denoDir));
  } catch (error) {
    warn(`warn: the runtime's caches in ${denoDir} stay open to write: ${(error as Error).message}`);
  }
}

/** Without what lies in a folder that is named as well: that of the history is made when it is needed. */
function outermost(all: readonly string[]): string[] {
  return all.filter((path) => !all.some((other) => other !== path && path.startsWith(`${other}/`)));
}

/** What several isolates may do, each by itself, together. */
function union(all: readonly Grants[]): Grants {
  const merge = (kind: keyof Grants) => {
    const granted = all.map((one) => one[kind] ?? []);
    return granted.includes(true) ? true : [...new Set((granted as (readonly string[])[]).flat())];
  };
  return {
    read: merge("read"),
    write: merge("write"),
    net: merge("net"),
    sys: merge("sys") as readonly string[],
    ffi: merge("ffi"),
  };
}

/** Makes the hosts of the three processes; each starts when its first isolate does. */
export function makeProcesses(
  options: ProcessesOptions,
): Processes & { readonly hosts: Record<ProcessName, RemoteHost> } {
  const hosts = options.plans.map((plan) => {
    const internet = plan.walls.seccomp.internet, libraries = paths(plan.grants.ffi);
    return [
      plan.name,
      new RemoteHost({ name: plan.name, internet, libraries }, {
        launch: () => start(plan, options),
        closeDescriptor,
        after: options.after,
        missing: (reason) => options.warn(missingWalls(plan, [`a filter of system calls (${reason})`])),
        refused: (text) => options.warn(`warn: ${text}`),
      }),
    ];
  });
  return { hosts: Object.fromEntries(hosts), pipePair };
}

function missingWalls({ name }: ProcessPlan, missing: readonly string[]): string {
  return `warn: this kernel does not give the process ${name} all its walls: ${missing.join("; ")}`;
}

/** Starts one of the processes with its link. */
async function start(plan: ProcessPlan, options: ProcessesOptions): Promise<RunningProcess> {
  const [link, theirLink] = pipePair();
  const [handed, theirHanded] = packetPair([link, theirLink]);
  const sender = new DescriptorSocket(handed);
  const transport = new SocketTransport(link.read, { writeDescriptor: link.write });
  // As LINK_DESCRIPTOR, HANDED_DESCRIPTOR and LINK_WRITE_DESCRIPTOR say.
  const theirs = [theirLink.read, theirHanded, theirLink.write];
  try {
    const { pid, missing, ended, kill } = await launch(launchPlan(plan, theirs, options));
    if (missing.length > 0) options.warn(missingWalls(plan, missing));
    return {
      pid,
      transport,
      hand: (note, descriptors) => sender.send(note, descriptors),
      workerThreads: () => threadsOf(pid, "worker-"),
      ended: ended.then(({ code, signal }) => signal === null ? `status ${code}` : `signal ${signal}`),
      close() {
        transport.close();
        sender.close();
      },
      kill: () => kill("SIGKILL"),
    };
  } catch (error) {
    transport.close();
    sender.close();
    throw advised(error as Error);
  } finally {
    theirs.forEach(closeDescriptor);
  }
}

/** Where there are no descriptors left, those of the link must not be lost: it is tried again and again. */
function packetPair(link: readonly PipeEnds[]): readonly [number, number] {
  try {
    return socketPair("packet");
  } catch (error) {
    for (const { read, write } of link) [read, write].forEach(closeDescriptor);
    throw error;
  }
}

/** Containers and service managers may keep root from changing users: says what to do then. */
function advised(error: Error): Error {
  if (!/^Cannot become the user .*\(EPERM\)$/.test(error.message)) return error;
  return new Error(`${error.message}: let root have CAP_SETUID and CAP_SETGID here, or start smtpd with --one-user`);
}

function launchPlan(
  { name, grants, walls }: ProcessPlan,
  descriptors: readonly number[],
  options: ProcessesOptions,
): LaunchPlan {
  const { denoDir, spool, commandLine } = options;
  return {
    program: Deno.execPath(),
    args: [...runtimeArguments(commandLine, grants, programFiles(denoDir)), "isolates", name],
    env: {
      DENO_NO_UPDATE_CHECK: "1",
      ...denoDir === null ? {} : { DENO_DIR: denoDir },
      // SQLite's, for what does not fit into memory: no other folder is open to the process.
      ...walls.write.includes(spool) ? { SQLITE_TMPDIR: spool } : {},
    },
    descriptors,
    // A path that is not there takes no wall away.
    walls: { ...walls, read: walls.read.filter(exists), execute: walls.execute.filter(exists) },
  };
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    // The kernel says what else is wrong with it.
    return !(error instanceof Deno.errors.NotFound);
  }
}

/** The words between the runtime and the name of the program, with the permissions of the process in the place of the parent's. `programs`: files that its workers are loaded from. */
export function runtimeArguments(
  commandLine: readonly string[],
  grants: Grants,
  programs: readonly string[],
): string[] {
  if (Deno.build.standalone) return [];
  const end = commandLine.findIndex((word) => pathToFileURL(resolve(word)).href === Deno.mainModule);
  if (end < 0) throw new Fatal("this process was not started by a command that names the program: use scripts/smtpd");
  const kept = commandLine.slice(1, end).filter((word) => !/^(--allow-|-A$)/.test(word));
  // `run` comes first; the permissions are options of it.
  return [
    kept[0]!,
    ...permissionFlags(grants, programs),
    "--no-code-cache",
    ...kept.slice(1),
    entryOf(commandLine[end]!),
  ];
}

/** What a process runs: the entry of its own where the parent runs main.ts of this project, which would have it read all programs. */
function entryOf(main: string): string {
  const usual = new URL("../main.ts", import.meta.url).href;
  return Deno.mainModule === usual ? fileURLToPath(new URL("../cli/isolates.ts", import.meta.url)) : main;
}

function permissionFlags({ read, write, net, sys, ffi }: Grants, programs: readonly string[]): string[] {
  const flag = (name: string, grant: readonly string[] | true | undefined) => {
    if (grant === true) return [`--allow-${name}`];
    const odd = grant?.find((item) => item.includes(","));
    if (odd !== undefined) {
      throw new Fatal(
        `${
          shown(odd)
        } has a comma in its path, by which the runtime separates paths: name a place without one, or start ` +
          `smtpd with --one-user`,
      );
    }
    return grant === undefined || grant.length === 0 ? [] : [`--allow-${name}=${grant.join(",")}`];
  };
  return [
    ...flag("read", read === true ? true : [...read ?? [], ...programs]),
    ...flag("write", write),
    ...flag("net", net),
    ...flag("sys", sys),
    // The C library is given up before the first isolate starts. Each by its path, so that the others can stay for theirs.
    ...flag("ffi", ffi === true ? true : [...LIBC_PATHS, ...ffi ?? []]),
  ];
}
