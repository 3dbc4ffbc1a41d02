/** What tables of credentials hold: hashes with and without dovecot's schemes, passwords in clear, locked users. */

import assert from "node:assert/strict";
import { readStored, type StoredPassword } from "../../src/sasl/mod.ts";

const KEYS = ["WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="];
const OURS = `SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$${KEYS[0]}:${KEYS[1]}`;
const hash = (text: string): StoredPassword => ({ kind: "hash", hash: text });
const unknown = (scheme: string): StoredPassword => ({ kind: "unknown", scheme });
const clear = (text: string | null): StoredPassword => ({ kind: "clear", hash: text });
const LOCKED: StoredPassword = { kind: "locked" };

const rows: readonly (readonly [value: string, want: StoredPassword])[] = [
  ["$6$a$b", hash("$6$a$b")],
  ["bob:$6$a$b", hash("$6$a$b")],
  ["bob@example.org:{SHA512-CRYPT}$6$a$b", hash("$6$a$b")],
  ["{sha256-crypt}$5$a$b", hash("$5$a$b")],
  ["{BLF-CRYPT}$2y$05$b", hash("$2y$05$b")],
  ["{CRYPT}$1$a$b", hash("$1$a$b")],
  ["{MD5-CRYPT}$1$a$b", hash("$1$a$b")],
  ["{ARGON2ID}$argon2id$v=19$m=64,t=1,p=1$a$b", hash("$argon2id$v=19$m=64,t=1,p=1$a$b")],
  ["{Argon2i}$argon2i$x", hash("$argon2i$x")],
  [OURS, hash(OURS)],
  [`bob:${OURS}`, hash(OURS)],
  [`{SCRAM-SHA-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,${KEYS}`, hash(OURS)],
  [`bob:{scram-sha-256}4096,W22ZaJ0SNY7soEsUEjb6gQ==,${KEYS}`, hash(OURS)],
  ["{PLAIN}pa:ss{word}", clear("{PLAIN}pa:ss{word}")],
  ["bob:{cleartext}secret", clear("{PLAIN}secret")],
  ["{CLEAR}", clear(null)],
  ["secret", clear(null)],
  ["bob:secret", clear(null)],
  ["{SHA512-CRYPT}secret", unknown("SHA512-CRYPT")],
  ["{SHA512-CRYPT.b64}JDYk", unknown("SHA512-CRYPT.b64")],
  ["{PLAIN.HEX}70", unknown("PLAIN.HEX")],
  ["{SSHA512}abc=", unknown("SSHA512")],
  ["{SCRAM-SHA-1}4096,a,b,c", unknown("SCRAM-SHA-1")],
  ["!$6$a$b", LOCKED],
  ["bob:*", LOCKED],
  ["{CRYPT}!", LOCKED],
];

for (const [value, want] of rows) {
  Deno.test(`readStored("${value.slice(0, 40)}") is ${want.kind}`, () => assert.deepEqual(readStored(value), want));
}
