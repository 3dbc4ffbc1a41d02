/** The step between the end of a message's data and its commit: what authenticators are shown, what they put in front, and what happens while they are waited for. */

import assert from "node:assert/strict";
import { CHUNK_BYTES } from "../../src/protocol/smtp_queue.ts";
import type { FilterToSession } from "../../src/protocol/mod.ts";
import type { Authenticated, Authenticator } from "../../src/smtp/message/authentication.ts";
import { bytesOf, type Client, settle, textOf, World, type WorldOptions } from "./support.ts";

const OPENING = "EHLO a.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n";

/** Remembers what it is shown; says nothing before `done` is called. */
class Probe implements Authenticator {
  readonly sees: Authenticator["sees"];
  header_: string | null = "(not called)";
  body_ = "";
  finished = false;
  readonly #result = Promise.withResolvers<Authenticated>();

  constructor(sees: Authenticator["sees"]) {
    this.sees = sees;
  }

  header(block: Uint8Array | null): void {
    assert.equal(this.header_, "(not called)", "a header comes once");
    this.header_ = block === null ? null : textOf(block);
  }

  body(octets: Uint8Array): void {
    assert.notEqual(this.header_, "(not called)", "the header comes first");
    this.body_ += textOf(octets);
  }

  finish(): Promise<Authenticated> {
    this.finished = true;
    return this.#result.promise;
  }

  done(fields: string): void {
    this.#result.resolve({ kind: "fields", fields: bytesOf(fields) });
  }

  refuse(code: number, text: string): void {
    this.#result.resolve({ kind: "refused", code, text });
  }

  fail(): void {
    this.#result.reject(new Error("The isolate is gone"));
  }
}

/** A world with one authenticator of each kind, and a session that has named its recipient. */
async function begun(options: WorldOptions = {}) {
  const received = new Probe("received"), stored = new Probe("stored");
  const world = new World({ authenticators: [() => stored, () => null, () => received], ...options });
  const client = await world.connect();
  await client.say(OPENING);
  return { world, client, received, stored };
}

async function both({ received, stored }: { received: Probe; stored: Probe }): Promise<void> {
  stored.done("DKIM-Signature: s\n");
  received.done("Authentication-Results: r\n");
  await settle();
}

Deno.test("the client's octets and those for the queue are shown, and what comes of it stands in front", async () => {
  const run = await begun();
  assert.match(await run.client.say("DATA\r\n"), /^354 /);
  assert.equal(await run.client.say("Subject: x\r\nX: a\r\n b\r\n\r\n..dot\r\n\r\nend\r\n.\r\nNOOP\r\n"), "");
  assert.deepEqual([run.received.header_, run.received.body_], ["Subject: x\nX: a\n b\n", ".dot\n\nend\n"]);
  assert.match(run.stored.header_!, /^Received: from a\.example [^]+\nSubject: x\nX: a\n b\n$/);
  assert.equal(run.stored.body_, ".dot\n\nend\n");
  assert.deepEqual(run.world.queue.sent, [], "nothing is committed before it is authenticated");
  run.stored.done("DKIM-Signature: s\n");
  await settle();
  assert.equal(run.client.wire.take(), "");
  run.received.done("Authentication-Results: r\n");
  await settle();
  assert.match(run.client.wire.take(), /^250 2\.0\.0 [^\r]+\r\n250 2\.0\.0 Ok\r\n$/);
  const { text, commit } = run.world.stored[0]!;
  assert.match(
    text,
    /^DKIM-Signature: s\nAuthentication-Results: r\nReceived: [^]+\nSubject: x\nX: a\n b\n\n\.dot\n\nend\n$/,
  );
  assert.equal(commit.front, undefined, "a small message is one piece");
  assert.equal(run.world.events.find((event) => event.type === "smtp-message")?.bytes, text.length);
});

/** Headers and bodies as they are sent, and as authenticators see them; BDAT has no line end where it ends. */
const SHAPES: Record<string, [wire: string, header: string, body: string]> = {
  "no body": ["A: b\r\n", "A: b\n", ""],
  "an empty body": ["A: b\r\n\r\n", "A: b\n", ""],
  "nothing at all": ["", "", ""],
  "no header": ["\r\nbody\r\n", "", "body\n"],
  "what begins folded": [" folded\r\nA: b\r\n\r\nbody\r\n", " folded\nA: b\n", "body\n"],
  "a line that is no field": ["A: b\r\nno field\r\nC: d\r\n\r\nbody\r\n", "A: b\nno field\nC: d\n", "body\n"],
  "octets beyond ASCII": ["A: \xe4\r\n\r\n\xff\xfe\r\n", "A: \xe4\n", "\xff\xfe\n"],
};

for (const [name, [wire, header, body]] of Object.entries(SHAPES)) {
  for (const how of ["DATA", "BDAT", "BDAT octet by octet"] as const) {
    Deno.test(`authenticators see ${name}, by ${how}`, async () => {
      const run = await begun();
      if (how === "DATA") await run.client.say(`DATA\r\n${wire}.\r\n`);
      else if (how === "BDAT") await run.client.say(`BDAT ${wire.length} LAST\r\n${wire}`);
      else {
        for (const octet of wire) await run.client.say(`BDAT 1\r\n${octet}`);
        await run.client.say("BDAT 0 LAST\r\n");
      }
      await both(run);
      assert.deepEqual([run.received.header_, run.received.body_], [header, body]);
      const text = run.world.stored[0]!.text.replace("DKIM-Signature: s\nAuthentication-Results: r\n", "");
      const at = text.indexOf("\n\n");
      const parts = at < 0 ? [text, ""] : [text.slice(0, at + 1), text.slice(at + 2)];
      assert.deepEqual([run.stored.header_, run.stored.body_], parts);
    });
  }
}

Deno.test("a large message has its front sent along, and each octet is shown once", async () => {
  const run = await begun();
  await run.client.say("DATA\r\n");
  const line = `${"0123456789".repeat(7)}\r\n`;
  const message = `Subject: big\r\n${"X: y\r\n".repeat(20_000)}\r\n${line.repeat(12_000)}`;
  for (let at = 0; at < message.length; at += 50_000) await run.client.say(message.slice(at, at + 50_000));
  await run.client.say(".\r\n");
  await both(run);
  assert.match(run.client.wire.take(), /^250 /);
  const clear = message.replaceAll("\r", "");
  assert.equal(`${run.received.header_}\n${run.received.body_}`, clear);
  const { text, commit } = run.world.stored[0]!;
  assert.equal(textOf(commit.front!), "DKIM-Signature: s\nAuthentication-Results: r\n");
  assert.equal(text, `DKIM-Signature: s\nAuthentication-Results: r\n${run.stored.header_}\n${run.stored.body_}`);
  assert.ok(text.endsWith(clear));
  const chunks = run.world.queue.sent.flatMap((sent) => sent.type === "chunk" ? [sent] : []);
  assert.deepEqual(chunks.map(({ frontFollows }) => frontFollows === true), chunks.map((_, at) => at === 0));
  assert.ok(chunks.every(({ bytes }) => bytes.length <= CHUNK_BYTES));
});

Deno.test("a header section of more than a mebibyte is not shown", async () => {
  const run = await begun();
  await run.client.say("DATA\r\nno field\r\n");
  for (let at = 0; at < 24; at++) await run.client.say(`${"x".repeat(998)}\r\n`.repeat(50));
  await run.client.say("\r\nbody\r\n.\r\n");
  await both(run);
  assert.match(run.client.wire.take(), /^250 /);
  assert.deepEqual([run.received.header_, run.received.body_], [null, ""]);
});

const REFUSALS: Record<string, [(probe: Probe) => void, RegExp]> = {
  "refuses": [(probe) => probe.refuse(550, "5.7.1 No"), /^550 5\.7\.1 No\r\n250 /],
  "fails": [(probe) => probe.fail(), /^451 4\.3\.0 Temporary Error\r\n250 /],
  "has too much to say": [(probe) => probe.done("x".repeat(65_537)), /^451 4\.3\.0 Temporary Error\r\n250 /],
};

for (const [name, [act, reply]] of Object.entries(REFUSALS)) {
  Deno.test(`an authenticator that ${name}: nothing is stored, the id is used up, and the session goes on`, async () => {
    const run = await begun();
    await run.client.say("DATA\r\nA: b\r\n\r\nbody\r\n.\r\nNOOP\r\n");
    run.received.done("");
    act(run.stored);
    await settle();
    assert.match(run.client.wire.take(), reply);
    assert.deepEqual(run.world.stored, []);
    assert.equal(run.world.aborted.length, 1);
    run.client.leave();
  });
}

/** What may happen while authenticators are waited for. Nothing is stored, and no 250 is said. */
const MEANWHILE: Record<string, (world: World, client: Client) => Promise<unknown>> = {
  "the client leaves": (_, client) => Promise.resolve(client.leave()),
  "the queue is replaced": (world) => Promise.resolve(world.queue.onreset()).then(settle),
  "the isolate stops": (world) => Promise.all([world.service.stop(), world.pass(4000)]),
  "five minutes pass": (world) => world.pass(361_000),
};

for (const [name, happen] of Object.entries(MEANWHILE)) {
  Deno.test(`while authenticators are waited for, ${name}: nothing is stored`, async () => {
    const run = await begun();
    await run.client.say("DATA\r\nA: b\r\n\r\nbody\r\n.\r\n");
    assert.ok(run.stored.finished);
    await happen(run.world, run.client);
    await both(run);
    assert.deepEqual(run.world.stored, []);
    assert.doesNotMatch(run.client.wire.take(), /^250/);
    run.client.leave();
  });
}

Deno.test("a client that sends no more while authenticators are waited for gets its 250", async () => {
  const run = await begun();
  await run.client.say("DATA\r\nA: b\r\n\r\nbody\r\n.\r\n");
  run.client.connection.ended();
  await settle();
  assert.equal(run.client.wire.closed, false);
  await both(run);
  assert.match(run.client.wire.take(), /^250 /);
  assert.equal(run.world.stored.length, 1);
});

Deno.test("an answer of the queue that comes before the commit is none", async () => {
  const run = await begun();
  await run.client.say("DATA\r\nA: b\r\n\r\nbody\r\n.\r\n");
  const message = run.world.queue.sent.length;
  assert.equal(message, 0);
  const id = run.client.connection.session.transaction === null ? "" : "00000001";
  run.world.queue.onmessage({ type: "committed", message: id as never, number: 1 });
  await settle();
  assert.equal(run.client.wire.take(), "");
});

Deno.test("a message that is refused for its line ends is not authenticated", async () => {
  const run = await begun();
  await run.client.say("DATA\r\nA: b\r\n\r\nba\nre\r\n.\r\n");
  assert.equal(run.stored.finished || run.received.finished, false);
  run.client.leave();
});

Deno.test("behind filters: the client's octets are shown as they came, those for the queue as the filters made them", async () => {
  const registered: FilterToSession = {
    type: "registered",
    registrations: [{ process: "p", phases: ["data-line"], events: { "smtp-in": [], "smtp-out": [] } }],
  };
  const received = new Probe("received"), stored = new Probe("stored");
  const world = new World({
    authenticators: [() => stored, () => received],
    listener: { filter: "f" },
    settings: { filters: { f: [{ kind: "process", name: "f", process: "p" }] } },
    filter: (message, channel) => {
      if (message.type !== "lines") return;
      const { session, process, token } = message;
      channel.onmessage({ type: "taken", session, process, bytes: message.bytes.length });
      const bytes = bytesOf(textOf(message.bytes).replace("body", "changed"));
      channel.onmessage({ type: "lines", session, process, token, bytes });
    },
  });
  world.filter.onmessage(registered);
  const client = await world.connect();
  await client.say(OPENING);
  assert.match(await client.say("DATA\r\n"), /354 /);
  await client.say("A: b\r\n\r\n..x\r\nbo");
  await client.say("dy\r\n...\r\n..\r\n.\r\n");
  await both({ received, stored });
  assert.match(client.wire.take(), /^250 /);
  assert.deepEqual([received.header_, received.body_], ["A: b\n", ".x\nbody\n..\n.\n"]);
  assert.match(stored.header_!, /^Received: [^]+\nA: b\n$/);
  assert.equal(stored.body_, ".x\nchanged\n..\n.\n");
  assert.match(
    world.stored[0]!.text,
    /^DKIM-Signature: s\nAuthentication-Results: r\nReceived: [^]+\nA: b\n\n\.x\nchanged\n\.\.\n\.\n$/,
  );
});
