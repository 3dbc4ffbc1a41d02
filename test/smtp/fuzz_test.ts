/** 10,000 seeded sessions of random and broken input: nothing throws, every session gets a reply or a close, nothing odd is stored. */

import assert from "node:assert/strict";
import { byName, type Client, settle, World } from "./support.ts";

/** A small generator of pseudo-random numbers (mulberry32): the same seed gives the same sessions. */
function generator(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

const PIECES = [
  "EHLO a.example\r\n",
  "HELO [192.0.2.1]\r\n",
  "MAIL FROM:<a@example.net>\r\n",
  "MAIL FROM:<> SIZE=100 BODY=8BITMIME RET=FULL ENVID=x\r\n",
  "RCPT TO:<b@example.org>\r\n",
  "RCPT TO:<nobody@example.org>\r\n",
  "RCPT TO:<later@example.org> NOTIFY=NEVER ORCPT=rfc822;b\r\n",
  "DATA\r\n",
  'From: a\r\nTo: b, <c>, "d, e" <f>\r\nBcc: g\r\n\r\nbody\r\n.\r\n',
  "Subject: x\r\n folded\r\n\r\n..dots\r\n.\r\n",
  ".\r\n",
  "\r\n",
  "RSET\r\n",
  "NOOP\r\n",
  "VRFY x\r\n",
  "HELP\r\n",
  "STARTTLS\r\n",
  "AUTH PLAIN AGEAYg==\r\n",
  "QUIT\r\n",
  "\n.\n",
  "\r.\r",
  "\r\n.\n",
  "Received: x\r\n",
  "x".repeat(3000),
  `${"y".repeat(998)}\r\n`,
  `${"z".repeat(70_000)}\r\n`,
];

function inputOf(random: (below: number) => number): string {
  let text = "";
  // Half of the sessions start as a good client does, to get deeper.
  if (random(2) === 0) text += PIECES[0]! + PIECES[2]! + PIECES[4]! + PIECES[7]! + PIECES[8 + random(3)]!;
  const pieces = random(8);
  for (let count = 0; count < pieces; count++) {
    // The very long lines are rare: they cost the most time and find the least.
    text += PIECES[random(random(20) === 0 ? PIECES.length : PIECES.length - 3)]!;
  }
  const changes = random(4);
  for (let count = 0; count < changes && text.length > 0; count++) {
    const at = random(text.length);
    switch (random(4)) {
      case 0:
        text = text.slice(0, at) + String.fromCharCode(random(256)) + text.slice(at + 1);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(at + 1 + random(5));
        break;
      case 2:
        text = text.slice(0, at) + '\0\r\n.<>@"\\:;, '[random(12)]! + text.slice(at);
        break;
      case 3:
        text = text.slice(0, at) + text.slice(random(text.length));
        break;
    }
  }
  return text;
}

const REPLY = /^(?:[2345]\d\d[ -][\x20-\x7e]*\r\n)+$/;

/** Sends the input in packets. Returns what the server said. */
async function converse(client: Client, input: string, random: (below: number) => number): Promise<string> {
  let said = client.wire.take();
  for (let at = 0; at < input.length && !client.wire.closed;) {
    const size = 1 + random(random(3) === 0 ? 10 : 2000);
    if (client.wire.handshakes > 0) break;
    said += await client.say(input.slice(at, at + size));
    at += size;
  }
  return said;
}

Deno.test("10,000 seeded sessions: no session throws or hangs, all are told something", async () => {
  let stored = 0;
  for (let batch = 0; batch < 10; batch++) {
    const world = new World({
      listener: { tls: "tls" },
      settings: { maxMessageBytes: 5000, maxMails: 3, maxRcpt: 3 },
      ids: 5000,
      expand: (question) => byName(question),
      commit: ({ message }) =>
        parseInt(message, 16) % 7 === 0
          ? { type: "refused", message, code: 452, text: "4.3.1 Full" }
          : { type: "committed", message },
    });
    for (let number = 0; number < 1000; number++) {
      const seed = batch * 1000 + number;
      const random = generator(seed);
      const client = await world.connect();
      const input = inputOf(random);
      const said = await converse(client, input, random);
      assert.match(said, REPLY, `seed ${seed}`);
      if (client.wire.handshakes === 0 && !client.wire.closed) {
        // Whatever state it is in, it can be brought to an end.
        client.connection.ended();
        await settle();
        assert.ok(client.wire.closed, `seed ${seed}: the session hangs`);
      }
      client.leave();
    }
    assert.equal(world.service.size, 0);
    assert.equal(world.ended, 1000);
    for (const { text, commit } of world.stored) {
      assert.ok(!/[\0\r]/.test(text), "neither CR nor NUL is ever stored");
      assert.ok(commit.envelopes.length > 0);
    }
    stored += world.stored.length;
  }
  assert.ok(stored > 500, `only ${stored} messages got through: the sessions are too broken to find anything`);
});
