/** Doors over a unix socket: what is posted arrives, what is no post is refused, who does not read is given up, and the end is noticed. */

import assert from "node:assert/strict";
import type net from "node:net";
import fc from "fast-check";
import { MAX_VALUES } from "../../src/isolate/plain_data.ts";
import { MAX_FRAME_OCTETS } from "../../src/isolate/frame_reader.ts";
import { SocketTransport } from "../../src/isolate/socket_transport.ts";
import { adoptSocket } from "../../src/sockets/mod.ts";
import { Received } from "./received.ts";
import { socketPair } from "./socket_pair.ts";

function pair(): { here: SocketTransport; there: SocketTransport; received: Received; end(): void } {
  const [one, other] = socketPair();
  const here = new SocketTransport(one), there = new SocketTransport(other);
  return { here, there, received: new Received(there), end: () => (here.close(), there.close()) };
}

/** The sides of a pair of which one is a bare socket: what is written there is no frame of ours unless it is made so. */
function bare(): { socket: net.Socket; transport: SocketTransport; received: Received } {
  const [one, other] = socketPair();
  const transport = new SocketTransport(other);
  return { socket: adoptSocket(one), transport, received: new Received(transport) };
}

const big = (count: number) => Uint8Array.from({ length: count }, (_, index) => index * 7);

const KEPT: readonly unknown[] = [
  undefined,
  null,
  true,
  false,
  0,
  -0,
  1,
  -1,
  127,
  128,
  2 ** 31 - 1,
  -(2 ** 31),
  2 ** 31,
  2 ** 53,
  0.1,
  NaN,
  Infinity,
  -Infinity,
  0n,
  -1n,
  2n ** 70n,
  "",
  "a",
  "ä",
  "€",
  "\ud800",
  "x\udc00y",
  "a".repeat(63),
  "a".repeat(64),
  "ÿ".repeat(64),
  "€".repeat(70000),
  "\ufeffx",
  "\ud800" + "x".repeat(200),
  [],
  [[]],
  {},
  { a: {} },
  { a: undefined },
  { "": 1 },
  { "a b": 1, "0": 2 },
  new Uint8Array(),
  big(1),
  big(4095),
  big(4096),
  big(300_000),
  [big(5000), big(5000), { x: big(70_000) }],
  Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`name${index}@x.test`, index])),
  { ["n".repeat(1000)]: 1 },
  JSON.parse('{"__proto__": {"a": 1}, "b": 2}'),
];

Deno.test("SocketTransport carries every kind of plain data as it is", async () => {
  const { here, received, end } = pair();
  for (let round = 0; round < 2; round++) {
    here.post(KEPT, []);
    for (const value of KEPT) here.post([value, value], []);
  }
  const expected = [KEPT, ...KEPT.map((value) => [value, value])];
  await received.until(() => received.posts.length >= expected.length * 2 || received.faults.length > 0);
  assert.deepEqual(received.posts, [...expected, ...expected]);
  end();
});

Deno.test("SocketTransport carries 64 objects within each other", async () => {
  const { here, received, end } = pair();
  let lists: unknown = 1, objects: unknown = 1;
  for (let depth = 0; depth < 64; depth++) [lists, objects] = [[lists], { objects }];
  here.post([lists, objects], []);
  await received.until(() => received.posts.length + received.faults.length > 0);
  assert.deepEqual(received.posts, [[lists, objects]]);
  end();
});

const text = fc.string({ unit: "binary", maxLength: 80 });
const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 5 },
    text,
    fc.array(fc.nat(0xffff), { maxLength: 70 }).map((codes) => String.fromCharCode(...codes)),
    fc.integer(),
    fc.double(),
    fc.bigInt(),
    fc.boolean(),
    fc.constantFrom(null, undefined),
    fc.uint8Array({ maxLength: 10_000, size: "large" }),
    fc.array(tie("value"), { maxLength: 6 }),
    fc.dictionary(fc.oneof(text, fc.constantFrom("type", "call", "ids")), tie("value"), {
      maxKeys: 6,
      noNullPrototype: true,
    }),
  ),
})).value;

Deno.test("SocketTransport carries any plain data (property)", async () => {
  const { here, received, end } = pair();
  await fc.assert(
    fc.asyncProperty(fc.array(plain, { minLength: 1, maxLength: 5 }), async (messages) => {
      received.posts.length = 0;
      here.post(messages, []);
      await received.until(() => received.posts.length > 0 || received.faults.length > 0);
      assert.deepEqual(received.faults, []);
      assert.deepEqual(received.posts, [messages]);
    }),
    { numRuns: 300 },
  );
  end();
});

Deno.test("SocketTransport hands on arrays that own their buffers, however little of another they were", async () => {
  const { here, received, end } = pair();
  const whole = big(300_000);
  const views = [whole.subarray(10, 20), whole.subarray(10, 20_000), whole];
  const copies = views.map((view) => view.slice());
  // What comes behind this waits for the other side to read.
  here.post([new Uint8Array(2_000_000)], []);
  here.post(views, []);
  // What is posted was taken at once.
  whole.fill(0);
  const moved = big(100_000);
  here.post([moved, { buffer: moved.buffer }], [moved.buffer]);
  await received.until(() => received.messages.length === 6);
  assert.deepEqual(received.messages.slice(1), [...copies, big(100_000), { buffer: undefined }]);
  for (const each of received.messages.slice(0, 5) as Uint8Array[]) {
    assert.equal(each.buffer.byteLength, each.length);
    structuredClone(each, { transfer: [each.buffer as ArrayBuffer] });
  }
  end();
});

Deno.test("SocketTransport fills storage that was given back again, where the octets fit and fill half of it", async () => {
  const { here, there, received, end } = pair();
  const back = new Received(here);
  const spare = [new ArrayBuffer(256 * 1024), new ArrayBuffer(256 * 1024)], kept = new ArrayBuffer(256 * 1024);
  there.post(spare.map((spent) => ({ spent })), spare);
  // These are no storage to fill: too small, too large, and still the sender's.
  const others = [new ArrayBuffer(1000), new ArrayBuffer(1024 * 1024)];
  there.post([...others.map((spent) => ({ spent })), { kept }], others);
  await back.until(() => back.messages.length === 5);
  assert.deepEqual(back.messages[0], { spent: undefined });
  const sizes = [100_000, 256 * 1024 + 1, 250_000, 200_000, 256 * 1024];
  for (const size of sizes) here.post([big(size)], []);
  await received.until(() => received.messages.length === sizes.length);
  const arrays = received.messages as Uint8Array[];
  assert.deepEqual(arrays, sizes.map(big));
  const from = arrays.map(({ buffer }) => spare.includes(buffer as ArrayBuffer));
  assert.deepEqual(from, [false, false, true, true, false]);
  assert.notEqual(arrays[2]!.buffer, arrays[3]!.buffer);
  assert.ok(new Uint8Array(kept).every((octet) => octet === 0));
  end();
});

Deno.test("SocketTransport fills storage once that is in the first message behind a full frame", async () => {
  const { here, there, received, end } = pair();
  const back = new Received(here);
  const spare = [new ArrayBuffer(256 * 1024)];
  // Two that do not fit into one frame together.
  const many = Array.from({ length: MAX_VALUES - 500_000 }, () => null);
  there.post([many.slice(0, 900_000), { spent: spare[0], many }], spare);
  await back.until(() => back.messages.length === 2 || back.faults.length > 0);
  for (let each = 0; each < 2; each++) here.post([big(256 * 1024)], []);
  await received.until(() => received.messages.length === 2);
  const [first, second] = received.messages as Uint8Array[];
  assert.equal(first!.buffer, spare[0]);
  assert.notEqual(second!.buffer, spare[0]);
  end();
});

Deno.test("SocketTransport keeps the order of posts, of any size and in both directions", async () => {
  const { here, there, received, end } = pair();
  const back = new Received(here);
  const sizes = [0, 1, 5000, 20, 300_000, 3, 2_000_000, 4];
  for (let number = 0; number < 400; number++) {
    const octets = sizes[number % sizes.length]! >> (number > 16 ? 6 : 0);
    here.post([{ number, bytes: new Uint8Array(octets), text: "x".repeat(octets) }], []);
    there.post([{ number }], []);
  }
  await received.until(() => received.messages.length === 400);
  await back.until(() => back.messages.length === 400);
  for (const { messages } of [received, back]) {
    assert.deepEqual(messages.map((message) => (message as { number: number }).number), [...Array(400).keys()]);
  }
  end();
});

Deno.test("SocketTransport keeps every octet where many small posts and large ones follow each other", async () => {
  const { here, received, end } = pair();
  const sent: unknown[] = [];
  for (let burst = 0; burst < 40; burst++) {
    for (let count = 0; count < 150; count++) sent.push({ burst, count, text: "y".repeat(count * 3) });
    sent.push(big(150_000 + burst), "z".repeat(100_000 + burst), big(17_000 + burst));
  }
  for (const message of sent) here.post([message], []);
  await received.until(() => received.messages.length === sent.length || received.faults.length > 0);
  assert.deepEqual(received.messages, sent);
  end();
});

Deno.test("SocketTransport splits a post that is larger than a frame between its messages", async () => {
  const { here, received, end } = pair();
  const chunk = new Uint8Array(MAX_FRAME_OCTETS / 3 | 0);
  here.post([chunk, 1, chunk, 2, chunk, chunk, 3], []);
  await received.until(() => received.messages.length === 7);
  assert.deepEqual(received.messages.map((each) => typeof each === "number" ? each : 0), [0, 1, 0, 2, 0, 0, 3]);
  assert.deepEqual(received.faults, []);
  end();
});

const circle: Record<string, unknown> = {};
circle.a = circle;
let deep: unknown = 1;
for (let depth = 0; depth < 65; depth++) deep = [deep];

Deno.test("SocketTransport.post() throws a clear error for what is no plain data, and goes on", async () => {
  const { here, received, end } = pair();
  const rows: readonly (readonly [unknown, RegExp])[] = [
    [() => 1, /^A function cannot be sent/],
    [Symbol("x"), /^A symbol cannot be sent/],
    [new Map(), /^\[object Map\] cannot be sent/],
    [new Date(0), /^\[object Date\] cannot be sent/],
    [new SharedArrayBuffer(4), /^\[object SharedArrayBuffer\] cannot be sent/],
    [new Int32Array(1), /cannot be sent/],
    [circle, /^More than 64 objects within each other/],
    [deep, /^More than 64 objects within each other/],
    [new Uint8Array(MAX_FRAME_OCTETS + 1), /^A message of \d+ octets cannot be sent: 67108864 may be/],
    [new Array(MAX_VALUES - 1).fill(null), /^A message of 4000004 values cannot be sent: 4000000 may be/],
  ];
  for (const [message, why] of rows) {
    assert.throws(() => here.post([{ fresh: String(why), message }], []), { message: why });
    here.post([{ fresh: String(why), message: "well" }], []);
  }
  await received.until(() => received.messages.length === rows.length);
  assert.deepEqual(received.messages, rows.map(([, why]) => ({ fresh: String(why), message: "well" })));
  end();
});

const word = (value: number) => [value & 255, value >> 8 & 255, value >> 16 & 255, value >>> 24];
/** A frame around the octets of its messages. */
function frame(messages: number, values: readonly number[], lengths: readonly number[] = []): number[] {
  const head = [...word(messages), ...values, ...lengths.flatMap(word), ...word(lengths.length)];
  const rest = head.length + 4 + lengths.reduce((sum, length) => sum + length, 0);
  return [...word(rest), ...word(head.length), ...head];
}
const name = (text: string) => [64 + text.length, ...new TextEncoder().encode(text)];
/** A length as it stands in front of a list. */
function lengthOf(length: number): number[] {
  return length < 128 ? [length] : [length & 127 | 128, ...lengthOf(length >>> 7)];
}
const SHAPE_NAMES = Array.from({ length: 48 }, (_, index) => name(String(index + 10))).flat();

const HOSTILE: readonly (readonly [string, readonly number[], RegExp])[] = [
  ["a length beyond the bound", [...word(0xffffffff), ...word(8), ...word(0)], /its length is none/],
  ["a length of nothing", [...word(0), ...word(0), ...word(0)], /its length is none/],
  ["a head longer than the frame", [...word(100), ...word(101), ...word(0)], /its length is none/],
  ["nonsense", Array.from({ length: 64 }, () => 0x41), /its length is none/],
  ["text of HTTP", [...new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")], /its length is none/],
  ["an unknown kind", frame(1, [200]), /no known kind/],
  ["trailing octets", frame(1, [1, 1]), /more in it than it says/],
  ["fewer messages than it says", frame(2, [1]), /ends too early/],
  ["a million messages in no octets", frame(1_000_000, []), /ends too early/],
  ["text that ends too early", frame(1, [100, 1]), /ends too early/],
  ["long text that ends too early", frame(1, [7, ...word(0xffffffff), 1]), /ends too early/],
  ["UTF-16 that ends too early", frame(1, [8, 200, 200, 200, 200, 7, 1]), /ends too early/],
  ["a list of four thousand million", frame(1, [11, 255, 255, 255, 255, 15]), /ends too early/],
  ["a length without end", frame(1, [11, 255, 255, 255, 255, 255, 255, 255]), /length is too long/],
  ["a number cut off", frame(1, [5, 1, 2]), /ends too early/],
  ["a bigint of other text", frame(1, [6, ...name("0x1")]), /bigint is no number/],
  ["a bigint of a list", frame(1, [6, 11, 0]), /a name is no text/],
  ["names that were not said", frame(1, [14, 5]), /names are missing/],
  ["too many names", frame(1, [13, 49]), /too many names/],
  [
    "a name that changes what is inherited",
    frame(1, [13, 1, ...name("__proto__"), 13, 1, ...name("x"), 2]),
    /none of ours/,
  ],
  ["octets apart that are not there", frame(1, [10]), /octets are missing/],
  ["octets apart that belong to nothing", [...frame(1, [1], [3]), 1, 2, 3], /belong to nothing/],
  ["more arrays apart than may be", frame(1, [1], Array(1025).fill(0)), /ends too early/],
  ["a count of arrays beyond the head", [...word(13), ...word(9), ...word(1), 1, ...word(9)], /ends too early/],
  [
    "lengths that do not agree",
    [...word(20), ...word(9), ...word(1), 1, ...word(0), 0, 0, 0, 0, 0, 0, 0],
    /do not agree/,
  ],
  ["65 lists within each other", frame(1, [...Array(65).fill([11, 1]).flat(), 1]), /more than 64 objects/],
  [
    "a list of more values than may be",
    frame(1, [11, ...lengthOf(MAX_VALUES - 1), ...Array(MAX_VALUES).fill(1)]),
    /4000000 values/,
  ],
  ["more messages than may be values", frame(MAX_VALUES + 1, Array(MAX_VALUES + 1).fill(1)), /4000000 values/],
  [
    "objects of few octets and many entries",
    frame(1, [
      11,
      ...lengthOf(100_000),
      13,
      48,
      ...SHAPE_NAMES,
      ...Array(48).fill(1),
      ...Array(100_000).fill([14, 0, ...Array(48).fill(1)]).flat(),
    ]),
    /4000000 values/,
  ],
  [
    "an object with a million names of its own",
    frame(1, [12, ...lengthOf(1_000_000), ...Array(3_000_000).fill(1)]),
    /4000000 values/,
  ],
  ["a million lists within each other", frame(1, [...Array(60_000).fill([11, 1]).flat(), 1]), /more than 64 objects/],
];

for (const [what, octets, fault] of HOSTILE) {
  Deno.test(`SocketTransport refuses ${what} once`, async () => {
    const { socket, received } = bare();
    const ended = new Promise<void>((resolve) => socket.once("close", () => resolve()));
    socket.resume();
    const twice = new Uint8Array([...frame(1, [1]), ...octets, ...frame(1, [1])]);
    socket.write(twice);
    await ended;
    await received.until(() => received.faults.length > 0);
    assert.match(received.faults.join(), fault);
    assert.deepEqual([received.posts, received.faults.length, received.closes], [[[null]], 1, 0]);
  });
}

Deno.test("SocketTransport makes nothing but plain data of a name that changes what is inherited", async () => {
  const { socket, received } = bare();
  socket.write(new Uint8Array(frame(1, [12, 1, ...name("__proto__"), 12, 1, ...name("x"), 2])));
  await received.until(() => received.posts.length > 0);
  const [made] = received.messages as [Record<string, unknown>];
  assert.equal(Object.getPrototypeOf(made), Object.prototype);
  assert.equal(made.x, undefined);
  assert.deepEqual(Object.keys(made), ["__proto__"]);
  socket.destroy();
});

Deno.test("SocketTransport never throws for any octets (property)", async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 60 }), fc.nat(20), fc.boolean(), async (octets, messages, framed) => {
      const { socket, received } = bare();
      socket.resume();
      socket.end(new Uint8Array(framed ? frame(messages, [...octets]) : octets));
      await received.until(() => received.faults.length + received.closes > 0);
      assert.equal(received.faults.length + received.closes, 1);
    }),
    { numRuns: 300 },
  );
});

Deno.test("SocketTransport takes no memory for octets that are announced and do not come", async () => {
  const before = Deno.memoryUsage().external;
  const opened = Array.from({ length: 20 }, () => bare());
  for (const { socket } of opened) {
    socket.write(new Uint8Array([...word(MAX_FRAME_OCTETS), ...word(MAX_FRAME_OCTETS - 4), ...word(1)]));
  }
  const { here, received, end } = pair();
  here.post([1], []);
  await received.until(() => received.posts.length > 0);
  assert.ok(Deno.memoryUsage().external - before < 40 * 1024 * 1024);
  for (const { socket, received } of opened) {
    socket.destroy();
    // It may have been killed while it wrote: that is an end as any other.
    await received.until(() => received.closes > 0);
    assert.deepEqual(received.faults, []);
  }
  end();
});

Deno.test("SocketTransport hands on frames that arrive in pieces of any size", async () => {
  const { socket, received } = bare();
  const octets = new Uint8Array([
    ...frame(1, [10], [5]),
    1,
    2,
    3,
    4,
    5,
    ...frame(2, [1, 2]),
    ...frame(1, [...name("end")]),
  ]);
  for (const octet of octets) {
    socket.write(new Uint8Array([octet]));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await received.until(() => received.posts.length === 3);
  assert.deepEqual(received.posts, [[new Uint8Array([1, 2, 3, 4, 5])], [null, true], ["end"]]);
  socket.destroy();
});

Deno.test("SocketTransport hands on all that was posted before the other side closed, also where it is posted to meanwhile", async () => {
  const [one, other] = socketPair();
  const here = new SocketTransport(one), there = new SocketTransport(other);
  // More than is read at once, less than the kernel holds: it is on its way when this side has closed.
  here.post(Array.from({ length: 3000 }, (_, number) => ({ number, text: "x".repeat(number % 60) })), []);
  here.close();
  await new Promise((resolve) => setImmediate(resolve));
  // Nobody reads this: the kernel refuses it.
  for (let number = 0; number < 10; number++) there.post([number], []);
  const received = new Received(there);
  await received.until(() => received.closes > 0 || received.faults.length > 0);
  assert.deepEqual([received.messages.length, received.faults, received.closes], [3000, [], 1]);
});

Deno.test("SocketTransport gives up who does not read, once, and what is posted afterwards is lost", async () => {
  const [one, other] = socketPair();
  const transport = new SocketTransport(one, { maxWaitingOctets: 1_000_000 });
  const received = new Received(transport);
  for (let count = 0; count < 100; count++) transport.post([new Uint8Array(50_000)], []);
  assert.deepEqual([received.faults, received.closes], [["it does not read what it is sent"], 0]);
  const socket = adoptSocket(other);
  socket.resume();
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  assert.equal(received.faults.length, 1);
});

Deno.test("SocketTransport sends what waits before it closes", async () => {
  const { here, received, end } = pair();
  for (let count = 0; count < 5; count++) here.post([new Uint8Array(1_000_000), count], []);
  here.close();
  await received.until(() => received.closes > 0 || received.faults.length > 0);
  assert.deepEqual(received.faults, []);
  assert.deepEqual(received.messages.filter((each) => typeof each === "number"), [0, 1, 2, 3, 4]);
  end();
});

Deno.test("SocketTransport carries objects with more lists of names than it remembers", async () => {
  const { here, received, end } = pair();
  const messages = Array.from(
    { length: 12_000 },
    (_, index) => ({ type: "x", [`name${index % 9000}`]: index, last: {} }),
  );
  for (let first = 0; first < messages.length; first += 100) here.post(messages.slice(first, first + 100), []);
  await received.until(() => received.messages.length === messages.length || received.faults.length > 0);
  assert.deepEqual(received.messages, messages);
  end();
});

Deno.test("SocketTransport calls nobody after its own close()", async () => {
  const { here, there, received } = pair();
  const back = new Received(here);
  here.post([1], []);
  await received.until(() => received.posts.length > 0);
  here.close();
  await received.until(() => received.closes > 0);
  there.close();
  here.post([2], []);
  assert.deepEqual([back.posts, back.faults, back.closes, received.posts], [[], [], 0, [[1]]]);
});

Deno.test("SocketTransport lets other sockets have their turn when one sends without end", async () => {
  const { socket, received } = bare();
  const flood = new Uint8Array(Array.from({ length: 20_000 }, () => frame(1, [1])).flat());
  socket.write(flood);
  const other = pair();
  await received.until(() => received.posts.length > 0);
  const began = received.posts.length;
  other.here.post([1], []);
  await other.received.until(() => other.received.posts.length > 0);
  assert.ok(
    received.posts.length - began < 1000,
    `${received.posts.length - began} posts came before another socket had its turn`,
  );
  await received.until(() => received.posts.length === 20_000);
  socket.destroy();
  other.end();
});

Deno.test("SocketTransport runs in workers without any permission", async () => {
  const [one, other] = socketPair();
  const workers = [one, other].map(() =>
    new Worker(new URL("./echo_worker.ts", import.meta.url), { type: "module", deno: { permissions: "none" } })
  );
  const said = (worker: Worker) => new Promise((resolve) => worker.onmessage = ({ data }) => resolve(data));
  const first = [{ type: "a", bytes: big(300_000) }, { type: "b", text: "ä€" }];
  const answer = said(workers[0]!);
  workers[1]!.postMessage({ descriptor: other });
  workers[0]!.postMessage({ descriptor: one, first });
  assert.deepEqual(await answer, { post: first });
  const end = said(workers[1]!);
  workers[0]!.postMessage("close");
  assert.deepEqual(await end, { closed: true });
  for (const worker of workers) worker.terminate();
});
