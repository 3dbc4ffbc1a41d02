/** Lines on their way to stderr. */

import { deepEqual, equal } from "node:assert/strict";
import { Logbook, stderrOutput } from "../../src/control/logbook.ts";

Deno.test("stderrOutput writes what came together in one call, in order, whatever the levels", () => {
  const writes: string[] = [];
  const logbook = new Logbook([stderrOutput((bytes) => {
    writes.push(new TextDecoder().decode(bytes));
    return bytes.length;
  })]);
  logbook.line("info", "one {name}");
  logbook.line("info", "two");
  logbook.line("warn", "warn: three");
  logbook.line("info", "four");
  deepEqual(writes, []);
  logbook.flush();
  deepEqual(writes, ["one {name}\ntwo\nwarn: three\nfour\n"]);
  logbook.flush();
  equal(writes.length, 1);
});

Deno.test("Logbook writes a critical line at once", () => {
  const writes: string[] = [];
  const logbook = new Logbook([stderrOutput((bytes) => {
    writes.push(new TextDecoder().decode(bytes));
    return bytes.length;
  })]);
  logbook.line("info", "before");
  logbook.line("crit", "crit: fire");
  deepEqual(writes, ["before\ncrit: fire\n"]);
});

Deno.test("stderrOutput finishes what was written in part, and gives up on a reader that is gone", () => {
  let written = "";
  let calls = 0;
  const logbook = new Logbook([stderrOutput((bytes) => {
    if (++calls === 2) throw new Deno.errors.WouldBlock();
    const part = bytes.subarray(0, 3);
    written += new TextDecoder().decode(part);
    return part.length;
  })]);
  logbook.line("info", "0123456789");
  logbook.flush();
  equal(written, "0123456789\n");
  const gone = new Logbook([stderrOutput(() => {
    throw new Deno.errors.BrokenPipe();
  })]);
  gone.line("info", "nobody reads this");
  gone.flush();
});
