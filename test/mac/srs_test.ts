/** Rewritten senders: what they look like, what they stand for, and which are not taken back. */

import assert from "node:assert/strict";
import { formatMailbox } from "../../src/envelope/mod.ts";
import { decodeSrs, encodeSrs, type SrsKeys } from "../../src/mac/mod.ts";

const DAY = 86_400_000;
const NOW = Date.UTC(2026, 10, 22, 12);
const KEYS: SrsKeys = { key: "secret", backupKey: "older", ttlDays: 4 };

function box(text: string) {
  const at = text.lastIndexOf("@");
  return { local: text.slice(0, at), domain: text.slice(at + 1) };
}
const encode = (sender: string, domain = "fwd.example", keys = KEYS, now = NOW) =>
  formatMailbox(encodeSrs(box(sender), domain, keys, now));
function decode(address: string, keys = KEYS, now = NOW): string {
  const result = decodeSrs(box(address), keys, now);
  return result.ok ? formatMailbox(result.mailbox) : result.reason;
}

// The hashes are those of `printf '%s' "secret$rest" | openssl sha1 -binary | base64`.
const forms = [
  { sender: "alice@example.net", want: /^SRS0=[A-Za-z0-9_-]{4}=[A-Z2-7]{2}=example\.net=alice@fwd\.example$/ },
  { sender: "a=b+c@example.net", want: /^SRS0=[\w-]{4}=[A-Z2-7]{2}=example\.net=a=b\+c@fwd\.example$/ },
  { sender: "SRS0=abcd=AB=x.net=u@hop.example", want: /^SRS1=[\w-]{4}=hop\.example==abcd=AB=x\.net=u@fwd\.example$/ },
  { sender: "srs0+abcd=AB=x.net=u@hop.example", want: /^SRS1=[\w-]{4}=hop\.example=\+abcd=AB=x\.net=u@fwd\.example$/ },
  {
    sender: "SRS1=wxyz=hop.example==abcd=AB=x.net=u@second.example",
    want: /^SRS1=[\w-]{4}=hop\.example==abcd=AB=x\.net=u@fwd\.example$/,
  },
  { sender: "SRS1=wxyz@second.example", want: /^SRS1=wxyz@second\.example$/ },
  { sender: '"a b"@example.net', want: /^"a b"@example\.net$/ },
  { sender: `${"u".repeat(240)}@example.net`, want: /^u+@example\.net$/ },
];
for (const { sender, want } of forms) {
  Deno.test(`encodeSrs: ${sender.slice(0, 60)} becomes ${want.source.slice(0, 60)}`, () => {
    assert.match(encode(sender), want);
  });
}

Deno.test("encodeSrs: hash and time of a known address", () => {
  assert.equal(
    encode("alice@example.net", "fwd.example", KEYS, Date.UTC(1970, 0, 34)),
    "SRS0=hsaa=BB=example.net=alice@fwd.example",
  );
});

const returns = [
  { sender: "alice@example.net", back: "alice@example.net" },
  { sender: "Alice=Bob@Example.net", back: "Alice=Bob@Example.net" },
  { sender: "m\u00fcller@example.net", back: "m\u00fcller@example.net" },
];
for (const { sender, back } of returns) {
  Deno.test(`decodeSrs: what ${sender} became goes back to ${back}`, () => {
    const there = encode(sender);
    assert.equal(decode(there), back);
    assert.equal(decode(there, { ...KEYS, key: "newer", backupKey: "secret" }), back, "by the backup key");
    assert.equal(decode(there, { ...KEYS, key: "newer", backupKey: null }), "wrong hash");
    assert.equal(decode(there, KEYS, NOW + 4 * DAY), back, "on its last day");
    assert.equal(decode(there, KEYS, NOW + 5 * DAY), "expired");
    assert.equal(decode(there, KEYS, NOW - DAY), back, "the clock was a day ahead");
    assert.equal(decode(there, KEYS, NOW - 2 * DAY), "expired");
    assert.equal(decode(there, KEYS, NOW + 1024 * DAY), back, "the days begin again");
  });
}

Deno.test("decodeSrs: over two hops back to the first forwarder, and from there to the sender", () => {
  const first = encode("alice@example.net", "one.example");
  const second = encode(first, "two.example");
  const third = encode(second, "three.example");
  assert.equal(decode(second), first);
  assert.equal(decode(third), first);
  assert.equal(decode(decode(third)), "alice@example.net");
  assert.equal(decode(third, KEYS, NOW + 5 * DAY), "expired");
});

const refused = [
  { name: "another user", change: (text: string) => text.replace("alice", "mallory"), want: "wrong hash" },
  { name: "another domain", change: (text: string) => text.replace("fwd.example", "fwd2.example"), want: "wrong hash" },
  {
    name: "another hash",
    change: (text: string) => text.replace(/=..../, (hash) => hash.startsWith("=a") ? "=bbbb" : "=aaaa"),
    want: "wrong hash",
  },
  { name: "a hash that is longer than one", change: (text: string) => text.replace("=", "=a"), want: "malformed" },
  { name: "no hash", change: (text: string) => text.replace(/=[^=]*=/, "=="), want: "malformed" },
  { name: "half an address", change: () => "SRS0=abcd@fwd.example", want: "malformed" },
  { name: "nothing", change: () => "SRS0=@fwd.example", want: "malformed" },
];
for (const { name, change, want } of refused) {
  Deno.test(`decodeSrs: ${name} is ${want}`, () => {
    const there = encode("alice@example.net");
    assert.notEqual(change(there), there);
    assert.equal(decode(change(there)), want);
  });
}

const cases: readonly { name: string; change(text: string): string }[] = [
  { name: "small", change: (text) => text.toLowerCase() },
  { name: "large", change: (text) => text.toUpperCase() },
  { name: "each another", change: (text) => text.replace(/[a-z]/gi, (letter) => OTHER_CASE[letter]!) },
];
const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"];
const OTHER_CASE: Record<string, string> = Object.fromEntries(
  LETTERS.flatMap((letter) => [[letter, letter.toUpperCase()], [letter.toUpperCase(), letter]]),
);
for (const { name, change } of cases) {
  Deno.test(`decodeSrs: an address whose letters came back ${name} is taken back, one hop or two`, () => {
    for (const sender of ["Alice@Example.net", "al.ICE+tag=x@example.net", "m\u00fcller@example.net"]) {
      for (const now of [NOW, NOW + 17 * DAY, NOW + 400 * DAY]) {
        const one = encode(sender, "fwd.example", KEYS, now);
        const same = (text: string) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
        // What is no letter of ASCII stays as it is.
        const back = decode(change(one).replace("\u00dc", "\u00fc"), KEYS, now);
        assert.equal(same(back), same(sender));
        const two = encode(one, "two.example", KEYS, now);
        assert.equal(same(decode(change(two).replace("\u00dc", "\u00fc"), KEYS, now)), same(one));
        assert.equal(decode(one, KEYS, now), sender, "and what nobody changed comes back as it went");
      }
    }
  });
}

Deno.test("decodeSrs: a hash over the text as it was written is taken too", () => {
  const now = Date.UTC(1970, 0, 34);
  // printf '%s' "secretBB=Example.net=Alice@fwd.example" | openssl sha1 -binary | base64
  const made = "SRS0=0iSG=BB=Example.net=Alice@fwd.example";
  assert.equal(decode(made, KEYS, now), "Alice@Example.net");
});
