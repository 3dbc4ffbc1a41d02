import assert from "node:assert/strict";
import { MIN_DATA_OCTETS, ProgressTimer } from "../../src/smtp/progress_timer.ts";
import { MAX_IDLE_COMMANDS } from "../../src/smtp/session/command_limits.ts";
import { REPLY } from "../../src/smtp/session/reply.ts";
import { settings, settle, World } from "./support.ts";

const MAX_BAD_COMMANDS = settings([]).maxErrors;
const GREETING = "EHLO a.example\r\n";
const MESSAGE = "MAIL FROM:<a@example.net>\r\nRCPT TO:<b@example.org>\r\nDATA\r\nA: b\r\n.\r\n";

interface Row {
  /** Sent `limit` times, then once more. */
  readonly line: string;
  readonly before?: string;
  /** What the greeting and `before` have used up of the limit. */
  readonly used: number;
  readonly limit: number;
  readonly last: string;
  readonly because: string;
}

const IDLE = { limit: MAX_IDLE_COMMANDS, last: REPLY.tooManyIdle };
const BAD = { limit: MAX_BAD_COMMANDS, last: REPLY.tooManyBad };
const rows: readonly Row[] = [
  { ...IDLE, line: "RSET", used: 1, because: "resets bring no mail" },
  { ...IDLE, line: "NOOP", used: 1, because: "nor does doing nothing" },
  { ...IDLE, line: "VRFY joe", used: 1, because: "nor questions" },
  { ...IDLE, line: "HELP", used: 1, because: "nor calls for help" },
  { ...IDLE, line: "EHLO a.example", used: 1, because: "nor greetings" },
  { ...IDLE, line: "MAIL FROM:<>\r\nRSET", used: 1, because: "nor transactions that are given up" },
  {
    ...IDLE,
    before: "MAIL FROM:<>\r\n",
    line: "RCPT TO:<nobody@example.org>",
    used: 2,
    because: "nor a search for recipients",
  },
  { ...BAD, line: "EXPN list", used: 0, because: "what is not served is not asked for again and again" },
  { ...BAD, line: "DATA", used: 0, because: "nor what is out of order" },
  { ...BAD, line: "GETTER / there", used: 0, because: "nor what is no SMTP" },
  { ...BAD, line: "MAIL FROM:<@>", used: 0, because: "nor bad addresses" },
];
for (const { line, before = "", used, limit, last, because } of rows) {
  Deno.test(`"${line.replace("\r\n", ", ")}" again and again ends with 421: ${because}`, async () => {
    const world = new World();
    const client = await world.connect();
    await client.say(GREETING + before);
    const each = line.split("\r\n").length;
    for (let count = used; count + each <= limit; count += each) await client.say(`${line}\r\n`);
    assert.ok(!client.wire.closed, "the limit itself is allowed");
    const said = await client.say(`${line}\r\n${line}\r\n`);
    assert.ok(said.endsWith(`${last}\r\n`), said);
    assert.ok(client.wire.closed);
    client.leave();
    assert.equal(client.refusals.at(-1)!.reply, last);
  });
}

Deno.test("QUIT is served when patience is at its end", async () => {
  const client = await new World().connect();
  for (let count = 0; count < MAX_IDLE_COMMANDS; count++) await client.say("NOOP\r\n");
  assert.equal(await client.say("QUIT\r\n"), `${REPLY.bye}\r\n`);
});

Deno.test("an accepted message restores patience", async () => {
  const world = new World();
  const client = await world.connect();
  await client.say(GREETING);
  for (let turn = 0; turn < 2; turn++) {
    for (let count = 0; count < MAX_IDLE_COMMANDS - 10; count++) await client.say("NOOP\r\n");
    for (let count = 0; count < MAX_BAD_COMMANDS - 10; count++) await client.say("XXXX\r\n");
    assert.match(await client.say(MESSAGE), /\r\n250 2\.0\.0 \w{8} Message accepted for delivery\r\n$/);
  }
});

Deno.test("a message of 1,000 recipients, all of them dead but one, is taken", async () => {
  const world = new World();
  const client = await world.connect();
  await client.say(`${GREETING}MAIL FROM:<>\r\n`);
  for (let count = 0; count < 997; count++) await client.say("RCPT TO:<nobody@example.org>\r\n");
  assert.match(await client.say("RCPT TO:<joe@example.org>\r\nDATA\r\n"), /^250 [^]*\r\n354 /);
  assert.match(await client.say("A: b\r\n.\r\n"), /^250 /);
});

Deno.test("one who sends 900 commands at once does not keep others waiting for all of them", async () => {
  const turns: (() => void)[] = [];
  const world = new World({ soon: (run) => turns.push(run) });
  const [greedy, other] = [await world.connect(), await world.connect()];
  greedy.wire.take();
  other.wire.take();
  const answers = () => greedy.wire.output.split("\r\n").length - 1;
  greedy.connection.data(new TextEncoder().encode("NOOP\r\n".repeat(900)));
  await settle();
  const first = answers();
  assert.ok(first > 0 && first <= 100, `${first} answers in one turn`);
  assert.ok(greedy.wire.paused, "nothing more is read of it meanwhile");
  assert.equal(await other.say("NOOP\r\n"), "250 2.0.0 Ok\r\n");
  for (let turn = 0; answers() < 900; turn++) {
    assert.ok(turn < 100, "the greedy one is never done");
    turns.shift()!();
    await settle();
    assert.ok(answers() <= first * (turn + 2), "each turn is as short");
  }
  assert.equal(greedy.wire.paused, false);
});

Deno.test("of several who have much to do each has its turn", async () => {
  const turns: (() => void)[] = [];
  const world = new World({ soon: (run) => turns.push(run) });
  const clients = await Promise.all([world.connect(), world.connect(), world.connect()]);
  for (const { connection } of clients) connection.data(new TextEncoder().encode("NOOP\r\n".repeat(500)));
  const lengths = () => clients.map(({ wire }) => wire.output.length);
  for (let turn = 0; turn < 3; turn++) {
    assert.equal(turns.length, 1, "one turn at a time");
    turns.shift()!();
  }
  const [first = 0, ...others] = lengths();
  assert.ok(others.every((length) => length > 0 && length >= first / 2), "all get on");
  clients[0]!.leave();
  while (turns.length > 0) turns.shift()!();
  assert.equal(clients[2]!.wire.take().match(/250 /g)?.length, 500);
});

Deno.test("ProgressTimer: a good deal of data is progress, a trickle is none", () => {
  const pace = new ProgressTimer(0);
  pace.data({ length: MIN_DATA_OCTETS - 1 }, 200);
  assert.equal(pace.overdue(299, { limitMs: 300, handshake: false }), false);
  assert.equal(pace.overdue(300, { limitMs: 300, handshake: false }), true);
  pace.data({ length: 1 }, 300);
  assert.equal(pace.overdue(599, { limitMs: 300, handshake: false }), false);
  assert.equal(pace.overdue(600, { limitMs: 300, handshake: false }), true);
  pace.data({ length: MIN_DATA_OCTETS - 1 }, 600);
  pace.progress(700);
  pace.data({ length: 1 }, 900);
  assert.equal(
    pace.overdue(1000, { limitMs: 300, handshake: false }),
    true,
    "what came before counts for what came before",
  );
});
