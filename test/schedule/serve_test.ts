/** The scheduler isolate when the clock is set while it runs: doors of plain objects, a clock of the test's own. */

import assert from "node:assert/strict";
import type { Event } from "../../src/events/mod.ts";
import type { Isolate } from "../../src/isolate/mod.ts";
import type { Ticket } from "../../src/protocol/mod.ts";
import { serveScheduler } from "../../src/schedule/serve.ts";
import { until } from "../smtp_client/fake_server.ts";
import { systemClock } from "../../src/clock.ts";
import { evpid } from "../ids.ts";

class Door {
  onmessage: (message: never) => void = () => {};
  onreset: () => void = () => {};
  readonly sent: { type?: string; call?: number; ids?: readonly string[] }[] = [];
  send(message: object): void {
    this.sent.push(message);
  }
  inject(message: object): void {
    this.onmessage(message as never);
  }
}

const DAY = 86_400_000;

Deno.test("a clock that was 400 days ahead leaves no mail due in 400 days when it is set right", async () => {
  const time = { wall: 400 * DAY, passed: 0 };
  const doors = { mta: new Door(), mda: new Door(), queue: new Door(), control: new Door() };
  const events: Event[] = [];
  const isolate = {
    settings: {
      jobMacKey: new Uint8Array(32),
      maxInflight: 10,
      maxPerUser: 10,
      maxPerDestination: 10,
      maxSchedule: null,
      paused: { mda: false, mta: false },
    },
    emit: (event: Event) => events.push(event),
    traces: () => false,
    ask: (name: string) => name === "scheduler-relay" ? doors.mta : doors.mda,
    serve: (name: string, welcome: (door: Door) => void) =>
      welcome(name === "queue-scheduler" ? doors.queue : doors.control),
    onstop: () => {},
  };
  serveScheduler(isolate as unknown as Isolate<"scheduler">, {
    ...systemClock,
    now: () => time.wall,
    steady: () => time.passed,
  });
  try {
    const ticket: Ticket = {
      id: evpid("0000000100000001"),
      agent: "mta",
      action: "out",
      lane: "a.example",
      createdAt: time.wall,
      expiresAt: time.wall + 4 * DAY,
      tries: 0,
      suspended: false,
    };
    doors.queue.inject({ type: "enqueued", tickets: [ticket] });
    await until(() => doors.mta.sent.length === 1, "the first job");
    doors.queue.inject({ type: "settled", id: ticket.id, again: true });
    time.wall -= 400 * DAY - 500_000;
    time.passed += 500_000;
    // Any message makes it look at the clock.
    doors.control.inject({ type: "states", call: 1, ids: [ticket.id] });
    await until(() => doors.mta.sent.length === 2, "the second job, whose 400 s are over");
    const lines = events.flatMap((event) => event.type === "log" ? [event.text] : []);
    assert.deepEqual(lines, ["info: scheduler: the clock was set 400d back"]);
  } finally {
    await isolate.onstop();
  }
});
