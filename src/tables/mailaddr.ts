/** Matching of mail addresses against lists of address patterns, as in `match mail-from`. Parses no SMTP. */

import { DomainMatcher } from "./domain.ts";

/**
 * A list of patterns, compiled once: `user@domain`, `@domain`, `user`, and `@` or an empty entry for everything. The domain may hold
 * wildcards. A pattern without the sub-address delimiter matches `user+tag` too; one that has it must match the whole local part.
 */
export class MailboxMatcher {
  readonly #delimiter: string;
  #everything = false;
  readonly #users = new Set<string>();
  /** `user@domain`, and `@domain` for any user, without wildcards. */
  readonly #exact = new Set<string>();
  /** Wildcard domains by user; "" is any user. */
  readonly #wild = new Map<string, DomainMatcher>();

  constructor(delimiter: string) {
    this.#delimiter = delimiter;
  }

  /** `pattern` must be lower-case. */
  add(pattern: string): void {
    const at = pattern.lastIndexOf("@");
    const user = at < 0 ? pattern : pattern.slice(0, at);
    const domain = at < 0 ? "" : pattern.slice(at + 1);
    if (domain === "" && user === "") this.#everything = true;
    else if (domain === "") this.#users.add(user);
    else if (!domain.includes("*")) this.#exact.add(`${user}@${domain}`);
    else {
      let domains = this.#wild.get(user);
      if (domains === undefined) this.#wild.set(user, domains = new DomainMatcher());
      domains.add(domain);
    }
  }

  /** `address`: lower-case `local@domain`; `@` is the null reverse-path. */
  matches(address: string): boolean {
    if (this.#everything) return true;
    const at = address.lastIndexOf("@");
    const user = at < 0 ? address : address.slice(0, at);
    const domain = at < 0 ? "" : address.slice(at + 1);
    if (this.#matchesUser("", domain) || this.#matchesUser(user, domain)) return true;
    const tag = user.indexOf(this.#delimiter);
    return tag > 0 && this.#matchesUser(user.slice(0, tag), domain);
  }

  #matchesUser(user: string, domain: string): boolean {
    return this.#exact.has(`${user}@${domain}`) || (user !== "" && this.#users.has(user)) ||
      (this.#wild.get(user)?.matches(domain) ?? false);
  }
}
