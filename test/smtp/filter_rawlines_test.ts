/** Message data as filters get it: the end is found where it is and nowhere else, however the bytes come. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { RawLines } from "../../src/smtp/filter/rawlines.ts";
import { bytesOf, textOf } from "./support.ts";

interface Read {
  readonly lines: string;
  readonly fault: string | null;
  /** Behind the last line; null when it has not come. */
  readonly end: number | null;
}

/** Pieces of `text` cut at `cuts`, pushed one after the other. */
function read(text: string, cuts: readonly number[], maxBytes = 1000): Read {
  const raw = new RawLines(maxBytes);
  const input = bytesOf(text);
  const ends = [...cuts.map((cut) => cut % (text.length + 1)), text.length].toSorted((a, b) => a - b);
  let lines = "", at = 0;
  for (const end of ends) {
    at = raw.push(input, at, end);
    lines += textOf(raw.take());
    if (raw.done) return { lines, fault: raw.fault, end: at };
  }
  return { lines, fault: raw.fault, end: null };
}

/** RFC 5321 §4.1.1.4: the data ends with CRLF.CRLF, the first CRLF being that of the line before. */
function endOf(text: string): number | null {
  if (text.startsWith(".\r\n")) return 3;
  const at = text.indexOf("\r\n.\r\n");
  return at < 0 ? null : at + 5;
}

const data = fc.array(fc.constantFrom("a", ".", "\r", "\n", "\r\n", "\r\n.\r\n", "\0", "b c", "\xe9"), {
  maxLength: 30,
})
  .map((parts) => parts.join(""));

Deno.test("RawLines finds the end of the data where it is, and line ends that are none", () => {
  fc.assert(
    fc.property(data, fc.array(fc.nat(), { maxLength: 8 }), (text, cuts) => {
      const end = endOf(text);
      const seen = text.slice(0, end ?? text.length);
      const got = read(text, cuts);
      assert.equal(got.end, end);
      // A CR at the end may be followed by its LF still.
      const bare = /\r(?!\n)|(?<!\r)\n/.test(end === null ? seen.replace(/\r$/, "") : seen);
      assert.equal(got.fault, bare ? "bare" : null);
      if (got.fault === null && end !== null) assert.equal(got.lines, seen.replaceAll("\r\n", "\n"));
    }),
    { numRuns: 2000, seed: 7 },
  );
});

Deno.test("RawLines gives no line behind a fault but the last", () => {
  assert.deepEqual(read("one\r\n\rtwo\r\nthree\r\n.\r\n", []), { lines: "one\n.\n", fault: "bare", end: 21 });
});

Deno.test("RawLines says that a message is too large, and keeps nothing of the rest", () => {
  const { fault, lines, end } = read(`${"x".repeat(50)}\r\n`.repeat(30) + ".\r\n", [700], 1000);
  assert.equal(fault, "size");
  assert.equal(end, 52 * 30 + 3);
  assert.ok(lines.length < 1100 && lines.endsWith("\n.\n"));
});

Deno.test("RawLines counts CRLF as two and doubled dots as one, as EHLO's SIZE does (RFC 1870 §5)", () => {
  const message = "A: b\r\n\r\n..c\r\n.\r\n";
  assert.equal(read(message, [], 12).fault, null);
  assert.equal(read(message, [], 11).fault, "size");
});

Deno.test("RawLines says that a line never ends", () => {
  const raw = new RawLines(1 << 30);
  raw.push(bytesOf("x".repeat(70_000)), 0, 70_000);
  assert.equal(raw.fault, "line");
});
