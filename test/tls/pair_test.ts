/** A certificate and a key that cannot be used together are found before a client finds them; those that can, work in a real handshake. */

import assert from "node:assert/strict";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import tls from "node:tls";
import { readPair, ServerTls } from "../../src/tls/mod.ts";

const folder = await Deno.makeTempDir();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

async function openssl(...args: readonly string[]): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("openssl", { args: [...args] }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout);
}

/** A fresh self-signed pair, made by openssl; `algorithm` as genpkey has it. */
async function made(name: string, ...algorithm: readonly string[]): Promise<{ cert: string; key: string }> {
  const [key, cert] = [`${folder}/${name}.key`, `${folder}/${name}.crt`];
  await openssl("genpkey", "-algorithm", ...algorithm, "-out", key);
  await openssl("req", "-x509", "-key", key, "-subj", "/CN=mx.example.org", "-days", "10", "-out", cert);
  return { cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) };
}

const option = (text: string) => ["-pkeyopt", text];
const curve = (name: string) => ["EC", ...option(`ec_paramgen_curve:${name}`)];

/** Shakes hands with a server of this pair, in each version of TLS. */
async function works(pair: { cert: string; key: string }): Promise<void> {
  const served = new ServerTls({ pairs: [pair], now: Date.now });
  const server = net.createServer((socket) => {
    socket.on("error", () => {});
    served.accept(socket, (secured) => secured.on("end", () => secured.destroy()));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
    const { port } = server.address() as AddressInfo;
    const options = { port, host: "127.0.0.1", rejectUnauthorized: false };
    const client = tls.connect({ ...options, minVersion: version, maxVersion: version });
    await once(client, "secureConnect");
    client.destroy();
    await once(client, "close");
  }
  await new Promise((resolve) => server.close(resolve));
}

const keys: readonly { name: string; algorithm: readonly string[]; fault: RegExp | null }[] = [
  { name: "RSA of 2048 bits", algorithm: ["RSA", ...option("rsa_keygen_bits:2048")], fault: null },
  { name: "P-256", algorithm: curve("P-256"), fault: null },
  { name: "P-384", algorithm: curve("P-384"), fault: null },
  { name: "P-521", algorithm: curve("P-521"), fault: null },
  { name: "Ed25519", algorithm: ["ED25519"], fault: null },
  {
    name: "RSA of 1024 bits",
    algorithm: ["RSA", ...option("rsa_keygen_bits:1024")],
    fault: /which is RSA of 1024 bits: get/,
  },
  { name: "RSA-PSS", algorithm: ["RSA-PSS", ...option("rsa_keygen_bits:2048")], fault: /which is rsa-pss: get/ },
  { name: "P-224", algorithm: curve("P-224"), fault: /on the curve secp224r1: get/ },
  { name: "secp256k1", algorithm: curve("secp256k1"), fault: /on the curve secp256k1: get/ },
  { name: "brainpoolP256r1", algorithm: curve("brainpoolP256r1"), fault: /cannot be read: it must be RSA/ },
  {
    name: "a curve without its name",
    algorithm: [...curve("P-256"), ...option("ec_param_enc:explicit")],
    fault: /name of its curve/,
  },
  { name: "Ed448", algorithm: ["ED448"], fault: /which is ed448: get/ },
];
for (const { name, algorithm, fault } of keys) {
  Deno.test(`readPair() ${fault === null ? "takes" : "refuses"} a key of ${name}`, async () => {
    const read = readPair(await made(name.replaceAll(" ", "-"), ...algorithm));
    if (!read.ok) return assert.match(read.fault, fault ?? /^$/);
    assert.equal(fault, null);
    await works(read.pair);
  });
}

Deno.test("readPair() refuses a DSA key", async () => {
  const [parameters, key, cert] = [`${folder}/dsa.pem`, `${folder}/dsa.key`, `${folder}/dsa.crt`];
  await openssl("dsaparam", "-out", parameters, "1024");
  await openssl("gendsa", "-out", key, parameters);
  await openssl("req", "-x509", "-key", key, "-subj", "/CN=mx.example.org", "-out", cert);
  const read = readPair({ cert: await Deno.readTextFile(cert), key: await Deno.readTextFile(key) });
  assert.match(read.ok ? "" : read.fault, /which is dsa: get/);
});

Deno.test("readPair() finds what belongs together, wherever it stands", async () => {
  const one = await made("one", ...curve("P-256")), other = await made("other", ...curve("P-256"));
  const both = readPair(one);
  assert.ok(both.ok);
  await works(both.pair);
  const crlf = (text: string) => text.replaceAll("\n", "\r\n");
  const rows: readonly (readonly [string, { cert: string; key: string }])[] = [
    ["one file, the key first", { cert: one.key + one.cert, key: one.key + one.cert }],
    ["one file, the certificate first", { cert: one.cert + one.key, key: one.cert + one.key }],
    ["parameters before the key", { cert: one.cert, key: await openssl("ecparam", "-name", "P-256") + one.key }],
    ["text around the blocks", { cert: `subject=CN\n${one.cert}\nend\n`, key: `Bag Attributes\n${one.key}` }],
    ["line ends and a mark of Windows", { cert: `\ufeff${crlf(one.cert)}`, key: crlf(one.key) }],
    ["keys of others beside it", { cert: one.cert, key: other.key + one.key }],
  ];
  for (const [because, pair] of rows) assert.deepEqual(readPair(pair), both, because);
  const chain = readPair({ cert: other.cert + one.cert, key: one.key });
  assert.deepEqual(
    chain,
    { ok: true, pair: { cert: one.cert + other.cert, key: one.key } },
    "its certificate comes first",
  );
});

Deno.test("readPair() says what is wrong with a certificate and its key", async () => {
  const one = await made("first", ...curve("P-256")), other = await made("second", ...curve("P-256"));
  const secret = await openssl("pkcs8", "-topk8", "-in", `${folder}/first.key`, "-passout", "pass:x");
  const old = await openssl("ec", "-in", `${folder}/first.key`, "-aes128", "-passout", "pass:x");
  const faultOf = (pair: { cert: string; key: string }) => {
    const read = readPair(pair);
    return read.ok ? "none" : read.fault;
  };
  assert.match(faultOf({ cert: one.cert, key: other.key }), /does not belong/);
  assert.match(faultOf({ cert: one.key, key: one.key }), /no certificate in the file/);
  assert.match(faultOf({ cert: one.cert, key: one.cert }), /no key in the file/);
  assert.match(faultOf({ cert: one.cert, key: secret }), /has a passphrase: take it away with openssl pkey/);
  assert.match(faultOf({ cert: one.cert, key: old }), /has a passphrase/);
  assert.match(
    faultOf({ cert: one.cert + other.cert.slice(0, -40), key: one.key }),
    /certificate cannot be read: its end/,
  );
  assert.match(faultOf({ cert: one.cert, key: one.key.slice(0, -40) }), /key cannot be read: its end/);
  const broken = (label: string) => `-----BEGIN ${label}-----\nx\n-----END ${label}-----\n`;
  assert.match(faultOf({ cert: broken("CERTIFICATE"), key: one.key }), /certificate cannot be read/);
  assert.match(faultOf({ cert: one.cert, key: broken("PRIVATE KEY") }), /key cannot be read/);
});
