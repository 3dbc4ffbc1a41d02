/** What is explained of the checks of a message: each result with its reason, what rules see, and what is written into the message. */

import assert from "node:assert/strict";
import { explain } from "../../src/explain/explain.ts";
import { type Step, stepLines } from "../../src/explain/step.ts";
import { FixtureDns, type FixtureZones } from "../mail_auth/fixture_dns.ts";
import { envelope, frontOf } from "./support.ts";

const CONFIG = `filter "spam" phase commit match dmarc { "quarantine" } junk
listen on 127.0.0.1 port 2525 hostname mx.example.org mail-auth filter "spam"
action "local" mbox
match from any mail-auth "dmarc=reject" for any reject
match from any for any action "local"
`;

const ZONES: FixtureZones = {
  "good.test": [{ TXT: "v=spf1 ip4:192.0.2.7 -all" }],
  "_dmarc.good.test": [{ TXT: "v=DMARC1; p=reject" }],
  "bad.test": [{ TXT: "v=spf1 -all exp=why.bad.test" }],
  "why.bad.test": [{ TXT: "ask us first" }],
  "_dmarc.bad.test": [{ TXT: "v=DMARC1; p=reject" }],
  "soft.test": [{ TXT: "v=spf1 ~all" }],
  "_dmarc.soft.test": [{ TXT: "v=DMARC1; p=quarantine" }],
  "slow.test": ["TIMEOUT"],
  "_dmarc.slow.test": ["TIMEOUT"],
};

interface Row {
  readonly name: string;
  readonly domain: string;
  readonly want: readonly string[];
  readonly result: string;
}

const TAKEN = 'deliver to alice by mbox (action "local")';

const ROWS: readonly Row[] = [
  {
    name: "all is well",
    domain: "good.test",
    want: [
      "the message was checked: spf=pass dkim=none arc=none dmarc=pass",
      "  SPF is pass for the sender's domain, good.test, by ip4:192.0.2.7",
      "  DKIM is none: no signature",
      "  ARC is none",
      "  DMARC is pass for the domain of From, good.test, by SPF",
      "  rules and filters see spf=pass, dkim=none, arc=none, dmarc=pass",
      "  written in front: Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=good.test; dkim=none; arc=none; dmarc=pass header.from=good.test policy.dmarc=reject",
    ],
    result: TAKEN,
  },
  {
    name: "a policy of reject, which a rule follows",
    domain: "bad.test",
    want: [
      "the message was checked: spf=fail dkim=none arc=none dmarc=fail policy=reject",
      "  SPF is fail for the sender's domain, bad.test, by -all (the domain says: ask us first)",
      "  DKIM is none: no signature",
      "  ARC is none",
      "  DMARC is fail for the domain of From, bad.test: Neither SPF nor DKIM passed for bad.test; the domain asks for reject",
      "  rules and filters see spf=fail, dkim=none, arc=none, dmarc=reject, dmarc=fail",
    ],
    result: "550 5.7.1 Recipient rejected: <alice@example.org>",
  },
  {
    name: "a policy of quarantine, which a filter follows",
    domain: "soft.test",
    want: [
      "the message was checked: spf=softfail dkim=none arc=none dmarc=fail policy=quarantine",
      "  SPF is softfail for the sender's domain, soft.test, by ~all",
      "  DKIM is none: no signature",
      "  ARC is none",
      "  DMARC is fail for the domain of From, soft.test: Neither SPF nor DKIM passed for soft.test; the domain asks for quarantine",
      "  rules and filters see spf=softfail, dkim=none, arc=none, dmarc=quarantine, dmarc=fail",
      "  written in front: Authentication-Results: mx.example.org; spf=softfail smtp.mailfrom=soft.test; dkim=none; arc=none; dmarc=fail (Neither SPF nor DKIM passed for soft.test) header.from=soft.test policy.dmarc=quarantine | X-Spam: Yes",
    ],
    result: TAKEN,
  },
  {
    name: "a DNS that does not answer",
    domain: "slow.test",
    want: [
      "the message was checked: spf=temperror dkim=none arc=none dmarc=temperror",
      "  SPF is temperror for the sender's domain, slow.test: No answer from the DNS for slow.test",
      "  DKIM is none: no signature",
      "  ARC is none",
      "  DMARC is temperror for the domain of From, slow.test: No answer from the DNS for slow.test",
      "  rules and filters see spf=temperror, dkim=none, arc=none, dmarc=temperror",
      "  written in front: Authentication-Results: mx.example.org; spf=temperror (No answer from the DNS for slow.test) smtp.mailfrom=slow.test; dkim=none; arc=none; dmarc=temperror (No answer from the DNS for slow.test) header.from=slow.test",
    ],
    result: TAKEN,
  },
];

function found(steps: readonly Step[]): Step | undefined {
  for (const step of steps) {
    const one = step.kind === "authentication" ? step : found(step.children ?? []);
    if (one !== undefined) return one;
  }
  return undefined;
}

for (const { name, domain, want, result } of ROWS) {
  Deno.test(`mail-auth is explained: ${name}`, async () => {
    const { front, config } = await frontOf(CONFIG, { ports: { dns: new FixtureDns(ZONES) } });
    try {
      const message = new TextEncoder().encode(`From: <a@${domain}>\nSubject: x\n\nbody\n`);
      const { steps, results } = await explain(
        envelope({ sender: `a@${domain}` }),
        message,
        { config, front, programs: false },
      );
      assert.deepEqual(stepLines([found(steps)!], { verbose: true }), want);
      assert.equal(results[0]!.text, result);
    } finally {
      await front.close();
    }
  });
}
