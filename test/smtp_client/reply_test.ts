/** The reply reader and the keywords of EHLO. */

import assert from "node:assert/strict";
import { formatReply, parseCapabilities, type Reply, ReplyReader } from "../../src/smtp_client/mod.ts";

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
  { name: "a line of 2048 octets, cut", input: `250 ${"x".repeat(2044)}\r\n`, want: [`250 ${"x".repeat(2043)}`] },
  { name: "a line of 2048 octets with LF", input: `550 ${"x".repeat(2044)}\n`, want: [`550 ${"x".repeat(2043)}`] },
  {
    name: "a long line and what follows it",
    input: `550-5.7.1 ${"x".repeat(9_000)}\r\n550 5.7.1 y\r\n250 z\r\n`,
    want: [`550 5.7.1 ${"x".repeat(2037)} y`.slice(0, 4 + 2047), "250 z"],
  },
  { name: "the code of the last line", input: "250-a\r\n550 b\r\n", want: ["550 a b"] },
  {
    name: "lines without a code inside a reply, as text",
    input: "250-a\r\nwarning: 25 x\r\n\r\n2500\r\n250 b\r\n",
    want: ["250 a warning: 25 x 2500 b"],
  },
  { name: "C1 controls and line separators as spaces", input: "550 a\u0085b\u2028c\r\n", want: ["550 a b c"] },
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
  { name: "a line that does not end", input: "2".repeat(2 ** 20 + 1), want: `Invalid reply code: "${"2".repeat(80)}"` },
  { name: "a code that starts with 1", input: "100 x\r\n", want: 'Invalid reply code: "100 x"' },
  { name: "a code that starts with 6", input: "600 x\r\n", want: 'Invalid reply code: "600 x"' },
  { name: "text without a code", input: "hello\x1b\r\n", want: 'Invalid reply code: "hello"' },
  { name: "a code of four digits", input: "2500 x\r\n", want: 'Invalid reply code: "2500 x"' },
  { name: "an empty line", input: "\r\n", want: 'Invalid reply code: ""' },
  { name: "a letter in the code", input: "25o x\r\n", want: 'Invalid reply code: "25o x"' },
];
for (const { name, input, want } of bad) {
  Deno.test(`ReplyReader refuses ${name}`, () => assert.equal(read(input).error, want));
}

const endless = [
  { name: "many lines", input: "550-x\r\n".repeat(2 ** 20 / 7 + 1), want: `550 ${"x ".repeat(1023)}x` },
  { name: "one line", input: `550 ${"x".repeat(2 ** 20)}`, want: `550 ${"x".repeat(2043)}` },
  { name: "a line behind others", input: `550-a\r\n550-${"x".repeat(2 ** 20)}`, want: `550 a ${"x".repeat(2043)}` },
];
for (const { name, input, want } of endless) {
  Deno.test(`ReplyReader counts a reply without end, of ${name}, by its code`, () => {
    for (const cut of [1_000, 300_000, input.length]) {
      const { error, replies } = read(input, cut);
      assert.equal(error, "Reply of the remote host is too long");
      assert.deepEqual(replies.map(formatReply), [want]);
    }
  });
}

Deno.test("ReplyReader keeps 1,024 lines of a reply, and takes what follows it", () => {
  const { error, replies } = read("250-x\r\n".repeat(5_000) + "250 y\r\n550 z\r\n");
  assert.equal(error, null);
  assert.deepEqual(replies.map(({ code, lines }) => `${code} ${lines.length}`), ["250 1024", "550 1"]);
});

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
