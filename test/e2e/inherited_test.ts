/** The daemon behind a service manager: sockets that it is given, and the word that it is ready and alive. Python plays the manager. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { Daemon, DOMAIN, maildirConfig, OWNER, PROJECT, run, withDaemon } from "./harness.ts";
import { freePort } from "../ports.ts";

/** Binds what it is given, becomes scripts/smtpd with the sockets from descriptor 3 on; writes to a file what comes to NOTIFY_SOCKET. */
const MANAGER = `
import fcntl, os, socket, sys
control, submission, port, ready = sys.argv[1:5]
places = [int(p) for p in port.split(",")]
made = []
for p in places:
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", p)); made.append(s)
for path in (control, submission):
    if path != "-":
        s = socket.socket(socket.AF_UNIX); s.bind(path); made.append(s)
for s in made: s.listen(10)
kept = [os.dup(s.fileno()) for s in made]
# Above all that will be overwritten.
kept = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in kept]
if ready != "-":
    hears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); hears.bind(ready); hears.settimeout(60)
    if os.fork() == 0:
        with open(ready + ".log", "wb", buffering=0) as out:
            heard = b""
            while b"STOPPING=1" not in heard:
                heard = hears.recv(1000)
                out.write(heard + b"\\n")
        os._exit(0)
    os.environ["NOTIFY_SOCKET"] = ready
    os.environ["WATCHDOG_USEC"] = "300000"; os.environ["WATCHDOG_PID"] = str(os.getpid())
for at, fd in enumerate(kept): os.dup2(fd, 3 + at, inheritable=True)
os.environ["LISTEN_FDS"] = str(len(kept)); os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[5], sys.argv[5:])
`;

/** What a program has inherited, beside its pipes: a line each. */
const DESCRIPTORS = "ls -l /proc/self/fd | grep -v -e pipe: -e /dev/null -e /proc/ -e ^total";
const SMTPD = join(PROJECT, "scripts/smtpd");

/** Waits until what the manager was told is so. */
async function reported(file: string, what: RegExp): Promise<void> {
  while (!what.test(Deno.readTextFileSync(file))) await new Promise((go) => setTimeout(go, 5));
}

Deno.test("the daemon serves the sockets that it inherits, unix sockets too, and says when it is ready", async () => {
  const given = freePort(), folder = await Deno.makeTempDir();
  const [control, submission, ready] = ["smtpd.sock", "smtpd.smtp.sock", "notify"].map((name) => join(folder, name));
  const config = (daemon: { port: number; mail: string }) =>
    `action "fds" mda "${DESCRIPTORS} > ${daemon.mail}/fds; cat > /dev/null" virtual { "@" = ${OWNER} }
match from any for rcpt-to "fds@${DOMAIN}" action "fds"
${maildirConfig(daemon)}listen on 127.0.0.1 port ${given} hostname given.${DOMAIN}\n`;
  const program = ["python3", "-c", MANAGER, control!, submission!, String(given), ready!, SMTPD] as const;
  const env = { SMTPD_SOCKET: control! };
  try {
    await withDaemon({ config, program, env, args: ["-v"] }, async (daemon) => {
      for (const port of [given, daemon.port]) {
        const client = await Client.connect(port);
        await client.say("EHLO a.example", "250");
        await client.send("a@example.net", `p${port}@${DOMAIN}`, "Subject: x\r\n\r\nx\r\n");
        await daemon.mailbox(`p${port}`).arrived(1);
        client.close();
      }
      const client = await Client.connect(given);
      await client.say("EHLO a.example", "250");
      await client.send("a@example.net", `fds@${DOMAIN}`, "Subject: x\r\n\r\nx\r\n");
      client.close();
      await daemon.logged(new RegExp(`to=<fds@${DOMAIN}> .*result=Ok`));
      const fds = Deno.readTextFileSync(`${daemon.mail}/fds`).split("\n").filter((line) => !line.includes("/fds"));
      assert.deepEqual(fds, [""], "no program inherits a socket of the system");
      await daemon.logged(new RegExp(`debug: listening on the inherited socket 127\\.0\\.0\\.1:${given}$`));
      const sent = await run(join(PROJECT, "scripts/sendmail"), [`local@${DOMAIN}`], {
        input: "Subject: x\n\nx\n",
        env: { ...daemon.env, ...env },
      });
      assert.equal(sent.code, 0, sent.stderr);
      const shown = await run(join(PROJECT, "scripts/smtpctl"), ["show", "status"], { env: { ...daemon.env, ...env } });
      assert.equal(shown.code, 0, shown.stderr);
      await reported(`${ready}.log`, /^READY=1\nSTATUS=serving, \d+ sessions\n(.*\n)*WATCHDOG=1\n/);
    });
    for (const path of [control!, submission!]) assert.ok(Deno.statSync(path).isSocket, "the manager's to remove");
    await reported(`${ready}.log`, /\nSTOPPING=1\nSTATUS=ending\n$/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("an inherited socket that no listener names is an error that says what to do", async () => {
  const stranger = freePort();
  const program = ["python3", "-c", MANAGER, "-", "-", String(stranger), "-", SMTPD] as const;
  await assert.rejects(
    Daemon.start({ program }),
    new RegExp(
      `smtpd: the inherited socket 127\\.0\\.0\\.1:${stranger} is of no listener: add "listen on" to smtpd\\.conf`,
    ),
  );
});
