/** What the signer signs: messages with a grant of lookup, once per key, with keys that are in use or have just been. */

import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, generateKeyPairSync, verify } from "node:crypto";
import { SigningMac } from "../../src/mac/mod.ts";
import { OLD_KEY_MS, Signatures } from "../../src/signer/signatures.ts";
import { serveSigner } from "../../src/signer/serve.ts";
import { msgid } from "../ids.ts";

const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }), ed25519 = generateKeyPairSync("ed25519");
const pem = (key: typeof rsa.privateKey) => key.export({ type: "pkcs8", format: "pem" }) as string;
const signingMacKey = new Uint8Array(32).fill(7);
const mac = new SigningMac(signingMacKey);
const data = Buffer.from("from:a@example.org\r\n"), hash = createHash("sha256").update(data).digest();
const KEYS = [
  { domain: "example.org", selector: "r", key: pem(rsa.privateKey) },
  { domain: "example.org", selector: "e", key: pem(ed25519.privateKey) },
];
const question = (selector: string, id = "0a0b0c0d") => {
  const message = msgid(id);
  return { message, grant: mac.of(message), domain: "example.org", selector, hash };
};

Deno.test("signatures are RSA over the hash, and Ed25519 of the hash (RFC 8463 §3)", () => {
  const signatures = new Signatures({ keys: KEYS, signingMacKey }, { now: () => 0, libcrypto: null });
  const byRsa = signatures.sign(question("r")), byEd25519 = signatures.sign(question("e"));
  assert.ok(byRsa.ok && byEd25519.ok);
  assert.ok(verify("sha256", data, rsa.publicKey, byRsa.signature));
  assert.ok(verify(null, hash, ed25519.publicKey, byEd25519.signature));
});

Deno.test("a key signs a message once, and no message without its own grant", () => {
  const signatures = new Signatures({ keys: KEYS, signingMacKey }, { now: () => 0, libcrypto: null });
  assert.ok(signatures.sign(question("e")).ok);
  assert.deepEqual(signatures.sign(question("e")), { ok: false, refusal: "spent" });
  assert.ok(signatures.sign(question("e", "0a0b0c0e")).ok, "another message");
  assert.deepEqual(signatures.sign(question("x")), { ok: false, refusal: "key" });
  assert.deepEqual(signatures.sign({ ...question("e"), domain: "example.net" }), { ok: false, refusal: "key" });
  for (const grant of ["", mac.of(msgid("0a0b0c0e")), new SigningMac(new Uint8Array(32)).of(msgid("0a0b0c0d"))]) {
    assert.deepEqual(signatures.sign({ ...question("r"), grant }), { ok: false, refusal: "forged" });
  }
});

Deno.test("a key that was replaced signs for a minute more", () => {
  let now = 0;
  const signatures = new Signatures({ keys: [KEYS[0]!], signingMacKey }, { now: () => now, libcrypto: null });
  signatures.renew([KEYS[1]!]);
  assert.ok(signatures.sign(question("r")).ok);
  assert.ok(signatures.sign(question("e")).ok);
  now = OLD_KEY_MS;
  assert.deepEqual(signatures.sign(question("r", "0a0b0c0e")), { ok: false, refusal: "key" });
  signatures.tidy();
  assert.ok(signatures.sign(question("e", "0a0b0c0e")).ok);
});

Deno.test("the first signer says which keys the runtime signs with, and why; one without RSA keys says nothing", () => {
  const said = (keys: typeof KEYS, life: number) => {
    const texts: unknown[] = [];
    const isolate = {
      settings: { keys, signingMacKey, libcrypto: null },
      life,
      emit: (event: { text?: string }) => texts.push(event.text),
      serve: () => {},
      onstop: () => {},
    };
    serveSigner(isolate as unknown as Parameters<typeof serveSigner>[0], { reason: "there is none" });
    isolate.onstop();
    return texts;
  };
  assert.deepEqual(said(KEYS, 1), [
    "info: signer: RSA signatures of r._domainkey.example.org take six times as long as by OpenSSL 3: there is none",
  ]);
  assert.deepEqual([said(KEYS, 2), said([KEYS[1]!], 1)], [[], []]);
});
