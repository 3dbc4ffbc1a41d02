/** From fields whose addresses are not the sender's to choose. */

import assert from "node:assert/strict";
import { masqueraded } from "../../src/smtp/message/masquerade.ts";
import { bytesOf, textOf } from "./support.ts";

const ME = "carol@example.org";

const rows: readonly { body: string; want: string; because: string }[] = [
  { body: " joe@x.example", want: ` ${ME}`, because: "a bare address" },
  { body: " joe", want: ` ${ME}`, because: "one without a domain" },
  { body: " Joe Doe <joe@x.example>", want: ` Joe Doe <${ME}>`, because: "the name stays" },
  { body: ' "Doe, Joe" <joe@x.example>', want: ` "Doe, Joe" <${ME}>`, because: "a quoted name with a comma" },
  { body: ' "a \\" <b@c>, " <joe@x.example>', want: ` "a \\" <b@c>, " <${ME}>`, because: "a quoted quote" },
  { body: " joe@x.example (Joe, at home)", want: ` ${ME} (Joe, at home)`, because: "a comment behind" },
  { body: " (a (nested) one) joe@x.example", want: ` (a (nested) one) ${ME}`, because: "a comment before" },
  { body: " joe (x) @ y.example", want: ` ${ME}`, because: "an address in pieces" },
  { body: ' "joe doe"@x.example', want: ` ${ME}`, because: "a quoted local part" },
  { body: " joe@[192.0.2.1]", want: ` ${ME}`, because: "an address literal" },
  { body: " <@a.example,@b.example:joe@x.example>", want: ` <${ME}>`, because: "a source route" },
  { body: " Joe <>", want: ` Joe <${ME}>`, because: "an empty address" },
  {
    body: " a@b.example,\n\tJoe <c@d.example> ,e@f",
    want: ` ${ME},\n\tJoe <${ME}> ,${ME}`,
    because: "several, folded",
  },
  { body: " a@b.example,, ", want: ` ${ME},, `, because: "commas too many" },
  { body: "", want: ` <${ME}>`, because: "nothing" },
  { body: " , ", want: ` <${ME}>`, because: "no address" },
  { body: " (only words)", want: ` <${ME}>`, because: "a comment alone" },
  { body: " friends: joe@x.example;", want: ` <${ME}>`, because: "a group" },
  { body: " Joe <joe@x.example", want: ` <${ME}>`, because: "no end" },
  { body: " Joe <joe@x.example> <boss@x.example>", want: ` <${ME}>`, because: "two at once" },
  { body: " <joe@x.example> boss@x.example", want: ` <${ME}>`, because: "something behind" },
  { body: ' "Joe <joe@x.example>', want: ` <${ME}>`, because: "an open quote" },
  { body: " (Joe <joe@x.example>", want: ` <${ME}>`, because: "an open comment" },
  { body: " joe) <joe@x.example>", want: ` <${ME}>`, because: "a comment that never began" },
  { body: " joe@x.example>", want: ` <${ME}>`, because: "half a bracket" },
  { body: ` ${"a,".repeat(40)}a`, want: ` <${ME}>`, because: "more than there is room for" },
];
for (const { body, want, because } of rows) {
  Deno.test(`masqueraded(): ${because}`, () => {
    assert.equal(textOf(masqueraded(bytesOf(body), bytesOf(ME), 200)), want);
  });
}

Deno.test("masqueraded() leaves no address of anybody else, whatever the field", () => {
  const pieces = [
    "evil@x.example",
    "<evil@x.example>",
    "<",
    ">",
    ",",
    '"',
    "(",
    ")",
    "\\",
    ":",
    ";",
    "[",
    "]",
    " ",
    "\n ",
    "Joe",
  ];
  let seed = 11;
  const random = (below: number) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below;
  for (let round = 0; round < 20_000; round++) {
    const body = Array.from({ length: random(8) }, () => pieces[random(pieces.length)]!).join("");
    const result = textOf(masqueraded(bytesOf(body), bytesOf(ME), 1000));
    // What stands in quotes and comments is no address.
    const outside = result.replace(/\\[^]/g, "").replace(/"[^"]*"|\([^()]*\)/g, "").replace(/\([^()]*\)/g, "");
    if (!/[()"\[\]]/.test(outside)) assert.ok(!outside.includes("evil@"), JSON.stringify({ body, result }));
  }
});
