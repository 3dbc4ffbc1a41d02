/** How addresses, hosts, counts and replies stand in the sentences of a story. Pure. */

import { formatMailbox, type ReversePath } from "../envelope/mod.ts";

/** Characters of somebody's reply in a sentence. */
const MAX_REPLY_CHARS = 400;
/** Names that a sentence lists before it counts the rest. */
const MAX_LISTED_NAMES = 3;

/** The address; "" for the null sender. */
export function addressOf(path: ReversePath): string {
  return path === null ? "" : formatMailbox(path);
}

/** The sender of a sentence: `alice@example.org`, or words for the null sender. */
export function senderOf(from: string | null): string {
  return from === null ? "an unknown sender" : from === "" ? "the null sender <>" : from;
}

/** One line, cut where it is long, without a dot at its end. */
export function replyOf(text: string): string {
  const line = text.replace(/\s+/g, " ").trim().replace(/\.$/, "");
  return line.length > MAX_REPLY_CHARS ? `${line.slice(0, MAX_REPLY_CHARS)}…` : line;
}

/** `one`, `one and two`, `one, two, three and 4 more`. */
export function listOf(names: readonly string[], total = names.length): string {
  const shown = names.slice(0, total <= MAX_LISTED_NAMES + 1 ? total : MAX_LISTED_NAMES), rest = total - shown.length;
  if (rest > 0) return `${shown.join(", ")} and ${rest} more`;
  return shown.length < 2 ? shown.join("") : `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}`;
}

/** `1 recipient`, `3 recipients`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** `once`, `twice`, `3 times`. */
export function timesOf(count: number): string {
  return count === 1 ? "once" : count === 2 ? "twice" : `${count} times`;
}

/** `mx.example.org (192.0.2.7)`, from what log and events have: an address, and a name that may be missing or be the address itself. */
export function hostOf(name: string | undefined, address: string | undefined): string {
  const known = name !== undefined && name !== "" && !/^(?:<unknown>|unknown)$/.test(name) && name !== address;
  if (address === undefined || address === "" || address === "-") return known ? name : "";
  return known ? `${name} (${address})` : address;
}

/** The text of `relay=` of the log, `IP (PTR)` or a domain, as `hostOf` writes it. */
export function relayOf(text: string): string {
  const [, address, name] = /^(\S+) \((.*)\)$/.exec(text) ?? [];
  return address === undefined ? text : hostOf(name, address);
}

/** The beginning of a sentence. */
export function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** `VERSION:CIPHER:BITS` of events as people write it. */
export function tlsOf(ciphers: string): string {
  const [version, cipher] = ciphers.split(":");
  return cipher === undefined ? ciphers : `${version} (${cipher})`;
}
