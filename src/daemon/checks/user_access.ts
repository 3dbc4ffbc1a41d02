/**
 * Whether the users that the daemon's processes run as can reach what they need: the program itself, and databases that SQLite opens by their path. Looks
 * at owners and modes only; the kernel has the last word.
 */

import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Config } from "../../config/mod.ts";
import { shown } from "../../config/values.ts";
import type { ProcessUser, ProcessUsers } from "../users.ts";

const READ = 4, WRITE = 2, SEARCH = 1;
/** Where the header of a SQLite database has its modes of writing and of reading, and what says WAL (its file format, section 1.3). */
const MODES_AT = 18, WAL = 2;

/** What is wrong, as lines: with `faults` the daemon cannot start. */
export interface AccessFaults {
  readonly faults: readonly string[];
  readonly warnings: readonly string[];
}

/** Looks at the files of the program, the way to the spool, and the databases of `config`. Nothing is wrong where all runs in one process. */
export function accessFaults(
  { config, spool, users }: {
    readonly config: Config;
    readonly spool: string;
    readonly users: ProcessUsers | null;
  },
  programs: readonly string[] = [Deno.execPath(), fileURLToPath(import.meta.url)],
): AccessFaults {
  if (users === null) return { faults: [], warnings: [] };
  const shut = obstacleTo(dirname(spool), users.smtpq);
  const spoolFaults = shut === null ? [] : [
    `the user "${shown(users.smtpq.name)}", who keeps the queue, cannot reach the spool ${shown(spool)}, since ${
      shown(shut)
    } is closed to others: use chmod o+x ${shown(shut)}, or set SMTPD_SPOOL to another folder`,
  ];
  const programFaults = [...new Set(Object.values(users))].flatMap((user) =>
    programs.flatMap((path) => {
      const obstacle = obstacleTo(path, user);
      return obstacle === null ? [] : [
        `the user "${
          shown(user.name)
        }", whom processes of the daemon run as, cannot read ${path}, since ${obstacle} is closed to others: ` +
        `move the project to where everybody may read it, such as /usr/local/lib/vaultpost, or start smtpd with --one-user`,
      ];
    })
  );
  const databases = Object.values(config.tableFiles).filter(({ backend }) => backend === "sqlite");
  const warnings = databases.flatMap(({ name, files }) => {
    const path = files[1]!, obstacle = obstacleTo(path, users.smtpd);
    const at = config.declared[`table ${name}`];
    const place = `${at === undefined ? "" : `${at.file}:${at.line}: `}warning: table <${shown(name)}>:`;
    if (obstacle === null) {
      if (!isWal(path) || may(dirname(path), users.smtpd, WRITE)) return [];
      return [
        `${place} the database ${shown(path)} is in WAL mode, and the user "${
          shown(users.smtpd.name)
        }", whom lookups run as, cannot make the files that this takes: use PRAGMA journal_mode=DELETE`,
      ];
    }
    return [
      `${place} the user "${shown(users.smtpd.name)}", whom lookups run as, cannot read the database ${
        shown(path)
      }, since ${shown(obstacle)} is closed to others: ` +
      `use chgrp ${shown(users.smtpd.name)} and chmod g+r for the file, and g+x for folders above it`,
    ];
  });
  return { faults: [...programFaults, ...spoolFaults], warnings };
}

/** Those of the files that the user cannot read. */
export function closedTo(user: ProcessUser, paths: readonly string[]): string[] {
  return paths.filter((path) => obstacleTo(path, user) !== null);
}

/** The first folder or file on the way to `path` that is closed to the user; null when none is, or it is not there. */
function obstacleTo(path: string, user: ProcessUser): string | null {
  let real: string;
  try {
    real = Deno.realPathSync(path);
  } catch {
    return null;
  }
  const above: string[] = [];
  for (let folder = dirname(real); folder !== dirname(folder); folder = dirname(folder)) above.unshift(folder);
  const last = Deno.statSync(real).isDirectory ? SEARCH : READ;
  return above.find((folder) => !may(folder, user, SEARCH)) ?? (may(real, user, last) ? null : real);
}

function isWal(path: string): boolean {
  try {
    using file = Deno.openSync(path);
    const header = new Uint8Array(MODES_AT + 2);
    return file.readSync(header) === header.length && header[MODES_AT + 1] === WAL;
  } catch {
    return false;
  }
}

function may(path: string, { uid, gid }: ProcessUser, right: typeof READ | typeof WRITE | typeof SEARCH): boolean {
  const info = Deno.statSync(path);
  const shift = info.uid === uid ? 6 : info.gid === gid ? 3 : 0;
  return (((info.mode ?? 0o777) >> shift) & right) !== 0;
}
