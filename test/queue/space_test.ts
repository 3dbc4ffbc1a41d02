/** When there is room for mail, and when not. */

import assert from "node:assert/strict";
import { type Disk, roomFor, Space } from "../../src/queue/store/space.ts";
import { enqueue, openQueue, typed } from "./harness.ts";

const MIB = 1024 ** 2, GIB = 1024 ** 3;
const disk = (more: Partial<Disk> = {}): Disk => ({
  total: 100 * GIB,
  free: 10 * GIB,
  inodes: 1_000_000,
  freeInodes: 500_000,
  ...more,
});
const DEFAULT = { share: 0.05, bytes: GIB };

const rows = [
  { because: "much is free", disk: disk(), reserve: DEFAULT, room: Infinity },
  { because: "the default share of a large disk is a gibibyte at most", disk: disk({ free: GIB }), room: 0 },
  {
    because: "of a small one it is a share",
    disk: disk({ total: GIB, free: 52 * MIB }),
    room: Math.floor((52 - 51.2) * MIB / 2),
  },
  {
    because: "a share that is asked for has no such bound",
    disk: disk({ free: 4 * GIB }),
    reserve: { share: 0.05, bytes: Infinity },
    room: 0,
  },
  {
    because: "a size is a size",
    disk: disk({ free: 500 * MIB }),
    reserve: { share: null, bytes: 200 * MIB },
    room: 236 * MIB,
  },
  {
    because: "what is free in the database counts",
    disk: disk({ free: 0 }),
    unused: 300 * MIB,
    reserve: { share: null, bytes: 0 },
    room: 236 * MIB,
  },
  { because: "inodes run out too", disk: disk({ freeInodes: 900 }), room: 0 },
  { because: "some file systems do not count inodes", disk: disk({ inodes: 0, freeInodes: 0 }), room: Infinity },
  {
    because: "no reserve is wanted",
    disk: disk({ free: 2, freeInodes: 0 }),
    reserve: { share: null, bytes: 0 },
    room: 1,
  },
  { because: "nothing is known", disk: null, room: Infinity },
];
for (const { because, disk, unused = 0, reserve = DEFAULT, room } of rows) {
  Deno.test(`roomFor() is ${room}: ${because}`, () => assert.equal(roomFor(disk, unused, reserve), room));
}

Deno.test("Space reports changes that matter, and believes the database for a while when it says full", () => {
  const changes: number[] = [];
  let free = 10 * GIB;
  const space = new Space({ share: null, bytes: 0 }, () => disk({ free }), () => 0);
  space.onchange = (bytes) => changes.push(bytes);
  space.measure(0);
  assert.deepEqual(changes.splice(0), []);
  free = 264 * MIB;
  space.measure(1000);
  free -= MIB / 2;
  space.measure(2000);
  assert.deepEqual(changes.splice(0), [200 * MIB]);
  space.full(3000);
  space.measure(3500);
  assert.deepEqual(changes.splice(0), [0]);
  const before = free;
  free = 2 * MIB;
  space.measure(5000);
  assert.deepEqual(changes.splice(0), [], "a little room is none yet");
  free = before;
  space.measure(5000);
  assert.deepEqual(changes.splice(0), [200 * MIB - MIB / 2]);
});

Deno.test("an smtp isolate is informed at once that there is no room, chunks are refused, and status says so", async () => {
  const spool = await Deno.makeTempDir();
  // More than any disk has.
  const harness = await openQueue(spool, { reserve: { share: null, bytes: Number.MAX_SAFE_INTEGER } });
  try {
    assert.equal((await harness.smtp.next(typed("room"))).bytes, 0);
    const message = harness.ids.pop()!;
    harness.smtp.send({ type: "chunk", message, bytes: new Uint8Array(100_000) });
    const refused = await harness.smtp.next(typed("refused"));
    assert.deepEqual([refused.code, refused.text.slice(0, 5)], [452, "4.3.1"]);
    // What was begun before is not turned away: the reserve is for that.
    await enqueue(harness);
    harness.control.send({ type: "disk-errors", call: 1 });
    const { lines } = await harness.control.next(typed("disk-errors"));
    assert.deepEqual(lines, ["QUEUE disk full: mail is refused with 452"]);
  } finally {
    harness.stop();
    await Deno.remove(spool, { recursive: true });
  }
});
