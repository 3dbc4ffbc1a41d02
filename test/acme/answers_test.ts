/** What the authority, and anybody else, is answered on the port of a challenge. */

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { answerTo, ChallengeAnswers } from "../../src/acme/answers.ts";
import { ChallengeHandshake } from "../../src/acme/tls_challenge.ts";
import { systemClock } from "../../src/clock.ts";

const TOKENS = new Map([["token", "token.digest"]]);
const PATH = "/.well-known/acme-challenge/";

/** Heads of requests, and the status with the body that they get. */
const REQUESTS: readonly (readonly [string, string, string])[] = [
  [`GET ${PATH}token HTTP/1.1\r\nHost: x\r\n\r\n`, "200", "token.digest"],
  [`GET http://x${PATH}token HTTP/1.1\r\n\r\n`, "200", "token.digest"],
  [`HEAD ${PATH}token HTTP/1.0\r\n\r\n`, "200", ""],
  [`GET ${PATH}other HTTP/1.1\r\n\r\n`, "404", ""],
  [`GET ${PATH} HTTP/1.1\r\n\r\n`, "404", ""],
  [`GET ${PATH}__proto__ HTTP/1.1\r\n\r\n`, "404", ""],
  ["GET / HTTP/1.1\r\n\r\n", "404", ""],
  [`POST ${PATH}token HTTP/1.1\r\n\r\n`, "400", ""],
  ["\x16\x03\x01\r\n\r\n", "400", ""],
];

for (const [head, status, body] of REQUESTS) {
  Deno.test(`http-01: ${JSON.stringify(head)} gets ${status}`, () => {
    const answer = answerTo(head, TOKENS);
    assert.ok(answer.startsWith(`HTTP/1.1 ${status} `), answer);
    assert.equal(answer.split("\r\n\r\n")[1], body);
  });
}

/** A server of one challenge for the length of `body`. */
async function withServer(
  kind: "http-01" | "tls-alpn-01",
  body: (port: number, answers: ChallengeAnswers) => Promise<void>,
): Promise<void> {
  const answers = new ChallengeAnswers(systemClock);
  answers.addToken("token", "token.digest");
  await answers.addName("a.example", "token.digest");
  const server = net.createServer({ pauseOnConnect: true }, (socket) => {
    socket.on("error", () => {});
    answers.serve(socket, kind);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await body((server.address() as net.AddressInfo).port, answers);
  } finally {
    answers.close();
    server.close();
  }
}

Deno.test("few connections are open at one time, and none reads without end", async () => {
  await withServer("http-01", async (port, answers) => {
    const clients = Array.from({ length: 70 }, () => net.connect(port, "127.0.0.1").on("error", () => {}));
    await Promise.all(clients.slice(64).map((client) => once(client, "close")));
    assert.equal(answers.size, 64);
    const talker = clients[0]!;
    talker.write("x".repeat(20_000));
    await once(talker, "close");
    for (const client of clients) client.destroy();
  });
});

/** What OpenSSL's client sees, by what it offers. */
const CLIENTS: readonly (readonly [name: string, args: readonly string[], want: RegExp])[] = [
  ["the authority", ["-alpn", "acme-tls/1"], /ALPN protocol: acme-tls\/1/],
  ["a client with a curve more", ["-alpn", "acme-tls/1", "-groups", "P-256:X25519"], /handshake failure|ALPN protocol/],
  ["a client of another protocol", ["-alpn", "h2"], /no application protocol/],
  ["a client of none", [], /no application protocol/],
  ["a client of TLS 1.2", ["-alpn", "acme-tls/1", "-tls1_2"], /alert protocol version/],
  ["a client that asks for another name", ["-alpn", "acme-tls/1", "-servername", "b.example"], /unrecognized name/],
];

for (const [name, args, want] of CLIENTS) {
  Deno.test(`tls-alpn-01: ${name}`, async () => {
    await withServer("tls-alpn-01", async (port) => {
      const { stdout, stderr } = await new Deno.Command("openssl", {
        args: ["s_client", "-connect", `127.0.0.1:${port}`, "-servername", "a.example", ...args],
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).output();
      assert.match(new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr), want);
    });
  });
}

Deno.test("tls-alpn-01: no octets of a client do more than end its handshake", () => {
  const rows: readonly Uint8Array[] = [
    new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n"),
    new Uint8Array(64),
    Uint8Array.of(22, 3, 1, 0, 4, 1, 0, 0, 0),
    Uint8Array.of(22, 3, 1, 0, 5, 1, 0, 0, 1, 9),
    Uint8Array.of(22, 3, 1, 0, 1, 2),
    Uint8Array.of(23, 3, 3, 0, 1, 2),
    Uint8Array.of(21, 3, 3, 0, 2, 2, 40),
  ];
  for (const row of rows) {
    const handshake = new ChallengeHandshake(() => null);
    const { over, send } = handshake.push(row);
    assert.ok(over, row.join());
    assert.ok(send.length <= 7);
    assert.equal(handshake.done, false);
    assert.deepEqual(handshake.push(row), { send: new Uint8Array(0), over: true });
  }
  // Random octets, of a ClientHello by their first ones.
  for (let seed = 1; seed < 500; seed++) {
    let state = seed;
    const body = Uint8Array.from({ length: 80 }, () => (state = state * 1103515245 + 12345 & 0x7fffffff) >> 8 & 255);
    const hello = Uint8Array.of(22, 3, 1, 0, 84, 1, 0, 0, 80, ...body);
    assert.ok(new ChallengeHandshake(() => null).push(hello).over);
  }
});
