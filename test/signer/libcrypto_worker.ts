/** Opens libcrypto as the signer does, and says what it may open when its first message comes, and what it signs. */

import { createPrivateKey } from "node:crypto";
import { LIBC_PATHS } from "../../src/kernel/mod.ts";
import { Libcrypto, openLibcrypto } from "../../src/signer/libcrypto.ts";

const opened = openLibcrypto();

const scope = self as unknown as {
  onmessage: (event: MessageEvent<{ key: string; hash: Uint8Array; path: string }>) => void;
  postMessage(message: unknown): void;
};

function attempt(path: string): string {
  try {
    Deno.dlopen(path, {}).close();
    return "opened";
  } catch (error) {
    return (error as Error).name;
  }
}

scope.onmessage = ({ data: { key, hash, path } }) => {
  const library = opened instanceof Libcrypto ? opened : null;
  scope.postMessage({
    opened: opened instanceof Libcrypto ? "" : opened.reason,
    after: [path, LIBC_PATHS[0]!].map(attempt),
    signature: library?.rsaKey(createPrivateKey(key))?.sign(hash) ?? null,
  });
};
