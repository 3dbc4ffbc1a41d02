/**
 * Vaultpost beside Debian's Postfix and OpenSMTPD on this machine, now: accept and deliver into a Maildir, relay, latency, CPU, memory.
 * `scripts/bench [--quick] [vaultpost] [postfix] [opensmtpd]`, and `vaultpost-one-user` for one process, also as root: with both, their ratios in
 * alternating rounds as well. Durable settings for all; see table.ts for what is printed.
 */

import { join } from "node:path";
import { suggestion } from "../../src/config/words.ts";
import { measureLatency } from "./latency.ts";
import { drain, measure, type Scenario } from "./load.ts";
import { startOpenSmtpd } from "./opensmtpd.ts";
import { startPostfix } from "./postfix.ts";
import { CannotRun, type Place, type Server } from "./server.ts";
import { freePort } from "../ports.ts";
import { startSink } from "./sink.ts";
import { Steps } from "./steps.ts";
import { measurePairs, type Rest } from "./pairs.ts";
import { cpuSeconds, memoryBytes } from "./processes.ts";
import { pairTable, restTable, type Row, table } from "./table.ts";
import { ONE_PROCESS, startInOneProcess, startVaultpost } from "./vaultpost.ts";

const STARTERS: Readonly<Record<string, (place: Place) => Promise<Server>>> = {
  vaultpost: (place) => startVaultpost(place),
  "vaultpost-one-user": startInOneProcess,
  postfix: (place) => startPostfix(place),
  opensmtpd: startOpenSmtpd,
};

/** Larger ones Postfix would not take unasked. */
const LARGE_BYTES = 9_000_000;
const PAIR = "two users against one process";
/** By then nothing of the start is going on any more. */
const REST_MS = 5_000;

function scenarios(scale: number): Scenario[] {
  const local = (clients: number, messages: number, reuse: boolean): Scenario => ({
    name: `Maildir, ${clients} client${clients > 1 ? "s" : ""}, ${
      reuse ? "reused connections" : "one message a connection"
    }`,
    clients,
    messages: Math.ceil(messages * scale),
    reuse,
    relay: false,
  });
  return [
    local(1, 1000, false),
    local(1, 1000, true),
    local(5, 3000, false),
    local(20, 4000, false),
    local(20, 6000, true),
    { name: "Relay, 20 clients, reused connections", clients: 20, messages: 4000 * scale, reuse: true, relay: true },
  ];
}

/** What is measured in pairs: large mail as well. The first load of all finds servers that have just been started. */
function pairScenarios(scale: number): Scenario[] {
  const large = { clients: 1, messages: Math.ceil(8 * scale), reuse: true, relay: false, bytes: LARGE_BYTES };
  return [
    ...scenarios(scale / 5).map((scenario) => ({ ...scenario, messages: Math.max(50, scenario.messages) })),
    { name: `Maildir, 1 client, mail of ${LARGE_BYTES / 1e6} MB`, ...large },
  ];
}

/** What each server takes at rest, before it is given any work. */
async function measureRest(servers: readonly Server[]): Promise<Rest[]> {
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  return servers.map((server) => ({
    server,
    bytes: memoryBytes(server.pid),
    cpuSeconds: cpuSeconds(server.pid),
  }));
}

async function startAll(names: readonly string[], folder: string, sinkPort: number): Promise<Server[]> {
  const tools = Deno.env.get("VAULTPOST_TOOLS")!;
  const servers: Server[] = [];
  for (const name of names) {
    const place = { folder: join(folder, name), port: freePort(), sinkPort, tools };
    await Deno.mkdir(place.folder, { mode: 0o755 });
    try {
      servers.push(await STARTERS[name]!(place));
    } catch (error) {
      if (!(error instanceof CannotRun)) throw error;
      console.log(`${name} takes no part: ${error.message}`);
    }
  }
  return servers;
}

async function run(
  servers: readonly Server[],
  scale: number,
  sink: Awaited<ReturnType<typeof startSink>>,
): Promise<Row[]> {
  const rows: Row[] = [];
  using steps = new Steps(servers.length * (1 + scenarios(scale).length));
  for (const server of servers) {
    steps.begin(`End of data to 250, 20 sessions: ${server.name}`);
    rows.push({ kind: "latency", server, latency: await measureLatency(server.port) });
    await drain(server);
  }
  for (const scenario of scenarios(scale)) {
    for (const server of servers) {
      steps.begin(`${scenario.name}: ${server.name}`);
      await new Deno.Command("sync").output(); // One server's dirty pages are not the next one's burden.
      rows.push({ kind: "load", scenario: scenario.name, server, measure: await measure(server, scenario, sink) });
    }
  }
  return rows;
}

const quick = Deno.args.includes("--quick");
const wanted = Deno.args.filter((argument) => argument !== "--quick");
const unknown = wanted.find((name) => !(name in STARTERS));
if (unknown !== undefined) {
  const guess = suggestion(unknown, [
    ...Object.keys(STARTERS),
    "tables",
    "queue",
    "abuse",
    "auth",
    "history",
    "history-cost",
    "--quick",
    "--help",
  ]);
  console.error(`Unknown server "${unknown}"${guess}; known are ${Object.keys(STARTERS).join(", ")}`);
  Deno.exit(1);
}
const folder = await Deno.makeTempDir({ prefix: "vaultpost-bench-" });
await Deno.chmod(folder, 0o755);
const sink = await startSink(freePort());
const usual = Object.keys(STARTERS).filter((name) => name !== "vaultpost-one-user");
const servers = await startAll(wanted.length > 0 ? wanted : usual, folder, sink.port);
try {
  const scale = quick ? 0.1 : 1;
  const rest = await measureRest(servers);
  console.log(table(await run(servers, scale, sink)));
  console.log(restTable(rest));
  const [two, one] = ["Vaultpost", ONE_PROCESS].map((name) => servers.find((server) => server.name === name));
  if (two !== undefined && one !== undefined) {
    console.log(
      pairTable(await measurePairs({ first: two, second: one, what: PAIR, scenarios: pairScenarios(scale), sink })),
    );
  }
} finally {
  for (const server of servers) await server.stop();
  await sink.stop();
  await Deno.remove(folder, { recursive: true });
}
