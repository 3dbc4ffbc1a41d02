/** Places that the daemon listens at, when the configuration is read again. */

import assert from "node:assert/strict";
import type net from "node:net";
import type { Listener } from "../../src/protocol/mod.ts";
import { Places, type Purpose } from "../../src/daemon/sockets/places.ts";

const listener = (id: number, port: number) => ({ id, address: "192.0.2.1", port, socket: false }) as Listener;
const wanted = (purpose: Listener) => ({ place: { address: purpose.address, port: purpose.port }, purpose });

Deno.test("connections that come while a place is closed for good have no listener of the new configuration", async () => {
  const closing = Promise.withResolvers<void>();
  const accepts = new Map<string, (socket: net.Socket) => void>();
  const purposes: (Purpose | undefined)[] = [];
  const [gone, stays, now] = [listener(0, 25), listener(1, 587), listener(0, 587)];
  const places: Places = new Places({
    open: (where, accept) => {
      accepts.set("port" in where ? String(where.port) : "", accept);
      return Promise.resolve(() => closing.promise);
    },
  }, { accept: () => purposes.push(places.purposeAt(wanted(gone).place)), warn: () => {} });
  for (const one of [gone, stays]) await places.open(wanted(one));
  const change = await places.prepare([wanted(now)]);
  assert.equal(places.purposeAt(wanted(gone).place), gone);
  const committed = change.commit();
  // It waited in the kernel until the socket is closed.
  accepts.get("25")!({} as net.Socket);
  assert.deepEqual(purposes, [undefined]);
  assert.equal(places.purposeAt(wanted(now).place), now);
  closing.resolve();
  await committed;
});
