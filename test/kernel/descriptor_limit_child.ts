/** A process that may open no more files while a packet with descriptors comes; see descriptor_socket_test.ts. Fails when one stays open, or no later packet arrives. */

import assert from "node:assert/strict";
import { closeDescriptor, DescriptorSocket, MAX_DESCRIPTORS, socketPair } from "../../src/kernel/mod.ts";
import { libc } from "../../src/kernel/libc.ts";

const F_GETFD = 1, F_DUPFD_CLOEXEC = 1030, EBADF = 9, RLIMIT_NOFILE = 7;
const kernel = libc();
const numbers = () => [...Deno.readDirSync("/proc/self/fd")].map(({ name }) => Number(name));
const linkOf = (descriptor: number) => Deno.readLinkSync(`/proc/self/fd/${descriptor}`);

const [sender, receiver] = socketPair("packet").map((descriptor) => new DescriptorSocket(descriptor)) as [
  DescriptorSocket,
  DescriptorSocket,
];
const [one, other] = socketPair("stream");
const link = linkOf(one);
/** How many descriptors stand for the one that is sent. The list has one that is closed when it is looked at. */
function copies(): number {
  return numbers().filter((number) => {
    try {
      return linkOf(number) === link;
    } catch {
      return false;
    }
  }).length;
}
const old = new Uint8Array(16), low = new Uint8Array(16);
kernel.must("test", "prlimit64", 0, RLIMIT_NOFILE, 0, old);
const highest = Math.max(...numbers());
// Room for two more at most, beside gaps below.
const spare: number[] = [];
while ((spare.at(-1) ?? 0) <= highest) spare.push(kernel.must("test", "fcntl", one, F_DUPFD_CLOEXEC, 0));
low.set(old);
new DataView(low.buffer).setBigUint64(0, BigInt(Math.max(...spare) + 3), true);
try {
  assert(sender.send(1, Array(MAX_DESCRIPTORS).fill(one)));
  kernel.must("test", "prlimit64", 0, RLIMIT_NOFILE, low, 0);
  await assert.rejects(() => receiver.receive(), /may open no more/);
} finally {
  kernel.must("test", "prlimit64", 0, RLIMIT_NOFILE, old, 0);
}
spare.forEach(closeDescriptor);
assert.equal(copies(), 1);
assert(sender.send(2, [one]));
const got = await receiver.receive();
assert.equal(got?.note, 2);
for (const descriptor of got.descriptors) assert(kernel.call("fcntl", descriptor, F_GETFD, 0) !== -EBADF);
[...got.descriptors, one, other].forEach(closeDescriptor);
Deno.exit(0);
