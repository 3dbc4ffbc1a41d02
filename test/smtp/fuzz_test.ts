/**
 * 100,000 seeded sessions of random and broken input: nothing throws, every session comes to an end, replies are well-formed, nothing is
 * stored whose end was not sent, memory stays bounded. A seed that fails is named and can be played alone.
 */

import assert from "node:assert/strict";
import v8 from "node:v8";
import vm from "node:vm";
import { doorFault } from "../isolate/event_details.ts";
import { byName, type Client, settings, settle, World } from "./support.ts";

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
  "MAIL FROM:<\xc3\xb6@example.net> SMTPUTF8\r\n",
  "A: b\r\n\r\nbody\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<b@example.org>\r\nDATA\r\n",
  "BDAT 14 LAST\r\nA: b\r\n\r\nbody\r\n",
  "BDAT 5\r\nA: b\r",
  "BDAT 7 LAST\r\n\n\r\n.\r\n\r",
  "BDAT 0 LAST\r\n",
  "BDAT 3000\r\n",
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

/** RFC 5321 §4.2: one code a reply, lines of at most 512 octets; RFC 2034 §4: the classes of code and enhanced code agree. */
function assertWellFormed(said: string, hint: string): void {
  assert.ok(said.endsWith("\r\n"), hint);
  let open = "";
  for (const line of said.slice(0, -2).split("\r\n")) {
    const match = /^([2345]\d\d)([ -])(?:([245])\.\d{1,3}\.\d{1,3} )?[\t\x20-\x7e]*$/.exec(line);
    assert.ok(match !== null && line.length <= 510, `${hint}: ${JSON.stringify(line)} is no reply`);
    const [, code = "", separator, klass = code[0]] = match;
    assert.ok(open === "" || open === code, `${hint}: ${line} goes on with another code`);
    assert.equal(klass, code[0], `${hint}: ${line}`);
    open = separator === "-" ? code : "";
  }
  assert.equal(open, "", `${hint}: the last reply is not whole`);
}

/** Sends the input in packets. Returns what the server said. */
async function converse(client: Client, input: string, random: (below: number) => number): Promise<string> {
  let said = client.wire.take();
  for (let at = 0; at < input.length && !client.wire.closed;) {
    if (client.connection.session.phase === "handshake") {
      client.connection.secured({
        ciphers: "TLSv1.3:TLS_AES_256_GCM_SHA384:256",
        verified: false,
        fingerprint: null,
        binding: null,
      });
    }
    const size = 1 + random(random(3) === 0 ? 10 : 2000);
    said += await client.say(input.slice(at, at + size));
    at += size;
  }
  // Several messages in one packet take several turns.
  await settle();
  return said + client.wire.take();
}

/** How many messages the input can have ended: by a dot alone in a line, and by the last of its chunks. */
function ends(input: string): number {
  return (input.match(/(?<=\r\n)\.\r\n/g)?.length ?? 0) + (input.match(/BDAT[^\n]*LAST/gi)?.length ?? 0);
}

const BATCHES = 100, SESSIONS_A_BATCH = 1000;
const ALLOWED_GROWTH_BYTES = 32 << 20;

/** The collector comes when it likes; this makes it come. */
function heapWithoutGarbage(): number {
  v8.setFlagsFromString("--expose-gc");
  const collect: () => void = vm.runInNewContext("gc");
  collect();
  return Deno.memoryUsage().heapUsed;
}

/** Every tenth batch is played while the history records, with ids in the refusals. */
const isRecorded = (batch: number) => batch % 10 === 5;
/** Of what is recorded, every so many events are looked at as control does. */
const LOOKED_AT = 20;

function newWorld({ recorded }: { readonly recorded: boolean }): World {
  const shared = { ...settings([]).shared, recording: true } as const;
  return new World({
    listener: { tls: "tls" },
    settings: { maxMessageBytes: 5000, maxMails: 3, maxRcpt: 3, ...(recorded ? { shared, refs: true } : {}) },
    ids: 5000,
    expand: (question) => byName(question),
    commit: ({ message }) =>
      parseInt(message, 16) % 7 === 0
        ? { type: "refused", message, code: 452, text: "4.3.1 Full" }
        : { type: "committed", message, number: 1 },
  });
}

async function play(world: World, seed: number): Promise<void> {
  const hint = `seed ${seed}`;
  const random = generator(seed);
  const client = await world.connect();
  const input = inputOf(random);
  const before = world.stored.length;
  const said = await converse(client, input, random);
  assertWellFormed(said, hint);
  const stored = world.stored.length - before;
  assert.equal(
    said.match(/ Message accepted for delivery\r\n/g)?.length ?? 0,
    stored,
    `${hint}: stored and acknowledged`,
  );
  if (stored > 0) assert.ok(stored <= ends(input), `${hint}: ${stored} messages stored, ${ends(input)} were ended`);
  if (!client.wire.closed) {
    // Whatever state it is in, it can be brought to an end.
    client.connection.ended();
    if (client.connection.session.phase === "handshake") await world.pass(70_000);
    await settle();
    assert.ok(client.wire.closed, `${hint}: the session hangs`);
  }
  client.leave();
}

Deno.test("100,000 seeded sessions: none throws or hangs, all get a reply, nothing odd is stored", async () => {
  let stored = 0;
  // This isolate's heap without its garbage: the process' memory is shared with the tests that run beside this one.
  let first = 0;
  for (let batch = 0; batch < BATCHES; batch++) {
    const world = newWorld({ recorded: isRecorded(batch) });
    for (let number = 0; number < SESSIONS_A_BATCH; number++) await play(world, batch * SESSIONS_A_BATCH + number);
    assert.equal(world.service.size, 0);
    assert.equal(world.ended, SESSIONS_A_BATCH);
    for (const { text, commit } of world.stored) {
      assert.ok(!text.includes("\r"), "no CR is ever stored");
      assert.ok(commit.envelopes.length > 0);
    }
    stored += world.stored.length;
    for (const [at, event] of world.events.entries()) {
      assert.ok(isRecorded(batch) || !("detail" in event));
      if (isRecorded(batch) && at % LOOKED_AT === 0) assert.equal(doorFault("smtp", event), null);
    }
    if (batch === BATCHES / 10) first = heapWithoutGarbage();
  }
  assert.ok(stored > 5000, `only ${stored} messages got through: the sessions are too broken to find anything`);
  const growth = heapWithoutGarbage() - first;
  assert.ok(growth < ALLOWED_GROWTH_BYTES, `grew by ${growth >> 20} MB since the first tenth`);
});
