/** smtpctl find and story: the command line, what is printed at any width, and what is said where there is nothing. */

import assert from "node:assert/strict";
import type net from "node:net";
import { join } from "node:path";
import type { ControlAnswer, SearchEnd } from "../../src/control/mod.ts";
import type { FoundMessage } from "../../src/protocol/mod.ts";
import { smtpctlMain } from "../../src/cli/smtpctl/smtpctl.ts";
import { listingLines, storyLines, timeOf } from "../../src/cli/smtpctl/history/layout.ts";
import { JSON_FORMS } from "../../src/cli/smtpctl/json_fields.ts";
import { storyOf } from "../../src/story/mod.ts";
import { accepted, attempt, connected, MESSAGE, queued, SESSION, T0 } from "../story/recorded.ts";
import { environment, FakeTerminal, withFolder, withServer } from "./fakes.ts";

const FOUND: FoundMessage = {
  id: MESSAGE,
  session: SESSION,
  at: T0,
  lastAt: T0 + 5_000,
  from: "alice@example.com",
  to: ["bob@example.org", "carol@example.net"],
  rcpts: 3,
  peer: "192.0.2.9",
  login: "",
  messageId: "one@example.com",
  bytes: 1234,
  outcome: "deferred",
  reply: "452 4.2.2 mailbox full",
  replyClass: "mailbox-full",
};
const REFUSED: FoundMessage = {
  ...FOUND,
  id: SESSION,
  from: null,
  to: [],
  rcpts: 0,
  outcome: "refused",
  reply: "550 5.7.1 \x1b[31mNo\nway",
};
const END: SearchEnd = { next: null, stopped: false, oldestAt: T0 - 86_400_000, notes: [] };
const STORY = storyOf([
  connected(),
  accepted(1, [{ rcpt: "bob@example.org" }]),
  attempt(3, 1, { rcpt: "bob@example.org", stat: "452 4.2.2 mailbox full", detail: { code: 452 } }),
], {
  id: MESSAGE,
  present: {
    now: T0 + 10_000,
    envelopes: [queued(1, "bob@example.org", { tries: 1, at: T0 + 400_000 })],
    more: false,
    notes: ["A note."],
  },
});

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** What the daemon was asked. */
  readonly request: Record<string, unknown> | null;
}

/** Runs smtpctl against a daemon that gives these answers to whatever it is asked. */
async function smtpctl(args: string[], answers: readonly ControlAnswer[], columns: number | null = null): Promise<Ran> {
  const terminal: FakeTerminal & { columns?: () => number | null } = new FakeTerminal();
  terminal.columns = () => columns;
  let code = -1, request: Record<string, unknown> | null = null;
  await withFolder(async (folder) => {
    const path = join(folder, "smtpd.sock");
    const serve = (socket: net.Socket) => {
      socket.once("data", (line) => {
        request = JSON.parse(String(line));
        socket.end(answers.map((answer) => `${JSON.stringify(answer)}\n`).join(""));
      });
    };
    await withServer(path, serve, async () => {
      code = await smtpctlMain(args, environment({ SMTPD_SOCKET: path }), terminal);
    });
  });
  return { code, stdout: terminal.stdout, stderr: terminal.stderr, request };
}

Deno.test("find prints a line per message, whole where it is no screen", async () => {
  const ran = await smtpctl(["find", "--to", "bob@example.org", "full"], [
    { found: FOUND },
    { found: REFUSED },
    { search: END },
    { ok: true },
  ]);
  assert.equal(ran.code, 0);
  assert.equal(ran.stderr, "");
  assert.equal(
    ran.stdout,
    `${timeOf(T0)}  ${MESSAGE}          alice@example.com → bob@example.org +2  deferred  452 4.2.2 mailbox full\n` +
      `${timeOf(T0)}  ${SESSION}  <> → ?                                  refused   550 5.7.1 \\^[[31mNo\\nway\n`,
  );
  const { do: verb, query, limit, before } = ran.request!;
  assert.deepEqual([verb, limit, before], ["find", 50, ""]);
  assert.deepEqual([(query as { to: string }).to, (query as { words: string[] }).words], ["bob@example.org", ["full"]]);
});

Deno.test("no line of a listing is wider than the screen, and time, id and outcome are whole", () => {
  const long = { ...FOUND, from: `${"a".repeat(200)}@example.com`, reply: "452 ".repeat(100) };
  for (const columns of [40, 60, 80, 100, 200]) {
    for (const line of listingLines([long, FOUND, REFUSED], columns)) {
      assert.ok(line.length <= columns, `${line.length} of ${columns}: ${line}`);
      assert.ok(line.startsWith(columns < 110 ? `${timeOf(T0).slice(5, 16)}  ` : `${timeOf(T0)}  `));
      if (columns >= 60) assert.match(line, / {2}(?:deferred|refused)/);
    }
  }
});

Deno.test("a story is wrapped to the screen, with its lines' times", () => {
  for (const columns of [40, 80, 132]) {
    const lines = storyLines(STORY, columns);
    for (const line of lines) assert.ok(line.length <= columns || !line.trim().includes(" ") || columns === 40, line);
    assert.ok(lines.some((line) => line.startsWith(`${timeOf(T0 + 3_000)} ~ Attempt`)));
    assert.equal(lines.at(-1), "A note.");
  }
});

Deno.test("story prints the reason first", async () => {
  const ran = await smtpctl(["story", MESSAGE], [{ story: STORY }, { ok: true }]);
  assert.equal(ran.code, 0);
  assert.match(
    ran.stdout,
    /^Not delivered yet to bob@example\.org: mx\.example\.org \(192\.0\.2\.7\) answered 452 4\.2\.2 mailbox full;\s+tried once, next try in about 6 minutes 30 seconds\.\n\nmessage {5}0a0b0c0d\n/,
  );
  assert.deepEqual(ran.request, { do: "story", id: MESSAGE, dialogue: false });
});

Deno.test("story --dialogue prints what was said; --json is one document", async () => {
  const dialogue = {
    session: SESSION,
    side: "out",
    at: T0,
    before: 1,
    lines: [{ ms: 1234, from: "server", text: "452 4.2.2 \x07full" }],
  } as const;
  const text = await smtpctl(["story", "--dialogue", MESSAGE], [{ story: STORY }, { dialogue }, { ok: true }]);
  assert.match(
    text.stdout,
    /\nSession 00000000000000ff, of this host with another, until \d{4}-\d\d-\d\d \d\d:\d\d:00:\n/,
  );
  assert.match(text.stdout, /\n {2}\(1 earlier line is not kept\)\n {5}1\.234 S: 452 4\.2\.2 \\afull\n$/);
  assert.equal(text.request!.dialogue, true);
  const json = await smtpctl(["story", MESSAGE, "--dialogue", "--json"], [{ story: STORY }, { dialogue }, {
    ok: true,
  }]);
  const { dialogue: said, ...rest } = JSON.parse(json.stdout);
  assert.deepEqual(Object.keys(rest).sort(), Object.keys(JSON_FORMS.story!.fields).sort());
  assert.deepEqual(said[0].lines, dialogue.lines);
  const none = await smtpctl(["story", MESSAGE, "--dialogue"], [{ story: STORY }, { ok: true }]);
  assert.match(none.stdout, /\nNo dialogue is kept/);
});

Deno.test("find --json prints an object a line", async () => {
  const ran = await smtpctl(["find", "--json"], [{ found: FOUND }, { found: REFUSED }, { search: END }, { ok: true }]);
  const rows = ran.stdout.trim().split("\n").map((line) => JSON.parse(line));
  assert.equal(rows.length, 2);
  for (const row of rows) assert.deepEqual(Object.keys(row).sort(), Object.keys(JSON_FORMS.find!.fields).sort());
  assert.deepEqual([rows[0].at, rows[0].login, rows[1].from], ["2026-11-30T14:00:00.000Z", null, "<>"]);
});

/** What is said of an end, beside what was found. */
const ENDS: readonly (readonly [string, string[], readonly ControlAnswer[], number, RegExp])[] = [
  [
    "nothing",
    ["nosuch"],
    [{ search: END }],
    1,
    /^smtpctl: nothing like "nosuch" since .*; the history goes back to .*; a \* stands for any text/,
  ],
  [
    "nothing in the last days, but there are older ones",
    ["x"],
    [{ search: { ...END, oldestAt: 1_000_000_000_000 } }],
    1,
    /the history goes back to 2001-.*: --since "2001-.*" looks at all of it\n$/,
  ],
  [
    "an empty history",
    [],
    [{ search: { ...END, oldestAt: null } }],
    1,
    /^smtpctl: no message: the history is empty, it has only what comes from now on\n$/,
  ],
  [
    "nothing, by an id",
    ["--id", "0a0b0c0d"],
    [{ search: END }],
    1,
    /^smtpctl: nothing like id "0a0b0c0d" in all that is kept; /,
  ],
  [
    "a search that took too long",
    ["*x*"],
    [{ search: { ...END, stopped: true, next: "c" } }],
    1,
    /took too long and did not look at everything: name more, or a shorter time\n$/,
  ],
  [
    "more than the limit",
    ["x"],
    [{ found: FOUND }, { search: { ...END, next: "c" } }],
    0,
    /^smtpctl: there are more than this one: --limit 200 shows more, the same with --before c goes on\n$/,
  ],
  [
    "found, but not all was looked at",
    ["x"],
    [{ found: FOUND }, { search: { ...END, next: "c", stopped: true } }],
    0,
    /^smtpctl: the search took too long and has ended at .*: the same with --before c goes on\n$/,
  ],
  [
    "a damaged history",
    ["x"],
    [{ found: FOUND }, { search: { ...END, notes: ["a part is gone"] } }],
    0,
    /^smtpctl: a part is gone\n$/,
  ],
];
for (const [name, words, answers, code, stderr] of ENDS) {
  Deno.test(`find says how it ended: ${name}`, async () => {
    const ran = await smtpctl(["find", ...words], [...answers, { ok: true }]);
    assert.equal(ran.code, code);
    assert.match(ran.stderr, stderr);
  });
}

/** Command lines that mean nothing: nobody is asked. */
const WRONG: readonly (readonly [string[], number, RegExp])[] = [
  [["find", "from:bob"], 255, /^smtpctl find: "from:bob": a key is an option, --from bob\n$/],
  [["find", "--frm", "bob"], 255, /^smtpctl find: unknown option --frm, did you mean "--from"\?/],
  [["find", "--limit", "2000"], 255, /^smtpctl find: --limit 2000: 1 to 1000 are possible\n$/],
  [["find", ...Array.from({ length: 8 }, () => "x".repeat(600))], 1, /that is too much to look for at once/],
  [["story"], 255, /^smtpctl story: id is missing; --help lists the options\n$/],
  [["story", "1", "2"], 255, /^smtpctl story: "2" is a word too many/],
  [["story", "x".repeat(2_000)], 1, /^smtpctl: that is no id: it is too long\n$/],
];
for (const [args, code, stderr] of WRONG) {
  Deno.test(`smtpctl ${args.join(" ").slice(0, 40)} is refused`, async () => {
    const ran = await smtpctl(args, []);
    assert.deepEqual([ran.code, ran.stdout, ran.request], [code, "", null]);
    assert.match(ran.stderr, stderr);
  });
}

Deno.test("what the daemon refuses is said, with the exit status 1", async () => {
  for (const args of [["find", "bob"], ["story", MESSAGE]]) {
    const ran = await smtpctl(args, [{ ok: false, error: "nothing is recorded, the history is off" }]);
    assert.deepEqual([ran.code, ran.stderr], [1, "smtpctl: nothing is recorded, the history is off\n"]);
  }
});

Deno.test("--help lists the options, and words may stand behind --", async () => {
  const help = await smtpctl(["find", "--help"], []);
  assert.equal(help.code, 0);
  assert.match(help.stdout, /^usage: smtpctl find \[--from address\] .* \[word \.\.\.\]\nFinds messages/);
  const ran = await smtpctl(["find", "--", "--json"], [{ found: FOUND }, { search: END }, { ok: true }]);
  assert.deepEqual((ran.request!.query as { words: string[] }).words, ["--json"]);
});
