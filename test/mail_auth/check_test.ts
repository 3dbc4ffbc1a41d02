/** The checks of a message, joined: who is believed by ARC, what is said of a name in HELO, and what is not known in time. */

import assert from "node:assert/strict";
import {
  MessageCheck,
  type MessageCheckOptions,
  shownVerdict,
  summaryOf,
  type Verdict,
} from "../../src/mail_auth/check.ts";
import type { Dns } from "../../src/mail_auth/dns.ts";
import { Sealer, zonesOf } from "./arc/sealer.ts";
import { FixtureDns } from "./fixture_dns.ts";

const ZONES = {
  ...zonesOf("a.example", "b.example"),
  "_dmarc.example.org": [{ TXT: "v=DMARC1; p=reject" }],
  "helo.example": [{ TXT: "v=spf1 -all" }],
};
const SEALED = new Sealer().seal("a.example").seal("b.example");

interface CheckOptions extends Partial<MessageCheckOptions> {
  /** Null for one that is too long. */
  readonly header?: string | null;
  /** Whether the time is over before anything is known. */
  readonly expires?: boolean;
}

function check({ header = SEALED.header, expires = false, ...options }: CheckOptions): Promise<Verdict> {
  const message = new MessageCheck({
    client: "192.0.2.1",
    helo: "client.example",
    sender: "a@example.org",
    receiver: "mx.example",
    dns: new FixtureDns(ZONES),
    now: Date.UTC(2026, 5, 1),
    trusts: null,
    ...options,
  });
  message.header(header === null ? null : new TextEncoder().encode(header));
  message.body(new TextEncoder().encode(SEALED.body));
  const verdict = message.finish();
  if (expires) message.expire();
  return verdict;
}

const never = new Promise<never>(() => {});
const trusting = (...domains: string[]) => (domain: string) => Promise.resolve(domains.includes(domain));

const TRUSTED: readonly {
  readonly says: string;
  readonly options: CheckOptions;
  readonly dmarc: Verdict["dmarc"]["result"];
  readonly overridden?: true;
}[] = [
  {
    says: "passes where every sealer is trusted",
    options: { trusts: trusting("a.example", "b.example") },
    dmarc: "fail",
    overridden: true,
  },
  { says: "fails where only the newest is", options: { trusts: trusting("b.example") }, dmarc: "fail" },
  { says: "fails where only the oldest is", options: { trusts: trusting("a.example") }, dmarc: "fail" },
  { says: "fails where nobody is trusted", options: {}, dmarc: "fail" },
  {
    says: "fails for a chain that does not pass",
    options: { trusts: () => Promise.resolve(true), header: SEALED.header.replace("cv=pass", "cv=fail") },
    dmarc: "fail",
  },
  {
    says: "is a temporary error where one is not known now",
    options: { trusts: (domain) => Promise.resolve(domain === "a.example" ? true : null) },
    dmarc: "temperror",
  },
];
for (const { says, options, dmarc, overridden = false } of TRUSTED) {
  Deno.test(`a message that fails DMARC, with a chain of ARC: ${says}`, async () => {
    const verdict = await check(options);
    assert.deepEqual([verdict.dmarc.result, verdict.overridden], [dmarc, overridden], `${verdict.arc.reason}`);
    assert.equal(summaryOf(verdict).dmarc, overridden ? "pass" : dmarc);
    assert.equal(summaryOf(verdict).policy, dmarc === "fail" && !overridden ? "reject" : undefined);
    assert.equal(shownVerdict(verdict).dmarc.result, overridden ? "pass" : dmarc);
  });
}

Deno.test("what is not known when the time is over is a temporary error: the DNS, and who is trusted", async () => {
  const silent: Dns = { txt: () => never, addresses: () => never, mx: () => never, names: () => never };
  const { spf, arc, dmarc } = await check({ dns: silent, expires: true });
  assert.deepEqual([spf.result, arc.result, dmarc.result], ["temperror", "fail", "temperror"]);
  const asked = Promise.withResolvers<void>();
  const waiting = new MessageCheck({
    ...{ client: "192.0.2.1", helo: "client.example", sender: "", receiver: "mx.example", now: Date.UTC(2026, 5, 1) },
    dns: new FixtureDns(ZONES),
    trusts: () => (asked.resolve(), never),
  });
  waiting.header(new TextEncoder().encode(SEALED.header));
  waiting.body(new TextEncoder().encode(SEALED.body));
  const verdict = waiting.finish();
  await asked.promise;
  waiting.expire();
  assert.equal((await verdict).dmarc.result, "temperror");
});

Deno.test("a header section that is too long passes nothing, and has results all the same", async () => {
  const { dkim, arc, dmarc } = await check({ header: null });
  assert.deepEqual([dkim.map(({ result }) => result), arc.result, dmarc.result], [["permerror"], "none", "permerror"]);
});

Deno.test("the name in HELO is told of beside the sender, where it publishes something", async () => {
  assert.equal((await check({})).spfHelo, null);
  const { spf, spfHelo } = await check({ helo: "helo.example" });
  assert.deepEqual([spf.identity, spf.result, spfHelo?.identity, spfHelo?.result], [
    "mailfrom",
    "none",
    "helo",
    "fail",
  ]);
  const bounce = await check({ helo: "helo.example", sender: "" });
  assert.deepEqual([bounce.spf.identity, bounce.spf.result, bounce.spfHelo], ["helo", "fail", null]);
});
