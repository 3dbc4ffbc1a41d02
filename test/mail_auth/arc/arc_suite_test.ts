/**
 * The validation tests of the ARC test suite (ValiMail, 2017), every case of them. arc_validation_tests.json is their YAML as JSON, under the
 * licence that stands beside it. `cv` is what a sealer would write next: "" for a chain whose newest seal says that it had failed, which
 * nobody seals again.
 */

import assert from "node:assert/strict";
import { ArcVerifier } from "../../../src/mail_auth/arc/mod.ts";
import { FixtureDns } from "../fixture_dns.ts";
import suite from "./arc_validation_tests.json" with { type: "json" };

/** The date of the suite, so that no signature of it is late. */
const NOW = Date.UTC(2017, 0, 10);

let cases = 0;
for (const { description, tests, txt } of suite) {
  const zones = Object.fromEntries(Object.entries(txt).map(([name, record]) => [name, [{ TXT: record }]]));
  for (const { name, cv, message } of tests) {
    cases++;
    Deno.test(`ARC, ${description}: ${name} is ${cv || "Fail"}`, async () => {
      const verifier = new ArcVerifier({ now: NOW, dns: new FixtureDns(zones) });
      const octets = new TextEncoder().encode(message);
      const end = message.startsWith("\n")
        ? 0
        : message.indexOf("\n\n") < 0
        ? octets.length
        : message.indexOf("\n\n") + 1;
      verifier.header(octets.subarray(0, end));
      verifier.body(octets.subarray(end + 1));
      const verdict = await verifier.finish();
      assert.equal(verdict.result, (cv || "Fail").toLowerCase(), verdict.reason ?? "no reason");
      assert.equal(verdict.reason === null, verdict.result !== "fail");
    });
  }
}

Deno.test("the suite of ARC is whole", () => assert.equal(cases, 175));
