/** With `history`, the real daemon records what happens to messages; without, or when that fails, mail goes on just the same. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { find, HistoryStore, story } from "../../src/history/mod.ts";
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

async function refuse(daemon: Daemon): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.say("MAIL FROM:<sender@example.net>", "250");
  await client.say("RCPT TO:<nobody@elsewhere.example>", "550");
  await client.say("QUIT", "221");
  client.close();
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

/** Puts another configuration in the place of the one in use. */
async function reload(daemon: Daemon, text: string): Promise<void> {
  Deno.writeTextFileSync(daemon.configFile, text);
  const { code, stderr } = await daemon.tool("smtpctl", ["reload"]);
  equal(code, 0, stderr);
}

Deno.test("what happens to messages is recorded while it is wanted, through kill -9, a damaged file and a stop", async () => {
  await untilStopped({}, async (daemon) => {
    await send(daemon, "before");
    ok([...Deno.readDirSync(join(daemon.folder, "spool"))].every(({ name }) => name !== "history"));
    await reload(daemon, config(daemon));
    const first = await send(daemon, "first");
    await refuse(daemon);
    equal(await daemon.stop(), 0);
    const store = storeOf(daemon);
    deepEqual(recipients(store), [`nobody@elsewhere.example refused`, `first@${DOMAIN} delivered`]);
    const { events } = story(store, first, { dialogues: false });
    const types = events.map(({ event }) => event.type);
    ok(["smtp-connected", "smtp-message", "delivery"].every((one) => types.includes(one as never)), types.join());
    store.close();

    Deno.writeTextFileSync(join(folderOf(daemon), "00000002.db"), "this is no database, and long enough ".repeat(99));
    await daemon.launch();
    match(await daemon.logged(/history: 00000002\.db /), /is damaged: .* it is set aside as 00000002\.db\.damaged/);
    await send(daemon, "second");
    await daemon.kill();
    await daemon.launch();
    await send(daemon, "third");
    await reload(daemon, maildirConfig(daemon));
    await send(daemon, "unseen");
    equal(await daemon.stop(), 0);
    const state = storeOf(daemon);
    const all = recipients(state).map((one) => one.split("@")[0]);
    // The last second before a kill may be lost.
    deepEqual(all.filter((one) => one !== "second"), ["third", "nobody", "first"]);
    state.close();
    equal(Deno.statSync(folderOf(daemon)).mode! & 0o777, 0o700);
  });
});

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
    deepEqual(recipients(store), [`second@${DOMAIN} delivered`]);
    store.close();
  });
});
