/** Domain names and IP addresses as DNS wants them. Pure. */

import ipaddr from "ipaddr.js";
import { domainToASCII } from "node:url";

/**
 * The name in lower case without its last dot, beyond ASCII as A-labels; null when no host or mail domain can be called so: labels of
 * letters, digits, `-` and `_`, 63 octets each, 253 in all (RFC 1035 §2.3.4).
 */
export function normalName(text: string): string | null {
  let name = text.toLowerCase();
  if (name.endsWith(".")) name = name.slice(0, -1);
  if (/[^\x20-\x7e]/.test(name)) name = domainToASCII(name);
  if (name === "" || name.length > 253) return null;
  return name.split(".").every((label) => /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/.test(label)) ? name : null;
}

/** IPv4 in four parts or IPv6 without brackets. */
export function isAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || (text.includes(":") && ipaddr.IPv6.isValid(text));
}

/** One spelling for each address: IPv4 dotted, IPv6 as RFC 5952 has it, IPv4-mapped IPv6 as IPv4; null for what is no address. */
export function normalAddress(text: string): string | null {
  if (!isAddress(text)) return null;
  const address = ipaddr.parse(text);
  if (address.kind() === "ipv6" && (address as ipaddr.IPv6).isIPv4MappedAddress()) {
    return (address as ipaddr.IPv6).toIPv4Address().toString();
  }
  return address.toString();
}

export function familyOf(address: string): 4 | 6 {
  return address.includes(":") ? 6 : 4;
}

/** The name that holds the PTR of an address: RFC 1035 §3.5, RFC 3596 §2.5. */
export function reverseName(address: string): string | null {
  const normal = normalAddress(address);
  if (normal === null) return null;
  if (familyOf(normal) === 4) return normal.split(".").reverse().join(".") + ".in-addr.arpa";
  const bytes = ipaddr.IPv6.parse(normal).toByteArray();
  const nibbles = bytes.flatMap((byte) => [(byte >> 4).toString(16), (byte & 15).toString(16)]);
  return nibbles.reverse().join(".") + ".ip6.arpa";
}
