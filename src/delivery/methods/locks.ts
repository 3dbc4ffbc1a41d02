/** Locks of a mailbox: the dotlock that mail readers honour, flock(2) on the file, and a queue for the deliveries of this isolate. */

import { systemReason } from "../../events/mod.ts";
import { type Clock, sleep } from "../../clock.ts";
import { DeliveryError, EX, quoted } from "./sysexits.ts";

/** A dotlock that is older was left behind by a process that ended. Our own are held for seconds. */
const STALE_MS = 300_000;
/** Waits of 1, 2, 4 … seconds, ten at most, and never longer than a delivery may last. */
const DOTLOCK_TRIES = 10;
export const LOCK_LIMIT_MS = 300_000;
/** How often a file that another program holds is tried again. */
const FLOCK_PAUSE_MS = 250;

/** Another program holds the mailbox. */
export class MailboxLocked extends DeliveryError {
  constructor(path: string) {
    super(EX.TEMPFAIL, quoted(`mail.local: ${path}: Mailbox is locked`));
  }
}

/** How long a lock is waited for, and what the file calls run in. */
export interface LockOptions {
  readonly clock: Clock;
  readonly limitMs: number;
  readonly watched: <T>(work: () => T) => T;
}

/** One at a time for each name; the others wait in order. */
export class Mutexes {
  readonly #tails = new Map<string, Promise<void>>();

  async run<T>(name: string, work: () => Promise<T>): Promise<T> {
    const before = this.#tails.get(name);
    let done = () => {};
    const mine = new Promise<void>((resolve) => done = resolve);
    this.#tails.set(name, mine);
    try {
      await before;
      return await work();
    } finally {
      if (this.#tails.get(name) === mine) this.#tails.delete(name);
      done();
    }
  }
}

/**
 * Takes `path`.lock. Resolves to a function that gives it back; to null when the folder does not let us make it, which leaves flock alone to guard the file.
 * Rejects with MailboxLocked when another process holds it for too long.
 */
export async function takeDotlock(
  path: string,
  unique: () => number,
  { clock, limitMs, watched }: LockOptions,
): Promise<(() => void) | null> {
  const lock = `${path}.lock`;
  const deadline = clock.steady() + limitMs;
  for (let tries = 0; tries <= DOTLOCK_TRIES; tries++) {
    const taken = watched(() => tryDotlock(lock));
    if (taken === "taken") return () => giveBack(lock);
    if (taken === "impossible") return null;
    if (watched(() => breakStale(lock, { now: clock.now(), unique: unique() }))) continue;
    const wait = 1000 * 2 ** tries;
    if (clock.steady() + wait > deadline) break;
    await sleep(wait, clock);
  }
  throw new MailboxLocked(path);
}

function giveBack(lock: string): void {
  try {
    Deno.removeSync(lock);
  } catch {
    // Another program has removed it as stale. The message is written all the same.
  }
}

function tryDotlock(lock: string): "taken" | "held" | "impossible" {
  try {
    Deno.openSync(lock, { write: true, createNew: true, mode: 0o600 }).close();
    return "taken";
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return "held";
    if (error instanceof Deno.errors.PermissionDenied || error instanceof Deno.errors.NotCapable) return "impossible";
    throw new DeliveryError(EX.TEMPFAIL, quoted(`mail.local: ${lock}: ${systemReason(error)}`));
  }
}

/** Moves an abandoned lock away. By a name of its own, so that two who see it do not remove each other's new one unawares. */
function breakStale(lock: string, { now, unique }: { readonly now: number; readonly unique: number }): boolean {
  try {
    const modified = Deno.lstatSync(lock).mtime?.getTime() ?? now;
    if (now - modified < STALE_MS) return false;
    const aside = `${lock}.${unique}`;
    Deno.renameSync(lock, aside);
    Deno.removeSync(aside);
    return true;
  } catch (error) {
    // Given back by its owner: worth another look at once.
    return error instanceof Deno.errors.NotFound;
  }
}

/** Waits for flock(2). It goes with the descriptor. Rejects with MailboxLocked when another process holds it for too long. */
export async function takeFlock(
  file: Deno.FsFile,
  path: string,
  { clock, limitMs, watched }: LockOptions,
): Promise<void> {
  const deadline = clock.steady() + limitMs;
  while (!watched(() => file.tryLockSync(true))) {
    if (clock.steady() + FLOCK_PAUSE_MS > deadline) throw new MailboxLocked(path);
    await sleep(FLOCK_PAUSE_MS, clock);
  }
}
