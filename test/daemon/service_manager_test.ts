/** What the service manager is told, and when. */

import assert from "node:assert/strict";
import { type DaemonHealth, ServiceManager } from "../../src/daemon/machine/service_manager.ts";
import { Native } from "../../src/daemon/machine/native.ts";
import { FakeClock } from "../fake_clock.ts";

const WORKS: DaemonHealth = { status: "serving, 0 sessions", stalled: null };

function managed(env: Readonly<Record<string, string>>, { receives = true } = {}) {
  const sent: string[] = [], warnings: string[] = [];
  const clock = new FakeClock(0);
  const manager = new ServiceManager({ get: (name) => env[name] }, {
    socket: {
      notify: (path, message) => {
        sent.push(`${path}: ${message.replaceAll("\n", " | ")}`);
        return receives;
      },
      monotonicMicroseconds: () => 1234n,
    },
    clock,
    warn: (text) => warnings.push(text),
    pid: 7,
  });
  return { manager, sent, warnings, clock };
}

Deno.test("the manager is told each state once, in the words of sd_notify(3)", () => {
  const { manager, sent } = managed({ NOTIFY_SOCKET: "@n" });
  manager.ready("serving, 0 sessions");
  manager.reloading();
  manager.ready("serving, 2 sessions");
  manager.stopping();
  assert.deepEqual(sent, [
    "@n: READY=1 | STATUS=serving, 0 sessions",
    "@n: RELOADING=1 | MONOTONIC_USEC=1234 | STATUS=reading the configuration",
    "@n: READY=1 | STATUS=serving, 2 sessions",
    "@n: STOPPING=1 | STATUS=ending",
  ]);
});

Deno.test("without a manager nothing is sent", () => {
  const { manager, sent, warnings, clock } = managed({ WATCHDOG_USEC: "1000000" });
  manager.ready("serving");
  manager.watch(() => WORKS);
  clock.advance(60_000);
  manager.reloading();
  manager.stopping();
  assert.deepEqual([sent, warnings], [[], []]);
});

const watchdogs: readonly { readonly env: Record<string, string>; readonly want: number; readonly because: string }[] =
  [
    { env: { WATCHDOG_USEC: "6000000" }, want: 3, because: "three signs per limit" },
    { env: { WATCHDOG_USEC: "6000000", WATCHDOG_PID: "7" }, want: 3, because: "this process is meant" },
    { env: { WATCHDOG_USEC: "6000000", WATCHDOG_PID: "8" }, want: 0, because: "another process is meant" },
    { env: {}, want: 0, because: "there is no watchdog" },
    { env: { WATCHDOG_USEC: "0" }, want: 0, because: "the watchdog is off" },
    { env: { WATCHDOG_USEC: "soon" }, want: 0, because: "nonsense" },
    { env: { WATCHDOG_USEC: "1000" }, want: 60, because: "not more than ten per second" },
  ];

for (const { env, want, because } of watchdogs) {
  Deno.test(`signs of life: ${because}`, () => {
    const { manager, sent, clock } = managed({ NOTIFY_SOCKET: "/n", ...env });
    manager.ready(WORKS.status);
    const end = manager.watch(() => WORKS);
    clock.advance(6000);
    assert.equal(sent.filter((one) => one === "/n: WATCHDOG=1").length, want);
    end();
    const before = sent.length;
    clock.advance(60_000);
    assert.equal(sent.length, before, "it has ended");
  });
}

Deno.test("a daemon that has stalled gives no sign of life, says why once, and goes on when it answers", () => {
  const { manager, sent, warnings, clock } = managed({ NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "3000000" });
  let health = WORKS;
  manager.ready(WORKS.status);
  manager.watch(() => health);
  health = { status: "serving, 0 sessions, without queue", stalled: "no isolate answers as queue" };
  clock.advance(3000);
  assert.deepEqual(sent.splice(0).slice(1), ["/n: STATUS=serving, 0 sessions, without queue"]);
  assert.deepEqual(warnings, [
    "warn: the service manager is to start this daemon again: no isolate answers as queue",
  ]);
  health = WORKS;
  clock.advance(2000);
  assert.deepEqual(sent, ["/n: WATCHDOG=1 | STATUS=serving, 0 sessions", "/n: WATCHDOG=1"]);
});

Deno.test("a manager that does not hear is warned of", () => {
  const { manager, warnings } = managed({ NOTIFY_SOCKET: "/n" }, { receives: false });
  manager.ready("serving");
  assert.deepEqual(warnings, ["warn: the service manager does not hear READY=1"]);
});

Deno.test({
  name: "the monotonic clock is the one of /proc/uptime",
  ignore: Deno.build.os !== "linux",
  fn: () => {
    const now = new Native().monotonicMicroseconds()!;
    // Time that the machine slept is not in it.
    assert.ok(now > 0n && Number(now) / 1e6 <= Number(Deno.readTextFileSync("/proc/uptime").split(" ")[0]) + 5);
  },
});
