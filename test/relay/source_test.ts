/** Sending from named local addresses: by turns, under their names, and by another one where one does not do. */

import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../src/clock.ts";
import { until } from "../smtp_client/fake_server.ts";
import { viaMx } from "./via.ts";

/** One list of addresses for all, the next in turn first. */
function inTurn(...addresses: string[]) {
  let turn = 0;
  return () => {
    const start = turn++;
    return addresses.map((_, at) => addresses[(start + at) % addresses.length]!).map((address) => ({
      address,
      helo: address === "127.0.0.12" ? "twelve.example.org" : null,
    }));
  };
}
const actions = { out: { src: "addresses" } };

Deno.test("messages go from local addresses in turn, each with its name", () =>
  viaMx([{ preference: 10, script: {} }], async (world, [server]) => {
    for (const rcpt of ["a@x.test", "b@x.test", "c@x.test"]) {
      assert.deepEqual(await world.settled(world.send({ rcpts: [rcpt] })), ["ok 250 2.0.0 queued"]);
    }
    assert.deepEqual(world.deliveries().map(({ source }) => source), ["127.0.0.11", "127.0.0.12", "127.0.0.11"]);
    assert.deepEqual(server!.sessions.map(({ lines, messages }) => `${lines[0]} ${messages.length}`), [
      "EHLO relay.example.org 2",
      "EHLO twelve.example.org 1",
    ]);
    const routes = await world.show("routes");
    assert.match(routes.join("\n"), /^1\. \[127\.0\.0\.11\] <-> 127\.0\.0\.1 .*\n2\. \[127\.0\.0\.12\] <-> /);
    assert.match((await world.show("hosts")).join("\n"), /^127\.0\.0\.1 \S+ refcount=4 nconn=2 [^\n]*$/);
    assert.match((await world.show("relays")).join("\n"), /connector \[127\.0\.0\.12\] /);
  }, { actions, sources: inTurn("127.0.0.11", "127.0.0.12"), limits: { connDelayRelay: 0 } }));

Deno.test("max-conn-per-relay counts the connections from all local addresses", async () => {
  // A server that says nothing: what is begun stays.
  const silent = { preference: 10, script: { reply: () => "" } };
  const planned: number[] = [];
  const clock: Clock = {
    ...systemClock,
    steady: () => 1_000_000_000,
    after: (ms) => (planned.push(ms), () => {}),
  };
  await viaMx([silent], async (world, [server]) => {
    for (const rcpt of ["a@x.test", "b@x.test", "c@x.test"]) world.send({ rcpts: [rcpt] });
    await until(() => server!.sessions.length === 2, "two connections");
    await until(() => planned.includes(5_000), "the third waits for one of them");
    assert.equal((await world.show("relays")).filter((line) => / ntask=1 nconn=0 /.test(line)).length, 1);
  }, {
    actions,
    sources: inTurn("127.0.0.11", "127.0.0.12", "127.0.0.13"),
    limits: { connDelayRelay: 0, maxConnPerRelay: 2 },
    tools: { clock },
  });
});

for (
  const { name, bad } of [
    { name: "is not of this machine", bad: "192.0.2.1" },
    { name: "is of another family than the host", bad: "2001:db8::1" },
  ]
) {
  Deno.test(`a message whose address ${name} goes from the next one`, () =>
    viaMx([{ preference: 10, script: {} }], async (world) => {
      assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), ["ok 250 2.0.0 queued"]);
      assert.deepEqual(world.deliveries().map(({ source }) => source), ["127.0.0.12"]);
    }, { actions, sources: inTurn(bad, "127.0.0.12"), limits: { connDelayRelay: 0 } }));
}

const REFUSED = "mx1.test (127.0.0.1) port P: Can't assign requested address";
const failures = [
  { name: "no address at all", sources: [], want: "could not retrieve source address" },
  {
    name: "addresses of the wrong family",
    sources: ["2001:db8::1"],
    want: "Address family mismatch on destination MXs",
  },
  { name: "no way from any", sources: ["192.0.2.1", "2001:db8::1"], want: REFUSED },
  { name: "no way from any", sources: ["2001:db8::1", "192.0.2.1"], want: REFUSED },
];
for (const { name, sources, want } of failures) {
  Deno.test(`a message waits when there is ${name}: ${sources}`, () =>
    viaMx([{ preference: 10, script: {} }], async (world, [server]) => {
      const [text] = await world.settled(world.send({ rcpts: ["a@x.test"] }));
      assert.equal(text!.replace(/port \d+/, "port P"), `tempfail ${want}`);
      assert.equal(server!.sessions.length, 0);
    }, { actions, sources: inTurn(...sources) }));
}
