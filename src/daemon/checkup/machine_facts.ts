/** What the check looks at on this machine: room on disks, owners and modes of files, what keeps the clock right. */

import { statfsSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { Config, Environment } from "../../config/mod.ts";
import { controlSocketPath, libexecFolders, mailDirectory, spoolPath, statePath } from "../../config/paths.ts";
import { findProgram } from "../../config/search.ts";
import type { DiskFacts, FileFacts } from "../../checkup/mod.ts";

/** systemd-timesyncd makes this file when it has set the clock. */
const TIMESYNCD = "/run/systemd/timesync/synchronized";

/** Null where systemd-timesyncd does not run. */
export function timesyncdHasSet(): boolean | null {
  try {
    Deno.statSync(TIMESYNCD);
    return true;
  } catch {
    return null;
  }
}

/** The disks of the queue, of what the daemon keeps beside it, and of mailboxes. One that several are on is named once. */
export function diskFacts(config: Config, env: Environment): readonly DiskFacts[] {
  const { reserve } = config.queue;
  const places = [
    { use: "queue", path: spoolPath(env) },
    { use: "state", path: statePath(env) },
    ...mailFolders(config, env).map((path) => ({ use: "mailboxes", path })),
  ];
  const seen = new Set<number>();
  return places.flatMap(({ use, path }): DiskFacts[] => {
    const there = nearest(path);
    const device = deviceOf(there);
    if (device === null) return use === "state" ? [] : [{ use, path, space: null, reserve }];
    if (seen.has(device)) return [];
    seen.add(device);
    return [{ use, path, space: spaceOf(there), reserve }];
  });
}

/** The folder, or the nearest above it that exists. */
function nearest(path: string): string {
  const above = dirname(path);
  return deviceOf(path) !== null || above === path ? path : nearest(above);
}

function deviceOf(path: string): number | null {
  try {
    return Deno.statSync(path).dev;
  } catch {
    return null;
  }
}

function spaceOf(path: string): DiskFacts["space"] {
  try {
    const { bsize, blocks, bavail, files, ffree } = statfsSync(path);
    return { free: bavail * bsize, total: blocks * bsize, freeInodes: ffree, inodes: files };
  } catch {
    return null;
  }
}

/** Where local actions put mail, as far as that is one place: what stands before the first of a format. */
function mailFolders(config: Config, env: Environment): string[] {
  const folders = Object.values(config.actions).flatMap((action) => {
    if (action.kind !== "local") return [];
    const { method } = action;
    if (method.type === "mbox") return [mailDirectory(env)];
    if (method.type !== "maildir") return [];
    const path = method.path ?? "";
    const fixed = path.includes("%") ? path.slice(0, path.indexOf("%")) : path;
    return [fixed.startsWith("/") ? resolve(fixed) : "/home"];
  });
  return [...new Set(folders)];
}

type PlannedLook = Omit<FileFacts, "state">;

/** The files that the daemon goes by. `users`: who may own them beside root. */
export function filesOf(config: Config, env: Environment, users: readonly number[]): readonly PlannedLook[] {
  const guarded = (what: string, path: string, more: Partial<PlannedLook> = {}): PlannedLook => ({
    what,
    path: resolve(path),
    owners: [],
    wants: "guarded",
    ...more,
  });
  const own = [Deno.uid() ?? 0];
  return [
    guarded("the configuration", config.file, { owners: own }),
    guarded("the folder of the configuration", dirname(resolve(config.file)), { owners: own }),
    ...Object.values(config.pki).filter(({ acme }) => acme === null).flatMap(({ certFile, keyFile }) => [
      ...certFile === keyFile ? [] : [guarded("a certificate", certFile, { owners: own })],
      guarded("the key of a certificate", keyFile, { owners: own, wants: "secret" }),
    ]),
    ...config.dkim.map(({ keyFile }) => guarded("a key of DKIM", keyFile, { owners: own, wants: "secret" })),
    ...config.queue.encryption?.kind === "file"
      ? [guarded("the key of the queue", config.queue.encryption.path, { owners: own, wants: "secret" })]
      : [],
    guarded("the spool", spoolPath(env), { owners: [...own, ...users], optional: true }),
    guarded("the folder of what smtpd keeps", statePath(env), { owners: own, wants: "secret", optional: true }),
    // The daemon makes it when it starts.
    guarded("the folder of the control socket", dirname(controlSocketPath(env)), { owners: own, optional: true }),
    ...libexecFolders(env).filter((path) => deviceOf(path) !== null).map((path) =>
      guarded("the folder of filter and table programs", path)
    ),
    ...Object.values(config.processes).flatMap(({ command }) => programOf(command, env)).map((path) =>
      guarded("a filter program", path, { owners: own })
    ),
    ...Object.values(config.programs).map(({ program }) => guarded("a table program", program, { owners: own })),
  ].filter(({ path }, index, all) => all.findIndex((one) => one.path === path) === index);
}

/** The file of a command of the configuration; none for one that is a line of the shell. */
function programOf(command: string, env: Environment): string[] {
  const [word = ""] = command.split(" ");
  if (word === "" || /["'$`;|&<>]/.test(word)) return [];
  if (word.startsWith("/")) return [word];
  try {
    return [findProgram(word, env)];
  } catch {
    // smtpd says so.
    return [];
  }
}

/** Looks at a file, wherever its links lead. */
export function lookAt(file: PlannedLook): FileFacts {
  try {
    const { uid, mode } = Deno.statSync(file.path);
    return { ...file, state: uid === null || mode === null ? "hidden" : { uid, mode } };
  } catch (error) {
    return { ...file, state: error instanceof Deno.errors.NotFound ? "missing" : "hidden" };
  }
}
