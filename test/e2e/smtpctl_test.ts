/** Every form of the commands that look into the queue and change it, and what they print, in the running program. */

import assert from "node:assert/strict";
import { COMMANDS } from "../../src/cli/smtpctl/commands.ts";
import { JSON_FORMS } from "../../src/cli/smtpctl/json_fields.ts";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, OWNER, withDaemon } from "./harness.ts";
import { fakeServer } from "../smtp_client/fake_server.ts";

const LISTING = new RegExp(
  [
    "[0-9a-f]{16}",
    "(?:local|inet4|inet6)",
    "(?:mda|mta|bounce)",
    "(?:bounce|auth|internal|suspend|hold|,)*",
    "[^|]*@[^|]*",
    "[^|]+@[^|]+",
    "[^|]+@[^|]+",
    "\\d{10}",
    "\\d{10}",
    "\\d+",
    "\\d+",
    "(?:pending|inflight)",
    "\\d+",
    "[^|]*",
  ].join("\\|"),
);

async function submit(daemon: Daemon, ...recipients: string[]): Promise<string> {
  const client = await Client.connect(daemon.port);
  try {
    await client.say("EHLO client.example.com", "250");
    await client.say("MAIL FROM:<sender@example.com>", "250");
    for (const recipient of recipients) await client.say(`RCPT TO:<${recipient}>`, "250");
    await client.say("DATA", "354");
    return (await client.say("Subject: held\r\n\r\nHello\r\n.", "250")).split(" ")[2]!;
  } finally {
    client.close();
  }
}

Deno.test("smtpctl names envelopes by id, message, domain or all, and counts what it changed", async (test) => {
  const next = await fakeServer({
    reply: (line) => line.startsWith("RCPT TO:<later") ? "450 4.2.1 Try again later" : undefined,
  });
  const config = ({ port, mail }: { port: number; mail: string }) =>
    `listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "out" relay host "smtp://127.0.0.1:${next.port}"
match from any for domain "${DOMAIN}" action "inbox"
match from any for any action "out"
`;
  try {
    await withDaemon({ args: ["-P", "mda", "-P", "mta"], config }, async (daemon) => {
      const says = async (words: string, stdout: string | RegExp, code = 0) => {
        const ran = await daemon.tool("smtpctl", words.split(" "));
        if (typeof stdout === "string") {
          assert.equal(ran.stdout, stdout, `smtpctl ${words}: ${ran.stdout} ${ran.stderr}`);
        } else assert.match(ran.stdout, stdout, `smtpctl ${words}: ${ran.stdout} ${ran.stderr}`);
        assert.equal(ran.code, code, `smtpctl ${words}: ${ran.stdout} ${ran.stderr}`);
      };
      const fails = async (words: string, stderr: RegExp, stdout = "") => {
        const ran = await daemon.tool("smtpctl", words.split(" "));
        assert.deepEqual([ran.code, ran.stdout], [1, stdout], `smtpctl ${words}: ${ran.stderr}`);
        assert.match(ran.stderr, stderr);
      };
      const rows = async () =>
        (await daemon.tool("smtpctl", ["show", "queue"])).stdout.split("\n").filter((line) => line !== "");
      const idOf = async (rcpt: string) => (await rows()).find((row) => row.includes(`|${rcpt}|`))!.slice(0, 16);

      const many = await submit(daemon, "one@a.test", "two@a.test", "three@b.test", `four@${DOMAIN}`);
      const later = await submit(daemon, "later@c.test");
      const one = await idOf("one@a.test"), four = await idOf(`four@${DOMAIN}`);
      await test.step("show queue: 14 fields, in order of id, all or of one message", async () => {
        const all = await rows();
        assert.equal(all.length, 5);
        for (const row of all) assert.match(row, new RegExp(`^${LISTING.source}$`));
        assert.deepEqual(all, all.toSorted());
        await says(`show queue ${later}`, new RegExp(`^${later}.*\\n$`));
        await says(`show queue ${many}`, new RegExp(`^(${many}.*\\n){4}$`));
        await fails("show queue 00000001", /^smtpctl: message 00000001 is not in the queue\n$/);
      });
      await test.step("show envelope and show message", async () => {
        await says(
          `show envelope ${one}`,
          /^version: 3\ndispatcher: out\ntype: mta\n(.+\n)+rcpt: one@a\.test\n(.+\n)+$/,
        );
        await says(`show message ${one}`, /^Received: [^]*Subject: held\n(?:[^]*\n)?\nHello\n$/);
        await says(`show message ${many}`, /\n\nHello\n$/);
        await says("show envelope 0000000100000001", "", 1);
        await says("show message 00000001", "", 1);
      });
      await test.step("pause and resume envelope", async () => {
        await says(`pause envelope ${one}`, "1 envelope paused\n");
        await says(`pause envelope ${many}`, "3 envelopes paused\n");
        assert.equal((await rows()).filter((row) => row.split("|")[3] === "suspend").length, 4);
        await fails(`pause envelope ${one}`, /^smtpctl: it is suspended already\n$/, "0 envelope paused\n");
        await says("resume envelope domain A.test", "2 envelopes resumed\n");
        await says("resume envelope all", "2 envelopes resumed\n");
        await fails(`resume envelope ${one}`, /^smtpctl: it is not suspended\n$/, "0 envelope resumed\n");
        const nowhere = /^smtpctl: nothing in the queue is to be relayed to nowhere\.test\n$/;
        await fails("pause envelope domain nowhere.test", nowhere, "0 envelope paused\n");
      });
      await test.step("show status, pause and resume of the subsystems", async () => {
        await says("show status", /^MDA paused\nMTA paused\nSMTP running\n/);
        await says("pause mta", "command failed: mta is paused already\n", 1);
        await says("pause smtp", "command succeeded\n");
        await says("show status", /^MDA paused\nMTA paused\nSMTP paused\n/);
        await says("resume smtp", "command succeeded\n");
      });
      await test.step("schedule", async () => {
        await says(`schedule ${four}`, "1 envelope scheduled\n");
        await says(`schedule ${many}`, "4 envelopes scheduled\n");
        await says("schedule domain a.test", "2 envelopes scheduled\n");
        await says("schedule all", "5 envelopes scheduled\n");
        await fails("schedule 00000001", /message 00000001 is not in the queue/, "0 envelope scheduled\n");
      });
      await test.step("remove", async () => {
        await says(`remove ${four}`, "1 envelope removed\n");
        await fails(`remove ${four}`, new RegExp(`envelope ${four} is not in the queue`), "0 envelope removed\n");
        await says("remove domain a.test", "2 envelopes removed\n");
        await says(`remove ${many}`, "1 envelope removed\n");
        assert.equal((await rows()).length, 1);
        await daemon.logged(/Remove for /, 0, 4);
      });
      await test.step("a retry shows its number, its time and the reason", async () => {
        await says("resume mta", "command succeeded\n");
        await daemon.logged(/result="TempFail"/);
        const fields = (await rows())[0]!.split("|");
        assert.deepEqual([fields[10], fields[11], fields[13]], ["1", "pending", "450 4.2.1 Try again later"]);
        assert.ok(Number(fields[12]) > 200 && Number(fields[12]) <= 400, fields[12]!);
        assert.match(fields[9]!, /^\d{10}$/);
      });
      await test.step("show hosts, hoststats, relays and routes", async () => {
        const duration = "(?:\\d+[dhms])+|-";
        await says(
          "show hosts",
          new RegExp(
            `^127\\.0\\.0\\.1 \\S+ refcount=\\d+ nconn=\\d+ lastconn=(?:${duration})\\n {2}Last failure \\S+ ago, class temporary: 450 .*\\n$`,
          ),
        );
        await says("show hoststats", /^127\.0\.0\.1\|\d{10}\|\S.*\n$/);
        await says("show relays", /^(\[relay:\S+\] refcount=\d+ .*\n( {2}connector .*\n)*)?$/);
        await says(
          "show routes",
          /^\d+\. \S+ <-> 127\.0\.0\.1 \(\S+\) [ND-][D-]?[Q-]?[K-]? nconn=\d+ nerror=\d+ penalty=\d+ timeout=\S+\n$/,
        );
      });
      await test.step("every show of the table takes --json and prints objects with the names of smtpctl(8)", async () => {
        const json = async (...words: string[]) => {
          const ran = await daemon.tool("smtpctl", words);
          assert.deepEqual([ran.code, ran.stderr], [0, ""], words.join(" "));
          return ran.stdout.split("\n").slice(0, -1).map((line) => JSON.parse(line) as Record<string, unknown>);
        };
        const [{ envelope, message } = {}] = await json("show", "queue", "--json");
        const parameters: Readonly<Record<string, unknown>> = { "<evpid>": envelope, "<msgid>": message };
        for (const { pattern } of COMMANDS.filter(({ pattern }) => pattern.startsWith("show "))) {
          const words = pattern.split(" ");
          const form = JSON_FORMS[words.slice(0, 2).join(" ")];
          assert.ok(form !== undefined, pattern);
          const found = await json("--json", ...words.map((word) => String(parameters[word] ?? word)));
          if (form.form === "document") assert.equal(found.length, 1, pattern);
          else if (!/certificates|damaged|relays/.test(pattern)) assert.ok(found.length > 0, pattern);
          for (const one of found) assert.deepEqual(Object.keys(one).sort(), Object.keys(form.fields).sort(), pattern);
        }
        const [whole] = await json("show", "message", String(message), "--json");
        const { stdout } = await daemon.tool("smtpctl", ["show", "message", String(message)]);
        assert.equal(new TextDecoder().decode(Uint8Array.fromBase64(String(whole!.content))), stdout);
        assert.equal((await json("show", "status", "--json"))[0]!.smtp, "running");
        const refused = await daemon.tool("smtpctl", ["stop", "--json"]);
        assert.equal(refused.code, 255);
        assert.match(refused.stderr, /^stop has no --json: these have it: .*dkim check, .*find, .*story, /);
      });
      await test.step("what does not exist is an error", async () => {
        await says("resume route 99", "command failed: there is no route 99: show routes lists them\n", 1);
        const [route] = (await daemon.tool("smtpctl", ["show", "routes"])).stdout.split(".");
        await says(`resume route ${route}`, `command failed: route ${route} is not disabled\n`, 1);
        await says("resume route 0", "command failed: no route is disabled\n", 1);
        await says("update table nosuch", 'command failed: There is no table "nosuch"\n', 1);
        await says("resume smtp", "command failed: smtp is running already\n", 1);
        await fails("trace nosuch", /invalid trace keyword: nosuch/);
        await fails("discover 00000001", /nothing was taken in/, "00000001: It is not there\n0 envelopes discovered\n");
      });
      await test.step("mailq is show queue", async () => {
        const mailq = (...args: string[]) => daemon.tool("mailq", args);
        assert.match((await mailq(later)).stdout, new RegExp(`^${later}`));
        assert.equal((await mailq("00000001")).code, 1);
      });
      await test.step("remove all", () => says("remove all", "1 envelope removed\n"));
    });
  } finally {
    await next.close();
  }
});
