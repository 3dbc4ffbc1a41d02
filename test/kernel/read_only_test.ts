/** Descriptors that lose the right to write: of a file, and of a database of SQLite as the runtime's caches are. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { closeDescriptor, makeReadOnly } from "../../src/kernel/mod.ts";
import { cString, libc } from "../../src/kernel/libc.ts";
import { readLink } from "../../src/kernel/read_walls.ts";

const ignore = Deno.build.os !== "linux";
const AT_FDCWD = -100, O_RDWR = 2, EBADF = 9, WRITE = Deno.build.arch === "x86_64" ? 1n : 64n;

function write(descriptor: number): number {
  const kernel = libc();
  const octet = kernel.pin(1);
  const result = kernel.symbols.syscall(WRITE, BigInt(descriptor), octet.address, 1n, 0n, 0n, 0n);
  return result < 0n ? kernel.errno : 0;
}

/** Descriptors that this process has for a path. */
function opened(path: string): number[] {
  return Array.from({ length: 256 }, (_, number) => number)
    .filter((number) => readLink(libc(), `/proc/self/fd/${number}`) === path);
}

Deno.test({
  name: "makeReadOnly() leaves a file and an idle database to be read, and what is written there fails at once",
  ignore,
  fn: async () => {
    const folder = Deno.realPathSync(Deno.makeTempDirSync()), beside = `${folder}-beside`;
    const path = join(folder, "cache.db");
    for (const file of [beside, join(folder, "file")]) Deno.writeTextFileSync(file, "text");
    const database = new DatabaseSync(path, { timeout: 30_000 });
    database.exec("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (42)");
    const [file, other] = [join(folder, "file"), beside].map((path) =>
      libc().must("test", "openat", AT_FDCWD, cString(path), O_RDWR, 0)
    ) as [number, number];
    assert.deepEqual(
      makeReadOnly(folder).sort(),
      ["cache.db", "cache.db-shm", "cache.db-wal", "file"].map((name) => join(folder, name)),
    );
    assert.deepEqual([write(file), write(other)], [EBADF, 0]);
    for (const path of ["cache.db", "cache.db-wal", "cache.db-shm"].map((name) => join(folder, name))) {
      assert.deepEqual(opened(path).map(write), [EBADF], path);
    }
    // Not after the 30 s that it would wait for a lock.
    const began = performance.now();
    assert.throws(() => database.exec("INSERT INTO t VALUES (43)"), /disk I\/O error/);
    assert.ok(performance.now() - began < 10_000);
    assert.equal(database.prepare("SELECT sum(a) AS a FROM t").get()!.a, 42);
    // Another process neither makes the index anew beneath it nor takes the log away.
    const code = `import { DatabaseSync } from "node:sqlite"; const db = new DatabaseSync(${JSON.stringify(path)});
      db.exec("INSERT INTO t VALUES (44)"); db.close(); console.log(Deno.statSync(${
      JSON.stringify(path)
    } + "-wal").size > 0)`;
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), { args: ["eval", "--no-config", code] })
      .output();
    assert.equal(new TextDecoder().decode(stdout), "true\n", new TextDecoder().decode(stderr));
    assert.equal(database.prepare("SELECT sum(a) AS a FROM t").get()!.a, 86);
    try {
      database.close();
    } catch {
      // It wanted to write at the end.
    }
    [file, other].forEach(closeDescriptor);
    for (const path of [folder, beside]) Deno.removeSync(path, { recursive: true });
  },
});
