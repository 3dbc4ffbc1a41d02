/**
 * RSA signatures by the system's libcrypto (OpenSSL 3) over FFI: the runtime's own take six times as long. The library gets keys of main and hashes, and
 * reads nothing that a stranger wrote. No file of configuration, no engine and no module is loaded by it.
 */

import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";

const ARCH_FOLDER = `${Deno.build.arch}-linux-gnu`;
/** Where the library is: Debian and its kin, then the others. Their names are what the permission is asked for. */
export const LIBCRYPTO_PATHS: readonly string[] = [`/usr/lib/${ARCH_FOLDER}`, "/usr/lib64", "/usr/lib", "/lib64"]
  .map((folder) => `${folder}/libcrypto.so.3`);

/** What is used of it. */
export const LIBCRYPTO_SYMBOLS = {
  OPENSSL_init_crypto: { parameters: ["u64", "pointer"], result: "i32" },
  ERR_clear_error: { parameters: [], result: "void" },
  BIO_new_mem_buf: { parameters: ["buffer", "i32"], result: "pointer" },
  BIO_free: { parameters: ["pointer"], result: "i32" },
  d2i_PrivateKey_bio: { parameters: ["pointer", "pointer"], result: "pointer" },
  EVP_PKEY_free: { parameters: ["pointer"], result: "void" },
  EVP_PKEY_get_base_id: { parameters: ["pointer"], result: "i32" },
  EVP_PKEY_get_size: { parameters: ["pointer"], result: "i32" },
  EVP_PKEY_CTX_new: { parameters: ["pointer", "pointer"], result: "pointer" },
  EVP_PKEY_CTX_free: { parameters: ["pointer"], result: "void" },
  EVP_PKEY_sign_init: { parameters: ["pointer"], result: "i32" },
  EVP_PKEY_CTX_set_rsa_padding: { parameters: ["pointer", "i32"], result: "i32" },
  EVP_PKEY_CTX_set_signature_md: { parameters: ["pointer", "pointer"], result: "i32" },
  EVP_sha256: { parameters: [], result: "pointer" },
  EVP_PKEY_sign: { parameters: ["pointer", "buffer", "buffer", "buffer", "usize"], result: "i32" },
} as const;
export type LibcryptoCalls = Deno.DynamicLibrary<typeof LIBCRYPTO_SYMBOLS>["symbols"];

/** OPENSSL_INIT_NO_LOAD_CONFIG, and OPENSSL_INIT_NO_ATEXIT: nothing is taken down while another thread ends the process. */
const INIT_NO_LOAD_CONFIG = 0x80n, INIT_NO_ATEXIT = 0x80000n;
const EVP_PKEY_RSA = 6, RSA_PKCS1_PADDING = 1, SHA256_OCTETS = 32;
/** What each key signs before it is used, to be verified by the runtime. */
const PROBE = new TextEncoder().encode("libcrypto signs as the runtime does");

/** An RSA key in the memory of the library. To be freed, and not to be used after that. */
export interface RsaKey {
  /** RSASSA-PKCS1-v1_5 (RFC 8017 §8.2) over a SHA-256; null when the library gives none. Throws for what is no SHA-256. */
  sign(hash: Uint8Array): Uint8Array<ArrayBuffer> | null;
  free(): void;
}

export class Libcrypto {
  readonly #calls: LibcryptoCalls;

  /** `calls`: of the library, which is initialized already. */
  constructor(calls: LibcryptoCalls) {
    this.#calls = calls;
  }

  /** Takes an RSA key over. Null for other kinds of keys, and for one with which the library does not sign as the runtime would. */
  rsaKey(key: KeyObject): RsaKey | null {
    if (key.asymmetricKeyType !== "rsa") return null;
    const pkey = this.#read(key.export({ type: "pkcs8", format: "der" }));
    if (pkey === null) return null;
    const made = LoadedRsaKey.of(this.#calls, pkey);
    let isSound = false;
    try {
      const signature = made?.sign(createHash("sha256").update(PROBE).digest()) ?? null;
      isSound = signature !== null && verify("sha256", PROBE, createPublicKey(key), signature);
    } finally {
      if (!isSound) made?.free();
    }
    return isSound ? made : null;
  }

  /** `exported` is wiped. */
  #read(exported: Uint8Array): Deno.PointerValue {
    const calls = this.#calls, der = pinned(exported.length);
    der.set(exported);
    exported.fill(0);
    const source = calls.BIO_new_mem_buf(der, der.length);
    const pkey = source === null ? null : calls.d2i_PrivateKey_bio(source, null);
    if (source !== null) calls.BIO_free(source);
    der.fill(0);
    if (pkey === null) calls.ERR_clear_error();
    return pkey;
  }
}

/** Memory that stays where it is: small arrays do only when their buffer was made by itself. */
function pinned(octets: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(new ArrayBuffer(octets));
}

class LoadedRsaKey implements RsaKey {
  readonly #calls: LibcryptoCalls;
  readonly #pkey: Deno.PointerValue;
  /** Made ready to sign, once for all signatures. */
  readonly #context: Deno.PointerValue;
  readonly #octets: number;
  readonly #hash = pinned(SHA256_OCTETS);
  readonly #length = new BigUint64Array(new ArrayBuffer(8));
  #freed = false;

  /** Owns the key from now on. Null when nothing can be signed with it; then it is freed. */
  static of(calls: LibcryptoCalls, pkey: Deno.PointerValue): LoadedRsaKey | null {
    const isRsa = calls.EVP_PKEY_get_base_id(pkey) === EVP_PKEY_RSA;
    const context = isRsa ? calls.EVP_PKEY_CTX_new(pkey, null) : null;
    const made = new LoadedRsaKey(calls, { pkey, context });
    if (context !== null && made.#prepare()) return made;
    calls.ERR_clear_error();
    made.free();
    return null;
  }

  private constructor(
    calls: LibcryptoCalls,
    { pkey, context }: { pkey: Deno.PointerValue; context: Deno.PointerValue },
  ) {
    this.#calls = calls;
    this.#pkey = pkey;
    this.#context = context;
    this.#octets = calls.EVP_PKEY_get_size(pkey);
  }

  #prepare(): boolean {
    const calls = this.#calls, sha256 = calls.EVP_sha256();
    return this.#octets > 0 && sha256 !== null &&
      calls.EVP_PKEY_sign_init(this.#context) === 1 &&
      calls.EVP_PKEY_CTX_set_rsa_padding(this.#context, RSA_PKCS1_PADDING) === 1 &&
      calls.EVP_PKEY_CTX_set_signature_md(this.#context, sha256) === 1;
  }

  sign(hash: Uint8Array): Uint8Array<ArrayBuffer> | null {
    if (this.#freed) throw new Error("This key was freed");
    if (hash.length !== SHA256_OCTETS) throw new Error(`A SHA-256 has ${SHA256_OCTETS} octets, not ${hash.length}`);
    const calls = this.#calls, signature = pinned(this.#octets), octets = BigInt(signature.length);
    this.#hash.set(hash);
    this.#length[0] = octets;
    const result = calls.EVP_PKEY_sign(this.#context, signature, this.#length, this.#hash, BigInt(SHA256_OCTETS));
    if (result === 1 && this.#length[0] === octets) return signature;
    calls.ERR_clear_error();
    return null;
  }

  free(): void {
    if (this.#freed) return;
    this.#freed = true;
    if (this.#context !== null) this.#calls.EVP_PKEY_CTX_free(this.#context);
    this.#calls.EVP_PKEY_free(this.#pkey);
  }
}

/** The library, or why there is none. */
export type OpenedLibcrypto = Libcrypto | { readonly reason: string };

/** Opens the library, of the first of the paths for which there is a permission, and gives the permission to load any library up for this isolate. */
export function openLibcrypto(paths: readonly string[] = LIBCRYPTO_PATHS): OpenedLibcrypto {
  try {
    const path = paths.find((path) => Deno.permissions.querySync({ name: "ffi", path }).state === "granted");
    return path === undefined ? { reason: "there is no libcrypto.so.3 (of Debian's libssl3)" } : loadLibcrypto(path);
  } finally {
    Deno.permissions.revokeSync({ name: "ffi" });
  }
}

/** Opens the library. Needs the permission ffi for the path. */
export function loadLibcrypto(path: string): OpenedLibcrypto {
  try {
    const calls = Deno.dlopen(path, LIBCRYPTO_SYMBOLS).symbols;
    if (calls.OPENSSL_init_crypto(INIT_NO_LOAD_CONFIG | INIT_NO_ATEXIT, null) === 1) return new Libcrypto(calls);
    return { reason: `${path} cannot be initialized` };
  } catch (error) {
    return { reason: `${path} cannot be used: ${(error as Error).message}` };
  }
}
