/**
 * Does nothing but a long job, in turns. The first message is memory in which the sender counts what it has sent since; each message is answered
 * by the number of turns that messages have waited so far after they were sent.
 */

import { Turn } from "../src/clock.ts";

const scope = self as unknown as Pick<Worker, "postMessage" | "onmessage">;
let taken = 0;
let late = 0;

async function work(sent: Int32Array): Promise<void> {
  const turn = new Turn(1);
  for (;;) {
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
