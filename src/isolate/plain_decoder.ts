/** Reads plain data from octets (plain_data.ts) that may come from a hostile process. */

import { Buffer } from "node:buffer";
import {
  APART,
  BIGINT,
  DOUBLE,
  FALSE,
  INT,
  LIST,
  Malformed,
  MAX_DEPTH_LEVELS,
  MAX_LOOP_CHARS,
  MAX_SHAPE_NAME_CHARS,
  MAX_SHAPE_NAMES,
  MAX_SHAPES,
  MAX_SHORT_CHARS,
  MAX_VALUES,
  NEW_SHAPE,
  NULL,
  OCTETS,
  RECORD,
  RECORD_ENTRY_VALUES,
  SHAPE,
  SHORT,
  TRUE,
  UNDEFINED,
  UTF16,
  UTF8,
} from "./plain_data.ts";

/** Reads what an Encoder has written. One per connection. Throws Malformed for everything else; makes nothing but plain data. */
export class Decoder {
  readonly #shapes: (readonly string[])[] = [];
  #octets: Uint8Array = new Uint8Array();
  #text: Buffer = Buffer.alloc(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;
  #end = 0;
  #apart: readonly Uint8Array<ArrayBuffer>[] = [];
  #taken = 0;
  #values = 0;
  #depth = 0;

  /** Reads from this buffer from now on. */
  #use(octets: Uint8Array): void {
    if (octets === this.#octets) return;
    this.#octets = octets;
    this.#text = Buffer.from(octets.buffer as ArrayBuffer, octets.byteOffset, octets.length);
    this.#view = new DataView(octets.buffer, octets.byteOffset, octets.length);
  }

  /** The values in `octets` from `start` up to `end`, of which there must be `count` and nothing after them; each of `apart` is used once, in order. */
  values(
    octets: Uint8Array,
    { start, end, count, apart }: {
      readonly start: number;
      readonly end: number;
      readonly count: number;
      readonly apart: readonly Uint8Array<ArrayBuffer>[];
    },
  ): unknown[] {
    this.#use(octets);
    this.#at = start;
    this.#end = end;
    this.#apart = apart;
    this.#taken = 0;
    // The list of messages is none of theirs.
    this.#depth = this.#values = -1;
    const values = this.#list(count);
    if (this.#at !== end) throw new Malformed("there is more in it than it says");
    if (this.#taken !== apart.length) throw new Malformed("it has octets that belong to nothing");
    this.#apart = [];
    return values;
  }

  /** So many octets as are left are enough for `count` things. */
  #need(count: number): void {
    if (count > this.#end - this.#at) throw new Malformed("it ends too early");
  }

  #byte(): number {
    if (this.#at >= this.#end) throw new Malformed("it ends too early");
    return this.#octets[this.#at++]!;
  }

  #length(): number {
    let byte = this.#byte(), value = byte & 127;
    for (let shift = 7; byte > 127; shift += 7) {
      if (shift > 28) throw new Malformed("a length is too long");
      byte = this.#byte();
      value |= (byte & 127) << shift;
    }
    return value >>> 0;
  }

  #value(): unknown {
    const tag = this.#byte();
    if (tag >= SHORT && tag <= SHORT + MAX_SHORT_CHARS) return this.#short(tag - SHORT);
    switch (tag) {
      case SHAPE:
        return this.#shaped(this.#shapes[this.#length()]);
      case INT: {
        const value = this.#length();
        return (value >>> 1) ^ -(value & 1);
      }
      case FALSE:
        return false;
      case TRUE:
        return true;
      case NULL:
        return null;
      case UNDEFINED:
        return undefined;
      case DOUBLE:
        this.#need(8);
        return this.#view.getFloat64((this.#at += 8) - 8, true);
      case BIGINT:
        return this.#bigint();
      case UTF8:
      case UTF16:
        return this.#long(tag);
      case OCTETS: {
        const start = this.#skip(this.#length());
        return this.#octets.slice(start, this.#at);
      }
      case APART: {
        const octets = this.#apart[this.#taken++];
        if (octets === undefined) throw new Malformed("octets are missing");
        return octets;
      }
      case LIST:
        return this.#list(this.#length());
      case RECORD:
        return this.#record();
      case NEW_SHAPE:
        return this.#shaped(this.#newShape());
    }
    throw new Malformed("a value is of no known kind");
  }

  /** Goes over so many octets and returns where they start. */
  #skip(count: number): number {
    this.#need(count);
    const start = this.#at;
    this.#at += count;
    return start;
  }

  #short(length: number): string {
    const start = this.#skip(length);
    if (length > MAX_LOOP_CHARS) return this.#text.toString("latin1", start, this.#at);
    const codes = CODES[length]!;
    for (let index = 0; index < length; index++) codes[index] = this.#octets[start + index]!;
    return String.fromCharCode(...codes);
  }

  #long(tag: number): string {
    if (tag === UTF16) {
      const start = this.#skip(this.#length() * 2);
      return this.#text.toString("utf16le", start, this.#at);
    }
    this.#need(4);
    const length = this.#view.getUint32((this.#at += 4) - 4, true);
    const start = this.#skip(length);
    return this.#text.toString("utf8", start, this.#at);
  }

  #string(): string {
    const tag = this.#byte();
    if (tag >= SHORT && tag <= SHORT + MAX_SHORT_CHARS) return this.#short(tag - SHORT);
    if (tag === UTF8 || tag === UTF16) return this.#long(tag);
    throw new Malformed("a name is no text");
  }

  #bigint(): bigint {
    const digits = this.#string();
    const hex = digits.startsWith("-") ? digits.slice(1) : digits;
    if (!/^[0-9a-f]{1,1024}$/.test(hex)) throw new Malformed("a bigint is no number");
    const value = BigInt(`0x${hex}`);
    return hex === digits ? value : -value;
  }

  /** Enters a list or an object, whose entries count for so many values. */
  #enter(entries: number): void {
    if (++this.#depth > MAX_DEPTH_LEVELS) {
      throw new Malformed(`more than ${MAX_DEPTH_LEVELS} objects are within each other`);
    }
    this.#values += 1 + entries;
    if (this.#values > MAX_VALUES) throw new Malformed(`it has more than ${MAX_VALUES} values`);
  }

  #list(count: number): unknown[] {
    // Each entry has an octet at least.
    this.#need(count);
    this.#enter(count);
    const values: unknown[] = [];
    for (let index = 0; index < count; index++) values.push(this.#value());
    this.#depth--;
    return values;
  }

  #newShape(): readonly string[] {
    const count = this.#length();
    if (count > MAX_SHAPE_NAMES || this.#shapes.length >= MAX_SHAPES) throw new Malformed("it has too many names");
    const names: string[] = [];
    for (let index = 0; index < count; index++) {
      const name = this.#string();
      if (name.length > MAX_SHAPE_NAME_CHARS || name === "__proto__") throw new Malformed("a name is none of ours");
      names.push(name);
    }
    this.#shapes.push(names);
    return names;
  }

  #shaped(names: readonly string[] | undefined): Record<string, unknown> {
    if (names === undefined) throw new Malformed("names are missing");
    this.#enter(names.length);
    const made: Record<string, unknown> = {};
    for (let index = 0; index < names.length; index++) made[names[index]!] = this.#value();
    this.#depth--;
    return made;
  }

  #record(): Record<string, unknown> {
    let count = this.#length();
    this.#enter(count * RECORD_ENTRY_VALUES);
    const made: Record<string, unknown> = {};
    for (; count > 0; count--) {
      const name = this.#string(), value = this.#value();
      // Set like any other, this name would change what the object inherits.
      if (name !== "__proto__") made[name] = value;
      else Object.defineProperty(made, name, { value, writable: true, enumerable: true, configurable: true });
    }
    this.#depth--;
    return made;
  }
}

/** Lists of character codes by length, used again and again. */
const CODES: readonly number[][] = Array.from({ length: MAX_LOOP_CHARS + 1 }, (_, length) => new Array(length).fill(0));
