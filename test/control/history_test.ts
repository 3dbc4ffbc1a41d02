/** find and story: what control asks of the history, the queue and the scheduler, how it joins that, and what it says when one of them has nothing to say. */

import assert from "node:assert/strict";
import { ControlRequests } from "../../src/control/requests.ts";
import type { ControlAnswer } from "../../src/control/protocol.ts";
import type { ControlRequest } from "../../src/control/parse.ts";
import { Stats } from "../../src/events/mod.ts";
import type { FoundMessage } from "../../src/protocol/mod.ts";
import { accepted, attempt, envelopeOf, MESSAGE, SESSION, T0 } from "../story/recorded.ts";
import { type Answers, envelope, FakeSystem } from "./harness.ts";

const FULL = "452 4.2.2 mailbox full";
const STATE = { messages: 1, bytes: 1, segments: 1, oldestAt: T0, leftOut: 0, stopped: null, damaged: [] };
const QUEUED = envelope(envelopeOf(1), { tries: 3, errorLine: FULL });
const EVENTS = [accepted(1, [{ rcpt: "bob@example.net" }]), attempt(2, 1, { rcpt: "bob@example.net", stat: FULL })];

function found(id: string): FoundMessage {
  return {
    id,
    session: SESSION,
    at: T0,
    lastAt: T0,
    from: "alice@example.com",
    to: ["bob@example.net"],
    rcpts: 1,
    peer: "192.0.2.9",
    login: "",
    messageId: "one@example.com",
    bytes: 1,
    outcome: "deferred",
    reply: FULL,
    replyClass: "mailbox-full",
  };
}

/** A queue with one envelope that waits, and a history that has its events. */
const ANSWERS: Answers = {
  list: ({ message }) => ({ type: "listed", envelopes: message === MESSAGE ? [QUEUED] : [], next: null }),
  waits: ({ ids }) => ({
    type: "waits",
    waits: (ids as string[]).map((id) => ({
      state: { id, state: "pending", at: Date.now() + 1_200_000 },
      lane: {
        agent: "mta",
        action: "out",
        name: "example.net",
        envelopes: 1,
        inflight: 0,
        jobs: 0,
        maxJobs: 20,
        limit: "open",
      },
    })),
  }),
  "show-records": () => ({ type: "records", relays: [] }),
  find: () => ({ type: "found", messages: [], next: null, more: false }),
  story: ({ id }) => ({ type: "story", events: id === MESSAGE ? EVENTS : [], truncated: false }),
  dialogue: () => ({
    type: "dialogue",
    truncated: false,
    events: [{
      at: T0,
      isolate: "relay",
      event: {
        type: "dialogue",
        session: SESSION,
        side: "out",
        before: 2,
        lines: [{ ms: 12, from: "client", text: "RCPT TO:<bob@example.net>" }],
      },
    }],
  }),
  "history-state": () => ({ type: "history-state", state: STATE }),
};

async function ask(
  request: ControlRequest,
  answers: Answers = {},
  { recording = true }: { readonly recording?: boolean } = {},
): Promise<ControlAnswer[]> {
  const system = new FakeSystem({ ...ANSWERS, ...answers });
  system.recording = recording;
  const { isolate } = system;
  const all: ControlAnswer[] = [];
  for await (const answer of new ControlRequests(isolate, system.callers(), new Stats(), () => {}).answer(request)) {
    all.push(answer);
  }
  return all;
}

const FIND: ControlRequest = { do: "find", query: { words: ["bob"] }, limit: 50, before: "" };
const story = (id: string, dialogue = false): ControlRequest => ({ do: "story", id, dialogue });
const errorOf = (answers: readonly ControlAnswer[]) => {
  const last = answers.at(-1)!;
  assert.ok("ok" in last && !last.ok, JSON.stringify(last));
  return last.error;
};

Deno.test("find: what was found, and how the search ended", async () => {
  const page = { type: "found", messages: [found(MESSAGE)], next: "cursor", more: false };
  assert.deepEqual(await ask(FIND, { find: () => page }), [
    { found: found(MESSAGE) },
    { search: { next: "cursor", stopped: false, oldestAt: T0, notes: [] } },
    { ok: true },
  ]);
});

Deno.test("find goes on while the history needs more time, and not for ever", async () => {
  let asked = 0;
  const slow = () => ({
    type: "found",
    messages: asked++ < 2 ? [found(MESSAGE)] : [],
    next: `at ${asked}`,
    more: true,
  });
  const answers = await ask(FIND, { find: slow });
  assert.equal(asked, 20);
  assert.equal(answers.filter((one) => "found" in one).length, 2);
  const end = answers.find((one) => "search" in one)!;
  assert.deepEqual(end, { search: { next: "at 20", stopped: true, oldestAt: T0, notes: [] } });
});

Deno.test("find says what is wrong with the history", async () => {
  const state = { ...STATE, leftOut: 3, stopped: "the disk is full", damaged: ["12.sqlite: not a database"] };
  const answers = await ask(FIND, { "history-state": () => ({ type: "history-state", state }) });
  const end = answers.find((one) => "search" in one)!;
  assert.ok("search" in end);
  assert.deepEqual(end.search.notes, [
    "nothing is recorded now: the disk is full",
    "a part of the history cannot be read and was set aside: 12.sqlite: not a database",
    "3 events were not recorded since the history was started",
  ]);
});

Deno.test("while the history is off, find says what to write", async () => {
  assert.equal(
    errorOf(await ask(FIND, {}, { recording: false })),
    'nothing is recorded, the history is off: write "history keep 30d" in /etc/smtpd.conf, then smtpctl reload',
  );
});

Deno.test("a story joins events and queue", async () => {
  const [answer, end] = await ask(story(MESSAGE.toUpperCase()));
  assert.deepEqual(end, { ok: true });
  assert.ok(answer !== undefined && "story" in answer);
  assert.match(
    answer.story.headline,
    /^Not delivered yet to bob@example.net: mx.example.org \(192.0.2.7\) answered 452 4.2.2 mailbox full; tried 3 times, next try in about 20 minutes\.$/,
  );
  assert.equal(answer.story.lines.length, 3);
});

Deno.test("a story with its dialogue", async () => {
  const [, said] = await ask(story(MESSAGE, true));
  assert.ok(said !== undefined && "dialogue" in said);
  assert.deepEqual([said.dialogue.session, said.dialogue.before, said.dialogue.lines.length], [SESSION, 2, 1]);
});

Deno.test("while the history is off, the story is what the queue knows", async () => {
  const [answer] = await ask(story(MESSAGE), {}, { recording: false });
  assert.ok(answer !== undefined && "story" in answer);
  assert.match(
    answer.story.headline,
    /^Not delivered yet to bob@example.net: the last answer was 452 4.2.2 mailbox full; tried 3 times/,
  );
  assert.match(answer.story.notes[0]!, /^This is what the queue knows: nothing is recorded, .* smtpctl reload\.$/);
});

Deno.test("a queued message that the history has nothing of says so", async () => {
  const [answer] = await ask(story(MESSAGE), { story: () => ({ type: "story", events: [], truncated: false }) });
  assert.ok(answer !== undefined && "story" in answer);
  assert.match(answer.story.headline, /^Not delivered yet to bob@example.net: the last answer was /);
  assert.deepEqual(answer.story.notes, ["This is what the queue knows: the history has nothing of it."]);
});

Deno.test("what has just left the queue, and is not in the history yet, is asked for once more", async () => {
  let asked = 0;
  const last = attempt(3, 1, { rcpt: "bob@example.net", outcome: "ok", stat: "250 Ok", detail: { code: 250 } });
  const [answer] = await ask(story(MESSAGE), {
    list: () => ({ type: "listed", envelopes: [], next: null }),
    story: () => ({ type: "story", events: asked++ === 0 ? EVENTS : [...EVENTS, last], truncated: false }),
  });
  assert.ok(answer !== undefined && "story" in answer);
  assert.match(answer.story.headline, /^Relayed for bob@example\.net: /);
});

Deno.test("a history that has stopped says so", async () => {
  const [answer] = await ask(story(MESSAGE), {
    "history-state": () => ({ type: "history-state", state: { ...STATE, stopped: "the disk is full" } }),
  });
  assert.ok(answer !== undefined && "story" in answer);
  assert.deepEqual(answer.story.notes, ["Nothing is recorded now: the disk is full."]);
});

Deno.test("nothing known: where it was looked for, and what could help", async () => {
  const none = story("0000ffff");
  assert.equal(
    errorOf(await ask(none)),
    `0000ffff is not in the queue, and nothing is known of it in the history, which goes back to ${
      new Date(T0).toISOString()
    }`,
  );
  assert.match(
    errorOf(await ask(none, {}, { recording: false })),
    /^0000ffff is not in the queue; nothing is recorded, /,
  );
  const empty = () => ({ type: "history-state", state: { ...STATE, oldestAt: null } });
  assert.match(errorOf(await ask(none, { "history-state": empty })), /in the history, which is empty yet$/);
});

Deno.test("a Message-ID leads to its message where it is the only one", async () => {
  const pages = (...ids: string[]) => ({
    find: () => ({ type: "found", messages: ids.map(found), next: null, more: false }),
  });
  const [answer] = await ask(story("<one@example.com>"), pages(MESSAGE));
  assert.ok(answer !== undefined && "story" in answer);
  assert.equal(answer.story.id, MESSAGE);
  assert.equal(
    errorOf(await ask(story("one@example.com"), pages(MESSAGE, "0000ffff"))),
    `2 messages have the Message-ID one@example.com: ${MESSAGE} 0000ffff`,
  );
  assert.match(errorOf(await ask(story("two@example.com"))), /^the history has no message with the Message-ID two@/);
  assert.match(errorOf(await ask(story("two@example.com"), {}, { recording: false })), /^nothing is recorded, /);
});

Deno.test("what is no id is refused with what one looks like", async () => {
  assert.match(errorOf(await ask(story("bob"))), /^"bob" is no id: that of a message has 8 hexadecimal digits/);
});
