/**
 * smtpd of which an attacker owns a process: copied into a folder of its own by ../walled_daemon.ts, with this project's imports. Started as the parent
 * it is the real daemon; as one of its processes it runs the real isolates, and does on its main thread what the file `order-NAME` beside it says, in raw
 * system calls, which ask for no permission of the runtime.
 */

import { statePath } from "../../../src/config/paths.ts";
import { type Clock, systemClock } from "../../../src/clock.ts";
import { parseConfig } from "../../../src/smtpd_conf/mod.ts";
import { chooseUsers, runDaemon } from "../../../src/daemon/mod.ts";
import { runHost } from "../../../src/host/mod.ts";
import { libc } from "../../../src/kernel/libc.ts";
import { attempts } from "../../kernel/attempts.ts";
import { loop, mayLoad, moreAttempts, type Order, scribble } from "./attacks.ts";
import { runHostileHost } from "./hostile_host.ts";

const workers = new URL("../../../workers/", import.meta.url);
const folder = new URL(".", import.meta.url).pathname;

function orderOf(process: string): Order | null {
  try {
    return JSON.parse(Deno.readTextFileSync(`${folder}order-${process}`));
  } catch {
    return null;
  }
}

function obey(process: string, order: Order): void {
  if (order.do === "loop") return loop();
  if (order.do === "scribble") return scribble(order);
  if (order.do === "say") return void new BroadcastChannel("hostile").postMessage(order);
  if (order.do === "load") {
    console.error(`${process}: ${mayLoad(order.libraries)}`);
    new BroadcastChannel("libraries").postMessage(order.libraries);
  }
  if (order.do === "attempt") {
    console.error(`${process}: ${JSON.stringify({ ...attempts(order.surroundings), ...moreAttempts(order) })}`);
  }
}

/** Carries out each order once, and none that was given to a process before this one. */
async function runProcess(process: string): Promise<void> {
  const first = orderOf(process);
  if (first?.do === "be hostile") return await runHostileHost(first.payload);
  let last = first?.number ?? 0;
  // Opened before the permission is given up: what an attacker does needs no library.
  libc();
  setInterval(() => {
    const order = orderOf(process);
    if (order === null || order.number <= last) return;
    last = order.number;
    obey(process, order);
  }, 10);
  await runHost((role) => {
    // A worker may be loaded from here.
    const entry = `${folder}hostile_${role}.ts`;
    try {
      Deno.statSync(entry);
      return new URL(`file://${entry}`);
    } catch {
      return new URL(`${role}.ts`, workers);
    }
  });
}

/** Once the daemon serves, what happens again and again happens three times as often: looks at the isolates above all. */
const hurriedClock: Clock = {
  ...systemClock,
  every: (ms, run) => {
    let ticks = 0;
    return systemClock.every(ms / 3, () => {
      if (serving || ++ticks % 3 === 0) run();
    });
  },
};
/** Delays before an isolate starts again that has ended before: once the daemon serves they do not grow. */
const RESTART_MS = 100, LATER_RESTARTS_MS = [200, 400, 800, 1_600, 3_200, 6_400, 12_800];
const patientClock: Clock = {
  ...systemClock,
  after: (ms, run) => systemClock.after(serving && LATER_RESTARTS_MS.includes(ms) ? RESTART_MS : ms, run),
};
let serving = false;

async function runParent(): Promise<void> {
  const file = Deno.args[Deno.args.indexOf("-f") + 1]!;
  const parsed = parseConfig(file, {
    defines: [],
    files: { readText: Deno.readTextFileSync, state: statePath(Deno.env) },
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed));
  await runDaemon({
    config: parsed.config,
    env: Deno.env,
    users: await chooseUsers(Deno.env, { oneUser: false }),
    log: "stderr",
    verbose: Deno.args.includes("-v"),
    traces: [],
    paused: { smtp: false, mda: Deno.args.includes("mda"), mta: Deno.args.includes("mta") },
    entry: (role) => new URL(`${role}.ts`, workers),
    clock: Deno.args.includes("hurried") ? hurriedClock : Deno.args.includes("patient") ? patientClock : systemClock,
    onready: () => {
      serving = true;
      console.error("info: Vaultpost (walled) starting");
    },
  });
}

if (Deno.args[0] === "isolates") await runProcess(Deno.args[1]!);
else await runParent();
Deno.exit(0);
