/** From what was typed behind `smtpctl find` to a query, or to what is wrong with it. */

import assert from "node:assert/strict";
import { DEFAULT_SPAN_MS, type FindWords, parseFind } from "../../src/search/mod.ts";

const NOW = Date.UTC(2026, 6, 15, 14, 30);
const SINCE = NOW - DEFAULT_SPAN_MS;

const RIGHT: readonly (readonly [string, Partial<FindWords>, object])[] = [
  ["nothing: the newest", {}, { query: { words: [], since: SINCE }, limit: 50, before: "" }],
  ["words", { words: ["bob@example.org", "mailbox full"] }, {
    query: { words: ["bob@example.org", "mailbox full"], since: SINCE },
    limit: 50,
    before: "",
  }],
  ["every key", {
    keys: {
      from: "<Alice@Example.com>",
      to: "bob@example.org",
      domain: "@EXAMPLE.org",
      peer: "[IPv6:2001:DB8::1]",
      login: "alice",
      reply: "4.2.2 Mailbox",
      outcome: "Deferred",
    },
    since: "2h",
    until: "1h",
    limit: "7",
    before: "12.345",
  }, {
    query: {
      words: [],
      from: "Alice@Example.com",
      to: "bob@example.org",
      domain: "example.org",
      peer: "2001:db8::1",
      login: "alice",
      reply: "4.2.2 Mailbox",
      outcome: "deferred",
      since: NOW - 7_200_000,
      until: NOW - 3_600_000,
    },
    limit: 7,
    before: "12.345",
  }],
  ["the null sender", { keys: { from: "<>" } }, {
    query: { words: [], from: "<>", since: SINCE },
    limit: 50,
    before: "",
  }],
  ["a domain in another script", { keys: { domain: "bücher.example" } }, {
    query: { words: [], domain: "xn--bcher-kva.example", since: SINCE },
    limit: 50,
    before: "",
  }],
  ["an address in another script", { keys: { to: "bob@bücher.example" } }, {
    query: { words: [], to: "bob@xn--bcher-kva.example", since: SINCE },
    limit: 50,
    before: "",
  }],
  ["ids, of any time", { keys: { id: "0A0B0C0D", "message-id": "<x@y>" } }, {
    query: { words: [], id: "0a0b0c0d", messageId: "<x@y>" },
    limit: 50,
    before: "",
  }],
  ["until: the days before", { until: "3d" }, {
    query: { words: [], since: NOW - 3 * 86_400_000 - DEFAULT_SPAN_MS, until: NOW - 3 * 86_400_000 },
    limit: 50,
    before: "",
  }],
  ["a word with a colon that is no key", { words: ["5.1.1:", "2001:db8::1", "Re:bob"] }, {
    query: { words: ["5.1.1:", "2001:db8::1", "Re:bob"], since: SINCE },
    limit: 50,
    before: "",
  }],
];

for (const [name, typed, order] of RIGHT) {
  Deno.test(`find: ${name}`, () => assert.deepEqual(parseFind({ words: [], keys: {}, ...typed }, NOW), order));
}

const WRONG: readonly (readonly [RegExp, Partial<FindWords>])[] = [
  [/^"from:bob": a key is an option, --from bob$/, { words: ["from:bob"] }],
  [/^"reply=mailbox full": a key is an option, --reply "mailbox full"$/, { words: ["reply=mailbox full"] }],
  [/^"Message-ID:<x@y>": a key is an option, --message-id <x@y>$/, { words: ["Message-ID:<x@y>"] }],
  [/^an empty word/, { words: [" "] }],
  [/^more than 16 words$/, { words: Array.from({ length: 17 }, () => "x") }],
  [/^"x{20}…" has more than 1000 characters$/, { words: ["x".repeat(1001)] }],
  [/^--outcome sent is none, did you mean "relayed"\? outcomes are queued, /, { keys: { outcome: "sent" } }],
  [/^--outcome delivred is none, did you mean "delivered"\?/, { keys: { outcome: "delivred" } }],
  [/^--id bob is no id/, { keys: { id: "bob" } }],
  [/^--domain a b is no domain$/, { keys: { domain: "a b" } }],
  [/^--since tomorrow is no time: times are 2h, /, { since: "tomorrow" }],
  [/^--until x is no time/, { until: "x" }],
  [/^--since 2026-07-17 is in the future$/, { since: "2026-07-17" }],
  [/^--since 1h is later than --until 2h$/, { since: "1h", until: "2h" }],
  [/^--limit 0: 1 to 1000 are possible$/, { limit: "0" }],
  [/^--limit 1001:/, { limit: "1001" }],
  [/^--before x y is no place/, { before: "x y" }],
];

for (const [wrong, typed] of WRONG) {
  Deno.test(`find refuses ${JSON.stringify(typed).slice(0, 80)}`, () => {
    const read = parseFind({ words: [], keys: {}, ...typed }, NOW);
    assert.ok("wrong" in read, JSON.stringify(read));
    assert.match(read.wrong, wrong);
  });
}
