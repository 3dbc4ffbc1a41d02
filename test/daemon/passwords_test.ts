/** Passwords that the C library verifies: in the real one, with hashes that it made. */

import assert from "node:assert/strict";
import { Clerk } from "../../src/daemon/clerk.ts";
import { Passwords } from "../../src/daemon/passwords.ts";
import type { HouseAnswer } from "../../src/isolate/mod.ts";

const YESCRYPT = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$2XG8TbeFGEUHepjXSRRwTEN/pknneEfp/PquC6DSDN4";
const rows = [
  { name: "yescrypt", hash: YESCRYPT, password: "sesame", want: "match" },
  { name: "a wrong password", hash: YESCRYPT, password: "Sesame", want: "mismatch" },
  { name: "a hash that was cut", hash: YESCRYPT.slice(0, -1), password: "sesame", want: "mismatch" },
  { name: "an unknown scheme", hash: "$nothing$x", password: "sesame", want: "unknown" },
  { name: "a password with a NUL", hash: YESCRYPT, password: "sesame\0", want: "unknown" },
];

for (const { name, hash, password, want } of rows) {
  Deno.test({
    name: `ofHash(): ${name}: ${want}`,
    ignore: Deno.build.os !== "linux",
    async fn() {
      const passwords = new Passwords();
      assert.equal(await passwords.ofHash(hash, password), want);
      passwords.close();
    },
  });
}

Deno.test("ofAccount() verifies nobody without root, and as root no account that is locked or does not exist", async () => {
  const passwords = new Passwords();
  const want = Deno.uid() === 0 && Deno.build.os === "linux" ? "mismatch" : "unknown";
  assert.equal(await passwords.ofAccount("nobody", ""), want);
  assert.equal(await passwords.ofAccount("no-such-account-here", "nobody"), want);
  passwords.close();
});

Deno.test("main tries no system account unless a listener asks for them", async () => {
  const heard: HouseAnswer[] = [];
  const heardAll = Promise.withResolvers<void>();
  const clerk = new Clerk(
    () => assert.fail("nobody is acted for"),
    (answers) => {
      heard.push(...answers);
      if (heard.length === 2) heardAll.resolve();
    },
    { find: () => Promise.resolve(null) },
    { ofAccount: () => Promise.resolve("match"), ofHash: () => Promise.resolve("match") },
  );
  clerk.take([{ type: "login", call: 1, user: "root", password: "x" }]);
  clerk.systemLogins = true;
  clerk.take([{ type: "login", call: 2, user: "root", password: "x" }]);
  await heardAll.promise;
  assert.deepEqual(heard, [
    { type: "login", call: 1, result: "unknown" },
    { type: "login", call: 2, result: "match" },
  ]);
});
