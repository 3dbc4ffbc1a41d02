/** smtpd whose queue believes the time of day in the file `ahead` of its spool: see late_queue.ts. */

import { parseConfig } from "../../src/smtpd_conf/mod.ts";
import { runDaemon } from "../../src/daemon/mod.ts";

const file = Deno.args[Deno.args.indexOf("-f") + 1]!;
const parsed = parseConfig(file, { defines: [], files: { readText: Deno.readTextFileSync } });
if (!parsed.ok) throw new Error(JSON.stringify(parsed));
await runDaemon({
  config: parsed.config,
  env: Deno.env,
  log: "stderr",
  verbose: false,
  traces: [],
  paused: { smtp: false, mda: false, mta: false },
  entry: (role) =>
    role === "queue"
      ? new URL("./late_queue.ts", import.meta.url)
      : new URL(`../../workers/${role}.ts`, import.meta.url),
  onready: () => console.error("info: Vaultpost (late) starting"),
});
Deno.exit(0);
