/** Handshakes that fail leave nothing behind, in either direction: port scans and broken hosts must not fill the memory. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

/** Of each kind. What the runtime once kept of each was 7,000 octets of its heap at least (and 30,000 outside of it). */
const CONNECTIONS = 100, BOUND_OCTETS = 2500;

Deno.test(`A connection whose handshake fails leaves less than ${BOUND_OCTETS} octets behind, whoever began it and however it ended`, async () => {
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      "--no-check",
      "--cached-only",
      "--v8-flags=--expose-gc",
      fileURLToPath(new URL("aborted_child.ts", import.meta.url)),
      `${CONNECTIONS}`,
    ],
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  const costs: Record<string, number> = JSON.parse(new TextDecoder().decode(stdout));
  assert.equal(Object.keys(costs).length, 18);
  assert.deepEqual(Object.entries(costs).filter(([_, octets]) => octets > BOUND_OCTETS), []);
});
