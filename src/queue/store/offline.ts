/** Reads the queue while no daemon runs, for `smtpctl show queue`. Changes no row; takes no lock that a starting daemon would wait for. */

import { DatabaseSync } from "node:sqlite";
import { type Envelope, envelopeIdOf } from "../../envelope/mod.ts";
import { Records } from "./records.ts";
import { ENVELOPE, type StoredEnvelope, toEnvelope, type Unreadable } from "./rows.ts";

/** Columns that a database of version 1 does not have. */
const VERSION_1 = ENVELOPE.replace("sealed, sum", "NULL AS sealed, NULL AS sum");

/**
 * Every envelope in order of id; of what is damaged, or encrypted, the id: the key is only the daemon's. `ttlSeconds` is the time to live of all envelopes but those that ask for a DSN, which carry their own. Throws when the spool is
 * missing or closed to us.
 */
export function* listOffline(
  spool: string,
  ttlSeconds: number,
): Generator<(Envelope & { readonly expiresAt: number }) | Unreadable> {
  const records = new Records();
  const path = `${spool}/queue.db`, { isSymlink, uid } = Deno.lstatSync(path);
  // SQLite follows a link, and as root makes files beside what it leads to.
  if (isSymlink && uid !== 0 && uid !== Deno.uid()) throw new Error(`${path} is a link of another user (uid ${uid})`);
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const { user_version } = database.prepare("PRAGMA user_version").get() as { user_version: number };
    const columns = user_version === 1 ? VERSION_1 : ENVELOPE;
    const rows = database.prepare(`SELECT ${columns} FROM envelopes ORDER BY message, id`).iterate();
    for (const row of rows as unknown as Iterable<StoredEnvelope>) {
      let envelope: Envelope;
      try {
        envelope = toEnvelope(row, records);
      } catch (error) {
        const id = envelopeIdOf(row);
        yield { id, unreadable: row.sealed === null ? (error as Error).message : "it is encrypted" };
        continue;
      }
      const ttl = envelope.bounce?.ttlSeconds ?? ttlSeconds;
      yield { ...envelope, expiresAt: Math.min(envelope.createdAt, Date.now()) + ttl * 1000 };
    }
  } finally {
    database.close();
  }
}
