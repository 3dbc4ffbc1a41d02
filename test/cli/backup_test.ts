/** `smtpctl backup` beside a daemon that ends meanwhile, and `restore` after one that was killed. With the real daemon: test/e2e/backup_test.ts. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { DatabaseSync } from "node:sqlite";
import { backup } from "../../src/cli/smtpctl/backup.ts";
import { MANIFEST, manifestText } from "../../src/cli/smtpctl/backup_manifest.ts";
import { restore } from "../../src/cli/smtpctl/restore.ts";
import { FakeTerminal } from "./fakes.ts";

Deno.test("a backup whose daemon ends before the copy is known to be whole is none", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const spool = `${folder}/spool`, socket = `${folder}/smtpd.sock`, copy = `${folder}/copy`;
    await Deno.mkdir(spool);
    const database = new DatabaseSync(`${spool}/queue.db`);
    database.exec("CREATE TABLE message (id INTEGER)");
    database.close();
    const octets = Deno.statSync(`${spool}/queue.db`).size;
    const listener = Deno.listen({ transport: "unix", path: socket });
    const daemon = (async () => {
      using connection = await listener.accept();
      await connection.read(new Uint8Array(1000));
      listener.close();
      await connection.write(new TextEncoder().encode(`${JSON.stringify({ hold: 1, octets })}\n`));
    })();
    const places: Record<string, string> = { SMTPD_SPOOL: spool, SMTPD_SOCKET: socket };
    const taken = backup(copy, { get: (name) => places[name] }, new FakeTerminal(), { configFile: `${folder}/none` });
    await assert.rejects(taken, /^Error: smtpd ended while its files were copied: try again$/);
    await daemon;
    assert.throws(() => Deno.statSync(copy), Deno.errors.NotFound);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a restore goes on where one that was killed has left a file half written", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const spool = `${folder}/spool`, source = `${folder}/copy`, text = "the whole queue";
    await Deno.mkdir(`${source}/spool`, { recursive: true });
    await Deno.writeTextFile(`${source}/spool/queue.db`, text);
    const sha256 = createHash("sha256").update(text).digest("hex");
    const files = [{ copy: "spool/queue.db", mode: "0600", uid: 0, gid: 0, octets: text.length, sha256 }];
    await Deno.writeTextFile(`${source}/${MANIFEST}`, manifestText({ made: "2026-11-30T00:00:00.000Z", spool, files }));
    await Deno.mkdir(spool);
    await Deno.writeTextFile(`${spool}/queue.db.restored`, "the wh");
    const places: Record<string, string> = { SMTPD_SPOOL: spool, SMTPD_SOCKET: `${folder}/smtpd.sock` };
    const env = { get: (name: string) => places[name] };
    assert.equal(await restore(source, { force: false }, env, new FakeTerminal()), 0);
    assert.deepEqual([...Deno.readDirSync(spool)].map(({ name }) => name), ["queue.db"]);
    assert.equal(await Deno.readTextFile(`${spool}/queue.db`), text);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
