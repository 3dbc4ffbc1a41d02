/** Descriptors that travel over a unix socket: real sockets of Linux, both ends in this process. */

import assert from "node:assert/strict";
import { closeDescriptor, DescriptorSocket, MAX_DESCRIPTORS, socketPair } from "../../src/kernel/mod.ts";
import { libc } from "../../src/kernel/libc.ts";

const ignore = Deno.build.os !== "linux";
const F_GETFD = 1, FD_CLOEXEC = 1;

const closesOnExec = (descriptor: number) => libc().call("fcntl", descriptor, F_GETFD, 0) === FD_CLOEXEC;
/** What a descriptor stands for, such as `socket:[4711]`. */
const stands = (descriptor: number) => Deno.readLinkSync(`/proc/self/fd/${descriptor}`);

/** How many descriptors of this process stand for one of these. Of no others: tests of other files open and close theirs meanwhile. */
function countOf(links: readonly string[]): number {
  return [...Deno.readDirSync("/proc/self/fd")].filter(({ name }) => links.includes(linkOf(Number(name)) ?? "")).length;
}

function linkOf(descriptor: number): string | null {
  try {
    return stands(descriptor);
  } catch {
    return null;
  }
}

function ends(): { a: DescriptorSocket; b: DescriptorSocket; links: readonly string[] } & Disposable {
  const pair = socketPair("packet"), links = pair.map(stands);
  const [a, b] = pair.map((descriptor) => new DescriptorSocket(descriptor)) as [DescriptorSocket, DescriptorSocket];
  return { a, b, links, [Symbol.dispose]: () => (a.close(), b.close()) };
}

Deno.test({
  name:
    "a packet brings its number and its descriptors, closed for programs that are started, and the sender keeps its own",
  ignore,
  fn: async () => {
    using pair = ends();
    const sent = [socketPair("stream"), socketPair("packet")].flat();
    assert(sent.every(closesOnExec));
    for (
      const [note, descriptors] of [[0, []], [7, sent.slice(0, 1)], [Number.MIN_SAFE_INTEGER, sent], [
        Number.MAX_SAFE_INTEGER,
        [],
      ]] as const
    ) {
      assert.equal(pair.a.send(note, descriptors), true);
      const got = await pair.b.receive();
      assert.equal(got?.note, note);
      assert.deepEqual(got.descriptors.map(stands), descriptors.map(stands));
      assert(got.descriptors.every(closesOnExec) && got.descriptors.every((descriptor) => !sent.includes(descriptor)));
      got.descriptors.forEach(closeDescriptor);
    }
    sent.forEach(closeDescriptor);
  },
});

Deno.test({
  name: "as many descriptors as a packet may have arrive; more, or a number that is none, are refused by send()",
  ignore,
  fn: async () => {
    using pair = ends();
    const [one, other] = socketPair("stream");
    assert(pair.a.send(1, Array(MAX_DESCRIPTORS).fill(one)));
    const got = await pair.b.receive();
    assert.equal(got?.descriptors.length, MAX_DESCRIPTORS);
    got.descriptors.forEach(closeDescriptor);
    assert.throws(() => pair.a.send(1, Array(MAX_DESCRIPTORS + 1).fill(one)), RangeError);
    assert.throws(() => pair.a.send(1.5, [one]), RangeError);
    assert.throws(() => pair.a.send(1, [one, 999_999]), /sendmsg\(2\): .*EBADF/);
    [one, other].forEach(closeDescriptor);
  },
});

Deno.test({
  name: "send() never waits: it is false when the other side does not read, and again true when it has",
  ignore,
  fn: async () => {
    using pair = ends();
    let sent = 0;
    while (pair.a.send(sent, []) && sent < 1_000_000) sent++;
    assert(sent > 0 && sent < 1_000_000);
    for (let note = 0; note < sent; note++) assert.equal((await pair.b.receive())?.note, note);
    assert.equal(pair.a.send(sent, []), true);
    assert.equal((await pair.b.receive())?.note, sent);
  },
});

Deno.test({
  name:
    "a receiver that waits gets what is sent then, and null when either side closes; send() to one that is gone is false",
  ignore,
  fn: async () => {
    const [first, second] = [ends(), ends()];
    const links = [...first.links, ...second.links];
    assert.equal(countOf(links), 4);
    const waits = first.b.receive();
    await assert.rejects(() => first.b.receive(), /read already/);
    assert(first.a.send(3, []));
    assert.deepEqual(await waits, { note: 3, descriptors: [] });
    assert(first.a.send(4, []));
    const end = Promise.all([second.a.receive(), first.b.receive()]);
    second.a.close();
    first.a.close();
    assert.deepEqual(await end, [null, { note: 4, descriptors: [] }]);
    assert.equal(await first.b.receive(), null);
    assert.equal(first.b.send(1, []), false);
    assert.equal(first.a.send(1, []), false);
    [first.b, second.b].forEach((socket) => socket.close());
    assert.equal(countOf(links), 0);
  },
});

Deno.test({
  name: "a sender without end does not keep the receiver's timers from running",
  ignore,
  fn: async () => {
    using pair = ends();
    let over = false;
    const timer = setTimeout(() => over = true, 0);
    let packets = 0;
    while (!over && packets < 100_000) {
      pair.a.send(++packets, []);
      await pair.b.receive();
    }
    clearTimeout(timer);
    assert(packets < 100_000);
  },
});

/** Packets that send() does not make, with the descriptors that come with them. */
const nonsense: readonly { readonly name: string; readonly octets: Uint8Array; readonly descriptors: number }[] = [
  { name: "too short", octets: new Uint8Array(11), descriptors: 1 },
  { name: "too long", octets: new Uint8Array(13), descriptors: 1 },
  { name: "empty, with descriptors", octets: new Uint8Array(0), descriptors: 2 },
  { name: "fewer descriptors than it says", octets: new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 2]), descriptors: 1 },
  {
    name: "more descriptors than it says",
    octets: new Uint8Array([0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]),
    descriptors: 2,
  },
  { name: "a number that is none", octets: new Uint8Array([1, 0, 0, 0, 0, 0, 0xf8, 0x7f, 0, 0, 0, 0]), descriptors: 0 },
  { name: "more descriptors than allowed", octets: new Uint8Array(12), descriptors: 200 },
];
for (const { name, octets, descriptors } of nonsense) {
  Deno.test({
    name: `a packet that is refused closes its descriptors: ${name}`,
    ignore,
    fn: async () => {
      const [raw, read] = socketPair("packet");
      const b = new DescriptorSocket(read);
      const links = [raw, read].map(stands);
      sendRaw(raw, octets, Array(descriptors).fill(raw));
      await assert.rejects(() => b.receive(), /Descriptors were refused/);
      assert.equal(countOf(links), 2);
      // It goes on with the next one.
      const sender = new DescriptorSocket(raw);
      assert(sender.send(5, []));
      assert.deepEqual(await b.receive(), { note: 5, descriptors: [] });
      sender.close();
      b.close();
    },
  });
}

/** sendmsg(2) as a hostile sender could call it. */
function sendRaw(socket: number, octets: Uint8Array, descriptors: readonly number[]): void {
  const kernel = libc();
  const packet = kernel.pin(Math.max(1, octets.length)),
    control = kernel.pin(16 + Math.ceil(descriptors.length / 2) * 8);
  const iov = kernel.pin(16), header = kernel.pin(56);
  packet.bytes.set(octets);
  control.view.setBigUint64(0, BigInt(16 + descriptors.length * 4), true);
  control.view.setInt32(8, 1, true);
  control.view.setInt32(12, 1, true);
  descriptors.forEach((descriptor, at) => control.view.setInt32(16 + at * 4, descriptor, true));
  iov.view.setBigUint64(0, packet.address, true);
  iov.view.setBigUint64(8, BigInt(octets.length), true);
  header.view.setBigUint64(16, iov.address, true);
  header.view.setBigUint64(24, 1n, true);
  if (descriptors.length > 0) {
    header.view.setBigUint64(32, control.address, true);
    header.view.setBigUint64(40, BigInt(16 + descriptors.length * 4), true);
  }
  assert(kernel.symbols.sendmsg(socket, header.bytes, 0) >= 0, `errno ${kernel.errno}`);
}

Deno.test({
  name: "where no more files may be open, a packet's descriptors are refused and closed, and a later one arrives",
  ignore,
  fn: async () => {
    // The limit is that of a process: one of its own.
    const child = new URL("./descriptor_limit_child.ts", import.meta.url).pathname;
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", "--no-check", "--cached-only", "--quiet", child],
    }).output();
    assert(success, new TextDecoder().decode(stderr));
  },
});
