/**
 * A message that goes through the data-line filters of its session on its way to the queue: the client's lines to the first filter, what each
 * makes of them to the next, and from the last on as if the client had sent it. Bounded in both directions by credit.
 */

import { FILTER_WINDOW, weightOf } from "../../protocol/filters.ts";
import { isHopeless } from "../message/data.ts";
import type { IncomingMessage, Receiver, Refuse } from "../message/incoming.ts";
import type { Input, Session } from "../session/state.ts";
import type { Authentication } from "../message/authentication.ts";
import type { Completion } from "../message/completion.ts";
import { CompletedLines } from "./completed_lines.ts";
import type { Filtered } from "./filter_client.ts";
import type { Filters } from "./split_filters.ts";
import { RawLines } from "./rawlines.ts";

/** Octets that are read from the client at once. */
const STEP = 32 * 1024;
/** What filters may add to a message of the largest size. */
export const ADDED_LIMIT_OCTETS = 1024 * 1024;

/** One filter on the way of the message. */
interface Stage {
  readonly process: string;
  readonly token: string;
  /** Weight of what it may be sent. */
  credit: number;
  /** What waits to be sent to it, and how many octets have been used of the first. */
  readonly waiting: Piece[];
}

interface Piece {
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The program that is informed when they were used; null for what came from the client. */
  readonly from: string | null;
}

const LF = 0x0a, CR = 0x0d, DOT = 0x2e;

/**
 * How a message begins: the lines of its header that are the daemon's own, each with its LF; how those of the client are completed; and what is shown
 * the message as the client sent it.
 */
export interface FilteredBeginning {
  readonly front: Uint8Array<ArrayBuffer>;
  readonly completion: Completion | null;
  /** Tells which results of others bear our name; null where mail is not checked. */
  readonly isForged: ((field: Uint8Array) => boolean) | null;
  readonly authentication: Authentication | null;
}

export class FilteredMessage implements Receiver {
  readonly #inner: IncomingMessage;
  readonly #raw: RawLines;
  readonly #completed: CompletedLines | null;
  readonly #received: Authentication | null;
  readonly #stages: readonly Stage[];
  readonly #client: Filters;
  readonly #session: Filtered;
  /** Of the last filter: what the message is made of. */
  readonly #out: Piece[] = [];
  /** The first of `#out` with CRLF for its LF, and how much of it was read. */
  #wire: Uint8Array<ArrayBuffer> | null = null;
  #read = 0;
  /** The last filter has sent the last line. */
  #ended = false;
  /** A line of the client's was offered. */
  #begun = false;
  #discarded = false;

  constructor(
    inner: IncomingMessage,
    processes: readonly string[],
    maxBytes: number,
    { front, completion, isForged, authentication }: FilteredBeginning,
    client: Filters,
    session: Filtered,
    newToken: () => string,
  ) {
    this.#inner = inner;
    this.#raw = new RawLines(maxBytes);
    const changes = { completion, ...(isForged === null ? {} : { isForged }) };
    this.#completed = completion === null && isForged === null ? null : new CompletedLines(changes);
    this.#received = authentication?.seesReceived === true ? authentication : null;
    this.#client = client;
    this.#session = session;
    this.#stages = processes.map((process) => ({ process, token: newToken(), credit: FILTER_WINDOW, waiting: [] }));
    this.#offer(0, { bytes: front, from: null });
  }

  get message() {
    return this.#inner.message;
  }
  get named() {
    return this.#inner.named;
  }
  get accepted() {
    return this.#inner.accepted;
  }
  get bytes(): number {
    return this.#inner.bytes;
  }
  get mailAuth() {
    return this.#inner.mailAuth;
  }
  get authenticated(): boolean {
    return this.#inner.authenticated;
  }
  /** The client has sent all. */
  get complete(): boolean {
    return this.#raw.done;
  }

  push(input: Uint8Array, from: number): number {
    if (!this.ready()) return from;
    const end = this.#raw.push(input, from, Math.min(input.length, from + STEP));
    const lines = this.#raw.take();
    if (lines.length === 0) return end;
    if (this.#received !== null && this.#raw.fault === null) showLines(this.#received, lines);
    const bytes = this.#completed?.push(lines) ?? (this.#begun ? lines : apart(lines));
    this.#raw.fault ??= this.#completed?.fault ?? null;
    this.#begun = true;
    if (bytes.length > 0) this.#offer(0, { bytes, from: null });
    return end;
  }

  /** The first filter has to take what it was sent before it gets more. */
  ready(): boolean {
    const first = this.#stages[0]!;
    return !this.#raw.done && first.waiting.length === 0 && first.credit > 0;
  }

  outcome(): Input | null {
    if (isHopeless(this.#raw.fault)) return { on: "received", fault: this.#raw.fault };
    const inner = this.#inner.outcome();
    if (inner?.on === "received" && isHopeless(inner.fault)) return inner;
    if (!this.#raw.done || !this.#ended || this.#out.length > 0) return null;
    if (this.#raw.fault !== null) return { on: "received", fault: this.#raw.fault };
    return inner;
  }

  get refused(): boolean {
    return this.#raw.fault !== null;
  }

  get hopeless(): boolean {
    return isHopeless(this.#raw.fault);
  }

  /** Sessions with filters take no chunks. */
  chunkOutcome(): Input {
    return { on: "chunk-read", fault: "refused" };
  }

  credited(): void {
    this.#inner.credited();
    this.#drain();
  }

  refuse(code: number, text: string): void {
    this.#inner.refuse(code, text);
    this.#drain();
  }

  get committed(): boolean {
    return this.#inner.committed;
  }

  commit(session: Session, refuse: Refuse): void {
    this.#inner.commit(session, refuse);
  }

  discard(): void {
    this.#discarded = true;
    for (const piece of [...this.#stages.flatMap(({ waiting }) => waiting), ...this.#out]) this.#used(piece);
    this.#inner.discard();
  }

  // ── Filtered of filter_client.ts, as far as it is about lines ──

  /** What a filter makes of the message. False: they are none of this message. */
  lines(process: string, token: string, bytes: Uint8Array<ArrayBuffer>): void {
    const at = this.#stages.findIndex((stage) => stage.process === process && stage.token === token);
    const piece = { bytes, from: process };
    if (at < 0 || this.#discarded) return this.#used(piece);
    if (at + 1 < this.#stages.length) return this.#offer(at + 1, piece);
    if (endsWithDot(bytes)) this.#ended = true;
    this.#out.push(piece);
    this.#drain();
  }

  taken(process: string, weight: number): void {
    const at = this.#stages.findIndex((stage) => stage.process === process);
    if (at < 0) return;
    this.#stages[at]!.credit += weight;
    this.#send(at);
  }

  #offer(at: number, piece: Piece): void {
    this.#stages[at]!.waiting.push(piece);
    this.#send(at);
  }

  /** A piece goes as a whole: credit may fall below nothing by one piece. */
  #send(at: number): void {
    const stage = this.#stages[at]!;
    while (stage.credit > 0) {
      const piece = stage.waiting.shift();
      if (piece === undefined) return;
      stage.credit -= weightOf(piece.bytes);
      this.#used(piece);
      this.#client.lines(this.#session, stage.process, stage.token, piece.bytes);
    }
  }

  #used({ bytes, from }: Piece): void {
    if (from !== null) this.#client.used(from, bytes.length);
  }

  /** As far as the queue gives credit. */
  #drain(): void {
    for (;;) {
      const piece = this.#out[0];
      if (piece === undefined) return;
      this.#wire ??= withCrLf(piece.bytes);
      const before = this.#read;
      const finished = this.#inner.outcome() !== null;
      if (!finished && before < this.#wire.length) this.#read = this.#inner.push(this.#wire, before);
      const over = finished || this.#read === this.#wire.length;
      if (!over && this.#read === before) return;
      if (!over) continue;
      this.#out.shift();
      this.#used(piece);
      this.#wire = null;
      this.#read = 0;
    }
  }
}

/** What begins with a blank would fold the last of the daemon's own lines (RFC 5322 §2.2.3): a blank line keeps it apart, as in header.ts. */
function apart(lines: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
  if (lines[0] !== 0x20 && lines[0] !== 0x09) return lines;
  const both = new Uint8Array(lines.length + 1);
  both[0] = LF;
  both.set(lines, 1);
  return both;
}

/** Shows whole lines without their doubled dots, and without the last, which is a dot. */
function showLines(authentication: Authentication, lines: Uint8Array): void {
  let from = 0;
  for (let at = 0; at < lines.length; at = lines.indexOf(LF, at) + 1) {
    if (lines[at] !== DOT) continue;
    if (at > from) authentication.received(lines.subarray(from, at));
    from = lines[at + 1] === LF ? at + 2 : at + 1;
  }
  if (from < lines.length) authentication.received(lines.subarray(from));
}

/** Are the last line's octets just a dot? */
function endsWithDot(bytes: Uint8Array): boolean {
  const { length } = bytes;
  return length >= 2 && bytes[length - 1] === LF && bytes[length - 2] === 0x2e &&
    (length === 2 || bytes[length - 3] === LF);
}

function withCrLf(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  let count = 0;
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, at + 1)) count++;
  const whole = new Uint8Array(bytes.length + count);
  let to = 0, from = 0;
  for (let at = bytes.indexOf(LF); at >= 0; at = bytes.indexOf(LF, from)) {
    whole.set(bytes.subarray(from, at), to);
    to += at - from;
    whole[to++] = CR;
    whole[to++] = LF;
    from = at + 1;
  }
  whole.set(bytes.subarray(from), to);
  return whole;
}
