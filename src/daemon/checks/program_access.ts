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
  return { runtime, project: { folder, parts: ["src", "workers", "deno.json", "deno.lock"] }, cache: denoDir };
}

/** Returns a line for each user that cannot read all of the program, with what to do. */
export function programFaults(users: ProcessUsers, places: ProgramPlaces): string[] {
  const each = [...new Map(Object.values(users).map((user) => [user.uid, user])).values()];
  return each.flatMap((user) => {
    const fault = runtimeFault(user, places) ?? projectFault(user, places);
    return fault === null ? [] : [fault];
  });
}

function runtimeFault(user: ProcessUser, { runtime }: ProgramPlaces): string | null {
  const obstacle = obstacleTo(runtime, user);
  return obstacle === null ? null : `${cannotRead(user, runtime, obstacle)}: ` +
    `use chmod o+rx ${
      shown(obstacle)
    }, put it where everybody may run it, such as /usr/local/bin, or start smtpd with --one-user`;
}

function projectFault(user: ProcessUser, { project, cache }: ProgramPlaces): string | null {
  if (project === null) return null;
  const above = obstacleTo(dirname(project.folder), user);
  if (above !== null) {
    return `${cannotRead(user, project.folder, above)}: ` +
      `move the project to where everybody may read it, such as /usr/local/lib/vaultpost, ` +
      `open the folder (chmod o+x ${shown(above)}), or start smtpd with --one-user`;
  }
  const parts = project.parts.map((part) => join(project.folder, part));
  const closed = obstacleTo(project.folder, user) ??
    first(parts, (part) => closedBelow(part, user, ANY_DEPTH_FOLDERS)) ??
    (cache === null ? null : obstacleTo(cache, user) ?? closedBelow(join(cache, "npm"), user, PACKAGE_DEPTH_FOLDERS));
  if (closed === null) return null;
  const folder = cache === null || closed.startsWith(`${project.folder}/`) || closed === project.folder
    ? project.folder
    : cache;
  return `${cannotRead(user, closed, closed)}: use chmod -R go+rX ${shown(folder)}, or start smtpd with --one-user`;
}

function cannotRead({ name }: ProcessUser, path: string, obstacle: string): string {
  const file = shown(path);
  return `the user "${shown(name)}", whom processes of the daemon run as, cannot read ${file}, since ${
    path === obstacle ? "it" : shown(obstacle)
  } is closed to others`;
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
