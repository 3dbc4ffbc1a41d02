/** Connections over unix sockets whose isolate dies: a real worker, real sockets, the real C library. */

import assert from "node:assert/strict";
import net from "node:net";
import { once } from "node:events";
import { GivenSockets } from "../../src/process/given_sockets.ts";
import { Native } from "../../src/daemon/machine/native.ts";
import { detachDescriptor } from "../../src/sockets/mod.ts";

/** Adopts the descriptor that it is sent, answers what is said, and dies of the word "die". */
const WORKER = `
import net from "node:net";
self.onmessage = ({ data: fd }) => {
  const socket = new net.Socket({ fd, readable: true, writable: true });
  socket.on("data", (bytes) => {
    if (String(bytes) === "die") throw new Error("made to die");
    socket.write("here");
  });
};`;

class SocketHarness {
  readonly native = new Native();
  readonly delayed: Array<() => void> = [];
  readonly sockets = new GivenSockets<string>({
    mark: (descriptor) => this.native.socketCookie(descriptor),
    shutDown: (descriptor) => this.native.shutDown(descriptor),
    closeDescriptor: (descriptor) => this.native.close(descriptor),
    after: (_ms, run) => void this.delayed.push(run),
  });
  readonly folder = Deno.makeTempDirSync();
  readonly worker = new Worker(URL.createObjectURL(new Blob([WORKER], { type: "application/javascript" })), {
    type: "module",
  });
  readonly died = new Promise<void>((resolve) => {
    this.worker.onerror = (event) => {
      event.preventDefault();
      this.worker.terminate();
      resolve();
    };
  });
  descriptor = -1;
  readonly server = net.createServer({ pauseOnConnect: true }, (socket) => {
    this.descriptor = detachDescriptor(socket);
    this.sockets.give("smtp-0", this.descriptor);
    this.worker.postMessage(this.descriptor);
  });

  /** A client that the worker serves. */
  async connect(): Promise<net.Socket> {
    const path = `${this.folder}/socket`;
    if (!this.server.listening) await new Promise<void>((resolve) => this.server.listen(path, resolve));
    const client = net.connect(path);
    client.write("hello");
    await once(client, "data");
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.worker.terminate();
    await new Promise((resolve) => this.server.close(resolve));
    Deno.removeSync(this.folder, { recursive: true });
  }
}

const linux = Deno.build.os === "linux";

Deno.test(
  { name: "who is connected to an isolate that dies sees the end, and nothing stays open", ignore: !linux },
  async () => {
    await using harness = new SocketHarness();
    const client = await harness.connect();
    const cookie = harness.native.socketCookie(harness.descriptor);
    client.write("die");
    await harness.died;
    const ended = once(client, "end");
    client.resume();
    harness.sockets.lost("smtp-1");
    assert.equal(harness.native.socketCookie(harness.descriptor), cookie, "the runtime leaves it open");
    harness.sockets.lost("smtp-0");
    await ended;
    assert.equal(harness.delayed.length, 1);
    harness.delayed[0]!();
    assert.notEqual(harness.native.socketCookie(harness.descriptor), cookie);
    client.destroy();
  },
);

Deno.test({ name: "a number that another connection has by now is let be", ignore: !linux }, () => {
  const cookies = new Map([[7, 100n], [8, 200n], [9, 300n]]);
  const done: string[] = [];
  let later = () => {};
  const sockets = new GivenSockets<string>({
    mark: (descriptor) => cookies.get(descriptor) ?? null,
    shutDown: (descriptor) => void done.push(`shut down ${descriptor}`),
    closeDescriptor: (descriptor) => void done.push(`close ${descriptor}`),
    after: (_ms, run) => void (later = run),
  });
  for (const descriptor of [7, 8, 9, 10]) sockets.give("control-0", descriptor);
  cookies.set(7, 101n);
  sockets.lost("control-0");
  cookies.delete(8);
  later();
  sockets.lost("control-0");
  assert.deepEqual(done, ["shut down 8", "shut down 9", "close 9"]);
});
