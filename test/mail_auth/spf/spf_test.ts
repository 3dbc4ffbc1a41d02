import assert from "node:assert/strict";
import { checkSpf, type SpfVerdict } from "../../../src/mail_auth/spf/mod.ts";
import { domainTarget, type MacroValues, parseDomainSpec } from "../../../src/mail_auth/spf/macros.ts";
import { parseSpfRecord } from "../../../src/mail_auth/spf/record.ts";
import { FixtureDns, type FixtureZones } from "../fixture_dns.ts";

const values: MacroValues = {
  s: "strong-bad@email.example.com",
  l: "strong-bad",
  o: "email.example.com",
  d: "email.example.com",
  i: "192.0.2.3",
  p: "mx.example.org",
  h: "mx.example.org",
  v: "in-addr",
  c: "192.0.2.3",
  r: "mx.example.net",
  t: "0",
};
const nibbles = "2.0.0.1.0.D.B.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.C.B.0.1";

/** What a domain-spec stands for; null: it is none, or the DNS can have no such name. */
const TARGETS: ReadonlyArray<readonly [spec: string, name: string | null, values?: Partial<MacroValues>]> = [
  // RFC 7208 §7.4.
  ["%{s}", "strong-bad@email.example.com"],
  ["%{o}", "email.example.com"],
  ["%{d}", "email.example.com"],
  ["%{d4}", "email.example.com"],
  ["%{d3}", "email.example.com"],
  ["%{d2}", "example.com"],
  ["%{d1}", "com"],
  ["%{dr}", "com.example.email"],
  ["%{d2r}", "example.email"],
  ["%{l}", "strong-bad"],
  ["%{l-}", "strong.bad"],
  ["%{lr}", "strong-bad"],
  ["%{lr-}", "bad.strong"],
  ["%{l1r-}", "strong"],
  ["%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"],
  ["%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"],
  ["%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"],
  ["%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"],
  ["%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"],
  [
    "%{ir}.%{v}._spf.%{d2}",
    "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com",
    { i: nibbles, v: "ip6" },
  ],
  // Syntax.
  ["%{d0}", null],
  ["%{d2", null],
  ["%{d}%", null],
  ["%{x}.example.com", null],
  ["%{c}.example.com", null],
  ["%{D}.Example.COM.", "email.example.com.example.com"],
  ["%{d99999999999}", "email.example.com"],
  ["example.com/24", null],
  ["example.c-", null],
  ["example.-c", null],
  ["example.1", null],
  ["example.1a", "example.1a"],
  ["example.x-1", "example.x-1"],
  ["com", null],
  ["", null],
  ["exam ple.com", null],
  ["ex\u00e4mple.com", null],
  [".example.com", null],
  // What is cut are labels on the left.
  [`${"a.".repeat(2000)}example.com`, `${"a.".repeat(121)}example.com`],
  [`${"%{l}.".repeat(2000)}example.com`, `${"strong-bad.".repeat(22)}example.com`],
  // A sender's name beyond ASCII matches nothing (RFC 8616 §4).
  ["%{l}.example.com", null, { l: "jürgen" }],
  ["%{d}", "email.example.com", { l: "jürgen" }],
];

Deno.test("RFC 7208 §7: what macros stand for", () => {
  for (const [text, name, other] of TARGETS) {
    const spec = parseDomainSpec(text);
    const target = spec === null ? null : domainTarget(spec, { ...values, ...other });
    assert.equal(target?.kind === "name" ? target.name : null, name, text);
  }
});

/** Records, and what is wrong with them; null for nothing. */
const RECORDS: ReadonlyArray<readonly [record: string, problem: RegExp | null]> = [
  ["v=spf1", null],
  ["V=SPF1 IP4:192.0.2.0/24 A:Example.org/24//64 MX -ALL", null],
  ["v=spf1 ip6:2001:db8::/32 ip6:::ffff:192.0.2.1 ?exists:%{i}.example.org ~ptr redirect=example.org", null],
  ["v=spf1   +a    -all  ", null],
  ["v=spf1 x-unknown=%{i}%%%_ y.z=", null],
  ["v=spf1 ip4:1.2.3.4/08", /Bad prefix length in "ip4:1\.2\.3\.4\/08"/],
  ["v=spf1 ip4:01.2.3.4", /Bad address/],
  ["v=spf1 ip4:1.2.3.4/", /Bad prefix length/],
  ["v=spf1 ip4:[1.2.3.4]", /Bad address/],
  ["v=spf1 ip6:[::1]", /Bad address/],
  ["v=spf1 ip6:1.2.3.4", /Bad address/],
  ["v=spf1 ip6:fe80::1%eth0", /Bad address/],
  ["v=spf1 ip4=1.2.3.4", null],
  ["v=spf1 a:192.0.2.1", /ip4 takes addresses/],
  ["v=spf1 a/", /Bad domain/],
  ["v=spf1 a:", /Bad domain/],
  ["v=spf1 a//", /Bad domain/],
  ["v=spf1 mx/24//129", /Bad prefix length/],
  ["v=spf1 mx/24//0128", /Bad prefix length/],
  ["v=spf1 include", /No domain, or a bad one in "include"/],
  ["v=spf1 all:x.org", /An argument in "all:x\.org"/],
  ["v=spf1 --all", /Unknown mechanism in "--all"/],
  ["v=spf1 -", /Unknown mechanism in "-"/],
  ["v=spf1 ipv4:1.2.3.4", /Unknown mechanism/],
  ["v=spf1 -redirect=x.org", /Unknown mechanism/],
  ["v=spf1\tall", /Unknown mechanism/],
  ["v=spf1 a\tall", /Bad domain in "a\?all"/],
  ["v=spf1 redirect=a.org redirect=b.org", /A second redirect/],
  ["v=spf1 exp=a.org EXP=b.org", /A second exp/],
  ["v=spf1 redirect=%{r}", /Bad domain/],
  ["v=spf1 moo=%{", /Bad macro/],
  [`v=spf1 ${"x".repeat(100)}`, /^Unknown mechanism in "x{64}\.\.\."$/],
  [`v=spf1 ${"ip4:192.0.2.1 ".repeat(2000)}`, /^More than 8192 octets$/],
];

Deno.test("RFC 7208 §4.6.1: errors anywhere in a record are found, and named", () => {
  for (const [text, problem] of RECORDS) {
    const parsed = parseSpfRecord(text);
    assert.match(parsed.kind === "error" ? parsed.reason : "", problem ?? /^$/, text);
  }
});

interface Row {
  readonly of: string;
  readonly client?: string;
  readonly helo?: string;
  readonly sender?: string;
  readonly zones: FixtureZones;
  readonly want: Partial<SpfVerdict>;
}

const spf = (record: string, domain = "example.org"): FixtureZones => ({ [domain]: [{ TXT: record }] });
const addresses = (...list: readonly string[]) =>
  list.map((address) => address.includes(":") ? { AAAA: address } : { A: address });

const ROWS: readonly Row[] = [
  {
    of: "the term that matched",
    zones: spf("v=spf1 ~ip4:192.0.2.0/24 -all"),
    want: {
      result: "softfail",
      mechanism: "~ip4:192.0.2.0/24",
      identity: "mailfrom",
      domain: "example.org",
      reason: null,
    },
  },
  { of: "no term", zones: spf("v=spf1"), want: { result: "neutral", mechanism: "default" } },
  {
    of: "the term of the record that was included",
    zones: { ...spf("v=spf1 include:b.org -all"), ...spf("v=spf1 a:c.org", "b.org"), "c.org": addresses("192.0.2.1") },
    want: { result: "pass", mechanism: "include:b.org" },
  },
  {
    of: "the term of a redirect",
    zones: { ...spf("v=spf1 redirect=b.org"), ...spf("v=spf1 ?all", "b.org") },
    want: { result: "neutral", mechanism: "?all", domain: "example.org" },
  },
  { of: "no record", zones: {}, want: { result: "none", mechanism: null, reason: "example.org has no SPF record" } },
  {
    of: "a reason with the record and the term",
    zones: { ...spf("v=spf1 include:b.org"), ...spf("v=spf1 foo", "b.org") },
    want: { result: "permerror", mechanism: null, reason: 'SPF record of b.org: Unknown mechanism in "foo"' },
  },
  {
    of: "an IPv4-mapped client, an address in brackets, a zone",
    client: "::ffff:192.0.2.1",
    zones: spf("v=spf1 ip4:192.0.2.1 -all"),
    want: { result: "pass" },
  },
  { of: "brackets", client: "[192.0.2.1]", zones: spf("v=spf1 ip4:192.0.2.1 -all"), want: { result: "pass" } },
  { of: "a zone", client: "fe80::1%eth0", zones: spf("v=spf1 ip6:fe80::/10 -all"), want: { result: "pass" } },
  {
    of: "a client without an address",
    client: "local",
    zones: spf("v=spf1 +all"),
    want: { result: "none", reason: "The client has no address", domain: "example.org" },
  },
  {
    of: "the null sender: HELO",
    sender: "",
    zones: spf("v=spf1 ip4:192.0.2.1 -all", "mx.example.org"),
    want: { result: "pass", identity: "helo", domain: "mx.example.org" },
  },
  {
    of: "the null sender: postmaster is the local-part",
    sender: "",
    zones: {
      ...spf("v=spf1 exists:%{l}.%{d} -all", "mx.example.org"),
      "postmaster.mx.example.org": addresses("127.0.0.1"),
    },
    want: { result: "pass" },
  },
  {
    of: "the null sender and a HELO that is no name",
    sender: "",
    helo: "\r\n\0\u00ff",
    zones: {},
    want: { result: "none", identity: "helo" },
  },
  { of: "a domain of digits", sender: "a@192.0.2.1", zones: spf("v=spf1 +all", "192.0.2.1"), want: { result: "none" } },
  {
    of: "a domain with a last dot, in capitals",
    sender: "a@Example.ORG.",
    zones: spf("v=spf1 +all"),
    want: { result: "pass", domain: "example.org" },
  },
  {
    of: "RFC 8616 §4: a domain beyond ASCII",
    sender: "a@bücher.example",
    zones: spf("v=spf1 a:%{o}.x.org -all", "xn--bcher-kva.example"),
    want: { result: "fail", domain: "xn--bcher-kva.example" },
  },
  {
    of: "RFC 8616 §4: a local-part beyond ASCII matches nothing",
    sender: "jürgen@example.org",
    zones: spf("v=spf1 -exists:%{l}.example.org -include:%{s} a:%{l}.x.org ?all redirect=%{l}.x.org"),
    want: { result: "neutral", mechanism: "?all" },
  },
  {
    of: "RFC 8616 §4: a redirect by such a local-part leads nowhere",
    sender: "jürgen@example.org",
    zones: spf("v=spf1 redirect=%{l}.x.org"),
    want: { result: "neutral", mechanism: "default" },
  },
  // Void terms: one each, however many hosts have no address.
  {
    of: "an mx with hosts of the other family counts once",
    client: "2001:db8::1",
    zones: {
      "example.org": [{ TXT: "v=spf1 mx a ip6:2001:db8::/32 -all" }, { A: "192.0.2.1" }, { MX: [1, "a.org"] }, {
        MX: [2, "b.org"],
      }],
      "a.org": addresses("192.0.2.1"),
      "b.org": addresses("192.0.2.2"),
    },
    want: { result: "pass" },
  },
  {
    of: "three void terms of different kinds",
    zones: spf("v=spf1 a:x.org mx:y.org exists:z.org ip4:192.0.2.1 -all"),
    want: { result: "permerror", reason: "More than 2 terms for which the DNS has nothing, at z.org" },
  },
  {
    of: "void terms of an included record",
    zones: { ...spf("v=spf1 a:x.org include:b.org -all"), ...spf("v=spf1 a:y.org a:z.org +all", "b.org") },
    want: { result: "permerror" },
  },
  {
    of: "the names of the client that it does not have are one void term each",
    zones: spf("v=spf1 ptr ptr ip4:192.0.2.1 -all"),
    want: { result: "pass" },
  },
  {
    of: "no answer for the names of the client is no match",
    zones: { ...spf("v=spf1 ptr -all"), "1.2.0.192.in-addr.arpa": ["TIMEOUT"] },
    want: { result: "fail" },
  },
  {
    of: "no answer for an MX host",
    zones: { "example.org": [{ TXT: "v=spf1 mx -all" }, { MX: [1, "a.org"] }], "a.org": ["TIMEOUT"] },
    want: { result: "temperror", reason: "No answer from the DNS for a.org" },
  },
  {
    of: "an answer before the MX host without one",
    zones: {
      "example.org": [{ TXT: "v=spf1 mx -all" }, { MX: [1, "b.org"] }, { MX: [2, "a.org"] }],
      "b.org": addresses("192.0.2.1"),
      "a.org": ["TIMEOUT"],
    },
    want: { result: "pass" },
  },
  {
    of: "a redirect behind all is never followed, but read",
    zones: spf("v=spf1 ~all redirect=."),
    want: { result: "permerror" },
  },
  // Explanations.
  {
    of: "an explanation with c, r and t",
    zones: { ...spf("v=spf1 -all exp=e.org"), "e.org": [{ TXT: "%{c} at %{r} at %{t}: 100%%" }] },
    want: { result: "fail", explanation: "192.0.2.1 at mx.example.net at 1700000000: 100%" },
  },
  {
    of: "an explanation is cut",
    zones: { ...spf("v=spf1 -all exp=e.org"), "e.org": [{ TXT: "%{s} ".repeat(1000) }] },
    want: { explanation: "user@example.org ".repeat(24).slice(0, 400) },
  },
  {
    of: "no explanation with what a sender made unprintable",
    sender: "a\r\nb@example.org",
    zones: { ...spf("v=spf1 -all exp=e.org"), "e.org": [{ TXT: "%{l} is refused" }] },
    want: { result: "fail", explanation: null },
  },
  {
    of: "no explanation with line ends",
    zones: { ...spf("v=spf1 -all exp=e.org"), "e.org": [{ TXT: "a\r\nb" }] },
    want: { result: "fail", explanation: null },
  },
  {
    of: "an explanation belongs to fail alone",
    zones: { ...spf("v=spf1 ~all exp=e.org"), "e.org": [{ TXT: "refused" }] },
    want: { result: "softfail", explanation: null },
  },
];

for (const { of, client = "192.0.2.1", helo = "mx.example.org", sender = "user@example.org", zones, want } of ROWS) {
  Deno.test(`checkSpf(): ${of}`, async () => {
    const query = { client, helo, sender, receiver: "mx.example.net", now: 1_700_000_000_999 };
    const verdict = await checkSpf(query, new FixtureDns(zones));
    const got = Object.fromEntries(Object.keys(want).map((key) => [key, verdict[key as keyof SpfVerdict]]));
    assert.deepEqual(got, want);
  });
}

Deno.test("RFC 7208 §5.5: the names of a client are asked for once", async () => {
  const dns = new FixtureDns({
    ...spf("v=spf1 ptr ptr:b.org exists:%{p}.c.org -all"),
    "1.2.0.192.in-addr.arpa": [{ PTR: "n.a.org" }],
    "n.a.org": addresses("192.0.2.1"),
  });
  const query = { client: "192.0.2.1", helo: "", sender: "user@example.org", receiver: "", now: 0 };
  assert.equal((await checkSpf(query, dns)).result, "fail");
  assert.deepEqual(dns.questions.slice(1), ["PTR 1.2.0.192.in-addr.arpa", "A n.a.org", "A n.a.org.c.org"]);
});

Deno.test("RFC 7208 §4.6.4: the most that one check asks", async () => {
  const hosts = Array.from({ length: 10 }, (_, at) => ({ MX: [at, `h${at}.example.org`] as const }));
  const names = Array.from({ length: 12 }, (_, at) => ({ PTR: `n${at}.example.org` }));
  const dns = new FixtureDns({
    "example.org": [{ TXT: `v=spf1 ${"mx ".repeat(9)} ptr:x.org -all exp=e.org` }, ...hosts],
    "1.2.0.192.in-addr.arpa": names,
    ...Object.fromEntries([...hosts.keys()].map((at) => [`h${at}.example.org`, addresses("198.51.100.1")])),
    ...Object.fromEntries([...names.keys()].map((at) => [`n${at}.example.org`, addresses("198.51.100.1")])),
  });
  const query = { client: "192.0.2.1", helo: "", sender: "user@example.org", receiver: "", now: 0 };
  assert.equal((await checkSpf(query, dns)).result, "fail");
  assert.equal(dns.questions.length, 1 + 9 * 11 + 11 + 1);
});
