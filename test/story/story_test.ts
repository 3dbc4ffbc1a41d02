/** Recorded events, and the story that is told of them, word by word: stories/NAME.txt has each. */

import assert from "node:assert/strict";
import type { RecordedEvent } from "../../src/events/mod.ts";
import { REPLY_CLASSES } from "../../src/reply_class/mod.ts";
import { type Present, type Story, storyOf } from "../../src/story/mod.ts";
import {
  accepted,
  attempt,
  connected,
  disconnected,
  DSN,
  envelopeOf,
  mailbox,
  MESSAGE,
  queued,
  recorded,
  refused,
  routed,
  SESSION,
  T0,
} from "./recorded.ts";

const FOLDER = new URL("stories/", import.meta.url);

/** The story as text: seconds, level, sentence, and what stands below it. */
function text({ headline, level, facts, lines, now, notes }: Story): string {
  const { from, to, recipients, peer, login, messageId, bytes } = facts;
  return [
    `${level}: ${headline}`,
    `facts: ${[from, `${to.join(" ")} of ${recipients}`, peer, login, messageId, bytes].join(" | ")}`,
    ...lines.flatMap(({ at, level, text, detail = [] }) => [
      `${String((at - T0) / 1000).padStart(6)} ${level.padEnd(4)} ${text}`,
      ...detail.map((line) => `            ${withoutMeaning(line)}`),
    ]),
    ...now.map((line) => `now: ${line}`),
    ...notes.map((line) => `note: ${line}`),
    "",
  ].join("\n");
}

/** What a class means is said by src/reply_class, whose words have tests of their own. */
function withoutMeaning(line: string): string {
  const cls = REPLY_CLASSES.find((one) => line.startsWith(`${one}: `));
  return cls === undefined ? line : `${cls}: what it means, and what to do`;
}

const present = (seconds: number, envelopes: Present["envelopes"], more: Partial<Present> = {}): Present => ({
  now: T0 + seconds * 1000,
  envelopes,
  more: false,
  notes: [],
  ...more,
});
const BOB = "bob@example.org", CAROL = "carol@example.net", DAVE = "dave@example.net";
const FULL = "452 4.2.2 mailbox full", GONE = "550 5.1.1 No such user here";

interface Recording {
  readonly events: readonly RecordedEvent[];
  readonly id?: string;
  readonly present?: Present | null;
  readonly truncated?: boolean;
}

const full = (seconds: number, tries: number) =>
  attempt(seconds, 1, { rcpt: BOB, stat: FULL, detail: { code: 452, stage: "RCPT", durationMs: 120, tries } });
const many = Array.from({ length: 1000 }, (_, index) => `user${index + 1}@example.net`);

/** By the name of the file. */
const STORIES: Readonly<Record<string, Recording>> = {
  "deferred": {
    events: [
      connected(),
      recorded(0.2, { type: "smtp-tls", session: SESSION, ciphers: "TLSv1.3:TLS_AES_256_GCM_SHA384:256" }),
      recorded(0.4, { type: "smtp-authentication", session: SESSION, user: "alice", result: "ok", mechanism: "PLAIN" }),
      accepted(1, [{ rcpt: BOB }]),
      recorded(1, {
        type: "smtp-signed",
        session: SESSION,
        message: MESSAGE,
        domain: "example.com",
        selectors: ["s1", "s2"],
      }, "smtp-1"),
      disconnected(2),
      full(3, 1),
      full(400, 2),
      full(1300, 3),
    ],
    present: present(1500, [queued(1, BOB, { tries: 3, error: FULL, at: T0 + 2_700_000 })]),
  },
  "deferred-many-times": {
    events: [accepted(1, [{ rcpt: BOB }]), ...Array.from({ length: 30 }, (_, at) => full(100 * (at + 1), at + 1))],
    present: present(3100, [
      queued(1, BOB, { tries: 30, error: FULL, state: "held", at: T0 + 3_050_000, wait: "relaying is paused" }),
    ]),
  },
  "deferred-without-an-answer": {
    events: [
      accepted(1, [{ rcpt: BOB }]),
      attempt(2, 1, { rcpt: BOB, stat: "Connection refused", detail: { tries: 1 } }),
    ],
    present: present(5, [queued(1, BOB, { tries: 1, error: "Connection refused", state: "inflight", at: T0 + 4_000 })]),
  },
  "delivered-by-alias": {
    events: [
      connected(),
      accepted(1, [{ rcpt: "team@example.org", dest: BOB, agent: "mda", action: "inbox" }, {
        rcpt: "team@example.org",
        dest: CAROL,
      }], {
        routed: [routed("team@example.org", {
          result: "expanded",
          action: "inbox",
          children: [
            {
              address: "bob",
              how: "alias",
              table: "aliases",
              rule: null,
              result: "action",
              action: "inbox",
              goal: { kind: "maildir", user: "bob", text: "" },
              children: [],
            },
            routed(CAROL, {
              how: "alias",
              table: "aliases",
              rule: { file: "/etc/smtpd.conf", line: 14 },
              action: "out",
            }),
            {
              address: "bob",
              how: "forward",
              table: "/home/carol/.forward:2",
              rule: null,
              result: "dropped",
              children: [],
            },
          ],
        })],
        suppressed: [{ rcpt: mailbox("bob@example.org"), dest: mailbox(BOB), by: envelopeOf(1) }],
      }, { mailAuth: { spf: "pass", dkim: "fail", arc: "none", dmarc: "fail", policy: "quarantine" } }),
      attempt(1.2, 1, {
        rcpt: "team@example.org",
        dest: BOB,
        agent: "mda",
        outcome: "ok",
        stat: "Delivered",
        detail: {},
      }),
      attempt(2, 2, {
        rcpt: "team@example.org",
        dest: CAROL,
        outcome: "ok",
        stat: "250 2.0.0 Ok: queued as 4XYZ",
        detail: {
          code: 250,
          durationMs: 310.4,
          tls: { ciphers: "TLSv1.3:TLS_AES_256_GCM_SHA384:256", verified: true, fingerprint: "SHA256:00" },
        },
      }),
    ],
    present: present(10, []),
  },
  "bounced": {
    events: [
      accepted(1, [{ rcpt: CAROL }]),
      attempt(3, 1, { rcpt: CAROL, outcome: "permfail", stat: GONE, detail: { code: 550, stage: "RCPT", tries: 1 } }),
      recorded(3, {
        type: "queue-dsn-asked",
        envelope: envelopeOf(1),
        request: envelopeOf(9),
        kind: "failed",
        rcpt: mailbox(CAROL),
        status: { class: 5, code: "1.1" },
      }, "queue"),
      recorded(4, {
        type: "queue-dsn-written",
        message: MESSAGE,
        requests: [envelopeOf(9)],
        kind: "failed",
        rcpts: [mailbox(CAROL)],
        dsn: DSN,
        to: mailbox("alice@example.com"),
        bytes: 2000,
        envelopes: [],
      }, "queue"),
    ],
    present: present(10, []),
  },
  "the-dsn-itself": {
    id: DSN,
    events: [
      recorded(4, {
        type: "queue-dsn-written",
        message: MESSAGE,
        requests: [envelopeOf(9)],
        kind: "failed",
        rcpts: [mailbox(CAROL)],
        dsn: DSN,
        to: mailbox("alice@example.com"),
        bytes: 2000,
        envelopes: [{
          id: envelopeOf(1, DSN),
          rcpt: mailbox("alice@example.com"),
          dest: mailbox("alice@example.com"),
          agent: "mta",
          action: "out",
        }],
      }, "queue"),
      attempt(6, 1, {
        message: DSN,
        rcpt: "alice@example.com",
        from: "",
        outcome: "ok",
        stat: "250 2.0.0 Ok",
        detail: { code: 250 },
      }),
    ],
    present: present(10, []),
  },
  "expired": {
    events: [
      accepted(1, [{ rcpt: BOB }]),
      full(3, 1),
      recorded(345_600, {
        type: "queue-expire",
        agent: "mta",
        envelope: envelopeOf(1),
        from: mailbox("alice@example.com"),
        to: mailbox(BOB),
        rcpt: mailbox(BOB),
        delayMs: 345_599_000,
        stat: "Envelope expired",
      }, "queue"),
      recorded(
        345_601,
        { type: "queue-dsn-dropped", envelope: envelopeOf(1), reason: "the sender wants none" },
        "queue",
      ),
    ],
    present: present(345_610, []),
  },
  "removed": {
    events: [
      accepted(1, [{ rcpt: BOB }]),
      recorded(60, {
        type: "queue-remove",
        agent: "mta",
        envelope: envelopeOf(1),
        from: mailbox("alice@example.com"),
        to: mailbox(BOB),
        rcpt: mailbox(BOB),
        delayMs: 59_000,
        stat: "Removed by administrator",
      }, "queue"),
      recorded(60, { type: "admin-act", by: "admin:root", act: "remove", message: MESSAGE, count: 1 }, "control"),
    ],
    present: present(61, []),
  },
  "removed-with-many-recipients": {
    events: [
      accepted(1, many.slice(0, 40).map((rcpt) => ({ rcpt }))),
      ...many.slice(0, 40).flatMap((rcpt, at) => [
        recorded(60, {
          type: "queue-remove",
          agent: "mta",
          envelope: envelopeOf(at + 1),
          from: mailbox("alice@example.com"),
          to: mailbox(rcpt),
          rcpt: mailbox(rcpt),
          delayMs: 59_000,
          stat: "Removed by administrator",
        }, "queue"),
        recorded(60, { type: "admin-act", by: "smtpctl", act: "remove", envelope: envelopeOf(at + 1) }, "control"),
      ]),
    ],
    present: present(61, []),
  },
  "no-such-domain": {
    events: [
      accepted(1, [{ rcpt: "bob@nowhere.invalid" }, { rcpt: "eve@nowhere.invalid" }]),
      ...[1, 2].flatMap((envelope) => [
        attempt(2, envelope, {
          rcpt: `${envelope === 1 ? "bob" : "eve"}@nowhere.invalid`,
          outcome: "permfail",
          stat: "Domain does not exist",
        }),
        recorded(2, {
          type: "queue-dsn-asked",
          envelope: envelopeOf(envelope),
          request: envelopeOf(envelope + 8),
          kind: "failed",
          rcpt: mailbox(`${envelope === 1 ? "bob" : "eve"}@nowhere.invalid`),
          status: { class: 5, code: "1.2" },
        }, "queue"),
      ]),
    ],
    present: present(10, []),
  },
  "held": {
    events: [accepted(1, [{ rcpt: BOB }])],
    present: present(61, [queued(1, BOB, { suspended: true, state: "suspended" })]),
  },
  "several-fates": {
    events: [
      connected(),
      refused(0.5, { command: "RCPT TO:<nobody@example.org>", reply: GONE, sender: mailbox("alice@example.com") }),
      accepted(1, [{ rcpt: BOB }, { rcpt: CAROL }, { rcpt: DAVE }]),
      full(3, 1),
      attempt(3, 2, { rcpt: CAROL, outcome: "permfail", stat: GONE, detail: { code: 550, stage: "RCPT", tries: 1 } }),
      attempt(3, 3, { rcpt: DAVE, outcome: "ok", stat: "250 2.0.0 Ok", detail: { code: 250 } }),
    ],
    present: present(100, [queued(1, BOB, { tries: 1, error: FULL, at: T0 + 400_000 })]),
  },
  "an-envelope-of-several": {
    id: envelopeOf(2),
    events: [
      accepted(1, [{ rcpt: BOB }, { rcpt: CAROL }]),
      full(3, 1),
      attempt(3, 2, { rcpt: CAROL, outcome: "ok", stat: "250 2.0.0 Ok", detail: { code: 250 } }),
    ],
    present: present(100, []),
  },
  "a-thousand-recipients": {
    events: [
      accepted(1, many.map((rcpt) => ({ rcpt })), {
        routed: many.slice(0, 100).map((rcpt) => routed(rcpt, { action: "out" })),
      }),
      ...many.slice(0, 900).map((rcpt, at) =>
        attempt(3 + Math.floor(at / 100), at + 1, { rcpt, outcome: "ok", stat: `250 Ok ${at}`, detail: { code: 250 } })
      ),
      ...many.slice(900, 990).map((rcpt, at) =>
        attempt(20, 901 + at, {
          rcpt,
          stat: "451 4.7.1 Too many messages, slow down",
          detail: { code: 451, stage: "RCPT" },
        })
      ),
      ...many.slice(990).map((rcpt, at) =>
        attempt(21, 991 + at, { rcpt, outcome: "permfail", stat: GONE, detail: { code: 550, stage: "RCPT" } })
      ),
    ],
    present: present(
      100,
      many.slice(900, 990).map((rcpt, at) => queued(901 + at, rcpt, { tries: 1, at: T0 + 400_000 })),
    ),
  },
  "many-by-one-virtual-table": {
    events: [
      accepted(1, many.slice(0, 60).map((rcpt) => ({ rcpt, agent: "mda", action: "inbox" })), {
        routed: many.slice(0, 60).map((rcpt) =>
          routed(rcpt, {
            result: "expanded",
            children: [{
              address: "nobody",
              how: "virtual",
              table: "<dynamic:0>",
              rule: null,
              result: "action",
              action: "inbox",
              goal: { kind: "maildir", user: "nobody", text: "" },
              children: [],
            }],
          })
        ),
      }),
      ...many.slice(0, 60).map((rcpt, at) =>
        attempt(2, at + 1, { rcpt, agent: "mda", outcome: "ok", stat: "Delivered", detail: {} })
      ),
    ],
    present: present(10, []),
  },
  "a-refused-recipient": {
    id: `${SESSION}-1`,
    events: [
      connected(),
      refused(1, {
        command: "RCPT TO:<nobody@example.org>",
        reply: "550 5.1.1 No such user: nobody@example.org",
        sender: mailbox("alice@example.com"),
        rcpts: ["nobody@example.org"],
        routed: routed("nobody@example.org", { result: "unknown", action: "inbox" }),
      }),
      disconnected(2),
    ],
  },
  "a-session-that-was-refused": {
    id: SESSION,
    events: [
      connected(),
      recorded(0.5, {
        type: "smtp-authentication",
        session: SESSION,
        user: "eve",
        result: "permfail",
        mechanism: "LOGIN",
      }),
      refused(0.6, { command: "AUTH LOGIN", reply: "535 5.7.8 Authentication failed" }),
      refused(0.9, {
        command: "MAIL FROM:<eve@example.com>",
        reply: "550 5.7.1 Not now",
        filter: { filter: "spam", kind: "program", phase: "mail-from", decision: "reject", text: "550 5.7.1 Not now" },
      }),
      recorded(1, { type: "smtp-bad-input", session: SESSION, reply: "500 5.5.1 What?", address: "192.0.2.9" }),
      disconnected(2, "limit on errors reached"),
    ],
  },
  "a-session-without-a-message": { id: SESSION, events: [connected(), disconnected(2, "disconnect")] },
  "history-off": {
    events: [],
    present: present(100, [
      queued(1, BOB, { tries: 3, error: FULL, at: T0 + 1_000_000, lastTryAt: T0 + 50_000 }),
      queued(2, CAROL, { state: "held", wait: "relay waits for the DNS to tell the mail exchangers" }),
    ], { notes: ["This is what the queue knows: the history is off."] }),
  },
  "taken-in-from-files": {
    events: [
      recorded(0, {
        ...{ type: "queue-message", message: MESSAGE, how: "import", from: null, bytes: 1234, more: 3 },
        envelopes: [{ id: envelopeOf(1), rcpt: mailbox(BOB), dest: mailbox(BOB), agent: "mta", action: "out" }],
      }),
    ],
    present: present(100, [queued(1, BOB)]),
  },
  "lost-sight-of": { events: [accepted(1, [{ rcpt: BOB }]), full(3, 1)], present: present(1000, []), truncated: true },
  "the-queue-does-not-answer": { events: [accepted(1, [{ rcpt: BOB }]), full(3, 1)], present: present(1000, null) },
};

for (const [name, { events, id = MESSAGE, present = null, truncated = false }] of Object.entries(STORIES)) {
  Deno.test(`the story of ${name.replaceAll("-", " ")}`, () => {
    const written = text(storyOf(events, { id, present, truncated }));
    assert.equal(written, Deno.readTextFileSync(new URL(`${name}.txt`, FOLDER)));
  });
}

Deno.test("every told text is that of a story", () => {
  const files = [...Deno.readDirSync(FOLDER)].map((entry) => entry.name.replace(/\.txt$/, ""));
  assert.deepEqual(files.sort(), Object.keys(STORIES).sort());
});

Deno.test("events of another version, or of none, are left out and counted", () => {
  const others = [
    { type: "smtp-message", session: SESSION, message: MESSAGE, bytes: 1, rcpts: 1, proto: "ESMTP", detail: {} },
    { type: "smtp-failed-command", session: SESSION },
    { type: "delivery", agent: "mta", envelope: envelopeOf(2), outcome: "ok" },
    { type: "queue-dsn-written", dsn: MESSAGE },
    { type: "smtp-connected" },
    { type: "queue-expire", envelope: envelopeOf(3) },
    { type: "from-the-future", message: MESSAGE, said: { what: 1 } },
  ] as unknown as RecordedEvent["event"][];
  const events = [...others.map((event) => recorded(0, event)), accepted(1, [{ rcpt: BOB }]), full(3, 1)];
  const story = storyOf(events, { id: MESSAGE });
  assert.match(story.headline, /^Not delivered yet to bob@example\.org: /);
  assert.deepEqual(story.notes, ["5 events were recorded by another version, and cannot be read."]);
});

Deno.test("a story is bounded, however much happened", () => {
  const events = Array.from(
    { length: 2_000 },
    (_, at) =>
      attempt(at * 120, at + 1, { rcpt: `u${at}@example.org`, stat: `451 ${"x".repeat(5_000)} ${at}`, detail: {} }),
  );
  const story = storyOf(events, { id: MESSAGE, truncated: true });
  assert.ok(story.lines.length <= 300, `${story.lines.length} lines`);
  assert.ok(JSON.stringify(story).length < 600_000, `${JSON.stringify(story).length} characters`);
  assert.equal(story.notes.length, 1);
});
