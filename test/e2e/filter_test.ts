/** Filters in the real daemon, with real programs: what they are sent, and what they do to commands, messages and sessions. */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { ALL_PHASES, type FilterHarness, inbox, install, normal, received, type Script } from "./filter_harness.ts";
import { type Daemon, DOMAIN, withDaemon } from "./harness.ts";
import { freePort } from "../ports.ts";

const GOLDEN = new URL("golden/filter-record.txt", import.meta.url);

async function clean(daemon: Daemon): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.send("sender@example.com", `bob@${DOMAIN}`, "Subject: hello\r\n\r\n..dot\r\nbody\r\n");
  await client.say("QUIT", "221");
}

Deno.test("a filter is sent and asked everything about a clean message in order, and nothing of other listeners", async () => {
  const plain = freePort();
  const config = ({ port, mail, folder }: FilterHarness) => {
    const { all } = install(folder, { all: { register: ["report|smtp-in|*", ...ALL_PHASES], record: true } });
    return `admd "mx.${DOMAIN}"
filter all ${all}
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN} filter all
listen on 127.0.0.1 port ${plain} hostname plain.${DOMAIN}
${inbox(mail)}`;
  };
  await withDaemon({ config }, async (daemon) => {
    const other = await Client.connect(plain);
    await other.say("EHLO other.example.com", "250");
    await other.say("QUIT", "221");
    await clean(daemon);
    const lines = await received(daemon, "all", /link-disconnect/);
    assert.equal(normal(lines), await Deno.readTextFile(GOLDEN));
    const [, envelope] = /evpid=(\w+)/.exec(await daemon.logged(/smtp envelope evpid=/))!;
    assert.ok(lines.some((line) => line.includes("|tx-envelope|") && line.endsWith(`|${envelope}`)), envelope);
    assert.match(await daemon.mailbox("bob").text(), /\n\n\.dot\nbody\n$/);
  });
});

type Step = readonly [sent: string, reply: string];
const HELLO: Step = ["EHLO client.example.com", "250"];
const TO_BOB: Step = [`RCPT TO:<bob@${DOMAIN}>`, "250"];

interface Row {
  readonly because: string;
  /** Decisions of the program, as filter-scripted has them, or a built-in filter without its name. */
  readonly rules?: Script["rules"];
  readonly builtin?: string;
  /** What the client receives first. */
  readonly banner?: string;
  readonly steps: readonly Step[];
  /** The server closes after the last step. */
  readonly closes?: true;
  /** Part of the message that bob gets. */
  readonly mail?: RegExp;
  /** A line that the program is sent. */
  readonly received?: RegExp;
}

const MESSAGE: readonly Step[] = [
  ["MAIL FROM:<s@example.com>", "250"],
  TO_BOB,
  ["DATA", "354"],
  ["Subject: x\r\n\r\nbody\r\n.", "250"],
];

const DECISIONS: readonly Row[] = [
  {
    because: "reject refuses a sender with the filter's words, and the session goes on",
    rules: [["mail-from", "bad@", "reject|550 5.7.1 Not you"]],
    steps: [HELLO, ["MAIL FROM:<bad@example.com>", "550 5.7.1 Not you\r\n"], ["MAIL FROM:<good@example.com>", "250"]],
    received: /filter-response\|\w+\|mail-from\|reject\|550 5.7.1 Not you$/,
  },
  {
    because: "reject with 421 ends the session",
    rules: [["ehlo", "", "reject|421 4.7.0 Later"]],
    steps: [["EHLO a.example", "421 4.7.0 Later\r\n"]],
    closes: true,
  },
  {
    because: "a reject without the code of a refusal refuses all the same",
    rules: [["rcpt-to", "", "reject|250 Fine"]],
    steps: [HELLO, ["MAIL FROM:<>", "250"], [`RCPT TO:<bob@${DOMAIN}>`, "550 5.7.1 Fine"]],
  },
  {
    because: "disconnect ends the session with the filter's words",
    rules: [["rcpt-to", "", "disconnect|550 5.7.1 Go"]],
    steps: [HELLO, ["MAIL FROM:<>", "250"], [`RCPT TO:<bob@${DOMAIN}>`, "550 5.7.1 Go"]],
    closes: true,
    received: /tx-rcpt\|\w+\|\w+\|permfail\|bob@example\.org$/,
  },
  {
    because: "a refusal of DATA leaves the transaction",
    rules: [["data", "", "reject|451 4.7.1 Not now"]],
    steps: [HELLO, ["MAIL FROM:<>", "250"], TO_BOB, ["DATA", "451 4.7.1"], ["RSET", "250"]],
    received: /tx-data\|\w+\|\w+\|tempfail$/,
  },
  {
    because: "a refusal at commit comes behind the message, and nothing is kept",
    rules: [["commit", "", "reject|554 5.7.1 No such thing"]],
    steps: [HELLO, ...MESSAGE.slice(0, 3), ["Subject: x\r\n\r\nbody\r\n.", "554 5.7.1"], ["NOOP", "250"]],
    received: /tx-rollback/,
  },
  {
    because: "junk marks the message",
    rules: [["rcpt-to", "", "junk"]],
    steps: [HELLO, ...MESSAGE],
    mail: /\nX-Spam: Yes\nReceived: /,
  },
  {
    because: "junk before a transaction marks the messages of the session",
    rules: [["ehlo", "", "junk"]],
    steps: [HELLO, ...MESSAGE],
    mail: /\nX-Spam: Yes\nReceived: /,
  },
  {
    because: "rewrite replaces the sender, parameters and all",
    rules: [["mail-from", "", "rewrite|<other@example.com> SIZE=100"]],
    steps: [HELLO, ...MESSAGE],
    mail: /^Return-Path: <other@example\.com>/,
    received: /tx-mail\|\w+\|\w+\|ok\|s@example.com$/,
  },
  {
    because: "rewrite replaces the recipient",
    rules: [["rcpt-to", "alias", "rewrite|<bob@example.org>"]],
    steps: [
      HELLO,
      ["MAIL FROM:<s@example.com>", "250"],
      ["RCPT TO:<alias@elsewhere.example>", "250"],
      ...MESSAGE.slice(2),
    ],
    mail: /^Delivered-To: bob@example\.org/m,
  },
  {
    because: "what a filter writes is checked as what the client says",
    rules: [["mail-from", "", "rewrite|<not an address"]],
    steps: [HELLO, ["MAIL FROM:<s@example.com>", "553 5.1.7"], ["NOOP", "250"]],
  },
  {
    because: "rewrite gives the client another name",
    rules: [["ehlo", "", "rewrite|renamed.example"]],
    steps: [["EHLO a.example", "250-[^\n]*Hello renamed.example"]],
    received: /link-identify\|\w+\|EHLO\|renamed\.example$/,
  },
  {
    because: "a report in the place of a decision lets the command pass",
    rules: [["mail-from", "", "report|seen"]],
    steps: [HELLO, ["MAIL FROM:<s@example.com>", "250"]],
    received: /filter-response\|\w+\|mail-from\|report\|seen$/,
  },
  {
    because: "a report of the filter's own is sent to the session's filters",
    rules: [["mail-from", "", "own-report spam=0.3|x"]],
    steps: [HELLO, ["MAIL FROM:<s@example.com>", "250"]],
    received: /filter-report\|\w+\|proc\|f\d+\|spam=0\.3\|x$/,
  },
  {
    because: "reject at connect is said for a banner, and only QUIT is served",
    rules: [["connect", "", "reject|554 5.7.1 Not here"]],
    banner: "554 5.7.1",
    steps: [["EHLO a.example", "503"], ["MAIL FROM:<>", "503"], ["QUIT", "221"]],
    closes: true,
  },
  {
    because: "disconnect at connect closes",
    rules: [["connect", "", "disconnect|550 5.7.1 Not here"]],
    banner: "550 5.7.1",
    steps: [],
    closes: true,
  },
  {
    because: "commands that are wrong do not reach filters",
    rules: [["mail-from", "", "reject|550 Never"]],
    steps: [["MAIL FROM:<s@example.com>", "503"], HELLO, ["MAIL FROM:<@>", "553"], ["BDAT 3 LAST\r\nabc", "502"]],
  },
  {
    because: "NOOP, RSET, QUIT have phases",
    rules: [["noop", "", "reject|550 No noop"], ["rset", "", "reject|550 No rset"], ["quit", "", "reject|550 Stay"]],
    steps: [["NOOP", "550 No noop"], ["RSET", "550 No rset"], ["QUIT", "550 Stay"], ["HELP", "214"]],
  },
  {
    because: "a built-in filter looks at the sender",
    builtin: 'phase mail-from match mail-from { "@bad.example", bad@example.com } reject "550 5.7.1 No"',
    steps: [
      HELLO,
      ["MAIL FROM:<x@bad.example>", "550 5.7.1 No"],
      ["MAIL FROM:<bad@example.com>", "550"],
      ["MAIL FROM:<good@example.com>", "250"],
    ],
  },
  {
    because: "a built-in filter knows the null sender as the empty key",
    builtin: 'phase mail-from match mail-from regex "^$" reject "550 No bounces"',
    steps: [HELLO, ["MAIL FROM:<>", "550 No bounces"], ["MAIL FROM:<a@example.com>", "250"]],
  },
  {
    because: "a built-in filter looks at each recipient",
    builtin: 'phase rcpt-to match rcpt-to "eve@" junk',
    steps: [HELLO, ...MESSAGE],
    mail: /^(?![^]*X-Spam)/,
  },
  {
    because: "a built-in filter looks at the client's address and name",
    builtin: 'phase connect match src "127.0.0.0/8" junk',
    steps: [HELLO, ...MESSAGE],
    mail: /\nX-Spam: Yes/,
  },
  {
    because: "a built-in filter looks at HELO",
    builtin: 'phase ehlo match helo "*.example.com" disconnect "550 Not you"',
    steps: [["EHLO client.example.com", "550 Not you"]],
    closes: true,
  },
  {
    because: "a negated condition is true where the condition is not",
    builtin: 'phase data match !auth reject "550 Who are you"',
    steps: [HELLO, ...MESSAGE.slice(0, 2), ["DATA", "550 Who are you"]],
  },
  {
    because: "a table that does not know the login does not match",
    builtin: 'phase mail-from match auth { "carol" } reject "550 Not carol"',
    steps: [HELLO, ["MAIL FROM:<a@example.com>", "250"]],
  },
  {
    because: "a client with a name that leads back to it is confirmed",
    builtin: 'phase connect match !fcrdns disconnect "550 Forged"',
    steps: [HELLO],
  },
  {
    because: "a built-in filter rewrites",
    builtin: 'phase rcpt-to match rcpt-to "@elsewhere.example" rewrite "<bob@example.org>"',
    steps: [HELLO, ["MAIL FROM:<s@example.com>", "250"], ["RCPT TO:<x@elsewhere.example>", "250"], ...MESSAGE.slice(2)],
    mail: /^Delivered-To: bob@example\.org/m,
  },
];

async function converse(port: number, { banner = "220", steps, closes }: Row): Promise<void> {
  const client = await Client.open(port);
  try {
    await client.reply(banner);
    for (const [said, received] of steps) {
      const reply = await client.say(said, "");
      assert.match(reply, new RegExp(`^${received}`), said);
    }
    if (closes) await assert.rejects(client.reply(), /The server closed/);
  } finally {
    client.close();
  }
}

Deno.test("filters decide about commands and messages", async (test) => {
  const ports = DECISIONS.map(() => freePort());
  const config = ({ port, mail, folder }: FilterHarness) => {
    const scripts = DECISIONS.map(({ rules = [] }, at) =>
      [`f${at}`, { register: ["report|smtp-in|*", ...ALL_PHASES], record: true, rules }] as const
    ).filter((_, at) => DECISIONS[at]!.builtin === undefined);
    const programs = install(folder, Object.fromEntries(scripts));
    const filters = DECISIONS.map(({ builtin }, at) => `filter f${at} ${builtin ?? programs[`f${at}`]}\n`).join("");
    const listen = ports.map((one, at) => `listen on 127.0.0.1 port ${one} filter f${at}\n`).join("");
    return `${filters}listen on 127.0.0.1 port ${port}\n${listen}${inbox(mail)}`;
  };
  await withDaemon({ config }, async (daemon) => {
    for (const [at, row] of DECISIONS.entries()) {
      await test.step(row.because, async () => {
        const before = daemon.mailbox("bob").names();
        await converse(ports[at]!, row);
        if (row.received !== undefined) await received(daemon, `f${at}`, row.received);
        if (row.mail === undefined) return;
        await daemon.mailbox("bob").arrived(before.length + 1);
        const name = daemon.mailbox("bob").names().find((one) => !before.includes(one))!;
        assert.match(new TextDecoder().decode(daemon.mailbox("bob").read(name)), row.mail);
      });
    }
    await daemon.logged(/^info: f0: at your service$|^f0: at your service$/);
  });
});
