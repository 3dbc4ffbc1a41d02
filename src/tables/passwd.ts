/** `passwd:` tables: users, their password hashes and accounts from a file in the form of passwd(5). Reads no file. */

import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { LookupError } from "./error.ts";
import type { OpenTable } from "./filetable.ts";
import { PackedEntries } from "./packed.ts";
import { type Service, Table, type ValueService } from "./table.ts";
import { parsePasswdLine } from "./userinfo.ts";
import type { Observer } from "../events/mod.ts";

const NEWLINE = 0x0a, COLON = 0x3a, HASH = 0x23;

/** Names and the rest of their lines. Throws an Error that names the line of the first mistake. */
export function readPasswd(path: string, bytes: Uint8Array): PackedEntries {
  const entries = new PackedEntries({ entries: countLines(bytes), bytes: bytes.length });
  for (let line = 1, next = 0; next < bytes.length; line++) {
    const newline = bytes.indexOf(NEWLINE, next);
    const start = next, end = newline < 0 ? bytes.length : newline;
    next = end + 1;
    if (start === end || bytes[start] === HASH) continue;
    const colon = bytes.indexOf(COLON, start);
    if (colon <= start || colon >= end) throw new Error(`${path}:${line} invalid line: it is not name:password:…`);
    if (colon - start > LANGUAGE_LIMITS.tableKey) throw new Error(`${path}:${line} name is too long`);
    entries.set(bytes.subarray(start, colon), bytes.subarray(colon + 1, end));
  }
  entries.trim();
  return entries;
}

/** How many lines there are at most: what memory is reserved for. */
function countLines(bytes: Uint8Array): number {
  const steps = countLineSteps(bytes);
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** The same in steps of less than a millisecond. */
export function* countLineSteps(bytes: Uint8Array): Generator<undefined, number> {
  let lines = 1;
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) {
    if (++lines % 2048 === 0) yield;
  }
  return lines;
}

/** A user is found by name; the service decides what is returned of the user. */
export class PasswdTable implements OpenTable {
  readonly name: string;
  readonly kind = null;
  readonly size: number;
  readonly #lines: Table;

  constructor(name: string, entries: PackedEntries, delimiter: string, observer?: Observer) {
    this.name = name;
    this.size = entries.size;
    this.#lines = new Table({ name, kind: "map", entries }, delimiter, observer);
  }

  check(service: Service, key: string): boolean | LookupError {
    return this.#lines.check(service, key);
  }

  /** `credentials` gives `user:hash`, `userinfo` gives `uid:gid:home`. */
  lookup(key: string, service: ValueService = "string"): string | null | LookupError {
    const rest = this.#lines.lookup(key, service === "alias" ? "string" : service);
    if (rest === null || rest instanceof LookupError) return rest;
    if (service === "credentials") {
      const hash = rest.split(":", 1)[0]!;
      return hash === "" ? new LookupError(`Table "${this.name}": user "${key}" has no password`) : `${key}:${hash}`;
    }
    if (service === "userinfo") {
      const info = parsePasswdLine(`${key}:${rest}`);
      if (info !== null && info.home !== "") return `${info.uid}:${info.gid}:${info.home}`;
      return new LookupError(`Table "${this.name}": user "${key}" has no account`);
    }
    return new LookupError(`Table "${this.name}": a passwd table has no ${service} values`);
  }

  fetch(): string | null | LookupError {
    return new LookupError(`Table "${this.name}": a passwd table is no list to choose from`);
  }
}
