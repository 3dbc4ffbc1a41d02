import assert from "node:assert/strict";
import { checkDmarc, type CheckedIdentity, type DmarcVerdict } from "../../../src/mail_auth/dmarc/mod.ts";
import { FixtureDns, type FixtureZones } from "../fixture_dns.ts";

const REJECT = "v=DMARC1; p=reject";

interface Row {
  readonly of: string;
  readonly from?: string;
  /** `pass example.org`, or another result. */
  readonly spf?: string;
  readonly dkim?: readonly string[];
  readonly zones: FixtureZones;
  readonly want: Partial<DmarcVerdict>;
}

const dmarc = (record: string, domain = "example.org"): FixtureZones => ({ [`_dmarc.${domain}`]: [{ TXT: record }] });

const ROWS: readonly Row[] = [
  { of: "no record", zones: {}, spf: "pass example.org", want: { result: "none", policy: null, record: null } },
  {
    of: "no record, although something above is published below a public suffix",
    from: "example.com",
    zones: dmarc("v=DMARC1; p=none; psd=n", "other.com"),
    want: { result: "none" },
  },
  // RFC 9989 §B.1.1 and §B.1.2.
  {
    of: "SPF, the same domain",
    zones: dmarc(REJECT),
    spf: "pass example.org",
    want: { result: "pass", spfAligned: true, dkimAligned: null, organizational: "example.org", policy: "reject" },
  },
  {
    of: "SPF, a child",
    zones: dmarc(REJECT),
    spf: "pass child.example.org",
    want: { result: "pass", spfAligned: true, organizational: "example.org" },
  },
  {
    of: "SPF, another domain",
    from: "child.example.org",
    zones: dmarc(REJECT),
    spf: "pass example.net",
    want: { result: "fail", spfAligned: false, policy: "reject" },
  },
  {
    of: "DKIM, the same domain",
    zones: dmarc(REJECT),
    dkim: ["pass example.org"],
    want: { result: "pass", spfAligned: false, dkimAligned: "example.org" },
  },
  {
    of: "DKIM, the parent",
    from: "child.example.org",
    zones: dmarc(REJECT),
    dkim: ["pass example.org"],
    want: { result: "pass", dkimAligned: "example.org", organizational: "example.org" },
  },
  {
    of: "DKIM, another domain",
    from: "child.example.org",
    zones: dmarc(REJECT),
    dkim: ["pass example.net"],
    want: { result: "fail", dkimAligned: null },
  },
  // RFC 9989 §B.4.
  {
    of: "simple: both aligned",
    from: "example.com",
    zones: { ...dmarc(REJECT, "example.com"), ...dmarc(REJECT, "signing.example.com") },
    spf: "pass example.com",
    dkim: ["pass signing.example.com"],
    want: { result: "pass", spfAligned: true, dkimAligned: "signing.example.com", organizational: "example.com" },
  },
  {
    of: "deep",
    from: "a.b.c.d.e.f.g.h.i.j.k.example.com",
    zones: { ...dmarc(REJECT, "example.com"), ...dmarc(REJECT, "signing.example.com") },
    spf: "pass example.com",
    dkim: ["pass signing.example.com"],
    want: { result: "pass", spfAligned: true, dkimAligned: "signing.example.com", organizational: "example.com" },
  },
  {
    of: "public suffix: SPF of the organisation, DKIM of another",
    from: "giant.bank.example",
    zones: { ...dmarc(`${REJECT}; psd=y`, "bank.example"), ...dmarc(REJECT, "giant.bank.example") },
    spf: "pass mail.giant.bank.example",
    dkim: ["pass mail.mega.bank.example"],
    want: { result: "pass", spfAligned: true, dkimAligned: null, organizational: "giant.bank.example" },
  },
  // Strict.
  {
    of: "aspf=s: a child does not do",
    zones: dmarc(`${REJECT}; aspf=s`),
    spf: "pass child.example.org",
    want: { result: "fail", spfAligned: false },
  },
  {
    of: "aspf=s: a parent does not do",
    from: "child.example.org",
    zones: dmarc(`${REJECT}; aspf=s`),
    spf: "pass example.org",
    want: { result: "fail" },
  },
  { of: "aspf=s: the same", zones: dmarc(`${REJECT}; aspf=s`), spf: "pass EXAMPLE.org", want: { result: "pass" } },
  {
    of: "adkim=s: a child does not do, while aspf is relaxed",
    zones: dmarc(`${REJECT}; adkim=s`),
    spf: "pass child.example.org",
    dkim: ["pass child.example.org"],
    want: { result: "pass", spfAligned: true, dkimAligned: null },
  },
  {
    of: "adkim=s: alone",
    zones: dmarc(`${REJECT}; adkim=s`),
    dkim: ["pass child.example.org"],
    want: { result: "fail", dkimAligned: null },
  },
  {
    of: "adkim=s: of several signatures the one of the same domain",
    zones: dmarc(`${REJECT}; adkim=s`),
    dkim: ["pass a.example.org", "fail example.org", "pass example.org", "pass b.example.org"],
    want: { result: "pass", dkimAligned: "example.org" },
  },
  // Results of SPF and DKIM that are no pass.
  ...["fail", "softfail", "neutral", "none", "permerror"].map((result): Row => ({
    of: `SPF ${result} of the same domain`,
    zones: dmarc(REJECT),
    spf: `${result} example.org`,
    want: { result: "fail", spfAligned: false, policy: "reject" },
  })),
  ...["fail", "policy", "neutral", "permerror"].map((result): Row => ({
    of: `DKIM ${result} of the same domain`,
    zones: dmarc(REJECT),
    dkim: [`${result} example.org`],
    want: { result: "fail", dkimAligned: null },
  })),
  {
    of: "a name that only ends alike",
    zones: dmarc(REJECT),
    spf: "pass notexample.org",
    dkim: ["pass fakeexample.org", "pass org", "pass "],
    want: { result: "fail" },
  },
  {
    of: "RFC 9989 §11.8: an organisation of its own below another",
    from: "evil.example.org",
    zones: { ...dmarc(`${REJECT}; psd=n`, "mail.example.org"), ...dmarc(REJECT) },
    spf: "pass mail.example.org",
    want: { result: "fail", spfAligned: false },
  },
  // Which policy.
  {
    of: "sp for a subdomain that exists",
    from: "mail.example.org",
    zones: { ...dmarc("v=DMARC1; p=reject; sp=quarantine; np=none"), "mail.example.org": [{ A: "192.0.2.1" }] },
    want: { result: "fail", policy: "quarantine" },
  },
  {
    of: "sp for a subdomain that exists without an address",
    from: "mail.example.org",
    zones: {
      ...dmarc("v=DMARC1; p=none; sp=quarantine; np=reject"),
      "mail.example.org": [{ MX: [10, "mx.example.org"] }],
    },
    want: { result: "fail", policy: "quarantine" },
  },
  {
    of: "np for one that does not exist",
    from: "mail.example.org",
    zones: dmarc("v=DMARC1; p=none; sp=quarantine; np=reject"),
    want: { result: "fail", policy: "reject" },
  },
  {
    of: "np without sp",
    from: "mail.example.org",
    zones: dmarc("v=DMARC1; p=none; np=reject"),
    want: { result: "fail", policy: "reject" },
  },
  {
    of: "sp where there is no np",
    from: "mail.example.org",
    zones: dmarc("v=DMARC1; p=none; sp=reject"),
    want: { result: "fail", policy: "reject" },
  },
  {
    of: "p where there is neither",
    from: "mail.example.org",
    zones: dmarc("v=DMARC1; p=quarantine"),
    want: { result: "fail", policy: "quarantine" },
  },
  {
    of: "p of the domain itself, sp and np aside",
    zones: dmarc("v=DMARC1; p=none; sp=reject; np=reject"),
    want: { result: "fail", policy: "none" },
  },
  {
    of: "the record of the subdomain itself: its p",
    from: "mail.example.org",
    zones: { ...dmarc("v=DMARC1; p=reject; sp=reject"), ...dmarc("v=DMARC1; p=none; sp=reject", "mail.example.org") },
    want: { result: "fail", policy: "none" },
  },
  { of: "t=y: reject counts as quarantine", zones: dmarc(`${REJECT}; t=y`), want: { policy: "quarantine" } },
  { of: "t=y: quarantine counts as none", zones: dmarc("v=DMARC1; p=quarantine; t=y"), want: { policy: "none" } },
  { of: "t=y: none stays", zones: dmarc("v=DMARC1; p=none; t=y"), want: { result: "fail", policy: "none" } },
  { of: "pct does nothing", zones: dmarc(`${REJECT}; pct=0`), want: { result: "fail", policy: "reject" } },
  {
    of: "the public suffix, where the organisation has none",
    from: "mega.bank.example",
    zones: {
      ...dmarc("v=DMARC1; p=none; np=reject; psd=y", "bank.example"),
      "mega.bank.example": [{ A: "192.0.2.1" }],
    },
    want: { result: "fail", policy: "none" },
  },
  {
    of: "a record without a policy that asks for reports",
    zones: dmarc("v=DMARC1; p=block; rua=mailto:a@example.org"),
    want: { result: "fail", policy: "none" },
  },
  {
    of: "a record without a policy",
    zones: dmarc("v=DMARC1; p=block"),
    spf: "pass example.org",
    want: { result: "permerror", policy: null, record: null },
  },
  // No answer from the DNS.
  {
    of: "no answer for the record",
    zones: { "_dmarc.example.org": ["TIMEOUT"] },
    want: { result: "temperror", policy: null },
  },
  {
    of: "no answer on the way up, for a policy",
    from: "mail.example.org",
    zones: { "_dmarc.example.org": ["TIMEOUT"] },
    spf: "pass mail.example.org",
    want: { result: "temperror", policy: null },
  },
  {
    of: "no answer on the way up, which does not matter",
    zones: { ...dmarc(REJECT), "_dmarc.org": ["TIMEOUT"] },
    spf: "pass example.org",
    want: { result: "pass" },
  },
  {
    of: "no answer on the way up, for an alignment",
    zones: { ...dmarc(REJECT), "_dmarc.org": ["TIMEOUT"] },
    spf: "pass child.example.org",
    want: { result: "temperror", policy: "reject", organizational: null },
  },
  {
    of: "no answer on the way up, for what is elsewhere in any case",
    zones: { ...dmarc(REJECT), "_dmarc.org": ["TIMEOUT"] },
    spf: "pass example.net",
    want: { result: "fail" },
  },
  {
    of: "no answer on the way up, while another identifier is aligned",
    zones: { ...dmarc(REJECT), "_dmarc.org": ["TIMEOUT"] },
    spf: "pass child.example.org",
    dkim: ["pass example.org"],
    want: { result: "pass", spfAligned: false, dkimAligned: "example.org" },
  },
  {
    of: "no answer on the way up, strict",
    zones: { ...dmarc(`${REJECT}; aspf=s`), "_dmarc.org": ["TIMEOUT"] },
    spf: "pass child.example.org",
    want: { result: "fail" },
  },
  {
    of: "SPF had no answer, for a domain that would be aligned",
    zones: dmarc(REJECT),
    spf: "temperror child.example.org",
    want: { result: "temperror", policy: "reject", spfAligned: false },
  },
  {
    of: "DKIM had no answer, for a domain that would be aligned",
    zones: dmarc(REJECT),
    dkim: ["fail example.org", "temperror example.org"],
    want: { result: "temperror", dkimAligned: null },
  },
  {
    of: "SPF and DKIM had no answer for others",
    zones: dmarc(REJECT),
    spf: "temperror example.net",
    dkim: ["temperror example.com"],
    want: { result: "fail" },
  },
  {
    of: "no answer whether the domain exists",
    from: "mail.example.org",
    zones: { ...dmarc("v=DMARC1; p=none; np=reject"), "mail.example.org": ["TIMEOUT"] },
    want: { result: "temperror", policy: null },
  },
];

const identity = (text: string): CheckedIdentity => ({
  result: text.slice(0, text.indexOf(" ")),
  domain: text.slice(text.indexOf(" ") + 1),
});

for (const { of, from = "example.org", spf = "none example.org", dkim = [], zones, want } of ROWS) {
  Deno.test(`checkDmarc(): ${of}`, async () => {
    const dns = new FixtureDns(zones);
    const message = { from: { kind: "one", domain: from }, spf: identity(spf), dkim: dkim.map(identity) } as const;
    const verdict = await checkDmarc(message, dns);
    const got = Object.fromEntries(Object.keys(want).map((key) => [key, verdict[key as keyof DmarcVerdict]]));
    assert.deepEqual(got, want);
    assert.equal(verdict.domain, from);
    if (verdict.result.endsWith("error") || verdict.result === "fail") assert.ok(verdict.reason);
    assert.equal(new Set(dns.questions).size, dns.questions.length, "nothing is asked twice");
  });
}

Deno.test("RFC 9989 §5.3.1: without exactly one author domain nothing passes", async () => {
  for (const kind of ["several", "none", "invalid"] as const) {
    const dns = new FixtureDns(dmarc(REJECT));
    const { result, policy, reason } = await checkDmarc({
      from: { kind },
      spf: identity("pass example.org"),
      dkim: [identity("pass example.org")],
    }, dns);
    assert.deepEqual([result, policy, dns.questions], ["permerror", null, []]);
    assert.match(reason!, /^(From has|No From)/);
  }
});

Deno.test("checkDmarc() asks little: one question where all is of one domain, 8 per domain at most", async () => {
  const simple = new FixtureDns(dmarc(REJECT));
  await checkDmarc(
    { from: { kind: "one", domain: "example.org" }, spf: identity("pass example.org"), dkim: [] },
    simple,
  );
  assert.deepEqual(simple.questions, ["TXT _dmarc.example.org"]);
  const elsewhere = new FixtureDns(dmarc(REJECT));
  await checkDmarc({
    from: { kind: "one", domain: "example.org" },
    spf: identity("pass mail.other.org"),
    dkim: [identity("pass a.b.other.org")],
  }, elsewhere);
  assert.deepEqual(elsewhere.questions, ["TXT _dmarc.example.org", "TXT _dmarc.org"]);
  const deep = "a.b.c.d.e.f.g.h.i.j.k.example.org";
  const dns = new FixtureDns(dmarc(REJECT));
  const dkim = Array.from({ length: 10 }, (_, at) => identity(`pass s${at}.x.y.z.w.v.u.t.example.org`));
  await checkDmarc({ from: { kind: "one", domain: deep }, spf: identity(`pass z.${deep}`), dkim }, dns);
  assert.ok(dns.questions.length <= 8 * 3 + 10, `${dns.questions.length}`);
});
