/** SPF and DMARC take any octets from anybody: never a throw, and no more questions than the RFCs allow. DKIM and ARC have tests of their own. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Dns, DnsAnswer } from "../../src/mail_auth/dns.ts";
import { checkDmarc } from "../../src/mail_auth/dmarc/mod.ts";
import { checkSpf } from "../../src/mail_auth/spf/mod.ts";

const seed = 20_261_130;

/** A DNS that answers every question with one of `texts`, taken in turn; `#` for a failure, "" for nothing. */
class AnyDns implements Dns {
  questions = 0;
  readonly #texts: readonly string[];

  constructor(texts: readonly string[]) {
    this.#texts = texts;
  }

  #next<T>(read: (text: string) => T): Promise<DnsAnswer<T>> {
    const at = this.questions++ % this.#texts.length, text = this.#texts[at]!;
    if (text === "#") return Promise.resolve({ kind: "temporary" });
    if (text === "") return Promise.resolve({ kind: "none", exists: at % 2 === 0 });
    const more = this.#texts.slice(0, this.questions % 12).map(read);
    return Promise.resolve({ kind: "records", records: [read(text), ...more] });
  }

  txt = () => this.#next((text) => text);
  addresses = () => this.#next((text) => text);
  mx = () => this.#next((text) => ({ preference: text.length, host: text }));
  names = () => this.#next((text) => text);
}

/** As AnyDns, but a TXT question brings one record. */
class OneRecordDns extends AnyDns {
  override txt = async () => {
    const answer = await this.addresses();
    return answer.kind === "records" ? { kind: answer.kind, records: answer.records.slice(0, 1) } as const : answer;
  };
}

const octets = fc.uint8Array({ maxLength: 60 }).map((some) => String.fromCharCode(...some));
const of = (...words: readonly string[]) => fc.constantFrom(...words);

const macro = fc.tuple(
  of(..."slodiphvcrtSLODxZ"),
  of("", "0", "1", "2", "9", "999999999999"),
  of("", "r"),
  of("", "-", ".+", "/="),
)
  .map((parts) => `%{${parts.join("")}}`);
const spec = fc.array(
  fc.oneof(macro, of("%%", "%_", "%-", "%", ".", "..", "a", "example", ".org", "x".repeat(64)), octets),
  {
    maxLength: 6,
  },
).map((parts) => parts.join(""));
const term = fc.tuple(
  of("", "", "+", "-", "~", "?", "%"),
  of(
    "all",
    "include:",
    "a",
    "a:",
    "mx",
    "mx:",
    "ptr",
    "ptr:",
    "exists:",
    "ip4:",
    "ip6:",
    "redirect=",
    "exp=",
    "x=",
    "",
  ),
  fc.oneof(spec, of("", "192.0.2.1", "2001:db8::1", "%{d}", "example.org")),
  of("", "", "/24", "//64", "/0//0", "/33", "//129", "/00"),
).map((parts) => parts.join(""));
const spfRecord = fc.array(term, { maxLength: 14 }).map((terms) => `v=spf1 ${terms.join(" ")}`);

const tag = fc.tuple(
  of("p", "sp", "np", "t", "psd", "adkim", "aspf", "rua", "ruf", "fo", "pct", "v", ""),
  of("=", " = ", "==", ""),
  fc.oneof(of("none", "quarantine", "reject", "y", "n", "u", "s", "r", "0:d", "mailto:a@b.org!1m,", "DMARC1"), octets),
).map((parts) => parts.join(""));
const dmarcRecord = fc.array(tag, { maxLength: 8 }).map((tags) => `v=DMARC1;${tags.join(";")}`);

const answers = (record: fc.Arbitrary<string>) =>
  fc.array(fc.oneof(record, record, octets, of("", "#", "192.0.2.1", "2001:db8::1", "example.org", "mx.example.org")), {
    minLength: 1,
    maxLength: 8,
  });
const domain = fc.oneof(
  of("example.org", "a.b.c.d.e.f.g.h.i.example.org", "bücher.example", "x".repeat(64) + ".org", "a..b", ""),
  octets,
);
const SPF_RESULTS = ["none", "neutral", "pass", "fail", "softfail", "temperror", "permerror"];
const DMARC_RESULTS = ["none", "pass", "fail", "temperror", "permerror"];

Deno.test("checkSpf() is total: any record, name and address, at most 123 questions", async () => {
  const client = fc.oneof(of("192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "local"), octets);
  const sender = fc.oneof(fc.tuple(octets, domain).map(([local, name]) => `${local}@${name}`), octets, of(""));
  const property = fc.asyncProperty(
    answers(spfRecord),
    client,
    sender,
    domain,
    of("a", "b"),
    async (texts, address, from, helo, kind) => {
      const dns = kind === "a" ? new AnyDns(texts) : new OneRecordDns(texts);
      const verdict = await checkSpf({ client: address, helo, sender: from, receiver: helo, now: 0 }, dns);
      assert.ok(SPF_RESULTS.includes(verdict.result));
      assert.match(`${verdict.explanation ?? ""}${verdict.reason ?? ""}${verdict.mechanism ?? ""}`, /^[\x20-\x7e]*$/);
      assert.ok((verdict.explanation?.length ?? 0) <= 400 && (verdict.reason?.length ?? 0) <= 1200);
      assert.ok(dns.questions <= 123, `${dns.questions} questions`);
    },
  );
  await fc.assert(property, { seed, numRuns: 3000 });
});

Deno.test("checkDmarc() is total: any record and identifiers, at most 8 questions for each domain", async () => {
  const identity = fc.record({ result: of("pass", "pass", "fail", "temperror"), domain });
  const property = fc.asyncProperty(
    answers(dmarcRecord),
    domain,
    identity,
    fc.array(identity, { maxLength: 10 }),
    async (texts, author, spf, dkim) => {
      const dns = new OneRecordDns(texts);
      const verdict = await checkDmarc({ from: { kind: "one", domain: author }, spf, dkim }, dns);
      assert.ok(DMARC_RESULTS.includes(verdict.result));
      if (verdict.result === "pass") assert.ok(verdict.spfAligned || verdict.dkimAligned !== null);
      assert.ok(dns.questions <= 8 * (2 + dkim.length) + 1, `${dns.questions} questions`);
    },
  );
  await fc.assert(property, { seed, numRuns: 3000 });
});

Deno.test("checkSpf() and checkDmarc() do not spend long on records that are made for it", async () => {
  const records = [
    `v=spf1 include:${"%{s1r-}".repeat(1000)}.example.org`,
    `v=spf1 ${"a:%{l1-}%{lr}.example.org/24//64 ".repeat(240)}`,
    `v=spf1 exists:${"%%".repeat(4000)}.org redirect=%{d}`,
    `v=spf1 x=${"a".repeat(8000)}\u0080`,
    `v=spf1 a:${"a-".repeat(3800)}.${"1".repeat(300)}-`,
    `v=DMARC1; p=none; rua=${"mailto:a@b.org!,".repeat(4000)}`,
    `v=DMARC1; p=none; sp=${" ".repeat(60_000)}\u0080`,
    `v=DMARC1;${" p = none ;".repeat(6000)}`,
    `v${" ".repeat(60_000)}=DMARC2`,
  ];
  const began = performance.now();
  for (const record of records) {
    const sender = `${"-".repeat(60)}@${"a.".repeat(120)}org`;
    await checkSpf({ client: "192.0.2.1", helo: "", sender, receiver: "", now: 0 }, new OneRecordDns([record]));
    const from = { kind: "one", domain: "a.b.example.org" } as const;
    await checkDmarc({ from, spf: { result: "pass", domain: "example.org" }, dkim: [] }, new OneRecordDns([record]));
  }
  // They take some 0.1 s; what grows with the square of a record would take minutes.
  assert.ok(performance.now() - began < 20_000);
});
