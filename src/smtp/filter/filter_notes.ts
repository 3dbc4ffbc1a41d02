/** What filters have decided in a session, for the history: bounded; what is about the session stands with each of its messages. */

import { type FilterNote, MAX_FILTER_NOTES } from "../../events/mod.ts";

/** Phases that are about the session, not about one of its messages. */
const SESSION_PHASES: ReadonlySet<string> = new Set(["connect", "helo", "ehlo", "starttls", "auth"]);

export class FilterNotes {
  /** About the message that is on its way, and about its session; the latest last. */
  all: readonly FilterNote[] = [];

  add(note: FilterNote): void {
    this.all = [...this.all.slice(1 - MAX_FILTER_NOTES), note];
  }

  /** The filter that refuses now; empty where nothing is recorded. */
  get refusing(): { readonly filter?: FilterNote } {
    const filter = this.all.at(-1);
    return filter === undefined ? {} : { filter };
  }

  /** The transaction is over. */
  endTransaction(): void {
    if (this.all.length > 0) this.all = this.all.filter(({ phase }) => SESSION_PHASES.has(phase));
  }
}
