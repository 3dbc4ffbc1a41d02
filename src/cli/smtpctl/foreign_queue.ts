/**
 * Messages that lie in files: the folder of an export, and the spool of OpenSMTPD, whose files may be compressed and encrypted. Reads only, and
 * plain files only: the folder may have been filled by another user, and a link in it may lead anywhere.
 */

import { gunzipSync } from "node:zlib";
import { type EnvelopeId, isEnvelopeId, isMessageId, type MessageId, messageOf } from "../../envelope/mod.ts";

/** A message and its envelopes, in clear. */
export interface ForeignMessage {
  readonly id: MessageId;
  /** The id of the export that it is from; "" when there is none. */
  readonly source: string;
  /** Envelope ids; the text of one is read when it is needed. */
  readonly envelopes: readonly EnvelopeId[];
  readonly text: (envelope: string) => Promise<string>;
  /** Writes the body to the file that `create` opens. */
  readonly copyBody: (create: () => Deno.FsFile) => Promise<void>;
}

/** File of an export's folder with an id of its own: the same message may come from the same machine again, by another export. */
export const EXPORT_ID = "export.id";
const MAX_EXPORT_ID_OCTETS = 100;

/** Messages of a folder that `smtpctl export` wrote, in order of id. */
export function exportedMessages(folder: string): ForeignMessage[] {
  const source = exists(`${folder}/${EXPORT_ID}`)
    ? toText(readFile(`${folder}/${EXPORT_ID}`, MAX_EXPORT_ID_OCTETS)).trim()
    : "";
  const bodies: MessageId[] = [], envelopes = new Map<MessageId, EnvelopeId[]>();
  for (const { name } of Deno.readDirSync(folder)) {
    const [, id, kind] = /^([0-9a-f]+)\.(eml|envelope)$/.exec(name) ?? [];
    if (id === undefined) continue;
    if (kind === "eml" && isMessageId(id)) bodies.push(id);
    if (kind !== "envelope" || !isEnvelopeId(id)) continue;
    const ids = envelopes.get(messageOf(id)) ?? [];
    envelopes.set(messageOf(id), ids);
    ids.push(id);
  }
  return bodies.sort().map((id) => ({
    id,
    source,
    envelopes: (envelopes.get(id) ?? []).sort(),
    text: (envelope) => Promise.resolve(toText(readFile(`${folder}/${envelope}.envelope`, MAX_ENVELOPE_OCTETS))),
    copyBody: (create) => copyFile(`${folder}/${id}.eml`, create),
  }));
}

/** Messages of OpenSMTPD's spool: `folder` is the spool or its `queue`. `key` is for an encrypted one, 32 octets. */
export function spooledMessages(folder: string, key: Uint8Array<ArrayBuffer> | null): ForeignMessage[] {
  const queue = isFolder(`${folder}/queue`) ? `${folder}/queue` : folder;
  const messages: ForeignMessage[] = [];
  for (const bucket of foldersIn(queue, (name): name is string => /^[0-9a-f]{2}$/.test(name))) {
    for (const id of foldersIn(`${queue}/${bucket}`, isMessageId)) {
      const place = `${queue}/${bucket}/${id}`;
      messages.push({
        id,
        source: "",
        envelopes: namesIn(place, isEnvelopeId),
        text: async (envelope) =>
          toText(await decode(readFile(`${place}/${envelope}`, MAX_ENVELOPE_OCTETS), key, MAX_ENVELOPE_OCTETS)),
        copyBody: async (create) => {
          if (isPlain(`${place}/message`)) return await copyFile(`${place}/message`, create);
          const body = await decode(readFile(`${place}/message`, MAX_DECODED_OCTETS), key, MAX_DECODED_OCTETS);
          using file = create();
          for (let left = body; left.length > 0;) left = left.subarray(file.writeSync(left));
        },
      });
    }
  }
  return messages;
}

/** Octets of an envelope, and of a body that has to be decoded in memory. */
const MAX_ENVELOPE_OCTETS = 64 * 1024, MAX_DECODED_OCTETS = 256 * 1024 * 1024;
const SEALED = 1, IV_BYTES = 12, KEY_BYTES = 32;

/** The key in a file: its 32 characters themselves. */
export function readKey(path: string): Uint8Array<ArrayBuffer> {
  const key = new TextEncoder().encode(Deno.readTextFileSync(path).trimEnd());
  if (key.length === KEY_BYTES) return key;
  throw new Error(`${path} holds no key: that has ${KEY_BYTES} characters, this ${key.length}`);
}

/**
 * OpenSMTPD compresses first and encrypts then: octet 1, 12 octets of IV, AES-256-GCM with its tag at the end. Throws when there is more than
 * `limit` in it: a few octets may stand for gigabytes.
 */
async function decode(
  bytes: Uint8Array<ArrayBuffer>,
  key: Uint8Array<ArrayBuffer> | null,
  limit: number,
): Promise<Uint8Array> {
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
  if (!isGzip(bytes)) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: limit });
  } catch (error) {
    if ((error as { code?: string }).code !== "ERR_BUFFER_TOO_LARGE") throw new Error("It cannot be decompressed");
    throw new Error(`It is larger than ${limit} octets when it is decompressed`);
  }
}

function isGzip(bytes: Uint8Array): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** Neither compressed nor encrypted. */
function isPlain(path: string): boolean {
  using file = openFile(path);
  const start = new Uint8Array(2);
  file.readSync(start);
  return start[0] !== SEALED && !isGzip(start);
}

function toText(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}

/** Throws when it is not a file, or is a link. */
function openFile(path: string): Deno.FsFile {
  const seen = Deno.lstatSync(path);
  if (!seen.isFile) throw new Error(`${path} is not a file`);
  const file = Deno.openSync(path);
  const { dev, ino } = file.statSync();
  if (dev === seen.dev && ino === seen.ino) return file;
  file.close();
  throw new Error(`${path} was exchanged while it was opened`);
}

function readFile(path: string, limit: number): Uint8Array<ArrayBuffer> {
  using file = openFile(path);
  const { size } = file.statSync();
  if (size > limit) throw new Error(`${path} is larger than ${limit} octets`);
  const bytes = new Uint8Array(size);
  for (let at = 0; at < size;) {
    const count = file.readSync(bytes.subarray(at));
    if (count === null) return bytes.subarray(0, at);
    at += count;
  }
  return bytes;
}

async function copyFile(from: string, create: () => Deno.FsFile): Promise<void> {
  const source = openFile(from);
  try {
    // Both are closed when they end.
    await source.readable.pipeTo(create().writable);
  } catch (error) {
    throw new Error(`${from} cannot be copied: ${(error as Error).message}`);
  }
}

function namesIn<Name extends string>(folder: string, isWanted: (name: string) => name is Name): Name[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).filter(isWanted).sort();
}

/** Those that are folders and no links. */
function foldersIn<Name extends string>(folder: string, isWanted: (name: string) => name is Name): Name[] {
  return namesIn(folder, isWanted).filter((name) => isFolder(`${folder}/${name}`));
}

function exists(path: string): boolean {
  return look(path) !== null;
}

function isFolder(path: string): boolean {
  return look(path)?.isDirectory ?? false;
}

function look(path: string): Deno.FileInfo | null {
  try {
    return Deno.lstatSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
