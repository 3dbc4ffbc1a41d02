/** Domain names and IP addresses in the form of DNS. Pure. */

import { builtin } from "../builtin.ts";
import { type AddressWords, formatAddress, parseAddress, parseIpv4, parseIpv6 } from "./networks.ts";

/**
 * The name in lower case without its last dot, beyond ASCII as A-labels; null when no host or mail domain can be called so: labels of
 * letters, digits, `-` and `_`, 63 octets each, 253 in all (RFC 1035 §2.3.4).
 */
export function normalName(text: string): string | null {
  let name = text.toLowerCase();
  if (name.endsWith(".")) name = name.slice(0, -1);
  if (/[^\x20-\x7e]/.test(name)) name = builtin("node:url").domainToASCII(name);
  if (name === "" || name.length > 253) return null;
  return name.split(".").every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label)) ? name : null;
}

/** Returns whether `text` is an IPv4 address in four parts or an IPv6 address without brackets (RFC 4291 §2.2), with or without a zone. */
export function isAddress(text: string): boolean {
  return readAddress(text) !== null;
}

/**
 * Returns the one spelling of an address: IPv4 dotted, IPv6 as RFC 5952 has it, with its zone; IPv4-mapped IPv6 as IPv4. Null for what is no
 * address.
 */
export function normalAddress(text: string): string | null {
  const read = readAddress(text);
  if (read === null) return null;
  return read.words.length === 2 ? formatAddress(read.words) : formatAddress(read.words) + read.zone;
}

/** `zone` as of RFC 4007 §11, with its `%`; "" for none. */
function readAddress(text: string): { readonly words: AddressWords; readonly zone: string } | null {
  if (!text.includes(":")) {
    const words = parseIpv4(text);
    return words === null ? null : { words, zone: "" };
  }
  const [, bare, zone = ""] = /^([0-9a-f:.]+)(%[0-9a-z]+)?$/i.exec(text) ?? [];
  if (bare === undefined) return null;
  // IPv4-compatible addresses are deprecated (RFC 4291 §2.5.5.1) and taken for the IPv4 address.
  const words = bare.startsWith("::") && bare.indexOf(":", 2) < 0 && bare.includes(".")
    ? parseIpv4(bare.slice(2))
    : parseAddress(bare);
  return words === null ? null : { words, zone };
}

/**
 * Returns 4 or 6 for the text of an address, 0 for any other: as `isIP` of node:net, which takes 37 ms to load. Takes zones of all characters
 * that interfaces have in their names.
 */
export function ipVersion(text: string): 0 | 4 | 6 {
  if (parseIpv4(text) !== null) return 4;
  return parseIpv6(text.replace(/%[0-9a-z.:-]+$/i, "")) === null ? 0 : 6;
}

/** Returns 6 for the text of an IPv6 address, 4 for one of IPv4. */
export function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

/** Returns the name that holds the PTR of an address: RFC 1035 §3.5, RFC 3596 §2.5. Null for what is no address. */
export function reverseName(address: string): string | null {
  const read = readAddress(address);
  if (read === null) return null;
  if (read.words.length === 2) return formatAddress(read.words).split(".").reverse().join(".") + ".in-addr.arpa";
  const nibbles = read.words.flatMap((word) => [...word.toString(16).padStart(4, "0")]);
  return nibbles.reverse().join(".") + ".ip6.arpa";
}
