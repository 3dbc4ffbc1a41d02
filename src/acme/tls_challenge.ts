/**
 * The server's side of a TLS 1.3 handshake (RFC 8446) that shows the certificate of tls-alpn-01 (RFC 8737) and nothing else. It is here since the runtime's
 * TLS refuses to show a certificate with a critical extension that it does not know, as RFC 8737 §3 wants it. No secret depends on it: the certificate's key is
 * made for one challenge, and no data follows the handshake. Pure: octets in, octets out.
 */

import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  sign,
} from "node:crypto";
import { octetString, selfSignedCertificate } from "../tls/mod.ts";

/** A certificate in DER and its key. */
export interface ChallengeCertificate {
  readonly certificate: Uint8Array;
  readonly key: KeyObject;
}

const ACME_IDENTIFIER = "1.3.6.1.5.5.7.1.31", PROTOCOL = "acme-tls/1";
const DAYS = 1;

/** Makes the certificate for `name`; `digest` is that of the key authorization. */
export function challengeCertificate(name: string, digest: Uint8Array, now: number): ChallengeCertificate {
  const extensions = [{ oid: ACME_IDENTIFIER, critical: true, value: octetString(digest) }];
  const { cert, key } = selfSignedCertificate({ name, now, days: DAYS, extensions });
  return {
    certificate: Uint8Array.fromBase64(cert.replace(/-----[^-]+-----|\s/g, "")),
    key: createPrivateKey(key),
  };
}

const RECORD = { changeCipherSpec: 20, alert: 21, handshake: 22, data: 23 } as const;
const MESSAGE = { clientHello: 1, serverHello: 2, extensions: 8, certificate: 11, verify: 15, finished: 20 } as const;
const EXTENSION = { serverName: 0, signatures: 13, alpn: 16, versions: 43, keyShare: 51 } as const;
const TLS_1_2 = 0x0303, TLS_1_3 = 0x0304, AES_128_GCM_SHA256 = 0x1301, X25519 = 0x001d, ECDSA_P256_SHA256 = 0x0403;
const ALERT = {
  unexpected: 10,
  handshake: 40,
  decode: 50,
  decrypt: 51,
  overflow: 22,
  version: 70,
  name: 112,
  protocol: 120,
} as const;
const HASH_OCTETS = 32, KEY_OCTETS = 16, IV_OCTETS = 12, MAX_RECORD_OCTETS = 16_640, TAG_OCTETS = 16, FATAL = 2;
/** RFC 8410 §4: what stands before the 32 octets of a public key of X25519 in its DER. */
const X25519_DER = Uint8Array.from([0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x6e, 0x03, 0x21, 0x00]);
const NOTHING = new Uint8Array(0);

export interface HandshakeStep {
  readonly send: Uint8Array;
  /** The connection is to be closed behind that. */
  readonly over: boolean;
}

/** Ends the handshake with this alert (RFC 8446 §6.2). */
class Alert extends Error {
  readonly description: number;

  constructor(description: number) {
    super(`alert ${description}`);
    this.description = description;
  }
}

/** One handshake. */
export class ChallengeHandshake {
  readonly #certificateOf: (name: string) => ChallengeCertificate | null;
  #received: Uint8Array = NOTHING;
  /** Of the ClientHello, whose records may cut it into several. */
  #hello: Uint8Array = NOTHING;
  /** Null before the ClientHello. */
  #client: { readonly keys: TrafficKeys; readonly finished: Uint8Array } | null = null;
  #over = false;
  /** True when the client has shown that it saw the same handshake. */
  done = false;

  constructor(certificateOf: (name: string) => ChallengeCertificate | null) {
    this.#certificateOf = certificateOf;
  }

  /** Takes what the client has sent. Never throws. */
  push(bytes: Uint8Array): HandshakeStep {
    if (this.#over) return { send: NOTHING, over: true };
    this.#received = concat(this.#received, bytes);
    try {
      const send = this.#read();
      return { send, over: this.#over };
    } catch (error) {
      this.#over = true;
      const description = error instanceof Alert ? error.description : ALERT.decode;
      return { send: record(RECORD.alert, Uint8Array.of(FATAL, description)), over: true };
    }
  }

  #read(): Uint8Array {
    let send: Uint8Array = NOTHING;
    const types: readonly number[] = Object.values(RECORD);
    if (this.#received.length > 0 && !types.includes(this.#received[0]!)) throw new Alert(ALERT.unexpected);
    while (!this.#over && this.#received.length >= 5) {
      const length = this.#received[3]! << 8 | this.#received[4]!;
      if (length > MAX_RECORD_OCTETS) throw new Alert(ALERT.overflow);
      if (this.#received.length < 5 + length) break;
      const header = this.#received.subarray(0, 5), body = this.#received.subarray(5, 5 + length);
      this.#received = this.#received.subarray(5 + length);
      if (header[0] === RECORD.changeCipherSpec) continue;
      if (header[0] === RECORD.alert) this.#over = true;
      else if (this.#client === null && header[0] === RECORD.handshake) send = concat(send, this.#take(body));
      else if (this.#client !== null && header[0] === RECORD.data) this.#finish(header, body);
      else throw new Alert(ALERT.unexpected);
    }
    return send;
  }

  /** The ClientHello, or a piece of it. */
  #take(piece: Uint8Array): Uint8Array {
    this.#hello = concat(this.#hello, piece);
    if (this.#hello[0] !== MESSAGE.clientHello) throw new Alert(ALERT.unexpected);
    if (this.#hello.length < 4) return NOTHING;
    const length = this.#hello[1]! << 16 | this.#hello[2]! << 8 | this.#hello[3]!;
    if (this.#hello.length < 4 + length) return NOTHING;
    return this.#answer(this.#hello.subarray(0, 4 + length));
  }

  #answer(message: Uint8Array): Uint8Array {
    const hello = readClientHello(message.subarray(4));
    const chosen = this.#certificateOf(hello.name);
    if (chosen === null) throw new Alert(ALERT.name);
    const pair = generateKeyPairSync("x25519");
    const share = new Uint8Array(pair.publicKey.export({ type: "spki", format: "der" })).subarray(X25519_DER.length);
    const peer = createPublicKey({
      key: concat(X25519_DER, hello.share) as unknown as Buffer,
      type: "spki",
      format: "der",
    });
    const shared = new Uint8Array(diffieHellman({ privateKey: pair.privateKey, publicKey: peer }));
    const serverHello = handshake(
      MESSAGE.serverHello,
      concat(
        number(TLS_1_2, 2),
        crypto.getRandomValues(new Uint8Array(32)),
        vector(1, hello.session),
        number(AES_128_GCM_SHA256, 2),
        Uint8Array.of(0),
        vector(
          2,
          concat(
            extension(EXTENSION.versions, number(TLS_1_3, 2)),
            extension(EXTENSION.keyShare, concat(number(X25519, 2), vector(2, share))),
          ),
        ),
      ),
    );
    const keys = handshakeKeys(shared, concat(message, serverHello));
    const flight = this.#flight(chosen, keys, concat(message, serverHello));
    return concat(
      record(RECORD.handshake, serverHello),
      record(RECORD.changeCipherSpec, Uint8Array.of(1)),
      keys.server.encrypt(concat(flight, Uint8Array.of(RECORD.handshake))),
    );
  }

  /** What the server says under encryption, up to its Finished. */
  #flight(
    { certificate, key }: ChallengeCertificate,
    { server, client }: HandshakeKeys,
    before: Uint8Array,
  ): Uint8Array {
    const alpn = vector(2, vector(1, new TextEncoder().encode(PROTOCOL)));
    const extensions = handshake(MESSAGE.extensions, vector(2, extension(EXTENSION.alpn, alpn)));
    const entry = concat(vector(3, certificate), vector(2, NOTHING));
    const shown = handshake(MESSAGE.certificate, concat(vector(1, NOTHING), vector(3, entry)));
    let transcript = concat(before, extensions, shown);
    // RFC 8446 §4.4.3.
    const signed = concat(
      new Uint8Array(64).fill(0x20),
      new TextEncoder().encode("TLS 1.3, server CertificateVerify"),
      Uint8Array.of(0),
      hash(transcript),
    );
    const signature = new Uint8Array(sign("sha256", signed, key));
    const verify = handshake(MESSAGE.verify, concat(number(ECDSA_P256_SHA256, 2), vector(2, signature)));
    transcript = concat(transcript, verify);
    const finished = handshake(MESSAGE.finished, hmac(server.finishedKey, hash(transcript)));
    transcript = concat(transcript, finished);
    this.#client = { keys: client, finished: handshake(MESSAGE.finished, hmac(client.finishedKey, hash(transcript))) };
    return concat(extensions, shown, verify, finished);
  }

  /** The client's Finished: the handshake is over, and so is the connection. */
  #finish(header: Uint8Array, body: Uint8Array): void {
    const plain = this.#client!.keys.decrypt(header, body);
    const end = plain.findLastIndex((octet) => octet !== 0);
    const content = plain.subarray(0, Math.max(0, end));
    this.#over = true;
    if (plain[end] === RECORD.alert) return;
    const { finished } = this.#client!;
    this.done = content.length === finished.length && content.every((octet, at) => octet === finished[at]);
    if (!this.done) throw new Alert(ALERT.decrypt);
  }
}

interface ClientHello {
  readonly name: string;
  readonly session: Uint8Array;
  readonly share: Uint8Array;
}

/** Reads the body of a ClientHello. Throws an Alert when it is not one that can be answered: with TLS 1.3, X25519, ECDSA and the protocol of RFC 8737. */
function readClientHello(body: Uint8Array): ClientHello {
  const octets = new Reader(body);
  octets.take(2 + 32);
  const session = octets.vector(1);
  const ciphers = numbers(octets.vector(2), 2);
  octets.vector(1);
  const extensions = new Map<number, Uint8Array>();
  for (const list = new Reader(octets.vector(2)); list.left > 0;) {
    const type = list.number(2);
    extensions.set(type, list.vector(2));
  }
  const of = (type: number) => new Reader(extensions.get(type) ?? NOTHING);
  if (!numbers(listOf(of(EXTENSION.versions), 1), 2).includes(TLS_1_3)) throw new Alert(ALERT.version);
  const protocols: string[] = [];
  for (const list = new Reader(listOf(of(EXTENSION.alpn), 2)); list.left > 0;) {
    protocols.push(new TextDecoder("latin1").decode(list.vector(1)));
  }
  // RFC 8737 §3: the client offers this protocol, and no other.
  if (protocols.join() !== PROTOCOL) throw new Alert(ALERT.protocol);
  const names = new Reader(listOf(of(EXTENSION.serverName), 2));
  const isHost = names.left > 0 && names.number(1) === 0;
  const name = isHost ? new TextDecoder("latin1").decode(names.vector(2)).toLowerCase() : "";
  let share: Uint8Array | null = null;
  for (const list = new Reader(listOf(of(EXTENSION.keyShare), 2)); list.left > 0;) {
    const group = list.number(2), key = list.vector(2);
    if (group === X25519 && key.length === 32) share = key;
  }
  const signatures = numbers(listOf(of(EXTENSION.signatures), 2), 2);
  if (share === null || !ciphers.includes(AES_128_GCM_SHA256) || !signatures.includes(ECDSA_P256_SHA256)) {
    throw new Alert(ALERT.handshake);
  }
  return { name, session, share };
}

/** The list in an extension; empty where there is no such extension. */
function listOf(octets: Reader, width: 1 | 2): Uint8Array {
  return octets.left === 0 ? NOTHING : octets.vector(width);
}

function numbers(octets: Uint8Array, width: 2): number[] {
  const list = new Reader(octets), found: number[] = [];
  while (list.left > 0) found.push(list.number(width));
  return found;
}

/** Takes octets from the front. Throws an Alert at their end. */
class Reader {
  #at = 0;
  readonly #all: Uint8Array;

  constructor(all: Uint8Array) {
    this.#all = all;
  }

  get left(): number {
    return this.#all.length - this.#at;
  }

  take(count: number): Uint8Array {
    if (count > this.left) throw new Alert(ALERT.decode);
    return this.#all.subarray(this.#at, this.#at += count);
  }

  number(width: 1 | 2): number {
    return this.take(width).reduce((sum, octet) => sum << 8 | octet, 0);
  }

  vector(width: 1 | 2): Uint8Array {
    return this.take(this.number(width));
  }
}

interface HandshakeKeys {
  readonly server: TrafficKeys;
  readonly client: TrafficKeys;
}

/** RFC 8446 §7.1, up to the keys of the handshake. */
function handshakeKeys(shared: Uint8Array, transcript: Uint8Array): HandshakeKeys {
  const zeros = new Uint8Array(HASH_OCTETS);
  const early = hmac(zeros, zeros);
  const secret = hmac(expand(early, "derived", hash(NOTHING), HASH_OCTETS), shared);
  const of = (side: "c" | "s") => new TrafficKeys(expand(secret, `${side} hs traffic`, hash(transcript), HASH_OCTETS));
  return { server: of("s"), client: of("c") };
}

/** The keys of one direction, for its records in their order (RFC 8446 §5.2). */
class TrafficKeys {
  readonly finishedKey: Uint8Array;
  readonly #key: Uint8Array;
  readonly #iv: Uint8Array;
  #records = 0;

  constructor(secret: Uint8Array) {
    this.#key = expand(secret, "key", NOTHING, KEY_OCTETS);
    this.#iv = expand(secret, "iv", NOTHING, IV_OCTETS);
    this.finishedKey = expand(secret, "finished", NOTHING, HASH_OCTETS);
  }

  /** The record of a content with its type behind it. */
  encrypt(content: Uint8Array): Uint8Array {
    const header = concat(Uint8Array.of(RECORD.data), number(TLS_1_2, 2), number(content.length + TAG_OCTETS, 2));
    const cipher = createCipheriv("aes-128-gcm", this.#key, this.#nonce());
    cipher.setAAD(header);
    const encrypted = concat(new Uint8Array(cipher.update(content)), new Uint8Array(cipher.final()));
    return concat(header, encrypted, new Uint8Array(cipher.getAuthTag()));
  }

  /** The content of a record. Throws an Alert when it is not of the client. */
  decrypt(header: Uint8Array, body: Uint8Array): Uint8Array {
    if (body.length < TAG_OCTETS) throw new Alert(ALERT.decode);
    const decipher = createDecipheriv("aes-128-gcm", this.#key, this.#nonce());
    decipher.setAAD(header);
    decipher.setAuthTag(body.subarray(body.length - TAG_OCTETS));
    try {
      const content = new Uint8Array(decipher.update(body.subarray(0, body.length - TAG_OCTETS)));
      return concat(content, new Uint8Array(decipher.final()));
    } catch {
      throw new Alert(ALERT.decrypt);
    }
  }

  #nonce(): Uint8Array {
    const nonce = Uint8Array.from(this.#iv);
    nonce[IV_OCTETS - 1]! ^= this.#records++;
    return nonce;
  }
}

/** HKDF-Expand-Label, RFC 8446 §7.1; of one block. */
function expand(secret: Uint8Array, label: string, context: Uint8Array, length: number): Uint8Array {
  const name = vector(1, new TextEncoder().encode(`tls13 ${label}`));
  const info = concat(number(length, 2), name, vector(1, context));
  return hmac(secret, concat(info, Uint8Array.of(1))).subarray(0, length);
}

function hash(octets: Uint8Array): Uint8Array {
  return new Uint8Array(createHash("sha256").update(octets).digest());
}

function hmac(key: Uint8Array, octets: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac("sha256", key).update(octets).digest());
}

function record(type: number, body: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(type), number(TLS_1_2, 2), vector(2, body));
}

function handshake(type: number, body: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(type), vector(3, body));
}

function extension(type: number, body: Uint8Array): Uint8Array {
  return concat(number(type, 2), vector(2, body));
}

/** Octets behind their length, which has `width` octets. */
function vector(width: 1 | 2 | 3, octets: Uint8Array): Uint8Array {
  return concat(number(octets.length, width), octets);
}

function number(value: number, width: 1 | 2 | 3): Uint8Array {
  return Uint8Array.from({ length: width }, (_, at) => value >> 8 * (width - 1 - at) & 0xff);
}

function concat(...parts: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
