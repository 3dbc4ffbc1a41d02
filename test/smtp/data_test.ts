import assert from "node:assert/strict";
import { DataReader, type Fault, MAX_LINE_OCTETS } from "../../src/smtp/message/data.ts";
import type { Assembly } from "../../src/smtp/message/header.ts";
import { bytesOf, textOf } from "./support.ts";

class Buffer implements Assembly {
  buffer = new Uint8Array(16);
  length = 0;
  readonly sent = 0;
  reserve(extra: number): void {
    if (this.length + extra <= this.buffer.length) return;
    const bigger = new Uint8Array(this.length + extra);
    bigger.set(this.buffer.subarray(0, this.length));
    this.buffer = bigger;
  }
  get text(): string {
    return textOf(this.buffer.subarray(0, this.length));
  }
}

interface Read {
  readonly text: string;
  readonly fault: Fault | null;
  readonly done: boolean;
  readonly left: string;
  readonly received: number;
}

/** Reads the parts one after another. */
function read(parts: readonly Uint8Array[], maxBytes = 1_000_000): Read {
  const to = new Buffer();
  const reader = new DataReader(to, { maxBytes, completion: null });
  let left = "";
  for (const part of parts) {
    const stopped = reader.done ? 0 : reader.push(part, 0, part.length);
    left += textOf(part.subarray(stopped));
  }
  return { text: to.text, fault: reader.fault, done: reader.done, left, received: reader.received };
}

const H = "A: b\r\n\r\n";

Deno.test("DataReader: of a message that is too big twice the maximum is read, then no more", () => {
  const parts = (count: number) => Array.from({ length: count }, () => bytesOf(`${"x".repeat(998)}\r\n`));
  assert.equal(read([bytesOf(H), ...parts(100)], 20_000).fault, "size");
  assert.equal(read([bytesOf(H), ...parts(110)], 20_000).fault, "endless");
  assert.equal(read([bytesOf(`${H}\n`), ...parts(110)], 20_000).fault, "endless", "whatever else is wrong with it");
});

Deno.test("DataReader: of two faults of a message the first counts, in whatever pieces it comes", () => {
  const message = bytesOf(`${"Received: x\r\n".repeat(200)}\r\n${"x\r\n".repeat(100)}.\r\n`);
  for (const [maxBytes, fault] of [[100, "size"], [2000, "loop"]] as const) {
    for (const piece of [1, 7, 500, message.length]) {
      const parts = Array.from(
        { length: Math.ceil(message.length / piece) },
        (_, index) => message.slice(index * piece, (index + 1) * piece),
      );
      assert.equal(read(parts, maxBytes).fault, fault, `${maxBytes} octets in pieces of ${piece}`);
    }
  }
});

const rows: readonly { input: string; text?: string; fault?: Fault; done?: false; left?: string; because: string }[] = [
  { input: ".\r\n", text: "", because: "an empty message" },
  { input: `${H}.\r\n`, text: "A: b\n\n", because: "an empty body" },
  { input: "A: b\r\n.\r\n", text: "A: b\n", because: "a header alone" },
  { input: `${H}x\r\n.\r\nQUIT\r\n`, text: "A: b\n\nx\n", left: "QUIT\r\n", because: "what follows is not touched" },
  { input: `${H}..\r\n.\r\n`, text: "A: b\n\n.\n", because: "two dots are one" },
  { input: `${H}..x\r\n.\r\n`, text: "A: b\n\n.x\n", because: "a dot in front is taken away" },
  { input: `${H}.x\r\n.\r\n`, text: "A: b\n\nx\n", because: "even where none should have been" },
  { input: `${H}x.\r\n.\r\n`, text: "A: b\n\nx.\n", because: "a dot elsewhere is not" },
  { input: `${H}...\r\n.\r\n`, text: "A: b\n\n..\n", because: "only one dot is" },
  { input: `${H}\xff\xfe\x80\r\n.\r\n`, text: "A: b\n\n\xff\xfe\x80\n", because: "8 bits pass" },
  { input: `${H}x\r\n.`, text: "A: b\n\nx\n", done: false, because: "a dot is not the end" },
  { input: `${H}x\r\n.\r`, text: "A: b\n\nx\n", done: false, because: "nor with its CR" },
  { input: `${H}x\n.\r\n.\r\n`, fault: "bare", because: "LF.CRLF is not the end" },
  { input: `${H}x\n.\n.\r\n`, fault: "bare", done: false, because: "LF.LF is not the end, nor is LF.CRLF behind it" },
  { input: `${H}x\r\n.\n.\r\n`, fault: "bare", done: false, because: "CRLF.LF is not the end" },
  { input: `${H}x\r\n.\n\r\n.\r\n`, fault: "bare", because: "CRLF.LF is not the end, CRLF.CRLF behind it is" },
  { input: `${H}x\r\n.\rx\r\n.\r\n`, fault: "bare", because: "CRLF.CR is not the end" },
  { input: `${H}x\r.\r\r\n.\r\n`, fault: "bare", because: "CR.CR is not the end" },
  { input: `${H}x\r\r\n.\r\n`, fault: "bare", because: "CR CR LF" },
  { input: `${H}x\ry\r\n.\r\n`, fault: "bare", because: "CR inside a line" },
  { input: `${H}\n\n\r\n.\r\n`, fault: "bare", because: "LF alone" },
  { input: `${H}x\r\n.\r\r\n.\r\n`, fault: "bare", because: "a dot with two CR" },
  { input: `${H}\r\0\n.\r\n\r\n.\r\n`, fault: "bare", because: "NUL between CR and LF" },
  { input: `${H}a\0b\0\r\n\0\r\n.\r\n`, text: "A: b\n\na\0b\0\n\0\n", because: "NUL is data" },
  { input: "A: \0\r\n\0\r\n.\r\n", text: "A: \0\n\0\n", because: "in the header section too" },
  { input: "no header\r\n.\r\n", text: "no header\n", because: "no colon in the first line" },
  { input: "x y\nz: 1\r\n.\r\n", fault: "bare", because: "a bare LF is reported before anything else" },
];
for (const { input, text, fault, done, left, because } of rows) {
  Deno.test(`DataReader, split at every byte and byte by byte: ${because}`, () => {
    const bytes = bytesOf(input);
    const want = {
      text: fault === undefined ? text : "",
      fault: fault ?? null,
      done: done ?? true,
      left: left ?? "",
    };
    const cuts = [...bytes.keys()].map((at) => [bytes.subarray(0, at), bytes.subarray(at)]);
    cuts.push([...bytes].map((byte) => Uint8Array.of(byte)));
    for (const parts of cuts) {
      const { received: _, ...seen } = read(parts);
      assert.deepEqual(seen, want);
    }
  });
}

Deno.test("DataReader takes a line of 65534 octets and refuses a longer one at once, in header and body", () => {
  for (const head of ["", H]) {
    const longest = `${head}A: ${"x".repeat(MAX_LINE_OCTETS - 3)}\r\n.\r\n`;
    assert.equal(read([bytesOf(longest)]).fault, null);
    const longer = `${head}A: ${"x".repeat(MAX_LINE_OCTETS - 2)}`;
    assert.equal(read([bytesOf(longer)]).fault, "line");
    assert.equal(read([bytesOf(`${longer}\r\n.\r\n`)]).fault, "line");
  }
});

Deno.test("DataReader counts CRLF as two, as EHLO's SIZE does (RFC 1870 §5), and refuses what is over the limit, keeping nothing", () => {
  const message = bytesOf(`${H}${"..345678\r\n".repeat(10)}.\r\n`);
  const size = 8 + 10 * 10 - 10;
  assert.deepEqual(read([message], size), {
    text: `A: b\n\n${".345678\n".repeat(10)}`,
    fault: null,
    done: true,
    left: "",
    received: size,
  });
  const over = read([message], size - 1);
  assert.equal(over.fault, "size");
  assert.equal(over.text, "");
  assert.ok(over.done);
});

Deno.test("DataReader passes 5,000 header fields and lines of 998 and 5,000 octets", () => {
  const head = Array.from({ length: 5000 }, (_, index) => `X-Field-${index}: ${"v".repeat(index % 70)}\r\n`).join("");
  const body = `${"y".repeat(998)}\r\n${"z".repeat(5000)}\r\n`;
  const bytes = bytesOf(`${head}\r\n${body}.\r\n`);
  const parts: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 1460) parts.push(bytes.subarray(at, at + 1460));
  const seen = read(parts);
  assert.equal(seen.fault, null);
  assert.ok(seen.done);
  assert.equal(seen.text, `${head}\r\n${body}`.replaceAll("\r\n", "\n"));
});
