/**
 * The PROXY header that a load balancer puts in front of a connection, versions 1 (text) and 2 (binary) of the protocol that HAProxy has
 * made. Takes exactly the octets of the header, never one of what follows. Bytes in, an address out; uses no sockets.
 */

import { isIPv4, isIPv6 } from "node:net";
import { normalAddress } from "../../net/mod.ts";

/** Whose connection it is; null: it is the proxy's own, or the proxy does not know. */
export interface ProxySource {
  readonly address: string;
  readonly port: number;
}

export type ProxyState =
  | { readonly at: "reading" }
  | { readonly at: "done"; readonly source: ProxySource | null }
  /** `reason` is for the log. */
  | { readonly at: "refused"; readonly reason: string };

/** Octets of a version 1 line, CRLF included. */
const MAX_LINE_OCTETS = 107;
/** `PROXY UNKNOWN` with its CRLF: nothing shorter is a header of either version. */
const LEAST = 15;
const FIXED = 16;
/** Octets behind the fixed part: addresses and other fields of the header, which are skipped. The protocol would allow 65,535. */
const MAX_REST_OCTETS = 16_384;
/** Octets of the rest that may hold addresses. */
const ADDRESSES = 36;
const PIECE = 4096;

const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const WORD = [..."PROXY "].map((letter) => letter.charCodeAt(0));
const CR = 0x0d, LF = 0x0a;

const READING: ProxyState = { at: "reading" };

/** A header on its way in. */
export class ProxyHeader {
  state: ProxyState = READING;
  /** The head of the header, as much as is looked at. */
  readonly #head = new Uint8Array(MAX_LINE_OCTETS);
  #length = 0;
  /** Octets that belong to the header in any case: so many may be read next, and no more. At least 1. */
  want = LEAST;

  /** True when nothing has come yet. */
  get empty(): boolean {
    return this.#length === 0;
  }

  /** The next octets, at most `want` of them. */
  push(bytes: Uint8Array): ProxyState {
    if (this.state.at !== "reading") return this.state;
    const at = Math.min(this.#length, this.#head.length);
    this.#head.set(bytes.subarray(0, this.#head.length - at), at);
    this.#length += bytes.length;
    return this.state = this.#judge();
  }

  #judge(): ProxyState {
    const text = this.#starts(WORD);
    if (!text && !this.#starts(SIGNATURE)) return refused("it has no signature");
    if (this.#length < LEAST) return this.#more(LEAST - this.#length);
    return text ? this.#line() : this.#binary();
  }

  #starts(with_: readonly number[]): boolean {
    const length = Math.min(this.#length, with_.length);
    return with_.slice(0, length).every((code, at) => this.#head[at] === code);
  }

  #more(want: number): ProxyState {
    this.want = want;
    return READING;
  }

  #line(): ProxyState {
    const last = this.#head[this.#length - 1]!;
    if (last === LF) {
      const end = this.#length - 2;
      return this.#head[end] === CR
        ? parseLine(this.#head.subarray(0, end))
        : refused("its line does not end with CRLF");
    }
    if (this.#length >= MAX_LINE_OCTETS) return refused(`its line is longer than ${MAX_LINE_OCTETS} octets`);
    // CR and LF are still to come, or LF alone.
    return this.#more(last === CR || this.#length === MAX_LINE_OCTETS - 1 ? 1 : 2);
  }

  #binary(): ProxyState {
    if (this.#length < FIXED) return this.#more(FIXED - this.#length);
    const head = this.#head;
    const kind = head[12]!, family = head[13]!;
    const rest = head[14]! << 8 | head[15]!;
    if (kind >> 4 !== 2) return refused(`it is of version ${kind >> 4}`);
    const command = kind & 0x0f;
    if (command > 1) return refused(`it has the unknown command ${command}`);
    if (rest > MAX_REST_OCTETS) return refused(`it is longer than ${MAX_REST_OCTETS} octets`);
    const need = command === 0 ? 0 : ADDRESS_OCTETS[family];
    if (need === undefined) return refused(`it has no address: family 0x${family.toString(16).padStart(2, "0")}`);
    if (rest < need) return refused("it is too short for its addresses");
    const missing = FIXED + rest - this.#length;
    if (missing > 0) return this.#more(Math.min(missing, PIECE));
    return { at: "done", source: command === 0 ? null : sourceIn(head.subarray(FIXED, FIXED + ADDRESSES), family) };
  }
}

/** TCP over IPv4, over IPv6, and unix sockets that are streams: octets of their addresses. */
const ADDRESS_OCTETS: Readonly<Record<number, number>> = { 0x11: 12, 0x21: 36, 0x31: 216 };

function refused(reason: string): ProxyState {
  return { at: "refused", reason };
}

function sourceIn(addresses: Uint8Array, family: number): ProxySource | null {
  // A client on a unix socket of the proxy's machine has no address.
  if (family === 0x31) return null;
  const v4 = family === 0x11;
  const portAt = v4 ? 8 : 32;
  const port = addresses[portAt]! << 8 | addresses[portAt + 1]!;
  if (v4) return { address: addresses.subarray(0, 4).join("."), port };
  const words = Array.from({ length: 8 }, (_, at) => (addresses[2 * at]! << 8 | addresses[2 * at + 1]!).toString(16));
  // One text for each address: rules find it by the text that a direct client's has.
  return { address: normalAddress(words.join(":"))!, port };
}

/** `PROXY TCP4 192.0.2.1 192.0.2.25 4321 25`, or `PROXY UNKNOWN` and anything. */
function parseLine(bytes: Uint8Array): ProxyState {
  const line = String.fromCharCode(...bytes);
  if (/^PROXY UNKNOWN(?: |$)/.test(line)) return { at: "done", source: null };
  const found = /^PROXY TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/.exec(line);
  if (found === null) return refused("its line cannot be read");
  const [, family, address = "", to = "", port, toPort] = found;
  const isAddress = family === "4" ? isIPv4 : isIPv6;
  if (!isAddress(address) || !isAddress(to)) return refused("its line has a bad address");
  if (Number(port) > 65_535 || Number(toPort) > 65_535) return refused("its line has a bad port");
  return { at: "done", source: { address: normalAddress(address) ?? address, port: Number(port) } };
}
