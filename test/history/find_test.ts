/** Messages are found by everything that is known of them, and their stories are whole. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { find, story } from "../../src/history/mod.ts";
import { receivedLine } from "../../src/history/received_line.ts";
import type { HistoryQuery } from "../../src/protocol/mod.ts";
import { made, type TestHistory, withHistory } from "./harness.ts";

/** Five messages, one of which went through after two days, and a session that was refused. */
function fill(history: TestHistory): void {
  const two = { to: ["alice@example.org", "carol@dest.example"] };
  history.report(made.connected(1), made.accepted(1), made.attempt(1, "ok", "Ok (250 2.0.0 Ok: queued as 4F9XyZ)"));
  history.now += 1000;
  history.report(made.connected(2, "2001:db8::7"), made.accepted(2, { from: "", ...two }));
  history.report(
    made.attempt(2, "permfail", "PermFail (550 5.1.1 No such user here: carol@dest.example)", { index: 2 }),
  );
  history.report(made.attempt(2, "ok", "Ok (250 Thanks)"));
  history.now += 1000;
  history.report(
    made.connected(3),
    made.accepted(3, { from: "dave@example.org", to: ["x@far.example"], user: "Dave" }),
  );
  history.report(
    made.attempt(3, "tempfail", "TempFail (451 4.7.1 Greylisted for 299 seconds)", { to: "x@far.example" }),
  );
  history.now += 2000;
  history.report(made.connected(4, "192.0.2.9"), made.refused(4, "nobody@example.org"), made.disconnected(4));
  history.now += 1000;
  history.report(made.accepted(5, { to: ["held@example.org"] }));
  history.report({ type: "admin-act", by: "smtpctl:0", act: "hold", envelope: made.envelope(5) });
  history.now += 1000;
  history.report(made.accepted(6), {
    type: "queue-expire",
    ...{ agent: "mta", envelope: made.envelope(6), from: null, to: null, rcpt: null, delayMs: 1, stat: "Expired" },
  });
}

const START = Date.UTC(2030, 0, 1);
const REFUSED = made.session(4);

const rows: readonly { query: Partial<HistoryQuery>; want: readonly string[]; because: string }[] = [
  { query: { from: "bob@example.net" }, want: [made.id(6), made.id(5), made.id(1)], because: "whatever the case" },
  { query: { from: "<BOB@example.net>" }, want: [made.id(6), made.id(5), made.id(1)], because: "in brackets" },
  { query: { from: "bob" }, want: [made.id(6), made.id(5), made.id(1)], because: "a name without its domain" },
  { query: { from: "example.org" }, want: [made.id(3)], because: "or the domain alone" },
  { query: { from: "<>" }, want: [made.id(2)], because: "the null sender" },
  { query: { from: "bob@example.org" }, want: [], because: "nobody" },
  { query: { to: "carol@dest.example" }, want: [made.id(2)], because: "the second recipient" },
  { query: { to: "nobody@example.org" }, want: [REFUSED], because: "one that was refused" },
  { query: { to: "@dest.example" }, want: [made.id(2)], because: "a domain" },
  { query: { to: "*@*.example" }, want: [made.id(3), made.id(2)], because: "wildcards" },
  { query: { to: "c*l@dest*" }, want: [made.id(2)], because: "more of them" },
  { query: { to: "c?rol@dest.example" }, want: [], because: "a question mark is itself" },
  { query: { domain: "far.example" }, want: [made.id(3)], because: "of a recipient" },
  { query: { domain: "EXAMPLE.NET" }, want: [made.id(6), made.id(5), made.id(1)], because: "of a sender" },
  { query: { messageId: "<m3@mail.EXAMPLE.net>" }, want: [made.id(3)], because: "with brackets" },
  { query: { messageId: "M3@mail.example.net" }, want: [made.id(3)], because: "without" },
  { query: { id: made.id(3) }, want: [made.id(3)], because: "of a message" },
  { query: { id: made.envelope(2, 2) }, want: [made.id(2)], because: "of an envelope" },
  { query: { id: made.envelope(2, 9) }, want: [], because: "of none" },
  { query: { id: made.session(1) }, want: [made.id(1)], because: "of a session" },
  { query: { id: `${REFUSED}-1` }, want: [REFUSED], because: "of a refusal" },
  { query: { peer: "2001:db8::7" }, want: [made.id(2)], because: "IPv6" },
  { query: { peer: "[2001:db8::7]" }, want: [made.id(2)], because: "in brackets" },
  { query: { peer: "192.0.2.9" }, want: [REFUSED], because: "of a refusal" },
  { query: { login: "dave" }, want: [made.id(3)], because: "a login" },
  { query: { reply: "no such USER" }, want: [made.id(2)], because: "a part of a reply" },
  { query: { reply: "queued as 4f9xyz" }, want: [made.id(1)], because: "the other host's own id" },
  { query: { reply: "queued as 4f9*" }, want: [made.id(1)], because: "the begin of it" },
  { query: { reply: "5.1.1" }, want: [REFUSED, made.id(2)], because: "a code" },
  { query: { reply: "550 5.1" }, want: [REFUSED, made.id(2)], because: "the begin of a code" },
  { query: { reply: "carol@dest.example" }, want: [made.id(2)], because: "an address in it" },
  { query: { reply: "greylisted" }, want: [made.id(3)], because: "it is deferred" },
  { query: { outcome: "relayed" }, want: [made.id(1)], because: "all went through" },
  { query: { outcome: "mixed" }, want: [made.id(2)], because: "one did" },
  { query: { outcome: "deferred" }, want: [made.id(3)], because: "it will be tried again" },
  { query: { outcome: "refused" }, want: [REFUSED], because: "there is no message" },
  { query: { outcome: "held" }, want: [made.id(5)], because: "an administrator holds it" },
  { query: { outcome: "expired" }, want: [made.id(6)], because: "its time was over" },
  { query: { outcome: "bounced" }, want: [], because: "not all of it" },
  { query: { since: START + 4000, until: START + 5000 }, want: [made.id(5), REFUSED], because: "both included" },
  { query: { since: START + 6001 }, want: [], because: "nothing since" },
  { query: { from: "bob@example.net", outcome: "relayed" }, want: [made.id(1)], because: "both" },
  { query: { from: "bob@example.net", until: START }, want: [made.id(1)], because: "in this time" },
  { query: { words: ["alice@example.org", "bob"] }, want: [made.id(6), made.id(1)], because: "each word is one" },
  { query: { words: ["no such user"] }, want: [made.id(2)], because: "of a reply" },
  { query: { words: ["Greylisted"] }, want: [made.id(3)], because: "of its class, too" },
  { query: { words: ["deferred"] }, want: [made.id(3)], because: "an outcome" },
  { query: { words: ["dave"] }, want: [made.id(3)], because: "a login, a sender" },
  { query: { words: [made.envelope(6)] }, want: [made.id(6)], because: "an id" },
  { query: { words: ["dest.example"] }, want: [made.id(2)], because: "a domain" },
  {
    query: { words: ["*"] },
    want: [made.id(6), made.id(5), REFUSED, made.id(3), made.id(2), made.id(1)],
    because: "all",
  },
];

Deno.test("messages are found by each key, in a segment that is written, one that is sorted, and after a start", async (t) => {
  await withHistory(async (history) => {
    fill(history);
    const all = () => {
      for (const { query, want, because } of rows) {
        deepEqual(history.ids(query), want, `${JSON.stringify(query)}: ${because}`);
      }
    };
    await t.step("being written", all);
    history.store.close();
    history.open();
    await t.step("opened again", all);
    const [segment] = history.store.newestFirst();
    history.store.use(segment!, (one) => one.sort());
    await t.step("sorted", all);
    history.store.close();
    history.open();
    await t.step("sorted, and opened again", all);
  });
});

Deno.test("later attempts go where the message is, and count, though its segment is sorted", async () => {
  await withHistory((history) => {
    for (let number = 1; number <= 12; number++) history.report(made.connected(number), made.accepted(number));
    deepEqual(history.files(), ["00000001.db", "00000002.db", "00000003.db"]);
    history.store.close();
    history.open();
    history.now += 2 * 86_400_000;
    const said = "Ok (250 2.0.0 late123)";
    history.report({ type: "relay-tls", session: (1 + 0xf0000).toString(16).padStart(16, "0"), ciphers: "c" });
    history.report(made.attempt(1, "tempfail", "TempFail (451 wait)"), made.attempt(1, "ok", said));
    history.report(made.attempt(12, "ok", said));
    deepEqual(history.ids({ reply: "late123" }), [made.id(12), made.id(1)]);
    deepEqual(history.ids({ outcome: "relayed" }), [made.id(12), made.id(1)]);
    equal(history.ids({ outcome: "queued" }).length, 10);
    deepEqual(history.ids({ outcome: "deferred" }), []);
    const [found] = history.find({ id: made.id(1) });
    deepEqual([found!.lastAt - found!.at, found!.reply, found!.messageId], [
      2 * 86_400_000,
      said,
      "M1@mail.example.net",
    ]);
    deepEqual(history.story(made.id(1)), ["smtp-connected", "smtp-message", "relay-tls", "delivery", "delivery"]);
    history.store.close();
    history.open();
    deepEqual(history.ids({ reply: "late123" }), [made.id(12), made.id(1)]);
  }, { segmentMessages: 5 });
});

Deno.test("a story has what was said before its message, that of a session all of it, and each of two messages its own", async () => {
  await withHistory((history) => {
    history.report(made.connected(1), made.refused(1, "a@x.test"), made.accepted(1));
    history.report(
      { ...made.accepted(2), session: made.session(1) },
      made.refused(1, "b@x.test"),
      made.disconnected(1),
    );
    const dialogue = { type: "dialogue", session: made.session(1), side: "in", lines: [], before: 0 };
    history.report(dialogue);
    deepEqual(history.story(made.id(1)), ["smtp-connected", "smtp-failed-command", "smtp-message"]);
    deepEqual(history.story(made.id(2)), ["smtp-connected", "smtp-message"]);
    deepEqual(history.ids({ to: "b@x.test" }), [made.session(1)]);
    const whole = ["smtp-connected", "smtp-failed-command", "smtp-message", "smtp-message", "smtp-failed-command"];
    deepEqual(history.story(`${made.session(1)}-2`).toSorted(), [...whole, "smtp-disconnected"].toSorted());
    deepEqual(history.story(made.session(1), true), ["dialogue"]);
    for (const unknown of ["ffffffff", "f".repeat(16), "x", "", "zz-1"]) deepEqual(history.story(unknown), [], unknown);
  });
});

Deno.test("what was refused before a message is told with it, and is none of its recipients; a dialogue makes no entry", async () => {
  await withHistory((history) => {
    const dialogue = { type: "dialogue", session: made.session(1), side: "in", lines: [], before: 0 };
    history.report(
      made.connected(1),
      made.refused(1, "wrong@x.test"),
      made.accepted(1),
      dialogue,
      made.disconnected(1),
    );
    deepEqual(history.find({}).map(({ id, to, rcpts }) => ({ id, to, rcpts })), [
      { id: made.id(1), to: ["alice@example.org"], rcpts: 1 },
    ]);
    deepEqual(history.ids({ to: "wrong@x.test" }), [made.id(1)]);
    deepEqual(history.story(made.session(1), true), ["dialogue"]);
  });
});

Deno.test("details come as text, and a story is told without those that are not as they must be", async () => {
  const connected = { at: 1, isolate: "smtp-0", event: made.connected(1) };
  const detail = { confirmed: "pass", listener: "192.0.2.1:25", tag: "" };
  const line = receivedLine(`${JSON.stringify(connected)}\t${JSON.stringify(detail)}`);
  ok(typeof line === "object");
  deepEqual(line.recorded.event, { ...connected.event, detail });
  deepEqual(JSON.parse(line.text), line.recorded);
  equal(receivedLine(`${JSON.stringify(connected)}\t{`), "smtp-connected: detail is no JSON");
  for (const text of ["", "x", "7", "null", "[]", '{"at":"1","event":{"type":"x"}}', '{"at":1,"event":null}']) {
    equal(receivedLine(text), "it is no event", text);
  }
  const wrong = [{}, null, { ...detail, tag: 7 }, 7, "x", [], { origin: 7, sender: 7, envelopes: 7, rcpts: 7 }];
  await withHistory((history) => {
    for (const [at, one] of wrong.entries()) {
      history.report({ ...made.connected(at + 1), detail: one }, { ...made.accepted(at + 1), detail: one });
      history.report({ ...made.refused(at + 1, "x@y"), detail: one }, { type: "relay-tls", session: "s", detail: one });
      history.report({ ...made.attempt(at + 1, "ok", "Ok"), detail: one }, made.disconnected(at + 1));
      const { events } = story(history.store, made.id(at + 1), { dialogues: false });
      deepEqual(events.map(({ event }) => "detail" in event), events.map(() => false), JSON.stringify(one));
      ok(history.story(made.session(at + 1)).includes("smtp-failed-command"));
    }
    equal(history.find({}).length, 2 * wrong.length);
    history.report({ ...made.connected(99), detail }, made.accepted(99));
    deepEqual(
      (story(history.store, made.id(99), { dialogues: false }).events[0]!.event as { detail?: object }).detail,
      detail,
    );
  });
});

Deno.test("a notice is a message of its own, and the same id later another message", async () => {
  await withHistory((history) => {
    history.report(made.accepted(1), {
      ...{ type: "queue-dsn-written", message: made.id(1), requests: [], kind: "failed", rcpts: [], dsn: made.id(7) },
      ...{ to: { local: "bob", domain: "example.net" }, bytes: 9, envelopes: [{ id: made.envelope(7) }] },
    });
    history.report(made.attempt(7, "ok", "Ok (250 taken)", { to: "bob@example.net" }));
    const [notice] = history.find({ id: made.id(7) });
    deepEqual([notice!.from, notice!.to, notice!.outcome, notice!.session], [null, ["bob@example.net"], "relayed", ""]);
    deepEqual(history.story(made.id(7)), ["queue-dsn-written", "delivery"]);
    deepEqual(history.story(made.id(1)), ["smtp-message", "queue-dsn-written"]);
    history.now += 1000;
    history.report(made.accepted(1, { from: "new@example.net" }));
    equal(history.find({ id: made.id(1) }).length, 2);
    deepEqual(history.story(made.id(1)), ["smtp-message"]);
    deepEqual(history.ids({ from: "new" }), [made.id(1)]);
  });
});

Deno.test("a notice that was signed before it was written is one message, and no refusal", async () => {
  await withHistory((history) => {
    const written = {
      ...{ type: "queue-dsn-written", message: made.id(1), requests: [], kind: "failed", rcpts: [], dsn: made.id(7) },
      ...{ to: { local: "bob", domain: "example.net" }, bytes: 9, envelopes: [{ id: made.envelope(7) }] },
    };
    history.report({ type: "queue-signed", message: made.id(7), domain: "example.org", selectors: ["s"] });
    history.report({ type: "queue-unsigned", message: made.id(8), deferred: true, reason: "nobody answers" });
    deepEqual(history.ids({}), []);
    history.report(made.accepted(1), written);
    history.report(made.attempt(7, "ok", "Ok (250 taken)", { to: "bob@example.net" }));
    deepEqual(history.find({ id: made.id(7) }).map(({ outcome }) => outcome), ["relayed"]);
    deepEqual(history.story(made.id(7)), ["queue-signed", "queue-dsn-written", "delivery"]);
    deepEqual(history.ids({ outcome: "refused" }), []);
  });
});

Deno.test("what comes into the queue without a client is found at once, with its signature", async () => {
  await withHistory((history) => {
    const envelopes = [1, 2].map((index) => {
      const rcpt = { local: `user${index}`, domain: "example.net" };
      return { id: made.envelope(5, index), rcpt, dest: rcpt, agent: "mta", action: "a" };
    });
    history.report({ type: "queue-signed", message: made.id(5), domain: "example.org", selectors: ["s"] });
    history.report({
      ...{ type: "queue-message", message: made.id(5), how: "report", bytes: 9, envelopes, more: 0 },
      from: { local: "postmaster", domain: "example.org" },
    });
    const [one, ...others] = history.find({ to: "user2@example.net" });
    deepEqual([one!.id, one!.from, one!.outcome, one!.rcpts], [made.id(5), "postmaster@example.org", "queued", 2]);
    deepEqual([others, history.ids({ from: "postmaster" }), one!.bytes], [[], [made.id(5)], 9]);
    deepEqual(history.story(made.id(5)), ["queue-signed", "queue-message"]);
  });
});

Deno.test("a listing goes on where it ended, stops when its time is over, and says so", async () => {
  await withHistory((history) => {
    for (let number = 1; number <= 40; number++) history.report(made.accepted(number));
    const pages: string[][] = [];
    let before = "";
    for (let page = 0; page < 10; page++) {
      const asked = { query: { words: ["*"] }, limit: 9, before };
      const { messages, next, more } = find(history.store, asked, () => 0);
      equal(more, false);
      pages.push(messages.map(({ id }) => id));
      if (next === null) break;
      before = next;
    }
    deepEqual(pages.map(({ length }) => length), [9, 9, 9, 9, 4]);
    deepEqual(pages.flat(), Array.from({ length: 40 }, (_, at) => made.id(40 - at)));
    let now = 0;
    const slow = () => now += 10;
    const query = { words: [], to: "*nobody*" };
    const found: boolean[] = [];
    before = "";
    for (let page = 0; page < 20; page++) {
      const { messages, next, more } = find(history.store, { query, limit: 50, before }, slow);
      deepEqual(messages, []);
      found.push(more);
      if (next === null) break;
      before = next;
    }
    ok(found.length > 2 && found.slice(0, -1).every((more) => more) && found.at(-1) === false, found.join());
    for (const nonsense of ["x", "1.1.1", "99999999999.1", "-1.0"]) {
      const { messages } = find(history.store, { query: { words: [] }, limit: 1, before: nonsense }, () => 0);
      equal(messages[0]!.id, made.id(40), nonsense);
    }
  }, { segmentMessages: 7 });
});

Deno.test("of a message that was tried very often the begin and the end are told, and its outcome is known after a start", async () => {
  await withHistory((history) => {
    const tries = Array.from({ length: 6_100 }, (_, at) => made.attempt(1, "tempfail", `451 4.7.1 Later (${at})`));
    history.report(made.accepted(1), ...tries);
    history.now += 1;
    history.report(made.attempt(1, "ok", "250 2.0.0 At last"));
    history.store.close();
    history.open();
    deepEqual(history.find({}).map(({ outcome, reply }) => [outcome, reply]), [["relayed", "250 2.0.0 At last"]]);
    const { events, truncated } = story(history.store, made.id(1), { dialogues: false });
    deepEqual([truncated, events.length], [true, 2_000]);
    equal(events[0]!.event.type, "smtp-message");
    match(JSON.stringify(events.at(-1)), /At last/);
  });
});

Deno.test("dialogues of a message that was tried very often go through the door in one piece of some size", async () => {
  await withHistory((history) => {
    const lines = Array.from({ length: 64 }, (_, ms) => ({ ms, from: "server", text: "x".repeat(500) }));
    const spoken = Array.from({ length: 600 }, (_, at) => {
      return { type: "dialogue", session: made.session(at), side: "out", message: made.id(1), lines, before: at };
    });
    history.report(made.accepted(1), ...spoken);
    const { events, truncated } = story(history.store, made.id(1), { dialogues: true });
    equal(truncated, true);
    ok(JSON.stringify(events).length < 9 * 1024 ** 2);
    match(JSON.stringify([events[0], events.at(-1)]), /"before":0.*"before":599/);
  });
});
