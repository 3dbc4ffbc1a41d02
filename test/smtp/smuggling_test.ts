/** One message in is never two messages stored, whatever stands in its middle and however it is cut into packets. The relay: test/e2e. */

import assert from "node:assert/strict";
import { REPLY } from "../../src/smtp/session/reply.ts";
import { hidden, message, shown, type Trick, TRICKS } from "./tricks.ts";
import { World } from "./support.ts";

const ENVELOPE = "MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\n";

/** Sends the packets in a world; answers what was said to the last and what is stored. */
async function play(world: World, opening: string, packets: readonly string[]): Promise<string> {
  const client = await world.connect();
  client.wire.take();
  await client.say(`EHLO a.example\r\n${ENVELOPE}${opening}`);
  let said = "";
  for (const packet of packets) said += await client.say(packet);
  client.leave();
  return said;
}

function check(world: World, trick: Trick, said: string): void {
  const { fate, stored } = trick;
  if (fate === "whole") {
    assert.match(said, /^250 2\.0\.0 \w{8} [^\r]*\r\n$/);
    assert.equal(world.stored.length, 1);
    const { text, commit } = world.stored[0]!;
    assert.ok(text.endsWith(`Subject: outer 0\n\nfirst${stored}${hidden().replaceAll("\r\n", "\n")}\n`), shown(text));
    const [envelope] = commit.envelopes;
    assert.equal(commit.envelopes.length, 1);
    assert.equal(envelope!.rcpt.local, "b");
  } else {
    assert.equal(said, `${REPLY.bareLineEndInData}\r\n`);
    assert.equal(world.stored.length, 0);
  }
}

for (const trick of TRICKS) {
  const data = `${message(trick)}.\r\n`;
  Deno.test(`DATA: ${shown(trick.end)} ends nothing: ${trick.because}`, async () => {
    const world = new World();
    check(world, trick, await play(world, "DATA\r\n", [data]));
  });
  Deno.test(`DATA: nor does it, cut into two packets anywhere: ${trick.because}`, async () => {
    for (let at = 1; at < data.length; at++) {
      const world = new World({ ids: 2 });
      check(world, trick, await play(world, "DATA\r\n", [data.slice(0, at), data.slice(at)]));
    }
  });
  Deno.test(`DATA: nor octet by octet: ${trick.because}`, async () => {
    const world = new World();
    check(world, trick, await play(world, "DATA\r\n", [...data]));
  });
  Deno.test(`BDAT: ${shown(trick.end)} ends nothing: ${trick.because}`, async () => {
    const chunk = message(trick);
    for (const parts of [[chunk], [chunk.slice(0, 20), chunk.slice(20)], [...chunk]]) {
      const world = new World({ ids: 2 });
      const said = await play(world, "", [`BDAT ${chunk.length} LAST\r\n`, ...parts]);
      const replies = said.split("\r\n").length - 1;
      assert.equal(replies, 1, said);
      assert.ok(world.stored.length <= 1);
      for (const { commit } of world.stored) assert.deepEqual(commit.envelopes.map(({ rcpt }) => rcpt.local), ["b"]);
      // Dots of a chunk mean nothing and stay (RFC 3030 §2); line ends must be as in DATA.
      if (trick.fate === "whole") {
        assert.ok(world.stored[0]!.text.includes(`first${trick.end.replaceAll("\r\n", "\n")}MAIL FROM`));
      } else assert.equal(said, `${REPLY.bareLineEndInData}\r\n`);
    }
  });
}

Deno.test("CRLF.CRLF does end the data: two messages that are meant as two are two", async () => {
  const world = new World();
  const said = await play(world, "DATA\r\n", [`Subject: outer 0\r\n\r\nfirst\r\n.\r\n${hidden()}\r\n.\r\n`]);
  assert.deepEqual(said.match(/^\d{3}/gm), ["250", "250", "250", "354", "250"]);
  assert.equal(world.stored.length, 2);
});

Deno.test("a chunk ends where its octets end, in the middle of a line, of CRLF, and before a dot", async () => {
  for (
    const parts of [["Subject: x\r\n\r\nfi", "rst\r\n.\r\nlast\r\n"], ["Subject: x\r\n\r\nfirst\r", "\n.\r\nlast\r\n"]]
  ) {
    const world = new World();
    const [one, two] = parts as [string, string];
    const said = await play(world, "", [`BDAT ${one.length}\r\n${one}BDAT ${two.length} LAST\r\n${two}QUIT\r\n`]);
    assert.deepEqual(said.match(/^\d{3}/gm), ["250", "250", "221"]);
    assert.ok(world.stored[0]!.text.endsWith("Subject: x\n\nfirst\n.\nlast\n"));
    assert.equal(world.stored.length, 1);
  }
});

Deno.test("commands in one packet with the end of the data are commands, once each", async () => {
  const world = new World();
  const said = await play(world, "DATA\r\n", ["Subject: x\r\n\r\n.\r\nNOOP\r\n.\r\nQUIT\r\n"]);
  assert.deepEqual(said.match(/^\d{3}/gm), ["250", "250", "500", "221"]);
});
