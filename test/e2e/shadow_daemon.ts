/** smtpd whose accounts of the system stand in a made-up file: the first argument. */

import { parseConfig } from "../../src/smtpd_conf/mod.ts";
import { runDaemon } from "../../src/daemon/mod.ts";
import { TRACES } from "../../src/events/mod.ts";

const file = Deno.args[Deno.args.indexOf("-f") + 1]!;
const parsed = parseConfig(file, { defines: [], files: { readText: Deno.readTextFileSync } });
if (!parsed.ok) throw new Error(JSON.stringify(parsed));
await runDaemon({
  config: parsed.config,
  env: Deno.env,
  log: "stderr",
  verbose: true,
  traces: TRACES,
  paused: { smtp: false, mda: false, mta: false },
  shadow: Deno.args[0]!,
  entry: (role) => new URL(`../../workers/${role}.ts`, import.meta.url),
  onready: () => console.error("info: Vaultpost (shadow) starting"),
});
Deno.exit(0);
