/** The protocol of table programs as pure text. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { TableDialogue } from "../../src/programs/table_protocol.ts";
import { LineCutter } from "../../src/programs/lines.ts";
import type { TableRequest } from "../../src/protocol/mod.ts";

const ID = "0a1b2c3d";
const LOOKUP: TableRequest = { op: "lookup", service: "alias", key: "bob" };
const CHECK: TableRequest = { op: "check", service: "domain", key: "a|b" };
const FETCH: TableRequest = { op: "fetch", service: "relayhost" };
const UPDATE: TableRequest = { op: "update" };

function registered(): TableDialogue {
  const dialogue = new TableDialogue("t");
  for (const service of ["alias", "domain", "relayhost", "ready"]) dialogue.receive(`register|${service}`);
  return dialogue;
}

Deno.test("greeting() holds version, protocol and table", () => {
  assert.equal(
    new TableDialogue("users").greeting("7.8.0"),
    "config|smtpd-version|7.8.0\nconfig|protocol|0.1\nconfig|tablename|users\nconfig|ready\n",
  );
});

const requests = [
  { request: LOOKUP, line: "table|0.1|1700000000.007000|t|lookup|alias|0a1b2c3d|bob\n" },
  { request: CHECK, line: "table|0.1|1700000000.007000|t|check|domain|0a1b2c3d|a|b\n" },
  { request: FETCH, line: "table|0.1|1700000000.007000|t|fetch|relayhost|0a1b2c3d\n" },
  { request: UPDATE, line: "table|0.1|1700000000.007000|t|update|0a1b2c3d\n" },
];
for (const { request, line } of requests) {
  Deno.test(`ask() writes ${line.trim()}`, () => assert.equal(registered().ask(request, ID, 1_700_000_000_007), line));
}

const answers: { request: TableRequest; line: string; want: unknown }[] = [
  { request: LOOKUP, line: `lookup-result|${ID}|found|a, b|c`, want: { result: "found", value: "a, b|c" } },
  { request: LOOKUP, line: `lookup-result|${ID}|not-found`, want: { result: "not-found" } },
  { request: LOOKUP, line: `lookup-result|${ID}|error|away`, want: { result: "error", reason: "away" } },
  {
    request: LOOKUP,
    line: `lookup-result|${ID}|error`,
    want: { result: "error", reason: "The program answers with an error" },
  },
  { request: LOOKUP, line: `lookup-result|${ID}|found|`, want: "a malformed answer" },
  { request: LOOKUP, line: `lookup-result|${ID}|found`, want: "a malformed answer" },
  { request: LOOKUP, line: `lookup-result|${ID}|not-found|x`, want: "a malformed answer" },
  { request: LOOKUP, line: `lookup-result|${ID}|maybe`, want: "a malformed answer" },
  { request: LOOKUP, line: `lookup-result|${ID}`, want: "an answer to another question" },
  { request: LOOKUP, line: "lookup-result|0a1b2c3e|found|a", want: "an answer to another question" },
  { request: LOOKUP, line: `check-result|${ID}|found`, want: "an answer that is no lookup-result" },
  { request: LOOKUP, line: "", want: "an answer that is no lookup-result" },
  {
    request: LOOKUP,
    line: `lookup-result|${ID}|found|a\rb`,
    want: { result: "error", reason: "The value holds control characters or is not UTF-8" },
  },
  { request: CHECK, line: `check-result|${ID}|found`, want: { result: "found", value: "" } },
  { request: CHECK, line: `check-result|${ID}|not-found`, want: { result: "not-found" } },
  { request: CHECK, line: `check-result|${ID}|found|x`, want: "a malformed answer" },
  { request: FETCH, line: `fetch-result|${ID}|found|smtp://a`, want: { result: "found", value: "smtp://a" } },
  { request: FETCH, line: `lookup-result|${ID}|found|smtp://a`, want: "an answer that is no fetch-result" },
  { request: UPDATE, line: `update-result|${ID}|ok`, want: { result: "ok" } },
  { request: UPDATE, line: `update-result|${ID}|error|why`, want: { result: "error", reason: "why" } },
  { request: UPDATE, line: `update-result|${ID}|found`, want: "a malformed answer" },
];
for (const { request, line, want } of answers) {
  Deno.test(`receive() takes ${JSON.stringify(line)} after ${request.op} for ${JSON.stringify(want)}`, () => {
    const dialogue = registered();
    dialogue.ask(request, ID, 0);
    const received = dialogue.receive(line);
    assert.deepEqual(
      received.type === "answer" ? received.answer : received.type === "broken" ? received.reason : received,
      want,
    );
  });
}

const registrations = [
  { lines: ["register|alias", "register|ready"], last: { type: "registered" } },
  { lines: ["register|ready"], last: { type: "broken", reason: "it registers no service" } },
  { lines: ["register|mail"], last: { type: "broken", reason: "it registers a service that does not exist" } },
  { lines: ["register|alias|x"], last: { type: "broken", reason: "a line that is no registration" } },
  { lines: ["hello"], last: { type: "broken", reason: "a line that is no registration" } },
  {
    lines: ["register|alias", "register|ready", "register|domain"],
    last: { type: "broken", reason: "it speaks without being asked" },
  },
];
for (const { lines, last } of registrations) {
  Deno.test(`receive() ends the lines ${lines.join(", ")} with ${JSON.stringify(last)}`, () => {
    const dialogue = new TableDialogue("t");
    assert.deepEqual(lines.map((line) => dialogue.receive(line)).at(-1), last);
  });
}

Deno.test("refusal() keeps line ends and services that were not registered from the program", () => {
  const dialogue = registered();
  assert.equal(dialogue.refusal(LOOKUP), null);
  assert.equal(dialogue.refusal(UPDATE), null);
  assert.match(dialogue.refusal({ op: "check", service: "domain", key: "a\nb" })!, /line end/);
  assert.match(dialogue.refusal({ op: "lookup", service: "alias", key: "a\r" })!, /line end/);
  assert.match(dialogue.refusal({ op: "lookup", service: "userinfo", key: "a" })!, /does not serve "userinfo"/);
  assert.equal(dialogue.serves({ op: "lookup", service: "userinfo", key: "a" }), false);
  assert.equal(dialogue.serves(LOOKUP), true);
});

Deno.test("receive() is total: any line at any time has a meaning", () => {
  fc.assert(fc.property(fc.array(fc.string(), { maxLength: 5 }), fc.boolean(), (lines, asked) => {
    const dialogue = registered();
    if (asked) dialogue.ask(LOOKUP, ID, 0);
    for (const line of lines) dialogue.receive(line);
  }));
});

Deno.test("LineCutter gives the same lines however the bytes come", () => {
  const bytes = new TextEncoder().encode("eins\n\nzwölf €\nmuch too long for this\nrest");
  const want = ["eins", "", "zwölf €", "much too lon"];
  for (const step of [1, 2, 3, 7, 100]) {
    const cutter = new LineCutter(12);
    const lines = [];
    for (let at = 0; at < bytes.length; at += step) lines.push(...cutter.push(bytes.subarray(at, at + step)));
    assert.deepEqual(lines.map(({ text }) => text), want, `in steps of ${step}`);
    assert.deepEqual(lines.map(({ cut }) => cut), [false, false, false, true]);
    assert.equal(cutter.finish(), "rest");
  }
});

Deno.test("LineCutter keeps no more of a line than its limit", () => {
  const cutter = new LineCutter(4);
  cutter.push(new Uint8Array(1000).fill(65));
  assert.ok(cutter.overflows);
  assert.equal(cutter.finish(), "AAAA");
});
