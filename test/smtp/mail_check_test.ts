/** Sessions of a listener with `mail-auth` over memory: when the DNS is silent, when lookup is gone, who is not checked, and what rules say in the end. */

import assert from "node:assert/strict";
import type { Expansion, FilterToSession, ToLookup } from "../../src/protocol/mod.ts";
import { bytesOf, type Client, delivered, settle, World, type WorldOptions } from "./support.ts";

const MAIL_AUTH = { trusted: null } as const;
const OPENING = "EHLO client.test\r\nMAIL FROM:<a@slow.test>\r\nRCPT TO:<b@example.org>\r\n";
const MESSAGE = "DATA\r\nFrom: a@slow.test\r\n\r\nbody\r\n.\r\n";
type ExpandQuestion = Extract<ToLookup, { type: "expand" }>;

async function checked(options: WorldOptions = {}): Promise<{ world: World; client: Client }> {
  const world = new World({ ...options, listener: { mailAuth: MAIL_AUTH, ...options.listener } });
  return { world, client: await world.connect() };
}

/** Lookup says of each name that nothing is known of it. */
async function answerDns(world: World): Promise<void> {
  const answered = new Set<number>();
  for (let asked = true; asked;) {
    asked = false;
    for (const message of [...world.lookup.sent]) {
      if (message.type !== "dns" || answered.has(message.call)) continue;
      answered.add(message.call);
      asked = true;
      world.lookup.onmessage({ type: "dns", call: message.call, answer: { kind: "none", exists: false } });
    }
    for (let turn = 0; turn < 5; turn++) await settle();
  }
}

async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await settle();
}

Deno.test("ten seconds behind the end of a message, what the DNS has not answered is a temporary error", async () => {
  const { world, client } = await checked();
  await client.say(OPENING);
  await client.say(`${MESSAGE}NOOP\r\n`);
  await world.pass(9_900);
  assert.equal(client.wire.take(), "", "the session waits, and so does what stands behind");
  await world.pass(200);
  await settled();
  assert.match(client.wire.take(), /^250 2\.0\.0 [^]*\r\n250 2\.0\.0 Ok\r\n$/);
  assert.match(world.stored[0]!.text, /^Authentication-Results: mx\.example\.org;\n\tspf=temperror/);
  assert.deepEqual(world.stored[0]!.commit.envelopes[0]!.mailAuth, {
    ...{ spf: "temperror", dkim: "none", arc: "none", dmarc: "temperror" },
  });
});

Deno.test("lookup that is replaced is a DNS that does not answer", async () => {
  const { world, client } = await checked();
  await client.say(OPENING);
  await client.say(MESSAGE);
  world.lookup.onreset();
  await settled();
  // What is asked from then on goes to the next one.
  await answerDns(world);
  await settled();
  assert.match(client.wire.take(), /^250 /);
  assert.match(world.stored[0]!.text, /spf=temperror/);
});

Deno.test("who has logged in is not checked, but cannot bring results of ours either", async () => {
  const { world, client } = await checked({ listener: { auth: { required: false, table: "t" }, local: true } });
  await client.say("EHLO client.test\r\nAUTH PLAIN AGNhcm9sAHNlc2FtZQ==\r\n");
  await client.say("MAIL FROM:<carol@example.org>\r\nRCPT TO:<b@example.org>\r\n");
  await client.say("DATA\r\nAuthentication-Results: mx.example.org; dmarc=pass\r\nFrom: carol\r\n\r\nx\r\n.\r\n");
  assert.match(client.wire.written, /250 2\.0\.0 \w{8} Message accepted/);
  assert.doesNotMatch(world.stored[0]!.text, /Authentication-Results/);
  assert.equal(world.stored[0]!.commit.envelopes[0]!.mailAuth, undefined);
  assert.deepEqual(world.lookup.sent.filter(({ type }) => type === "dns"), []);
});

Deno.test("programs are told what was found, before they are asked about the commit", async () => {
  const registered: FilterToSession = {
    type: "registered",
    registrations: [{
      process: "p",
      phases: ["commit", "data-line"],
      events: { "smtp-in": ["mail-auth"], "smtp-out": [] },
    }],
  };
  const { world, client } = await checked({
    listener: { filter: "f" },
    settings: { filters: { f: [{ kind: "process", name: "f", process: "p" }] } },
    filter: (message, channel) => {
      if (message.type === "request") {
        const { session, token } = message;
        channel.onmessage({ type: "answer", session, token, decision: { kind: "proceed" } });
      } else if (message.type === "lines") {
        const { session, process, token } = message;
        channel.onmessage({ type: "taken", session, process, bytes: message.bytes.length });
        channel.onmessage({
          type: "lines",
          session,
          process,
          token,
          bytes: bytesOf(String.fromCharCode(...message.bytes)),
        });
      }
    },
  });
  world.filter.onmessage(registered);
  await settle();
  await client.say(OPENING);
  await client.say(MESSAGE);
  await answerDns(world);
  await settled();
  const last = world.filter.sent.flatMap((message) =>
    message.type === "event" && message.event === "mail-auth"
      ? [message.params]
      : message.type === "request"
      ? [message.phase]
      : []
  );
  assert.deepEqual(last.slice(-2), ["00000001|spf=none dkim=none arc=none dmarc=none", "commit"]);
  assert.equal(world.stored.length, 1);
});

/** What lookup says of each recipient at RCPT and at the end, and what becomes of the message. */
const RECONSIDERED: readonly {
  readonly because: string;
  readonly rcpts: readonly string[];
  readonly answer: (question: ExpandQuestion) => Expansion | null;
  readonly reply: RegExp;
  readonly stored: readonly string[];
}[] = [
  {
    because: "another action",
    rcpts: ["b"],
    answer: (question) => {
      const known = question.mailAuth !== "unknown";
      return delivered(known ? { rcpt: { local: "quarantine", domain: "example.org" } } : question);
    },
    reply: /^250 /,
    stored: ["quarantine"],
  },
  {
    because: "one of two is refused for good",
    rcpts: ["b", "c"],
    answer: (question) =>
      question.mailAuth !== "unknown" && question.rcpt.local === "c"
        ? { ok: false, code: 550, text: "5.7.1 No" }
        : delivered(question),
    reply: /^550 5\.7\.1 No/,
    stored: [],
  },
  {
    because: "a temporary refusal outranks the other",
    rcpts: ["b", "c"],
    answer: (question) => {
      if (question.mailAuth === "unknown") return delivered(question);
      return { ok: false, code: question.rcpt.local === "b" ? 550 : 451, text: "4.3.0 Or 5" };
    },
    reply: /^451 4\.3\.0/,
    stored: [],
  },
];

for (const { because, rcpts, answer, reply, stored } of RECONSIDERED) {
  Deno.test(`rules that look at results decide again at the end of a message: ${because}`, async () => {
    const { world, client } = await checked({ settings: { rulesSeeMailAuth: true }, expand: answer });
    await client.say("EHLO client.test\r\nMAIL FROM:<a@slow.test>\r\n");
    for (const rcpt of rcpts) assert.match(await client.say(`RCPT TO:<${rcpt}@example.org>\r\n`), /^250/);
    await client.say("DATA\r\n");
    await client.say(MESSAGE.slice("DATA\r\n".length));
    await answerDns(world);
    await settled();
    assert.match(client.wire.take(), reply);
    const users = world.stored.flatMap(({ commit }) => commit.envelopes.map(({ user }) => user));
    assert.deepEqual(users, stored);
    client.leave();
  });
}

Deno.test("lookup that is replaced while it is asked again is a temporary refusal", async () => {
  const { world, client } = await checked({
    settings: { rulesSeeMailAuth: true },
    expand: (question) => question.mailAuth === "unknown" ? delivered(question) : null,
  });
  await client.say(OPENING);
  await client.say("DATA\r\n");
  await client.say(MESSAGE.slice("DATA\r\n".length));
  await answerDns(world);
  await settled();
  assert.equal(client.wire.take(), "");
  world.lookup.onreset();
  await settled();
  assert.match(client.wire.take(), /^451 4\.3\.0/);
  assert.deepEqual(world.stored, []);
});

Deno.test("a listener that checks nothing asks nothing, whatever rules there are", async () => {
  const { world, client } = await checked({ listener: { mailAuth: null }, settings: { rulesSeeMailAuth: true } });
  await client.say(OPENING);
  await client.say(MESSAGE);
  const questions = world.lookup.sent.flatMap((message) => message.type === "expand" ? [message.mailAuth] : []);
  assert.deepEqual(questions, [undefined]);
  assert.equal(world.stored.length, 1);
});
