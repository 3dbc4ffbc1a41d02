/** Who is admitted: real connections over loopback, with addresses and isolates made up. */

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { SessionAdmission, type SessionLimits } from "../../src/daemon/sockets/session_admission.ts";
import type { HandedSession } from "../../src/protocol/mod.ts";
import { listener } from "../smtp/support.ts";

const LIMITS: SessionLimits = { maxSessions: null, maxSessionsPerSource: 2, maxConnectionsPerMinute: 0, trusted: [] };

class AdmissionHarness {
  readonly log: string[] = [];
  readonly handed: { readonly isolate: number; readonly message: HandedSession }[] = [];
  isolates = [0, 1];
  /** Those that do not answer. */
  readonly silent = new Set<number>();
  /** What is to happen later. */
  readonly later: (() => void)[] = [];
  readonly admission: SessionAdmission;
  /** Whose connection comes next. */
  address = "192.0.2.1";
  uid: number | null = null;
  desked = listener();
  readonly #server: net.Server;
  #port = 0;

  constructor(limits: Partial<SessionLimits> = {}, descriptors: number | null = 1024) {
    this.admission = new SessionAdmission({
      supervisor: {
        answering: () => this.isolates,
        whenAnswering: (_role, index, run) => void (this.silent.has(index) || run()),
        post: (_door, isolate, message) => {
          this.handed.push({ isolate, message });
          return true;
        },
      },
      limits: { ...LIMITS, ...limits },
      descriptors,
      uid: 4711,
      after: (_ms, run) => {
        this.later.push(run);
        return () => {};
      },
      now: () => 0,
      log: (_level, text) => void this.log.push(text),
      debug: () => {},
    });
    this.#server = net.createServer({ pauseOnConnect: true }, (socket) => {
      this.admission.admit(socket, this.desked, { address: this.address, port: 1, uid: this.uid });
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    this.#port = (this.#server.address() as net.AddressInfo).port;
    return this;
  }

  /** One connection: what it receives when it is turned away, null when it is handed on. */
  async connect(address = "192.0.2.1"): Promise<string | null> {
    this.address = address;
    const before = this.handed.length;
    const socket = net.connect(this.#port, "127.0.0.1");
    let received = "";
    socket.on("data", (bytes) => received += bytes);
    socket.on("error", () => {});
    const closed = once(socket, "close");
    while (this.handed.length === before && !socket.closed) {
      await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, 1))]);
    }
    if (this.handed.length === before) return received;
    const descriptor = this.handed.at(-1)!.message.descriptor;
    new net.Socket({ fd: descriptor }).destroy();
    socket.destroy();
    await closed;
    return null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.close();
    await once(this.#server, "close");
  }
}

const TOO_MANY = "421 4.3.2 Too many connections, try again later\r\n";
const OF_YOURS = "421 4.7.0 Too many connections from your address, try again later\r\n";

Deno.test("a source over its limit gets 421 and one line in the log; the end of its sessions lets it in again", async () => {
  await using harness = await new AdmissionHarness().listen();
  assert.deepEqual([await harness.connect(), await harness.connect()], [null, null]);
  assert.deepEqual([await harness.connect(), await harness.connect()], [OF_YOURS, OF_YOURS]);
  assert.equal(await harness.connect("192.0.2.2"), null, "others are served");
  const refused =
    `failed-command command="" result="421 4.7.0 Too many connections from your address, try again later" address=192.0.2.1`;
  const [news, ...lines] = harness.log;
  assert.equal(news, "smtp: 192.0.2.1 is turned away: it has 2 sessions");
  assert.deepEqual(lines.map((line) => line.replace(/^[0-9a-f]{16} smtp /, "")), [refused, refused]);
  const [first] = harness.handed;
  harness.admission.ended(1, [first!.message.sessionNumber]);
  assert.equal(await harness.connect(), OF_YOURS, "an isolate ends its own sessions only");
  harness.admission.ended(first!.isolate, [first!.message.sessionNumber]);
  harness.admission.ended(first!.isolate, [first!.message.sessionNumber]);
  assert.deepEqual([await harness.connect(), await harness.connect()], [null, OF_YOURS]);
  harness.admission.lost(0);
  assert.equal(harness.admission.size, 0);
  assert.equal(await harness.connect(), null, "the sessions of an isolate that died are over");
});

Deno.test("nothing is said in clear where TLS comes first", async () => {
  await using harness = await new AdmissionHarness({ maxSessionsPerSource: 1 }).listen();
  harness.desked = listener({ tls: "smtps" });
  assert.deepEqual([await harness.connect(), await harness.connect()], [null, ""]);
});

Deno.test("behind a proxy, and on the local socket, main counts no addresses", async () => {
  await using harness = await new AdmissionHarness({ maxSessionsPerSource: 1 }).listen();
  harness.uid = 0;
  for (const desked of [listener({ proxyV2: true }), listener({ socket: true })]) {
    harness.desked = desked;
    assert.deepEqual([await harness.connect(), await harness.connect()], [null, null]);
  }
});

Deno.test("above max-sessions everybody gets 421, and it is logged once a minute", async () => {
  await using harness = await new AdmissionHarness({ maxSessions: 2 }).listen();
  for (const last of [1, 2, 3, 4]) {
    assert.equal(await harness.connect(`192.0.2.${last}`), last <= 2 ? null : TOO_MANY);
  }
  const [news, ...lines] = harness.log;
  assert.equal(news, "warn: smtp: all 2 sessions are taken: clients are turned away");
  assert.deepEqual(lines.map((line) => line.slice(line.indexOf("421 4.3.2"))), [
    '421 4.3.2 Too many connections, try again later" address=192.0.2.3',
    '421 4.3.2 Too many connections, try again later" address=192.0.2.4',
  ]);
});

Deno.test("a pause and a missing isolate turn clients away with a line each", async () => {
  await using harness = await new AdmissionHarness().listen();
  harness.admission.paused = true;
  assert.equal(await harness.connect(), "421 4.3.2 Service paused, try again later\r\n");
  harness.admission.paused = false;
  harness.isolates.length = 0;
  assert.equal(await harness.connect("2001:db8::1"), "421 4.3.0 Service restarting, try again later\r\n");
  assert.deepEqual(harness.log.map((line) => line.replace(/^[0-9a-f]{16} smtp /, "")), [
    'failed-command command="" result="421 4.3.2 Service paused, try again later" address=192.0.2.1',
    'failed-command command="" result="421 4.3.0 Service restarting, try again later" address=[2001:db8::1]',
  ]);
});

/** Beside the line that each refusal has. */
const warnings = ({ log }: AdmissionHarness) => log.filter((line) => line.startsWith("warn: "));

const LOCAL = "421 4.7.0 Too many local connections, try again later\r\n";

Deno.test("a local user has a quarter of the sessions, all local users half, and root comes in when all are taken", async () => {
  await using harness = await new AdmissionHarness({ maxSessions: 8 }).listen();
  harness.desked = listener({ socket: true });
  const as = async (uid: number | null) => {
    harness.uid = uid;
    return await harness.connect("local");
  };
  assert.deepEqual([await as(1000), await as(1000), await as(1000)], [null, null, LOCAL]);
  assert.deepEqual([await as(1001), await as(1001), await as(1001)], [null, null, LOCAL]);
  assert.deepEqual([await as(1002), await as(null)], [LOCAL, LOCAL], "half of all are theirs");
  assert.deepEqual(warnings(harness), [
    "warn: smtp: uid 1000 has 2 sessions: more are turned away, others are served",
    "warn: smtp: uid 1001 has 2 sessions: more are turned away, others are served",
    "warn: smtp: all local users have 4 sessions: more are turned away, others are served",
  ]);
  harness.desked = listener();
  harness.uid = null;
  for (const last of [1, 2, 3, 4]) assert.equal(await harness.connect(`192.0.2.${last}`), null);
  assert.equal(await harness.connect("192.0.2.5"), TOO_MANY);
  harness.desked = listener({ socket: true });
  assert.equal(await as(1000), TOO_MANY);
  for (let count = 0; count < 8; count++) assert.equal(await as(count % 2 === 0 ? 0 : 4711), null);
  for (let count = 8; count < 16; count++) assert.equal(await as(0), null);
  assert.equal(await as(0), TOO_MANY, "there is an end to root's as well");
  for (const isolate of [0, 1]) harness.admission.lost(isolate);
  assert.deepEqual([await as(1000), await as(1000), await as(1000)], [null, null, LOCAL], "what ended is given back");
});

Deno.test("clients on loopback leave an eighth of the sessions to other machines", async () => {
  await using harness = await new AdmissionHarness({ maxSessions: 104 }).listen();
  for (let count = 0; count < 91; count++) {
    assert.equal(await harness.connect(count % 2 === 0 ? "127.0.0.1" : "::1"), null);
  }
  assert.equal(await harness.connect("127.8.0.1"), LOCAL);
  assert.equal(await harness.connect("192.0.2.1"), null);
  assert.deepEqual(warnings(harness), [
    "warn: smtp: all clients on this machine have 91 sessions: more are turned away, others are served",
  ]);
});

const sizes = [
  { maxSessions: null, descriptors: 1024, want: 507, warned: false },
  { maxSessions: null, descriptors: null, want: 507, warned: false },
  { maxSessions: null, descriptors: 1_048_576, want: 20_000, warned: false },
  { maxSessions: 900, descriptors: 1024, want: 900, warned: false },
  { maxSessions: 10_000, descriptors: 1024, want: 960, warned: true },
  { maxSessions: 10_000, descriptors: 65_536, want: 10_000, warned: false },
  { maxSessions: 3, descriptors: 1024, want: 3, warned: false },
];
for (const { maxSessions, descriptors, want, warned } of sizes) {
  Deno.test(`max-sessions ${maxSessions} with ${descriptors} descriptors is ${want}`, () => {
    const harness = new AdmissionHarness({ maxSessions }, descriptors);
    assert.equal(harness.admission.limit, want);
    assert.equal(harness.log.length, warned ? 1 : 0);
  });
}

Deno.test("a connection whose isolate does not show that it is there goes to another, once", async () => {
  await using harness = await new AdmissionHarness().listen();
  harness.silent.add(0);
  const answer = harness.connect();
  while (harness.later.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.deepEqual([harness.handed.length, harness.admission.size], [0, 1]);
  harness.admission.lost(0);
  assert.equal(harness.admission.size, 1, "it is main's: the end of the isolate is not its end");
  harness.later.shift()!();
  assert.equal(await answer, null);
  assert.deepEqual(harness.handed.map(({ isolate }) => isolate), [1]);
  assert.equal(harness.admission.size, 1);
  harness.admission.ended(1, [harness.handed[0]!.message.sessionNumber]);
  assert.equal(harness.admission.size, 0);
});

Deno.test("clients behind a proxy are counted for all isolates, when their address is known", async () => {
  await using harness = await new AdmissionHarness({ maxSessionsPerSource: 2 }).listen();
  harness.desked = listener({ proxyV2: true });
  for (let session = 0; session < 4; session++) assert.equal(await harness.connect("192.0.2.100"), null);
  const sessionNumbers = harness.handed.map(({ message }) => message.sessionNumber);
  const [one, two, three, four] = sessionNumbers as [number, number, number, number];
  assert.equal(
    harness.admission.source(1, { sessionNumber: one, address: "198.51.100.1" }),
    false,
    "it is another isolate's",
  );
  assert.equal(harness.admission.source(0, { sessionNumber: one, address: "198.51.100.1" }), true);
  assert.equal(
    harness.admission.source(0, { sessionNumber: one, address: "198.51.100.9" }),
    false,
    "a session has one client",
  );
  assert.equal(harness.admission.source(0, { sessionNumber: two, address: "198.51.100.1" }), true);
  assert.equal(harness.admission.source(0, { sessionNumber: three, address: "198.51.100.1" }), false);
  assert.equal(harness.log.at(-1), "smtp: 198.51.100.1 is turned away: it has 2 sessions");
  harness.admission.ended(0, [one]);
  assert.equal(harness.admission.source(0, { sessionNumber: four, address: "198.51.100.1" }), true);
});
