/** A file of the log on a disk that fills, one that hangs, and one that is fine. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { LogFile, logFileFault, type LogFileHandle } from "../../src/daemon/log_file.ts";
import { FakeClock } from "../fake_clock.ts";

/** A file in memory: `write` answers what the test says. */
class FakeFile implements LogFileHandle {
  content = "";
  closed = false;
  /** Throws, or returns how many octets are taken. */
  take: (bytes: Uint8Array) => number | Promise<number> = (bytes) => bytes.length;

  async write(bytes: Uint8Array): Promise<number> {
    const count = await this.take(bytes);
    this.content += new TextDecoder().decode(bytes.subarray(0, count));
    return count;
  }
  close(): void {
    this.closed = true;
  }
}

function logFile(files: readonly FakeFile[]) {
  const clock = new FakeClock(0), left = [...files];
  const log = new LogFile({
    path: "/log",
    note: (text) => `note: ${text}`,
    after: clock.after,
    open: () => left.shift()!,
  });
  return { clock, log };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));
const full = () => {
  throw Object.assign(new Error("No space left on device"), { code: "ENOSPC" });
};

Deno.test("lines are written in order, whatever part of them the disk takes at once", async () => {
  const file = new FakeFile(), { log } = logFile([file]);
  file.take = (bytes) => Math.min(bytes.length, 3);
  log.write(["first line", "second"]);
  log.write(["third"]);
  await log.close();
  assert.equal(file.content, "first line\nsecond\nthird\n");
  assert.ok(file.closed);
});

Deno.test("on a full disk lines are left out and counted, and the rest goes on when there is room", async () => {
  const file = new FakeFile(), { log } = logFile([file]);
  log.write(["before"]);
  await settled();
  file.take = full;
  log.write(["a", "b"]);
  await settled();
  log.write(["c"]);
  await settled();
  file.take = (bytes) => bytes.length;
  log.write(["after"]);
  await log.close();
  assert.match(file.content, /^before\nnote: 3 lines were left out: .*[Nn]o space.*\nafter\n$/);
});

Deno.test("a line that the disk took in part does not run into the next one", async () => {
  const file = new FakeFile(), { log } = logFile([file]);
  let calls = 0;
  file.take = (bytes) => ++calls === 1 ? 4 : calls === 2 ? full() : bytes.length;
  log.write(["0123456789"]);
  await settled();
  log.write(["after"]);
  await log.close();
  assert.match(file.content, /^0123\nnote: 1 line was left out: .*\nafter\n$/);
});

Deno.test("a disk that hangs costs a bounded amount of memory, and the end of the daemon waits for it no longer than 2 s", async () => {
  const file = new FakeFile(), { log, clock } = logFile([file]);
  const hang = Promise.withResolvers<number>();
  file.take = () => hang.promise;
  log.write(["first"]);
  await settled();
  const long = "x".repeat(1024 * 1024);
  for (let line = 0; line < 10; line++) log.write([long]);
  let closed = false;
  const closing = log.close().then(() => closed = true);
  await settled();
  assert.ok(!closed);
  clock.advance(2_000);
  await closing;
  file.take = (bytes) => bytes.length;
  hang.resolve(6);
  await settled();
  await settled();
  assert.equal(file.content.split("\n").filter((line) => line === long).length, 4);
});

Deno.test("reopen goes on in the new file, and what was being written is whole in the old one", async () => {
  const old = new FakeFile(), fresh = new FakeFile(), { log } = logFile([old, fresh]);
  const slow = Promise.withResolvers<void>();
  old.take = async (bytes) => {
    await slow.promise;
    return bytes.length;
  };
  log.write(["one"]);
  await settled();
  log.reopen();
  log.write(["two"]);
  slow.resolve();
  await settled();
  await settled();
  assert.deepEqual([old.content, fresh.content], ["one\n", "two\n"]);
  assert.deepEqual([old.closed, fresh.closed], [true, false]);
});

Deno.test("what there is against a path is said in a sentence", async () => {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.symlink("/etc/passwd", join(folder, "link"));
    await Deno.writeTextFile(join(folder, "file"), "");
    assert.equal(logFileFault(join(folder, "file")), null);
    assert.equal(logFileFault(join(folder, "new")), null);
    assert.match(logFileFault(join(folder, "link"))!, /is a link/);
    assert.match(logFileFault(folder)!, /is no file/);
    await Deno.mkdir(join(folder, "open"));
    await Deno.chmod(join(folder, "open"), 0o777);
    assert.match(logFileFault(join(folder, "open/log"))!, /all users may write into .*open: chmod o-w it/);
    await Deno.chmod(join(folder, "open"), 0o1777);
    assert.equal(logFileFault(join(folder, "open/log")), null);
    assert.match(logFileFault(join(folder, "no/log"))!, /there is no folder/);
    assert.match(logFileFault(join(folder, "file/log"))!, /file is no folder/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
