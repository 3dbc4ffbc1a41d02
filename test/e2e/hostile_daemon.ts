/** smtpd whose isolates have fallen, see hostile.ts: they say what the file `say` in the folder of the config names. */

import { dirname } from "node:path";
import { CONFIG_FILE, runOwnDaemon } from "./own_daemon.ts";

const folder = dirname(CONFIG_FILE);
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

await runOwnDaemon({
  name: "hostile",
  entry: (role) => {
    const entry = `${folder}/hostile_${role}.ts`;
    const lines = [`../../workers/${role}.ts`, "./hostile.ts"].map((path) =>
      `import ${JSON.stringify(new URL(path, import.meta.url).href)};\n`
    );
    Deno.writeTextFileSync(entry, lines.join(""));
    return new URL(`file://${entry}`);
  },
});
