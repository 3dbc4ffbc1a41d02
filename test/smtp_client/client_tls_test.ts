/** STARTTLS, smtps and AUTH of the client against a scripted server on loopback. */

import assert from "node:assert/strict";
import net from "node:net";
import { fileURLToPath } from "node:url";
import { type ClientError, connectClient, uniformTimeouts } from "../../src/smtp_client/mod.ts";
import { fakeServer } from "./fake_server.ts";
import { message, noVerify, tlsFiles, withClient } from "./with_client.ts";

Deno.test("STARTTLS: what was learnt before is forgotten, a message goes under TLS", () =>
  withClient({ keywords: ["STARTTLS"], tls: tlsFiles }, async (client, server) => {
    await client.hello("me");
    const info = await client.startTls(noVerify);
    assert.match(info.ciphers, /^TLSv1\.3:TLS_.*:(128|256)$/);
    assert.match(info.fingerprint, /^SHA256:[0-9a-f]{64}$/);
    assert.equal(info.verified, false);
    assert.equal(client.capabilities.startTls, false);
    await client.hello("me");
    assert.equal((await client.transaction(message(["a@x.net"]))).recipients[0]!.outcome, "ok");
    assert.deepEqual(server.lines().slice(0, 4), ["EHLO me", "STARTTLS", "EHLO me", "MAIL FROM:<s@example.org>"]);
    assert.equal(server.sessions[0]!.secure, true);
  }));

Deno.test("AUTH PLAIN and LOGIN, and only under TLS", async () => {
  const auth = (line: string) => line.startsWith("AUTH PLAIN") ? "235 2.7.0 ok" : undefined;
  await withClient(
    { keywords: ["STARTTLS", "AUTH PLAIN LOGIN"], tls: tlsFiles, reply: auth },
    async (client, server) => {
      await client.hello("me");
      await assert.rejects(client.authenticate("user", "secret"), { message: "AUTH requires TLS" });
      await client.startTls(noVerify);
      await client.hello("me");
      await client.authenticate("user", "secret");
      assert.equal(server.lines().at(-1), "AUTH PLAIN AHVzZXIAc2VjcmV0");
    },
  );
  const login = (line: string) =>
    line === "AUTH LOGIN" || line === "dXNlcg==" ? "334 go on" : line === "c2VjcmV0" ? "535 5.7.8 wrong" : undefined;
  await withClient({ keywords: ["STARTTLS", "AUTH LOGIN"], tls: tlsFiles, reply: login }, async (client) => {
    await client.hello("me");
    await client.startTls(noVerify);
    await client.hello("me");
    await assert.rejects(client.authenticate("user", "secret"), { message: "535 5.7.8 wrong" });
  });
});

const checks = [
  { name: "a self-signed certificate", options: { serverName: "mx.example.net", verify: true }, want: /self.signed/i },
  {
    name: "a certificate of another name",
    options: { serverName: "other.example.net", verify: true, ca: tlsFiles.cert },
    want: /altnames/,
  },
  {
    name: "a certificate of another name without SNI",
    options: { serverName: "other.example.net", verify: true, sni: false, ca: tlsFiles.cert },
    want: /altnames/,
  },
];
for (const { name, options, want } of checks) {
  Deno.test(`STARTTLS with verification refuses ${name}`, () =>
    withClient({ keywords: ["STARTTLS"], tls: tlsFiles }, async (client) => {
      await client.hello("me");
      await assert.rejects(
        client.startTls(options),
        (error: ClientError) => error.kind === "tls" && want.test(error.message),
      );
      assert.equal(client.usable, false);
    }));
}

const requireTls = [
  { because: "all is well", name: "mx.example.net", ca: tlsFiles.cert, offered: true, want: "ok" },
  {
    because: "the server does not offer it",
    name: "mx.example.net",
    ca: tlsFiles.cert,
    offered: false,
    want: "5.7.30",
  },
  {
    because: "the certificate is of another name",
    name: "other.test",
    ca: tlsFiles.cert,
    offered: true,
    want: "5.7.30",
  },
  { because: "nobody vouches for the certificate", name: "mx.example.net", ca: null, offered: true, want: "5.7.30" },
];
for (const { because, name, ca, offered, want } of requireTls) {
  Deno.test(`REQUIRETLS over TLS that was not to be verified: ${because} (RFC 8689 §4.2.1)`, () =>
    withClient({ keywords: ["STARTTLS", ...offered ? ["REQUIRETLS"] : []], tls: tlsFiles }, async (client, server) => {
      await client.hello("me");
      await client.startTls({ serverName: name, verify: false, ca });
      await client.hello("me");
      const result = await client.transaction({ ...message(["a@x.net"]), handling: { requireTls: true } });
      const { outcome, enhanced } = result.recipients[0]!;
      assert.equal(enhanced ?? outcome, want);
      assert.equal(server.lines().includes("MAIL FROM:<s@example.org> REQUIRETLS"), want === "ok");
    }));
}

for (const sni of [true, false]) {
  Deno.test(`STARTTLS verifies against the given CA ${sni ? "with" : "without"} SNI`, () =>
    withClient({ keywords: ["STARTTLS"], tls: tlsFiles }, async (client) => {
      await client.hello("me");
      assert.equal(
        (await client.startTls({ serverName: "mx.example.net", verify: true, sni, ca: tlsFiles.cert })).verified,
        true,
      );
    }));
}

Deno.test("STARTTLS that fails in the handshake, and one that is refused", async () => {
  await withClient({ keywords: ["STARTTLS"], breakTls: true }, async (client) => {
    await client.hello("me");
    await assert.rejects(client.startTls(noVerify), (error: ClientError) => ["tls", "protocol"].includes(error.kind));
    assert.equal(client.usable, false);
  });
  await withClient(
    { keywords: ["STARTTLS"], reply: (line) => line === "STARTTLS" ? "454 4.7.0 not now" : undefined },
    async (client) => {
      await client.hello("me");
      await assert.rejects(client.startTls(noVerify), { kind: "refused", message: "454 4.7.0 not now" });
      assert.equal(client.usable, true);
    },
  );
});

/** What OpenSSL serves by these options, over TLS at once. */
async function withOpenssl(args: readonly string[], act: (port: number) => Promise<void>): Promise<void> {
  const [cert, key] = ["cert", "key"].map((name) =>
    fileURLToPath(new URL(`fixtures/${name}.pem`, import.meta.url))
  ) as [string, string];
  await using server = new Deno.Command("openssl", {
    args: ["s_server", "-accept", "127.0.0.1:0", "-cert", cert, "-key", key, ...args],
    stdin: "piped",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  let said = "";
  for await (const text of server.stdout.pipeThrough(new TextDecoderStream())) {
    said += text;
    if (/^ACCEPT .*:\d+$/m.test(said)) break;
  }
  await act(Number(/^ACCEPT .*:(\d+)$/m.exec(said)![1]));
}

for (
  const [because, args, words] of [
    [
      "finite-field Diffie-Hellman only",
      ["-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384"],
      /perhaps no cipher suite in common/,
    ],
    [
      "RSA key exchange and CBC only",
      ["-tls1_2", "-cipher", "AES256-SHA:AES128-SHA"],
      /perhaps no cipher suite in common/,
    ],
    ["TLS 1.1 at most", ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], /no version of TLS in common/],
  ] as const
) {
  Deno.test(`TLS with a host of ${because} fails, and the reason says what to look for`, () =>
    withOpenssl(args, async (port) => {
      const to = { host: "127.0.0.1", port };
      await assert.rejects(
        connectClient({ to, timeouts: uniformTimeouts(5_000), tls: noVerify }),
        (error: ClientError) => error.kind === "tls" && words.test(error.message),
      );
    }));
}

Deno.test("STARTTLS: a fatal alert right behind the handshake fails this session and ends nothing else", async () => {
  const socket = net.Socket.prototype;
  const emit = socket.emit;
  const listeners: number[] = [];
  // The moment at which the runtime says that the handshake is done is the last at which the old listeners are called.
  socket.emit = function (this: net.Socket, event: string, ...rest: unknown[]) {
    const result = emit.apply(this, [event, ...rest] as Parameters<typeof emit>);
    if (event === "secureConnect") listeners.push(this.listenerCount("error"));
    return result;
  } as typeof emit;
  try {
    await withClient({ keywords: ["STARTTLS"], tls: tlsFiles, wantsCertificate: true }, async (client) => {
      await client.hello("me");
      await assert.rejects(
        async () => {
          await client.startTls(noVerify);
          await client.hello("me");
        },
        (error: ClientError) => error.kind === "tls" && /CertificateRequired/.test(error.message),
      );
      assert.equal(client.usable, false);
    });
  } finally {
    socket.emit = emit;
  }
  assert.ok(listeners.length > 0 && listeners.every((count) => count > 0), `listeners of errors: ${listeners}`);
});

Deno.test("input sent along with the 220 of STARTTLS is not taken for input under TLS", () =>
  withClient({
    keywords: ["STARTTLS"],
    reply: (line) => line === "STARTTLS" ? "220 go\r\n250-evil\r\n250 AUTH" : undefined,
  }, async (client) => {
    await client.hello("me");
    await assert.rejects(client.startTls(noVerify), { message: "Remote host sent too much data" });
  }));

Deno.test("smtps: TLS before the greeting", async () => {
  const server = await fakeServer({ smtps: true, tls: tlsFiles });
  const client = await connectClient({
    to: { host: "127.0.0.1", port: server.port },
    timeouts: uniformTimeouts(5_000),
    tls: noVerify,
  });
  await client.hello("me");
  assert.equal((await client.transaction(message(["a@x.net"]))).recipients[0]!.outcome, "ok");
  await client.quit();
  await server.close();
});
