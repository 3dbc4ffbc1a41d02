/**
 * How the sessions and descriptors of the process are divided among the clients that ask for them, so that no local user can take them all. Pure:
 * counts and refuses; closes nothing.
 */

/** Descriptors that a process has at least, where the real limit cannot be determined. */
export const USUAL_DESCRIPTORS = 1024;
/** Below so many sessions nothing is kept for other machines: a limit that small was chosen, and is meant as it stands. */
const LEAST_DIVIDED = 100;
/** Sessions above the limit that root and the daemon's own user may open on the local socket. */
export const ROOT_RESERVE = 16;
/** How often it is logged that one and the same client is refused, in milliseconds. */
const LOG_INTERVAL_MS = 60_000;
/** Askers whose last line in the log is remembered. */
const MAX_LOGGED_CLIENTS = 1000;
const LOCAL_USERS = "all local users", THIS_MACHINE = "all clients on this machine";

/** What a session counts towards: `names` are counted each, up to the number beside it. */
export interface Share {
  readonly names: readonly (readonly [name: string, most: number])[];
}

/** The client that asks for a session. `uid` is only known, and only counts, on the local socket. */
export interface Asker {
  readonly socket: boolean;
  readonly uid: number | null;
  readonly address: string;
}

/** True for root and the daemon's own user, whom no share limits. */
export function isPrivileged({ socket, uid }: Asker, ownUid: number): boolean {
  return socket && (uid === 0 || uid === ownUid);
}

/**
 * The share of an asker when there may be `limit` sessions: of a local user a quarter, of all local users together half, and of all who come
 * from this machine, loopback included, where any local user can connect, all but an eighth. Null for those whom no share limits.
 */
export function shareOf(
  asker: Asker,
  { limit, ownUid }: { readonly limit: number; readonly ownUid: number },
): Share | null {
  if (isPrivileged(asker, ownUid)) return null;
  const machine = limit < LEAST_DIVIDED ? [] : [[THIS_MACHINE, limit - Math.floor(limit / 8)] as const];
  if (asker.socket) {
    const user = asker.uid === null ? LOCAL_USERS : `uid ${asker.uid}`;
    const quarter = Math.max(1, Math.floor(limit / 4)), half = Math.max(1, Math.floor(limit / 2));
    return { names: [[user, quarter], [LOCAL_USERS, half], ...machine] };
  }
  return /^(?:127\.|::1$|::ffff:127\.)/.test(asker.address) ? { names: machine } : null;
}

/** Counts what is taken of each share. */
export class Shares {
  readonly #now: () => number;
  readonly #taken = new Map<string, number>();
  readonly #loggedAt = new Map<string, number>();

  /** `now`: milliseconds of any clock. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Takes one of the share. When nothing is left of it, answers which name is at its end, and takes nothing. */
  take(
    share: Share | null,
  ): { readonly ok: true } | { readonly ok: false; readonly name: string; readonly most: number } {
    if (share === null) return { ok: true };
    const full = share.names.find(([name, most]) => (this.#taken.get(name) ?? 0) >= most);
    if (full !== undefined) return { ok: false, name: full[0], most: full[1] };
    for (const name of namesOf(share)) this.#taken.set(name, (this.#taken.get(name) ?? 0) + 1);
    return { ok: true };
  }

  /** Gives back what `take` took. */
  give(share: Share | null): void {
    if (share === null) return;
    for (const name of namesOf(share)) {
      const left = (this.#taken.get(name) ?? 0) - 1;
      if (left > 0) this.#taken.set(name, left);
      else this.#taken.delete(name);
    }
  }

  /** True when it is to be logged that this name is refused: once per minute. */
  shouldLog(name: string): boolean {
    const now = this.#now(), last = this.#loggedAt.get(name);
    if (last !== undefined && now - last < LOG_INTERVAL_MS && now >= last) return false;
    if (this.#loggedAt.size >= MAX_LOGGED_CLIENTS) this.#loggedAt.clear();
    this.#loggedAt.set(name, now);
    return true;
  }
}

function namesOf({ names }: Share): Set<string> {
  return new Set(names.map(([name]) => name));
}

/** Connections that the control socket and the admin address may have at one time: few of a process that may open few files. */
export function connectionLimits(descriptors: number | null): { control: number; admin: number } {
  const sized = ({ part, most }: { readonly part: number; readonly most: number }) =>
    Math.max(8, Math.min(most, Math.floor((descriptors ?? USUAL_DESCRIPTORS) / part)));
  return { control: sized({ part: 16, most: 64 }), admin: sized({ part: 32, most: 32 }) };
}
