/**
 * One message in is never two messages out: every known trick goes through the daemon to the next hop, which is Postfix or OpenSMTPD, and
 * what arrives there is counted. Needs root and the unpacked packages, as both servers do; says so where they are missing.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { startOpenSmtpd } from "../bench/opensmtpd.ts";
import { startPostfix } from "../bench/postfix.ts";
import { type Place, type Server } from "../bench/server.ts";
import { freePort } from "../ports.ts";
import { message, shown, TRICKS } from "../smtp/tricks.ts";
import { Client } from "./client.ts";
import { DOMAIN, Mailbox, PROJECT, withDaemon } from "./harness.ts";

const TOOLS = join(PROJECT, ".deno/tools");
/** A message of no trick, the last one: when it has arrived, so have the others. */
const LAST = "Subject: the last one\r\n\r\nx\r\n";

const HOPS: readonly { name: string; program: string; start(place: Place): Promise<Server> }[] = [
  { name: "Postfix", program: "postfix/usr/lib/postfix/sbin/master", start: startPostfix },
  { name: "OpenSMTPD", program: "opensmtpd/usr/sbin/smtpd", start: startOpenSmtpd },
];

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

/** Text of a raw octet string. */
const octets = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** Sends one message by DATA or BDAT in a session of its own; answers the code of the last reply. */
async function submit(port: number, how: "DATA" | "BDAT", data: string, recipient = "box"): Promise<string> {
  const client = await Client.connect(port);
  try {
    await client.say("EHLO client.example.com", "250");
    await client.say("MAIL FROM:<sender@example.com>", "250");
    await client.say(`RCPT TO:<${recipient}@${DOMAIN}>`, "250");
    if (how === "DATA") {
      await client.say("DATA", "354");
      await client.write(octets(`${data}.\r\n`));
    } else await client.write(octets(`BDAT ${data.length} LAST\r\n${data}`));
    return (await client.reply()).slice(0, 3);
  } finally {
    client.close();
  }
}

for (const { name, program, start } of HOPS) {
  const here = Deno.uid() === 0 && exists(join(TOOLS, program));
  if (!here) {
    console.error(`${name} cannot start here (not root, or not unpacked into .deno/tools): its test is skipped`);
  }
  Deno.test({
    name:
      `${TRICKS.length} ways to smuggle, by DATA, BDAT and sendmail: ${name} behind us gets one message for each it is sent`,
    ignore: !here,
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "vaultpost-hop-" });
      await Deno.chmod(folder, 0o755);
      const hop = await start({ folder, port: freePort(), sinkPort: 1, tools: TOOLS });
      try {
        await through(hop);
      } finally {
        await hop.stop();
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

async function through(hop: Server): Promise<void> {
  const config = ({ port }: { port: number }) =>
    `listen on socket
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "hop" relay host "smtp+notls://127.0.0.1:${hop.port}"
match from any for domain "${DOMAIN}" action "hop"
`;
  await withDaemon({ config }, async (daemon) => {
    const sent = new Set<number>();
    let number = 0;
    for (const trick of TRICKS) {
      for (const how of ["DATA", "BDAT"] as const) {
        const code = await submit(daemon.port, how, message(trick, number));
        assert.equal(code, trick.fate === "whole" ? "250" : "550", `${how} with ${shown(trick.end)}`);
        if (code === "250") sent.add(number);
        number++;
      }
      // With -i a lone dot is text. What sendmail makes of bare line ends is its own affair, as long as it is one message.
      const ran = await daemon.tool(
        "sendmail",
        ["-i", "-f", "sender@example.com", `box@${DOMAIN}`],
        octets(message(trick, number)),
      );
      if (ran.code === 0) sent.add(number);
      number++;
    }
    assert.equal(await submit(daemon.port, "DATA", LAST), "250");
    const box = new Mailbox(hop.maildir);
    await box.arrived(sent.size + 1);
    await daemon.logged(/ mta delivery .* result="?Ok/, 0, sent.size + 1);
    const seen = new Set<number>();
    for (const name of box.names()) {
      const text = new TextDecoder("latin1").decode(box.read(name));
      const header = text.slice(0, text.search(/\r?\n\r?\n/));
      assert.ok(!/^Subject: smuggled/m.test(header), `a smuggled message arrived:\n${text}`);
      assert.ok(!/smuggler|victim/.test(header), `a hidden envelope was used:\n${text}`);
      const match = /^Subject: outer (\d+)/m.exec(header);
      if (match === null) continue;
      assert.ok(!seen.has(Number(match[1])), `message ${match[1]} arrived twice`);
      seen.add(Number(match[1]));
    }
    assert.deepEqual(seen, sent);
    assert.equal(box.names().length, sent.size + 1);
  });
}
