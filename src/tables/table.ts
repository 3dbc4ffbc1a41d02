/** One static table, compiled for lookups. Reads no file; what the answers mean is known to those who ask. */

import { LANGUAGE_LIMITS, type StaticTable, tableKey } from "../config/mod.ts";
import { DomainMatcher } from "./domain.ts";
import { MailboxMatcher } from "./mailaddr.ts";
import { NetworkMatcher } from "./netaddr.ts";
import { RegexMatcher } from "./regex.ts";
import { LookupError } from "./error.ts";
import { NO_OBSERVER, type Observer, tell } from "../events/mod.ts";

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
}

/** A table whose content can change while the daemon runs. */
export interface UpdatableTable extends LookupTable {
  /** Has the content read again. Null on success, else why the old one stays. */
  update(): string | null | Promise<string | null>;
}

interface Matcher {
  add(entry: string): void;
  matches(key: string): boolean | LookupError;
}

const TOO_LONG = new LookupError("The key is longer than a key may be");

/**
 * Keys and values of a table. Its content can be replaced as a whole, so those who hold the table need not hear of it. A matcher is
 * compiled at the first question that needs it.
 */
export class Table implements LookupTable {
  readonly name: string;
  /** Null for a table that was written in smtpd.conf. */
  readonly path: string | null;
  readonly #delimiter: string;
  readonly #observer: Observer;
  #kind: "list" | "map";
  #values!: ReadonlyMap<string, string>;
  #keys!: readonly string[];
  #matchers!: Map<Service, Matcher>;
  #next = 0;

  /** `delimiter` splits `user+tag` where addresses are compared. */
  constructor(source: StaticTable, delimiter: string, observer: Observer = NO_OBSERVER) {
    this.name = source.name;
    this.path = source.path;
    this.#delimiter = delimiter;
    this.#observer = observer;
    this.#kind = source.kind;
    this.replace(source);
  }

  get kind(): "list" | "map" {
    return this.#kind;
  }

  get size(): number {
    return this.#keys.length;
  }

  /** The values, in the order of their keys. */
  values(): Iterable<string> {
    return this.#values.values();
  }

  /** Replaces the whole content. */
  replace(source: Pick<StaticTable, "kind" | "entries">): void {
    // An empty file says nothing of its kind.
    if (source.entries.length > 0) this.#kind = source.kind;
    this.#values = new Map(source.entries);
    this.#keys = [...this.#values.keys()];
    this.#matchers = new Map();
  }

  /** Is there an entry that matches `key`? */
  check(service: Service, key: string): boolean | LookupError {
    const found = this.#check(service, key);
    if (this.#observer.traces("tables")) this.#tell(`check ${service} "${key}"`, resultText(found));
    return found;
  }

  #check(service: Service, key: string): boolean | LookupError {
    if (key.length > LANGUAGE_LIMITS.tableKey) return TOO_LONG;
    const folded = tableKey(key);
    if (service === "string") return this.#values.has(folded);
    return (this.#matchers.get(service) ?? this.#compile(service)).matches(folded);
  }

  /**
   * Value of the entry whose key equals `key`; null when there is none. The value of an alias may stand in a trace. Others may be
   * secrets, and of them a trace only tells that they were found.
   */
  lookup(key: string, service: ValueService = "string"): string | null | LookupError {
    const value = key.length > LANGUAGE_LIMITS.tableKey ? TOO_LONG : this.#values.get(tableKey(key)) ?? null;
    if (this.#observer.traces("tables")) {
      const text = typeof value === "string" && service === "alias" ? `"${value}"` : resultText(value);
      this.#tell(`lookup "${key}"`, text);
    }
    return value;
  }

  /** The keys one after the other, again and again; null when there are none. */
  fetch(): string | null {
    this.#next %= Math.max(1, this.#keys.length);
    const key = this.#keys[this.#next++] ?? null;
    if (this.#observer.traces("tables")) this.#tell("fetch", resultText(key));
    return key;
  }

  #tell(question: string, answer: string): void {
    tell(this.#observer, "tables", `${this.name}: ${question} -> ${answer}`);
  }

  #compile(service: Exclude<Service, "string">): Matcher {
    const matcher = service === "domain"
      ? new DomainMatcher()
      : service === "netaddr"
      ? new NetworkMatcher()
      : service === "regex"
      ? new RegexMatcher()
      : new MailboxMatcher(this.#delimiter);
    for (const key of this.#keys) matcher.add(key);
    this.#matchers.set(service, matcher);
    return matcher;
  }
}

/** What a trace says of a result whose value is not to be seen. */
export function resultText(result: boolean | string | null | LookupError): string {
  if (result instanceof LookupError) return `error: ${result.reason}`;
  return result === null || result === false ? "not found" : "found";
}
