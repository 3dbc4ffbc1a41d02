/**
 * Every format that a spool ever had, as the programs of that time wrote it, is opened by today's daemon, and the mail in it is delivered, each message once and
 * as it was. The spools are SQL text beside this file: docs/upgrade-notes.md says how one is added.
 */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { Daemon, type DaemonOptions, DOMAIN, maildirConfig } from "../e2e/harness.ts";
import { fakeServer } from "../smtp_client/fake_server.ts";
import { listOffline } from "../../src/queue/mod.ts";

const folder = new URL("./", import.meta.url).pathname;
const spools = [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.endsWith(".sql")).sort();
const KEY = 'queue encryption "0123456789abcdef0123456789abcdef"\n';
/** All but the newest are of a format that exists no more; this many there were. */
const FORMATS = 2;

/** Who got what: the subject, and the body as it was. Older programs added fields behind the subject. */
const MAIL: Readonly<Record<string, readonly [subject: string, body: string]>> = {
  plain: ["plain", "A line.\n.. dots\n. \n"],
  one: ["two", `Grüße, ${"x".repeat(2000)}\n`],
  two: ["two", `Grüße, ${"x".repeat(2000)}\n`],
  null: ["null", "null sender\n"],
  notify: ["notify", "dsn\n"],
  sus: ["sus", "suspended\n"],
};

async function hasMail(daemon: Daemon, user: string): Promise<void> {
  const text = await daemon.mailbox(user).text(), [subject, body] = MAIL[user]!;
  assert.ok(text.includes(`\nSubject: ${subject}\n`), text);
  assert.equal(text.slice(text.indexOf("\n\n") + 2), body);
}

function makeSpool(spool: string, sql: string): void {
  Deno.mkdirSync(spool);
  using database = new DatabaseSync(join(spool, "queue.db"));
  database.exec(sql);
}

function formatOf(spool: string): number {
  using database = new DatabaseSync(join(spool, "queue.db"), { readOnly: true });
  return (database.prepare("PRAGMA user_version").get() as { user_version: number }).user_version;
}

async function showQueue(daemon: Daemon): Promise<string[]> {
  const { stdout } = await daemon.tool("smtpctl", ["show", "queue"]);
  return stdout.split("\n").filter((line) => line !== "");
}

/** Runs a daemon for the length of `body`. Its spool is of the newest format then. */
async function startedAndStopped(options: DaemonOptions, body: (daemon: Daemon) => Promise<void>): Promise<void> {
  const daemon = await Daemon.start(options);
  let status: number;
  try {
    await body(daemon);
  } finally {
    status = await daemon.stop();
    if (status === 0) assert.equal(formatOf(daemon.env.SMTPD_SPOOL!), FORMATS);
    await daemon.remove();
  }
  assert.equal(status, 0, daemon.log.join("\n"));
}

Deno.test("there is a spool of every format", () => {
  assert.deepEqual(
    [...new Set(spools.map((name) => Number(name[0])))],
    Array.from({ length: FORMATS }, (_, at) => at + 1),
  );
});

for (const name of spools) {
  // The envelopes name the user nobody, as whom only root can deliver.
  Deno.test(`the spool ${name} is opened, and its mail delivered`, { ignore: Deno.uid() !== 0 }, async () => {
    const encrypted = name.includes("encrypted"), far = await fakeServer();
    const config = (at: Daemon) => {
      const spool = at.env.SMTPD_SPOOL!;
      makeSpool(spool, Deno.readTextFileSync(join(folder, name)));
      assert.equal(formatOf(spool), Number(name[0]));
      const listed = [...listOffline(spool, 1)];
      assert.deepEqual([listed.length >= 7, listed.some((one) => "unreadable" in one)], [true, encrypted]);
      return `${encrypted ? KEY : ""}queue ttl 3650d\n${maildirConfig(at)}` +
        `action "out" relay host smtp://127.0.0.1:${far.port}\nmatch from any for any action "out"\n`;
    };
    try {
      await startedAndStopped({ config: config as never }, async (daemon) => {
        for (const user of Object.keys(MAIL)) if (user !== "sus") await hasMail(daemon, user);
        // Tried once before: it may wait for its time.
        await daemon.tool("smtpctl", ["schedule", "all"]);
        await daemon.logged(/ mta delivery .*far@other\.example.*result="Ok"/);
        // What was suspended is so still.
        const left = await showQueue(daemon);
        assert.deepEqual(left.map((line) => [line.includes(`|suspend|`), line.includes(`sus@${DOMAIN}`)]), [[
          true,
          true,
        ]]);
        await daemon.tool("smtpctl", ["resume", "envelope", left[0]!.split("|")[0]!]);
        await hasMail(daemon, "sus");
        assert.match(far.messages().join(), /Subject: far\r\n(?:\S.*\r\n)*\r\nto be relayed\r\n$/);
        for (const user of Object.keys(MAIL)) assert.equal(daemon.mailbox(user).names().length, 1, user);
        assert.equal((await daemon.tool("smtpctl", ["show", "damaged"])).stdout, "");
      });
    } finally {
      await far.close();
    }
  });
}
