/** Addresses: their one spelling, and the names that hold their PTR. */

import assert from "node:assert/strict";
import { isIP } from "node:net";
import { ipVersion, isAddress, normalAddress, reverseName } from "../../src/net/mod.ts";

const SPELLINGS: readonly { readonly text: string; readonly normal: string | null }[] = [
  { text: "192.0.2.1", normal: "192.0.2.1" },
  { text: "192.0.2.01", normal: null },
  { text: "192.0.2.256", normal: null },
  { text: "192.0.2", normal: null },
  { text: "2001:DB8:0:0:0:0:0:1", normal: "2001:db8::1" },
  { text: "2001:db8::0001", normal: "2001:db8::1" },
  // RFC 5952 §4.2.2: one zero stays.
  { text: "2001:db8:0:1:1:1:1:1", normal: "2001:db8:0:1:1:1:1:1" },
  { text: "2001:db8::1:1:1:1:1", normal: "2001:db8:0:1:1:1:1:1" },
  // RFC 5952 §4.2.3: the longest run, the first of equal ones.
  { text: "2001:0:0:1:0:0:0:1", normal: "2001:0:0:1::1" },
  { text: "2001:db8:0:0:1:0:0:1", normal: "2001:db8::1:0:0:1" },
  { text: "::", normal: "::" },
  { text: "::1", normal: "::1" },
  { text: "1::", normal: "1::" },
  { text: "1:2:3:4:5:6:7::", normal: "1:2:3:4:5:6:7:0" },
  { text: "::ffff:192.0.2.1", normal: "192.0.2.1" },
  { text: "::FFFF:c000:201", normal: "192.0.2.1" },
  { text: "::192.0.2.1", normal: "192.0.2.1" },
  { text: "64:ff9b::192.0.2.1", normal: "64:ff9b::c000:201" },
  { text: "fe80::1%eth0", normal: "fe80::1%eth0" },
  { text: "fe80::1%", normal: null },
  { text: "1::2::3", normal: null },
  { text: "1:2:3:4:5:6:7:8:9", normal: null },
  { text: "12345::", normal: null },
  { text: "[::1]", normal: null },
  { text: "example.org", normal: null },
  { text: "", normal: null },
];

for (const { text, normal } of SPELLINGS) {
  Deno.test(`normalAddress(${JSON.stringify(text)}) is ${normal}`, () => {
    assert.equal(normalAddress(text), normal);
    assert.equal(isAddress(text), normal !== null);
    // What is normal stays so.
    if (normal !== null) assert.equal(normalAddress(normal), normal);
  });
}

Deno.test("ipVersion() says what isIP() of node:net says", () => {
  const more = [
    "fe80::1%br-lan",
    "fe80::1%eth0.5",
    "::1%",
    "1.2.3.4%lo",
    "::ffff:1.2.3.4",
    "1::1.2.3",
    "0x1.2.3.4",
    ":",
    ":::",
    "1:2",
  ];
  for (const text of [...SPELLINGS.map(({ text }) => text), ...more]) assert.equal(ipVersion(text), isIP(text), text);
});

Deno.test("reverseName() is the name of RFC 1035 §3.5 and RFC 3596 §2.5", () => {
  assert.equal(reverseName("192.0.2.1"), "1.2.0.192.in-addr.arpa");
  assert.equal(reverseName("::ffff:192.0.2.1"), "1.2.0.192.in-addr.arpa");
  assert.equal(
    reverseName("2001:db8::567:89ab"),
    "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
  );
  assert.equal(reverseName("nonsense"), null);
});
