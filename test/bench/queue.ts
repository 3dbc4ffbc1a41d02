/**
 * What a queue costs as it grows: `scripts/bench queue [--quick] [--sizes N,N…] [--svg FILE]`. Fills spools of 1e3 to 1e6 envelopes and asks a
 * real daemon for what a large queue must answer. Ends with a table; the plot goes into FILE.
 */

import { Steps } from "./steps.ts";
import { userInfo } from "node:os";
import { join } from "node:path";
import { Scheduler } from "../../src/schedule/scheduler.ts";
import { plot } from "./queue_plot.ts";
import { addDueMessage, domainOf, fillQueue } from "./queue_fill.ts";
import { HEALTHY_DOMAIN, Hosts, Prober, SILENT_ADDRESS } from "./queue_probe.ts";
import { LOCAL_DOMAIN, type Place, startDaemon } from "./server.ts";
import { freePort } from "../ports.ts";
import { memoryBytes } from "./processes.ts";
import { evpid } from "../ids.ts";

const PROJECT = new URL("../..", import.meta.url).pathname;
const ACCEPTED_MESSAGES = 4000;
const WAIT_MS = 120_000;

/** One row: milliseconds unless the name says otherwise. */
export interface QueueCost {
  readonly size: number;
  readonly connectedMs: number;
  readonly firstDeliveryMs: number;
  readonly lastIdDeliveryMs: number;
  /** Until the scheduler knows every envelope; mail comes and goes meanwhile. */
  readonly loadedMs: number;
  readonly acceptedPerSecond: number;
  readonly schedulerBytes: number;
  readonly daemonMegabytes: number;
  readonly firstLineMs: number;
  readonly allLinesMs: number;
  readonly scheduleMs: number;
  readonly removeMs: number;
  /** From MAIL to the next host, for a fresh message to another destination while a tenth waits for one that is silent. */
  readonly freshMs: number;
  /** The longest that a client waited for a 250 while the queue was shown, scheduled and removed from. */
  readonly slowestReplyMs: number;
}

async function until(done: () => boolean, what: string): Promise<void> {
  for (const end = performance.now() + WAIT_MS; !done();) {
    if (performance.now() > end) throw new Error(`Waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

function hasMail(folder: string): boolean {
  try {
    return !Deno.readDirSync(join(folder, "new"))[Symbol.iterator]().next().done;
  } catch {
    return false;
  }
}

/** The daemon under test, with everything below one folder. */
class QueueBench {
  readonly place: Place;
  readonly mail: string;
  readonly env: Record<string, string>;
  /** Whom local mail is delivered as. */
  readonly user = Deno.uid() === 0 ? "nobody" : userInfo().username;

  /** Envelopes that it is filled with. */
  readonly #size: number;

  constructor(folder: string, readonly hosts: Hosts, size: number) {
    this.#size = size;
    this.place = { folder, port: freePort(), sinkPort: 0, tools: "" };
    this.mail = join(folder, "mail");
    this.env = { SMTPD_SPOOL: join(folder, "spool"), SMTPD_SOCKET: join(folder, "smtpd.sock") };
  }

  async prepare(): Promise<void> {
    const { user } = this;
    await Deno.mkdir(this.mail, { recursive: true });
    if (Deno.uid() === 0) await Deno.chown(this.mail, 65534, 65534);
    await Deno.writeTextFile(
      join(this.place.folder, "smtpd.conf"),
      `smtp limit max-mails 100000
listen on 127.0.0.1 port ${this.place.port} hostname bench.example.org
action "in" maildir "${this.mail}/%{rcpt.user}" virtual { "@" = "${user}" } user ${user}
action "out" relay host "smtp://${SILENT_ADDRESS}:${this.hosts.silentPort}"
action "healthy" relay host "smtp://127.0.0.1:${this.hosts.port}"
match from any for domain "${LOCAL_DOMAIN}" action "in"
match from any for domain "${HEALTHY_DOMAIN}" action "healthy"
match from any for any action "out"
`,
    );
  }

  start() {
    const args = ["-d", "--one-user", "-f", join(this.place.folder, "smtpd.conf")];
    return startDaemon(this.place, join(PROJECT, "scripts/smtpd"), args, this.env);
  }

  /** Runs smtpctl; `firstMs` is when its first output came. */
  async smtpctl(...args: string[]): Promise<{ readonly firstMs: number; readonly ms: number; readonly lines: number }> {
    const started = performance.now();
    const child = new Deno.Command(join(PROJECT, "scripts/smtpctl"), { args, env: this.env, stdout: "piped" }).spawn();
    let firstMs = -1, lines = 0;
    for await (const piece of child.stdout) {
      if (firstMs < 0) firstMs = performance.now() - started;
      for (const byte of piece) if (byte === 10) lines++;
    }
    const { code } = await child.status;
    // Of an empty queue there is nothing that a domain could name, which smtpctl says with status 1.
    const empty = code === 1 && args[1] === "domain" && this.#size === 0;
    if (code !== 0 && !empty) throw new Error(`smtpctl ${args.join(" ")} failed`);
    return { firstMs, ms: performance.now() - started, lines };
  }

  /** Envelopes that the scheduler knows. */
  async known(): Promise<number> {
    const { stdout } = await new Deno.Command(join(PROJECT, "scripts/smtpctl"), {
      args: ["show", "stats"],
      env: this.env,
    }).output();
    return Number(/^scheduler\.envelope=(\d+)$/m.exec(new TextDecoder().decode(stdout))?.[1] ?? 0);
  }
}

/** Messages a second that 20 sessions get rid of. What they send waits: delivery is paused. */
async function acceptRate(harness: QueueBench): Promise<number> {
  await harness.smtpctl("pause", "mda");
  const started = performance.now();
  const { success } = await new Deno.Command("smtp-source", {
    args: [
      ...["-d", "-s", "20", "-m", `${ACCEPTED_MESSAGES}`, "-l", "1024", "-f", "sender@example.com"],
      ...["-t", `accepted@${LOCAL_DOMAIN}`, `127.0.0.1:${harness.place.port}`],
    ],
  }).spawn().status;
  if (!success) throw new Error("smtp-source failed");
  const rate = ACCEPTED_MESSAGES / (performance.now() - started) * 1000;
  return rate;
}

/** Bytes that the scheduler takes for an envelope, its columns and lanes and all that the heap holds for it. */
function schedulerBytes(size: number): number {
  const collect = (globalThis as { gc?: () => void }).gc ?? (() => {});
  collect();
  const heapBefore = Deno.memoryUsage().heapUsed;
  const scheduler = new Scheduler({ maxInflight: 5000, maxPerUser: 50, maxPerDestination: 50, maxSchedule: null }, {
    mda: false,
    mta: false,
  });
  const hex = (value: number) => value.toString(16).padStart(8, "0");
  for (let index = 1; index <= size; index++) {
    scheduler.add({
      id: evpid(hex(index) + hex(index)),
      agent: "mta",
      action: "out",
      lane: domainOf(index),
      createdAt: 0,
      expiresAt: 345_600_000,
      tries: 8,
      suspended: false,
    }, 0);
  }
  collect();
  const heap = Math.max(0, Deno.memoryUsage().heapUsed - heapBefore);
  return (scheduler.bytes + heap) / scheduler.size;
}

async function measure(
  folder: string,
  size: number,
  { hosts, steps }: { readonly hosts: Hosts; readonly steps: Steps },
): Promise<QueueCost> {
  const harness = new QueueBench(folder, hosts, size);
  await harness.prepare();
  steps.begin(`${size}: filling`);
  fillQueue(harness.env.SMTPD_SPOOL!, size);
  addDueMessage(harness.env.SMTPD_SPOOL!, "last", harness.user);
  await new Deno.Command("sync").output(); // The filling's dirty pages are not the daemon's burden.
  steps.begin(`${size}: starting`);
  const started = performance.now();
  const daemon = await harness.start();
  try {
    const connectedMs = performance.now() - started;
    const prober = await Prober.connect(harness.place.port);
    await prober.send("first");
    await until(() => hasMail(join(harness.mail, "first")), "the first delivery");
    const firstDeliveryMs = performance.now() - started;
    await until(() => hasMail(join(harness.mail, "last")), "the delivery of the highest id");
    const lastIdDeliveryMs = performance.now() - started;
    while (await harness.known() < size) await new Promise((resolve) => setTimeout(resolve, 100));
    const loadedMs = performance.now() - started;
    steps.begin(`${size}: accepting`);
    const acceptedPerSecond = await acceptRate(harness);
    const daemonMegabytes = memoryBytes(daemon.pid) / 1e6;
    steps.begin(`${size}: showing, scheduling, removing`);
    const probing = prober.keepOn();
    const shown = await harness.smtpctl("show", "queue");
    const scheduled = await harness.smtpctl("schedule", "domain", domainOf(1));
    const freshMs = await harness.hosts.timeFresh(harness.place.port);
    const removed = await harness.smtpctl("remove", "domain", domainOf(0));
    const slowestReplyMs = await probing.stop();
    return {
      size,
      connectedMs,
      firstDeliveryMs,
      lastIdDeliveryMs,
      loadedMs,
      acceptedPerSecond,
      schedulerBytes: schedulerBytes(size),
      daemonMegabytes,
      firstLineMs: shown.firstMs,
      allLinesMs: shown.ms,
      scheduleMs: scheduled.ms,
      removeMs: removed.ms,
      freshMs,
      slowestReplyMs,
    };
  } finally {
    await daemon.stop();
  }
}

const COLUMNS: readonly (readonly [string, (cost: QueueCost) => string])[] = [
  ["queued", ({ size }) => `${size}`],
  ["first connection ms", ({ connectedMs }) => connectedMs.toFixed(0)],
  ["first delivery ms", ({ firstDeliveryMs }) => firstDeliveryMs.toFixed(0)],
  ["delivery of the highest id ms", ({ lastIdDeliveryMs }) => lastIdDeliveryMs.toFixed(0)],
  ["all loaded s", ({ loadedMs }) => (loadedMs / 1000).toFixed(1)],
  ["accepted/s", ({ acceptedPerSecond }) => acceptedPerSecond.toFixed(0)],
  ["scheduler B/envelope", ({ schedulerBytes }) => Number.isFinite(schedulerBytes) ? schedulerBytes.toFixed(0) : "-"],
  ["daemon MB", ({ daemonMegabytes }) => daemonMegabytes.toFixed(0)],
  ["show queue: first line ms", ({ firstLineMs }) => firstLineMs.toFixed(0)],
  ["whole s", ({ allLinesMs }) => (allLinesMs / 1000).toFixed(1)],
  ["schedule domain (10 %) s", ({ scheduleMs }) => (scheduleMs / 1000).toFixed(1)],
  ["remove domain (10 %) s", ({ removeMs }) => (removeMs / 1000).toFixed(1)],
  ["fresh message to another host ms", ({ freshMs }) => freshMs.toFixed(0)],
  ["slowest 250 meanwhile ms", ({ slowestReplyMs }) => slowestReplyMs.toFixed(0)],
];

function table(costs: readonly QueueCost[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(COLUMNS.map(([head]) => head)),
    line(COLUMNS.map(() => "---:")),
    ...costs.map((cost) => line(COLUMNS.map(([, cell]) => cell(cost)))),
  ].join("\n");
}

function option(name: string): string | undefined {
  const at = Deno.args.indexOf(name);
  return at < 0 ? undefined : Deno.args[at + 1];
}

const misplaced = Deno.args.filter((argument, at) =>
  !["--quick", "--sizes", "--svg"].includes(argument) && !["--sizes", "--svg"].includes(Deno.args[at - 1] ?? "")
);
const quick = Deno.args.includes("--quick");
const sizes = (option("--sizes") ?? (quick ? "0,1000,10000,100000" : "0,1000,10000,100000,1000000"))
  .split(",").map(Number);
if (misplaced.length > 0 || sizes.some((size) => !Number.isSafeInteger(size) || size < 0)) {
  console.error("usage: scripts/bench queue [--quick] [--sizes N,N...] [--svg FILE]");
  Deno.exit(1);
}
const costs: QueueCost[] = [];
const hosts = await Hosts.open(), steps = new Steps(4 * sizes.length);
for (const size of sizes) {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-queue-" });
  await Deno.chmod(folder, 0o755);
  try {
    costs.push(await measure(folder, size, { hosts, steps }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
await hosts.close();
steps.end();
console.log(table(costs));
const svg = option("--svg");
if (svg !== undefined) {
  await Deno.writeTextFile(svg, plot(costs));
  console.log(`\nPlot: ${svg}`);
}
