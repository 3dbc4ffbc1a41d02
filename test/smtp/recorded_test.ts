/** What the history is told of sessions: refusals with their id, messages with all that was decided, dialogues without secrets. */

import assert from "node:assert/strict";
import type { Routed } from "../../src/envelope/mod.ts";
import type { DialogueEvent, Event } from "../../src/events/mod.ts";
import type { FilterToSession } from "../../src/protocol/mod.ts";
import { doorFault } from "../isolate/event_details.ts";
import { MAX_REPLY_OCTETS } from "../../src/smtp/session/reply.ts";
import { withRef } from "../../src/smtp/session/recorded.ts";
import { byName, type Client, delivered, settings, World, type WorldOptions } from "./support.ts";

const SHARED = { ...settings([]).shared, recording: true } as const;

function recording(options: WorldOptions = {}): World {
  return new World({ ...options, settings: { shared: SHARED, ...options.settings } });
}

/** Each passes the door to control. */
function eventsOf<T extends Event["type"]>(world: World, type: T): Extract<Event, { type: T }>[] {
  for (const event of world.events) assert.equal(doorFault("smtp", event), null, event.type);
  return world.events.filter((event) => event.type === type) as Extract<Event, { type: T }>[];
}

const routed: Routed = { address: "nobody", how: "recipient", rule: null, result: "unknown", children: [] };
const withTree: WorldOptions["expand"] = (question) => {
  const result = byName(question);
  return result === null || question.explain !== true ? result : { ...result, routed };
};

/** Says lines one after the other and returns the last reply. */
async function talk(client: Client, ...lines: string[]): Promise<string> {
  let last = "";
  for (const line of lines) last = await client.say(`${line}\r\n`);
  return last;
}

function shownOf({ lines }: DialogueEvent): string {
  return lines.map(({ from, text }) => `${from === "client" ? "C" : "S"}: ${text}`).join("\n");
}

Deno.test("a refusal has an id that names session and place, what the session knew, and the tree of the recipient", async () => {
  const world = recording({ expand: withTree, listener: { tag: "out" }, settings: { refs: true } });
  const client = await world.connect();
  await client.say("EHLO a.example\r\n");
  assert.match(await client.say("DATA\r\n"), /^503 .*\(ref [0-9a-f]{16}-1\)\r\n$/);
  const said = await talk(client, "MAIL FROM:<a@x.test>", "RCPT TO:<nobody@example.org>");
  assert.match(said, /^550 5\.1\.1 User unknown: <nobody@example\.org> \(ref [0-9a-f]{16}-2\)\r\n$/);
  client.leave();
  const [first, second] = eventsOf(world, "smtp-failed-command");
  const { session } = first!;
  assert.deepEqual([first!.detail!.ref, second!.detail!.ref], [`${session}-1`, `${session}-2`]);
  assert.ok(said.includes(`(ref ${second!.detail!.ref})`));
  const { origin, ...rest } = second!.detail!;
  assert.deepEqual(rest, {
    ref: `${session}-2`,
    host: "client.example.net",
    tag: "out",
    ciphers: null,
    sender: { local: "a", domain: "x.test" },
    rcpts: ["nobody@example.org"],
    routed,
  });
  assert.equal(origin!.helo, "a.example");
  assert.deepEqual(eventsOf(world, "smtp-connected")[0]!.detail, {
    confirmed: "pass",
    listener: "0.0.0.0:25",
    tag: "out",
  });
});

Deno.test("without the option replies have no id; without a history events have no detail, and lookup draws no tree", async () => {
  for (const world of [recording({ expand: withTree }), new World({ expand: withTree })]) {
    const client = await world.connect();
    const said = await talk(client, "EHLO a.example", "MAIL FROM:<a@x.test>", "RCPT TO:<nobody@example.org>");
    assert.equal(said, "550 5.1.1 User unknown: <nobody@example.org>\r\n");
    client.leave();
  }
  const world = new World({ expand: withTree });
  const client = await world.connect();
  await talk(client, "EHLO a.example", "X", "MAIL FROM:<a@x.test>", "RCPT TO:<b@example.org>", "DATA", "A: b\r\n\r\n.");
  client.leave();
  assert.deepEqual([world.stored.length, eventsOf(world, "dialogue")], [1, []]);
  for (const event of world.events) assert.ok(!("detail" in event) && !("replyClass" in event), event.type);
  assert.ok(world.lookup.sent.every((one) => one.type !== "expand" || !("explain" in one)));
});

Deno.test("a reply with an id is no longer than a reply may be: RFC 5321 §4.5.3.1.5", () => {
  for (const length of [10, 480, 482, 490, 510]) {
    const reply = withRef("5".repeat(length), "0123456789abcdef-12");
    assert.ok(reply.length <= MAX_REPLY_OCTETS, `${length}`);
    assert.ok(reply.endsWith(" (ref 0123456789abcdef-12)"));
  }
  assert.equal(withRef("550 no", "s-1"), "550 no (ref s-1)");
});

Deno.test("a message has in one event who sent it, its envelopes, its trees and what was suppressed", async () => {
  const expand: WorldOptions["expand"] = (question) => {
    const one = delivered({ rcpt: { ...question.rcpt, local: "b" } });
    return { ...one, routed: { ...routed, address: question.rcpt.local } } as typeof one;
  };
  const world = recording({ expand });
  const client = await world.connect();
  await talk(client, "EHLO a.example", "MAIL FROM:<a@x.test> BODY=8BITMIME", "RCPT TO:<b@example.org>");
  await talk(client, "RCPT TO:<c@example.org>", "DATA");
  world.now += 5000;
  const said = await client.say(
    "Subject: hush\r\nMESSAGE-ID :\r\n\t<1@x.test>\r\nMessage-ID: <2@x.test>\r\n\r\nbody\r\n.\r\n",
  );
  client.leave();
  const [{ detail, message }] = eventsOf(world, "smtp-message") as [Extract<Event, { type: "smtp-message" }>];
  assert.ok(said.includes(message), "the 250 tells the id");
  const { origin, ciphers, sender, messageId, eightBit, begunAt, durableAt, more } = detail!;
  assert.deepEqual([origin.helo, origin.address, origin.username], ["a.example", "192.0.2.7", ""]);
  assert.deepEqual([ciphers, sender, messageId, eightBit, more], [
    null,
    { local: "a", domain: "x.test" },
    "<1@x.test>",
    true,
    0,
  ]);
  assert.deepEqual([durableAt - begunAt, detail!.filters], [0, []]);
  assert.deepEqual(detail!.envelopes.map(({ rcpt, user, action, agent }) => [rcpt.local, user, action, agent]), [
    ["b", "b", "inbox", "mda"],
  ]);
  assert.deepEqual(detail!.suppressed.map(({ rcpt, by }) => [rcpt.local, by]), [["c", detail!.envelopes[0]!.id]]);
  assert.deepEqual(detail!.routed.map(({ address }) => address), ["b", "c"]);
  assert.ok(!JSON.stringify(world.events).includes("hush"), "nothing of the content is told");
  assert.deepEqual(eventsOf(world, "dialogue"), [], "a session that went well leaves no dialogue");
});

Deno.test("the Message-ID of a message that is completed here is told too; of a message without one there is none", async () => {
  for (
    const [listener, pattern] of [[{ submission: true }, /^<[0-9a-f]{16}@mx\.example\.org>$/], [{}, /^$/]] as const
  ) {
    const world = recording({ listener });
    const client = await world.connect();
    await talk(client, "EHLO a.example", "MAIL FROM:<a@x.test>", "RCPT TO:<b@example.org>", "DATA", "A: b\r\n\r\n.");
    assert.match(eventsOf(world, "smtp-message")[0]!.detail!.messageId, pattern);
  }
});

const REGISTERED: FilterToSession = {
  type: "registered",
  registrations: [{ process: "p", phases: ["rcpt-to"], events: { "smtp-in": [], "smtp-out": [] } }],
};
const at = { file: "smtpd.conf", line: 3 };
const condition = { kind: "fcrdns" } as const;

/** A listener whose filters mark, ask a program at RCPT, and refuse DATA of a client at 192.0.2.8. */
function filtering(peer: string): World {
  const src = { kind: "src", test: { table: "bad", regex: false } } as const;
  const world = recording({
    peer: { address: peer },
    listener: { filter: "f" },
    settings: {
      refs: true,
      filters: {
        f: [
          { kind: "builtin", name: "marks", phase: "ehlo", at, condition, negated: false, decision: { kind: "junk" } },
          { kind: "process", name: "prog", process: "p" },
          {
            kind: "builtin",
            name: "never",
            phase: "data",
            at,
            condition: src,
            negated: false,
            decision: { kind: "reject", text: "550 go away" },
          },
        ],
      },
    },
    filter: (message, channel) => {
      if (message.type !== "request") return;
      const decision = message.param.startsWith("spam")
        ? { kind: "reject", text: "550 see https://x.test/1" } as const
        : { kind: "proceed" } as const;
      channel.onmessage({ type: "answer", session: message.session, token: message.token, decision });
    },
    test: ({ key }) => key === "192.0.2.8",
  });
  world.filter.onmessage(REGISTERED);
  return world;
}

Deno.test("what filters decided stands with the refusal; a program's words get no id behind them", async () => {
  const world = filtering("192.0.2.8");
  const client = await world.connect();
  await talk(client, "EHLO a.example", "MAIL FROM:<a@x.test>");
  assert.equal(await client.say("RCPT TO:<spam@example.org>\r\n"), "550 see https://x.test/1\r\n");
  assert.match(await talk(client, "RCPT TO:<b@example.org>", "DATA"), /^550 go away \(ref [0-9a-f]{16}-2\)\r\n$/);
  const details = eventsOf(world, "smtp-failed-command").map(({ detail }) => [detail!.ref.slice(-2), detail!.filter]);
  const decision = "reject";
  assert.deepEqual(details, [
    ["-1", { filter: "prog", kind: "program", phase: "rcpt-to", decision, text: "550 see https://x.test/1" }],
    ["-2", { filter: "never", kind: "builtin", phase: "data", decision, text: "550 go away" }],
  ]);
});

Deno.test("what filters decided about a message, and about its session, stands with the message", async () => {
  const world = filtering("192.0.2.7");
  const client = await world.connect();
  await client.say("EHLO a.example\r\n");
  for (const extra of ["RCPT TO:<spam@example.org>", "NOOP"]) {
    await talk(client, "MAIL FROM:<a@x.test>", extra, "RCPT TO:<b@example.org>", "DATA", "A: b\r\n\r\n.");
  }
  const notes = eventsOf(world, "smtp-message").map(({ detail }) =>
    detail!.filters.map(({ filter, phase, decision }) => `${filter} ${phase} ${decision}`)
  );
  assert.deepEqual(notes, [["marks ehlo junk", "prog rcpt-to reject"], ["marks ehlo junk"]]);
});

Deno.test("a dialogue has the lines of both sides, and ends with the session", async () => {
  const world = recording();
  const client = await world.connect();
  await client.say("EHLO a.example\r\n");
  world.now += 1500;
  await talk(client, "MAIL FROM:<a@x.test>", "RCPT TO:<nobody@example.org>", "QUIT");
  const [dialogue] = eventsOf(world, "dialogue") as [DialogueEvent];
  const shown = shownOf(dialogue);
  assert.match(shown, /^S: 220 mx\.example\.org ESMTP Vaultpost\nC: EHLO a\.example\nS: 250-mx/);
  assert.match(shown, /C: RCPT TO:<nobody@example\.org>\nS: 550 5\.1\.1 .*\nC: QUIT\nS: 221 2\.0\.0 Bye$/);
  assert.deepEqual([dialogue.side, dialogue.before], ["in", 0]);
  assert.deepEqual([dialogue.lines[0]!.ms, dialogue.lines.at(-1)!.ms], [0, 1500]);
});

Deno.test("a long session hands the lines around its first refusals over before they are pushed out, and no more than a few times", async () => {
  const world = recording();
  const client = await world.connect();
  await client.say("EHLO a.example\r\nEXPN first\r\n");
  for (let more = 0; more < 100; more++) await client.say("NOOP\r\n");
  assert.match(shownOf(eventsOf(world, "dialogue")[0]!), /EXPN first/);
  for (let round = 0; round < 20; round++) {
    await client.say(`EXPN ${"x".repeat(1500)}\r\n`);
    for (let more = 0; more < 20; more++) await client.say("NOOP\r\n");
  }
  client.leave();
  const dialogues = eventsOf(world, "dialogue");
  assert.ok(dialogues.length >= 4 && dialogues.length <= 5, `${dialogues.length}`);
  assert.ok(dialogues.at(-1)!.before > 100);
  for (const { lines } of dialogues) assert.ok(lines.length <= 64 && lines.every(({ text }) => text.length <= 512));
});

Deno.test("a handshake that fails leaves its dialogue", async () => {
  const world = recording({ listener: { tls: "tls" } });
  const client = await world.connect();
  await talk(client, "EHLO a.example", "STARTTLS");
  world.service.closed(client.connection, "io-error: no shared cipher");
  assert.match(shownOf(eventsOf(world, "dialogue")[0]!), /C: STARTTLS\nS: 220 2\.0\.0 Ready to start TLS$/);
});

const SECRETS = ["sesame", "wrong", "hunter2", "open up"];
const b64 = (text: string) => btoa(text);
/** Nothing of these may be seen, in base64 or not. */
const forbidden = [...SECRETS, ...SECRETS.map((one) => b64(one).slice(0, 5)), b64("\0carol\0"), "c=biws", "rOprNGf"];
const logins: readonly (readonly [name: string, lines: readonly string[]])[] = [
  ["PLAIN with its response", [`AUTH PLAIN ${b64("\0carol\0wrong")}`]],
  ["PLAIN that waits for 334", ["AUTH PLAIN", b64("\0carol\0wrong")]],
  ["PLAIN with two responses", [`AUTH PLAIN ${b64("\0carol\0wrong")} ${b64("hunter2")}`]],
  ["PLAIN without its mechanism", [`AUTH ${b64("\0carol\0wrong")}`]],
  ["LOGIN", ["AUTH LOGIN", b64("carol"), b64("wrong")]],
  ["LOGIN with its user", [`AUTH LOGIN ${b64("carol")}`, b64("hunter2")]],
  ["LOGIN that does not wait", [`AUTH LOGIN\r\n${b64("carol")}\r\n${b64("wrong")}`]],
  ["a mechanism that is not known, and its secret behind it", ["AUTH CRAM-MD5", b64("hunter2")]],
  ["AUTH out of place, and its secret behind it", [`AUTH XYZ ${b64("open up")}\r\n${b64("hunter2")}`]],
  ["a mistyped AUTH", [`AUTHPLAIN ${b64("\0carol\0wrong")}`]],
  ["SCRAM-SHA-256", [
    `AUTH SCRAM-SHA-256 ${b64("n,,n=user,r=rOprNGfwEbeRWgbNEkqO")}`,
    b64(`c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=${b64("x".repeat(32))}`),
  ]],
  ["SCRAM-SHA-256-PLUS", [`AUTH SCRAM-SHA-256-PLUS ${b64("p=tls-server-end-point,,n=user,r=rOprNGfwEbeRWgbNEkqO")}`]],
];
for (const [name, lines] of logins) {
  Deno.test(`nothing of a secret is recorded: AUTH ${name}`, async () => {
    const table = name.startsWith("SCRAM") ? "scram" : "logins";
    const world = recording({ listener: { tls: "smtps", auth: { required: true, table } }, settings: { refs: true } });
    const client = await world.connect();
    client.connection.secured({ ciphers: "TLSv1.3:X:256", verified: false, fingerprint: null, binding: "YmluZA==" });
    await client.say("EHLO a.example\r\n");
    for (const line of lines) {
      await client.say(`${line}\r\n`);
      await world.pass(1000);
    }
    await talk(client, "RSET", "EXPN x", "QUIT");
    const all = JSON.stringify(eventsOf(world, "dialogue")) + JSON.stringify(world.events);
    assert.match(all, /AUTH/);
    for (const secret of forbidden) assert.ok(!all.includes(secret), `${secret} in ${all}`);
  });
}

Deno.test("a message that is sent behind a refused DATA is no part of a dialogue, nor of refusals", async () => {
  const world = recording();
  const client = await world.connect();
  await client.say("EHLO a.example\r\nDATA\r\nSubject: hush\r\n\r\nhush hush\r\n.\r\nNOOP\r\nQUIT\r\n");
  const all = JSON.stringify(world.events);
  assert.ok(!all.includes("hush"), all);
  assert.match(shownOf(eventsOf(world, "dialogue")[0]!), /C: \*{8}\nS: 500 .*\nC: NOOP\nS: 250 .*\nC: QUIT/s);
});

const ENVELOPE = "EHLO a.example\r\nMAIL FROM:<a@x.test>\r\nRCPT TO:<bob@example.org>\r\n";
for (
  const [what, data] of [
    ["a chunk that is longer than its client says", "BDAT 5\r\nSubject: hush\r\n\r\nhush\r\n"],
    ["a line of the message that is a dot", "DATA\r\nSubject: x\r\n\r\n.\r\nhush hush\r\nhush\r\n"],
  ] as const
) {
  Deno.test(`what stands behind ${what} is no part of a dialogue, nor of refusals`, async () => {
    const world = recording();
    const client = await world.connect();
    await client.say(ENVELOPE + data + "NOOP\r\nQUIT\r\n");
    const all = JSON.stringify(world.events);
    assert.ok(!all.includes("hush"), all);
    assert.match(shownOf(eventsOf(world, "dialogue")[0]!), /C: \*{8}\nS: 500 .*C: NOOP\nS: 250 .*C: QUIT/s);
  });
}
