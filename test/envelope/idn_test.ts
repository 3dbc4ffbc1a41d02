/** Domain names beyond ASCII. */

import assert from "node:assert/strict";
import { asciiAddress, asciiDomain, unicodeDomain } from "../../src/envelope/mod.ts";

const rows: readonly [text: string, want: string | null, because: string][] = [
  ["Example.org", "Example.org", "ASCII stays as it is"],
  ["Bücher.example", "xn--bcher-kva.example", "U-labels become lower-case A-labels"],
  ["bu\u0308cher.example", "xn--bcher-kva.example", "however the ü was composed"],
  ["*.bücher.example", "*.xn--bcher-kva.example", "a pattern keeps its star"],
  ["faß.example", "xn--fa-hia.example", "RFC 5891: ß is a letter of its own"],
  ["例え。テスト", "xn--r8jz45g.xn--zckzah", "UTS 46: an ideographic full stop is a dot"],
  ["ü\u202e.example", null, "RFC 5892: no character that turns the text around"],
  ["ü:25", null, "no port"],
  ["ü/x", null, "no path"],
  ["[ü]", null, "no literal"],
];
for (const [text, want, because] of rows) {
  Deno.test(`asciiDomain(${text}): ${because}`, () => assert.equal(asciiDomain(text), want));
}

Deno.test("asciiAddress() changes the domain alone, and leaves what is none", () => {
  assert.equal(asciiAddress("jörg@bücher.example"), "jörg@xn--bcher-kva.example");
  assert.equal(asciiAddress("@*.bücher.example"), "@*.xn--bcher-kva.example");
  assert.equal(asciiAddress("jörg"), "jörg");
  assert.equal(asciiAddress("a@ü b"), "a@ü b");
});

Deno.test("unicodeDomain() goes back, and leaves alone what cannot be read", () => {
  assert.equal(unicodeDomain("a.xn--bcher-kva.example"), "a.bücher.example");
  assert.equal(unicodeDomain("example.org"), "example.org");
  assert.equal(unicodeDomain("xn--a-ecp.example"), "xn--a-ecp.example");
});
