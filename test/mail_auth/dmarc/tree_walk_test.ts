import assert from "node:assert/strict";
import { TreeWalks, walkTargets } from "../../../src/mail_auth/dmarc/tree_walk.ts";
import { FixtureDns, type FixtureZones } from "../fixture_dns.ts";

/** A zone per domain with its DMARC record, or `TIMEOUT`. */
function zones(records: Readonly<Record<string, string>>): FixtureZones {
  return Object.fromEntries(
    Object.entries(records).map(([domain, text]) => [
      `_dmarc.${domain}`,
      [text === "TIMEOUT" ? text : { TXT: text }],
    ]),
  );
}

Deno.test("RFC 9989 §4.10: eight questions at most, those between left out", () => {
  const deep = "a.b.c.d.e.f.g.h.i.j.mail.example.com";
  assert.deepEqual(walkTargets(deep), [
    deep,
    "g.h.i.j.mail.example.com",
    "h.i.j.mail.example.com",
    "i.j.mail.example.com",
    "j.mail.example.com",
    "mail.example.com",
    "example.com",
    "com",
  ]);
  assert.deepEqual(walkTargets("a.mail.example.com"), ["a.mail.example.com", "mail.example.com", "example.com", "com"]);
  assert.deepEqual(walkTargets("com"), ["com"]);
  const eight = "a.b.c.d.e.f.example.com";
  assert.deepEqual([walkTargets(eight).length, walkTargets(eight)[1]], [8, "b.c.d.e.f.example.com"]);
  assert.equal(walkTargets(`x.${eight}`)[1], "b.c.d.e.f.example.com");
  assert.equal(walkTargets(Array(120).fill("a").join(".")).length, 8);
});

const P = "v=DMARC1; p=reject";

Deno.test("RFC 1035 §2.3.4: a walk asks for no name that is too long", async () => {
  const dns = new FixtureDns(zones({ "example.com": P }));
  const search = await new TreeWalks(dns).organization(`${"a.".repeat(120)}example.com`);
  assert.deepEqual(search, { kind: "known", domain: "example.com" });
  assert.equal(dns.questions.length, 7);
});

/** Domains, what they publish, and of which organisation they are; `?` for no answer. */
const ORGANIZATIONS: ReadonlyArray<readonly [domain: string, records: Record<string, string>, organization: string]> = [
  // RFC 9989 §4.10.2.
  ["a.mail.example.com", { "mail.example.com": P, "example.com": P }, "example.com"],
  ["a.mail.example.com", { "mail.example.com": `${P}; psd=n`, "example.com": P }, "mail.example.com"],
  ["a.mail.example.com", { com: `${P}; psd=y` }, "example.com"],
  ["a.mail.example.com", { "example.com": `${P}; psd=y` }, "mail.example.com"],
  // RFC 9989 §B.4.1, §B.4.2, §B.4.3.
  ["example.com", { "example.com": P, "signing.example.com": P }, "example.com"],
  ["signing.example.com", { "example.com": P, "signing.example.com": P }, "example.com"],
  ["a.b.c.d.e.f.g.h.i.j.k.example.com", { "example.com": P, "signing.example.com": P }, "example.com"],
  ["giant.bank.example", { "bank.example": `${P}; psd=y`, "giant.bank.example": P }, "giant.bank.example"],
  ["mail.giant.bank.example", { "bank.example": `${P}; psd=y`, "giant.bank.example": P }, "giant.bank.example"],
  ["mail.mega.bank.example", { "bank.example": `${P}; psd=y`, "giant.bank.example": P }, "mega.bank.example"],
  // Nothing published, and the walk's start.
  ["a.mail.example.com", {}, "a.mail.example.com"],
  ["bank.example", { "bank.example": `${P}; psd=y`, example: P }, "bank.example"],
  ["com", { com: P }, "com"],
  // A walk ends at psd=y or psd=n.
  ["a.b.example.com", { "a.b.example.com": `${P}; psd=n`, "example.com": P }, "a.b.example.com"],
  ["a.b.example.com", { "b.example.com": P, "example.com": `${P}; psd=y`, com: `${P}; psd=n` }, "b.example.com"],
  // A record that is not valid as a policy is one on the way all the same; two at one name are none.
  ["a.mail.example.com", { "example.com": "v=DMARC1; p=block" }, "example.com"],
  // One label below a public suffix that the walk reached across the gap.
  [
    "a.b.c.d.e.f.g.h.i.j.k.example.com",
    { "g.h.i.j.k.example.com": `${P}; psd=y` },
    "f.g.h.i.j.k.example.com",
  ],
  ["a.mail.example.com", { "example.com": P, com: "TIMEOUT" }, "?com"],
  ["a.mail.example.com", { "a.mail.example.com": "TIMEOUT", "example.com": P }, "?a.mail.example.com"],
  ["a.mail.example.com", { "mail.example.com": `${P}; psd=n`, com: "TIMEOUT" }, "mail.example.com"],
];

Deno.test("RFC 9989 §4.10.2: the organisational domain", async () => {
  for (const [domain, records, organization] of ORGANIZATIONS) {
    const dns = new FixtureDns(zones(records));
    const search = await new TreeWalks(dns).organization(domain);
    assert.equal(search.kind === "known" ? search.domain : `?${search.name}`, organization, domain);
    assert.ok(dns.questions.length <= 8, dns.questions.join());
  }
});

Deno.test("RFC 9989 §4.10: several records at a name are none", async () => {
  const dns = new FixtureDns({
    "_dmarc.mail.example.com": [{ TXT: P }, { TXT: P }],
    "_dmarc.example.com": [{ TXT: P }],
  });
  const search = await new TreeWalks(dns).policy("mail.example.com");
  assert.equal(search.kind === "found" && search.parsed.record.domain, "example.com");
});

/** Author domains, what is published, and where the record is that applies. */
const POLICIES: ReadonlyArray<readonly [author: string, records: Record<string, string>, domain: string | null]> = [
  ["example.com", { "example.com": P, "signing.example.com": P }, "example.com"],
  ["a.b.c.d.e.f.g.h.i.j.k.example.com", { "example.com": P, "signing.example.com": P }, "example.com"],
  ["giant.bank.example", { "bank.example": `${P}; psd=y`, "giant.bank.example": P }, "giant.bank.example"],
  ["mega.bank.example", { "bank.example": `${P}; psd=y` }, "bank.example"],
  ["mail.giant.bank.example", { "bank.example": `${P}; psd=y`, "giant.bank.example": P }, "giant.bank.example"],
  // Not the next one above, but that of the organisation.
  ["a.mail.example.com", { "mail.example.com": P, "example.com": P }, "example.com"],
  ["mail.example.com", { "mail.example.com": P, "example.com": P }, "mail.example.com"],
  ["example.com", {}, null],
  ["example.com", { com: "v=spf1 -all" }, null],
  ["mail.example.com", { "example.com": "TIMEOUT" }, "?example.com"],
  ["example.com", { "example.com": P, com: "TIMEOUT" }, "example.com"],
];

Deno.test("RFC 9989 §4.10.1: which record applies", async () => {
  for (const [author, records, domain] of POLICIES) {
    const dns = new FixtureDns(zones(records));
    const search = await new TreeWalks(dns).policy(author);
    const found = search.kind === "found"
      ? search.parsed.record.domain
      : search.kind === "none"
      ? null
      : `?${search.name}`;
    assert.equal(found, domain, author);
    assert.ok(dns.questions.length <= 8, dns.questions.join());
  }
});
