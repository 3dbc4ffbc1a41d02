/** The MAC of envelopes: it is the HMAC of the standard, no two decisions share one, and each field counts. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import { type Decided, EnvelopeMac } from "../../src/mac/mod.ts";
import { msgid } from "../ids.ts";

const KEY = Uint8Array.from({ length: 32 }, (_, at) => at);
const mailbox = (local: string, domain = "example.org") => ({ local, domain });
const ORIGIN = {
  address: "192.0.2.7",
  hostname: "client.example.net",
  helo: "client.example.net",
  smtpname: "mx.example.org",
  tag: "",
  username: "",
  authenticated: false,
};
const DECIDED: Decided = {
  message: msgid("00000001"),
  agent: "mda",
  action: "inbox",
  internal: false,
  sender: mailbox("alice"),
  rcpt: mailbox("bob"),
  dest: mailbox("bob"),
  origin: ORIGIN,
  user: "bob",
  subAddress: "",
  exec: "",
};

Deno.test("the MAC is HMAC-SHA-256 of a JSON list, for short texts and long ones, whatever is in them", () => {
  const mac = new EnvelopeMac(KEY);
  for (
    const local of ["bob", "", "b\u00f6b", "\u{1f4e8}", "\ud800", "x".repeat(20_000), "\u20ac".repeat(9000), '"],["']
  ) {
    const { message, agent, action, internal, user, subAddress, exec } = DECIDED;
    const box = ["bob", "example.org"], { address, hostname, helo, smtpname, tag, username, authenticated } = ORIGIN;
    const path = ["alice", "example.org"], dest = [local, "example.org"];
    const fields = [message, agent, action, internal, ...path, ...box, ...dest, user, subAddress, exec];
    const text = JSON.stringify([...fields, address, hostname, helo, smtpname, tag, username, authenticated]);
    const expected = createHmac("sha256", KEY).update(Buffer.from(text, "utf8")).digest("hex");
    const decided = { ...DECIDED, dest: mailbox(local) };
    assert.equal(mac.of(decided), expected, JSON.stringify(local.slice(0, 10)));
    assert.ok(mac.verify(decided, expected));
  }
});

Deno.test("every field counts, and none can be taken for its neighbour", () => {
  const mac = new EnvelopeMac(KEY);
  const others: Decided[] = [
    DECIDED,
    { ...DECIDED, message: msgid("00000002") },
    { ...DECIDED, agent: "mta" },
    { ...DECIDED, action: "inbo" },
    { ...DECIDED, internal: true },
    { ...DECIDED, sender: null },
    { ...DECIDED, sender: mailbox("alic", "eexample.org") },
    { ...DECIDED, rcpt: mailbox("bob", "example.net") },
    { ...DECIDED, dest: mailbox("eve") },
    { ...DECIDED, user: "" },
    { ...DECIDED, user: "", subAddress: "bob" },
    { ...DECIDED, user: "", exec: "bob" },
    { ...DECIDED, user: 'bob","' },
    ...Object.entries(ORIGIN).map(([key, value]) => ({
      ...DECIDED,
      origin: { ...ORIGIN, [key]: typeof value === "boolean" ? !value : `${value}x` },
    })),
  ];
  const macs = others.map((decided) => mac.of(decided));
  assert.equal(new Set(macs).size, others.length);
  for (const [at, decided] of others.entries()) {
    for (const [other, text] of macs.entries()) assert.equal(mac.verify(decided, text), at === other);
  }
});

Deno.test("a relayed envelope has no user, whatever stands there", () => {
  const mac = new EnvelopeMac(KEY);
  const { user: _, subAddress: __, exec: ___, ...bare } = DECIDED;
  assert.equal(mac.of({ ...DECIDED, agent: "mta" }), mac.of({ ...bare, agent: "mta" }));
});

Deno.test("another key, a missing text and one of another length are wrong", () => {
  const mac = new EnvelopeMac(KEY), text = mac.of(DECIDED);
  assert.ok(!new EnvelopeMac(new Uint8Array(32)).verify(DECIDED, text));
  for (const wrong of [undefined, "", text.slice(1), `${text}0`, text.toUpperCase(), "0".repeat(64)]) {
    assert.ok(!mac.verify(DECIDED, wrong));
  }
  assert.throws(() => new EnvelopeMac(new Uint8Array(31)), /key/);
});
