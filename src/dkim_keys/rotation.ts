/**
 * The change from the keys of smtpd.conf to others, without a new start: which keys of a domain wait for their record in the DNS, which sign, and
 * which were replaced. Kept in a file beside the keys, `example.org.rotation`, written by smtpd alone. Pure.
 */

import { normalName } from "../net/mod.ts";

/** `waiting`: it signs when the DNS has its record; `replaced`: its record is needed as long as mail with its signatures is on its way. */
export type KeyState = "waiting" | "signing" | "replaced";

export interface RotatedKey {
  readonly state: KeyState;
  readonly selector: string;
  /** Since when, in ms since the epoch. */
  readonly since: number;
  /** Absolute path. */
  readonly keyFile: string;
}

/** The keys of one domain. Each selector stands there once. */
export type Rotation = readonly RotatedKey[];

/** A key that smtpd.conf names, or that stands for one. */
export interface NamedKey {
  readonly selector: string;
  readonly keyFile: string;
}

/** The name of the file of a domain, in the folder of its keys. */
export function rotationName(domain: string): string {
  return `${domain}.rotation`;
}

/** The file's text. */
export function formatRotation(domain: string, rotation: Rotation): string {
  const lines = rotation.map(({ state, selector, since, keyFile }) =>
    `${state} ${selector} ${new Date(since).toISOString()} ${keyFile}`
  );
  return [`# Which keys sign for ${domain}: written by smtpd, see "smtpctl dkim rotate".`, ...lines, ""].join("\n");
}

const LINE = /^(waiting|signing|replaced) (\S+) (\d{4}-\d\d-\d\dT\S+Z) (\/.+)$/;

/** Reads the file's text. A text, which says what is wrong, where it is none. */
export function parseRotation(text: string): Rotation | string {
  const keys: RotatedKey[] = [];
  for (const [index, line] of text.split("\n").entries()) {
    if (line === "" || line.startsWith("#")) continue;
    const [, state, selector = "", date = "", keyFile] = LINE.exec(line) ?? [];
    const since = Date.parse(date);
    const sound = state !== undefined && !Number.isNaN(since) && normalName(selector) === selector;
    if (!sound || keys.some((key) => key.selector === selector)) {
      return `line ${index + 1} is not what smtpd has written`;
    }
    keys.push({ state: state as KeyState, selector, since, keyFile: keyFile! });
  }
  return keys;
}

/** Does smtpd.conf still name a key that was replaced, or is to be? Otherwise the file says nothing about it any more. */
function stands(named: readonly NamedKey[], rotation: Rotation): boolean {
  const selectors = new Set(named.map(({ selector }) => selector));
  if (rotation.some(({ state, selector }) => state === "replaced" && selectors.has(selector))) return true;
  return !rotation.some(({ state }) => state === "signing") && selectors.size > 0;
}

/** The keys that sign: those of smtpd.conf (`named`) that were not replaced, and those that stand for the others. */
export function signingKeys(named: readonly NamedKey[], rotation: Rotation): readonly NamedKey[] {
  if (!stands(named, rotation)) return named;
  const replaced = new Set(rotation.flatMap(({ state, selector }) => state === "replaced" ? [selector] : []));
  const own = named.filter(({ selector }) => !replaced.has(selector));
  const known = new Set(own.map(({ selector }) => selector));
  return [...own, ...rotation.filter(({ state, selector }) => state === "signing" && !known.has(selector))];
}

/** The keys that wait for their record. */
export function waitingKeys(named: readonly NamedKey[], rotation: Rotation): readonly NamedKey[] {
  const known = new Set(named.map(({ selector }) => selector));
  return stands(named, rotation)
    ? rotation.filter(({ state, selector }) => state === "waiting" && !known.has(selector))
    : [];
}

/** The keys whose records must stay, with the time from which on they need not; `lifeMs`: how long mail may be on its way. */
export function replacedKeys(
  rotation: Rotation,
  lifeMs: number,
): readonly (NamedKey & { readonly until: number })[] {
  return rotation.flatMap(({ state, selector, keyFile, since }) =>
    state === "replaced" ? [{ selector, keyFile, until: since + lifeMs }] : []
  );
}

/** Keys are made to replace those that sign now: they wait. What is left of an earlier change and of no use is forgotten. */
export function beginRotation(
  named: readonly NamedKey[],
  rotation: Rotation,
  made: readonly NamedKey[],
  now: number,
): Rotation {
  const counts = stands(named, rotation);
  const kept = rotation.filter(({ state }) => state === "replaced" || (counts && state === "signing"));
  return [...kept, ...made.map((key) => stateOf(key, "waiting", now))];
}

/** The DNS has the records of the keys that wait: they sign from now on, in the place of those that do. */
export function finishRotation(named: readonly NamedKey[], rotation: Rotation, now: number): Rotation {
  const before = signingKeys(named, rotation), next = waitingKeys(named, rotation);
  const moved = new Set([...before, ...next].map(({ selector }) => selector));
  return [
    ...rotation.filter(({ state, selector }) => !moved.has(selector) && state === "replaced"),
    ...before.map((key) => stateOf(key, "replaced", now)),
    ...next.map((key) => stateOf(key, "signing", now)),
  ];
}

function stateOf({ selector, keyFile }: NamedKey, state: KeyState, since: number): RotatedKey {
  return { state, selector, since, keyFile };
}

/** A selector for new keys that none of `taken` begins with: `s2026`, then `s2026b`. `year` as four digits. */
export function newSelector(year: string, taken: (selector: string) => boolean): string {
  const first = `s${year}`;
  if (!taken(first)) return first;
  for (const letter of "bcdefghijklmnopqrstuvwxyz") if (!taken(first + letter)) return first + letter;
  for (let number = 2;; number++) if (!taken(`${first}x${number}`)) return `${first}x${number}`;
}

/** The selector of the Ed25519 key that stands beside an RSA key. */
export function ed25519Selector(selector: string): string {
  return `${selector}-ed25519`;
}

/** The name of the file of a key. */
export function keyFileName(domain: string, selector: string): string {
  return `${domain}.${selector}.pem`;
}
