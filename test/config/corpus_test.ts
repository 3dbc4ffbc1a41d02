/** Every configuration of the corpus is judged as its comments say: right ones route, wrong ones are reported line by line. */

import assert from "node:assert/strict";
import { entries, said } from "./corpus.ts";

/** `LINE: TEXT` or `FILE:LINE: TEXT`, of which TEXT may be a part; `smtpd: TEXT` for what has no line. */
function agrees(line: string, expected: string): boolean {
  const [, place = "", text = ""] = /^((?:[^:]*:)?\d+: |smtpd: )(.*)$/.exec(expected) ?? [];
  return place !== "" && line.startsWith(place) && line.slice(place.length).includes(text);
}

Deno.test("the corpus holds at least 50 right and 100 wrong configurations", () => {
  assert.ok(entries("valid").length >= 50);
  assert.ok(entries("invalid").length >= 100);
});

for (const entry of entries("valid")) {
  Deno.test(`corpus/valid/${entry.name}.conf is right`, () => assert.deepEqual(said(entry), []));
}

for (const entry of entries("invalid")) {
  Deno.test(`corpus/invalid/${entry.name}.conf is reported line by line`, () => {
    const lines = said(entry);
    assert.ok(entry.notes.length > 0, "nothing is expected");
    const wrong = lines.length !== entry.notes.length || lines.some((line, at) => !agrees(line, entry.notes[at]!));
    if (wrong) assert.deepEqual(lines, entry.notes);
  });
}
