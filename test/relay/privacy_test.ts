/** A host's replies to one sender's messages may name correspondents: no other sender ever reads them. */

import assert from "node:assert/strict";
import { systemClock } from "../../src/clock.ts";
import { unheard } from "../../src/relay/session/result.ts";
import { ClientError } from "../../src/smtp_client/mod.ts";
import type { Script } from "../smtp_client/fake_server.ts";
import { viaMx } from "./via.ts";

const NO_WAIT = { connDelayRelay: 0, connDelayRoute: 0, reconnDelayRoute: 0, maxConnPerRoute: 1 };
const SECRET = "secret@a.example";
const NOW = Date.UTC(2031, 0, 2, 3, 4, 5);

const on = (verb: string, reply: string): Script => ({
  reply: (line) => line.startsWith(verb) ? reply : undefined,
});

const cases: { name: string; script: Script; lmtp?: true; messages: number; says: RegExp; code: string }[] = [
  ...["550 5.7.1", "451 4.7.1"].flatMap((code) =>
    ["MAIL", "RCPT", "DATA"].map((verb) => ({
      name: `${code} to ${verb}`,
      script: on(verb, `${code} not <${SECRET}>`),
      messages: 12,
      says: /^mx1\.test \(127\.0\.0\.1\) refused the last 10 messages; next try at 2031-01-02T03:05:05Z$/,
      code: "0.0",
    }))
  ),
  {
    name: "554 5.7.1 to the data",
    script: { dataReply: () => `554 5.7.1 not <${SECRET}>` },
    messages: 12,
    says: /refused the last 10 messages/,
    code: "0.0",
  },
  ...["MAIL", "RCPT", "DATA"].map((verb) => ({
    name: `421 to ${verb}`,
    script: on(verb, `421 4.7.0 too much for <${SECRET}>`),
    messages: 6,
    says:
      /^mx1\.test \(127\.0\.0\.1\) ended the last 5 sessions during their first message; next try at 2031-01-02T03:04:20Z$/,
    code: "4.2",
  })),
];

for (const { name, script, messages, says, code } of cases) {
  Deno.test(`a host that answers ${name}: the next sender learns that it refuses mail, not whose`, () =>
    viaMx([{ preference: 10, script }], async (world) => {
      const first: string[] = [];
      for (let count = 0; count < messages; count++) {
        first.push(...await world.settled(world.send({ sender: "bob@example.org", rcpts: [SECRET] })));
      }
      assert.ok(first[0]!.endsWith(`<${SECRET}>`), first[0]);
      const [id] = world.send({ sender: "alice@example.org", rcpts: ["other@x.test"] });
      await world.settled([id!]);
      const outcome = world.outcomes.get(id!)!;
      assert.ok(outcome.result === "tempfail");
      assert.match(outcome.text, says);
      assert.deepEqual([outcome.status, outcome.remote], [{ class: 4, code }, "mx1.test"]);
      const line = world.deliveries().find(({ envelope }) => envelope === id)!;
      assert.ok(!JSON.stringify(line).includes("secret"), line.stat);
    }, {
      limits: NO_WAIT,
      mx: { "x.test": [[10, "mx1.test"]], "a.example": [[10, "mx1.test"]] },
      tools: { clock: { ...systemClock, now: () => NOW, steady: () => 1_000_000 } },
    }));
}

Deno.test("what a host said before it left an idle session is not passed on to the message that finds out", () => {
  const found = (text: string) => {
    const one = { outcome: "tempfail", text, reply: null, stage: "MAIL" } as const;
    const rest = { rcptMax: null, exhausted: false, accepted: 0, answered: false };
    const { error, recipients } = unheard({ ...rest, error: new ClientError("closed", text), recipients: [one] });
    assert.equal(error!.message, recipients[0]!.text);
    return error!.message;
  };
  assert.equal(found(`421 4.7.0 no more for <${SECRET}>`), "Connection closed unexpectedly");
  assert.equal(found("Connection reset by peer"), "Connection reset by peer");
});
