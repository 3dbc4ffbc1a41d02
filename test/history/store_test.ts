/** What can happen to the files of the history: age, size, damage, other versions, full disks, clocks that jump, and a process that is killed at any time. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { DAY_MS, made, type TestHistory, withHistory } from "./harness.ts";

const POLICY = { keepMs: 30 * DAY_MS, maxBytes: 1024 ** 3 };

/** One message per day, in a segment each. */
function days(history: TestHistory, from: number, to: number): void {
  for (let number = from; number <= to; number++) {
    history.report(made.accepted(number), made.attempt(number, "ok", "Ok"));
    history.now += DAY_MS;
  }
}

Deno.test("what is too old goes, one file at a time, and what is newer stays", async () => {
  await withHistory((history) => {
    days(history, 1, 5);
    history.now += 27 * DAY_MS;
    for (let look = 0; look < 10; look++) history.store.tend();
    deepEqual(history.ids({}), [5, 4, 3].map(made.id));
    deepEqual(history.files(), ["00000003.db", "00000004.db", "00000005.db"]);
    history.now += 90 * DAY_MS;
    for (let look = 0; look < 10; look++) history.store.tend();
    deepEqual(history.ids({}), []);
    deepEqual(history.files(), []);
    history.report(made.accepted(9));
    deepEqual(history.ids({}), [made.id(9)]);
  }, { segmentMessages: 1 });
});

Deno.test("a clock that jumps ahead and comes back costs little, and what was recorded meanwhile does not stay for ever", async () => {
  await withHistory((history) => {
    days(history, 1, 20);
    const before = history.now;
    history.now += 3650 * DAY_MS;
    history.store.tend();
    history.report(made.accepted(21));
    history.now = before;
    days(history, 22, 25);
    deepEqual(history.ids({}).length, 24, "one file is lost");
    equal(history.ids({})[0], made.id(25), "the newest are those that came last");
    deepEqual(history.ids({ since: before, until: before + 3 * DAY_MS }), [25, 24, 23, 22].map(made.id));
    history.now += 40 * DAY_MS;
    for (let look = 0; look < 30; look++) history.store.tend();
    deepEqual(history.ids({}), []);
  }, { segmentMessages: 1 });
});

Deno.test("all files together are no larger than they may be: the oldest go first", async () => {
  const maxBytes = 4 * 1024 ** 2;
  await withHistory((history) => {
    // What cannot be compressed.
    const noise = () => crypto.getRandomValues(new Uint8Array(1500)).toHex();
    for (let number = 1; number <= 3000; number += 100) {
      const events = Array.from({ length: 100 }, (_, at) => [
        made.accepted(number + at),
        { type: "queue-expire", envelope: made.envelope(number + at), stat: noise() },
      ]);
      history.report(...events.flat());
      const used = [...Deno.readDirSync(history.folder)]
        .reduce((sum, { name }) => sum + Deno.statSync(join(history.folder, name)).size, 0);
      ok(used <= maxBytes * 1.2, `${used} octets`);
    }
    history.store.tend();
    ok(history.store.bytes <= maxBytes, `${history.store.bytes}`);
    const ids = history.find({}, 1000).map(({ id }) => id);
    ok(ids.length > 500 && ids[0] === made.id(3000), `${ids.length}`);
    equal(history.find({ id: made.id(1) }).length, 0);
  }, { policy: { keepMs: 30 * DAY_MS, maxBytes } });
});

Deno.test("later events of a message that is gone begin it anew", async () => {
  await withHistory((history) => {
    history.report(made.accepted(1), made.attempt(1, "tempfail", "TempFail (451 wait)"));
    days(history, 2, 3);
    history.now += 29 * DAY_MS;
    history.store.tend();
    deepEqual(history.ids({ id: made.id(1) }), []);
    history.report(made.attempt(1, "ok", "Ok (250 at last)"));
    deepEqual(history.ids({ reply: "at last" }), [made.id(1)]);
    equal(history.find({ id: made.id(1) })[0]!.outcome, "relayed");
  }, { segmentMessages: 1 });
});

/** What is done to the file of the second of three messages, and what is said of it. */
const FAULTS: readonly { name: string; spoil: (path: string) => void; want: RegExp; left?: string }[] = [
  {
    name: "octets of something else",
    spoil: (path) => Deno.writeTextFileSync(path, "no database, and long enough to be read as one ".repeat(400)),
    want: /00000002\.db is damaged: .* it is set aside as 00000002\.db\.damaged$/,
  },
  {
    name: "a file that was cut off",
    spoil: (path) => Deno.truncateSync(path, 20_000),
    want: /00000002\.db is damaged: /,
  },
  {
    name: "pages of zeros",
    spoil: (path) => {
      using file = Deno.openSync(path, { write: true });
      file.seekSync(8192, Deno.SeekMode.Start);
      file.writeSync(new Uint8Array(Deno.statSync(path).size - 8192));
    },
    want: /00000002\.db is damaged: /,
  },
  {
    name: "a newer version",
    spoil: (path) => alter(path, "PRAGMA user_version = 99"),
    want: /00000002\.db is of format 99, this program knows formats up to 1: it is left alone$/,
    left: "00000002.db",
  },
  {
    name: "tables of something else",
    spoil: (path) => alter(path, "DROP TABLE later"),
    want: /00000002\.db is damaged: no such table/,
  },
  {
    name: "lines that cannot be decompressed",
    spoil: (path) => alter(path, "UPDATE blocks SET lines = x'00010203'"),
    want: /00000002\.db is damaged: /,
  },
];

function alter(path: string, statement: string): void {
  const database = new DatabaseSync(path);
  database.exec(statement);
  database.close();
}

for (const { name, spoil, want, left = "00000002.db.damaged" } of FAULTS) {
  Deno.test(`the others are found, and recording goes on, beside ${name}`, async () => {
    await withHistory((history) => {
      days(history, 1, 3);
      history.store.close();
      const path = join(history.folder, "00000002.db");
      spoil(path);
      Deno.utimeSync(path, history.now / 1000, history.now / 1000);
      history.open();
      deepEqual(history.ids({}), [3, 1].map(made.id));
      deepEqual(history.log.filter((line) => want.test(line)).length, 1, history.log.join("\n"));
      days(history, 4, 4);
      deepEqual(history.ids({ from: "bob@example.net" }), [4, 3, 1].map(made.id));
      deepEqual(history.files(), ["00000001.db", left, "00000003.db", "00000004.db"]);
      match(history.store.state.damaged.join("\n"), /^00000002\.db/);
      history.store.close();
      history.open();
      equal(history.store.state.damaged.length, 1, "it is named after the next start, too");
      // It goes like the others.
      history.now += 3650 * DAY_MS;
      for (let look = 0; look < 10; look++) history.store.tend();
      deepEqual([history.files(), history.store.state.damaged], [[], []]);
    }, { segmentMessages: 1 });
  });
}

Deno.test("a segment that becomes damaged while it is written is set aside, and the next one goes on", async () => {
  await withHistory((history) => {
    history.report(made.accepted(1));
    const path = join(history.folder, "00000001.db");
    history.store.use(history.store.newestFirst()[0]!, () => {
      throw Object.assign(new Error("database disk image is malformed"), { code: "ERR_SQLITE_ERROR" });
    });
    ok(!history.files().includes("00000001.db"), path);
    history.report(made.accepted(2));
    deepEqual(history.ids({}), [made.id(2)]);
  });
});

Deno.test("a full disk stops the recording and nothing else, and it goes on when there is room", async () => {
  let disk = { free: 10 * 1024 ** 3, total: 100 * 1024 ** 3 };
  await withHistory((history) => {
    days(history, 1, 3);
    disk = { ...disk, free: 1024 ** 3 };
    for (let look = 0; look < 5; look++) history.store.tend();
    deepEqual(history.ids({}), [made.id(3)], "what is old goes first, for the room is the queue's");
    match(history.store.state.stopped!, /^less than \d+ MiB are free on the disk of /);
    history.report(made.accepted(4));
    equal(history.store.state.leftOut, 1);
    deepEqual(history.ids({}), [made.id(3)], "what is there is found");
    disk = { ...disk, free: 50 * 1024 ** 3 };
    history.now += 10_000;
    history.store.tend();
    history.report(made.accepted(5));
    deepEqual(history.ids({}), [5, 3].map(made.id));
    equal(history.store.state.stopped, null);
    equal(history.log.filter((line) => /nothing is recorded/.test(line)).length, 1);
  }, { segmentMessages: 1, disk: () => disk, reserve: { share: 0.05, bytes: 1024 ** 3 }, policy: POLICY });
});

Deno.test("a folder that cannot be had stops the recording and nothing else", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const missing = join(folder, "no", "such");
    await withHistory((history) => {
      history.store.close();
      history.open({ folder: missing });
      history.report(made.accepted(1));
      deepEqual(history.ids({}), []);
      match(history.store.state.stopped!, /No such file or directory/);
      deepEqual(history.story(made.id(1)), []);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a process that is killed at any time leaves files that open, with all but the last second", async () => {
  const folder = await Deno.makeTempDir();
  const program = new URL("./writer.ts", import.meta.url).pathname;
  try {
    for (let round = 0; round < 3; round++) {
      const child = new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-check", "--cached-only", "--allow-all", program, folder],
        stdout: "piped",
        stderr: "inherit",
      }).spawn();
      const reader = child.stdout.getReader();
      let written = 0;
      // It says how many it has written, and is killed in the midst of the next ones.
      while (written < 300) {
        const { value, done } = await reader.read();
        ok(!done);
        written = Number(new TextDecoder().decode(value).trim().split("\n").at(-1));
      }
      child.kill("SIGKILL");
      await child.status;
      await reader.cancel();
      await withHistory((history) => {
        history.store.close();
        history.open({ folder: join(folder, "history") });
        const { messages, damaged } = history.store.state;
        deepEqual(damaged, []);
        ok(messages >= written, `${messages} of ${written}`);
        equal(history.ids({ id: made.id(written) }).length > 0, true);
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
