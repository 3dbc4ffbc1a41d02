import assert from "node:assert/strict";
import { parseDmarcRecord } from "../../../src/mail_auth/dmarc/record.ts";

const plain = {
  domain: "example.org",
  p: "none",
  sp: null,
  np: null,
  adkim: "r",
  aspf: "r",
  psd: "u",
  testing: false,
  rua: [],
  ruf: [],
  fo: null,
};

const RECORDS: ReadonlyArray<readonly [text: string, record: object | null, problem?: RegExp]> = [
  ["v=DMARC1; p=none", {}],
  ["v=DMARC1;p=reject;", { p: "reject" }],
  ["v = DMARC1 ; P = Reject ; SP=quarantine; np=NONE", { p: "reject", sp: "quarantine", np: "none" }],
  ["v=DMARC1; p=quarantine; adkim=s; aspf=s; psd=n; t=y", {
    p: "quarantine",
    adkim: "s",
    aspf: "s",
    psd: "n",
    testing: true,
  }],
  ["v=DMARC1; adkim=s; p=reject", { p: "reject", adkim: "s" }],
  // Tags of RFC 7489 that RFC 9989 dropped, and tags that nobody knows.
  ["v=DMARC1; p=reject; pct=1; rf=afrf; ri=3600; x=y", { p: "reject" }],
  ["v=DMARC1; p=reject; pct=0", { p: "reject" }],
  // Syntax errors: the default counts.
  ["v=DMARC1; p=reject; adkim=x; aspf=relaxed; psd=maybe; t=1; fo=2", { p: "reject" }],
  ["v=DMARC1; p=reject; ; =; sp; 1=2; adkim==s", { p: "reject" }],
  ["v=DMARC1; p=reject; p=none", { p: "reject" }],
  ["v=DMARC1; p=reject; sp=\u0080none", { p: "reject" }],
  // Reports.
  [
    "v=DMARC1; p=none; rua=mailto:a@example.org, mailto:b@example.net!10m,https://example.org/r;ruf=mailto:c@example.org; fo=1:d:s",
    {
      rua: ["mailto:a@example.org", "mailto:b@example.net!10m", "https://example.org/r"],
      ruf: ["mailto:c@example.org"],
      fo: "1:d:s",
    },
  ],
  ["v=DMARC1; p=none; rua=postmaster@example.org,mailto:nobody,mailto:a b@example.org,mailto:ok@example.org", {
    rua: ["mailto:ok@example.org"],
  }],
  [`v=DMARC1; p=none; rua=${"mailto:a@example.org,".repeat(30)}`, { rua: Array(20).fill("mailto:a@example.org") }],
  ["v=DMARC1; p=none; fo=0:1", {}],
  ["v=DMARC1; p=none; fo=d:d", {}],
  // RFC 9989 §4.10.1: no valid p, or an invalid sp or np: reports at most.
  ["v=DMARC1; p=block; sp=reject; rua=mailto:a@example.org", { rua: ["mailto:a@example.org"] }],
  ["v=DMARC1; p=reject; sp=block; rua=mailto:a@example.org", { rua: ["mailto:a@example.org"] }],
  ["v=DMARC1; p=reject; np=; rua=mailto:a@example.org", { p: "reject", rua: ["mailto:a@example.org"] }],
  ["v=DMARC1; rua=mailto:a@example.org", { rua: ["mailto:a@example.org"] }],
  ["v=DMARC1", {}, /^DMARC record of example\.org: no p$/],
  ["v=DMARC1; p=block", {}, /p is not none, quarantine or reject/],
  ["v=DMARC1; p=reject; np=block; rua=nobody", {}, /np is not none/],
  // No DMARC records.
  ["", null],
  ["v=DMARC2; p=none", null],
  ["v=dmarc1; p=none", null],
  ["p=none; v=DMARC1", null],
  [" v=DMARC1; p=none", null],
  ["v=DMARC1 p=none", null],
  ["v=DMARC10; p=none", null],
  ["v=spf1 -all", null],
];

Deno.test("RFC 9989 §4.7, §4.8: records, with what RFC 7489 still has in them", () => {
  for (const [text, record, problem] of RECORDS) {
    const parsed = parseDmarcRecord(text, "example.org");
    if (record === null) assert.equal(parsed, null, text);
    else {
      assert.deepEqual(parsed?.record, { ...plain, ...record }, text);
      assert.match(parsed?.problem ?? "", problem ?? /^$/, text);
    }
  }
});
