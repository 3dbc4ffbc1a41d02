/** Whose the spool is, on a real disk, as root: given to the user of the queue and back, also when that was interrupted, and what they may have planted. */

import assert from "node:assert/strict";
import { lchownSync } from "node:fs";
import { claimSpool } from "../../src/daemon/claim.ts";
import { readSaltKey } from "../../src/daemon/saltkey.ts";
import { handOverSpool } from "../../src/daemon/spool.ts";

const ROOT = { uid: 0, gid: 0 }, QUEUE = { uid: 4102, gid: 4112 }, FRONT = { uid: 4101, gid: 4111 };
const STRANGER = 4200;
const USERS = { smtpd: { name: "smtpd", ...FRONT }, smtpq: { name: "smtpq", ...QUEUE } };
const OWNERS = [FRONT.uid, QUEUE.uid];

function rootTest(name: string, body: (spool: string) => void): void {
  Deno.test(name, { ignore: Deno.uid() !== 0 }, () => {
    const folder = Deno.makeTempDirSync({ prefix: "vaultpost-spool-" });
    try {
      body(`${folder}/spool`);
    } finally {
      Deno.removeSync(folder, { recursive: true });
    }
  });
}

/** A spool as a daemon of one user leaves it. */
function makeSpool(spool: string): void {
  Deno.mkdirSync(spool, { mode: 0o711 });
  for (const name of ["queue.db", "queue.db-wal", "queue.db-shm", "imported", "ballast", "scram.key"]) {
    Deno.writeTextFileSync(`${spool}/${name}`, name, { mode: 0o600 });
  }
  Deno.mkdirSync(`${spool}/import/1234abcd`, { recursive: true, mode: 0o700 });
  Deno.writeTextFileSync(`${spool}/import/1234abcd/message`, "Subject: x\n\n", { mode: 0o600 });
  Deno.mkdirSync(`${spool}/offline`);
  Deno.chmodSync(`${spool}/offline`, 0o1733);
  Deno.writeTextFileSync(`${spool}/offline/1.aaaaaaaaaa`, "--|x@y\n\n", { mode: 0o600 });
  lchownSync(`${spool}/offline/1.aaaaaaaaaa`, STRANGER, STRANGER);
}

/** `uid mode` of each path in the spool, "" for the spool itself. */
function owners(spool: string): Record<string, string> {
  const found: Record<string, string> = {};
  const walk = (path: string) => {
    const { uid, mode, isDirectory } = Deno.lstatSync(spool + path);
    found[path] = `${uid} ${(mode! & 0o7777).toString(8)}`;
    if (isDirectory) { for (const { name } of Deno.readDirSync(spool + path)) walk(`${path}/${name}`); }
  };
  walk("");
  return found;
}

function expected(uid: number): Record<string, string> {
  const names = ["/queue.db", "/queue.db-wal", "/queue.db-shm", "/imported", "/ballast", "/import/1234abcd/message"];
  return {
    "": `${uid} 711`,
    ...Object.fromEntries(names.map((name) => [name, `${uid} 600`])),
    "/import": `${uid} 700`,
    "/import/1234abcd": `${uid} 700`,
    "/scram.key": "0 600",
    "/offline": "0 1733",
    "/offline/1.aaaaaaaaaa": `${STRANGER} 600`,
  };
}

rootTest("a spool of root's is handed to the user of the queue, and back, as often as it takes", (spool) => {
  makeSpool(spool);
  for (
    const [chosen, uid] of [[USERS, QUEUE.uid], [USERS, QUEUE.uid], [null, 0], [null, 0], [USERS, QUEUE.uid]] as const
  ) {
    claimSpool(spool, { users: chosen, spoolOwners: OWNERS });
    assert.deepEqual(owners(spool), expected(uid));
  }
});

rootTest("a new spool is the user's, with its mode", (spool) => {
  claimSpool(spool, { users: USERS, spoolOwners: OWNERS });
  assert.deepEqual(owners(spool), { "": `${QUEUE.uid} 711` });
});

rootTest("what root has made since in a spool of the user's is theirs at the next start", (spool) => {
  makeSpool(spool);
  handOverSpool(spool, QUEUE, OWNERS);
  for (const name of ["queue.db-wal", "queue.db-shm"]) lchownSync(`${spool}/${name}`, 0, 0);
  for (const path of ["import", "import/1234abcd", "import/1234abcd/message"]) lchownSync(`${spool}/${path}`, 0, 0);
  handOverSpool(spool, QUEUE, OWNERS);
  assert.deepEqual(owners(spool), expected(QUEUE.uid));
});

rootTest("from the one user that there was to the other", (spool) => {
  makeSpool(spool);
  handOverSpool(spool, FRONT, [FRONT.uid]);
  assert.deepEqual(owners(spool), expected(FRONT.uid));
  handOverSpool(spool, QUEUE, OWNERS);
  assert.deepEqual(owners(spool), expected(QUEUE.uid));
});

/** Runs `work` with a chown that fails as the call number `count`, as an end of the process would. Returns whether it came to that. */
function interrupted(spool: string, to: typeof ROOT, count: number): boolean {
  let calls = 0;
  const chown = (path: string, owner: typeof ROOT) => {
    if (++calls > count) throw new Error("killed");
    lchownSync(path, owner.uid, owner.gid);
  };
  try {
    handOverSpool(spool, to, OWNERS, chown);
    return false;
  } catch (error) {
    assert.match(String(error), /killed/);
    return true;
  }
}

rootTest("after an end at any step, in either direction, the next start goes on, or goes back", (spool) => {
  for (const [from, to] of [[ROOT, QUEUE], [QUEUE, ROOT]] as const) {
    for (const then of [to, from]) {
      for (let count = 0, cut = true; cut; count++) {
        makeSpool(spool);
        handOverSpool(spool, from, OWNERS);
        cut = interrupted(spool, to, count);
        const { uid } = Deno.lstatSync(spool);
        assert.ok(!cut || uid === 0 || count === 0, "it is root's until all in it is handed over");
        handOverSpool(spool, then, OWNERS);
        assert.deepEqual(owners(spool), expected(then.uid), `${from.uid} to ${to.uid}, ${count} steps`);
        Deno.removeSync(spool, { recursive: true });
      }
    }
  }
});

rootTest("no link is followed, and no file that has another name changes its owner", (spool) => {
  const secret = `${spool}-secret`, folder = `${spool}-folder`;
  Deno.writeTextFileSync(secret, "secret", { mode: 0o600 });
  Deno.mkdirSync(folder, { mode: 0o700 });
  Deno.writeTextFileSync(`${folder}/message`, "secret", { mode: 0o600 });
  const untouched = () => {
    for (const path of [secret, folder, `${folder}/message`]) assert.equal(Deno.lstatSync(path).uid, 0, path);
    assert.equal(Deno.lstatSync(folder).mode! & 0o777, 0o700);
    assert.equal(Deno.readTextFileSync(secret), "secret");
  };
  const plant = (name: string, target: string) => {
    Deno.removeSync(`${spool}/${name}`, { recursive: true });
    Deno.symlinkSync(target, `${spool}/${name}`);
    lchownSync(`${spool}/${name}`, QUEUE.uid, QUEUE.gid);
  };
  for (const [name, target] of [["queue.db", secret], ["import", folder], ["ballast", secret]] as const) {
    makeSpool(spool);
    handOverSpool(spool, QUEUE, OWNERS);
    plant(name, target);
    handOverSpool(spool, QUEUE, OWNERS);
    untouched();
    assert.throws(
      () => handOverSpool(spool, ROOT, OWNERS),
      /is no file, and the user of the queue has left it there: remove it/,
    );
    untouched();
    Deno.removeSync(spool, { recursive: true });
  }
  makeSpool(spool);
  Deno.removeSync(`${spool}/ballast`);
  Deno.linkSync(secret, `${spool}/ballast`);
  assert.throws(() => handOverSpool(spool, QUEUE, OWNERS), /ballast has another name elsewhere/);
  untouched();
});

rootTest("files that the user opened to others are closed when root takes them back", (spool) => {
  makeSpool(spool);
  handOverSpool(spool, QUEUE, OWNERS);
  Deno.chmodSync(`${spool}/queue.db`, 0o644);
  Deno.chmodSync(`${spool}/import`, 0o755);
  handOverSpool(spool, ROOT, OWNERS);
  assert.deepEqual(owners(spool), expected(0));
});

rootTest("a spool of a third user's is refused with either choice, one of the daemon's users is not", (spool) => {
  makeSpool(spool);
  for (const name of ["", "/queue.db", "/import", "/imported", "/offline"]) {
    lchownSync(spool + name, STRANGER, STRANGER);
    for (const users of [USERS, null]) {
      assert.throws(() => claimSpool(spool, { users, spoolOwners: OWNERS }), /another user \(uid 4200\)/);
    }
    lchownSync(spool + name, 0, 0);
  }
  lchownSync(`${spool}/queue.db`, QUEUE.uid, QUEUE.gid);
  assert.throws(() => claimSpool(spool, { users: null, spoolOwners: [] }), /another user \(uid 4102\)/);
  claimSpool(spool, { users: null, spoolOwners: OWNERS });
});

rootTest("the salts' secret is root's own file, whatever lies in its place", (spool) => {
  makeSpool(spool);
  handOverSpool(spool, QUEUE, OWNERS);
  const path = `${spool}/scram.key`, other = `${spool}-other`;
  const known = crypto.getRandomValues(new Uint8Array(32));
  Deno.writeFileSync(other, known, { mode: 0o600 });
  const key = readSaltKey(spool);
  assert.deepEqual(readSaltKey(spool), key, "it outlives a restart");
  const plants: [string, () => void][] = [
    ["a link", () => Deno.symlinkSync(other, path)],
    ["another name of a file", () => Deno.linkSync(other, path)],
    ["a pipe", () => void new Deno.Command("mkfifo", { args: [path] }).outputSync()],
    ["a folder", () => Deno.mkdirSync(path)],
    ["a user's file", () => {
      Deno.writeFileSync(path, known, { mode: 0o600 });
      lchownSync(path, QUEUE.uid, QUEUE.gid);
    }],
  ];
  for (const [what, plant] of plants) {
    Deno.removeSync(path);
    plant();
    assert.notDeepEqual(readSaltKey(spool), known, what);
    const { isFile, uid, nlink, mode } = Deno.lstatSync(path);
    assert.deepEqual([isFile, uid, nlink, mode! & 0o777], [true, 0, 1, 0o600], what);
    assert.deepEqual(Deno.readFileSync(other), known, what);
  }
});
