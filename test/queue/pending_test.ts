/** What one smtp isolate may have on its way to the disk is bounded, whatever it sends: the rest is refused for now. */

import assert from "node:assert/strict";
import type { MessageId } from "../../src/envelope/mod.ts";
import type { QueueToSmtp } from "../../src/protocol/mod.ts";
import { CHUNK_BYTES } from "../../src/protocol/smtp_queue.ts";
import { contentFor, type QueueHarness, typed, utf8, withQueue } from "./harness.ts";

const MESSAGES = 512 * 1024 * 1024 / CHUNK_BYTES / 2;

/** Sends two chunks of each message in one turn, as they would come in one post. The octets are the same ones, so that the test needs few. */
function fill(harness: QueueHarness, ids: readonly MessageId[]): void {
  const bytes = new Uint8Array(CHUNK_BYTES);
  for (const message of ids) {
    for (let chunk = 0; chunk < 2; chunk++) harness.smtp.other.onmessage({ type: "chunk", message, bytes });
  }
}

async function commitOne(harness: QueueHarness): Promise<"committed" | "refused"> {
  const message = harness.ids.pop()!;
  harness.smtp.send({ type: "commit", message, tail: utf8("x\n"), envelopes: [contentFor(message)] });
  const answer = await harness.smtp.next((answer): answer is Extract<QueueToSmtp, { type: "committed" | "refused" }> =>
    (answer.type === "committed" || answer.type === "refused") && answer.message === message
  );
  return answer.type;
}

Deno.test("an smtp isolate has half a gigabyte on its way to the disk at most, and all of it again when that is done", () =>
  withQueue(async (harness) => {
    while (harness.ids.length < 2 * MESSAGES + 2) {
      harness.smtp.send({ type: "ids-wanted" });
      harness.ids.push(...(await harness.smtp.next(typed("ids"))).ids);
    }
    for (let round = 0; round < 2; round++) {
      const ids = harness.ids.splice(0, MESSAGES + 1);
      fill(harness, ids);
      // None of it is ever written.
      for (const message of ids) harness.smtp.other.onmessage({ type: "abort", message });
      const { message, code, text } = await harness.smtp.next(typed("refused"));
      assert.deepEqual([message, code, text.slice(0, 5)], [ids.at(-1), 452, "4.3.1"]);
      harness.ids.push(
        ...harness.smtp.received.splice(0).flatMap((received) => received.type === "ids" ? received.ids : []),
      );
      // What is on its way still counts; once the queue has dealt with it, there is room again.
      while (await commitOne(harness) === "refused") await new Promise((resolve) => setTimeout(resolve));
    }
  }));
