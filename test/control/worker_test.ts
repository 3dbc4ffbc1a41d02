/** The control isolate in the real runtime, with no permission at all. */

import { deepEqual, equal } from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { askControl } from "../../src/control/mod.ts";
import { detachDescriptor } from "../../src/sockets/mod.ts";
import type { ControlToMain, HandedSession, ToIsolate, ToSupervisor } from "../../src/protocol/mod.ts";
import { FakeSystem } from "./harness.ts";

Deno.test("workers/control.ts logs and answers without any permission", async () => {
  const folder = await Deno.makeTempDir();
  const worker = new Worker(new URL("../../workers/control.ts", import.meta.url), {
    type: "module",
    deno: { permissions: "none" },
  } as WorkerOptions);
  const received: (ToSupervisor | ControlToMain)[] = [];
  let wake = () => {};
  worker.onmessage = ({ data }) => {
    received.push(...Array.isArray(data) ? data : [data]);
    wake();
  };
  const until = async (type: (ToSupervisor | ControlToMain)["type"]) => {
    while (!received.some((message) => message.type === type)) await new Promise<void>((resolve) => wake = resolve);
  };
  const post = (message: ToIsolate | HandedSession[], transfer: Transferable[] = []) =>
    worker.postMessage(message, transfer);
  const { settings } = new FakeSystem({}).isolate;
  const events = new MessageChannel();
  post({ type: "start", role: "control", index: 0, settings, verbose: false, traces: [] });
  post({ type: "door", name: "smtp-control", peer: 0, life: 1, port: events.port1 }, [events.port1]);
  // One that stands in the place of another.
  const replaced = new MessageChannel();
  post({ type: "door", name: "relay-control", peer: 0, life: 2, port: replaced.port1 }, [replaced.port1]);
  await until("ready");
  events.port2.postMessage([{ type: "smtp-tls", session: "00000000000000a1", ciphers: "c" }]);
  await until("log");
  deepEqual(received.at(-1), {
    type: "log",
    target: 1,
    lines: [{ level: "info", text: "00000000000000a1 smtp tls ciphers=c" }],
  });

  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    const descriptor = detachDescriptor(socket);
    post([{
      type: "session",
      descriptor,
      listener: -1,
      peer: { address: "local", port: 0, uid: 0 },
      sessionNumber: 0,
    }]);
  });
  server.listen(`${folder}/c.sock`);
  await once(server, "listening");
  const lines: string[] = [];
  for await (const answer of askControl(`${folder}/c.sock`, { do: "show-stats" })) {
    if ("line" in answer) lines.push(answer.line);
  }
  deepEqual(lines.slice(0, 3), ["control.session=1", "isolate.restart=1", "smtp.tls=1"]);
  equal(lines.length, 5);

  post({ type: "stop" });
  await until("stopped");
  worker.terminate();
  events.port2.close();
  replaced.port2.close();
  server.close();
  await once(server, "close");
  await Deno.remove(folder, { recursive: true });
});
