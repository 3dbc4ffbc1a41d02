/** One slow or dead destination, or one busy sender, does not delay others. The figures for half a million are in test/schedule. */

import assert from "node:assert/strict";
import { Client } from "./client.ts";
import { DOMAIN, OWNER, withDaemon, within } from "./harness.ts";
import { fakeServer } from "../smtp_client/fake_server.ts";

const BACKLOG = 3000;
const CLIENTS = 4;
/** Another machine: connections are limited by address. */
const SILENT_ADDRESS = "127.0.0.2";

/** A host that takes connections and never says a word. */
function silentHost(): { readonly port: number; close(): void } {
  const listener = Deno.listen({ hostname: SILENT_ADDRESS, port: 0 });
  const open: Deno.Conn[] = [];
  (async () => {
    for await (const connection of listener) open.push(connection);
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    close() {
      listener.close();
      for (const connection of open) connection.close();
    },
  };
}

Deno.test("thousands of messages of one sender to a host that never answers delay nobody else", async () => {
  const silent = silentHost();
  let taken: () => void;
  const arrived = new Promise<void>((resolve) => taken = resolve);
  const healthy = await fakeServer({ dataReply: () => (taken(), "250 2.0.0 Taken") });
  const config = ({ port, mail }: { port: number; mail: string }) =>
    `smtp limit max-mails 100000
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "dead" relay host "smtp://${SILENT_ADDRESS}:${silent.port}"
action "out" relay host "smtp://127.0.0.1:${healthy.port}"
match from any for domain "${DOMAIN}" action "inbox"
match from any for domain "dead.test" action "dead"
match from any for any action "out"
`;
  try {
    await withDaemon({ config }, async (daemon) => {
      await Promise.all(Array.from({ length: CLIENTS }, async () => {
        const client = await Client.connect(daemon.port);
        await client.say("EHLO client.example.com", "250");
        for (let count = 0; count < BACKLOG / CLIENTS; count++) {
          await client.send("busy@example.com", "someone@dead.test", "Subject: backlog\r\n\r\nHello\r\n");
        }
        client.close();
      }));
      const client = await Client.connect(daemon.port);
      await client.say("EHLO client.example.com", "250");
      const began = performance.now();
      await client.send("other@example.com", "someone@healthy.test", "Subject: fresh\r\n\r\nHello\r\n");
      await within(arrived, "the fresh message at the healthy host");
      const relayedMs = performance.now() - began;
      await client.send("other@example.com", `fresh@${DOMAIN}`, "Subject: fresh\r\n\r\nHello\r\n");
      await daemon.mailbox("fresh").message();
      client.close();
      console.log(
        `A fresh message left ${relayedMs.toFixed(0)} ms after MAIL, with ${BACKLOG} waiting for a dead host`,
      );
      // It did not wait for any of them to be given up: none was yet.
      assert.ok(!daemon.log.some((line) => line.includes("TempFail")), "the dead host has all the others still");
      const { stdout } = await daemon.tool("smtpctl", ["show", "queue"]);
      assert.equal(stdout.split("\n").filter((line) => line.includes("@dead.test|")).length, BACKLOG);
    });
  } finally {
    await healthy.close();
    silent.close();
  }
});
