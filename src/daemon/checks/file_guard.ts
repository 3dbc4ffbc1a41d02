/**
 * Who else may change or read what the configuration consists of: smtpd.conf, what it includes, and the files of its tables. Looks at owners and
 * modes only; what a certificate, a key or a `.forward` may be is said where those are read.
 */

import type { Config } from "../../config/mod.ts";

const OTHERS_WRITE = 0o002, GROUP_WRITES = 0o020, OTHERS_READ = 0o004;

/** What is wrong with files, as lines: with `refused` the daemon does not start. */
export interface FileFaults {
  readonly refused: readonly string[];
  readonly warnings: readonly string[];
}

export class FileGuard {
  readonly #paths = new Set<string>();
  readonly #uid: number;

  /** `uid` is whom the daemon runs as. */
  constructor(uid: number) {
    this.#uid = uid;
  }

  /** Remembers a file that was read for the configuration. */
  note(path: string): void {
    this.#paths.add(path);
  }

  /** Looks at all of them. What is not there any more is passed over. */
  faults(config: Config): FileFaults {
    const secret = secretFiles(config);
    const refused: string[] = [], warnings: string[] = [];
    for (const { files } of Object.values(config.tableFiles)) for (const path of files) this.note(path);
    for (const path of this.#paths) {
      let info: Deno.FileInfo;
      try {
        info = Deno.statSync(path);
      } catch {
        continue;
      }
      // A pipe or a device is handed over by whoever starts the program.
      if (!info.isFile || info.mode === null) continue;
      this.#judge({ path, mode: info.mode, uid: info.uid, gid: info.gid, secret: secret.has(path) }, refused, warnings);
    }
    return { refused, warnings };
  }

  #judge(
    { path, mode, uid, gid, secret }: {
      readonly path: string;
      readonly mode: number;
      readonly uid: number | null;
      readonly gid: number | null;
      readonly secret: boolean;
    },
    refused: string[],
    warnings: string[],
  ): void {
    const shown = (mode & 0o7777).toString(8).padStart(4, "0");
    if ((mode & OTHERS_WRITE) !== 0) {
      refused.push(`${path}: everybody may write it (mode ${shown}): use chmod o-w ${path}`);
    } else if ((mode & GROUP_WRITES) !== 0 && gid !== 0 && this.#uid === 0) {
      warnings.push(`${path}: warning: its group may write it (mode ${shown}): whoever does decides what root does`);
    }
    if (uid !== null && uid !== 0 && uid !== this.#uid && this.#uid === 0) {
      warnings.push(`${path}: warning: it belongs to uid ${uid}, who decides what root does: use chown root ${path}`);
    }
    if (secret && (mode & OTHERS_READ) !== 0) {
      warnings.push(
        `${path}: warning: it holds passwords and everybody may read it (mode ${shown}): use chmod o-r ${path}`,
      );
    }
  }
}

/** Files of tables with passwords: those that listeners and relay actions have for `auth`. */
function secretFiles(config: Config): Set<string> {
  const tables = [
    ...config.listen.map(({ auth }) => auth?.table ?? null),
    ...Object.values(config.actions).map((action) => action.kind === "relay" ? action.auth : null),
  ];
  return new Set(
    tables.flatMap((name) => name === null ? [] : config.tableFiles[name]?.files ?? []),
  );
}
