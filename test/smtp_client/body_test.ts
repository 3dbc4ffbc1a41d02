/** Dot-stuffing and line ends of outgoing data. */

import assert from "node:assert/strict";
import { DataEncoder, wireOctets } from "../../src/smtp_client/mod.ts";

const latin1 = new TextDecoder("latin1");

function encode(chunks: readonly Uint8Array[]): string {
  const encoder = new DataEncoder();
  return chunks.map((chunk, at) => latin1.decode(encoder.encode(chunk, { last: at === chunks.length - 1 }))).join("");
}

const rows = [
  { name: "a line ends with CRLF", body: "a\n", want: "a\r\n.\r\n" },
  { name: "an empty body is the end of data alone", body: "", want: ".\r\n" },
  { name: "a body without a line end gets one", body: "a", want: "a\r\n.\r\n" },
  { name: "a leading dot is doubled, others are not", body: ".a.\n..\nb.c\n", want: "..a.\r\n...\r\nb.c\r\n.\r\n" },
  { name: "a line that is a dot does not end the data", body: "a\n.\nb\n", want: "a\r\n..\r\nb\r\n.\r\n" },
  { name: "a dot at the very end", body: "a\n.", want: "a\r\n..\r\n.\r\n" },
  { name: "empty lines stay", body: "\n\na\n\n", want: "\r\n\r\na\r\n\r\n.\r\n" },
  { name: "a stored CRLF stays one line end", body: "a\r\n.b\r\n", want: "a\r\n..b\r\n.\r\n" },
  { name: "bare CRs around a dot cannot end the data", body: "a\r.\rb\n", want: "a . b\r\n.\r\n" },
  { name: "a CR before a CRLF is not sent", body: "a\r\r\n.\r\r\n", want: "a \r\n.. \r\n.\r\n" },
  { name: "a CR at the end", body: "a\n\r", want: "a\r\n \r\n.\r\n" },
  { name: "a CR at the start of a line before a dot", body: "\n\r.\n", want: "\r\n .\r\n.\r\n" },
  { name: "octets above 127 and NUL pass", body: "\xe4\x00\xff\n", want: "\xe4\x00\xff\r\n.\r\n" },
];

for (const { name, body, want } of rows) {
  Deno.test(`DataEncoder: ${name}, split at every octet`, () => {
    const bytes = Uint8Array.from(body, (character) => character.charCodeAt(0));
    assert.equal(encode([bytes]), want);
    for (let at = 0; at <= bytes.length; at++) {
      assert.equal(encode([bytes.subarray(0, at), bytes.subarray(at)]), want, `split at ${at}`);
    }
    assert.equal(encode([...Array.from(bytes, (octet) => Uint8Array.of(octet)), new Uint8Array()]), want);
  });
}

Deno.test("DataEncoder: no input makes a bare CR, a bare LF or an early end of data, and all are counted as RFC 1870 does", async () => {
  const alphabet = [10, 13, 46, 97, 0, 32];
  let seed = 1;
  for (let round = 0; round < 2000; round++) {
    const bytes = Uint8Array.from({ length: round % 12 }, () => {
      seed = (seed * 1103515245 + 12345) & 0x7fffffff;
      return alphabet[(seed >> 8) % alphabet.length]!;
    });
    const text = encode([bytes]);
    assert.equal(("\r\n" + text).indexOf("\r\n.\r\n"), text.length - 3, JSON.stringify(text));
    assert.doesNotMatch(text.replaceAll("\r\n", ""), /[\r\n]/);
    const cut = round % 5;
    const chunks = [bytes.subarray(0, cut), bytes.subarray(cut)];
    const body = { bytes: bytes.length, chunks: 2, chunk: (index: number) => chunks[index]! };
    // RFC 1870 §5: without doubled dots and the final one.
    const sent = text.slice(0, -3).replaceAll(/^\./gm, "").length;
    assert.equal(await wireOctets(body), sent, JSON.stringify(text));
  }
});
