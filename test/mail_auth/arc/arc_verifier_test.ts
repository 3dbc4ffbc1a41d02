/** What the test suite of ARC leaves out: bounds, keys that cannot be had, other algorithms, who sealed, and that nothing can upset it. */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import fc from "fast-check";
import { type ArcVerdict, ArcVerifier, MAX_ARC_SETS } from "../../../src/mail_auth/arc/mod.ts";
import { FixtureDns, type FixtureZones } from "../fixture_dns.ts";
import suite from "./arc_validation_tests.json" with { type: "json" };
import { Sealer, zonesOf } from "./sealer.ts";

const NOW = Date.UTC(2026, 5, 1);
const encode = (text: string) => new TextEncoder().encode(text);

async function verify(
  { header, body }: { readonly header: string; readonly body: string },
  zones: FixtureZones,
): Promise<ArcVerdict & { readonly questions: readonly string[] }> {
  const dns = new FixtureDns(zones);
  const verifier = new ArcVerifier({ now: NOW, dns });
  verifier.header(encode(header));
  for (const octet of encode(body)) verifier.body(new Uint8Array([octet]));
  return { ...await verifier.finish(), questions: dns.questions };
}

const LONGEST = new Sealer();
for (let i = 1; i <= MAX_ARC_SETS; i++) LONGEST.seal(`s${i}.example`);
const ALL = Array.from({ length: MAX_ARC_SETS }, (_, i) => `s${i + 1}.example`);

const ROWS: readonly {
  readonly says: string;
  readonly message: { readonly header: string; readonly body: string };
  readonly zones: FixtureZones;
  readonly verdict: Partial<ArcVerdict>;
  readonly questions?: number;
}[] = [
  {
    says: "passes by Ed25519, and names the sealers, the oldest first",
    message: new Sealer().seal("list.example").seal("forward.example"),
    zones: zonesOf("list.example", "forward.example"),
    verdict: { result: "pass", instance: 2, sealers: ["list.example", "forward.example"], reason: null },
    questions: 2,
  },
  {
    says: "asks for a key once, however often it sealed",
    message: new Sealer().seal("a.example").seal("a.example").seal("a.example"),
    zones: zonesOf("a.example"),
    verdict: { result: "pass", instance: 3 },
    questions: 1,
  },
  {
    says: "passes with as many sets as may be",
    message: LONGEST,
    zones: zonesOf(...ALL),
    verdict: { result: "pass", instance: MAX_ARC_SETS, sealers: ALL },
    questions: MAX_ARC_SETS,
  },
  {
    says: "fails with one set more, and asks for no key",
    message: { header: LONGEST.header.replace("i=50;", "i=51;"), body: LONGEST.body },
    zones: zonesOf(...ALL),
    verdict: { result: "fail", reason: "a field arc-seal has no number of a set" },
    questions: 0,
  },
  {
    says: "fails with more fields than that many sets have, and asks for no key",
    message: { header: "ARC-Seal: i=1\n".repeat(151), body: "" },
    zones: {},
    verdict: { result: "fail", instance: 0, sealers: [], reason: "more than 50 sets" },
    questions: 0,
  },
  {
    says: "fails when a sealer's key cannot be had now",
    message: new Sealer().seal("a.example").seal("b.example"),
    zones: { ...zonesOf("b.example"), "s._domainkey.a.example": ["TIMEOUT"] },
    verdict: { result: "fail", instance: 2, reason: "seal 1: the key could not be asked for" },
  },
  {
    says: "fails when the key of the newest signature is not there",
    message: new Sealer().seal("a.example"),
    zones: {},
    verdict: { result: "fail", instance: 1, reason: "no key" },
  },
  {
    says: "fails by another key",
    message: new Sealer().seal("a.example", {}, generateKeyPairSync("ed25519").privateKey),
    zones: zonesOf("a.example"),
    verdict: { result: "fail", reason: "the header was changed, or the key is another" },
  },
  {
    says: "fails when the body has more",
    message: {
      ...new Sealer().seal("a.example"),
      header: new Sealer().seal("a.example").header,
      body: "Hello\nmore\n",
    },
    zones: zonesOf("a.example"),
    verdict: { result: "fail", reason: "the body was changed" },
  },
  {
    says: "fails when the newest signature is of a part of the body",
    message: { header: new Sealer().seal("a.example", { more: " l=7;" }).header, body: "Hello\nmore\n" },
    zones: zonesOf("a.example"),
    verdict: { result: "fail", reason: "the newest signature is not of the whole body" },
  },
  {
    says: "fails when the newest signature has expired",
    message: new Sealer().seal("a.example", { more: ` x=${NOW / 1000 - 3600};` }),
    zones: zonesOf("a.example"),
    verdict: { result: "fail", reason: "the newest signature has expired" },
  },
  {
    says: "fails when the newest seal says that the chain had failed",
    message: new Sealer().seal("a.example").seal("b.example", { cv: "fail" }),
    zones: zonesOf("a.example", "b.example"),
    verdict: { result: "fail", instance: 2, reason: "set 2 says that the chain had failed" },
    questions: 0,
  },
  {
    says: "fails when a seal says what it signs",
    message: new Sealer().seal("a.example", { ofSeal: " h=from;" }),
    zones: zonesOf("a.example"),
    verdict: { result: "fail", instance: 1, reason: "a seal has h=" },
    questions: 0,
  },
  {
    says: "is none without a chain",
    message: { header: "From: a@b\n", body: "x" },
    zones: {},
    verdict: { result: "none", instance: 0 },
  },
];
for (const { says, message, zones, verdict, questions } of ROWS) {
  Deno.test(`ARC ${says}`, async () => {
    const found = await verify({ header: message.header, body: message.body }, zones);
    for (const [name, value] of Object.entries(verdict)) assert.deepEqual(found[name as keyof ArcVerdict], value);
    if (questions !== undefined) assert.equal(found.questions.length, questions);
  });
}

Deno.test("ARC does not look at a header section above its bound", async () => {
  const verifier = new ArcVerifier({ now: NOW, dns: new FixtureDns({}) });
  verifier.header(encode(`X: ${"x".repeat(1 << 20)}\n`));
  assert.deepEqual(await verifier.finish(), {
    result: "fail",
    instance: 0,
    sealers: [],
    reason: "the header section is too large",
  });
});

Deno.test("ARC takes any octets, and a chain of which something was changed does not pass", async () => {
  const [chain] = suite.flatMap(({ tests, txt }) =>
    tests.filter(({ name }) => name === "cv_pass_i2_1").map((test) => ({ ...test, txt }))
  );
  const zones = Object.fromEntries(Object.entries(chain!.txt).map(([name, record]) => [name, [{ TXT: record }]]));
  const octets = encode(chain!.message), end = chain!.message.indexOf("\n\n") + 1;
  // From, To and the seals are signed: no other octet there means the same, but for blanks and the case of names.
  const sealed = chain!.message.indexOf("b=") + 3;
  await fc.assert(
    fc.asyncProperty(fc.nat(40), fc.constantFrom(..."0aZ+/"), async (place, letter) => {
      const changed = octets.slice();
      if (changed[sealed + place] === letter.charCodeAt(0) || changed[sealed + place]! <= 0x20) return;
      changed[sealed + place] = letter.charCodeAt(0);
      const verifier = new ArcVerifier({ now: NOW, dns: new FixtureDns(zones) });
      verifier.header(changed.subarray(0, end));
      verifier.body(changed.subarray(end + 1));
      assert.equal((await verifier.finish()).result, "fail");
    }),
    { numRuns: 50 },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 6 }), async (changes) => {
      const changed = octets.slice();
      for (const [at, octet] of changes) changed[at % changed.length] = octet;
      const verifier = new ArcVerifier({ now: NOW, dns: new FixtureDns(zones) });
      verifier.header(changed.subarray(0, end));
      verifier.body(changed.subarray(end));
      assert.match((await verifier.finish()).result, /^(?:none|pass|fail)$/);
    }),
    { numRuns: 200 },
  );
});
