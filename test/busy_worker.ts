/**
 * Does nothing but a long job, in turns, for ten seconds at most: whoever waits for an answer longer waits in vain. The first message is memory in which the sender counts what it has sent since; each message is answered
 * by the number of turns that messages have waited so far after they were sent.
 */

import { systemClock, Turn } from "../src/clock.ts";

const MAX_JOB_MS = 10_000;

const scope = self as unknown as Pick<Worker, "postMessage" | "onmessage">;
let taken = 0;
let late = 0;

async function work(sent: Int32Array): Promise<void> {
  const turn = new Turn(1), end = systemClock.steady() + MAX_JOB_MS;
  while (systemClock.steady() < end) {
    const waits = Atomics.load(sent, 0) > taken;
    while (!turn.over);
    await turn.giveWay();
    if (waits && Atomics.load(sent, 0) > taken) late++;
  }
}

scope.onmessage = ({ data }) => {
  if (data === null) taken++;
  else void work(data as Int32Array);
  scope.postMessage(late);
};
