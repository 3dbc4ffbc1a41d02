/** Sessions with filters over memory: what happens when filters are slow, late, lost, or answer what was not asked. */

import assert from "node:assert/strict";
import type { FilterDecision, FilterToSession, SessionToFilter } from "../../src/protocol/mod.ts";
import { FILTER_WINDOW, weightOf } from "../../src/protocol/filters.ts";
import { settle, World, type WorldOptions } from "./support.ts";

type Request = Extract<SessionToFilter, { type: "request" }>;
type Lines = Extract<SessionToFilter, { type: "lines" }>;

const PHASES = ["connect", "ehlo", "mail-from", "rcpt-to", "data", "commit"] as const;
const REGISTERED: FilterToSession = {
  type: "registered",
  registrations: [{ process: "p", phases: PHASES, events: { "smtp-in": ["tx-rollback"], "smtp-out": [] } }],
};

/** A world whose listener has a filter; `decide` gives its answers, null for none. */
function filtered(decide: (request: Request) => FilterDecision | null, options: WorldOptions = {}): World {
  const world = new World({
    filter: (message, channel) => {
      if (message.type !== "request") return;
      const decision = decide(message);
      if (decision === null) return;
      channel.onmessage({ type: "answer", session: message.session, token: message.token, decision });
    },
    ...options,
    listener: { filter: "f", ...options.listener },
    settings: { filters: { f: [{ kind: "process", name: "f", process: "p" }] }, ...options.settings },
  });
  return world;
}

const proceed = (): FilterDecision => ({ kind: "proceed" });
const silentAt = (phase: string) => (request: Request) => request.phase === phase ? null : proceed();

async function begun(world: World) {
  world.filter.onmessage(REGISTERED);
  const client = await world.connect();
  assert.match(client.wire.take(), /^220 /);
  assert.match(await client.say("EHLO a.example\r\n"), /^250-/);
  return client;
}

Deno.test("a session waits for its banner until the programs are ready", async () => {
  const world = filtered(proceed);
  const client = await world.connect();
  assert.equal(client.wire.take(), "");
  assert.equal(world.filter.sent.length, 0);
  world.filter.onmessage(REGISTERED);
  await settle();
  assert.match(client.wire.take(), /^220 /);
});

Deno.test("a session waits for the answer, and what was pipelined behind is served then", async () => {
  const world = filtered(silentAt("mail-from"));
  const client = await begun(world);
  assert.equal(await client.say("MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n"), "");
  assert.ok(client.wire.paused);
  const request = world.filter.sent.findLast(({ type }) => type === "request") as Request;
  world.filter.onmessage({ type: "answer", session: request.session, token: "wrong", decision: proceed() });
  await settle();
  assert.equal(client.wire.take(), "", "an answer to another question is none");
  world.filter.onmessage({ type: "answer", session: request.session, token: request.token, decision: proceed() });
  await settle();
  assert.match(client.wire.take(), /^250 [^]*\r\n250 [^]*\r\n354 /);
});

Deno.test("a filter that does not answer for as long as a session may be idle ends it with 421, not the client's fault", async () => {
  const world = filtered(silentAt("mail-from"));
  const client = await begun(world);
  await client.say("MAIL FROM:<a@example.net>\r\n");
  await world.pass(299_000);
  assert.equal(client.wire.take(), "");
  await world.pass(61_000);
  assert.equal(client.wire.take(), "421 4.3.0 Temporary Error\r\n");
  assert.ok(client.wire.closed);
  client.leave();
  await settle();
  assert.equal(world.filter.sent.at(-1)?.type, "gone");
});

for (const how of ["lost", "replaced"] as const) {
  Deno.test(`when the filters are ${how} every session that has some get 421, and so do new ones`, async () => {
    const world = filtered(silentAt("rcpt-to"));
    const client = await begun(world);
    await client.say("MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n");
    const idle = await begun(world);
    if (how === "lost") world.filter.onmessage({ type: "lost" });
    else world.filter.onreset();
    await settle();
    assert.match(client.wire.take(), /^421 4\.3\.0/);
    assert.match(idle.wire.take(), /^421 4\.3\.0/);
    const late = await world.connect();
    assert.match(late.wire.take(), /^421 4\.3\.0/);
    assert.deepEqual(world.stored, []);
  });
}

Deno.test("lookup that is replaced while a built-in filter waits for it ends the session", async () => {
  const condition = { kind: "src", test: { regex: false, table: "t" } } as const;
  const at = { file: "c", line: 1 };
  const builtin = {
    kind: "builtin",
    at,
    name: "f",
    phase: "ehlo",
    negated: false,
    condition,
    decision: { kind: "junk" },
  };
  const world = filtered(proceed, { settings: { filters: { f: [builtin as never] } } });
  const client = await world.connect();
  client.wire.take();
  assert.equal(await client.say("EHLO a.example\r\n"), "");
  assert.deepEqual(world.lookup.sent.findLast(({ type }) => type === "test"), {
    type: "test",
    call: 2,
    table: "t",
    service: "netaddr",
    key: "192.0.2.7",
  });
  world.lookup.onreset();
  await settle();
  assert.match(client.wire.take(), /^421 4\.3\.0/);
});

Deno.test("sessions with filters begin nothing while a program does not keep up", async () => {
  const world = filtered(proceed);
  const client = await begun(world);
  world.filter.onmessage({ type: "hold", on: true });
  assert.equal(await client.say("NOOP\r\n"), "");
  world.filter.onmessage({ type: "hold", on: false });
  await settle();
  assert.match(client.wire.take(), /^250 /);
});

Deno.test("a transaction that comes to nothing is reported as rolled back", async () => {
  const world = filtered((request) => request.phase === "rcpt-to" ? { kind: "reject", text: "550 No" } : proceed());
  const client = await begun(world);
  for (let count = 0; count < 3; count++) {
    const said = await client.say("MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nRSET\r\n");
    assert.match(said, /^250 [^]*\r\n550 No\r\n250 /);
  }
  await client.say("MAIL FROM:<a@example.net>\r\n");
  client.leave();
  await settle();
  const events = world.filter.sent.flatMap((message) => message.type === "event" ? [message.event] : []);
  assert.equal(events.filter((event) => event === "tx-rollback").length, 4);
  assert.deepEqual(events.slice(-3), ["tx-rollback", "tx-reset", "link-disconnect"]);
  assert.equal(world.filter.sent.at(-1)?.type, "gone");
});

Deno.test("no two transactions of a session have the same message id, whatever becomes of them", async () => {
  const world = filtered((request) => request.phase === "commit" ? { kind: "reject", text: "550 No" } : proceed());
  world.filter.onmessage({
    type: "registered",
    registrations: [{ process: "p", phases: ["commit"], events: { "smtp-in": ["tx-begin"], "smtp-out": [] } }],
  });
  const client = await world.connect();
  await client.say("EHLO a.example\r\n");
  const mail = "MAIL FROM:<a@example.net>\r\n", rcpt = "RCPT TO:<b@example.org>\r\n";
  await client.say(`${mail}RSET\r\n`);
  await client.say(`${mail}${rcpt}EHLO a.example\r\n`);
  await client.say(`${mail}${rcpt}RSET\r\n`);
  assert.match(await client.say(`${mail}${rcpt}DATA\r\nA: b\r\n.\r\n`), /550 No\r\n/);
  await client.say(`${mail}${rcpt}DATA\r\n${"Received: x\r\n".repeat(100)}.\r\n`);
  await client.say(`${mail}${rcpt}DATA\r\nA: b\r\n\r\n${`${"x".repeat(998)}\r\n`.repeat(500)}.\r\n`);
  await client.say(mail);
  client.leave();
  await settle();
  const ids = world.filter.sent.flatMap((message) =>
    message.type === "event" && message.event === "tx-begin" ? [message.params] : []
  );
  assert.equal(ids.length, 7);
  assert.equal(new Set(ids).size, 7, ids.join(" "));
});

Deno.test("MAIL waits while the queue has no message id", async () => {
  const world = filtered(proceed, { ids: 0 });
  const client = await begun(world);
  assert.equal(await client.say("MAIL FROM:<a@example.net>\r\n"), "");
  world.giveIds(1);
  await settle();
  assert.match(client.wire.take(), /^250 /);
});

Deno.test("a message goes to a filter as far as it has read, and the client waits for the rest", async () => {
  const lines: FilterToSession = {
    type: "registered",
    registrations: [{ process: "p", phases: ["data-line"], events: { "smtp-in": [], "smtp-out": [] } }],
  };
  const world = filtered(proceed);
  world.filter.onmessage(lines);
  const client = await world.connect();
  await client.say("EHLO a.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n");
  const sent = () => world.filter.sent.filter(({ type }) => type === "lines") as Lines[];
  const bytes = () => sent().reduce((sum, message) => sum + message.bytes.length, 0);
  const line = `${"x".repeat(998)}\r\n`;
  await client.say(`Subject: x\r\n\r\n${line.repeat(400)}`);
  assert.ok(client.wire.paused);
  const weight = sent().reduce((sum, message) => sum + weightOf(message.bytes), 0);
  assert.ok(weight >= FILTER_WINDOW && weight < FILTER_WINDOW + 70_000, `${weight}`);
  const { session, token } = sent()[0]!;
  world.filter.onmessage({ type: "taken", session, process: "p", bytes: weight });
  await settle();
  assert.ok(!client.wire.paused);
  await client.say(".\r\n");
  for (const { bytes } of sent()) world.filter.onmessage({ type: "lines", session, process: "p", token, bytes });
  await settle();
  assert.match(client.wire.take(), /^250 2\.0\.0 \w+ Message accepted for delivery\r\n$/);
  assert.equal(world.stored.length, 1);
  assert.ok(world.stored[0]!.text.endsWith("x\n"));
  const used = world.filter.sent.flatMap((message) => message.type === "taken" ? [message.bytes] : []);
  assert.equal(used.reduce((sum, one) => sum + one, 0), bytes(), "all that the filter said was used");
});

Deno.test("a message is not taken into the queue before the filter has said its last line", async () => {
  const world = filtered(proceed);
  world.filter.onmessage({
    type: "registered",
    registrations: [{ process: "p", phases: ["data-line"], events: { "smtp-in": [], "smtp-out": [] } }],
  });
  const client = await world.connect();
  await client.say("EHLO a.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n");
  client.wire.take();
  assert.equal(await client.say("Subject: x\r\n\r\nbody\r\n.\r\n"), "");
  // The client that has sent all may close its side.
  client.connection.ended();
  await settle();
  assert.ok(!client.wire.closed);
  assert.deepEqual(world.stored, []);
  await world.pass(361_000);
  assert.match(client.wire.take(), /^421 4\.3\.0/);
  assert.deepEqual(world.stored, []);
});

Deno.test("BDAT is neither offered nor taken where filters are", async () => {
  const world = filtered(proceed);
  const client = await begun(world);
  const offered = await client.say("EHLO a.example\r\n");
  assert.doesNotMatch(offered, /CHUNKING/);
  await client.say("MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n");
  assert.match(await client.say("BDAT 4 LAST\r\nabc\n"), /^502 /);
});

Deno.test("filters are sent reports of a transaction when the sender is known to be one's own, and of none that is refused", async () => {
  const world = filtered(proceed, {
    ids: 1,
    listener: {
      local: true,
      auth: { required: true, table: "logins" },
      senders: { table: "allowed", masquerade: false },
    },
  });
  world.filter.onmessage(REGISTERED);
  const client = await world.connect();
  await client.say("EHLO a.example\r\nAUTH PLAIN AGNhcm9sAHNlc2FtZQ==\r\n");
  const events = () =>
    world.filter.sent.flatMap((message) =>
      message.type === "event" && message.event.startsWith("tx-") ? [message.event] : []
    );
  for (let count = 0; count < 3; count++) {
    assert.match(await client.say("MAIL FROM:<joe@example.org>\r\n"), /^550 5\.7\.1 /);
  }
  assert.deepEqual(events(), [], "and the only message id is free again");
  assert.match(await client.say("MAIL FROM:<carol@example.org>\r\n"), /^250 /);
  assert.deepEqual(events(), ["tx-begin", "tx-mail"]);
});

Deno.test("a client that is turned away before TLS gets nothing in clear", async () => {
  const world = filtered(() => ({ kind: "reject", text: "554 No" }), { listener: { tls: "smtps" } });
  world.filter.onmessage(REGISTERED);
  const client = await world.connect();
  assert.equal(client.wire.take(), "");
  assert.equal(client.wire.handshakes, 0);
  assert.ok(client.wire.closed);
});

const CLIENTS = [
  { peer: { address: "2001:db8::7", port: 25 }, address: "[2001:db8::7]", source: "[2001:db8::7]:25" },
  { peer: { address: "::ffff:192.0.2.9", port: 26 }, address: "192.0.2.9", source: "192.0.2.9:26" },
] as const;
for (const { peer, address, source } of CLIENTS) {
  Deno.test(`filters are sent where a client comes from: ${source}`, async () => {
    const asked: Request[] = [];
    const world = filtered((request) => (asked.push(request), proceed()), { peer });
    await begun(world);
    assert.equal(asked[0]?.param, `client.example.net|${address}`);
    const event = world.filter.sent.find(({ type }) => type === "event");
    assert.equal(event?.type === "event" && event.params, `client.example.net|pass|${source}|0.0.0.0:25`);
  });
}

Deno.test("a client on the local socket is local, and has not logged in", async () => {
  const asked: Request[] = [];
  const world = filtered((request) => (asked.push(request), proceed()), {
    listener: { socket: true, local: true, address: "/run/s.sock" },
  });
  await begun(world);
  assert.equal(asked[0]?.param, "mx.example.org|local");
  const event = world.filter.sent.find(({ type }) => type === "event");
  assert.equal(event?.type === "event" && event.params, "mx.example.org|pass|unix:/run/s.sock|unix:/run/s.sock");
});

const DATA_LINES: FilterToSession = {
  type: "registered",
  registrations: [{ process: "p", phases: ["data-line"], events: { "smtp-in": [], "smtp-out": [] } }],
};
const UP_TO_DATA = "EHLO a.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n";

Deno.test("what is on its way to a program is bounded, however many clients send however short lines", async () => {
  const world = filtered(proceed);
  world.filter.onmessage(DATA_LINES);
  const clients = [];
  for (let count = 0; count < 60; count++) {
    const client = await world.connect();
    assert.match(await client.say(UP_TO_DATA), /\r\n354 /);
    clients.push(client);
  }
  const empty = `Subject: x\r\n\r\n${"\r\n".repeat(15_000)}`;
  for (const client of clients) await client.say(empty);
  let ahead = 0, read = 0, most = 0;
  // Octets with the words before each line: what the program has to read.
  const look = () => {
    for (const message of world.filter.sent.splice(0)) {
      if (message.type !== "lines") continue;
      waiting.push(message);
      ahead += weightOf(message.bytes);
    }
    most = Math.max(most, ahead);
  };
  const waiting: Lines[] = [];
  look();
  for (let message = waiting.shift(); message !== undefined; message = waiting.shift()) {
    const bytes = weightOf(message.bytes);
    ahead -= bytes;
    read += message.bytes.length;
    world.filter.onmessage({ type: "taken", session: message.session, process: "p", bytes });
    await settle();
    look();
  }
  assert.ok(most < 4 << 20, `${most} octets`);
  assert.ok(read >= 60 * 15_000, `all of it gets there in the end: ${read}`);
});

Deno.test("a client that sends a line now and then gets no more time by the filter that reads it", async () => {
  const world = filtered(proceed, {
    filter: (message, channel) => {
      if (message.type !== "lines") return;
      const { session, process, token, bytes } = message;
      channel.onmessage({ type: "taken", session, process, bytes: weightOf(bytes) });
      channel.onmessage({ type: "lines", session, process, token, bytes });
    },
  });
  world.filter.onmessage(DATA_LINES);
  const client = await world.connect();
  await client.say(UP_TO_DATA);
  client.wire.take();
  for (let minute = 0; minute < 7 && !client.wire.closed; minute++) {
    await client.say("x: y\r\n");
    await world.pass(60_000);
  }
  assert.equal(client.wire.take(), "421 4.4.2 Timeout, closing the connection\r\n");
});

Deno.test("what follows an AUTH that a filter refuses may be its secret: no log has it", async () => {
  const world = filtered((request) => request.phase === "auth" ? { kind: "reject", text: "535 No" } : proceed(), {
    listener: { local: true, address: "127.0.0.1", auth: { required: false, table: "users" } },
  });
  world.filter.onmessage({
    type: "registered",
    registrations: [{ process: "p", phases: ["auth"], events: { "smtp-in": [], "smtp-out": [] } }],
  });
  const client = await world.connect();
  const secret = btoa("\0carol\0sesame");
  assert.match(await client.say(`EHLO a.example\r\nAUTH PLAIN\r\n${secret}\r\n`), /535 No\r\n500 /);
  assert.ok(!JSON.stringify([world.events, world.filter.sent]).includes(secret));
});

Deno.test("what follows an AUTH of a client that was turned away may be its secret, too", async () => {
  const world = filtered((request) => request.phase === "connect" ? { kind: "reject", text: "554 No" } : proceed());
  world.filter.onmessage(REGISTERED);
  const client = await world.connect();
  assert.match(client.wire.take(), /^554 /);
  const secret = btoa("sesame");
  await client.say(`EHLO a.example\r\nAUTH LOGIN\r\n${secret}\r\n`);
  assert.ok(!JSON.stringify([world.events, world.filter.sent]).includes(secret));
});

Deno.test("recipients that a filter refuses count as those that lookup refuses: a list with dead ones is no attack", async () => {
  const world = filtered(
    (request) => request.phase === "rcpt-to" ? { kind: "reject", text: "550 No" } : proceed(),
    { settings: { maxErrors: 3 } },
  );
  const client = await begun(world);
  await client.say("MAIL FROM:<a@example.net>\r\n");
  for (let count = 0; count < 6; count++) assert.equal(await client.say("RCPT TO:<b@example.org>\r\n"), "550 No\r\n");
});

Deno.test("the trace of filters has no secret, whatever a filter makes of an AUTH", async () => {
  const secret = btoa("\0carol\0sesame");
  const world = filtered(
    (request) => request.phase === "auth" ? { kind: "rewrite", text: `PLAIN ${secret}` } : proceed(),
    {
      listener: { local: true, address: "127.0.0.1", auth: { required: false, table: "users" } },
      traces: ["filters"],
    },
  );
  world.filter.onmessage({
    type: "registered",
    registrations: [{ process: "p", phases: ["auth"], events: { "smtp-in": [], "smtp-out": [] } }],
  });
  const client = await world.connect();
  assert.match(await client.say(`EHLO a.example\r\nAUTH PLAIN ${btoa("\0x\0y")}\r\n`), /235 /);
  assert.ok(JSON.stringify(world.events).includes("auth: "), "it is traced");
  assert.ok(!JSON.stringify(world.events).includes(secret));
});

const spellings = [
  { said: "<Eve@example.net>", key: "Eve@example.net" },
  { said: '<"Eve"@example.net>', key: "Eve@example.net" },
  { said: "<@relay.example,@other.example:Eve@example.net> SIZE=1", key: "Eve@example.net" },
  { said: "<Eve>", key: "Eve@mx.example.org" },
  { said: "<eve@b\u00fccher.example> SMTPUTF8", key: "eve@xn--bcher-kva.example" },
  { said: '<"a>b"@example.net>', key: '"a>b"@example.net' },
  { said: "<>", key: "" },
] as const;
for (const { said, key } of spellings) {
  Deno.test(`a built-in filter looks for the sender that is meant, however it is written: ${said}`, async () => {
    const at = { file: "c", line: 1 };
    const condition = { kind: "mail-from", test: { regex: false, table: "t" } } as const;
    const decision = { kind: "reject", text: "550 No" } as const;
    const builtin = {
      kind: "builtin",
      at,
      name: "f",
      phase: "mail-from",
      negated: false,
      condition,
      decision,
    } as const;
    const world = filtered(proceed, { settings: { filters: { f: [builtin] } } });
    const client = await world.connect();
    await client.say("EHLO a.example\r\n");
    await client.say(new TextDecoder("latin1").decode(new TextEncoder().encode(`MAIL FROM:${said}\r\n`)));
    const test = world.lookup.sent.findLast(({ type }) => type === "test");
    assert.equal(test?.type === "test" && test.key, key);
  });
}

Deno.test("a program is sent the whole of a quoted address", async () => {
  const asked: Request[] = [];
  const world = filtered((request) => (asked.push(request), proceed()));
  const client = await begun(world);
  await client.say('MAIL FROM:<"a>b"@example.net>\r\n');
  assert.equal(asked.at(-1)?.param, '"a>b"@example.net');
});
