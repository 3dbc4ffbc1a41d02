/**
 * The test suite of RFC 7208 (openspf.org, release 2014.04), every case of it. rfc7208_tests.json is its YAML as JSON, under the licence that
 * stands beside it. Where a case allows several results, the first is the one that it prefers; any will do.
 */

import assert from "node:assert/strict";
import { checkSpf } from "../../../src/mail_auth/spf/mod.ts";
import { FixtureDns, type FixtureZones } from "../fixture_dns.ts";
import suite from "./rfc7208_tests.json" with { type: "json" };

interface Case {
  readonly helo: string;
  readonly host: string;
  readonly mailfrom: string;
  readonly result: string | readonly string[];
  /** DEFAULT: the domain gives none. */
  readonly explanation?: string;
}

let cases = 0;
for (const { description, tests, zonedata } of suite) {
  for (const [name, one] of Object.entries(tests as unknown as Record<string, Case>)) {
    cases++;
    Deno.test(`SPF suite, ${description}: ${name}`, async () => {
      const query = { client: one.host, helo: one.helo, sender: one.mailfrom, receiver: "mx.example.net", now: 0 };
      const { result, explanation, reason } = await checkSpf(
        query,
        new FixtureDns(zonedata as unknown as FixtureZones),
      );
      assert.ok([one.result].flat().includes(result), `${result} for ${one.result}: ${reason}`);
      if (one.explanation !== undefined) assert.equal(explanation ?? "DEFAULT", one.explanation);
    });
  }
}

Deno.test("SPF suite: no case was lost on the way", () => assert.equal(cases, 203));
