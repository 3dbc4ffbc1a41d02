/** Whether the daemon's users can read the program and the databases of tables, on a real disk. */

import assert from "node:assert/strict";
import { chownSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import { programFaults } from "../../src/daemon/checks/program_access.ts";
import { accessFaults, type ProgramPlaces } from "../../src/daemon/mod.ts";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";

const USERS = {
  smtpd: { name: "smtpd", uid: 4101, gid: 4111 },
  smtpq: { name: "smtpq", uid: 4102, gid: 4112 },
};

const program = (runtime: string): ProgramPlaces => ({ runtime, project: null, cache: null });
const NO_PROGRAM = program("/");

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
      const { faults, warnings } = accessFaults(
        { config: parsed.config, spool: "/spool", users: USERS },
        program(path),
      );
      // One line, whoever it is closed to.
      assert.ok(faults.length <= 1, faults.join("\n"));
      const named = /^the users? (.*), whom/.exec(faults[0] ?? "")?.[1] ?? "";
      assert.deepEqual(named.match(/\w+(?=")/g) ?? [], closedTo);
      const obstacle = folderMode === 0o700 ? folder : path;
      const since = obstacle === path ? "it" : obstacle;
      for (const line of faults) assert.ok(line.includes(`cannot read ${path}, since ${since} is closed`), line);
      const spool = accessFaults({ config: parsed.config, spool: `${folder}/spool`, users: USERS }, NO_PROGRAM).faults;
      assert.equal(spool.length, folderMode === 0o700 ? 1 : 0);
      const made = { config: parsed.config, spool: `${folder}/not/yet/made`, users: USERS };
      assert.equal(accessFaults(made, NO_PROGRAM).faults.length, spool.length);
      for (const line of spool) assert.match(line, /^the user "smtpq", who keeps the queue, cannot reach the spool /);
      assert.equal(warnings.length, closedTo.includes("smtpd") ? 1 : 0);
      const database = new DatabaseSync(path);
      database.exec("PRAGMA journal_mode=WAL");
      database.close();
      const ofWal = accessFaults({ config: parsed.config, spool: "/spool", users: USERS }, NO_PROGRAM).warnings;
      assert.equal(ofWal.length, 1);
      if (!closedTo.includes("smtpd")) assert.match(ofWal[0]!, /is in WAL mode, and the user "smtpd"/);
      for (const line of warnings) assert.match(line, /^\/c:1: warning: table <t>: .* cannot read the database /);
      assert.deepEqual(accessFaults({ config: parsed.config, spool: "/spool", users: null }, program(path)), {
        faults: [],
        warnings: [],
      });
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

/** The parts of a project, each of which can be closed to others. */
const PARTS: readonly (readonly [closed: string, mode: number, remedy: RegExp])[] = [
  ["..", 0o700, /^run scripts\/install, which .*, open the folder \(chmod o\+x \S+\), or start smtpd with --one-user$/],
  [".", 0o700, /^use chmod -R go\+rX \S+, or start/],
  ["src", 0o740, /^use chmod -R go\+rX \S+, or start/],
  ["src/part/file.ts", 0o600, /^use chmod -R go\+rX \S+, or start/],
  ["workers", 0o744, /^use chmod -R go\+rX \S+, or start/],
  ["deno.lock", 0o640, /^use chmod -R go\+rX \S+, or start/],
  ["cache", 0o700, /^use chmod -R go\+rX \S+, or start/],
  ["cache/deno", 0o700, /^use chmod -R go\+rX \S+, or start/],
  ["cache/npm/registry/package/1.0.0", 0o700, /^use chmod -R go\+rX \S+, or start/],
];
for (const [closed, mode, remedy] of PARTS) {
  Deno.test(
    `accessFaults(): a project whose ${closed} has mode ${mode.toString(8)}`,
    { ignore: Deno.uid() !== 0 },
    () => {
      const top = Deno.makeTempDirSync();
      try {
        const folder = `${top}/home/project`, path = Deno.realPathSync(top) + `/home/project/${closed}`;
        for (const part of ["src/part", "workers", "cache/npm/registry/package/1.0.0"]) {
          Deno.mkdirSync(`${folder}/${part}`, { recursive: true });
        }
        for (const file of ["src/part/file.ts", "deno.lock", "cache/deno"]) {
          Deno.writeTextFileSync(`${folder}/${file}`, "");
        }
        for (const open of [top, `${top}/home`, folder, `${folder}/cache/deno`]) Deno.chmodSync(open, 0o755);
        const places: ProgramPlaces = {
          runtime: `${folder}/cache/deno`,
          project: { folder, parts: ["src", "workers", "deno.json", "deno.lock"] },
          cache: `${folder}/cache`,
        };
        assert.deepEqual(programFaults(USERS, places), []);
        Deno.chmodSync(path, mode);
        const faults = programFaults(USERS, places);
        assert.equal(faults.length, 1);
        const [, obstacle, todo] =
          /^the users "smtpd" and "smtpq", .* cannot read (.*) is closed to others: (.*)$/.exec(faults[0]!) ?? [];
        assert.ok(obstacle?.includes(join(path)), faults[0]);
        assert.match(todo!, remedy);
      } finally {
        Deno.removeSync(top, { recursive: true });
      }
    },
  );
}
