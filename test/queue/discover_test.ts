/** Messages that lie as files in the spool. */

import assert from "node:assert/strict";
import {
  enqueue,
  list,
  logged,
  NOON,
  openQueue,
  type QueueHarness,
  SETTINGS,
  text,
  ticketsOf,
  typed,
  withQueue,
} from "./harness.ts";
import { evpid, msgid } from "../ids.ts";
import { doorFault } from "../isolate/event_details.ts";

const ENVELOPE = `version: 3
dispatcher: out
type: mta
smtpname: mx.example.org
helo: client.example.net
hostname: client.example.net
errorline: 450 4.2.1 try later
sockaddr: 192.0.2.7
sender: a@example.net
rcpt: b@example.org
dest: b@other.example
ctime: 1795300000
last-try: 1795340000
last-bounce: 0
ttl: 0
retry: 3
dsn-notify: 0
esc-class: 4
esc-code: 21
`;

function lay(spool: string, name: string, envelopes: readonly string[], body = "Subject: x\n\nHello\n"): string {
  const folder = `${spool}/import/${name}`;
  Deno.mkdirSync(folder, { recursive: true });
  Deno.writeTextFileSync(`${folder}/message`, body);
  const message = name.slice(0, 8);
  for (const [index, each] of envelopes.entries()) {
    Deno.writeTextFileSync(`${folder}/${message}0000000${index + 1}`, each);
  }
  return folder;
}

async function discover(harness: QueueHarness, message: string, envelope: string | null = null) {
  harness.control.send({
    type: "discover",
    call: 1,
    message: msgid(message),
    envelope: envelope === null ? null : evpid(envelope),
  });
  const { count, error } = await harness.control.next(typed("discovered"));
  return { count, error };
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("discover takes in a message with its retries, informs the scheduler, and removes the files", async () => {
  await withQueue(async (harness, spool) => {
    const folder = lay(spool, "0badcafe", [ENVELOPE, ENVELOPE.replace("b@other", "c@other")]);
    assert.deepEqual(await discover(harness, "0badcafe"), { count: 2, error: null });
    const tickets = await ticketsOf(harness, 2);
    assert.deepEqual(tickets.map(({ id, lane, tries }) => [id, lane, tries]), [
      ["0badcafe00000001", "other.example", 3],
      ["0badcafe00000002", "other.example", 3],
    ]);
    const [one] = await list(harness);
    assert.deepEqual([one!.tries, one!.lastTryAt, one!.errorLine, one!.status, one!.createdAt], [
      3,
      1_795_340_000_000,
      "450 4.2.1 try later",
      { class: 4, code: "2.1" },
      1_795_300_000_000,
    ]);
    assert.ok(!exists(folder));
    assert.deepEqual(await discover(harness, "0badcafe"), { count: 0, error: "It is not there" });
  });
});

Deno.test("the history is told of what discover has taken in, before the scheduler is", async () => {
  await withQueue(async (harness, spool) => {
    lay(spool, "0badcafe", [ENVELOPE, ENVELOPE.replace("b@other", "c@other")], "Subject: x\n\nHello\n");
    assert.deepEqual(await discover(harness, "0badcafe"), { count: 2, error: null });
    const reported = harness.events.filter(({ type }) => type === "queue-message");
    assert.deepEqual(reported.map((event) => doorFault("queue", event)), [null]);
    const rcpt = { local: "b", domain: "example.org" }, dest = { local: "b", domain: "other.example" };
    const envelopes = [
      { id: evpid("0badcafe00000001"), rcpt, dest, agent: "mta", action: "out" },
      { id: evpid("0badcafe00000002"), rcpt, dest: { ...dest, local: "c" }, agent: "mta", action: "out" },
    ];
    const from = { local: "a", domain: "example.net" };
    assert.deepEqual(reported, [
      { type: "queue-message", message: msgid("0badcafe"), how: "import", from, bytes: 18, envelopes, more: 0 },
    ]);
  }, { shared: { ...SETTINGS, recording: true } });
  await withQueue(async (harness, spool) => {
    lay(spool, "0badcafe", [ENVELOPE]);
    await discover(harness, "0badcafe");
    assert.deepEqual(harness.events.filter(({ type }) => type === "queue-message"), []);
  });
});

Deno.test("discover of a long message brings every octet", async () => {
  await withQueue(async (harness, spool) => {
    const body = `Subject: x\n\n${"0123456789abcdef\n".repeat(60_000)}`;
    lay(spool, "0badcafe", [ENVELOPE], body);
    assert.deepEqual(await discover(harness, "0badcafe"), { count: 1, error: null });
    let read = "";
    for (let index = 0, chunks = 1; index < chunks; index++) {
      harness.control.send({ type: "body", call: 1, message: msgid("0badcafe"), index });
      const piece = await harness.control.next(typed("body"));
      chunks = piece.chunks;
      read += text(piece.bytes!);
    }
    assert.equal(read, body);
  });
});

Deno.test("discover makes a new id where the old one is taken, and several at once do not meet", async () => {
  await withQueue(async (harness, spool) => {
    const [queued] = await enqueue(harness);
    const taken = queued!.id.slice(0, 8);
    const names = [taken, harness.ids.at(-1)!, "0badca01", "0badca02", "0badca03"];
    for (const name of names) lay(spool, name, [ENVELOPE]);
    for (const [call, message] of names.entries()) {
      harness.control.send({ type: "discover", call, message: msgid(message), envelope: null });
    }
    for (const _ of names) assert.equal((await harness.control.next(typed("discovered"))).count, 1);
    const ids = (await list(harness)).map(({ id }) => id.slice(0, 8));
    assert.equal(new Set(ids).size, 6);
    for (const name of ["0badca01", "0badca02", "0badca03"]) assert.ok(ids.includes(name), "a free id is kept");
    assert.ok(!ids.includes(names[1]!), "an id that an smtp isolate holds is not free");
  });
});

const refusals = [
  {
    envelopes: [ENVELOPE, ENVELOPE.replace("out", "gone")],
    says: /^Envelope 0badcafe00000002: There is no action "gone"/,
  },
  { envelopes: [ENVELOPE, "version: 3\n"], says: /^Envelope 0badcafe00000002: "type" is unknown$/ },
  { envelopes: [], says: /^There is no envelope$/ },
  { envelopes: [`${ENVELOPE}vaultpost: {"dest":7}\n`], says: /^Envelope 0badcafe00000001: A value in it cannot be$/ },
  {
    envelopes: [`${ENVELOPE}vaultpost: {"rcpt":{"local":"a>\\r\\nDATA\\r\\n","domain":"b"}}\n`],
    says: /^Envelope 0badcafe00000001: A value in it cannot be$/,
  },
  { envelopes: [ENVELOPE.replace("b@example", "b\0@example")], says: /: A value in it cannot be$/ },
  { envelopes: [`${ENVELOPE}vaultpost: {"tries":"many"}\n`], says: /: A value in it cannot be$/ },
  { envelopes: [`${ENVELOPE}vaultpost: {"status":{"class":9,"code":"x"}}\n`], says: /: A value in it cannot be$/ },
] as const;
for (const { envelopes, says } of refusals) {
  Deno.test(`discover refuses a message whole when ${says.source}`, async () => {
    await withQueue(async (harness, spool) => {
      const folder = lay(spool, "0badcafe", envelopes);
      assert.match((await discover(harness, "0badcafe")).error!, says);
      assert.deepEqual(await list(harness), []);
      assert.equal([...Deno.readDirSync(folder)].length, envelopes.length + 1, "the files stay");
    });
  });
}

Deno.test("discover follows no link, and takes no two envelopes for one", async () => {
  await withQueue(async (harness, spool) => {
    const secret = `${spool}/secret`;
    Deno.writeTextFileSync(secret, ENVELOPE);
    const body = lay(spool, "0badca01", [ENVELOPE]), envelope = lay(spool, "0badca02", [ENVELOPE]);
    Deno.removeSync(`${body}/message`);
    Deno.symlinkSync(secret, `${body}/message`);
    Deno.removeSync(`${envelope}/0badca0200000001`);
    Deno.symlinkSync(secret, `${envelope}/0badca0200000001`);
    const twice = lay(spool, "0badca03", [ENVELOPE]);
    Deno.writeTextFileSync(`${twice}/0badca0900000001`, ENVELOPE);
    const errors = [];
    for (const name of ["0badca01", "0badca02", "0badca03"]) errors.push((await discover(harness, name)).error);
    assert.deepEqual(errors, [
      '"message" is not a file',
      "Envelope 0badca0200000001: It is not a file",
      "Two envelopes have one number, or one has none",
    ]);
    assert.deepEqual(await list(harness), []);
  });
});

Deno.test("files that the daemon may not remove are imported once", async () => {
  const spool = await Deno.makeTempDir();
  const { removeSync } = Deno;
  try {
    const first = await openQueue(spool);
    lay(spool, "0badca01", [ENVELOPE]);
    // As it is with a folder that root has laid there for a daemon of another user.
    Deno.removeSync = (path, options) => {
      if (String(path).includes("/import/")) throw new Deno.errors.PermissionDenied("Permission denied");
      removeSync(path, options);
    };
    assert.deepEqual(await discover(first, "0badca01"), { count: 1, error: null });
    const [ticket] = await ticketsOf(first);
    assert.match(logged(first).join("\n"), /is imported and may be removed, which does not work from here/);
    first.control.send({ type: "remove", call: 2, target: "all", after: "" });
    assert.deepEqual((await first.control.next(typed("removed"))).ids, [ticket!.id]);
    first.stop();
    const second = await openQueue(spool);
    await second.scheduler.next(typed("loaded"));
    const [fresh] = await enqueue(second);
    assert.deepEqual((await list(second)).map(({ id }) => id), [fresh!.id], "it is gone for good");
    second.stop();
  } finally {
    Deno.removeSync = removeSync;
    await Deno.remove(spool, { recursive: true });
  }
});

Deno.test("a start takes in what lies there, and warns of what it cannot", async () => {
  const spool = await Deno.makeTempDir();
  lay(spool, "0badca01", [ENVELOPE]);
  lay(spool, "0badca02", [ENVELOPE.replace("out", "gone")]);
  const harness = await openQueue(spool);
  assert.deepEqual((await ticketsOf(harness)).map(({ id }) => id), ["0badca0100000001"]);
  while (logged(harness).length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.match(
    logged(harness).join("\n"),
    /message 0badca02 is not imported: Envelope 0badca0200000001: There is no action/,
  );
  harness.stop();
  await Deno.remove(spool, { recursive: true });
});

Deno.test("a crash before the commit imports at the next start; one after it does not import again", async () => {
  const spool = await Deno.makeTempDir();
  const first = await openQueue(spool);
  lay(spool, "0badca01", [ENVELOPE]);
  assert.equal((await discover(first, "0badca01")).count, 1);
  first.stop();
  // As the process leaves it that dies between the commit and the removal, and before the commit.
  lay(spool, "0badca01.importing", [ENVELOPE]);
  lay(spool, "0badca02.importing", [ENVELOPE]);
  lay(spool, "0badca02", [ENVELOPE]);
  lay(spool, "0badca03.importing.part", []);
  const stale = lay(spool, ".0badca04.x", [ENVELOPE]);
  Deno.utimeSync(stale, new Date(NOON - 90_000_000), new Date(NOON - 90_000_000));
  const second = await openQueue(spool);
  await ticketsOf(second, 3);
  const ids = (await list(second)).map(({ id }) => id);
  assert.deepEqual(ids.filter((id) => id.startsWith("0badca0")), ["0badca0100000001", "0badca0200000001"]);
  assert.equal(ids.length, 3, "another message of the same name comes under another id");
  assert.deepEqual([...Deno.readDirSync(`${spool}/import`)], []);
  second.stop();
  await Deno.remove(spool, { recursive: true });
});
