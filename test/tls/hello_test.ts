/** The name in a ClientHello: of real clients, cut anywhere, and of what only looks like one. */

import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import tls from "node:tls";
import { MAX_HELLO_OCTETS, readHello } from "../../src/tls/mod.ts";

const octets = (...parts: (number | readonly number[])[]): number[] => parts.flat();
const vector = (size: 1 | 2 | 3, content: readonly number[]): number[] => [
  ...[content.length >> 16, content.length >> 8, content.length].slice(3 - size).map((value) => value & 255),
  ...content,
];
const ascii = (text: string): number[] => [...new TextEncoder().encode(text)];
const extension = (type: number, data: readonly number[]) => octets([type >> 8, type & 255], vector(2, data));
const serverName = (names: readonly number[]) => extension(0, vector(2, names));
const hostName = (name: string) => octets(0, vector(2, ascii(name)));
const NO_EXTENSIONS = null;

/** A whole handshake message; `extensions` null leaves the field out, as TLS 1.2 allows. */
function hello(extensions: readonly number[] | null, type = 1): number[] {
  const fixed = octets([3, 3], Array(32).fill(7), vector(1, Array(32).fill(9)), vector(2, [0x13, 1]), vector(1, [0]));
  return octets(type, vector(3, octets(fixed, extensions === null ? [] : vector(2, extensions))));
}
const record = (content: readonly number[], type = 22) => octets(type, [3, 1], vector(2, content));

const rows: readonly { because: string; sent: readonly number[]; want: string | null | "reading" }[] = [
  { because: "a name", sent: record(hello(serverName(hostName("mx.example.org")))), want: "mx.example.org" },
  {
    because: "a name behind other extensions",
    sent: record(hello(octets(extension(43, [2, 3, 4]), extension(21, []), serverName(hostName("a.example"))))),
    want: "a.example",
  },
  { because: "no name among extensions", sent: record(hello(extension(43, [2, 3, 4]))), want: null },
  { because: "no extensions at all", sent: record(hello(NO_EXTENSIONS)), want: null },
  { because: "an empty name", sent: record(hello(serverName(hostName("")))), want: null },
  { because: "a name of an unknown kind", sent: record(hello(serverName([7, 0, 1, 65]))), want: null },
  { because: "a list of names that is cut short", sent: record(hello(extension(0, [0, 9, 0, 0, 9, 65]))), want: null },
  { because: "an extension that goes over the end", sent: record(hello([0, 0, 255, 255, 1])), want: null },
  { because: "another message of the handshake", sent: record(hello(serverName(hostName("x")), 2)), want: null },
  { because: "an alert", sent: record([2, 40], 21), want: null },
  { because: "a version of SSL that is none", sent: [22, 2, 0, 0, 1, 1], want: null },
  { because: "SMTP in clear", sent: ascii("EHLO client.example\r\n"), want: null },
  { because: "HTTP in clear", sent: ascii("GET / HTTP/1.1\r\n"), want: null },
  { because: "nothing", sent: [], want: "reading" },
  { because: "one octet", sent: [22], want: "reading" },
  { because: "a record without content", sent: record([]), want: "reading" },
  { because: "a message longer than any client's", sent: record([1, 255, 255, 255]), want: null },
  { because: "something else in the middle of it", sent: octets(record([1, 0, 0, 90, 3]), 21, 3, 3, 0, 2), want: null },
];
for (const { because, sent, want } of rows) {
  Deno.test(`readHello(): ${because}: ${want}`, () => {
    const state = readHello(Uint8Array.from(sent));
    assert.deepEqual(state, want === "reading" ? { at: "reading" } : { at: "known", name: want });
  });
}

Deno.test("readHello(): a ClientHello in many records, and endless empty records", () => {
  const message = hello(serverName(hostName("mx.example.org")));
  for (const size of [1, 3, 50]) {
    const sent: number[] = [];
    for (let at = 0; at < message.length; at += size) sent.push(...record(message.slice(at, at + size)));
    assert.deepEqual(readHello(Uint8Array.from(sent)), { at: "known", name: "mx.example.org" });
  }
  const empty = Uint8Array.from({ length: MAX_HELLO_OCTETS }, (_, at) => [22, 3, 3, 0, 0][at % 5]!);
  assert.deepEqual(readHello(empty.subarray(0, 4000)), { at: "reading" });
  assert.deepEqual(readHello(empty), { at: "known", name: null });
});

Deno.test("readHello(): what a real client sends is read up to its last octet, and then known", async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = tls.connect({ port, host: "127.0.0.1", servername: "mx.example.org" }).on("error", () => {});
  const [accepted] = await once(server, "connection") as [net.Socket];
  const [sent] = await once(accepted, "data") as [Uint8Array];
  for (let end = 0; end < sent.length; end++) assert.equal(readHello(sent.subarray(0, end)).at, "reading", `${end}`);
  assert.deepEqual(readHello(sent), { at: "known", name: "mx.example.org" });
  client.destroy();
  accepted.destroy();
  await new Promise((resolve) => server.close(resolve));
});

Deno.test("readHello() is total: any octets, and any change of one, give an answer", () => {
  const good = record(hello(octets(extension(43, [2, 3, 4]), serverName(hostName("mx.example.org")))));
  for (let at = 0; at < good.length; at++) {
    for (const value of [0, 1, 127, 255]) {
      const changed = Uint8Array.from(good);
      changed[at] = value;
      assert.match(readHello(changed).at, /reading|known/);
    }
  }
});
