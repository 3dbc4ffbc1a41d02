/** Whether the users that the daemon's processes run as can read the program: the runtime, the project and the packages. */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { shown } from "../../config/values.ts";
import type { ProcessUser, ProcessUsers } from "../users.ts";
import { may, obstacleTo, READ, SEARCH } from "./access.ts";

/** Where the program is. */
export interface ProgramPlaces {
  readonly runtime: string;
  /** Folder of the project, and what of it is read; null in a compiled binary. */
  readonly project: { readonly folder: string; readonly parts: readonly string[] } | null;
  /** The packages; null in a compiled binary. */
  readonly cache: string | null;
}

/** Folders below that of the packages whose entries are looked at: the registry, a scope, the package, its version. */
const PACKAGE_DEPTH_FOLDERS = 4;
const ANY_DEPTH_FOLDERS = 32;

/** Returns where the program that runs here is; `denoDir` is the runtime's folder of packages. */
export function programPlaces(denoDir: string | null): ProgramPlaces {
  const runtime = Deno.execPath();
  if (Deno.build.standalone) return { runtime, project: null, cache: null };
  const folder = fileURLToPath(new URL("../../../", import.meta.url)).replace(/\/$/, "");
  return {
    runtime,
    project: { folder, parts: ["src", "workers", "deno.json", "deno.lock", ".npmrc"] },
    cache: denoDir,
  };
}

/** What a user cannot read. */
interface Closed {
  readonly path: string;
  /** This or a folder above it. */
  readonly obstacle: string;
  readonly remedy: string;
}

/** Returns a line for each part of the program that a user cannot read, with all users of whom that is true, and with what to do. */
export function programFaults(users: ProcessUsers, places: ProgramPlaces): string[] {
  const each = [...new Map(Object.values(users).map((user) => [user.uid, user])).values()];
  const found = each.flatMap((user) => {
    const closed = aboveFault(user, places) ?? runtimeFault(user, places) ?? projectFault(user, places);
    return closed === null ? [] : [{ user, closed }];
  });
  const lines = Map.groupBy(found, ({ closed }) => JSON.stringify(closed));
  return [...lines.values()].map((same) => lineFor(same.map(({ user }) => user), same[0]!.closed));
}

function lineFor(users: readonly ProcessUser[], { path, obstacle, remedy }: Closed): string {
  const names = users.map(({ name }) => `"${shown(name)}"`).join(" and ");
  return `the user${users.length > 1 ? "s" : ""} ${names}, whom processes of the daemon run as, cannot read ${
    shown(path)
  }, since ${
    path === obstacle ? "it" : shown(obstacle)
  } is closed to others: ${remedy}, or start smtpd with --one-user`;
}

/** Above the project, which then has to be somewhere else: what is below does not matter yet. */
function aboveFault(user: ProcessUser, { project }: ProgramPlaces): Closed | null {
  if (project === null) return null;
  const obstacle = obstacleTo(dirname(project.folder), user);
  const remedy = `run scripts/install, which puts the program where everybody may read it, open the folder (chmod o+x ${
    shown(obstacle ?? "")
  })`;
  return obstacle === null ? null : { path: project.folder, obstacle, remedy };
}

function runtimeFault(user: ProcessUser, { runtime, project }: ProgramPlaces): Closed | null {
  const obstacle = obstacleTo(runtime, user);
  if (obstacle === null) return null;
  const remedy = project !== null && isWithin(obstacle, project.folder)
    ? openAll(project.folder)
    : `use chmod o+rx ${shown(obstacle)}, or put the file where everybody may run it, such as /usr/local/bin`;
  return { path: runtime, obstacle, remedy };
}

function projectFault(user: ProcessUser, { project, cache }: ProgramPlaces): Closed | null {
  if (project === null) return null;
  const parts = project.parts.map((part) => join(project.folder, part));
  const closed = obstacleTo(project.folder, user) ??
    first(parts, (part) => closedBelow(part, user, ANY_DEPTH_FOLDERS)) ??
    (cache === null ? null : obstacleTo(cache, user) ?? closedBelow(join(cache, "npm"), user, PACKAGE_DEPTH_FOLDERS));
  if (closed === null) return null;
  const folder = cache === null || isWithin(closed, project.folder) ? project.folder : cache;
  return { path: closed, obstacle: closed, remedy: openAll(folder) };
}

function isWithin(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

/** All of it at once: a project that was cloned with a closed umask is closed everywhere. */
function openAll(folder: string): string {
  return `use chmod -R go+rX ${shown(folder)}`;
}

function first(paths: readonly string[], find: (path: string) => string | null): string | null {
  for (const path of paths) {
    const found = find(path);
    if (found !== null) return found;
  }
  return null;
}

/** The first file or folder, this one or in it down to `depth` folders, that the user may not read; null when there is none, or nothing there. */
function closedBelow(path: string, user: ProcessUser, depth: number): string | null {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(path);
  } catch {
    return null;
  }
  if (!may(info, user, info.isDirectory ? SEARCH : READ)) return path;
  if (!info.isDirectory || depth === 0) return null;
  return first(
    [...Deno.readDirSync(path)].map(({ name }) => join(path, name)),
    (below) => closedBelow(below, user, depth - 1),
  );
}
