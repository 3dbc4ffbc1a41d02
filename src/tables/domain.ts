/** Matching of host names against lists of names and wildcards, as in `match for domain`. Uses no DNS. */

/**
 * Compares a lower-case name with a lower-case pattern. `*` is greedy and never tried again: it skips to the first character that equals the
 * next one of the pattern. So `*.example.org` takes `a.example.org` and not `a.b.example.org`, and a `*` at the end needs one more
 * character. OpenSMTPD does the same, and lists of domains depend on it.
 */
export function matchDomain(name: string, pattern: string): boolean {
  let at = 0;
  let next = 0;
  while (at < name.length && next < pattern.length) {
    const wanted = pattern[next]!;
    if (wanted === "*") {
      while (pattern[next] === "*") next++;
      const stop = pattern[next];
      while (at < name.length && name[at] !== stop) at++;
    } else if (wanted === name[at]) {
      at++;
      next++;
    } else return false;
  }
  return at === name.length && next === pattern.length;
}

/** A list of names and patterns, compiled once. A name is found in constant time unless patterns of an unusual form are in the list. */
export class DomainMatcher {
  readonly #names = new Set<string>();
  /** `*.example.org` as ".example.org": it matches what follows the first dot of a name. */
  readonly #suffixes = new Set<string>();
  readonly #patterns: string[] = [];

  /** `pattern` must be lower-case. */
  add(pattern: string): void {
    if (!pattern.includes("*")) this.#names.add(pattern);
    else if (pattern.startsWith("*.") && !pattern.includes("*", 1)) this.#suffixes.add(pattern.slice(1));
    else this.#patterns.push(pattern);
  }

  /** `name` must be lower-case. */
  matches(name: string): boolean {
    if (this.#names.has(name)) return true;
    if (this.#suffixes.size > 0) {
      const dot = name.indexOf(".");
      if (dot >= 0 && this.#suffixes.has(name.slice(dot))) return true;
    }
    return this.#patterns.some((pattern) => matchDomain(name, pattern));
  }
}
