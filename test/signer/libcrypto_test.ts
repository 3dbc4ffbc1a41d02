/** RSA of the system's libcrypto: it signs as the runtime does, and who has opened it can open nothing more. */

import assert from "node:assert/strict";
import { createHash, createPrivateKey, createPublicKey, type KeyObject } from "node:crypto";
import { signHash } from "../../src/mail_auth/dkim/mod.ts";
import { SigningMac } from "../../src/mac/mod.ts";
import {
  Libcrypto,
  LIBCRYPTO_PATHS,
  LIBCRYPTO_SYMBOLS,
  type LibcryptoCalls,
  loadLibcrypto,
} from "../../src/signer/libcrypto.ts";
import { OLD_KEY_MS, Signatures } from "../../src/signer/signatures.ts";
import { msgid } from "../ids.ts";
import { PEMS } from "../mail_auth/dkim/helper.ts";

const isFile = (path: string) => {
  try {
    return Deno.statSync(path).isFile;
  } catch {
    return false;
  }
};
const path = LIBCRYPTO_PATHS.find(isFile);
const ignore = path === undefined;
/** Made beforehand: making them takes long. */
const keyOf = (name: "rsa1016" | "rsa1024" | "rsa2048" | "rsa4096" | "ed25519") => createPrivateKey(PEMS[name]!);
const hashOf = (text: string) => createHash("sha256").update(text).digest();

/** The RSA key of 2048 bits in the runtime, of which the library is given other octets. */
function keyGiving(octets: Uint8Array): KeyObject {
  return Object.defineProperty(keyOf("rsa2048"), "export", { value: () => new Uint8Array(octets) });
}

function opened(): Libcrypto {
  const library = loadLibcrypto(path!);
  assert.ok(library instanceof Libcrypto, JSON.stringify(library));
  return library;
}

Deno.test("libcrypto signs as the runtime does, with keys of several sizes, again and again", { ignore }, () => {
  const library = opened();
  for (const name of ["rsa1016", "rsa1024", "rsa2048", "rsa4096"] as const) {
    const key = keyOf(name), loaded = library.rsaKey(key);
    assert.ok(loaded !== null, name);
    for (const text of ["", "a", "b"]) {
      assert.deepEqual(loaded.sign(hashOf(text)), signHash(key, hashOf(text)), `${name}, "${text}"`);
    }
    for (const octets of [0, 20, 31, 33, 64]) {
      assert.throws(() => loaded.sign(new Uint8Array(octets)), /A SHA-256 has 32 octets/);
    }
    assert.deepEqual(loaded.sign(hashOf("c")), signHash(key, hashOf("c")), "after what was refused");
    loaded.free();
    loaded.free();
    assert.throws(() => loaded.sign(hashOf("")), /was freed/);
  }
});

Deno.test("keys that libcrypto cannot sign with are refused, and the next one is not", { ignore }, () => {
  const library = opened(), good = keyOf("rsa2048");
  const der = good.export({ type: "pkcs8", format: "der" });
  /** A key of which the library is given other octets than the runtime has. */
  const given = (octets: Uint8Array) => library.rsaKey(keyGiving(octets));
  const broken: Record<string, Uint8Array> = {
    nothing: new Uint8Array(),
    text: new TextEncoder().encode("-----BEGIN PRIVATE KEY-----"),
    "half of a key": der.subarray(0, der.length / 2),
    "another kind of key": keyOf("ed25519").export({ type: "pkcs8", format: "der" }),
    "a length beyond its end": Uint8Array.from(der, (octet, at) => at === 2 ? 0xff : octet),
    "only the public key": createPublicKey(good).export({ type: "spki", format: "der" }),
    zeros: new Uint8Array(1200),
  };
  for (const [name, octets] of Object.entries(broken)) assert.equal(given(octets), null, name);
  assert.equal(library.rsaKey(keyOf("ed25519")), null);
  const loaded = library.rsaKey(good);
  assert.deepEqual(loaded?.sign(hashOf("x")), signHash(good, hashOf("x")));
  loaded!.free();
});

Deno.test("a key with which libcrypto would sign otherwise than the runtime is not used", { ignore }, () => {
  const library = opened(), der = keyOf("rsa2048").export({ type: "pkcs8", format: "der" });
  const expected = signHash(keyOf("rsa2048"), hashOf("x"));
  const withOctets = (octets: Uint8Array) => library.rsaKey(keyGiving(octets));
  assert.equal(withOctets(keyOf("rsa1024").export({ type: "pkcs8", format: "der" })), null, "another key");
  let taken = 0;
  for (let at = 0; at < der.length; at += 37) {
    const loaded = withOctets(Uint8Array.from(der, (octet, index) => index === at ? octet ^ 0x10 : octet));
    if (loaded === null) continue;
    taken++;
    assert.deepEqual(loaded.sign(hashOf("x")), expected, `octet ${at}`);
    loaded.free();
  }
  assert.ok(taken < der.length / 37, "most of them are no keys");
});

/** What was made of each kind and what was freed. */
function counting(): { readonly library: Libcrypto; readonly alive: Record<"keys" | "contexts" | "sources", number> } {
  const { symbols } = Deno.dlopen(path!, LIBCRYPTO_SYMBOLS);
  const alive = { keys: 0, contexts: 0, sources: 0 };
  const made = (kind: keyof typeof alive, pointer: Deno.PointerValue) => {
    if (pointer !== null) alive[kind]++;
    return pointer;
  };
  const calls: LibcryptoCalls = {
    ...symbols,
    BIO_new_mem_buf: (octets, length) => made("sources", symbols.BIO_new_mem_buf(octets, length)),
    BIO_free: (source) => (alive.sources--, symbols.BIO_free(source)),
    d2i_PrivateKey_bio: (source, key) => made("keys", symbols.d2i_PrivateKey_bio(source, key)),
    EVP_PKEY_free: (key) => (alive.keys--, symbols.EVP_PKEY_free(key)),
    EVP_PKEY_CTX_new: (key, engine) => made("contexts", symbols.EVP_PKEY_CTX_new(key, engine)),
    EVP_PKEY_CTX_free: (context) => (alive.contexts--, symbols.EVP_PKEY_CTX_free(context)),
  };
  return { library: new Libcrypto(calls), alive };
}

Deno.test("keys that were replaced, or whose time is over, are freed; so is what a bad one took", { ignore }, () => {
  const { library, alive } = counting();
  const key = (selector: string) => ({ domain: "example.org", selector, key: PEMS["rsa2048"]! });
  const signingMacKey = new Uint8Array(32), grants = new SigningMac(signingMacKey), one = key("one");
  let now = 0;
  const signatures = new Signatures({ keys: [one, key("two")], signingMacKey }, { now: () => now, libcrypto: library });
  const sign = (id: string, selector: string) => {
    const message = msgid(id);
    return signatures.sign({ message, grant: grants.of(message), domain: "example.org", selector, hash: hashOf("x") });
  };
  assert.deepEqual(signatures.slow, []);
  assert.ok(sign("0a0b0c0d", "one").ok);
  assert.deepEqual(alive, { keys: 2, contexts: 2, sources: 0 });
  signatures.renew([one]);
  assert.deepEqual(alive, { keys: 2, contexts: 2, sources: 0 }, "one in the place of the other of its name");
  assert.ok(sign("0a0b0c0e", "one").ok && sign("0a0b0c0f", "two").ok);
  now = OLD_KEY_MS;
  signatures.tidy();
  assert.deepEqual(alive, { keys: 1, contexts: 1, sources: 0 });
  assert.ok(sign("0a0b0c10", "one").ok);
  const others = (["ed25519", "rsa1024"] as const).map((name) => keyOf(name).export({ type: "pkcs8", format: "der" }));
  for (const octets of [new Uint8Array(500), ...others]) assert.equal(library.rsaKey(keyGiving(octets)), null);
  // What is verified with is made of a private key.
  const odd = Object.defineProperty(createPublicKey(keyOf("rsa2048")), "export", {
    value: () => keyOf("rsa2048").export({ type: "pkcs8", format: "der" }),
  });
  assert.throws(() => library.rsaKey(odd));
  assert.deepEqual(alive, { keys: 1, contexts: 1, sources: 0 });
  signatures.close();
  assert.deepEqual(alive, { keys: 0, contexts: 0, sources: 0 });
});

Deno.test("without libcrypto, and when it gives no signature, the runtime signs", { ignore }, () => {
  const { symbols } = Deno.dlopen(path!, LIBCRYPTO_SYMBOLS);
  let works = true, short = false;
  const calls = {
    ...symbols,
    EVP_PKEY_sign: (...args: Parameters<LibcryptoCalls["EVP_PKEY_sign"]>) => {
      if (works) return symbols.EVP_PKEY_sign(...args);
      const length = args[2] as BigUint64Array;
      length[0] = length[0]! - 1n;
      return short ? 1 : 0;
    },
  };
  const key = keyOf("rsa2048"), signingMacKey = new Uint8Array(32);
  const keys = [{ domain: "example.org", selector: "s", key: PEMS["rsa2048"]! }];
  for (const libcrypto of [new Libcrypto(calls), null]) {
    works = true;
    const signatures = new Signatures({ keys, signingMacKey }, { now: () => 0, libcrypto });
    assert.deepEqual(signatures.slow, libcrypto === null ? ["s._domainkey.example.org"] : []);
    works = false;
    for (const id of ["0a0b0c0d", "0a0b0c0e"]) {
      short = id === "0a0b0c0e";
      const message = msgid(id), grant = new SigningMac(signingMacKey).of(message);
      const signed = signatures.sign({ message, grant, domain: "example.org", selector: "s", hash: hashOf("x") });
      assert.deepEqual(signed, { ok: true, signature: signHash(key, hashOf("x")) });
    }
    signatures.close();
  }
  const refusing = new Signatures({ keys, signingMacKey }, { now: () => 0, libcrypto: new Libcrypto(calls) });
  assert.deepEqual(refusing.slow, ["s._domainkey.example.org"], "a key that did not sign at first");
});

Deno.test("what is no libcrypto is said, and not used", { ignore: Deno.build.os !== "linux" }, () => {
  const libc = `/lib/${Deno.build.arch}-linux-gnu/libc.so.6`;
  for (const other of ["/nowhere/libcrypto.so.3", ...isFile(libc) ? [libc] : []]) {
    const result = loadLibcrypto(other);
    assert.ok(!(result instanceof Libcrypto) && result.reason.startsWith(`${other} cannot be used: `));
  }
});

/** What an isolate with these permissions says after it has opened the library. */
async function inWorker(
  ffi: readonly string[] | false,
): Promise<{ opened: string; after: readonly string[]; signature: Uint8Array | null }> {
  const permissions = { read: false, write: false, net: false, run: false, env: false, sys: false, import: false };
  const worker = new Worker(new URL("./libcrypto_worker.ts", import.meta.url), {
    type: "module",
    deno: { permissions: { ...permissions, ffi } },
  } as WorkerOptions);
  try {
    const { promise, resolve, reject } = Promise.withResolvers<Awaited<ReturnType<typeof inWorker>>>();
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = (event) => (event.preventDefault(), reject(new Error(event.message)));
    worker.postMessage({ key: PEMS["rsa2048"], hash: hashOf("x"), path });
    return await promise;
  } finally {
    worker.terminate();
  }
}

Deno.test(
  "it is open before a message comes, nothing can be opened after that, and it goes on signing",
  { ignore },
  async () => {
    const refused = ["NotCapable", "NotCapable"];
    const signature = signHash(keyOf("rsa2048"), hashOf("x"));
    assert.deepEqual(await inWorker([path!]), { opened: "", after: refused, signature });
    const none = await inWorker(false);
    assert.deepEqual([none.after, none.signature], [refused, null]);
    assert.match(none.opened, /there is no libcrypto/);
  },
);
