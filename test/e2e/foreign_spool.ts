/** Spools that OpenSMTPD wrote (test/cli/fixtures/opensmtpd), for daemons of today: the times in their envelopes are made new. */

import { createCipheriv, createDecipheriv } from "node:crypto";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { PROJECT } from "./harness.ts";

const FIXTURES = join(PROJECT, "test/cli/fixtures/opensmtpd");
/** What the fixture `sealed` is encrypted with. */
export const SPOOL_KEY = "0123456789abcdef0123456789abcdef";
const ENVELOPE = /\/[0-9a-f]{16}$/;
const SEALED = 1, IV_BYTES = 12, TAG_BYTES = 16;

export type SpoolForm = "plain" | "gzip" | "sealed";

/** Copies the fixture `form` into the new folder `to` and returns that; its envelopes are an hour old then, in the form that they had. */
export function copySpool(form: SpoolForm, to: string): string {
  const source = join(FIXTURES, form);
  for (const path of filesOf(source)) {
    const target = join(to, path.slice(source.length));
    Deno.mkdirSync(join(target, ".."), { recursive: true });
    const bytes = Deno.readFileSync(path);
    Deno.writeFileSync(target, ENVELOPE.test(path) ? redate(bytes) : bytes);
  }
  return to;
}

/** The plain text of the fixture's envelope `id`, an hour old. */
export function envelopeText(id: string): string {
  const path = join(FIXTURES, "plain/queue", id.slice(0, 2), id.slice(0, 8), id);
  return new TextDecoder().decode(redate(Deno.readFileSync(path)));
}

function* filesOf(folder: string): Generator<string> {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    const path = join(folder, name);
    if (isDirectory) yield* filesOf(path);
    else yield path;
  }
}

function redate(bytes: Uint8Array): Uint8Array {
  if (bytes[0] === SEALED) return encrypt(redate(decrypt(bytes)), bytes.subarray(1, 1 + IV_BYTES));
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) return gzipSync(redate(gunzipSync(bytes)));
  const hourAgo = Math.floor(Date.now() / 1000) - 3600;
  return new TextEncoder().encode(new TextDecoder().decode(bytes).replace(/^ctime: \d+$/m, `ctime: ${hourAgo}`));
}

/** Octet 1, the IV, AES-256-GCM, its tag: see src/cli/smtpctl/foreign_queue.ts. */
function decrypt(bytes: Uint8Array): Uint8Array {
  const opened = createDecipheriv("aes-256-gcm", SPOOL_KEY, bytes.subarray(1, 1 + IV_BYTES));
  opened.setAuthTag(bytes.subarray(-TAG_BYTES));
  const text = opened.update(bytes.subarray(1 + IV_BYTES, -TAG_BYTES));
  return Buffer.concat([text, opened.final()]);
}

function encrypt(text: Uint8Array, iv: Uint8Array): Uint8Array {
  const cipher = createCipheriv("aes-256-gcm", SPOOL_KEY, iv);
  return Buffer.concat([Uint8Array.of(SEALED), iv, cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}
