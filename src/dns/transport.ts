/** A question to one name server over UDP or TCP, and the first bytes that come back and match it. Handles the framing of DNS only. */

import { createSocket } from "node:dgram";
import { familyOf, normalAddress } from "../net/mod.ts";
import { connectSocket, withErrorListener } from "../sockets/mod.ts";
import { type Clock, systemClock } from "../clock.ts";

export interface Server {
  readonly address: string;
  readonly port: number;
}

/** Sends `query` and answers with what `accept` makes of a response; null when nothing acceptable came in time. Never rejects. */
export type Exchange = <T>(
  over: "udp" | "tcp",
  server: Server,
  query: Uint8Array,
  timeoutMs: number,
  accept: (bytes: Uint8Array) => T | null,
  clock?: Pick<Clock, "after">,
) => Promise<T | null>;

export const exchange: Exchange = (over, server, query, timeoutMs, accept, clock = systemClock) => {
  return over === "udp" && mayUseUdp(server)
    ? overUdp(server, query, timeoutMs, accept, clock)
    : overTcp(server, query, timeoutMs, accept, clock);
};

/**
 * node:dgram binds the wildcard address, which an isolate may only do when its net list has `0.0.0.0:0` (or `[::]:0`). Without that the
 * refusal cannot be caught, so it is asked for beforehand; all is then asked over TCP.
 */
function mayUseUdp(server: Server): boolean {
  const host = familyOf(server.address) === 6 ? "[::]:0" : "0.0.0.0:0";
  return Deno.permissions.querySync({ name: "net", host }).state === "granted";
}

/** A socket for each question: its port is random and new, as RFC 5452 §4.5 requires. */
function overUdp<T>(
  server: Server,
  query: Uint8Array,
  timeoutMs: number,
  accept: (bytes: Uint8Array) => T | null,
  clock: Pick<Clock, "after">,
): Promise<T | null> {
  return new Promise((resolve) => {
    const socket = withErrorListener(createSocket(familyOf(server.address) === 6 ? "udp6" : "udp4"));
    let open = true;
    const finish = (result: T | null) => {
      if (!open) return;
      open = false;
      cancelLimit();
      socket.close();
      resolve(result);
    };
    const cancelLimit = clock.after(timeoutMs, () => finish(null));
    socket.on("error", () => finish(null));
    socket.on("message", (bytes: Uint8Array, from: { address: string; port: number }) => {
      if (!open || from.port !== server.port || normalAddress(from.address) !== normalAddress(server.address)) return;
      const result = accept(bytes);
      if (result !== null) finish(result);
    });
    socket.send(query, server.port, server.address, (error: Error | null) => {
      if (error) finish(null);
    });
  });
}

/** RFC 1035 §4.2.2: two octets of length, then the message. */
function overTcp<T>(
  server: Server,
  query: Uint8Array,
  timeoutMs: number,
  accept: (bytes: Uint8Array) => T | null,
  clock: Pick<Clock, "after">,
): Promise<T | null> {
  return new Promise((resolve) => {
    const socket = connectSocket({ host: server.address, port: server.port });
    let held: Uint8Array = new Uint8Array(0);
    const finish = (result: T | null) => {
      cancelLimit();
      socket.destroy();
      resolve(result);
    };
    const cancelLimit = clock.after(timeoutMs, () => finish(null));
    socket.on("error", () => finish(null));
    socket.on("close", () => finish(null));
    socket.on("connect", () => socket.write(Uint8Array.from([query.length >> 8, query.length & 255, ...query])));
    socket.on("data", (bytes: Uint8Array) => {
      const all = new Uint8Array(held.length + bytes.length);
      all.set(held);
      all.set(bytes, held.length);
      held = all;
      // A message is at most 65535 octets, so `held` is bounded by that and one read.
      if (held.length < 2) return;
      const length = held[0]! * 256 + held[1]!;
      if (held.length >= length + 2) finish(accept(held.subarray(2, length + 2)));
    });
  });
}
