/** What outcomes do to the queue: deletes, retries, bounces, and who gets a DSN. */

import assert from "node:assert/strict";
import { type EnvelopeContent, NO_DSN, NOTIFY, type Outcome } from "../../src/envelope/mod.ts";
import { enqueue, list, logged, MTA, NOON, open, type QueueHarness, ticketsOf, typed, withQueue } from "./harness.ts";
import { evpid } from "../ids.ts";

const failure = (result: "tempfail" | "permfail" | "loop", text: string, code: string): Outcome => ({
  result,
  text,
  status: { class: result === "permfail" ? 5 : 4, code },
});

async function report(harness: QueueHarness, content: EnvelopeContent, outcome: Outcome) {
  const door = content.agent === "mda" ? harness.delivery : harness.relay;
  door.send({ type: "outcome", id: content.id, outcome });
  return await harness.scheduler.next(typed("settled"));
}

Deno.test("ok deletes the envelope and, with the last one, the message", async () => {
  await withQueue(async (harness) => {
    const [one, two] = await enqueue(harness, "x\n", {}, {});
    assert.deepEqual(await report(harness, one!, { result: "ok", text: "" }), {
      type: "settled",
      id: one!.id,
      again: false,
    });
    assert.equal((await open(harness, [one!, two!])).envelopes.length, 1);
    await report(harness, two!, { result: "ok", text: "" });
    const opened = await open(harness, [two!]);
    assert.deepEqual([opened.envelopes.length, opened.bytes], [0, 0]);
    assert.deepEqual(await list(harness), []);
  });
});

Deno.test("tempfail keeps the envelope with its error and counts the try", async () => {
  await withQueue(async (harness) => {
    const [content] = await enqueue(harness, "x\n", MTA);
    harness.clock.now = NOON + 5000;
    const settled = await report(harness, content!, failure("tempfail", "451 4.7.1 Greylisted\nline 2", "7.1"));
    assert.equal(settled.again, true);
    const [kept] = await list(harness);
    assert.equal(kept!.tries, 1);
    assert.equal(kept!.lastTryAt, NOON + 5000);
    assert.equal(kept!.errorLine, "451 4.7.1 Greylisted line 2");
    assert.deepEqual(kept!.status, { class: 4, code: "7.1" });
    assert.equal((await open(harness, [content!])).envelopes[0]!.tries, 1, "what is in memory follows");
  });
});

Deno.test("an error text above 2047 characters is cut and ends with dots", async () => {
  await withQueue(async (harness) => {
    const [content] = await enqueue(harness);
    await report(harness, content!, failure("tempfail", "x".repeat(3000), "3.0"));
    const [kept] = await list(harness);
    assert.equal(kept!.errorLine.length, 2047);
    assert.ok(kept!.errorLine.endsWith("x..."));
  });
});

Deno.test("an outcome through another agent's door changes nothing", async () => {
  await withQueue(async (harness) => {
    const [content, other] = await enqueue(harness, "x\n", {}, {});
    harness.relay.send({ type: "outcome", id: content!.id, outcome: { result: "ok", text: "" } });
    await report(harness, other!, { result: "ok", text: "" });
    assert.deepEqual((await list(harness)).map(({ id }) => id), [content!.id]);
  });
});

interface BounceRow {
  readonly because: string;
  readonly content?: Partial<EnvelopeContent>;
  readonly outcome: Outcome;
  /** Kind and status of the bounce; null for none. */
  readonly want: string | null;
  readonly log?: RegExp;
}
const dsn = (notify: number) => ({ dsn: { ...NO_DSN, notify } });
const ok: Outcome = { result: "ok", text: "250 2.0.0 Ok" };
const permfail = failure("permfail", "550 5.1.1 No such user", "1.1");
const rows: BounceRow[] = [
  { because: "permfail makes a failure notice", outcome: permfail, want: "failed 5.1.1" },
  {
    because: "a loop is a permanent failure",
    outcome: failure("loop", "Loop detected", "4.6"),
    want: "failed 5.4.6",
  },
  {
    because: "a null sender is never bounced to",
    content: { sender: null },
    outcome: permfail,
    want: null,
    log: /^queue: no return path: the sender of [0-9a-f]{16} to \S+@\S+ is <>, so that nobody is told of its failure$/m,
  },
  { because: "NOTIFY=NEVER means never", content: dsn(NOTIFY.NEVER), outcome: permfail, want: null },
  {
    because: "NOTIFY=SUCCESS alone asks for no failure notice (RFC 3461 §4.1)",
    content: dsn(NOTIFY.SUCCESS),
    outcome: permfail,
    want: null,
  },
  { because: "NOTIFY=FAILURE gets one", content: dsn(NOTIFY.FAILURE), outcome: permfail, want: "failed 5.1.1" },
  { because: "success is silent unless asked for", outcome: ok, want: null },
  {
    because: "NOTIFY=SUCCESS gets a DSN about a local delivery",
    content: dsn(NOTIFY.SUCCESS),
    outcome: ok,
    want: "delivered 2.0.0",
  },
  {
    because: "NOTIFY=SUCCESS gets a DSN about a relay that does not report",
    content: { ...dsn(NOTIFY.SUCCESS), ...MTA },
    outcome: ok,
    want: "relayed 2.0.0",
  },
  {
    because: "the next hop reports success itself when it offers DSN",
    content: { ...dsn(NOTIFY.SUCCESS), ...MTA },
    outcome: { result: "ok", text: "", dsnRelayed: true },
    want: null,
  },
  {
    because: "a null sender gets no success notice",
    content: { ...dsn(NOTIFY.SUCCESS), sender: null },
    outcome: ok,
    want: null,
  },
];
for (const { because, content, outcome, want, log } of rows) {
  Deno.test(`bounces: ${because}`, async () => {
    await withQueue(async (harness) => {
      const [envelope] = await enqueue(harness, "x\n", content ?? {});
      await report(harness, envelope!, outcome);
      const left = await list(harness);
      if (log !== undefined) assert.match(logged(harness).join("\n"), log);
      if (want === null) return assert.deepEqual(left, []);
      const [ticket] = await ticketsOf(harness);
      assert.equal(ticket!.agent, "bounce");
      assert.equal(left.length, 1);
      const { bounce, id, sender, dest } = left[0]!;
      assert.equal(`${bounce!.kind} ${bounce!.status.class}.${bounce!.status.code}`, want);
      assert.equal(id, ticket!.id);
      assert.equal(id.slice(0, 8), envelope!.id.slice(0, 8));
      assert.deepEqual([sender, dest], [envelope!.sender, envelope!.dest]);
    });
  });
}

Deno.test("a delay notice is made once, at the try whose next one is past the warn interval", async () => {
  await withQueue(async (harness) => {
    const [content] = await enqueue(harness, "x\n", MTA);
    const made: number[] = [];
    for (const [index, at] of [0, 400, 1600, 3600, 6400, 10_000, 14_400, 19_600].entries()) {
      harness.clock.now = NOON + at * 1000;
      await report(harness, content!, failure("tempfail", "450 4.2.1 try later", "2.1"));
      const bounces = (await list(harness)).filter(({ agent }) => agent === "bounce");
      if (bounces.length > made.length) made.push(at);
      assert.equal(bounces.length, index >= 5 ? 1 : 0);
      if (bounces.length > 0) {
        assert.equal(bounces[0]!.bounce!.kind, "delayed");
        assert.equal(bounces[0]!.bounce!.delaySeconds, 14_400);
        assert.equal(bounces[0]!.bounce!.ttlSeconds, 345_600);
      }
    }
    assert.deepEqual(made, [10_000]);
  });
});

Deno.test("an envelope that expires bounces with what its last attempt failed for", async () => {
  await withQueue(async (harness) => {
    const [content] = await enqueue(harness, "x\n", { ...MTA, action: "short" });
    const outcome = failure("tempfail", "450 4.7.1 greylisted", "7.1");
    await report(harness, content!, { ...outcome, remote: "mx.example.com" } as typeof outcome);
    // Also from the disk.
    const [stored] = await list(harness);
    assert.deepEqual([stored!.errorLine, stored!.remote], ["450 4.7.1 greylisted", "mx.example.com"]);
    harness.clock.now = NOON + 60_000;
    harness.scheduler.send({ type: "expired", ids: [content!.id] });
    await harness.scheduler.next(typed("dropped"));
    const event = harness.events.find(({ type }) => type === "queue-expire");
    assert.ok(event?.type === "queue-expire");
    assert.equal(event.stat, "Envelope expired (last failure: 450 4.7.1 greylisted)");
    const [bounce] = await list(harness);
    assert.deepEqual(bounce!.bounce, {
      kind: "failed",
      text: "450 4.7.1 greylisted",
      status: { class: 4, code: "7.1" },
      remote: "mx.example.com",
      expired: true,
      ttlSeconds: 60,
    });
  });
});

Deno.test("an attempt that fails after the time is over warns of no delay: the last notice comes next", async () => {
  await withQueue(async (harness) => {
    const [content] = await enqueue(harness, "x\n", MTA);
    harness.clock.now = NOON + 10 * 86_400_000;
    await report(harness, content!, failure("tempfail", "450 4.2.1 try later", "2.1"));
    assert.deepEqual((await list(harness)).filter(({ agent }) => agent === "bounce"), []);
  });
});

Deno.test("expired envelopes that were never tried bounce with 4.4.7, leave a line in the log, and are dropped", async () => {
  await withQueue(async (harness) => {
    const [content] = await enqueue(harness, "x\n", { ...MTA, action: "short" });
    harness.clock.now = NOON + 60_000;
    harness.scheduler.send({ type: "expired", ids: [content!.id, evpid("00000001000000ff")] });
    const dropped = [...(await harness.scheduler.next(typed("dropped"))).ids];
    if (dropped.length < 2) dropped.push(...(await harness.scheduler.next(typed("dropped"))).ids);
    assert.deepEqual(new Set(dropped), new Set([content!.id, "00000001000000ff"]));
    const event = harness.events.find(({ type }) => type === "queue-expire");
    assert.ok(event?.type === "queue-expire" && event.delayMs === 60_000 && event.stat === "Envelope expired");
    const [bounce] = await list(harness);
    assert.deepEqual(bounce!.bounce, {
      kind: "failed",
      text: "Envelope expired",
      status: { class: 4, code: "4.7" },
      expired: true,
      ttlSeconds: 60,
    });
  });
});

Deno.test("an expired bounce is a double bounce: logged, and gone", async () => {
  await withQueue(async (harness) => {
    const [content] = await enqueue(harness);
    await report(harness, content!, permfail);
    const [ticket] = await ticketsOf(harness);
    harness.scheduler.send({ type: "expired", ids: [ticket!.id] });
    await harness.scheduler.next(typed("dropped"));
    assert.deepEqual(await list(harness), []);
    const text = logged(harness).join("\n");
    assert.match(text, new RegExp(`queue: failed notice ${ticket!.id} for ${content!.id}, to <\\S+>$`, "m"));
    assert.match(
      text,
      new RegExp(`double bounce: the failed notice ${ticket!.id} about <\\S+@\\S+> \\(.+\\) could not be`),
    );
  });
});

Deno.test("two outcomes of one envelope, as after a replaced isolate, make one bounce", async () => {
  await withQueue(async (harness) => {
    const [content] = await enqueue(harness);
    for (let i = 0; i < 2; i++) harness.delivery.send({ type: "outcome", id: content!.id, outcome: permfail });
    await harness.scheduler.next(typed("settled"));
    await harness.scheduler.next(typed("dropped"));
    assert.equal((await list(harness)).length, 1);
  });
});
