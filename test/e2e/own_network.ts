/** Runs a test's program in a network of its own with one public address, at which it may listen on the ports of mail: for root, with iproute2. */

import { PROJECT, type Ran, run } from "./harness.ts";

/** Where the host of the test is. */
export const PUBLIC_ADDRESS = "192.0.2.25";
const SCRIPT = `ip link set lo up && ip addr add ${PUBLIC_ADDRESS}/32 dev lo && exec "$0" "$@"`;

/** False where networks cannot be made: without root, in a container without the right to it, or without ip(8). */
export function hasOwnNetworks(): boolean {
  if (Deno.uid() !== 0) return false;
  try {
    const tried = new Deno.Command("unshare", { args: ["-n", "sh", "-c", SCRIPT, "true"], stderr: "null" })
      .outputSync();
    return tried.success;
  } catch {
    return false;
  }
}

/** Runs a file of test/e2e there, to its end. */
export function runInOwnNetwork(file: string): Promise<Ran> {
  const deno = [Deno.execPath(), "run", "--allow-all", "--no-check", "--config", `${PROJECT}/deno.json`];
  return run("unshare", ["-n", "sh", "-c", SCRIPT, ...deno, `${PROJECT}/test/e2e/${file}`]);
}
