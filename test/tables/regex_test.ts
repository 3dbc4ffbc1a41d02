/** Regular expressions of tables: the language of POSIX, and a bound on the time that any of them takes. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { type Event, NO_OBSERVER } from "../../src/events/mod.ts";
import { LookupError, regexFault, RegexMatcher, Table } from "../../src/tables/mod.ts";

function found(pattern: string, text: string): boolean | LookupError {
  const matcher = new RegexMatcher();
  matcher.add(pattern);
  return matcher.matches(text);
}

const rows: readonly { name: string; pattern: string; yes?: readonly string[]; no?: readonly string[] }[] = [
  { name: "a pattern is searched, not anchored", pattern: "b", yes: ["abc", "b"], no: ["ac", ""] },
  { name: "anchors hold it", pattern: "^a.c$", yes: ["abc", "a.c"], no: ["xabc", "abcx", "ac"] },
  { name: "an anchor may stand anywhere", pattern: "(^a|b$)", yes: ["ax", "xb"], no: ["xax"] },
  {
    name: "groups and alternatives",
    pattern: "@(a|bc)\\.org$",
    yes: ["x@a.org", "x@bc.org"],
    no: ["x@b.org", "x@a-org"],
  },
  { name: "an empty alternative", pattern: "^a(b|)c$", yes: ["abc", "ac"], no: ["abbc"] },
  { name: "repetition", pattern: "^ab*c+d?$", yes: ["ac", "abbcccd"], no: ["ab", "acdd"] },
  { name: "intervals", pattern: "^a{2,3}b{2}c{1,}d{,1}$", yes: ["aabbc", "aaabbccd"], no: ["abbc", "aabbcdd"] },
  { name: "a repetition of a repetition is one", pattern: "^a**$", yes: ["", "aaa"], no: ["ab"] },
  { name: "a+? is a repetition too, not a lazy one", pattern: "^a+?$", yes: ["", "a", "aa"], no: ["b"] },
  { name: "a bracket list and a range", pattern: "^[a-cx]+$", yes: ["abcx"], no: ["d"] },
  { name: "a negated list", pattern: "^[^@]+@", yes: ["a@b"], no: ["@b", "ab"] },
  { name: "] comes first in a list", pattern: "^[]a]+$", yes: ["]a"], no: ["["] },
  { name: "- comes last in a list", pattern: "^[a-]+$", yes: ["a-a"], no: ["b"] },
  { name: "a backslash is a character of a list", pattern: "^[\\.]+$", yes: ["\\.", "."], no: ["a"] },
  { name: "a class of characters", pattern: "^[[:digit:]_]+$", yes: ["1_2"], no: ["a", ":"] },
  { name: "the upper-case class finds nothing in lower-case text", pattern: "[[:upper:]]", no: ["abc"] },
  { name: "a collating element", pattern: "^[[.-.]a]+$", yes: ["-a"], no: ["."] },
  { name: "an escaped character stands for itself", pattern: "^\\*\\{\\d$", yes: ["*{d"], no: ["*{1"] },
  { name: "letters and blanks of GNU", pattern: "^\\w+\\s\\w$", yes: ["a_1 b"], no: ["a- b"] },
  { name: "edges of words of GNU", pattern: "\\<spam\\>", yes: ["a spam.b", "spam"], no: ["spammer"] },
  { name: "a bracket that closes nothing is a character", pattern: "^a)$", yes: ["a)"], no: ["a"] },
  { name: "(?i) stands for lower case as all patterns do", pattern: "(?i)^abc$", yes: ["abc"], no: ["abcd"] },
  { name: "(?i) folds more than ASCII", pattern: "(?i)é", yes: ["É"] },
  { name: "a character beyond the first plane is one", pattern: "^.$", yes: ["😀", "é"], no: ["ab"] },
  { name: "an empty pattern is found everywhere", pattern: "", yes: ["", "a"] },
];

for (const { name, pattern, yes = [], no = [] } of rows) {
  Deno.test(`RegexMatcher: ${name}`, () => {
    assert.equal(regexFault(pattern), null);
    for (const text of yes) assert.equal(found(pattern, text), true, `${pattern} in ${text}`);
    for (const text of no) assert.equal(found(pattern, text), false, `${pattern} in ${text}`);
  });
}

const faults: readonly (readonly [pattern: string, fault: RegExp])[] = [
  ["(a", /"\(" is not closed/],
  ["[a", /"\[" is not closed/],
  ["[]", /"\[" is not closed/],
  ["[z-a]", /ends before it begins/],
  ["[[:foo:]]", /no class of characters/],
  ["[[:digit]]", /no class of characters/],
  ["[[.ab.]]", /must hold one character/],
  ["*a", /nothing stands before "\*"/],
  ["^*", /nothing stands before "\*"/],
  ["a|+", /nothing stands before "\+"/],
  ["(?=a)", /nothing stands before "\?"/],
  ["a{", /must begin an interval/],
  ["a{x}", /must begin an interval/],
  ["a{3,2}", /ends before it begins/],
  ["a\\", /backslash stands at the end/],
  ["(a)\\1", /back-reference "\\1" cannot/],
  ["a{1001}", /repeat/],
  ["((a{100}){100}){100}", /repeat/],
  ["[ab]{900}".repeat(2) + "[ab]{900}", /too large/],
];

for (const [pattern, fault] of faults) {
  Deno.test(`RegexMatcher: ${pattern} is not valid and matches nothing`, () => {
    assert.match(regexFault(pattern) ?? "", fault);
    assert.equal(found(pattern, pattern), false);
    assert.equal(found(pattern, "aaaa"), false);
  });
}

Deno.test("RegexMatcher: one invalid pattern spoils no other", () => {
  const matcher = new RegexMatcher();
  for (const pattern of ["(", "b", "*"]) matcher.add(pattern);
  assert.equal(matcher.matches("abc"), true);
  assert.equal(matcher.matches("ac"), false);
});

Deno.test("RegexMatcher: patterns that ruin a backtracking engine answer within the time limit of a lookup", () => {
  const text = `${"a".repeat(1022)}b`;
  const patterns = [
    "^(a+)+$",
    "^(a|aa)+$",
    "(a*)*$",
    "^(a?){400}a{400}$",
    "(x+x+)+y",
    "^(.*a){40}c$",
    "[ab]*a[ab]{450}c",
  ];
  for (const pattern of patterns) {
    const started = performance.now();
    assert.equal(found(pattern, text), pattern === "(a*)*$", pattern);
    // A busy machine included: a backtracking engine would need longer than the sun.
    assert.ok(performance.now() - started < 20_000, pattern);
  }
});

Deno.test("RegexMatcher: a lookup that takes too long is an error, not a miss", () => {
  let now = 0;
  const matcher = new RegexMatcher(() => now += 120);
  for (let index = 0; index < 40; index++) matcher.add(`^x${index}[ab]{90}$`);
  const result = matcher.matches("y");
  assert.ok(result instanceof LookupError);
  assert.match(result.reason, /took longer than 100 ms/);
});

Deno.test("RegexMatcher: a table with too many patterns is an error, not a miss", () => {
  const matcher = new RegexMatcher(() => 0, 1000);
  for (let index = 0; index < 11; index++) matcher.add(`^${index}[ab]{90}$`);
  const result = matcher.matches("y");
  assert.ok(result instanceof LookupError);
  assert.match(result.reason, /too many regular expressions/);
});

Deno.test("RegexMatcher: patterns that cannot be compiled count, too", () => {
  const matcher = new RegexMatcher(() => 0, 1000);
  for (let index = 0; index < 200; index++) matcher.add("(");
  assert.ok(matcher.matches("y") instanceof LookupError);
  assert.equal(matcher.faults.length, 10);
});

Deno.test("Table: the log names a regular expression that finds nothing, once", () => {
  const reports: Event[] = [];
  const observer = { ...NO_OBSERVER, emit: (event: Event) => void reports.push(event) };
  const table = new Table({ name: "t", kind: "list", entries: [["(a", ""], ["b", ""]] }, "+", observer);
  assert.equal(table.check("regex", "abc"), true);
  assert.equal(table.check("regex", "(a"), false);
  assert.deepEqual(reports, [{
    type: "log",
    level: "warn",
    text: 'warn: Table "t": The regular expression "(a" finds nothing: a "(" is not closed',
  }]);
});

Deno.test("RegexMatcher: many patterns are found in their batches", () => {
  const matcher = new RegexMatcher();
  for (let index = 0; index < 300; index++) matcher.add(`^user${index}@(mail|smtp)\\.example\\.org$`);
  for (const index of [0, 150, 299]) assert.equal(matcher.matches(`user${index}@smtp.example.org`), true);
  assert.equal(matcher.matches("user300@smtp.example.org"), false);
});

Deno.test("RegexMatcher: is total on any pattern and text", () => {
  const piece = fc.constantFrom(..."ab1(|)[]{}*+?.^$\\-:,=<>é😀\0", "[[:", ":]]", "{2,3}", "(?i)");
  const words = fc.array(piece, { maxLength: 14 }).map((pieces) => pieces.join(""));
  const property = fc.property(words, words, (pattern, text) => {
    const result = found(pattern, text);
    assert.equal(typeof result, "boolean");
    if (regexFault(pattern) !== null) assert.equal(result, false);
  });
  fc.assert(property, { seed: 20_261_122, numRuns: 3000 });
});
