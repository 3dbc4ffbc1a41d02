import assert from "node:assert/strict";
import { formatPath } from "../../src/envelope/mod.ts";
import { isDomain, parseMailbox, parsePath } from "../../src/smtp/mod.ts";

const long = (length: number) => "a".repeat(length);

const paths: readonly { text: string; want: string | null; rest?: string; because: string }[] = [
  { text: "<a@example.org>", want: "<a@example.org>", because: "a plain path" },
  { text: "<>", want: "<>", because: "the null path" },
  { text: "<a@example.org> SIZE=1", want: "<a@example.org>", rest: "SIZE=1", because: "parameters follow" },
  { text: "a@example.org", want: null, because: "brackets are required" },
  { text: "<a@example.org", want: null, because: "the bracket is not closed" },
  { text: "", want: null, because: "nothing" },
  { text: "<Jo.Doe@Example.ORG>", want: "<Jo.Doe@Example.ORG>", because: "case is kept" },
  { text: "<!#$%&'*/?^`{|}~+-=_@a>", want: "<!#$%&'*/?^`{|}~+-=_@a>", because: "all of atext" },
  { text: "<.a@example.org>", want: null, because: "an atom may not be empty at the start" },
  { text: "<a..b@example.org>", want: null, because: "nor in the middle" },
  { text: "<a.@example.org>", want: null, because: "nor at the end" },
  { text: "<a b@example.org>", want: null, because: "a blank needs quotes" },
  { text: "<a@b@example.org>", want: null, because: "two at signs" },
  { text: "<@example.org>", want: null, because: "no local part" },
  { text: "<a@>", want: null, because: "an empty domain is not a missing one" },
  { text: "<postmaster>", want: "<postmaster@mx.example.org>", because: "a missing domain is ours" },
  { text: "<j\u00f6rg@example.org>", want: "<j\u00f6rg@example.org>", because: "RFC 6531 \u00a73.3: UTF-8 is atext" },
  {
    text: '<"j\u00f6rg s"@example.org>',
    want: '<"j\u00f6rg s"@example.org>',
    because: "RFC 6531 \u00a73.3: and qtext",
  },
  { text: '<"j\u00f6rg"@example.org>', want: "<j\u00f6rg@example.org>", because: "which needs no quotes either" },
  { text: '<"\\\u00f6"@example.org>', want: null, because: "RFC 6531 \u00a73.3: a backslash stands before ASCII only" },
  {
    text: "<a@B\u00fccher.example>",
    want: "<a@xn--bcher-kva.example>",
    because: "RFC 5890 \u00a72.3: a U-label is its A-label",
  },
  { text: "<a@\u4f8b\u3048.\u30c6\u30b9\u30c8>", want: "<a@xn--r8jz45g.xn--zckzah>", because: "every label" },
  { text: "<a@\u00fc..example>", want: null, because: "an empty label" },
  { text: "<a@\u00fc example>", want: null, because: "a blank in an IDN" },
  { text: "<a@\u00fc/x>", want: null, because: "what a URL would end its host at" },
  { text: "<a@\u00fc%2e.example>", want: null, because: "an escape of URLs" },
  { text: "<a@\u00fc\u202e.example>", want: null, because: "RFC 5892: a character that turns the text around" },
  { text: "<j\ufffdrg@example.org>", want: null, because: "bytes that were not UTF-8" },
  { text: "<j\u0085@example.org>", want: null, because: "a control character of C1" },
  { text: "<j\u2028@example.org>", want: null, because: "a line separator" },
  { text: `<${"\u00f6".repeat(127)}@a>`, want: `<${"\u00f6".repeat(127)}@a>`, because: "254 octets of local part" },
  { text: `<${"\u00f6".repeat(128)}@a>`, want: null, because: "octets are counted, not characters" },
  { text: "<a\t@example.org>", want: null, because: "a control character" },
  { text: '<"john smith"@example.org>', want: '<"john smith"@example.org>', because: "a quoted local part" },
  { text: '<"john"@example.org>', want: "<john@example.org>", because: "quotes that are not needed mean nothing" },
  { text: '<"j\\ohn.s"@example.org>', want: "<john.s@example.org>", because: "nor do backslashes" },
  {
    text: '<"a>b"@example.org> X',
    want: '<"a>b"@example.org>',
    rest: "X",
    because: "a bracket in quotes does not end it",
  },
  { text: '<"a@b"@example.org>', want: '<"a@b"@example.org>', because: "an at sign in quotes" },
  { text: '<"a\\"b"@example.org>', want: '<"a\\"b"@example.org>', because: "a quoted quote" },
  { text: '<"a@example.org>', want: null, because: "the quote is not closed" },
  { text: '<"a"b@example.org>', want: null, because: "nothing may follow the quote" },
  { text: '<"a\x07"@example.org>', want: null, because: "a control character in quotes" },
  { text: '<""@example.org>', want: '<""@example.org>', because: "an empty quoted string is a local part" },
  { text: "<@a.example:b@example.org>", want: "<b@example.org>", because: "a source route is dropped" },
  { text: "<@a.example,@b.example:c@example.org>", want: "<c@example.org>", because: "a longer one too" },
  { text: "<@[IPv6:::1]:c@example.org>", want: "<c@example.org>", because: "a literal in the route has colons" },
  { text: "<@a.example>", want: null, because: "a route without an end" },
  { text: "<@a:@b:c@example.org>", want: null, because: "a route in a route" },
  { text: "<a@[192.0.2.1]>", want: "<a@[192.0.2.1]>", because: "an IPv4 literal" },
  { text: "<a@[IPv6:2001:db8::1]>", want: "<a@[IPv6:2001:db8::1]>", because: "an IPv6 literal" },
  { text: "<a@[192.0.2.256]>", want: null, because: "not an IPv4 address" },
  { text: `<${long(255)}@example.org>`, want: `<${long(255)}@example.org>`, because: "255 octets of local part" },
  { text: "<a@example.org>SIZE=10", want: null, because: "a parameter without a blank" },
  { text: "<>SIZE=10", want: null, because: "the same behind the null path" },
  { text: "<a@example.org>>X", want: null, because: "a second bracket" },
  { text: "<a@example.org>\tX", want: "<a@example.org>", rest: "X", because: "a tab is taken for a blank" },
  { text: "<a@example.org>\u00a0SIZE=10", want: null, because: "a blank of another kind is none" },
  { text: `<${long(256)}@example.org>`, want: null, because: "256 are too many" },
];

for (const { text, want, rest, because } of paths) {
  Deno.test(`parsePath(${text.slice(0, 40)}): ${because}`, () => {
    const parsed = parsePath(text, "mx.example.org");
    assert.equal(parsed.ok ? formatPath(parsed.path) : null, want);
    assert.equal(!parsed.ok && parsed.bare, />[^\s>][^>]*$|>>|>\u00a0/.test(text) && !text.includes('"'));
    if (parsed.ok) assert.equal(parsed.rest, rest ?? "");
  });
}

const domains: readonly [string, boolean, string][] = [
  ["example.org", true, "two labels"],
  ["localhost", true, "one label"],
  ["a-b.c_d.org", true, "hyphen and underscore inside labels"],
  ["1.2.3", true, "digits"],
  ["-a.org", false, "a label starts with a hyphen"],
  ["a-.org", false, "a label ends with one"],
  ["_a.org", false, "a label starts with an underscore"],
  ["example.org.", false, "a dot at the end"],
  [".org", false, "an empty label"],
  ["a..org", false, "an empty label inside"],
  ["", false, "nothing"],
  ["ex ample.org", false, "a blank"],
  ["b\u00fccher.example", false, "RFC 6531 \u00a73.7.1: a name in HELO is ASCII"],
  ["[127.0.0.1]", true, "an IPv4 literal"],
  ["[::1]", true, "an IPv6 literal without its tag"],
  ["[ipv6:::1]", true, "the tag in lower case"],
  ["[fe80::1%eth0]", false, "a zone"],
  ["[127.0.0.1", false, "an open literal"],
  ["[]", false, "an empty literal"],
  [`${long(63)}.${long(63)}`, true, "labels of 63 octets"],
  [`${long(64)}.example`, false, "a label of 64 octets (RFC 1035 §2.3.4)"],
  [`mx.${long(64)}`, false, "also at the end"],
  [[long(63), long(63), long(63), long(63)].join("."), true, "255 octets"],
  [[long(63), long(63), long(63), long(62), "a"].join("."), false, "256 octets"],
];
for (const [text, want, because] of domains) {
  Deno.test(`isDomain(${text.slice(0, 30)}) is ${want}: ${because}`, () => assert.equal(isDomain(text), want));
}

Deno.test("parseMailbox() without a default domain wants one", () => {
  assert.equal(parseMailbox("root"), null);
  assert.deepEqual(parseMailbox("root@localhost"), { local: "root", domain: "localhost" });
});
