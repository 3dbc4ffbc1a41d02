/**
 * The quarantine of what cannot be read: it is noted in the database and in the log, no longer tried and never deleted. The administrator sees it
 * with `smtpctl show damaged` and may remove it.
 */

import {
  type EnvelopeId,
  envelopeIdOf,
  type EnvelopeNumber,
  type EnvelopeRow,
  messageIdOf,
  type MessageNumber,
  rowOf,
} from "../../envelope/mod.ts";
import type { DamagedRow } from "../store/rows.ts";
import { FIRST_ROW, wholeMessage } from "../store/ranges.ts";
import type { Clock } from "../../clock.ts";
import type { EmitEvent } from "../../events/mod.ts";
import type { Tally } from "../../isolate/mod.ts";
import type { Commits } from "../store/commits.ts";
import type { Recent } from "../store/recent.ts";
import type { Store } from "../store/store.ts";

/** Lines in the log about damage at most, in one run of the isolate; all of it is in the list. */
const MAX_ALARMS = 100;
/** What is kept in memory and shown. */
const MAX_ROWS = 100_000;

/** Stands for all envelopes of a message, and its text. */
const WHOLE = FIRST_ROW.envelope;

/** What the quarantine needs of the queue. */
export interface QuarantineDeps {
  readonly store: Store;
  readonly commits: Commits;
  readonly recent: Recent;
  readonly clock: Clock;
  readonly tally: Tally;
  readonly emit: EmitEvent;
  /** Says that these envelopes are no longer tried. */
  dropped(ids: readonly EnvelopeId[]): void;
}

export class Quarantine {
  readonly #queue: QuarantineDeps;
  /** By message, and in it by number of the envelope, 0 for all of it. */
  readonly #rows = new Map<MessageNumber, Map<EnvelopeNumber, DamagedRow>>();
  #size = 0;
  #alarms = 0;

  constructor(queue: QuarantineDeps) {
    this.#queue = queue;
    for (const row of queue.store.damaged(MAX_ROWS)) this.#keep(row);
    this.#count();
  }

  get size(): number {
    return this.#size;
  }

  /** The envelope cannot be read, or the message that it is of. */
  has({ message, envelope }: EnvelopeRow): boolean {
    const rows = this.#rows.get(message);
    return rows !== undefined && (rows.has(WHOLE) || rows.has(envelope));
  }

  /** In no order. */
  rows(): DamagedRow[] {
    return [...this.#rows.values()].flatMap((rows) => [...rows.values()]);
  }

  /** One envelope cannot be read. */
  envelope(id: EnvelopeId, reason: string): void {
    this.#note({ ...rowOf(id), reason, found_at: this.#queue.clock.now() });
    this.#queue.dropped([id]);
  }

  /** The text of a message cannot be read: none of its envelopes can be delivered. `ids` are those that are being tried. */
  message(message: MessageNumber, reason: string, ids: readonly EnvelopeId[]): void {
    this.#note({ ...wholeMessage(message), reason, found_at: this.#queue.clock.now() });
    this.#queue.recent.remove(message);
    const others = this.#queue.store.list({ after: wholeMessage(message), last: message }, MAX_ROWS).map(({ id }) =>
      id
    );
    this.#queue.dropped([...new Set([...ids, ...others])]);
  }

  /** The administrator removed it, with `envelope` 0 all of the message: memory follows the database. */
  forget({ message, envelope }: EnvelopeRow): void {
    const rows = this.#rows.get(message);
    if (rows === undefined) return;
    this.#size -= envelope === WHOLE ? rows.size : rows.delete(envelope) ? 1 : 0;
    if (envelope === WHOLE || rows.size === 0) this.#rows.delete(message);
    this.#count();
  }

  #note(row: DamagedRow): void {
    if (!this.#keep(row)) return;
    this.#count();
    // Not later: an administrator who removes it at once must not be overtaken.
    this.#queue.commits.now({
      apply: () => void this.#queue.store.addDamage(row),
      done: () => {},
      failed: null,
    });
    if (++this.#alarms > MAX_ALARMS) return;
    const text = `queue: ${nameOf(row)} is damaged and set aside, see "smtpctl show damaged": ${row.reason}`;
    this.#queue.emit({ type: "log", level: "crit", text });
  }

  /** False when it was known. */
  #keep(row: DamagedRow): boolean {
    if (this.#size >= MAX_ROWS) return false;
    const rows = this.#rows.get(row.message) ?? new Map<EnvelopeNumber, DamagedRow>();
    if (rows.has(row.envelope)) return false;
    this.#rows.set(row.message, rows.set(row.envelope, row));
    this.#size++;
    return true;
  }

  #count(): void {
    if (this.#size > 0 || this.#alarms > 0) this.#queue.tally.set("queue.damaged", this.#size);
  }
}

/** Returns `envelope EVPID`, or `message MSGID` when it is the whole message that is damaged. */
export function nameOf(row: EnvelopeRow): string {
  return row.envelope === WHOLE ? `message ${messageIdOf(row.message)}` : `envelope ${envelopeIdOf(row)}`;
}
