/** Moving a queue: to another daemon by export and import, from OpenSMTPD's spool by discover. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { copySpool, envelopeText, SPOOL_KEY } from "./foreign_spool.ts";
import { Daemon, DOMAIN, OWNER, type Ran, run, withDaemon } from "./harness.ts";

/** Nothing leaves: what is queued can be looked at. */
const HELD = ["-P", "mda", "-P", "mta"];

/** The actions have the names that the fixtures' spools know. */
const config = ({ port, mail }: { port: number; mail: string }) =>
  `listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
smtp max-message-size 10M
history keep 1d
action "in" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "out" relay host "smtp://127.0.0.1:1"
match from any for domain "${DOMAIN}" action "in"
match from any for any action "out"
`;

async function smtpctl(daemon: Daemon, ...args: string[]): Promise<Ran> {
  return await daemon.tool("smtpctl", args);
}

async function listing(daemon: Daemon): Promise<string[][]> {
  const { stdout } = await smtpctl(daemon, "show", "queue");
  return stdout.split("\n").filter((line) => line !== "").map((line) => line.split("|"));
}

/** What must survive a move: all but the time to the next attempt. */
function lasting(rows: string[][]): string[][] {
  return rows.map((row) => [...row.slice(0, 11), row[13]!]);
}

async function bodyOf(daemon: Daemon, id: string): Promise<string> {
  return (await smtpctl(daemon, "show", "message", id)).stdout;
}

async function fill(daemon: Daemon): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.send("sender@example.com", `one@${DOMAIN}`, "Subject: one\r\n\r\nHel\0lo\r\n", " RET=HDRS ENVID=QQ");
  await client.send("", "two@remote.test", `Subject: two\r\n\r\n${"long line\r\n".repeat(90_000)}`);
  await client.say("MAIL FROM:<sender@example.com>", "250");
  for (const user of ["three", "four", "five"]) await client.say(`RCPT TO:<${user}@remote.test> NOTIFY=DELAY`, "250");
  await client.say("DATA", "354");
  await client.say("Subject: many\r\n\r\nHello\r\n.", "250");
  client.close();
}

Deno.test("a queue moves to another daemon, with everything that is known of it", async (test) => {
  const folder = await Deno.makeTempDir();
  const moved = join(folder, "moved");
  let before: string[][] = [], bodies: string[] = [];
  try {
    await withDaemon({ args: HELD, config }, async (daemon) => {
      await fill(daemon);
      const [first] = await listing(daemon);
      assert.equal((await smtpctl(daemon, "pause", "envelope", first![0]!)).code, 0);
      before = await listing(daemon);
      bodies = await Promise.all(before.map(([id]) => bodyOf(daemon, id!)));
      await test.step("export writes a file a message and a file an envelope", async () => {
        const ran = await smtpctl(daemon, "export", moved);
        assert.deepEqual([ran.stdout, ran.stderr, ran.code], ["5 envelopes exported\n", "", 0]);
        const names = [...Deno.readDirSync(moved)].map(({ name }) => name);
        assert.equal(names.filter((name) => name.endsWith(".eml")).length, 3);
        assert.equal(names.filter((name) => name.endsWith(".envelope")).length, 5);
        assert.ok(names.includes("export.id"));
        assert.equal(names.length, 9);
        assert.deepEqual(lasting(await listing(daemon)), lasting(before), "the queue keeps what it has");
      });
      await test.step("export wants a folder of its own", async () => {
        const ran = await smtpctl(daemon, "export", moved);
        assert.equal(ran.code, 1);
        assert.match(ran.stderr, /is not empty/);
      });
      await test.step("import under ids that are taken makes new ones", async () => {
        const ran = await smtpctl(daemon, "import", moved);
        assert.deepEqual([ran.stdout, ran.stderr, ran.code], ["5 envelopes imported\n", "", 0]);
        const ids = (await listing(daemon)).map(([id]) => id);
        assert.equal(new Set(ids).size, 10);
        const [own = ""] = ids.filter((id) => !before.some(([old]) => old === id));
        const found = await smtpctl(daemon, "find", "--id", own!.slice(0, 8));
        assert.match(found.stdout, new RegExp(`^\\S+ \\S+  ${own!.slice(0, 8)}  .* queued`));
        assert.match(
          (await smtpctl(daemon, "story", own!)).stdout,
          /Taken into the queue from files, by smtpctl import/,
        );
      });
    });
    await withDaemon({ args: HELD, config }, async (daemon) => {
      await test.step("import on the other machine", async () => {
        const ran = await smtpctl(daemon, "import", moved);
        assert.deepEqual([ran.stdout, ran.stderr, ran.code], ["5 envelopes imported\n", "", 0]);
        const after = await listing(daemon);
        assert.deepEqual(lasting(after), lasting(before));
        assert.deepEqual(await Promise.all(after.map(([id]) => bodyOf(daemon, id!))), bodies);
        assert.deepEqual([...Deno.readDirSync(join(daemon.folder, "spool/import"))], [], "nothing is left behind");
        assert.equal([...Deno.readDirSync(moved)].length, 9, "the source is as it was");
      });
      await test.step("a second import of the same takes nothing, also when mail has gone and from another place", async () => {
        assert.equal((await smtpctl(daemon, "remove", before[0]![0]!)).code, 0);
        const copy = join(folder, "copy");
        assert.equal((await run("cp", ["-R", moved, copy])).code, 0);
        for (const from of [moved, copy]) {
          const ran = await smtpctl(daemon, "import", from);
          assert.deepEqual([ran.stdout, ran.stderr, ran.code], [
            "0 envelopes imported\n",
            "smtpctl: 3 messages were imported from there before and are left out: --again takes them once more\n",
            0,
          ]);
        }
        assert.equal((await listing(daemon)).length, 4);
      });
      await test.step("import --again takes all once more", async () => {
        const ran = await smtpctl(daemon, "import", moved, "--again");
        assert.deepEqual([ran.stdout, ran.stderr, ran.code], ["5 envelopes imported\n", "", 0]);
        assert.equal((await listing(daemon)).length, 9);
      });
      await test.step("another export of the same mail is another", async () => {
        assert.equal((await smtpctl(daemon, "remove", "all")).code, 0);
        await Deno.writeTextFile(join(folder, "copy/export.id"), "another\n");
        assert.equal((await smtpctl(daemon, "import", join(folder, "copy"))).stdout, "5 envelopes imported\n");
      });
    });
    await withDaemon({ args: HELD, config }, async (daemon) => {
      await test.step("import while no daemon runs waits for the next", async () => {
        assert.equal(await daemon.stop(), 0);
        const ran = await smtpctl(daemon, "import", moved);
        assert.match(ran.stdout, /^5 envelopes wait in .*\/spool\/import until smtpd starts\n$/);
        assert.equal(ran.code, 0);
        const twice = await smtpctl(daemon, "import", moved);
        assert.match(twice.stderr, /^smtpctl: 3 messages were imported from there before/);
        await daemon.launch();
        assert.deepEqual(lasting(await listing(daemon)), lasting(before));
        const mode = (name: string) => Deno.statSync(join(daemon.folder, "spool", name)).mode! & 0o777;
        assert.equal(mode("imported"), 0o600);
      });
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

for (const name of ["plain", "gzip", "sealed"] as const) {
  Deno.test(`discover takes in a spool of OpenSMTPD: ${name}`, async () => {
    await withDaemon({ args: HELD, config }, async (daemon) => {
      const keyFile = join(daemon.folder, "key");
      await Deno.writeTextFile(keyFile, `${SPOOL_KEY}\n`);
      const spool = copySpool(name, join(daemon.folder, "opensmtpd"));
      const ran = await smtpctl(daemon, "discover", spool, ...(name === "sealed" ? [keyFile] : []));
      assert.deepEqual([ran.stdout, ran.stderr, ran.code], ["5 envelopes imported\n", "", 0]);
      const rows = await listing(daemon);
      const known = new Map(rows.map((row) => [row[5]!, row]));
      assert.deepEqual([...known.keys()].sort(), [
        `bench@${DOMAIN}`,
        "bob@remote.test",
        "carol@remote.test",
        "dave@remote.test",
        `run@${DOMAIN}`,
      ]);
      // Ids and retries are those of the files.
      for (const [id] of rows) Deno.statSync(join(spool, "queue", id!.slice(0, 2), id!.slice(0, 8), id!));
      assert.deepEqual(known.get(`run@${DOMAIN}`)!.slice(10, 12), ["1", "pending"]);
      assert.equal(known.get("dave@remote.test")![4], "@");
      const bob = known.get("bob@remote.test")![0]!;
      assert.match(
        (await smtpctl(daemon, "show", "envelope", bob)).stdout,
        /^dsn-notify: 3\ndsn-ret: HDRS\ndsn-envid: QQ123\ndsn-orcpt: rfc822;bob@orig\.test$/m,
      );
      assert.match(await bodyOf(daemon, bob), /^Received: [^]*\nSubject: relayed\n[^]*\n\nHello\n\.dot\n$/);
      const again = await smtpctl(daemon, "discover", spool, ...(name === "sealed" ? [keyFile] : []));
      assert.deepEqual([again.stdout, again.code], ["0 envelopes imported\n", 0]);
      assert.match(again.stderr, /^smtpctl: \d+ messages were imported from there before and are left out: --again /);
    });
  });
}

Deno.test("discover reports clearly what it cannot take in, and leaves it out whole", async (test) => {
  const named = ({ port }: { port: number }) =>
    `listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "out" relay host "smtp://127.0.0.1:1"
match from any for any action "out"
`;
  await withDaemon({ args: HELD, config: named }, async (daemon) => {
    await test.step("an action that is not configured", async () => {
      const ran = await smtpctl(daemon, "discover", copySpool("plain", join(daemon.folder, "plain")));
      assert.equal(ran.stdout, "3 envelopes imported\n");
      assert.equal(
        ran.stderr,
        'smtpctl: message 25b7768c is not imported: Envelope 25b7768ca836753c: There is no action "in" in the configuration: add one, or name another one in the line "dispatcher" of its file\n',
      );
      assert.equal(ran.code, 1);
      assert.equal((await listing(daemon)).length, 3);
      const again = await smtpctl(daemon, "discover", join(daemon.folder, "plain"));
      assert.match(
        again.stderr,
        /25b7768c is not imported: [^]*\nsmtpctl: \d messages? w[^]* imported from there before/,
      );
      assert.deepEqual([again.stdout, again.code], ["0 envelopes imported\n", 1]);
      assert.deepEqual([...Deno.readDirSync(join(daemon.folder, "spool/import"))], []);
    });
    await test.step("an encrypted spool without its key, or with another", async () => {
      const sealed = copySpool("sealed", join(daemon.folder, "sealed"));
      const without = await smtpctl(daemon, "discover", sealed);
      assert.equal(without.code, 1);
      assert.match(without.stderr, /It is encrypted: name the file of the key behind the folder\n$/);
      const other = join(daemon.folder, "key");
      await Deno.writeTextFile(other, SPOOL_KEY.replaceAll("0", "1"));
      assert.match((await smtpctl(daemon, "discover", sealed, other)).stderr, /It is encrypted with another key\n$/);
      await Deno.writeTextFile(other, "short");
      assert.match((await smtpctl(daemon, "discover", sealed, other)).stderr, /holds no key: that has 32 characters/);
    });
    await test.step("a folder that is not there", async () => {
      const ran = await smtpctl(daemon, "discover", join(daemon.folder, "nowhere"));
      assert.equal(ran.code, 1);
      assert.match(ran.stderr, /nowhere/);
    });
    await test.step("an id takes in what was laid into the spool by hand", async () => {
      const place = join(daemon.folder, "spool/import/0badcafe");
      await Deno.mkdir(place);
      const text = envelopeText("b477de041b0dcb20");
      await Deno.writeTextFile(join(place, "message"), "Subject: by hand\n\nHello\n");
      await Deno.writeTextFile(join(place, "0badcafe00000001"), text);
      await Deno.writeTextFile(join(place, "0badcafe00000002"), text);
      const { uid } = Deno.statSync(join(daemon.folder, "spool"));
      if (uid !== Deno.uid()) {
        const { stdout } = await smtpctl(daemon, "discover", "0badcafe00000001");
        const command = /^0badcafe00000001: The user of the queue may not .*: use (chown -R \S+ \S+)$/m.exec(
          stdout,
        )![1]!;
        assert.equal((await run("sh", ["-c", command])).code, 0);
      }
      assert.equal((await smtpctl(daemon, "discover", "0badcafe00000001")).stdout, "1 envelope discovered\n");
      assert.equal((await smtpctl(daemon, "discover", "0badcafe")).stdout, "1 envelope discovered\n");
      const again = await smtpctl(daemon, "discover", "0badcafe");
      assert.equal(again.stdout, "0badcafe: It is not there\n0 envelopes discovered\n");
      assert.equal((await listing(daemon)).length, 5);
    });
  });
});
