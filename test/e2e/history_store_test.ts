/** The isolate of the history in the real daemon: when it dies, mail goes on, and so does the history. */

import { equal } from "node:assert/strict";
import { join } from "node:path";
import { find, HistoryStore } from "../../src/history/mod.ts";
import { Client } from "./client.ts";
import { Daemon, type DaemonOptions, DOMAIN, maildirConfig, ownDaemon } from "./harness.ts";

const POLICY = "history keep 30d size 64M\n";
const config = (daemon: { port: number; mail: string }) => POLICY + maildirConfig(daemon);
const folderOf = ({ folder }: Daemon) => join(folder, "spool", "history");

async function send(daemon: Daemon, user: string): Promise<string> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  const accepted = await client.send("sender@example.net", `${user}@${DOMAIN}`, `Subject: x\r\n\r\n${user}\r\n`);
  await client.say("QUIT", "221");
  client.close();
  await daemon.mailbox(user).arrived(1);
  return /([0-9a-f]{8}) /.exec(accepted)![1]!;
}

/** The store of a daemon that has stopped. */
function storeOf(daemon: Daemon): HistoryStore {
  return new HistoryStore({
    folder: folderOf(daemon),
    policy: { keepMs: Infinity, maxBytes: Infinity },
    reserve: { share: null, bytes: 0 },
    now: Date.now,
    log: (_level, text) => console.error(text),
  });
}

function recipients(store: HistoryStore): string[] {
  const { messages } = find(store, { query: { words: [] }, limit: 50, before: "" }, () => 0);
  return messages.map(({ to, outcome }) => `${to.join()} ${outcome}`);
}

/** A daemon that `body` stops. */
async function untilStopped(options: DaemonOptions, body: (daemon: Daemon) => Promise<void>): Promise<void> {
  const daemon = await Daemon.start(options);
  try {
    await body(daemon);
  } catch (error) {
    console.error(daemon.log.slice(-100).join("\n"));
    await daemon.kill().catch(() => {});
    throw error;
  } finally {
    await daemon.remove();
  }
}

Deno.test("an isolate of the history that dies is replaced, and mail goes on", async () => {
  await untilStopped({ config, program: ownDaemon("e2e/mortal_daemon.ts") }, async (daemon) => {
    await send(daemon, "first");
    await daemon.logged(/isolate history ended and starts again/);
    await daemon.logged(/history: \d+ events? (?:was|were) not recorded/);
    // It says how large the history is when it has started.
    while (!(await daemon.tool("smtpctl", ["show", "stats"])).stdout.includes("history.size=")) {
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await send(daemon, "second");
    equal(await daemon.stop(), 0);
    const store = storeOf(daemon);
    // Of the first one, what was said when the next isolate stood may be there.
    equal(recipients(store)[0], `second@${DOMAIN} delivered`);
    store.close();
  });
});
