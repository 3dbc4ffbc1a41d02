/** What smtpctl and the admin page ask about queued mail, answered by the queue and the scheduler. Uses no sockets. */

import { type EnvelopeCursor, type EnvelopeId, type MessageId, messageOf } from "../envelope/mod.ts";
import { Caller, type Isolate } from "../isolate/mod.ts";
import type {
  ControlToQueue,
  ControlToScheduler,
  QueueFacts,
  QueueTarget,
  QueueToControl,
  RunState,
  SchedulerToControl,
  Target,
} from "../protocol/mod.ts";
import { MAX_DEFERRED_DOMAINS, sentenceOf } from "../protocol/checkup.ts";
import { failed } from "./answers.ts";
import { classifyOutcome } from "./classified.ts";
import { formatListing, type ListedEnvelope } from "./listing.ts";
import type { ControlRequest } from "./parse.ts";
import { queueRecord } from "./records.ts";
import type { ControlAnswer, Unchanged } from "./protocol.ts";

/** Envelopes that the check of this host looks at, and lines about the disk that it takes. */
const MAX_CHECKED_ENVELOPES = 20_000, MAX_DISK_ERRORS = 100;
/** Envelopes that one question to the queue names, to change them. */
const MAX_NAMED_ENVELOPES = 100;

type Changed = Extract<QueueToControl, { ids: unknown }>;
type Scheduled = Extract<SchedulerToControl, { type: "scheduled" }>;
type Listed = Extract<QueueToControl, { type: "listed" }>;
type Exported = Extract<QueueToControl, { type: "exported" }>;
type Found = Extract<SchedulerToControl, { type: "found" }>;
type OnEnvelopes = Extract<ControlRequest, { target: Target }>;

export interface QueueRow {
  readonly envelope: ListedEnvelope;
  readonly state: RunState | null;
}

interface QueuePage {
  readonly rows: QueueRow[];
  /** Where to go on; null at the end. */
  readonly next: EnvelopeId | null;
}

export type QueueCaller = Caller<ControlToQueue, QueueToControl>;
export type SchedulerCaller = Caller<ControlToScheduler, SchedulerToControl>;

/** Lists, shows, exports and changes what is queued. */
export class QueueRequests {
  readonly #queue: QueueCaller;
  readonly #scheduler: SchedulerCaller;
  readonly #listing: () => Isolate<"control">["settings"]["listing"];

  /** `listing` returns how many envelopes and messages one question for a listing may name. */
  constructor(
    queue: QueueCaller,
    scheduler: SchedulerCaller,
    listing: () => Isolate<"control">["settings"]["listing"],
  ) {
    this.#queue = queue;
    this.#scheduler = scheduler;
    this.#listing = listing;
  }

  /** At most `limit` envelopes after the id `after`, of one message or of all, with where each stands. */
  async queuePage(after: EnvelopeCursor, limit: number, message: MessageId | null = null): Promise<QueueRow[]> {
    const all: QueueRow[] = [];
    for (let from: EnvelopeCursor | null = after; from !== null && all.length < limit;) {
      const page: QueuePage = await this.#page({ message, after: from, limit: limit - all.length });
      all.push(...page.rows);
      from = page.next;
    }
    return all;
  }

  /** What the check of this host wants to know, of as many envelopes as are looked at. */
  async facts(paused: readonly string[], diskErrors: readonly string[]): Promise<QueueFacts> {
    const rows = await this.queuePage("", MAX_CHECKED_ENVELOPES + 1);
    const seen = rows.slice(0, MAX_CHECKED_ENVELOPES);
    const waiting = seen.filter(({ envelope: { agent, tries } }) => agent === "mta" && tries > 0);
    const domains = [...Map.groupBy(waiting, ({ envelope: { dest } }) => dest.domain.toLowerCase())];
    return {
      envelopes: seen.length,
      more: rows.length > seen.length,
      suspended: seen.filter(({ envelope: { suspended } }) => suspended).length,
      oldestAt: seen.reduce<number | null>(
        (oldest, { envelope: { createdAt } }) => oldest === null || createdAt < oldest ? createdAt : oldest,
        null,
      ),
      deferred: domains.map(([domain, some]) => ({
        domain,
        envelopes: some.length,
        error: sentenceOf(some.at(-1)!.envelope.errorLine),
      })).sort((one, other) => other.envelopes - one.envelopes).slice(0, MAX_DEFERRED_DOMAINS),
      paused,
      diskErrors: diskErrors.slice(0, MAX_DISK_ERRORS),
    };
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

  /** A line or a record for each envelope, of one message or of all. */
  async *showQueue(
    message: MessageId | null,
    form: "lines" | "records" = "lines",
  ): AsyncGenerator<ControlAnswer> {
    const { envelopes: limit, messages } = this.#listing();
    let found = false;
    for (let after: EnvelopeCursor | null = ""; after !== null;) {
      const page: QueuePage = await this.#page({ message, after, limit, messages });
      const now = Date.now();
      found ||= page.rows.length > 0;
      for (const { envelope, state } of page.rows) {
        yield form === "lines"
          ? { line: formatListing(envelope, state, now) }
          : { record: queueRecord(envelope, state, classifyOutcome) };
      }
      after = page.next;
    }
    yield message === null || found ? { ok: true } : failed(notQueued({ message }));
  }

  /** The stored octets of a message. */
  async *showMessage(message: MessageId): AsyncGenerator<ControlAnswer> {
    for (let index = 0, chunks = 1; index < chunks; index++) {
      const piece = await this.#queue.ask<"body">({ type: "body", message, index });
      if (piece.bytes === null) return yield failed(notQueued({ message }));
      chunks = piece.chunks;
      yield { bytes: piece.bytes.toBase64() };
    }
    yield { ok: true };
  }

  /** Every message: its body, then its envelopes. */
  async *export(): AsyncGenerator<ControlAnswer> {
    let current: MessageId | null = null, whole = false, count = 0;
    for (let after: EnvelopeCursor = "";;) {
      const { envelopes }: Exported = await this.#queue.ask<"exported">({ type: "export", after });
      if (envelopes.length === 0) return yield { ok: true, count };
      for (const { id, text } of envelopes) {
        after = id;
        const message = messageOf(id);
        if (message !== current) {
          current = message;
          whole = true;
          for await (const answer of this.showMessage(message)) {
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

  /** A step of a backup. */
  async *backup({ step, hold: held }: Extract<ControlRequest, { do: "backup" }>): AsyncGenerator<ControlAnswer> {
    const { hold, bytes, error } = await this.#queue.ask<"backup">({ type: "backup", step, hold: held });
    if (error !== null) return yield failed(error);
    if (step === "begin") yield { hold, octets: bytes };
    yield { ok: true };
  }

  /** Takes in what lies in the spool's folder `import`. */
  async *discover(request: Extract<ControlRequest, { do: "discover" }>): AsyncGenerator<ControlAnswer> {
    const wanted = "envelope" in request
      ? [{ name: request.envelope, message: messageOf(request.envelope), envelope: request.envelope }]
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

  /** Makes envelopes due, and returns how many. */
  async scheduleAll(target: Target): Promise<number> {
    let total = 0;
    for (let from: number | null = 0; from !== null;) {
      const { count, next }: Scheduled = await this.#scheduler.ask<"scheduled">({ type: "schedule", target, from });
      total += count;
      from = next;
    }
    return total;
  }

  /** How many, and whether a damaged message went that has no envelopes. */
  async remove(target: Target): Promise<{ readonly count: number; readonly whole: boolean }> {
    let count = 0, whole = false;
    for (const part of await this.#parts(target)) {
      for (let after: EnvelopeCursor | null = ""; after !== null;) {
        const cut: Changed = await this.#queue.ask<Changed["type"]>({ type: "remove", target: part, after });
        count += cut.ids.length;
        whole ||= cut.whole === true;
        after = cut.next;
      }
    }
    return { count, whole };
  }

  /** The answer to a command that changed so many envelopes of its target: why, when that was named and there were none. */
  async counted(
    { do: verb, target }: OnEnvelopes,
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

  /** Suspends or resumes envelopes, and returns how many. The mark is durable before the scheduler gets it. */
  async setSuspended(target: Target, { suspended }: { readonly suspended: boolean }): Promise<number> {
    let count = 0;
    for (const part of await this.#parts(target)) {
      for (let after: EnvelopeCursor | null = ""; after !== null;) {
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

  /** The targets for the queue: it has no domains, the scheduler does. In order of id, since neighbours lie together on the disk. */
  async #parts(target: Target): Promise<QueueTarget[]> {
    if (target === "all" || !("domain" in target)) return [target];
    const all: EnvelopeId[] = [];
    for (let from: number | null = 0; from !== null;) {
      const { ids, next }: Found = await this.#scheduler.ask<"found">({ type: "find", domain: target.domain, from });
      for (const id of ids) all.push(id);
      from = next;
    }
    all.sort();
    return Array.from(
      { length: Math.ceil(all.length / MAX_NAMED_ENVELOPES) },
      (_, i) => ({ ids: all.slice(i * MAX_NAMED_ENVELOPES, (i + 1) * MAX_NAMED_ENVELOPES) }),
    );
  }
}

/** Why nothing changed of what is in the queue. */
const UNCHANGED: Readonly<Record<OnEnvelopes["do"], Unchanged>> = {
  schedule: { reason: "nothing to schedule: it is suspended, or under way", failed: false },
  remove: { reason: "nothing could be removed: the log tells why", failed: true },
  "pause-envelope": { reason: "it is suspended already", failed: true },
  "resume-envelope": { reason: "it is not suspended", failed: true },
};

/** Says in a sentence that the target of a command is not in the queue. */
export function notQueued(target: Exclude<Target, "all">): string {
  if ("domain" in target) return `nothing in the queue is to be relayed to ${target.domain}`;
  const what = "message" in target ? `message ${target.message}` : `envelope ${target.envelope}`;
  return `${what} is not in the queue`;
}
