/** `host:port`, written and read. */

import assert from "node:assert/strict";
import { hostPort, parseHostPort } from "../../src/net/mod.ts";

const PLACES = [
  { text: "192.0.2.1:25", read: { host: "192.0.2.1", port: 25 } },
  { text: "mail.example.org:2424", read: { host: "mail.example.org", port: 2424 } },
  { text: "[2001:db8::1]:65535", read: { host: "2001:db8::1", port: 65_535 } },
  { text: "mail.example.org", read: { host: "mail.example.org", port: null } },
  { text: "[::1]", read: { host: "::1", port: null } },
  { text: "[IPv6:::1]:24", read: { host: "::1", port: 24 } },
  { text: "::1", read: null },
  { text: "::1:25", read: null },
  { text: "host:", read: null },
  { text: "host:0", read: null },
  { text: "host:65536", read: null },
  { text: "host:123456", read: null },
  { text: "host:smtp", read: null },
  { text: ":25", read: null },
  { text: "a b:25", read: null },
  { text: "a/b", read: null },
  { text: "[example.org]:25", read: null },
  { text: "", read: null },
];

for (const { text, read } of PLACES) {
  Deno.test(`parseHostPort(${JSON.stringify(text)})`, () => {
    assert.deepEqual(parseHostPort(text), read);
    if (read?.port) assert.equal(hostPort({ host: read.host, port: read.port }), text.replace("IPv6:", ""));
  });
}
