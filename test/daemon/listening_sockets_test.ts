/** The watch over listening sockets: one that stands still is opened anew, in its place; the kernel's word is made up. */

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { backlogFor, ListeningSockets } from "../../src/daemon/sockets/listening_sockets.ts";
import { Native } from "../../src/daemon/machine/native.ts";
import { freePort } from "../ports.ts";
import { systemClock } from "../../src/clock.ts";

const backlogs = [
  { descriptors: null, sessions: 507, sockets: 3, want: 4096 },
  { descriptors: 1_048_576, sessions: 524_283, sockets: 3, want: 4096 },
  { descriptors: 4096, sessions: 2043, sockets: 3, want: 320 },
  { descriptors: 256, sessions: 123, sockets: 3, want: 16 },
  { descriptors: 1024, sessions: 960, sockets: 0, want: 16 },
];
for (const { descriptors, sessions, sockets, want } of backlogs) {
  Deno.test(`backlogFor(${descriptors}, ${sessions}, ${sockets}) is ${want}`, () => {
    assert.equal(backlogFor({ descriptors, sessions, sockets }), want);
  });
}

/** Says hello to who connects; `waits` is what the kernel says. */
function harness() {
  const native = new Native();
  const state = { waits: false, served: 0, warnings: [] as string[] };
  const sockets = new ListeningSockets({
    native: {
      closeOnExec: (descriptor) => native.closeOnExec(descriptor),
      duplicate: (descriptor) => native.duplicate(descriptor),
      listeningAt: (descriptor) => native.listeningAt(descriptor),
      someoneWaits: () => state.waits,
    },
    backlog: 16,
    warn: (text) => void state.warnings.push(text),
    debug: () => {},
    clock: { ...systemClock, every: () => () => {} },
  });
  const accept = (socket: net.Socket) => {
    state.served++;
    socket.end("hello", () => socket.destroy());
  };
  return { sockets: sockets, state, accept };
}

async function hello(where: net.NetConnectOpts): Promise<void> {
  const socket = net.connect(where);
  const [bytes] = await once(socket, "data");
  assert.equal(String(bytes), "hello");
  socket.destroy();
  await once(socket, "close");
}

Deno.test("a socket at which somebody waits in vain is opened anew at its second look, on its port and on its path", async () => {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/s`, port = freePort();
  const { sockets: sockets, state, accept } = harness();
  try {
    await sockets.open({ address: "127.0.0.1", port }, accept);
    await sockets.open({ path, mode: 0o600 }, accept);
    const everywhere = async () => {
      await hello({ host: "127.0.0.1", port });
      await hello({ path });
    };
    state.waits = true;
    await sockets.look();
    await everywhere();
    await sockets.look();
    assert.deepEqual(state.warnings, [], "those that accept are let alone");
    await sockets.look();
    assert.equal(state.warnings.length, 2);
    assert.match(state.warnings[0]!, /^warn: 127\.0\.0\.1:\d+ did not accept connections and was opened anew/);
    await everywhere();
    state.waits = false;
    await sockets.look();
    await sockets.look();
    assert.equal(state.warnings.length, 2);
    assert.equal(state.served, 4);
  } finally {
    sockets.close();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("0.0.0.0 and :: listen at one port beside each other, and each serves its own family", async () => {
  const { sockets, state, accept } = harness();
  const port = freePort();
  try {
    await sockets.open({ address: "0.0.0.0", port }, accept);
    await sockets.open({ address: "::", port }, accept);
    await hello({ host: "127.0.0.1", port });
    await hello({ host: "::1", port });
    assert.equal(state.served, 2);
    await assert.rejects(
      sockets.open({ address: "::", port }, accept),
      /cannot listen on \[::\]:\d+: the address is in use/,
    );
  } finally {
    sockets.close();
  }
});

Deno.test(":: alone leaves IPv4 to others", async () => {
  const { sockets, accept } = harness();
  const port = freePort();
  try {
    await sockets.open({ address: "::", port }, accept);
    const other = net.createServer((socket) => socket.end("other"));
    other.listen({ host: "127.0.0.1", port });
    await once(other, "listening");
    await hello({ host: "::1", port });
    other.close();
    await once(other, "close");
  } finally {
    sockets.close();
  }
});
