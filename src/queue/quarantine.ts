/**
 * What cannot be read is set aside: noted in the database, told in the log, no longer tried and never deleted. The administrator sees it with
 * `smtpctl show damaged` and may remove it.
 */

import { type EnvelopeId, hex8 } from "../envelope/mod.ts";
import { envelopeId, envelopeNumber, messageNumber } from "./store/keys.ts";
import type { DamagedRow } from "./store/rows.ts";
import type { QueueState } from "./queue_state.ts";

/** Lines in the log about damage at most, in one life of the isolate; all of it is in the list. */
const MAX_ALARMS = 100;
/** What is kept in memory and shown. */
const MAX_ROWS = 100_000;

export class Quarantine {
  readonly #queue: QueueState;
  /** By message, and in it by number of the envelope, 0 for all of it. */
  readonly #rows = new Map<number, Map<number, DamagedRow>>();
  #size = 0;
  #alarms = 0;

  constructor(queue: QueueState) {
    this.#queue = queue;
    for (const row of queue.store.damaged(MAX_ROWS)) this.#keep(row);
    this.#count();
  }

  get size(): number {
    return this.#size;
  }

  has(message: number, number: number): boolean {
    const rows = this.#rows.get(message);
    return rows !== undefined && (rows.has(0) || rows.has(number));
  }

  /** In no order. */
  rows(): DamagedRow[] {
    return [...this.#rows.values()].flatMap((rows) => [...rows.values()]);
  }

  /** One envelope cannot be read. */
  envelope(id: EnvelopeId, reason: string): void {
    this.#note({ message: messageNumber(id), id: envelopeNumber(id), reason, found_at: this.#queue.clock.now() });
    this.#queue.dropped([id]);
  }

  /** The text of a message cannot be read: none of its envelopes can be delivered. `ids` are those that are being tried. */
  message(message: number, reason: string, ids: readonly EnvelopeId[]): void {
    this.#note({ message, id: 0, reason, found_at: this.#queue.clock.now() });
    this.#queue.recent.remove(message);
    const others = this.#queue.store.list(message, 0, message, MAX_ROWS).map(({ id }) => id);
    this.#queue.dropped([...new Set([...ids, ...others])]);
  }

  /** The administrator removed it, with `number` 0 all of the message: memory follows the database. */
  forget(message: number, number: number): void {
    const rows = this.#rows.get(message);
    if (rows === undefined) return;
    this.#size -= number === 0 ? rows.size : rows.delete(number) ? 1 : 0;
    if (number === 0 || rows.size === 0) this.#rows.delete(message);
    this.#count();
  }

  #note(row: DamagedRow): void {
    if (!this.#keep(row)) return;
    this.#count();
    // Not later: an administrator who removes it at once must not be overtaken.
    this.#queue.commits.now({
      apply: () => void this.#queue.store.addDamage(row.message, row.id, row.reason, row.found_at),
      done: () => {},
      failed: null,
    });
    if (++this.#alarms > MAX_ALARMS) return;
    const what = row.id === 0 ? `message ${hex8(row.message)}` : `envelope ${envelopeId(row.message, row.id)}`;
    const text = `queue: ${what} is damaged and set aside, see "smtpctl show damaged": ${row.reason}`;
    this.#queue.emit({ type: "log", level: "crit", text });
  }

  /** False when it was known. */
  #keep(row: DamagedRow): boolean {
    if (this.#size >= MAX_ROWS) return false;
    const rows = this.#rows.get(row.message) ?? new Map<number, DamagedRow>();
    if (rows.has(row.id)) return false;
    this.#rows.set(row.message, rows.set(row.id, row));
    this.#size++;
    return true;
  }

  #count(): void {
    if (this.#size > 0 || this.#alarms > 0) this.#queue.tally.set("queue.damaged", this.#size);
  }
}
