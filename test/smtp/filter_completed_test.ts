/** What filters get of a submission: its header is complete before they see it, however it comes in. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { CompletedLines } from "../../src/smtp/filter/completed_lines.ts";
import { bytesOf, textOf } from "./support.ts";

const completion = {
  domain: bytesOf("host.example"),
  fields: { date: () => "DATE", messageId: () => "<ID>", from: () => "me@x.example" },
};
const ADDED = "From: <me@x.example>\nDate: DATE\nMessage-ID: <ID>\n";

/** The lines that go on, when they come in pieces of some lines each. */
function completed(lines: string, pieces: number): { text: string; fault: string | null } {
  const all = lines.split(/(?<=\n)/);
  const stage = new CompletedLines({ completion });
  let text = "";
  for (let at = 0; at < all.length; at += pieces) {
    text += textOf(stage.push(bytesOf(all.slice(at, at + pieces).join(""))));
  }
  return { text, fault: stage.fault };
}

const rows: readonly { in: string; out?: string; fault?: string; because: string }[] = [
  {
    in: "A: b\n\nx\n..\n.\n",
    out: `A: b\n${ADDED}\nx\n..\n.\n`,
    because: "missing fields are added, dots stay as they are",
  },
  { in: ".\n", out: `${ADDED}.\n`, because: "an empty message" },
  { in: "A: b\n.\n", out: `A: b\n${ADDED}.\n`, because: "no body" },
  { in: "\nx\n.\n", out: `${ADDED}\nx\n.\n`, because: "no header" },
  {
    in: "To: a,\n b\nBcc: c\n d\nFrom: root\nDate: d\nMessage-ID: i\n\nTo: a\n.\n",
    out: "To: a@host.example,\n b@host.example\nFrom: root@host.example\nDate: d\nMessage-ID: i\n\nTo: a\n.\n",
    because: "addresses are completed, and Bcc goes",
  },
  { in: "hello\nx\n.\n", fault: "malformed", because: "what is no header is refused" },
];
for (const { in: given, out, fault = null, because } of rows) {
  Deno.test(`a submission on its way to a filter: ${because}`, () => {
    for (const pieces of [1, 2, 3, 100]) {
      const got = completed(given, pieces);
      assert.equal(got.fault, fault);
      if (out !== undefined) assert.equal(got.text, out, `${pieces} lines at once`);
      assert.ok(got.text.endsWith(".\n"), "the filter is sent the end");
    }
  });
}

Deno.test("a submission on its way to a filter: the body stays as it is, however it is cut", () => {
  const line = fc.stringMatching(/^[a-z.: \0]{0,8}$/).filter((text) => text !== ".").map((text) => `${text}\n`);
  fc.assert(fc.property(fc.array(line), fc.integer({ min: 1, max: 9 }), (lines, pieces) => {
    const body = `${lines.join("")}.\n`;
    assert.deepEqual(completed(`A: b\n\n${body}`, pieces), { text: `A: b\n${ADDED}\n${body}`, fault: null });
  }));
});
