/** Asks lookup which smarthosts jobs go to, and makes one of those of a message that go to the same. */

import type { RelayAction } from "../config/mod.ts";
import { type Caller, PeerGone } from "../isolate/mod.ts";
import type { FromLookup, Job, ToLookup } from "../protocol/mod.ts";
import { firstUsable, type Target, type Usable } from "./routes/target.ts";

/** The envelopes of a message that go one way. */
export type Bundle = Pick<Job, "message" | "ids">;

/** What becomes of jobs. */
export interface SmarthostsDeps {
  /** They go to this target; `others`: smarthosts that may be tried after it. */
  hand(bundle: Bundle, target: Target, others: readonly string[]): void;
  /** There is no smarthost that can be used, for this reason. */
  refuse(job: Job, text: string): void;
}

/** A job whose action has a smarthost. */
interface GatheredJob {
  readonly job: Job;
  readonly action: RelayAction;
}

export class Smarthosts {
  readonly #lookup: Caller<ToLookup, FromLookup>;
  readonly #deps: SmarthostsDeps;
  /** Came in this turn. */
  #gathered: GatheredJob[] = [];

  constructor(lookup: Caller<ToLookup, FromLookup>, deps: SmarthostsDeps) {
    this.#lookup = lookup;
    this.#deps = deps;
  }

  /**
   * Finds the smarthost of a job by the action's list, or by its table of domains. Only the table knows which domains share one, and the scheduler has made a
   * job for each: those of one message that come in one turn are handed on together.
   */
  find(job: Job, action: RelayAction): void {
    // Of a list each turn takes the next host: no two jobs are for the same.
    if (action.host !== null) return void this.#findAll([{ job, action }]);
    if (this.#gathered.length === 0) queueMicrotask(() => this.#flush());
    this.#gathered.push({ job, action });
  }

  #flush(): void {
    const messages = Map.groupBy(this.#gathered, ({ job }) => job.message);
    this.#gathered = [];
    for (const jobs of messages.values()) void this.#findAll(jobs);
  }

  /** Jobs of one message. */
  async #findAll(jobs: readonly GatheredJob[]): Promise<void> {
    const found = await Promise.all(jobs.map(async (one) => ({ job: one.job, usable: await this.#ask(one) })));
    const ways = new Map<string, Extract<Usable, { ok: true }> & { readonly jobs: Job[] }>();
    for (const { job, usable } of found) {
      if (!usable.ok) {
        this.#deps.refuse(job, usable.text);
        continue;
      }
      const key = JSON.stringify([usable.target.key, usable.others]);
      const way = ways.get(key);
      if (way === undefined) ways.set(key, { ...usable, jobs: [job] });
      else way.jobs.push(job);
    }
    for (const { target, others, jobs: [first, ...rest] } of ways.values()) {
      const ids = [...first!.ids, ...rest.flatMap((job) => job.ids)];
      this.#deps.hand({ message: first!.message, ids }, target, others);
    }
  }

  async #ask({ job, action }: GatheredJob): Promise<Usable> {
    let url: string | null = null, others: readonly string[] = [];
    try {
      const question = { type: "smarthost", action: action.name, domain: job.lane } as const;
      ({ url, others = [] } = await this.#lookup.ask<"smarthost">(question));
    } catch (error) {
      if (!(error instanceof PeerGone)) throw error;
    }
    return firstUsable(action, url === null ? [] : [url, ...others]);
  }
}
