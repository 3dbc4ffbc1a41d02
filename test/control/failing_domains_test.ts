/** Domains that take no mail at present, as a number for alerts. */

import { equal } from "node:assert/strict";
import { FailingDomains } from "../../src/control/failing_domains.ts";
import type { DeliveryEvent } from "../../src/events/mod.ts";
import { evpid } from "../ids.ts";

const MINUTE = 60_000;

Deno.test("FailingDomains counts domains that took nothing for 15 minutes and three attempts, until they take or refuse something", () => {
  const failing = new FailingDomains();
  const attempt = (outcome: "ok" | "tempfail" | "permfail", minute: number, domain = "slow.example") => {
    const to = { local: "a", domain };
    const event: DeliveryEvent = {
      ...{ type: "delivery", agent: "mta", outcome, delayMs: 1, session: "s", envelope: evpid("00000001aaaaaaaa") },
      ...{ from: null, to, rcpt: to, stat: "450 Later" },
    };
    failing.observe(event, minute * MINUTE);
  };
  attempt("tempfail", 0);
  attempt("tempfail", 10, "SLOW.example");
  equal(failing.count(20 * MINUTE), 0);
  attempt("tempfail", 14);
  equal(failing.count(14 * MINUTE), 0);
  equal(failing.count(15 * MINUTE), 1);
  attempt("permfail", 16);
  equal(failing.count(30 * MINUTE), 0);
  for (const minute of [20, 21, 22]) attempt("tempfail", minute);
  equal(failing.count(60 * MINUTE), 1);
  equal(failing.count(600 * MINUTE), 0);
});
