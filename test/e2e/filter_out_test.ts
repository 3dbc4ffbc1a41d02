/** What filters are sent about mail that is relayed, in the real daemon. */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { type FilterHarness, inbox, install, normal, received } from "./filter_harness.ts";
import { DOMAIN, withDaemon } from "./harness.ts";
import { freePort } from "../ports.ts";

const GOLDEN = new URL("golden/filter-out-record.txt", import.meta.url);

Deno.test("a relay's filter is sent reports of every session in order, and of refused recipients and messages", async () => {
  const next = freePort();
  const config = ({ port, mail, folder }: FilterHarness) => {
    const { out } = install(folder, { out: { register: ["report|smtp-out|*"], record: true } });
    return `admd "mx.${DOMAIN}"
filter out ${out}
filter eve phase rcpt-to match rcpt-to "eve@" reject "550 5.7.1 Not her"
mta limit session-keepalive 1
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN} tag first
listen on 127.0.0.1 port ${next} hostname next.${DOMAIN} filter eve
action "out" relay host "smtp://127.0.0.1:${next}" helo mx.${DOMAIN} filter { out }
match tag first from any for any action "out"
${inbox(mail)}`;
  };
  await withDaemon({ config }, async (daemon) => {
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.com", "250");
    await client.say("MAIL FROM:<sender@example.com>", "250");
    await client.say(`RCPT TO:<bob@${DOMAIN}>`, "250");
    await client.say(`RCPT TO:<eve@${DOMAIN}>`, "250");
    await client.say("DATA", "354");
    await client.say("Subject: hello\r\n\r\nbody\r\n.", "250");
    await daemon.mailbox("bob").message();
    const lines = await received(daemon, "out", /link-disconnect/);
    assert.equal(normal(lines), await Deno.readTextFile(GOLDEN));
  });
});
