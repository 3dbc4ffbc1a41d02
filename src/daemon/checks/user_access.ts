/**
 * Whether the users that the daemon's processes run as can reach what they need: the program itself, and databases that SQLite opens by their path. Looks
 * at owners and modes only; the kernel has the last word.
 */

import { dirname } from "node:path";
import type { Config } from "../../config/mod.ts";
import { shown } from "../../config/values.ts";
import type { ProcessUser, ProcessUsers } from "../users.ts";
import { may, obstacleTo, WRITE } from "./access.ts";
import { programFaults, type ProgramPlaces } from "./program_access.ts";

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
  program: ProgramPlaces,
): AccessFaults {
  if (users === null) return { faults: [], warnings: [] };
  const shut = obstacleTo(dirname(spool), users.smtpq);
  const spoolFaults = shut === null ? [] : [
    `the user "${shown(users.smtpq.name)}", who keeps the queue, cannot reach the spool ${shown(spool)}, since ${
      shown(shut)
    } is closed to others: use chmod o+x ${
      shown(shut)
    }, set SMTPD_SPOOL to another folder, or start smtpd with --one-user`,
  ];
  const databases = Object.values(config.tableFiles).filter(({ backend }) => backend === "sqlite");
  const warnings = databases.flatMap(({ name, files }) => {
    const path = files[1]!, obstacle = obstacleTo(path, users.smtpd);
    const at = config.declared[`table ${name}`];
    const place = `${at === undefined ? "" : `${at.file}:${at.line}: `}warning: table <${shown(name)}>:`;
    if (obstacle === null) {
      if (!isWal(path) || may(Deno.statSync(dirname(path)), users.smtpd, WRITE)) return [];
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
  return { faults: [...programFaults(users, program), ...spoolFaults], warnings };
}

/** Those of the files that the user cannot read. */
export function closedTo(user: ProcessUser, paths: readonly string[]): string[] {
  return paths.filter((path) => obstacleTo(path, user) !== null);
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
