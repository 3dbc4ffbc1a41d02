/**
 * The program of the processes front, out and vault as an entry of its own: `isolates NAME`. main.ts can start them too; but the runtime reads whatever
 * an entry may load, and main.ts may load every program of the project: some 4 MB more in each of the three.
 */

import { isolatesMain } from "./smtpd/isolates.ts";
import { isDefect, systemReasonAt } from "../events/mod.ts";

try {
  Deno.exit(await isolatesMain(Deno.args.slice(1)));
} catch (error) {
  if (isDefect(error)) throw error;
  console.error(`isolates: ${systemReasonAt(error)}`);
  Deno.exit(1);
}
