/** A host that is the attacker's: says to the parent, over the link, what no host says, or says it of workers that it does not have. */

import { DoorChannel, SocketTransport } from "../../../src/isolate/mod.ts";
import { libc } from "../../../src/kernel/libc.ts";
import type { ToHost } from "../../../src/protocol/mod.ts";
import { LINK_DESCRIPTOR, LINK_WRITE_DESCRIPTOR } from "../../../src/protocol/processes.ts";

/** By name, what is said once the parent has named a worker, which is `worker`. */
const SAID: Readonly<Record<string, (worker: number) => readonly unknown[]>> = {
  "a pong of no ping": () => [{ type: "pong", count: 1e9 }],
  "a strange type": () => [{ type: "__proto__" }],
  "a null": () => [null],
  // Of a worker that may have ended: nobody hears it. Then of none.
  "others' words": (worker) => [
    ...[0, worker + 1000, -1 >>> 0, Number.MAX_SAFE_INTEGER].flatMap((other) => [
      { type: "said", worker: other, message: { type: "ready" } },
      { type: "error", worker: other, reason: "made to die" },
      { type: "fault", worker: other, fault: "made up" },
    ]),
    { type: "said", worker, message: { type: "request", call: 1, request: { type: "stop" } } },
  ],
  "a huge reason": (worker) => [{ type: "error", worker, reason: "x".repeat(32 * 1024 * 1024) }],
  "a stop for main": (worker) => [{ type: "said", worker, message: [{ type: "stop", call: 1 }] }],
};

/** Serves the parent with `payload`; never returns. `nonsense` is none of SAID: octets that are no frame. */
export async function runHostileHost(payload: string): Promise<never> {
  if (payload === "nonsense") {
    const octets = new Uint8Array(65536).fill(0xee);
    libc().symbols.syscall(
      BigInt(Deno.build.arch === "x86_64" ? 1 : 64),
      BigInt(LINK_WRITE_DESCRIPTOR),
      libc().addressOf(octets),
      65536n,
      0n,
      0n,
      0n,
    );
  } else {
    const link = new DoorChannel<unknown, ToHost>();
    let said = false;
    link.onmessage = (message) => {
      // Control may say more: it answers smtpctl.
      if (message.type !== "start" || message.role !== "smtp" || said) return;
      said = true;
      for (const post of SAID[payload]!(message.worker)) link.send(post);
    };
    link.attach(new SocketTransport(LINK_DESCRIPTOR, { writeDescriptor: LINK_WRITE_DESCRIPTOR }));
    link.send({ type: "up" });
  }
  await new Promise(() => setInterval(() => {}, 1000));
  throw new Error("unreachable");
}
