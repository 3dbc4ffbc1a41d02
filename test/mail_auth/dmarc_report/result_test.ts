/** What a report counts of a message: its disposition, why that is not the policy, and results in the order in which they matter. */

import assert from "node:assert/strict";
import {
  destinationsOf,
  type DmarcResult,
  dmarcResult,
  type Fate,
  readDestination,
  type ReportedVerdict,
  verifyDestination,
} from "../../../src/mail_auth/dmarc_report/mod.ts";
import { FixtureDns } from "../fixture_dns.ts";

const RECORD = {
  domain: "example.org",
  p: "reject",
  sp: "none",
  np: null,
  adkim: "r",
  aspf: "s",
  fo: "1",
  testing: false,
  rua: ["mailto:rua@example.org"],
  // What a record has besides.
  psd: "u",
  ruf: [],
} as const;

const FAILED: ReportedVerdict = {
  spf: { result: "fail", identity: "mailfrom", domain: "bounce.example" },
  dkim: [],
  dmarc: {
    result: "fail",
    domain: "a.example.org",
    policy: "reject",
    record: RECORD,
    spfAligned: false,
    dkimAligned: null,
  },
  overridden: false,
};

const changed = (changes: Partial<ReportedVerdict["dmarc"]>, more: Partial<ReportedVerdict> = {}): ReportedVerdict => ({
  ...FAILED,
  ...more,
  dmarc: { ...FAILED.dmarc, ...changes },
});
const testing = { ...RECORD, testing: true };

const ROWS: readonly {
  readonly says: string;
  readonly verdict: ReportedVerdict;
  readonly fate?: Fate;
  readonly row: Partial<DmarcResult["row"]> | null;
}[] = [
  {
    says: "a failure that was refused, as the policy asks",
    verdict: FAILED,
    fate: "rejected",
    row: {
      source: "192.0.2.1",
      disposition: "reject",
      override: null,
      dkim: "fail",
      spf: "fail",
      headerFrom: "a.example.org",
      envelopeFrom: "bounce.example",
      spfAuth: { domain: "bounce.example", result: "fail" },
    },
  },
  { says: "a failure that was let in", verdict: FAILED, row: { disposition: "none", override: "local_policy" } },
  {
    says: "a failure that was put aside although it should be refused",
    verdict: FAILED,
    fate: "junked",
    row: { disposition: "quarantine", override: "local_policy" },
  },
  {
    says: "a failure that was put aside, as a policy of reject in test mode asks",
    verdict: changed({ policy: "quarantine", record: testing }),
    fate: "junked",
    row: { disposition: "quarantine", override: "policy_test_mode" },
  },
  {
    says: "a failure that trusted sealers vouch for",
    verdict: { ...FAILED, overridden: true },
    row: { disposition: "none", override: "trusted_forwarder" },
  },
  {
    says: "a failure for which the policy asks nothing",
    verdict: changed({ policy: "none" }),
    row: { disposition: "none", override: null },
  },
  {
    says: "a failure that was refused for other reasons",
    verdict: changed({ policy: "none" }),
    fate: "rejected",
    row: { disposition: "none", override: null },
  },
  {
    says: "a pass, whatever was done with it",
    verdict: changed({ result: "pass", policy: null, spfAligned: true }),
    fate: "rejected",
    row: { disposition: "pass", override: null, spf: "pass", dkim: "fail" },
  },
  {
    says: "the null sender, by HELO",
    verdict: changed({}, { spf: { result: "pass", identity: "helo", domain: "mx.example" } }),
    row: { envelopeFrom: "", spfAuth: { domain: "mx.example", result: "pass" } },
  },
  {
    says: "signatures that pass and are aligned first, those that fail last, no more than ten",
    verdict: changed({ result: "pass", dkimAligned: "example.org" }, {
      dkim: [
        ...Array.from({ length: 12 }, (_, n) => ({ result: "fail", domain: `f${n}.example`, selector: "s" })),
        { result: "pass", domain: "other.example", selector: "s" },
        { result: "pass", domain: "example.org", selector: "s" },
        { result: "permerror", domain: "", selector: "" },
      ],
    }),
    row: {
      dkim: "pass",
      dkimAuth: [
        { domain: "example.org", selector: "s", result: "pass" },
        { domain: "other.example", selector: "s", result: "pass" },
        ...Array.from({ length: 8 }, (_, n) => ({ domain: `f${n}.example`, selector: "s", result: "fail" })),
      ],
    },
  },
  { says: "nothing without a record", verdict: changed({ record: null }), row: null },
  { says: "nothing when nobody asks for reports", verdict: changed({ record: { ...RECORD, rua: [] } }), row: null },
  { says: "nothing when the DNS did not answer", verdict: changed({ result: "temperror" }), row: null },
];
for (const { says, verdict, fate = "accepted", row } of ROWS) {
  Deno.test(`dmarcResult() counts ${says}`, () => {
    const result = dmarcResult(verdict, { client: "192.0.2.1", fate });
    if (row === null) return assert.equal(result, null);
    for (const [name, value] of Object.entries(row)) {
      assert.deepEqual(result!.row[name as keyof typeof row], value, name);
    }
    const { rua: _, psd: _1, ruf: _2, ...policy } = verdict.dmarc.record as typeof RECORD;
    assert.deepEqual(result!.policy, policy);
  });
}

const URIS: readonly { readonly uri: string; readonly read: ReturnType<typeof readDestination> }[] = [
  { uri: "mailto:a@b.example", read: { local: "a", domain: "b.example", maxOctets: null } },
  { uri: " MAILTO:a%2Bb@B.Example!10m ", read: { local: "a+b", domain: "b.example", maxOctets: 10 * 1024 * 1024 } },
  { uri: "mailto:a@b.example!500", read: { local: "a", domain: "b.example", maxOctets: 500 } },
  { uri: "mailto:a@b.example!2G", read: { local: "a", domain: "b.example", maxOctets: 2 * 1024 ** 3 } },
  { uri: "mailto:a@bücher.example", read: { local: "a", domain: "xn--bcher-kva.example", maxOctets: null } },
  { uri: "mailto:a@b.example?subject=x", read: null },
  { uri: "mailto:a@b.example!10x", read: null },
  { uri: "mailto:a@b.example,c@d.example", read: null },
  { uri: "mailto:a%0d%0aRCPT%20TO:@b.example", read: null },
  { uri: "mailto:%ff@b.example", read: null },
  { uri: "mailto:@b.example", read: null },
  { uri: "mailto:a@b@c.example", read: null },
  { uri: "mailto:a@[192.0.2.1]", read: null },
  { uri: "mailto:.a@b.example", read: null },
  { uri: "https://b.example/", read: null },
  { uri: "", read: null },
];
for (const { uri, read } of URIS) {
  Deno.test(`readDestination(${JSON.stringify(uri)})`, () => assert.deepEqual(readDestination(uri), read));
}

Deno.test("destinationsOf() takes the first five addresses of a record", async () => {
  const rua = [..."abcdefg"].map((local) => `mailto:${local}@example.org`).join();
  const dns = new FixtureDns({ "_dmarc.example.org": [{ TXT: `v=DMARC1; p=none; rua=${rua}` }] });
  const found = await destinationsOf("example.org", dns);
  assert.deepEqual(found?.map(({ local }) => local), [..."abcde"]);
});

Deno.test("verifyDestination() asks for no name that is too long", async () => {
  const dns = new FixtureDns({});
  const destination = { local: "a", domain: `${"b.".repeat(60)}example`, maxOctets: null };
  assert.deepEqual(await verifyDestination(destination, `${"a.".repeat(60)}example`, dns), { kind: "refused" });
  assert.ok(dns.questions.every((question) => !question.includes("_report")), dns.questions.join());
});
