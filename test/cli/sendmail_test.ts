/**
 * sendmail: what becomes of the text on standard input, and where it goes. Long, because all cases share the scripted server at its head.
 */

import { closeSync } from "node:fs";
import type net from "node:net";
import { deepEqual, equal, match, ok, rejects, throws } from "node:assert/strict";
import { parseAddressList, readAddressList } from "../../src/cli/sendmail/addresses.ts";
import { formatDate } from "../../src/date.ts";
import { formatFrom, whoIs } from "../../src/cli/sendmail/identity.ts";
import { openOfflineFolder, replayOffline, saveOffline } from "../../src/cli/sendmail/offline.ts";
import { encodeQuotedPrintable } from "../../src/cli/sendmail/quoted_printable.ts";
import { runSendmail } from "../../src/cli/sendmail/sendmail.ts";
import { carrySession } from "../../src/cli/sendmail/stdio_session.ts";
import { readSendmailOptions } from "../../src/cli/sendmail/options.ts";
import { environment, FakeTerminal, type Received, smtpServer, withFolder, withServer } from "./fakes.ts";

const PASSWD = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000:& Liddell,Room 1:/home/alice:/bin/sh\n" +
  'bob:x:1001:1001:Bob "Bo" B.:/home/bob:/bin/sh\n';
const NOW = new Date("2026-01-02T03:04:05Z");

interface Ran extends Received {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly deadLetter: string;
  /** Files in the offline folder, by content. */
  readonly offline: string[];
  /** How long it waited before each new try, in ms. */
  readonly waits: number[];
}

interface Setting {
  readonly refusals?: Record<string, string>;
  readonly down?: boolean;
  /** So many connections end before a word is said. */
  readonly hangUps?: number;
  /** What refuses stops doing so while sendmail waits. */
  readonly passing?: boolean;
  readonly uid?: number;
  readonly env?: Record<string, string>;
}

/** Runs sendmail against a scripted server. */
async function run(args: readonly string[], stdin: string | Uint8Array<ArrayBuffer>, setting: Setting = {}) {
  const received: Received = { commands: [], messages: [] };
  const terminal = new FakeTerminal(stdin);
  const refusals = { ...setting.refusals };
  const waits: number[] = [];
  let hangUps = setting.hangUps ?? 0;
  let ran!: Ran;
  await withFolder(async (folder) => {
    await Deno.mkdir(`${folder}/offline`);
    const env = environment({
      SMTPD_SOCKET: `${folder}/c.sock`,
      SMTPD_SPOOL: folder,
      HOME: folder,
      LOGNAME: "alice",
      ...setting.env,
    });
    const world = {
      env,
      terminal,
      uid: setting.uid ?? 1000,
      passwd: PASSWD,
      mailname: "mx.example.org",
      now: () => NOW,
      wait: (ms: number) => {
        waits.push(ms);
        if (setting.passing) { for (const at of Object.keys(refusals)) delete refusals[at]; }
        return Promise.resolve();
      },
    };
    const serve = smtpServer(received, refusals);
    let status = -1;
    const send = async () => void (status = await runSendmail(args, world));
    if (setting.down) await send();
    else {
      await withServer(`${folder}/c.smtp.sock`, (socket) => hangUps-- > 0 ? socket.destroy() : serve(socket), send);
    }
    const offline: string[] = [];
    for await (const { name } of Deno.readDir(`${folder}/offline`)) {
      equal((await Deno.stat(`${folder}/offline/${name}`)).mode! & 0o777, 0o600);
      match(name, /^\d+\.[0-9a-z]{10}$/);
      offline.push(await Deno.readTextFile(`${folder}/offline/${name}`));
    }
    const deadLetter = await Deno.readTextFile(`${folder}/dead.letter`).catch(() => "");
    ran = {
      ...received,
      status,
      stdout: terminal.stdout,
      stderr: terminal.stderr.replaceAll(folder, "HOME"),
      deadLetter,
      offline,
      waits,
    };
  });
  return ran;
}

const DATE = formatDate(NOW);

const messages: { name: string; args?: string[]; stdin: string; message: string }[] = [
  {
    name: "a whole message stays as it is",
    stdin: "From: a@b\nDate: today\nSubject: x\n\nbody\n",
    message: "From: a@b\r\nDate: today\r\nSubject: x\r\n\r\nbody\r\n",
  },
  {
    name: "From and Date are added, with the full name of the account",
    stdin: "Subject: x\n\nbody\n",
    message: `Subject: x\r\nFrom: Alice Liddell <alice@mx.example.org>\r\nDate: ${DATE}\r\n\r\nbody\r\n`,
  },
  {
    name: "with -f the account's name is nobody's business",
    args: ["-f", "other@example.net", "x@y"],
    stdin: "Subject: x\n\nbody\n",
    message: `Subject: x\r\nFrom: <other@example.net>\r\nDate: ${DATE}\r\n\r\nbody\r\n`,
  },
  {
    name: "-F names the sender; what is special is quoted",
    args: ["-F", "A. (Admin)", "x@y"],
    stdin: "Subject: x\n\nbody\n",
    message: `Subject: x\r\nFrom: "A. (Admin)" <alice@mx.example.org>\r\nDate: ${DATE}\r\n\r\nbody\r\n`,
  },
  {
    name: "text without a header is all body",
    stdin: "hello\nworld",
    message: `From: Alice Liddell <alice@mx.example.org>\r\nDate: ${DATE}\r\n\r\nhello\r\nworld\r\n`,
  },
  {
    name: "a field that nobody knows does not make a header",
    stdin: "note: remember\n\nmilk\n",
    message: `From: Alice Liddell <alice@mx.example.org>\r\nDate: ${DATE}\r\n\r\nnote: remember\r\n\r\nmilk\r\n`,
  },
  {
    name: "a forgotten blank line is put in",
    stdin: "From: a@b\nDate: d\nbody at once\n",
    message: "From: a@b\r\nDate: d\r\n\r\nbody at once\r\n",
  },
  {
    name: "From_ and Return-Path lines and Bcc, with what it continues on, are dropped",
    stdin: "From alice Mon\nReturn-Path: <x@y>\nFrom: a@b\nDate: d\nBcc: secret@x,\n more@x\nTo: c@d\n\nbody\n",
    message: "From: a@b\r\nDate: d\r\nTo: c@d\r\n\r\nbody\r\n",
  },
  {
    name: "CRLF, CR CR LF and a missing line end are made one kind of line end",
    stdin: "From: a@b\r\nDate: d\r\r\n\r\nx\r\r\r\nend\r",
    message: "From: a@b\r\nDate: d\r\n\r\nx\r\nend\r\n",
  },
  {
    name: "a CR alone and NUL are blanks, in the body and in the header",
    stdin: "From: a@b\nDate: d\nSubject: x\rBcc: y@z\n\rTo: w@z\n\0Cc: v@z\n\n10%\r20%\r\rend\n\0\0a\0b\n",
    message: "From: a@b\r\nDate: d\r\nSubject: x Bcc: y@z\r\n To: w@z\r\n Cc: v@z\r\n\r\n10% 20%  end\r\n  a b\r\n",
  },
  {
    name: "Resent-Bcc is dropped from every block",
    stdin: "Resent-To: a@b\nResent-Bcc: c@d,\n e@f\nReceived: x\nresent-bcc : g@h\nFrom: a@b\nDate: d\n\nbody\n",
    message: "Resent-To: a@b\r\nReceived: x\r\nFrom: a@b\r\nDate: d\r\n\r\nbody\r\n",
  },
  {
    name: "a dot alone ends nothing, and dots are stuffed on the wire",
    stdin: "From: a@b\nDate: d\n\n.\n..\n.x\n",
    message: "From: a@b\r\nDate: d\r\n\r\n..\r\n...\r\n..x\r\n",
  },
  {
    name: "lines of 989 octets go as they are",
    stdin: `From: a@b\nDate: d\n\n${"x".repeat(989)}\n`,
    message: `From: a@b\r\nDate: d\r\n\r\n${"x".repeat(989)}\r\n`,
  },
  {
    name: "longer lines go quoted-printable, with the fields that say so",
    stdin: `From: a@b\nDate: d\n\nshort =\n${"x".repeat(990)}\n`,
    message: "From: a@b\r\nDate: d\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=unknown-8bit\r\n" +
      "Content-Disposition: inline\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nshort =3D\r\n" +
      `${`${"x".repeat(75)}=\r\n`.repeat(13)}${"x".repeat(15)}\r\n`,
  },
  {
    name: "a body that has an encoding keeps it",
    stdin: `From: a@b\nDate: d\nContent-Transfer-Encoding: 8bit\n\n${"x".repeat(2000)}\n`,
    message: `From: a@b\r\nDate: d\r\nContent-Transfer-Encoding: 8bit\r\n\r\n${"x".repeat(2000)}\r\n`,
  },
  {
    name: "a multipart body is never encoded as a whole",
    stdin: `From: a@b\nDate: d\nContent-Type: multipart/mixed; boundary=b\n\n${"x".repeat(2000)}\n`,
    message: `From: a@b\r\nDate: d\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n${"x".repeat(2000)}\r\n`,
  },
  {
    name: "an empty message has a header",
    stdin: "",
    message: `From: Alice Liddell <alice@mx.example.org>\r\nDate: ${DATE}\r\n\r\n`,
  },
];
for (const { name, args = ["x@y"], stdin, message } of messages) {
  Deno.test(`sendmail: ${name}`, async () => {
    const ran = await run(args, stdin);
    equal(ran.stderr, "");
    equal(ran.status, 0);
    deepEqual(ran.messages, [message]);
  });
}

const dialogues: { name: string; args: string[]; stdin?: string; setting?: Setting; commands: string[] }[] = [
  {
    name: "the sender is the From address unless -f says otherwise",
    args: ["x@y"],
    stdin: 'From: "Doe, J." <j@example.net>\n\nbody\n',
    commands: ["MAIL FROM:<j@example.net>", "RCPT TO:<x@y>"],
  },
  {
    name: "-f with brackets, -f with nothing",
    args: ["-f", "<>", "x@y"],
    commands: ["MAIL FROM:<>", "RCPT TO:<x@y>"],
  },
  {
    name: "names without a domain get the mail name; lists are split; nobody gets it twice",
    args: ["bob, carol@x", "bob"],
    commands: ["MAIL FROM:<alice@mx.example.org>", "RCPT TO:<bob@mx.example.org>", "RCPT TO:<carol@x>"],
  },
  {
    name: "-t reads To, Cc and Bcc, as well as the command line",
    args: ["-ti", "first@x"],
    stdin: "From: a@b\nTo: T <t@x>,\n u@x\nCc: Team: v@x, w@x;\nBcc: hidden@x (quiet)\n\nbody\n",
    commands: [
      "MAIL FROM:<a@b>",
      ...["first@x", "t@x", "u@x", "v@x", "w@x", "hidden@x"].map((address) => `RCPT TO:<${address}>`),
    ],
  },
  {
    name: "-t does not take what stands behind a CR for a field",
    args: ["-t"],
    stdin: "From: a@b\nTo: t@x\nSubject: x\rBcc: y@x\n\rCc: u@x\n\0Bcc: v@x\n\nbody\n",
    commands: ["MAIL FROM:<a@b>", "RCPT TO:<t@x>"],
  },
  {
    name: "-t takes the sender from what stands in front of a CR, and CR at line ends for nothing",
    args: ["-t"],
    stdin: "From: me <a@b>\rBcc: <evil@x>\nTo: t@x,\r\r\n u@x\r\nCc: v@x\r",
    commands: ["MAIL FROM:<a@b>", "RCPT TO:<t@x>", "RCPT TO:<u@x>", "RCPT TO:<v@x>"],
  },
  {
    name: "-t of a message that is sent on reads the Resent- fields, RFC 5322 §3.6.6",
    args: ["-t", "first@x"],
    stdin: "From: a@b\nTo: old@x\nCc: old@x\nBcc: old@x\nResent-From: me@b\nResent-To: new@x,\n n@x\nResent-Cc: c@x\n" +
      "Resent-Bcc: b@x\n\nbody\n",
    commands: [
      "MAIL FROM:<me@b>",
      ...["first@x", "new@x", "n@x", "c@x", "b@x"].map((address) => `RCPT TO:<${address}>`),
    ],
  },
  {
    name: "-t reads the newest of several Resent- blocks",
    args: ["-t"],
    stdin:
      "Resent-To: new@x\nResent-To: n@x\nResent-From: me@b\nResent-To: old@x\nResent-From: a@b\nTo: older@x\n\nbody\n",
    commands: ["MAIL FROM:<me@b>", "RCPT TO:<new@x>", "RCPT TO:<n@x>"],
  },
  {
    name: "-t sees where the next host took over",
    args: ["-t"],
    stdin: "Resent-To: new@x\nReceived: x\nResent-From: a@b\nResent-Cc: old@x\nFrom: b@c\nTo: older@x\n\nbody\n",
    // Who calls is who sends on.
    commands: ["MAIL FROM:<alice@mx.example.org>", "RCPT TO:<new@x>"],
  },
  {
    name: "-t of a resent message without Resent- recipients reads To",
    args: ["-t"],
    stdin: "Resent-From: me@b\nFrom: a@b\nTo: t@x\n\nbody\n",
    commands: ["MAIL FROM:<me@b>", "RCPT TO:<t@x>"],
  },
  {
    name: "without -t the header names no recipients",
    args: ["x@y"],
    stdin: "From: a@b\nTo: t@x\n\nbody\n",
    commands: ["MAIL FROM:<a@b>", "RCPT TO:<x@y>"],
  },
  {
    name: "DSN parameters, the id as xtext",
    args: ["-N", "success,failure", "-R", "hdrs", "-V", "a=b", "-f", "a@b", "x@y"],
    commands: ["MAIL FROM:<a@b> RET=HDRS ENVID=a+3Db", "RCPT TO:<x@y> NOTIFY=SUCCESS,FAILURE"],
  },
  {
    name: "octets above 127 are announced, addresses with them too",
    args: ["-f", "a@b", "ü@y"],
    stdin: "Subject: ü\n\n",
    commands: ["MAIL FROM:<a@b> BODY=8BITMIME SMTPUTF8", "RCPT TO:<\u00c3\u00bc@y>"],
  },
  {
    name: "a login name of somebody else is not believed",
    args: ["x@y"],
    setting: { env: { LOGNAME: "bob" } },
    commands: ["MAIL FROM:<alice@mx.example.org>", "RCPT TO:<x@y>"],
  },
  {
    name: "root may use another login name, -S wants its own",
    args: ["-S", "x@y"],
    setting: { uid: 0 },
    commands: ["MAIL FROM:<root@mx.example.org>", "RCPT TO:<x@y>"],
  },
  {
    name: "options of other mailers are passed over",
    args: ["-oi", "-oem", "-em", "-B", "8BITMIME", "-L", "tag", "-A", "c", "-x", "-i", "-m", "-f", "a@b", "--", "x@y"],
    commands: ["MAIL FROM:<a@b>", "RCPT TO:<x@y>"],
  },
];
/** What other mailers take, attached or in the next word; each must leave the recipient alone. */
const FOREIGN: readonly (readonly string[])[] = [
  ...[["-G"], ["-n"], ["-U"], ["-i"], ["-m"], ["-c"], ["-x"], ["-GinU"], ["-bm"], ["-b", "m"]],
  ...[["-O", "DeliveryMode=b"], ["-OTimeout.queuereturn=5d"], ["-o", "i"], ["-oi"], ["-oem"], ["-odq"], ["-o7"]],
  ...[["-X", "/tmp/log"], ["-X/tmp/log"], ["-h", "3"], ["-h3"], ["-B", "8BITMIME"], ["-B7BIT"], ["-C", "/etc/x.cf"]],
  ...[["-D", "/tmp/log"], ["-d"], ["-d0.1"], ["-d8.4,27.3"], ["-e", "m"], ["-em"], ["-L", "tag"], ["-Ltag"]],
  ...[["-p", "SMTP:host"], ["-Am"], ["-A", "c"], ["-E"], ["-J"], ["-J2"], ["-oA/etc/aliases"]],
];
for (const options of FOREIGN) {
  dialogues.push({
    name: `${options.join(" ")} means nothing here`,
    args: [...options, "-f", "a@b", "x@y"],
    commands: ["MAIL FROM:<a@b>", "RCPT TO:<x@y>"],
  });
}
for (const { name, args, stdin = "Subject: x\n\nbody\n", setting, commands } of dialogues) {
  Deno.test(`sendmail: ${name}`, async () => {
    const ran = await run(args, stdin, setting);
    equal(ran.stderr, "");
    deepEqual(ran.commands, ["EHLO localhost", ...commands, "DATA", "QUIT"]);
    equal(ran.status, 0);
  });
}

const refusals: { at: string; setting: Setting; status: number; stderr: string }[] = [
  {
    at: "the sender",
    setting: { refusals: { MAIL: "550 5.7.1 Not you" } },
    status: 70,
    stderr: "sendmail: command failed: 550 5.7.1 Not you\n",
  },
  {
    at: "one of two recipients",
    setting: { refusals: { "RCPT TO:<b@y>": "550 Invalid recipient: <b@y>" } },
    status: 70,
    stderr: "sendmail: command failed: 550 Invalid recipient: <b@y>\n",
  },
  {
    at: "the message",
    setting: { refusals: { END: "452 4.3.1 Disk full" } },
    status: 69,
    stderr: "sendmail: command failed for now, try again later: 452 4.3.1 Disk full\n",
  },
  {
    at: "the message",
    setting: { refusals: { END: "554 5.6.0 Malformed" } },
    status: 70,
    stderr: "sendmail: command failed: 554 5.6.0 Malformed\n",
  },
  {
    at: "the sender, for now,",
    setting: { refusals: { MAIL: "452 4.3.1 Insufficient system storage" } },
    status: 69,
    stderr: "sendmail: command failed for now, try again later: 452 4.3.1 Insufficient system storage\n",
  },
  {
    at: "a recipient, for now,",
    setting: { refusals: { "RCPT TO:<b@y>": "451 4.2.4 Invalid" } },
    status: 69,
    stderr: "sendmail: command failed for now, try again later: 451 4.2.4 Invalid\n",
  },
  {
    at: "EHLO, for now,",
    setting: { refusals: { EHLO: "450 4.7.0 Later" } },
    status: 69,
    stderr: "sendmail: command failed for now, try again later: 450 4.7.0 Later\n",
  },
  {
    at: "the connection",
    setting: { refusals: { GREETING: "421 4.3.2 Service paused" } },
    status: 69,
    stderr: "sendmail: smtpd takes no mail: 421 4.3.2 Service paused\n",
  },
];
for (const { at, setting, status, stderr } of refusals) {
  Deno.test(`sendmail exits ${status} and keeps a dead letter when ${at} is refused`, async () => {
    const ran = await run(["a@y", "b@y"], "From: a@b\nDate: d\n\nbody\n", setting);
    equal(ran.stderr, `${stderr}sendmail: the message was added to HOME/dead.letter\n`);
    equal(ran.status, status);
    equal(ran.deadLetter, "\nFrom: a@b\nDate: d\n\nbody\n\n");
    ok(!ran.commands.includes("DATA") || at === "the message");
  });
}

const passing: { what: string; setting: Setting; waits: number[] }[] = [
  { what: "the connection ends", setting: { hangUps: 3 }, waits: [200, 400, 800] },
  { what: "the greeting is 421", setting: { refusals: { GREETING: "421 4.3.0 Service restarting" } }, waits: [200] },
  { what: "a recipient gets 421", setting: { refusals: { RCPT: "421 4.3.0 Temporary Error" } }, waits: [200] },
  { what: "the message gets 421", setting: { refusals: { END: "421 4.3.0 Temporary Error" } }, waits: [200] },
];
for (const { what, setting, waits } of passing) {
  Deno.test(`sendmail tries again when ${what}`, async () => {
    const ran = await run(["a@y"], "From: a@b\nDate: d\n\nbody\n", { ...setting, passing: true });
    deepEqual([ran.status, ran.stderr, ran.deadLetter, ran.waits], [0, "", "", waits]);
    equal(ran.messages.at(-1), "From: a@b\r\nDate: d\r\n\r\nbody\r\n");
  });
}

Deno.test("sendmail gives up when every connection is lost, and keeps a dead letter", async () => {
  const ran = await run(["a@y"], "From: a@b\nDate: d\n\nbody\n", { hangUps: 10 });
  deepEqual([ran.status, ran.waits], [69, [200, 400, 800, 1600]]);
  match(ran.stderr, /^sendmail: smtpd takes no mail: \S/);
  equal(ran.deadLetter, "\nFrom: a@b\nDate: d\n\nbody\n\n");
});

Deno.test("sendmail -v shows the dialogue", async () => {
  const ran = await run(["-v", "-f", "a@b", "x@y"], "Subject: x\n\n");
  match(ran.stdout, /^<<< 220 test ESMTP\n>>> EHLO localhost\n<<< 250 test\n/);
  match(ran.stdout, />>> RCPT TO:<x@y>\n<<< 250 ok\n>>> DATA\n<<< 354 go\n>>> \.\n<<< 250 2\.0\.0 queued\n>>> QUIT\n/);
});

const mistakes: { args: string[]; stdin?: string; status: number; stderr: RegExp }[] = [
  { args: [], status: 70, stderr: /no recipients/ },
  { args: ["-t"], stdin: "Subject: nobody\n\n", status: 70, stderr: /no recipients/ },
  { args: ["-Z", "x@y"], status: 64, stderr: /unknown option -- Z\nusage: sendmail/ },
  { args: ["-f"], status: 64, stderr: /requires an argument -- f/ },
  { args: ["-q"], status: 70, stderr: /no queue run.*smtpctl schedule all/ },
  { args: ["-q30m"], status: 70, stderr: /no queue run/ },
  { args: ["-T", "x@y"], status: 64, stderr: /unknown option -- T, did you mean "-t"\?\nusage: sendmail/ },
  { args: ["--hlep"], status: 64, stderr: /unknown option --hlep, did you mean "--help"\?\nusage: sendmail/ },
  { args: ["-help"], status: 64, stderr: /invalid value of -h: elp, did you mean "--help"\?/ },
  { args: ["-bd", "-q30m"], status: 64, stderr: /there is no mode -bd: the daemon is smtpd\(8\)/ },
  { args: ["-bt"], status: 64, stderr: /there is no mode -bt: .*smtpctl trace rules/ },
  { args: ["-bx", "x@y"], status: 64, stderr: /there is no mode -bx: known are / },
  { args: ["-M", "id"], status: 64, stderr: /unknown option -- M/ },
  { args: ["--pretend", "x@y"], status: 64, stderr: /unknown option --pretend/ },
  { args: ["--read-recipients=yes", "x@y"], status: 64, stderr: /option takes no argument -- read-recipients/ },
  { args: ["--from"], status: 64, stderr: /option requires an argument -- from/ },
  { args: ["-oMa", "127.0.0.1"], status: 70, stderr: /no recipients/ },
  { args: ["x@y", "-f", "a@b"], status: 64, stderr: /-f stands behind a recipient: options come first/ },
  { args: ["-N", "always", "x@y"], status: 64, stderr: /invalid value of -N/ },
  { args: ["-f", "a@b\r\nRCPT TO:<evil@x>", "x@y"], status: 70, stderr: /malformed address/ },
  ...[
    "To: a@b\rBcc: evil@x",
    "To: a@b,\rBcc: evil@x",
    "To: A <a@b>\rBcc: <evil@x>, z@x",
    "To: a@b\n\rBcc: evil@x",
    "To: a@b,\n c@d\0evil@x",
    "TO: q@b\nTo: a@b\r\rBcc: evil@x",
    "To: a@b\nResent-To: r@b\rResent-Bcc: evil@x",
  ].map((header) => ({
    args: ["-t"],
    stdin: `From: a@b\n${header}\n\n`,
    status: 65,
    stderr: /malformed address list: (Resent-)?To: a carriage return or a NUL stands within a line/,
  })),
  { args: ["-t"], stdin: "Cc: a@b Bcc: x@y\n\n", status: 65, stderr: /Cc: "a@b Bcc" is not the name of a group/ },
  { args: ["-t", "-bv"], stdin: "Bcc: a@b Cc: x@y\n\n", status: 65, stderr: /Bcc: "a@b Cc" is not/ },
  { args: ["-t"], stdin: "To: a@b\nFrom: a@b Bcc: x@y\n\n", status: 65, stderr: /From: "a@b Bcc" is not/ },
  { args: ["a@b x: y@z"], status: 65, stderr: /malformed address list: "a@b x" is not the name of a group/ },
];
for (const { args, stdin = "Subject: x\n\n", status, stderr } of mistakes) {
  Deno.test(`sendmail ${JSON.stringify(args)} exits ${status} without a word to the server`, async () => {
    const ran = await run(args, stdin);
    match(ran.stderr, stderr);
    equal(ran.status, status);
    deepEqual(ran.commands, []);
  });
}

const foreign: { args: string[]; sender?: string }[] = [
  ...["M", "Ma", "Maa", "Mai", "Mas", "Mi", "Mr", "Ms", "Mt", "MM"].slice(1).map((letters) => ({
    args: [`-o${letters}`, "other@y", "x@y"],
  })),
  { args: ["-o", "Mr", "smtp", "x@y"] },
  { args: ["-ioMr", "smtp", "-fs@z", "x@y"], sender: "s@z" },
  { args: ["-oP", "/run/exim.pid", "x@y"] },
  { args: ["-oX", "25", "x@y"] },
  { args: ["-oMrsmtp", "x@y"] },
  { args: ["-a", "work", "x@y"] },
  { args: ["-awork", "x@y"] },
  { args: ["--account=work", "x@y"] },
  { args: ["--account", "work", "x@y"] },
  { args: ["--file=/etc/msmtprc", "--logfile", "/tmp/log", "x@y"] },
  { args: ["--from=s@z", "x@y"], sender: "s@z" },
  { args: ["--from", "s@z", "--", "x@y"], sender: "s@z" },
  { args: ["--from=", "x@y"], sender: "" },
  { args: ["--read-envelope-from", "x@y"] },
  { args: ["-C", "/etc/msmtprc", "--read-envelope-from", "--read-recipients"] },
];
for (const { args, sender = "from@y" } of foreign) {
  Deno.test(`sendmail ${args.join(" ")} submits, as other mailers do`, async () => {
    const ran = await run(args, "From: from@y\nTo: x@y\n\nbody\n");
    deepEqual([ran.status, ran.stderr], [0, ""]);
    deepEqual(ran.commands.filter((line) => /^(?:MAIL|RCPT)/.test(line)).map((line) => /<.*>/.exec(line)![0]), [
      `<${sender}>`,
      "<x@y>",
    ]);
  });
}

Deno.test("sendmail --dsn-notify and --dsn-return are -N and -R", async () => {
  const ran = await run(["--dsn-notify=never", "--dsn-return", "hdrs", "x@y"], "From: from@y\n\nbody\n");
  match(ran.commands.join("\n"), /RET=HDRS[^]*NOTIFY=NEVER/);
});

Deno.test("sendmail keeps the mail while the daemon is down, recipients of -t and Bcc spelled out, and exits 75", async () => {
  const stdin = "From: a@b\r\nTo: t@x\r\nBcc: hidden@x\r\n\r\nbo\rdy";
  const ran = await run(["-t", "-F", "Me"], stdin, { down: true });
  match(ran.stderr, /^sendmail: smtpd doesn't seem to be running: the message is kept[^\n]*\n$/);
  equal(ran.status, 75);
  deepEqual(ran.offline, ["-F|Me|--|t@x|hidden@x\nFrom: a@b\nTo: t@x\n\nbo dy\n"]);
});

Deno.test("sendmail cannot keep an argument with a bar: dead letter, exit 70", async () => {
  const ran = await run(["-F", "a|b", "x@y"], "Subject: x\n\n", { down: true });
  match(ran.stderr, /contains a bar/);
  equal(ran.status, 70);
  deepEqual(ran.offline, []);
  match(ran.deadLetter, /Subject: x/);
});

Deno.test("replayOffline submits what was kept as its owner, removes it, and leaves what is refused", async () => {
  await withFolder(async (folder) => {
    const received: Received = { commands: [], messages: [] };
    const log: string[] = [];
    await Deno.mkdir(`${folder}/offline`);
    const keep = (name: string, text: string) => Deno.writeTextFile(`${folder}/offline/${name}`, text, { mode: 0o600 });
    await keep("1700000000.aaaaaaaaaa", "-F|Me|--|t@x|hidden@x\nSubject: first\n\nbody\n");
    await keep("1700000001.bbbbbbbbbb", "-f|<>|--|no@x\nSubject: second\n\nbody\n");
    await keep("1700000002.cccccccccc", "--|x@y\n\nall body\n");
    await Deno.writeTextFile(`${folder}/secret`, "secret\n", { mode: 0o600 });
    await Deno.link(`${folder}/secret`, `${folder}/offline/1700000003.dddddddddd`);
    await Deno.symlink(`${folder}/secret`, `${folder}/offline/1700000004.eeeeeeeeee`);
    await keep("notes.txt", "not ours\n");
    const uid = Deno.uid()!;
    const options = {
      spool: folder,
      submissionSocket: `${folder}/s.sock`,
      mailname: "mx.example.org",
      passwd: `owner:x:${uid}:${uid}:The Owner:/:/bin/sh\n`,
      log: (_level: string, text: string) => void log.push(text),
      remove: (name: string) => Deno.removeSync(`${folder}/offline/${name}`),
    };
    await withServer(`${folder}/s.sock`, smtpServer(received, { "RCPT TO:<no@x>": "550 5.1.1 No" }), async () => {
      equal(await replayOffline(options), 2);
    });
    const left: string[] = [];
    for await (const { name } of Deno.readDir(`${folder}/offline`)) left.push(name);
    deepEqual(left.sort(), [
      "1700000001.bbbbbbbbbb",
      "1700000003.dddddddddd",
      "1700000004.eeeeeeeeee",
      "notes.txt",
    ]);
    deepEqual(log, [
      "warn: offline message 1700000001.bbbbbbbbbb stays: 550 5.1.1 No",
      "warn: offline message 1700000003.dddddddddd stays: it is not a plain file",
    ]);
    match(received.messages[0]!, /^Subject: first\r\nFrom: Me <owner@mx\.example\.org>\r\nDate: .*\r\n\r\nbody\r\n$/);
    match(received.messages[1]!, /^From: The Owner <owner@mx\.example\.org>\r\nDate: .*\r\n\r\nall body\r\n$/);
    ok(received.commands.includes("RCPT TO:<hidden@x>"));
    ok(received.commands.includes("MAIL FROM:<>"));
  });
});

Deno.test("openOfflineFolder() makes the folder as users need it, and goes behind no link", async () => {
  await withFolder(async (folder) => {
    closeSync(openOfflineFolder(folder));
    equal((await Deno.lstat(`${folder}/offline`)).mode! & 0o7777, 0o1733);
    await Deno.chmod(`${folder}/offline`, 0o700);
    closeSync(openOfflineFolder(folder));
    equal((await Deno.lstat(`${folder}/offline`)).mode! & 0o7777, 0o1733);
    await Deno.remove(`${folder}/offline`);
    await Deno.mkdir(`${folder}/elsewhere`, { mode: 0o700 });
    await Deno.symlink(`${folder}/elsewhere`, `${folder}/offline`);
    throws(() => openOfflineFolder(folder), /ENOTDIR|not a directory/);
    equal((await Deno.lstat(`${folder}/elsewhere`)).mode! & 0o7777, 0o700);
    await rejects(saveOffline(folder, ["--", "x@y"], new Uint8Array()), /is not a folder/);
    deepEqual([...Deno.readDirSync(`${folder}/elsewhere`)], []);
  });
});

Deno.test("replayOffline without an offline folder has nothing to do", async () => {
  await withFolder(async (folder) => {
    const options = {
      spool: folder,
      submissionSocket: "/nonexistent",
      mailname: "m",
      passwd: "",
      log: () => {},
      remove: () => {},
    };
    equal(await replayOffline(options), 0);
  });
});

const modes: { args: string[]; kind: string }[] = [
  { args: ["-v", "-bi"], kind: "newaliases" },
  { args: ["-I"], kind: "newaliases" },
  { args: ["-v", "-bp"], kind: "mailq" },
  { args: ["-vb", "p"], kind: "mailq" },
  { args: ["-bs", "-i"], kind: "session" },
  { args: ["-t", "-bv"], kind: "verify" },
  { args: ["-F", "-bp", "x@y"], kind: "send" },
  { args: ["--", "-bp"], kind: "send" },
  { args: ["-i", "--help"], kind: "info" },
];
for (const { args, kind } of modes) {
  Deno.test(`sendmail ${args.join(" ")} is for ${kind}`, () => equal(readSendmailOptions(args).kind, kind));
}

const verified: { name: string; args: string[]; stdin?: string; setting?: Setting; status: number; out: string }[] = [
  { name: "a recipient that is taken", args: ["x@y"], status: 0, out: "x@y... deliverable: 250 ok\n" },
  {
    name: "one of two that is refused",
    args: ["a@y,bob"],
    setting: { refusals: { "RCPT TO:<bob@": "550 5.1.1 No such user" } },
    status: 67,
    out: "a@y... deliverable: 250 ok\nbob@mx.example.org... undeliverable: 550 5.1.1 No such user\n",
  },
  {
    name: "one that cannot be reported now",
    args: ["a@y"],
    setting: { refusals: { RCPT: "451 4.3.0 Later" } },
    status: 75,
    out: "a@y... deferred: 451 4.3.0 Later\n",
  },
  {
    name: "those of the header, with -t",
    args: ["-t"],
    stdin: "To: t@x\n\n",
    status: 0,
    out: "t@x... deliverable: 250 ok\n",
  },
  { name: "none", args: [], status: 70, out: "" },
  { name: "the sender is refused", args: ["a@y"], setting: { refusals: { MAIL: "550 No" } }, status: 70, out: "" },
  { name: "no daemon", args: ["a@y"], setting: { down: true }, status: 75, out: "" },
  {
    name: "a daemon that is paused",
    args: ["a@y"],
    setting: { refusals: { GREETING: "421 No" } },
    status: 75,
    out: "",
  },
];
for (const { name, args, stdin = "", setting, status, out } of verified) {
  Deno.test(`sendmail -bv sends nothing: ${name}`, async () => {
    const ran = await run(["-bv", "-f", "s@x", ...args], stdin, setting);
    deepEqual([ran.status, ran.stdout, ran.messages, ran.offline, ran.deadLetter], [status, out, [], [], ""]);
    ok(!ran.commands.includes("DATA"));
    equal(ran.stderr === "", out !== "");
  });
}

Deno.test("sendmail -bv asks about any number of recipients, a hundred a session", async () => {
  const many = Array.from({ length: 250 }, (_, number) => `u${number}@y`);
  const ran = await run(["-bv", ...many], "");
  equal(ran.stdout, many.map((address) => `${address}... deliverable: 250 ok\n`).join(""));
  equal(ran.commands.filter((command) => command === "RSET").length, 3);
});

const sessions: { name: string; stdin: string; setting?: Setting; status: number; out: string | RegExp }[] = [
  {
    name: "carries the dialogue both ways",
    stdin: "EHLO me\r\nMAIL FROM:<a@b>\r\nRCPT TO:<x@y>\r\nDATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n",
    status: 0,
    out: "220 test ESMTP\r\n250-test\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n250 ok\r\n250 ok\r\n354 go\r\n" +
      "250 2.0.0 queued\r\n221 bye\r\n",
  },
  { name: "ends with its input", stdin: "", status: 0, out: /^220 / },
  {
    name: "without a daemon is 421",
    stdin: "",
    setting: { down: true },
    status: 75,
    out: /^421 4\.3\.2 .*not running.*\r\n$/,
  },
  {
    name: "passes on the daemon's 421",
    stdin: "NOOP\r\n",
    setting: { refusals: { NOOP: "421 4.3.0 Enough" } },
    status: 75,
    out: /421 4\.3\.0 Enough\r\n$/,
  },
];
/** In pieces, so that lines do not come whole. */
async function* pieces(text: string): AsyncGenerator<Uint8Array> {
  const octets = new TextEncoder().encode(text);
  for (let at = 0; at < octets.length; at += 7) yield await Promise.resolve(octets.subarray(at, at + 7));
}

for (const { name, stdin, setting, status, out } of sessions) {
  Deno.test(`sendmail -bs ${name}`, async () => {
    const received: Received = { commands: [], messages: [] };
    const terminal = new FakeTerminal();
    await withFolder(async (folder) => {
      const path = `${folder}/s.sock`;
      const carry = async () => equal(await carrySession(path, terminal, () => pieces(stdin)), status);
      if (setting?.down) await carry();
      else await withServer(path, smtpServer(received, setting?.refusals), carry);
    });
    if (typeof out === "string") equal(terminal.stdout, out);
    else match(terminal.stdout, out);
    equal(terminal.stderr, "");
    if (name.startsWith("carries")) deepEqual(received.messages, ["Subject: x\r\n\r\n..dot\r\n"]);
  });
}

Deno.test("sendmail -bs sends 421 to a client that waits when the daemon is lost", async () => {
  const terminal = new FakeTerminal();
  await withFolder(async (folder) => {
    const lost = (socket: net.Socket) => void socket.end("220 test ESMTP\r\n");
    let leave = () => {};
    const waiting = new Promise<void>((resolve) => leave = resolve);
    const input = async function* () {
      yield new Uint8Array();
      await waiting;
    };
    await withServer(`${folder}/s.sock`, lost, async () => {
      equal(await carrySession(`${folder}/s.sock`, terminal, input), 75);
    });
    leave();
  });
  equal(terminal.stdout, "220 test ESMTP\r\n421 4.3.0 The connection to the mail daemon is lost\r\n");
});

const lists: [string, string[]][] = [
  ["a@b", ["a@b"]],
  ["a, b@c,, ", ["a", "b@c"]],
  ['"Doe, John" <john@x>, jane@x (Jane, D.)', ["john@x", "jane@x"]],
  ["Undisclosed recipients:;", []],
  ["Team: a@x, B <b@x>; c@x", ["a@x", "b@x", "c@x"]],
  ['"john doe"@x', ['"john doe"@x']],
  ['"a,b"@x, "q\\"q"@y', ['"a,b"@x', '"q\\"q"@y']],
  ["a @ b . c", ["a@b.c"]],
  ["<@relay.x,@other.x:user@y>", ["user@y"]],
  ["user@[IPv6:2001:db8::1]", ["user@[IPv6:2001:db8::1]"]],
  ["A <a@x> , <>", ["a@x"]],
  ["(only a (nested) comment)", []],
  ["jürgen@x", ["jürgen@x"]],
  ['"a@b Bcc": c@x;, St. John: d@x', ["c@x", "d@x"]],
  ['"[a" : b@x', ["b@x"]],
  ["@relay.x:user@y", ["user@y"]],
  ["joe@x <j@y> (mine)", ["j@y"]],
];
for (const [text, want] of lists) {
  Deno.test(`parseAddressList(${JSON.stringify(text)})`, () => deepEqual(parseAddressList(text), want));
}

const faults: { text: string; addresses: string[]; fault: RegExp }[] = [
  { text: "a@b Bcc: x@y", addresses: [], fault: /^"a@b Bcc" is not the name of a group/ },
  { text: "z@x, a@b: x@y", addresses: ["z@x"], fault: /^"a@b" is not the name/ },
  { text: "A <a@b> Bcc: <x@y>, z@y", addresses: [], fault: /^"<a@b> Bcc" is not the name/ },
  { text: "a@[192.0.2.1] Bcc: x@y", addresses: [], fault: /is not the name/ },
  { text: "@a Bcc: x@y", addresses: [], fault: /is not the name/ },
  { text: "A <a@b> <c@d>", addresses: [], fault: /^there is no comma between <a@b> and/ },
  { text: "q@x, <a@b> c@d, e@f", addresses: ["q@x"], fault: /^there is no comma between <a@b> and/ },
  { text: "a@b (one, c@d", addresses: [], fault: /comment is not closed/ },
  { text: 'a@b, "C <c@d>, e@f', addresses: ["a@b"], fault: /quote is not closed/ },
];
for (const { text, addresses, fault } of faults) {
  Deno.test(`readAddressList(${JSON.stringify(text)}) does not guess who is meant`, () => {
    const read = readAddressList(text);
    deepEqual(read.addresses, addresses);
    match(read.fault ?? "", fault);
  });
}

const froms: [string, string][] = [
  ["", "<a@b>"],
  ["Plain Name", "Plain Name <a@b>"],
  ['Bob "Bo" B.', '"Bob \\"Bo\\" B." <a@b>'],
  ["Jürgen", "=?UTF-8?B?SsO8cmdlbg==?= <a@b>"],
  ["two\nlines", "two lines <a@b>"],
];
for (const [name, want] of froms) {
  Deno.test(`formatFrom(${JSON.stringify(name)}) is ${want}`, () => equal(formatFrom(name, "a@b"), want));
}

Deno.test("formatDate() is RFC 5322's, east and west", () => {
  equal(formatDate(NOW, 0), "Fri, 2 Jan 2026 03:04:05 +0000");
  equal(formatDate(NOW, 330), "Fri, 2 Jan 2026 08:34:05 +0530");
  equal(formatDate(NOW, -240), "Thu, 1 Jan 2026 23:04:05 -0400");
});

Deno.test("whoIs() knows accounts, and calls others anonymous", () => {
  equal(whoIs(PASSWD, 1001, undefined).name, "bob");
  equal(whoIs(PASSWD, 0, "alice").name, "alice");
  equal(whoIs(PASSWD, 4711, "alice").name, "anonymous");
});

const encodings: [string, string][] = [
  ["plain\n", "plain\n"],
  ["a=b\n", "a=3Db\n"],
  ["blank at the end \nand\t\n", "blank at the end=20\nand=09\n"],
  ["ü\n", "=C3=BC\n"],
  [`${"x".repeat(76)}\n`, `${"x".repeat(76)}\n`],
  [`${"x".repeat(77)}\n`, `${"x".repeat(75)}=\nxx\n`],
  [`${"x".repeat(74)}ü\n`, `${"x".repeat(74)}=\n=C3=BC\n`],
];
for (const [text, want] of encodings) {
  Deno.test(`encodeQuotedPrintable(${JSON.stringify(text)})`, () => {
    equal(new TextDecoder().decode(encodeQuotedPrintable(new TextEncoder().encode(text))), want);
  });
}
