/** Writes messages without end, and says after each flush how many are written: to be killed. */

import { made, TestHistory } from "./harness.ts";

const history = new TestHistory(Deno.args[0]!, { segmentMessages: 100 });
for (let number = 1;; number += 10) {
  const events = Array.from(
    { length: 10 },
    (_, at) => [made.accepted(number + at), made.attempt(number + at, "ok", "Ok")],
  );
  history.report(...events.flat());
  Deno.stdout.writeSync(new TextEncoder().encode(`${number + 9}\n`));
}
