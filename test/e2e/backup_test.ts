/** `smtpctl backup` and `restore` with the real daemon: a copy while mail flows has each message that was acknowledged before and not delivered, once. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { backup } from "../../src/cli/smtpctl/backup.ts";
import { readManifest } from "../../src/cli/smtpctl/backup_manifest.ts";
import { FakeTerminal } from "../cli/fakes.ts";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, maildirConfig, PROJECT, run, withDaemon } from "./harness.ts";

/** Acknowledged before the backup begins. */
const BEFORE = 20;

async function connect(daemon: Daemon): Promise<Client> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  return client;
}

const send = (client: Client, subject: string) =>
  client.send("a@example.com", `kept@${DOMAIN}`, `Subject: ${subject}\r\n\r\n${"text ".repeat(2000)}\r\n`);

/** Sends until it is told to end. Resolves with how many were acknowledged. */
function flow(client: Client, name: string): { end(): Promise<number> } {
  let ending = false;
  const sent = (async () => {
    let count = 0;
    for (; !ending; count++) await send(client, `${name} ${count}`);
    return count;
  })();
  return { end: () => (ending = true, sent) };
}

/** Permissions of all that is in a folder, by kind. */
function modesIn(folder: string, found = { files: new Set<number>(), folders: new Set<number>() }) {
  const mode = (path: string) => Deno.statSync(path).mode! & 0o7777;
  found.folders.add(mode(folder));
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    if (isDirectory) modesIn(path, found);
    else found.files.add(mode(path));
  }
  return found;
}

async function smtpctl(daemon: Daemon, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await daemon.tool("smtpctl", words);
  assert.equal(code, 0, `smtpctl ${words.join(" ")}: ${stdout}${stderr}`);
  return stdout;
}

async function refused(daemon: Daemon, ...words: string[]): Promise<string> {
  const { code, stderr } = await daemon.tool("smtpctl", words);
  assert.equal(code, 1, `smtpctl ${words.join(" ")} was not refused`);
  return stderr;
}

const config = (at: { port: number; mail: string; folder: string }) => {
  Deno.writeTextFileSync(join(at.folder, "blocked"), "192.0.2.1\n", { mode: 0o644 });
  // As keys are: a folder for root alone.
  Deno.mkdirSync(join(at.folder, "private"), { mode: 0o700 });
  Deno.writeTextFileSync(join(at.folder, "private/more"), "192.0.2.2\n", { mode: 0o600 });
  return `table blocked file:${at.folder}/blocked\ntable more file:${at.folder}/private/more\n${maildirConfig(at)}` +
    "match from src <blocked> for any reject\nmatch from src <more> for any reject\n";
};

Deno.test("a backup while mail flows is restored with each message that waited, once, and the configuration", async () => {
  await withDaemon({ config }, async (daemon) => {
    const first = await connect(daemon), copy = join(daemon.folder, "backup");
    await send(first, "delivered before");
    await daemon.mailbox("kept").text();
    await smtpctl(daemon, "pause", "mda");
    for (let count = 0; count < BEFORE; count++) await send(first, `before ${count}`);

    // A disk that is full: the next backup does not wait for the end of this one.
    if (Deno.uid() === 0) {
      const full = join(daemon.folder, "full");
      await Deno.mkdir(full);
      const script = `mount -t tmpfs -o size=16k none ${full} && exec ${PROJECT}/scripts/smtpctl backup ${full}/copy`;
      const { code, stderr } = await run("unshare", ["-m", "sh", "-c", script], { env: daemon.env });
      assert.equal(code, 1);
      assert.match(stderr, /No space left on device/);
    }

    const flows = [flow(await connect(daemon), "during-a"), flow(await connect(daemon), "during-b")];
    assert.match(await smtpctl(daemon, "backup", copy), /^\d+ files, .* backed up to .*backup$/m);
    await Promise.all(flows.map((one) => one.end()));

    const { files: modes, folders } = modesIn(copy);
    assert.deepEqual([[...modes], [...folders]], [[0o600], [0o700]]);
    const { files } = readManifest(copy);
    const names = files.map(({ copy }) => copy);
    for (const path of ["spool/queue.db", `files${daemon.configFile}`, `files${daemon.folder}/blocked`]) {
      assert.ok(names.includes(path), `${path} is not among ${names.join(" ")}`);
    }
    assert.match(await refused(daemon, "backup", copy), /is not empty: a backup wants a folder of its own/);
    assert.match(await refused(daemon, "backup", daemon.configFile), /smtpd\.conf/);
    assert.match(await refused(daemon, "backup", join(daemon.env.SMTPD_SPOOL!, "in")), /is in the spool/);
    assert.match(await refused(daemon, "restore", copy), /smtpd is running: stop it first/);

    // The machine is lost: what it had is put back on another.
    await daemon.stop();
    assert.match(await refused(daemon, "restore", copy), /has a queue already: move it away first/);
    await Deno.remove(daemon.env.SMTPD_SPOOL!, { recursive: true });
    const text = await Deno.readTextFile(daemon.configFile);
    await Deno.writeTextFile(daemon.configFile, "another\n");
    await Deno.remove(`${daemon.folder}/blocked`);
    await Deno.remove(`${daemon.folder}/private`, { recursive: true });
    assert.match(await refused(daemon, "restore", copy), /are there and differ: .*smtpd\.conf; restore --force/);
    assert.match(await refused(daemon, "restore", daemon.mail), /is no backup, or one that was not finished/);
    assert.match(await smtpctl(daemon, "restore", "--force", copy), /put back: check them with smtpd -n/);
    assert.equal(await Deno.readTextFile(daemon.configFile), text);
    assert.equal((await Deno.stat(`${daemon.folder}/blocked`)).mode! & 0o7777, 0o644);
    const { files: privateFiles, folders: privateFolders } = modesIn(`${daemon.folder}/private`);
    assert.deepEqual([[...privateFiles], [...privateFolders]], [[0o600], [0o700]]);

    await Deno.remove(daemon.mail, { recursive: true });
    await Deno.mkdir(daemon.mail);
    await Deno.chmod(daemon.mail, 0o777);
    await daemon.launch();
    const wanted = new Set(Array.from({ length: BEFORE }, (_, count) => `before ${count}`));
    const found = await subjects(daemon, wanted);
    for (const subject of wanted) assert.equal(found.filter((one) => one === subject).length, 1, subject);
    assert.ok(!found.includes("delivered before"));
    assert.equal(new Set(found).size, found.length, "something arrived twice");
  });
});

/** Subjects of what has arrived, when all of `wanted` is there. */
async function subjects(daemon: Daemon, wanted: ReadonlySet<string>): Promise<string[]> {
  const box = daemon.mailbox("kept");
  for (let seen = 0;;) {
    const found = await Promise.all(
      box.names().map(async (name) => {
        const text = await Deno.readTextFile(join(box.path, "new", name));
        return /^Subject: (.*?)\r?$/m.exec(text)![1]!;
      }),
    );
    if ([...wanted].every((subject) => found.includes(subject))) {
      const queue = await smtpctl(daemon, "show", "queue");
      if (queue === "" && box.names().length === found.length) return found;
    }
    seen = await daemon.logged(/ mda delivery .*result=Ok/, 0, seen + 1).then(() => seen + 1);
  }
}

Deno.test("a backup without a daemon has the log of the database, and a copy that was changed is not put back", async () => {
  await withDaemon({ config }, async (daemon) => {
    await smtpctl(daemon, "pause", "mda");
    const client = await connect(daemon);
    await send(client, "in the log");
    await daemon.kill();
    const copy = join(daemon.folder, "backup"), spool = daemon.env.SMTPD_SPOOL!;
    const env = { get: (name: string) => daemon.env[name] };
    const take = (configFile: string) => backup(copy, env, new FakeTerminal(), { configFile });
    await assert.rejects(take(`${daemon.folder}/none`), /smtpd is not running, and .*none cannot be used/);
    assert.throws(() => Deno.statSync(copy), Deno.errors.NotFound);
    assert.equal(await take(daemon.configFile), 0);
    const names = readManifest(copy).files.map(({ copy }) => copy);
    assert.ok(names.includes("spool/queue.db-wal"), names.join(" "));

    await Deno.remove(spool, { recursive: true });
    const stored = join(copy, "spool/queue.db-wal"), bytes = await Deno.readFile(stored);
    await Deno.writeFile(stored, bytes.with(bytes.length - 1, bytes.at(-1)! ^ 1));
    assert.match(await refused(daemon, "restore", copy), /-wal is not as it was copied .*; nothing was put back/);
    assert.throws(() => Deno.statSync(spool), Deno.errors.NotFound);
    await Deno.writeFile(stored, bytes);
    await smtpctl(daemon, "restore", copy);
    await daemon.launch();
    assert.match(await daemon.mailbox("kept").text(), /^Subject: in the log$/m);
  });
});
