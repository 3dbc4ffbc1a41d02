/**
 * `smtpctl encrypt`: hashes of passwords for tables of credentials, as SHA-512-crypt or, with `--scram`, as SCRAM verifiers, with a salt of its
 * own each. Does not contact the daemon.
 */

import { encrypt } from "unixcrypt";
import { makeVerifier } from "../../sasl/mod.ts";
import type { Terminal } from "../terminal.ts";

/** Some 60 ms a login; the default of crypt(5) is 5000. */
const ROUNDS = 20_000;
const SALT_LETTERS = 16;
/** Some 20 ms a login, of which the client has as many; RFC 7677 §4 asks for 4096. */
const SCRAM_ITERATIONS = 50_000;
const SCRAM_SALT_BYTES = 16;
const ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const MAX_INPUT_OCTETS = 1 << 16;

export interface EncryptOrder {
  /** Null: each line of standard input. */
  readonly password: string | null;
  readonly scheme: "crypt" | "scram";
}

/** Prints the hashes. Answers the exit status. */
export async function encryptMain({ password, scheme }: EncryptOrder, terminal: Terminal): Promise<number> {
  const passwords = password === null ? linesOf(await terminal.input(MAX_INPUT_OCTETS)) : [password];
  for (const one of passwords) {
    const hash = scheme === "scram" ? await verifierOf(one) : hashOf(one);
    if (hash === null) {
      terminal.err(
        "smtpctl: the password is empty, or has characters that SASLprep (RFC 4013) does not allow: " +
          "no client could log in with it\n",
      );
      return 1;
    }
    terminal.out(`${hash}\n`);
  }
  return 0;
}

function verifierOf(password: string): Promise<string | null> {
  return makeVerifier(password, crypto.getRandomValues(new Uint8Array(SCRAM_SALT_BYTES)), SCRAM_ITERATIONS);
}

function hashOf(password: string): string {
  const random = crypto.getRandomValues(new Uint8Array(SALT_LETTERS));
  const salt = Array.from(random, (octet) => ALPHABET[octet % ALPHABET.length]).join("");
  return encrypt(password, `$6$rounds=${ROUNDS}$${salt}`);
}

function linesOf(bytes: Uint8Array): string[] {
  const lines = new TextDecoder().decode(bytes).split("\n");
  if (lines.at(-1) === "") lines.pop();
  return lines;
}
