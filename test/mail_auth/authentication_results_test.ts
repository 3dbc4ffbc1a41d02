/** The field Authentication-Results: what ours says, that no text of a stranger gets out of its place, and which of others' bear our name. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { authenticationResults, type CheckedMessage, isForged } from "../../src/mail_auth/authentication_results.ts";

const OURS = "mx.example.org";

const PASSED: CheckedMessage = {
  spf: { result: "pass", identity: "mailfrom", domain: "news.example", reason: null },
  dkim: [{
    result: "pass",
    domain: "news.example",
    selector: "s2026",
    identity: "@news.example",
    signature: "Ab3dEf9h",
    reason: null,
    keyBits: 2048,
    testing: false,
  }],
  arc: { result: "none", instance: 0, sealers: [], reason: null },
  dmarc: { result: "pass", domain: "news.example", policy: "reject", reason: null },
};
const SIGNATURE = PASSED.dkim[0]!;

const FIELDS: readonly { readonly says: string; readonly verdict: CheckedMessage; readonly field: string }[] = [
  {
    says: "each result with the property that decided",
    verdict: PASSED,
    field: `Authentication-Results: mx.example.org;
\tspf=pass smtp.mailfrom=news.example;
\tdkim=pass (2048-bit key) header.d=news.example header.s=s2026
\theader.b=Ab3dEf9h header.i=@news.example;
\tarc=none;
\tdmarc=pass header.from=news.example policy.dmarc=reject
`,
  },
  {
    says: "HELO beside the sender, where both were checked",
    verdict: {
      ...PASSED,
      spfHelo: { result: "fail", identity: "helo", domain: "mail.news.example", reason: null },
    },
    field: `Authentication-Results: mx.example.org;
\tspf=pass smtp.mailfrom=news.example;
\tspf=fail smtp.helo=mail.news.example;
\tdkim=pass (2048-bit key) header.d=news.example header.s=s2026
\theader.b=Ab3dEf9h header.i=@news.example;
\tarc=none;
\tdmarc=pass header.from=news.example policy.dmarc=reject
`,
  },
  {
    says: "HELO where that was checked, no signature, no policy, and the reasons",
    verdict: {
      spf: { result: "temperror", identity: "helo", domain: "client.example", reason: "no answer for client.example" },
      dkim: [],
      arc: { result: "fail", instance: 2, sealers: ["a.example", "b.example"], reason: "seal 1: no key" },
      dmarc: { result: "none", domain: "news.example", policy: null, reason: null },
    },
    field: `Authentication-Results: mx.example.org;
\tspf=temperror (no answer for client.example) smtp.helo=client.example;
\tdkim=none;
\tarc=fail (seal 1: no key; i=2; sealed by a.example b.example);
\tdmarc=none header.from=news.example
`,
  },
  {
    says: "two signatures, of which one has an identity and characters of base64 that need quotes",
    verdict: {
      ...PASSED,
      dkim: [
        { ...SIGNATURE, signature: "a/b+c=", identity: "john doe@news.example", keyBits: null },
        { ...SIGNATURE, result: "fail", reason: "the body was changed", testing: true, identity: null },
      ],
    },
    field: `Authentication-Results: mx.example.org;
\tspf=pass smtp.mailfrom=news.example;
\tdkim=pass header.d=news.example header.s=s2026 header.b="a/b+c="
\theader.i="john doe@news.example";
\tdkim=fail (the body was changed; 2048-bit key; testing)
\theader.d=news.example header.s=s2026 header.b=Ab3dEf9h;
\tarc=none;
\tdmarc=pass header.from=news.example policy.dmarc=reject
`,
  },
  {
    says: "UTF-8 in an address (RFC 8616), none in a reason",
    verdict: {
      ...PASSED,
      spf: { ...PASSED.spf, reason: "says: grüß\u202e Gott" },
      dkim: [{ ...SIGNATURE, identity: "jürgen@news.example", keyBits: null }],
    },
    field: `Authentication-Results: mx.example.org;
\tspf=pass (says: gr?? Gott) smtp.mailfrom=news.example;
\tdkim=pass header.d=news.example header.s=s2026 header.b=Ab3dEf9h
\theader.i=jürgen@news.example;
\tarc=none;
\tdmarc=pass header.from=news.example policy.dmarc=reject
`.replace("gr??", "gr???"),
  },
  {
    says: "no end of a comment, of a quoted string or of a line that a stranger wrote",
    verdict: {
      ...PASSED,
      spf: { ...PASSED.spf, result: "fail", domain: 'x";\r\nBcc: a', reason: "no) dkim=pass (\\\r\nX: y" },
      dkim: [],
    },
    field: `Authentication-Results: mx.example.org;
\tspf=fail (no\\) dkim=pass \\(\\\\??X: y) smtp.mailfrom="x\\";??Bcc: a";
\tdkim=none;
\tarc=none;
\tdmarc=pass header.from=news.example policy.dmarc=reject
`,
  },
];

for (const { says, verdict, field } of FIELDS) {
  Deno.test(`authenticationResults() says ${says}`, () => {
    assert.equal(authenticationResults(OURS, verdict), field);
  });
}

Deno.test("authenticationResults() names five sealers, and how many more there are", () => {
  const arc = { result: "pass", instance: 7, sealers: [..."abcdefg"], reason: null };
  const text = authenticationResults(OURS, { ...PASSED, arc }).replace(/\s+/g, " ");
  assert.ok(text.includes("arc=pass (i=7; sealed by a b c d e and 2 more);"), text);
});

/** Whether our name is claimed. */
const CLAIMS: readonly { readonly because: string; readonly text: string; readonly forged: boolean }[] = [
  { because: "it is our name", text: " mx.example.org; spf=pass", forged: true },
  { because: "it is our name with nothing behind", text: "mx.example.org", forged: true },
  { because: "case does not matter", text: " MX.Example.ORG; none", forged: true },
  { because: "it has a version", text: " mx.example.org 1; spf=pass", forged: true },
  { because: "it has a version that is none", text: " mx.example.org/1; spf=pass", forged: true },
  { because: "a version stands behind a comment", text: " mx.example.org (x) 99 (y); spf=pass", forged: true },
  { because: "it is quoted", text: ' "mx.example.org"; spf=pass', forged: true },
  { because: "it is quoted with backslashes", text: ' "\\m\\x.example.org" 1; spf=pass', forged: true },
  { because: "comments stand around it", text: "(a (b) \\) c)\n mx.example.org (d); spf=pass", forged: true },
  { because: "comments stand inside of it", text: " mx(a).(b) example . org; spf=pass", forged: true },
  { because: "it is folded", text: "\n\tmx.example.org\n\t; spf=pass", forged: true },
  { because: "it has a final dot", text: " mx.example.org.; spf=pass", forged: true },
  { because: "it is written in other letters", text: " ｍｘ．example．org; spf=pass", forged: true },
  { because: "there are control characters in it", text: " mx.exam\0ple.org; spf=pass", forged: true },
  { because: "it is an encoded word", text: " =?utf-8?q?mx=2Eexample.org?=; spf=pass", forged: true },
  { because: "it is an encoded word of base64", text: " =?utf-8?B?bXguZXhhbXBsZS5vcmc=?=; spf=pass", forged: true },
  { because: "a comment that does not end may hide it", text: " (mx.example.org; spf=pass", forged: true },
  { because: "a string that does not end may hide it", text: ' "mx.exam\\ple.org; spf=pass', forged: true },
  { because: "the first word is it", text: " mx.example.org spf=pass", forged: true },
  { because: "a semicolon stands in front", text: " ;(x); mx.example.org; spf=pass", forged: true },
  { because: "a semicolon is quoted with it", text: ' "mx.example.org;" spf=pass', forged: true },
  { because: "it stands in brackets", text: " <mx.example.org>; spf=pass", forged: true },
  { because: "a comma stands in front", text: " ,mx.example.org; spf=pass", forged: true },
  { because: "a port stands behind", text: " mx.example.org:25; spf=pass", forged: true },
  {
    because: "it is two encoded words",
    text: " =?utf-8?q?mx?=\n =?utf-8?B?LmV4YW1wbGUub3Jn?=; spf=pass",
    forged: true,
  },
  { because: "it is another's", text: " mx.example.net; spf=pass", forged: false },
  { because: "it is a host below ours", text: " a.mx.example.org; spf=pass", forged: false },
  { because: "ours is only in a comment", text: " other.example (mx.example.org); spf=pass", forged: false },
  {
    because: "ours is only in a property",
    text: " other.example; iprev=pass policy.iprev=mx.example.org",
    forged: false,
  },
  { because: "it has no name", text: " ; spf=pass", forged: false },
  { because: "it is empty", text: "", forged: false },
];

const encoder = new TextEncoder();
const fieldOf = (text: string, name = "Authentication-Results") => ({
  name: name.toLowerCase(),
  octets: encoder.encode(`${name}:${text}\n`),
});

for (const { because, text, forged } of CLAIMS) {
  Deno.test(`isForged() is ${forged}: ${because}`, () => assert.equal(isForged(fieldOf(text), OURS), forged));
}

Deno.test("isForged() knows our name in A-labels and in U-labels, whichever is written", () => {
  for (const ours of ["mx.xn--bcher-kva.example", "mx.bücher.example"]) {
    for (
      const theirs of [
        "mx.xn--bcher-kva.example",
        "mx.bücher.example",
        "MX.BÜCHER.example",
        '"mx.bu\u0308cher.example"',
      ]
    ) {
      assert.ok(isForged(fieldOf(` ${theirs}; spf=pass`), ours), `${theirs} for ${ours}`);
      assert.ok(
        isForged(fieldOf(` (${theirs}; spf=pass`), ours),
        `${theirs} for ${ours}, where a comment does not end`,
      );
    }
  }
});

Deno.test("isForged() knows a name that could be a version", () => {
  assert.ok(isForged(fieldOf(" 123; spf=pass"), "123"));
  assert.ok(isForged(fieldOf(" 123 1; spf=pass"), "123"));
});

Deno.test("isForged() looks at no other field", () => {
  for (const name of ["ARC-Authentication-Results", "X-Authentication-Results", "Subject"]) {
    assert.equal(isForged(fieldOf(" mx.example.org; spf=pass", name), OURS), false);
  }
});

Deno.test("isForged() takes any octets, in time proportional to them", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
    assert.equal(typeof isForged({ name: "authentication-results", octets }, OURS), "boolean");
  }));
  for (const piece of ["(", ")", '"', "\\", " ", "a ", "( ", "1 / ", "/", "1", "=?a?q?", ".", "mx.example.org "]) {
    const octets = encoder.encode("Authentication-Results: " + piece.repeat(Math.floor(200_000 / piece.length)) + "x");
    const began = performance.now();
    isForged({ name: "authentication-results", octets }, OURS);
    const ms = performance.now() - began;
    assert.ok(ms < 5000, `${JSON.stringify(piece)} took ${ms} ms`);
  }
});

/** A field of ours, read by the grammar of RFC 8601 §2.2: null where it is broken. Independent of the writer. */
function readResults(field: string): string[] | null {
  const text = field.replace(/\n(?=[ \t])/g, "");
  if (!text.endsWith("\n") || text.indexOf("\n") !== text.length - 1) return null;
  const results = [""];
  let depth = 0, quoted = false;
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (character === "\\" && (depth > 0 || quoted)) at++;
    else if (depth > 0) depth += character === "(" ? 1 : character === ")" ? -1 : 0;
    else if (character === '"') quoted = !quoted;
    else if (quoted) continue;
    else if (character === "(") depth++;
    else if (character === ";") results.push("");
    else results[results.length - 1] += character;
  }
  return depth === 0 && !quoted ? results : null;
}

Deno.test("authenticationResults() is one field with as many results as were checked, whatever strangers wrote", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary", maxLength: 40 }),
    fc.stringMatching(/^[ ()"\\;=\n\r\t.@a\0]{0,30}$/),
  );
  const optional = fc.option(hostile, { nil: null });
  const signature = fc.record({
    result: fc.constantFrom("pass", "fail"),
    domain: hostile,
    selector: hostile,
    identity: optional,
    signature: hostile,
    reason: optional,
    keyBits: fc.option(fc.nat(), { nil: null }),
    testing: fc.boolean(),
  });
  const verdict: fc.Arbitrary<CheckedMessage> = fc.record({
    spf: fc.record({
      result: fc.constant("pass"),
      identity: fc.constantFrom("mailfrom" as const, "helo" as const),
      domain: hostile,
      reason: optional,
    }),
    dkim: fc.array(signature, { maxLength: 4 }),
    arc: fc.record({
      result: fc.constantFrom("none", "fail"),
      instance: fc.nat(50),
      sealers: fc.array(hostile, { maxLength: 8 }),
      reason: optional,
    }),
    dmarc: fc.record({ result: fc.constant("fail"), domain: hostile, policy: fc.constant("reject"), reason: optional }),
  });
  fc.assert(
    fc.property(verdict, (checked) => {
      const field = authenticationResults(OURS, checked);
      const results = readResults(field);
      assert.ok(results !== null, field);
      assert.equal(results.length, 1 + 1 + Math.max(1, checked.dkim.length) + 1 + 1, field);
      assert.equal(results.filter((text) => /^\s*spf=pass( |$)/.test(text)).length, 1, field);
      assert.ok(field.split("\n").every((line) => encoder.encode(line).length <= 998), field);
      assert.ok(field.split("\n").slice(1, -1).every((line) => /^\t\S/.test(line)), field);
      assert.doesNotMatch(field, /[^\P{C}\n\t]/u);
    }),
    { numRuns: 30 },
  );
});
