/** Copies files for backup and restore: whole, synced, with their SHA-256, never through a link. */

import { createHash, type Hash } from "node:crypto";
import fs from "node:fs";
import { dirname } from "node:path";
import { soon } from "../../clock.ts";

const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = fs.constants;
/** Octets that are copied in one go. */
const PIECE_OCTETS = 1024 * 1024;

/** What is known of the original. */
export interface Original {
  readonly mode: string;
  readonly uid: number;
  readonly gid: number;
}

export interface Copied extends Original {
  readonly octets: number;
  readonly sha256: string;
}

/** Called after each piece with its octets. What it returns is awaited. */
export type OnPiece = (octets: number) => void | Promise<void>;

/** Opens a regular file to read. Throws for a link and for what is no file. */
function openRegular(path: string): { readonly descriptor: number; readonly original: Original } {
  const descriptor = fs.openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  const stat = fs.fstatSync(descriptor);
  if (!stat.isFile()) {
    fs.closeSync(descriptor);
    throw new Error(`${path} is no regular file`);
  }
  const mode = (stat.mode & 0o7777).toString(8).padStart(4, "0");
  return { descriptor, original: { mode, uid: stat.uid, gid: stat.gid } };
}

/**
 * Copies a file to a path that does not exist, with mode 0600. Reads `limit` octets at most: what a file had when it was looked at, where it may grow. Rejects
 * with the error of the system, and takes away what it has written then.
 */
export async function copyFile(
  from: string,
  to: string,
  { onPiece = () => {}, limit = Infinity }: { readonly onPiece?: OnPiece; readonly limit?: number } = {},
): Promise<Copied> {
  const { descriptor, original } = openRegular(from);
  try {
    const target = fs.openSync(to, "wx", 0o600);
    try {
      const hash = createHash("sha256");
      const octets = await eachPiece({ descriptor, limit }, async (piece) => {
        hash.update(piece);
        for (let at = 0; at < piece.length;) at += fs.writeSync(target, piece, at);
        await onPiece(piece.length);
      });
      fs.fsyncSync(target);
      return { ...original, octets, sha256: hash.digest("hex") };
    } catch (error) {
      fs.unlinkSync(to);
      throw error;
    } finally {
      fs.closeSync(target);
    }
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Returns the SHA-256 of a file. Rejects with the error of the system. */
export async function hashFile(path: string, onPiece: OnPiece = () => {}): Promise<string> {
  const { descriptor } = openRegular(path);
  try {
    const hash: Hash = createHash("sha256");
    await eachPiece({ descriptor, limit: Infinity }, async (piece) => {
      hash.update(piece);
      await onPiece(piece.length);
    });
    return hash.digest("hex");
  } finally {
    fs.closeSync(descriptor);
  }
}

/** Makes the names in a folder, and those above it up to `top`, durable. */
export function syncFolders(folder: string, top: string): void {
  for (let at = folder;; at = dirname(at)) {
    const descriptor = fs.openSync(at, O_RDONLY);
    fs.fsyncSync(descriptor);
    fs.closeSync(descriptor);
    if (at === top || at === dirname(at)) return;
  }
}

async function eachPiece(
  { descriptor, limit }: { readonly descriptor: number; readonly limit: number },
  use: (piece: Uint8Array) => Promise<void>,
): Promise<number> {
  const piece = new Uint8Array(PIECE_OCTETS);
  let octets = 0;
  while (octets < limit) {
    const read = fs.readSync(descriptor, piece, 0, Math.min(piece.length, limit - octets), null);
    if (read === 0) break;
    octets += read;
    await use(piece.subarray(0, read));
    // Timers and sockets have their turn.
    await new Promise<void>((resolve) => soon(resolve));
  }
  return octets;
}
