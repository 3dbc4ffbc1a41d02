/** Which checked messages are counted for reports of DMARC: none that comes for the address of our own reports alone. */

import assert from "node:assert/strict";
import type { Mailbox } from "../../src/envelope/mod.ts";
import type { DmarcResult } from "../../src/mail_auth/dmarc_report/mod.ts";
import type { CheckedSession } from "../../src/smtp/mail_check.ts";
import { countingFor } from "../../src/smtp/report_results.ts";

const FROM: Mailbox = { local: "reports", domain: "example.org" };
const OTHER: Mailbox = { local: "b", domain: "example.org" };

const VERDICT = {
  spf: { result: "pass", identity: "mailfrom", domain: "a.test" },
  dkim: [],
  dmarc: {
    result: "pass",
    domain: "a.test",
    policy: "none",
    record: {
      ...{ domain: "a.test", p: "none", sp: null, np: null, adkim: "r", aspf: "r", fo: null, testing: false },
      rua: ["mailto:r@a.test"],
    },
    spfAligned: true,
    dkimAligned: null,
  },
  overridden: false,
};

function counted(rcpts: readonly Mailbox[]): number {
  const results: DmarcResult[] = [];
  let accepted: unknown = null;
  for (const rcpt of rcpts) accepted = { rcpt, before: accepted };
  const checked = {
    verdict: VERDICT,
    disposition: "accepted",
    client: "192.0.2.1",
    session: { transaction: { accepted } },
  };
  countingFor(FROM, { count: (result) => void results.push(result) })(checked as unknown as CheckedSession);
  return results.length;
}

const CASES: Record<string, readonly [readonly Mailbox[], number]> = {
  "somebody": [[OTHER], 1],
  "our reports' address": [[FROM], 0],
  "the same in other letters": [[{ local: "Reports", domain: "EXAMPLE.org" }], 0],
  "that address and somebody": [[FROM, OTHER], 1],
};
for (const [name, [rcpts, want]] of Object.entries(CASES)) {
  Deno.test(`what comes for ${name} is ${want === 0 ? "in no report" : "counted"}`, () => {
    assert.equal(counted(rcpts), want);
  });
}
