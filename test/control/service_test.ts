/** The control isolate as a whole: events in, lines out, requests over a real unix socket. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { askControl, type ControlAnswer, type ControlRequest } from "../../src/control/mod.ts";
import { ControlSessions } from "../../src/control/sessions.ts";
import { ControlRequests } from "../../src/control/requests.ts";
import { serveControl } from "../../src/control/serve.ts";
import { Stats } from "../../src/events/mod.ts";
import type { ControlToMain } from "../../src/protocol/mod.ts";
import { type Answers, DAEMON_UID, envelope, FakeSystem } from "./harness.ts";
import { evpid, msgid } from "../ids.ts";

/** What the fake main has of the configuration. */
const CONFIG = "CONFIG /etc/smtpd.conf read 1970-01-01T00:00:00.000Z, generation 1, 2 sessions of 1 older one";

const ids = ["00000001aaaaaaaa", "00000001bbbbbbbb", "00000002cccccccc"].map(evpid);
const queueAnswers: Answers = {
  "disk-errors": () => ({ type: "disk-errors", lines: [] }),
  list: ({ after, limit, message }) => {
    // Before each envelope there are many of an action that is gone.
    if (message === null && !(after as string).endsWith("-")) {
      return { type: "listed", envelopes: [], next: `${after}-` };
    }
    const from = (after as string).replace("-", "");
    const found = ids
      .filter((id) => id > from && (message === null || id.startsWith(message as string)))
      .slice(0, limit as number)
      .map((id) => envelope(id));
    return { type: "listed", envelopes: found, next: found.at(-1)?.id ?? null };
  },
  states: ({ ids }) => ({
    type: "states",
    states: (ids as string[]).map((id) => ({ id, state: "inflight", at: Date.now() - 2500 })),
  }),
  envelope: ({ id }) => ({ type: "envelope", text: id === ids[0] ? "version: 1\nagent: mta\n" : null }),
  body: ({ message, index }) =>
    message === "00000001"
      ? { type: "body", chunks: 2, bytes: new TextEncoder().encode(`chunk ${index}\n`) }
      : { type: "body", chunks: 0, bytes: null },
  remove: ({ target, after }) =>
    target !== "all"
      ? {
        type: "removed",
        ids: (target as { ids?: string[] }).ids ?? [],
        next: null,
        whole: (target as { message?: string }).message === "0000000d",
      }
      : after === ""
      ? { type: "removed", ids: ids.slice(0, 2), next: ids[1] }
      : { type: "removed", ids: ids.slice(2), next: null },
  suspend: ({ ids: some, target }) =>
    some !== undefined
      ? { type: "suspended", count: 1 }
      : { type: "suspended", ids: (target as { message?: string }).message === "00000001" ? [ids[0]] : [], next: null },
  schedule: ({ from, target }) =>
    target === "all"
      ? { type: "scheduled", count: 3, next: from === 0 ? 7 : null }
      : { type: "scheduled", count: 0, next: null },
  find: ({ from, domain }) =>
    domain === "nowhere.test"
      ? { type: "found", ids: [], next: null }
      : from === 0
      ? { type: "found", ids: [ids[1]], next: 7 }
      : { type: "found", ids: [ids[0]], next: null },
  pause: ({ agent }) => ({ type: "paused", changed: agent === "mda" }),
  show: ({ what }) => ({ type: "shown", lines: [`${what} line`] }),
  "resume-route": ({ route }) => ({ type: "shown", lines: route === 3 ? [] : ["there is no route 99"] }),
  "table-faults": () => ({ type: "table-faults", faults: ["table <t>: gone"] }),
  "update-table": ({ table }) => ({ type: "updated", error: table === "aliases" ? null : "No such table" }),
};

function requestsOf(harness: FakeSystem, log: string[] = []): ControlRequests {
  return new ControlRequests(
    harness.isolate,
    harness.callers(),
    new Stats(),
    (_level, text) => log.push(text),
  );
}

async function answersOf(answering: ControlRequests, request: ControlRequest): Promise<ControlAnswer[]> {
  const answers: ControlAnswer[] = [];
  for await (const answer of answering.answer(request)) answers.push(answer);
  return answers;
}

function unchanged(reason: string): ControlAnswer {
  return { ok: true, count: 0, unchanged: { reason, failed: true } };
}

const requests: { name: string; request: ControlRequest; answers: ControlAnswer[] }[] = [
  {
    name: "an envelope's text, line by line",
    request: { do: "show-envelope", envelope: ids[0]! },
    answers: [{ line: "version: 1" }, { line: "agent: mta" }, { ok: true }],
  },
  {
    name: "no such envelope",
    request: { do: "show-envelope", envelope: ids[1]! },
    answers: [{ ok: false, error: `envelope ${ids[1]} is not in the queue` }],
  },
  {
    name: "a message in pieces",
    request: { do: "show-message", message: msgid("00000001") },
    answers: [{ bytes: btoa("chunk 0\n") }, { bytes: btoa("chunk 1\n") }, { ok: true }],
  },
  {
    name: "no such message",
    request: { do: "show-message", message: msgid("00000009") },
    answers: [{ ok: false, error: "message 00000009 is not in the queue" }],
  },
  { name: "removed envelopes count", request: { do: "remove", target: "all" }, answers: [{ ok: true, count: 3 }] },
  {
    name: "what is on its way to a domain",
    request: { do: "remove", target: { domain: "example.net" } },
    answers: [{ ok: true, count: 2 }],
  },
  { name: "scheduled envelopes count", request: { do: "schedule", target: "all" }, answers: [{ ok: true, count: 6 }] },
  {
    name: "paused envelopes count once the queue has marked them",
    request: { do: "pause-envelope", target: { message: msgid("00000001") } },
    answers: [{ ok: true, count: 1 }],
  },
  {
    name: "what relay says of its hosts",
    request: { do: "show-relay", what: "hosts" },
    answers: [{ line: "hosts line" }, { ok: true }],
  },
  { name: "a route resumes", request: { do: "resume-route", route: 3 }, answers: [{ ok: true }] },
  {
    name: "a route that is not there",
    request: { do: "resume-route", route: 99 },
    answers: [{ ok: false, error: "there is no route 99" }],
  },
  ...(["schedule", "remove", "pause-envelope", "resume-envelope"] as const).flatMap((verb) => [
    {
      name: "an envelope that is not there",
      request: { do: verb, target: { envelope: evpid("0000000900000001") } },
      answers: [unchanged("envelope 0000000900000001 is not in the queue")],
    },
    {
      name: "a message that is not there",
      request: { do: verb, target: { message: msgid("00000009") } },
      answers: [unchanged("message 00000009 is not in the queue")],
    },
    {
      name: "a domain that nothing goes to",
      request: { do: verb, target: { domain: "nowhere.test" } },
      answers: [unchanged("nothing in the queue is to be relayed to nowhere.test")],
    },
  ]),
  {
    name: "an envelope that is paused already",
    request: { do: "pause-envelope", target: { envelope: ids[0]! } },
    answers: [unchanged("it is suspended already")],
  },
  {
    name: "a damaged message without envelopes is removed",
    request: { do: "remove", target: { message: msgid("0000000d") } },
    answers: [{ ok: true, count: 0 }],
  },
  {
    name: "a message that is not in the queue",
    request: { do: "show-queue", message: msgid("00000009") },
    answers: [{ ok: false, error: "message 00000009 is not in the queue" }],
  },
  { name: "a table is read again", request: { do: "update-table", table: "aliases" }, answers: [{ ok: true }] },
  {
    name: "a table that is not there",
    request: { do: "update-table", table: "x" },
    answers: [{ ok: false, error: "No such table" }],
  },
  { name: "a pause that changes something", request: { do: "pause", what: "mda" }, answers: [{ ok: true }] },
  {
    name: "a pause that changes nothing fails",
    request: { do: "pause", what: "mta" },
    answers: [{ ok: false, error: "mta is paused already" }],
  },
  {
    name: "what started paused shows so",
    request: { do: "show-status" },
    answers: [{ line: "MDA running" }, { line: "MTA paused" }, { line: "SMTP running" }, { line: CONFIG }, {
      ok: true,
    }],
  },
];
for (const { name, request, answers } of requests) {
  Deno.test(`ControlRequests answers ${request.do}: ${name}`, async () => {
    deepEqual(await answersOf(requestsOf(new FakeSystem(queueAnswers)), request), answers);
  });
}

Deno.test("what refuses mail is named: a full disk, tables without answers, isolates that do not run", async () => {
  const diskErrors = () => ({
    type: "disk-errors",
    lines: ["QUEUE disk full: mail is refused with 452", "QUEUE damaged: 2"],
  });
  const harness = new FakeSystem({ ...queueAnswers, "disk-errors": diskErrors });
  harness.error = "relay, smtp";
  deepEqual(await requestsOf(harness).refusals(), [
    "disk full: mail is refused with 452",
    "table <t>: gone",
    "isolates that do not run: relay, smtp",
  ]);
  deepEqual(harness.requests, [{ type: "isolates" }]);
});

Deno.test("ControlRequests lists the queue in order, page after page, with where each envelope stands", async () => {
  const answering = requestsOf(new FakeSystem(queueAnswers));
  const answers = await answersOf(answering, { do: "show-queue", message: null });
  equal(answers.length, 4);
  match((answers[0] as { line: string }).line, /^00000001aaaaaaaa\|inet4\|mta\|.*\|inflight\|2\|$/);
  deepEqual((await answering.queuePage(ids[0]!, 1)).map(({ envelope }) => envelope.id), [ids[1]]);
  const one = await answersOf(answering, { do: "show-queue", message: msgid("00000002") });
  equal(one.length, 2);
});

Deno.test("ControlRequests asks for as much of the queue at once as the config says", async () => {
  const harness = new FakeSystem(queueAnswers, [], { envelopes: 2, messages: 7 });
  equal((await answersOf(requestsOf(harness), { do: "show-queue", message: null })).length, 4);
  deepEqual(
    harness.asked.filter(({ question }) => question.type === "list").map(({ question }) => [
      question.after,
      question.limit,
      question.messages,
    ]),
    ["", "-", ids[1], `${ids[1]}-`, ids[2], `${ids[2]}-`].map((after) => [after, 2, 7]),
  );
});

Deno.test("ControlRequests asks main to pause smtp, logs it once, and status shows it", async () => {
  const harness = new FakeSystem(queueAnswers);
  const log: string[] = [];
  const answering = requestsOf(harness, log);
  deepEqual(await answersOf(answering, { do: "pause", what: "smtp" }), [{ ok: true }]);
  deepEqual(harness.requests, [{ type: "pause-smtp", paused: true }]);
  harness.changed = false;
  deepEqual(await answersOf(answering, { do: "pause", what: "smtp" }), [{
    ok: false,
    error: "smtp is paused already",
  }]);
  deepEqual(log, ["info: smtp paused"]);
  deepEqual((await answersOf(answering, { do: "show-status" }))[2], { line: "SMTP paused" });
});

Deno.test("show status ends with what stands around each process: one that does not run, and one that lacks something", async () => {
  const harness = new FakeSystem({
    ...queueAnswers,
    "disk-errors": () => ({ type: "disk-errors", lines: ["QUEUE x"] }),
  });
  const none = { stands: [], says: [], missing: [], isolates: [] };
  harness.walls = [
    {
      process: "front",
      pid: 7,
      stands: ["user u", "a"],
      says: ["b"],
      missing: ["c", "d"],
      isolates: ["smtp (2): nothing"],
    },
    { process: "vault", pid: null, ...none },
  ];
  const lines = (await answersOf(requestsOf(harness), { do: "show-status" })).map((answer) =>
    "line" in answer && answer.line
  );
  deepEqual(lines.slice(3, -1), [
    "QUEUE x",
    "PROCESS front pid 7: user u, a",
    "PROCESS front says of itself: b",
    "PROCESS front lacks: c; d",
    "PROCESS front isolate smtp (2): nothing",
    "PROCESS vault does not run",
    CONFIG,
  ]);
});

Deno.test("ControlRequests sends a new scheduler what smtpctl had paused and resumed", async () => {
  const harness = new FakeSystem({ ...queueAnswers, pause: () => ({ type: "paused", changed: true }) });
  const answering = requestsOf(harness);
  await answersOf(answering, { do: "pause", what: "mda" });
  await answersOf(answering, { do: "resume", what: "mta" });
  harness.asked.length = 0;
  harness.reset("control-scheduler");
  deepEqual(harness.asked.map(({ question: { agent, paused } }) => [agent, paused]), [["mda", true], ["mta", false]]);
});

Deno.test("ControlRequests: traces add up, `log brief` clears them all", async () => {
  const harness = new FakeSystem({});
  harness.traces.add("smtp");
  const answering = requestsOf(harness);
  await answersOf(answering, { do: "trace", what: "queue" });
  await answersOf(answering, { do: "untrace", what: "smtp" });
  await answersOf(answering, { do: "log", verbose: true });
  await answersOf(answering, { do: "log", verbose: false });
  deepEqual(harness.requests, [
    { type: "verbosity", verbose: false, traces: ["smtp", "queue"] },
    { type: "verbosity", verbose: false, traces: ["queue"] },
    { type: "verbosity", verbose: true, traces: ["queue"] },
    { type: "verbosity", verbose: false, traces: [] },
  ]);
});

Deno.test("ControlRequests: an isolate that ends while it is asked ends the request, not the service", async () => {
  const harness = new FakeSystem({});
  const answering = requestsOf(harness);
  const asked = answersOf(answering, { do: "remove", target: "all" });
  while (harness.asked.length === 0) await Promise.resolve();
  harness.reset("control-queue");
  await asked.then(() => ok(false, "the request should fail"), (error) => match(error.message, /has ended/));
});

/** Serves control sessions on a socket of its own, as main's handover would. */
async function withSocket(
  peerUid: number | null,
  answer: (request: ControlRequest) => AsyncGenerator<ControlAnswer>,
  use: (path: string) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir();
  const sessions = new ControlSessions({ uid: DAEMON_UID, maxConnections: 64, answer });
  const served: Promise<void>[] = [];
  const server = net.createServer((socket) => {
    served.push(sessions.serve(socket, { address: "local", port: 0, uid: peerUid }));
  });
  server.listen(`${folder}/c.sock`);
  await once(server, "listening");
  try {
    await use(`${folder}/c.sock`);
  } finally {
    sessions.close();
    server.close();
    await Promise.all(served);
    await once(server, "close");
    await Deno.remove(folder, { recursive: true });
  }
}

async function collect(path: string, request: ControlRequest): Promise<ControlAnswer[]> {
  const answers: ControlAnswer[] = [];
  for await (const answer of askControl(path, request)) answers.push(answer);
  return answers;
}

const uids = [
  { uid: 0, served: true, who: "root" },
  { uid: DAEMON_UID, served: true, who: "the daemon's own user" },
  { uid: DAEMON_UID + 1, served: false, who: "another user" },
  { uid: null, served: false, who: "nobody knows who" },
];
for (const { uid, served, who } of uids) {
  Deno.test(`ControlSessions ${served ? "serves" : "refuses"} ${who}`, async () => {
    const answering = requestsOf(new FakeSystem(queueAnswers));
    await withSocket(uid, (request) => answering.answer(request), async (path) => {
      const answers = await collect(path, { do: "show-status" });
      if (served) equal(answers.length, 5);
      else deepEqual(answers, [{ ok: false, error: "need root privileges", denied: true }]);
    });
  });
}

Deno.test("ControlSessions carries a long listing to a slow reader, whole", async () => {
  const lines = 20_000;
  const answer = async function* (): AsyncGenerator<ControlAnswer> {
    for (let i = 0; i < lines; i++) yield { line: `${i} ${"x".repeat(100)}` };
    yield { ok: true };
  };
  await withSocket(0, answer, async (path) => equal((await collect(path, { do: "show-stats" })).length, lines + 1));
});

const badLines = [
  { name: "no JSON", line: "show queue\n", reply: /invalid request/ },
  { name: "an unknown verb", line: '{"do":"explode"}\n', reply: /invalid request/ },
  { name: "an id that is none", line: '{"do":"show-message","message":"../../etc"}\n', reply: /invalid request/ },
  { name: "an array", line: "[1]\n", reply: /invalid request/ },
  { name: "a line without end", line: "x".repeat(5000), reply: /^$/ },
];
for (const { name, line, reply } of badLines) {
  Deno.test(`ControlSessions gives ${name} no way in`, async () => {
    const answering = requestsOf(new FakeSystem(queueAnswers));
    await withSocket(0, (request) => answering.answer(request), async (path) => {
      const socket = net.connect({ path });
      let received = "";
      socket.on("data", (bytes) => received += bytes.toString());
      socket.on("error", () => {});
      socket.write(line);
      await once(socket, "close");
      match(received, reply);
    });
  });
}

Deno.test("ControlSessions: the 33rd connection of a uid is turned away, and one that ends makes room", async () => {
  const answering = requestsOf(new FakeSystem(queueAnswers));
  await withSocket(0, (request) => answering.answer(request), async (path) => {
    const idle = await Promise.all(Array.from({ length: 32 }, async () => {
      const socket = net.connect({ path });
      await once(socket, "connect");
      return socket;
    }));
    deepEqual(await collect(path, { do: "show-status" }), [{ ok: false, error: "too many connections" }]);
    idle[0]!.destroy();
    await once(idle[0]!, "close");
    for (;;) {
      const answers = await collect(path, { do: "show-status" });
      if (answers.length === 5) break;
    }
    for (const socket of idle) socket.destroy();
  });
});

Deno.test("serveControl logs events in order, counts them, and heeds -v and traces", async () => {
  const harness = new FakeSystem(queueAnswers);
  serveControl(harness.isolate);
  const smtp = harness.peer("smtp-control", 1);
  const queue = harness.peer("queue-control");
  smtp.onmessage({ type: "smtp-connected", session: "s1", address: "local", host: "localhost", family: "local" });
  queue.onmessage({ type: "log", level: "debug", text: "hidden" });
  queue.onmessage({ type: "trace", trace: "queue", text: "hidden" });
  harness.traces.add("queue");
  queue.onmessage({ type: "trace", trace: "queue", text: "queue: shown {not a placeholder}" });
  queue.onmessage({ type: "log", level: "warn", text: "first\nsecond" });
  queue.onmessage({ type: "delivery" });
  smtp.onmessage({ type: "count", key: "made.up", by: 1 });
  await harness.isolate.onstop();
  const lines = (harness.toMain as ControlToMain[]).flatMap((sent) => sent.type === "log" ? sent.lines : []);
  deepEqual(lines.slice(0, 3), [
    { level: "info", text: "s1 smtp connected address=local host=localhost" },
    { level: "debug", text: "queue: shown {not a placeholder}" },
    { level: "warn", text: "warn: first\\nsecond" },
  ]);
  equal(lines.length, 4);
  match(lines[3]!.text, /^warn: control: cannot log an event/);
});
