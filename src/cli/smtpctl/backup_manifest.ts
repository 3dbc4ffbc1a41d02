/** What a backup says of itself: the file `manifest.json` in its folder, which comes last. Without it a folder is no backup. */

import { PRODUCT, VERSION } from "../../config/paths.ts";
import { list, matching, record, text, whole } from "../../protocol/check.ts";

export const MANIFEST = "manifest.json";
/** Folders in a backup: what belongs into the spool, and the other files, by their absolute paths. */
export const SPOOL_COPY = "spool", FILES_COPY = "files";
/** Of the manifest and of where things are in a backup. */
const FORMAT = 1;

/** One file of a backup. */
export interface KeptFile {
  /** Below the folder of the backup, as in `spool/queue.db` and `files/etc/aliases`. */
  readonly copy: string;
  /** Permissions of the original, in octal; the copies have 0600. */
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
  readonly octets: number;
  readonly sha256: string;
}

export interface Manifest {
  readonly product: string;
  readonly version: string;
  readonly format: number;
  /** When the copy of the queue began. */
  readonly made: string;
  readonly spool: string;
  readonly files: readonly KeptFile[];
}

/** A path that stays below a folder: no empty, `.` or `..` part. */
const copyPath = matching(/^(?:spool|files)(?:\/(?!\.{1,2}(?:\/|$))[^/\0]+)+$/, "a path in a backup");

const manifest = record<Manifest>({
  product: text(),
  version: text(),
  format: whole(),
  made: text(),
  spool: text(),
  files: list(record<KeptFile>({
    copy: copyPath,
    mode: matching(/^[0-7]{4}$/, "permissions"),
    uid: whole(),
    gid: whole(),
    octets: whole(),
    sha256: matching(/^[0-9a-f]{64}$/, "a SHA-256"),
  })),
});

/** Returns the text of the manifest. */
export function manifestText(about: Pick<Manifest, "made" | "spool" | "files">): string {
  const { made, spool, files } = about;
  return JSON.stringify({ product: PRODUCT, version: VERSION, format: FORMAT, made, spool, files }, null, 2) + "\n";
}

/** Reads the manifest of the backup in `folder`. Throws an Error that says what is wrong. */
export function readManifest(folder: string): Manifest {
  const path = `${folder}/${MANIFEST}`;
  let value: unknown;
  try {
    value = JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) {
      throw new Error(`${folder} is no backup, or one that was not finished: it has no ${MANIFEST}`);
    }
    if (error instanceof SyntaxError) throw new Error(`${path} is damaged: it is no JSON`);
    throw error;
  }
  const fault = manifest(value);
  if (fault !== null) throw new Error(`${path} is damaged: it ${fault.startsWith("is ") ? fault : `has ${fault}`}`);
  const read = value as Manifest;
  if (read.format !== FORMAT) {
    throw new Error(`${path} has format ${read.format}, this program knows format ${FORMAT}: use the newer program`);
  }
  return read;
}
