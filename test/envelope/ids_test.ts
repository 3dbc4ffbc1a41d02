/** The syntax of ids, and how they become rows and back. */

import assert from "node:assert/strict";
import {
  envelopeIdOf,
  isEnvelopeId,
  isMessageId,
  isSessionId,
  messageIdOf,
  messageNumber,
  messageOf,
  newEnvelopeId,
  newMessageId,
  parseEnvelopeId,
  parseMessageId,
  rowOf,
} from "../../src/envelope/mod.ts";
import { evpid, msgid } from "../ids.ts";

/** What each check says: m of a message's id, e of an envelope's, s of a session's. */
const ROWS: readonly (readonly [value: unknown, passes: string])[] = [
  ["0a9f00ff", "m"],
  ["00000001", "m"],
  ["00000000", ""],
  ["0A9F00FF", ""],
  ["0a9f00f", ""],
  ["0a9f00ff0", ""],
  ["0a9f00fg", ""],
  ["0a9f00ff\n", ""],
  ["0a9f00ff00000001", "es"],
  ["0a9f00ff00000000", "es"],
  ["0000000000000001", "s"],
  ["0000000000000000", "s"],
  ["0A9F00FF00000001", ""],
  ["0a9f00ff0000000", ""],
  ["0a9f00ff000000010", ""],
  ["", ""],
  [12345678, ""],
  [null, ""],
  [["0a9f00ff"], ""],
];
for (const [value, passes] of ROWS) {
  Deno.test(`${JSON.stringify(value)} is an id of: ${passes || "nothing"}`, () => {
    const found = (isMessageId(value) ? "m" : "") + (isEnvelopeId(value) ? "e" : "") + (isSessionId(value) ? "s" : "");
    assert.equal(found, passes);
  });
}

Deno.test("an id that a person typed may be in upper case, and is kept in lower case", () => {
  assert.equal(parseMessageId("0A9F00FF"), "0a9f00ff");
  assert.equal(parseEnvelopeId("0A9F00FF0000000B"), "0a9f00ff0000000b");
  for (const wrong of ["00000000", "0a9f00ff00000001", "x", ""]) assert.equal(parseMessageId(wrong), null, wrong);
  for (const wrong of ["0000000000000001", "0a9f00ff", "x", ""]) assert.equal(parseEnvelopeId(wrong), null, wrong);
});

Deno.test("an id and its row are one: the first and the last, and those between", () => {
  for (const id of ["0000000100000001", "0a9f00ff80000000", "ffffffffffffffff"].map(evpid)) {
    assert.equal(envelopeIdOf(rowOf(id)), id);
    assert.equal(messageIdOf(messageNumber(id)), messageOf(id));
  }
  assert.deepEqual(rowOf(evpid("00000001ffffffff")), { message: 1, envelope: 0xffff_ffff });
});

Deno.test("ids that are drawn are ids, and an envelope's begins with its message's", () => {
  for (let draw = 0; draw < 2000; draw++) {
    const message = newMessageId();
    assert.ok(isMessageId(message));
    const envelope = newEnvelopeId(message);
    assert.ok(isEnvelopeId(envelope) && messageOf(envelope) === message);
  }
  assert.equal(messageOf(newEnvelopeId(msgid("0a9f00ff"))), "0a9f00ff");
});
