/** Doors over two pipes: what socket_transport_test.ts says of sockets where it depends on what carries the octets, and what pipes are made of. */

import assert from "node:assert/strict";
import { SocketTransport } from "../../src/isolate/socket_transport.ts";
import { closeDescriptor, type PipeEnds, pipeMark, pipePair, socketCookie, socketPair } from "../../src/kernel/mod.ts";
import { libc } from "../../src/kernel/libc.ts";
import { GivenSockets } from "../../src/process/mod.ts";
import { adoptReader, adoptWriter } from "../../src/sockets/mod.ts";
import { Received } from "./received.ts";

const ignore = Deno.build.os !== "linux";
const F_GETFD = 1, FD_CLOEXEC = 1, F_GETPIPE_SZ = 1032;
const CHUNK_OCTETS = 256 * 1024;

const door = ({ read, write }: PipeEnds, maxWaitingOctets?: number) =>
  new SocketTransport(read, { writeDescriptor: write, ...maxWaitingOctets !== undefined && { maxWaitingOctets } });
const isOpen = (descriptor: number) => libc().call("fcntl", descriptor, F_GETFD, 0) >= 0;
const discard = { buffer: new Uint8Array(65536), callback: () => true };

Deno.test({
  name: "pipePair() gives two ways that are closed for programs and take a chunk of a message at once",
  ignore,
  fn: () => {
    const pair = pipePair(), all = pair.flatMap(({ read, write }) => [read, write]);
    assert.equal(new Set(all).size, 4);
    for (const end of all) {
      assert.equal(libc().call("fcntl", end, F_GETFD, 0), FD_CLOEXEC);
      assert.ok(libc().call("fcntl", end, F_GETPIPE_SZ, 0) >= CHUNK_OCTETS);
    }
    const [one, other] = pair;
    assert.equal(pipeMark(one.write), pipeMark(other.read));
    assert.equal(pipeMark(other.write), pipeMark(one.read));
    assert.notEqual(pipeMark(one.read), pipeMark(one.write));
    assert.equal(socketCookie(one.read), null);
    all.forEach(closeDescriptor);
    assert.equal(pipeMark(one.read), null);
  },
});

Deno.test({
  name: "a door over pipes keeps order and octets both ways, of posts that fit into a pipe and of those that do not",
  ignore,
  fn: async () => {
    const [one, other] = pipePair(), here = door(one), there = door(other);
    const received = new Received(there), back = new Received(here);
    const sizes = [0, 1, 5000, 20, 300_000, 3, 2_000_000, 4];
    const sent = Array.from({ length: 160 }, (_, number) => ({
      number,
      bytes: new Uint8Array(sizes[number % sizes.length]!).fill(number),
    }));
    for (const message of sent) {
      here.post([message], []);
      there.post([message], []);
    }
    for (const one of [received, back]) {
      await one.until(() => one.messages.length === sent.length || one.faults.length > 0);
      assert.deepEqual([one.messages, one.faults], [sent, []]);
    }
    here.close();
    await received.until(() => received.closes > 0);
    assert.deepEqual([received.faults, received.closes, back.closes], [[], 1, 0]);
  },
});

Deno.test({
  name:
    "a door over pipes hands on all that was posted before the other side closed, also where it is posted to meanwhile",
  ignore,
  fn: async () => {
    const [one, other] = pipePair(), here = door(one), there = door(other);
    here.post(Array.from({ length: 3000 }, (_, number) => ({ number, text: "x".repeat(number % 60) })), []);
    here.close();
    await new Promise((resolve) => setImmediate(resolve));
    // Nobody reads this: the kernel refuses it.
    for (let number = 0; number < 10; number++) {
      there.post([number], []);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const received = new Received(there);
    await received.until(() => received.closes > 0 || received.faults.length > 0);
    assert.deepEqual([received.messages.length, received.faults, received.closes], [3000, [], 1]);
    assert.deepEqual([other.read, other.write].filter(isOpen), []);
  },
});

Deno.test({
  name: "a door over pipes sends what waits before it closes, and then has nothing open",
  ignore,
  fn: async () => {
    const [one, other] = pipePair(), here = door(one), received = new Received(door(other));
    for (let count = 0; count < 5; count++) here.post([new Uint8Array(1_000_000), count], []);
    here.close();
    await received.until(() => received.closes > 0 || received.faults.length > 0);
    assert.deepEqual(received.faults, []);
    assert.deepEqual(received.messages.filter((each) => typeof each === "number"), [0, 1, 2, 3, 4]);
    assert.deepEqual([one.read, one.write, other.read, other.write].filter(isOpen), []);
  },
});

Deno.test({
  name: "a door over pipes gives up who does not read, and refuses what is no frame",
  ignore,
  fn: async () => {
    const [one, other] = pipePair(), transport = door(one, 1_000_000), received = new Received(transport);
    for (let count = 0; count < 100; count++) transport.post([new Uint8Array(50_000)], []);
    assert.deepEqual([received.faults, received.closes], [["it does not read what it is sent"], 0]);
    const reader = adoptReader(other.read, discard), writer = adoptWriter(other.write);
    await new Promise<void>((resolve) => reader.once("close", () => resolve()));
    writer.destroy();

    const [two, its] = pipePair(), nonsense = adoptWriter(its.write);
    const refused = new Received(door(two));
    nonsense.write(new Uint8Array(64).fill(0xee));
    await refused.until(() => refused.faults.length > 0);
    assert.deepEqual(refused.faults, ["a post cannot be read: its length is none"]);
    nonsense.destroy();
    closeDescriptor(its.read);
  },
});

Deno.test({
  name: "a door over pipes runs in workers without any permission; the pipes of one that is ended are closed",
  ignore,
  fn: async () => {
    const pair = pipePair();
    const later: (() => void)[] = [];
    const given = new GivenSockets<Worker>({
      mark: (descriptor) => socketCookie(descriptor) ?? pipeMark(descriptor),
      shutDown: () => {},
      closeDescriptor,
      after: (_ms, run) => void later.push(run),
    });
    const workers = pair.map(({ read, write }) => {
      const permissions = "none";
      const worker = new Worker(new URL("./echo_worker.ts", import.meta.url), {
        type: "module",
        deno: { permissions },
      });
      for (const descriptor of [read, write]) given.give(worker, descriptor);
      return worker;
    });
    const said = (worker: Worker) => new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
    const first = [{ type: "a", bytes: new Uint8Array(300_000) }, { type: "b", text: "ä€" }];
    const answer = said(workers[0]!);
    const start = ({ read, write }: PipeEnds) => ({ descriptor: read, writeDescriptor: write });
    workers[1]!.postMessage(start(pair[1]));
    workers[0]!.postMessage({ ...start(pair[0]), first });
    assert.deepEqual(await answer, { post: first });
    const end = said(workers[1]!);
    workers[0]!.terminate();
    given.lost(workers[0]!);
    // A number that is another's by now is let be.
    for (const run of later) run();
    assert.deepEqual(await end, { closed: true });
    workers[1]!.terminate();
    given.lost(workers[1]!);
  },
});

Deno.test({
  name: "a pipe whose number is another's by now is not closed in its place",
  ignore,
  fn: () => {
    const [one, other] = pipePair();
    let later = () => {};
    const given = new GivenSockets<string>({
      mark: (descriptor) => socketCookie(descriptor) ?? pipeMark(descriptor),
      shutDown: () => {},
      closeDescriptor,
      after: (_ms, run) => later = run,
    });
    for (const descriptor of [one.read, one.write]) given.give("smtp-0", descriptor);
    closeDescriptor(one.read);
    // Takes the lowest number that is free.
    const others = socketPair("stream");
    given.lost("smtp-0");
    later();
    assert.ok(others.every(isOpen));
    assert.ok(!isOpen(one.write));
    [...others, other.read, other.write].forEach(closeDescriptor);
  },
});
