/** The protocol of filter programs: lines to them, and what their lines mean. */

import assert from "node:assert/strict";
import {
  eventLine,
  FilterDialogue,
  filterGreeting,
  type FilterOutput,
  requestLine,
} from "../../src/programs/filter_protocol.ts";
import { FILTER_EVENTS } from "../../src/protocol/filters.ts";

const SID = "00000000000000ab", TOKEN = "0123456789abcdef";

Deno.test("filterGreeting() says what a filter is sent first, in order", () => {
  const text = filterGreeting({
    version: "1.2",
    sessionTimeoutMs: 300_000,
    subsystems: ["smtp-in", "smtp-out"],
    admd: "mx.example.org",
  });
  assert.equal(
    text,
    "config|smtpd-version|1.2\nconfig|protocol|0.7\nconfig|smtp-session-timeout|300\nconfig|subsystem|smtp-in\n" +
      "config|subsystem|smtp-out\nconfig|admd|mx.example.org\nconfig|ready\n",
  );
});

Deno.test("eventLine() has six digits of microseconds, and no bar behind an event without parameters", () => {
  assert.equal(
    eventLine(1_700_000_000_042, "smtp-in", "link-disconnect", SID, ""),
    `report|0.7|1700000000.042000|smtp-in|link-disconnect|${SID}\n`,
  );
  assert.equal(
    eventLine(5, "smtp-out", "protocol-client", SID, "a|b\r\nreport|x"),
    `report|0.7|0.005000|smtp-out|protocol-client|${SID}|a|b  report|x\n`,
  );
});

Deno.test("requestLine() ends with a bar where there is no parameter", () => {
  assert.equal(requestLine(1000, "data", SID, TOKEN, ""), `filter|0.7|1.000000|smtp-in|data|${SID}|${TOKEN}|\n`);
});

function ready(...lines: string[]): { dialogue: FilterDialogue; last: FilterOutput } {
  const dialogue = new FilterDialogue();
  let last: FilterOutput = { type: "nothing" };
  for (const line of [...lines, "register|ready"]) {
    last = dialogue.receive(line);
    if (last.type === "broken") break;
  }
  return { dialogue, last };
}

Deno.test("a filter registers phases and events, some twice, and all with a star", () => {
  const { last } = ready(
    "register|report|smtp-in|tx-mail",
    "register|report|smtp-in|tx-mail",
    "register|report|smtp-out|*",
    "register|filter|SMTP-IN|data-line",
    "register|filter|smtp-in|wiz",
  );
  assert.deepEqual(last, {
    type: "ready",
    registration: {
      phases: ["data-line", "wiz"],
      events: { "smtp-in": ["tx-mail", "tx-mail"], "smtp-out": [...FILTER_EVENTS] },
    },
  });
});

const BROKEN_BEFORE = [
  "register",
  "register|report|smtp-in",
  "register|report|smtp-in|nonsense",
  "register|report|smtp|tx-mail",
  "register|filter|smtp-out|data",
  "register|filter|smtp-in|nonsense",
  "register|filter|smtp-in|data|more",
  "register|table|smtp-in|data",
  `filter-result|${SID}|${TOKEN}|proceed`,
  "",
];
for (const line of BROKEN_BEFORE) {
  Deno.test(`FilterDialogue is broken before it is ready by ${JSON.stringify(line)}`, () => {
    assert.equal(ready(line).last.type, "broken");
  });
}

const RECEIVED: readonly (readonly [string, FilterOutput])[] = [
  [`filter-result|ab|${TOKEN}|proceed`, {
    type: "result",
    session: SID,
    token: TOKEN,
    decision: { kind: "proceed" },
  }],
  [`filter-result|${SID.toUpperCase()}|1|reject|550 a|b`, {
    type: "result",
    session: SID,
    token: "0000000000000001",
    decision: { kind: "reject", text: "550 a|b" },
  }],
  [`filter-result|${SID}|${TOKEN}|rewrite|`, {
    type: "result",
    session: SID,
    token: TOKEN,
    decision: { kind: "rewrite", text: "" },
  }],
  [`filter-dataline|${SID}|${TOKEN}|`, { type: "line", session: SID, token: TOKEN, line: "" }],
  [`filter-dataline|${SID}|${TOKEN}|a|\xe9`, { type: "line", session: SID, token: TOKEN, line: "a|\xe9" }],
  [`report|1.000001|smtp-in|${SID}|caf\xc3\xa9`, { type: "report", session: SID, message: "caf\xe9" }],
];
for (const [line, want] of RECEIVED) {
  Deno.test(`FilterDialogue receives ${JSON.stringify(line)}`, () => {
    assert.deepEqual(ready().dialogue.receive(line), want);
  });
}

const BROKEN = [
  "",
  "hello",
  "register|report|smtp-in|tx-mail",
  `filter-result|${SID}|${TOKEN}`,
  `filter-result|xyz|${TOKEN}|proceed`,
  `filter-result|${SID}0|${TOKEN}|proceed`,
  `filter-result|${SID}||proceed`,
  `filter-result|${SID}|${TOKEN}|proceed|more`,
  `filter-result|${SID}|${TOKEN}|junk|more`,
  `filter-result|${SID}|${TOKEN}|reject`,
  `filter-result|${SID}|${TOKEN}|maybe|x`,
  `filter-dataline|${SID}|${TOKEN}`,
  `report|1.0|smtp-in|${SID}|five digits too few`,
  `report|1.000000|smtp-out|${SID}|x`,
  `report|1.000000|smtp-in|${SID}|`,
  `report|1.000000|smtp-in|${SID}|${"x".repeat(2048)}`,
];
for (const line of BROKEN) {
  Deno.test(`FilterDialogue is broken by ${JSON.stringify(line.slice(0, 60))}`, () => {
    assert.equal(ready().dialogue.receive(line).type, "broken");
  });
}
