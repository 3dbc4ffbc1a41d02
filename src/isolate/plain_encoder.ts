/** Writes plain data as octets (plain_data.ts). */

import { Buffer } from "node:buffer";
import {
  APART,
  BIGINT,
  DOUBLE,
  FALSE,
  INT,
  LIST,
  MAX_APART_ARRAYS,
  MAX_DEPTH_LEVELS,
  MAX_SHAPE_NAME_CHARS,
  MAX_SHAPE_NAMES,
  MAX_SHAPES,
  MAX_SHORT_CHARS,
  MIN_APART_OCTETS,
  NEW_SHAPE,
  NotPlain,
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

/** A list of names, and those that have one more. */
interface Shape {
  number: number;
  readonly names: readonly string[];
  readonly longer: Map<string, Shape>;
  /** The longer one that was met last. */
  usual: Shape | null;
}

const newShape = (names: readonly string[]): Shape => ({ number: -1, names, longer: new Map(), usual: null });

/** Writes plain data into `octets` from `at` on. One per connection: it remembers which names the other side knows. */
export class Encoder {
  octets: Uint8Array<ArrayBuffer>;
  at = 0;
  /** Uint8Arrays that are kept apart, in order, since the last `apart = []`. */
  apart: Uint8Array[] = [];
  /** Bare storage that was in it, which is not sent, since the last `spent = []`. */
  spent: ArrayBuffer[] = [];
  /** Lists and objects and their entries since it was last set to 0, as MAX_VALUES counts them. */
  values = 0;
  #view: DataView;
  #text: Buffer;
  readonly #root: Shape = newShape([]);
  readonly #shapes: Shape[] = [];
  /** Shapes that could still be needed are remembered up to a bound: names may come from tables. */
  #nodes = 0;
  #depth = 0;

  constructor(octets: Uint8Array<ArrayBuffer>) {
    this.octets = octets;
    this.#view = new DataView(octets.buffer);
    this.#text = Buffer.from(octets.buffer);
  }

  /** Goes on in another buffer; the caller has copied what it needs of this one. */
  replace(octets: Uint8Array<ArrayBuffer>): void {
    this.octets = octets;
    this.#view = new DataView(octets.buffer);
    this.#text = Buffer.from(octets.buffer);
  }

  /** How many lists of names the other side knows. */
  get shapes(): number {
    return this.#shapes.length;
  }

  /** Forgets the lists of names from `shapes` on, because the octets that hold them are not sent. */
  forget(shapes: number): void {
    for (const shape of this.#shapes.splice(shapes)) shape.number = -1;
    this.#depth = 0;
  }

  /** Makes room for so many more octets. */
  reserve(count: number): void {
    if (this.at + count <= this.octets.length) return;
    const wider = new Uint8Array(Math.max(this.octets.length * 2, this.at + count));
    wider.set(this.octets.subarray(0, this.at));
    this.replace(wider);
  }

  /** Writes a 32-bit word, little-endian. */
  word(value: number): void {
    this.reserve(4);
    this.at += 4;
    this.setWord({ at: this.at - 4, value });
  }

  /** Writes a word at a place that was left for it. */
  setWord({ at, value }: { readonly at: number; readonly value: number }): void {
    this.#view.setUint32(at, value, true);
  }

  #length(value: number): void {
    this.reserve(5);
    while (value > 127) {
      this.octets[this.at++] = (value & 127) | 128;
      value >>>= 7;
    }
    this.octets[this.at++] = value;
  }

  #tag(tag: number): void {
    if (this.at === this.octets.length) this.reserve(1);
    this.octets[this.at++] = tag;
  }

  /** Writes one value. Throws NotPlain for functions, symbols, other objects of the runtime, and what is nested too deeply or in a circle. */
  value(value: unknown): void {
    switch (typeof value) {
      case "string":
        return this.#string(value);
      case "number":
        return this.#number(value);
      case "boolean":
        return this.#tag(value ? TRUE : FALSE);
      case "undefined":
        return this.#tag(UNDEFINED);
      case "object":
        return value === null ? this.#tag(NULL) : this.#object(value);
      case "bigint":
        this.#tag(BIGINT);
        return this.#string(value.toString(16));
    }
    throw new NotPlain(`A ${typeof value} cannot be sent to another process`);
  }

  #string(text: string): void {
    const { length } = text;
    this.reserve(length + 6);
    if (length <= MAX_SHORT_CHARS) {
      const { octets } = this;
      let at = this.at + 1, code = 0, index = 0;
      for (; index < length; index++) {
        code = text.charCodeAt(index);
        if (code > 255) break;
        octets[at++] = code;
      }
      if (index === length) {
        octets[this.at] = SHORT + length;
        this.at = at;
        return;
      }
    }
    if (!text.isWellFormed()) return this.#utf16(text);
    this.reserve(length * 3 + 6);
    const start = this.at;
    this.octets[start] = UTF8;
    const written = this.#text.write(text, start + 5, length * 3, "utf8");
    this.#view.setUint32(start + 1, written, true);
    this.at = start + 5 + written;
  }

  /** Text with half a pair, which UTF-8 cannot say. */
  #utf16(text: string): void {
    this.#tag(UTF16);
    this.#length(text.length);
    this.reserve(text.length * 2);
    for (let index = 0; index < text.length; index++, this.at += 2) {
      this.#view.setUint16(this.at, text.charCodeAt(index), true);
    }
  }

  #number(value: number): void {
    this.reserve(9);
    if ((value | 0) === value && !Object.is(value, -0)) {
      this.octets[this.at] = INT;
      this.at++;
      return this.#length(((value << 1) ^ (value >> 31)) >>> 0);
    }
    this.octets[this.at] = DOUBLE;
    this.#view.setFloat64(this.at + 1, value, true);
    this.at += 9;
  }

  #object(value: object): void {
    if (value instanceof Uint8Array) return this.#bytes(value);
    // Storage that goes back to be filled again: there is nothing in it to send.
    if (value instanceof ArrayBuffer) {
      this.spent.push(value);
      return this.#tag(UNDEFINED);
    }
    if (++this.#depth > MAX_DEPTH_LEVELS) {
      throw new NotPlain(`More than ${MAX_DEPTH_LEVELS} objects within each other cannot be sent`);
    }
    this.values++;
    if (Array.isArray(value)) {
      this.values += value.length;
      this.#tag(LIST);
      this.#length(value.length);
      for (let index = 0; index < value.length; index++) this.value(value[index]);
    } else {
      const shape = this.#shapeOf(value as Record<string, unknown>);
      if (shape === null) this.#record(value as Record<string, unknown>);
      else {
        this.values += shape.names.length;
        for (const name of shape.names) this.value((value as Record<string, unknown>)[name]);
      }
    }
    this.#depth--;
  }

  #bytes(bytes: Uint8Array): void {
    const { length } = bytes;
    if (length >= MIN_APART_OCTETS && this.apart.length < MAX_APART_ARRAYS) {
      this.apart.push(bytes);
      return this.#tag(APART);
    }
    this.#tag(OCTETS);
    this.#length(length);
    this.reserve(length);
    this.octets.set(bytes, this.at);
    this.at += length;
  }

  /** The shape of an object, written; null where it has to carry its names. */
  #shapeOf(value: Record<string, unknown>): Shape | null {
    let shape = this.#root;
    for (const name in value) {
      const { usual } = shape;
      if (usual !== null && usual.names[usual.names.length - 1] === name) shape = usual;
      else {
        const next = this.#longer(shape, name);
        if (next === null) return null;
        shape = shape.usual = next;
      }
    }
    if (shape.number < 0) {
      plainOnly(value);
      if (this.#shapes.length >= MAX_SHAPES) return null;
      shape.number = this.#shapes.push(shape) - 1;
      this.#tag(NEW_SHAPE);
      this.#length(shape.names.length);
      for (const each of shape.names) this.#string(each);
      return shape;
    }
    if (shape.names.length === 0) plainOnly(value);
    this.#tag(SHAPE);
    this.#length(shape.number);
    return shape;
  }

  #longer(shape: Shape, name: string): Shape | null {
    const known = shape.longer.get(name);
    if (known !== undefined) return known;
    if (this.#nodes >= MAX_SHAPES * 8 || shape.names.length >= MAX_SHAPE_NAMES) return null;
    if (name.length > MAX_SHAPE_NAME_CHARS || name === "__proto__") return null;
    this.#nodes++;
    const next = newShape([...shape.names, name]);
    shape.longer.set(name, next);
    return next;
  }

  #record(value: Record<string, unknown>): void {
    plainOnly(value);
    const names = Object.keys(value);
    this.#tag(RECORD);
    this.values += names.length * RECORD_ENTRY_VALUES;
    this.#length(names.length);
    for (const name of names) {
      this.#string(name);
      this.value(value[name]);
    }
  }
}

function plainOnly(value: object): void {
  const prototype = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return;
  throw new NotPlain(`${Object.prototype.toString.call(value)} cannot be sent to another process`);
}
