/** sendmail, mailq and smtpctl against the real daemon, as a shell script would use them. */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { join } from "node:path";
import { Daemon, DOMAIN, OWNER, PROJECT, run, withDaemon } from "./harness.ts";

const MESSAGE = "From: sender@example.com\nSubject: by hand\n\nHello\n";

const SENDMAIL = join(PROJECT, "scripts/sendmail");

/** Python's smtplib over `sendmail -bs`: a refused recipient, a small and a large message. Prints the codes and the exit status. */
const SESSION = `
import smtplib, socket, subprocess, sys
way, program, to = sys.argv[1:]
class Pipes:
    def __init__(self):
        self.child = subprocess.Popen([program, "-bs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    def sendall(self, data):
        self.child.stdin.write(data)
        self.child.stdin.flush()
    def makefile(self, mode):
        return self.child.stdout
    def close(self):
        self.child.stdin.close()
class Client(smtplib.SMTP):
    def _get_socket(self, host, port, timeout):
        if way == "pipe":
            pipes = Pipes()
            self.child = pipes.child
            return pipes
        ours, theirs = socket.socketpair()
        self.child = subprocess.Popen([program, "-bs"], stdin=theirs, stdout=theirs)
        theirs.close()
        return ours
client = Client("localhost", 25)
client.ehlo()
client.mail("me@example.com")
codes = [client.rcpt("user@elsewhere.example")[0]]
client.rset()
codes += [250 if client.sendmail("me@example.com", [to], "Subject: small\\r\\n\\r\\n.dot\\r\\n") == {} else 0]
codes += [250 if client.sendmail("me@example.com", [to], "Subject: large\\r\\n\\r\\n" + 100000 * (80 * "x" + "\\r\\n")) == {} else 0]
codes += [client.quit()[0], client.child.wait()]
print(*codes)
`;

/** The same program on a terminal. */
const TYPED = `
import os, pty, sys
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], [sys.argv[1], "-bs"])
os.write(terminal, b"NOOP\\nQUIT\\n")
while True:
    try:
        said = os.read(terminal, 1000)
    except OSError:
        break
    if not said:
        break
    os.write(1, said)
os.waitpid(child, 0)
`;

Deno.test("sendmail submits a message", async (test) => {
  await withDaemon({}, async (daemon) => {
    await test.step("to the recipients of its command line", async () => {
      const ran = await daemon.tool(
        "sendmail",
        ["-f", "sender@example.com", `one@${DOMAIN}`, `two@${DOMAIN}`],
        MESSAGE,
      );
      assert.deepEqual({ code: ran.code, stderr: ran.stderr }, { code: 0, stderr: "" });
      for (const user of ["one", "two"]) {
        const text = await daemon.mailbox(user).text();
        assert.match(text, /^Subject: by hand$/m);
        assert.match(text, /^Date: /m, "a date is added");
        assert.match(text, /^Message-ID: /im, "a message id is added");
        assert.match(text, /\n\nHello\n$/);
      }
    });
    await test.step("-t takes the recipients from the header and hides Bcc", async () => {
      const header = `From: sender@example.com\nTo: three@${DOMAIN}\nBcc: four@${DOMAIN}\n\nHello\n`;
      const ran = await daemon.tool("sendmail", ["-t"], header);
      assert.equal(ran.code, 0, ran.stderr);
      for (const user of ["three", "four"]) assert.ok(!/^Bcc:/im.test(await daemon.mailbox(user).text()));
    });
    await test.step("-bv verifies and sends nothing", async () => {
      const verify = (...addresses: string[]) => daemon.tool("sendmail", ["-bv", ...addresses]);
      const good = await verify(`five@${DOMAIN}`);
      assert.deepEqual([good.code, good.stderr], [0, ""]);
      assert.match(good.stdout, new RegExp(`^five@${DOMAIN}\\.\\.\\. deliverable: 250 .*\\n$`));
      const both = await verify("user@elsewhere.example", `five@${DOMAIN}`);
      assert.equal(both.code, 67);
      assert.match(
        both.stdout,
        /^user@elsewhere\.example\.\.\. undeliverable: 550 .*\nfive@\S+ deliverable: 250 .*\n$/,
      );
    });
    for (const way of ["pipe", "socket"]) {
      await test.step(`-bs speaks SMTP on a ${way}, as mail libraries do, with a large message`, async () => {
        const ran = await run("python3", ["-c", SESSION, way, SENDMAIL, `six-${way}@${DOMAIN}`], { env: daemon.env });
        assert.deepEqual(ran, { code: 0, stdout: "550 250 250 221 0\n", stderr: "" });
        const sizes = (await daemon.mailbox(`six-${way}`).messages(2)).map(({ length }) => length).sort((a, b) =>
          a - b
        );
        assert.ok(sizes[0]! < 1000 && sizes[1]! > 8_000_000, String(sizes));
      });
    }
    await test.step("-bs takes pipelined commands, and the end of its input for the end", async () => {
      const commands = ["EHLO me", "MAIL FROM:<a@example.com>", `RCPT TO:<x@${DOMAIN}>`, "RSET", ""].join("\r\n");
      const ran = await daemon.tool("sendmail", ["-bs"], commands);
      assert.deepEqual([ran.code, ran.stderr], [0, ""]);
      assert.match(ran.stdout, /^220 [^]*\r\n250 2\.0\.0 [^]*\r\n250 2\.1\.5 [^]*\r\n250 2\.0\.0 .*\r\n$/);
    });
    await test.step("-bs takes LF from who begins with it, and refuses it behind CRLF", async () => {
      const session = (end: string, rest = end) =>
        daemon.tool(
          "sendmail",
          ["-bs"],
          [
            "EHLO me",
            ["MAIL FROM:<a@example.com>", `RCPT TO:<lf@${DOMAIN}>`, "DATA", "Subject: lf", "", "..dot", ".", "QUIT", ""]
              .join(rest),
          ].join(end),
        );
      const taken = await session("\n");
      assert.deepEqual([taken.code, taken.stderr], [0, ""]);
      assert.match(taken.stdout, /\r\n354 [^\r]*\r\n250 2\.0\.0 [^\r]*\r\n221 [^\r]*\r\n$/);
      assert.match(await daemon.mailbox("lf").text(), /^Subject: lf\n[^]*\n\n\.dot\n$/m);
      assert.doesNotMatch((await session("\r\n", "\n")).stdout, /\r\n354 /);
    });
    await test.step("-bs on a terminal takes lines as they are typed", async () => {
      const ran = await run("python3", ["-c", TYPED, SENDMAIL], { env: daemon.env });
      assert.match(ran.stdout, /221 2\.0\.0 Bye/);
    });
    await test.step("the program is chosen by options, not by what follows them", async () => {
      const sent = await daemon.tool("sendmail", ["-F", "-bp", "-f", "a@example.com", `seven@${DOMAIN}`], MESSAGE);
      assert.deepEqual([sent.code, sent.stdout, sent.stderr], [0, "", ""]);
      await daemon.mailbox("seven").message();
      for (
        const args of [["-bp"], ["-vb", "p"], ["-oi", "-q1h", "-bp"], [
          "-ioMr",
          "-x",
          "--from",
          "a@b",
          "--account=c",
          "-bp",
        ]]
      ) {
        assert.deepEqual(await daemon.tool("sendmail", args), { code: 0, stdout: "", stderr: "" }, args.join(" "));
      }
      assert.match((await daemon.tool("sendmail", ["-bp", "--help"])).stdout, /^usage: sendmail/);
    });
    await test.step("links to it with the names mailq and newaliases are those programs", async () => {
      for (const name of ["mailq", "newaliases"]) {
        const link = join(daemon.folder, name);
        await Deno.symlink(SENDMAIL, link);
        assert.match((await run(link, ["--help"], { env: daemon.env })).stdout, new RegExp(`^usage: ${name} `));
      }
    });
    await test.step("smtpctl may use the folder that stands behind --", async () => {
      for (const args of [["export", "--"], ["expo"]]) {
        const folder = join(daemon.folder, args.join(""));
        const ran = await daemon.tool("smtpctl", [...args, folder]);
        assert.deepEqual(ran, { code: 0, stdout: "0 envelopes exported\n", stderr: "" });
      }
    });
    await test.step("a refused recipient is status 70 and a word on stderr", async () => {
      const ran = await daemon.tool("sendmail", ["-f", "sender@example.com", "user@elsewhere.example"], MESSAGE);
      assert.equal(ran.code, 70);
      assert.match(ran.stderr, /command failed: 550 /);
    });
    await test.step("a paused daemon is 421 for -bs, and nothing that -bv could say", async () => {
      await daemon.tool("smtpctl", ["pause", "smtp"]);
      const session = await daemon.tool("sendmail", ["-bs"]);
      assert.equal(session.code, 75);
      assert.match(session.stdout, /^421 .*\r\n$/);
      assert.equal((await daemon.tool("sendmail", ["-bv", `five@${DOMAIN}`])).code, 75);
    });
  });
});

/** Nothing is delivered: what is accepted stays in the queue to be looked at. */
const HELD = ["-P", "mda"];

async function queueOne(daemon: Daemon, user: string): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.send("sender@example.com", `${user}@${DOMAIN}`, "Subject: held\r\n\r\nHello\r\n");
  client.close();
}

Deno.test("smtpctl shows and changes the queue", async (test) => {
  await withDaemon({ args: HELD }, async (daemon) => {
    const smtpctl = async (...args: string[]) => {
      const ran = await daemon.tool("smtpctl", args);
      assert.equal(ran.code, 0, `smtpctl ${args.join(" ")}: ${ran.stderr}`);
      return ran.stdout;
    };
    const ids = async () =>
      (await smtpctl("show", "queue")).trim().split("\n").filter((line) => line !== "")
        .map((line) => line.split("|")[0]!);
    for (const user of ["one", "two", "three"]) await queueOne(daemon, user);

    await test.step("show queue has one line of 14 parts an envelope", async () => {
      const lines = (await smtpctl("show", "queue")).trim().split("\n");
      assert.equal(lines.length, 3);
      for (const line of lines) {
        const parts = line.split("|");
        assert.equal(parts.length, 14, line);
        assert.match(parts[0]!, /^[0-9a-f]{16}$/);
        assert.deepEqual(parts.slice(1, 5), ["inet4", "mda", "", "sender@example.com"]);
        assert.equal(parts[11], "pending");
      }
      assert.deepEqual(
        lines.map((line) => line.split("|")[5]).sort(),
        ["one", "three", "two"].map((user) => `${user}@${DOMAIN}`),
      );
    });
    await test.step("mailq and sendmail -bp are show queue", async () => {
      assert.equal((await daemon.tool("mailq", [])).stdout.split("\n").length, 4);
      assert.equal((await daemon.tool("sendmail", ["-bp"])).stdout.split("\n").length, 4);
    });
    await test.step("words may be cut short", async () =>
      assert.equal((await smtpctl("sh", "q")).split("\n").length, 4));
    await test.step("show message and show envelope show what is stored", async () => {
      const [first] = await ids();
      assert.match(await smtpctl("show", "message", first!), /^Subject: held$/m);
      assert.match(await smtpctl("show", "envelope", first!), /sender/);
    });
    await test.step("pause envelope marks it, resume takes the mark away", async () => {
      const [first] = await ids();
      assert.equal(await smtpctl("pause", "envelope", first!), "1 envelope paused\n");
      assert.match(await smtpctl("show", "queue"), new RegExp(`^${first}\\|[^|]*\\|[^|]*\\|suspend\\|`, "m"));
      assert.equal(await smtpctl("resume", "envelope", first!), "1 envelope resumed\n");
    });
    await test.step("remove takes one away", async () => {
      const [first] = await ids();
      assert.equal(await smtpctl("remove", first!), "1 envelope removed\n");
      assert.equal((await ids()).length, 2);
    });
    await test.step("show status says what is paused", async () => {
      assert.match(await smtpctl("show", "status"), /^MDA paused\nMTA running\nSMTP running\nPROCESS /);
    });
    await test.step("show stats counts", async () => {
      assert.match(await smtpctl("show", "stats"), /^scheduler\.envelope=2$/m);
    });
    await test.step("resume mda delivers what was held", async () => {
      assert.equal(await smtpctl("resume", "mda"), "command succeeded\n");
      await daemon.logged(/ mda delivery /, 0, 2);
      const delivered = ["one", "two", "three"].map((user) => daemon.mailbox(user).names().length);
      assert.equal(delivered.reduce((sum, count) => sum + count), 2, "the two that were not removed");
      assert.deepEqual(await ids(), []);
    });
    await test.step("an unknown command is status 255", async () => {
      assert.equal((await daemon.tool("smtpctl", ["dance"])).code, 255);
    });
  });
});

Deno.test("smtpctl stop ends the daemon in order, and says so when there is none", async () => {
  const daemon = await Daemon.start();
  try {
    assert.equal((await daemon.tool("smtpctl", ["stop"])).code, 0);
    await daemon.logged(/^Exiting$/);
    const ran = await daemon.tool("smtpctl", ["show", "stats"]);
    assert.equal(ran.code, 1);
    assert.match(ran.stderr, /smtpd doesn't seem to be running/);
  } finally {
    await daemon.remove();
  }
});

Deno.test("What sendmail took while the daemon was down is sent when it is back", async () => {
  const daemon = await Daemon.start();
  try {
    assert.equal(await daemon.stop(), 0);
    const ran = await daemon.tool("sendmail", ["-f", "sender@example.com", `later@${DOMAIN}`], MESSAGE);
    assert.equal(ran.code, 75, "EX_TEMPFAIL: it is kept");
    await daemon.launch();
    assert.match(await daemon.mailbox("later").text(), /^Subject: by hand$/m);
    assert.equal(await daemon.stop(), 0);
  } finally {
    await daemon.remove();
  }
});

Deno.test("smtpd reports what is wrong with its configuration", async () => {
  const daemon = await Daemon.start();
  try {
    assert.equal(await daemon.stop(), 0);
    const good = await daemon.tool("smtpd", ["-n", "-f", daemon.configFile]);
    assert.deepEqual({ code: good.code, stderr: good.stderr }, { code: 0, stderr: "configuration OK\n" });
    await Deno.writeTextFile(
      daemon.configFile,
      `listen on 127.0.0.1\n\nmatch for any action "nowhere"\naction x mbox user ${OWNER} oops\n`,
    );
    const bad = await daemon.tool("smtpd", ["-n", "-f", daemon.configFile]);
    assert.equal(bad.code, 1);
    for (const line of bad.stderr.trim().split("\n")) assert.match(line, /smtpd\.conf:\d+: \S/);
  } finally {
    await daemon.remove();
  }
});

Deno.test("smtpd without -d goes into the background once it serves, and only one runs a socket", async () => {
  const daemon = await Daemon.start();
  try {
    assert.equal(await daemon.stop(), 0);
    await Deno.writeTextFile(daemon.configFile, "match tag NOBODY reject\n", { append: true });
    const first = await daemon.tool("smtpd", ["-f", daemon.configFile]);
    assert.equal(first.code, 0);
    assert.equal(first.stderr.match(/warning: no mail reaches this rule/g)?.length, 1, first.stderr);
    assert.match(
      (await daemon.tool("smtpctl", ["show", "status"])).stdout,
      /^MDA running\nMTA running\nSMTP running\nPROCESS /,
    );
    const second = await daemon.tool("smtpd", ["-f", daemon.configFile]);
    assert.equal(second.code, 1);
    assert.match(second.stderr, /control socket already listening/);
    assert.equal(second.stderr.match(/warning: no mail reaches this rule/g)?.length, 1, second.stderr);
  } finally {
    // Nobody else would: it is no child of this test.
    assert.equal((await daemon.tool("smtpctl", ["stop"])).code, 0);
    await daemon.remove();
  }
});
