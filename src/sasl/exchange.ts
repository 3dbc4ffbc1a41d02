/** The messages of SCRAM, RFC 5802 §7: read from the client and written to it. Pure; uses no keys. */

import { prepare } from "./prepare.ts";

export type ChannelBinding =
  /** `n`: the client cannot bind. */
  | { readonly kind: "none" }
  /** `y`: it could, and assumes that the server cannot. */
  | { readonly kind: "unoffered" }
  /** `p=`: it does. */
  | { readonly kind: "used"; readonly name: string };

export interface ClientFirst {
  /** The header in front of `bare`, as the client wrote it. */
  readonly header: string;
  readonly binding: ChannelBinding;
  /** Prepared by SASLprep. */
  readonly user: string;
  /** Asks to act as another user (`a=`, RFC 5802 §5.1), whether there is such a user or not. */
  readonly actsAsOther: boolean;
  readonly nonce: string;
  readonly bare: string;
}

export interface ClientFinal {
  /** base64 of the header and the binding data. */
  readonly binding: string;
  readonly nonce: string;
  /** base64. */
  readonly proof: string;
  readonly withoutProof: string;
}

/** RFC 5929 §4: the only binding that can be checked here; the runtime gives neither Finished messages nor exported keys (RFC 9266). */
export const END_POINT = "tls-server-end-point";

const HEADER = /^(?:n|y|p=([A-Za-z0-9.-]{1,100})),(?:a=([^,]*))?,/;
const BARE = /^n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,[A-Za-z]=[^,]+)*$/;
const FINAL = /^c=([A-Za-z0-9+/]+={0,2}),r=([\x21-\x2b\x2d-\x7e]+)(?:,(?!m=)[A-Za-z]=[^,]+)*$/;
const PROOF = /^(.*),p=([A-Za-z0-9+/]{43}=)$/s;

/** Null: malformed, of a user name that SASLprep refuses, or with an extension that must be understood (`m=`). */
export function parseClientFirst(text: string): ClientFirst | null {
  const header = HEADER.exec(text);
  if (header === null || /[\0\ufffd]/.test(text)) return null;
  const bare = text.slice(header[0].length);
  const [, name, nonce] = BARE.exec(bare) ?? [];
  if (name === undefined || nonce === undefined) return null;
  const user = saslName(name);
  if (user === null) return null;
  // An empty one is as good as none, as in PLAIN.
  const actsAsOther = (header[2] ?? "") !== "" && saslName(header[2]!) !== user;
  const binding: ChannelBinding = header[1] !== undefined
    ? { kind: "used", name: header[1] }
    : { kind: text.startsWith("y") ? "unoffered" : "none" };
  return { header: header[0], binding, user, actsAsOther, nonce, bare };
}

/** Returns the first message of the server, RFC 5802 §7. `nonce`: the client's with the server's behind it; `salt` in base64. */
export function serverFirst(nonce: string, salt: string, iterations: number): string {
  return `r=${nonce},s=${salt},i=${iterations}`;
}

/** Parses the last message of a SCRAM client, RFC 5802 §7 (`client-final-message`). Returns null for what is none. */
export function parseClientFinal(text: string): ClientFinal | null {
  const [, withoutProof, proof] = PROOF.exec(text) ?? [];
  if (withoutProof === undefined || proof === undefined) return null;
  const [, binding, nonce] = FINAL.exec(withoutProof) ?? [];
  return binding === undefined || nonce === undefined ? null : { binding, nonce, proof, withoutProof };
}

/** Returns what the client has to send as `c=`, RFC 5802 §5.1. `data` is the binding of this connection, in base64; null where none is used. */
export function expectedBinding(header: string, data: string | null): string {
  const binary = binaryOf(header) + (data === null ? "" : atob(data));
  return btoa(binary);
}

/** RFC 5802 §5.1: `=2C` and `=3D` stand for the comma and the equals sign, which may not stand there themselves. */
function saslName(text: string): string | null {
  if (text === "" || /=(?!2C|3D)/.test(text)) return null;
  return prepare(text.replaceAll("=2C", ",").replaceAll("=3D", "="), "query");
}

/** UTF-8, an octet a character. */
function binaryOf(text: string): string {
  return String.fromCharCode(...new TextEncoder().encode(text));
}
