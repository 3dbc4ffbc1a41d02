/** `smtpctl backup` beside a daemon that ends meanwhile. With the real daemon: test/e2e/backup_test.ts. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { backup } from "../../src/cli/smtpctl/backup.ts";
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
