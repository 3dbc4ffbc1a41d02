/**
 * Good clients' reply times and the daemon's memory, quiet and under each attack: `scripts/bench abuse [ATTACK …]`. Linux only; the attacks
 * come from loopback, which the limits per source leave alone: what holds here holds for a crowd of sources.
 */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { availableParallelism } from "node:os";
import { memoryBytes, watchMemory } from "../processes.ts";
import { type Server } from "../server.ts";
import { Steps } from "../steps.ts";
import { freePort } from "../../ports.ts";
import { startVaultpost } from "../vaultpost.ts";
import { ATTACKS } from "./attacks.ts";
import { idleCosts } from "./idle.ts";
import { GoodClients, type Probe } from "./probe.ts";
import { failedHandshakes } from "./soak.ts";

const FOLDER = dirname(fileURLToPath(import.meta.url));
const ATTACKER = join(FOLDER, "attacker.ts");
const CERTIFICATES = join(FOLDER, "../../smtp/certificates");
/** How long good clients are measured, with and without an attack, in milliseconds. */
const MEASURE_MS = 5000;
/** How long an attack may take to get going, and to end. */
const MAX_WAIT_MS = 30_000;
/** What the issue of attacks is about: the good clients' p99 may grow by this much. */
const BOUND = 5;

interface Row {
  readonly name: string;
  readonly because: string;
  readonly probe: Probe | null;
  readonly before: number;
  readonly peak: number;
  readonly after: number;
  readonly outcome: string;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

async function lineOf(reader: ReadableStreamDefaultReader<string>): Promise<string> {
  let text = "";
  const timer = setTimeout(() => reader.cancel(), MAX_WAIT_MS);
  try {
    while (!text.includes("\n")) {
      const { value, done } = await reader.read();
      if (done) return text.trim();
      text += value;
    }
    return text.trim();
  } finally {
    clearTimeout(timer);
  }
}

async function measured(server: Server, clients: GoodClients): Promise<Probe | null> {
  try {
    return await clients.measure(MEASURE_MS);
  } catch (error) {
    console.error(`A good client was not served: ${(error as Error).message}; daemon ${server.pid}`);
    return null;
  }
}

async function suffer(
  server: Server,
  attack: (typeof ATTACKS)[number],
  { checkedPort, steps }: { readonly checkedPort: number; readonly steps: Steps },
): Promise<Row> {
  const { name, because, checked = false } = attack;
  steps.begin(`${name}: ${because}`);
  const clients = await GoodClients.connect(server.port);
  const before = memoryBytes(server.pid);
  const memory = watchMemory(server.pid);
  // Attackers have machines of their own: here they get the processor time that the daemon leaves.
  const attacker = new Deno.Command("nice", {
    args: [
      "-n",
      "19",
      Deno.execPath(),
      "run",
      "--allow-all",
      "--no-check",
      "--cached-only",
      ATTACKER,
      name,
      `${checked ? checkedPort : server.port}`,
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const output = attacker.stdout.pipeThrough(new TextDecoderStream()).getReader();
  await lineOf(output);
  const probe = await measured(server, clients);
  await attacker.stdin.close();
  const outcome = await lineOf(output);
  const kill = setTimeout(() => attacker.kill("SIGKILL"), MAX_WAIT_MS);
  await attacker.status;
  clearTimeout(kill);
  const peak = memory.stop();
  clients.close();
  await pause(1000);
  return { name, because, probe, before, peak, after: memoryBytes(server.pid), outcome };
}

const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;

function table(quiet: Probe, rows: readonly Row[]): string {
  const heads = ["", "replies p50 ms", "p99 ms", "end of data p50 ms", "p99 ms", "memory MB before, peak, after", ""];
  const against = (value: number, base: number) =>
    `${value.toFixed(2)} (${(value / base).toFixed(1)}×${value > BOUND * base ? " over the bound" : ""})`;
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
  const cells = (probe: Probe) => [
    against(probe.commands.p50, quiet.commands.p50),
    against(probe.commands.p99, quiet.commands.p99),
    against(probe.messages.p50, quiet.messages.p50),
    against(probe.messages.p99, quiet.messages.p99),
  ];
  return [
    line(heads),
    line(heads.map(() => "---")),
    line(["quiet", ...cells(quiet), "", `${quiet.count} messages`]),
    ...rows.map(({ because, probe, before, peak, after, outcome }) =>
      line([
        because,
        ...(probe === null ? ["not served", "", "", ""] : cells(probe)),
        [before, peak, after].map(megabytes).join(", "),
        outcome,
      ])
    ),
  ].join("\n");
}

/** Beside the attacks: what is measured without good clients. */
const SOAK = "handshakes";
const KNOWN = [...ATTACKS.map(({ name }) => name), SOAK];
const wanted = Deno.args;
const unknown = wanted.find((name) => !KNOWN.includes(name));
if (unknown !== undefined) {
  console.error(`Unknown attack "${unknown}"; known are ${KNOWN.join(", ")}`);
  Deno.exit(1);
}
const attacks = ATTACKS.filter(({ name }) => wanted.length === 0 || wanted.includes(name));
const folder = await Deno.makeTempDir({ prefix: "vaultpost-abuse-" });
await Deno.chmod(folder, 0o755);
const pair = { cert: join(CERTIFICATES, "mx.pem"), key: join(CERTIFICATES, "mx.key") };

async function sufferAll(): Promise<void> {
  const place = { folder: join(folder, "vaultpost"), port: freePort(), sinkPort: 1, tools: "" };
  await Deno.mkdir(place.folder, { mode: 0o755 });
  const checkedPort = freePort();
  const server = await startVaultpost(place, pair, `listen on 127.0.0.1 port ${checkedPort} mail-auth\n`);
  const rows: Row[] = [];
  try {
    using steps = new Steps(1 + attacks.length);
    steps.begin("quiet");
    const clients = await GoodClients.connect(server.port);
    await clients.measure(2000); // What is loaded once is loaded.
    const quiet = (await measured(server, clients))!;
    clients.close();
    for (const attack of attacks) rows.push(await suffer(server, attack, { checkedPort, steps }));
    steps.end();
    console.log(
      `\n${availableParallelism()} cores, ${new Date().toISOString().slice(0, 10)}; bound of p99: ${BOUND}×.\n`,
    );
    console.log(table(quiet, rows));
  } finally {
    await server.stop();
  }
}

if (attacks.length > 0) await sufferAll();
if (wanted.length === 0) console.log(`\n${await idleCosts(folder)}`);
if (wanted.length === 0 || wanted.includes(SOAK)) console.log(`\n${await failedHandshakes(folder, pair)}`);
await Deno.remove(folder, { recursive: true });
