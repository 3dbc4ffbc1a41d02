import assert from "node:assert/strict";
import type { QueueToSmtp, SmtpToQueue } from "../../src/protocol/mod.ts";
import { missingDomains } from "../../src/smtp/message/complete.ts";
import { DataReader, type Fault } from "../../src/smtp/message/data.ts";
import { MessageBuffer } from "../../src/smtp/message/message_buffer.ts";
import { QueueClient } from "../../src/smtp/queue_client.ts";
import { MAX_FIELD_NAME_OCTETS, MAX_HEADER_OCTETS } from "../../src/smtp/message/header.ts";
import { dateWriter, receivedField, type Trace } from "../../src/smtp/message/received.ts";
import { bytesOf, EPOCH, FakeChannel, textOf } from "./support.ts";
import { msgid } from "../ids.ts";

const OTHERS = "front\n";

/** What becomes of a message with these lines, in transit or submitted. */
function fixed(
  lines: string,
  submission = false,
  masquerade = "",
  more: { readonly isForged?: (field: Uint8Array) => boolean } = {},
): { text: string; fault: Fault | null } {
  const channel = new FakeChannel<SmtpToQueue, QueueToSmtp>(() => {});
  const body = new MessageBuffer(msgid("00000001"), new QueueClient(channel));
  body.reserve(OTHERS.length);
  body.buffer.set(bytesOf(OTHERS));
  body.length = OTHERS.length;
  const reader = new DataReader(body, {
    maxBytes: 10_000_000,
    completion: submission
      ? {
        domain: bytesOf("host.example"),
        fields: { date: () => "DATE", messageId: () => "<ID>", from: () => "me@x.example" },
        masquerade: masquerade === "" ? null : bytesOf(masquerade),
      }
      : null,
    ...more,
  });
  const input = bytesOf(`${lines.replaceAll("\n", "\r\n")}.\r\n`);
  for (let at = 0; at < input.length;) {
    const room = body.room(reader, input.length - at);
    assert.notEqual(room, 0, "a header section must not need more than one buffer here");
    at = reader.push(input, at, at + room);
  }
  const sent = channel.sent.map((message) => message.type === "chunk" ? textOf(message.bytes) : "").join("");
  const text = sent + textOf(body.buffer.subarray(0, body.length));
  if (reader.fault !== null) return { text, fault: reader.fault };
  assert.ok(text.startsWith(OTHERS), "what stands in front stays there");
  return { text: text.slice(OTHERS.length), fault: null };
}

const LONG_TO = `To: a,\n${" b@c,\n".repeat(11000)} d\n`;
const LONG_NAME = `${"N".repeat(MAX_FIELD_NAME_OCTETS + 1)}: b\n`;

const transit: readonly { in: string; out?: string; fault?: Fault; because: string }[] = [
  { in: "A: b\n\nx\n", because: "a plain message" },
  { in: "", because: "an empty one" },
  { in: "\nx\n", because: "no header at all" },
  { in: "A: b\n", because: "no body" },
  {
    in: "To: Friends\nCc: undisclosed recipients\nFrom: Doe, John <a@b>\nBcc: c@d,\n e\nTo: root\nBCC : f\n\nx\n",
    because: "addresses without a domain, Bcc, and fields that stand twice",
  },
  { in: "Resent-Bcc: a\nResent-To: b\nReturn-Path: <c@d>\nX: y\n\nx\n", because: "resent and trace fields" },
  { in: "DKIM-Signature: a=b;\n\th=To:\n  Cc ; \n\nx\n", because: "folding and blanks at the ends of lines" },
  { in: "Subject: gr\xfc\xdfe \xe2\x82\xac\0\n\nx\n", because: "octets beyond ASCII, and NUL" },
  { in: LONG_TO + "X: y\n\nx\n", because: "a To of more than 65535 octets" },
  { in: LONG_NAME + "\nx\n", because: "a long name of a field" },
  { in: `X: ${"a".repeat(60000)}\n\nx\n`, because: "a long line" },
  { in: "From a@b Fri Jan  2 03:04:05 2026\nA: b\n\nx\n", because: "a From_ line with a time in front" },
  { in: "From somebody\nBcc: b\n\nx\n", because: "one without" },
  { in: `${"From x\n".repeat(60_000)}\n\nx\n`, because: "behind the first line it is no part of a header" },
  { in: "hello\nworld\n", because: "a body that begins at once" },
  { in: "A: b\nfoo\nBcc: c\n\nx\n", because: "a line that is no field, and what stands behind it" },
  { in: " A: b\nB: c\n\n", out: "\n A: b\nB: c\n\n", because: "what would fold our own field gets a line in front" },
  { in: "\tx\n", out: "\n\tx\n", because: "whatever blank it begins with" },
  { in: `x\n${"y z\n".repeat(80_000)}`, because: "a large body that begins at once is no header" },
  { in: "Received: x\n".repeat(99) + "\n", because: "99 hops" },
  { in: "RECEIVED: x\n".repeat(100) + "\n", fault: "loop", because: "100 hops are a loop" },
  { in: "A: b\n\n" + "Received: x\n".repeat(200), because: "not the body" },
];
for (const { in: given, out = given, fault, because } of transit) {
  Deno.test(`header section in transit, ${JSON.stringify(given.slice(0, 30))}: ${because}`, () => {
    assert.deepEqual(fixed(given), { text: fault === undefined ? out : "", fault: fault ?? null });
  });
}

/** What a submission that lacks nothing begins with. */
const COMPLETE = "Date: d\nMessage-ID: i\nFrom: f@g\n";
const submitted: readonly { in: string; out?: string; fault?: Fault; because: string }[] = [
  { in: "A: b\n\nx\n", out: "A: b\n\nx\n", because: "nothing is added to what is complete" },
  { in: "foo\n\n", fault: "malformed", because: "no colon" },
  { in: "A: b\n foo\n\tbar\n\nx\n", out: "A: b\n foo\n\tbar\n\nx\n", because: "folding is kept" },
  {
    in: `${"N".repeat(MAX_FIELD_NAME_OCTETS)}: b\n`,
    out: `${"N".repeat(MAX_FIELD_NAME_OCTETS)}: b\n`,
    because: "the longest name",
  },
  { in: LONG_NAME, fault: "malformed", because: "a longer name" },
  {
    in: "To: a@b\nBCC: x\n y\n\tz\nA: b\n\nBcc: k\n",
    out: "To: a@b\nA: b\n\nBcc: k\n",
    because: "Bcc goes with its folding",
  },
  { in: "Bcc : x\nbcc: y\n\n", out: "\n", because: "in all its spellings" },
  { in: "Bcc: x\n", out: "", because: "even if nothing is left" },
  { in: "X-Bcc: x\nBccs: y\n\n", out: "X-Bcc: x\nBccs: y\n\n", because: "but not what only looks like it" },
  { in: "From: root\n\n", out: "From: root@host.example\n\n", because: "an address without a domain" },
  { in: "From: root\n", out: "From: root@host.example\n", because: "at the end of the data" },
  { in: "To: a, b@c,\n d\nX: y\n\n", out: "To: a@host.example, b@c,\n d@host.example\nX: y\n\n", because: "in a list" },
  {
    in: "Cc: a\nTo: b\nFrom: c\n\n",
    out: "Cc: a@host.example\nTo: b@host.example\nFrom: c@host.example\n\n",
    because: "one field after the other",
  },
  { in: "To : a\n\n", out: "To : a@host.example\n\n", because: "with a blank before the colon" },
  { in: "Reply-To: a\n\n", out: "Reply-To: a\n\n", because: "other fields are left alone" },
  {
    in: `To: a,\n${" b@c,\n".repeat(5000)} d\n\n`,
    out: `To: a@host.example,\n${" b@c,\n".repeat(5000)} d@host.example\n\n`,
    because: "a long field",
  },
  {
    in: `${LONG_TO}Cc: a\n\nx\n`,
    out: `${LONG_TO}Cc: a@host.example\n\nx\n`,
    because: "one of more than 65535 octets stays",
  },
  {
    in: `To: ${"a,\n ".repeat(5000)}a\n\n`,
    out: `To: ${"a,\n ".repeat(5000)}a\n\n`,
    because: "a field that would grow too long stays",
  },
  {
    in: `X: a\n${" b\n".repeat(30000)}\n`,
    out: `X: a\n${" b\n".repeat(30000)}\n`,
    because: "another long field is no matter",
  },
  {
    in:
      "Resent-From: a\nResent-To: b, c@d\nResent-Bcc: e\n f\nResent-Cc: g\nResent-Date: x\nResent-Message-ID: y\nTo: h\n\nx\n",
    out:
      "Resent-From: a@host.example\nResent-To: b@host.example, c@d\nResent-Cc: g@host.example\nResent-Date: x\nResent-Message-ID: y\n" +
      "To: h@host.example\n\nx\n",
    because: "Resent fields are completed, and Resent-Bcc goes",
  },
  {
    in: "Resent-To: b@c\nSubject: s\n\nx\n",
    out: "Resent-To: b@c\nResent-From: <me@x.example>\nResent-Date: DATE\nResent-Message-ID: <ID>\nSubject: s\n\nx\n",
    because: "a resent block gets what it lacks, RFC 5322 §3.6.6",
  },
  {
    in: "Resent-To: b\n",
    out: "Resent-To: b@host.example\nResent-From: <me@x.example>\nResent-Date: DATE\nResent-Message-ID: <ID>\n",
    because: "at the end of the data too",
  },
  {
    in: "Resent-From: a@b\nResent-Date: x\nResent-Message-ID: y\nResent-From: c@d\nResent-To: e@f\n\nx\n",
    out: "Resent-From: a@b\nResent-Date: x\nResent-Message-ID: y\nResent-From: c@d\nResent-To: e@f\n\nx\n",
    because: "an older block stays as it is",
  },
  {
    in: "Resent-Date: x\nresent-from : a@b\nReceived: y\nResent-From: c@d\n\nx\n",
    out: "Resent-Date: x\nresent-from : a@b\nResent-Message-ID: <ID>\nReceived: y\nResent-From: c@d\n\nx\n",
    because: "only the newest is completed",
  },
];
for (const { in: given, out, fault, because } of submitted) {
  Deno.test(`header section of a submission, ${JSON.stringify(given.slice(0, 30))}: ${because}`, () => {
    const text = fault === undefined ? COMPLETE + out : "";
    assert.deepEqual(fixed(COMPLETE + given, true), { text, fault: fault ?? null });
  });
}

const incomplete: readonly { in: string; out?: string; fault?: Fault; because: string }[] = [
  { in: " A: b\n\n", fault: "malformed", because: "the first line is folded" },
  { in: "A b\n\n", fault: "malformed", because: "no colon in the first line" },
  {
    in: "A: b\n\nx\n",
    out: "A: b\nFrom: <me@x.example>\nDate: DATE\nMessage-ID: <ID>\n\nx\n",
    because: "a submission gets all three",
  },
  {
    in: "A: b\n",
    out: "A: b\nFrom: <me@x.example>\nDate: DATE\nMessage-ID: <ID>\n",
    because: "without a blank line too",
  },
  {
    in: "From somebody\nTo: a\n\n",
    out: "From somebody\nTo: a@host.example\nFrom: <me@x.example>\nDate: DATE\nMessage-ID: <ID>\n\n",
    because: "a From_ line in front is no fault, and no From",
  },
  { in: "", out: "From: <me@x.example>\nDate: DATE\nMessage-ID: <ID>\n", because: "and an empty one" },
  {
    in: "DATE: x\nA: b\n\n",
    out: "DATE: x\nA: b\nFrom: <me@x.example>\nMessage-ID: <ID>\n\n",
    because: "but not what it has",
  },
  { in: "message-id: x\n\n", out: "message-id: x\nFrom: <me@x.example>\nDate: DATE\n\n", because: "in any case" },
  {
    in: "From: root\n\nx\n",
    out: "From: root@host.example\nDate: DATE\nMessage-ID: <ID>\n\nx\n",
    because: "behind what was completed",
  },
];
for (const { in: given, out, fault, because } of incomplete) {
  Deno.test(`header section of a submission, ${JSON.stringify(given.slice(0, 30))}: ${because}`, () => {
    assert.deepEqual(fixed(given, true), { text: fault === undefined ? out : "", fault: fault ?? null });
  });
}

const lists: readonly [string, string][] = [
  ["a", "a@"],
  [" a ", " a@ "],
  ["a@b", "a@b"],
  ["a, b@c, d", "a@, b@c, d@"],
  ["", ""],
  [",,", ",,"],
  ["<a>", "<a@>"],
  ["< a >", "< a@ >"],
  ["Jane <a>", "Jane <a@>"],
  ["a@b <c>", "a@b <c@>"],
  ["<>", "<>"],
  ["Jane <>", "Jane <>"],
  ["Jane <a@b>", "Jane <a@b>"],
  ['"Doe, Jane" <a>, b', '"Doe, Jane" <a@>, b@'],
  ['"a@b" <c>', '"a@b" <c@>'],
  ['"a b"', '"a b"@'],
  ['"a \\" , b" <c>', '"a \\" , b" <c@>'],
  ["a (x, y), b", "a@ (x, y), b@"],
  ["(c) a (d (e)) ", "(c) a@ (d (e)) "],
  ["a (\\), b", "a (\\), b"],
  ["team: a, b;", "team: a, b;"],
  ["undisclosed-recipients:;", "undisclosed-recipients:;"],
  ['"a, b', '"a, b'],
  ["<a, b", "<a, b"],
  ["a>, b", "a>, b"],
  ["a <b> <c>", "a <b> <c>"],
  ["a) b", "a) b"],
  ["a@[IPv6:::1], b", "a@[IPv6:::1], b@"],
  ["<@x,@y:a@b>, c", "<@x,@y:a@b>, c@"],
];
for (const [given, want] of lists) {
  Deno.test(`missingDomains(${given}) gives ${want}`, () => {
    const bytes = bytesOf(given);
    let text = given;
    for (const place of [...missingDomains(bytes, 0, bytes.length)].reverse()) {
      text = `${text.slice(0, place)}@${text.slice(place)}`;
    }
    assert.equal(text, want);
  });
}

const trace: Trace = {
  origin: {
    address: "192.0.2.7",
    hostname: "client.example.net",
    helo: "helo.example",
    smtpname: "mx.example.org",
    tag: "",
    username: "",
    authenticated: false,
  },
  esmtp: true,
  smtpUtf8: false,
  ciphers: null,
  verified: false,
  maskSource: false,
  receivedAuth: false,
  message: msgid("0a1b2c3d"),
  rcpt: { local: "a", domain: "example.org" },
  date: "DATE",
};
const fields: readonly { change: Partial<Trace>; want: string; because: string }[] = [
  {
    change: {},
    want:
      "from helo.example (client.example.net [192.0.2.7])\n\tby mx.example.org (Vaultpost) with ESMTP id 0a1b2c3d\n\tfor <a@example.org>;\n\tDATE\n",
    because: "one recipient",
  },
  {
    change: { rcpt: null, esmtp: false },
    want:
      "from helo.example (client.example.net [192.0.2.7])\n\tby mx.example.org (Vaultpost) with SMTP id 0a1b2c3d;\n\tDATE\n",
    because: "several recipients, HELO",
  },
  {
    change: { origin: { ...trace.origin, address: "[2001:db8::7]", hostname: "<unknown>" } },
    want:
      "from helo.example (<unknown> [2001:db8::7])\n\tby mx.example.org (Vaultpost) with ESMTP id 0a1b2c3d\n\tfor <a@example.org>;\n\tDATE\n",
    because: "IPv6 has its brackets already",
  },
  {
    change: { ciphers: "TLSv1.3:TLS_AES_256_GCM_SHA384:256", origin: { ...trace.origin, authenticated: true } },
    want:
      "from helo.example (client.example.net [192.0.2.7])\n\tby mx.example.org (Vaultpost) with ESMTPSA id 0a1b2c3d (TLSv1.3:TLS_AES_256_GCM_SHA384:256:NO)\n\tfor <a@example.org>;\n\tDATE\n",
    because: "TLS and authenticated",
  },
  {
    change: { maskSource: true, ciphers: "TLSv1.2:X:128", verified: true, esmtp: false },
    want:
      "\n\tby mx.example.org (Vaultpost) with SMTPS id 0a1b2c3d (TLSv1.2:X:128:YES)\n\tfor <a@example.org>;\n\tDATE\n",
    because: "the source is masked, the certificate verified",
  },
];
for (const { change, want, because } of fields) {
  Deno.test(`receivedField(): ${because}`, () => {
    assert.equal(receivedField({ ...trace, ...change }), `Received: ${want}`);
  });
}

const dates: readonly [zone: string, at: number, want: string][] = [
  ["UTC", EPOCH, "Fri, 2 Jan 2026 03:04:05 +0000 (UTC)"],
  ["Europe/Paris", EPOCH, "Fri, 2 Jan 2026 04:04:05 +0100 (GMT+1)"],
  ["America/New_York", Date.UTC(2026, 6, 31, 3, 0, 0), "Thu, 30 Jul 2026 23:00:00 -0400 (EDT)"],
  ["Asia/Kolkata", EPOCH, "Fri, 2 Jan 2026 08:34:05 +0530 (GMT+5:30)"],
  ["Etc/GMT+12", EPOCH, "Thu, 1 Jan 2026 15:04:05 -1200 (GMT-12)"],
  ["UTC", Date.UTC(2026, 0, 2, 0, 0, 0, 999), "Fri, 2 Jan 2026 00:00:00 +0000 (UTC)"],
  ["No/Such_Zone", EPOCH, "Fri, 2 Jan 2026 03:04:05 +0000 (UTC)"],
];
for (const [zone, at, want] of dates) {
  Deno.test(`dateWriter(${zone}) writes ${want}`, () => assert.equal(dateWriter(zone)(at), want));
}

Deno.test("dateWriter() remembers no second longer than it lasts", () => {
  const write = dateWriter("UTC");
  assert.notEqual(write(EPOCH), write(EPOCH + 1000));
  assert.equal(write(EPOCH + 999), write(EPOCH));
});

for (const lines of [MAX_HEADER_OCTETS / 64, MAX_HEADER_OCTETS / 64 + 1]) {
  Deno.test(`header section of ${lines} lines of 64 octets: 256 KiB is the longest`, () => {
    const body = new MessageBuffer(
      msgid("00000001"),
      new QueueClient(new FakeChannel<SmtpToQueue, QueueToSmtp>(() => {})),
    );
    const reader = new DataReader(body, { maxBytes: 10_000_000, completion: null });
    const input = bytesOf(`${`A: ${"x".repeat(60)}\r\n`.repeat(lines)}\r\n.\r\n`);
    for (let at = 0; at < input.length;) {
      const room = body.room(reader, input.length - at);
      if (room === 0) body.credited();
      else at = reader.push(input, at, at + room);
    }
    assert.equal(reader.fault, lines * 64 > MAX_HEADER_OCTETS ? "header" : null);
  });
}

const watched: readonly { lines: string; utf8?: true; optional?: true; because: string }[] = [
  { lines: "Subject: x\n\ngr\xc3\xbc\xc3\x9fe\n", because: "RFC 6532: the body is not the header" },
  { lines: "A: b\nSubject: gr\xc3\xbc\xc3\x9fe\n\n", utf8: true, because: "RFC 6532: a header beyond ASCII" },
  { lines: "Subject: a\n gr\xc3\xbc\xc3\x9fe\n", utf8: true, because: "in a folded line" },
  { lines: "TLS-Required: No\n\n", optional: true, because: "RFC 8689 §3: TLS-Required: No" },
  { lines: "tls-required:no \n\n", optional: true, because: "in any case" },
  { lines: "TLS-Required: Yes\n\n", because: "RFC 8689 §3: there is no other value" },
  { lines: "TLS-Required: No\nTLS-Required: No\n\n", because: "RFC 8689 §3: the field stands once" },
  { lines: "A: b\n\nTLS-Required: No\n", because: "a field is in the header section" },
];
for (const { lines, utf8 = false, optional = false, because } of watched) {
  Deno.test(`header section: ${because}`, () => {
    const body = new MessageBuffer(
      msgid("00000001"),
      new QueueClient(new FakeChannel<SmtpToQueue, QueueToSmtp>(() => {})),
    );
    const reader = new DataReader(body, { maxBytes: 10_000_000, completion: null, watchUtf8: true });
    const input = bytesOf(`${lines.replaceAll("\n", "\r\n")}.\r\n`);
    reader.push(input, 0, input.length);
    assert.deepEqual([reader.fault, reader.utf8Header, reader.tlsOptional], [null, utf8, optional]);
  });
}

const masqueraded: readonly { in: string; out: string; because: string }[] = [
  { in: "From: Joe <joe@x>\nA: b\n\nx\n", out: "From: Joe <c@d.example>\nA: b\n\nx\n", because: "longer than before" },
  {
    in: "To: joe\nfrom : Joe\n <joe@some.long.name.example>,\n jim\nCc: jim\n\nFrom: joe\n",
    out: "To: joe@host.example\nfrom : Joe\n <c@d.example>,\n c@d.example\nCc: jim@host.example\n\nFrom: joe\n",
    because: "folded, shorter, among others, and not in the body",
  },
  { in: "From: a@b\nFrom: b@c\n", out: "From: c@d.example\nFrom: c@d.example\n", because: "each of several" },
  { in: "From:\n\nx\n", out: "From: <c@d.example>\n\nx\n", because: "an empty one" },
  {
    in: `FROM: a@b,\n${" b@c,\n".repeat(30_000)} d\nTo: e@f\n\nx\n`,
    out: "FROM: <c@d.example>\nTo: e@f\n\nx\n",
    because: "one that is too long to be read",
  },
  { in: "Reply-To: joe@x\nSender: joe@x\n\n", out: "Reply-To: joe@x\nSender: joe@x\n\n", because: "no other field" },
];
for (const row of masqueraded) {
  Deno.test(`a masquerade replaces the addresses of From: ${row.because}`, () => {
    assert.deepEqual(fixed(COMPLETE + row.in, true, "c@d.example"), {
      text: COMPLETE.replace("f@g", "c@d.example") + row.out,
      fault: null,
    });
  });
}

for (
  const [how, lines] of [["a masquerade puts into From", "From: joe@x\n\nx\n"], [
    "is added as From",
    "A: b\n\nx\n",
  ]] as const
) {
  Deno.test(`a sender beyond ASCII that ${how} makes the header one beyond ASCII`, () => {
    const body = new MessageBuffer(
      msgid("00000001"),
      new QueueClient(new FakeChannel<SmtpToQueue, QueueToSmtp>(() => {})),
    );
    const sender = "j\u00f6@x.example";
    const reader = new DataReader(body, {
      maxBytes: 1000,
      completion: {
        domain: bytesOf("host.example"),
        fields: { date: () => "DATE", messageId: () => "<ID>", from: () => sender },
        masquerade: new TextEncoder().encode(sender),
      },
      watchUtf8: true,
    });
    const input = bytesOf(`${lines.replaceAll("\n", "\r\n")}.\r\n`);
    body.room(reader, input.length);
    reader.push(input, 0, input.length);
    assert.deepEqual([reader.fault, reader.utf8Header], [null, true]);
  });
}

const LONG_RESULTS = `Authentication-Results: ours;\n${" spf=pass;\n".repeat(7000)}`;

/** What is dropped where mail is checked: `ours` stands for the name of the listener. */
const forged: readonly { in: string; out?: string; because: string }[] = [
  { in: "A: b\nAuthentication-Results: ours; x\nC: d\n\nx\n", out: "A: b\nC: d\n\nx\n", because: "one in the middle" },
  { in: "Authentication-Results: ours; x\n\ty\n z\nC: d\n\nx\n", out: "C: d\n\nx\n", because: "the first, folded" },
  {
    in: "A: b\nauthentication-RESULTS : ours\n\nx\n",
    out: "A: b\n\nx\n",
    because: "the last, blanks before the colon",
  },
  { in: "A: b\nAuthentication-Results: ours\n", out: "A: b\n", because: "the last of a message without a body" },
  { in: "Authentication-Results: ours\n", out: "", because: "nothing but one" },
  {
    in: "Authentication-Results: ours\nAuthentication-Results: ours\nX: y\nAuthentication-Results: ours\n\nx\n",
    out: "X: y\n\nx\n",
    because: "several",
  },
  { in: "Authentication-Results: theirs; x\n y\nC: d\n\nx\n", because: "that of another host stays, octet by octet" },
  { in: "ARC-Authentication-Results: i=1; ours\nX-Authentication-Results: ours\n\nx\n", because: "other fields stay" },
  { in: "A: b\n\nAuthentication-Results: ours\n", because: "a body stays" },
  { in: `${LONG_RESULTS}C: d\n\nx\n`, out: "C: d\n\nx\n", because: "one that is too long to be kept back" },
  {
    in: `A: b\n${LONG_RESULTS.replace("ours", "theirs")}C: d\n\nx\n`,
    out: "A: b\nC: d\n\nx\n",
    because: "one so long, of whomever",
  },
  {
    in: "A: b\nAuthentication-Results: ours\nno field\nAuthentication-Results: ours\n\nx\n",
    out: "A: b\n\nno field\nAuthentication-Results: ours\n\nx\n",
    because: "behind a line that is no field comes body, for every reader",
  },
];

for (const row of forged) {
  Deno.test(`where mail is checked, results that bear our name are dropped: ${row.because}`, () => {
    const isForged = (field: Uint8Array) => textOf(field).includes("ours");
    assert.deepEqual(fixed(row.in, false, "", { isForged }), { text: row.out ?? row.in, fault: null });
  });
}

Deno.test("a submission through a listener that checks mail is completed, and forged results are dropped", () => {
  const isForged = (field: Uint8Array) => textOf(field).includes("ours");
  const lines = "To: a\nAuthentication-Results: ours\nBcc: c\nFrom: b\n\nx\n";
  const text = "To: a@host.example\nFrom: b@host.example\nDate: DATE\nMessage-ID: <ID>\n\nx\n";
  assert.deepEqual(fixed(lines, true, "", { isForged }), { text, fault: null });
});
