/**
 * The name in a ClientHello, RFC 8446 §4.1.2 and RFC 6066 §3, from the octets as they come. Pure; judges nothing else of the handshake: what is
 * wrong with it is reported by TLS itself.
 */

/** Octets of a ClientHello and its records that are read in search of the name; clients send 200 to 2,000. */
export const MAX_HELLO_OCTETS = 16_384;

const HANDSHAKE = 22, CLIENT_HELLO = 1, SERVER_NAME = 0, HOST_NAME = 0;
const RECORD_HEADER = 5, MESSAGE_HEADER = 4;

/** `reading`: more octets are needed. `known`: the name, null when there is none or this is no ClientHello. */
export type HelloState = { readonly at: "reading" } | { readonly at: "known"; readonly name: string | null };

const READING: HelloState = { at: "reading" };
const NAMELESS: HelloState = { at: "known", name: null };

/** Looks at all octets that a client has sent so far. Never throws; what is no ClientHello is known to have no name. */
export function readHello(sent: Uint8Array): HelloState {
  const { message, goesOn } = handshakeOctets(sent);
  const unfinished = goesOn && sent.length < MAX_HELLO_OCTETS ? READING : NAMELESS;
  if (message.length > 0 && message[0] !== CLIENT_HELLO) return NAMELESS;
  if (message.length < MESSAGE_HEADER) return unfinished;
  const end = MESSAGE_HEADER + (message[1]! << 16 | message[2]! << 8 | message[3]!);
  if (message.length >= end) return { at: "known", name: nameOf(new Octets(message.subarray(MESSAGE_HEADER, end))) };
  return end <= MAX_HELLO_OCTETS ? unfinished : NAMELESS;
}

/**
 * What the records at the start carry of the handshake (RFC 8446 §5.1: a message may be cut into several); `goesOn` unless something else comes
 * behind them.
 */
function handshakeOctets(sent: Uint8Array): { readonly message: Uint8Array; readonly goesOn: boolean } {
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < sent.length;) {
    // The major version of each TLS is 3.
    const isHandshake = sent[at] === HANDSHAKE && (sent[at + 1] ?? 3) === 3;
    if (!isHandshake) return { message: joined(pieces), goesOn: false };
    if (at + RECORD_HEADER > sent.length) break;
    const start = at + RECORD_HEADER;
    at = start + (sent[at + 3]! << 8 | sent[at + 4]!);
    pieces.push(sent.subarray(start, at));
  }
  return { message: joined(pieces), goesOn: true };
}

function joined(pieces: readonly Uint8Array[]): Uint8Array {
  if (pieces.length === 1) return pieces[0]!;
  const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    all.set(piece, at);
    at += piece.length;
  }
  return all;
}

/** Takes octets from the front; what goes over the end is `null`. */
class Octets {
  #at = 0;
  readonly #all: Uint8Array;

  constructor(all: Uint8Array) {
    this.#all = all;
  }

  /** A number of `size` octets. */
  number(size: number): number | null {
    const bytes = this.take(size);
    return bytes === null ? null : bytes.reduce((value, octet) => value * 256 + octet, 0);
  }

  /** What a length of `size` octets stands before. */
  vector(size: number): Octets | null {
    const length = this.number(size);
    const bytes = length === null ? null : this.take(length);
    return bytes === null ? null : new Octets(bytes);
  }

  take(count: number): Uint8Array | null {
    if (this.#at + count > this.#all.length) return null;
    return this.#all.subarray(this.#at, this.#at += count);
  }

  get rest(): Uint8Array {
    return this.#all.subarray(this.#at);
  }
}

/** The host name of a ClientHello's body: version and random, session id, cipher suites, compression methods, extensions. */
function nameOf(hello: Octets): string | null {
  if (hello.take(34) === null || hello.vector(1) === null) return null;
  if (hello.vector(2) === null || hello.vector(1) === null) return null;
  const extensions = hello.vector(2);
  if (extensions === null) return null;
  for (;;) {
    const type = extensions.number(2), data = extensions.vector(2);
    if (type === null || data === null) return null;
    if (type !== SERVER_NAME) continue;
    const names = data.vector(2);
    if (names === null || names.number(1) !== HOST_NAME) return null;
    const name = names.vector(2)?.rest ?? null;
    return name === null || name.length === 0 ? null : String.fromCharCode(...name.subarray(0, 255));
  }
}
