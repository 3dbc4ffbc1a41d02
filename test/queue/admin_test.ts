/** What smtpctl asks of the queue. */

import assert from "node:assert/strict";
import { type Envelope, type EnvelopeCursor, type EnvelopeId, messageOf } from "../../src/envelope/mod.ts";
import type { QueueToControl } from "../../src/protocol/mod.ts";
import { formatEnvelope } from "../../src/queue/transfer/envelope_text.ts";
import {
  contentFor,
  enqueue,
  list,
  logged,
  MTA,
  NOON,
  open,
  openQueue,
  ticketsOf,
  type Typed,
  typed,
  utf8,
  withQueue,
} from "./harness.ts";
import { evpid, msgid } from "../ids.ts";

const fresh = { tries: 0, lastTryAt: 0, lastBounceAt: 0, errorLine: "", status: null, suspended: false } as const;

Deno.test("list is in order of id, resumes after an id, and shows the real expiry", async () => {
  await withQueue(async (harness) => {
    const ids: EnvelopeId[] = [];
    for (let i = 0; i < 5; i++) {
      ids.push(...(await enqueue(harness, "x\n", {}, { ...MTA, action: "short" })).map(({ id }) => id));
    }
    ids.sort();
    const pages: string[][] = [];
    for (let after: EnvelopeCursor = "";;) {
      harness.control.send({ type: "list", call: 1, message: null, after, limit: 3 });
      const { envelopes } = await harness.control.next(typed("listed"));
      for (const { agent, expiresAt } of envelopes) {
        assert.equal(expiresAt, NOON + (agent === "mda" ? 345_600_000 : 60_000));
      }
      if (envelopes.length === 0) break;
      pages.push(envelopes.map(({ id }) => id));
      after = envelopes[envelopes.length - 1]!.id;
    }
    assert.deepEqual(pages.flat(), ids);
    assert.deepEqual(pages.map((page) => page.length), [3, 3, 3, 1]);
    harness.control.send({ type: "list", call: 1, message: messageOf(ids[4]!), after: "", limit: 9 });
    const { envelopes } = await harness.control.next(typed("listed"));
    assert.deepEqual(envelopes.map(({ id }) => id), ids.filter((id) => id.startsWith(messageOf(ids[4]!))));
  });
});

Deno.test("list returns so many messages at most as it is asked to", async () => {
  await withQueue(async (harness) => {
    const ids: string[] = [];
    for (let i = 0; i < 3; i++) ids.push(...(await enqueue(harness, "x\n", {}, MTA)).map(({ id }) => id));
    ids.sort();
    const pages: string[][] = [];
    for (let after: EnvelopeCursor = "";;) {
      harness.control.send({ type: "list", call: 1, message: null, after, limit: 100, messages: 2 });
      const { envelopes } = await harness.control.next(typed("listed"));
      if (envelopes.length === 0) break;
      pages.push(envelopes.map(({ id }) => id));
      after = envelopes[envelopes.length - 1]!.id;
    }
    assert.deepEqual(pages.flat(), ids);
    assert.deepEqual(pages.map((page) => new Set(page.map((id) => id.slice(0, 8))).size), [2, 1]);
  });
});

Deno.test("envelopes of an action that is gone stay untouched, unlisted, and are warned of at start", async () => {
  const spool = await Deno.makeTempDir();
  const first = await openQueue(spool);
  const [gone] = await enqueue(first, "x\n", { action: "out", agent: "mta" });
  const [kept] = await enqueue(first);
  first.stop();
  const second = await openQueue(spool, { actionTtlSeconds: { inbox: null } });
  assert.deepEqual((await ticketsOf(second)).map(({ id }) => id), [kept!.id]);
  assert.deepEqual((await list(second)).map(({ id }) => id), [kept!.id]);
  assert.deepEqual(logged(second), [`queue: invalid envelope ${gone!.id}: there is no action "out"`]);
  second.stop();
  const third = await openQueue(spool);
  assert.equal((await ticketsOf(third, 2)).length, 2);
  third.stop();
  await Deno.remove(spool, { recursive: true });
});

Deno.test("list goes over envelopes of an action that is gone in parts, so that nothing waits for the end of them", async () => {
  const spool = await Deno.makeTempDir();
  const first = await openQueue(spool);
  for (let i = 0; i < 12; i++) await enqueue(first, "x\n", ...Array.from({ length: 1000 }, () => MTA));
  const [kept] = await enqueue(first);
  first.stop();
  const second = await openQueue(spool, { actionTtlSeconds: { inbox: null } });
  const found: string[] = [];
  let parts = 0;
  for (let after: EnvelopeCursor | null = ""; after !== null; parts++) {
    second.control.send({ type: "list", call: 1, message: null, after, limit: 250 });
    const { envelopes, next }: Typed<QueueToControl, "listed"> = await second.control.next(typed("listed"));
    found.push(...envelopes.map(({ id }) => id));
    after = next;
  }
  assert.deepEqual(found, [kept!.id]);
  assert.equal(parts, 2);
  second.stop();
  await Deno.remove(spool, { recursive: true });
});

for (const which of ["envelope", "message", "all"] as const) {
  Deno.test(`remove takes ${which} away, and informs the scheduler and the log`, async () => {
    await withQueue(async (harness) => {
      const envelopes = [...await enqueue(harness, "x\n", {}, {}), ...await enqueue(harness)];
      const { id } = envelopes[0]!;
      const target = which === "all" ? "all" : which === "envelope" ? { envelope: id } : { message: messageOf(id) };
      harness.control.send({ type: "remove", call: 7, target, after: "" });
      const removed = await harness.control.next(typed("removed"));
      const wanted = envelopes.filter((_, i) => which === "all" || i === 0 || (which === "message" && i === 1));
      assert.equal(removed.call, 7);
      assert.deepEqual([...removed.ids].sort(), wanted.map((each) => each.id).sort());
      assert.deepEqual(new Set((await harness.scheduler.next(typed("dropped"))).ids), new Set(removed.ids));
      assert.equal((await list(harness)).length, 3 - wanted.length);
      const lines = harness.events.filter((event) => event.type === "queue-remove");
      assert.equal(lines.length, wanted.length);
      assert.ok(lines.every((event) => event.type === "queue-remove" && event.stat === "Removed by administrator"));
    });
  });
}

Deno.test("remove of all takes more than one slice", async () => {
  await withQueue(async (harness) => {
    await enqueue(harness, "x\n", ...Array.from({ length: 1203 }, () => ({})));
    let count = 0, slices = 0;
    for (let after: EnvelopeCursor | null = ""; after !== null; slices++) {
      harness.control.send({ type: "remove", call: 1, target: "all", after });
      const removed: Extract<QueueToControl, { type: "removed" | "suspended" }> = await harness.control.next(
        typed("removed"),
      );
      count += removed.ids.length;
      after = removed.next;
    }
    assert.deepEqual([count, slices], [1203, 13]);
    assert.deepEqual(await list(harness), []);
  });
});

Deno.test("remove and suspend take the envelopes that are named, and pass over those that are gone", async () => {
  await withQueue(async (harness) => {
    const envelopes = await enqueue(harness, "x\n", {}, {}, {}, {});
    const ids = envelopes.map(({ id }) => id).sort();
    harness.control.send({ type: "remove", call: 1, target: { ids: [ids[1]!, ids[3]!] }, after: "" });
    const removed = await harness.control.next(typed("removed"));
    assert.deepEqual([removed.ids, removed.next], [[ids[1], ids[3]], null]);
    harness.control.send({ type: "suspend", call: 2, target: { ids }, after: "", suspended: true });
    assert.deepEqual((await harness.control.next(typed("suspended"))).ids, [ids[0], ids[2]]);
  });
});

Deno.test("suspend is durable, reports what changed, and shows in what agents open", async () => {
  const spool = await Deno.makeTempDir();
  const first = await openQueue(spool);
  const [one, two] = await enqueue(first, "x\n", {}, {});
  first.control.send({ type: "suspend", call: 1, target: { envelope: one!.id }, after: "", suspended: true });
  assert.deepEqual((await first.control.next(typed("suspended"))).ids, [one!.id]);
  first.control.send({ type: "suspend", call: 2, target: "all", after: "", suspended: true });
  assert.deepEqual((await first.control.next(typed("suspended"))).ids, [two!.id], "the other was so already");
  assert.ok((await open(first, [one!])).envelopes[0]!.suspended);
  first.stop();
  const second = await openQueue(spool);
  assert.deepEqual((await ticketsOf(second, 2)).map(({ suspended }) => suspended), [true, true]);
  second.stop();
  await Deno.remove(spool, { recursive: true });
});

Deno.test("body gives the message chunk by chunk, and null for one that is not there", async () => {
  await withQueue(async (harness) => {
    const [content] = await enqueue(harness, "Subject: x\n\nbody\n");
    harness.control.send({ type: "body", call: 1, message: messageOf(content!.id), index: 0 });
    const body = await harness.control.next(typed("body"));
    assert.deepEqual([body.chunks, body.bytes], [1, utf8("Subject: x\n\nbody\n")]);
    harness.control.send({ type: "body", call: 2, message: msgid("00000001"), index: 0 });
    assert.equal((await harness.control.next(typed("body"))).bytes, null);
  });
});

Deno.test("envelope gives the text of a queued one, and null for others", async () => {
  await withQueue(async (harness) => {
    const [content] = await enqueue(harness);
    for (
      const [id, want] of [[content!.id, /^version: 3\ndispatcher: inbox\n/], [
        evpid("0000000100000001"),
        null,
      ]] as const
    ) {
      harness.control.send({ type: "envelope", call: 1, id });
      const { text } = await harness.control.next(typed("envelope"));
      if (want === null) assert.equal(text, null);
      else assert.match(text!, want);
    }
  });
});

const relayed: Envelope = {
  ...contentFor(msgid("0badcafe")),
  ...MTA,
  sender: { local: "a", domain: "example.net" },
  rcpt: { local: "b", domain: "example.org" },
  dest: { local: "b", domain: "other.example" },
  createdAt: 1_700_000_000_123,
  ...fresh,
  tries: 2,
  lastTryAt: 1_700_001_600_000,
  errorLine: "450 4.2.1 try later",
  status: { class: 4, code: "2.1" },
  internal: true,
  dsn: { notify: 3, ret: "HDRS", envid: "QQ", orcpt: "rfc822;b@example.org" },
};

Deno.test("formatEnvelope() writes the keys in order and leaves empty ones out", () => {
  assert.equal(
    formatEnvelope({ ...relayed, origin: { ...relayed.origin, authenticated: true } }, 345_600),
    `version: 3
dispatcher: out
type: mta
smtpname: mx.example.org
helo: client.example.net
hostname: client.example.net
errorline: 450 4.2.1 try later
sockaddr: 192.0.2.7
sender: a@example.net
rcpt: b@example.org
dest: b@other.example
ctime: 1700000000
last-try: 1700001600
last-bounce: 0
ttl: 345600
retry: 2
flags: authenticated internal
dsn-notify: 3
dsn-ret: HDRS
dsn-envid: QQ
dsn-orcpt: rfc822;b@example.org
esc-class: 4
esc-code: 21
`,
  );
});

Deno.test("formatEnvelope() ends with the agent's own keys", () => {
  const mda = formatEnvelope(
    { ...contentFor(msgid("0badcafe")), subAddress: "tag", exec: "cat", ...fresh, sender: null },
    60,
  );
  assert.ok(mda.includes("\nsender: @\n"));
  assert.ok(mda.endsWith("mda-exec: cat\nmda-subaddress: tag\nmda-user: bob\n"));
  const bounce = formatEnvelope({
    ...relayed,
    agent: "bounce",
    action: "",
    bounce: {
      kind: "delayed",
      text: "",
      status: { class: 4, code: "0.0" },
      delaySeconds: 14_400,
      ttlSeconds: 345_600,
    },
  }, 345_600);
  assert.ok(bounce.includes("\nflags: bounce internal\n"));
  assert.ok(bounce.endsWith("bounce-ttl: 345600\nbounce-delay: 14400\nbounce-type: delayed\n"));
});
