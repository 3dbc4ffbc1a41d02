/** Answers questions about the history from its segments, the newest first, in bounded time: what is left then is told by where it goes on. */

import type { RecordedEvent } from "../events/mod.ts";
import type { FoundMessage, HistoryQuery } from "../protocol/mod.ts";
import { MAX_STORY_EVENTS } from "../protocol/history.ts";
import { type Condition, conditionsOf, type Lead } from "./condition.ts";
import { fieldHash, type FieldKey } from "./fields.ts";
import { MAX_ROWS } from "./postings.ts";
import { soundEvent } from "./received_line.ts";
import type { Segment } from "./segment.ts";
import { type HistoryStore, type KnownSegment, parseLine, summaryOf } from "./store.ts";

/** One search takes so long at most, in milliseconds, and one message more. */
export const SEARCH_MS = 150;
/** Characters of one story at most: it goes through the door in one piece. */
const MAX_STORY_CHARS = 8 * 1024 * 1024;
/** Entries that one story is put together of. */
const MAX_STORY_PARTS = 50;

/** Where a listing goes on: below this row of this segment. */
interface Place {
  readonly segment: number;
  readonly row: number;
}

export interface Found {
  readonly messages: readonly FoundMessage[];
  readonly next: string | null;
  readonly more: boolean;
}

export interface Story {
  readonly events: readonly RecordedEvent[];
  readonly truncated: boolean;
}

/** Finds messages. `before` is the `next` of the answer before, "" at the begin; what is no such text begins. `steady` is a clock that does not go back. */
export function find(
  store: HistoryStore,
  { query, limit, before }: { readonly query: HistoryQuery; readonly limit: number; readonly before: string },
  steady: () => number,
): Found {
  const end = steady() + SEARCH_MS;
  const conditions = conditionsOf(query);
  const messages: FoundMessage[] = [];
  const start = placeOf(before);
  for (const known of store.newestFirst()) {
    if (start !== null && known.number > start.segment) continue;
    const below = start?.segment === known.number ? start.row : MAX_ROWS;
    // Where it goes on, once it has stopped in this segment.
    let stopped: { readonly place: Place; readonly more: boolean } | null = null;
    store.use(known, (segment) => {
      if (!mayHave(known, query)) return;
      for (const row of candidates(segment, { conditions, query, below })) {
        if (messages.length >= limit) return stopped = { place: placeAt(known, row + 1), more: false };
        if (steady() > end) return stopped = { place: placeAt(known, row + 1), more: true };
        const summary = summaryOf(segment.linesOf(row));
        if (conditions.every((one) => one.fulfilled(summary))) messages.push(summary.found());
      }
    });
    const { place = null, more = false } = (stopped ?? {}) as Partial<{ place: Place; more: boolean }>;
    if (place !== null) return { messages, next: `${place.segment}.${place.row}`, more };
    if (steady() > end && known !== store.newestFirst().at(-1)) {
      return { messages, next: `${known.number}.0`, more: messages.length < limit };
    }
  }
  return { messages, next: null, more: false };
}

function placeAt(known: KnownSegment, row: number): Place {
  return { segment: known.number, row };
}

function placeOf(text: string): Place | null {
  const [, segment, row] = /^(\d{1,8})\.(\d{1,7})$/.exec(text) ?? [];
  return segment === undefined ? null : { segment: Number(segment), row: Number(row) };
}

function mayHave({ since, until }: KnownSegment, query: HistoryQuery): boolean {
  return until >= (query.since ?? -Infinity) && since <= (query.until ?? Infinity);
}

/** Rows that may fulfil the conditions, the newest first. */
function candidates(
  segment: Segment,
  { conditions, query, below }: {
    readonly conditions: readonly Condition[];
    readonly query: HistoryQuery;
    readonly below: number;
  },
): Iterable<number> {
  const leads = conditions.flatMap(({ lead }) => lead ?? []);
  if (leads.length === 0) {
    return segment.rowsBetween({ since: query.since ?? -Infinity, until: query.until ?? Infinity }, below);
  }
  const lists = leads.map((lead) => rowsOf(segment, lead, below)).sort((a, b) => a.length - b.length);
  return lists.reduce(common);
}

function rowsOf(segment: Segment, { keys, form, open }: Lead, below: number): number[] {
  const all = form === undefined ? keys : [...keys, ...formKeys(segment, form)];
  const rows = all.length === 0 ? [] : segment.rowsOf(all, below);
  if (open === undefined) return rows;
  const waiting = segment.openRows(below);
  return rows.length === 0 ? waiting : [...new Set([...rows, ...waiting])].sort((a, b) => b - a);
}

function formKeys(segment: Segment, passes: (form: string) => boolean): FieldKey[] {
  const keys: FieldKey[] = [];
  for (const form of segment.forms()) if (passes(form)) keys.push(fieldHash("reply", form));
  return keys;
}

/** What both lists have, each with the greatest first. */
function common(one: readonly number[], other: readonly number[]): number[] {
  const both: number[] = [];
  for (let a = 0, b = 0; a < one.length && b < other.length;) {
    if (one[a] === other[b]) {
      both.push(one[a++]!);
      b++;
    } else if (one[a]! > other[b]!) a++;
    else b++;
  }
  return both;
}

/**
 * Returns the events of a message, an envelope of one, a session or a refusal, in the order of their times. Of messages that had the same id, one after the
 * other, those of the last. `dialogues`: only what was said in its sessions; else all but that.
 */
export function story(
  store: HistoryStore,
  id: string,
  { dialogues, open = [] }: { readonly dialogues: boolean; readonly open?: readonly string[] },
): Story {
  const lines = new Set([...linesOf(store, id.trim().toLowerCase().replace(/-\d+$/, "")), ...open]);
  const parts = [...lines].flatMap((line): Part[] => {
    const recorded = parseLine(line);
    return recorded === null ? [] : [{ recorded, chars: line.length }];
  }).filter(({ recorded: { event } }) => (event.type as string === "dialogue") === dialogues)
    .sort((a, b) => a.recorded.at - b.recorded.at);
  const kept = ends(parts);
  return { events: kept.map(({ recorded }) => soundEvent(recorded)), truncated: kept.length < parts.length };
}

interface Part {
  readonly recorded: RecordedEvent;
  readonly chars: number;
}

/** All of them; of too many the first quarter and the last: how it began, and what became of it. */
function ends(parts: readonly Part[]): readonly Part[] {
  const first = fitting(parts, { events: MAX_STORY_EVENTS / 4, chars: MAX_STORY_CHARS / 4 });
  const rest = parts.slice(first);
  const last = fitting(rest.toReversed(), { events: MAX_STORY_EVENTS - first, chars: MAX_STORY_CHARS * 3 / 4 });
  return [...parts.slice(0, first), ...rest.slice(rest.length - last)];
}

/** How many from the start are within the limits. */
function fitting(
  parts: readonly Part[],
  { events, chars }: { readonly events: number; readonly chars: number },
): number {
  let count = 0;
  for (let sum = 0; count < parts.length && count < events; count++) {
    sum += parts[count]!.chars;
    if (sum > chars) break;
  }
  return count;
}

function linesOf(store: HistoryStore, id: string): string[] {
  if (/^[0-9a-f]{8}$/.test(id)) return store.latest({ field: "id", id })?.lines ?? [];
  if (!/^[0-9a-f]{16}$/.test(id)) return [];
  const ofEnvelope = store.latest({ field: "id", id: id.slice(0, 8) });
  if (ofEnvelope?.summary.envelopes.has(id)) return ofEnvelope.lines;
  return linesOfSession(store, id);
}

/** Of all that came in a session: its messages, and what it was refused. */
function linesOfSession(store: HistoryStore, session: string): string[] {
  const parts: string[][] = [];
  const key = fieldHash("session", session);
  for (const known of store.newestFirst()) {
    store.use(known, (segment) => {
      for (const row of segment.rowsOf([key], MAX_ROWS)) {
        if (parts.length >= MAX_STORY_PARTS) return;
        const lines = segment.linesOf(row);
        if (summaryOf(lines).session === session) parts.push(lines);
      }
    });
    if (parts.length > 0) break;
  }
  return parts.reverse().flat();
}
