/**
 * All that the history has on disk: its segments, of which the last is written. Old ones are removed when their time is over, when all together are too large, and when
 * the queue needs the room; those that cannot be used are set aside. What is written may be lost, mail never is: nothing here throws for what a disk or a
 * file does. It is long because whatever happens to a segment happens here.
 */

import { statfsSync } from "node:fs";
import type { HistoryPolicy, SpoolReserve } from "../config/mod.ts";
import { type RecordedEvent, systemReason } from "../events/mod.ts";
import type { HistoryState } from "../protocol/mod.ts";
import type { Line, Owner } from "./assembler.ts";
import { isFinal, MessageSummary } from "./summary.ts";
import { fieldHash } from "./fields.ts";
import { MAX_ROWS } from "./postings.ts";
import { type LaterLines, type NewRow, PAGE_BYTES, Segment, unusable, UnusableSegment } from "./segment.ts";

/** Messages of a segment: few enough that its index is sorted in half a second, and enough that few segments are asked. */
export const SEGMENT_MESSAGES = 250_000;
/** A segment is a part of all that may be kept, so that what goes with the oldest is little. */
const SEGMENTS = 12;
/** No segment is closed for its age before this. */
const MIN_SEGMENT_MS = 60_000;
/** Files that are open at one time. */
const MAX_OPEN_SEGMENTS = 128;
/** Messages of which what is known is kept in memory, since more will come of them. */
const MAX_LIVE_MESSAGES = 10_000;
/** Lines of one message that are kept, and so many more that are neither an attempt that is made again nor a dialogue: its end is known, however often it was tried. */
const MAX_MESSAGE_LINES = 6_000, MAX_LAST_LINES = 10_000;
/** Pages of a segment's log at most: 4 MiB. */
const MAX_LOG_PAGES = 512;
/** Room that is left beyond what the queue keeps free. */
const SPARE_BYTES = 128 * 1024 ** 2;
/** After the disk said that it is full, nothing is written for so long. */
const FULL_MS = 10_000;
/** Stands for the id of a message in the lines of a session that brought none. */
const NO_MESSAGE = "-";
/** Files that cannot be used and are named. */
const MAX_NAMED_FILES = 20;

const NAME = /^(\d{8})\.db$/, SET_ASIDE = /^\d{8}\.db\.damaged$/;

export interface StoreDeps {
  readonly folder: string;
  readonly policy: Pick<HistoryPolicy, "keepMs" | "maxBytes">;
  readonly reserve: SpoolReserve;
  /** ms since the epoch. */
  now(): number;
  log(level: "info" | "warn", text: string): void;
  /** Messages of a segment at most; SEGMENT_MESSAGES without it. */
  readonly segmentMessages?: number;
  /** Octets that are free on the disk and all that it has; statfs(2) without it. */
  disk?(): { readonly free: number; readonly total: number } | null;
}

/** What is known of a segment that may be closed. */
export interface KnownSegment {
  readonly number: number;
  readonly path: string;
  rows: number;
  since: number;
  until: number;
  bytes: number;
}

/** What is known of a message of which more may come, and what of it is not written yet. */
interface Live {
  readonly summary: MessageSummary;
  /** Null before it is written. */
  place: { readonly segment: number; readonly row: number } | null;
  lines: string[];
  count: number;
}

export class HistoryStore {
  #deps: StoreDeps;
  /** In order. */
  readonly #segments: KnownSegment[] = [];
  readonly #open = new Map<number, Segment>();
  readonly #live = new Map<string, Live>();
  /** With lines that are not written yet. */
  readonly #pending = new Set<Live>();
  /** Octets of what was set aside. */
  #asideBytes = 0;
  readonly #damaged = new Map<string, string>();
  #fullUntil = -Infinity;
  #stopped: string | null = null;
  leftOut = 0;

  constructor(deps: StoreDeps) {
    this.#deps = deps;
    this.#begin();
  }

  /** Other bounds hold from now on. */
  configure(changes: Pick<StoreDeps, "policy" | "reserve">): void {
    this.#deps = { ...this.#deps, ...changes };
  }

  #begin(): void {
    const { folder } = this.#deps;
    try {
      makeFolder(folder);
      for (const { name } of Deno.readDirSync(folder)) {
        const number = NAME.exec(name)?.[1];
        if (number !== undefined) this.#segments.push(unread(`${folder}/${name}`, Number(number)));
        else if (SET_ASIDE.test(name)) this.#note(name, "is damaged and was set aside");
      }
    } catch (error) {
      this.#stop(`${folder}: ${systemReason(error)}`);
    }
    this.#segments.sort((a, b) => a.number - b.number);
    for (const known of [...this.#segments]) {
      this.use(known, (segment) => {
        // The daemon was killed while it was sorted.
        if (known !== this.#segments.at(-1)) segment.sort();
      });
    }
    this.tend();
  }

  /** Takes lines of one owner. They are written by `flush`. */
  add(owner: Owner, lines: readonly Line[]): void {
    const live = this.#liveOf(owner);
    for (const { text, recorded } of lines) {
      live.summary.add(recorded);
      if (live.count >= MAX_MESSAGE_LINES + (comesAgain(recorded) ? 0 : MAX_LAST_LINES)) continue;
      live.count++;
      live.lines.push(text);
    }
    this.#pending.add(live);
  }

  /** Messages with lines that are not written yet. */
  get waiting(): number {
    return this.#pending.size;
  }

  #liveOf(owner: Owner): Live {
    const key = keyOf({ id: owner.message, session: owner.session });
    const known = owner.begins ? undefined : this.#live.get(key);
    if (known !== undefined && (known.place === null || this.#segmentOf(known.place.segment) !== null)) return known;
    const live = (owner.begins ? null : this.#stored(owner)) ??
      { summary: new MessageSummary(owner.message), place: null, lines: [], count: 0 };
    this.#live.set(key, live);
    if (this.#live.size > MAX_LIVE_MESSAGES) this.#forgetOldest();
    return live;
  }

  /** Many at a time: the first of a Map is behind all that were deleted in front of it. */
  #forgetOldest(): void {
    let over = MAX_LIVE_MESSAGES / 2;
    for (const [key, { place }] of this.#live) {
      if (over-- <= 0) return;
      // What is not written yet is still to be completed.
      if (place !== null) this.#live.delete(key);
    }
  }

  /** A message that was written before, as it is known from its lines. */
  #stored({ message, session }: Owner): Live | null {
    const place = this.latest(message === "" ? { field: "session", id: session } : { field: "id", id: message });
    if (place === null) return null;
    const { summary, lines } = place;
    if (summary.id !== message) return null;
    summary.takeKeys();
    return { summary, place: { segment: place.segment.number, row: place.row }, lines: [], count: lines.length };
  }

  /** The newest message, or entry of a session, with this id. */
  latest(
    { field, id }: { readonly field: "id" | "session"; readonly id: string },
  ): {
    readonly segment: KnownSegment;
    readonly row: number;
    readonly summary: MessageSummary;
    readonly lines: string[];
  } | null {
    const key = fieldHash(field, id);
    for (const segment of this.newestFirst()) {
      const found = this.use(segment, (opened) => {
        for (const row of opened.rowsOf([key], MAX_ROWS)) {
          const lines = opened.linesOf(row);
          const summary = summaryOf(lines);
          if (field === "id" ? summary.id === id : summary.id === "" && summary.session === id) {
            return { segment, row, summary, lines };
          }
        }
        return null;
      });
      if (found != null) return found;
    }
    return null;
  }

  /** The segments that can be used, the newest first. */
  newestFirst(): KnownSegment[] {
    return this.#segments.toReversed();
  }

  /** Calls `run` with the segment, opened. Returns undefined where it cannot be used: it is set aside then. */
  use<T>(known: KnownSegment, run: (segment: Segment) => T): T | undefined {
    try {
      return run(this.#opened(known));
    } catch (error) {
      const reason = unusable(error);
      if (reason instanceof UnusableSegment) this.#setAside(known, reason);
      else this.#deps.log("warn", `warn: history: ${known.path}: ${systemReason(error)}`);
      return undefined;
    }
  }

  #opened(known: KnownSegment): Segment {
    let segment = this.#open.get(known.number);
    if (segment === undefined) {
      segment = new Segment({ path: known.path, number: known.number, logPages: this.#logPages });
      known.rows = segment.rows;
      known.since = segment.since;
      known.until = segment.until;
    } else this.#open.delete(known.number);
    this.#open.set(known.number, segment);
    if (this.#open.size > MAX_OPEN_SEGMENTS) {
      const [oldest] = this.#open.keys();
      this.#closeSegment(oldest!);
    }
    return segment;
  }

  get #logPages(): number {
    return Math.max(16, Math.min(MAX_LOG_PAGES, Math.floor(this.#deps.policy.maxBytes / 32 / PAGE_BYTES)));
  }

  #closeSegment(number: number): void {
    const segment = this.#open.get(number);
    this.#open.delete(number);
    try {
      segment?.close();
    } catch {
      // It is closed, or its disk is gone.
    }
  }

  #segmentOf(number: number): KnownSegment | null {
    return this.#segments.find((one) => one.number === number) ?? null;
  }

  /** Writes what has come. What cannot be written is left out, and counted. */
  flush(): void {
    const pending = [...this.#pending];
    this.#pending.clear();
    if (pending.length === 0) return;
    if (this.#deps.now() < this.#fullUntil) return this.#drop(pending);
    const fresh = pending.filter(({ place }) => place === null);
    const later = Map.groupBy(pending.filter(({ place }) => place !== null), ({ place }) => place!.segment);
    const active = this.#active();
    if (active === null) return this.#drop(pending);
    const numbers = new Set([...later.keys(), ...fresh.length > 0 ? [active.number] : []]);
    for (const number of numbers) {
      this.#write(this.#segmentOf(number), number === active.number ? fresh : [], later.get(number) ?? []);
    }
    this.#measure(active);
  }

  #write(known: KnownSegment | null, fresh: readonly Live[], later: readonly Live[]): void {
    if (known === null) return this.#drop([...fresh, ...later]);
    const rows = fresh.map((live): NewRow => {
      const { lines, ...content } = contentOf(live);
      return { at: live.summary.at, lines: [live.summary.id || NO_MESSAGE, ...lines], ...content };
    });
    const lines = later.map((live): LaterLines => ({ row: live.place!.row, ...contentOf(live) }));
    try {
      const segment = this.#opened(known);
      const first = segment.write(rows, lines);
      Object.assign(known, { rows: segment.rows, since: segment.since, until: segment.until });
      fresh.forEach((live, at) => live.place = { segment: known.number, row: first + at });
      for (const live of [...fresh, ...later]) {
        live.lines = [];
        // Seldom does more come.
        if (isFinal(live.summary.outcome)) this.#live.delete(keyOf(live.summary));
      }
      this.#stopped = null;
    } catch (error) {
      const reason = unusable(error);
      if (reason instanceof UnusableSegment) this.#setAside(known, reason);
      else this.#full(systemReason(error));
      this.#drop([...fresh, ...later]);
    }
  }

  /** They are not written. What is known of them is not what is on disk, and is forgotten. */
  #drop(all: readonly Live[]): void {
    for (const { lines, summary } of all) {
      this.leftOut += lines.length;
      this.#live.delete(keyOf(summary));
    }
  }

  /** The segment that new messages go into; null where there can be none. */
  #active(): KnownSegment | null {
    const last = this.#segments.at(-1);
    const usable = last !== undefined && !this.#isDone(last) && this.use(last, (segment) => !segment.sorted) === true;
    if (usable) return last;
    if (last !== undefined && this.#segments.includes(last)) this.use(last, (segment) => segment.sort());
    return this.#newSegment();
  }

  #isDone({ rows, bytes, since, until }: KnownSegment): boolean {
    const { policy, segmentMessages = SEGMENT_MESSAGES } = this.#deps;
    return rows >= segmentMessages || (rows > 0 && bytes > policy.maxBytes / SEGMENTS) ||
      (rows > 0 && until - since > Math.max(MIN_SEGMENT_MS, policy.keepMs / SEGMENTS));
  }

  #newSegment(): KnownSegment | null {
    const { folder } = this.#deps;
    try {
      makeFolder(folder);
      const numbers = [...Deno.readDirSync(folder)].map(({ name }) => Number(/^(\d{8})\.db/.exec(name)?.[1] ?? 0));
      const number = Math.max(0, ...numbers, this.#segments.at(-1)?.number ?? 0) + 1;
      const known = unread(`${folder}/${String(number).padStart(8, "0")}.db`, number);
      this.#opened(known);
      this.#segments.push(known);
      return known;
    } catch (error) {
      this.#full(systemReason(error));
      return null;
    }
  }

  #full(reason: string): void {
    this.#fullUntil = this.#deps.now() + FULL_MS;
    this.#stop(reason);
  }

  #stop(reason: string): void {
    if (this.#stopped !== reason) this.#deps.log("warn", `warn: history: nothing is recorded: ${reason}`);
    this.#stopped = reason;
  }

  #note(name: string, text: string): void {
    if (this.#damaged.size < MAX_NAMED_FILES) this.#damaged.set(name, `${name} ${text}`);
  }

  #setAside(known: KnownSegment, { message, newer }: UnusableSegment): void {
    this.#closeSegment(known.number);
    this.#forget(known);
    const name = known.path.slice(known.path.lastIndexOf("/") + 1);
    if (newer) {
      this.#note(name, `${message}: it is left alone`);
      return this.#deps.log("warn", `warn: history: ${name} ${message}: it is left alone`);
    }
    try {
      Deno.renameSync(known.path, `${known.path}.damaged`);
      for (const end of ["-wal", "-journal", "-shm"]) removeFile(`${known.path}${end}`);
    } catch (error) {
      this.#deps.log("warn", `warn: history: ${name} cannot be set aside: ${systemReason(error)}`);
    }
    this.#note(`${name}.damaged`, message);
    this.#deps.log("warn", `warn: history: ${name} ${message}: it is set aside as ${name}.damaged`);
  }

  #forget(known: KnownSegment): void {
    const at = this.#segments.indexOf(known);
    if (at >= 0) this.#segments.splice(at, 1);
  }

  #measure(known: KnownSegment): void {
    known.bytes = sizeOf(known.path) + sizeOf(`${known.path}-wal`);
    if (this.bytes > this.#deps.policy.maxBytes) this.tend();
  }

  /** Octets of all files. */
  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, this.#asideBytes);
  }

  /** Removes what is too old, or too much. To be called every few seconds. */
  tend(): void {
    for (const one of this.#segments) one.bytes = sizeOf(one.path) + sizeOf(`${one.path}-wal`);
    this.#tendAside();
    const { policy, now } = this.#deps;
    while (this.#segments.length > 0 && this.bytes > policy.maxBytes) {
      const oldest = this.#segments[0]!;
      if (this.#segments.length === 1) {
        this.use(oldest, (segment) => segment.sort());
        oldest.bytes = sizeOf(oldest.path) + sizeOf(`${oldest.path}-wal`);
        if (this.bytes <= policy.maxBytes || this.#newSegment() === null) break;
      }
      this.#remove(oldest);
    }
    // One at a time: a clock that jumps and comes back costs little.
    const oldest = this.#segments[0];
    if (oldest !== undefined && this.#youngestOf(oldest) < now() - policy.keepMs) this.#remove(oldest);
    this.#leaveRoom();
  }

  /** When its last message began; not later than those behind it, whatever the clock said then. */
  #youngestOf(segment: KnownSegment): number {
    const behind = this.#segments.slice(this.#segments.indexOf(segment)).filter(({ rows }) => rows > 0);
    return Math.min(Infinity, ...behind.map(({ until }) => until));
  }

  /** The disk is the queue's first. */
  #leaveRoom(): void {
    const { reserve, folder } = this.#deps;
    const disk = (this.#deps.disk ?? (() => readDisk(folder)))();
    if (disk === null) return;
    const kept = (reserve.share === null ? reserve.bytes : Math.min(disk.total * reserve.share, reserve.bytes)) +
      Math.min(SPARE_BYTES, disk.total / 50);
    if (disk.free >= kept) return;
    if (this.#segments.length > 1) return this.#remove(this.#segments[0]!);
    this.#full(`less than ${Math.ceil(kept / 1024 ** 2)} MiB are free on the disk of ${folder}`);
  }

  #remove(known: KnownSegment): void {
    this.#closeSegment(known.number);
    this.#forget(known);
    for (const end of ["", "-wal", "-journal", "-shm"]) removeFile(`${known.path}${end}`);
  }

  /** What was set aside goes like the rest: when its time is over, and first when there is too much. */
  #tendAside(): void {
    const { folder, policy, now } = this.#deps;
    this.#asideBytes = 0;
    const used = new Set(this.#segments.map(({ path }) => path));
    let names: string[] = [];
    try {
      names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    } catch {
      return;
    }
    const aside = names.filter((name) => SET_ASIDE.test(name) || (NAME.test(name) && !used.has(`${folder}/${name}`)));
    let bytes = aside.reduce((sum, name) => sum + sizeOf(`${folder}/${name}`), 0);
    for (const name of aside) {
      const path = `${folder}/${name}`, size = sizeOf(path);
      const old = modifiedAt(path) < now() - policy.keepMs;
      const tooMuch = bytes + this.#segments.reduce((sum, one) => sum + one.bytes, 0) > policy.maxBytes;
      if (!old && !tooMuch) continue;
      bytes -= size;
      removeFile(path);
      this.#damaged.delete(name);
    }
    this.#asideBytes = bytes;
  }

  get state(): HistoryState {
    const times = this.#segments.filter(({ rows }) => rows > 0).map(({ since }) => since);
    return {
      messages: this.#segments.reduce((sum, { rows }) => sum + rows, 0),
      bytes: this.bytes,
      segments: this.#segments.length,
      oldestAt: times.length === 0 ? null : Math.min(...times),
      leftOut: this.leftOut,
      stopped: this.#stopped,
      damaged: [...this.#damaged.values()],
    };
  }

  /** Writes what has come, and closes the files. */
  close(): void {
    this.flush();
    for (const number of [...this.#open.keys()]) this.#closeSegment(number);
  }
}

/** What is known of a message from its lines, of which the first is its id. */
export function summaryOf([id = "", ...lines]: readonly string[]): MessageSummary {
  const summary = new MessageSummary(id === NO_MESSAGE ? "" : id);
  for (const line of lines) {
    const recorded = parseLine(line);
    if (recorded !== null) summary.add(recorded);
  }
  return summary;
}

/** One line of the history; null for what is none. */
export function parseLine(line: string): RecordedEvent | null {
  try {
    const recorded = JSON.parse(line) as RecordedEvent;
    const { at, event } = recorded;
    return typeof at === "number" && typeof event === "object" && event !== null && typeof event.type === "string"
      ? recorded
      : null;
  } catch {
    return null;
  }
}

function keyOf({ id, session }: Pick<MessageSummary, "id" | "session">): string {
  return id === "" ? `session ${session}` : id;
}

function contentOf({ summary, lines }: Live): Omit<NewRow, "at"> {
  return { lines, ...summary.takeKeys(), final: isFinal(summary.outcome) };
}

function unread(path: string, number: number): KnownSegment {
  return { number, path, rows: 0, since: Infinity, until: -Infinity, bytes: 0 };
}

function makeFolder(folder: string): void {
  try {
    Deno.mkdirSync(folder, { mode: 0o700 });
  } catch (error) {
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
  }
}

function readDisk(folder: string): { readonly free: number; readonly total: number } | null {
  try {
    const { bsize, blocks, bavail } = statfsSync(folder);
    return { total: blocks * bsize, free: bavail * bsize };
  } catch {
    return null;
  }
}

function sizeOf(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch {
    return 0;
  }
}

function modifiedAt(path: string): number {
  try {
    return Deno.statSync(path).mtime?.getTime() ?? Infinity;
  } catch {
    return Infinity;
  }
}

function removeFile(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It is not there.
  }
}

function comesAgain({ event }: RecordedEvent): boolean {
  return event.type === "dialogue" || (event.type === "delivery" && event.outcome === "tempfail");
}
