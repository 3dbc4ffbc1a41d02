/** The pure parts: ends and their texts, headers, the mbox format, the last line of an output. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { fromLine, FromQuoter } from "../../src/delivery/methods/from_line.ts";
import { HeaderScan, traceLines, withoutCuts } from "../../src/delivery/headers.ts";
import { LastLine } from "../../src/delivery/methods/last_line.ts";
import { exited, interrupted, lookupFailed, quoted, thrown, unaccepted } from "../../src/delivery/methods/sysexits.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (parts: Uint8Array[]) => parts.map((part) => new TextDecoder().decode(part)).join("");

const codes: { code: number; status: string; words: string }[] = [
  { code: 1, status: "5.3.0", words: "x" },
  { code: 64, status: "5.3.0", words: "command line usage error: x" },
  { code: 65, status: "5.6.0", words: "data format error: x" },
  { code: 66, status: "5.3.0", words: "cannot open input: x" },
  { code: 67, status: "5.1.1", words: "user unknown: x" },
  { code: 68, status: "5.1.2", words: "host name unknown: x" },
  { code: 69, status: "5.3.0", words: "service unavailable: x" },
  { code: 70, status: "5.3.0", words: "internal software error: x" },
  { code: 71, status: "4.3.0", words: "system resource problem: x" },
  { code: 72, status: "5.3.0", words: "critical OS file missing: x" },
  { code: 73, status: "5.2.0", words: "can't create user output file: x" },
  { code: 74, status: "5.3.0", words: "input/output error: x" },
  { code: 75, status: "4.3.0", words: "temporary failure: x" },
  { code: 76, status: "5.5.0", words: "remote error in protocol: x" },
  { code: 77, status: "5.7.1", words: "permission denied: x" },
  { code: 78, status: "5.3.5", words: "local configuration error: x" },
  { code: 127, status: "5.3.0", words: "x" },
];
for (const { code, status, words } of codes) {
  Deno.test(`exited() makes ${status} of exit code ${code}, with "${words}" for log and notice`, () => {
    const { outcome, stat } = exited(code, "x");
    assert.ok("status" in outcome);
    assert.equal(`${outcome.status.class}.${outcome.status.code}`, status);
    assert.equal(outcome.result, status.startsWith("4") ? "tempfail" : "permfail");
    assert.equal(outcome.text, words);
    assert.equal(stat, `Error (${words})`);
  });
}

Deno.test("unaccepted() gives a notice the server's own words, and the log an exit code's as well", () => {
  assert.deepEqual(unaccepted("permfail", { text: "550 5.1.1 no", enhanced: "5.1.1", remote: "mx" }), {
    outcome: { result: "permfail", text: "550 5.1.1 no", status: { class: 5, code: "1.1" }, remote: "mx" },
    stat: "Error (service unavailable: 550 5.1.1 no)",
  });
  assert.deepEqual(unaccepted("tempfail", { text: "421 no" }), {
    outcome: { result: "tempfail", text: "421 no", status: { class: 4, code: "3.0" } },
    stat: "Error (temporary failure: 421 no)",
  });
});

Deno.test("interrupted() is worth another try and has no phrase", () => {
  assert.deepEqual(interrupted("terminated; signal 9"), {
    outcome: { result: "tempfail", text: "terminated; signal 9", status: { class: 4, code: "3.0" } },
    stat: "Error (terminated; signal 9)",
  });
});
Deno.test("lookupFailed() tells a missing account from a lookup that did not work", () => {
  assert.deepEqual(lookupFailed({ temporary: true, text: "" }).outcome, {
    result: "tempfail",
    text: "Temporary failure in user lookup",
    status: { class: 4, code: "1.0" },
  });
  assert.deepEqual(lookupFailed({ temporary: false, text: "" }), {
    outcome: { result: "permfail", text: "Permanent failure in user lookup", status: { class: 5, code: "1.6" } },
    stat: "Permanent failure in user lookup",
  });
});
Deno.test("thrown() takes an unknown error for a temporary one", () => {
  assert.equal(thrown(new Error("surprise")).outcome.result, "tempfail");
});
Deno.test("quoted() shows control characters and keeps to 255 characters", () => {
  assert.equal(quoted(bytes('a\\b\t"é\x1b[1m')), '"a\\\\b\\t"\\303\\251\\033[1m"');
  assert.equal(quoted("x".repeat(300)), `"${"x".repeat(255)}"`);
});

const headers: { header: string; loop: boolean; junk: boolean; because: string }[] = [
  {
    header: "Delivered-To: bob@example.org\n",
    loop: true,
    junk: false,
    because: "it was delivered to this very address",
  },
  { header: "delivered-to: BOB@EXAMPLE.ORG\r\n", loop: true, junk: false, because: "case does not matter" },
  { header: "Delivered-To: bob2@example.org\n", loop: false, junk: false, because: "that is somebody else" },
  { header: "X-Delivered-To: bob@example.org\n", loop: false, junk: false, because: "that is another field" },
  { header: "A: b\n\nDelivered-To: bob@example.org\n", loop: false, junk: false, because: "that is in the body" },
  { header: "Subject: x\nDelivered-To: bob@example.org", loop: false, junk: false, because: "a line ends with LF" },
  { header: "X-Spam: yes\n", loop: false, junk: true, because: "a filter marked it" },
  { header: "x-spam-flag: YES\n", loop: false, junk: true, because: "a filter marked it" },
  { header: "X-Spam: yes, really\n", loop: false, junk: false, because: "the line is not exactly that" },
  { header: "X-Spam-Score: yes\n", loop: false, junk: false, because: "that is another field" },
];
for (const { header, loop, junk, because } of headers) {
  Deno.test(`HeaderScan finds loop=${loop} junk=${junk} in ${JSON.stringify(header)}: ${because}`, () => {
    for (const size of [1, 3, 1000]) {
      const scan = new HeaderScan({ local: "Bob", domain: "Example.org" });
      const all = bytes(header);
      for (let at = 0; at < all.length; at += size) scan.feed(all.subarray(at, at + size));
      assert.deepEqual({ loop: scan.loop, junk: scan.junk }, { loop, junk }, `chunks of ${size}`);
    }
  });
}

const forged: { body: string; left?: string; because: string }[] = [
  { body: "A: b\n\nReturn-Path: <x@y>\n", because: "the body is not the header" },
  { body: "Return-Path: <x@y>\nA: b\n\nx\n", left: "A: b\n\nx\n", because: "in front" },
  {
    body: "A: b\nRETURN-path : <x@y>\n (z)\n\tz\n B: c\nC: d\nreturn-path:\n\nx\n",
    left: "A: b\nC: d\n\nx\n",
    because: "in any spelling, with its folding, at any place",
  },
  { body: "Return-Path: a\nReturn-Path: b\n", left: "", because: "nothing else" },
  { body: "Return-Path: a\r\nA: b\r\n\r\nx", left: "A: b\r\n\r\nx", because: "with CRLF" },
  { body: "X-Return-Path: a\nReturn-Path-X: b\nReturn: c\n\n", because: "other names" },
  { body: "From a b\nReturn-Path: a\nA: b\n\n", left: "From a b\nA: b\n\n", because: "behind a From_ line" },
  { body: "hello\nReturn-Path: a\n\nx\n", because: "what has no header has none" },
  { body: " x\nA: b\n\nx\n", because: "folded for no reason" },
  {
    body: `Return-Path: ${"x".repeat(3000)}\n ${"y".repeat(3000)}\nA: ${"z".repeat(3000)}\n\nx\n`,
    left: `A: ${"z".repeat(3000)}\n\nx\n`,
    because: "lines that are longer than what is looked at",
  },
  { body: "", because: "no message at all" },
];
for (const { body, left = body, because } of forged) {
  Deno.test(`Return-Path fields of others are left out, however the body is cut: ${because}`, async () => {
    for (const size of body.length > 1000 ? [700, 100_000] : [1, 2, 3, 7, 1000]) {
      const all = bytes(body);
      const chunks = Array.from(
        { length: Math.max(1, Math.ceil(all.length / size)) },
        (_, at) => all.subarray(at * size, (at + 1) * size),
      );
      const scan = new HeaderScan({ local: "bob", domain: "example.org" });
      for (const chunk of chunks) scan.feed(chunk);
      const stored = {
        bytes: all.length,
        chunks: chunks.length,
        first: chunks[0]!,
        chunk: (index: number) => Promise.resolve(chunks[index]!),
      };
      const clean = withoutCuts(stored, scan.returnPaths);
      const parts = [clean.first];
      for (let index = 1; index < clean.chunks; index++) parts.push(await clean.chunk(index));
      assert.equal(text(parts), left, `chunks of ${size}`);
      assert.equal(clean.bytes, bytes(left).length);
    }
  });
}

Deno.test("traceLines() names the original recipient, and <> for the null sender", () => {
  const rcpt = { local: "Bob", domain: "Example.org" };
  assert.equal(traceLines({ sender: null, rcpt }), "Return-Path: <>\nDelivered-To: Bob@Example.org\n");
  assert.equal(
    traceLines({ sender: { local: "a", domain: "b.c" }, rcpt }),
    "Return-Path: <a@b.c>\nDelivered-To: Bob@Example.org\n",
  );
});
Deno.test("traceLines() never writes a second header line", () => {
  const lines = traceLines({ sender: { local: "a\nX-Evil: 1", domain: "b" }, rcpt: { local: "b\r\n", domain: "c" } });
  assert.equal(lines.split("\n").length, 3);
});

Deno.test("fromLine() writes the date as ctime does, in the zone of the daemon", () => {
  const at = Date.UTC(2026, 0, 5, 23, 4, 5);
  assert.equal(fromLine("a@b", at, "UTC"), "From a@b Mon Jan  5 23:04:05 2026\n");
  assert.equal(fromLine("a@b", at, "Europe/Berlin"), "From a@b Tue Jan  6 00:04:05 2026\n");
});

const quotings: { body: string; system: string; file: string }[] = [
  { body: "A: b\n\nx\n", system: "A: b\n\nx\n\n", file: "A: b\n\nx\n\n" },
  { body: "A: b\n\nFrom x\n", system: "A: b\n\n>From x\n\n", file: "A: b\n\n>From x\n\n" },
  { body: "A: b\n\nx\nFrom x\n", system: "A: b\n\nx\nFrom x\n\n", file: "A: b\n\nx\n>From x\n\n" },
  { body: "From: b\n\nFromage\n", system: "From: b\n\nFromage\n\n", file: "From: b\n\nFromage\n\n" },
  { body: "\n\nFrom ", system: "\n\n>From \n\n", file: "\n\n>From \n\n" },
  { body: "no line end", system: "no line end\n\n", file: "no line end\n\n" },
  { body: "\nFro", system: "\nFro\n\n", file: "\nFro\n\n" },
  { body: "", system: "\n", file: "\n" },
];
for (const { body, system, file } of quotings) {
  Deno.test(`FromQuoter writes ${JSON.stringify(body)} as a reader of mailboxes needs it`, () => {
    for (const [everyLine, want] of [[false, system], [true, file]] as const) {
      for (const size of [1, 2, 5, 1000]) assert.equal(quote(body, everyLine, size), want, `chunks of ${size}`);
    }
  });
}
Deno.test("FromQuoter gives the same bytes however the body is cut, and none that starts a message", () => {
  const piece = fc.constantFrom("From ", "From", "\n", "\n\n", "x", ">From ", "F", "ro");
  fc.assert(fc.property(fc.array(piece), fc.integer({ min: 1, max: 9 }), (pieces, size) => {
    const body = pieces.join("");
    const whole = quote(body, true, 1_000_000);
    assert.equal(quote(body, true, size), whole);
    assert.ok(!/^From /m.test(whole));
    assert.equal(quote(body, false, size), quote(body, false, 1_000_000));
    assert.ok(!/\n\nFrom /.test(quote(body, false, size)));
  }));
});
function quote(body: string, everyLine: boolean, size: number): string {
  const out: Uint8Array[] = [];
  const write = (piece: Uint8Array) => void out.push(piece.slice());
  const quoter = new FromQuoter({ everyLine });
  const all = bytes(body);
  for (let at = 0; at < all.length; at += size) quoter.push(all.slice(at, at + size), write);
  quoter.finish(write);
  return text(out);
}

const outputs: { output: string; want: string }[] = [
  { output: "one\ntwo\n", want: "two" },
  { output: "one\ntwo", want: "two" },
  { output: "one\n\n\n", want: "one" },
  { output: "", want: "" },
  { output: "\n", want: "" },
  { output: "x".repeat(3000) + "\n", want: "x".repeat(1024) },
];
for (const { output, want } of outputs) {
  Deno.test(`LastLine of ${JSON.stringify(output.slice(0, 20))} is ${JSON.stringify(want.slice(0, 20))}`, () => {
    for (const size of [1, 2, 4, 10_000]) {
      const last = new LastLine();
      const all = bytes(output);
      for (let at = 0; at < all.length; at += size) last.push(all.subarray(at, at + size));
      assert.equal(text([last.bytes()]), want, `chunks of ${size}`);
    }
  });
}
