/** What replies mean: a file of replies as hosts give them, every reply of this server, and the bounds of reading one. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  classify,
  classifyText,
  describe,
  meaningOf,
  REPLY_CLASSES,
  type ReplyClass,
} from "../../src/reply_class/mod.ts";
import { COMMANDS } from "../../src/cli/smtpctl/commands.ts";
import { commandsWith } from "../../src/cli/smtpctl/words.ts";
import { CODES, STATUSES, WEAK_WORDS, WORDS } from "../../src/reply_class/rules.ts";
import { refusals } from "../../src/rules/replies.ts";
import { REPLY } from "../../src/smtp/session/reply.ts";

interface Row {
  readonly want: string;
  readonly reply: string;
  readonly of: string;
}

function rows(): Row[] {
  const text = Deno.readTextFileSync(fileURLToPath(new URL("replies.txt", import.meta.url)));
  let of = "";
  return text.split("\n").flatMap((line): Row[] => {
    if (line.startsWith("## ")) of = line.slice(3);
    const [, want, reply] = /^([a-z-]+) \| (.*)$/.exec(line) ?? [];
    return want === undefined ? [] : [{ want, reply: reply!, of }];
  });
}

Deno.test("classifyText() understands the replies of many hosts", () => {
  const all = rows();
  assert.ok(all.length >= 200, `${all.length} rows`);
  const wrong = all.filter(({ want, reply }) => classifyText(reply) !== want)
    .map(({ want, reply, of }) => `${of}: ${classifyText(reply)}, not ${want}: ${reply}`);
  assert.deepEqual(wrong, []);
  // Each class has replies of its own.
  for (const cls of REPLY_CLASSES) assert.ok(all.some(({ want }) => want === cls), cls);
});

Deno.test("classify() takes code and enhanced code apart from the text, or in front of it", () => {
  const want: ReplyClass = "mailbox-full";
  assert.equal(classify({ code: 552, status: "5.2.2", text: "No" }), want);
  assert.equal(classify({ code: 552, text: "5.2.2 No" }), want);
  assert.equal(classify({ status: "5.2.2", text: "552 5.2.2 No" }), want);
  assert.equal(classify({ text: "552-5.2.2 No" }), want);
  // A text that begins with a number of its own.
  assert.equal(classify({ code: 550, status: "5.0.0", text: "300 times too much" }), "unknown");
  // What went well means nothing.
  for (const text of ["250 2.0.0 Ok, blocked no spam", "354 Go on"]) assert.equal(classifyText(text), "unknown");
});

Deno.test("classify() is not misled by words within words, by case or blanks", () => {
  assert.equal(classifyText("550 5.1.1 Nospamhere is quiet"), "no-such-user");
  assert.equal(classifyText("550  OVER   QUOTA"), "mailbox-full");
  assert.equal(classifyText("550 The user doesn’t exist"), "no-such-user");
  assert.equal(classifyText("550 5.0.0 Interplanetary spfx"), "unknown");
});

Deno.test("every reply of this server has its class", () => {
  /** Of those that refuse something. */
  const want: Partial<Record<keyof typeof REPLY, ReplyClass>> = {
    needTls: "tls",
    requireTlsInClear: "tls",
    needAuth: "authentication",
    unknownMechanism: "protocol",
    notYourSender: "policy",
    authFailed: "authentication",
    authTemporary: "authentication",
    authBlocked: "authentication",
    authTooMany: "authentication",
    authCancelled: "protocol",
    badRecipient: "no-such-user",
    badSender: "protocol",
    noRoom: "temporary",
    tooManyMails: "rate",
    tooManyRecipients: "rate",
    tooManyIdle: "rate",
    tooManyBad: "rate",
    early: "policy",
    tooBigAnnounced: "too-large",
    endless: "too-large",
    headerTooBig: "too-large",
    tooBig: "too-large",
    bareLineEndInData: "content",
    malformed: "content",
    loop: "unreachable",
    temporaryMail: "temporary",
    temporary: "temporary",
    stopping: "temporary",
    idle: "unreachable",
  };
  const wrong: string[] = [];
  for (const [name, text] of Object.entries(REPLY)) {
    if (/^[23]/.test(text)) continue;
    const expected = want[name as keyof typeof REPLY] ?? "protocol";
    if (classifyText(text) !== expected) wrong.push(`${name}: ${classifyText(text)}, not ${expected}: ${text}`);
  }
  const rules: Record<keyof typeof refusals, ReplyClass> = {
    relayingDenied: "policy",
    rejected: "policy",
    unknownUser: "no-such-user",
    temporary: "temporary",
    expansionTemporary: "temporary",
    expansionLoop: "unreachable",
    expansionPermanent: "policy",
  };
  for (const [name, make] of Object.entries(refusals)) {
    const { code, text } = make({ local: "bob", domain: "example.org" });
    const expected = rules[name as keyof typeof refusals];
    if (classify({ code, text }) !== expected) {
      wrong.push(`${name}: ${classify({ code, text })}, not ${expected}: ${text}`);
    }
  }
  assert.deepEqual(wrong, []);
});

Deno.test("the rules can be found: phrases are as they are compared, codes are of the classes", () => {
  for (const { says, class: cls } of [...WORDS, ...WEAK_WORDS]) {
    assert.ok(REPLY_CLASSES.includes(cls));
    for (const phrase of says) {
      assert.match(phrase, /^[a-z0-9][\x20-\x7e]{2,}$/, phrase);
      assert.equal(phrase, phrase.toLowerCase().replace(/[\s_]+/g, " ").trim(), phrase);
    }
  }
  for (const { codes } of STATUSES) for (const code of codes) assert.match(code, /^\d\.\d{1,3}(-\d\.\d{1,3})?$/);
  for (const code of Object.keys(CODES)) assert.match(code, /^[45]\d\d$/);
});

Deno.test("classify() has a bounded cost: 50 µs for a reply, and no more for a megabyte of one", () => {
  const texts = rows().map(({ reply }) => reply);
  const evil = [
    " no such no such".repeat(70_000),
    "a".repeat(1_000_000),
    "5.7.1 ".repeat(200_000),
    "\u{1f4a9}".repeat(500_000),
  ];
  const perCall = (of: readonly string[], rounds: number) => {
    const began = performance.now();
    for (let round = 0; round < rounds; round++) for (const text of of) classifyText(text);
    return (performance.now() - began) * 1000 / (rounds * of.length);
  };
  perCall(texts, 20);
  // The best of some: the machine may be busy.
  const best = (of: readonly string[], rounds: number) =>
    Math.min(...Array.from({ length: 8 }, () => perCall(of, rounds)));
  const usual = best(texts, 4), worst = best(evil, 20);
  assert.ok(usual < 50, `${usual} µs`);
  assert.ok(worst < 200, `${worst} µs`);
});

Deno.test("describe() says in a sentence or two what happened and what to do, for each class, reader and state", () => {
  const details = [
    "domain",
    "closed",
    "login",
    "reverse-dns",
    "sender",
    "loop",
    "recipients",
    "relay",
    "form",
    "expired",
    undefined,
  ] as const;
  for (const cls of REPLY_CLASSES) {
    for (const detail of details) {
      for (const reader of ["sender", "operator"] as const) {
        for (const state of ["failed", "waiting"] as const) {
          const about = { recipient: "bob@example.org", host: "mx.example.org", reader, state };
          const { what, todo } = describe(cls, detail === undefined ? about : { ...about, detail });
          const here = describe(cls, { ...about, host: "", here: true });
          assert.doesNotMatch(`${here.what} ${here.todo}`, /receiving mail server|postmaster there/);
          for (const text of [what, todo, here.what, here.todo]) {
            assert.match(text, /^[A-Z`][\x20-\x7e]+\.$/, text);
            assert.ok(text.length < 260, text);
            for (const [, words] of text.matchAll(/`smtpctl ([a-z ]+)/g)) {
              const given = words!.trim().split(" ");
              assert.ok([given, given.slice(0, 1)].some((some) => commandsWith(COMMANDS, some).ok), text);
            }
            // One sentence each.
            assert.doesNotMatch(text, /\. [A-Z]/, text);
          }
          assert.match(what, /bob@example\.org/);
        }
      }
    }
  }
});

Deno.test("meaningOf() tells what a person would do differently", () => {
  const detail = (text: string) => meaningOf({ text }).detail;
  assert.equal(detail("550 5.2.1 The email account that you tried to reach is disabled"), "closed");
  assert.equal(detail("535 5.7.8 Username and Password not accepted"), "login");
  assert.equal(detail("550 5.7.25 No PTR record"), "reverse-dns");
  assert.equal(detail("550 5.1.2 Host unknown"), "domain");
  assert.equal(detail("554 5.4.6 Too many hops"), "loop");
  assert.equal(detail("554 5.7.1 <b@example.com>: Relay access denied"), "relay");
});
