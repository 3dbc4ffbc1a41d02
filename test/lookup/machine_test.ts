/** Files that lookups read: accounts, tables, includes; and the isolate itself in the real runtime. */

import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import type {
  FromLookup,
  LookupSettings,
  LookupToControl,
  QuestionToMain,
  ToIsolate,
  ToSupervisor,
} from "../../src/protocol/mod.ts";
import { TableFiles } from "../../src/daemon/table_files.ts";
import { inspectTableFile, lookupFiles, openMachine, SystemAccounts, tableFilesOf } from "../../src/lookup/mod.ts";
import { LookupError } from "../../src/tables/mod.ts";
import { msgid } from "../ids.ts";
import { CLIENT, forAny, fromAny, local, mailbox, relay, rule } from "../rules/support.ts";

Deno.test("SystemAccounts looks at the file at most once a second, and reads it only when it changed", () => {
  let text = "bob:x:1:1::/home/bob:";
  let stamp = "1";
  let now = 0;
  const seen = { stamps: 0, reads: 0 };
  const accounts = new SystemAccounts({
    read: () => (seen.reads++, text),
    stamp: () => (seen.stamps++, stamp),
  }, () => now);
  const exists = (name: string) => accounts.find(name) !== null;
  assert.deepEqual([exists("bob"), exists("eve"), seen], [true, false, { stamps: 1, reads: 1 }]);
  text = "eve:x:2:2::/home/eve:";
  stamp = "2";
  now = 999;
  assert.deepEqual([exists("bob"), exists("eve"), seen], [true, false, { stamps: 1, reads: 1 }]);
  now = 1000;
  assert.deepEqual([exists("bob"), exists("eve"), seen], [false, true, { stamps: 2, reads: 2 }]);
  now = 5000;
  assert.deepEqual([exists("eve"), seen], [true, { stamps: 3, reads: 2 }]);
});

Deno.test("SystemAccounts answers with an error while the file is away, and recovers", () => {
  let broken = false;
  let now = 0;
  const check = (value: string) => {
    if (broken) throw new Error("gone");
    return value;
  };
  const accounts = new SystemAccounts({ read: () => check("bob:x:1:1::/:"), stamp: () => check("1") }, () => now);
  assert.equal((accounts.find("bob") as { uid: number }).uid, 1);
  [broken, now] = [true, 1000];
  assert.ok(accounts.find("bob") instanceof LookupError);
  [broken, now] = [false, 2000];
  assert.equal((accounts.find("bob") as { uid: number }).uid, 1);
});

Deno.test("SystemAccounts has main read a file that it may not open any more, once for all who wait", async () => {
  let [stamp, now, asked] = ["1", 0, 0];
  let byMain = () => Promise.resolve("eve:x:2:2::/home/eve:");
  const accounts = new SystemAccounts({
    read: () => {
      if (stamp !== "1") throw new Deno.errors.PermissionDenied("not this file");
      return "bob:x:1:1::/home/bob:";
    },
    stamp: () => stamp,
    readByMain: () => (asked++, byMain()),
  }, () => now);
  assert.equal(accounts.stale, false);
  assert.equal((accounts.find("bob") as { uid: number }).uid, 1);
  [stamp, now] = ["2", 1000];
  assert.equal(accounts.stale, true);
  await Promise.all([accounts.fetch(), accounts.fetch()]);
  assert.deepEqual([accounts.stale, accounts.find("bob"), asked], [false, null, 1]);
  assert.equal((accounts.find("eve") as { uid: number }).uid, 2);
  // Nothing has changed.
  now = 3000;
  assert.deepEqual([accounts.stale, asked], [false, 1]);
  [stamp, now] = ["3", 4000];
  byMain = () => Promise.reject(new Error("gone"));
  assert.equal(accounts.stale, true);
  await accounts.fetch();
  assert.match((accounts.find("eve") as LookupError).reason, /gone/i);
  byMain = () => Promise.resolve("amy:x:3:3::/home/amy:");
  now = 5000;
  assert.equal(accounts.stale, true);
  await accounts.fetch();
  assert.equal((accounts.find("amy") as { uid: number }).uid, 3);
});

function settingsOf(folder: string): LookupSettings {
  const path = `${folder}/aliases`;
  const includes = [`bob@r.org, :include:${folder}/list`, `:include:${folder}/secret`];
  return {
    shared: { serverName: "mail.example.org", version: "0", timeZone: "UTC", root: false },
    tables: {},
    tableFiles: { al: { name: "al", backend: "file", kind: "map", path, files: [path], includes } },
    programTables: [],
    authTables: [],
    saltKey: new Uint8Array(32),
    senderTables: [],
    hostnameTables: [],
    rules: [rule(), rule({ from: fromAny, for: forAny, action: "out" })],
    actions: { a: local("a", { alias: "al" }), out: relay("out") },
    subAddressDelimiter: "+",
    localAddresses: ["127.0.0.1"],
    envelopeMacKey: new Uint8Array(32),
    commandUser: "_smtpd",
    resolver: { servers: [], timeoutMs: 100, attempts: 1, hosts: [{ address: "192.0.2.1", names: ["h.example.net"] }] },
  };
}

Deno.test("lookupFiles() names the accounts, the table files, and what alias tables include", () => {
  assert.deepEqual(lookupFiles(settingsOf("/f")), ["/etc/passwd", "/f/aliases", "/f/list", "/f/secret"]);
  assert.deepEqual(lookupFiles({ ...settingsOf("/f"), closedFiles: ["/f/secret", "/f/aliases"] }), [
    "/etc/passwd",
    "/f/list",
  ]);
});

async function withFolder(test: (folder: string) => void | Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("openMachine() reads files, and refuses what is no regular file or too large", () =>
  withFolder((folder) => {
    const { file, readText, accounts } = openMachine();
    Deno.writeTextFileSync(`${folder}/good`, "# aliases\nBob: robert\n");
    const path = `${folder}/good`;
    assert.equal(new TextDecoder().decode(file(path).read()), "# aliases\nBob: robert\n");
    const stamp = file(path).stamp();
    Deno.writeTextFileSync(path, "# aliases\nBob: robert, eve\n");
    assert.notEqual(file(path).stamp(), stamp);
    Deno.writeTextFileSync(path, "# aliases\nBob: robert\n");
    assert.throws(() => file(`${folder}/none`).read(), /No such file/);
    assert.throws(() => file(folder).read(), /Not a regular file/);
    assert.equal(readText(path), "# aliases\nBob: robert\n");
    Deno.writeFileSync(path, new Uint8Array((1 << 20) + 1));
    assert.throws(() => readText(path), /Larger than/);
    assert.equal((accounts.find("root") as { uid: number }).uid, 0);
  }));

/** The real worker, with permission to read its files but for `secret`. */
function startWorker(
  folder: string,
  { tableFiles, main = new TableFiles([]), refused = /\/secret$/ }: {
    readonly tableFiles?: LookupSettings["tableFiles"];
    /** What main reads. */
    readonly main?: TableFiles;
    /** What the isolate may not. */
    readonly refused?: RegExp;
  } = {},
) {
  const base = settingsOf(folder);
  const settings = { ...base, tableFiles: tableFiles ?? base.tableFiles };
  const read = lookupFiles(settings).filter((path) => !refused.test(path));
  const permissions = { read, env: false, net: false, run: false, write: false, ffi: false, sys: false } as const;
  const entry = new URL("../../workers/lookup.ts", import.meta.url);
  const worker = new Worker(entry, { type: "module", deno: { permissions } });
  const send = (message: ToIsolate, transfer: Transferable[] = []) => worker.postMessage(message, transfer);
  const ready = new Promise<void>((resolve, reject) => {
    worker.onmessage = ({ data }: MessageEvent<ToSupervisor | QuestionToMain[]>) => {
      if (!Array.isArray(data)) return data.type === "ready" ? resolve() : undefined;
      // A system without homes and without a name service.
      const answer = (question: QuestionToMain) => {
        if (question.type === "table-file") return main.piece(question);
        if (question.type === "table-stamp") return main.stamp(question);
        return question.type === "forward" ? { kind: "none" } : null;
      };
      for (const question of data) {
        const { type, call } = question;
        void Promise.resolve(answer(question)).then((result) => worker.postMessage([{ type, call, result }]));
      }
    };
    worker.onerror = (event) => {
      event.preventDefault();
      reject(new Error(event.message));
    };
  });
  send({ type: "start", role: "lookup", index: 0, settings, verbose: false, traces: [] });
  const ports: MessagePort[] = [];
  const ask = (name: "smtp-lookup" | "control-lookup", question: unknown) => {
    const { port1, port2 } = new MessageChannel();
    ports.push(port1);
    send({ type: "door", name, peer: 0, life: 1, port: port2 }, [port2]);
    return new Promise<FromLookup | LookupToControl>((resolve) => {
      port1.onmessage = ({ data }) => resolve(data[0]);
      port1.postMessage([question]);
    });
  };
  const close = () => {
    ports.forEach((port) => port.close());
    worker.terminate();
  };
  return { ready, ask, close };
}

const expansion = (rcpt: string) => ({
  type: "expand",
  message: msgid("00000001"),
  call: 1,
  origin: CLIENT,
  tls: false,
  sender: null,
  rcpt: mailbox(rcpt),
});

async function relayed(worker: ReturnType<typeof startWorker>, rcpt: string) {
  const answer = await worker.ask("smtp-lookup", expansion(rcpt));
  assert.ok(answer.type === "expanded");
  return answer.result.ok ? answer.result.targets.map(({ dest }) => `${dest.local}@${dest.domain}`) : answer.result;
}

Deno.test("The lookup isolate answers in the real runtime, reads its own files, and no other", () =>
  withFolder(async (folder) => {
    Deno.writeTextFileSync(`${folder}/list`, "eve@r.org\n");
    Deno.writeTextFileSync(`${folder}/secret`, "spy@r.org\n");
    Deno.writeTextFileSync(
      `${folder}/aliases`,
      `team: bob@r.org, :include:${folder}/list\nsecret: :include:${folder}/secret\n`,
    );
    const worker = startWorker(folder);
    try {
      await worker.ready;
      assert.deepEqual(await relayed(worker, "team@localhost"), ["eve@r.org", "bob@r.org"]);
      const refused = { ok: false, code: 550, text: "5.1.1 User unknown: <secret@localhost>" };
      assert.deepEqual(await relayed(worker, "secret@localhost"), refused, "the include that it may not read is empty");
      Deno.writeTextFileSync(`${folder}/aliases`, "team: max@r.org\n");
      const update = { type: "update-table", call: 2, table: "al" };
      assert.deepEqual(await worker.ask("control-lookup", update), { type: "updated", call: 2, error: null });
      assert.deepEqual(await relayed(worker, "team@localhost"), ["max@r.org"]);
      const name = await worker.ask("smtp-lookup", { type: "client-name", call: 3, address: "192.0.2.1" });
      assert.deepEqual(name, { type: "client-name", call: 3, hostname: "h.example.net", confirmed: "pass" });
    } finally {
      worker.close();
    }
  }));

Deno.test("The lookup isolate reads databases with no permission but to read them", () =>
  withFolder(async (folder) => {
    const machine = openMachine();
    const database = new DatabaseSync(`${folder}/mail.sqlite`);
    database.exec("PRAGMA journal_mode=WAL; CREATE TABLE a (k, v); INSERT INTO a VALUES ('team', 'bob@r.org')");
    Deno.writeTextFileSync(
      `${folder}/sqlite`,
      `dbpath ${folder}/mail.sqlite\nquery_alias SELECT v FROM a WHERE k = ?\n`,
    );
    const fixture = new URL("../tables/fixtures/three.hash.db", import.meta.url);
    Deno.copyFileSync(fixture, `${folder}/aliases.db`);
    const rows = [
      { backend: "sqlite", path: `${folder}/sqlite`, rcpt: "team@localhost", want: ["bob@r.org"] },
      { backend: "db", path: `${folder}/aliases.db`, rcpt: "user1@localhost", want: ["dest1@example.org"] },
    ] as const;
    try {
      for (const { backend, path, rcpt, want } of rows) {
        const found = inspectTableFile(backend, path, machine);
        const worker = startWorker(folder, {
          tableFiles: { al: { name: "al", backend, kind: "dynamic", path, ...found } },
        });
        try {
          await worker.ready;
          assert.deepEqual(await relayed(worker, rcpt), want);
          const update = { type: "update-table", call: 2, table: "al" };
          assert.deepEqual(await worker.ask("control-lookup", update), { type: "updated", call: 2, error: null });
          assert.deepEqual(await relayed(worker, rcpt), want);
        } finally {
          worker.close();
        }
      }
    } finally {
      database.close();
    }
  }));

Deno.test("what the lookup isolate may not read, main reads for it: tables, maps that change, includes", () =>
  withFolder(async (folder) => {
    const many = Array.from({ length: 40_000 }, (_, at) => `user${at}: dest${at}@example.org\n`).join("");
    Deno.writeTextFileSync(`${folder}/aliases`, `team: bob@r.org, :include:${folder}/list\n${many}`);
    Deno.writeTextFileSync(`${folder}/list`, "eve@r.org\n");
    const main = new TableFiles(tableFilesOf(settingsOf(folder)));
    const worker = startWorker(folder, { main, refused: /^\/tmp\// });
    const update = async () => await worker.ask("control-lookup", { type: "update-table", call: 2, table: "al" });
    try {
      await worker.ready;
      assert.deepEqual(await relayed(worker, "team@localhost"), ["eve@r.org", "bob@r.org"]);
      assert.deepEqual(await relayed(worker, "user39999@localhost"), ["dest39999@example.org"]);
      Deno.writeTextFileSync(`${folder}/list`, "max@r.org\n");
      assert.deepEqual(await relayed(worker, "team@localhost"), ["max@r.org", "bob@r.org"]);
      Deno.writeTextFileSync(`${folder}/new`, "team: max@r.org\n");
      Deno.renameSync(`${folder}/new`, `${folder}/aliases`);
      assert.deepEqual(await relayed(worker, "team@localhost"), ["max@r.org", "bob@r.org"]);
      assert.deepEqual(await update(), { type: "updated", call: 2, error: null });
      assert.deepEqual(await relayed(worker, "team@localhost"), ["max@r.org"]);
      Deno.removeSync(`${folder}/aliases`);
      const gone = await update();
      assert.ok(gone.type === "updated" && /aliases: No such file/.test(gone.error ?? ""), JSON.stringify(gone));
      assert.deepEqual(await relayed(worker, "team@localhost"), ["max@r.org"]);
    } finally {
      worker.close();
    }
  }));

Deno.test("main reads no file for lookup but those of the configuration, and none that is no file or changes meanwhile", () =>
  withFolder(async (folder) => {
    const path = `${folder}/table`, large = new Uint8Array(300_000).fill(65);
    Deno.writeFileSync(path, large);
    Deno.writeTextFileSync(`${folder}/other`, "secret");
    const files = new TableFiles([path, folder, `${folder}/none`]);
    const piece = (path: string, from = 0, stamp: string | null = null) =>
      files.piece({ type: "table-file", call: 1, path, from, stamp });
    for (const wrong of [`${folder}/other`, `${folder}/../table`, `${folder}//table`, "/etc/shadow"]) {
      assert.match(JSON.stringify(await piece(wrong)), /Not a file of the configuration/);
      const stamp = await files.stamp({ type: "table-stamp", call: 1, path: wrong });
      assert.match(JSON.stringify(stamp), /Not a file of the configuration/);
    }
    assert.deepEqual(await piece(folder), { error: "Not a regular file" });
    assert.deepEqual(await piece(`${folder}/none`), { error: "No such file or directory" });
    const first = await piece(path);
    assert.ok("stamp" in first);
    assert.deepEqual([first.size, first.octets.length], [300_000, 262_144]);
    const rest = await piece(path, 262_144, first.stamp);
    assert.ok("stamp" in rest);
    assert.equal(rest.octets.length, 300_000 - 262_144);
    assert.deepEqual(await piece(path, 300_001, first.stamp), { ...rest, octets: new Uint8Array() });
    Deno.writeTextFileSync(path, "short");
    assert.match(JSON.stringify(await piece(path, 262_144, first.stamp)), /It has changed while it was read/);
  }));
