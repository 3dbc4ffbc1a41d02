/** What the operating system said, without what the runtime adds: shown to people who start programs. */

import assert from "node:assert/strict";
import { isDefect, systemReason, systemReasonAt } from "../../src/events/mod.ts";

const rows = [
  {
    message: "Permission denied (os error 13): open '/x/queue.db'",
    short: "Permission denied",
    long: "/x/queue.db: Permission denied",
    because: "number, call and path are the runtime's",
  },
  {
    message: "Is a directory (os error 21): readfile '/tmp'",
    short: "Is a directory",
    long: "/tmp: Is a directory",
    because: "whatever the call is named",
  },
  {
    message: "Address already in use (os error 98)",
    short: "Address already in use",
    long: "Address already in use",
    because: "not every call has a path",
  },
  {
    message: 'Requires write access to "/etc/x", run again with the --allow-write flag',
    short: "This program has no permission for it",
    long: "/etc/x: This program has no permission for it",
    because: "nobody should allow everything",
  },
  {
    message: 'Requires all access to "/proc/x", run again with the --allow-all flag',
    short: "This program has no permission for it",
    long: "/proc/x: This program has no permission for it",
    because: "some places have no permission of their own",
  },
  { message: "there is no file", short: "there is no file", long: "there is no file", because: "it is our own text" },
] as const;

for (const { message, short, long, because } of rows) {
  Deno.test(`systemReason() of "${message}": ${because}`, () => {
    assert.equal(systemReason(new Error(message)), short);
    assert.equal(systemReasonAt(new Error(message)), long);
  });
}

Deno.test("systemReasonAt() names the file that the real runtime could not read", () => {
  try {
    Deno.readTextFileSync("/nonexistent/file");
    assert.fail("it was read");
  } catch (error) {
    assert.equal(systemReasonAt(error), "/nonexistent/file: No such file or directory");
  }
});

Deno.test("isDefect() tells our bugs, whose stack matters, from what the machine says", () => {
  for (const error of [new TypeError(), new RangeError(), new ReferenceError()]) assert.ok(isDefect(error));
  for (const error of [new Deno.errors.NotFound(), new Error("full"), "text"]) assert.ok(!isDefect(error));
});
