/** The parser is total: whatever the text is, it ends, throws nothing and says something printable. Seeded, so that a failure comes again. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { formatDiagnostic, parseConfig } from "../../src/smtpd_conf/mod.ts";
import type { ParseResult } from "../../src/config/mod.ts";
import { LANGUAGE_LIMITS } from "../../src/config/limits.ts";
import { RESERVED } from "../../src/config/words.ts";
import { entries, KINDS } from "./corpus.ts";
import { memoryFiles, parse, readTableFile, RULE } from "./helper.ts";

const seed = 20_261_122;

function isSound(result: ParseResult): void {
  if (result.ok) return void structuredClone(result.config);
  assert.ok(result.diagnostics.length > 0 || result.fatal !== null);
  assert.ok(result.diagnostics.length <= LANGUAGE_LIMITS.diagnostics);
  for (const diagnostic of result.diagnostics) {
    assert.ok(diagnostic.line >= 1);
    // deno-lint-ignore no-control-regex -- what must not reach a terminal
    assert.doesNotMatch(formatDiagnostic(diagnostic), /[\x00-\x1f\x7f]/);
  }
}

Deno.test("parseConfig() is total on any bytes", () => {
  const decoder = new TextDecoder();
  const property = fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => isSound(parse(decoder.decode(bytes))));
  fc.assert(property, { seed, numRuns: 1500 });
});

Deno.test("parseConfig() is total on any sequence of what its tokens are made of", () => {
  const pieces = [
    ...RESERVED,
    "a",
    "$a",
    "$b",
    '"',
    "'",
    '"x"',
    "{",
    "}",
    "<",
    ">",
    "=",
    "=>",
    ",",
    "!",
    "\n",
    "\\\n",
    "\\",
    "#",
    "25",
    "4d",
    "-",
    "/x",
    "\0",
    "admin",
  ];
  const text = fc.array(fc.tuple(fc.constantFrom(...pieces), fc.constantFrom(" ", "", "\n")), { maxLength: 60 });
  const property = fc.property(text, (words) => isSound(parse(`a = "b c"\n${words.flat().join("")}`)));
  fc.assert(property, { seed, numRuns: 3000 });
});

Deno.test("parseConfig() is total on damaged configurations", () => {
  const folder = new URL("../../conf/", import.meta.url);
  const texts = [
    "smtpd.conf",
    ...[...Deno.readDirSync(new URL("examples/", folder))].map(({ name }) => `examples/${name}`),
  ]
    .map((name) => Deno.readTextFileSync(new URL(name, folder)));
  for (const kind of KINDS) texts.push(...entries(kind).map(({ text }) => text).filter((text) => text.length < 4000));
  const damage = fc.record({
    text: fc.constantFrom(...texts),
    cuts: fc.array(
      fc.record({ at: fc.double({ min: 0, max: 1, noNaN: true }), drop: fc.nat(20), put: fc.string({ maxLength: 8 }) }),
      {
        minLength: 1,
        maxLength: 5,
      },
    ),
  });
  const property = fc.property(damage, ({ text, cuts }) => {
    let damaged = text;
    for (const { at, drop, put } of cuts) {
      const place = Math.floor(at * damaged.length);
      damaged = damaged.slice(0, place) + put + damaged.slice(place + drop);
    }
    isSound(parse(damaged, { files: { "/etc/aliases": "a: b\n" } }));
  });
  fc.assert(property, { seed, numRuns: 6000 });
});

Deno.test("scanTableFile() is total, and its keys are sorted, unique and in lower case", () => {
  const line = fc.array(fc.constantFrom("a", "B", "é", "[", "]", ":", " ", "\t", "\r", "#", "# @list", "😀"), {
    maxLength: 8,
  });
  const property = fc.property(fc.array(line, { maxLength: 12 }), (lines) => {
    const result = readTableFile(lines.map((words) => words.join("")).join("\n"));
    if (!result.ok) return;
    const keys = result.entries.map(([key]) => key);
    assert.equal(new Set(keys).size, keys.length);
    for (const key of keys) assert.doesNotMatch(key, /[A-Z]/);
  });
  fc.assert(property, { seed, numRuns: 2000 });
});

Deno.test("parseConfig() ends when files include each other in every way", () => {
  const all = Array.from({ length: 20 }, (_, file) => `include "/${file}"\n`).join("");
  const files = Object.fromEntries(Array.from({ length: 20 }, (_, file) => [`/${file}`, all]));
  const result = parse(all, { files });
  isSound(result);
  assert.ok(!result.ok && result.diagnostics.length === LANGUAGE_LIMITS.diagnostics);
});

Deno.test("parseConfig() ends when every line includes two files of the next depth", () => {
  let reads = 0;
  const files = {
    readText(path: string): string {
      reads++;
      const next = `${path}a`;
      return `include "${next}"\ninclude "${next}"\n`;
    },
  };
  isSound(parseConfig("c", { defines: [], files }));
  assert.ok(reads <= LANGUAGE_LIMITS.includes + 1);
});

Deno.test("parseConfig() refuses more text than a configuration ever has, macros counted in full", () => {
  const text = `a = "${"x ".repeat(4000)}"\ntable t {${" $a".repeat(2000)} }${RULE}`;
  const result = parseConfig("c", { defines: [], files: memoryFiles({ c: text }) });
  assert.ok(!result.ok);
  assert.equal(result.diagnostics[0]?.message, "configuration is too large");
});
