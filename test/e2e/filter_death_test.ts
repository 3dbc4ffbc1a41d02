/** Filters that are lost: the daemon stops and says why, sessions get 421, nothing passes unfiltered. With real programs. */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { ALL_PHASES, type FilterHarness, inbox, install, type Script } from "./filter_harness.ts";
import { Daemon, DOMAIN, ownDaemon, run, within } from "./harness.ts";

interface Row {
  readonly because: string;
  readonly script: Script;
  /** What the client says when the filter is lost. */
  readonly last: string;
  readonly log: RegExp;
}

const rows: readonly Row[] = [
  {
    because: "it dies",
    script: { rules: [["mail-from", "", "die"]] },
    last: "MAIL FROM:<a@example.com>",
    log: /lost processor: f: it exited with status 7$/,
  },
  {
    because: "it says what is no answer",
    script: { rules: [["mail-from", "", "garbage"]] },
    last: "MAIL FROM:<a@example.com>",
    log: /lost processor: f: it breaks the protocol: a line that begins with "what\?"$/,
  },
  {
    because: "it answers another question",
    script: { rules: [["mail-from", "", "wrong-token"]] },
    last: "MAIL FROM:<a@example.com>",
    log: /lost processor: f: it breaks the protocol: an answer with an unknown token$/,
  },
  {
    because: "it answers with what is no decision",
    script: { rules: [["mail-from", "", "perhaps"]] },
    last: "MAIL FROM:<a@example.com>",
    log: /it breaks the protocol: an unknown or incomplete decision: "perhaps"$/,
  },
];

function configOf(script: Script): (harness: FilterHarness) => string {
  return ({ port, mail, folder }) => {
    const { f } = install(folder, { f: { register: ALL_PHASES, ...script } });
    return `filter f ${f}\nlisten on 127.0.0.1 port ${port} filter f\n${inbox(mail)}`;
  };
}

for (const { because, script, last, log } of rows) {
  Deno.test(`the daemon stops when a filter is lost: ${because}`, async () => {
    const daemon = await Daemon.start({ config: configOf(script) });
    try {
      const client = await Client.connect(daemon.port);
      await client.say("EHLO client.example.com", "250");
      const other = await Client.connect(daemon.port);
      await client.say(last, "421");
      await other.reply("421");
      await daemon.logged(log);
      assert.equal(await daemon.ended(), 1);
      client.close();
      other.close();
    } finally {
      await daemon.remove();
    }
  });
}

Deno.test("the daemon does not start with a filter that is none", async () => {
  for (
    const [script, said] of [
      [{ register: ["filter|smtp-in|lunch"] }, /it registers the unknown phase "lunch"/],
      [{ register: ["filter|smtp-out|data"] }, /it registers filters of the subsystem "smtp-out"/],
      [{ register: ["report|smtp-in|lunch"] }, /it registers the unknown event "lunch"/],
      [{ register: ["nonsense"] }, /a line that is no registration: "register\|nonsense"/],
    ] as const
  ) {
    await assert.rejects(Daemon.start({ config: configOf(script) }), said);
  }
});

const MORTAL = ownDaemon("e2e/mortal_daemon.ts");

Deno.test("when the filter isolate dies, its programs end, sessions get 421 and the daemon stops", async () => {
  const daemon = await Daemon.start({
    program: MORTAL,
    config: (harness) => configOf({ rules: [["mail-from", "", "silence"]] })(harness),
  });
  try {
    const { stdout } = await run("pgrep", ["-f", `${daemon.folder}/libexec/filter-scripted`]);
    const pids = stdout.trim().split("\n").map(Number);
    assert.equal(pids.length, 1);
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.com", "250");
    await client.write(new TextEncoder().encode("MAIL FROM:<a@example.com>\r\n"));
    await daemon.tool("smtpctl", ["log", "verbose"]);
    await client.reply("421");
    await daemon.logged(/lost the isolate of the filters: .*made to die/);
    assert.notEqual(await daemon.ended(), 0);
    const left = await within(
      (async () => {
        for (;;) {
          const { code } = await run("kill", ["-0", String(pids[0])]);
          if (code !== 0) return 0;
        }
      })(),
      "the end of the program",
    );
    assert.equal(left, 0);
    client.close();
  } finally {
    await daemon.remove();
  }
});

Deno.test("one process serves two filters, under its name, and what it says goes to the log", async () => {
  const daemon = await Daemon.start({
    config: ({ port, mail, folder }) => {
      const { shared } = install(folder, { shared: { register: ALL_PHASES, record: true } });
      return `proc scanner ${shared!.replace("proc-exec ", "")} user nobody group nogroup
filter one proc scanner
filter two proc scanner
filter deny phase mail-from match mail-from "bad@" reject "550 5.7.1 No"
listen on 127.0.0.1 port ${port} filter { deny, one }
listen on socket filter two
${inbox(mail)}`.replace(Deno.uid() === 0 ? "#" : " user nobody group nogroup", "");
    },
  });
  try {
    await daemon.logged(/scanner: at your service$/);
    const { stdout } = await run("pgrep", ["-f", `${daemon.folder}/libexec/filter-scripted`]);
    const pids = stdout.trim().split("\n");
    assert.equal(pids.length, 1);
    if (Deno.uid() === 0) {
      const status = await Deno.readTextFile(`/proc/${pids[0]}/status`);
      assert.match(status, /^Uid:\t65534\t65534/m);
      assert.match(status, /^Gid:\t65534\t65534/m);
    }
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.com", "250");
    await client.say("MAIL FROM:<bad@example.com>", "550 5.7.1");
    await client.send("good@example.com", `bob@${DOMAIN}`, "Subject: x\r\n\r\nbody\r\n");
    client.close();
    const { code } = await daemon.tool("sendmail", [`carol@${DOMAIN}`], "Subject: y\n\nlocal\n");
    assert.equal(code, 0);
    await daemon.mailbox("carol").message();
    const lines = await Deno.readTextFile(`${daemon.folder}/shared.record`);
    assert.match(lines, /\|connect\|\w+\|\w+\|[^|\n]+\|local$/m);
    assert.ok(!/mail-from\|\w+\|\w+\|bad@/.test(lines), "a filter behind one that has refused is not asked");
    assert.equal(await daemon.stop(), 0);
  } finally {
    await daemon.remove();
  }
});
