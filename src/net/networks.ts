/** IP addresses and networks as text, and lists of networks compiled for lookups. Makes no connection. */

/** An address as 16-bit words: two for IPv4, eight for IPv6. */
export type AddressWords = readonly number[];

/** Dotted quad, RFC 5321 §4.1.3 without the brackets; null when it is none. */
export function parseIpv4(text: string): AddressWords | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  const octets = parts.map(parseOctet);
  if (octets.some((octet) => octet < 0)) return null;
  return [octets[0]! << 8 | octets[1]!, octets[2]! << 8 | octets[3]!];
}

function parseOctet(text: string): number {
  return /^(?:0|[1-9]\d{0,2})$/.test(text) && Number(text) < 256 ? Number(text) : -1;
}

/** Text form of RFC 4291 §2.2, with `::` and an embedded dotted quad, without zone; null when it is none. */
export function parseIpv6(text: string): AddressWords | null {
  if (text.length > 45) return null;
  const halves = text.split("::");
  if (halves.length > 2) return null;
  const head = parseWords(halves[0]!, { last: halves.length === 1 });
  const tail = halves.length === 2 ? parseWords(halves[1]!, { last: true }) : [];
  if (head === null || tail === null) return null;
  if (halves.length === 1) return head.length === 8 ? head : null;
  const zeros = 8 - head.length - tail.length;
  return zeros < 1 ? null : [...head, ...new Array<number>(zeros).fill(0), ...tail];
}

/** `last`: the words end the address, and may end in a dotted quad. */
function parseWords(text: string, { last }: { readonly last: boolean }): number[] | null {
  if (text === "") return [];
  const words: number[] = [];
  const parts = text.split(":");
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) words.push(parseInt(part, 16));
    else {
      const quad = last && index === parts.length - 1 ? parseIpv4(part) : null;
      if (quad === null) return null;
      words.push(...quad);
    }
  }
  return words;
}

/** IPv4, bare or bracketed IPv6, with or without the `IPv6:` tag of RFC 5321 §4.1.3. An IPv4-mapped IPv6 address is the IPv4 address. */
export function parseAddress(text: string): AddressWords | null {
  const bare = unbracket(text);
  if (bare === null) return null;
  if (!bare.includes(":")) return parseIpv4(bare);
  const words = parseIpv6(bare.replace(/^ipv6:/i, ""));
  if (words === null) return null;
  const mapped = words[5] === 0xffff && words.slice(0, 5).every((word) => word === 0);
  return mapped ? words.slice(6) : words;
}

/**
 * Takes the words of an address and returns its text: IPv4 dotted; IPv6 in lower case with `::` for the longest run of two or more zeros, the
 * first of equal ones (RFC 5952 §4).
 */
export function formatAddress(words: AddressWords): string {
  if (words.length === 2) return words.flatMap((word) => [word >> 8, word & 0xff]).join(".");
  let start = 0, length = 1;
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (words[end] === 0) end++;
    if (end - at > length) [start, length] = [at, end - at];
  }
  const text = (part: AddressWords) => part.map((word) => word.toString(16)).join(":");
  return length < 2 ? text(words) : `${text(words.slice(0, start))}::${text(words.slice(start + length))}`;
}

function unbracket(text: string): string | null {
  if (!text.startsWith("[")) return text;
  return text.endsWith("]") ? text.slice(1, -1) : null;
}

export interface Network {
  readonly words: AddressWords;
  readonly bits: number;
}

/**
 * An entry of a list of networks: `192.0.2.1`, `192.0.2.0/24`, short forms such as `10/8` (without a mask they get the width of their
 * class), `2001:db8::/32`, `[2001:db8::/32]`, `ipv6:…`. Null when it is none.
 */
export function parseNetwork(text: string): Network | null {
  const bare = unbracket(text);
  if (bare === null) return null;
  const slash = bare.indexOf("/");
  const address = slash < 0 ? bare : bare.slice(0, slash);
  const mask = slash < 0 ? null : bare.slice(slash + 1);
  if (mask !== null && !/^\d{1,3}$/.test(mask)) return null;
  const bits = mask === null ? null : Number(mask);
  if (!address.includes(":")) return parseIpv4Network(address, bits);
  const words = parseIpv6(address.replace(/^ipv6:/i, ""));
  return words === null || (bits ?? 128) > 128 ? null : { words, bits: bits ?? 128 };
}

function parseIpv4Network(text: string, bits: number | null): Network | null {
  const octets = text.split(".").map(parseOctet);
  if (octets.length > 4 || octets.some((octet) => octet < 0) || (bits ?? 32) > 32) return null;
  const first = octets[0]!;
  const ofClass = first >= 240 ? 32 : first >= 224 ? 8 : first >= 192 ? 24 : first >= 128 ? 16 : 8;
  const width = bits ?? Math.max(ofClass, octets.length * 8);
  const [a = 0, b = 0, c = 0, d = 0] = octets;
  return { words: [a << 8 | b, c << 8 | d], bits: width };
}

/** The words of an address that stand under a mask, as a key. */
function masked(words: AddressWords, bits: number): string {
  let key = "";
  for (let index = 0; index * 16 < bits; index++) {
    const kept = Math.min(16, bits - index * 16);
    key += String.fromCharCode(words[index]! & (0xffff << (16 - kept)));
  }
  return key;
}

/** Tells whether an address, of the same family, is in a network. */
export function isInNetwork(address: AddressWords, { words, bits }: Network): boolean {
  return address.length === words.length && masked(address, bits) === masked(words, bits);
}

/** The keys that match an address for their text alone: itself, and the dotted quad of an IPv4-mapped IPv6 address. */
export function addressKeys(address: string): readonly string[] {
  if (!address.includes(":")) return [address];
  const words = parseAddress(address);
  if (words?.length !== 2) return [address];
  const [high, low] = words as [number, number];
  return [address, `${high >> 8}.${high & 0xff}.${low >> 8}.${low & 0xff}`];
}

/** Behind this mark stands what a list does not hold, whatever else is in it. */
export const EXCEPT = "!";

/** Is this entry of a list found by its text alone? So is a whole dotted quad; IPv6 has many texts for one address. */
export function isPlainAddress(entry: string): boolean {
  return !entry.startsWith(EXCEPT) && (parseIpv4(entry) !== null || parseNetwork(entry) === null);
}

/** A list of networks, compiled once: a lookup costs one probe for each width of mask that occurs in the list. */
export class NetworkMatcher {
  readonly #texts = new Set<string>();
  #except: NetworkMatcher | null = null;
  readonly #byWidth = { ipv4: new Map<number, Set<string>>(), ipv6: new Map<number, Set<string>>() };

  /** `entry` must be lower-case. What is no network is compared as text: so `local` works, and nonsense matches nothing else. */
  add(entry: string): void {
    if (entry.startsWith(EXCEPT)) return (this.#except ??= new NetworkMatcher()).add(entry.slice(EXCEPT.length));
    const network = parseNetwork(entry);
    if (network === null) {
      this.#texts.add(entry);
      return;
    }
    const widths = network.words.length === 2 ? this.#byWidth.ipv4 : this.#byWidth.ipv6;
    let networks = widths.get(network.bits);
    if (networks === undefined) widths.set(network.bits, networks = new Set());
    networks.add(masked(network.words, network.bits));
  }

  /** True for what a `!` entry takes out of the list. */
  excludes(address: string): boolean {
    return this.#except !== null && this.#except.matches(address);
  }

  /** `address`: lower-case text of an address (IPv6 with or without brackets), or `local`. */
  matches(address: string): boolean {
    if (this.excludes(address)) return false;
    if (this.#texts.has(address)) return true;
    const words = parseAddress(address);
    if (words === null) return false;
    for (const [bits, networks] of words.length === 2 ? this.#byWidth.ipv4 : this.#byWidth.ipv6) {
      if (networks.has(masked(words, bits))) return true;
    }
    return false;
  }
}
