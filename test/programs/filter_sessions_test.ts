/** Sessions and their filter programs, with programs that are made up and a clock that is moved by hand. */

import assert from "node:assert/strict";
import type { FlowingProcess, ProcessHooks } from "../../src/programs/mod.ts";
import { FilterRouter } from "../../src/programs/filter_sessions.ts";
import { HOLD_ABOVE, MAX_QUEUED_OCTETS, READY_MS, STUCK_MS } from "../../src/programs/filter_program.ts";
import type { FilterToSession, SessionToFilter } from "../../src/protocol/mod.ts";
import { FILTER_WINDOW } from "../../src/protocol/filters.ts";

const SID = "00000000000000ab", TOKEN = "0123456789abcdef";

class FakeProgram implements FlowingProcess {
  readonly pid = 1;
  text = "";
  ended: string | null = null;
  held = false;
  /** Bytes that it has not taken. */
  readonly waiting: number[] = [];
  constructor(readonly hooks: ProcessHooks, readonly reads: boolean) {}
  write(): void {}
  send(bytes: Uint8Array<ArrayBuffer>): void {
    this.text += new TextDecoder("latin1").decode(bytes);
    this.waiting.push(bytes.length);
    if (this.reads) queueMicrotask(() => this.take());
  }
  take(): void {
    for (const bytes of this.waiting.splice(0)) this.hooks.onwritten?.(bytes);
  }
  hold(): void {
    this.held = true;
  }
  release(): void {
    this.held = false;
  }
  end(reason: string): void {
    this.ended ??= reason;
  }
}

async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) await Promise.resolve();
}

class RouterHarness {
  now = 0;
  readonly timers: { at: number; run: () => void; off: boolean }[] = [];
  readonly programs: FakeProgram[] = [];
  readonly sent: FilterToSession[] = [];
  readonly lost: string[] = [];
  /** Why the isolate at the door is replaced. */
  readonly refused: string[] = [];
  readonly log: string[] = [];
  readonly router: FilterRouter;
  readonly door = {
    onmessage: (_message: SessionToFilter) => {},
    onreset: () => {},
    send: (message: FilterToSession) => void this.sent.push(message),
  };

  constructor(readonly reads = true, names: readonly string[] = ["f"]) {
    const programs = names.map((name) => ({
      process: name,
      name,
      program: `/x/${name}`,
      args: [],
      identity: null,
      subsystems: ["smtp-in" as const],
    }));
    this.router = new FilterRouter(programs, {
      start: (_options, hooks) => {
        const program = new FakeProgram(hooks, this.reads);
        this.programs.push(program);
        return program;
      },
      clock: {
        now: () => this.now,
        after: (ms, run) => {
          const timer = { at: this.now + ms, run, off: false };
          this.timers.push(timer);
          return () => void (timer.off = true);
        },
      },
      path: "",
      introduction: { version: "1", sessionTimeoutMs: 300_000, admd: "mx" },
      log: (_level, text) => void this.log.push(text),
    }, (reason) => void this.lost.push(reason));
    this.router.addDoor(this.door, (fault) => void this.refused.push(fault));
  }

  async open(...registrations: readonly string[]): Promise<void> {
    const opened = this.router.open();
    for (const program of this.programs) {
      for (const line of [...registrations, "ready"]) program.hooks.online(`register|${line}`);
    }
    await opened;
  }

  pass(ms: number): void {
    this.now += ms;
    for (const timer of [...this.timers]) {
      if (timer.off || timer.at > this.now) continue;
      timer.off = true;
      timer.run();
    }
  }

  ask(phase: "commit" | "mail-from" = "mail-from", process = "f"): void {
    this.door.onmessage({ type: "request", session: SID, process, phase, token: TOKEN, param: "x", at: 0 });
  }

  lines(text: string): void {
    const bytes = new TextEncoder().encode(text);
    this.door.onmessage({ type: "lines", session: SID, process: "f", token: TOKEN, bytes, at: 0 });
  }

  event(event: "tx-mail" | "link-connect" = "tx-mail"): void {
    const about = { subsystem: "smtp-in", params: "p", at: 0 } as const;
    this.door.onmessage({ type: "event", session: SID, processes: ["f"], event, ...about });
  }

  say(line: string): void {
    this.programs[0]!.hooks.online(line);
  }
}

Deno.test("FilterRouter sends sessions the registrations once all programs are ready", async () => {
  const harness = new RouterHarness(true, ["f", "g"]);
  const opened = harness.router.open();
  harness.programs[0]!.hooks.online("register|ready");
  await settle();
  assert.equal(harness.sent.length, 0);
  harness.programs[1]!.hooks.online("register|filter|smtp-in|data");
  harness.programs[1]!.hooks.online("register|ready");
  await opened;
  assert.equal(harness.sent.at(0)?.type, "registered");
});

Deno.test("FilterRouter.open() rejects when a program is not ready in time, or ends", async () => {
  const late = new RouterHarness();
  const opened = late.router.open();
  late.pass(READY_MS);
  await assert.rejects(opened, /filter program "f" \(\/x\/f\) failed: it does not say that it is ready/);
  const dead = new RouterHarness();
  const starting = dead.router.open();
  dead.programs[0]!.hooks.onend("it exited with status 1");
  await assert.rejects(starting, /it exited with status 1/);
  assert.deepEqual(dead.lost, []);
});

Deno.test("an event reaches those who registered for it, as often as they did", async () => {
  const harness = new RouterHarness();
  await harness.open("report|smtp-in|tx-mail", "report|smtp-in|tx-mail");
  harness.event();
  harness.event("link-connect");
  await settle();
  assert.equal(harness.programs[0]!.text.split("\n").filter((line) => line.startsWith("report|")).length, 2);
});

Deno.test("an answer reaches its session once; a second one loses the program", async () => {
  const harness = new RouterHarness();
  await harness.open("filter|smtp-in|mail-from");
  harness.ask();
  harness.say(`filter-result|${SID}|${TOKEN}|proceed`);
  assert.deepEqual(harness.sent.at(-1), {
    type: "answer",
    session: SID,
    token: TOKEN,
    decision: { kind: "proceed" },
  });
  harness.say(`filter-result|${SID}|${TOKEN}|proceed`);
  assert.deepEqual(harness.lost, ["lost processor: f: it breaks the protocol: an answer with an unknown token"]);
  assert.equal(harness.sent.at(-1)?.type, "lost");
});

Deno.test("answers about sessions that are gone, or of others, are skipped", async () => {
  const harness = new RouterHarness();
  await harness.open("filter|smtp-in|mail-from");
  harness.ask();
  harness.door.onmessage({ type: "gone", session: SID });
  const before = harness.sent.length;
  harness.say(`filter-result|${SID}|${TOKEN}|proceed`);
  harness.say(`filter-dataline|1|1|x`);
  harness.say(`report|1.000000|smtp-in|1|x`);
  assert.equal(harness.sent.length, before);
  assert.deepEqual(harness.lost, []);
});

const FAULTS = [
  {
    asked: "mail-from",
    says: "filter-dataline|SID|TOKEN|x",
    because: "filter-dataline outside of the phase data-line",
  },
  { asked: "lines", says: "filter-result|SID|TOKEN|proceed", because: "filter-result in the phase data-line" },
  { asked: "commit", says: "filter-result|SID|TOKEN|junk", because: '"junk" in the phase commit' },
  { asked: "mail-from", says: "filter-result|SID|1|proceed", because: "an answer with an unknown token" },
] as const;
for (const { asked, says, because } of FAULTS) {
  Deno.test(`a program is lost: ${because}`, async () => {
    const harness = new RouterHarness();
    await harness.open("filter|smtp-in|mail-from", "filter|smtp-in|data-line", "filter|smtp-in|commit");
    if (asked === "lines") harness.lines("a\n");
    else harness.ask(asked);
    harness.say(says.replace("SID", SID).replace("TOKEN", TOKEN));
    assert.deepEqual(harness.lost, [`lost processor: f: it breaks the protocol: ${because}`]);
    assert.notEqual(harness.programs[0]!.ended, null);
  });
}

Deno.test("lines go to the program with their heads, are counted when it has taken them, and come back whole", async () => {
  const harness = new RouterHarness(false);
  await harness.open("filter|smtp-in|data-line");
  harness.lines("one\n.\n");
  await settle();
  const head = `filter|0.7|0.000000|smtp-in|data-line|${SID}|${TOKEN}|`;
  assert.ok(harness.programs[0]!.text.endsWith(`${head}one\n${head}.\n`), harness.programs[0]!.text);
  assert.ok(!harness.sent.some(({ type }) => type === "taken"));
  harness.programs[0]!.take();
  assert.deepEqual(harness.sent.at(-1), { type: "taken", session: SID, process: "f", bytes: 166 });
  for (const line of ["a", "\xff", "."]) harness.say(`filter-dataline|${SID}|${TOKEN}|${line}`);
  await settle();
  const back = harness.sent.at(-1);
  assert.ok(back?.type === "lines");
  assert.deepEqual([...back.bytes], [0x61, 10, 0xff, 10, 0x2e, 10]);
  harness.say(`filter-dataline|${SID}|${TOKEN}|more`);
  assert.equal(harness.lost.length, 1, "nothing may follow the last line");
});

Deno.test("a program whose output is not used is not read, until it is", async () => {
  const harness = new RouterHarness();
  await harness.open("filter|smtp-in|data-line");
  harness.lines("a\n");
  const line = "x".repeat(1023);
  for (let count = 0; count <= 8 * FILTER_WINDOW / 1024; count++) {
    harness.say(`filter-dataline|${SID}|${TOKEN}|${line}`);
  }
  await settle();
  assert.ok(harness.programs[0]!.held);
  harness.door.onmessage({ type: "taken", process: "f", bytes: 6 * FILTER_WINDOW });
  assert.ok(!harness.programs[0]!.held);
});

Deno.test("a program that reads slowly holds sessions back; one that does not read is lost", async () => {
  const harness = new RouterHarness(false);
  await harness.open("report|smtp-in|tx-mail", "filter|smtp-in|data-line");
  harness.programs[0]!.take();
  harness.lines(`${"x".repeat(HOLD_ABOVE)}\n`);
  await settle();
  assert.deepEqual(harness.sent.at(-1), { type: "hold", on: true });
  harness.programs[0]!.take();
  assert.deepEqual(harness.sent.findLast(({ type }) => type === "hold"), { type: "hold", on: false });
  harness.event();
  await settle();
  harness.pass(STUCK_MS - 1);
  assert.deepEqual(harness.lost, []);
  harness.pass(1);
  assert.deepEqual(harness.lost, ["lost processor: f: it has read nothing for 300 seconds"]);
});

Deno.test("what waits for a program has a bound: an isolate that sends too much goes before the program", async () => {
  const harness = new RouterHarness(false);
  await harness.open("filter|smtp-in|data-line");
  const lines = `${"x".repeat(8 << 20)}\n`, most = MAX_QUEUED_OCTETS / (8 << 20);
  while (harness.refused.length === 0) harness.lines(lines);
  assert.deepEqual(harness.refused, ["it sends a program more than it may while that does not keep up"]);
  assert.deepEqual(harness.lost, []);
  // Others that do the same, each less.
  for (let index = 0; harness.lost.length === 0 && index < most; index++) {
    const bytes = new TextEncoder().encode(lines), session = String(index).padStart(16, "0");
    const door = { onmessage: (_message: SessionToFilter) => {}, onreset: () => {}, send: () => {} };
    harness.router.addDoor(door, () => assert.fail("it sends little"));
    door.onmessage({ type: "lines", session, process: "f", token: TOKEN, bytes, at: 0 });
  }
  assert.deepEqual(harness.lost, ["lost processor: f: it does not read what it is told"]);
});

Deno.test("an isolate that asks again before a program has answered is refused, and the program does not fall with it", async () => {
  const other = "fedcba9876543210";
  const request = {
    type: "request",
    session: SID,
    process: "f",
    token: TOKEN,
    phase: "mail-from",
    param: "",
    at: 0,
  } as const;
  const lines = {
    type: "lines",
    session: SID,
    process: "f",
    token: TOKEN,
    bytes: new Uint8Array([97, 10]),
    at: 0,
  } as const;
  const gone = { type: "gone", session: SID } as const;
  const tx = { subsystem: "smtp-in", event: "tx-mail", params: "", at: 0 } as const;
  const rows: readonly (readonly [messages: readonly SessionToFilter[], refused: number])[] = [
    [[request, request], 1],
    [[request, { ...request, token: other }], 1],
    [[request, lines], 1],
    [[lines, lines], 0],
    [[lines, request], 1],
    [[lines, { ...lines, token: other }], 1],
    [[request, gone, { ...request, token: other }], 1],
    [[lines, gone, { ...lines, token: other }], 1],
    [[request, gone, { type: "event", session: SID, processes: ["f"], ...tx }], 0],
  ];
  for (const [messages, refused] of rows) {
    const harness = new RouterHarness();
    await harness.open("filter|smtp-in|mail-from", "filter|smtp-in|data-line");
    for (const message of messages) harness.door.onmessage(message);
    assert.equal(harness.refused.length, refused, JSON.stringify(messages));
    const asked = messages[0]!.type === "request";
    harness.say(asked ? `filter-result|${SID}|${TOKEN}|proceed` : `filter-dataline|${SID}|${TOKEN}|.`);
    assert.deepEqual(harness.lost, []);
    // What was due has come: a session of that name may ask.
    harness.door.onmessage({ ...request, token: other });
    assert.equal(harness.refused.length, refused);
  }
});

Deno.test("the sessions of an isolate that has ended are forgotten", async () => {
  const harness = new RouterHarness();
  await harness.open("filter|smtp-in|mail-from");
  harness.ask();
  harness.door.onreset();
  const before = harness.sent.length;
  harness.say(`filter-result|${SID}|${TOKEN}|proceed`);
  assert.equal(harness.sent.length, before);
});

Deno.test("an isolate that comes later is sent the registrations, and of a program that does not keep up or is lost", async () => {
  const harness = new RouterHarness(false);
  await harness.open("filter|smtp-in|data-line");
  harness.lines(`${"x".repeat(HOLD_ABOVE)}\n`);
  const welcome = () => {
    const sent: string[] = [];
    const door = { onmessage: () => {}, onreset: () => {}, send: ({ type }: FilterToSession) => void sent.push(type) };
    harness.router.addDoor(door, () => {});
    return sent;
  };
  assert.deepEqual(welcome(), ["registered", "hold"]);
  harness.programs[0]!.hooks.onend("it exited with status 1");
  assert.deepEqual(welcome(), ["registered", "hold", "lost"]);
});

Deno.test("what an isolate that has fallen says is not passed on, and a program does not fall with it", async () => {
  const harness = new RouterHarness();
  await harness.open("report|smtp-in|tx-mail", "filter|smtp-in|mail-from", "filter|smtp-in|data-line");
  await settle();
  const before = harness.programs[0]!.text;
  const forged = `${SID}|x\nreport|0.7|0.000000|smtp-in|tx-mail|${SID}|forged`;
  const about = { subsystem: "smtp-in", event: "tx-mail", processes: ["f"], at: 0 };
  const request = { type: "request", session: SID, process: "f", phase: "mail-from", token: TOKEN, param: "", at: 0 };
  const lines = { type: "lines", session: SID, process: "f", token: TOKEN, bytes: new Uint8Array([0x61, 10]), at: 0 };
  const messages: unknown[] = [
    { type: "event", session: forged, params: "", ...about },
    { type: "event", session: SID, params: null, ...about },
    { type: "event", session: SID, params: "", ...about, processes: null },
    { ...request, token: forged },
    { ...request, phase: "mail-from|x" },
    { ...request, param: undefined },
    { ...lines, token: forged },
    { ...lines, bytes: "a\n" },
    { ...lines, bytes: new Uint8Array([0x61]) },
    { ...lines, bytes: new Uint8Array() },
    { type: "taken", process: "f", bytes: -(2 ** 40) },
    { type: "taken", process: "f", bytes: NaN },
    { type: "unheard of" },
  ];
  for (const message of messages) harness.door.onmessage(message as SessionToFilter);
  await settle();
  assert.equal(harness.programs[0]!.text, before);
  harness.say(`filter-dataline|${SID}|${TOKEN}|x`);
  assert.deepEqual(harness.lost, []);
  assert.ok(!harness.programs[0]!.held);
});

Deno.test("lines of sessions that are gone count as read when the program has read them", async () => {
  const harness = new RouterHarness(false);
  await harness.open("filter|smtp-in|data-line");
  harness.lines("a\n");
  harness.door.onmessage({ type: "gone", session: SID });
  await settle();
  harness.programs[0]!.take();
  assert.deepEqual(harness.sent.at(-1), { type: "taken", session: SID, process: "f", bytes: 82 });
});

Deno.test("an isolate speaks of its own sessions only", async () => {
  const harness = new RouterHarness();
  await harness.open("report|smtp-in|tx-mail", "filter|smtp-in|mail-from");
  harness.ask();
  const other = { onmessage: (_message: SessionToFilter) => {}, onreset: () => {}, send: () => {} };
  harness.router.addDoor(other, () => {});
  await settle();
  const before = harness.programs[0]!.text;
  const about = { session: SID, subsystem: "smtp-in", event: "tx-mail", params: "", at: 0 } as const;
  other.onmessage({ type: "event", processes: ["f"], ...about });
  other.onmessage({ type: "request", session: SID, process: "f", phase: "commit", token: TOKEN, param: "", at: 0 });
  other.onmessage({ type: "gone", session: SID });
  await settle();
  assert.equal(harness.programs[0]!.text, before);
  harness.say(`filter-result|${SID}|${TOKEN}|proceed`);
  assert.equal(harness.sent.at(-1)?.type, "answer", "the session is known still");
});
