/**
 * Messages that lie in files: the folder of an export, and the spool of OpenSMTPD, whose files may be compressed and encrypted. Reads only.
 */

import { gunzipSync } from "node:zlib";

/** A message and its envelopes, in clear. */
export interface ForeignMessage {
  readonly id: string;
  /** Envelope ids; the text of one is read when it is asked for. */
  readonly envelopes: readonly string[];
  readonly text: (envelope: string) => Promise<string>;
  /** Writes the body to a new file. */
  readonly copyBody: (path: string) => Promise<void>;
}

const MESSAGE = /^[0-9a-f]{8}$/, ENVELOPE = /^[0-9a-f]{16}$/;

/** Messages of a folder that `smtpctl export` wrote, in order of id. */
export function exportedMessages(folder: string): ForeignMessage[] {
  const bodies: string[] = [], envelopes = new Map<string, string[]>();
  for (const { name } of Deno.readDirSync(folder)) {
    const [, id, kind] = /^([0-9a-f]+)\.(eml|envelope)$/.exec(name) ?? [];
    if (id === undefined) continue;
    if (kind === "eml" && MESSAGE.test(id)) bodies.push(id);
    if (kind !== "envelope" || !ENVELOPE.test(id)) continue;
    const ids = envelopes.get(id.slice(0, 8)) ?? [];
    envelopes.set(id.slice(0, 8), ids);
    ids.push(id);
  }
  return bodies.sort().map((id) => ({
    id,
    envelopes: (envelopes.get(id) ?? []).sort(),
    text: (envelope) => Deno.readTextFile(`${folder}/${envelope}.envelope`),
    copyBody: (path) => Deno.copyFile(`${folder}/${id}.eml`, path),
  }));
}

/** Messages of OpenSMTPD's spool: `folder` is the spool or its `queue`. `key` is for an encrypted one, 32 octets. */
export function spooledMessages(folder: string, key: Uint8Array<ArrayBuffer> | null): ForeignMessage[] {
  const queue = isFolder(`${folder}/queue`) ? `${folder}/queue` : folder;
  const messages: ForeignMessage[] = [];
  for (const bucket of namesIn(queue, /^[0-9a-f]{2}$/)) {
    for (const id of namesIn(`${queue}/${bucket}`, MESSAGE)) {
      const place = `${queue}/${bucket}/${id}`;
      messages.push({
        id,
        envelopes: namesIn(place, ENVELOPE),
        text: async (envelope) =>
          new TextDecoder().decode(await decode(Deno.readFileSync(`${place}/${envelope}`), key)),
        copyBody: async (path) => {
          const body = await decode(Deno.readFileSync(`${place}/message`), key);
          Deno.writeFileSync(path, body, { createNew: true, mode: 0o600 });
        },
      });
    }
  }
  return messages;
}

const SEALED = 1, IV_BYTES = 12, KEY_BYTES = 32;

/** The key in a file: its 32 characters themselves. */
export function readKey(path: string): Uint8Array<ArrayBuffer> {
  const key = new TextEncoder().encode(Deno.readTextFileSync(path).trimEnd());
  if (key.length === KEY_BYTES) return key;
  throw new Error(`${path} holds no key: that has ${KEY_BYTES} characters, this ${key.length}`);
}

/** OpenSMTPD compresses first and encrypts then: octet 1, 12 octets of IV, AES-256-GCM with its tag at the end. */
async function decode(bytes: Uint8Array<ArrayBuffer>, key: Uint8Array<ArrayBuffer> | null): Promise<Uint8Array> {
  if (bytes[0] === SEALED) {
    if (key === null) throw new Error("It is encrypted: name the file of the key behind the folder");
    const imported = await crypto.subtle.importKey("raw", key, "AES-GCM", false, ["decrypt"]);
    const iv = bytes.subarray(1, 1 + IV_BYTES);
    try {
      bytes = new Uint8Array(
        await crypto.subtle.decrypt({ name: "AES-GCM", iv }, imported, bytes.subarray(1 + IV_BYTES)),
      );
    } catch {
      throw new Error("It is encrypted with another key");
    }
  }
  return bytes[0] === 0x1f && bytes[1] === 0x8b ? gunzipSync(bytes) : bytes;
}

function namesIn(folder: string, wanted: RegExp): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => wanted.test(name)).sort();
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
