/** Channel binding of certificates that openssl made, against the digests that openssl makes of them. */

import assert from "node:assert/strict";
import { endPointBinding } from "../../src/tls/mod.ts";

const EC = ["ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
const rows = [
  { name: "ECDSA with SHA-256", key: EC, sign: ["-sha256"], hash: "sha256" },
  { name: "ECDSA with SHA-384", key: EC, sign: ["-sha384"], hash: "sha384" },
  { name: "ECDSA with SHA-512", key: EC, sign: ["-sha512"], hash: "sha512" },
  { name: "RSA with SHA-256", key: ["rsa:2048"], sign: ["-sha256"], hash: "sha256" },
  { name: "RSA with SHA-512", key: ["rsa:2048"], sign: ["-sha512"], hash: "sha512" },
  { name: "RSA with SHA-1, which RFC 5929 replaces", key: ["rsa:2048"], sign: ["-sha1"], hash: "sha256" },
  { name: "RSA-PSS", key: ["rsa:2048"], sign: ["-sha256", "-sigopt", "rsa_padding_mode:pss"], hash: null },
  { name: "Ed25519, which has no hash of its own", key: ["ed25519"], sign: [], hash: null },
];

async function openssl(...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command("openssl", { args, stderr: "piped" }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

for (const { name, key, sign, hash } of rows) {
  Deno.test(`endPointBinding() of ${name}: ${hash ?? "none"}`, async () => {
    const folder = await Deno.makeTempDir();
    const [pem, der, digest] = [`${folder}/cert.pem`, `${folder}/cert.der`, `${folder}/digest`];
    try {
      const files = ["-keyout", `${folder}/key.pem`, "-out", pem];
      await openssl("req", "-x509", "-nodes", "-newkey", ...key, "-subj", "/CN=mx.example.org", ...sign, ...files);
      const binding = endPointBinding(await Deno.readTextFile(pem));
      if (hash === null) return assert.equal(binding, null);
      await openssl("x509", "-in", pem, "-outform", "DER", "-out", der);
      await openssl("dgst", `-${hash}`, "-binary", "-out", digest, der);
      assert.equal(binding, (await Deno.readFile(digest)).toBase64());
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
