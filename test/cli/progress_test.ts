import assert from "node:assert/strict";
import { barOf, Progress, type ProgressState } from "../../src/cli/progress.ts";
import { FakeClock } from "../fake_clock.ts";

function job(columns: number | null, total?: number, unit = "messages") {
  const clock = new FakeClock(0), written: string[] = [];
  const terminal = { err: (text: string) => void written.push(text), screen: () => columns };
  const progress = new Progress({ label: "import", total, unit, clock, terminal });
  return { clock, written, progress };
}

Deno.test("what ends within a second shows nothing, on a screen and elsewhere", () => {
  for (const columns of [80, null]) {
    const { clock, written, progress } = job(columns, 100);
    for (let step = 0; step < 9; step++) {
      clock.advance(100);
      progress.add();
    }
    progress.end();
    assert.deepEqual(written, []);
  }
});

Deno.test("a bar is redrawn in place, at most 10 times a second, and gives way to a line that sums up", () => {
  const { clock, written, progress } = job(80, 4000);
  for (let step = 0; step < 2000; step++) {
    clock.advance(1);
    progress.add();
  }
  assert.ok(written.length >= 9 && written.length <= 11, `${written.length} drawings in the second second`);
  for (const text of written) assert.match(text.replace("\x1b[K", ""), /^\r[^\r\n]{1,79}$/);
  assert.match(written.at(-1)!, /^\rimport {2}\[#+-+\] {2}4\d% {2}\d+\/4000 messages {2}1000\/s {2}0:02 left/);
  progress.end();
  assert.deepEqual(written.slice(-2), ["\r\x1b[K", "import: 2000 messages in 0:02, 1000/s\n"]);
  const count = written.length;
  progress.end();
  clock.advance(60_000);
  assert.deepEqual(written.length, count, "nothing comes behind the end");
});

Deno.test("a bar goes on while nothing is done, and its rate falls", () => {
  const { clock, written, progress } = job(80, 1000);
  clock.advance(900);
  progress.add(90);
  clock.advance(40_000);
  assert.match(written.at(-1)!, / 0\/s/);
  progress.end();
});

Deno.test("without a screen there is a line every 10 seconds, and one at the end", () => {
  const { clock, written, progress } = job(null, 40);
  for (let step = 0; step < 25; step++) {
    clock.advance(1000);
    progress.add();
  }
  progress.end();
  assert.deepEqual(written.length, 3);
  assert.match(written[0]!, /^import: (9|10) of 40 messages, (0\.9|1\.0)\/s, 0:3\d left\n$/);
  assert.deepEqual(written[2], "import: 25 messages in 0:25, 1.0/s\n");
});

Deno.test("other lines do not tear the bar", () => {
  const { clock, written, progress } = job(80, 40);
  progress.err("before\n");
  clock.advance(1500);
  progress.err("between\n");
  progress.end();
  progress.pause();
  assert.deepEqual(written[0], "before\n");
  assert.deepEqual(written.slice(2, 4), ["\r\x1b[K", "between\n"]);
  assert.match(written[4]!, /^import: 0 messages in 0:0\d/, "nothing is to be erased");
});

Deno.test("an unknown end shows the time that has passed; octets have their units; a label acts on no terminal", () => {
  const { clock, written, progress } = job(80, undefined, "bytes");
  clock.advance(900);
  progress.add(3 * 1024 * 1024);
  clock.advance(100);
  assert.deepEqual(written, ["\rimport  3.0 MiB  3.0 MiB/s  0:01\x1b[K"]);
  progress.end();
});

const STATE: ProgressState = {
  label: "import",
  done: 420,
  total: 1000,
  unit: "messages",
  elapsedMs: 4200,
  perSecond: 100,
};
const WIDTHS: readonly (readonly [columns: number, line: string])[] = [
  [200, `import  [${"#".repeat(16)}${"-".repeat(24)}]  42%  420/1000 messages  100/s  0:06 left`],
  [64, "import  [###-----]  42%  420/1000 messages  100/s  0:06 left"],
  [50, "import  42%  420/1000 messages  100/s  0:06 left"],
  [42, "import  42%  420/1000 messages  0:06 left"],
  [36, "42%  420/1000 messages  0:06 left"],
  [20, "42%  0:06 left"],
  [4, "42%"],
  [2, "42"],
  [0, ""],
];
for (const [columns, line] of WIDTHS) {
  Deno.test(`a bar in ${columns} columns`, () => {
    const drawn = barOf(STATE, columns);
    assert.ok(drawn.length <= columns);
    assert.deepEqual(drawn.replace(/\[[#-]+\]/, "[]"), line.replace(/\[[#-]+\]/, "[]"));
  });
}
