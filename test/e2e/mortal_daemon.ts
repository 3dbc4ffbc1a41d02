/**
 * smtpd with isolates that die on demand: the queue when a file named `die` appears in its spool, filter when the log's verbosity changes,
 * smtp and control when `smtp` and `stat` are traced, the first signer when it is asked to sign.
 */

import { parseConfig } from "../../src/smtpd_conf/mod.ts";
import { runDaemon } from "../../src/daemon/mod.ts";

const file = Deno.args[Deno.args.indexOf("-f") + 1]!;
const paused = { smtp: false, mda: Deno.args.includes("-P"), mta: false };
const parsed = parseConfig(file, { defines: [], files: { readText: Deno.readTextFileSync } });
if (!parsed.ok) throw new Error(JSON.stringify(parsed));
await runDaemon({
  config: parsed.config,
  env: Deno.env,
  log: "stderr",
  verbose: false,
  traces: [],
  paused,
  entry: (role) =>
    ["queue", "filter", "smtp", "control", "signer"].includes(role)
      ? new URL(`./mortal_${role}.ts`, import.meta.url)
      : new URL(`../../workers/${role}.ts`, import.meta.url),
  onready: () => console.error("info: Vaultpost (mortal) starting"),
});
Deno.exit(0);
