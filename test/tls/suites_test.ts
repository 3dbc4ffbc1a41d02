/** What TLS really negotiates, asked by OpenSSL: the option `ciphers` is judged by it. */

import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { join } from "node:path";
import { cipherFault } from "../../src/config/ciphers.ts";
import { ALL_VERSIONS } from "../../src/config/protocols.ts";
import { secure } from "../../src/smtp_client/tls.ts";
import { ServerTls } from "../../src/tls/mod.ts";

/** Every suite that the judge knows of. */
const SUITES = /leave out (.*), which/.exec(cipherFault("!ALL", ALL_VERSIONS)!)![1]!.split(", ");

async function openssl(args: readonly string[], input = ""): Promise<string> {
  const child = new Deno.Command("openssl", { args: [...args], stdin: "piped", stdout: "piped", stderr: "piped" })
    .spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(input)).catch(() => {});
  await writer.close().catch(() => {});
  const { stdout, stderr } = await child.output();
  return new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
}

for (
  const [kind, algorithm] of [["RSA", ["rsa:2048"]], ["ECDSA", ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]]] as const
) {
  Deno.test(`a listener with an ${kind} key agrees on these suites and no others, whatever else OpenSSL knows`, async () => {
    const folder = await Deno.makeTempDir();
    const [cert, key] = [join(folder, "cert"), join(folder, "key")];
    await openssl(["req", "-x509", "-newkey", ...algorithm, "-nodes", "-keyout", key, "-out", cert, "-subj", "/CN=a"]);
    const pairs = [{ cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) }];
    await Deno.remove(folder, { recursive: true });
    const served = new ServerTls({ pairs, now: Date.now });
    const sockets: net.Socket[] = [];
    const server = net.createServer({ pauseOnConnect: true }, (socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      served.accept(socket, () => {});
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const to = ["s_client", "-connect", `127.0.0.1:${(server.address() as AddressInfo).port}`];
    const agreed: string[] = [];
    const ask = async (args: readonly string[]) => /Cipher is (\S+)/.exec(await openssl([...to, ...args]))?.[1];
    // A bundle at once: as long as one is agreed on, take it away and ask again.
    for (let rest = "ALL:COMPLEMENTOFALL:@SECLEVEL=0";;) {
      const name = await ask(["-tls1_2", "-cipher", rest]);
      if (name === undefined || name === "(NONE)") break;
      agreed.push(name);
      rest = `!${name}:${rest}`;
    }
    const version13 = ["TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"];
    for (const name of [...version13, "TLS_AES_128_CCM_SHA256", "TLS_AES_128_CCM_8_SHA256"]) {
      if (await ask(["-tls1_3", "-ciphersuites", name]) === name) agreed.push(name);
    }
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
    assert.deepEqual(
      agreed.toSorted(),
      SUITES.filter((name) => !/ECDHE/.test(name) || name.includes(`-${kind}-`)).toSorted(),
    );
  });
}

Deno.test("a connection to another server offers these suites and no others", async () => {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const socket = net.connect((server.address() as AddressInfo).port, "127.0.0.1");
  const [accepted] = await once(server, "connection") as [net.Socket];
  const failed = secure(socket, { serverName: "a.example", verify: false }, 5_000).catch(() => {});
  const [hello] = await once(accepted, "data") as [Uint8Array];
  accepted.destroy();
  await failed;
  await new Promise((resolve) => server.close(resolve));
  // RFC 8446 §4.1.2: record and handshake headers, version, random, session id, then the suites.
  const view = new DataView(hello.buffer, hello.byteOffset, hello.byteLength);
  const start = 5 + 4 + 2 + 32 + 1 + hello[43]!;
  const ids = Array.from({ length: view.getUint16(start) / 2 }, (_, at) => view.getUint16(start + 2 + at * 2));
  const hex = (id: number) => `0x${id.toString(16).padStart(4, "0").replace(/^(..)(..)$/, "$1,0x$2")}`.toUpperCase();
  const known = new Map(
    (await openssl(["ciphers", "-V", "ALL:COMPLEMENTOFALL"])).split("\n").map((line) => line.trim().split(/\s+/))
      .map(([id, _, name]) => [id?.toUpperCase(), name]),
  );
  // 0x00FF only says that renegotiation is safe (RFC 5746 §3.3).
  const names = ids.filter((id) => id !== 0xff).map((id) => known.get(hex(id)) ?? hex(id));
  assert.deepEqual(names.toSorted(), SUITES.toSorted());
});
