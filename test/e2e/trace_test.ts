/** `-v`, `-T` and what smtpctl says of them, in the running daemon: every name writes lines, none writes any when it is off. */

import assert from "node:assert/strict";
import { TRACES } from "../../src/events/mod.ts";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, OWNER, withDaemon } from "./harness.ts";
import { freePort } from "../ports.ts";

const BODY = "a body that no log may have";
const SECRET = "AHVzZXIAc2VjcmV0";
const TRACE_LINE = new RegExp(`^(${TRACES.join("|")}): `);

/** Mail for the domain stays, all other goes on to a second listener of the same daemon, which takes mail for example.net alone. */
const config = (next: number) => ({ port, mail }: { port: number; mail: string }) =>
  `table others { "example.net" }
filter easy phase ehlo match !fcrdns bypass
listen on socket
listen on 127.0.0.1 port ${port} filter easy
listen on 127.0.0.1 port ${next} tag NEXT
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "out" relay host "smtp://127.0.0.1:${next}"
match tag NEXT from any for domain <others> action "inbox"
match tag NEXT from any for any reject
match from any for domain "${DOMAIN}" action "inbox"
match from any for any action "out"
`;

/** One session with one message: to a Maildir, to another host, and to someone whom that host refuses, which makes a bounce. */
async function sendTo(daemon: Daemon, rcpts: readonly string[]): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.say(`AUTH PLAIN ${SECRET}`, "502");
  await client.say(`MAIL FROM:<sender@${DOMAIN}>`, "250");
  for (const rcpt of rcpts) await client.say(`RCPT TO:<${rcpt}>`, "250");
  await client.say("DATA", "354");
  await client.write(new TextEncoder().encode(`Subject: traced\r\n\r\n${BODY}\r\n`));
  await client.say(".", "250");
  await client.say("QUIT", "221");
  client.close();
}

async function smtpctl(daemon: Daemon, ...words: string[]): Promise<void> {
  const ran = await daemon.tool("smtpctl", words);
  assert.deepEqual({ code: ran.code, stdout: ran.stdout }, { code: 0, stdout: "command succeeded\n" }, ran.stderr);
}

/** All lines of the log while one more message goes to `user`. */
async function linesOfOne(daemon: Daemon, user: string): Promise<string[]> {
  const from = daemon.log.length;
  // Whatever is written after this line was reported after the last command of smtpctl.
  await smtpctl(daemon, "pause", "mta");
  await smtpctl(daemon, "resume", "mta");
  const begin = daemon.log.indexOf(await daemon.logged(/^info: mta resumed$/, from), from) + 1;
  await sendTo(daemon, [`${user}@${DOMAIN}`]);
  await daemon.logged(new RegExp(` mda delivery .* to=<${user}@`), begin);
  await daemon.logged(/ smtp disconnected /, begin);
  return daemon.log.slice(begin);
}

Deno.test("Trace and debug lines come when they are asked for, and only then", async (test) => {
  await withDaemon({ args: ["-v", "-T", "all"], config: config(freePort()) }, async (daemon) => {
    await test.step("-T all: one message makes every subsystem write", async () => {
      await sendTo(daemon, [`one@${DOMAIN}`, "two@example.net", "three@elsewhere.example"]);
      assert.match(await daemon.mailbox("sender").text(), /^Content-Type: multipart\/report;/im, "the bounce");
      assert.match(await daemon.mailbox("two").text(), new RegExp(BODY));
      for (const trace of TRACES) await daemon.logged(new RegExp(`^${trace}: \\S`));
    });
    const said: readonly (readonly [pattern: RegExp, because: string])[] = [
      [/^imsg: smtp-\d+ -> queue: commit$/, "messages are named with who sends them to whom"],
      [/^imsg: queue -> smtp-\d+: committed$/, "answers as well"],
      [/^mproc: smtp-\d+ -> queue: \d+ messages? in one post$/, "posts are counted"],
      [/^io: [0-9a-f]{16}: read \d+ bytes$/, "sizes of reads"],
      [/^io: [0-9a-f]{16}: wrote \d+ bytes$/, "sizes of writes"],
      [/^smtp: [0-9a-f]{16}: <<< EHLO client\.example\.com$/, "what the client says"],
      [/^smtp: [0-9a-f]{16}: >>> 250-PIPELINING$/, "what the server says, line by line"],
      [/^smtp: [0-9a-f]{16}: <<< AUTH PLAIN \*{8}$/, "no secrets"],
      [/^mta: [0-9a-f]{16}: >>> MAIL FROM:<sender@/, "what the relay says"],
      [
        /^bounce: failed notice [0-9a-f]{8} written to <sender@example\.org> about 1 recipient of message [0-9a-f]{8}$/,
        "",
      ],
      [/^scheduler: mta job of action "out"/, "jobs"],
      [/^lookup: name of 127\.0\.0\.1: /, "names of clients"],
      [/^lookup: smarthost of action "out" for /, "smarthosts"],
      [/^rules: from .* to one@example\.org: rule .*smtpd\.conf:8 does not match$/, "rules that do not fit"],
      [/^rules: from .* to one@example\.org: rule .*smtpd\.conf:10 matches: action "inbox"$/, "the one that does"],
      [/^expand: one@example\.org: 1 envelopes$/, "what became of a recipient"],
      [/^tables: others: check domain "example\.net" -> found$/, "tables"],
      [/^queue: committed \d+ writes?, \d+ bytes, synced, in /, "group commits"],
      [/^queue: removed envelope [0-9a-f]{16}/, "what leaves the queue"],
      [/^filters: [0-9a-f]{16}: ehlo: proceed$/, "what filters decide"],
      [/^stat: smtp\.\S+|^stat: scheduler\.envelope/, "statistics"],
    ];
    for (const [pattern, because] of said) {
      await test.step(`${pattern} ${because}`, async () => void await daemon.logged(pattern));
    }
    await test.step("-v: what the isolates do", async () => {
      for (const name of ["smtp-0", "lookup", "queue", "scheduler", "relay", "delivery", "control"]) {
        await daemon.logged(new RegExp(`^debug: isolate ${name} is ready `));
      }
      await daemon.logged(/^debug: listening on 127\.0\.0\.1 port \d+$/);
      await daemon.logged(/^debug: lookup: table "others": list of 1 from smtpd\.conf$/);
      await daemon.logged(/^debug: queue: 0 envelopes loaded in \d+ ms$/);
      await daemon.logged(/^debug: mda: attempt for [0-9a-f]{16}: action "inbox", user /);
      await daemon.logged(/^debug: mta: [0-9a-f]{16}: attempt for message [0-9a-f]{8}, \d envelopes?, \d+ bytes$/);
      await daemon.logged(/^debug: mta: \[relay:.*\]: connection 1 by route /);
    });
    await test.step("log brief ends all of it", async () => {
      await smtpctl(daemon, "log", "brief");
      const lines = await linesOfOne(daemon, "brief");
      assert.deepEqual(lines.filter((line) => TRACE_LINE.test(line) || line.startsWith("debug:")), []);
    });
    await test.step("trace starts one subsystem in the running daemon, untrace ends it", async () => {
      await smtpctl(daemon, "trace", "smtp");
      const on = await linesOfOne(daemon, "on");
      assert.ok(on.some((line) => /^smtp: [0-9a-f]{16}: <<< DATA$/.test(line)), on.join("\n"));
      assert.deepEqual(on.filter((line) => TRACE_LINE.test(line) && !line.startsWith("smtp: ")), []);
      await smtpctl(daemon, "untrace", "smtp");
      assert.deepEqual((await linesOfOne(daemon, "off")).filter((line) => TRACE_LINE.test(line)), []);
    });
    await test.step("log verbose starts the debug lines again", async () => {
      await smtpctl(daemon, "log", "verbose");
      const lines = await linesOfOne(daemon, "verbose");
      assert.ok(lines.some((line) => line.startsWith("debug: mda: attempt for ")), lines.join("\n"));
    });
    await test.step("neither content nor secrets are in the log", () => {
      assert.deepEqual(daemon.log.filter((line) => line.includes(BODY) || line.includes(SECRET)), []);
    });
  });
});

Deno.test("A subsystem that does not exist cannot be traced", async () => {
  await withDaemon({ args: ["-T", "profstat"] }, async (daemon) => {
    await daemon.logged(/^warn: unknown trace flag "profstat"/);
    const ran = await daemon.tool("smtpctl", ["trace", "profstat"]);
    assert.notEqual(ran.code, 0);
    assert.match(ran.stderr, /invalid trace keyword: profstat/);
  });
});
