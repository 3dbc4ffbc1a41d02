/** One attack in a process of its own, so that it does not slow down the good clients' clock: `attacker.ts NAME PORT`. Ends when its input does. */

import { ATTACKS } from "./attacks.ts";

const [name, port] = Deno.args;
const attack = ATTACKS.find((one) => one.name === name)!;
const over = new AbortController();
(async () => {
  for await (const _ of Deno.stdin.readable) { /* Only its end matters. */ }
  over.abort();
})();
let reported = false;
const ready = () => {
  if (!reported) console.log("ready");
  reported = true;
};
const outcome = await attack.run(Number(port), over.signal, ready);
ready();
console.log(outcome);
Deno.exit(0);
