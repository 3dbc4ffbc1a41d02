/** Clients that are turned away without a session: a line each, but no more than a log can take. */

import assert from "node:assert/strict";
import { RefusalLog, REFUSALS_A_MINUTE } from "../../src/smtp/refusals.ts";

Deno.test("each client that is turned away has a line, up to so many in a minute; then their number", () => {
  let now = 0;
  const lines: string[] = [];
  const log = new RefusalLog(() => now, (line) => lines.push(line));
  for (let at = 0; at < REFUSALS_A_MINUTE + 23; at++) log.log("::ffff:192.0.2.1", "421 4.3.2 Later\r\n");
  assert.equal(lines.length, REFUSALS_A_MINUTE);
  assert.match(
    lines[0]!,
    /^[0-9a-f]{16} smtp failed-command command="" result="421 4\.3\.2 Later" address=192\.0\.2\.1$/,
  );
  assert.notEqual(lines[0]!.slice(0, 16), lines[1]!.slice(0, 16), "each has an id of its own");
  now = 60_000;
  log.log("2001:db8::1", "421 4.3.2 Later");
  assert.deepEqual(lines.slice(REFUSALS_A_MINUTE).map((line) => line.replace(/^[0-9a-f]{16} /, "")), [
    "smtp: 23 more clients were turned away since the last line",
    'smtp failed-command command="" result="421 4.3.2 Later" address=[2001:db8::1]',
  ]);
  now = -1;
  log.log("192.0.2.2", "421 4.3.2 Later");
  assert.equal(lines.length, REFUSALS_A_MINUTE + 3, "a clock that is set back opens a new minute");
});
