/** What `smtpctl find` and the admin page are asked to look for: from what a person typed to a query of the history, or why it is none. Pure. */

import { asciiAddress, asciiDomain } from "../envelope/mod.ts";
import { suggestion } from "../config/words.ts";
import type { HistoryOutcome, HistoryQuery } from "../protocol/mod.ts";
import { HISTORY_OUTCOMES, MAX_FOUND_MESSAGES, MAX_QUERY_CHARS, MAX_QUERY_WORDS } from "../protocol/history.ts";
import { parseTime, TIME_FORMS } from "./times.ts";

/** Keys that one value each may be given for, by the names of options and parameters; times apart. */
export const FIND_KEYS = ["from", "to", "domain", "message-id", "id", "peer", "login", "reply", "outcome"] as const;
export type FindKey = typeof FIND_KEYS[number];

/** How many messages are found where it is not said, and how far back, in ms. */
export const DEFAULT_FOUND = 50;
export const DEFAULT_SPAN_MS = 30 * 86_400_000;

/** What was typed. */
export interface FindWords {
  readonly words: readonly string[];
  readonly keys: Readonly<Partial<Record<FindKey, string>>>;
  readonly since?: string;
  readonly until?: string;
  readonly limit?: string;
  /** Where a search before has ended. */
  readonly before?: string;
}

export interface FindOrder {
  readonly query: HistoryQuery;
  readonly limit: number;
  /** "" for the newest. */
  readonly before: string;
}

/** Words that logs and others have for outcomes. */
const OTHER_OUTCOMES: Readonly<Record<string, HistoryOutcome>> = {
  accepted: "queued",
  failed: "bounced",
  permfail: "bounced",
  pending: "deferred",
  rejected: "refused",
  sent: "relayed",
  tempfail: "deferred",
};

/** Takes what was typed and the time, and returns the query; or what is wrong with it, as a sentence without its end. */
export function parseFind(typed: FindWords, now: number): FindOrder | { readonly wrong: string } {
  const { words, keys } = typed;
  if (words.length > MAX_QUERY_WORDS) return { wrong: `more than ${MAX_QUERY_WORDS} words` };
  for (const text of [...words, ...Object.values(keys)]) {
    if (text.trim() === "") return { wrong: "an empty word finds nothing" };
    if (text.length > MAX_QUERY_CHARS) {
      return { wrong: `"${text.slice(0, 20)}…" has more than ${MAX_QUERY_CHARS} characters` };
    }
  }
  for (const word of words) {
    const wrong = keyIn(word);
    if (wrong !== null) return { wrong };
  }
  const limit = limitOf(typed.limit);
  if (typeof limit === "string") return { wrong: limit };
  const { before = "" } = typed;
  if (!/^[\w.-]{0,64}$/.test(before)) return { wrong: `--before ${before} is no place that a search has ended at` };
  const span = spanOf(typed, now);
  if ("wrong" in span) return span;
  const fields: { -readonly [Key in keyof HistoryQuery]?: HistoryQuery[Key] } = {};
  for (const [key, value] of Object.entries(keys) as [FindKey, string][]) {
    const wrong = assign(fields, key, value.trim());
    if (wrong !== null) return { wrong };
  }
  return { query: { words: words.map((word) => word.trim()), ...fields, ...span }, limit, before };
}

/** `from:bob` and `from=bob` mean an option that is written otherwise; a sentence about it, or null. */
function keyIn(word: string): string | null {
  const [, key = "", value = ""] = /^([a-z]+(?:-id)?)[:=](.+)$/i.exec(word) ?? [];
  const name = key.toLowerCase();
  if (!([...FIND_KEYS, "since", "until", "limit", "before"] as readonly string[]).includes(name)) return null;
  return `"${word}": a key is an option, --${name} ${/\s/.test(value) ? `"${value}"` : value}`;
}

/** Writes one value under the name that queries have for it; returns what is wrong with it, or null. */
function assign(
  fields: { -readonly [Key in keyof HistoryQuery]?: HistoryQuery[Key] },
  key: FindKey,
  value: string,
): string | null {
  switch (key) {
    case "outcome": {
      const word = value.toLowerCase();
      const outcome = HISTORY_OUTCOMES.find((one) => one === word);
      if (outcome === undefined) {
        const guess = Object.hasOwn(OTHER_OUTCOMES, word)
          ? `, did you mean "${OTHER_OUTCOMES[word]}"?`
          : suggestion(word, HISTORY_OUTCOMES);
        return `--outcome ${value} is none${guess}${guess === "" ? ":" : ""} outcomes are ${
          HISTORY_OUTCOMES.join(", ")
        }`;
      }
      fields.outcome = outcome;
      return null;
    }
    case "message-id":
      fields.messageId = value;
      return null;
    case "domain": {
      const domain = value.replace(/^@/, "");
      if (/[\s@/]/.test(domain)) return `--domain ${value} is no domain`;
      fields.domain = (domain.includes("*") ? domain : asciiDomain(domain) ?? domain).toLowerCase();
      return null;
    }
    case "id":
      if (!/^[0-9a-f*-]+$/i.test(value)) {
        return `--id ${value} is no id: that has hexadecimal digits; --message-id is for the field Message-ID`;
      }
      fields.id = value.toLowerCase();
      return null;
    case "peer":
      fields.peer = value.toLowerCase().replace(/^\[(?:ipv6:)?(.*)\]$/, "$1");
      return null;
    case "from":
    case "to":
      fields[key] = value === "<>" ? value : asciiAddress(value.replace(/^<(.*)>$/, "$1"));
      return null;
    case "login":
    case "reply":
      fields[key] = value;
      return null;
  }
  return key satisfies never;
}

function limitOf(text: string | undefined): number | string {
  if (text === undefined) return DEFAULT_FOUND;
  const limit = /^\d{1,9}$/.test(text) ? Number(text) : 0;
  return limit >= 1 && limit <= MAX_FOUND_MESSAGES ? limit : `--limit ${text}: 1 to ${MAX_FOUND_MESSAGES} are possible`;
}

function spanOf(
  { since, until, keys }: FindWords,
  now: number,
): { readonly since?: number; readonly until?: number } | { readonly wrong: string } {
  const begin = since === undefined ? undefined : parseTime(since, { now, edge: "since" });
  const end = until === undefined ? undefined : parseTime(until, { now, edge: "until" });
  if (begin === null) return { wrong: `--since ${since} is no time: ${TIME_FORMS}` };
  if (end === null) return { wrong: `--until ${until} is no time: ${TIME_FORMS}` };
  if (begin !== undefined && begin > now) return { wrong: `--since ${since} is in the future` };
  if (begin !== undefined && end !== undefined && begin > end) {
    return { wrong: `--since ${since} is later than --until ${until}` };
  }
  const isExact = keys.id !== undefined || keys["message-id"] !== undefined;
  // Who asks for what was before some time means the days before that. What an id names is found whenever it was.
  const from = begin ?? (isExact ? undefined : Math.min(now, end ?? now) - DEFAULT_SPAN_MS);
  return { ...from === undefined ? {} : { since: from }, ...end === undefined ? {} : { until: end } };
}
