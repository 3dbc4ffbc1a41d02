/**
 * What recording costs: a daemon with `history` against one without, in rounds that alternate between the two. `scripts/bench history-cost [--quick]`. Below 1 is less than
 * without; the bound is 0.95 for what is accepted and delivered.
 */

import { join } from "node:path";
import { freePort } from "../ports.ts";
import type { Scenario } from "./load.ts";
import { measurePairs } from "./pairs.ts";
import { startSink } from "./sink.ts";
import { pairTable } from "./table.ts";
import { startVaultpost } from "./vaultpost.ts";

const quick = Deno.args.includes("--quick");
const messages = quick ? 600 : 4000, rounds = quick ? 3 : 9;
const SCENARIOS: readonly Scenario[] = [
  { name: "Maildir, 20 clients, one message a connection", clients: 20, messages, reuse: false, relay: false },
  { name: "Maildir, 20 clients, reused connections", clients: 20, messages, reuse: true, relay: false },
  { name: "Relay, 20 clients, reused connections", clients: 20, messages, reuse: true, relay: true },
];

const folder = await Deno.makeTempDir({ prefix: "vaultpost-bench-" });
await Deno.chmod(folder, 0o755);
const sink = await startSink(freePort());
const start = async (name: string, line: string) => {
  const place = { folder: join(folder, name), port: freePort(), sinkPort: sink.port, tools: "" };
  await Deno.mkdir(place.folder, { mode: 0o755 });
  return { ...await startVaultpost(place, undefined, line), name };
};
const servers = [await start("with", "history keep 30d size 4G refs\n"), await start("without", "")] as const;
try {
  // The first load finds servers that have just been started.
  const warm = SCENARIOS.slice(0, 1).map((scenario) => ({ ...scenario, messages: 500 }));
  const [first, second] = servers, what = "with history against without";
  await measurePairs({ first, second, what: "warming up", scenarios: warm, sink, rounds: 1 });
  console.log(
    pairTable(
      await measurePairs({ first, second, what, scenarios: SCENARIOS, sink, rounds }),
      "with ÷ without history",
    ),
  );
} finally {
  for (const server of servers) await server.stop();
  await sink.stop();
  await Deno.remove(folder, { recursive: true });
}
