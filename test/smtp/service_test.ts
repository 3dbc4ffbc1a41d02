/** What the service does beyond one dialogue: credit, back-pressure, isolates that are replaced, stopping. */

import assert from "node:assert/strict";
import type { Channel } from "../../src/isolate/mod.ts";
import type { QueueToSmtp, SmtpToQueue } from "../../src/protocol/mod.ts";
import { CHUNK_BYTES, CHUNK_CREDIT, MAX_MESSAGE_ENVELOPES } from "../../src/protocol/smtp_queue.ts";
import { MessageBuffer } from "../../src/smtp/message/message_buffer.ts";
import { QueueClient } from "../../src/smtp/queue_client.ts";
import { MAX_IDLE_COMMANDS } from "../../src/smtp/session/command_limits.ts";
import { type Client, delivered, FakeChannel, listener, settings, settle, World } from "./support.ts";
import { msgid } from "../ids.ts";

const OPENING = "EHLO a.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n";

/** A session that is ready for the message. */
async function inData(world: World): Promise<Client> {
  const client = await world.connect();
  const said = await client.say(OPENING);
  assert.match(said, /354 [^\n]+\r\n$/);
  return client;
}

/** Sends as a socket does: in pieces, none while the wire is paused. Returns how much was sent. */
async function pour(client: Client, text: string, from = 0): Promise<number> {
  const piece = 64 * 1024;
  let at = from;
  while (at < text.length && !client.wire.paused) {
    client.connection.data(new TextEncoder().encode(text.slice(at, at + piece)));
    at += piece;
    await settle();
  }
  return Math.min(at, text.length);
}

Deno.test("a large message waits for credit, with the client held back, and arrives whole", async () => {
  const world = new World({ credit: false });
  const client = await inData(world);
  const line = `${"x".repeat(74)}\r\n`;
  const message = `Subject: big\r\n\r\n${line.repeat(30_000)}.\r\n`;
  let at = await pour(client, message);
  assert.ok(client.wire.paused, "the client is held back");
  const chunks = () => world.queue.sent.filter(({ type }) => type === "chunk").length;
  assert.equal(chunks(), CHUNK_CREDIT);
  assert.ok(at <= (CHUNK_CREDIT + 1) * CHUNK_BYTES + 3 * 65536, `${at} octets are more than the credit covers`);
  for (let given = 0; world.stored.length === 0; given++) {
    assert.ok(given < 40, "the message never ends");
    const before = chunks();
    world.queue.onmessage({ type: "credit", message: msgid("00000001") });
    await settle();
    at = await pour(client, message, at);
    assert.ok(chunks() <= before + 1, "one credit is one chunk");
  }
  const { text, commit } = world.stored[0]!;
  assert.ok(commit.tail.length <= CHUNK_BYTES);
  for (const sent of world.queue.sent) {
    if (sent.type === "chunk") assert.ok(sent.bytes.length <= CHUNK_BYTES);
  }
  assert.ok(text.endsWith(`\nSubject: big\n\n${line.replace("\r", "").repeat(30_000)}`));
  assert.match(client.wire.take(), /^250 2\.0\.0 00000001 Message accepted for delivery\r\n$/);
  assert.equal(client.wire.paused, false);
});

Deno.test("what comes at the end of a large message makes no chunk too large, however much waits for credit", () => {
  for (const waits of [false, true]) {
    for (const over of [-1, 0, 1, 287, 4095]) {
      const channel = new FakeChannel<SmtpToQueue, QueueToSmtp>(() => {});
      const buffer = new MessageBuffer(msgid("00000001"), new QueueClient(channel));
      const reader = {
        fault: null,
        inHeader: false,
        get settled() {
          return buffer.length;
        },
      };
      const total = (waits ? CHUNK_CREDIT + 1 : 1) * CHUNK_BYTES + over;
      for (let at = 0; at < total;) {
        const room = buffer.room(reader, Math.min(total - at, 10_000));
        if (room === 0) buffer.credited();
        buffer.reserve(room);
        for (let i = 0; i < room; i++) buffer.buffer[buffer.length++] = at++ % 251;
        if (!waits) buffer.credited();
      }
      buffer.commit([]);
      const parts = channel.sent.map((each) =>
        each.type === "chunk" ? each.bytes : (each as { tail: Uint8Array }).tail
      );
      assert.ok(parts.every(({ length }) => length <= CHUNK_BYTES), `${over}: ${parts.map(({ length }) => length)}`);
      const octets = parts.flatMap((part) => [...part]);
      assert.equal(octets.length, total);
      assert.ok(octets.every((octet, at) => octet === at % 251));
    }
  }
});

Deno.test("a buffer that the queue gives back is filled again, one of another size is not", () => {
  const channel = new FakeChannel<SmtpToQueue, QueueToSmtp>(() => {});
  const intake = new QueueClient(channel);
  const spent = new ArrayBuffer(CHUNK_BYTES);
  channel.onmessage({ type: "credit", message: msgid("00000001"), spent });
  channel.onmessage({ type: "credit", message: msgid("00000001"), spent: new ArrayBuffer(CHUNK_BYTES + 1) });
  const [first, second] = [new MessageBuffer(msgid("00000001"), intake), new MessageBuffer(msgid("00000002"), intake)];
  first.reserve(100_000);
  second.reserve(100_000);
  assert.equal(first.buffer.buffer, spent);
  assert.equal(second.buffer.length, CHUNK_BYTES);
  assert.equal(intake.held, 2 * CHUNK_BYTES);
});

Deno.test("a buffer that stayed here is filled again when the queue has its chunk, and not before", () => {
  // Of a channel over a socket: it moves nothing.
  const channel: Channel<SmtpToQueue, QueueToSmtp> = { send() {}, onmessage() {}, onreset() {} };
  const intake = new QueueClient(channel);
  const buffer = new MessageBuffer(msgid("00000001"), intake);
  const reader = { fault: null, inHeader: false, settled: CHUNK_BYTES };
  const used: ArrayBuffer[] = [];
  for (let chunk = 0; chunk < 5; chunk++) {
    if (chunk >= CHUNK_CREDIT) buffer.credited();
    buffer.reserve(CHUNK_BYTES);
    used.push(buffer.buffer.buffer);
    buffer.length = CHUNK_BYTES;
    assert.equal(buffer.ready(reader), true);
  }
  assert.equal(new Set(used.slice(0, CHUNK_CREDIT)).size, CHUNK_CREDIT);
  assert.equal(used[CHUNK_CREDIT], used[0]);
  assert.equal(used[CHUNK_CREDIT + 1], used[1]);
});

Deno.test("a small message is one commit of exactly its octets", async () => {
  const world = new World();
  const client = await inData(world);
  await client.say("Subject: small\r\n\r\nx\r\n.\r\n");
  assert.deepEqual(world.queue.sent.map(({ type }) => type), ["commit"]);
  const { tail, envelopes } = world.stored[0]!.commit;
  assert.equal(tail.length, tail.buffer.byteLength, "no memory of other messages is posted along");
  assert.equal(envelopes.length, 1);
  assert.equal(envelopes[0]!.id.slice(0, 8), "00000001");
});

Deno.test("envelopes: one a target, ids differ, facts are those of lookup's answer", async () => {
  const world = new World({
    expand: ({ rcpt }) => ({
      ok: true,
      targets: [
        { agent: "mda", action: "inbox", dest: rcpt, user: "joe", subAddress: "tag", exec: "" },
        { agent: "mta", action: "out", dest: { local: "joe", domain: "example.com" } },
      ],
      internal: [false, true],
    }),
  });
  const client = await inData(world);
  await client.say(".\r\n");
  const [first, second] = world.stored[0]!.commit.envelopes;
  assert.equal(world.stored[0]!.commit.envelopes.length, 2);
  assert.notEqual(first!.id, second!.id);
  assert.deepEqual(
    [first!.agent, first!.action, first!.user, first!.subAddress, first!.internal, first!.dest.domain],
    ["mda", "inbox", "joe", "tag", false, "example.org"],
  );
  assert.deepEqual([second!.agent, second!.action, second!.user, second!.internal, second!.dest.domain], [
    "mta",
    "out",
    undefined,
    true,
    "example.com",
  ]);
  assert.deepEqual(first!.origin, {
    address: "192.0.2.7",
    hostname: "client.example.net",
    helo: "a.example",
    smtpname: "mx.example.org",
    tag: "",
    username: "",
    authenticated: false,
  });
  assert.equal(first!.createdAt, world.now);
  const logged = world.events.filter(({ type }) => type === "smtp-envelope");
  assert.equal(logged.length, 1, "one line a recipient");
  assert.equal((logged[0] as { envelope: string }).envelope, second!.id, "with its last envelope");
});

Deno.test("replies that the client does not read are not piled up", async () => {
  const world = new World();
  const client = await world.connect();
  client.wire.take();
  client.wire.reads = false;
  const count = MAX_IDLE_COMMANDS - 1;
  const said = await client.say("EHLO a.example\r\n".repeat(count));
  assert.ok(said.length < 8192, `${said.length} characters were written to one who does not read`);
  assert.ok(client.wire.paused);
  client.wire.reads = true;
  client.connection.drained();
  for (let turn = 0; turn < 10; turn++) await settle();
  assert.equal((said + client.wire.take()).match(/^250 HELP\r\n/gm)?.length, count);
  assert.equal(client.wire.paused, false);
});

Deno.test("a client that never reads its replies is closed after the idle time, and cut off soon after", async () => {
  const world = new World();
  const client = await world.connect();
  client.wire.reads = false;
  await client.say("EHLO a.example\r\n".repeat(500));
  assert.ok(client.wire.paused);
  await world.pass(299_000);
  assert.ok(!client.wire.closed);
  await world.pass(6_000);
  assert.match(client.wire.take(), /421 4\.4\.2 [^\r]*\r\n$/);
  assert.ok(client.wire.closed && !client.wire.destroyed);
  await world.pass(15_000);
  assert.ok(client.wire.destroyed);
});

Deno.test("one that reads a little now and then lasts as long as it has commands, and they are counted", async () => {
  const world = new World();
  const client = await world.connect();
  client.wire.reads = false;
  let said = await client.say("NOOP\r\n".repeat(3000));
  for (let turn = 0; !client.wire.closed; turn++) {
    assert.ok(turn < 100, "it lasts for ever");
    await world.pass(200_000);
    client.connection.drained();
    await settle();
    said += client.wire.take();
  }
  assert.ok(said.match(/\r\n/g)!.length <= MAX_IDLE_COMMANDS + 2, "no more is answered than is allowed");
});

Deno.test("replies to one packet leave in one write", async () => {
  const world = new World();
  const client = await world.connect();
  let writes = 0;
  const write = client.wire.write.bind(client.wire);
  client.wire.write = (text) => {
    writes++;
    return write(text);
  };
  await client.say(
    "EHLO a.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<a@b.example>\r\nRCPT TO:<c@b.example>\r\nNOOP\r\n",
  );
  assert.equal(writes, 2, "what needs no lookup, then what does");
});

Deno.test("several RCPTs are asked about at once, but never more than 32", async () => {
  const world = new World({ expand: () => null });
  const client = await world.connect();
  await client.say(`EHLO a.example\r\nMAIL FROM:<>\r\n${"RCPT TO:<a@example.org>\r\n".repeat(40)}`);
  const asked = world.lookup.sent.filter(({ type }) => type === "expand");
  assert.equal(asked.length, 32);
  assert.ok(client.wire.paused);
  // The answers come in any order, the replies do not.
  const [first, second, ...rest] = asked;
  world.lookup.onmessage({
    type: "expanded",
    call: second!.call,
    result: { ok: false, code: 550, text: "5.1.1 second" },
  });
  await settle();
  assert.equal(client.wire.take(), "");
  world.lookup.onmessage({
    type: "expanded",
    call: first!.call,
    result: { ok: false, code: 550, text: "5.1.1 first" },
  });
  await settle();
  assert.equal(client.wire.take(), "550 5.1.1 first\r\n550 5.1.1 second\r\n");
  for (const { call } of rest) {
    world.lookup.onmessage({
      type: "expanded",
      call,
      result: delivered({ rcpt: { local: "a", domain: "example.org" } }),
    });
  }
  await settle();
  assert.equal(world.lookup.sent.filter(({ type }) => type === "expand").length, 40);
});

Deno.test("an answer of lookup that is no proper reply becomes one", async () => {
  const world = new World({ expand: () => ({ ok: false, code: 250, text: "2.1.5 fine\r\n250 injected" }) });
  const client = await world.connect();
  const said = await client.say("HELO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\n");
  assert.match(said, /\r\n451 4\.3\.0 [^\r\n]*\r\n$/);
  const other = new World({ expand: () => ({ ok: false, code: 550, text: "5.1.1 no\r\n250 injected" }) });
  const second = await other.connect();
  assert.ok(
    (await second.say("HELO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\n")).endsWith(
      "550 5.1.1 no??250 injected\r\n",
    ),
  );
});

const refusals: readonly { code: number; text: string; want: string; closes: boolean }[] = [
  { code: 452, text: "4.3.1 Not enough room", want: "452 4.3.1 Not enough room\r\n", closes: false },
  { code: 421, text: "4.3.0 Temporary Error", want: "421 4.3.0 Temporary Error\r\n", closes: true },
];
for (const { code, text, want, closes } of refusals) {
  Deno.test(`a message that the queue refuses with ${code}${closes ? " closes" : ""}`, async () => {
    const world = new World({ commit: ({ message }) => ({ type: "refused", message, code, text }) });
    const client = await inData(world);
    assert.equal(await client.say("Subject: x\r\n.\r\n"), want);
    assert.equal(client.wire.closed, closes);
    if (!closes) assert.equal(await client.say("MAIL FROM:<>\r\n"), "250 2.0.0 Ok\r\n");
  });
}

Deno.test("a refusal in the middle of the data is sent at its end, the rest is thrown away", async () => {
  const world = new World();
  const client = await inData(world);
  const line = `${"x".repeat(74)}\r\n`;
  await pour(client, `A: b\r\n\r\n${line.repeat(5000)}`);
  assert.equal(world.queue.sent.filter(({ type }) => type === "chunk").length, 1);
  world.queue.onmessage({ type: "refused", message: msgid("00000001"), code: 452, text: "4.3.1 Full" });
  await settle();
  assert.equal(client.wire.take(), "");
  const rest = line.repeat(5000);
  let reads = 0;
  for (let at = 0; at < rest.length; reads++) {
    at = await pour(client, rest, at);
    await world.pass(10);
  }
  assert.ok(reads > 5, "what is thrown away is not read as fast as it comes");
  assert.equal(await client.say(".\r\n"), "452 4.3.1 Full\r\n");
  assert.equal(world.queue.sent.filter(({ type }) => type === "chunk").length, 1, "nothing more was sent");
  assert.equal(world.aborted.length, 0, "the queue has forgotten it already");
});

Deno.test("a message that goes on and on is not read for ever: its reply comes before its end, and closes", async () => {
  const world = new World({ settings: { maxMessageBytes: 1000 } });
  const client = await inData(world);
  let said = await client.say("Subject: long\r\n\r\n");
  for (let count = 0; count < 10; count++) {
    assert.equal(said, "");
    said = await client.say(`${"x".repeat(7400)}\r\n`);
  }
  assert.match(said, /^552 5\.3\.4 [^\r]*\r\n$/);
  assert.ok(client.wire.closed && client.wire.lingers);
  assert.equal(world.stored.length, 0);
});

Deno.test("a message of which the queue has a part is aborted when the client leaves", async () => {
  const world = new World();
  const client = await inData(world);
  await pour(client, `A: b\r\n\r\n${`${"x".repeat(74)}\r\n`.repeat(5000)}`);
  client.leave();
  await settle();
  assert.deepEqual(world.aborted, ["00000001"]);
});

Deno.test("an id of which the queue has received nothing serves again", async () => {
  const world = new World({ ids: 1 });
  for (let turn = 0; turn < 3; turn++) (await inData(world)).leave();
  const client = await inData(world);
  await client.say(`${"Received: x\r\n".repeat(100)}.\r\n`);
  await client.say("MAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\nDATA\r\n");
  assert.match(await client.say("A: b\r\n.\r\n"), /^250 2\.0\.0 00000001 /);
  assert.deepEqual(world.aborted, []);
});

Deno.test("without an id the recipients wait until one comes, with what follows them", async () => {
  const world = new World({ ids: 0 });
  const client = await world.connect();
  const said = await client.say(`${OPENING}A: b\r\n.\r\n`);
  assert.match(said, /\r\n250 2\.0\.0 Ok\r\n$/, "the reply to MAIL");
  assert.deepEqual(world.lookup.sent.filter(({ type }) => type === "expand"), []);
  world.giveIds(1, 7);
  await settle();
  assert.match(client.wire.take(), /^250 2\.1\.5 .*\r\n354 .*\r\n250 2\.0\.0 00000007 /);
  assert.equal(world.idsWanted, 1, "the queue was asked for it, once");
  assert.equal(client.wire.paused, false);
});

Deno.test("lookup decides about the recipients of a transaction for the message that it becomes", async () => {
  const world = new World();
  const client = await world.connect();
  await client.say("EHLO a.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nRSET\r\n");
  await client.say("MAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nRCPT TO:<c@example.org>\r\nDATA\r\n");
  const other = await world.connect();
  await other.say(OPENING);
  assert.match(await client.say("A: b\r\n.\r\n"), /^250 2\.0\.0 00000001 /);
  assert.match(await other.say("A: b\r\n.\r\n"), /^250 2\.0\.0 00000002 /);
  const asked = world.lookup.sent.flatMap((sent) => sent.type === "expand" ? [sent.message] : []);
  // What a reset leaves serves again: no message came of it.
  assert.deepEqual(asked, ["00000001", "00000001", "00000001", "00000002"]);
});

Deno.test("a transaction whose recipients were decided for an id of a queue that was replaced ends with 421", async () => {
  const world = new World();
  const client = await world.connect();
  await client.say("EHLO a.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n");
  world.queue.onreset();
  await settle();
  assert.equal(client.wire.take(), "421 4.3.0 Temporary Error\r\n");
  assert.ok(client.wire.closed);
});

Deno.test("when the queue is replaced, sessions with a message get 421, others go on, old ids are not used", async () => {
  const world = new World({ commit: () => null });
  const idle = await world.connect();
  const receiving = await inData(world);
  const committing = await inData(world);
  assert.equal(await receiving.say("A: b\r\n"), "");
  assert.equal(await committing.say("A: b\r\n.\r\n"), "");
  idle.wire.take();
  world.queue.onreset();
  await settle();
  assert.equal(receiving.wire.take(), "421 4.3.0 Temporary Error\r\n");
  assert.equal(committing.wire.take(), "421 4.3.0 Temporary Error\r\n");
  assert.ok(receiving.wire.closed && committing.wire.closed && !idle.wire.closed);
  world.giveIds(1, 0x99);
  const sent = world.queue.sent.length;
  await idle.say(OPENING);
  await idle.say("A: b\r\n.\r\n");
  assert.equal(world.queue.sent.length, sent + 1);
  assert.equal(world.stored.length, 0);
  assert.deepEqual(world.queue.sent.slice(-1).map((sent) => "message" in sent && sent.message), ["00000099"]);
});

Deno.test("while there is no queue, recipients are put off with 451 after 3 s, and the session goes on with the next queue", async () => {
  const world = new World();
  const client = await world.connect();
  await client.say("EHLO a.example\r\n");
  world.queue.onreset();
  assert.equal(await client.say("MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n"), "250 2.0.0 Ok\r\n");
  await world.pass(2900);
  assert.equal(client.wire.take(), "");
  await world.pass(2000);
  assert.equal(client.wire.take(), "451 4.3.0 Temporary Error\r\n");
  assert.equal(await client.say("RCPT TO:<b@example.org>\r\n"), "");
  await world.pass(1000);
  assert.equal(client.wire.take(), "451 4.3.0 Temporary Error\r\n");
  // It is back within the time: nothing is seen of that.
  assert.equal(await client.say("RCPT TO:<b@example.org>\r\n"), "");
  world.giveIds(1, 0x99);
  await settle();
  assert.match(client.wire.take(), /^250 2\.1\.5 /);
  await client.say("DATA\r\n");
  assert.match(await client.say("A: b\r\n.\r\n"), /^250 2\.0\.0 00000099 /);
});

Deno.test("while there is no lookup, sessions that wait for it get 421 after 3 s; one that is slow is waited for", async () => {
  const world = new World({ expand: () => null });
  const client = await world.connect();
  await client.say("HELO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\n");
  await world.pass(60_000);
  assert.ok(!client.wire.closed);
  world.lookup.connected = false;
  await world.pass(2900);
  assert.ok(!client.wire.closed);
  await world.pass(2000);
  assert.equal(client.wire.take(), "421 4.3.0 Temporary Error\r\n");
});

Deno.test("when lookup is replaced, sessions that wait for it get 421", async () => {
  const world = new World({ expand: () => null });
  const idle = await world.connect();
  const waiting = await world.connect();
  await waiting.say("HELO a.example\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.org>\r\n");
  world.lookup.onreset();
  await settle();
  assert.equal(waiting.wire.take(), "421 4.3.0 Temporary Error\r\n");
  assert.ok(waiting.wire.closed && !idle.wire.closed);
});

Deno.test("a client whose name is being asked for gets 421 when lookup is replaced", async () => {
  const world = new World();
  const answer = world.lookup.onmessage;
  world.lookup.onmessage = () => {};
  const client = await world.connect();
  assert.equal(client.wire.take(), "");
  world.lookup.onreset();
  await settle();
  assert.equal(client.wire.take(), "421 4.3.0 Temporary Error\r\n");
  world.lookup.onmessage = answer;
});

Deno.test("the name of a client is asked once and remembered for a while", async () => {
  const world = new World();
  const asked = () => world.lookup.sent.filter(({ type }) => type === "client-name").length;
  const both = await Promise.all([world.connect(), world.connect()]);
  await world.connect();
  assert.equal(asked(), 1);
  for (const client of both) assert.match(client.wire.take(), /^220 /);
  world.now += 301_000;
  await world.connect();
  assert.equal(asked(), 2);
});

Deno.test("a reload: new sessions have the new settings, those of an older generation end when they are told to", async () => {
  const world = new World();
  const old = await inData(world), idle = await world.connect();
  idle.wire.take();
  world.service.reload(settings([listener()], { maxMessageBytes: 4711 }), 1);
  const fresh = await world.connect();
  fresh.wire.take();
  assert.match(await fresh.say("EHLO client.example.net\r\n"), /SIZE 4711\b/);
  assert.doesNotMatch(await idle.say("EHLO client.example.net\r\n"), /SIZE 4711\b/);
  void world.service.retire(0);
  await settle();
  assert.match(idle.wire.take(), /^421 4\.3\.2 /);
  assert.match(await old.say("A: b\r\n.\r\n"), /^250 2\.0\.0 00000001 [^\r]*\r\n421 4\.3\.2 /);
  assert.match(await fresh.say("NOOP\r\n"), /^250 /);
  // What fails later is taken back: the generation before is in use again.
  world.service.reload(settings([listener()]), 0);
  world.service.forget(1);
  const last = await world.connect();
  last.wire.take();
  assert.doesNotMatch(await last.say("EHLO client.example.net\r\n"), /SIZE 4711\b/);
});

Deno.test("stopping: idle sessions get 421 at once, a transaction may end first, new ones are turned away", async () => {
  const world = new World();
  const idle = await world.connect();
  const busy = await inData(world);
  idle.wire.take();
  let stopped = false;
  const stop = world.service.stop().then(() => stopped = true);
  await settle();
  assert.equal(idle.wire.take(), "421 4.3.2 Service shutting down, try again later\r\n");
  assert.ok(idle.wire.closed);
  const late = await world.connect();
  assert.equal(late.wire.take(), "421 4.3.2 Service shutting down, try again later\r\n");
  assert.equal(stopped, false);
  const said = await busy.say("A: b\r\n.\r\n");
  assert.match(said, /^250 2\.0\.0 00000001 [^\r]*\r\n421 4\.3\.2 /);
  await world.pass(100);
  await stop;
  assert.equal(world.stored.length, 1);
});

Deno.test("stopping does not wait for ever: a transaction that does not end get 421 too", async () => {
  const world = new World();
  const busy = await inData(world);
  const stop = world.service.stop();
  await world.pass(3100);
  await stop;
  await settle();
  assert.equal(busy.wire.take(), "421 4.3.2 Service shutting down, try again later\r\n");
  assert.ok(busy.wire.closed);
});

Deno.test("a client that ends its side after the final dot still gets the reply that its message is stored", async () => {
  const world = new World();
  const client = await inData(world);
  client.connection.data(new TextEncoder().encode("A: b\r\n.\r\n"));
  client.connection.ended();
  await settle();
  assert.match(client.wire.take(), /^250 2\.0\.0 00000001 /);
  assert.ok(client.wire.closed);
});

Deno.test("a connection that was closed does not linger for ever", async () => {
  const world = new World();
  const client = await world.connect();
  await client.say("NOOP\n");
  assert.ok(client.wire.closed && client.wire.lingers);
  for (let second = 0; second < 16; second++) {
    await client.say("x".repeat(1000));
    await world.pass(1000);
  }
  assert.ok(client.wire.destroyed);
});

Deno.test("no timer runs while there is no session", async () => {
  const world = new World();
  const client = await world.connect();
  client.leave();
  assert.equal(world.ended, 1);
  client.leave();
  assert.equal(world.ended, 1);
});

Deno.test("recipients whose aliases make more envelopes than the queue takes of one message are refused", async () => {
  const target = { agent: "mta", action: "out", dest: { local: "joe", domain: "example.com" } } as const;
  const many = Array<typeof target>(MAX_MESSAGE_ENVELOPES / 2).fill(target);
  const world = new World({
    expand: ({ rcpt }) => {
      const targets = rcpt.local === "list" ? many : [target];
      return { ok: true, targets, internal: targets.map(() => true) };
    },
  });
  const client = await world.connect();
  await client.say("EHLO a.example\r\nMAIL FROM:<a@example.net>\r\n");
  const list = "RCPT TO:<list@example.org> NOTIFY=SUCCESS\r\n";
  const replies = await client.say(`${list}${list}${list}RCPT TO:<joe@example.org>\r\n`);
  assert.deepEqual(replies.match(/^\d{3} \S+/gm), ["250 2.1.5", "250 2.1.5", "452 4.5.3", "452 4.5.3"]);
  await client.say("RSET\r\nMAIL FROM:<a@example.net>\r\n");
  assert.match(await client.say(list), /^250 /, "the next transaction has room again");
});
