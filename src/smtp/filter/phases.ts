/**
 * A phase of one session on its way through the chain: asks programs and tables one after the other until it is clear how the phase ends. What
 * that means for the session is not known here; see session_filters.ts. Which filter is next is decided in chain.ts.
 */

import { type FilterNote, logTrace, type Observer } from "../../events/mod.ts";
import type { FilterDecision, FilterEvent, FilterPhaseName } from "../../protocol/mod.ts";
import type { FilterStep } from "../../config/mod.ts";
import type { Verb } from "../session/command.ts";
import type { MessageDeps } from "../message/incoming.ts";
import { answered, type ChainDecision, type Next, next, type Query, type Test, tested } from "./chain.ts";
import type { Filtered } from "./filter_client.ts";
import type { Filters } from "./split_filters.ts";

/** The phase that each command goes through; others go through none. */
export const PHASE_OF: Partial<Record<Verb, Exclude<FilterPhaseName, "data-line">>> = {
  HELO: "helo",
  EHLO: "ehlo",
  STARTTLS: "starttls",
  AUTH: "auth",
  MAIL: "mail-from",
  RCPT: "rcpt-to",
  DATA: "data",
  RSET: "rset",
  QUIT: "quit",
  NOOP: "noop",
};
/** Phases whose argument a filter can replace. */
export const REWRITABLE: ReadonlySet<FilterPhaseName> = new Set(["helo", "ehlo", "auth", "mail-from", "rcpt-to"]);

/** What all sessions of a listener with filters share. */
export interface ListenerFilters {
  readonly steps: readonly FilterStep[];
  readonly client: Filters;
  /** `ip:port` or `unix:path`. */
  readonly destination: string;
  /** Asks lookup. */
  test(test: Test, answer: (found: boolean | null) => void): void;
}

/** What is called in the course of a phase. */
export interface PhaseHooks {
  report(event: FilterEvent, params: string): void;
  /** A filter has decided or reported something; absent where nothing is recorded. */
  readonly noted?: (note: FilterNote) => void;
  /** Something was done for the session. */
  progress(): void;
}

/** How a phase is called in filter-response. */
const RESPONSE_NAME: Partial<Record<FilterPhaseName, string>> = { connect: "connected", starttls: "tls" };

/** Characters of a filter's text that the history is told. */
const MAX_NOTE_CHARS = 1024;

/** A phase on its way through the chain. */
interface Running {
  query: Query;
  readonly done: (decision: ChainDecision) => void;
  at: number;
  /** Not null: a process was asked. */
  token: string | null;
}

/** The phases of one session, of which one runs at a time. */
export class Phases {
  readonly #filters: ListenerFilters;
  readonly #session: Filtered;
  readonly #deps: Pick<MessageDeps, "newToken"> & Observer;
  readonly #hooks: PhaseHooks;
  #running: Running | null = null;

  constructor(
    filters: ListenerFilters,
    session: Filtered,
    deps: Pick<MessageDeps, "newToken"> & Observer,
    hooks: PhaseHooks,
  ) {
    this.#filters = filters;
    this.#session = session;
    this.#deps = deps;
    this.#hooks = hooks;
  }

  get running(): boolean {
    return this.#running !== null;
  }

  /** Lookup owes an answer. */
  get waitsForLookup(): boolean {
    return this.#running !== null && this.#running.token === null;
  }

  /** Begins a phase; `done` is called once, at once or later, unless `stop` comes first. */
  begin(query: Query, done: (decision: ChainDecision) => void): void {
    this.#running = { query, done, at: 0, token: null };
    this.#follow(next(this.#filters.steps, this.#filters.client.registered ?? new Map(), query));
  }

  /** A program has answered. What was not asked is no answer. */
  answered(token: string, decision: FilterDecision): void {
    const running = this.#running;
    if (running === null || running.token !== token) return;
    const { client, steps } = this.#filters;
    this.#follow(answered(steps, client.registered ?? new Map(), running.query, running.at, decision));
  }

  /** The session is over. */
  stop(): void {
    this.#running = null;
  }

  /** A program refuses without a reply code. */
  #warnOf(text: string, phase: FilterPhaseName, at: number): void {
    const name = this.#filters.steps[at]?.name ?? "?";
    const words = JSON.stringify(text.slice(0, 80));
    this.#deps.emit({
      type: "log",
      level: "warn",
      text: `warn: smtp: Filter "${name}" refuses in ${phase} with ${words}, which begins with no code from 400 to 599`,
    });
  }

  /** Tells the history who has decided the phase. */
  #record(phase: FilterPhaseName, { by, response }: Extract<Next, { do: "end" }>): void {
    const step = by === undefined ? undefined : this.#filters.steps[by];
    if (step === undefined) return;
    const [decision = "", ...rest] = response.split("|"), text = rest.join("|").slice(0, MAX_NOTE_CHARS);
    const shown = text === "" ? {} : { text: phase === "auth" && decision === "rewrite" ? "********" : text };
    const kind = step.kind === "builtin" ? "builtin" : "program";
    this.#hooks.noted?.({ filter: step.name, kind, phase, decision: decision as FilterNote["decision"], ...shown });
  }

  #note(phase: FilterPhaseName, { by, response }: Extract<Next, { do: "end" }>): void {
    const { noted } = this.#deps;
    if (noted === undefined) return;
    const step = by === undefined ? null : this.#filters.steps[by] ?? null;
    noted({
      kind: "filter",
      phase,
      filter: step?.name ?? null,
      at: step?.kind === "builtin" ? step.at : null,
      decision: phase === "auth" ? response.replace(/^rewrite\|.*/s, "rewrite|********") : response,
    });
  }

  #follow(what: Next): void {
    const running = this.#running;
    if (running === null) return;
    const { phase, param } = running.query;
    for (const { name, text } of what.reports) {
      this.#hooks.report("filter-report", `builtin|${name}|${text}`);
      this.#hooks.noted?.({ filter: name, kind: "builtin", phase, decision: "report", text });
    }
    if (what.do === "end") {
      this.#running = null;
      if (this.#deps.traces("filters")) {
        // What a filter puts in the place of the parameter of AUTH is a secret as that is.
        const response = phase === "auth" ? what.response.replace(/^rewrite\|.*/s, "rewrite|********") : what.response;
        logTrace(this.#deps, "filters", `${this.#session.id}: ${phase}: ${response}`);
      }
      this.#note(phase, what);
      if (this.#hooks.noted !== undefined) this.#record(phase, what);
      if (what.noReply !== undefined) this.#warnOf(what.noReply, phase, running.at);
      this.#hooks.report("filter-response", `${RESPONSE_NAME[phase] ?? phase}|${what.response}`);
      running.done(what.decision);
      return this.#hooks.progress();
    }
    running.at = what.at;
    if (what.unsure !== undefined) running.query = { ...running.query, unsure: what.unsure };
    running.token = null;
    const { client, test, steps } = this.#filters;
    if (what.do === "test") {
      const { at } = what;
      return test(what.test, (found) => {
        if (this.#running !== running || running.at !== at) return;
        this.#follow(tested(steps, client.registered ?? new Map(), running.query, { at, found }));
      });
    }
    running.token = this.#deps.newToken();
    // The parameter of AUTH is a secret: none is shown.
    if (this.#deps.traces("filters")) {
      logTrace(this.#deps, "filters", `${this.#session.id}: ${phase}: asks ${steps[what.at]!.name}`);
    }
    client.request(this.#session, what.process, phase as Exclude<FilterPhaseName, "data-line">, running.token, param);
  }
}
