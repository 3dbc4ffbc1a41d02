/** Every reply that the server gives of its own accord, produced once, with the section that it answers to. */

import assert from "node:assert/strict";
import { refusals } from "../../src/rules/replies.ts";
import { MAX_COMMAND_OCTETS } from "../../src/smtp/session/command.ts";
import { MAX_LINE_OCTETS } from "../../src/smtp/message/data.ts";
import { MAX_HEADER_OCTETS, MAX_HOPS } from "../../src/smtp/message/header.ts";
import { MAX_IDLE_COMMANDS } from "../../src/smtp/session/command_limits.ts";
import { accepted, chunkAccepted, duplicateOption, REPLY, unsupportedOption } from "../../src/smtp/session/reply.ts";
import { type Client, settle, World, type WorldOptions } from "./support.ts";

const HELO = "EHLO a.example\r\n";
const MAIL = `${HELO}MAIL FROM:<a@example.net>\r\n`;
const RCPT = `${MAIL}RCPT TO:<b@example.org>\r\n`;
const DATA = `${RCPT}DATA\r\n`;
const TLS: WorldOptions = { listener: { tls: "tls" } };
const AUTH: WorldOptions = {
  listener: { local: true, auth: { required: false, table: "logins" } },
  peer: { address: "127.0.0.1" },
};
/** "carol" with the wrong password. */
const WRONG = "AUTH PLAIN AGNhcm9sAHdyb25n\r\n";

interface Row {
  readonly reply: keyof typeof REPLY;
  /** RFC and section. */
  readonly section: string;
  readonly options?: WorldOptions;
  /** Octets, or what happens. */
  readonly say: readonly (string | ((client: Client) => void | Promise<void>))[];
  /** The session is over then. */
  readonly closes?: true;
}

const tls = (client: Client) =>
  client.connection.secured({
    ciphers: "TLSv1.3:TLS_AES_256_GCM_SHA384:256",
    verified: false,
    fingerprint: null,
    binding: null,
  });
const wait = (seconds: number) => (client: Client) => client.world.pass(seconds * 1000);

const rows: readonly Row[] = [
  { reply: "ok", section: "5321 §4.1.1.9", say: ["NOOP\r\n"] },
  { reply: "reset", section: "5321 §4.1.1.5", say: ["RSET\r\n"] },
  { reply: "rcptOk", section: "5321 §4.1.1.3", say: [RCPT] },
  { reply: "cannotVerify", section: "5321 §3.5.3", say: ["VRFY joe\r\n"] },
  { reply: "startTls", section: "3207 §4", options: TLS, say: [HELO, "STARTTLS\r\n"] },
  { reply: "bye", section: "5321 §4.1.1.10", say: ["QUIT\r\n"], closes: true },
  { reply: "sendData", section: "5321 §4.1.1.4", say: [DATA] },
  { reply: "help", section: "5321 §4.1.1.8", say: ["HELP\r\n"] },
  { reply: "notNow", section: "5321 §4.1.4", say: ["MAIL FROM:<>\r\n"] },
  { reply: "noRecipient", section: "5321 §3.3", say: [`${MAIL}DATA\r\n`] },
  { reply: "notSupported", section: "3207 §4", say: [`${HELO}STARTTLS\r\n`] },
  {
    reply: "secureAlready",
    section: "3207 §4.2",
    options: TLS,
    say: [HELO, "STARTTLS\r\n", tls, `${HELO}STARTTLS\r\n`],
  },
  {
    reply: "noRoom",
    section: "1870 §6.1",
    say: [HELO, ({ world }) => world.queue.onmessage({ type: "room", bytes: 5000 }), "MAIL FROM:<> SIZE=5001\r\n"],
  },
  { reply: "needTls", section: "3207 §4", options: { listener: { tls: "tls-require" } }, say: [MAIL] },
  {
    reply: "needAuth",
    section: "4954 §6",
    options: { ...AUTH, listener: { local: true, auth: { required: true, table: "logins" } } },
    say: [MAIL],
  },
  {
    reply: "authAlready",
    section: "4954 §4",
    options: AUTH,
    say: [HELO, "AUTH PLAIN AGNhcm9sAHNlc2FtZQ==\r\n", "AUTH PLAIN AGNhcm9sAHNlc2FtZQ==\r\n"],
  },
  {
    reply: "notYourSender",
    section: "6409 §6.1",
    options: {
      ...AUTH,
      listener: {
        local: true,
        auth: { required: true, table: "logins" },
        senders: { table: "allowed", masquerade: false },
      },
    },
    say: [HELO, "AUTH PLAIN AGNhcm9sAHNlc2FtZQ==\r\n", "MAIL FROM:<joe@example.org>\r\n"],
  },
  { reply: "aheadOfTls", section: "3207 §5", options: TLS, say: [HELO, "STARTTLS\r\nNOOP\r\n"], closes: true },
  { reply: "unrecognized", section: "5321 §4.2.4", say: ["BURL x\r\n"] },
  { reply: "noBlank", section: "5321 §4.3.2", say: [HELO, "NOOP\tx\r\n"] },
  { reply: "badChunk", section: "3030 §2", say: [`${MAIL}BDAT\t3\r\n`], closes: true },
  { reply: "mailSyntax", section: "5321 §4.3.2", say: [HELO, "MAIL TO:<a@example.org>\r\n"] },
  { reply: "rcptSyntax", section: "5321 §4.3.2", say: [MAIL, "RCPT FROM:<a@example.org>\r\n"] },
  { reply: "bareOption", section: "5321 §4.1.1.2", say: [`${HELO}MAIL FROM:<a@example.org>SIZE=1\r\n`] },
  { reply: "bareOption", section: "5321 §4.1.1.3", say: [`${MAIL}RCPT TO:<a@example.org>NOTIFY=NEVER\r\n`] },
  { reply: "otherProtocol", section: "9110 §9.1", say: ["POST / HTTP/1.1\r\n"], closes: true },
  { reply: "wiz", section: "5321 §4.2.4", say: ["WIZ\r\n"] },
  { reply: "expn", section: "5321 §3.5.3", say: ["EXPN list\r\n"] },
  { reply: "noArguments", section: "5321 §4.1.1.5", say: ["RSET now\r\n"] },
  { reply: "noParameters", section: "3207 §4", options: TLS, say: [HELO, "STARTTLS now\r\n"] },
  { reply: "noMechanism", section: "4954 §4", options: AUTH, say: [HELO, "AUTH\r\n"] },
  { reply: "unknownMechanism", section: "4954 §4", options: AUTH, say: [HELO, "AUTH CRAM-MD5\r\n"] },
  {
    reply: "unknownBinding",
    section: "5802 §6",
    options: { listener: { tls: "tls", auth: { required: false, table: "scram" } } },
    say: [
      `${HELO}STARTTLS\r\n`,
      ({ connection }) =>
        connection.secured({
          ciphers: "TLSv1.3:TLS_AES_256_GCM_SHA384:256",
          verified: false,
          fingerprint: null,
          binding: btoa("x".repeat(32)),
        }),
      `${HELO}AUTH SCRAM-SHA-256-PLUS ${btoa("p=tls-exporter,,n=a,r=x")}\r\n`,
    ],
  },
  { reply: "badResponse", section: "4954 §4", options: AUTH, say: [HELO, "AUTH PLAIN !\r\n"] },
  { reply: "authCancelled", section: "4954 §4", options: AUTH, say: [HELO, "AUTH PLAIN\r\n", "*\r\n"] },
  { reply: "heloDomain", section: "5321 §4.1.1.1", say: ["HELO\r\n"] },
  { reply: "ehloDomain", section: "5321 §4.1.1.1", say: ["EHLO\r\n"] },
  { reply: "badDomain", section: "5321 §4.1.1.1", say: ["EHLO a..b\r\n"] },
  { reply: "badSender", section: "5321 §4.1.1.2", say: [`${HELO}MAIL FROM:<a@>\r\n`] },
  { reply: "badRecipient", section: "5321 §4.1.1.3", say: [`${MAIL}RCPT TO:<>\r\n`] },
  { reply: "badSize", section: "1870 §3", say: [`${HELO}MAIL FROM:<> SIZE=x\r\n`] },
  { reply: "badRet", section: "3461 §4.3", say: [`${HELO}MAIL FROM:<> RET=x\r\n`] },
  { reply: "badAuthParameter", section: "4954 §5", say: [`${HELO}MAIL FROM:<> AUTH=\r\n`] },
  { reply: "noValue", section: "6531 §3.4", say: [`${HELO}MAIL FROM:<> SMTPUTF8=1\r\n`] },
  { reply: "badEnvid", section: "3461 §4.4", say: [`${HELO}MAIL FROM:<> ENVID=+\r\n`] },
  { reply: "longEnvid", section: "3461 §4.4", say: [`${HELO}MAIL FROM:<> ENVID=${"x".repeat(101)}\r\n`] },
  { reply: "mixedNever", section: "3461 §4.1", say: [`${MAIL}RCPT TO:<b@a> NOTIFY=NEVER,DELAY\r\n`] },
  { reply: "badNotify", section: "3461 §4.1", say: [`${MAIL}RCPT TO:<b@a> NOTIFY=x\r\n`] },
  { reply: "badOrcpt", section: "3461 §4.2", say: [`${MAIL}RCPT TO:<b@a> ORCPT=x\r\n`] },
  { reply: "needUtf8", section: "6531 §3.5", say: [`${MAIL}RCPT TO:<\xc3\xb6@a>\r\n`] },
  { reply: "verifyNeedsUtf8", section: "6531 §3.7.4.2", say: ["VRFY \xc3\xb6\r\n"] },
  { reply: "verifyWhom", section: "5321 §4.1.1.6", say: ["VRFY\r\n"] },
  { reply: "requireTlsInClear", section: "8689 §2", say: [`${HELO}MAIL FROM:<> REQUIRETLS\r\n`] },
  {
    reply: "notYourSender",
    section: "6409 §6.1",
    options: {
      ...AUTH,
      listener: { ...AUTH.listener, senders: { table: "senders", masquerade: false } },
    },
    say: [HELO, "AUTH PLAIN AGNhcm9sAHNlc2FtZQ==\r\n", "MAIL FROM:<dave@example.org>\r\n"],
  },
  { reply: "authOk", section: "4954 §4", options: AUTH, say: [HELO, "AUTH PLAIN AGNhcm9sAHNlc2FtZQ==\r\n"] },
  { reply: "authFailed", section: "4954 §6", options: AUTH, say: [HELO, WRONG, wait(1)] },
  {
    reply: "authTemporary",
    section: "4954 §6",
    options: AUTH,
    say: [HELO, "AUTH PLAIN AGNhcm9sAGxhdGVy\r\n"],
  },
  {
    reply: "authTooMany",
    section: "4954 §9",
    options: AUTH,
    say: [HELO, WRONG, wait(1), WRONG, wait(1), WRONG, wait(1)],
    closes: true,
  },
  { reply: "tooManyMails", section: "5321 §4.5.3.1", options: { settings: { maxMails: 0 } }, say: [MAIL] },
  { reply: "tooManyRecipients", section: "5321 §4.5.3.1.10", options: { settings: { maxRcpt: 0 } }, say: [RCPT] },
  { reply: "tooBigAnnounced", section: "1870 §6.1", say: [`${HELO}MAIL FROM:<> SIZE=99999999999\r\n`] },
  { reply: "bareLineEnd", section: "5321 §2.3.8", say: ["NOOP\n"], closes: true },
  { reply: "nulInCommand", section: "5321 §4.1.2", say: ["NO\0P\r\n"], closes: true },
  { reply: "badChunk", section: "3030 §2", say: ["BDAT x\r\n"], closes: true },
  { reply: "lineTooLong", section: "5321 §4.5.3.1.6", say: [DATA, "x".repeat(MAX_LINE_OCTETS + 1)], closes: true },
  { reply: "endless", section: "3030 §2", say: [`${RCPT}BDAT 999999999999999\r\n`], closes: true },
  { reply: "commandTooLong", section: "5321 §4.5.3.1.4", say: ["x".repeat(MAX_COMMAND_OCTETS + 2)], closes: true },
  { reply: "bareLineEndInData", section: "5321 §4.1.1.4", say: [`${DATA}A: b\n.\r\n\r\n.\r\n`], closes: true },
  {
    reply: "malformed",
    section: "5322 §2.2",
    options: { listener: { submission: true } },
    say: [`${DATA}no header\r\n.\r\n`],
  },
  { reply: "loop", section: "5321 §6.3", say: [`${DATA}${"Received: x\r\n".repeat(MAX_HOPS)}.\r\n`] },
  {
    reply: "headerTooBig",
    section: "5321 §4.5.3.1.9",
    say: [`${DATA}${`A: ${"x".repeat(60)}\r\n`.repeat(MAX_HEADER_OCTETS / 64 + 1)}.\r\n`],
  },
  {
    reply: "tooBig",
    section: "5321 §4.5.3.1.7",
    options: { settings: { maxMessageBytes: 10 } },
    say: [`${DATA}A: 1234567\r\n.\r\n`],
  },
  { reply: "temporaryMail", section: "5321 §4.2.2", say: [`${MAIL}RCPT TO:<nowhere@example.org>\r\n`] },
  {
    reply: "temporary",
    section: "5321 §3.8",
    say: [`${MAIL}RCPT TO:<silent@example.org>\r\n`, ({ world }) => world.lookup.onreset()],
    closes: true,
  },
  {
    reply: "stopping",
    section: "5321 §3.8",
    say: [async ({ world }) => {
      void world.service.stop();
      await settle();
    }],
    closes: true,
  },
  {
    reply: "tooManyIdle",
    section: "5321 §4.3.2",
    say: [...Array<string>(MAX_IDLE_COMMANDS + 1).fill("NOOP\r\n")],
    closes: true,
  },
  {
    reply: "tooManyBad",
    section: "5321 §4.3.2",
    options: { settings: { maxErrors: 1 } },
    say: ["FOO\r\n", "FOO\r\n"],
    closes: true,
  },
  { reply: "idle", section: "5321 §4.5.3.2.7", say: [wait(400)], closes: true },
  {
    reply: "early",
    section: "5321 §3.1",
    options: { settings: { bannerDelayMs: 3000 } },
    say: [async (client) => {
      client.wire.early = true;
      await wait(3)(client);
    }],
    closes: true,
  },
];
for (const { reply, section, options, say, closes } of rows) {
  Deno.test(`RFC ${section}: ${REPLY[reply].slice(0, 60).replace(/\r\n[^]*/, "")} (${reply})`, async () => {
    const client = await new World(options).connect();
    let said = "";
    for (const one of say) {
      if (typeof one === "string") said = await client.say(one);
      else {
        await one(client);
        await settle();
        said = client.wire.take();
      }
    }
    assert.ok(said.endsWith(`${REPLY[reply]}\r\n`), said.slice(-200));
    assert.equal(client.wire.closed, closes ?? false);
  });
}

/** Counted by a guard that counts over sessions. */
const ELSEWHERE = new Set<string>(["authBlocked"]);

Deno.test(`RFC 4954 §9: ${REPLY.authBlocked} (authBlocked)`, async () => {
  const world = new World({ listener: { tls: "tls", auth: { required: false, table: "logins" } } });
  for (let failures = 0; failures < 20;) {
    const client = await world.connect();
    await client.say(`${HELO}STARTTLS\r\n`);
    tls(client);
    await client.say(HELO);
    for (let tries = 0; tries < 3 && failures < 20; tries++, failures++) {
      await client.say(WRONG);
      await wait(1)(client);
      assert.match(client.wire.take(), /^(?:535|421) /);
    }
    client.leave();
  }
  const client = await world.connect();
  await client.say(`${HELO}STARTTLS\r\n`);
  tls(client);
  await client.say(HELO);
  assert.equal(await client.say(WRONG), `${REPLY.authBlocked}\r\n`);
});

Deno.test("every reply of reply.ts has its row here, with the section of the RFC that it answers to", () => {
  const seen = new Set<string>(rows.map(({ reply }) => reply));
  assert.deepEqual(Object.keys(REPLY).filter((key) => !seen.has(key) && !ELSEWHERE.has(key)), []);
});

const made: readonly { say: string; want: string; section: string }[] = [
  { say: `${HELO}MAIL FROM:<> X=1\r\n`, want: unsupportedOption("X=1"), section: "5321 §4.1.1.11" },
  { say: `${HELO}MAIL FROM:<> SIZE=1 SIZE=1\r\n`, want: duplicateOption("SIZE"), section: "5321 §4.1.1.11" },
  { say: `${RCPT}BDAT 3\r\nA:b`, want: chunkAccepted(3), section: "3030 §4.1" },
  { say: `${DATA}A: b\r\n.\r\n`, want: accepted("00000001"), section: "5321 §4.1.1.4" },
];
for (const { say, want, section } of made) {
  Deno.test(`RFC ${section}: ${want}`, async () => {
    const client = await new World().connect();
    assert.ok((await client.say(say)).endsWith(`${want}\r\n`));
  });
}

/** `code enhanced` of a reply, the code alone where it has no other. */
function codesOf(reply: string): string {
  return /^\d{3}(?=[ -])(?:[ -]\d\.\d+\.\d+)?/.exec(reply)![0].replace("-", " ");
}

Deno.test("smtpd(8) lists the codes that the server has, no more and no fewer", () => {
  const page = Deno.readTextFileSync(new URL("../../conf/man/smtpd.8", import.meta.url));
  const section = /^\.Sh REPLIES\n([^]*?)^\.Sh /m.exec(page)![1]!;
  const listed = [...section.matchAll(/^\.It Li (.*)$/gm)].map(([, codes]) => codes!);
  assert.deepEqual(listed, [...listed].sort(), "in order");
  const others = [accepted("00000001"), chunkAccepted(1), unsupportedOption("X"), duplicateOption("X")];
  // The greeting, the answer to EHLO, and what AUTH goes on with; all are in the dialogues of test/golden.
  const rcpt = { local: "a", domain: "example.org" };
  // Their tests are in test/rules.
  const aboutRecipients = Object.values(refusals).map((refuse) => refuse(rcpt)).map(({ code, text }) =>
    `${code} ${text}`
  );
  const all = [...Object.values(REPLY), ...others, ...aboutRecipients];
  const had = new Set(all.map(codesOf).concat("220", "250", "334"));
  assert.deepEqual(listed, [...had].sort());
});
