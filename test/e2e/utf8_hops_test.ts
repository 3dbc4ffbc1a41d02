/**
 * SMTPUTF8 towards Postfix, which knows it, and OpenSMTPD, which does not. Needs root and the unpacked packages, as both servers do; says so
 * where they are missing.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { startOpenSmtpd } from "../bench/opensmtpd.ts";
import { startPostfix } from "../bench/postfix.ts";
import { type Place, type Server } from "../bench/server.ts";
import { freePort } from "../ports.ts";
import { Client } from "./client.ts";
import { DOMAIN, Mailbox, OWNER, PROJECT, withDaemon } from "./harness.ts";

const TOOLS = join(PROJECT, ".deno/tools");

const HOPS: readonly { name: string; program: string; knows: boolean; start(place: Place): Promise<Server> }[] = [
  { name: "Postfix", program: "postfix/usr/lib/postfix/sbin/master", knows: true, start: startPostfix },
  { name: "OpenSMTPD", program: "opensmtpd/usr/sbin/smtpd", knows: false, start: startOpenSmtpd },
];

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

for (const { name, program, knows, start } of HOPS) {
  const here = Deno.uid() === 0 && exists(join(TOOLS, program));
  if (!here) {
    console.error(`${name} cannot start here (not root, or not unpacked into .deno/tools): its test is skipped`);
  }
  Deno.test({
    name: knows
      ? `RFC 6531 §3.4: ${name} behind us takes a sender and a header in UTF-8`
      : `RFC 6531 §3.5: what ${name} behind us cannot be sent comes back with 5.6.7, the rest goes there`,
    ignore: !here,
    async fn() {
      const folder = await Deno.makeTempDir({ prefix: "vaultpost-hop-" });
      await Deno.chmod(folder, 0o755);
      const hop = await start({ folder, port: freePort(), sinkPort: 1, tools: TOOLS });
      try {
        await through(hop, knows);
      } finally {
        await hop.stop();
        await Deno.remove(folder, { recursive: true });
      }
    },
  });
}

async function through(hop: Server, knows: boolean): Promise<void> {
  const config = ({ port, mail }: { port: number; mail: string }) =>
    `mta limit conn-delay-route 0 conn-delay-host 0 conn-delay-relay 0
listen on socket
listen on 127.0.0.1 port ${port} hostname mx.example.net
action "hop" relay host "smtp+notls://127.0.0.1:${hop.port}"
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
match from any for domain "${DOMAIN}" action "hop"
match from any for domain "example.net" action "inbox"
`;
  await withDaemon({ config }, async (daemon) => {
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.com", "250");
    await client.send("josé@example.net", `box@${DOMAIN}`, "Subject: grüße\r\n\r\nx\r\n", " SMTPUTF8 BODY=8BITMIME");
    await client.send("plain@example.net", `box@${DOMAIN}`, "Subject: plain\r\n\r\nx\r\n", " SMTPUTF8");
    client.close();
    const box = new Mailbox(hop.maildir);
    const arrived = (await box.messages(knows ? 2 : 1)).map((bytes) => new TextDecoder().decode(bytes)).join("");
    assert.match(arrived, /^Subject: plain\r?$/m);
    assert.equal(/^Subject: grüße\r?$/m.test(arrived), knows);
    assert.equal(/^Return-Path: <?josé@example\.net>?\r?$/m.test(arrived), knows);
    if (!knows) assert.match(await daemon.mailbox("josé").text(), /^Status: 5\.6\.7$/m);
  });
}
