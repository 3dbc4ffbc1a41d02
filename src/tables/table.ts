/** One table whose keys are at hand, compiled for lookups. Reads no file; the meaning of the answers is the caller's. */

import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { tableKey } from "../config/tablefile.ts";
import { lookupError } from "./dbentries.ts";
import { DomainMatcher } from "./domain.ts";
import type { Entries } from "./entries.ts";
import { mailboxKeys, MailboxMatcher } from "./mailaddr.ts";
import { addressKeys, isPlainAddress, NetworkMatcher } from "../net/mod.ts";
import { PackedEntries } from "./packed.ts";
import { RegexMatcher } from "./regex.ts";
import { type ScramShape, scramShape } from "../sasl/mod.ts";
import { LookupError } from "./error.ts";
import { logTrace, NO_OBSERVER, type Observer } from "../events/mod.ts";

/** How the keys of a table are compared with the key that is asked for. */
export type Service = "string" | "domain" | "netaddr" | "mailaddr" | "regex";

/** What a value is looked up for. */
export type ValueService = "alias" | "userinfo" | "relayhost" | "credentials" | "addrname" | "mailaddrmap" | "string";

/** What can be asked of a table, whatever it is made of. */
export interface LookupTable {
  readonly name: string;
  /** Is there an entry that matches `key`? */
  check(service: Service, key: string): boolean | LookupError;
  /** Value of the entry whose key equals `key`; null when there is none. */
  lookup(key: string, service?: ValueService): string | null | LookupError;
  /** The keys one after the other, again and again; null when there are none. */
  fetch(service?: "relayhost" | "source"): string | null | LookupError;
  /** What the values have in common when each is a SCRAM verifier; null when one is not, or there is none. Absent: that cannot be determined. */
  scram?(): ScramShape | null;
}

/** A table whose content can change while the daemon runs. */
export interface UpdatableTable extends LookupTable {
  /** Has the content read again. Null on success, else why the old one stays. */
  update(): string | null | Promise<string | null>;
  /** Why no question has an answer now, null when they have; absent where that is not known. */
  readonly fault?: string | null;
}

interface Matcher {
  add(entry: string): void;
  matches(key: string): boolean | LookupError;
}

const TOO_LONG = new LookupError("The key is longer than a key may be");

/** What a table is made of. An array of entries is packed; other entries are used where they are. */
export interface TableContent {
  readonly name: string;
  readonly kind: "list" | "map";
  readonly entries: ReadonlyArray<readonly [string, string]> | Entries;
}

/**
 * Keys and values of a table. Most keys stand for themselves and are looked for as they are; those that are patterns are compiled into a
 * matcher at the first question that needs it.
 */
export class Table implements LookupTable {
  readonly name: string;
  readonly kind: "list" | "map";
  readonly #delimiter: string;
  readonly #observer: Observer;
  readonly #entries: Entries;
  readonly #matchers = new Map<Service, Matcher>();
  #next = 0;
  /** What `scram` found out: the content does not change. */
  #scram: ScramShape | null | undefined;

  /** `delimiter` splits `user+tag` where addresses are compared. */
  constructor({ name, kind, entries }: TableContent, delimiter: string, observer: Observer = NO_OBSERVER) {
    this.name = name;
    this.kind = kind;
    this.#delimiter = delimiter;
    this.#observer = observer;
    this.#entries = "keyAt" in entries ? entries : PackedEntries.of(entries);
  }

  /** Number of entries; null when it is not known. */
  get size(): number | null {
    return this.#entries.size;
  }

  /** Is there an entry that matches `key`? */
  check(service: Service, key: string): boolean | LookupError {
    const found = this.#check(service, key);
    if (this.#observer.traces("tables")) this.#trace(`check ${service} "${key}"`, resultText(found));
    return found;
  }

  #check(service: Service, key: string): boolean | LookupError {
    if (key.length > LANGUAGE_LIMITS.tableKey) return TOO_LONG;
    const folded = tableKey(key);
    const except = service === "netaddr" ? this.#matcher(service) : null;
    if (except instanceof LookupError) return except;
    if (except instanceof NetworkMatcher && except.excludes(folded)) return false;
    for (const plain of this.#plainKeys(service, folded)) {
      const found = this.#entries.has(plain);
      if (found !== false) return found;
    }
    if (service === "string") return false;
    const matcher = this.#matcher(service);
    if (matcher instanceof LookupError) return matcher;
    try {
      return matcher.matches(folded);
    } catch (error) {
      return lookupError(error);
    }
  }

  #matcher(service: Exclude<Service, "string">): Matcher | LookupError {
    try {
      return this.#matchers.get(service) ?? this.#compile(service);
    } catch (error) {
      return lookupError(error);
    }
  }

  /** The keys without wildcards or masks that match `key`. */
  #plainKeys(service: Service, key: string): readonly string[] {
    switch (service) {
      case "string":
      case "domain":
        return [key];
      case "netaddr":
        return addressKeys(key);
      case "mailaddr":
        return mailboxKeys(key, this.#delimiter);
      case "regex":
        return [];
    }
  }

  /**
   * Value of the entry whose key equals `key`; null when there is none. The value of an alias may stand in a trace. Others may be
   * secrets, and of them a trace only says that they were found.
   */
  lookup(key: string, service: ValueService = "string"): string | null | LookupError {
    const value = key.length > LANGUAGE_LIMITS.tableKey ? TOO_LONG : this.#entries.get(tableKey(key));
    if (this.#observer.traces("tables")) {
      const text = typeof value === "string" && service === "alias" ? `"${value}"` : resultText(value);
      this.#trace(`lookup "${key}"`, text);
    }
    return value;
  }

  /** The keys one after the other, again and again; null when there are none. */
  fetch(): string | null | LookupError {
    let key = this.#entries.keyAt(this.#next++);
    if (key === null && this.#next > 1) {
      this.#next = 1;
      key = this.#entries.keyAt(0);
    }
    if (this.#observer.traces("tables")) this.#trace("fetch", resultText(key));
    return key;
  }

  scram(): ScramShape | null {
    if (this.#scram === undefined) {
      try {
        this.#scram = scramShape(this.#entries.values());
      } catch (error) {
        lookupError(error);
        this.#scram = null;
      }
    }
    return this.#scram;
  }

  #trace(question: string, answer: string): void {
    logTrace(this.#observer, "tables", `${this.name}: ${question} -> ${answer}`);
  }

  #logFaults({ faults }: RegexMatcher): void {
    for (const { pattern, reason } of faults) {
      const text = `warn: Table "${this.name}": The regular expression "${pattern}" finds nothing: ${reason}`;
      this.#observer.emit({ type: "log", level: "warn", text });
    }
  }

  #compile(service: Exclude<Service, "string">): Matcher {
    const matcher = service === "domain"
      ? new DomainMatcher()
      : service === "netaddr"
      ? new NetworkMatcher()
      : service === "regex"
      ? new RegexMatcher()
      : new MailboxMatcher(this.#delimiter);
    for (const key of service === "regex" ? this.#entries.keys() : this.#entries.patterns()) {
      if (isPattern(service, key)) matcher.add(key);
    }
    if (matcher instanceof RegexMatcher) this.#logFaults(matcher);
    this.#matchers.set(service, matcher);
    return matcher;
  }
}

/** Must this key be compared by a matcher? What is none is found by one of the plain keys. */
function isPattern(service: Exclude<Service, "string">, key: string): boolean {
  if (service === "regex") return true;
  return service === "netaddr" ? !isPlainAddress(key) : key.includes("*");
}

/** What a trace says of a result whose value is not to be seen. */
export function resultText(result: boolean | string | null | LookupError): string {
  if (result instanceof LookupError) return `error: ${result.reason}`;
  return result === null || result === false ? "not found" : "found";
}
