/** Deliveries in mbox format: system mailboxes and file targets. */

import assert from "node:assert/strict";
import { envelopeOf, ROOT, withWorld } from "./harness.ts";
import { FakeClock } from "../fake_clock.ts";

const BODY = "Subject: hello\n\nHi there\n";
const NOW = Date.UTC(2026, 0, 5, 23, 4, 5);
const TRACE = "Return-Path: <alice@example.net>\nDelivered-To: Bob@Example.org\n";
const mbox = { method: { type: "mbox" } } as const;
/** A clock that stands at NOW but still lets timers be set. */
const standing = () => new FakeClock(NOW);

/** The clock of the locks, apart from the other timers of the isolate: `onwait` is called with the length of each wait when it has begun. */
function lockClock(clock: FakeClock) {
  const locks = {
    ...clock,
    onwait: (_ms: number): void => {},
    after(ms: number, action: () => void) {
      const cancel = clock.after(ms, action);
      locks.onwait(ms);
      return cancel;
    },
  };
  return locks;
}

const inHome = { settings: (home: string) => ({ mailDirectory: home }) };

Deno.test("A mailbox is made with mode 0600 for its user, and messages are appended to it", () =>
  withWorld(mbox, async (world, home) => {
    const first = await world.send(envelopeOf(), BODY);
    assert.deepEqual(first.outcome, { result: "ok", text: "Delivered" });
    await world.send(envelopeOf({ sender: null }), "A: b\n\nFrom here\nand\nFrom there");
    assert.equal(
      Deno.readTextFileSync(`${home}/bob`),
      `From alice@example.net Mon Jan  5 23:04:05 2026\n${TRACE}${BODY}\n` +
        "From MAILER-DAEMON Mon Jan  5 23:04:05 2026\nReturn-Path: <>\nDelivered-To: Bob@Example.org\nA: b\n\n" +
        ">From here\nand\nFrom there\n\n",
    );
    const info = Deno.statSync(`${home}/bob`);
    assert.equal(info.mode! & 0o777, 0o600);
    assert.deepEqual([info.uid, info.gid], [world.account.uid, world.account.gid]);
    assert.deepEqual([...Deno.readDirSync(home)].map(({ name }) => name), ["bob"], "the lock is gone");
  }, { ...inHome, tools: { clock: standing() } }));

Deno.test("Two deliveries of large messages to one mailbox do not mix", () =>
  withWorld(mbox, async (world, home) => {
    const line = (letter: string) => new TextEncoder().encode((letter.repeat(99) + "\n").repeat(2_000));
    const sent = ["a", "b", "c"].map((letter) =>
      world.send(envelopeOf({ sender: null }), [1, 2, 3].map(() => line(letter)))
    );
    for (const { outcome } of await Promise.all(sent)) assert.equal(outcome.result, "ok");
    const messages = Deno.readTextFileSync(`${home}/bob`).split(/^From MAILER-DAEMON .*\n/m).slice(1);
    assert.equal(messages.length, 3);
    for (const message of messages) {
      const lines = message.split("\n").slice(2, -2);
      assert.equal(lines.length, 6_000);
      assert.equal(new Set(lines).size, 1);
    }
  }, inHome));

Deno.test("A mailbox that a crash left with half a line does not swallow the next message", () =>
  withWorld(mbox, async (world, home) => {
    Deno.writeTextFileSync(`${home}/bob`, "From x\nA: b\n\nhalf a li");
    if (ROOT) Deno.chownSync(`${home}/bob`, world.account.uid, world.account.gid);
    await world.send(envelopeOf(), BODY);
    assert.match(Deno.readTextFileSync(`${home}/bob`), /half a li\n\nFrom alice@example\.net /);
  }, inHome));

Deno.test("A body that cannot be read to its end leaves the mailbox as it was", () =>
  withWorld(mbox, async (world, home) => {
    await world.send(envelopeOf(), BODY);
    const before = Deno.readTextFileSync(`${home}/bob`);
    world.onqueue = (message) => {
      if (message.type !== "read") return true;
      queueMicrotask(() => world.queue.onmessage({ type: "unreadable", call: message.call, text: "Disk on fire" }));
      return false;
    };
    const { outcome } = await world.send(envelopeOf(), [new Uint8Array(200_000), new Uint8Array(10)]);
    assert.equal(outcome.result, "tempfail");
    assert.equal(Deno.readTextFileSync(`${home}/bob`), before);
  }, inHome));

const irregular: { name: string; make: (path: string, home: string) => void }[] = [
  {
    name: "a symbolic link",
    make: (path, home) => {
      Deno.writeTextFileSync(`${home}/target`, "");
      Deno.symlinkSync(`${home}/target`, path);
    },
  },
  {
    name: "a file of two names",
    make: (path, home) => {
      Deno.writeTextFileSync(path, "");
      Deno.linkSync(path, `${home}/target`);
    },
  },
  { name: "a folder", make: (path) => Deno.mkdirSync(path) },
];
for (const { name, make } of irregular) {
  Deno.test(`A mailbox that is ${name} is refused`, () =>
    withWorld(mbox, async (world, home) => {
      make(`${home}/bob`, home);
      const { outcome, event } = await world.send(envelopeOf(), BODY);
      assert.equal(outcome.result, "permfail");
      assert.match(
        event.stat,
        /^Error \(can't create user output file: "mail\.local: .*\/bob: Not a regular file of its own"\)$/,
      );
      assert.equal(
        Deno.statSync(`${home}/bob`).size,
        Deno.statSync(`${home}/bob`).isFile ? 0 : Deno.statSync(`${home}/bob`).size,
      );
    }, inHome));
}

Deno.test("A dotlock is waited for, with longer and longer waits", async () => {
  const clock = standing(), locks = lockClock(clock);
  await withWorld(mbox, async (world, home) => {
    Deno.writeTextFileSync(`${home}/bob.lock`, "");
    Deno.utimeSync(`${home}/bob.lock`, NOW / 1000, NOW / 1000);
    const sent = world.send(envelopeOf(), BODY);
    const waits: number[] = [];
    locks.onwait = (ms) => {
      waits.push(ms);
      if (waits.length === 3) Deno.removeSync(`${home}/bob.lock`);
      queueMicrotask(() => clock.advance(ms));
    };
    assert.equal((await sent).outcome.result, "ok");
    assert.deepEqual(waits, [1_000, 2_000, 4_000]);
  }, { ...inHome, tools: { clock, lockClock: locks } });
});

Deno.test("A dotlock that is held for too long is a temporary failure", async () => {
  const clock = standing(), locks = lockClock(clock);
  await withWorld(mbox, async (world, home) => {
    Deno.writeTextFileSync(`${home}/bob.lock`, "");
    locks.onwait = (ms) => {
      queueMicrotask(() => {
        clock.advance(ms);
        Deno.utimeSync(`${home}/bob.lock`, clock.now() / 1000, clock.now() / 1000);
      });
    };
    Deno.utimeSync(`${home}/bob.lock`, NOW / 1000, NOW / 1000);
    const { outcome, event } = await world.send(envelopeOf(), BODY);
    assert.equal(outcome.result, "tempfail");
    assert.match(event.stat, /Mailbox is locked/);
    assert.ok(Deno.statSync(`${home}/bob.lock`).isFile, "it is not ours to remove");
  }, { ...inHome, tools: { clock, lockClock: locks } });
});

Deno.test("A dotlock that something dead left behind is taken away", () =>
  withWorld(mbox, async (world, home) => {
    Deno.writeTextFileSync(`${home}/bob.lock`, "");
    Deno.utimeSync(`${home}/bob.lock`, Date.now() / 1000 - 400, Date.now() / 1000 - 400);
    assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
    assert.deepEqual([...Deno.readDirSync(home)].map(({ name }) => name), ["bob"]);
  }, inHome));

Deno.test("A mailbox that another program has locked with flock is waited for", async () => {
  const clock = standing(), locks = lockClock(clock);
  await withWorld(mbox, async (world, home) => {
    await world.send(envelopeOf(), BODY);
    const other = Deno.openSync(`${home}/bob`, { read: true });
    other.lockSync(true);
    let waits = 0;
    locks.onwait = (ms) => {
      if (++waits === 2) other.unlockSync();
      queueMicrotask(() => clock.advance(ms));
    };
    assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
    assert.equal(waits, 2);
    other.close();
  }, { ...inHome, tools: { clock, lockClock: locks } });
});

Deno.test("A file target is appended to as the user, every `From ` line quoted", () =>
  withWorld({ method: { type: "maildir", path: null, junk: false } }, async (world, home) => {
    const exec = `>${home}/%{dest.user}.box`;
    assert.equal((await world.send(envelopeOf({ exec }), "A: b\n\nx\nFrom y\n")).outcome.result, "ok");
    assert.equal(
      Deno.readTextFileSync(`${home}/bob.box`),
      `From alice@example.net Mon Jan  5 23:04:05 2026\n${TRACE}A: b\n\nx\n>From y\n\n`,
    );
    const info = Deno.statSync(`${home}/bob.box`);
    assert.equal(info.mode! & 0o777, 0o600);
    assert.equal(info.uid, world.account.uid);
  }, { tools: { clock: standing() } }));

Deno.test("The file target /dev/null takes everything", () =>
  withWorld(mbox, async (world) => {
    assert.equal((await world.send(envelopeOf({ exec: ">/dev/null" }), BODY)).outcome.result, "ok");
  }));
Deno.test("A file target that is another device is refused", () =>
  withWorld(mbox, async (world) => {
    assert.equal((await world.send(envelopeOf({ exec: ">/dev/full" }), BODY)).outcome.result, "permfail");
  }));

Deno.test({
  name: "As root, mailboxes lie in a folder that their users may not write to",
  ignore: !ROOT,
  fn: () =>
    withWorld(mbox, async (world, home) => {
      Deno.mkdirSync(`${home}/mail`);
      assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
      assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
      const info = Deno.statSync(`${home}/mail/bob`);
      assert.deepEqual([info.uid, info.gid, info.mode! & 0o777], [65534, 65534, 0o600]);
      assert.deepEqual([...Deno.readDirSync(`${home}/mail`)].map(({ name }) => name), ["bob"]);
    }, { settings: (home) => ({ mailDirectory: `${home}/mail` }) }),
});
Deno.test({
  name: "As root, a file target is written with the user's rights and no others",
  ignore: !ROOT,
  fn: () =>
    withWorld(mbox, async (world, home) => {
      Deno.mkdirSync(`${home}/closed`, { mode: 0o755 });
      const { outcome, event } = await world.send(envelopeOf({ exec: `>${home}/closed/box` }), BODY);
      assert.equal(outcome.result, "tempfail");
      assert.match(event.stat, /"mail\.mboxfile: .*: Permission denied"/);
    }),
});
Deno.test({
  name: "As root, root's own mailbox is written",
  ignore: !ROOT,
  fn: () =>
    withWorld(mbox, async (world, home) => {
      assert.equal((await world.send(envelopeOf(), BODY)).outcome.result, "ok");
      assert.equal(Deno.statSync(`${home}/root`).uid, 0);
    }, { ...inHome, account: (home) => ({ name: "root", uid: 0, gid: 0, home }) }),
});
Deno.test({
  name: "As root, a file target for root is refused",
  ignore: !ROOT,
  fn: () =>
    withWorld(mbox, async (world, home) => {
      const { event } = await world.send(envelopeOf({ exec: `>${home}/box` }), BODY);
      assert.equal(event.stat, "Error (permission denied: MDA not allowed to deliver to: root)");
    }, { account: (home) => ({ name: "root", uid: 0, gid: 0, home }) }),
});
