/** A certificate and a key that cannot be used together are found before a client finds them. */

import assert from "node:assert/strict";
import { pairFault } from "../../src/tls/mod.ts";

/** A fresh self-signed pair, made by openssl. */
async function pair(): Promise<{ cert: string; key: string }> {
  const folder = await Deno.makeTempDir();
  const [key, cert] = [`${folder}/key.pem`, `${folder}/cert.pem`];
  const { success } = await new Deno.Command("openssl", {
    args: [
      "req",
      "-x509",
      "-newkey",
      "ec",
      "-pkeyopt",
      "ec_paramgen_curve:P-256",
      "-nodes",
      "-subj",
      "/CN=mx.example.org",
      "-keyout",
      key,
      "-out",
      cert,
    ],
    stderr: "null",
  }).output();
  assert.ok(success);
  const texts = { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) };
  await Deno.remove(folder, { recursive: true });
  return texts;
}

Deno.test("pairFault() tells what is wrong with a certificate and its key", async () => {
  const one = await pair(), other = await pair();
  assert.equal(pairFault(one), null);
  assert.match(pairFault({ cert: one.cert, key: other.key })!, /does not belong/);
  assert.match(
    pairFault({ cert: "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", key: one.key })!,
    /certificate cannot be read/,
  );
  assert.match(
    pairFault({ cert: one.cert, key: "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n" })!,
    /key cannot be read/,
  );
});
