/** The queue and the scheduler as workers, with the permissions of their roles: they start, speak, and can be replaced at any moment. */

import assert from "node:assert/strict";
import type { DoorName, Doors, Job } from "../../src/protocol/mod.ts";
import { DoorChannel, PortTransport } from "../../src/isolate/mod.ts";
import { JobMac } from "../../src/mac/mod.ts";
import { authorised, contentFor, SETTINGS, settingsFor, type Typed, utf8 } from "./harness.ts";

type Permissions = "none" | { read: string[]; write: string[] };

class Role {
  readonly worker: Worker;
  readonly ready: Promise<void>;

  constructor(role: string, settings: unknown, permissions: Permissions) {
    this.worker = new Worker(new URL(`../../workers/${role}.ts`, import.meta.url), {
      type: "module",
      deno: { permissions },
    });
    this.ready = new Promise((resolve, reject) => {
      this.worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      this.worker.onmessage = ({ data }) => {
        if (data.type === "ready") resolve();
        if (data.type === "failed") reject(new Error(data.reason));
      };
    });
    this.worker.postMessage({ type: "start", role, index: 0, settings, verbose: false, traces: [] });
  }

  /** Gives it its side of a door; the other side is the test's, or another role's. */
  door(name: DoorName, port: MessagePort): void {
    this.worker.postMessage({ type: "door", name, peer: 0, life: 1, port }, [port]);
  }
}

/** The caller's end of a door, for the test. */
function caller<N extends DoorName>(name: N, role: Role) {
  const { port1, port2 } = new MessageChannel();
  const channel = new DoorChannel<Doors[N]["asks"], Doors[N]["answers"]>();
  channel.attach(new PortTransport(port1));
  role.door(name, port2);
  return { channel, close: () => port1.close() };
}

function answer<M extends { type: string }, T extends M["type"]>(
  channel: { onmessage: (message: M) => void },
  type: T,
): Promise<Typed<M, T>> {
  return new Promise((resolve) => {
    channel.onmessage = (message) => {
      if (message.type === type) resolve(message as Typed<M, T>);
    };
  });
}

Deno.test("a queue that is ended in the middle of work leaves the spool to the next, which has every message", async () => {
  const spool = await Deno.makeTempDir();
  const permissions = { read: [spool], write: [spool] };
  const settings = settingsFor(spool);
  const enqueued: string[] = [];
  for (let life = 0; life < 3; life++) {
    const queue = new Role("queue", settings, permissions);
    await queue.ready;
    const smtp = caller("smtp-queue", queue);
    const first = await answer(smtp.channel, "ids");
    const control = caller("control-queue", queue);
    control.channel.send({ type: "list", call: 1, message: null, after: "", limit: 100 });
    const listed = await answer(control.channel, "listed");
    assert.deepEqual(listed.envelopes.map(({ id }) => id), enqueued.toSorted());
    const message = first.ids[0]!;
    const envelope = contentFor(message);
    smtp.channel.send({ type: "commit", message, tail: utf8("x\n"), envelopes: [authorised(envelope, message)] });
    await answer(smtp.channel, "committed");
    enqueued.push(envelope.id);
    smtp.channel.send({ type: "chunk", message: first.ids[1]!, bytes: new Uint8Array(1000) });
    queue.worker.terminate();
    smtp.close();
    control.close();
  }
  await Deno.remove(spool, { recursive: true });
});

Deno.test("mail goes from the queue through a scheduler without permissions to delivery, again after that was replaced", async () => {
  const spool = await Deno.makeTempDir();
  const queue = new Role("queue", settingsFor(spool), { read: [spool], write: [spool] });
  const limits = { maxInflight: 5000, maxPerUser: 7, maxPerDestination: 100, maxSchedule: null };
  const scheduler = new Role("scheduler", {
    shared: SETTINGS,
    jobMacKey: settingsFor(spool).jobMacKey,
    ...limits,
    paused: { mda: false, mta: false },
  }, "none");
  await Promise.all([queue.ready, scheduler.ready]);
  const between = new MessageChannel();
  queue.door("queue-scheduler", between.port1);
  scheduler.door("queue-scheduler", between.port2);
  const smtp = caller("smtp-queue", queue);
  const { ids } = await answer(smtp.channel, "ids");
  /** Delivery's two doors; the scheduler is the caller of one. */
  const enter = () => {
    const { port1, port2 } = new MessageChannel();
    const jobs = new DoorChannel<never, Job>();
    jobs.attach(new PortTransport(port1));
    scheduler.door("scheduler-delivery", port2);
    return { jobs, close: () => port1.close() };
  };
  const first = enter();
  const message = ids[0]!;
  const envelope = contentFor(message, { createdAt: Date.now() });
  smtp.channel.send({ type: "commit", message, tail: utf8("x\n"), envelopes: [authorised(envelope, message)] });
  const given = new JobMac(settingsFor(spool).jobMacKey).of({ agent: "mda", message, ids: [envelope.id] });
  const want: Job = { type: "job", message, action: "inbox", lane: "bob", ids: [envelope.id], mac: given };
  assert.deepEqual(await answer(first.jobs, "job"), want);
  const second = enter();
  assert.deepEqual(await answer(second.jobs, "job"), want, "what the first had in hand");
  const delivery = caller("delivery-queue", queue);
  delivery.channel.send({ type: "take", message, ids: [envelope.id], mac: given });
  delivery.channel.send({ type: "outcome", id: envelope.id, outcome: { result: "ok", text: "" } });
  const control = caller("control-scheduler", scheduler);
  for (let state = ""; state !== "unknown";) {
    control.channel.send({ type: "states", call: 1, ids: [envelope.id] });
    const { states } = await answer(control.channel, "states");
    state = states[0]!.state;
  }
  for (const { close } of [first, second, smtp, delivery, control]) close();
  queue.worker.terminate();
  scheduler.worker.terminate();
  await Deno.remove(spool, { recursive: true });
});

Deno.test("a queue that may not write its spool does not start", async () => {
  const spool = await Deno.makeTempDir();
  const queue = new Role("queue", settingsFor(spool), "none");
  await assert.rejects(queue.ready, /This program has no permission for it/);
  queue.worker.terminate();
  await Deno.remove(spool, { recursive: true });
});
