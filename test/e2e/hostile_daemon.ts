/** smtpd whose isolates have fallen, see hostile.ts: they say what the file `say` in the folder of the config names. */

import { dirname } from "node:path";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";
import { runDaemon } from "../../src/daemon/mod.ts";

const file = Deno.args[Deno.args.indexOf("-f") + 1]!;
const folder = dirname(file);
const parsed = parseConfig(file, { defines: [], files: { readText: Deno.readTextFileSync } });
if (!parsed.ok) throw new Error(JSON.stringify(parsed));

const orders = new BroadcastChannel("hostile");
const watch = setInterval(() => {
  try {
    const order = Deno.readTextFileSync(`${folder}/say`);
    Deno.removeSync(`${folder}/say`);
    orders.postMessage(JSON.parse(order));
  } catch {
    // Nothing is to be said.
  }
}, 10);
Deno.unrefTimer(watch);

await runDaemon({
  config: parsed.config,
  env: Deno.env,
  log: "stderr",
  verbose: false,
  traces: [],
  paused: { smtp: false, mda: false, mta: false },
  entry: (role) => {
    const entry = `${folder}/hostile_${role}.ts`;
    const lines = [`../../workers/${role}.ts`, "./hostile.ts"].map((path) =>
      `import ${JSON.stringify(new URL(path, import.meta.url).href)};\n`
    );
    Deno.writeTextFileSync(entry, lines.join(""));
    return new URL(`file://${entry}`);
  },
  onready: () => console.error("info: Vaultpost (hostile) starting"),
});
Deno.exit(0);
