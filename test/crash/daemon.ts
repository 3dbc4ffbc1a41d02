/** smtpd whose queue or mailbox isolate stops at a chosen place: the file `crash-point` beside its config has "ROLE POINT COUNT", or nothing. */

import { dirname } from "node:path";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";
import { runDaemon } from "../../src/daemon/mod.ts";

const file = Deno.args[Deno.args.indexOf("-f") + 1]!;
const parsed = parseConfig(file, { defines: [], files: { readText: Deno.readTextFileSync } });
if (!parsed.ok) throw new Error(JSON.stringify(parsed));
const [chosen, point, count] = Deno.readTextFileSync(`${dirname(file)}/crash-point`).split(" ");
await runDaemon({
  config: parsed.config,
  env: Deno.env,
  log: "stderr",
  verbose: false,
  traces: [],
  paused: { smtp: false, mda: false, mta: false },
  entry: (role) =>
    role === chosen
      ? new URL(`./${role}.ts?point=${point}&count=${count}`, import.meta.url)
      : new URL(`../../workers/${role}.ts`, import.meta.url),
  onready: () => console.error("info: Vaultpost (to be killed) starting"),
});
Deno.exit(0);
