/**
 * What a hostile isolate makes of the messages of a door: derived from the examples (samples.ts) and the checks of the door, so that a new type of message
 * is covered by itself. Each field, at every depth, is replaced by each wrong value; what the check lets through all the same is hostile in the right form.
 */

import { checksOf, type Door, type DoorChecks } from "../../src/protocol/door.ts";
import { DOORS } from "../../src/protocol/doors.ts";
import type { DoorName } from "../../src/protocol/mod.ts";
import { ID, MESSAGE, SAMPLES, SESSION } from "./samples.ts";

export type Side = "asks" | "answers";
export interface Hostile {
  readonly type: string;
  readonly message: Readonly<Record<string, unknown>>;
  /** What the check of the door says of it; null: only the receiver can see what is wrong. */
  readonly fault: string | null;
}
/** What is there and is not the sender's business. */
export interface Known {
  readonly message: string;
  readonly envelope: string;
}

const HUGE_CHARS = 5_000_000, LONG_CHARS = 65_536, HUGE_ENTRIES = 1_000_001, LONG_ENTRIES = 2_000;
const HUGE_TEXT = "x".repeat(HUGE_CHARS), LONG_TEXT = "\x1b\n|".repeat(LONG_CHARS).slice(0, LONG_CHARS);
/** In the place of any value. */
const WRONG: readonly unknown[] = [
  undefined,
  null,
  true,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -1,
  0,
  0.5,
  2 ** 53,
  Number.MAX_SAFE_INTEGER,
  1n,
  "",
  "\n\x1b[2J../../etc/shadow\0",
  "__proto__",
  LONG_TEXT,
  HUGE_TEXT,
  [],
  [null],
  {},
  new Map(),
  new Date(0),
  new Uint8Array(0),
  new Uint8Array(64 * 1024 * 1024 + 1),
  new Uint8Array(new SharedArrayBuffer(1)),
  new ArrayBuffer(1),
  new DataView(new ArrayBuffer(1)),
];

/** The checks of what is said at one side of a door. */
export function checksFor(door: DoorName, side: Side): DoorChecks {
  const { asks, answers, replies, allowed } = DOORS[door] as unknown as Door<never, never>;
  return side === "asks"
    ? checksOf({ arriving: asks, replies: {}, ...(allowed !== undefined && { allowed }) })
    : checksOf({ arriving: answers, replies });
}

/** The examples of one side of a door, with their types; of a type that the door does not let through none. Throws where a type has no example. */
export function samplesOf(door: DoorName, side: Side): readonly (readonly [type: string, Record<string, unknown>[]])[] {
  const samples = SAMPLES[door][side] as Readonly<Record<string, readonly object[]>>;
  return [...checksFor(door, side).arriving.keys()].map((type) => {
    const list = samples[type] ?? [];
    if (list.length === 0) throw new Error(`There is no example of ${type} at ${door}: write one into samples.ts`);
    return [type, list.map((sample) => ({ type, ...sample }))];
  });
}

/** Every message of one side of a door with every wrong value in every place, in turn. */
export function* spoilt(door: DoorName, side: Side): Generator<Hostile> {
  const { arriving } = checksFor(door, side);
  for (const [type, samples] of samplesOf(door, side)) {
    const check = arriving.get(type)!;
    for (const sample of samples) {
      for (const [path, value] of places(sample)) {
        for (const wrong of wrongFor(value)) {
          const message = changed(sample, path, wrong) as Record<string, unknown>;
          yield { type, message, fault: check(message) };
        }
      }
    }
  }
}

/** A list may be too long, too. */
function wrongFor(value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) return WRONG;
  const entry = value[0] ?? null;
  return [...WRONG, Array(HUGE_ENTRIES).fill(entry), Array(LONG_ENTRIES).fill(entry)];
}

/**
 * What is said in the right form and is not the sender's to say: with the ids of others, with root and its files in the place of names, and with as much in
 * every text and list as may be sent. `type` by `type`.
 */
export function foreign(door: DoorName, side: Side, known: Known): ReadonlyMap<string, readonly Hostile["message"][]> {
  const { arriving } = checksFor(door, side);
  return new Map(
    samplesOf(door, side).map(([type, samples]) => {
      const made = samples.map((sample) => renamed(sample, known) as Record<string, unknown>);
      const larger = made.flatMap((sample) =>
        [...places(sample)].flatMap(([path, value]) => {
          const worse = Array.isArray(value)
            ? [Array(LONG_ENTRIES).fill(value[0] ?? known.envelope), []]
            : typeof value === "string"
            ? [LONG_TEXT, "\n\x1b[2J../../etc/shadow\0", ""]
            : typeof value === "number"
            ? [Number.MAX_SAFE_INTEGER, 0]
            : [];
          // The number of a question says which answers are the attacker's.
          return path.at(-1) === "call" ? [] : worse.map((each) => changed(sample, path, each) as typeof sample);
        })
      );
      return [type, [...made, ...larger].filter((message) => arriving.get(type)!(message) === null)];
    }),
  );
}

/** Every value in a message but its type, with the way to it; the message itself comes not. */
function* places(value: unknown, path: readonly string[] = []): Generator<readonly [string[], unknown]> {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return;
  if (value instanceof SharedArrayBuffer) return;
  for (const [name, inner] of Object.entries(value)) {
    if (path.length === 0 && name === "type") continue;
    yield [[...path, name], inner];
    yield* places(inner, [...path, name]);
  }
}

function changed(value: unknown, [name, ...rest]: readonly string[], to: unknown): unknown {
  const inner = rest.length === 0 ? to : changed((value as Record<string, unknown>)[name!], rest, to);
  if (Array.isArray(value)) return value.map((one, at) => String(at) === name ? inner : one);
  return { ...value as object, [name!]: inner };
}

const NAMES: Readonly<Record<string, string>> = { u: "root", n: "root", "/t": "/etc/shadow", p: "quiet" };
const OTHER_SESSION = "00000000000000aa";

function renamed(value: unknown, known: Known): unknown {
  if (typeof value === "string") {
    if (value === SESSION) return OTHER_SESSION;
    return NAMES[value] ?? value.replaceAll(ID, known.envelope).replaceAll(MESSAGE, known.message);
  }
  if (Array.isArray(value)) return value.map((one) => renamed(one, known));
  if (typeof value !== "object" || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, renamed(inner, known)]));
}
