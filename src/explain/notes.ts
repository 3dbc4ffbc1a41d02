/** What the parts of the daemon tell while they decide, in the order in which they do. */

import type { Mailbox } from "../envelope/mod.ts";
import type { Event, Noted, Observer, Trace } from "../events/mod.ts";
import type { Expansion } from "../protocol/mod.ts";
import type { CheckedSession } from "../smtp/mail_check.ts";

export type Note =
  | Noted
  /** A table was asked: its name, the question and the answer, which shows no secret. */
  | { readonly kind: "table"; readonly table: string; readonly question: string }
  /** A warning, as it would stand in the log. */
  | { readonly kind: "warning"; readonly text: string }
  /** Lookup has answered whom a recipient goes to. */
  | { readonly kind: "expanded"; readonly rcpt: Mailbox; readonly result: Expansion }
  /** A message was checked. */
  | { readonly kind: "checked"; readonly checked: CheckedSession }
  | { readonly kind: "event"; readonly event: Event };

/** Notes of rules and tables of one command at most: a list of 50,000 members has some for each. Of others there are few. */
const MAX_KEPT_NOTES = 2_000;

/** Collects notes; what comes beyond the bound is left out and counted. */
export class Notes {
  #notes: Note[] = [];
  #omitted = 0;

  add(note: Note): void {
    const bounded = note.kind === "table" || note.kind === "rule" || note.kind === "no-rule" || note.kind === "warning";
    if (!bounded || this.#notes.length < MAX_KEPT_NOTES) this.#notes.push(note);
    else this.#omitted++;
  }

  /** Returns what came since the last call, and how much of it was left out. */
  take(): { readonly notes: readonly Note[]; readonly omitted: number } {
    const taken = { notes: this.#notes, omitted: this.#omitted };
    this.#notes = [];
    this.#omitted = 0;
    return taken;
  }

  /** What the parts are given in the place of the log. */
  get observer(): Observer {
    return {
      emit: (event) => this.#emit(event),
      traces: (trace: Trace) => trace === "tables",
      verbose: false,
      recording: true,
      noted: (decision) => this.add(decision),
    };
  }

  #emit(event: Event): void {
    if (event.type === "trace") {
      const [, table, question] = /^tables: ([^:]*): (.*)$/s.exec(event.text) ?? [];
      if (table !== undefined) this.add({ kind: "table", table, question: question! });
    } else if (event.type === "log") {
      if (event.level === "warn" || event.level === "crit") {
        this.add({ kind: "warning", text: event.text.replace(/^(?:warn|crit): /, "") });
      }
    } else this.add({ kind: "event", event });
  }
}
