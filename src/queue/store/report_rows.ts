/**
 * The results that wait for a report, in the queue's database: per day, domain and what the messages had in common one row with a count. Each call
 * acts inside the transaction that commits.ts holds open. The tables are no part of the format: a program that does not know them leaves them alone,
 * and a repair begins without them.
 */

import type { DatabaseSync, StatementSync } from "node:sqlite";

const TABLES = `
-- A domain that a day's report is for: its record, and messages that are in no row because there were too many.
CREATE TABLE IF NOT EXISTS dmarc_domains (
  day INTEGER NOT NULL,
  domain TEXT NOT NULL,
  policy TEXT NOT NULL,
  omitted INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (day, domain)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dmarc_rows (
  day INTEGER NOT NULL,
  domain TEXT NOT NULL,
  facts TEXT NOT NULL,
  count INTEGER NOT NULL,
  PRIMARY KEY (day, domain, facts)
) STRICT, WITHOUT ROWID;
`;

/** What a day's report about a domain is made of. `facts` and `policy` are JSON. */
export interface DayOfDomain {
  readonly policy: string;
  readonly omitted: number;
  readonly rows: ReadonlyArray<{ readonly facts: string; readonly count: number }>;
}

/** A day, counted in UTC from 1970-01-01, and a domain. */
export interface ReportKey {
  readonly day: number;
  readonly domain: string;
}

function prepare(database: DatabaseSync) {
  const statement = (sql: string): StatementSync => database.prepare(sql);
  return {
    count: statement("UPDATE dmarc_rows SET count = count + 1 WHERE day = ? AND domain = ? AND facts = ?"),
    add: statement("INSERT INTO dmarc_rows (day, domain, facts, count) VALUES (?, ?, ?, 1)"),
    setPolicy: statement(
      `INSERT INTO dmarc_domains (day, domain, policy) VALUES (?1, ?2, ?3)
       ON CONFLICT DO UPDATE SET policy = ?3 WHERE policy <> ?3`,
    ),
    omit: statement("UPDATE dmarc_domains SET omitted = omitted + 1 WHERE day = ? AND domain = ?"),
    sizes: statement("SELECT day, domain, count(*) AS size FROM dmarc_rows GROUP BY day, domain"),
    due: statement("SELECT day, domain FROM dmarc_domains WHERE day < ? ORDER BY day, domain LIMIT ?"),
    domain: statement("SELECT policy, omitted FROM dmarc_domains WHERE day = ? AND domain = ?"),
    rows: statement("SELECT facts, count FROM dmarc_rows WHERE day = ? AND domain = ? ORDER BY count DESC, facts"),
    removeRows: statement("DELETE FROM dmarc_rows WHERE day = ? AND domain = ?"),
    removeDomain: statement("DELETE FROM dmarc_domains WHERE day = ? AND domain = ?"),
  };
}

export class ReportRows {
  readonly #sql: ReturnType<typeof prepare>;

  /** Makes the tables where they are missing. Throws what the database throws. */
  constructor(database: DatabaseSync) {
    database.exec(TABLES);
    this.#sql = prepare(database);
  }

  /** Counts one message in its row; false when there is no such row. */
  count({ day, domain }: ReportKey, facts: string): boolean {
    return Number(this.#sql.count.run(day, domain, facts).changes) === 1;
  }

  /** A row for a message that has none yet. */
  add({ day, domain }: ReportKey, facts: string): void {
    this.#sql.add.run(day, domain, facts);
  }

  /** The domain gets a report of that day; the policy that came last is the one that the report repeats. */
  setPolicy({ day, domain }: ReportKey, policy: string): void {
    this.#sql.setPolicy.run(day, domain, policy);
  }

  /** Counts a message that gets no row. */
  omit({ day, domain }: ReportKey): void {
    this.#sql.omit.run(day, domain);
  }

  /** How many rows each has. */
  sizes(): ReadonlyArray<ReportKey & { readonly size: number }> {
    return this.#sql.sizes.all() as unknown as (ReportKey & { size: number })[];
  }

  /** What belongs to days before one, at most `limit` of them, the oldest first. */
  due({ before, limit }: { readonly before: number; readonly limit: number }): readonly ReportKey[] {
    return this.#sql.due.all(before, limit) as unknown as ReportKey[];
  }

  /** Null when it was removed. */
  read({ day, domain }: ReportKey): DayOfDomain | null {
    const found = this.#sql.domain.get(day, domain) as Pick<DayOfDomain, "policy" | "omitted"> | undefined;
    if (found === undefined) return null;
    return { ...found, rows: this.#sql.rows.all(day, domain) as unknown as DayOfDomain["rows"] };
  }

  /** Returns false when it was removed before. */
  remove({ day, domain }: ReportKey): boolean {
    this.#sql.removeRows.run(day, domain);
    return Number(this.#sql.removeDomain.run(day, domain).changes) === 1;
  }
}
