/** One measured run: smtp-source against a server until every message is where it belongs. */

import { join } from "node:path";
import { cpuSeconds, watchMemory } from "./processes.ts";
import { LOCAL_DOMAIN, RELAY_DOMAIN, type Server } from "./server.ts";
import type { Sink } from "./sink.ts";

export interface Scenario {
  readonly name: string;
  readonly clients: number;
  readonly messages: number;
  /** Many messages a connection, or one. */
  readonly reuse: boolean;
  readonly relay: boolean;
  /** Octets of a message; MESSAGE_BYTES where it is absent. */
  readonly bytes?: number;
}

export interface Measure {
  readonly acceptedPerSecond: number;
  /** Until the last message is delivered. */
  readonly deliveredPerSecond: number;
  readonly cpuSecondsPerThousand: number;
  readonly peakBytes: number;
  /** Not all came within the time limit: the numbers are of this many messages. */
  readonly stoppedAt: number | null;
}

const MESSAGE_BYTES = 2048;
const LIMIT_MS = 15_000;
/** Nothing new for this long: what is missing will not come. */
const STALLED_MS = 5_000;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

function countFiles(folder: string): number {
  let count = 0;
  try {
    for (const _ of Deno.readDirSync(folder)) count++;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return count;
}

/** Waits until `arrived` says `messages`, or nothing more comes; answers how many and when the last one came. */
async function settle(arrived: () => number, messages: number): Promise<{ count: number; at: number }> {
  let count = arrived(), at = performance.now();
  const end = at + LIMIT_MS;
  while (count < messages && performance.now() - at < STALLED_MS && performance.now() < end) {
    await pause(50);
    const now = arrived();
    if (now > count) [count, at] = [now, performance.now()];
  }
  return { count, at };
}

/** Waits until nothing more is delivered: what one run left over is not the next one's. */
export async function drain(server: Server): Promise<void> {
  const inbox = join(server.maildir, "new");
  for (let before = -1, now = countFiles(inbox); now !== before;) {
    await pause(1000);
    [before, now] = [now, countFiles(inbox)];
  }
}

export async function measure(server: Server, scenario: Scenario, sink: Sink): Promise<Measure> {
  const inbox = join(server.maildir, "new");
  // Delivered mail stays: a file system that has just removed thousands of files is slow to create new ones.
  const total = () => scenario.relay ? sink.received() : countFiles(inbox);
  const before = total();
  const arrived = () => total() - before;
  const memory = watchMemory(server.pid);
  const cpuNow = () => [server.pid, ...server.helpers ?? []].reduce((sum, pid) => sum + cpuSeconds(pid), 0);
  const cpuBefore = cpuNow(), started = performance.now();
  const source = new Deno.Command("smtp-source", {
    args: [
      ...(scenario.reuse ? ["-d"] : []),
      ...["-s", `${scenario.clients}`, "-m", `${scenario.messages}`, "-l", `${scenario.bytes ?? MESSAGE_BYTES}`],
      ...["-f", "sender@example.com", "-t", `user@${scenario.relay ? RELAY_DOMAIN : LOCAL_DOMAIN}`],
      `127.0.0.1:${server.port}`,
    ],
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  let timedOut = false;
  const limit = setTimeout(() => {
    timedOut = true;
    source.kill("SIGKILL");
  }, LIMIT_MS);
  const status = await source.status;
  clearTimeout(limit);
  if (!status.success && !timedOut) throw new Error(`smtp-source failed against ${server.name}`);
  const accepted = performance.now();
  const { count, at } = await settle(arrived, scenario.messages);
  await pause(200); // What is written and removed after the delivery belongs to the message too.
  const cpu = cpuNow() - cpuBefore;
  const peakBytes = memory.stop();
  return {
    acceptedPerSecond: (timedOut ? count : scenario.messages) / (accepted - started) * 1000,
    deliveredPerSecond: count / (Math.max(at, accepted) - started) * 1000,
    cpuSecondsPerThousand: cpu / count * 1000,
    peakBytes,
    // What is still missing waits for its retry.
    stoppedAt: count < scenario.messages ? count : null,
  };
}
