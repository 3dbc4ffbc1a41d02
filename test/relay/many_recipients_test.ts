/** Hosts that take so many recipients in one transaction: the others follow at once, and nobody is given up (RFC 5321 §4.5.3.1.10). */

import assert from "node:assert/strict";
import { type Reply, ReplyReader } from "../../src/smtp_client/mod.ts";
import { RecipientLimit, tooManyRecipients } from "../../src/smtp_client/too_many.ts";
import type { FakeServer, Script, ServerSession } from "../smtp_client/fake_server.ts";
import { viaSmarthost } from "./via.ts";
import { systemClock } from "../../src/clock.ts";

const meanings = [
  ["452 4.5.3 too many", "said"],
  ["452 4.3.1 no room", "perhaps"],
  ["452 4.2.2 full", "perhaps"],
  ["452 slow down", "perhaps"],
  ["452", "perhaps"],
  ["452 Too many recipients", "said"],
  ["450 4.5.3 later", "said"],
  ["451 Error: too many recipients", "said"],
  ["450 4.2.0 greylisted", null],
  ["421 4.5.3 too many", "said"],
  ["421 Too many recipients", "said"],
  ["421 4.7.0 too many connections", null],
  ["421", null],
  ["552 5.5.3 no", "said"],
  ["552", "perhaps"],
  ["552 Requested mail action aborted", "perhaps"],
  ["552 Too many envelope recipients", "said"],
  ["552 5.2.2 mailbox full", null],
  ["552 5.3.4 too big", null],
  ["550 5.5.3 no", "said"],
  ["550 5.7.1 too many recipients", null],
  ["554 too many recipients", null],
  ["550 5.1.1 unknown", null],
  ["250 2.5.3 fine", null],
] as const;
for (const [line, want] of meanings) {
  Deno.test(`tooManyRecipients() takes "${line}" for ${want}`, () => {
    const replies: Reply[] = [];
    new ReplyReader().push(new TextEncoder().encode(line + "\r\n"), replies);
    assert.equal(tooManyRecipients(replies[0]!), want);
    const worded = line.toLowerCase().includes("too many recipients");
    assert.equal(tooManyRecipients(replies[0]!, 100), worded ? "said" : want, "behind 100 that were accepted");
  });
}

const sequences = [
  { said: "aaSSS", want: 2, because: "it said so" },
  { said: "aaP", want: null, because: "one 452 may be about a full mailbox" },
  { said: "aaPP", want: 2, because: "two in a row, and none accepted behind them" },
  { said: "aPPa", want: null, because: "one was accepted behind them" },
  { said: "aSaS", want: 2, because: "the last word counts" },
  { said: "S", want: null, because: "none was accepted" },
  { said: "aaa", want: null, because: "all were accepted" },
];
for (const { said, want, because } of sequences) {
  Deno.test(`RecipientLimit learns ${want} of ${said}: ${because}`, () => {
    const limit = new RecipientLimit();
    for (const one of said) {
      if (one === "a") limit.accepted();
      else limit.refused(one === "S" ? "said" : "perhaps");
    }
    assert.equal(limit.most, want);
  });
}

/** Takes `most` recipients in a transaction, and answers the others like this. */
const limited = (most: number, reply: string, script: Script = {}): Script => ({
  ...script,
  reply: (line, session) => {
    if (line.startsWith("RCPT") && session.accepted >= most) return reply;
    return script.reply?.(line, session);
  },
});
const people = (count: number) => Array.from({ length: count }, (_, at) => `u${at}@x.test`);
/** Recipients of each transaction that were offered. */
function offered(server: FakeServer): number[] {
  const counts: number[] = [];
  for (const line of server.lines()) {
    if (line.startsWith("MAIL")) counts.push(0);
    if (line.startsWith("RCPT")) counts[counts.length - 1]!++;
  }
  return counts;
}
const NO_WAIT = { connDelayRelay: 0, connDelayRoute: 0, reconnDelayRoute: 0, connDelayHost: 0 };

for (
  const { count, reply } of [
    { count: 100, reply: "452 4.5.3 too many" },
    { count: 10, reply: "452 no" },
    { count: 10, reply: "552 5.5.3 too many" },
    { count: 10, reply: "552 no" },
    { count: 10, reply: "550 5.5.3 no" },
    { count: 10, reply: "450 4.5.3 no" },
  ]
) {
  for (
    const [how, keywords, lmtp] of [["", [], false], [" with PIPELINING", ["PIPELINING"], false], [
      " over LMTP",
      [],
      true,
    ]] as const
  ) {
    Deno.test(`${count} recipients at 3 a transaction, the others answered "${reply}"${how}: all are sent to, in one session`, () =>
      viaSmarthost(limited(3, reply, { keywords, lmtp }), async (world, server) => {
        const texts = await world.settled(world.send({ rcpts: people(count) }));
        assert.ok(texts.every((text) => text.startsWith("ok ")), texts.find((text) => !text.startsWith("ok ")));
        const transactions = Math.ceil(count / 3);
        assert.equal(server.messages().length, transactions);
        assert.equal(server.sessions.length, 1);
        // Only the first transaction had to find out.
        assert.deepEqual(offered(server).slice(1), [...Array(transactions - 2).fill(3), 1]);
        assert.equal(world.deliveries().length, count);
        // Nor does the next message.
        await world.settled(world.send({ rcpts: people(4) }));
        assert.deepEqual(offered(server).slice(transactions), [3, 1]);
      }, lmtp ? { scheme: "lmtp" } : {}));
  }
}

Deno.test("the limit of a host is found out again after an hour", () => {
  let ahead = 0;
  const clock = { ...systemClock, steady: () => systemClock.steady() + ahead };
  return viaSmarthost(limited(3, "452 4.5.3 too many"), async (world, server) => {
    await world.settled(world.send({ rcpts: people(5) }));
    ahead = 3_600_001;
    await world.settled(world.send({ rcpts: people(5) }));
    assert.deepEqual(offered(server), [4, 2, 4, 2]);
  }, { tools: { clock } });
});

Deno.test("where a session takes few messages the rest follows on the next connection", () =>
  viaSmarthost(limited(3, "452 4.5.3 too many"), async (world, server) => {
    const texts = await world.settled(world.send({ rcpts: people(20) }));
    assert.ok(texts.every((text) => text === "ok 250 2.0.0 queued"));
    assert.deepEqual(server.sessions.map((session) => session.messages.length), [2, 2, 2, 1]);
  }, { limits: { ...NO_WAIT, sessionMailMax: 2 } }));

Deno.test("recipients that are too many do not count as failures of the session", () =>
  viaSmarthost(limited(3, "452 no", { keywords: ["PIPELINING"] }), async (world, server) => {
    const texts = await world.settled(world.send({ rcpts: people(40) }));
    assert.ok(texts.every((text) => text === "ok 250 2.0.0 queued"));
    assert.equal(server.sessions.length, 1);
  }, { limits: { maxFailuresPerSession: 5 } }));

for (
  const { name, further } of [
    { name: "452 4.5.3 too many", further: false },
    { name: "452 no", further: true },
    { name: "552 5.5.3 too many", further: true },
  ]
) {
  Deno.test(`a host that takes 4 recipients a session, and says "${name}" to others: by further connections`, () => {
    const reply = (line: string, session: ServerSession) => {
      const all = session.lines.filter((before) => before.startsWith("RCPT")).length;
      return line.startsWith("RCPT") && all > 4 ? name : undefined;
    };
    return viaSmarthost({ reply }, async (world, server) => {
      const ids = further
        ? world.send({ rcpts: people(10) })
        : people(10).flatMap((one) => world.send({ rcpts: [one] }));
      assert.deepEqual(await world.settled(ids), Array(10).fill("ok 250 2.0.0 queued"));
      assert.equal(server.sessions.length, 3);
    }, { limits: { maxConnPerRoute: 1 } });
  });
}

/** How a host leaves over the number of recipients. */
const leaves: { how: string; most: number; reply: string; closes?: true; keywords?: string[]; dataReply?: string }[] = [
  ...[["421 4.5.3 too many recipients"], ["421 too many recipients"]].flatMap(([reply]) =>
    [[], ["PIPELINING"]].flatMap((keywords) => [
      { how: `"${reply}" to the 4th, and stays`, most: 3, reply: reply!, keywords },
      { how: `"${reply}" to the 4th, and closes`, most: 3, reply: reply!, keywords, closes: true as const },
      { how: `"${reply}" to the 2nd, and closes`, most: 1, reply: reply!, keywords, closes: true as const },
    ])
  ),
  { how: "421 to the 4th and to DATA", most: 3, reply: "421 4.5.3 no", dataReply: "421 4.5.3 no" },
  { how: "421 of other words to the 4th, and stays", most: 3, reply: "421 4.7.0 that will do" },
];
for (const { how, most, reply, closes, keywords = [], dataReply } of leaves) {
  const pipelined = keywords.length > 0 ? " with PIPELINING" : "";
  Deno.test(`a host that takes ${most} recipients a session and says ${how}${pipelined}: by further connections`, () =>
    viaSmarthost({
      keywords,
      reply: (line, session) => {
        const all = session.lines.filter((before) => before.startsWith("RCPT")).length;
        if (line === "DATA" && all > most) return closes ? "" : dataReply;
        if (!line.startsWith("RCPT") || all <= most) return undefined;
        if (closes) queueMicrotask(() => session.hangUp());
        return reply;
      },
    }, async (world, server) => {
      const texts = await world.settled(world.send({ rcpts: people(8) }));
      assert.deepEqual(texts, Array(8).fill("ok 250 2.0.0 queued"));
      assert.ok(server.messages().length <= 8);
      assert.equal(world.deliveries().length, 8);
    }, { limits: { maxConnPerRoute: 1, ...NO_WAIT } }));
}

Deno.test("a host that takes one message a session, and leaves without a word: all go, by a connection each", () =>
  viaSmarthost({
    reply: (line, { messages }) => line.startsWith("MAIL") && messages.length > 0 ? null : undefined,
  }, async (world, server) => {
    const ids = people(5).flatMap((one) => world.send({ rcpts: [one] }));
    assert.deepEqual(await world.settled(ids), Array(5).fill("ok 250 2.0.0 queued"));
    assert.equal(server.sessions.length, 5);
  }, { limits: { maxConnPerRoute: 1, ...NO_WAIT } }));

Deno.test("421 4.5.3 to every recipient: they wait after one session", () =>
  viaSmarthost(
    { reply: (line) => line.startsWith("RCPT") ? "421 4.5.3 too many" : undefined },
    async (world, server) => {
      const texts = await world.settled(world.send({ rcpts: people(3) }));
      assert.deepEqual(texts, Array(3).fill("tempfail 421 4.5.3 too many"));
      assert.equal(server.sessions.length, 1);
    },
    { limits: { maxConnPerRoute: 1, ...NO_WAIT } },
  ));

Deno.test("what is left of a limit of the session is not taken for that of a transaction", () => {
  const reply = (line: string, session: ServerSession) => {
    const all = session.lines.filter((before) => before.startsWith("RCPT")).length;
    return line.startsWith("RCPT") && (session.accepted >= 3 || all > 5) ? "452 4.5.3 too many" : undefined;
  };
  return viaSmarthost({ reply }, async (world, server) => {
    const texts = await world.settled(world.send({ rcpts: people(12) }));
    assert.deepEqual(texts, Array(12).fill("ok 250 2.0.0 queued"));
    // 3 and 1, 3 and 2, 3: the refused ones count too.
    assert.deepEqual(server.sessions.map(({ lines }) => lines.filter((line) => line === "DATA").length), [2, 2, 1]);
  }, { limits: { maxConnPerRoute: 1 } });
});

Deno.test("a host that takes 2 messages a session, and refuses MAIL then with 452 4.5.3: by further connections", () =>
  viaSmarthost({
    reply: (line, { messages }) =>
      line.startsWith("MAIL") && messages.length >= 2 ? "452 4.5.3 too many messages" : undefined,
  }, async (world, server) => {
    const ids = people(5).flatMap((one) => world.send({ rcpts: [one] }));
    assert.deepEqual(await world.settled(ids), Array(5).fill("ok 250 2.0.0 queued"));
    assert.deepEqual(server.sessions.map(({ messages }) => messages.length), [2, 2, 1]);
  }, { limits: { maxConnPerRoute: 1 } }));

Deno.test("452 for a full mailbox does not end a session that carried others", () =>
  viaSmarthost({ reply: (line) => line.includes("<u1@") ? "452 4.2.2 full" : undefined }, async (world, server) => {
    const ids = people(3).flatMap((one) => world.send({ rcpts: [one] }));
    assert.deepEqual((await world.settled(ids)).map((text) => text.slice(0, 8)), ["ok 250 2", "tempfail", "ok 250 2"]);
    assert.equal(server.sessions.length, 1);
  }, { limits: { maxConnPerRoute: 1 } }));

const firsts = [
  { reply: "452 4.5.3 too many", want: "tempfail", status: { class: 4, code: "5.3" } },
  { reply: "452 4.3.1 no room", want: "tempfail", status: { class: 4, code: "3.1" } },
  { reply: "552 5.5.3 too many", want: "tempfail", status: { class: 4, code: "5.3" } },
  { reply: "552 5.2.2 full", want: "permfail", status: { class: 5, code: "2.2" } },
  { reply: "552 full", want: "permfail", status: { class: 5, code: "0.0" } },
];
for (const { reply, want, status } of firsts) {
  Deno.test(`"${reply}" for the first recipient of all: ${want}, without another transaction`, () =>
    viaSmarthost(limited(0, reply), async (world, server) => {
      const ids = world.send({ rcpts: people(3) });
      assert.deepEqual(await world.settled(ids), Array(3).fill(`${want} ${reply}`));
      assert.deepEqual((world.outcomes.get(ids[0]!) as { status?: unknown }).status, status);
      assert.equal(offered(server).length, 1);
    }));
}

Deno.test("552 5.2.2 behind accepted recipients is about a mailbox: it stays final", () =>
  viaSmarthost(limited(1, "552 5.2.2 full"), async (world, server) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: people(2) })), [
      "ok 250 2.0.0 queued",
      "permfail 552 5.2.2 full",
    ]);
    assert.equal(offered(server).length, 1);
  }));

Deno.test("452 for one full mailbox among others: its own transaction shows it, and others are still sent to together", () =>
  viaSmarthost({
    keywords: ["PIPELINING"],
    reply: (line) => line.includes("<u2@") ? "452 4.2.2 full" : undefined,
  }, async (world, server) => {
    const texts = await world.settled(world.send({ rcpts: people(5) }));
    assert.equal(texts[2], "tempfail 452 4.2.2 full");
    assert.equal(texts.filter((text) => text.startsWith("ok")).length, 4);
    await world.settled(world.send({ rcpts: people(2) }));
    assert.deepEqual(offered(server), [5, 1, 2]);
  }));

for (const keywords of [[], ["PIPELINING"]]) {
  Deno.test(`DATA refused for now behind such answers${keywords.length > 0 ? ", with PIPELINING" : ""}: nobody is tried again at once`, () =>
    viaSmarthost(
      limited(3, "452 4.5.3 too many", {
        keywords,
        reply: (line) => line === "DATA" ? "452 4.3.1 no room" : undefined,
      }),
      async (world, server) => {
        const texts = await world.settled(world.send({ rcpts: people(5) }));
        assert.deepEqual(texts, [
          ...Array(3).fill("tempfail 452 4.3.1 no room"),
          ...Array(2).fill("tempfail 452 4.5.3 too many"),
        ]);
        assert.equal(offered(server).length, 1);
      },
    ));
}

Deno.test("the message refused for good: so it is for those who were too many, and the host is not blamed", () =>
  viaSmarthost(limited(1, "452 4.5.3 too many", { dataReply: () => "554 5.7.1 no" }), async (world, server) => {
    const texts = await world.settled(world.send({ rcpts: people(14) }));
    assert.deepEqual(texts, Array(14).fill("permfail 554 5.7.1 no"));
    assert.equal(server.sessions.length, 1);
  }));

for (const at of ["DATA", "."]) {
  Deno.test(`552 5.5.3 to ${at}: half of the recipients at a time, as often as it takes`, () => {
    const refuse = (accepted: number) => accepted > 2 ? "552 5.5.3 too many" : undefined;
    return viaSmarthost({
      keywords: ["PIPELINING"],
      reply: (line, session) => line === "DATA" && at === "DATA" ? refuse(session.accepted) : undefined,
      ...(at === "." ? { dataReply: (session) => refuse(session.accepted) ?? "250 2.0.0 queued" } : {}),
    }, async (world, server) => {
      const texts = await world.settled(world.send({ rcpts: people(10) }));
      assert.deepEqual(texts, Array(10).fill("ok 250 2.0.0 queued"));
      assert.deepEqual(offered(server), [10, 5, 2, 2, 1, 2, 2, 1]);
    });
  });
}

Deno.test("552 5.5.3 to the data of a single recipient is not final, and not tried again at once", () =>
  viaSmarthost({ dataReply: () => "552 5.5.3 too many" }, async (world, server) => {
    assert.deepEqual(
      await world.settled(world.send({ rcpts: people(2) })),
      Array(2).fill("tempfail 552 5.5.3 too many"),
    );
    assert.deepEqual(offered(server), [2, 1, 1]);
  }));

for (const reply of ["451 4.7.1 Too many recipients in the last hour", "450 too many recipients, try later"]) {
  Deno.test(`"${reply}" to the data is about an hour: the message is sent once`, () =>
    viaSmarthost({ dataReply: () => reply }, async (world, server) => {
      const texts = await world.settled(world.send({ rcpts: people(8) }));
      assert.deepEqual(texts, Array(8).fill(`tempfail ${reply}`));
      assert.deepEqual(offered(server), [8]);
    }));
}

Deno.test("many unknown recipients of one message, sent to one by one, do not have the host left alone", () =>
  viaSmarthost({
    keywords: ["LIMITS RCPTMAX=1"],
    reply: (line) => line.startsWith("RCPT") ? "550 5.1.1 unknown" : undefined,
  }, async (world, server) => {
    const texts = await world.settled(world.send({ rcpts: people(20) }));
    assert.deepEqual(texts, Array(20).fill("permfail 550 5.1.1 unknown"));
    assert.equal(server.sessions.length, 1);
  }));
