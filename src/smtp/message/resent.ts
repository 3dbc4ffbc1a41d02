/**
 * The newest block of Resent- fields in a header that is read line by line, RFC 5322 §3.6.6: what it has, where it ends, and what it lacks.
 * Changes nothing itself; see header.ts.
 */

import { type Completion, is } from "./completion.ts";

/** Fields that stand once in a block, with what a mailer adds when they are missing; `other`: any other Resent- field. */
export type ResentField = "from" | "date" | "message-id" | "sender" | "other";

const PREFIX = "resent-";
const SINGLE = ["from", "date", "message-id", "sender"] as const;

/** Names the field whose name stands from `start` to `colon`, blanks before the colon allowed; null for one that is not Resent-. */
export function resentField(buffer: Uint8Array, start: number, colon: number): ResentField | null {
  let end = colon;
  while (end > start && (buffer[end - 1] === 0x20 || buffer[end - 1] === 0x09)) end--;
  if (end - start <= PREFIX.length || !is(buffer, start, PREFIX)) return null;
  const at = start + PREFIX.length;
  return SINGLE.find((name) => end - at === name.length && is(buffer, at, name)) ?? "other";
}

export class ResentBlock {
  #state: "none" | "open" | "closed" = "none";
  readonly #seen = new Set<ResentField>();

  /** True when a field of this kind (null: no Resent- field) stands behind the block, or begins an older one. */
  endsBefore(field: ResentField | null): boolean {
    return this.#state === "open" && (field === null || field !== "other" && this.#seen.has(field));
  }

  add(field: ResentField | null): void {
    if (field === null || this.#state === "closed") return;
    this.#state = "open";
    this.#seen.add(field);
  }

  /** The block ends. Returns the fields that it must or should have and has not, "" for none or when there is no block. */
  close({ from, date, messageId }: Completion["fields"]): string {
    if (this.#state !== "open") return "";
    this.#state = "closed";
    const sender = this.#seen.has("from") ? null : from();
    return (sender === null ? "" : `Resent-From: <${sender}>\n`) +
      (this.#seen.has("date") ? "" : `Resent-Date: ${date()}\n`) +
      (this.#seen.has("message-id") ? "" : `Resent-Message-ID: ${messageId()}\n`);
  }
}
