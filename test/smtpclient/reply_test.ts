/** The reply reader and the keywords of EHLO. */

import assert from "node:assert/strict";
import { formatReply, parseCapabilities, type Reply, ReplyReader } from "../../src/smtp/client/mod.ts";

const encoder = new TextEncoder();

function read(text: string, cut = text.length): { error: string | null; replies: Reply[]; idle: boolean } {
  const reader = new ReplyReader();
  const replies: Reply[] = [];
  const bytes = encoder.encode(text);
  const error = reader.push(bytes.subarray(0, cut), replies) ??
    (cut < bytes.length ? reader.push(bytes.subarray(cut), replies) : null);
  return { error, replies, idle: reader.idle };
}

const good = [
  { name: "one line", input: "250 2.0.0 ok\r\n", want: ["250 2.0.0 ok"] },
  { name: "a code alone", input: "250\r\n", want: ["250"] },
  { name: "a code and a space", input: "250 \r\n", want: ["250"] },
  {
    name: "lines are joined and keep one enhanced code",
    input: "550-5.1.1 no\r\n550 5.1.1 such user\r\n",
    want: ["550 5.1.1 no such user"],
  },
  { name: "a line end of LF is taken", input: "220 hi\n250 x\n", want: ["220 hi", "250 x"] },
  { name: "several replies at once", input: "250 a\r\n550 b\r\n354 c\r\n", want: ["250 a", "550 b", "354 c"] },
  { name: "control characters become spaces", input: "550 a\x1b[0m\tb\x00\r\n", want: ["550 a [0m b"] },
  { name: "a line of 2047 octets", input: `250 ${"x".repeat(2043)}\r\n`, want: [`250 ${"x".repeat(2043)}`] },
];
for (const { name, input, want } of good) {
  Deno.test(`ReplyReader takes ${name}, split at every octet`, () => {
    const cuts = input.length > 200
      ? [1, 3, 4, 2046, 2047, 2048, input.length - 1, input.length]
      : [...input].map((_, at) => at);
    for (const cut of cuts) {
      const { error, replies, idle } = read(input, cut);
      assert.equal(error, null);
      assert.deepEqual(replies.map(formatReply), want);
      assert.equal(idle, true);
    }
  });
}

const bad = [
  { name: "a line of 2048 octets", input: `250 ${"x".repeat(2044)}\r\n`, want: "Line too long in reply" },
  { name: "a line that does not end", input: "2".repeat(5000), want: "Line too long in reply" },
  { name: "a code that starts with 1", input: "100 x\r\n", want: "Invalid reply code" },
  { name: "a code that starts with 6", input: "600 x\r\n", want: "Invalid reply code" },
  { name: "text without a code", input: "hello\r\n", want: "Invalid reply code" },
  { name: "a code of four digits", input: "2500 x\r\n", want: "Invalid reply code" },
  { name: "an empty line", input: "\r\n", want: "Invalid reply code" },
  { name: "a letter in the code", input: "25o x\r\n", want: "Invalid reply code" },
  { name: "a reply without end", input: "250-x\r\n".repeat(1025), want: "Too many lines in reply" },
];
for (const { name, input, want } of bad) {
  Deno.test(`ReplyReader refuses ${name}`, () => assert.equal(read(input).error, want));
}

Deno.test("ReplyReader is not idle in the middle of a reply", () => {
  assert.equal(read("250-a\r\n").idle, false);
  assert.equal(read("250 a\r\n2").idle, false);
});

Deno.test("parseCapabilities reads keywords in any case and ignores those it does not know", () => {
  const { replies } = read(
    "250-mx.example.net\r\n250-starttls\r\n250-SIZE 1000\r\n250-Auth PLAIN login\r\n250-AUTH=CRAM-MD5\r\n250-requiretls\r\n" +
      "250-limits mailmax=5 RCPTMAX=1000000 X=1\r\n250 XNEW\r\n",
  );
  const found = parseCapabilities(replies[0]!);
  assert.deepEqual(found, {
    startTls: true,
    pipelining: false,
    dsn: false,
    eightBitMime: false,
    smtpUtf8: false,
    auth: ["PLAIN", "LOGIN", "CRAM-MD5"],
    requireTls: true,
    size: 1000,
    mailMax: 5,
    // RFC 9422 §4: seven digits are no limit.
    rcptMax: null,
  });
});

Deno.test("parseCapabilities takes SIZE without a number as no limit, and the server's name for no keyword", () => {
  assert.equal(parseCapabilities(read("250-STARTTLS\r\n250 SIZE\r\n").replies[0]!).size, 0);
  assert.equal(parseCapabilities(read("250 STARTTLS\r\n").replies[0]!).startTls, false);
});
