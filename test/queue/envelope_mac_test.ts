/**
 * An envelope gets into the queue only as lookup has decided it, for the message it has decided it for: what an smtp isolate that has fallen into
 * the hands of an attacker makes of it is refused, and the isolate is replaced.
 */

import assert from "node:assert/strict";
import type { EnvelopeContent, MessageId } from "../../src/envelope/mod.ts";
import { authorised, contentFor, expanded, logged, MTA, type QueueHarness, typed, utf8, withQueue } from "./harness.ts";

type Change = (content: EnvelopeContent) => EnvelopeContent;
const changed = (more: Partial<EnvelopeContent>): Change => (content) => ({ ...content, ...more });
const from = (more: Partial<EnvelopeContent["origin"]>): Change => (content) => ({
  ...content,
  origin: { ...content.origin, ...more },
});
const eve = { local: "eve", domain: "example.org" };

/** What an attacker makes of an envelope that lookup has decided. */
const CHANGES: readonly (readonly [because: string, change: Change])[] = [
  ["another action", changed({ action: "short" })],
  ["the name of an action that does not exist", changed({ action: "root" })],
  ["another user", changed({ user: "root" })],
  ["another sub-address", changed({ subAddress: "x" })],
  ["a command", changed({ exec: "id > /tmp/x" })],
  ["a file", changed({ exec: ">/etc/cron.d/x" })],
  ["another destination", changed({ dest: eve })],
  [
    "the same destination with its letters parted otherwise",
    changed({ dest: { local: "bobE", domain: "xample.org" } }),
  ],
  ["another recipient", changed({ rcpt: eve })],
  ["another sender", changed({ sender: eve })],
  ["the null sender", changed({ sender: null })],
  ["relay in the place of a mailbox", (content) => ({ ...content, agent: "mta" })],
  ["internal", changed({ internal: true })],
  ["another client", from({ address: "local" })],
  ["a client that has logged in", from({ authenticated: true, username: "bob" })],
  ["another listener", from({ tag: "inside" })],
  ["another host name", from({ hostname: "localhost" })],
  ["a changed MAC", (content) => ({ ...content, mac: content.mac!.replace(/.$/, (last) => last === "0" ? "1" : "0") })],
  ["a MAC that is cut", (content) => ({ ...content, mac: content.mac!.slice(0, 32) })],
  ["an empty MAC", changed({ mac: "" })],
];

async function commit(harness: QueueHarness, message: MessageId, ...envelopes: readonly EnvelopeContent[]) {
  harness.smtp.send({ type: "commit", message, tail: utf8("Subject: x\n\n"), envelopes });
  return await harness.smtp.next((received): received is Extract<typeof received, { message: string }> =>
    received.type === "committed" || received.type === "refused"
  );
}

for (const [name, more] of [["local", {}], ["relayed", { ...MTA }], ["command", { exec: "vacation bob" }]] as const) {
  Deno.test(`a ${name} envelope is taken as lookup has decided it, and refused with anything else in it`, () =>
    withQueue(async (harness) => {
      const next = () => authorised(contentFor(harness.ids.at(-1)!, more), harness.ids.pop()!);
      let refusals = 0;
      for (const [because, change] of CHANGES) {
        const right = next();
        const wrong = change(right);
        // A relayed envelope has no user, sub-address or command: whatever stands there is dropped.
        const same = right.agent === "mta" && /user|sub-address|a command|a file|relay in/.test(because);
        const answer = await commit(harness, right.id.slice(0, 8) as MessageId, wrong);
        assert.equal(answer.type, same ? "committed" : "refused", because);
        if (same) continue;
        assert.ok(answer.type === "refused" && answer.code === 451, because);
        assert.equal(harness.refused.length, ++refusals, `${because}: the isolate is replaced`);
      }
      assert.match(harness.refused[0]!, /^commit: an envelope of [0-9a-f]{8} is not as lookup has decided it$/);
      assert.equal((await commit(harness, harness.ids.at(-1)!, next())).type, "committed");
    }));
}

Deno.test("an envelope without a MAC is refused, and one that does not belong to it takes the message with it", () =>
  withQueue(async (harness) => {
    const message = harness.ids.pop()!;
    const right = authorised(contentFor(message), message), wrong = { ...contentFor(message), mac: "" };
    assert.equal((await commit(harness, message, right, wrong)).type, "refused");
    assert.equal(harness.refused.length, 1);
  }));

Deno.test("what lookup has decided for one message is refused in another", () =>
  withQueue(async (harness) => {
    const [one, other] = [harness.ids.pop()!, harness.ids.pop()!];
    const { mac } = authorised(contentFor(one), one);
    assert.equal((await commit(harness, other, { ...contentFor(other), mac: mac! })).type, "refused");
    assert.equal(harness.refused.length, 1);
    // And once more in the same message, which is used up.
    assert.equal((await commit(harness, one, { ...contentFor(one), mac: mac! })).type, "committed");
    assert.equal((await commit(harness, one, { ...contentFor(one), mac: mac! })).type, "refused");
  }));

Deno.test("several envelopes of one message are each as lookup has decided them", () =>
  withQueue(async (harness) => {
    const message = harness.ids.pop()!;
    const ofBob = authorised(contentFor(message), message),
      ofEve = authorised(contentFor(message, { dest: eve }), message);
    assert.equal((await commit(harness, message, { ...ofBob, mac: ofEve.mac! }, ofEve)).type, "refused");
  }));

Deno.test("a notice goes nowhere that lookup has not decided", () =>
  withQueue(async (harness) => {
    const message = harness.ids.pop()!, content = contentFor(message);
    await commit(harness, message, content);
    const outcome = { result: "permfail", text: "550 no", status: { class: 5, code: "1.1" } } as const;
    harness.delivery.send({ type: "outcome", id: content.id, outcome });
    for (let asked = 0;;) {
      const { tickets } = await harness.scheduler.next(typed("enqueued"));
      const notice = tickets.find(({ agent }) => agent === "bounce");
      if (notice === undefined) continue;
      harness.scheduler.send({ type: "dsn", message, ids: [notice.id] });
      const question = await harness.lookup.next(typed("expand"));
      const result = { ok: true, targets: [{ agent: "mta", action: "out", dest: eve }], internal: [false] } as const;
      const answer = expanded({ ...question, rcpt: eve }, result);
      harness.lookup.send(answer);
      const settled = await harness.scheduler.next((
        received,
      ): received is Extract<typeof received, { type: "settled" }> =>
        received.type === "settled" && received.id === notice.id
      );
      assert.equal(settled.again, true);
      if (++asked === 1) break;
    }
    assert.deepEqual(logged(harness).filter((line) => line.includes("notice") && line.includes("goes to")), []);
  }));
