/**
 * Which users the processes run as when root starts the daemon: `smtpd` those that speak to the network, `smtpq` the one that keeps the queue.
 * Looks the names up and judges them; changes nothing and starts nothing.
 */

import type { Environment } from "../config/mod.ts";
import { isMachineSpool, queueUserName, smtpdUserName } from "../config/paths.ts";
import { shown } from "../config/values.ts";
import { Fatal } from "./fatal.ts";
import { readIfPresent } from "./files.ts";
import { NameService } from "./machine/name_service.ts";

/** A user that a process runs as, with its primary group; it has no other. */
export interface ProcessUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/** Whom the processes run as. One and the same where this machine has only one of the two. */
export interface ProcessUsers {
  /** Of the processes that speak to clients and to other hosts. */
  readonly smtpd: ProcessUser;
  /** Of the process that keeps the queue; the spool is theirs. */
  readonly smtpq: ProcessUser;
}

export interface ChosenUsers {
  /** Null: all isolates run in one process, as the user who starts it. */
  readonly users: ProcessUsers | null;
  /** Users of this machine under whom a daemon may have kept the spool before; root takes it over from them. */
  readonly spoolOwners: readonly number[];
  /** Lines for the operator. */
  readonly warnings: readonly string[];
}

/** What a test replaces. */
export interface UserSources {
  readonly names: Pick<NameService, "find">;
  /** Text of passwd(5), which also has the shells. */
  readonly passwd: string;
  /** The user who starts the daemon. */
  readonly uid: number;
  /** Uid of the owner of a folder; null when it is not there. */
  readonly ownerOf: (path: string) => number | null;
}

interface Wanted {
  readonly variable: string;
  readonly name: string;
  /** The variable is set: whoever reads of the name has to know where it comes from. */
  readonly set: boolean;
}
type Account = Awaited<ReturnType<NameService["find"]>>;
type Found = Wanted & { readonly user: ProcessUser | null };

/** Shells that let nobody in. */
const NO_LOGIN = /\/(?:nologin|false|true|sync)$/;
/** What setresuid(2) takes for "as it is": the process would stay root. */
const NO_ID = 0xffff_ffff;
const MAKE_USERS = "run scripts/install --users";

/** How the user of this name is made by hand. */
export function makeUserCommand(name: string): string {
  return `useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin ${name}`;
}

/**
 * Chooses the users by `SMTPD_USER` and `SMTPD_QUEUE_USER`. Not started by root, or with `oneUser`, there is one process; with one of the two users,
 * the processes run as that one, and a warning says what to do. Throws Fatal when root starts it and a name is root's, the names are one user's, the
 * name service fails, or there is neither user for the machine's own spool. With a spool of its own there is one process then, and a warning.
 */
export async function chooseUsers(
  env: Environment,
  { oneUser }: { readonly oneUser: boolean },
  sources: UserSources = machineSources(),
): Promise<ChosenUsers> {
  if (sources.uid !== 0) return { users: null, spoolOwners: [], warnings: [] };
  const wanted = [["SMTPD_USER", smtpdUserName(env)], ["SMTPD_QUEUE_USER", queueUserName(env)]] as const;
  const [smtpd, smtpq] = await Promise.all(
    wanted.map(([variable, name]) =>
      find({ variable, name, set: !!env.get(variable) }, sources).then(oneUser ? orNone : usable)
    ),
  ) as [Found, Found];
  const found = [smtpd.user, smtpq.user].flatMap((user) => user ?? []);
  const spoolOwners = [...new Set(found.map(({ uid }) => uid))];
  if (oneUser) return { users: null, spoolOwners, warnings: [] };
  if (smtpd.user !== null && smtpd.user.uid === smtpq.user?.uid) {
    throw new Fatal(
      `SMTPD_USER (${shown(smtpd.name)}) and SMTPD_QUEUE_USER (${
        shown(smtpq.name)
      }) are one user, uid ${smtpd.user.uid}: ` +
        `name two, or unset both and ${MAKE_USERS}`,
    );
  }
  const present = smtpd.user ?? smtpq.user;
  if (present === null) {
    if (isMachineSpool(env)) throw new Fatal(noUsers(smtpd, smtpq, "without them all of it would run as root"));
    const asRoot = "with a spool of its own (SMTPD_SPOOL) it starts all the same, all of it as root";
    return { users: null, spoolOwners, warnings: [`warning: ${noUsers(smtpd, smtpq, asRoot)}`] };
  }
  const missing = smtpd.user === null ? smtpd : smtpq.user === null ? smtpq : null;
  return {
    users: { smtpd: smtpd.user ?? present, smtpq: smtpq.user ?? present },
    spoolOwners,
    warnings: [
      ...missing === null ? [] : [thinnerWall(missing, present)],
      ...found.flatMap((user) => accountWarnings(user, sources)),
    ],
  };
}

function machineSources(): UserSources {
  const find = async (name: string) => {
    const service = new NameService();
    try {
      return await service.find(name);
    } finally {
      service.close();
    }
  };
  return { names: { find }, passwd: readIfPresent("/etc/passwd") ?? "", uid: Deno.uid() ?? 0, ownerOf };
}

function ownerOf(path: string): number | null {
  try {
    return Deno.statSync(path).uid;
  } catch {
    return null;
  }
}

async function find(
  wanted: Wanted,
  { names }: UserSources,
): Promise<Wanted & { readonly account: Account }> {
  return { ...wanted, account: await names.find(wanted.name) };
}

/** With one process a user that cannot be used is none. */
function orNone(wanted: Wanted & { readonly account: Account }): Found {
  try {
    return usable(wanted);
  } catch (error) {
    if (!(error instanceof Fatal)) throw error;
    return { ...wanted, user: null };
  }
}

function usable({ account, ...wanted }: Wanted & { readonly account: Account }): Found {
  const { variable, name } = wanted;
  if (account === null) return { ...wanted, user: null };
  if ("error" in account) {
    throw new Fatal(`the user "${shown(name)}" (${variable}) cannot be looked up: ${account.error}`);
  }
  const { uid, gid } = account;
  const what = uid === 0
    ? "is root, who may do everything"
    : gid === 0
    ? "has root's group, who may do everything"
    : uid >= NO_ID || gid >= NO_ID
    ? `has the uid ${uid} and the gid ${gid}, and ${NO_ID} stands for nobody`
    : null;
  if (what === null) return { ...wanted, user: { name, uid, gid } };
  throw new Fatal(
    `the user "${shown(name)}" (${variable}) ${what}: name a user of its own, which ${
      makeUserCommand("NAME")
    } makes, or start smtpd with --one-user`,
  );
}

function noUsers(smtpd: Found, smtpq: Found, consequence: string): string {
  return `this machine has neither the user ${labelOf(smtpd)} nor ${labelOf(smtpq)}, which the daemon's ` +
    `processes run as; ${consequence}: ${MAKE_USERS}, or ` +
    `${makeUserCommand(shown(smtpd.name))} && ${makeUserCommand(shown(smtpq.name))}; or start smtpd with --one-user`;
}

/** The name of a user, with the variable that gives it. */
function labelOf({ name, variable, set }: Wanted): string {
  return `"${shown(name)}"${set ? ` (${variable})` : ""}`;
}

function thinnerWall(missing: Found, present: ProcessUser): string {
  const { name } = missing;
  return `warning: this machine has no user ${
    labelOf(missing)
  }: the processes that speak to the network and the one that keeps the queue all run as "${
    shown(present.name)
  }", and the wall between them is thinner: ${MAKE_USERS}, or ${makeUserCommand(shown(name))}`;
}

/** Users that somebody may log in as, or that own files of others. */
function accountWarnings({ name, uid }: ProcessUser, { passwd, ownerOf }: UserSources): string[] {
  const fields = passwd.split("\n").map((line) => line.split(":")).find(([user]) => user === name);
  const shell = fields?.[6] ?? "/nologin";
  const warnings: string[] = [];
  // passwd(5): an empty field is /bin/sh.
  if (!NO_LOGIN.test(shell)) {
    warnings.push(
      `warning: the user "${shown(name)}", whom the daemon's processes run as, has a login shell (${
        shown(shell || "/bin/sh")
      }): use usermod --shell /usr/sbin/nologin ${shown(name)}`,
    );
  }
  const home = fields?.[5] ?? "";
  if (home !== "" && ownerOf(home) === uid) {
    warnings.push(
      `warning: the user "${shown(name)}", whom the daemon's processes run as, has a home of its own (${
        shown(home)
      }), whose files they may change: use usermod --home /nonexistent ${shown(name)}`,
    );
  }
  const others = passwd.split("\n").map((line) => line.split(":")).filter(([user, , id]) =>
    user !== name && id === String(uid)
  );
  if (others.length > 0) {
    warnings.push(
      `warning: the user "${shown(name)}", whom the daemon's processes run as, has the uid ${uid} of "${
        shown(others[0]![0]!)
      }" too, who may change what they do: ${makeUserCommand("NAME")}`,
    );
  }
  return warnings;
}
