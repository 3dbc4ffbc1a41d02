/** A command gets into the queue only with lookup's MAC on it. */

import assert from "node:assert/strict";
import { commandMac } from "../../src/mac/mod.ts";
import { contentFor, utf8, withQueue } from "./harness.ts";

const COMMAND = { action: "inbox", user: "bob", subAddress: "", exec: "vacation bob" };

const ROWS = [
  { because: "the MAC is lookup's", signed: COMMAND, key: 0, want: "committed" },
  { because: "another key made the MAC", signed: COMMAND, key: 1, want: "refused" },
  { because: "the MAC is of another command", signed: { ...COMMAND, exec: "true" }, key: 0, want: "refused" },
  { because: "the MAC is for another user", signed: { ...COMMAND, user: "eve" }, key: 0, want: "refused" },
  { because: "there is no MAC", signed: null, key: 0, want: "refused" },
] as const;

for (const { because, signed, key, want } of ROWS) {
  Deno.test(`an envelope with a command is ${want}: ${because}`, () =>
    withQueue(async (harness) => {
      const message = harness.ids.pop()!;
      const mark = signed === null ? {} : { commandMac: commandMac(new Uint8Array(32).fill(key), signed) };
      harness.smtp.send({
        type: "commit",
        message,
        tail: utf8("Subject: x\n\n"),
        envelopes: [contentFor(message, { ...COMMAND, ...mark })],
      });
      const answer = await harness.smtp.next((received): received is Extract<typeof received, { message: string }> =>
        received.type === "committed" || received.type === "refused"
      );
      assert.equal(answer.type, want);
    }));
}
