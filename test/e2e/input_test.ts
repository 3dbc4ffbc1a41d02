/** Messages that are large, odd or ugly, and legal: what arrives must be what was sent, octet for octet. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import nodemailer from "nodemailer";
import PostalMime from "postal-mime";
import { Client } from "./client.ts";
import { DOMAIN, withDaemon } from "./harness.ts";

const encoder = new TextEncoder();
/** With Date and Message-ID: the server adds those to local mail that has none. */
const HEADER = `From: sender@example.com\r\nTo: user@${DOMAIN}\r\nSubject: odd\r\n` +
  "Date: Fri, 21 Nov 1997 09:55:06 -0600\r\nMessage-ID: <odd@example.com>\r\n";

const sha256 = (bytes: Uint8Array | string) => createHash("sha256").update(bytes).digest("hex");

/** As DATA wants it: a dot more before each line that begins with one (RFC 5321 §4.5.2). */
const stuffed = (text: string) => text.replace(/^\./gm, "..");

/** The part of a delivered message that the client wrote: from its first field on. */
function sentPart(delivered: Uint8Array, first: string): Uint8Array {
  const text = new TextDecoder("latin1").decode(delivered);
  const at = text.indexOf(first);
  assert.ok(at > 0, `"${first}" has arrived, after the fields that the server adds`);
  return delivered.subarray(at);
}

const dots = Array.from({ length: 200 }, (_, index) => ".".repeat(index % 5) + (index % 3 === 0 ? "" : "x")).join(
  "\r\n",
);

interface Row {
  readonly user: string;
  readonly because: string;
  /** With CRLF, before dot-stuffing. */
  readonly message: string;
  readonly parameters?: string;
}

const ROWS: readonly Row[] = [
  { user: "empty", because: "an empty body", message: `${HEADER}\r\n` },
  { user: "header-only", because: "a header without the blank line", message: HEADER },
  { user: "dots", because: "dots everywhere", message: `${HEADER}\r\n${dots}\r\n.\r\n..\r\n...\r\n` },
  { user: "line998", because: "a line of 998 octets", message: `${HEADER}\r\n${"a".repeat(998)}\r\nend\r\n` },
  { user: "line5000", because: "a line of 5,000 octets", message: `${HEADER}\r\n${"b".repeat(5000)}\r\nend\r\n` },
  {
    user: "dotline5000",
    because: "lines of 5,000 dots",
    message: `${HEADER}\r\n${`${".".repeat(5000)}\r\n`.repeat(20)}`,
  },
  {
    user: "headers5000",
    because: "5,000 header fields",
    message: `${HEADER}${
      Array.from({ length: 5000 }, (_, at) => `X-Field-${at}: value ${at}\r\n`).join("")
    }\r\nbody\r\n`,
  },
  {
    user: "utf8",
    because: "raw UTF-8 in header and body",
    message: `${HEADER}X-Greeting: Grüße, мир, 世界 🌍\r\n\r\nÄÖÜ — naïve 🦕\r\n`,
    parameters: " BODY=8BITMIME",
  },
];

Deno.test("A message arrives as it was sent", async (test) => {
  await withDaemon({}, async (daemon) => {
    for (const row of ROWS) {
      await test.step(row.because, async () => {
        const client = await Client.connect(daemon.port);
        try {
          await client.say("EHLO client.example.com", "250");
          const wire = encoder.encode(stuffed(row.message));
          await client.send("sender@example.com", `${row.user}@${DOMAIN}`, wire, row.parameters);
          await client.say("QUIT", "221");
        } finally {
          client.close();
        }
        const want = encoder.encode(row.message.replaceAll("\r\n", "\n"));
        const got = sentPart(await daemon.mailbox(row.user).message(), "From: ");
        assert.equal(new TextDecoder().decode(got).slice(0, 2000), new TextDecoder().decode(want).slice(0, 2000));
        assert.equal(sha256(got), sha256(want));
      });
    }

    await test.step("the octets of a message do not depend on how they are cut into packets", async () => {
      const message = `${HEADER}\r\n${dots}\r\n`;
      const wire = encoder.encode(`${stuffed(message)}.\r\n`);
      const client = await Client.connect(daemon.port);
      try {
        await client.say("EHLO client.example.com", "250");
        await client.begin("sender@example.com", `cuts@${DOMAIN}`);
        for (const octet of wire) await client.write(Uint8Array.of(octet));
        await client.reply("250");
      } finally {
        client.close();
      }
      const got = sentPart(await daemon.mailbox("cuts").message(), "From: ");
      assert.equal(new TextDecoder().decode(got), message.replaceAll("\r\n", "\n"));
    });

    await test.step("a mail with attachments", async () => {
      const attachments = [
        { filename: "zeros.bin", content: Buffer.alloc(300_000) },
        { filename: "täxt.txt", content: Buffer.from("Grüße\n".repeat(1000)) },
        { filename: "noise.bin", content: noise(1_000_003) },
      ];
      const transport = nodemailer.createTransport({ host: "127.0.0.1", port: daemon.port, ignoreTLS: true });
      await transport.sendMail({
        from: "sender@example.com",
        to: `attachments@${DOMAIN}`,
        subject: "Three files",
        text: "See the files",
        html: "<p>See the files</p>",
        attachments,
      });
      transport.close();
      const mail = await PostalMime.parse(await daemon.mailbox("attachments").message());
      assert.equal(mail.text?.trim(), "See the files");
      for (const { filename, content } of attachments) {
        const found = mail.attachments.find((attachment) => attachment.filename === filename);
        assert.ok(found !== undefined, `${filename} has arrived`);
        assert.equal(sha256(new Uint8Array(found.content as ArrayBuffer)), sha256(content));
      }
    });

    await test.step("a mail of 30 MB", async () => {
      const line = `${noise(57).toString("base64")}\r\n`;
      const body = line.repeat(Math.ceil(30_000_000 / line.length));
      const client = await Client.connect(daemon.port);
      try {
        await client.say("EHLO client.example.com", "250");
        const wire = encoder.encode(`${HEADER}\r\n${body}`);
        await client.send("sender@example.com", `large@${DOMAIN}`, wire, ` SIZE=${wire.length}`);
      } finally {
        client.close();
      }
      const got = sentPart(await daemon.mailbox("large").message(), "From: ");
      assert.equal(sha256(got), sha256(`${HEADER}\r\n${body}`.replaceAll("\r\n", "\n")));
    });
  });
});

/** Octets that do not compress and are the same in every run. */
function noise(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  let state = 1;
  for (let at = 0; at < size; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[at] = state >>> 16;
  }
  return bytes;
}
