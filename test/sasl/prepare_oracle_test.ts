/** SASLprep beside the tables of RFC 3454 that Python has: every code point of Unicode 3.2, alone and among letters of either direction. */

import assert from "node:assert/strict";
import { prepare } from "../../src/sasl/mod.ts";

const ORACLE = `
import functools, stringprep as s, unicodedata
PROHIBITED = [s.in_table_c12, s.in_table_c21_c22, s.in_table_c3, s.in_table_c4, s.in_table_c5, s.in_table_c6, s.in_table_c7,
              s.in_table_c8, s.in_table_c9, s.in_table_a1]
@functools.lru_cache(4)
def prohibited(c): return any(table(c) for table in PROHIBITED)
def prep(text):
    # U+200B is in both tables: a space, as for libidn and PostgreSQL.
    text = "".join(" " if s.in_table_c12(c) else c for c in text if s.in_table_c12(c) or not s.in_table_b1(c))
    text = unicodedata.ucd_3_2_0.normalize("NFKC", text)
    if text == "" or any(prohibited(c) for c in text): return None
    if any(s.in_table_d1(c) for c in text):
        if any(s.in_table_d2(c) for c in text) or not s.in_table_d1(text[0]) or not s.in_table_d1(text[-1]): return None
    return text
for point in [*range(0x20, 0xd800), *range(0xe000, 0x11000), *range(0x1d400, 0x1d800), *range(0xe0000, 0xe0080)]:
    if s.in_table_a1(chr(point)): continue
    for text in (chr(point), "a" + chr(point), "\\u05d0" + chr(point) + "\\u05d0"):
        prepared = prep(text)
        print(text.encode().hex(), "-" if prepared is None else prepared.encode().hex())
`;

Deno.test("prepare() agrees with the tables of RFC 3454 about every code point that Unicode 3.2 has", async () => {
  const { stdout, success } = await new Deno.Command("python3", { args: ["-c", ORACLE] }).output();
  assert.ok(success);
  const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  const text = (hex: string) => decoder.decode(Uint8Array.fromHex(hex));
  const lines = new TextDecoder().decode(stdout).trimEnd().split("\n");
  assert.ok(lines.length > 150_000, `${lines.length}`);
  const wrong = lines.filter((line) => {
    const [given, want] = line.split(" ") as [string, string];
    return prepare(text(given), "stored") !== (want === "-" ? null : text(want));
  });
  assert.deepEqual(wrong.slice(0, 40), []);
});
