/** Notices to senders: their text against golden files, and their way back into the queue. */

import assert from "node:assert/strict";
import { type EnvelopeContent, messageOf, NO_DSN, type Outcome } from "../../src/envelope/mod.ts";
import PostalMime from "postal-mime";
import type { DsnEvent } from "../../src/events/mod.ts";
import { doorFault } from "../isolate/event_details.ts";
import type { Expansion } from "../../src/protocol/mod.ts";
import { composeDsn, type Dsn, headerSection } from "../../src/queue/dsn/compose.ts";
import {
  enqueue,
  expanded,
  list,
  logged,
  MTA,
  NOON,
  open,
  openQueue,
  type QueueHarness,
  SENDER,
  SETTINGS,
  text,
  ticketsOf,
  typed,
  utf8,
  withQueue,
} from "./harness.ts";

const original = "Received: from client.example.net\nSubject: hi\nFrom: Alice <alice@example.net>\n\nbody\n";
const common: Dsn = {
  kind: "failed",
  smtpname: "mx.example.org",
  to: { local: "alice", domain: "example.net" },
  recipients: [{
    dest: { local: "bob", domain: "example.org" },
    orcpt: "",
    text: "550 5.1.1 No such user",
    status: { class: 5, code: "1.1" },
  }],
  envid: "",
  delaySeconds: 14_400,
  ttlSeconds: 345_600,
  now: NOON,
  boundary: "0badcafe/0123456789abcdef",
  messageId: "0badcafe00000001",
  original: headerSection(utf8(original)),
  complete: false,
};
const golden: { file: string; notice: Dsn }[] = [
  { file: "failed", notice: common },
  {
    file: "failed-full",
    notice: {
      ...common,
      envid: "QQ+2B314159",
      recipients: [
        { ...common.recipients[0]!, orcpt: "rfc822;Bob+2Bx@example.org" },
        {
          dest: { local: "eve", domain: "example.com" },
          orcpt: "",
          text: "mx.example.com (192.0.2.1) port 25: Connection refused",
          status: { class: 5, code: "4.1" },
          remote: "192.0.2.1",
        },
      ],
      original: utf8(original.replace("body", "bödy without a last line end").trimEnd()),
      complete: true,
    },
  },
  {
    file: "expired",
    notice: {
      ...common,
      expired: true,
      recipients: [
        {
          ...common.recipients[0]!,
          text: "450 4.7.1 greylisted",
          status: { class: 4, code: "7.1" },
          remote: "mx.example.com",
        },
        {
          dest: { local: "eve", domain: "example.com" },
          orcpt: "",
          text: "Envelope expired",
          status: { class: 4, code: "4.7" },
        },
      ],
    },
  },
  {
    file: "delayed",
    notice: {
      ...common,
      kind: "delayed",
      recipients: [{
        ...common.recipients[0]!,
        text: "450 4.2.1 Try\r\nX-Evil: later",
        status: { class: 4, code: "2.1" },
      }],
    },
  },
  {
    file: "delivered",
    notice: {
      ...common,
      kind: "delivered",
      recipients: [{ ...common.recipients[0]!, text: "Delivered", status: { class: 2, code: "0.0" } }],
    },
  },
  {
    file: "relayed",
    notice: {
      ...common,
      kind: "relayed",
      recipients: [{ ...common.recipients[0]!, text: "250 2.0.0 Ok", status: { class: 2, code: "0.0" } }],
    },
  },
  {
    file: "failed-utf8",
    notice: {
      ...common,
      handling: { smtpUtf8: true, tlsOptional: true },
      recipients: [
        {
          ...common.recipients[0]!,
          dest: { local: "jörg", domain: "xn--bcher-kva.example" },
          orcpt: "utf-8;J\\x{F6}rg@x.net",
        },
        { ...common.recipients[0]!, orcpt: "rfc822;Bob@example.org" },
      ],
      original: utf8("Subject: grüße\n"),
    },
  },
  {
    file: "failed-escaped",
    notice: {
      ...common,
      recipients: [{
        ...common.recipients[0]!,
        dest: { local: "jörg+x", domain: "example.org" },
        orcpt: "utf-8;J\\x{F6}rg@x.net",
      }],
    },
  },
  {
    file: "failed-utf8-full",
    notice: {
      ...common,
      handling: { smtpUtf8: true },
      original: utf8("Subject: grüße\n\nbody\n"),
      complete: true,
    },
  },
];
for (const { file, notice } of golden) {
  Deno.test(`composeNotice() writes test/queue/golden/${file}.txt`, async () => {
    const path = new URL(`golden/${file}.txt`, import.meta.url);
    const got = text(composeDsn(notice));
    if (Deno.args.includes("--write-golden")) await Deno.writeTextFile(path, got);
    assert.equal(got, await Deno.readTextFile(path));
  });

  Deno.test(`composeNotice() writes ${file} as a report of three parts that a MIME reader understands`, async () => {
    const parsed = await PostalMime.parse(composeDsn(notice), { forceRfc822Attachments: true });
    assert.equal(parsed.subject, `Delivery status notification: ${notice.kind}`);
    assert.deepEqual(parsed.to?.map(({ address }) => address), ["alice@example.net"]);
    const type = parsed.headers.find(({ key }) => key === "content-type")?.value ?? "";
    assert.match(type, /multipart\/report; *report-type=delivery-status/);
    const global = notice.handling?.smtpUtf8 ? "global" : null;
    assert.deepEqual(parsed.attachments.map(({ mimeType }) => mimeType), [
      file === "failed-utf8" ? "message/global-delivery-status" : "message/delivery-status",
      notice.complete
        ? `message/${global ?? "rfc822"}`
        : global === null
        ? "text/rfc822-headers"
        : "message/global-headers",
    ]);
  });
}

/** What people read first, by what a host said or what happened here. */
const sentences: readonly { readonly said: string; readonly remote?: string; readonly want: RegExp }[] = [
  {
    said: "550 5.1.1 No such user",
    remote: "mx.example.org",
    want:
      /^Your message could not be delivered: the address bob@example\.org is not known to the mail server mx\.example\.org\. Look for typing errors/,
  },
  {
    said: "552 5.2.2 Over quota",
    want: /: the mailbox of bob@example\.org is full\. Tell the recipient in another way/,
  },
  {
    said: "550 5.7.1 blocked using zen.spamhaus.org",
    want: /has a bad opinion of the server or domain that sent it\. Forward/,
  },
  {
    said: "552 5.3.4 Message too big",
    want: /does not take messages as large as the one to bob@example\.org\. Send it without/,
  },
  { said: "554 5.7.1 Spam message rejected", want: /because of what is in it/ },
  { said: "550 5.7.26 DMARC policy", want: /could not verify that it really comes from your domain/ },
  { said: "mx.example.org (192.0.2.1) port 25: Connection refused", want: /because no connection worked\./ },
  {
    said: "550 5.0.0 Nein",
    want: /did not say why in words that are known here\. Read the answer of the server below/,
  },
];
for (const { said, remote, want } of sentences) {
  Deno.test(`a DSN says in two sentences what happened and what to do: ${said}`, () => {
    const [recipient] = common.recipients, host = remote === undefined ? {} : { remote };
    const code = /^\d{3} \d\.(\S+)/.exec(said)?.[1] ?? "4.1";
    const written = text(composeDsn({
      ...common,
      recipients: [{ ...recipient!, text: said, status: { class: 5, code }, ...host }],
    }));
    const first = /\nHi!\n\n([^]*?)\n\n/.exec(written)![1]!.replaceAll("\n", " ");
    assert.match(first, want);
    assert.equal(first.split(/\. (?=[A-Z])/).length, 2, first);
    assert.ok(written.includes(`bob@example.org: ${said}`), written);
  });
}

Deno.test("a DSN about many recipients explains each kind of failure once, and few of them", () => {
  const [recipient] = common.recipients;
  const of = (local: string, said: string, remote: string) => ({
    ...{ ...recipient!, dest: { local, domain: "example.org" }, text: said, remote },
  });
  const many = Array.from({ length: 100 }, (_, index) => of(`u${index}`, "550 5.1.1 No", "mx.example.org"));
  const written = text(
    composeDsn({ ...common, recipients: [...many, of("full", "552 5.2.2 Over quota", "mx.example.org")] }),
  );
  assert.equal(written.match(/^Your message could not be delivered/gm)?.length, 2);
  assert.match(written.replaceAll("\n", " "), /the addresses of 100 of the recipients below are not known to/);
  const hosts = Array.from({ length: 50 }, (_, index) => of(`u${index}`, "550 5.1.1 No", `mx${index}.example.org`));
  const wide = text(composeDsn({ ...common, recipients: hosts }));
  assert.equal(wide.match(/^Your message could not be delivered/gm)?.length, 8);
  assert.match(wide, /What happened to the other recipients is said below\./);
  assert.equal(wide.match(/^Final-Recipient: /gm)?.length, 50);
});

Deno.test("headerSection() ends before the empty line, and takes all of what has none", () => {
  assert.equal(text(headerSection(utf8("A: b\nC: d\n\nx\n\ny"))), "A: b\nC: d\n");
  assert.equal(text(headerSection(utf8("\nbody"))), "");
  assert.equal(text(headerSection(utf8("A: b"))), "A: b");
  assert.equal(text(headerSection(utf8(""))), "");
});

const toAlice: Expansion = {
  ok: true,
  targets: [{ agent: "mta", action: "out", dest: { local: "alice", domain: "example.net" } }],
  internal: [false],
};

/** Lets an envelope fail and the scheduler ask for its notice. Answers lookup's question with `result`. */
async function bounce(harness: QueueHarness, envelopes: readonly EnvelopeContent[], result: Expansion) {
  const outcome: Outcome = { result: "permfail", text: "550 5.1.1 No such user", status: { class: 5, code: "1.1" } };
  for (const { id } of envelopes) harness.delivery.send({ type: "outcome", id, outcome });
  const ids = (await ticketsOf(harness, envelopes.length)).map(({ id }) => id);
  for (const _ of ids) await harness.scheduler.next(typed("settled"));
  harness.scheduler.send({ type: "dsn", message: messageOf(ids[0]!), ids });
  const question = await harness.lookup.next(typed("expand"));
  harness.lookup.send(expanded(question, result));
  return { ids, question };
}

Deno.test("bounces of one message become one message to its sender, in the commit that takes them away", async () => {
  await withQueue(async (harness, spool) => {
    const envelopes = await enqueue(harness, original, {}, { dest: { local: "eve", domain: "example.org" } });
    const { ids, question } = await bounce(harness, envelopes, toAlice);
    assert.deepEqual([question.sender, question.rcpt, question.origin.address], [
      null,
      { local: "alice", domain: "example.net" },
      "local",
    ]);
    const settled = [await harness.scheduler.next(typed("settled")), await harness.scheduler.next(typed("settled"))];
    assert.deepEqual(settled.map(({ id, again }) => [id, again]).sort(), ids.map((id) => [id, false]).sort());
    const [ticket] = await ticketsOf(harness);
    assert.deepEqual([ticket!.agent, ticket!.lane], ["mta", "example.net"]);
    const left = await list(harness);
    assert.equal(left.length, 1);
    assert.deepEqual([left[0]!.sender, left[0]!.internal, left[0]!.action], [null, true, "out"]);
    const opened = await open(harness, left);
    const notice = text(opened.first);
    assert.match(notice, /^Subject: Delivery status notification: failed\n/);
    assert.match(notice, /bob@Example.org: 550 5.1.1 No such user\neve@example.org: 550/);
    assert.match(notice, /Subject: hi\nFrom: Alice/);
    assert.doesNotMatch(notice, /\nbody\n/);
    // From the envelope that failed to the notice's own.
    const lines = logged(harness);
    assert.equal(
      lines.filter((line) => line.startsWith("queue: failed notice ") && line.includes(" about ")).length,
      2,
    );
    for (const [at, { id }] of envelopes.entries()) {
      const asked = lines.find((line) => line.includes(` for ${id}, to <`))!;
      const [, bounced] = /^queue: failed notice (\w{16}) /.exec(asked)!;
      const dest = ["bob@Example.org", "eve@example.org"][at];
      const written = `queue: failed notice ${bounced} about <${dest}> goes to <alice@example.net> as ${ticket!.id}`;
      assert.ok(lines.includes(written), lines.join("\n"));
    }
    harness.stop();
    const again = await openQueue(spool);
    assert.deepEqual((await ticketsOf(again)).map(({ id }) => id), [ticket!.id]);
    again.stop();
  });
});

Deno.test("RET=FULL returns the whole message", async () => {
  await withQueue(async (harness) => {
    const envelopes = await enqueue(harness, original, { dsn: { ...NO_DSN, ret: "FULL" } });
    await bounce(harness, envelopes, toAlice);
    await ticketsOf(harness);
    const opened = await open(harness, await list(harness));
    assert.ok(text(opened.first).includes(`Content-Type: message/rfc822\n\n${original}`));
  });
});

Deno.test("the notice of a message with REQUIRETLS asks for it too and has no body in it (RFC 8689 §5)", async () => {
  await withQueue(async (harness) => {
    const handling = { smtpUtf8: true, utf8Header: true, requireTls: true } as const;
    const envelopes = await enqueue(harness, original, { dsn: { ...NO_DSN, ret: "FULL" }, handling });
    await bounce(harness, envelopes, toAlice);
    await ticketsOf(harness);
    const [notice] = await list(harness);
    assert.deepEqual(notice!.handling, { smtpUtf8: true, requireTls: true });
    const opened = await open(harness, [notice!]);
    assert.doesNotMatch(text(opened.first), /\nbody\n/);
  });
});

Deno.test("the notice to a sender beyond ASCII needs SMTPUTF8 itself (RFC 6533 §4)", async () => {
  await withQueue(async (harness) => {
    const sender = { local: "josé", domain: "example.net" };
    const envelopes = await enqueue(harness, original, { sender, handling: { smtpUtf8: true } });
    await bounce(harness, envelopes, toAlice);
    await ticketsOf(harness);
    const [notice] = await list(harness);
    assert.deepEqual(notice!.handling, { smtpUtf8: true, utf8Header: true });
    assert.match(text((await open(harness, [notice!])).first), /^To: josé@example\.net$/m);
  });
});

Deno.test("a notice that cannot be expanded for now is tried again", async () => {
  await withQueue(async (harness) => {
    const { ids } = await bounce(harness, await enqueue(harness), { ok: false, code: 451, text: "4.3.0 Later" });
    const settled = await harness.scheduler.next(typed("settled"));
    assert.deepEqual([settled.id, settled.again], [ids[0], true]);
    const [kept] = await list(harness);
    assert.deepEqual([kept!.tries, kept!.errorLine], [1, "451 4.3.0 Later"]);
  });
});

Deno.test("a notice that nobody takes is dropped with a line in the log", async () => {
  await withQueue(async (harness) => {
    const { ids } = await bounce(harness, await enqueue(harness), { ok: false, code: 550, text: "5.1.1 Nobody" });
    const settled = await harness.scheduler.next(typed("settled"));
    assert.deepEqual([settled.id, settled.again], [ids[0], false]);
    assert.deepEqual(await list(harness), []);
    assert.match(logged(harness).join("\n"), /dropped: 550 5.1.1 Nobody/);
  });
});

Deno.test("a notice asked for twice at once, as by a replaced scheduler, is written once", async () => {
  await withQueue(async (harness) => {
    const [content] = await enqueue(harness);
    harness.delivery.send({
      type: "outcome",
      id: content!.id,
      outcome: { result: "permfail", text: "no", status: { class: 5, code: "0.0" } },
    });
    const [ticket] = await ticketsOf(harness);
    for (let i = 0; i < 2; i++) {
      harness.scheduler.send({ type: "dsn", message: messageOf(ticket!.id), ids: [ticket!.id] });
    }
    const question = await harness.lookup.next(typed("expand"));
    harness.lookup.send(expanded(question, toAlice));
    await ticketsOf(harness);
    assert.equal((await list(harness)).length, 1);
    assert.deepEqual(harness.lookup.received, []);
  });
});

Deno.test("failed and delayed bounces of one message are two notices", async () => {
  await withQueue(async (harness) => {
    const [late, wrong] = await enqueue(harness, original, MTA, {});
    harness.clock.now = NOON + 10_000_000;
    const status = { class: 4, code: "2.1" } as const;
    harness.relay.send({ type: "outcome", id: late!.id, outcome: { result: "tempfail", text: "450 later", status } });
    harness.delivery.send({ type: "outcome", id: wrong!.id, outcome: { result: "permfail", text: "550 no", status } });
    const ids = (await ticketsOf(harness, 2)).map(({ id }) => id);
    harness.scheduler.send({ type: "dsn", message: messageOf(ids[0]!), ids });
    for (let i = 0; i < 2; i++) {
      const question = await harness.lookup.next(typed("expand"));
      harness.lookup.send(expanded(question, toAlice));
    }
    await ticketsOf(harness, 2);
    const kinds = logged(harness).flatMap((line) => /^queue: (\w+) notice \w{16} about /.exec(line)?.[1] ?? []);
    assert.deepEqual(kinds.sort(), ["delayed", "failed"]);
    assert.equal((await list(harness)).length, 3);
  });
});

/** What the history is told; each passes the door to control. */
function recorded({ events }: QueueHarness): DsnEvent[] {
  return events.flatMap((event) => {
    if (!event.type.startsWith("queue-dsn-")) return [];
    assert.equal(doorFault("queue", event), null, event.type);
    return [event as DsnEvent];
  });
}
const RECORDING = { shared: { ...SETTINGS, recording: true } } as const;

Deno.test("the history is told of the request for a notice, and of the notice, which name each other and the message", async () => {
  await withQueue(async (harness) => {
    const envelopes = await enqueue(harness, original, {}, { dest: { local: "eve", domain: "example.org" } });
    const routed = {
      address: "alice@example.net",
      how: "recipient",
      rule: null,
      result: "action",
      children: [],
    } as const;
    const { ids, question } = await bounce(harness, envelopes, { ...toAlice, routed });
    assert.equal(question.explain, true);
    const [ticket] = await ticketsOf(harness);
    const [first, second, written, ...more] = recorded(harness);
    assert.deepEqual(more, []);
    const asked = [first!, second!].map((event) => event.type === "queue-dsn-asked" ? event : assert.fail());
    assert.deepEqual(asked.map(({ envelope }) => envelope), envelopes.map(({ id }) => id));
    assert.deepEqual(asked.map(({ request }) => request).sort(), [...ids].sort());
    const status = { class: 5, code: "1.1" };
    assert.deepEqual([asked[1]!.kind, asked[1]!.rcpt.local, asked[1]!.status], ["failed", "eve", status]);
    assert.ok(written?.type === "queue-dsn-written" && written.bytes > 500);
    const { message, dsn, requests, rcpts, to, kind, envelopes: own } = written;
    assert.deepEqual([message, dsn, kind, to], [messageOf(envelopes[0]!.id), messageOf(ticket!.id), "failed", SENDER]);
    assert.deepEqual([[...requests].sort(), rcpts.map(({ local }) => local).sort()], [[...ids].sort(), ["bob", "eve"]]);
    assert.deepEqual([own.map(({ id, action }) => [id, action]), written.routed], [[[ticket!.id, "out"]], routed]);
  }, RECORDING);
});

Deno.test("the history is told of notices that nobody gets", async () => {
  await withQueue(async (harness) => {
    await bounce(harness, await enqueue(harness), { ok: false, code: 550, text: "5.1.1 Nobody" });
    await harness.scheduler.next(typed("settled"));
    assert.deepEqual(recorded(harness).map((one) => one.type === "queue-dsn-dropped" ? one.reason : ""), [
      "",
      "550 5.1.1 Nobody",
    ]);
  }, RECORDING);
  await withQueue(async (harness) => {
    const [content] = await enqueue(harness, undefined, { sender: null });
    const outcome: Outcome = { result: "permfail", text: "550 no", status: { class: 5, code: "1.1" } };
    harness.delivery.send({ type: "outcome", id: content!.id, outcome });
    await harness.scheduler.next(typed("settled"));
    const reason = "no return path";
    assert.deepEqual(recorded(harness), [{ type: "queue-dsn-dropped", envelope: content!.id, reason }]);
  }, RECORDING);
});

Deno.test("without a history nobody is told of notices but by the log, and no tree is drawn", async () => {
  await withQueue(async (harness) => {
    const { question } = await bounce(harness, await enqueue(harness), toAlice);
    await ticketsOf(harness);
    assert.deepEqual([recorded(harness), "explain" in question], [[], false]);
  });
});
