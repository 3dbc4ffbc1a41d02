/**
 * What is said at the doors of the isolates that touch users' files: `mailbox` (Maildirs and mailboxes, for delivery), `file` (file targets,
 * for privileged) and `forward` (`.forward`, for main, which lookup asks for them). Types, and their checks.
 */

import type { EnvelopeId } from "../envelope/mod.ts";
import {
  type Check,
  finite,
  flag,
  kindOf,
  type MessageTable,
  nullOr,
  octets,
  record,
  tagged,
  text,
  whole,
} from "./check.ts";
import { door } from "./door.ts";
import { CHUNK_BYTES } from "./smtp_queue.ts";
import { type Account, account, envelopeId, longText } from "./shapes.ts";

/** A message to be written: its first chunk is at hand, the others are asked for. */
export interface WrittenMessage {
  /** `Return-Path` and `Delivered-To`, encoded. */
  readonly trace: Uint8Array;
  readonly first: Uint8Array;
  readonly bytes: number;
  readonly chunks: number;
}

/** The part of an account that the kernel uses. */
export interface FileOwner {
  readonly uid: number;
  readonly gid: number;
}

export type FileTask =
  | {
    readonly kind: "maildir";
    readonly who: FileOwner;
    readonly directory: string;
    readonly junk: boolean;
    readonly extension: string;
    readonly spam: boolean;
    readonly envelope: { readonly id: EnvelopeId; readonly createdAt: number };
    readonly message: WrittenMessage;
  }
  | {
    readonly kind: "mbox" | "file";
    readonly who: FileOwner;
    readonly path: string;
    /** Sender of the From_ line. */
    readonly from: string;
    readonly message: WrittenMessage;
  }
  /** Make a mailbox, for a command that will append to it. */
  | { readonly kind: "prepare"; readonly who: FileOwner; readonly path: string }
  /** Read `.forward`, or the file with a suffix before it. */
  | { readonly kind: "forward"; readonly who: Account; readonly suffix: string };

/** What was found in a home; `refused` says why nothing of the file is used. */
export type Forward =
  | { readonly kind: "none" }
  | { readonly kind: "text"; readonly path: string; readonly text: string }
  | { readonly kind: "refused"; readonly temporary: boolean; readonly reason: string };

/** A `.forward` is smaller than this. */
export const MAX_FORWARD_OCTETS = 4096;
/** Longest path of a home, and longest suffix of a `.forward`, that are looked at. */
const MAX_HOME_CHARS = 1023, MAX_SUFFIX_CHARS = 200;

/** Returns whether a `.forward` may be looked for in this home: an absolute path that the kernel takes. */
export function isForwardHome(home: string): boolean {
  return home.startsWith("/") && home.length <= MAX_HOME_CHARS && !home.includes("\0");
}

/** Returns whether a file of the name `.forward` and this suffix may be looked for: the suffix leads to no other folder. */
export function isForwardSuffix(suffix: string): boolean {
  return suffix.length <= MAX_SUFFIX_CHARS && !/[/\0]/.test(suffix);
}

/** How a task ended. `code` as of sysexits(3). */
export type FileResult =
  | { readonly kind: "written" }
  /** Somebody else holds the mailbox: try again in a while. */
  | { readonly kind: "locked"; readonly text: string }
  | { readonly kind: "failed"; readonly code: number; readonly text: string }
  | { readonly kind: "forward"; readonly forward: Forward };

/** Shared between the two sides: whether what runs is given up, and which file call the thread is in. */
export type FileFlags = SharedArrayBuffer;
/** Places in the flags, as 32-bit numbers: given up or done (see below), how deep in file calls, and how many calls were begun. */
export const FLAG_ABANDONED = 0, FLAG_IN_CALL = 1, FLAG_CALLS = 2;
export const FLAG_BYTES = 12;
/**
 * What the first of them is made of: a bit that the pool sets when it gives up, and behind it a count of tasks that are finally done and whose
 * answers the pool has not received yet. One word for both, so that a task is either done or given up, never both.
 */
export const ABANDONED = 1, COMMITTED = 2;

export type ToFiles =
  /** First of all. */
  | { readonly type: "flags"; readonly flags: FileFlags }
  | { readonly type: "task"; readonly number: number; readonly task: FileTask }
  /** The chunk that the task of that number asked for; null with the reason when it cannot be had. */
  | {
    readonly type: "chunk";
    readonly number: number;
    readonly bytes: Uint8Array | null;
    readonly text: string;
  };

export type FromFiles =
  | { readonly type: "done"; readonly number: number; readonly result: FileResult }
  /** The task `call` asks for a chunk of its message. */
  | { readonly type: "read"; readonly number: number; readonly index: number };

/** Lines in front of the body of one delivery, in octets: some addresses, and the words around them. */
const TRACE_BYTES = 16_384;
const id = whole({ least: 0, most: 0xffff_fffe });
const who = record<FileOwner>({ uid: id, gid: id });
const message = record<WrittenMessage>({
  trace: octets(TRACE_BYTES),
  first: octets(CHUNK_BYTES),
  bytes: whole(),
  chunks: whole(),
});
const append = { who, path: text(), from: text(), message };
const fileTask: Check<FileTask> = tagged<FileTask, "kind">("kind", {
  maildir: {
    who,
    directory: text(),
    junk: flag,
    extension: text(),
    spam: flag,
    envelope: record<{ readonly id: EnvelopeId; readonly createdAt: number }>({ id: envelopeId, createdAt: finite }),
    message,
  },
  mbox: append,
  file: append,
  prepare: { who, path: text() },
  forward: { who: account, suffix: text() },
});
export const forward: Check<Forward> = tagged<Forward, "kind">("kind", {
  none: {},
  text: { path: text(), text: text(MAX_FORWARD_OCTETS) },
  refused: { temporary: flag, reason: longText },
});
const fileResult: Check<FileResult> = tagged<FileResult, "kind">("kind", {
  written: {},
  locked: { text: longText },
  failed: { code: whole({ least: 0, most: 255 }), text: longText },
  forward: { forward },
});
const flags: Check<FileFlags> = (value) =>
  value instanceof SharedArrayBuffer && value.byteLength === FLAG_BYTES ? null : `is ${kindOf(value)}, not the flags`;

const TO_FILES: MessageTable<ToFiles> = {
  flags: { flags },
  task: { number: whole(), task: fileTask },
  chunk: { number: whole(), bytes: nullOr(octets(CHUNK_BYTES)), text: longText },
};
const FROM_FILES: MessageTable<FromFiles> = {
  done: { number: whole(), result: fileResult },
  read: { number: whole(), index: whole() },
};

/** Of each file role and the isolate that has tasks for it. */
export const FILES = door<FromFiles, ToFiles>(FROM_FILES, TO_FILES, {});
