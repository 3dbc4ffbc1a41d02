/** Attempts to deliver, told together where they are alike: of a message with many recipients, and of one that was tried many times. Pure. */

import { describe, meaningOf, REPLY_CLASSES } from "../reply_class/mod.ts";
import { answerText, whereOf } from "./headline.ts";
import type { Attempt, EnvelopeStory } from "./known.ts";
import type { StoryLevel, StoryLine } from "./types.ts";
import { counted, listOf, replyOf, tlsOf } from "./words.ts";

/** Attempts that end alike within this time are told in one line, in ms. */
const TOGETHER_MS = 60_000;
/** Recipients that a line names below it. */
const MAX_LISTED_RECIPIENTS = 10;
/** So many lines in a row may tell of the same failure; of more, the first and the last are told. */
const MAX_ALIKE_LINES = 3;

interface Group {
  readonly key: string;
  readonly at: number;
  lastAt: number;
  readonly first: Attempt;
  readonly envelopes: EnvelopeStory[];
}

/** The lines of all attempts, in order of time. */
export function attemptLines(envelopes: readonly EnvelopeStory[]): StoryLine[] {
  const groups = grouped(envelopes);
  const lines: StoryLine[] = [], explained = new Set<string>();
  const lineOf = (group: Group) => groupLine(group, explained);
  for (let at = 0; at < groups.length;) {
    const group = groups[at]!;
    let end = at + 1;
    while (end < groups.length && isSameFailure(group, groups[end]!)) end++;
    const alike = end - at;
    lines.push(lineOf(group));
    if (alike > MAX_ALIKE_LINES) {
      const { lastAt } = groups[end - 2]!;
      lines.push({
        at: lastAt,
        kind: "attempt",
        level: "warn",
        text: `${counted(alike - 2, "more attempt")} until here ended with the same answer.`,
      });
      lines.push(lineOf(groups[end - 1]!));
    } else for (const other of groups.slice(at + 1, end)) lines.push(lineOf(other));
    at = end;
  }
  return lines;
}

function grouped(envelopes: readonly EnvelopeStory[]): Group[] {
  const all = envelopes.flatMap((envelope) => envelope.attempts.map((attempt) => ({ envelope, attempt })))
    .sort((one, other) => one.attempt.at - other.attempt.at);
  const groups: Group[] = [], open = new Map<string, Group>();
  for (const { envelope, attempt } of all) {
    const key = keyOf(attempt), known = open.get(key);
    if (known !== undefined && attempt.at - known.lastAt <= TOGETHER_MS && !known.envelopes.includes(envelope)) {
      known.envelopes.push(envelope);
      known.lastAt = attempt.at;
      continue;
    }
    const group = { key, at: attempt.at, lastAt: attempt.at, first: attempt, envelopes: [envelope] };
    groups.push(group);
    open.set(key, group);
  }
  return groups;
}

/** What attempts have in common that are told together: of successes the reply, which names each of them otherwise, does not count. */
function keyOf({ event: { agent, outcome, stat, relay, user } }: Attempt): string {
  return [agent, outcome, relay ?? "", agent === "mda" && outcome !== "ok" ? user : "", outcome === "ok" ? "" : stat]
    .join(
      "\0",
    );
}

function isSameFailure(one: Group, other: Group): boolean {
  return one.first.event.outcome === "tempfail" && one.key === other.key &&
    one.envelopes.length === other.envelopes.length && one.envelopes[0] === other.envelopes[0];
}

const LEVELS: Readonly<Record<Attempt["event"]["outcome"], StoryLevel>> = {
  ok: "ok",
  tempfail: "warn",
  permfail: "bad",
  loop: "bad",
};

/** `explained`: the classes of failures whose meaning was told before. */
function groupLine({ at, first: { event }, envelopes }: Group, explained: Set<string>): StoryLine {
  const { agent, outcome } = event;
  const names = listOf(envelopes.slice(0, 4).map(({ name }) => name), envelopes.length);
  const answer = answerText(event);
  const attempt = event.detail === undefined || envelopes.length > 1 ? "Attempt" : `Attempt ${event.detail.tries}`;
  const text = outcome !== "ok"
    ? `${attempt} for ${names} ${outcome === "tempfail" ? "failed for now" : "failed for good"}: ${answer}.`
    : agent === "mda"
    ? `Delivered to ${names}${methodOf(event)}: ${replyOf(event.stat)}.`
    : `Relayed for ${names}: ${answer}.`;
  const rest = envelopes.length > 4 ? [recipientsOf(envelopes.map(({ name }) => name))] : [];
  return {
    at,
    kind: "attempt",
    level: LEVELS[outcome],
    text,
    detail: [...rest, ...hostLine(event), ...meaningLine(event, envelopes, explained)],
  };
}

/** Some of them by name, the others by number. */
export function recipientsOf(names: readonly string[]): string {
  const shown = names.slice(0, MAX_LISTED_RECIPIENTS).join(", "), rest = names.length - MAX_LISTED_RECIPIENTS;
  return rest > 0 ? `${shown} and ${rest} more` : shown;
}

function methodOf({ detail, user }: Attempt["event"]): string {
  const whose = user === undefined || user === "" ? "" : ` of ${user}`;
  return detail === undefined ? "" : ` (${detail.method}${whose})`;
}

/** Host, TLS, time: how the attempt went. */
function hostLine(event: Attempt["event"]): string[] {
  const { detail } = event;
  if (detail === undefined || event.agent === "mda") return [];
  const parts: string[] = [];
  if (detail.address !== undefined) {
    const port = detail.port === undefined ? "" : `, port ${detail.port}`;
    parts.push(`${detail.method} to ${whereOf(event)}${port}`);
  }
  if (detail.source !== undefined && detail.source !== "-") parts.push(`from ${detail.source}`);
  if (detail.tls === null) parts.push("in clear");
  else if (detail.tls !== undefined) {
    parts.push(`${tlsOf(detail.tls.ciphers)}, certificate ${detail.tls.verified ? "verified" : "not verified"}`);
  }
  if (detail.stage !== undefined && event.outcome !== "ok") {
    parts.push(`at ${detail.stage === "EOM" ? "the end of the data" : detail.stage}`);
  }
  if (detail.durationMs !== undefined) parts.push(`${Math.round(detail.durationMs)} ms`);
  return parts.length === 0 ? [] : [parts.join("; ")];
}

/** The class of a failure, and, the first time, what it means to who runs this server. */
function meaningLine(event: Attempt["event"], envelopes: readonly EnvelopeStory[], explained: Set<string>): string[] {
  if (event.outcome === "ok") return [];
  const meaning = meaningOf({
    text: event.stat,
    ...event.detail?.code === undefined ? {} : { code: event.detail.code },
  });
  const cls = REPLY_CLASSES.find((one) => one === event.replyClass) ?? meaning.class;
  if (cls === "unknown") return [];
  const key = `${cls} ${envelopes[0]!.dest}`;
  if (explained.has(key)) return [`class ${cls}`];
  explained.add(key);
  const { what, todo } = describe(cls, {
    recipient: envelopes[0]!.dest,
    host: event.detail?.host ?? "",
    here: event.agent === "mda" && event.detail?.method !== "lmtp",
    reader: "operator",
    state: event.outcome === "tempfail" ? "waiting" : "failed",
    ...meaning.detail === undefined ? {} : { detail: meaning.detail },
  });
  return [`${cls}: ${what} ${todo}`];
}
