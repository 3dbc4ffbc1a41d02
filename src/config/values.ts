/** Values written in smtpd.conf: delays, sizes, ports, names. Text in, value or null out; independent of tokens. */

import { ipVersion } from "../net/mod.ts";

const UNIT_SECONDS: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };
const MAX_INT32 = 0x7fff_ffff;

/** Seconds of `4d`, `30m`: one number without leading zero and one of s, m, h, d. Null when it is not that. */
export function parseDelay(text: string): number | null {
  const found = /^([1-9][0-9]*)([smhd])$/.exec(text);
  if (found === null) return null;
  const seconds = Number(found[1]) * UNIT_SECONDS[found[2]!]!;
  return seconds <= MAX_INT32 ? seconds : null;
}

/** Bytes of `35M`, `1.5g`, `1000`: binary multiples B, K, M, G, T, P, E in any case. Null when it is not that or too big. */
export function parseSize(text: string): number | null {
  const found = /^([0-9]{1,19}(?:\.[0-9]{1,19})?|\.[0-9]{1,19})([bkmgtpe])?$/i.exec(text);
  if (found === null) return null;
  const power = "bkmgtpe".indexOf((found[2] ?? "b").toLowerCase());
  const bytes = Math.floor(Number(found[1]) * 1024 ** power);
  return bytes <= Number.MAX_SAFE_INTEGER ? bytes : null;
}

/** A host name as certificates are named by: labels of letters, digits, `-` and `_`. RFC 1123 §2.1, and `_` as in the wild. */
export function isDomainName(text: string): boolean {
  return text.length <= 255 && /^[a-z0-9_]([a-z0-9_-]{0,62})(\.[a-z0-9_]([a-z0-9_-]{0,62}))*\.?$/i.test(text);
}

/** Services that a machine without a services file has too. */
const WELL_KNOWN: Readonly<Record<string, number>> = { smtp: 25, smtps: 465, submission: 587, submissions: 465 };

/** Port of a service name: the well-known ones, then the text of services(5). Null when unknown. */
export function servicePort(name: string, services: () => string): number | null {
  if (Object.hasOwn(WELL_KNOWN, name)) return WELL_KNOWN[name]!;
  for (const line of services().split("\n")) {
    const words = line.split("#", 1)[0]!.trim().split(/\s+/);
    const [port, protocol] = (words[1] ?? "").split("/");
    if (protocol !== "tcp" || words.indexOf(name) < 0 || words.indexOf(name) === 1) continue;
    return isPort(Number(port)) ? Number(port) : null;
  }
  return null;
}

/** Returns whether `value` is a port that can be connected to: a whole number from 1 to 65535. */
export function isPort(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= 65_535;
}

/** An entry of a list of networks: an address with or without a mask, IPv6 with or without brackets, perhaps taken out by `!`. */
export function isNetwork(text: string): boolean {
  const found = /^!?(\[?)([0-9a-f:.]+)(?:\/([0-9]{1,3}))?(\]?)$/i.exec(text);
  if (found === null || (found[1] === "") !== (found[4] === "")) return false;
  const family = ipVersion(found[2]!);
  if (family === 0 || (found[1] !== "" && family !== 6)) return false;
  return found[3] === undefined || Number(found[3]) <= (family === 4 ? 32 : 128);
}

/**
 * `host:port`, `[ipv6]:port` or the absolute path of a socket, a service's name made a number; null for what is none of these. What holds a
 * `%{…}` is known only at delivery.
 */
export function lmtpDestination(text: string, services: () => string): string | null {
  if (text.includes("%{") || text.startsWith("/")) return text;
  const [, host, port = ""] = /^(\[[0-9a-f:.]+\]|[^\[\]:\s/]+):([\w-]{1,63})$/i.exec(text) ?? [];
  if (host === undefined) return null;
  const number = /^\d+$/.test(port) ? Number(port) : servicePort(port, services);
  return number !== null && isPort(number) ? `${host}:${number}` : null;
}

/** Printable text for a message: control characters as `?`, and not too much of it. */
export function shown(text: string): string {
  const short = text.length > 80 ? `${text.slice(0, 77)}...` : text;
  // deno-lint-ignore no-control-regex -- control characters are what must not reach a terminal
  return short.replace(/[\u0000-\u001f\u007f-\u009f]/g, "?");
}
