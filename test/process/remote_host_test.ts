/** A process as the parent sees it, with one that only this test plays: nothing is started. */

import assert from "node:assert/strict";
import type { PostReceiver, Transport } from "../../src/isolate/mod.ts";
import { type HostedWorker, RemoteHost, type RunningProcess } from "../../src/process/mod.ts";

/** Plays the processes that are started one after the other, and the clock. */
class Played {
  readonly log: string[] = [];
  readonly receivers: PostReceiver[] = [];
  readonly delayed: Array<() => void> = [];
  /** Answers each start; nothing does until it is called. */
  readonly starts: PromiseWithResolvers<RunningProcess>[] = [];
  readonly host = new RemoteHost({ name: "front", internet: false, libraries: [] }, {
    launch: () => {
      this.starts.push(Promise.withResolvers());
      return this.starts.at(-1)!.promise;
    },
    closeDescriptor: (descriptor) => void this.log.push(`closed ${descriptor}`),
    after: (_ms, run) => {
      this.delayed.push(run);
      return () => {};
    },
    missing: (reason) => void this.log.push(`missing ${reason}`),
    refused: (text) => void this.log.push(text),
  });

  start(): HostedWorker {
    const worker = this.host.start("login", "login", {});
    worker.onerror = (reason) => void this.log.push(reason);
    return worker;
  }

  /** The process that was started last runs. */
  async runs(): Promise<void> {
    const number = this.starts.length;
    const transport: Transport = {
      post: () => {},
      receive: (receiver) => void this.receivers.push(receiver),
      close: () => {},
    };
    this.starts.at(-1)!.resolve({
      pid: number,
      transport,
      hand: () => true,
      ended: new Promise(() => {}),
      close: () => void this.log.push(`process ${number}: link closed`),
      kill: () => void this.log.push(`process ${number}: killed`),
      workerThreads: () => null,
    });
    await new Promise((resolve) => setTimeout(resolve));
  }

  /** The process says these. */
  says(...messages: unknown[]): void {
    this.receivers.at(-1)!.onpost(messages);
  }

  look(times: number): void {
    for (let count = 0; count < times; count++) this.host.look();
  }
}

const REPLACED = ["process 1: killed", "process 1: link closed"];

Deno.test("RemoteHost replaces a process that hangs before it is up", async () => {
  const played = new Played();
  played.start();
  await played.runs();
  played.look(60);
  assert.deepEqual(played.log, []);
  played.look(1);
  assert.deepEqual(played.log, [
    "the process front is replaced: it does not come up",
    ...REPLACED,
    "the process front ended: it does not come up",
  ]);
  played.start();
  assert.equal(played.starts.length, 2);
});

Deno.test("RemoteHost replaces a process whose start hangs, and ends it when it has started all the same", async () => {
  const played = new Played();
  played.start();
  played.look(61);
  assert.deepEqual(played.log.splice(0), [
    "the process front is replaced: it does not come up",
    "the process front ended: it does not come up",
  ]);
  await played.runs();
  assert.deepEqual(played.log, REPLACED);
});

Deno.test("RemoteHost gives a process that is up its own time to answer", async () => {
  const played = new Played();
  played.start();
  await played.runs();
  played.look(50);
  played.says({ type: "up" });
  played.look(16);
  assert.deepEqual(played.log, []);
  played.look(1);
  assert.deepEqual(played.log, [
    "the process front is replaced: it does not answer",
    ...REPLACED,
    "the process front ended: it does not answer",
  ]);
});

const HOSTILE: readonly (readonly [unknown, string])[] = [
  [{ type: "up", missing: "made up" }, "up: it was up before"],
  [{ type: "pong", count: 1 }, "pong: it was not asked"],
  [{ type: "said", worker: 2, message: {} }, "said: there is no worker 2"],
  [{ type: "fault", worker: 7, fault: "made up" }, "fault: there is no worker 7"],
  [{ type: "error", worker: 2, reason: "made up" }, "error: there is no worker 2"],
];

for (const [message, fault] of HOSTILE) {
  Deno.test(`RemoteHost replaces a process that says what it may not: ${fault}`, async () => {
    const played = new Played();
    played.start();
    await played.runs();
    played.says({ type: "up" }, message);
    assert.deepEqual(played.log, [
      `the process front is replaced: ${fault}`,
      ...REPLACED,
      "the process front ended: It said something malformed",
    ]);
  });
}

Deno.test("RemoteHost replaces a process that floods its link, whatever it says", async () => {
  const played = new Played();
  played.start();
  await played.runs();
  played.says({ type: "up" });
  const post = new Array(100_000).fill({ type: "pong", count: 0 });
  for (let posts = 0; posts < 20; posts++) played.says(...post);
  assert.deepEqual(played.log, [
    "the process front is replaced: more than 100000 messages per second come from there",
    ...REPLACED,
    "the process front ended: It said something malformed",
  ]);
});
