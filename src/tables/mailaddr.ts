/** Matching of mail addresses against lists of address patterns, as in `match mail-from`. Parses no SMTP. */

import { DomainMatcher } from "./domain.ts";

/**
 * A list of patterns, compiled once: `user@domain`, `@domain`, `user`, and `@` or an empty entry for everything. The domain may hold
 * wildcards. A pattern without the sub-address delimiter matches `user+tag` too; one that has it must match the whole local part.
 */
export class MailboxMatcher {
  readonly #delimiter: string;
  /** Those without wildcards, as they are written. */
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
    if (!domain.includes("*")) this.#exact.add(pattern);
    else {
      let domains = this.#wild.get(user);
      if (domains === undefined) this.#wild.set(user, domains = new DomainMatcher());
      domains.add(domain);
    }
  }

  /** `address`: lower-case `local@domain`; `@` is the null reverse-path. */
  matches(address: string): boolean {
    if (mailboxKeys(address, this.#delimiter).some((key) => this.#exact.has(key))) return true;
    if (this.#wild.size === 0) return false;
    const at = address.lastIndexOf("@");
    const user = at < 0 ? address : address.slice(0, at);
    const domain = at < 0 ? "" : address.slice(at + 1);
    if (this.#matchesUser("", domain) || this.#matchesUser(user, domain)) return true;
    const tag = user.indexOf(this.#delimiter);
    return tag > 0 && this.#matchesUser(user.slice(0, tag), domain);
  }

  #matchesUser(user: string, domain: string): boolean {
    return this.#wild.get(user)?.matches(domain) ?? false;
  }
}

/** All patterns without wildcards that match an address: a list that has one of them as a key matches it. `address` is lower-case. */
export function mailboxKeys(address: string, delimiter: string): readonly string[] {
  const at = address.lastIndexOf("@");
  const user = at < 0 ? address : address.slice(0, at);
  const domain = at < 0 ? "" : address.slice(at + 1);
  const keys = ["@", "", `@${domain}`, `${user}@${domain}`];
  if (user !== "") keys.push(user, `${user}@`);
  const tag = user.indexOf(delimiter);
  if (tag > 0) {
    const name = user.slice(0, tag);
    keys.push(`${name}@${domain}`, name, `${name}@`);
  }
  return keys;
}
