/** Server-sent events: what they tell, how many may listen, and when they end. Asked without a socket. */

import { deepEqual, equal, match } from "node:assert/strict";
import type { AdminOutcome, AdminSource } from "../../src/admin/mod.ts";
import { FakeClock } from "../fake_clock.ts";
import { appOf, NO_RATES, NOW, sourceOf, tokensOf } from "./fakes.ts";

const OUTCOME: AdminOutcome = {
  ...{ what: "delivered", message: "00000001", envelope: "00000001aaaaaaaa", session: null },
  ...{ from: "a@example.org", to: "b@example.org", text: "Delivered\n<b>" },
};

/** Reads a stream event by event. */
class Reading {
  readonly #reader;
  #text = "";

  constructor(response: Response) {
    equal(response.status, 200);
    match(response.headers.get("content-type")!, /^text\/event-stream/);
    this.#reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  }

  /** The next event with a name; null at the end. */
  async next(): Promise<{ event: string; data: ReturnType<typeof JSON.parse> } | null> {
    for (;;) {
      const end = this.#text.indexOf("\n\n");
      if (end >= 0) {
        const block = this.#text.slice(0, end);
        this.#text = this.#text.slice(end + 2);
        const found = /^event: (\w+)\ndata: (.*)$/.exec(block);
        if (found !== null) return { event: found[1]!, data: JSON.parse(found[2]!) };
        continue;
      }
      const { value, done } = await this.#reader.read();
      if (done) return null;
      this.#text += value;
    }
  }

  cancel(): Promise<void> {
    return this.#reader.cancel();
  }
}

/** A source on which what happens is said by the test. */
function watched(changes: Partial<AdminSource> = {}) {
  let listener: ((outcome: AdminOutcome) => void) | null = null, watching = 0;
  const source = sourceOf({
    watch: (onoutcome) => {
      listener = onoutcome;
      watching++;
      return { rates: () => NO_RATES, end: () => void watching-- };
    },
    ...changes,
  });
  return { source, happens: () => listener!(OUTCOME), watching: () => watching };
}

Deno.test("a stream tells the overview at once and every 2 seconds, what became of messages, and how many were left out", async () => {
  const { source, happens, watching } = watched();
  const ask = appOf(source);
  const stream = new Reading(await ask("/api/v1/events"));
  const first = await stream.next();
  equal(first!.event, "overview");
  deepEqual([first!.data.envelopes, first!.data.status, first!.data.rates], [3, "ok", NO_RATES]);
  for (let count = 0; count < 23; count++) happens();
  ask.clock.advance(2_000);
  equal((await stream.next())!.event, "overview");
  for (let count = 0; count < 20; count++) deepEqual(await stream.next(), { event: "message", data: OUTCOME });
  deepEqual(await stream.next(), { event: "more", data: { count: 3 } });
  equal(watching(), 1);
  await stream.cancel();
  // Nobody looks on: nothing is counted.
  while (watching() > 0) await new Promise((resolve) => setTimeout(resolve));
});

Deno.test("of one client 4 listen, of all 12; one that went away leaves room; requests are answered all the while", async () => {
  const ask = appOf(watched().source);
  const open: Reading[] = [];
  const listen = async (client: string) => {
    const response = await ask("/api/v1/events", {}, { client });
    if (response.status === 200) open.push(new Reading(response));
    else {
      equal(response.status, 503);
      equal(response.headers.get("retry-after"), "30");
      equal((await response.json()).type, "urn:vaultpost:problem:too-many-streams");
    }
    return response.status;
  };
  const statuses = [];
  for (const client of ["a", "a", "a", "a", "a", "b", "b", "b", "b", "c", "c", "c", "c", "d"]) {
    statuses.push(await listen(client));
  }
  deepEqual(statuses, [...Array(4).fill(200), 503, ...Array(8).fill(200), 503]);
  equal((await ask("/api/v1/overview", {}, { client: "a" })).status, 200);
  await open[0]!.cancel();
  equal(await listen("a"), 200);
  for (const stream of open) await stream.cancel();
});

Deno.test("a stream ends after 10 minutes, and when its token is revoked, and says so", async () => {
  let tokens = await tokensOf({ vp_a: { scope: "read" } });
  const ask = appOf(watched({ tokens: () => Promise.resolve(tokens) }).source);
  const headers = { Authorization: "Bearer vp_a" };
  const [timed, revoked] = [
    new Reading(await ask("/api/v1/events")),
    new Reading(await ask("/api/v1/events", { headers })),
  ];
  const last = async (stream: Reading) => {
    for (let seen = await stream.next();; seen = await stream.next()) {
      if (seen?.event === "bye") return seen.data.reason;
    }
  };
  const step = async () => {
    ask.clock.advance(2_000);
    await new Promise((resolve) => setTimeout(resolve));
  };
  await step();
  tokens = [];
  await step();
  equal(await last(revoked), "logged out");
  equal(await revoked.next(), null);
  const end = last(timed);
  let ended = false;
  void end.then(() => ended = true);
  for (let looks = 0; looks < 310 && !ended; looks++) await step();
  equal(await end, "time");
});

Deno.test("who does not read is left out, and then closed; others go on", async () => {
  const ask = appOf(watched({ diskErrors: () => Promise.resolve(["x".repeat(30_000)]) }).source);
  const slow = await ask("/api/v1/events", {}, { client: "slow" });
  const quick = new Reading(await ask("/api/v1/events", {}, { client: "quick" }));
  const slots = async () => {
    const more = [];
    for (let count = 0; count < 4; count++) more.push(await ask("/api/v1/events", {}, { client: "slow" }));
    const statuses = more.map(({ status }) => status);
    for (const { body } of more) await body?.cancel();
    return statuses.filter((status) => status === 200).length;
  };
  equal(await slots(), 3, "the slow one has one of four");
  for (let looks = 0; looks < 30; looks++) {
    ask.clock.advance(2_000);
    equal((await quick.next())!.event, "overview");
  }
  await new Promise((resolve) => setTimeout(resolve));
  equal(await slots(), 4, "it has none any more");
  await slow.body!.cancel();
  await quick.cancel();
});

Deno.test("a stream of a source that fails goes on, and tells what it can", async () => {
  let fails = false;
  const clock = new FakeClock(NOW);
  const { source, happens } = watched({
    health: () => fails ? Promise.reject(new Error("gone")) : Promise.resolve({ queue: true }),
  });
  const ask = appOf(source, clock);
  const stream = new Reading(await ask("/api/v1/events"));
  equal((await stream.next())!.event, "overview");
  fails = true;
  happens();
  clock.advance(2_000);
  equal((await stream.next())!.event, "message");
  await stream.cancel();
});
