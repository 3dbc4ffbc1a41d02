/** BDAT, RFC 3030, where it meets packets, credit and the queue. Its replies are in test/golden/chunking.txt. */

import assert from "node:assert/strict";
import { MAX_LINE_OCTETS } from "../../src/smtp/message/data.ts";
import { MAX_IDLE_COMMANDS } from "../../src/smtp/session/command_limits.ts";
import { type Client, World } from "./support.ts";
import { msgid } from "../ids.ts";

const ENVELOPE = "EHLO a.example\r\nMAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n";

async function begun(options: ConstructorParameters<typeof World>[0] = {}): Promise<[World, Client]> {
  const world = new World(options);
  const client = await world.connect();
  await client.say(ENVELOPE);
  return [world, client];
}

/** The message as it was stored, without our trace field. */
function bodies(world: World): string[] {
  return world.stored.map(({ text }) => text.replace(/^Received: [^]*?\n(?=\S|$)/, ""));
}

const streams: readonly { input: string; want: string; stored: readonly string[]; because: string }[] = [
  {
    input: "BDAT 9\r\nA: b\r\n\r\nxBDAT 4 LAST\r\n\r\n.\nNOOP\r\n",
    want: "250 550 250",
    stored: [],
    because: "a bare LF is no line end, though it is the last octet",
  },
  {
    input: "BDAT 9\r\nA: b\r\n\r\nxBDAT 5 LAST\r\n\r\n.\r\nNOOP\r\n",
    want: "250 250 250",
    stored: ["A: b\n\nx\n.\n"],
    because: "CRLF.CRLF ends nothing",
  },
  {
    input: "BDAT 8\r\nA: b\r\n\r\nBDAT 3\r\n\r.\rBDAT 0 LAST\r\nNOOP\r\n",
    want: "250 550 503 250",
    stored: [],
    because: "a CR in front of something else",
  },
  {
    input: "BDAT 11 LAST\r\nA: b\r\n\r\nlast",
    want: "250",
    stored: ["A: b\n\nlas\n"],
    because: "a last line without its end gets one",
  },
  { input: "BDAT 0 LAST\r\nNOOP\r\n", want: "250 250", stored: [""], because: "an empty message" },
  { input: "BDAT 4 LAST\r\nA\0:bNOOP\r\n", want: "250 250", stored: ["A\0:b\n"], because: "NUL is data" },
];
for (const { input, want, stored, because } of streams) {
  Deno.test(`BDAT, split at every octet: ${because}`, async () => {
    for (let split = 0; split <= input.length; split++) {
      const [world, client] = await begun();
      const said = await client.say(input.slice(0, split)) + await client.say(input.slice(split));
      const codes = said.trimEnd().split("\r\n").map((line) => line.slice(0, 3)).join(" ");
      // What follows `last` is a command that has no end yet.
      assert.equal(codes, want, `split at ${split}`);
      assert.deepEqual(bodies(world), stored, `split at ${split}`);
    }
  });
}

Deno.test("a chunk of 4 MiB is read as far as the queue gives credit, and stored whole", async () => {
  const [world, client] = await begun({ credit: false });
  const line = `${"x".repeat(1022)}\r\n`;
  const octets = 4 * 1024 * 1024;
  let said = await client.say(`BDAT ${octets} LAST\r\nA: b\r\n\r\n`);
  let left = octets - 8;
  const input = line.repeat(octets / line.length).slice(8);
  for (let turns = 0; left > 0; turns++) {
    assert.ok(turns < 1000, "it must come to an end");
    const part = input.slice(input.length - left, input.length - left + 65_536);
    said += await client.say(part);
    left -= part.length;
    while (client.wire.paused) {
      assert.ok(
        world.queue.sent.filter(({ type }) => type === "chunk").length >= 2,
        "it stops for want of credit only",
      );
      world.queue.onmessage({ type: "credit", message: msgid("00000001") });
      for (let turn = 0; turn < 3; turn++) said += await client.say("");
    }
  }
  assert.match(said, /^250 2\.0\.0 00000001 /);
  assert.equal(bodies(world)[0]!.length, 8 - 2 + (input.length - input.split("\r\n").length + 1));
});

Deno.test("the queue's refusal between two chunks is sent at the end of the next", async () => {
  const [world, client] = await begun();
  await client.say("BDAT 8\r\nA: b\r\n\r\n");
  world.queue.onmessage({ type: "refused", message: msgid("00000001"), code: 452, text: "4.3.1 Full" });
  assert.equal(await client.say("BDAT 3 LAST\r\nx\r\n"), "452 4.3.1 Full\r\n");
  assert.match(await client.say("MAIL FROM:<>\r\n"), /^250 /);
});

Deno.test("a queue that is replaced between two chunks ends the session with 421", async () => {
  const [world, client] = await begun();
  await client.say("BDAT 8\r\nA: b\r\n\r\n");
  world.queue.onreset();
  assert.match(await client.say(""), /^421 /);
  assert.ok(client.wire.closed);
});

Deno.test("a client that leaves in the middle of a chunk leaves nothing behind", async () => {
  const [world, client] = await begun();
  await client.say(`BDAT 1000000\r\nA: b\r\n\r\n${"x\r\n".repeat(200_000)}`);
  client.leave();
  await client.say("");
  assert.deepEqual(world.aborted, ["00000001"]);
});

Deno.test("a chunk waits with its recipients for an id of the queue, also when it is empty", async () => {
  const [world, client] = await begun({ ids: 0 });
  assert.equal(await client.say("BDAT 0 LAST\r\n"), "");
  world.giveIds(1);
  assert.match(await client.say(""), /^250 2\.1\.5 [^\r]*\r\n250 2\.0\.0 00000001 /);
});

Deno.test("a line that is too long ends the session in the middle of its chunk", async () => {
  const [, client] = await begun();
  assert.equal(
    await client.say(`BDAT 1000000\r\n${"x".repeat(MAX_LINE_OCTETS + 1)}`),
    "500 5.5.2 Syntax error: Line too long\r\n",
  );
  assert.ok(client.wire.closed);
});

Deno.test("chunks that bring hardly anything end the session when there are too many", async () => {
  const [, client] = await begun();
  let said = "";
  for (let count = 0; count < MAX_IDLE_COMMANDS; count++) said += await client.say("BDAT 0\r\n");
  assert.match(said, /\r\n421 4\.7\.0 [^\r]*\r\n$/);
  assert.ok(client.wire.closed);
});

Deno.test("what DATA stores, BDAT stores, however it is cut into chunks and packets", async () => {
  // Park and Miller's numbers, so that a failure can be repeated.
  let seed = 20_260_102;
  const below = (limit: number) => (seed = seed * 48_271 % 0x7fff_ffff) % limit;
  const pieces = ["A: b", "\r\n", "\r\n", ".", "..", "x", " y", "From: root", "Bcc: c@d", "\xc3\xbc", "\0", "\r", "\n"];
  for (let turn = 0; turn < 400; turn++) {
    // Most messages are sound.
    const kinds = turn % 4 === 0 ? pieces.length : pieces.length - 3;
    const message = Array.from({ length: below(12) }, () => pieces[below(kinds)]!).join("") + "\r\n";
    const [dataWorld, dataClient] = await begun();
    await dataClient.say("DATA\r\n");
    const byData = await dataClient.say(`${message.replace(/(^|\r\n)\./g, "$1..")}.\r\n`);
    const [world, client] = await begun();
    let stream = "";
    for (let at = 0; at < message.length;) {
      const size = 1 + below(message.length - at);
      at += size;
      stream += `BDAT ${size}${at === message.length ? " LAST" : ""}\r\n${message.slice(at - size, at)}`;
    }
    let byChunks = "";
    for (let at = 0; at < stream.length;) {
      const size = 1 + below(stream.length - at);
      byChunks += await client.say(stream.slice(at, at += size));
    }
    assert.deepEqual(bodies(world), bodies(dataWorld), JSON.stringify(stream));
    const failures = byChunks.split("\r\n").filter((line) => /^[45]/.test(line) && !line.startsWith("503"));
    // Which of two faults is reported depends on the chunk that it stands in.
    assert.equal(failures.length, /^[45]/.test(byData) ? 1 : 0, JSON.stringify(stream));
  }
});
