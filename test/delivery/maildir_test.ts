/** Maildir deliveries into real folders. */

import assert from "node:assert/strict";
import { envelopeOf, makeHome, ROOT, settingsOf, tester, withWorld, World } from "./harness.ts";
import { FakeClock } from "../fake_clock.ts";

const BODY = "Subject: hello\n\nHi there\r\n.\n";
const maildir = (path: string | null = null, junk = false) => ({ method: { type: "maildir", path, junk } } as const);
const HEADER = new TextEncoder().encode("A: b\n\n");
const list = (folder: string) => [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
const read = (folder: string) => list(folder).map((name) => Deno.readTextFileSync(`${folder}/${name}`));

Deno.test("A Maildir delivery writes one file of mode 0600 into new/, with the two lines in front of the stored bytes", () =>
  withWorld(maildir(), async (world, home) => {
    const envelope = envelopeOf();
    const { outcome, event } = await world.send(envelope, BODY);
    assert.deepEqual(outcome, { result: "ok", text: "Delivered" });
    assert.equal(event.stat, "Delivered");
    assert.equal(event.user, "bob");
    assert.deepEqual(read(`${home}/Maildir/new`), [
      `Return-Path: <alice@example.net>\nDelivered-To: Bob@Example.org\n${BODY}`,
    ]);
    assert.deepEqual(list(`${home}/Maildir/tmp`), []);
    const [name] = list(`${home}/Maildir/new`) as [string];
    assert.equal(name, `${Math.floor(envelope.createdAt / 1000)}.${envelope.id}.mx.example.org`);
    const info = Deno.statSync(`${home}/Maildir/new/${name}`);
    assert.equal(info.mode! & 0o777, 0o600);
    assert.equal(info.uid, world.account.uid);
    for (const part of ["", "/cur", "/tmp", "/new"]) {
      const folder = Deno.statSync(`${home}/Maildir${part}`);
      assert.equal(folder.mode! & 0o777, 0o700);
      assert.equal(folder.uid, world.account.uid);
    }
  }));

Deno.test("A delivery that is repeated after a crash replaces what the first one left", () =>
  withWorld(maildir(), async (world, home) => {
    await world.send(envelopeOf(), "Subject: makes the folders\n\n");
    const envelope = envelopeOf();
    const name = `${Math.floor(envelope.createdAt / 1000)}.${envelope.id}.mx.example.org`;
    for (const part of ["tmp", "new"]) {
      Deno.writeTextFileSync(`${home}/Maildir/${part}/${name}`, "half of it");
      if (ROOT) Deno.chownSync(`${home}/Maildir/${part}/${name}`, world.account.uid, world.account.gid);
    }
    assert.equal((await world.send(envelope, BODY)).outcome.result, "ok");
    assert.equal(list(`${home}/Maildir/new`).length, 2);
    assert.ok(Deno.readTextFileSync(`${home}/Maildir/new/${name}`).endsWith(BODY));
    assert.deepEqual(list(`${home}/Maildir/tmp`), []);
  }));

Deno.test("A path with specifiers is made with all that is missing above it", () =>
  withWorld(maildir("~/mail/%{rcpt.domain:lowercase}/%{rcpt.user}"), async (world, home) => {
    assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
    assert.equal(list(`${home}/mail/example.org/Bob/new`).length, 1);
    assert.equal(Deno.statSync(`${home}/mail/example.org`).mode! & 0o777, 0o700);
  }));

Deno.test("A host name with / and : is escaped in file names", () =>
  withWorld(maildir(), async (world, home) => {
    await world.send(envelopeOf(), BODY);
    assert.match(list(`${home}/Maildir/new`)[0]!, /\.a\\057b\\072c$/);
  }, { settings: () => ({ shared: { ...settingsOf().shared, serverName: "a/b:c" } }) }));

Deno.test("A sub-address goes to its own folder only if that is there", () =>
  withWorld(maildir(), async (world, home) => {
    await world.send(envelopeOf({ subAddress: "lists" }), BODY);
    assert.equal(list(`${home}/Maildir/new`).length, 1);
    for (const name of [".lists", ".a:b"]) {
      Deno.mkdirSync(`${home}/Maildir/${name}`);
      if (ROOT) Deno.chownSync(`${home}/Maildir/${name}`, world.account.uid, world.account.gid);
    }
    await world.send(envelopeOf({ subAddress: "lists" }), BODY);
    await world.send(envelopeOf({ subAddress: "a/b" }), BODY);
    assert.equal(list(`${home}/Maildir/.lists/new`).length, 1);
    assert.equal(list(`${home}/Maildir/.a:b/new`).length, 1);
    await world.send(envelopeOf({ subAddress: "." }), BODY);
    assert.equal(list(`${home}/Maildir/new`).length, 2, "a dot is no way up");
  }));

Deno.test("Spam goes to .Junk when the action says junk, also past a sub-address' folder", () =>
  withWorld(maildir(null, true), async (world, home) => {
    await world.send(envelopeOf(), BODY);
    assert.deepEqual(list(`${home}/Maildir/.Junk`), ["cur", "new", "tmp"]);
    await world.send(envelopeOf({ subAddress: "Junk2" }), `X-Spam: Yes\n${BODY}`);
    assert.equal(list(`${home}/Maildir/.Junk/new`).length, 1);
    assert.equal(list(`${home}/Maildir/new`).length, 1);
  }));
Deno.test("Spam is ordinary mail when the action does not say junk", () =>
  withWorld(maildir(), async (world, home) => {
    await world.send(envelopeOf(), `X-Spam: yes\n${BODY}`);
    assert.equal(list(`${home}/Maildir/new`).length, 1);
  }));

Deno.test("A large message is streamed: the queue is asked for one chunk at a time, and all bytes arrive", () =>
  withWorld(maildir(), async (world, home) => {
    const chunks = Array.from({ length: 20 }, (_, index) => new Uint8Array(256 << 10).fill(97 + index));
    chunks[0]!.set(HEADER);
    let open = 0;
    world.onqueue = (message) => {
      if (message.type === "read") assert.equal(message.index, ++open);
      return true;
    };
    await world.send(envelopeOf({ sender: null }), chunks);
    const [name] = list(`${home}/Maildir/new`) as [string];
    const stored = Deno.readFileSync(`${home}/Maildir/new/${name}`);
    const start = "Return-Path: <>\nDelivered-To: Bob@Example.org\n".length;
    assert.equal(stored.length, start + 20 * (256 << 10));
    for (let index = 1; index < 20; index++) assert.equal(stored[start + index * (256 << 10)], 97 + index);
  }));

Deno.test("A header that is longer than a chunk is looked through all the same", () =>
  withWorld(maildir(), async (world) => {
    const chunks = ["A: b\n".repeat(1000) + "Deliv", "ered-To: bob@example.org\n\n"];
    const { outcome } = await world.send(envelopeOf(), chunks.map((chunk) => new TextEncoder().encode(chunk)));
    assert.equal(outcome.result, "loop");
  }));

Deno.test("An empty body is delivered", () =>
  withWorld(maildir(), async (world, home) => {
    assert.equal((await world.send(envelopeOf({ sender: null }), [])).outcome.result, "ok");
    assert.deepEqual(read(`${home}/Maildir/new`), ["Return-Path: <>\nDelivered-To: Bob@Example.org\n"]);
  }));

Deno.test("A hundred messages at once arrive each in its own file", () =>
  withWorld(maildir(), async (world, home) => {
    const sent = Array.from({ length: 100 }, (_, index) => world.send(envelopeOf(), `A: ${index}\n\n`));
    for (const { outcome } of await Promise.all(sent)) assert.equal(outcome.result, "ok");
    assert.equal(new Set(read(`${home}/Maildir/new`)).size, 100);
    assert.equal(world.lookups, 1, "the account is remembered");
  }));

Deno.test("A Maildir that was removed is made again", () =>
  withWorld(maildir(), async (world, home) => {
    await world.send(envelopeOf(), BODY);
    Deno.removeSync(`${home}/Maildir`, { recursive: true });
    assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
    assert.equal(list(`${home}/Maildir/new`).length, 1);
  }));

Deno.test("A relative path is refused for good", () =>
  withWorld(maildir("mail"), async (world) => {
    const { outcome, event } = await world.send(envelopeOf(), BODY);
    assert.equal(outcome.result, "permfail");
    assert.equal(event.stat, 'Error ("mail.maildir: mail: Not an absolute path")');
  }));

Deno.test("A specifier that means nothing is refused for good", () =>
  withWorld(maildir("/m/%{nosuch}"), async (world) => {
    const { outcome, event } = await world.send(envelopeOf(), BODY);
    assert.equal(outcome.result, "permfail");
    assert.match(event.stat, /could not be expanded: unknown token \\?"nosuch/);
  }));

Deno.test("A path that ends at a file is tried again later", () =>
  withWorld((home) => maildir(`${home}/file/x`), async (world, home) => {
    Deno.writeTextFileSync(`${home}/file`, "");
    const { outcome, event } = await world.send(envelopeOf(), BODY);
    assert.equal(outcome.result, "tempfail");
    assert.match(event.stat, /^Error \(temporary failure: "mail\.maildir: .*: Not a directory"\)$/);
  }));

Deno.test("A body that cannot be read to its end leaves nothing behind", () =>
  withWorld(maildir(), async (world, home) => {
    world.onqueue = (message) => {
      if (message.type !== "read") return true;
      queueMicrotask(() => world.queue.onmessage({ type: "unreadable", call: message.call, text: "Disk on fire" }));
      return false;
    };
    const { outcome } = await world.send(envelopeOf(), [HEADER, new Uint8Array(10)]);
    assert.deepEqual(outcome, {
      result: "tempfail",
      text: "temporary failure: Disk on fire",
      status: { class: 4, code: "3.0" },
    });
    assert.deepEqual(list(`${home}/Maildir/tmp`), []);
    assert.deepEqual(list(`${home}/Maildir/new`), []);
  }));

Deno.test("A delivery that is killed half-way leaves a file in tmp/ and none in new/", async () => {
  const home = makeHome();
  try {
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", import.meta.resolve("./half_way.ts").slice("file://".length), home],
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    const reader = child.stdout.getReader();
    await reader.read();
    child.kill("SIGKILL");
    await child.status;
    await reader.cancel();
    assert.equal(list(`${home}/Maildir/tmp`).length, 1);
    assert.deepEqual(list(`${home}/Maildir/new`), []);
  } finally {
    Deno.removeSync(home, { recursive: true });
  }
});

Deno.test({
  name: "As root, a Maildir is written with the user's rights and no others",
  ignore: !ROOT,
  fn: () =>
    withWorld((home) => maildir(`${home}/closed/m`), async (world, home) => {
      Deno.mkdirSync(`${home}/closed`, { mode: 0o700 });
      const refused = await world.send(envelopeOf(), BODY);
      assert.match(refused.event.stat, /^Error \(temporary failure: "mail\.maildir: .*: Permission denied"\)$/);
      Deno.chmodSync(`${home}/closed`, 0o777);
      assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
      const [name] = list(`${home}/closed/m/new`);
      const info = Deno.statSync(`${home}/closed/m/new/${name}`);
      assert.deepEqual([info.uid, info.gid], [65534, 65534]);
      assert.match(Deno.readTextFileSync("/proc/thread-self/status"), /^Uid:\t0\t0\t0\t0$/m);
    }),
});

Deno.test({
  name: "As root, the user's group decides and root's groups do not",
  ignore: !ROOT,
  fn: () =>
    withWorld((home) => maildir(`${home}/group/m`), async (world, home) => {
      Deno.mkdirSync(`${home}/group`);
      Deno.chownSync(`${home}/group`, 0, 65534);
      Deno.chmodSync(`${home}/group`, 0o770);
      assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
    }),
});

for (const user of [null, "root"]) {
  Deno.test({
    name: `As root, a Maildir of root's is ${user === null ? "refused" : "written when the action names root"}`,
    ignore: !ROOT,
    fn: () =>
      withWorld({ ...maildir(), user }, async (world) => {
        const { outcome, event } = await world.send(envelopeOf(), BODY);
        assert.equal(outcome.result, user === null ? "permfail" : "ok");
        if (user === null) assert.equal(event.stat, "Error (permission denied: MDA not allowed to deliver to: root)");
      }, { account: (home) => ({ name: "root", uid: 0, gid: 0, home }) }),
  });
}

Deno.test("Without root nobody else is delivered to, and the text says why", async () => {
  const home = makeHome();
  const settings = settingsOf({
    shared: { ...settingsOf().shared, root: false },
    actions: { test: { ...maildir(), kind: "local", name: "test" } as never },
    uid: 1000,
  });
  const world = new World(settings, { ...tester(home), uid: 1001 }, { clock: new FakeClock() });
  const { outcome, event } = await world.send(envelopeOf(), BODY);
  assert.equal(outcome.result, "tempfail");
  assert.equal(
    event.stat,
    'Error (temporary failure: Cannot deliver as "bob": the daemon does not run as root)',
  );
  await world.stop();
  assert.deepEqual(list(home), []);
  Deno.removeSync(home, { recursive: true });
});
