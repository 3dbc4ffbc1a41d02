/** What is said of a check of this host: what was found, and what control knows of the queue. Types, limits and checks only. */

import { type Check, finite, flag, list, nullOr, oneOf, record, text, whole } from "./check.ts";

/** `unknown`: it could not be checked, now or from here. */
export const FINDING_LEVELS = ["ok", "info", "warning", "error", "unknown"] as const;
export type FindingLevel = typeof FINDING_LEVELS[number];

/** One thing that was looked at. `check` and `subject` name it for good: by them it is compared with the day before. */
export interface Finding {
  /** What was looked at: `mx`, `spf`, `certificate`. */
  readonly check: string;
  /** Of what: a domain, a host, an address, a file. */
  readonly subject: string;
  readonly level: FindingLevel;
  /** What was found, as a sentence without its end. */
  readonly text: string;
  /** What to do; null where nothing is. */
  readonly advice: string | null;
}

/** What control knows of the queue. Times in milliseconds since the epoch. */
export interface QueueFacts {
  readonly envelopes: number;
  /** There are more than were counted. */
  readonly more: boolean;
  readonly suspended: number;
  /** When the oldest was created; null for none. */
  readonly oldestAt: number | null;
  /** Domains whose mail was put off, with how many envelopes wait for each; the most first. */
  readonly deferred: readonly { readonly domain: string; readonly envelopes: number; readonly error: string }[];
  /** Subsystems that are paused. */
  readonly paused: readonly string[];
  /** What is wrong with the spool, a line each. */
  readonly diskErrors: readonly string[];
}

/** Findings and time of a check, in milliseconds since the epoch. */
export interface Checked {
  readonly at: number;
  readonly findings: readonly Finding[];
}

/** Findings of one check, blocklists of one request, and domains in QueueFacts, at most. */
export const MAX_FINDINGS = 1000, MAX_BLOCKLISTS = 32, MAX_DEFERRED_DOMAINS = 20;
const MAX_SENTENCE_CHARS = 4096, MAX_NAME_CHARS = 255;
const sentence = text(MAX_SENTENCE_CHARS), name = text(MAX_NAME_CHARS);

export const finding: Check<Finding> = record<Finding>({
  check: name,
  subject: text(MAX_SENTENCE_CHARS),
  level: oneOf(...FINDING_LEVELS),
  text: sentence,
  advice: nullOr(sentence),
});
export const findings: Check<readonly Finding[]> = list(finding, MAX_FINDINGS);
export const checked: Check<Checked> = record<Checked>({ at: finite, findings });
export const blocklists: Check<readonly string[]> = list(name, MAX_BLOCKLISTS);
export const queueFacts: Check<QueueFacts> = record<QueueFacts>({
  envelopes: whole(),
  more: flag,
  suspended: whole(),
  oldestAt: nullOr(finite),
  deferred: list(
    record<QueueFacts["deferred"][number]>({ domain: name, envelopes: whole(), error: sentence }),
    MAX_DEFERRED_DOMAINS,
  ),
  paused: list(name, 3),
  diskErrors: list(text(), 100),
});

/** Cuts a text so that it passes. */
export function sentenceOf(value: string): string {
  return value.length > MAX_SENTENCE_CHARS ? `${value.slice(0, MAX_SENTENCE_CHARS - 1)}…` : value;
}
