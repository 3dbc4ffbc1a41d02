/**
 * What a table of credentials holds for a user: a hash as crypt(5) writes it, a SCRAM verifier, or either behind a scheme in braces, as
 * dovecot's `doveadm pw` prints it. Reads text; verifies nothing, keeps nothing.
 */

import { verifierIn } from "./verifier.ts";

export type StoredPassword =
  /** What the login isolate or crypt(3) can be asked about. */
  | { readonly kind: "hash"; readonly hash: string }
  /** The password itself. `hash` is what the login isolate takes, when the scheme requires that; null when it may be anything and matches nothing. */
  | { readonly kind: "clear"; readonly hash: string | null }
  /** `!…` or `*`, as shadow(5) has it: no user can log in with it. */
  | { readonly kind: "locked" }
  /** The name of a scheme that is not known here, without its braces. */
  | { readonly kind: "unknown"; readonly scheme: string };

/** Schemes whose text is a hash that begins with its own mark. Some of them only the C library can verify. */
const MARKED: ReadonlySet<string> = new Set([
  "CRYPT",
  "SHA512-CRYPT",
  "SHA256-CRYPT",
  "BLF-CRYPT",
  "MD5-CRYPT",
  "ARGON2ID",
  "ARGON2I",
]);
const IN_CLEAR: ReadonlySet<string> = new Set(["PLAIN", "CLEARTEXT", "CLEAR"]);
/** What stands before a password that is compared as it is; see login/verify.ts. */
export const PLAIN_MARK = "{PLAIN}";

const SCHEME = /^(?:[^{]*:)?\{([A-Za-z0-9][A-Za-z0-9.-]{0,31})\}(.*)$/s;

/** Reads `hash` or `user:hash`. Schemes are known in any case; those with a suffix such as `.b64` are not. Never throws. */
export function readStored(value: string): StoredPassword {
  const verifier = verifierIn(value);
  if (verifier !== null) return { kind: "hash", hash: verifier };
  const [, word, text = ""] = SCHEME.exec(value.trim()) ?? [];
  if (word === undefined) return unmarked(value);
  const scheme = word.toUpperCase();
  if (IN_CLEAR.has(scheme)) return { kind: "clear", hash: text === "" ? null : PLAIN_MARK + text };
  if (/^[!*]/.test(text)) return { kind: "locked" };
  return MARKED.has(scheme) && text.startsWith("$") ? { kind: "hash", hash: text } : { kind: "unknown", scheme: word };
}

function unmarked(value: string): StoredPassword {
  const hash = value.slice(value.lastIndexOf(":") + 1).trim();
  if (hash.startsWith("$")) return { kind: "hash", hash };
  return /^[!*]/.test(hash) ? { kind: "locked" } : { kind: "clear", hash: null };
}

/** Hashes of crypt(5) by their marks, each of the length that its scheme has. */
const WHOLE: readonly RegExp[] = [
  /^\$6\$(?:rounds=\d{1,9}\$)?[^$:\s]{0,16}\$[./A-Za-z0-9]{86}$/,
  /^\$5\$(?:rounds=\d{1,9}\$)?[^$:\s]{0,16}\$[./A-Za-z0-9]{43}$/,
  /^\$1\$[^$:\s]{0,8}\$[./A-Za-z0-9]{22}$/,
  /^\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}$/,
  /^\$argon2(?:i|d|id)\$v=\d+\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{16,128}$/,
  /^\$g?y\$[./A-Za-z0-9]+\$[./A-Za-z0-9]{0,86}\$[./A-Za-z0-9]{43}$/,
  /^\$7\$[./A-Za-z0-9]{11,97}\$[./A-Za-z0-9]{43}$/,
  // Old ones that some C libraries know.
  /^\$(?:3|md5|sha1)[$,].{16,}$/,
];

/** Returns whether a text that begins with `$` can be a hash of crypt(5): not one that is cut short, or of no scheme. */
export function isWholeHash(hash: string): boolean {
  return WHOLE.some((shape) => shape.test(hash));
}
