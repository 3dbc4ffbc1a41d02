/** Whether the daemon's users can read the program and the databases of tables, on a real disk. */

import assert from "node:assert/strict";
import { chownSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { accessFaults } from "../../src/daemon/mod.ts";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";

const USERS = {
  smtpd: { name: "smtpd", uid: 4101, gid: 4111 },
  smtpq: { name: "smtpq", uid: 4102, gid: 4112 },
};

interface Row {
  readonly name: string;
  readonly folder: number;
  readonly file: number;
  /** uid and gid of the file. */
  readonly owner?: readonly [number, number];
  /** Who cannot read it. */
  readonly closedTo: readonly string[];
}

const rows: Row[] = [
  { name: "open to all", folder: 0o755, file: 0o644, closedTo: [] },
  { name: "in a folder that may be searched and not listed", folder: 0o711, file: 0o644, closedTo: [] },
  { name: "root's alone", folder: 0o755, file: 0o600, closedTo: ["smtpd", "smtpq"] },
  { name: "in a folder of root's alone", folder: 0o700, file: 0o644, closedTo: ["smtpd", "smtpq"] },
  { name: "open to the group of one", folder: 0o755, file: 0o640, owner: [0, 4111], closedTo: ["smtpq"] },
  { name: "open to all but the group of one", folder: 0o755, file: 0o604, owner: [0, 4111], closedTo: ["smtpd"] },
  { name: "of one of them", folder: 0o755, file: 0o600, owner: [4102, 0], closedTo: ["smtpd"] },
];

for (const { name, folder: folderMode, file, owner = [0, 0], closedTo } of rows) {
  Deno.test(`accessFaults(): a program and a database ${name}`, { ignore: Deno.uid() !== 0 }, () => {
    const folder = Deno.makeTempDirSync();
    try {
      Deno.chmodSync(folder, folderMode);
      const path = `${folder}/file`;
      new DatabaseSync(path).exec("CREATE TABLE a (k)");
      chownSync(path, owner[0], owner[1]);
      Deno.chmodSync(path, file);
      const parsed = parseConfig("/c", {
        defines: [],
        files: {
          readText: () =>
            `table t sqlite:/s\nlisten on socket\naction "a" maildir virtual <t>\nmatch for any action "a"\n`,
          inspectTable: () => ({ files: ["/s", path], includes: [] }),
        },
      });
      assert.ok(parsed.ok, JSON.stringify(parsed));
      const { faults, warnings } = accessFaults({ config: parsed.config, spool: "/spool", users: USERS }, [path]);
      assert.deepEqual(faults.map((line) => /^the user "(\w+)"/.exec(line)?.[1]), closedTo);
      const obstacle = folderMode === 0o700 ? folder : path;
      for (const line of faults) assert.ok(line.includes(`cannot read ${path}, since ${obstacle} is closed`), line);
      const spool = accessFaults({ config: parsed.config, spool: `${folder}/spool`, users: USERS }, []).faults;
      assert.equal(spool.length, folderMode === 0o700 ? 1 : 0);
      for (const line of spool) assert.match(line, /^the user "smtpq", who keeps the queue, cannot reach the spool /);
      assert.equal(warnings.length, closedTo.includes("smtpd") ? 1 : 0);
      const database = new DatabaseSync(path);
      database.exec("PRAGMA journal_mode=WAL");
      database.close();
      const ofWal = accessFaults({ config: parsed.config, spool: "/spool", users: USERS }, []).warnings;
      assert.equal(ofWal.length, 1);
      if (!closedTo.includes("smtpd")) assert.match(ofWal[0]!, /is in WAL mode, and the user "smtpd"/);
      for (const line of warnings) assert.match(line, /^\/c:1: warning: table <t>: .* cannot read the database /);
      assert.deepEqual(accessFaults({ config: parsed.config, spool: "/spool", users: null }, [path]), {
        faults: [],
        warnings: [],
      });
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}
