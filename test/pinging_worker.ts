/**
 * Sends a message every few milliseconds, from the moment that it is given memory: in that it counts what it has sent, before it sends it.
 */

import { systemClock } from "../src/clock.ts";

const INTERVAL_MS = 3;

const scope = self as unknown as Pick<Worker, "postMessage" | "onmessage">;

scope.onmessage = ({ data }) => {
  systemClock.every(INTERVAL_MS, () => {
    Atomics.add(data as Int32Array, 0, 1);
    scope.postMessage(null);
  });
};
