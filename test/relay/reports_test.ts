/** What is reported to filters of outgoing sessions, by commands and replies. */

import assert from "node:assert/strict";
import { SessionReports } from "../../src/relay/session/reports.ts";
import type { Reply } from "../../src/smtp_client/mod.ts";
import { evpid, msgid } from "../ids.ts";

const MESSAGE = {
  message: msgid("0000000a"),
  bytes: 42,
  envelopes: [{ id: evpid("0000000a00000001"), address: "a@example.org" }, {
    id: evpid("0000000a00000002"),
    address: "b@example.org",
  }],
};

function reply(text: string): Reply {
  const lines = text.split("\n");
  const code = Number(lines[0]!.slice(0, 3));
  return { code, text: lines.map((line) => line.slice(4)).join(" "), lines: lines.map((line) => line.slice(4)) };
}

/** Plays `C: line`, `S: reply` and `end`; gives the events that are not the dialogue itself. */
function reported(script: readonly string[], lmtp = false): string[] {
  const events: string[] = [];
  const reports = new SessionReports({ lmtp }, (event, params) => {
    if (!event.startsWith("protocol-")) events.push(`${event}|${params}`);
  });
  reports.user("carol");
  for (const line of script) {
    if (line === "end") reports.closed();
    else if (line === "begin") reports.begin(MESSAGE);
    else if (line.startsWith("C: ")) reports.sent(line.slice(3));
    else reports.answered(reply(line.slice(3)));
  }
  return events;
}

const MAIL = ["begin", "C: MAIL FROM:<s@example.com> SIZE=1", "S: 250 ok"];
const BEGUN = ["tx-begin|0000000a", "tx-mail|0000000a|ok|s@example.com"];
const OVER = ["tx-rollback|0000000a", "tx-reset|0000000a"];

const ROWS = [
  {
    because: "the greeting and the hello of LMTP",
    script: ["S: 220 mx.example.org ESMTP", "C: LHLO me", "S: 250-mx.example.org\n250 PIPELINING", "end"],
    want: ["link-greeting|mx.example.org", "link-identify|LHLO|me", "link-disconnect|"],
  },
  {
    because: "a hello that is refused identifies nobody",
    script: ["S: 220 mx", "C: EHLO me", "S: 502 no", "C: HELO me", "S: 250 mx"],
    want: ["link-greeting|mx", "link-identify|HELO|me"],
  },
  {
    because: "logins by both mechanisms",
    script: ["S: 220 mx", "C: AUTH PLAIN ********", "S: 535 no", "C: AUTH LOGIN", "S: 334 a"].concat(
      ["C: ********", "S: 334 b", "C: ********", "S: 235 yes"],
    ),
    want: ["link-greeting|mx", "link-auth|fail|carol", "link-auth|pass|carol"],
  },
  {
    because: "a recipient whose address cannot be sent has no RCPT",
    script: ["S: 220 mx", ...MAIL, "C: RCPT TO:<b@example.org>", "S: 250 ok", "C: DATA", "S: 354 go", "S: 250 got it"],
    want: ["link-greeting|mx", ...BEGUN, "tx-envelope|0000000a|0000000a00000002", "tx-rcpt|0000000a|ok|b@example.org"]
      .concat(["tx-data|0000000a|ok", "tx-commit|0000000a|42", "tx-reset|0000000a"]),
  },
  {
    because: "a sender that is refused",
    script: ["S: 220 mx", "begin", "C: MAIL FROM:<s@example.com>", "S: 550 no", "C: RSET", "S: 250 ok"],
    want: ["link-greeting|mx", "tx-begin|0000000a", ...OVER],
  },
  {
    because: "a message that is refused at its end",
    script: ["S: 220 mx", ...MAIL, "C: RCPT TO:<a@example.org>", "S: 250 ok", "C: DATA", "S: 354 go", "S: 451 later"],
    want: ["link-greeting|mx", ...BEGUN, "tx-envelope|0000000a|0000000a00000001", "tx-rcpt|0000000a|ok|a@example.org"]
      .concat(["tx-data|0000000a|ok", "tx-data|0000000a|tempfail", ...OVER]),
  },
  {
    because: "a connection that breaks in a transaction",
    script: ["S: 220 mx", ...MAIL, "end", "end"],
    want: ["link-greeting|mx", ...BEGUN, ...OVER, "link-disconnect|"],
  },
  {
    because: "DATA that was pipelined and accepted for nobody",
    script: ["S: 220 mx", ...MAIL, "C: RCPT TO:<a@example.org>", "C: DATA", "S: 550 no", "S: 354 go"].concat(
      ["C: .", "S: 554 nobody", "C: RSET", "S: 250 ok"],
    ),
    want: ["link-greeting|mx", ...BEGUN, "tx-envelope|0000000a|0000000a00000001"].concat(
      ["tx-rcpt|0000000a|permfail|a@example.org", "tx-data|0000000a|ok", "tx-data|0000000a|permfail", ...OVER],
    ),
  },
];
for (const { because, script, want } of ROWS) {
  Deno.test(`SessionReports reports ${because}`, () => assert.deepEqual(reported(script), want));
}

Deno.test("SessionReports waits for all replies of LMTP behind a message; one that is good commits it", () => {
  const rcpts = ["C: RCPT TO:<a@example.org>", "S: 250 ok", "C: RCPT TO:<b@example.org>", "S: 250 ok"];
  const script = ["S: 220 mx", ...MAIL, ...rcpts, "C: DATA", "S: 354 go", "S: 250 a", "S: 550 b"];
  const events = reported(script, true);
  assert.deepEqual(events.slice(-3), ["tx-data|0000000a|ok", "tx-commit|0000000a|42", "tx-reset|0000000a"]);
  assert.equal(reported(script.slice(0, -1), true).at(-1), "tx-data|0000000a|ok", "not before the last");
});
