/** smtpctl top with the real daemon, on real terminals of two sizes, which change their size. */

import assert from "node:assert/strict";
import { JSON_FORMS } from "../../src/cli/smtpctl/json_fields.ts";
import { Client } from "./client.ts";
import { DOMAIN, OWNER, run, withDaemon } from "./harness.ts";

/** Runs a program on a terminal of some size, types a key, changes the size, and ends it by another key; prints what it drew as hexadecimal digits. */
const PTY = `
import fcntl, os, pty, signal, struct, sys, termios, time
columns, rows, end = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3].encode()
pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.execvp(sys.argv[4], sys.argv[4:])
def size(columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
size(columns, rows)
out = b""
def until(wanted):
    global out
    start, begun = len(out), time.time()
    while wanted not in out[start:]:
        assert time.time() < begun + 30, (wanted, out[-2000:])
        out += os.read(fd, 65536)
before = termios.tcgetattr(fd)
until(b"accepted 0")
os.write(fd, b"n")
until(b"(by na")
size(columns - 10, rows - 2)
os.kill(pid, signal.SIGWINCH)
def lines():
    frames = [part for part in out.split(b"\\x1b[H") if b"\\x1b[J" in part]
    return frames[-1].split(b"\\x1b[J")[0].count(b"\\x1b[K")
while lines() != rows - 2: until(b"\\x1b[J")
os.write(fd, end)
try:
    while True: out += os.read(fd, 65536)
except OSError: pass
status = os.waitpid(pid, 0)[1]
assert termios.tcgetattr(fd)[:4] == before[:4], "the terminal reads as before"
print(status, out.hex())
`;

Deno.test("smtpctl top", async (test) => {
  await withDaemon({ args: ["-P", "mda"] }, async (daemon) => {
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.com", "250");
    await client.say("MAIL FROM:<a@example.com>", "250");
    await client.say(`RCPT TO:<bob@${DOMAIN}>`, "250");
    await client.say("DATA", "354");
    await client.say("Subject: top\r\n\r\ntext\r\n.", "250");
    for (const [columns, rows, end] of [[80, 24, "q"], [50, 16, "\x03"]] as const) {
      await test.step(`on a terminal of ${columns} columns and ${rows} lines, ended by ${JSON.stringify(end)}`, async () => {
        const args = ["-c", PTY, String(columns), String(rows), end, "scripts/smtpctl", "top", "-i", "0.1"];
        const ran = await run("python3", args, { env: { ...daemon.env, NO_COLOR: "1" } });
        assert.equal(ran.code, 0, ran.stderr);
        const [status, hex] = ran.stdout.trim().split(" ");
        assert.equal(status, "0");
        const drawn = new TextDecoder().decode(Uint8Array.fromHex(hex!));
        assert.ok(drawn.startsWith("\x1b[?1049h"));
        assert.ok(drawn.endsWith("\x1b[?7h\x1b[?25h\x1b[?1049l"), "the terminal is put back");
        const frames = (text: string) =>
          text.split("\x1b[H").slice(1).filter((frame) => frame.includes("\x1b[J")).map((frame) =>
            frame.split("\x1b[J")[0]!.split("\x1b[K").map((line) => line.trim())
          );
        assert.ok(frames(drawn)[0]!.length > 1);
        const last = frames(drawn).at(-1);
        for (const line of last!) assert.ok(line.length <= columns - 10, line);
        assert.equal(last!.length - 1, rows - 2);
        assert.ok(
          last!.some((line) => new RegExp(`^1 +0 +\\d\\S* +user ${OWNER.slice(0, 3)}`).test(line)),
          last!.join("\n"),
        );
        assert.ok(!drawn.includes("\x1b[1m"), "NO_COLOR");
      });
    }
    await test.step("as JSON", async () => {
      const ran = daemon.tool("smtpctl", ["top", "--json", "-i", "0.5", "-n", "2"]);
      const lines = (await ran).stdout.trim().split("\n").map((line) => JSON.parse(line));
      assert.equal(lines.length, 2);
      assert.deepEqual(Object.keys(lines[0]).sort(), Object.keys(JSON_FORMS.top!.fields).sort());
      assert.deepEqual([lines[0].sessions, lines[0].lanes[0].name, lines[0].laneCount], [1, OWNER, 1]);
    });
    client.close();
  });
});
