/** The daemon with an encrypted queue: the key from a file, a key that is missing, wrong or replaced. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Daemon, DOMAIN, maildirConfig, PROJECT, run, USERS_OPTION } from "./harness.ts";

const KEY = "0123456789abcdef0123456789abcdef", NEXT = "ABCDEFGHIJKLMNOPQRSTUVWXYZ-12345";

Deno.test("an encrypted queue is opened by its key only, which no one sees", async (test) => {
  const config = (...lines: string[]) => (daemon: { port: number; mail: string; folder: string }) =>
    lines.map((line) => `${line.replace("FOLDER", daemon.folder)}\n`).join("") + maildirConfig(daemon);
  const folder = await Deno.makeTempDir();
  const keyFile = join(folder, "queue.key");
  await Deno.writeTextFile(keyFile, `${KEY}\n`, { mode: 0o600 });
  const daemon = await Daemon.start({
    config: config("queue compression", `queue encryption file:${keyFile}`),
    args: ["-P", "mda", "-v"],
  });
  const start = () =>
    run(join(PROJECT, "scripts/smtpd"), ["-d", ...USERS_OPTION, "-f", daemon.configFile], {
      env: daemon.env,
      input: "wrong\n",
    });
  const rewrite = (...lines: string[]) => Deno.writeTextFile(daemon.configFile, config(...lines)(daemon));
  try {
    await test.step("mail waits in it and smtpctl shows it", async () => {
      const sent = await daemon.tool(
        "sendmail",
        ["-f", "a@example.net", `bob@${DOMAIN}`],
        "Subject: Secret\n\nText.\n",
      );
      assert.equal(sent.code, 0, sent.stderr);
      const { stdout } = await daemon.tool("smtpctl", ["show", "queue"]);
      assert.match(stdout, /\|a@example\.net\|bob@example\.org\|/);
      const id = stdout.slice(0, 16);
      assert.match((await daemon.tool("smtpctl", ["show", "message", id])).stdout, /^Subject: Secret$/m);
      assert.match((await daemon.tool("smtpctl", ["show", "envelope", id])).stdout, /^rcpt: bob@example\.org$/m);
      const arguments_ = await Deno.readTextFile(`/proc/${daemon.pid}/cmdline`);
      assert.equal([arguments_, ...daemon.log].join("\n").includes(KEY), false);
      await daemon.stop();
    });
    await test.step("without the daemon, smtpctl shows no more than the id", async () => {
      const { stdout, stderr } = await daemon.tool("smtpctl", ["show", "queue"]);
      assert.equal(stdout, "");
      assert.match(stderr, /^smtpctl: envelope [0-9a-f]{16}: it is encrypted$/m);
    });
    await test.step("a start without the key, or with another, is refused", async () => {
      for (const lines of [[], [`queue encryption ${NEXT}`]]) {
        await rewrite(...lines);
        const { code, stderr } = await start();
        assert.equal(code, 1);
        assert.match(stderr, /smtpd: .*1 queued message is encrypted with another key/);
      }
    });
    await test.step("a key that cannot be one is refused by its length, and is not shown", async () => {
      await rewrite("queue encryption stdin");
      const { code, stderr } = await start();
      assert.deepEqual([code, stderr.includes("wrong")], [1, false]);
      assert.match(stderr, /standard input: the key must be exactly 32 characters long, this one has 5/);
      await Deno.chmod(keyFile, 0o644);
      await rewrite(`queue encryption file:${keyFile}`);
      assert.match((await start()).stderr, /mode 0644 is too open, use chmod 0600/);
      await Deno.chmod(keyFile, 0o600);
    });
    await test.step("smtpd -n -v shows nothing of it", async () => {
      await rewrite(`queue encryption ${NEXT}`, `queue encryption backup file:${keyFile}`);
      const checked = await run(
        join(PROJECT, "scripts/smtpd"),
        ["-n", "-v", ...USERS_OPTION, "-f", daemon.configFile],
        {
          env: daemon.env,
        },
      );
      assert.equal(checked.code, 0, checked.stderr);
      assert.equal([KEY, NEXT].some((key) => checked.stderr.includes(key)), false);
    });
    await test.step("with the replaced key named as backup, the mail is delivered", async () => {
      await daemon.launch();
      await daemon.tool("smtpctl", ["resume", "mda"]);
      assert.match(await daemon.mailbox("bob").text(), /^Subject: Secret$/m);
      await daemon.stop();
    });
  } finally {
    await daemon.remove();
    await Deno.remove(folder, { recursive: true });
  }
});

/** Runs a command on a terminal, answers its question, prints what the terminal showed, and ends with its status. */
const ON_TERMINAL = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp(sys.argv[2], sys.argv[2:])
shown, asked = b"", False
while True:
    try:
        piece = os.read(terminal, 1000)
    except OSError:
        break
    if not piece:
        break
    shown += piece
    if b"queue key: " in shown and not asked:
        asked = True
        os.write(terminal, sys.argv[1].encode() + b"\\r")
_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(status))
`;

Deno.test("a key that is asked for at the terminal is not shown, can be corrected, and reaches the daemon in the background", async () => {
  const daemon = await Daemon.start({ config: (daemon) => maildirConfig(daemon) });
  try {
    await daemon.stop();
    await Deno.writeTextFile(daemon.configFile, `queue encryption\n${maildirConfig(daemon)}`);
    const start = (key: string) =>
      run(
        "python3",
        ["-c", ON_TERMINAL, key, join(PROJECT, "scripts/smtpd"), ...USERS_OPTION, "-f", daemon.configFile],
        {
          env: daemon.env,
        },
      );
    const short = await start("short");
    assert.deepEqual([short.code, short.stdout.includes("short")], [1, false]);
    assert.match(short.stdout, /this one has 5/);
    const ran = await start(`${KEY.slice(0, -1)}x\x7f${KEY.slice(-1)}`);
    assert.deepEqual([ran.code, ran.stdout.trim()], [0, "queue key:"]);
    assert.match((await daemon.tool("smtpctl", ["show", "status"])).stdout, /^SMTP running$/m);
    assert.equal((await daemon.tool("smtpctl", ["stop"])).code, 0);
  } finally {
    await daemon.remove();
  }
});
