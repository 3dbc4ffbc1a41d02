/** PROXY headers, whole and in pieces: whose connection it is, how much is read, and what is refused and why. */

import assert from "node:assert/strict";
import { ProxyHeader, type ProxySource } from "../../src/smtp/proxy/proxy_header.ts";
import { bytesOf } from "./support.ts";

const SIGNATURE = "\r\n\r\n\0\r\nQUIT\n";

/** A header of version 2. */
function v2(command: number, family: number, rest: readonly number[] | string, length = rest.length): string {
  const octets = typeof rest === "string" ? rest : String.fromCharCode(...rest);
  return SIGNATURE + String.fromCharCode(command, family, length >> 8, length & 255) + octets;
}

const V4 = [192, 0, 2, 1, 198, 51, 100, 9, 0x10, 0xe1, 0, 25];
const V6 = [...[0x20, 1, 0xd, 0xb8], ...Array(11).fill(0), 1, ...Array(16).fill(9), 0x10, 0xe1, 0, 25];
const MAPPED = [...Array(10).fill(0), 255, 255, 192, 0, 2, 1, ...Array(16).fill(9), 0x10, 0xe1, 0, 25];
const TLV = [4, 0, 3, 1, 2, 3];

const good: readonly { text: string; want: ProxySource | null; why: string }[] = [
  {
    text: "PROXY TCP4 192.0.2.1 198.51.100.9 4321 25\r\n",
    want: { address: "192.0.2.1", port: 4321 },
    why: "version 1, IPv4",
  },
  {
    text: "PROXY TCP6 2001:DB8:0::1 2001:db8::2 4321 25\r\n",
    want: { address: "2001:db8::1", port: 4321 },
    why: "version 1, IPv6 in its own spelling",
  },
  {
    text: `PROXY TCP6 ${Array(8).fill("ffff").join(":")} ${Array(8).fill("ffff").join(":")} 65535 65535\r\n`,
    want: { address: Array(8).fill("ffff").join(":"), port: 65535 },
    why: "version 1, as long as addresses can be",
  },
  { text: "PROXY UNKNOWN\r\n", want: null, why: "version 1, the shortest" },
  { text: `PROXY UNKNOWN ${"f".repeat(91)}\r\n`, want: null, why: "version 1, the longest: 107 octets" },
  { text: v2(0x21, 0x11, V4), want: { address: "192.0.2.1", port: 4321 }, why: "version 2, IPv4" },
  { text: v2(0x21, 0x21, V6), want: { address: "2001:db8::1", port: 4321 }, why: "version 2, IPv6" },
  { text: v2(0x21, 0x21, MAPPED), want: { address: "192.0.2.1", port: 4321 }, why: "version 2, IPv4 in IPv6" },
  {
    text: v2(0x21, 0x11, [...V4, ...TLV]),
    want: { address: "192.0.2.1", port: 4321 },
    why: "what else it says is skipped",
  },
  {
    text: v2(0x21, 0x11, [...V4, ...Array(16_372).fill(255)]),
    want: { address: "192.0.2.1", port: 4321 },
    why: "what else it says makes no sense, and is long",
  },
  { text: v2(0x21, 0x31, Array(216).fill(65)), want: null, why: "a unix socket at the proxy's has no address" },
  { text: v2(0x20, 0x00, []), want: null, why: "LOCAL: the proxy itself" },
  { text: v2(0x20, 0x11, V4), want: null, why: "LOCAL, whatever addresses it has" },
];

const bad: readonly { text: string; want: RegExp; why: string }[] = [
  { text: "EHLO a.example\r\n", want: /no signature/, why: "a client that came directly" },
  { text: "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03 and so on", want: /no signature/, why: "TLS without a header" },
  { text: "PROXX TCP4 192.0.2.1", want: /no signature/, why: "a wrong word" },
  { text: "\r\n\r\n\0\r\nQUIS\n!\x11\0\x0c", want: /no signature/, why: "a wrong signature" },
  { text: "PROXY TCP4 192.0.2.1 198.51.100.9 4321\r\n", want: /cannot be read/, why: "a port is missing" },
  { text: "PROXY TCP4  192.0.2.1 198.51.100.9 4321 25\r\n", want: /cannot be read/, why: "two blanks" },
  { text: "PROXY TCP5 192.0.2.1 198.51.100.9 4321 25\r\n", want: /cannot be read/, why: "no such family" },
  { text: "PROXY TCP4 192.0.2.1 198.51.100.9 04321 25\r\n", want: /cannot be read/, why: "a zero in front" },
  { text: "PROXY TCP4 192.0.2.1 198.51.100.9 4321 65536\r\n", want: /bad port/, why: "a port too high" },
  { text: "PROXY TCP4 2001:db8::1 2001:db8::2 4321 25\r\n", want: /bad address/, why: "the other family" },
  { text: "PROXY TCP4 192.0.2.256 198.51.100.9 4321 25\r\n", want: /bad address/, why: "no octet" },
  { text: "PROXY TCP6 2001:db8::1::2 2001:db8::2 4321 25\r\n", want: /bad address/, why: "two gaps" },
  { text: "PROXY UNKNOWN abcd\nPROXY UNKNOWN\r\n", want: /CRLF/, why: "a bare LF" },
  { text: "PROXY UNKNOWN " + "f".repeat(93), want: /longer than 107/, why: "no end" },
  { text: v2(0x11, 0x11, V4), want: /version 1/, why: "version 1 in the dress of version 2" },
  { text: v2(0x31, 0x11, V4), want: /version 3/, why: "a version to come" },
  { text: v2(0x22, 0x11, V4), want: /unknown command 2/, why: "a command to come" },
  { text: v2(0x21, 0x00, []), want: /no address: family 0x00/, why: "PROXY without an address" },
  { text: v2(0x21, 0x12, V4), want: /no address: family 0x12/, why: "datagrams" },
  { text: v2(0x21, 0x11, V4.slice(0, 11)), want: /too short/, why: "half an address" },
  { text: v2(0x21, 0x21, V4), want: /too short/, why: "IPv6 with the octets of IPv4" },
  { text: v2(0x21, 0x11, V4, 16_385), want: /longer than/, why: "too much behind the address" },
  { text: v2(0x21, 0x11, V4, 65_535), want: /longer than/, why: "as much as can be said" },
];

/** Feeds a header with as much at a time as it wants, at most `most`. Returns it and how much it took. */
function feed(text: string, most = Infinity): { header: ProxyHeader; taken: number } {
  const header = new ProxyHeader();
  const bytes = bytesOf(text);
  let taken = 0;
  while (header.state.at === "reading" && taken < bytes.length) {
    assert.ok(header.want >= 1);
    const next = bytes.subarray(taken, taken + Math.min(most, header.want));
    taken += next.length;
    header.push(next);
  }
  return { header, taken };
}

for (const { text, want, why } of good) {
  Deno.test(`ProxyHeader takes ${why}`, () => {
    for (const most of [Infinity, 7, 1]) {
      const { header, taken } = feed(`${text}EHLO a.example\r\n`, most);
      assert.deepEqual(header.state, { at: "done", source: want });
      assert.equal(taken, text.length, "not one octet of the session is taken");
    }
  });
}

for (const { text, want, why } of bad) {
  Deno.test(`ProxyHeader refuses ${why}`, () => {
    for (const most of [Infinity, 7, 1]) {
      const { state } = feed(text, most).header;
      assert.equal(state.at, "refused", JSON.stringify(state));
      assert.match(state.at === "refused" ? state.reason : "", want);
    }
  });
}

Deno.test("ProxyHeader is total: any octets end it or are asked for more of, within bounds", () => {
  let seed = 7;
  const random = (below: number) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % below;
  const heads = [...good, ...bad].map(({ text }) => text);
  for (let round = 0; round < 20_000; round++) {
    const bytes = bytesOf(heads[random(heads.length)]!.slice(0, 200));
    for (let count = random(4); count > 0; count--) bytes[random(bytes.length)] = random(256);
    const header = new ProxyHeader();
    for (let at = 0; at < bytes.length && header.state.at === "reading";) {
      assert.ok(header.want >= 1 && header.want <= 4096);
      const next = bytes.subarray(at, at + header.want);
      at += next.length;
      header.push(next);
    }
  }
});
