/** What the daemon makes sure of before it starts: that it is the only one on its control socket, and that the spool is its own. */

import { dirname } from "node:path";
import { systemReason } from "../events/mod.ts";
import { connectSocket } from "../sockets/mod.ts";
import { Fatal } from "./fatal.ts";
import { spoolFault } from "./checks/spool_guard.ts";
import { handOverSpool, SPOOL_MODE } from "./spool.ts";
import type { ChosenUsers } from "./users.ts";

/** Keys lie in it. */
const STATE_MODE = 0o700;

/** Makes sure that no other daemon answers on the control socket, and removes a stale one. Throws Fatal. */
export async function claimSocket(path: string): Promise<void> {
  makeFolder(dirname(path), 0o755);
  const alive = await new Promise<boolean>((resolve) => {
    const probe = connectSocket({ path });
    probe.once("connect", () => (probe.destroy(), resolve(true)));
    probe.once("error", () => resolve(false));
  });
  if (alive) throw new Fatal(`control socket already listening: another smtpd runs on ${path}`);
  removeIfPresent(path);
}

/**
 * Makes sure that the spool is there and belongs to this user, or, when root starts the daemon with users of its own, to that of the queue. Throws
 * Fatal.
 */
export function claimSpool(
  path: string,
  { users, spoolOwners }: Pick<ChosenUsers, "users" | "spoolOwners"> = { users: null, spoolOwners: [] },
): void {
  makeFolder(path, SPOOL_MODE);
  refuse(spoolFault(path, Deno.uid() ?? 0, spoolOwners));
  if (Deno.uid() === 0) return handOverSpool(path, users?.smtpq ?? { uid: 0, gid: 0 }, spoolOwners);
  try {
    Deno.chmodSync(path, SPOOL_MODE);
  } catch {
    // It belongs to another user: whether it can be used is checked next.
  }
  try {
    Deno.readDirSync(path)[Symbol.iterator]().next();
    Deno.openSync(`${path}/queue.db`, { read: true, write: true }).close();
  } catch (error) {
    if (!(error instanceof Deno.errors.PermissionDenied)) return;
    throw new Fatal(
      `the spool ${path} is closed to this user: start smtpd as the one it belongs to, or set SMTPD_SPOOL to another folder`,
    );
  }
}

/**
 * Makes the folder of what the daemon keeps that is no mail (`statePath`), which nobody else may look into. Throws Fatal when it cannot be made, or is
 * another user's: what lies in it is used as if root had put it there.
 */
export function claimState(path: string): void {
  makeFolder(path, STATE_MODE);
  const info = Deno.statSync(path);
  if (!info.isDirectory) throw new Fatal(`cannot make the folder ${path}: It is a file`);
  if (info.uid !== Deno.uid()) {
    throw new Fatal(
      `the folder ${path} belongs to another user (uid ${info.uid}): chown it to the user that starts smtpd, or set SMTPD_STATE to another folder`,
    );
  }
  // A folder that was made by hand.
  if ((info.mode! & 0o077) !== 0) Deno.chmodSync(path, STATE_MODE);
}

function refuse(fault: string | null): void {
  if (fault !== null) throw new Fatal(fault);
}

function makeFolder(path: string, mode: number): void {
  try {
    Deno.mkdirSync(path, { recursive: true, mode });
  } catch (error) {
    const reason = error instanceof Deno.errors.AlreadyExists ? "It is a file" : systemReason(error);
    throw new Fatal(`cannot make the folder ${path}: ${reason}`);
  }
}

/** Removes a file, if it is there. Throws what the system says when it cannot be removed. */
export function removeIfPresent(path: string): void {
  try {
    Deno.removeSync(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
