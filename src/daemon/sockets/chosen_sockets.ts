/** Unix sockets at paths that the administrator chose: what lies there already, who may connect, and their end. */

import type { SourceLine } from "../../config/mod.ts";
import { shown } from "../../config/values.ts";
import { systemReason } from "../../events/mod.ts";
import { connectSocket } from "../../sockets/mod.ts";
import { Fatal } from "../fatal.ts";
import { findGroup } from "../programs.ts";

/** A path of the configuration, and who may connect. */
export interface ChosenSocket {
  readonly path: string;
  readonly mode: number;
  /** Null for that of the daemon. */
  readonly group?: number | null;
}

/**
 * Makes room for a socket: one that nobody answers at any more is removed. Throws Fatal, with `place` in front, where one answers or where something else
 * lies, which is not ours to remove.
 */
export async function makeRoom(path: string, place: string): Promise<void> {
  let info: Deno.FileInfo;
  try {
    info = Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw new Fatal(`${place}cannot listen on ${path}: ${systemReason(error)}`);
  }
  if (info.isSocket !== true) {
    throw new Fatal(`${place}cannot listen on ${path}: what lies there is no socket: remove it, or name another path`);
  }
  if (await answers(path)) {
    throw new Fatal(`${place}cannot listen on ${path}: another program listens there ("ss -lxp" shows which)`);
  }
  Deno.removeSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connectSocket({ path });
    probe.once("connect", () => (probe.destroy(), resolve(true)));
    probe.once("error", () => resolve(false));
  });
}

/** Returns the number of the group that a line gives a socket, null for that of the daemon. Throws Fatal, with its place, when there is no such group. */
export function groupOf({ group }: { readonly group: string | null }, at: SourceLine | undefined): number | null {
  if (group === null) return null;
  const found = findGroup(group);
  if (found !== null) return found;
  throw new Fatal(`${at === undefined ? "" : `${at.file}:${at.line}: `}there is no group "${shown(group)}"`);
}

/** Sets group, then mode, of a socket that was just bound. Throws Fatal, with `place` in front, when the group cannot be set. */
export function restrict({ path, mode, group = null }: ChosenSocket, place: string): void {
  // Until the end of this, its owner alone may connect: the mask of the daemon leaves nobody else the right to write.
  if (group !== null) {
    try {
      Deno.chownSync(path, null, group);
    } catch (error) {
      throw new Fatal(`${place}cannot give ${path} to its group: ${systemReason(error)}`);
    }
  }
  Deno.chmodSync(path, mode);
}

/** What a file is known by; null where there is none. */
export function fileMark(path: string): string | null {
  try {
    const { dev, ino, mtime } = Deno.lstatSync(path);
    return [dev, ino, mtime?.getTime()].join(" ");
  } catch {
    return null;
  }
}

/** Removes a file that is still the one of this mark: another daemon may have put its own there since. */
export function removeOwn(path: string, mark: string | null): void {
  if (mark === null || fileMark(path) !== mark) return;
  try {
    Deno.removeSync(path);
  } catch {
    // It went by itself, or its folder may not be written any more.
  }
}
