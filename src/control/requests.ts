/** Answers the requests of smtpctl and the admin page by asking the other isolates. Knows no sockets. */

import { formatStats, type LogLevel, type Stats, type Trace, TRACES } from "../events/mod.ts";
import { Caller, type Isolate } from "../isolate/mod.ts";
import {
  type ControlToQueue,
  type MainAnswer,
  type MainRequest,
  type QueueTarget,
  type QueueToControl,
  type RunState,
  type SchedulerToControl,
  type Target,
} from "../protocol/mod.ts";
import { formatListing, type ListedEnvelope } from "./listing.ts";
import {
  type ControlAnswer,
  type ControlRequest,
  MONITOR_PERIOD_MS,
  type Subsystem,
  type Unchanged,
} from "./protocol.ts";
import { type Clock, sleep, systemClock } from "../clock.ts";

/** Envelopes that the queue is told of at once, to change them. */
const PAGE = 100;
/** A peer that does not answer a health question in this time counts as ill, in ms. */
const HEALTH_TIMEOUT_MS = 2_000;

type Changed = Extract<QueueToControl, { ids: unknown }>;
type Scheduled = Extract<SchedulerToControl, { type: "scheduled" }>;
type Listed = Extract<QueueToControl, { type: "listed" }>;
type Found = Extract<SchedulerToControl, { type: "found" }>;

export interface QueueRow {
  readonly envelope: ListedEnvelope;
  readonly state: RunState | null;
}

interface QueuePage {
  readonly rows: QueueRow[];
  /** Where to go on; null at the end. */
  readonly next: string | null;
}

/** The counter at which requests are answered. */
export class ControlRequests {
  readonly #isolate: Isolate<"control">;
  readonly #stats: Stats;
  readonly #log: (level: LogLevel, text: string) => void;
  readonly #queue;
  readonly #scheduler;
  readonly #relay;
  readonly #lookup;
  readonly #paused: Record<Subsystem, boolean>;
  readonly #traces: Set<Trace>;
  readonly #mainWaits = new Map<number, (answer: Pick<MainAnswer, "changed" | "error">) => void>();
  readonly #clock: Clock;
  #call = 1;

  constructor(
    isolate: Isolate<"control">,
    stats: Stats,
    log: (level: LogLevel, text: string) => void,
    clock: Clock = systemClock,
  ) {
    this.#clock = clock;
    this.#isolate = isolate;
    this.#stats = stats;
    this.#log = log;
    this.#queue = new Caller(isolate.ask("control-queue"));
    this.#scheduler = new Caller(isolate.ask("control-scheduler"));
    this.#relay = new Caller(isolate.ask("control-relay"));
    this.#lookup = new Caller(isolate.ask("control-lookup"));
    this.#paused = { ...isolate.settings.paused };
    this.#traces = new Set(TRACES.filter((trace) => isolate.traces(trace)));
    this.#scheduler.onreset = () => this.#pauseAgain();
    isolate.onanswer = ({ call, ...answer }) => {
      this.#mainWaits.get(call)?.(answer);
      this.#mainWaits.delete(call);
    };
  }

  get uptimeSeconds(): number {
    return (Date.now() - this.#isolate.settings.startedAt) / 1000;
  }

  /** The answers to one request; the last has `ok`. */
  async *answer(request: ControlRequest): AsyncGenerator<ControlAnswer> {
    switch (request.do) {
      case "show-queue":
        return yield* this.#showQueue(request.message);
      case "show-message":
        return yield* this.#showMessage(request.message);
      case "show-envelope": {
        const { text } = await this.#queue.ask<"envelope">({ type: "envelope", id: request.envelope });
        if (text === null) return yield failed(notQueued({ envelope: request.envelope }));
        return yield* shown(text.replace(/\n$/, "").split("\n"));
      }
      case "show-stats":
        return yield* shown(formatStats(this.#stats, this.uptimeSeconds));
      case "show-status":
        return yield* shown([
          ...(["mda", "mta", "smtp"] as const).map((one) => this.#status(one)),
          ...await this.troubles(),
        ]);
      case "show-damaged":
        return yield* shown((await this.#queue.ask<"damaged" | "troubles">({ type: "damaged" })).lines);
      case "show-relay":
        return yield* shown((await this.#relay.ask<"shown">({ type: "show", what: request.what })).lines);
      case "monitor":
        return yield* this.#monitor();
      case "export":
        return yield* this.#export();
      case "discover":
        return yield* this.#discover(request);
      case "schedule":
        return yield await this.#counted(request, await this.#scheduleAll(request.target));
      case "remove": {
        const { count, whole } = await this.#remove(request.target);
        return yield whole ? { ok: true, count } : await this.#counted(request, count);
      }
      case "pause-envelope":
      case "resume-envelope": {
        const count = await this.#suspend(request.target, request.do === "pause-envelope");
        return yield await this.#counted(request, count);
      }
      case "pause":
      case "resume":
        return yield await this.#pause(request.what, request.do === "pause");
      case "resume-route": {
        const { lines: [error] } = await this.#relay.ask<"shown">({ type: "resume-route", route: request.route });
        return yield error === undefined ? { ok: true } : failed(error);
      }
      case "log":
        if (!request.verbose) this.#traces.clear();
        return yield await this.#setVerbosity(request.verbose);
      case "trace":
      case "untrace":
        this.#mark(request.what, request.do === "trace");
        return yield await this.#setVerbosity(this.#isolate.verbose);
      case "update-table": {
        const checked = await this.#askMain({ type: "check-table", table: request.table });
        if (checked.error !== null) return yield failed(checked.error);
        const { error } = await this.#lookup.ask<"updated">({ type: "update-table", table: request.table });
        return yield error === null ? { ok: true } : failed(error);
      }
      case "stop":
        await this.#askMain({ type: "stop" });
        return yield { ok: true };
      case "update-pki": {
        const { error } = await this.#askMain({ type: "update-pki" });
        return yield error === null ? { ok: true } : failed(error);
      }
    }
  }

  /** At most `limit` envelopes after the id `after`, with where each stands. */
  async queuePage(after: string, limit: number): Promise<QueueRow[]> {
    const all: QueueRow[] = [];
    for (let from: string | null = after; from !== null && all.length < limit;) {
      const page: QueuePage = await this.#page({ message: null, after: from, limit: limit - all.length });
      all.push(...page.rows);
      from = page.next;
    }
    return all;
  }

  async #page(which: Omit<Extract<ControlToQueue, { type: "list" }>, "type" | "call">): Promise<QueuePage> {
    const { envelopes, next }: Listed = await this.#queue.ask<"listed">({ type: "list", ...which });
    if (envelopes.length === 0) return { rows: [], next };
    const ids = envelopes.map(({ id }) => id);
    const { states } = await this.#scheduler.ask<"states">({ type: "states", ids });
    const byId = new Map(states.map((state) => [state.id, state]));
    const rows = envelopes.map((envelope) => ({
      envelope,
      state: byId.get(envelope.id) ?? { id: envelope.id, state: "unknown", at: 0 } as const,
    }));
    return { rows, next };
  }

  /** Asks the isolates that mail cannot do without whether they answer. True for those that do in time. */
  async health(): Promise<{ readonly queue: boolean; readonly scheduler: boolean }> {
    const [queue, scheduler] = await Promise.all([
      inTime(this.#clock, this.#queue.ask<"listed">({ type: "list", message: null, after: "f".repeat(16), limit: 1 })),
      inTime(this.#clock, this.#scheduler.ask<"states">({ type: "states", ids: [] })),
    ]);
    return { queue, scheduler };
  }

  /** What is wrong with the spool, a line each. */
  async troubles(): Promise<readonly string[]> {
    let lines: readonly string[] = ["QUEUE not answering"];
    await inTime(
      this.#clock,
      this.#queue.ask<"damaged" | "troubles">({ type: "troubles" }).then((answer) => lines = answer.lines),
    );
    return lines;
  }

  /** Why mail is refused though all who were asked answer, a sentence each. */
  async refusals(): Promise<readonly string[]> {
    const full = (await this.troubles()).filter((line) => line.startsWith("QUEUE disk full"));
    let tables: readonly string[] = ["lookup does not answer"];
    await inTime(
      this.#clock,
      this.#lookup.ask<"table-faults">({ type: "table-faults" }).then(({ faults }) => tables = faults),
    );
    let missing: string | null = "main does not answer";
    await inTime(
      this.#clock,
      this.#askMain({ type: "isolates" }).then(({ error }) => {
        missing = error === null ? null : `isolates that do not run: ${error}`;
      }),
    );
    return [...full.map((line) => line.replace(/^QUEUE /, "")), ...tables, ...missing === null ? [] : [missing]];
  }

  paused(what: Subsystem): boolean {
    return this.#paused[what];
  }

  async *#showQueue(message: string | null): AsyncGenerator<ControlAnswer> {
    const { envelopes: limit, messages } = this.#isolate.settings.listing;
    let found = false;
    for (let after: string | null = ""; after !== null;) {
      const page: QueuePage = await this.#page({ message, after, limit, messages });
      const now = Date.now();
      found ||= page.rows.length > 0;
      for (const { envelope, state } of page.rows) yield { line: formatListing(envelope, state, now) };
      after = page.next;
    }
    yield message === null || found ? { ok: true } : failed(notQueued({ message }));
  }

  async *#showMessage(message: string): AsyncGenerator<ControlAnswer> {
    for (let index = 0, chunks = 1; index < chunks; index++) {
      const piece = await this.#queue.ask<"body">({ type: "body", message, index });
      if (piece.bytes === null) return yield failed(notQueued({ message }));
      chunks = piece.chunks;
      yield { bytes: base64(piece.bytes) };
    }
    yield { ok: true };
  }

  /** Every message: its body, then its envelopes. */
  async *#export(): AsyncGenerator<ControlAnswer> {
    let current = "", whole = false, count = 0;
    for (let after = "";;) {
      const { envelopes } = await this.#queue.ask<"exported">({ type: "export", after });
      if (envelopes.length === 0) return yield { ok: true, count };
      for (const { id, text } of envelopes) {
        after = id;
        const message = id.slice(0, 8);
        if (message !== current) {
          current = message;
          whole = true;
          for await (const answer of this.#showMessage(message)) {
            if ("bytes" in answer) yield answer;
            else if ("ok" in answer) whole = answer.ok;
          }
          yield { message, whole };
        }
        if (!whole) continue;
        if (text === null) yield { line: `envelope ${id} is damaged and is left out` };
        else yield { envelope: id, text };
        if (text !== null) count++;
      }
    }
  }

  async *#discover(request: Extract<ControlRequest, { do: "discover" }>): AsyncGenerator<ControlAnswer> {
    const wanted = "envelope" in request
      ? [{ name: request.envelope, message: request.envelope.slice(0, 8), envelope: request.envelope }]
      : request.messages.map((message) => ({ name: message, message, envelope: null }));
    const found = await Promise.all(wanted.map(async ({ name, message, envelope }) => {
      const { count, error } = await this.#queue.ask<"discovered">({ type: "discover", message, envelope });
      return { name, count, error };
    }));
    for (const { name, error } of found) if (error !== null) yield { line: `${name}: ${error}` };
    const count = found.reduce((sum, { count }) => sum + count, 0);
    yield found.length === 1 && count === 0
      ? { ok: true, count, unchanged: { reason: "nothing was taken in", failed: true } }
      : { ok: true, count };
  }

  /** Endless: ends when its reader does. */
  async *#monitor(): AsyncGenerator<ControlAnswer> {
    for (;;) {
      yield { sample: this.#stats.sample() };
      await sleep(MONITOR_PERIOD_MS, this.#clock);
    }
  }

  async #scheduleAll(target: Target): Promise<number> {
    let total = 0;
    for (let from: number | null = 0; from !== null;) {
      const { count, next }: Scheduled = await this.#scheduler.ask<"scheduled">({ type: "schedule", target, from });
      total += count;
      from = next;
    }
    return total;
  }

  /** How many, and whether a damaged message went that has no envelopes. */
  async #remove(target: Target): Promise<{ readonly count: number; readonly whole: boolean }> {
    let count = 0, whole = false;
    for (const part of await this.#parts(target)) {
      for (let after: string | null = ""; after !== null;) {
        const cut: Changed = await this.#queue.ask<Changed["type"]>({ type: "remove", target: part, after });
        count += cut.ids.length;
        whole ||= cut.whole === true;
        after = cut.next;
      }
    }
    return { count, whole };
  }

  /** The answer to a command that changed so many envelopes of its target: it tells why when that was named and there were none. */
  async #counted(
    { do: verb, target }: Extract<ControlRequest, { target: Target }>,
    count: number,
  ): Promise<ControlAnswer> {
    if (count > 0 || target === "all") return { ok: true, count };
    const known = await this.#isQueued(target);
    return { ok: true, count, unchanged: known ? UNCHANGED[verb] : { reason: notQueued(target), failed: true } };
  }

  async #isQueued(target: Exclude<Target, "all">): Promise<boolean> {
    if ("envelope" in target) {
      return (await this.#queue.ask<"envelope">({ type: "envelope", id: target.envelope })).text !== null;
    }
    if ("domain" in target) return (await this.#parts(target)).length > 0;
    const { envelopes } = await this.#queue.ask<"listed">({
      type: "list",
      message: target.message,
      after: "",
      limit: 1,
    });
    return envelopes.length > 0;
  }

  /** The mark is durable before the scheduler hears of it. */
  async #suspend(target: Target, suspended: boolean): Promise<number> {
    let count = 0;
    for (const part of await this.#parts(target)) {
      for (let after: string | null = ""; after !== null;) {
        const cut: Changed = await this.#queue.ask<Changed["type"]>({
          type: "suspend",
          target: part,
          after,
          suspended,
        });
        const { ids, next } = cut;
        if (ids.length > 0) await this.#scheduler.ask<"suspended">({ type: "suspend", ids, suspended });
        count += ids.length;
        after = next;
      }
    }
    return count;
  }

  /** What the queue is asked for: it knows no domains, the scheduler does. In order of id, since neighbours lie together on the disk. */
  async #parts(target: Target): Promise<QueueTarget[]> {
    if (target === "all" || !("domain" in target)) return [target];
    const all: string[] = [];
    for (let from: number | null = 0; from !== null;) {
      const { ids, next }: Found = await this.#scheduler.ask<"found">({ type: "find", domain: target.domain, from });
      for (const id of ids) all.push(id);
      from = next;
    }
    all.sort();
    return Array.from(
      { length: Math.ceil(all.length / PAGE) },
      (_, i) => ({ ids: all.slice(i * PAGE, (i + 1) * PAGE) }),
    );
  }

  async #pause(what: Subsystem, paused: boolean): Promise<ControlAnswer> {
    const changed = what === "smtp"
      ? (await this.#askMain({ type: "pause-smtp", paused })).changed
      : (await this.#scheduler.ask<"paused">({ type: "pause", agent: what, paused })).changed;
    this.#paused[what] = paused;
    if (!changed) return failed(`${what} is ${paused ? "paused" : "running"} already`);
    this.#log("info", `info: ${what} ${paused ? "paused" : "resumed"}`);
    return { ok: true };
  }

  /** A new scheduler starts with what the command line said: tell it what smtpctl said since. */
  #pauseAgain(): void {
    for (const agent of ["mda", "mta"] as const) {
      if (this.#paused[agent] === this.#isolate.settings.paused[agent]) continue;
      this.#scheduler.ask<"paused">({ type: "pause", agent, paused: this.#paused[agent] }).catch(() => {
        // It died once more: the next reset asks again.
      });
    }
  }

  #mark(what: Trace | "all", on: boolean): void {
    for (const trace of what === "all" ? TRACES : [what]) {
      if (on) this.#traces.add(trace);
      else this.#traces.delete(trace);
    }
  }

  async #setVerbosity(verbose: boolean): Promise<ControlAnswer> {
    await this.#askMain({ type: "verbosity", verbose, traces: [...this.#traces] });
    return { ok: true };
  }

  #status(what: Subsystem): string {
    return `${what.toUpperCase()} ${this.#paused[what] ? "paused" : "running"}`;
  }

  #askMain(request: MainRequest): Promise<Pick<MainAnswer, "changed" | "error">> {
    const call = this.#call++;
    return new Promise((resolve) => {
      this.#mainWaits.set(call, resolve);
      this.#isolate.tell({ type: "request", call, request });
    });
  }
}

/** Why nothing changed of what is in the queue. */
const UNCHANGED: Readonly<Record<Extract<ControlRequest, { target: Target }>["do"], Unchanged>> = {
  schedule: { reason: "nothing to schedule: it is suspended, or under way", failed: false },
  remove: { reason: "nothing could be removed: the log tells why", failed: true },
  "pause-envelope": { reason: "it is suspended already", failed: true },
  "resume-envelope": { reason: "it is not suspended", failed: true },
};

function notQueued(target: Exclude<Target, "all">): string {
  if ("domain" in target) return `nothing in the queue is to be relayed to ${target.domain}`;
  const what = "message" in target ? `message ${target.message}` : `envelope ${target.envelope}`;
  return `${what} is not in the queue`;
}

function failed(error: string): ControlAnswer {
  return { ok: false, error };
}

function* shown(lines: readonly string[]): Generator<ControlAnswer> {
  for (const line of lines) yield { line };
  yield { ok: true };
}

async function inTime(clock: Clock, asked: Promise<unknown>): Promise<boolean> {
  let cancelLimit = () => {};
  const late = new Promise<boolean>((resolve) => {
    cancelLimit = clock.after(HEALTH_TIMEOUT_MS, () => resolve(false));
  });
  try {
    return await Promise.race([asked.then(() => true, () => false), late]);
  } finally {
    cancelLimit();
  }
}

function base64(bytes: Uint8Array): string {
  return bytes.toBase64();
}
