/** Sends a new scheduler a ticket for every queued envelope, bit by bit while mail comes and goes: first for what was never tried. */

import { Turn } from "../clock.ts";
import type { EnvelopeId, EnvelopeRow, MessageNumber } from "../envelope/mod.ts";
import { debug } from "../events/mod.ts";
import { Damaged } from "./store/records.ts";
import type { TicketRow } from "./store/rows.ts";
import { FIRST_ROW, LAST_ENVELOPE, LAST_MESSAGE } from "./store/ranges.ts";
import type { QueueState } from "./queue_state.ts";

/** Tickets sent at once. */
const BATCH_ENVELOPES = 100;
/** Time that is taken at once: sessions and deliveries wait so long. */
const TURN_MS = 4;
/** A queue of fewer envelopes is sent in one turn. */
const SMALL_QUEUE_ENVELOPES = 250;
/** Ids are drawn evenly: of a large queue a thousandth at most is passed over at once. */
const RANGE_MESSAGES = 2 ** 32 / 1024;
/** Warnings about envelopes of unknown actions at one start; the rest is counted. */
const MAX_WARNINGS = 100;

/**
 * Begins to load; the function that is returned ends it early. Of what the scheduler has already it takes the time to live. `again`: the actions may be others
 * than when it was loaded: it is to forget envelopes of those that there are no more.
 */
export function loadScheduler(
  queue: QueueState,
  { again }: { readonly again: boolean } = { again: false },
): () => void {
  let loading: Loading | null = null;
  queue.guard(() => {
    loading = new Loading(queue, { again });
    loading.turn();
  });
  return () => loading?.stop();
}

class Loading {
  readonly #queue: QueueState;
  readonly #began: number;
  /** The first pass is over what was never tried, the second over the rest, which has waited before and may wait a little more. */
  #fresh = true;
  /** The envelope that was sent last, and the last message of this range. */
  #after: EnvelopeRow = FIRST_ROW;
  #end: MessageNumber;
  readonly #range: number;
  #count = 0;
  #strange = 0;
  #stopped = false;
  readonly #again: boolean;

  constructor(queue: QueueState, { again }: { readonly again: boolean }) {
    this.#again = again;
    this.#queue = queue;
    this.#began = queue.clock.steady();
    this.#range = queue.store.holds(SMALL_QUEUE_ENVELOPES) ? RANGE_MESSAGES : LAST_MESSAGE + 1;
    this.#end = this.#firstEnd();
  }

  #firstEnd(): MessageNumber {
    return this.#range - 1 as MessageNumber;
  }

  stop(): void {
    this.#stopped = true;
  }

  turn(): void {
    if (!this.#stopped) this.#queue.guard(() => this.#run());
  }

  #run(): void {
    const turn = new Turn(this.#range > LAST_MESSAGE ? Infinity : TURN_MS, this.#queue.clock);
    do {
      this.#sendNext();
      if (this.#end > LAST_MESSAGE) {
        if (!this.#fresh) return this.#finish();
        this.#fresh = false;
        [this.#after, this.#end] = [FIRST_ROW, this.#firstEnd()];
      }
    } while (!turn.over);
    void turn.giveWay().then(() => this.turn());
  }

  /** The next envelopes of this range; behind the last of them stands the next range. */
  #sendNext(): void {
    const rows = this.#queue.store.tickets(
      { after: this.#after, end: this.#end, fresh: this.#fresh },
      BATCH_ENVELOPES,
    );
    this.#queue.loaded(this.#notAhead(rows), (id, action) => this.#unknown(id, action));
    this.#count += rows.length;
    const last = rows[BATCH_ENVELOPES - 1];
    if (last !== undefined) {
      this.#after = last;
      return;
    }
    this.#after = { message: this.#end, envelope: LAST_ENVELOPE };
    this.#end = this.#end + this.#range as MessageNumber;
  }

  /** What a clock that was ahead has queued is no younger than now, at the next start too: its time to live begins once. */
  #notAhead(rows: readonly TicketRow[]): readonly TicketRow[] {
    const { store, clock } = this.#queue;
    const now = clock.now();
    const ahead = rows.filter(({ created_at, damaged }) => created_at > now && damaged === undefined);
    if (ahead.length === 0) return rows;
    try {
      store.begin("unsynced");
      for (const row of ahead) this.#setCreation(row, now);
      store.commit();
    } catch {
      // Without room for it, it holds until the next start.
      store.rollback();
    }
    return rows.map((row) => ahead.includes(row) ? { ...row, created_at: now } : row);
  }

  #setCreation(row: EnvelopeRow, now: number): void {
    try {
      this.#queue.store.setCreation(row, now);
    } catch (error) {
      // It goes to quarantine when it is tried.
      if (!(error instanceof Damaged)) throw error;
    }
  }

  #unknown(id: EnvelopeId, action: string): void {
    if (this.#again) this.#queue.dropped([id]);
    if (++this.#strange > MAX_WARNINGS) return;
    this.#queue.warn(`queue: invalid envelope ${id}: there is no action "${action}"`);
  }

  #finish(): void {
    const more = this.#strange - MAX_WARNINGS;
    if (more > 0) this.#queue.warn(`queue: ${more} more invalid envelopes of unknown actions`);
    this.#queue.allLoaded();
    if (!this.#queue.observer.verbose) return;
    const ms = Math.round(this.#queue.clock.steady() - this.#began);
    debug(this.#queue.observer, `queue: ${this.#count} envelopes loaded in ${ms} ms`);
  }
}
