/** Whether another user may reach a file or folder. Looks at owners and modes only; the kernel has the last word. */

import { dirname } from "node:path";
import type { ProcessUser } from "../users.ts";

export const READ = 4, WRITE = 2, SEARCH = 1;

/** The first folder or file on the way to `path` that is closed to the user, the nearest one that exists included; null when none is. */
export function obstacleTo(path: string, user: ProcessUser): string | null {
  const real = realPath(path);
  if (real === null) return path === dirname(path) ? null : obstacleTo(dirname(path), user);
  const above: string[] = [];
  for (let folder = dirname(real); folder !== dirname(folder); folder = dirname(folder)) above.unshift(folder);
  const last = Deno.statSync(real).isDirectory ? SEARCH : READ;
  return above.find((folder) => !may(Deno.statSync(folder), user, SEARCH)) ??
    (may(Deno.statSync(real), user, last) ? null : real);
}

function realPath(path: string): string | null {
  try {
    return Deno.realPathSync(path);
  } catch {
    return null;
  }
}

/** Tells whether the mode of a file or folder gives the user the right. */
export function may(
  info: Deno.FileInfo,
  { uid, gid }: ProcessUser,
  right: typeof READ | typeof WRITE | typeof SEARCH,
): boolean {
  const shift = info.uid === uid ? 6 : info.gid === gid ? 3 : 0;
  return (((info.mode ?? 0o777) >> shift) & right) !== 0;
}
