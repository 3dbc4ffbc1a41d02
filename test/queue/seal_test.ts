/** A command gets into the queue only with lookup's seal on it. */

import assert from "node:assert/strict";
import { commandMac } from "../../src/mac/mod.ts";
import { factsFor, utf8, withQueue } from "./harness.ts";

const COMMAND = { action: "inbox", user: "bob", subAddress: "", exec: "vacation bob" };

const ROWS = [
  { because: "the seal is lookup's", sealed: COMMAND, key: 0, want: "committed" },
  { because: "another key made the seal", sealed: COMMAND, key: 1, want: "refused" },
  { because: "the seal is of another command", sealed: { ...COMMAND, exec: "true" }, key: 0, want: "refused" },
  { because: "the seal is for another user", sealed: { ...COMMAND, user: "eve" }, key: 0, want: "refused" },
  { because: "there is no seal", sealed: null, key: 0, want: "refused" },
] as const;

for (const { because, sealed, key, want } of ROWS) {
  Deno.test(`an envelope with a command is ${want}: ${because}`, () =>
    withQueue(async (harness) => {
      const message = harness.ids.pop()!;
      const mark = sealed === null ? {} : { seal: commandMac(new Uint8Array(32).fill(key), sealed) };
      harness.smtp.send({
        type: "commit",
        message,
        tail: utf8("Subject: x\n\n"),
        envelopes: [factsFor(message, { ...COMMAND, ...mark })],
      });
      const answer = await harness.smtp.next((heard): heard is Extract<typeof heard, { message: string }> =>
        heard.type === "committed" || heard.type === "refused"
      );
      assert.equal(answer.type, want);
    }));
}
