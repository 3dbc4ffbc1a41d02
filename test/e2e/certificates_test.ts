/** Certificates renewed under a running daemon: what clients and next hops see before and after `smtpctl update pki`. */

import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import type net from "node:net";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import { DOMAIN, OWNER, run, withDaemon, within } from "./harness.ts";
import { freePort } from "../ports.ts";

const certificate = (file: string) => fileURLToPath(new URL(`../smtp/certificates/${file}`, import.meta.url));
const stored = (file: string) => Deno.readTextFileSync(certificate(file));
const subject = (pem: string) => new X509Certificate(pem).fingerprint256;
const MX = subject(stored("mx.pem")), OTHER = subject(stored("other.pem"));

/** Fingerprint of what a client that asks for `name` is shown. */
async function shownBy(port: number, name: string): Promise<string> {
  const socket = tls.connect({ port, host: "127.0.0.1", servername: name, rejectUnauthorized: false });
  await within(once(socket, "secureConnect"), "the handshake");
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}

/** A next hop that asks for a certificate and keeps its fingerprint; it takes every message. */
class NextHop {
  readonly seen: string[] = [];
  readonly #open: tls.TLSSocket[] = [];
  readonly server: tls.Server;
  constructor() {
    const pair = { cert: stored("mx.pem"), key: stored("mx.key") };
    this.server = tls.createServer({ ...pair, requestCert: true, rejectUnauthorized: false }, (socket) => {
      this.seen.push(socket.getPeerCertificate().fingerprint256);
      this.#open.push(socket);
      socket.on("error", () => {});
      socket.write("220 hop.example ESMTP\r\n");
      let data = false;
      socket.setEncoding("latin1").on("data", (text: string) => {
        for (const line of text.trimEnd().split("\r\n")) {
          if (data && line !== ".") continue;
          data = /^DATA/i.test(line);
          socket.write(data ? "354 go\r\n" : /^EHLO/i.test(line) ? "250 hop.example\r\n" : "250 2.0.0 ok\r\n");
          if (/^QUIT/i.test(line)) socket.end();
        }
      });
    });
  }

  /** A session that has delivered may wait for more mail. */
  hangUp(): void {
    for (const socket of this.#open.splice(0)) socket.destroy();
  }
}

Deno.test("update pki: new sessions and deliveries have the new certificates, old sessions go on, broken ones are refused", async () => {
  const port = freePort();
  const folder = await Deno.makeTempDir();
  const put = async (name: string, from: string) => {
    await Deno.writeTextFile(`${folder}/${name}.pem`, stored(`${from}.pem`), { mode: 0o644 });
    await Deno.writeTextFile(`${folder}/${name}.key`, stored(`${from}.key`), { mode: 0o600 });
  };
  await put("mx", "mx");
  await put("client", "client");
  const hop = new NextHop();
  hop.server.listen(0, "127.0.0.1");
  await once(hop.server, "listening");
  const config = (daemon: { port: number; mail: string }) => `
pki "mx.example.org" cert "${folder}/mx.pem" key "${folder}/mx.key"
pki "client.example.org" cert "${folder}/client.pem" key "${folder}/client.key"
listen on 127.0.0.1 port ${daemon.port}
listen on 127.0.0.1 port ${port} smtps pki "mx.example.org"
action "inbox" maildir "${daemon.mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "out" relay host "smtps://127.0.0.1:${
    (hop.server.address() as net.AddressInfo).port
  }" tls no-verify pki client.example.org
match from any for domain "${DOMAIN}" action "inbox"
match from any for any action "out"
`;
  try {
    await withDaemon({ config }, async (daemon) => {
      const update = () => daemon.tool("smtpctl", ["update", "pki"]);
      const send = (to: string) =>
        run("swaks", ["--server", "127.0.0.1", "--port", String(daemon.port), "-f", "a@example.net", "-t", to]);
      assert.equal(await shownBy(port, "mx.example.org"), MX);
      assert.equal((await send("b@example.com")).code, 0);
      await daemon.logged(/mta delivery .*result="Ok"/);

      const old = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
      old.setEncoding("latin1");
      await within(once(old, "data"), "the banner");
      // More sessions than one isolate gets: the next one begins in another.
      const clients = Array.from(
        { length: 70 },
        () => tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }),
      );
      await within(Promise.all(clients.map((one) => once(one, "data"))), "their banners");

      await put("mx", "other");
      await put("client", "mx");
      assert.equal((await update()).stdout, "command succeeded\n");
      await daemon.logged(/^info: pki "mx\.example\.org" was loaded again from /);
      assert.equal(await shownBy(port, "mx.example.org"), OTHER);
      for (const one of clients) one.destroy();
      assert.equal(await shownBy(port, "mx.example.org"), OTHER);
      old.write("NOOP\r\n");
      assert.match((await within(once(old, "data"), "an answer"))[0], /^250 /);
      old.destroy();
      hop.hangUp();
      await daemon.logged(/mta disconnected/);
      assert.equal((await send("c@example.com")).code, 0);
      await daemon.logged(/mta delivery .*result="Ok"/, 0, 2);
      assert.deepEqual(hop.seen, [subject(stored("client.pem")), MX]);

      await Deno.writeTextFile(`${folder}/mx.key`, stored("mx.key"));
      const refused = await update();
      assert.equal(refused.code, 1);
      assert.match(refused.stdout, /^command failed: .*mx\.key\): the key does not belong to the certificate\n$/);
      await daemon.logged(/^warn: pki "mx\.example\.org" stays as it was: /);
      assert.equal(await shownBy(port, "mx.example.org"), OTHER);
    });
  } finally {
    hop.server.close();
    await Deno.remove(folder, { recursive: true });
  }
});
