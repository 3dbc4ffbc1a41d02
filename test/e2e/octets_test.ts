/** What arrives is what was sent, to the octet, by every way in and out: odd headers, NUL, 8 bits, long lines. The real daemon. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { freePort } from "../ports.ts";
import { type FakeServer, fakeServer } from "../smtp_client/fake_server.ts";
import { Client } from "./client.ts";
import { inbox, install, recorded } from "./filter_harness.ts";
import { type Daemon, withDaemon } from "./harness.ts";

const ROOT = Deno.uid() === 0;
const uid = ROOT ? 65534 : Deno.uid()!, gid = ROOT ? 65534 : Deno.gid()!;
const FILTERED = freePort(), SUBMISSION = freePort(), SIGNED = freePort();

/** Nothing of it is completed, dropped or refused in transit; lines end with LF here. */
const HEAD = "DKIM-Signature: v=1; h=to:cc:bcc;\n\tb=AAAA  \n" +
  "From: Doe, John <john>\nTo: Friends,\n root\nTO: again\nCc: undisclosed recipients\nBcc: hidden,\n more@example.com\n" +
  "Resent-Bcc: hidden@example.com\nSubject: gr\xfc\xdfe \0 \xe2\x82\xac\n";
const REST =
  `X-Long: ${"x".repeat(20_000)}\nno field: at all\nnor this\nbcc: more\n\n\0\n.\n..\n.\0\n\xff\xfe\0${
    "y".repeat(5000)
  }\n` +
  "Return-Path: <body@example.com>\n\n";
const FORGED = "Return-Path: <forged@example.com>\n (folded)\n";
const SENT = HEAD + FORGED + REST;
const DELIVERED = HEAD + REST;

const bytesOf = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const textOf = (bytes: Uint8Array) => new TextDecoder("latin1").decode(bytes);
/** `latin1` of the decoder is windows-1252: this is octets as characters. */
const octets = (bytes: Uint8Array) => Array.from(bytes, (octet) => String.fromCharCode(octet)).join("");

const USERS = ["dir", "box", "pipe", "peer"];

function configOf(lmtp: FakeServer, hop: FakeServer) {
  return ({ port, mail, folder }: { port: number; mail: string; folder: string }) => {
    Deno.mkdirSync(join(folder, "home"));
    if (ROOT) Deno.chownSync(join(folder, "home"), uid, gid);
    const programs = install(folder, {
      echo: { register: ["filter|smtp-in|data-line"], line: "echo" },
      sign: { register: ["filter|smtp-in|data-line"], line: "echo", record: true },
    });
    const users = USERS.map((user) => `${user} = "${uid}:${gid}:${folder}/home"`).join(", ");
    return `table users { ${users} }
filter echo ${programs.echo}
filter sign ${programs.sign}
listen on 127.0.0.1 port ${port} hostname mx.example.net
listen on 127.0.0.1 port ${FILTERED} hostname mx.example.net filter echo
listen on 127.0.0.1 port ${SUBMISSION} hostname mx.example.net submission
listen on 127.0.0.1 port ${SIGNED} hostname mx.example.net submission filter sign
mta limit conn-delay-route 0 conn-delay-host 0 conn-delay-relay 0
action "dir" maildir "${mail}/%{user.username}" userbase <users>
action "box" mbox userbase <users>
action "pipe" mda "cat >> got" userbase <users>
action "peer" lmtp "127.0.0.1:${lmtp.port}" userbase <users>
action "hop" relay host "smtp+notls://127.0.0.1:${hop.port}"
${USERS.map((user) => `match from any for rcpt-to "${user}@example.net" action "${user}"`).join("\n")}
match from any for domain "example.com" action "hop"
${inbox(mail)}`;
  };
}

async function begin(port: number): Promise<Client> {
  const client = await Client.connect(port);
  await client.say("EHLO client.example.com", "250");
  await client.say("MAIL FROM:<sender@example.com>", "250");
  for (const to of [...USERS.map((user) => `${user}@example.net`), "far@example.com"]) {
    await client.say(`RCPT TO:<${to}>`, "250");
  }
  return client;
}

async function byData(port: number): Promise<void> {
  const client = await begin(port);
  await client.say("DATA", "354");
  await client.write(bytesOf(SENT.replace(/^\./gm, "..").replaceAll("\n", "\r\n")));
  await client.say(".", "250");
  client.close();
}

async function byChunks(port: number): Promise<void> {
  const client = await begin(port);
  const wire = bytesOf(SENT.replaceAll("\n", "\r\n"));
  for (let at = 0; at < wire.length; at += 7000) {
    const chunk = wire.subarray(at, at + 7000);
    await client.write(bytesOf(`BDAT ${chunk.length}${at + 7000 < wire.length ? "" : " LAST"}\r\n`));
    await client.write(chunk);
    await client.reply("250");
  }
  client.close();
}

/** What stands behind the fields that this server puts in front; they are all that it may add. */
function behind(text: string, front: RegExp): string {
  const found = front.exec(text);
  assert.ok(found, `the fields in front of ${JSON.stringify(text.slice(0, 300))}`);
  return text.slice(found[0].length);
}

const RECEIVED = /^Received: from client\.example\.com .*\n\tby mx\.example\.net .*;\n\t.*\n/;
const TRACE = new RegExp(`^Return-Path: <sender@example\\.com>\\nDelivered-To: .*\\n${RECEIVED.source.slice(1)}`);

async function arrived(daemon: Daemon, lmtp: FakeServer, hop: FakeServer, boxes: string, count: number): Promise<void> {
  await daemon.logged(/ (mda|mta) delivery .*result="?Ok"?/, 0, 5 * count);
  const newest = daemon.mailbox("dir").names().map((name) => octets(daemon.mailbox("dir").read(name)));
  assert.equal(newest.length, count);
  const wire = (text: string) => text.replaceAll("\n", "\r\n").replace(/^\./gm, "..");
  for (const text of newest) assert.equal(behind(text, TRACE), DELIVERED);
  const mbox = octets(Deno.readFileSync(join(boxes, "box"))).split(/^From sender@example\.com .*\n/m).slice(1);
  assert.equal(mbox.length, count);
  for (const text of mbox) assert.equal(behind(text, TRACE), `${DELIVERED}\n`);
  const piped = octets(Deno.readFileSync(join(daemon.folder, "home/got"))).split(/^(?=Return-Path: <sender@)/m);
  assert.equal(piped.length, count);
  for (const text of piped) assert.equal(behind(text, TRACE), DELIVERED);
  for (const [server, want, front] of [[lmtp, DELIVERED, TRACE], [hop, SENT, RECEIVED]] as const) {
    assert.equal(server.messages().length, count);
    for (const text of server.messages()) {
      const lines = new RegExp(front.source.replaceAll("\\n", "\\r\\n"));
      assert.equal(behind(text, lines), wire(want));
    }
  }
}

Deno.test("a message in transit arrives as it was sent, whatever way it goes", async (test) => {
  const lmtp = await fakeServer({ lmtp: true, keywords: ["8BITMIME", "SIZE"] });
  const hop = await fakeServer({ keywords: ["8BITMIME", "SIZE"] });
  const boxes = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
  await Deno.chmod(boxes, 0o755);
  try {
    await withDaemon({ config: configOf(lmtp, hop), env: { SMTPD_MAIL: boxes } }, async (daemon) => {
      const check = (count: number) => arrived(daemon, lmtp, hop, boxes, count);
      await test.step("by DATA", async () => {
        await byData(daemon.port);
        await check(1);
      });
      await test.step("by BDAT", async () => {
        await byChunks(daemon.port);
        await check(2);
      });
      await test.step("through a filter that reads its lines", async () => {
        await byData(FILTERED);
        await check(3);
      });
      await test.step("and what begins with a blank does not become a part of our field", async () => {
        for (const port of [daemon.port, FILTERED]) {
          const client = await Client.connect(port);
          await client.say("EHLO client.example.com", "250");
          await client.send("sender@example.com", `blank${port}@example.org`, " folded\r\nSubject: x\r\n");
          client.close();
          const text = await daemon.mailbox(`blank${port}`).text();
          assert.match(text, /;\n\t[^\n]+\n\n folded\nSubject: x\n$/);
        }
      });
      await test.step("while what is submitted is completed, before a filter may sign it", async () => {
        for (const port of [SUBMISSION, SIGNED]) {
          const client = await Client.connect(port);
          await client.say("EHLO client.example.com", "250");
          const data = "From: joe\r\nBcc: hidden@example.org\r\nResent-To: a\r\nSubject: x\r\n\r\nx\r\n";
          await client.send("sender@example.com", `submitted${port}@example.org`, data);
          client.close();
          const text = await daemon.mailbox(`submitted${port}`).text();
          assert.match(text, /^From: joe@mx\.example\.net$/m);
          assert.match(
            text,
            /^Resent-To: a@mx\.example\.net\nResent-From: <sender@example\.com>\nResent-Date: .*\nResent-Message-ID: <.*>\nSubject: x\nDate: .*\nMessage-ID: <.*>\n\nx\n/m,
          );
          assert.doesNotMatch(text, /hidden/);
        }
        const seen = recorded(daemon, "sign").flatMap((line) =>
          /\|data-line\|(?:[^|]*\|){2}(.*)$/.exec(line)?.[1] ?? []
        );
        assert.ok(seen.includes("From: joe@mx.example.net") && seen.includes("Subject: x"), seen.join("\n"));
        assert.ok(seen.some((line) => line.startsWith("Message-ID: ")) && !seen.some((line) => line.startsWith("Bcc")));
      });
      await test.step("and a mailbox that is named three times gets one copy", async () => {
        const client = await Client.connect(daemon.port);
        await client.say("EHLO client.example.com", "250");
        await client.say("MAIL FROM:<>", "250");
        for (const to of ["box@example.net", "Box@Example.NET", "far@example.com", "far@EXAMPLE.com"]) {
          await client.say(`RCPT TO:<${to}>`, "250");
        }
        await client.say("DATA", "354");
        const from = daemon.log.length;
        await client.write(bytesOf("Return-Path: <forged@example.com>\r\nSubject: once\r\n\r\nx\r\n"));
        const message = (await client.say(".", "250")).split(" ")[2]!;
        client.close();
        // Lines of the messages before it may still come.
        await daemon.logged(new RegExp(` (mda|mta) delivery evpid=${message}[0-9a-f]{8} .*result="?Ok"?`), from, 2);
        const mbox = textOf(Deno.readFileSync(join(boxes, "box")));
        assert.equal(mbox.match(/^Subject: once$/gm)?.length, 1);
        assert.match(
          mbox,
          /^From MAILER-DAEMON .*\nReturn-Path: <>\nDelivered-To: box@example\.net\nReceived: [^]*Subject: once/m,
        );
        assert.doesNotMatch(mbox.slice(mbox.indexOf("From MAILER-DAEMON")), /forged/);
        assert.equal(hop.messages().length, 4);
        assert.match(
          hop.messages()[3]!,
          /\r\nReturn-Path: <forged@example\.com>\r\nSubject: once\r\n/,
          "a relay leaves it",
        );
        assert.equal(hop.lines().filter((line) => line.startsWith("RCPT TO:<far@")).length, 4);
      });
    });
  } finally {
    await lmtp.close();
    await hop.close();
    await Deno.remove(boxes, { recursive: true });
  }
});
