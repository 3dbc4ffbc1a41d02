/** System accounts, from passwd(5). The file is read by an injected function; accounts of userbase tables are in world.ts. */

import { systemReason } from "../events/mod.ts";
import { LookupError, parsePasswd, type UserInfo } from "../tables/mod.ts";

/** What this file needs of the disk. Both throw when the file cannot be read. */
export interface PasswdFile {
  read(): string;
  /** Changes whenever the content may have changed. */
  stamp(): string;
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

  #refresh(): void {
    const now = this.#now();
    if (now - this.#checkedAt < CHECK_INTERVAL_MS) return;
    this.#checkedAt = now;
    try {
      const stamp = this.#file.stamp();
      if (stamp !== this.#stamp) {
        this.#accounts = parsePasswd(this.#file.read());
        this.#stamp = stamp;
      }
      this.#error = null;
    } catch (error) {
      this.#error = new LookupError(
        `Cannot read the system accounts: ${systemReason(error)}`,
      );
    }
  }
}
