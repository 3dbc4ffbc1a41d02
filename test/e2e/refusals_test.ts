/** What a client receives as 4xx or 5xx is in the log, whatever part of the server says it; and /health says why mail is refused. */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { ALL_PHASES, inbox, install } from "./filter_harness.ts";
import { type Daemon, DOMAIN, withDaemon } from "./harness.ts";
import { freePort } from "../ports.ts";

/** Everything that the server says to the octets that are sent, until it closes or has answered QUIT. */
async function received(port: number, said: readonly string[]): Promise<string[]> {
  const client = await Client.open(port);
  const replies: string[] = [];
  try {
    replies.push(await client.reply());
    for (const line of said) replies.push(await client.say(line, ""));
  } catch (error) {
    assert.match((error as Error).message, /^The server closed|reset|Broken pipe/);
  } finally {
    client.close();
  }
  return replies.flatMap((reply) => /^[45]/.test(reply) ? [reply.trim()] : []);
}

/** Waits until the log has a line of each of these replies, from line `from` on. */
async function inLog(daemon: Daemon, from: number, replies: readonly string[]): Promise<void> {
  for (const reply of new Set(replies)) {
    const count = replies.filter((one) => one === reply).length;
    const escaped = reply.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll('"', '\\\\"');
    await daemon.logged(
      new RegExp(
        `^[0-9a-f]{16} smtp (?:failed-command command=".*"|bad-input) result="${escaped}" address=127\\.0\\.0\\.1$`,
      ),
      from,
      count,
    );
  }
}

const BEGIN = ["EHLO a.example"];
const UP_TO_DATA = [...BEGIN, "MAIL FROM:<a@example.net>", `RCPT TO:<bob@${DOMAIN}>`, "DATA"];

/** Which listener, what the client says, and the codes that it gets. */
const rows: readonly {
  port: "plain" | "barred" | "turned" | "built" | "program";
  said: readonly string[];
  codes: string;
}[] = [
  { port: "plain", said: ["HELP", "NONSENSE"], codes: "500" },
  { port: "plain", said: ["GET / HTTP/1.1"], codes: "500" },
  { port: "plain", said: ["EHLO", "EHLO @", "DATA", "MAIL FROM:<a@b"], codes: "501 501 503 503" },
  {
    port: "plain",
    said: [...BEGIN, "MAIL FROM:<@>", "MAIL FROM:<> SIZE=1 SIZE=2", "AUTH PLAIN AGEAYg=="],
    codes: "553 501 502",
  },
  {
    port: "plain",
    said: [...BEGIN, "MAIL FROM:<>", "RCPT TO:<x@elsewhere.example>", "RCPT TO:<>", "DATA"],
    codes: "550 501 503",
  },
  { port: "plain", said: [...BEGIN, "BDAT x"], codes: "501" },
  { port: "plain", said: [`NOOP ${"x".repeat(5000)}`], codes: "500" },
  { port: "plain", said: [...UP_TO_DATA, "a bare\nline end\r\n."], codes: "550" },
  { port: "barred", said: ["EHLO a.example", "QUIT"], codes: "550 503" },
  { port: "turned", said: ["EHLO a.example"], codes: "550" },
  { port: "built", said: ["EHLO spam.example"], codes: "550" },
  { port: "built", said: [...BEGIN, "MAIL FROM:<spam@example.net>"], codes: "451" },
  { port: "built", said: [...UP_TO_DATA, "x\r\n."], codes: "550" },
  { port: "program", said: ["EHLO bad.example"], codes: "550" },
  { port: "program", said: [...BEGIN, "MAIL FROM:<bad@example.net>"], codes: "550" },
  { port: "program", said: [...BEGIN, "MAIL FROM:<>", `RCPT TO:<bad@${DOMAIN}>`], codes: "421" },
  { port: "program", said: [...BEGIN, "MAIL FROM:<no@example.net>", "NOOP bad"], codes: "451 550" },
];

Deno.test("each 4xx and 5xx that a client receives is in the log, with its address", async () => {
  const ports = { barred: freePort(), turned: freePort(), built: freePort(), program: freePort() };
  const admin = freePort();
  const config = ({ port, mail, folder }: { port: number; mail: string; folder: string }) => {
    const program = install(folder, {
      judge: {
        register: ALL_PHASES.filter((phase) => !phase.endsWith("data-line")),
        rules: [
          ["ehlo", "bad", "disconnect|550 5.7.1 bad name"],
          ["mail-from", "bad", "disconnect|550 5.7.1 bad sender"],
          ["mail-from", "no", "reject|451 4.7.1 not now"],
          ["rcpt-to", "bad", "disconnect|421 4.7.1 bad recipient"],
          ["noop", "bad", "disconnect|550 5.7.1 bad noop"],
        ],
      },
    });
    const on = (name: keyof typeof ports, filters: string) =>
      `listen on 127.0.0.1 port ${ports[name]} hostname mx.${DOMAIN} filter { ${filters} }\n`;
    return `filter barred phase connect match src "127.0.0.1" reject "550 5.7.1 no \\"you\\""
filter turned phase connect match src "127.0.0.1" disconnect "550 no rDNS"
filter spammer phase ehlo match helo "spam.example" disconnect "550 5.7.1 go away"
filter sender phase mail-from match mail-from "spam@example.net" reject "451 4.7.1 later"
filter whole phase commit match src "127.0.0.1" reject "550 5.7.1 not this one"
filter judge ${program["judge"]}
admin listen on 127.0.0.1 port ${admin}
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
${on("barred", "barred")}${on("turned", "turned")}${on("built", "spammer, sender, whole")}${on("program", "judge")}${
      inbox(mail)
    }`;
  };
  await withDaemon({ config }, async (daemon) => {
    for (const { port, said, codes } of rows) {
      const from = daemon.log.length;
      const replies = await received(port === "plain" ? daemon.port : ports[port], said);
      assert.equal(
        replies.map((reply) => reply.slice(0, 3)).join(" "),
        codes,
        `${port}: ${said.join(", ").slice(0, 80)}`,
      );
      await inLog(daemon, from, replies);
    }
    const health = async () => {
      const response = await fetch(`http://127.0.0.1:${admin}/health`);
      return [response.status, (await response.json()).reasons];
    };
    assert.deepEqual(await health(), [200, []]);
    for (const what of ["smtp", "mda", "mta"]) {
      assert.equal((await daemon.tool("smtpctl", ["pause", what])).code, 0);
      assert.deepEqual(await health(), [503, [`${what} is paused`]]);
      if (what === "smtp") {
        const from = daemon.log.length;
        const replies = await received(daemon.port, []);
        assert.deepEqual(replies, ["421 4.3.2 Service paused, try again later"]);
        await inLog(daemon, from, replies);
      }
      await daemon.tool("smtpctl", ["resume", what]);
    }
    assert.deepEqual(await health(), [200, []]);
    // The end of the daemon is a 421 as well.
    const client = await Client.connect(daemon.port);
    await client.say("EHLO a.example", "250");
    const from = daemon.log.length;
    const stopped = daemon.tool("smtpctl", ["stop"]);
    const last = (await client.reply("421")).trim();
    await inLog(daemon, from, [last]);
    client.close();
    await stopped;
  });
});
