/**
 * Sends a message every few milliseconds, from the moment that it is given memory: in that it counts what it has sent, behind it.
 * Not before: on a busy machine this thread may have to wait between the two.
 */

import { systemClock } from "../src/clock.ts";

const INTERVAL_MS = 3;

const scope = self as unknown as Pick<Worker, "postMessage" | "onmessage">;

scope.onmessage = ({ data }) => {
  systemClock.every(INTERVAL_MS, () => {
    scope.postMessage(null);
    Atomics.add(data as Int32Array, 0, 1);
  });
};
