/** `smtpctl encrypt`: hashes of passwords for tables of credentials, as SHA-512-crypt with a salt of its own each. Asks no daemon. */

import { encrypt } from "unixcrypt";
import type { Terminal } from "./terminal.ts";

/** Some 60 ms a login; the default of crypt(5) is 5000. */
const ROUNDS = 20_000;
const SALT_LETTERS = 16;
const ALPHABET = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const MAX_INPUT = 1 << 16;

/** Prints the hash of `password`, or of each line of standard input when it is null. Answers the exit status. */
export async function encryptMain(password: string | null, terminal: Terminal): Promise<number> {
  const passwords = password === null ? linesOf(await terminal.input(MAX_INPUT)) : [password];
  for (const one of passwords) terminal.out(`${hashOf(one)}\n`);
  return 0;
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
