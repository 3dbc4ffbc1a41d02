/** The XML of a report: that nothing a stranger wrote gets out of its element. What a whole report says: test/cli/dmarc_read_test.ts. */

import assert from "node:assert/strict";
import { formatReport } from "../../../src/mail_auth/dmarc_report/mod.ts";

const TEXTS: readonly (readonly [text: string, shown: string])[] = [
  ["a b", "a b"],
  ["</error><x y='&amp;'>", "&lt;/error&gt;&lt;x y='&amp;amp;'&gt;"],
  ["]]>", "]]&gt;"],
  ["a\0b\x1b\x7f\x85\n\uffff", "ab"],
  ["\ud800", "\ufffd"],
  ["\u{1f600}", "\u{1f600}"],
];
for (const [text, shown] of TEXTS) {
  Deno.test(`formatReport() shows ${JSON.stringify(text)} as text`, () => {
    const report = formatReport({
      reporter: "mx.example.org",
      contact: "postmaster@example.org",
      id: "1",
      begin: 0,
      end: 86_399,
      generator: "test",
      policy: {
        domain: "example.net",
        p: "none",
        sp: null,
        np: null,
        adkim: "r",
        aspf: "r",
        fo: null,
        testing: false,
      },
      records: [],
      errors: [text],
    });
    assert.equal(report.split("\n").find((line) => line.startsWith("<error>")), `<error>${shown}</error>`);
  });
}
