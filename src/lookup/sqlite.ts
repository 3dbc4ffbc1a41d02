/** Opens the databases of `sqlite:` tables, for reading only. What is asked of them is in the tables folder. */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { SqliteDatabase } from "../tables/mod.ts";

/** How long a query waits while somebody else writes, in milliseconds: nobody else's lookups go on meanwhile. */
const BUSY_TIMEOUT_MS = 100;

/** Throws an Error of SQLite's that says why not. */
export function openSqlite(path: string): SqliteDatabase {
  const database = new DatabaseSync(path, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  return {
    prepare(sql) {
      // The runtime has the method; its types do not yet.
      const statement = database.prepare(sql) as StatementSync & { setReturnArrays(on: boolean): void };
      // Numbers of any size, and no objects that nobody needs.
      statement.setReadBigInts(true);
      statement.setReturnArrays(true);
      return {
        columns: statement.columns().length,
        rows(limit, ...values) {
          const rows: unknown[][] = [];
          for (const row of statement.iterate(...values)) {
            rows.push(row as unknown as unknown[]);
            if (rows.length === limit) break;
          }
          return rows;
        },
      };
    },
    close: () => database.close(),
  };
}
