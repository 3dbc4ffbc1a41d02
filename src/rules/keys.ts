/** The keys under which a recipient is looked up in alias and virtual tables, in their order. Asks no table. */

import { tableKey } from "../config/tablefile.ts";
import { type Mailbox, unicodeDomain } from "../envelope/mod.ts";

/** `user+tag` at the first delimiter: user and tag, "" for no tag. */
export function splitTag(local: string, delimiter: string): readonly [user: string, tag: string] {
  const at = local.indexOf(delimiter);
  return at < 0 ? [local, ""] : [local.slice(0, at), local.slice(at + delimiter.length)];
}

/** Keys of an alias table: the whole name, then the name without its tag. */
export function aliasKeys(name: string, delimiter: string): readonly string[] {
  const folded = tableKey(name);
  const at = folded.indexOf(delimiter);
  return at < 0 ? [folded] : [folded, folded.slice(0, at)];
}

/**
 * Keys of a virtual table: `user+tag@domain`, `user@domain`, `user+tag`, `user`, `@domain`, `@`. Those with the tag only if there is one; the
 * last two only if there is a domain: without one the name came out of a mapping and stands for an account. A domain in A-labels may stand in
 * the table in U-labels as well.
 */
export function virtualKeys(address: Mailbox, delimiter: string): readonly string[] {
  const domain = tableKey(address.domain);
  const [user, tag] = splitTag(tableKey(address.local), delimiter);
  const full = tag === "" ? [] : [`${user}${delimiter}${tag}`];
  const names = [...full, user];
  const unicode = unicodeDomain(domain);
  const domains = unicode === domain ? [domain] : [domain, unicode];
  const catchAll = domain === "" ? [] : [...domains.map((each) => `@${each}`), "@"];
  return [...names.flatMap((name) => domains.map((each) => `${name}@${each}`)), ...names, ...catchAll];
}
