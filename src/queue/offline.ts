/** Reads the queue while no daemon runs, for `smtpctl show queue`. Changes no row; takes no lock that a starting daemon would wait for. */

import { DatabaseSync } from "node:sqlite";
import type { Envelope } from "../envelope/mod.ts";
import { type EnvelopeRow, STATE, toEnvelope } from "./store.ts";

/**
 * Every envelope in order of id. `ttlSeconds` is the time to live of all but bounces, which carry their own. Throws when the spool is
 * missing or closed to us.
 */
export function* listOffline(
  spool: string,
  ttlSeconds: number,
): Generator<Envelope & { readonly expiresAt: number }> {
  const database = new DatabaseSync(`${spool}/queue.db`, { readOnly: true });
  try {
    const rows = database.prepare(`SELECT facts, ${STATE} FROM envelopes ORDER BY message, id`).iterate();
    for (const row of rows as Iterable<unknown>) {
      const envelope = toEnvelope(row as EnvelopeRow);
      const ttl = envelope.bounce?.ttlSeconds ?? ttlSeconds;
      yield { ...envelope, expiresAt: envelope.createdAt + ttl * 1000 };
    }
  } finally {
    database.close();
  }
}
