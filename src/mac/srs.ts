/**
 * The Sender Rewriting Scheme: a forwarder puts its own domain into the reverse-path, so that SPF holds, and finds the original sender when bounces come back.
 * Pure: keys and the time are arguments. What is rewritten when is decided elsewhere. Some hosts change the case of local parts: no letter of
 * such an address counts by its case.
 */

import { createHash, timingSafeEqual } from "node:crypto";
import type { Mailbox } from "../envelope/mod.ts";

/** Secrets that hashes are made with, and how long an address is good. */
export interface SrsKeys {
  readonly key: string;
  /** Was the key before: what was made with it is still taken. */
  readonly backupKey: string | null;
  readonly ttlDays: number;
}

/** A rewritten address that is not taken back, and why, for the log. */
export type SrsResult =
  | { readonly ok: true; readonly mailbox: Mailbox }
  | { readonly ok: false; readonly reason: string };

const DAY_MS = 86_400_000;
/** Two digits of base 32. */
const CYCLE_DAYS = 1024;
const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const HASH_LENGTH = 4;
/** RFC 5321 §4.5.3.1.3 with a margin, as others have it: octets of a rewritten address. */
const MAX_ADDRESS_OCTETS = 255;
/** What stands in an address without quotes. */
const PLAIN = /^[^\s"<>()[\]\\,:;@]+$/;

/** True for `SRS0=…` and `SRS1=…`. */
export function isSrs(local: string): boolean {
  return /^SRS[01]=/i.test(local);
}

/** The reverse-path `sender` as one of `domain`; unchanged when it cannot be written so. `now`: ms since the epoch. */
export function encodeSrs(sender: Mailbox, domain: string, { key }: SrsKeys, now: number): Mailbox {
  if (!PLAIN.test(sender.local)) return sender;
  const local = rewrite(sender, domain, key, now);
  const fits = new TextEncoder().encode(`${local}@${domain}`).length <= MAX_ADDRESS_OCTETS;
  return local !== null && fits ? { local, domain } : sender;
}

function rewrite(sender: Mailbox, domain: string, key: string, now: number): string | null {
  const [, kind, rest] = /^SRS([01])([=+-].*)$/is.exec(sender.local) ?? [];
  if (kind === "0") {
    // The next hop goes straight back to the first one: what that wrote is kept as it is.
    const body = `${sender.domain}=${rest}`;
    return `SRS1=${hash(key, `${body}@${domain}`)}=${body}`;
  }
  if (kind === "1") {
    const body = /^.[^=]*=(.+)$/s.exec(rest!)?.[1];
    return body === undefined ? null : `SRS1=${hash(key, `${body}@${domain}`)}=${body}`;
  }
  const body = `${stamp(now)}=${sender.domain}=${sender.local}`;
  return `SRS0=${hash(key, `${body}@${domain}`)}=${body}`;
}

/** Where mail to a rewritten address goes: the original sender, or for SRS1 the first forwarder. `now`: ms since the epoch. */
export function decodeSrs(address: Mailbox, keys: SrsKeys, now: number): SrsResult {
  const [, kind, given, body] = /^SRS([01])=([^=]*)=(.+)$/is.exec(address.local) ?? [];
  if (body === undefined || given!.length !== HASH_LENGTH) return { ok: false, reason: "malformed" };
  const signed = `${body}@${address.domain}`;
  const known = [keys.key, ...keys.backupKey === null ? [] : [keys.backupKey]];
  // What was made before case stopped to count, here and by OpenSMTPD, has a hash of the text as it was written.
  const hashes = known.flatMap((key) => [hash(key, signed), exactHash(key, signed)]);
  if (!hashes.some((right) => sameHash(right, given!))) return { ok: false, reason: "wrong hash" };
  return kind === "0" ? decodeFirst(body, keys, now) : decodeNext(body, keys, now);
}

/** `TT=domain=user` */
function decodeFirst(body: string, { ttlDays }: SrsKeys, now: number): SrsResult {
  const [, time, domain, local] = /^([^=]*)=([^=]+)=(.+)$/s.exec(body) ?? [];
  if (local === undefined) return { ok: false, reason: "malformed" };
  return isFresh(time!, { ttlDays, now }) ? mailbox(local, domain!) : { ok: false, reason: "expired" };
}

/** `domain=` and what followed SRS0 there: a separator, `HHHH=TT=domain=user`. */
function decodeNext(body: string, { ttlDays }: SrsKeys, now: number): SrsResult {
  const [, domain, rest, time] = /^([^=]+)=([=+-][^=]*=([^=]*)=.+)$/s.exec(body) ?? [];
  if (rest === undefined) return { ok: false, reason: "malformed" };
  return isFresh(time!, { ttlDays, now }) ? mailbox(`SRS0${rest}`, domain!) : { ok: false, reason: "expired" };
}

function mailbox(local: string, domain: string): SrsResult {
  const good = PLAIN.test(local) && /^(?:[^\s"<>()[\]\\,:;@]+|\[[0-9A-Za-z.:]+\])$/.test(domain);
  return good ? { ok: true, mailbox: { local, domain } } : { ok: false, reason: "malformed" };
}

function dayOf(now: number): number {
  return Math.floor(now / DAY_MS) % CYCLE_DAYS;
}

function stamp(now: number): string {
  const day = dayOf(now);
  return DIGITS[day >> 5]! + DIGITS[day & 31]!;
}

/** Not older than the limit; the clock of another host of ours may be a day ahead. */
function isFresh(text: string, { ttlDays, now }: { readonly ttlDays: number; readonly now: number }): boolean {
  const [first = "?", second = "?"] = text.toUpperCase();
  const high = DIGITS.indexOf(first), low = DIGITS.indexOf(second);
  if (text.length !== 2 || high < 0 || low < 0) return false;
  const age = (dayOf(now) - (high * 32 + low) + CYCLE_DAYS) % CYCLE_DAYS;
  return age <= ttlDays || age === CYCLE_DAYS - 1;
}

/** Hash of the text whatever its case: in small letters, but for the time in front of SRS0, which is as OpenSMTPD has it. */
function hash(key: string, text: string): string {
  return exactHash(key, lower(text).replace(/^[a-z2-7]{2}=/, (time) => time.toUpperCase()));
}

/** Only ASCII letters: that is what hosts agree on. */
function lower(text: string): string {
  return text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}

/** Compares without regard to case, in a time that does not depend on how much is right. */
function sameHash(right: string, given: string): boolean {
  const [one, other] = [right, given].map((text) => new TextEncoder().encode(lower(text)));
  return one!.length === other!.length && timingSafeEqual(one!, other!);
}

function exactHash(key: string, text: string): string {
  const digest = createHash("sha1").update(key + text, "utf8").digest("base64");
  return digest.slice(0, HASH_LENGTH).replaceAll("+", "-").replaceAll("/", "_");
}
