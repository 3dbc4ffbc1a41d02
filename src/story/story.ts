/**
 * Tells the story of a message, or of a session, from its events and from what is in the queue now. Pure: the same for smtpctl, the admin page and its API.
 */

import type { RecordedEvent } from "../events/mod.ts";
import { attemptLines } from "./attempts.ts";
import { eventLines } from "./event_lines.ts";
import { clientOf, headlineOf } from "./headline.ts";
import { type EnvelopeStory, gather, type Known } from "./known.ts";
import { spanOf } from "./span.ts";
import type { Present, Story, StoryFacts, StoryKind, StoryLine } from "./types.ts";
import { addressOf, counted, listOf, timesOf } from "./words.ts";

/** What belongs to a story beside its events. */
export interface About {
  /** What was asked for: the id of a message, an envelope or a session, or the ref of a refusal. */
  readonly id: string;
  /** Null where nothing is known of now. */
  readonly present?: Present | null;
  /** There are more events than these. */
  readonly truncated?: boolean;
}

/** Lines of one story at most: of more, those in the middle are left out and counted. */
export const MAX_STORY_LINES = 300;
/** Of these, so many from the beginning. */
const FIRST_LINES = 100;
/** Characters of all that stands below lines, at most. */
const MAX_DETAIL_CHARS = 200_000;
/** Sentences about what is in the queue now. */
const MAX_NOW_LINES = 20;

/** Takes the events in order of time, and returns the story: the reason first, then what happened, then how it stands now. */
export function storyOf(recorded: readonly RecordedEvent[], { id, present = null, truncated = false }: About): Story {
  const events = recorded.filter((one) => isReadable(one, id)), unreadable = recorded.length - events.length;
  const known = gather(events, id, present);
  const { text, level } = headlineOf(known, id, present);
  const unsorted = [...eventLines(events, known, id), ...attemptLines(known.envelopes)];
  const lines = unsorted.sort((one, other) => one.at - other.at || RANKS[one.kind] - RANKS[other.kind]);
  const notes = [...present?.notes ?? []];
  if (truncated) notes.push("There is more than is told here: the history answers a bounded number of events.");
  if (unreadable > 0) {
    const were = unreadable === 1 ? "was" : "were";
    notes.push(`${counted(unreadable, "event")} ${were} recorded by another version, and cannot be read.`);
  }
  return {
    id,
    headline: text,
    level,
    facts: factsOf(known, events),
    lines: bounded(lines),
    now: nowOf(known, present),
    notes,
  };
}

/** In which order lines of one moment stand. */
const RANKS: Readonly<Record<StoryKind, number>> = {
  connection: 0,
  refusal: 0,
  check: 1,
  filter: 2,
  recipient: 3,
  message: 4,
  attempt: 5,
  queue: 6,
  dsn: 7,
};

/** Returns whether something has left the queue, and these events do not say how: they may be on their way. */
export function isIncomplete(events: readonly RecordedEvent[], { id, present = null }: About): boolean {
  return gather(events.filter((one) => isReadable(one, id)), id, present).envelopes.some(({ fate }) => fate === "lost");
}

/** Returns whether an event can be told: the history keeps them as they were, and those of another version may lack what this one needs. */
function isReadable(event: RecordedEvent, id: string): boolean {
  try {
    const known = gather([event], id, null);
    headlineOf(known, id, null);
    factsOf(known, [event]);
    eventLines([event], known, id);
    attemptLines(known.envelopes);
    return Number.isFinite(event.at);
  } catch {
    return false;
  }
}

function bounded(all: readonly StoryLine[]): readonly StoryLine[] {
  return withinChars(withinLines(all));
}

/** The lines with what stands below them as long as there is room for that. */
function withinChars(lines: readonly StoryLine[]): StoryLine[] {
  let room = MAX_DETAIL_CHARS;
  return lines.map((line) => {
    const text = line.text.replace(/([?!])\.$/, "$1");
    const kept = (line.detail ?? []).filter((one) => (room -= one.length) >= 0);
    return line.detail === undefined ? { ...line, text } : { ...line, text, detail: kept };
  });
}

function withinLines(lines: readonly StoryLine[]): readonly StoryLine[] {
  const left = lines.length - MAX_STORY_LINES;
  if (left <= 0) return lines;
  const end = lines.slice(FIRST_LINES + left + 1);
  const { at } = lines[FIRST_LINES]!;
  const gap: StoryLine = { at, kind: "message", level: "info", text: `${counted(left + 1, "line")} left out here.` };
  return [...lines.slice(0, FIRST_LINES), gap, ...end];
}

function factsOf(known: Known, events: readonly RecordedEvent[]): StoryFacts {
  const { accepted: [first], envelopes, connected, refusals, asDsn, queued } = known;
  const detail = first?.event.detail, refusal = refusals.find(({ event }) => event.detail?.sender !== undefined);
  const recipients = [...new Set(envelopes.filter(({ agent }) => agent !== "bounce").map(({ rcpt }) => rcpt))];
  const refused = refusals.flatMap(({ event }) => event.detail?.rcpts ?? []);
  const to = recipients.length > 0 ? recipients : [...new Set(refused)];
  const attempt = envelopes[0]?.attempts[0]?.event;
  const from = detail !== undefined
    ? addressOf(detail.sender)
    : queued !== null
    ? addressOf(queued.event.from)
    : asDsn !== null
    ? ""
    : attempt !== undefined
    ? addressOf(attempt.from)
    : envelopes[0]?.present?.from ?? (refusal === undefined ? null : addressOf(refusal.event.detail!.sender!));
  return {
    message: known.message,
    session: known.session,
    from,
    to: to.slice(0, 10),
    recipients: first === undefined ? to.length : Math.max(to.length, first.event.rcpts),
    peer: connected !== null || refusals.length > 0 ? clientOf(known) : null,
    login: known.login ?? (detail === undefined || detail.origin.username === "" ? null : detail.origin.username),
    messageId: detail === undefined || detail.messageId === "" ? null : detail.messageId,
    bytes: first?.event.bytes ?? queued?.event.bytes ?? asDsn?.event.bytes ?? null,
    firstAt: events[0]?.at ?? envelopes[0]?.acceptedAt ?? null,
    lastAt: events.at(-1)?.at ?? null,
  };
}

/** What is in the queue now, those that wait alike together. */
function nowOf({ envelopes }: Known, present: Present | null): string[] {
  if (present === null) return [];
  const queued = envelopes.filter((one) => one.present !== null);
  if (queued.length === 0) return [];
  const { now, more } = present;
  const groups = [...Map.groupBy(queued, (one) => standingOf(one, now))];
  const sentences = groups.slice(0, MAX_NOW_LINES).map(([standing, some]) =>
    some.length <= 4
      ? `${listOf(some.map(({ name }) => name))}: ${standing}.`
      : `${some.length} recipients: ${standing}.`
  );
  const left = groups.slice(MAX_NOW_LINES).reduce((sum, [, some]) => sum + some.length, 0);
  if (left > 0) sentences.push(`${counted(left, "more recipient")} in the queue.`);
  if (more) sentences.push("There are more in the queue than are told here: smtpctl show queue lists them.");
  return sentences;
}

/** How an envelope stands, without its name. */
function standingOf({ present, tries, id }: EnvelopeStory, now: number): string {
  const { state, at, suspended, expiresAt, wait, agent } = present!;
  if (agent === "bounce") return "a DSN is to be written";
  const kept = `kept for ${spanOf(expiresAt - now)} more`;
  const tried = tries === 0 ? "not tried yet" : `tried ${timesOf(tries)}`;
  if (suspended) return `held (smtpctl resume envelope ${id} lets it go), ${tried}`;
  const waits = wait === null ? "" : `, ${wait}`;
  if (state === "inflight") return `an attempt is under way since ${spanOf(now - at)}, ${tried}`;
  if (state === "unknown") return `in the queue, ${tried}`;
  const due = at - now > 1_000 ? `next try in about ${spanOf(at - now)}` : "due now";
  return `${due}${waits}, ${tried}, ${kept}`;
}
