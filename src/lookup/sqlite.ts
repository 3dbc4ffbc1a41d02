/** Opens the databases of `sqlite:` tables, for reading only. What is asked of them is in the tables folder. */

import { DatabaseSync, type StatementSync } from "node:sqlite";
import type { SqliteDatabase } from "../tables/mod.ts";

/** How long a query waits while another process writes, in milliseconds: other lookups wait meanwhile. */
const BUSY_TIMEOUT_MS = 100;

/** Throws an Error of SQLite's that says why not. */
export function openSqlite(path: string): SqliteDatabase {
  const database = new DatabaseSync(path, { readOnly: true });
  // The option of that name is ignored by this version of the runtime, which waits 5 s.
  database.exec(`PRAGMA busy_timeout=${BUSY_TIMEOUT_MS}`);
  return {
    prepare(sql) {
      // The runtime has the method; its types do not yet.
      const statement = database.prepare(sql) as StatementSync & { setReturnArrays(on: boolean): void };
      // Numbers of any size, and no objects that are not needed.
      statement.setReadBigInts(true);
      statement.setReturnArrays(true);
      return {
        columns: statement.columns().length,
        // Not iterate(): it ends at an error, such as a locked database, as if there were no more rows.
        first: (...values) => statement.get(...values) as unknown[] | undefined ?? null,
        all: (...values) => statement.all(...values) as unknown as unknown[][],
      };
    },
    close: () => database.close(),
  };
}
