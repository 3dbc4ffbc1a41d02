/**
 * Checks of the shape and the bounds of what arrives at a door, as plain functions that are put together to tables. A check never throws and
 * costs no more than the fields that it names: octets are measured, never walked through. Defines no message; those are in the files beside it.
 */

import { safeLine } from "../events/mod.ts";

/** Takes a value of any kind and returns what is wrong with it, or null. `T` is the type of what passes. */
export interface Check<out T> {
  (value: unknown): string | null;
  /** Never set: it ties the check to the type of what passes. */
  readonly passes?: T;
  /** Set where the check is so simple that the check of an object can do it in place: a call for each field costs more than the look. */
  readonly simple?: SimpleCheck;
}

/** Text of at most so many characters, a whole number within bounds, a boolean, or one of some words; and whether null or nothing passes too. */
export interface SimpleCheck {
  readonly kind: typeof TEXT | typeof WHOLE | typeof FLAG | typeof WORD;
  readonly least: number;
  readonly most: number;
  readonly words: readonly unknown[];
  readonly orNull: boolean;
  readonly orMissing: boolean;
}

/** A check of a field that may be absent. */
export interface OptionalCheck<out T> extends Check<T | undefined> {
  readonly optional: true;
}

/** The members of a union whose `Tag` may be `Name`. */
export type Of<M, Tag extends PropertyKey, Name> = M extends unknown
  ? Tag extends keyof M ? Name extends M[Tag] ? M : never : never
  : never;

/** A check for every field but the tag: a field without one does not compile. */
export type Fields<M, Tag extends PropertyKey = never> = {
  readonly [K in Exclude<keyof M, Tag>]: object extends Pick<M, K> ? OptionalCheck<Exclude<M[K], undefined>>
    : Check<M[K]>;
};

/** The fields of every type of message: a type that is left out does not compile. */
export type MessageTable<M extends { readonly type: string }> = {
  readonly [T in M["type"]]: Fields<Of<M, "type", T>, "type">;
};

interface Called {
  readonly type: string;
  readonly call: number;
}
/** Which answers each type of question may get: a question that is left out does not compile. */
export type Replies<Ask, Answer> = {
  readonly [T in Extract<Ask, Called>["type"]]: readonly Extract<Answer, Called>["type"][];
};

/** Characters of the longest text that no field of its own limits. What strangers say is shorter: a line of SMTP has at most 12 KiB. */
export const MAX_TEXT_CHARS = 65_536;
/** Characters of texts that are several lines, or what others have said. */
export const MAX_LONG_TEXT_CHARS = 4 * 1024 * 1024;
/** Octets of the buffer that a piece of octets may be a view of. */
export const MAX_BUFFER_OCTETS = 64 * 1024 * 1024;
/** Entries of the longest list. A message may have a hundred thousand envelopes, and several messages may be named at once. */
export const MAX_LIST_ENTRIES = 1_000_000;
/** Characters of a name that is shown when it is refused. */
const SHOWN_CHARS = 48;

const PASSED = null;
const TEXT = 1, WHOLE = 2, FLAG = 3, WORD = 4;

/** The check with the mark by which it can be done in place. */
function simply<T>(check: Check<T>, simple: Pick<SimpleCheck, "kind"> & Partial<SimpleCheck>): Check<T> {
  const rest = { least: 0, most: 0, words: [], orNull: false, orMissing: false };
  return Object.assign((value: unknown) => check(value), { simple: { ...rest, ...simple } });
}

/** The mark of a check that lets through one value more than another, if that has a mark. */
function widened(check: Check<unknown>, by: Partial<SimpleCheck>): { readonly simple?: SimpleCheck } {
  return check.simple === undefined ? {} : { simple: { ...check.simple, ...by } };
}

/** A whole number from `least` to `most`. */
export function whole(
  { least = 0, most = Number.MAX_SAFE_INTEGER }: { readonly least?: number; readonly most?: number } = {},
): Check<number> {
  const check: Check<number> = (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
      ? PASSED
      : `is ${kindOf(value)}, not a whole number from ${least} to ${most}`;
  return simply(check, { kind: WHOLE, least, most });
}

/** A number that is neither NaN nor infinite: a time, or a span that may be negative after a clock was set. */
export const finite: Check<number> = (value) => Number.isFinite(value) ? PASSED : `is ${kindOf(value)}, not a number`;

/** A number of octets; Infinity where there is no limit. */
export const amount: Check<number> = (value) =>
  typeof value === "number" && value >= 0 ? PASSED : `is ${kindOf(value)}, not an amount`;

export const flag: Check<boolean> = simply(
  (value) => typeof value === "boolean" ? PASSED : `is ${kindOf(value)}, not a boolean`,
  { kind: FLAG },
);

/** Text of at most so many characters. What is in it is the receiver's to judge: much of it was said by strangers. */
export function text(most = MAX_TEXT_CHARS): Check<string> {
  const check: Check<string> = (value) => {
    if (typeof value !== "string") return `is ${kindOf(value)}, not text`;
    return value.length <= most ? PASSED : `has ${value.length} characters, more than ${most}`;
  };
  return simply(check, { kind: TEXT, most });
}

/** Text of exactly the form of `pattern`, for example an id. `what` names that. */
export function matching(pattern: RegExp, what: string): Check<string> {
  return (value) => typeof value === "string" && pattern.test(value) ? PASSED : `is ${kindOf(value)}, not ${what}`;
}

/** What `is` returns true for, for example an id. `what` names that. */
export function passing<T>(is: (value: unknown) => value is T, what: string): Check<T> {
  return (value) => is(value) ? PASSED : `is ${kindOf(value)}, not ${what}`;
}

/** One of these words, numbers or booleans. */
export function oneOf<const T extends string | number | boolean>(...words: readonly T[]): Check<T> {
  const check: Check<T> = (value) =>
    (words as readonly unknown[]).includes(value) ? PASSED : `is ${shownWord(value)}, which is not known here`;
  return simply(check, { kind: WORD, words });
}

/** Octets of this isolate alone: a buffer that the sender still shares could change after it was checked. */
export function octets(most: number): Check<Uint8Array<ArrayBuffer>> {
  return (value) => {
    if (!(value instanceof Uint8Array)) return `is ${kindOf(value)}, not octets`;
    if (value.byteLength > most) return `has ${value.byteLength} octets, more than ${most}`;
    return isOwn(value.buffer) ? PASSED : "is a view of a buffer that is shared or too large";
  };
}

/** A whole buffer of at most so many octets. */
export function buffer(most: number): Check<ArrayBuffer> {
  return (value) =>
    value instanceof ArrayBuffer && value.byteLength <= most ? PASSED : `is ${kindOf(value)}, not such a buffer`;
}

function isOwn(value: ArrayBufferLike): boolean {
  return value instanceof ArrayBuffer && value.byteLength <= MAX_BUFFER_OCTETS;
}

/** A list of at most so many entries, each of which passes `entry`. */
export function list<T>(entry: Check<T>, most = MAX_LIST_ENTRIES): Check<readonly T[]> {
  return (value) => {
    if (!Array.isArray(value)) return `is ${kindOf(value)}, not a list`;
    if (value.length > most) return `has ${value.length} entries, more than ${most}`;
    for (let at = 0; at < value.length; at++) {
      const fault = entry(value[at]);
      if (fault !== null) return inside(`[${at}]`, fault);
    }
    return PASSED;
  };
}

/** Null, or what passes `check`. */
export function nullOr<T>(check: Check<T>): Check<T | null> {
  const orNull: Check<T | null> = (value) => value === null ? PASSED : check(value);
  return Object.assign(orNull, widened(check, { orNull: true }));
}

/** For a field that may be absent. */
export function optional<T>(check: Check<T>): OptionalCheck<T> {
  const optionalCheck = (value: unknown) => value === undefined ? PASSED : check(value);
  return Object.assign(optionalCheck, { optional: true as const }, widened(check, { orMissing: true }));
}

/** What passes one of two checks; the second says what is wrong. */
export function either<A, B>(one: Check<A>, other: Check<B>): Check<A | B> {
  return (value) => one(value) === null ? PASSED : other(value);
}

/** An object with these fields. Others that it may have are ignored. */
export function record<T>(fields: Fields<T>): Check<T> {
  return compile(fields);
}

/** One of a union of objects, distinguished by the text in the field `tag`. */
export function tagged<U, Tag extends keyof U & string>(
  tag: Tag,
  table: { readonly [Name in U[Tag] & string]: Fields<Of<U, Tag, Name>, Tag> },
): Check<U> {
  const checks = compileTable(table as Readonly<Record<string, object>>);
  return (value) => {
    if (!isPlain(value)) return `is ${kindOf(value)}, not an object`;
    const check = checks.get(value[tag] as string);
    return check === undefined ? inside(tag, `is ${shownWord(value[tag])}, which is not known here`) : check(value);
  };
}

/** The checks of a table of messages, by type. A Map: the name of a type comes from the other side, and an object has more names than its own. */
export function compileTable(table: Readonly<Record<string, object>>): ReadonlyMap<string, Check<unknown>> {
  return new Map(Object.entries(table).map(([name, fields]) => [name, compile(fields as Fields<unknown>)]));
}

/** A field in the place in which senders have it. */
interface Place {
  readonly name: string;
  readonly check: Check<unknown>;
  readonly simple: SimpleCheck | null;
}

/**
 * The check of an object, made at its first use: every message of the daemon passes some of these, and most tables are never asked in most
 * isolates. The names of the last object that passed are kept in their order: another one with the same names has all the fields that it
 * must have, and its values are looked at as they come. One with other names goes the slow way, as does whatever is to be refused.
 */
function compile<T>(fields: Fields<T>): Check<T> {
  let table: readonly Place[] | null = null;
  let usual: readonly Place[] = [];
  const slowly = (value: Record<string, unknown>): string | null => {
    table ??= Object.entries(fields).map(([name, check]) => placeOf(name, check as Check<unknown>));
    for (const { name, check } of table) {
      const fault = check(value[name]);
      if (fault !== null) return inside(name, fault);
    }
    const names = Object.keys(value);
    // Beside its fields a message has one name that says its type; what has more is not kept.
    if (names.length > table.length + 1) return PASSED;
    usual = names.map((name) => table!.find((place) => place.name === name) ?? placeOf(name, () => PASSED));
    return PASSED;
  };
  return (value) => {
    if (!isPlain(value)) return `is ${kindOf(value)}, not an object`;
    const places = usual;
    let at = 0;
    for (const name in value) {
      if (at === places.length) return slowly(value);
      const place = places[at++]!;
      if (place.name !== name) return slowly(value);
      const { simple } = place;
      if (!(simple === null ? place.check(value[name]) === PASSED : passesSimply(simple, value[name]))) {
        return slowly(value);
      }
    }
    return at === places.length && at > 0 ? PASSED : slowly(value);
  };
}

function placeOf(name: string, check: Check<unknown>): Place {
  return { name, check, simple: check.simple ?? null };
}

function passesSimply({ kind, least, most, words, orNull, orMissing }: SimpleCheck, value: unknown): boolean {
  if (value === null) return orNull;
  if (value === undefined) return orMissing;
  if (kind === TEXT) return typeof value === "string" && value.length <= most;
  if (kind === WHOLE) return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
  if (kind === FLAG) return typeof value === "boolean";
  for (let at = 0; at < words.length; at++) if (words[at] === value) return true;
  return false;
}

/** An object as a posted one is: of no class of its own. */
export function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Puts the way to a wrong value in front of what is wrong with it: `envelopes[3].rcpt.local is a number, not text`. */
export function inside(name: string, fault: string): string {
  if (fault.startsWith("is ") || fault.startsWith("has ")) return `${name} ${fault}`;
  return fault.startsWith("[") ? `${name}${fault}` : `${name}.${fault}`;
}

/** What a value is, in words without its content: that may be a password. */
export function kindOf(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "number") return Number.isFinite(value) ? `the number ${value}` : String(value);
  if (typeof value === "string") return `text of ${value.length} characters`;
  if (value instanceof ArrayBuffer) return `a buffer of ${value.byteLength} octets`;
  return typeof value === "object" ? "an object" : `a ${typeof value}`;
}

/** A word that should be one of ours, encoded and cut: it is a name, and says what went wrong. */
export function shownWord(value: unknown): string {
  if (typeof value !== "string") return kindOf(value);
  return `"${safeLine(value.slice(0, SHOWN_CHARS))}${value.length > SHOWN_CHARS ? "…" : ""}"`;
}
