/** Passwords that the C library verifies: in the real one, with hashes that it made. */

import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { LookupRequests } from "../../src/daemon/lookup_requests.ts";
import { Passwords } from "../../src/daemon/machine/passwords.ts";
import type { Channel } from "../../src/isolate/mod.ts";
import type { LookupToMain, MainToLookup } from "../../src/protocol/mod.ts";

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

const SHA512 = "$6$abcdefgh$Bk2D4uYVcw0FbFPsWa0iJZ1DNfy8v6OjKcRcuBfMkWD1KdADPVnmQf5cr0O8HfAYpq1XrrjdgIRINkwgSKJ8/1";
const today = Math.floor(Date.now() / 86_400_000);
/** As shadow(5) has it: name, hash, last change, three ages, inactivity, expiry in days since 1970. */
const ACCOUNTS = [
  { name: "carol", hash: SHA512, want: "match" },
  { name: "yves", hash: YESCRYPT, want: "match" },
  { name: "bob", hash: SHA512.slice(0, -1), want: "mismatch" },
  { name: "locked", hash: `!${SHA512}`, want: "mismatch" },
  { name: "never", hash: "*", want: "mismatch" },
  { name: "unset", hash: "!!", want: "mismatch" },
  { name: "empty", hash: "", want: "mismatch" },
  { name: "expired", hash: SHA512, expire: today, want: "mismatch" },
  { name: "expires", hash: SHA512, expire: today + 2, want: "match" },
  { name: "strange", hash: "$nothing$x", want: "unknown" },
];
const SHADOW = ACCOUNTS.map(({ name, hash, expire }) => `${name}:${hash}:19000:0:99999:7::${expire ?? ""}:\n`).join("");

Deno.test({
  name: "ofAccount() heeds what a shadow file says of an account",
  ignore: Deno.build.os !== "linux",
  async fn(test) {
    const file = await Deno.makeTempFile();
    await Deno.writeTextFile(file, SHADOW);
    const passwords = new Passwords(file);
    for (const { name, want } of ACCOUNTS) {
      await test.step(`${name}: ${want}`, async () => assert.equal(await passwords.ofAccount(name, "sesame"), want));
    }
    await test.step("a wrong password", async () => {
      assert.equal(await passwords.ofAccount("carol", "Sesame"), "mismatch");
      assert.equal(await passwords.ofAccount("yves", ""), "mismatch");
    });
    await test.step("who does not stand there", async () => {
      for (const name of ["root", "caro", "carol:", "", "carol\0"]) {
        assert.equal(await passwords.ofAccount(name, "sesame"), "mismatch", name);
      }
    });
    await test.step("a file that is gone", async () => {
      await Deno.remove(file);
      assert.equal(await passwords.ofAccount("carol", "sesame"), "unknown");
    });
    passwords.close();
  },
});

Deno.test("main tries no system account unless a listener asks for them", async () => {
  const received: MainToLookup[] = [];
  const receivedAll = Promise.withResolvers<void>();
  const requests = new LookupRequests(
    { find: () => Promise.resolve(null) },
    { ofAccount: () => Promise.resolve("match"), ofHash: () => Promise.resolve("match") },
  );
  const channel: Channel<MainToLookup, LookupToMain> = {
    send: (message) => {
      received.push(message);
      if (received.length === 2) receivedAll.resolve();
    },
    onmessage: () => {},
    onreset: () => {},
  };
  requests.serve(channel, () => assert.fail("nobody reads"));
  channel.onmessage({ type: "login", call: 1, user: "root", password: "x" });
  requests.systemLogins = true;
  channel.onmessage({ type: "login", call: 2, user: "root", password: "x" });
  await receivedAll.promise;
  assert.deepEqual(received, [
    { type: "login", call: 1, result: "unknown" },
    { type: "login", call: 2, result: "match" },
  ]);
});

Deno.test({
  name: "what the C library reads on another thread lives until it is done, and no password stays behind",
  ignore: Deno.build.os !== "linux",
  async fn() {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const encode = TextEncoder.prototype.encode;
    const made: WeakRef<Uint8Array>[] = [];
    TextEncoder.prototype.encode = function (text) {
      const bytes = encode.call(this, text);
      made.push(new WeakRef(bytes));
      return bytes;
    };
    const passwords = new Passwords();
    try {
      let over = false;
      const check = passwords.ofHash("$6$rounds=1000000$abcdefgh$x", "secret").finally(() => over = true);
      // A weak reference holds until this turn of the event loop ends.
      await new Promise((resolve) => setTimeout(resolve, 0));
      collect();
      const living = made.map((one) => one.deref()).filter((one) => one !== undefined);
      assert.equal(over, false, "a hash takes longer than that");
      assert.equal(living.length, 2, "the password and the hash");
      assert.equal(await check, "mismatch");
      assert.ok(living.every((bytes) => bytes.every((octet) => octet === 0)));
    } finally {
      TextEncoder.prototype.encode = encode;
      passwords.close();
    }
  },
});
