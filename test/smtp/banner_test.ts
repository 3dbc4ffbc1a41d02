/** The banner that is held back: who speaks before it is turned away, who waits is served, and whom it is not for. */

import assert from "node:assert/strict";
import type { Listener, Peer, SmtpSettings } from "../../src/protocol/mod.ts";
import { World } from "./support.ts";

const DELAY: Partial<SmtpSettings> = { bannerDelayMs: 3000 };

Deno.test("who waits for a delayed banner is served", async () => {
  const world = new World({ settings: DELAY });
  const client = await world.connect();
  await world.pass(2999);
  assert.equal(client.wire.take(), "");
  assert.ok(!client.wire.started);
  await world.pass(1);
  assert.equal(client.wire.take(), "220 mx.example.org ESMTP Vaultpost\r\n");
  assert.ok(client.wire.started);
  assert.equal(await client.say("NOOP\r\n"), "250 2.0.0 Ok\r\n");
});

Deno.test("who speaks before the banner gets 554 when it was due, is let go, and is in the log", async () => {
  const world = new World({ settings: DELAY });
  const client = await world.connect();
  client.wire.early = true;
  await world.pass(2999);
  assert.equal(client.wire.take(), "");
  await world.pass(1);
  const reply = "554 5.7.1 Delivery not authorized, message refused: Wait for the banner";
  assert.equal(client.wire.take(), `${reply}\r\n`);
  assert.ok(client.wire.closed && client.wire.lingers && client.wire.started, "what it says still is thrown away");
  assert.equal(await client.say("EHLO a.example\r\n"), "");
  const events = world.events.map((event) => event.type === "smtp-bad-input" ? event.reply : event.type);
  assert.deepEqual(events, ["smtp-connected", reply, "smtp-disconnected"]);
  client.leave();
  assert.equal(world.service.size, 0);
});

Deno.test("a client that leaves while the banner waits leaves no line", async () => {
  const world = new World({ settings: DELAY });
  const client = await world.connect();
  client.leave();
  await world.pass(3000);
  assert.deepEqual(world.events, []);
});

Deno.test("a service that stops while the banner waits says so", async () => {
  const world = new World({ settings: { bannerDelayMs: 10_000 } });
  const client = await world.connect();
  const stopped = world.service.stop();
  await world.pass(3100);
  await stopped;
  assert.match(client.wire.take(), /^421 4\.3\.2 /);
});

const exempt: readonly { listener?: Partial<Listener>; peer?: Partial<Peer>; trusted?: string[]; because: string }[] = [
  { listener: { socket: true, local: true }, peer: { address: "local" }, because: "the local socket" },
  { peer: { address: "127.0.0.1" }, because: "this machine" },
  { peer: { address: "::1" }, because: "this machine by IPv6" },
  { peer: { address: "::ffff:192.0.2.7" }, trusted: ["192.0.2.0/24"], because: "a trusted network" },
];
for (const { listener = {}, peer = {}, trusted = [], because } of exempt) {
  Deno.test(`no banner is delayed for ${because}`, async () => {
    const world = new World({ listener, peer, settings: { ...DELAY, trusted } });
    const client = await world.connect();
    assert.match(client.wire.take(), /^220 /);
  });
}

Deno.test("no handshake is delayed where TLS comes first", async () => {
  const world = new World({ listener: { tls: "smtps" }, settings: DELAY });
  const client = await world.connect();
  assert.equal(client.wire.handshakes, 1);
});
