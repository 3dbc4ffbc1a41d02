/** `log to …`: files that are rotated while mail flows, journald, and lines of JSON beside those of text. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, maildirConfig, run, withDaemon } from "./harness.ts";

/** Stands for journald: writes what it receives as lines of hexadecimal digits. */
const JOURNALD = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("ready", flush=True)
while True: print(s.recv(1 << 20).hex(), flush=True)
`;

type Line = Readonly<Record<string, unknown>>;

async function linesOf(path: string): Promise<string[]> {
  const text = await Deno.readTextFile(path);
  assert.ok(text === "" || text.endsWith("\n"), `${path} ends within a line`);
  return text.split("\n").slice(0, -1);
}

async function until(what: string, done: () => Promise<boolean>): Promise<void> {
  const end = Date.now() + 30_000;
  while (!(await done())) {
    assert.ok(Date.now() < end, `waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Sends so many messages over one connection. */
async function send(daemon: Daemon, count: number): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  for (let sent = 0; sent < count; sent++) {
    await client.say("MAIL FROM:<a@example.com>", "250");
    await client.say(`RCPT TO:<b@${DOMAIN}>`, "250");
    await client.say("DATA", "354");
    await client.say("Subject: log\r\n\r\ntext\r\n.", "250");
  }
  await client.say("QUIT", "221");
  client.close();
}

Deno.test("log to file and journald: rotation and truncation under load lose no line", async (test) => {
  const folder = await Deno.makeTempDir();
  const json = join(folder, "smtpd.json"), text = join(folder, "smtpd.log"), socket = join(folder, "journal");
  const journald = new Deno.Command("python3", { args: ["-c", JOURNALD, socket], stdout: "piped" }).spawn();
  const received: string[] = [];
  const reading = (async () => {
    let rest = "";
    for await (const piece of journald.stdout.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + piece).split("\n");
      rest = lines.pop()!;
      received.push(...lines);
    }
  })();
  await until("the socket", () => Promise.resolve(received.length > 0));
  const config = (of: { port: number; mail: string; folder: string }) =>
    `log to file "${json}" format json\nlog to file "${text}"\nlog to journald\n${maildirConfig(of)}`;
  // As control in the process without files, where there are two users.
  const twoUsers = Deno.uid() === 0;
  try {
    await withDaemon({ config, twoUsers, env: { SMTPD_JOURNAL: socket } }, async (daemon) => {
      const messages = () => daemon.log.filter((line) => / smtp message /.test(line)).length;
      await test.step("a file that is moved away is begun anew by SIGUSR1", async () => {
        const mail = Promise.all([send(daemon, 20), send(daemon, 20)]);
        for (let turn = 0; turn < 10; turn++) {
          await until("more mail", () => Promise.resolve(messages() >= 4 * turn));
          await Deno.rename(json, `${json}.${turn}`);
          Deno.kill(daemon.pid, "SIGUSR1");
          await until("the new file", () => Deno.stat(json).then(({ size }) => size > 0, () => false));
        }
        await mail;
        await daemon.logged(/^\S+ smtp disconnected/, 0, 2);
        const all: Line[] = [];
        const read = async () => {
          const names = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.includes("json"));
          assert.ok(names.length > 3);
          const lines = await Promise.all(names.map((name) => linesOf(join(folder, name))));
          all.splice(0, all.length, ...lines.flat().map((line) => JSON.parse(line)));
          const count = (wanted: string) => all.filter(({ event }) => event === wanted).length;
          return count("delivery") >= 40 && count("smtp-disconnected") >= 2;
        };
        await until("all lines", read);
        assert.equal(messages(), 40);
        assert.equal(all.filter(({ event }) => event === "smtp-message").length, 40);
        assert.equal(all.filter(({ event }) => event === "smtp-disconnected").length, 2);
      });
      await test.step("lines of JSON have the fields of their events, with their types", async () => {
        const lines = (await linesOf(json)).concat(await linesOf(`${json}.0`)).map((line) => JSON.parse(line) as Line);
        assert.ok(lines.every(({ time }) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(String(time))));
        assert.equal(lines.find(({ isolate }) => isolate === "main")!.level, "info");
        assert.equal((await Deno.stat(json)).mode! & 0o777, 0o640);
      });
      await test.step("a file that is copied and truncated goes on from its beginning", async () => {
        assert.match((await linesOf(text))[0]!, /^\d{4}-\S+Z \S+ smtpd\[\d+\]: info: Vaultpost \S+ starting$/);
        await Deno.copyFile(text, `${text}.1`);
        await Deno.truncate(text);
        await send(daemon, 1);
        await until("lines", async () => (await linesOf(text)).some((line) => / mda delivery /.test(line)));
        assert.ok((await linesOf(text)).every((line) => /^\d{4}-\S+Z \S+ smtpd\[\d+\]: \S/.test(line)));
      });
      await test.step("journald gets each line with its fields", async () => {
        const sent = () =>
          received.slice(1).map((line) => new TextDecoder().decode(Uint8Array.fromHex(line))).find((entry) =>
            /^VAULTPOST_EVENT=delivery$/m.test(entry)
          );
        await until("a delivery", () => Promise.resolve(sent() !== undefined));
        assert.match(sent()!, /^MESSAGE=\S+ mda delivery evpid=[^\n]* result=Ok stat=Delivered\nPRIORITY=6\n/);
        assert.match(sent()!, /\nSYSLOG_IDENTIFIER=smtpd\n/);
        assert.match(sent()!, /\nVAULTPOST_ISOLATE=delivery\n/);
        assert.match(sent()!, /\nVAULTPOST_FROM=a@example\.com\n/);
      });
      await test.step("a file that cannot be opened again leaves the log where it is", async () => {
        await Deno.rename(json, `${json}.last`);
        await Deno.mkdir(json);
        Deno.kill(daemon.pid, "SIGUSR1");
        await daemon.logged(/^warn: SIGUSR1: the log stays in the file that was opened: .* is no file$/);
        await until("it", async () => (await linesOf(`${json}.last`)).some((line) => line.includes("is no file")));
      });
    });
    const last = await linesOf(text);
    assert.match(last.at(-1)!, /: Exiting$/, "the end is written before the daemon ends");
  } finally {
    journald.kill();
    await journald.status;
    await reading;
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("behind Landlock, too, files of the log are opened again, and SIGHUP changes where it goes", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "smtpd.log");
    const config = ({ port }: { port: number }) =>
      `log to file "${file}"\nlisten on 127.0.0.1 port ${port}\naction "a" relay\nmatch for any action "a"\n`;
    await withDaemon({ config, twoUsers: false }, async (daemon) => {
      await Deno.rename(file, `${file}.1`);
      Deno.kill(daemon.pid, "SIGUSR1");
      await daemon.logged(/^info: SIGUSR1: the files of the log are opened again$/);
      await Deno.writeTextFile(daemon.configFile, config(daemon).replace(`"${file}"`, `"${file}.json" format json`));
      Deno.kill(daemon.pid, "SIGHUP");
      await daemon.logged(/was read again/);
      const client = await Client.connect(daemon.port);
      await client.say("EHLO client.example.com", "250");
      await client.say("QUIT", "221");
      client.close();
      await until("the session", async () => (await linesOf(`${file}.json`)).some((line) => /"smtp-dis/.test(line)));
    });
    assert.ok(!(await Deno.readTextFile(file)).includes("smtp connected"), "the old file gets nothing more");
    assert.equal(JSON.parse((await linesOf(`${file}.json`)).at(-1)!).text, "Exiting");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("smtpd -n names a place where no log can be, and the background refuses standard error", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "smtpd.conf"), env = { SMTPD_SPOOL: folder, SMTPD_SOCKET: join(folder, "c.sock") };
    const rule = `action "a" relay\nmatch for any action "a"\n`;
    await Deno.writeTextFile(
      file,
      `log to file "${folder}/no/smtpd.log"\nlog to file "${folder}"\nlog to stderr\n${rule}`,
    );
    const checked = await run("scripts/smtpd", ["-n", "--one-user", "-f", file], { env });
    assert.equal(checked.code, 1);
    assert.match(checked.stderr, /^\S+smtpd\.conf:1: the log cannot go there: there is no folder \S+\/no: make it/m);
    assert.match(checked.stderr, /^\S+smtpd\.conf:2: the log cannot go there: \S+ is no file$/m);
    await Deno.writeTextFile(file, `log to stderr format json\n${rule}`);
    const started = await run("scripts/smtpd", ["--one-user", "-f", file], { env });
    assert.equal(started.code, 1);
    assert.match(started.stderr, /smtpd\.conf:1: in the background nobody reads standard error/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
