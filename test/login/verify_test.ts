/** Passwords against hashes; those of crypt(3) were made by libcrypt. */

import assert from "node:assert/strict";
import { verify } from "../../src/login/mod.ts";

const SHA512 = "$6$abcdefgh$Bk2D4uYVcw0FbFPsWa0iJZ1DNfy8v6OjKcRcuBfMkWD1KdADPVnmQf5cr0O8HfAYpq1XrrjdgIRINkwgSKJ8/1";
const SHA256 = "$5$abcdefgh$4PbtPZdUc33o7LmNsM4HTsjYbIhyCeh4aCe.rEbHkq1";
const ROUNDS = "$5$rounds=1000$abcdefgh$ErG1rn0GpODYQsD0nq3v3MbXT2boicTUhjw4zQRk1//";
const BCRYPT = "$2b$04$abcdefghijklmnopqrstuuinwY/tkBVrn3xrxQI/TgnMHhkvl85RW";
const ARGON2 = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$/R9hXoGbAiwKP+ntM3ojEFnB6i6+iZ89I2MLejgbnBI";
const ARGON2I = "$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$GU5xmiKGuMpead+UMrzbfmH8kfw5x6ejrO3LTHrq8NQ";

const rows: readonly { name: string; hash: string; password?: string; want: string }[] = [
  { name: "SHA-512", hash: SHA512, want: "match" },
  { name: "SHA-256", hash: SHA256, want: "match" },
  { name: "SHA-256 with a number of rounds", hash: ROUNDS, want: "match" },
  { name: "bcrypt", hash: BCRYPT, want: "match" },
  { name: "bcrypt as $2y$ is the same", hash: BCRYPT.replace("$2b$", "$2y$"), want: "match" },
  { name: "argon2id", hash: ARGON2, want: "match" },
  { name: "argon2i", hash: ARGON2I, want: "match" },
  { name: "a wrong password of argon2i", hash: ARGON2I, password: "open", want: "mismatch" },
  { name: "a password that is said to be in clear", hash: "{PLAIN}sesame", want: "match" },
  { name: "a wrong one", hash: "{PLAIN}sesame", password: "sesam", want: "mismatch" },
  { name: "a wrong password of SHA-512", hash: SHA512, password: "Sesame", want: "mismatch" },
  { name: "a wrong password of SHA-256", hash: SHA256, password: "sesame ", want: "mismatch" },
  { name: "a wrong password of bcrypt", hash: BCRYPT, password: "sesam", want: "mismatch" },
  { name: "a wrong password of argon2id", hash: ARGON2, password: "open", want: "mismatch" },
  { name: "yescrypt is for libcrypt", hash: "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$2XG8TbeF", want: "unknown" },
  { name: "a password in clear is no hash", hash: "sesame", want: "unknown" },
  { name: "a bcrypt hash that was cut", hash: BCRYPT.slice(0, -1), want: "unknown" },
  { name: "a SHA-512 hash that was cut never matches", hash: SHA512.slice(0, -1), want: "mismatch" },
  { name: "argon2id with memory beyond reason", hash: ARGON2.replace("m=64", "m=99999999"), want: "unknown" },
];

for (const { name, hash, password = "sesame", want } of rows) {
  Deno.test(`verify(): ${name}: ${want}`, async () => assert.equal(await verify(password, hash), want));
}
