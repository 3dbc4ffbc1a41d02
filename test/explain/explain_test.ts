/** What is explained of single messages: who decides, with the line, and that nothing else than the daemon's own code does. */

import assert from "node:assert/strict";
import { explain } from "../../src/explain/explain.ts";
import type { Envelope } from "../../src/explain/client.ts";
import { type Step, stepLines, stepRecord } from "../../src/explain/step.ts";
import { envelope, frontOf, type MadeUp, MESSAGE } from "./support.ts";

const CONFIG = `table domains { "example.org" }
table aliases { "sales" = "alice, carol@example.net", "pipe" = "|/bin/cat", "loop" = "loop2", "loop2" = "loop" }
table users { "alice" = "$6$x" }
table pipes { "pipe@example.org" }
table spammers { "@spam.example" }
table owned { "alice" = "alice@example.org" }
pki mail.example.org cert "/c"
pki mail.example.org key "/k"
filter nospam phase mail-from match mail-from <spammers> disconnect "550 no spam"
filter nopipe phase rcpt-to match rcpt-to <pipes> reject "554 no commands"
listen on 127.0.0.1 port 2525 filter { nospam, nopipe }
listen on 127.0.0.1 port 2526 tls-require pki mail.example.org auth <users> senders <owned>
listen on 127.0.0.1 port 2527 smtps pki mail.example.org auth <users>
action "local" maildir alias <aliases>
action "out" relay host smtp://mx1.example.net
match tag NONE for any action "out"
match from any for domain "closed.example" reject
match from any for domain <domains> action "local"
match auth from any for any action "out"
`;

async function explained(changes: Partial<Envelope>, around: MadeUp = {}, configText = CONFIG) {
  const { front, config } = await frontOf(configText, around);
  try {
    const { steps, results } = await explain(envelope(changes), MESSAGE, { front, config, programs: false });
    const shown = results.map(({ text, where }) => `${text}${where === null ? "" : ` [${where.line}]`}`);
    return { steps, results: shown, text: stepLines(steps, { verbose: true }).join("\n") };
  } finally {
    await front.close();
  }
}

/** A user of this machine. */
const SOCKET = { listener: 0, peer: { address: "local", port: 0, uid: null } };

/** What is asked, and the result with its line. */
const ROWS:
  readonly (readonly [name: string, changes: Partial<Envelope>, results: readonly string[], around?: MadeUp])[] = [
    ["a user has a mailbox", {}, ['deliver to alice by maildir (action "local") [18]']],
    [
      "an alias leads to a user and to nobody that a rule takes",
      { recipients: ["sales@example.org", "bob@example.org"] },
      [
        "550 5.7.1 Relaying denied: <sales@example.org> [18]",
        'deliver to bob by maildir (action "local") [18]',
      ],
    ],
    ["no user of that name", { recipients: ["nobody@example.org"] }, [
      "550 5.1.1 User unknown: <nobody@example.org> [18]",
    ]],
    [
      "a rule that rejects",
      { recipients: ["x@closed.example"] },
      ["550 5.7.1 Recipient rejected: <x@closed.example> [17]"],
    ],
    ["no rule", { recipients: ["x@example.com"] }, ["550 5.7.1 Relaying denied: <x@example.com>"]],
    ["a filter of senders ends the session", { sender: "x@spam.example" }, ["550 no spam [9]"]],
    [
      "a filter of recipients refuses one",
      { recipients: ["pipe@example.org", "alice@example.org"] },
      ["554 no commands [10]", 'deliver to alice by maildir (action "local") [18]'],
    ],
    ["TLS is required", { listener: 2 }, ["530 5.7.0 Must issue a STARTTLS command first"]],
    ["a login is required", { listener: 2, tls: true }, [
      "530 5.7.0 Authentication required: Must issue an AUTH command first",
    ]],
    [
      "a user logs in and relays",
      {
        listener: 2,
        tls: true,
        login: { user: "alice", password: "any" },
        sender: "alice@example.org",
        recipients: ["x@example.com"],
      },
      ['relay to mx1.example.net (action "out") [19]'],
    ],
    [
      "a user may not send as another",
      { listener: 2, tls: true, login: { user: "alice", password: "any" }, recipients: ["x@example.com"] },
      ["550 5.7.1 Sender rejected: not an address of yours"],
    ],
    [
      "nobody logs in who does not exist",
      { listener: 3, login: { user: "mallory", password: "any" } },
      ["535 5.7.8 Authentication failed"],
    ],
    ["TLS comes first", { listener: 3, login: { user: "alice", password: "any" }, recipients: ["x@example.com"] }, [
      'relay to mx1.example.net (action "out") [19]',
    ]],
    ["a .forward is read", SOCKET, [
      'relay to mx1.example.net for carol@example.com (action "out") [19]',
    ], { forwards: { alice: "carol@example.com\n" } }],
    ["the socket", { ...SOCKET, recipients: ["x@example.com"] }, [
      'relay to mx1.example.net (action "out") [19]',
    ]],
    ["a recipient that is no address", { recipients: ["no address"] }, ["501 5.1.3 Recipient address syntax error"]],
  ];

for (const [name, changes, results, around] of ROWS) {
  Deno.test(`explained: ${name}`, async () => {
    assert.deepEqual((await explained(changes, around)).results, results);
  });
}

Deno.test("steps tell the listener, tables with their answers, rules that do not match and why, replies and added fields", async () => {
  const { text } = await explained({ recipients: ["alice@example.org", "x@closed.example"] });
  for (
    const line of [
      "listener 127.0.0.1:2525 [c:11]",
      '    table <spammers>: check mailaddr "a@example.net" -> not found',
      '  rule for alice@example.org: does not match: "tag" [c:16]',
      '  rule for alice@example.org: does not match: "for" [c:17]',
      '  rule for alice@example.org: matches: action "local" [c:18]',
      '    table <domains>: check domain "example.org" -> found',
      "  reply: 550 5.7.1 Recipient rejected: <x@closed.example> [c:17]",
      "  reply: 250 2.0.0 00000001 Message accepted for delivery",
    ]
  ) assert.ok(text.split("\n").includes(line), `${line}\n${text}`);
  assert.match(text, /^header added: Received: from client\.example\.net .* for <alice@example\.org>;/m);
});

Deno.test("the second session of a front knows nothing of the first", async () => {
  const { front, config } = await frontOf(CONFIG);
  try {
    const once = async () => (await explain(envelope(), MESSAGE, { front, config, programs: false })).steps;
    const shown = (steps: readonly Step[]) =>
      stepLines(steps, { verbose: true }).join("\n").replace(/id [0-9a-f]{8}|2\.0\.0 [0-9a-f]{8}/g, "");
    assert.equal(shown(await once()), shown(await once()));
  } finally {
    await front.close();
  }
});

Deno.test("a list of very many has a result, and what is told of it is bounded", async () => {
  const members = Array.from({ length: 5000 }, (_, n) => `u${n}@x${n}.example`).join(", ");
  const text = CONFIG.replace(/^table aliases .*$/m, "table aliases file:/t/aliases");
  const { front, config } = await frontOf(text, { files: { "/t/aliases": `sales: ${members}\n` } });
  try {
    const asked = envelope({ ...SOCKET, recipients: ["sales@example.org"] });
    const { steps, results } = await explain(asked, MESSAGE, { front, config, programs: false });
    assert.match(results[0]!.text, /^relay to mx1\.example\.net for u0@x0\.example .*; and others, 4980 more targets$/);
    assert.ok(stepLines(steps, { verbose: true }).length < 3000);
    assert.ok(JSON.stringify(steps.map(stepRecord)).length < 2e6);
  } finally {
    await front.close();
  }
});

Deno.test("look-ups of aliases stand before the warning and the rules that follow from them, not below these", async () => {
  const { text } = await explained(
    { recipients: ["list@example.org", "gone@example.org"] },
    {},
    `history keep 1d refs
table aliases { "list" = "alice, x@example.net", "gone" = "nobody-here" }
listen on 127.0.0.1 port 2525
action "in" mbox alias <aliases>
action "out" relay host smtp://mx1.example.net
match from any for domain "example.org" action "in"
match from any for any action "out"
`,
  );
  const lines = text.split("\n");
  const from = (start: string, count: number) => lines.slice(lines.indexOf(start) + 1).slice(0, count);
  assert.deepEqual(from('  rule for list@example.org: matches: action "in" [c:6]', 5), [
    '  table <aliases>: lookup "list" -> "alice, x@example.net"',
    '  table <aliases>: lookup "alice" -> not found',
    '  rule for x@example.net: does not match: "for" [c:6]',
    '  rule for x@example.net: matches: action "out" [c:7]',
    "  where it leads",
  ]);
  assert.deepEqual(from('  rule for gone@example.org: matches: action "in" [c:6]', 4), [
    '  table <aliases>: lookup "gone" -> "nobody-here"',
    '  table <aliases>: lookup "nobody-here" -> not found',
    '  Table "aliases": The value of "gone": "nobody-here": there is no such user',
    "  where it leads",
  ]);
  assert.ok(lines.includes("  reply: 550 5.1.1 User unknown: <gone@example.org> (ref …-1) [c:6]"), text);
});
