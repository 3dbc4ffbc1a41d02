/**
 * Counts results of DMARC for the day's reports: one row per day, domain, source and results. They come from smtp just before the commit of their
 * message, so that both are one transaction; a refused message's waits a moment for others. Bounded: who sends mail in many names fills no disk.
 */

import type { DmarcResult, PublishedPolicy, ReportRow } from "../../mail_auth/dmarc_report/mod.ts";
import { normalAddress, normalName } from "../../net/mod.ts";
import type { Clock } from "../../clock.ts";
import type { Commits } from "../store/commits.ts";
import type { ReportKey, ReportRows } from "../store/report_rows.ts";

/** Domains and rows of one day, and rows of one domain: of what is beyond, the number is kept where there is a place for it. */
export const MAX_DAY_DOMAINS = 2000, MAX_DAY_ROWS = 20_000, MAX_DOMAIN_ROWS = 2000;
/** Results that wait for the disk: more are not counted. */
const MAX_PENDING_RESULTS = 10_000;
/** Characters of a row: with more, some of its signatures are left out. */
const MAX_ROW_CHARS = 2000;
const DAY_MS = 86_400_000;

/** The day of a moment, in ms since the epoch: counted in UTC. */
export function dayOf(ms: number): number {
  return Math.floor(ms / DAY_MS);
}

export class ReportCollector {
  readonly #rows: ReportRows;
  readonly #commits: Commits;
  readonly #clock: Clock;
  /** Rows of each domain of the day that is being counted. */
  #sizes = new Map<string, number>();
  #day: number;
  #total = 0;
  #pending = 0;

  constructor(rows: ReportRows, commits: Commits, clock: Clock) {
    this.#rows = rows;
    this.#commits = commits;
    this.#clock = clock;
    this.#day = dayOf(clock.now());
    for (const { day, domain, size } of rows.sizes()) if (day === this.#day) this.#grow(domain, size);
  }

  /** Counts one message; nothing that names no domain or no address. */
  count(result: DmarcResult): void {
    const domain = normalName(result.policy.domain), source = normalAddress(result.row.source);
    if (domain === null || source === null || this.#pending >= MAX_PENDING_RESULTS) return;
    this.#pending++;
    const day = dayOf(this.#clock.now());
    if (day !== this.#day) this.#begin(day);
    const key = { day, domain }, facts = rowText({ ...result.row, source });
    let added = 0;
    this.#commits.later({
      apply: () => {
        added = this.#apply(key, policyText({ ...result.policy, domain }), facts);
      },
      done: () => {
        this.#pending--;
        if (key.day === this.#day && added >= 0) this.#grow(domain, added);
      },
      // A message is missing in a report: no mail waits for that.
      failed: () => void this.#pending--,
    });
  }

  /** Rows that were added; -1 when nothing was kept. */
  #apply(key: ReportKey, policy: string, facts: string): number {
    const size = this.#sizes.get(key.domain);
    if (size === undefined && this.#sizes.size >= MAX_DAY_DOMAINS) return -1;
    this.#rows.setPolicy(key, policy);
    if (this.#rows.count(key, facts)) return 0;
    if ((size ?? 0) >= MAX_DOMAIN_ROWS || this.#total >= MAX_DAY_ROWS) {
      this.#rows.omit(key);
      return 0;
    }
    this.#rows.add(key, facts);
    return 1;
  }

  #grow(domain: string, rows: number): void {
    this.#sizes.set(domain, (this.#sizes.get(domain) ?? 0) + rows);
    this.#total += rows;
  }

  #begin(day: number): void {
    this.#day = day;
    this.#sizes = new Map();
    this.#total = 0;
  }
}

/** The same text for the same policy. */
function policyText({ domain, p, sp, np, adkim, aspf, fo, testing }: PublishedPolicy): string {
  return JSON.stringify({ domain, p, sp, np, adkim, aspf, fo, testing } satisfies PublishedPolicy);
}

/** The same text for messages that are counted together. */
function rowText(row: ReportRow): string {
  const { source, disposition, dkim, spf, override, headerFrom, envelopeFrom, spfAuth } = row;
  const dkimAuth = row.dkimAuth.map(({ domain, selector, result }) => ({ domain, selector, result }));
  for (;;) {
    const text = JSON.stringify(
      {
        source,
        disposition,
        dkim,
        spf,
        override,
        headerFrom,
        envelopeFrom,
        dkimAuth,
        spfAuth: spfAuth === null ? null : { domain: spfAuth.domain, result: spfAuth.result },
      } satisfies ReportRow,
    );
    if (text.length <= MAX_ROW_CHARS || dkimAuth.pop() === undefined) return text;
  }
}
