/** smtpctl: words, what goes to the daemon, what is printed, exit statuses. */

import { deepEqual, equal, match } from "node:assert/strict";
import { COMMANDS } from "../../src/cli/smtpctl/commands.ts";
import { smtpctlMain } from "../../src/cli/smtpctl/smtpctl.ts";
import { MonitorPrinter } from "../../src/cli/smtpctl/monitor.ts";
import { resolveCommand } from "../../src/cli/smtpctl/words.ts";
import type { ControlAnswer } from "../../src/control/mod.ts";
import type { MonitorSample } from "../../src/events/mod.ts";
import { verify } from "../../src/login/mod.ts";
import { environment, FakeTerminal, withFolder, withServer } from "./fakes.ts";

const evpid = "7b23f1c8a1b2c3d4", msgid = "7b23f1c8";

const words: readonly { readonly line: string; readonly asks: Record<string, unknown> }[] = [
  { line: "show queue", asks: { do: "show-queue", message: null } },
  { line: `show queue ${msgid}`, asks: { do: "show-queue", message: msgid } },
  { line: "sh q", asks: { do: "show-queue", message: null } },
  { line: "sh ro", asks: { do: "show-relay", what: "routes" } },
  { line: "show hosts", asks: { do: "show-relay", what: "hosts" } },
  { line: "show hostst", asks: { do: "show-relay", what: "hoststats" } },
  { line: "show relays", asks: { do: "show-relay", what: "relays" } },
  { line: `show message ${evpid}`, asks: { do: "show-message", message: msgid } },
  { line: `show message ${msgid.toUpperCase()}`, asks: { do: "show-message", message: msgid } },
  { line: `show envelope ${evpid}`, asks: { do: "show-envelope", envelope: evpid } },
  { line: "show certificates", asks: { do: "show-certificates" } },
  { line: "show stats", asks: { do: "show-stats" } },
  { line: "show status", asks: { do: "show-status" } },
  { line: `schedule ${evpid}`, asks: { do: "schedule", target: { envelope: evpid } } },
  { line: `sc ${msgid}`, asks: { do: "schedule", target: { message: msgid } } },
  { line: "remove all", asks: { do: "remove", target: "all" } },
  { line: "remove domain Example.ORG", asks: { do: "remove", target: { domain: "example.org" } } },
  {
    line: "remove domain Bücher.example",
    asks: { do: "remove", target: { domain: "xn--bcher-kva.example" } },
  },
  { line: "sch dom example.org", asks: { do: "schedule", target: { domain: "example.org" } } },
  { line: "pause env domain example.org", asks: { do: "pause-envelope", target: { domain: "example.org" } } },
  { line: `discover ${evpid}`, asks: { do: "discover", envelope: evpid } },
  { line: `disc ${msgid.toUpperCase()}`, asks: { do: "discover", messages: [msgid] } },
  { line: "pause envelope a", asks: { do: "pause-envelope", target: "all" } },
  { line: `resume env ${evpid}`, asks: { do: "resume-envelope", target: { envelope: evpid } } },
  { line: "pause mta", asks: { do: "pause", what: "mta" } },
  { line: "resume smtp", asks: { do: "resume", what: "smtp" } },
  { line: "resume route 12", asks: { do: "resume-route", route: 12 } },
  { line: "log verbose", asks: { do: "log", verbose: true } },
  { line: "log b", asks: { do: "log", verbose: false } },
  { line: "trace smtp", asks: { do: "trace", what: "smtp" } },
  { line: "untrace all", asks: { do: "untrace", what: "all" } },
  { line: "update dkim", asks: { do: "update-dkim" } },
  { line: "dkim check", asks: { do: "dkim-check" } },
  { line: "dk ro Bücher.example", asks: { do: "dkim-rotate", domain: "xn--bcher-kva.example" } },
  { line: "update table aliases", asks: { do: "update-table", table: "aliases" } },
  { line: "monitor", asks: { do: "monitor" } },
  { line: "stop", asks: { do: "stop" } },
];
for (const { line, asks } of words) {
  Deno.test(`"smtpctl ${line}" asks for ${asks.do}`, () => {
    const resolved = resolveCommand(COMMANDS, line.split(" "));
    deepEqual(resolved.ok && "request" in resolved.value && resolved.value.request, asks);
  });
}

for (
  const { line, asks } of [
    { line: "discover /spool", asks: { transfer: "discover", folder: "/spool", key: null, again: false } },
    { line: "discover /spool /key", asks: { transfer: "discover", folder: "/spool", key: "/key", again: false } },
    { line: `discover ./${msgid}`, asks: { transfer: "discover", folder: `./${msgid}`, key: null, again: false } },
    { line: "export there", asks: { transfer: "export", folder: "there", key: null, again: false } },
    { line: "im there", asks: { transfer: "import", folder: "there", key: null, again: false } },
    { line: "im --again there", asks: { transfer: "import", folder: "there", key: null, again: true } },
    { line: "disc --again /spool /key", asks: { transfer: "discover", folder: "/spool", key: "/key", again: true } },
  ]
) {
  Deno.test(`"smtpctl ${line}" moves messages`, () => {
    const resolved = resolveCommand(COMMANDS, line.split(" "));
    deepEqual(resolved.ok && resolved.value, asks);
  });
}

const wrong = [
  {
    line: "explode",
    stderr: 'invalid command "explode": smtpctl alone lists them\n',
    because: "there is no such word",
  },
  {
    line: "show host",
    stderr: '"host" is short for several words\n' + "possibilities are:\n  show hosts\n  show hoststats\n",
    because: "two words begin so",
  },
  {
    line: "update",
    stderr: '"update" is not complete\n' + "possibilities are:\n  update dkim\n  update pki\n  update table <str>\n",
    because: "something is missing",
  },
  {
    line: "pause x",
    stderr: 'unknown word "x" behind "pause"\n' +
      "possibilities are:\n  pause envelope <evpid>\n  pause envelope <msgid>\n  pause envelope all\n  pause envelope domain <domain>\n  pause mda\n  pause mta\n  pause smtp\n",
    because: "the second word is none",
  },
  {
    line: "show envelope 7b23f1c8",
    stderr:
      '"7b23f1c8" is no envelope id: that is 16 hexadecimal digits, of which the first 8 are not all 0\npossibilities are:\n  show envelope <evpid>\n',
    because: "a message id is not an envelope id",
  },
  {
    line: "show envelope 0000000000000000",
    stderr:
      '"0000000000000000" is no envelope id: that is 16 hexadecimal digits, of which the first 8 are not all 0\npossibilities are:\n  show envelope <evpid>\n',
    because: "no envelope has this id",
  },
  {
    line: "show queue 7b23f1c",
    stderr:
      '"7b23f1c" is no message id: that is 8 hexadecimal digits, which are not all 0\npossibilities are:\n  show queue\n  show queue <msgid>\n',
    because: "an id is cut short",
  },
  {
    line: "resume route x",
    stderr:
      '"x" is no route id: that is a number, which show routes prints\npossibilities are:\n  resume route <routeid>\n',
    because: "routes have numbers",
  },
  {
    line: "refresh",
    stderr: 'invalid command "refresh", did you mean "reload"? smtpctl alone lists them\n',
    because: "others call it so",
  },
  {
    line: "status",
    stderr: 'invalid command "status", did you mean "show status"? smtpctl alone lists them\n',
    because: "the first word is missing",
  },
  {
    line: "envelope all",
    stderr:
      'invalid command "envelope", did you mean "pause envelope" or "resume envelope" or "show envelope"? smtpctl alone lists them\n',
    because: "several commands have it as their second word",
  },
  {
    line: "flush",
    stderr: 'invalid command "flush", did you mean "schedule all"? smtpctl alone lists them\n',
    because: "another program has this word",
  },
  {
    line: "remove 0000000000000000",
    stderr:
      '"0000000000000000" is no envelope id: that is 16 hexadecimal digits, of which the first 8 are not all 0; no message id: that is 8 hexadecimal digits, which are not all 0\n' +
      "possibilities are:\n  remove <evpid>\n  remove <msgid>\n  remove all\n  remove domain <domain>\n",
    because: "no id is all zero",
  },
  {
    line: "shwo queue",
    stderr: 'invalid command "shwo", did you mean "show"? smtpctl alone lists them\n',
    because: "the first word is misspelt",
  },
  {
    line: "resume rotue 1",
    stderr: 'unknown word "rotue" behind "resume", did you mean "route"?\npossibilities are:\n' +
      "  resume envelope <evpid>\n  resume envelope <msgid>\n  resume envelope all\n  resume envelope domain <domain>\n" +
      "  resume mda\n  resume mta\n  resume smtp\n  resume route <routeid>\n",
    because: "the second word is misspelt",
  },
  {
    line: "encrypt --scarm",
    stderr:
      'unknown option --scarm, did you mean "--scram"? a word that begins with "-" and is no option stands behind --\n',
    because: "an option is no password",
  },
  {
    line: "encrypt -x",
    stderr: 'unknown option -x: a word that begins with "-" and is no option stands behind --\n',
    because: "what begins like an option is no password",
  },
  {
    line: "-V",
    stderr:
      'unknown option -V, did you mean "--version"? a word that begins with "-" and is no option stands behind --\n',
    because: "other programs have it",
  },
  {
    line: "log foo",
    stderr: 'unknown word "foo" behind "log"\npossibilities are:\n  log brief\n  log verbose\n',
    because: "there is no such second word",
  },
  {
    line: "remove zzz",
    stderr: 'unknown word "zzz" behind "remove"\n' +
      "possibilities are:\n  remove <evpid>\n  remove <msgid>\n  remove all\n  remove domain <domain>\n",
    because: "it could be meant for an id or for a word",
  },
  {
    line: "restart",
    stderr:
      'invalid command "restart": reload reads a changed smtpd.conf; stop ends the daemon, and smtpd starts it; smtpctl alone lists them\n',
    because: "smtpd starts the daemon",
  },
  {
    line: "queue",
    stderr: 'invalid command "queue", did you mean "show queue"? smtpctl alone lists them\n',
    because: "the first word is missing there, too",
  },
  {
    line: "log brief now",
    stderr: '"now" is a word too many\npossibilities are:\n  log brief\n',
    because: "there is a word too many",
  },
];
for (const { line, stderr, because } of wrong) {
  Deno.test(`"smtpctl ${line}" exits 255: ${because}`, async () => {
    const terminal = new FakeTerminal();
    equal(await smtpctlMain(line.split(" "), environment({}), terminal), 255);
    equal(terminal.stderr, stderr);
  });
}

/** Runs one command against a daemon that gives these answers. */
async function run(line: string, answers: readonly ControlAnswer[]) {
  const terminal = new FakeTerminal();
  let status = -1;
  let received = "";
  await withFolder(async (folder) => {
    const path = `${folder}/c.sock`;
    await withServer(path, (socket) => {
      socket.on("data", (bytes) => {
        received += bytes.toString();
        if (!received.endsWith("\n")) return;
        // In two pieces, so that lines do not come whole.
        const text = answers.map((answer) => JSON.stringify(answer) + "\n").join("");
        socket.write(text.slice(0, 5));
        socket.end(text.slice(5));
      });
    }, async () => {
      status = await smtpctlMain(line.split(" "), environment({ SMTPD_SOCKET: path }), terminal);
    });
  });
  return { status, received, stdout: terminal.stdout, stderr: terminal.stderr };
}

const talks: {
  line: string;
  answers: ControlAnswer[];
  status: number;
  stdout?: string;
  stderr?: string;
  because: string;
}[] = [
  {
    line: "show queue",
    answers: [{ line: "one|" }, { line: "two|" }, { ok: true }],
    status: 0,
    stdout: "one|\ntwo|\n",
    because: "a listing is printed as it is",
  },
  { line: "show queue", answers: [{ ok: true }], status: 0, stdout: "", because: "an empty queue prints nothing" },
  {
    line: `show message ${msgid}`,
    answers: [{ bytes: btoa("Subject: x\n\n") }, { bytes: btoa("body\n") }, { ok: true }],
    status: 0,
    stdout: "Subject: x\n\nbody\n",
    because: "a message is printed as it is",
  },
  {
    line: `show message ${msgid}`,
    answers: [{ ok: false, error: `message ${msgid} is not in the queue` }],
    status: 1,
    stderr: `smtpctl: message ${msgid} is not in the queue\n`,
    because: "there is none",
  },
  {
    line: "remove all",
    answers: [{ ok: true, count: 0 }],
    status: 0,
    stdout: "0 envelope removed\n",
    because: "none is singular",
  },
  {
    line: `schedule ${msgid}`,
    answers: [{ ok: true, count: 1 }],
    status: 0,
    stdout: "1 envelope scheduled\n",
    because: "one is singular",
  },
  {
    line: `remove ${evpid}`,
    answers: [{ ok: true, count: 0, unchanged: { reason: "it is not in the queue", failed: true } }],
    status: 1,
    stdout: "0 envelope removed\n",
    stderr: "smtpctl: it is not in the queue\n",
    because: "what was named is not there",
  },
  {
    line: "schedule domain x",
    answers: [{ ok: true, count: 0, unchanged: { reason: "they are suspended", failed: false } }],
    status: 0,
    stdout: "0 envelope scheduled\n",
    stderr: "smtpctl: they are suspended\n",
    because: "there is nothing to do",
  },
  {
    line: "pause envelope all",
    answers: [{ ok: true, count: 2 }],
    status: 0,
    stdout: "2 envelopes paused\n",
    because: "two are plural",
  },
  {
    line: "resume envelope all",
    answers: [{ ok: true, count: 12 }],
    status: 0,
    stdout: "12 envelopes resumed\n",
    because: "the verb follows the command",
  },
  { line: "pause mda", answers: [{ ok: true }], status: 0, stdout: "command succeeded\n", because: "it was done" },
  {
    line: "pause mda",
    answers: [{ ok: false, error: "mda is paused already" }],
    status: 1,
    stdout: "command failed: mda is paused already\n",
    because: "it was paused already",
  },
  {
    line: "update table x",
    answers: [{ ok: false, error: "No such table" }],
    status: 1,
    stdout: "command failed: No such table\n",
    because: "the daemon says why",
  },
  {
    line: "stop",
    answers: [{ ok: false, error: "need root privileges", denied: true }],
    status: 1,
    stderr: "smtpctl: need root privileges\n",
    because: "the daemon does not obey this user",
  },
  {
    line: "show stats",
    answers: [{ line: "uptime=1" }],
    status: 1,
    stderr: "smtpctl: The daemon closed the connection before it answered\n",
    because: "a listing that is cut is no listing",
  },
];
for (const { line, answers, status, stdout = "", stderr = "", because } of talks) {
  Deno.test(`"smtpctl ${line}" exits ${status} and prints what it should: ${because}`, async () => {
    const ran = await run(line, answers);
    equal(ran.stderr, stderr);
    if (status === 0 || stdout !== "") equal(ran.stdout, stdout);
    equal(ran.status, status);
    equal(ran.received.split("\n").length, 2);
  });
}

Deno.test("smtpctl without a daemon says so and exits 1", async () => {
  await withFolder(async (folder) => {
    const terminal = new FakeTerminal();
    equal(await smtpctlMain(["show", "stats"], environment({ SMTPD_SOCKET: `${folder}/none` }), terminal), 1);
    equal(terminal.stderr, `smtpctl: smtpd doesn't seem to be running: nobody answers at ${folder}/none\n`);
  });
});

Deno.test("smtpctl refuses what needs no daemon: unknown traces, no command at all", async () => {
  const rows: [string[], RegExp][] = [
    [["trace", "filtres"], /^smtpctl: invalid trace keyword: filtres, did you mean "filters"\?, known are: /],
    [["trace", "nonsense"], /^smtpctl: invalid trace keyword: nonsense, known are: all imsg .*\n$/],
    [[], /^usage: smtpctl command[^]*\n +show queue\n/],
  ];
  for (const [args, stderr] of rows) {
    const terminal = new FakeTerminal();
    equal(await smtpctlMain(args, environment({ SMTPD_SOCKET: "/nonexistent/c.sock" }), terminal), 1);
    match(terminal.stderr, stderr);
  }
});

Deno.test("smtpctl import says that a folder is none that export wrote", async () => {
  await withFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/smtpd.conf`, "");
    const env = environment({ SMTPD_SOCKET: `${folder}/none`, SMTPD_SPOOL: `${folder}/spool` });
    const terminal = new FakeTerminal();
    equal(await smtpctlMain(["import", folder], env, terminal), 1);
    match(terminal.stderr, /^smtpctl: \S+ holds nothing that export wrote/);
  });
});

Deno.test("smtpctl encrypt prints a hash that the daemon verifies, each with a salt of its own", async () => {
  for (
    const [args, input, passwords] of [
      [["encrypt", "se same"], "", ["se same"]],
      [["encrypt"], "one\ntwo\ntwo\n", ["one", "two", "two"]],
      [["encrypt", "--", "--help"], "", ["--help"]],
      [["encrypt", "--", "--scram"], "", ["--scram"]],
      [["encrypt", "--scram", "se same"], "", ["se same"]],
      [["encrypt", "--scram"], "one\ncaf\u00e9\ncaf\u00e9\n", ["one", "cafe\u0301", "caf\u00e9"]],
    ] as [string[], string, string[]][]
  ) {
    const terminal = new FakeTerminal(input);
    equal(await smtpctlMain(args, environment({ SMTPD_SOCKET: "/nonexistent/c.sock" }), terminal), 0);
    const hashes = terminal.stdout.trimEnd().split("\n");
    equal(hashes.length, passwords.length);
    equal(new Set(hashes).size, hashes.length);
    for (const [index, hash] of hashes.entries()) equal(await verify(passwords[index]!, hash), "match");
    for (const hash of hashes) equal(await verify("another", hash), "mismatch");
  }
});

Deno.test("smtpctl encrypt --scram writes SCRAM verifiers, and none that no client could use", async () => {
  const env = environment({ SMTPD_SOCKET: "/nonexistent/c.sock" });
  const terminal = new FakeTerminal();
  equal(await smtpctlMain(["encrypt", "--scram", "sesame"], env, terminal), 0);
  match(terminal.stdout, /^SCRAM-SHA-256\$50000:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=\n$/);
  const refused = new FakeTerminal("bell\u0007\n");
  equal(await smtpctlMain(["encrypt", "--scram"], env, refused), 1);
  match(refused.stderr, /SASLprep/);
});

const zero: MonitorSample = {
  sessions: 0,
  connects: 0,
  disconnects: 0,
  envelopes: 0,
  enqueued: 0,
  ok: 0,
  tempfail: 0,
  permfail: 0,
  loop: 0,
  expired: 0,
  removed: 0,
  bounces: 0,
};
const HEADING = "--- client ---  -- envelope --   ---- relay/delivery --- ------- misc -------\n" +
  "curr conn disc  curr  enq  deq   ok tmpfail prmfail loop expire remove bounce\n";

Deno.test("monitor prints whole numbers first, then what they grew by", () => {
  const printer = new MonitorPrinter();
  const first = {
    ...zero,
    sessions: 3,
    connects: 100,
    disconnects: 97,
    envelopes: 5,
    enqueued: 20,
    ok: 14,
    bounces: 1,
  };
  equal(
    printer.next(first),
    HEADING + "   3  100   97     5   20   15   14       0       0    0      0      0      1\n",
  );
  equal(
    printer.next({ ...first, connects: 102, disconnects: 100, sessions: 2, enqueued: 22, envelopes: 6, ok: 15 }),
    "   2    2    3     6    2    1    1       0       0    0      0      0      0\n",
  );
});

Deno.test("monitor repeats its heading every 25 samples, behind a blank line", () => {
  const printer = new MonitorPrinter();
  const text = Array.from({ length: 51 }, () => printer.next(zero)).join("");
  equal(text.split(HEADING).length - 1, 3);
  equal(text.split(`\n\n${HEADING}`).length - 1, 2);
});
