/** System accounts, from passwd(5). The file is read by an injected function; accounts of userbase tables are in world.ts. */

import { systemReason } from "../events/mod.ts";
import { isRefused } from "./main_file.ts";
import { LookupError, parsePasswd, type UserInfo } from "../tables/mod.ts";

/** What this file needs of the disk. All throw or reject when the file cannot be read. */
export interface PasswdFile {
  read(): string;
  /** Changes whenever the content may have changed. */
  stamp(): string;
  /** Main's reading, for a file that this isolate may not open. Programs that add a user put a new file in the place of the old one. */
  readByMain?(): Promise<string>;
}

/** Time between two looks at the file, in milliseconds. */
const CHECK_INTERVAL_MS = 1000;

/** The accounts of the machine, as fresh as the last second. */
export class SystemAccounts {
  readonly #file: PasswdFile;
  readonly #now: () => number;
  #accounts: ReadonlyMap<string, UserInfo> | null = null;
  #error: LookupError | null = null;
  #stamp = "";
  #checkedAt = -Infinity;
  /** The stamp of a file that main is to read; null when there is none. */
  #left: string | null = null;
  #fetching: Promise<void> | null = null;

  /** `now`: milliseconds of a clock that does not go back. */
  constructor(file: PasswdFile, now: () => number) {
    this.#file = file;
    this.#now = now;
  }

  /** The account of exactly this name. An unreadable file is an error: a user must not seem unknown for that. */
  find(name: string): UserInfo | null | LookupError {
    this.#refresh();
    return this.#error ?? this.#accounts?.get(name) ?? null;
  }

  /** True when `fetch` has to be awaited before `find` is asked. */
  get stale(): boolean {
    this.#refresh();
    return this.#left !== null;
  }

  /** Has main read the file. Rejects never: `find` says why there is none. */
  async fetch(): Promise<void> {
    await (this.#fetching ??= this.#fetch().finally(() => this.#fetching = null));
  }

  async #fetch(): Promise<void> {
    const stamp = this.#left;
    if (stamp === null) return;
    try {
      this.#accounts = parsePasswd(await this.#file.readByMain!());
      this.#stamp = stamp;
      this.#error = null;
    } catch (error) {
      this.#error = unreadable(error);
    }
    this.#left = null;
    this.#checkedAt = this.#now();
  }

  #refresh(): void {
    const now = this.#now();
    if (now - this.#checkedAt < CHECK_INTERVAL_MS) return;
    this.#checkedAt = now;
    let stamp: string | null = null;
    try {
      stamp = this.#file.stamp();
      if (stamp !== this.#stamp) {
        this.#accounts = parsePasswd(this.#file.read());
        this.#stamp = stamp;
      }
      this.#error = this.#left = null;
    } catch (error) {
      if (stamp !== null && this.#file.readByMain !== undefined && isRefused(error)) this.#left = stamp;
      else this.#error = unreadable(error);
    }
  }
}

function unreadable(error: unknown): LookupError {
  return new LookupError(`Cannot read the system accounts: ${systemReason(error)}`);
}
