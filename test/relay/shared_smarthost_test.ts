/** Recipients of different domains that go to one smarthost share a transaction. */

import assert from "node:assert/strict";
import type { EnvelopeId, MessageId } from "../../src/envelope/mod.ts";
import type { FakeServer, Script } from "../smtp_client/fake_server.ts";
import { viaSmarthost } from "./via.ts";
import type { World, WorldOptions } from "./world.ts";

/** Recipients of each transaction that were offered. */
function offered(server: FakeServer): number[] {
  const counts: number[] = [];
  for (const line of server.lines()) {
    if (line.startsWith("MAIL")) counts.push(0);
    if (line.startsWith("RCPT")) counts[counts.length - 1]!++;
  }
  return counts;
}
const people = (count: number) => Array.from({ length: count }, (_, at) => `u@d${at}.example`);

/** As the scheduler does for an action with a `domain` table: a job for each domain. */
async function sendApart(world: World, rcpts: readonly string[]): Promise<EnvelopeId[]> {
  const ids = world.send({ rcpts, action: "unknown" });
  await world.settled(ids);
  world.outcomes.clear();
  for (const [at, id] of ids.entries()) {
    const lane = rcpts[at]!.split("@")[1]!;
    world.job({ type: "job", message: id.slice(0, 8) as MessageId, action: "out", lane, ids: [id], mac: "" });
  }
  return ids;
}

const cases: { name: string; script?: Script; count: number; want: number[]; scheme?: string; refused?: number }[] = [
  { name: "500 recipients", count: 500, want: [500] },
  { name: "500 recipients with PIPELINING", script: { keywords: ["PIPELINING"] }, count: 500, want: [500] },
  { name: "500 recipients over LMTP", script: { lmtp: true }, count: 500, want: [500], scheme: "lmtp" },
  { name: "RCPTMAX", script: { keywords: ["LIMITS RCPTMAX=200"] }, count: 500, want: [200, 200, 100] },
  {
    name: "550 with words behind 100 recipients",
    script: {
      reply: (line, session) =>
        line.startsWith("RCPT") && session.accepted >= 120 ? "550 too many recipients" : undefined,
    },
    count: 250,
    want: [121, 120, 10],
  },
  {
    name: "one bad recipient",
    script: { reply: (line) => line.includes("d7.example") ? "550 5.1.1 no such user" : undefined },
    count: 20,
    want: [20],
    refused: 7,
  },
];
for (const { name, script = {}, count, want, scheme, refused } of cases) {
  Deno.test(`${name}: transactions of ${want.join(", ")} recipients`, () =>
    viaSmarthost(script, async (world, server) => {
      const texts = await world.settled(world.send({ rcpts: people(count) }));
      assert.deepEqual(offered(server), want);
      for (const [at, text] of texts.entries()) assert.match(text, at === refused ? /^permfail 550 5.1.1/ : /^ok /);
    }, scheme === undefined ? {} : { scheme }));
}

Deno.test("domains of a `domain` table: those with the same smarthost and label share a transaction, others have theirs", async () => {
  const hosts: Record<string, string> = {};
  const options: WorldOptions = {
    actions: { out: { domain: "routes" } },
    addresses: { "a.host": ["127.0.0.1"] },
    smarthost: (_, domain) => hosts[domain] ?? null,
  };
  await viaSmarthost({}, async (world, server) => {
    const rcpts = people(31);
    for (const [at, rcpt] of rcpts.slice(0, 30).entries()) {
      hosts[rcpt.split("@")[1]!] = `smtp://${at < 20 ? "a" : "b"}.host:${server.port}`;
    }
    const texts = await world.settled(await sendApart(world, rcpts));
    assert.deepEqual(offered(server), [20]);
    assert.equal(texts[30], "tempfail cannot retrieve smarthost");
    assert.ok(texts.slice(0, 20).every((text) => text.startsWith("ok ")));
    assert.ok(texts.slice(20, 30).every((text) => text.startsWith("tempfail ") && text.includes("b.host")), texts[25]);
    // The session waits for more: what comes at once still goes together.
    await world.settled(await sendApart(world, people(20)));
    assert.deepEqual(offered(server), [20, 20]);
  }, options);
});

Deno.test("SRS: who was written to and who it was forwarded to have transactions of their own", () =>
  viaSmarthost({}, async (world, server) => {
    const ids = world.send({ rcpts: ["a@x.example", "b@y.example", "c@z.example"], original: "a@x.example" });
    assert.ok((await world.settled(ids)).every((text) => text.startsWith("ok ")));
    assert.deepEqual(offered(server), [1, 2]);
    const [plain, rewritten] = server.lines().filter((line) => line.startsWith("MAIL"));
    assert.match(plain!, /^MAIL FROM:<s@example.org>/);
    assert.match(rewritten!, /^MAIL FROM:<SRS0=[^>]+@x.example>/);
  }, { actions: { out: { host: "hosts", srs: true } }, srs: { key: "secret", backupKey: null, ttlDays: 4 } }));
