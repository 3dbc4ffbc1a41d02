/** resolv.conf(5) and hosts(5). */

import assert from "node:assert/strict";
import { parseHosts, parseResolvConf } from "../../src/dns/mod.ts";

const rows = [
  { name: "nothing means the server on this machine", text: "", want: ["127.0.0.1 53"] },
  {
    name: "plain servers, comments and search lines",
    text: "# x\nsearch a.b\nnameserver 192.0.2.1\nnameserver 2001:db8::1 # y\n",
    want: ["192.0.2.1 53", "2001:db8::1 53"],
  },
  {
    name: "OpenBSD's ports",
    text: "nameserver [127.0.0.1]:5353\nnameserver [::1]:54\nnameserver [::1]\n",
    want: ["127.0.0.1 5353", "::1 54", "::1 53"],
  },
  {
    name: "what makes no sense is left out",
    text: "nameserver\nnameserver foo\nnameserver [1.2.3.4]:99999\nnameserver 1.2.3\nnameserver 192.0.2.7",
    want: ["192.0.2.7 53"],
  },
];
for (const { name, text, want } of rows) {
  Deno.test(`parseResolvConf: ${name}`, () => {
    assert.deepEqual(parseResolvConf(text).servers.map(({ address, port }) => `${address} ${port}`), want);
  });
}

Deno.test("parseResolvConf: timeout and attempts, within bounds", () => {
  const { timeoutMs, attempts } = parseResolvConf("options ndots:2 timeout:3 attempts:99\n");
  assert.deepEqual([timeoutMs, attempts], [3_000, 5]);
  const usual = parseResolvConf("nameserver 192.0.2.1");
  assert.deepEqual([usual.timeoutMs, usual.attempts], [5_000, 2]);
});

Deno.test("parseHosts: addresses with names, nothing else", () => {
  assert.deepEqual(
    parseHosts("127.0.0.1 localhost\n# c\n::1\tip6-localhost ip6-loopback # d\nfoo bar\n192.0.2.1\n\n"),
    [
      { address: "127.0.0.1", names: ["localhost"] },
      { address: "::1", names: ["ip6-localhost", "ip6-loopback"] },
    ],
  );
});
