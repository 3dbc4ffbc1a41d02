/** The delivery isolate at its doors: jobs from the scheduler, messages from the queue, accounts from lookup, outcomes and events out. */

import type { Envelope, EnvelopeId } from "../envelope/mod.ts";
import { debug } from "../events/mod.ts";
import { serveFilePool } from "../file_client/mod.ts";
import { Caller, type Isolate } from "../isolate/mod.ts";
import type { FromPrivileged, Job, ToPrivileged } from "../protocol/mod.ts";
import { Accounts } from "./accounts.ts";
import { Attempts, DEFAULT_DEPS, type DeliveryDeps } from "./attempt.ts";
import { type FileWriter, PooledWriter } from "./methods/file_writer.ts";
import { DeliveryReporter } from "./delivery_reporter.ts";
import { finish } from "./finish.ts";
import { isPrivileged } from "./planner.ts";
import { Slots } from "./slots.ts";
import type { QueueClient, StoredBody } from "../queue_client/mod.ts";
import { queueClient } from "./delivered.ts";

/** Jobs that wait for their turn. The scheduler has a limit of its own; this one is for a faulty scheduler. */
const MAX_WAITING_JOBS = 20_000;
/** Gauges are sent once per so many ms at most. */
const GAUGE_PERIOD_MS = 250;

/** Sets the isolate up. Returns when it is ready for jobs. `deps` are what tests replace. */
export function serveDelivery(isolate: Isolate<"delivery">, deps: Partial<DeliveryDeps> = {}): void {
  const service = new DeliveryService(isolate, { ...DEFAULT_DEPS, ...deps });
  isolate.serve("scheduler-delivery", (channel) => channel.onmessage = (job) => service.accept(job));
  isolate.onreload = () => service.reload();
  isolate.onstop = (why) => service.stop(why);
}

class DeliveryService {
  readonly #isolate: Isolate<"delivery">;
  readonly #deps: DeliveryDeps;
  readonly #queue: QueueClient;
  readonly #privileged: Caller<ToPrivileged, FromPrivileged>;
  readonly #reporter: DeliveryReporter;
  readonly #attempts: Attempts;
  readonly #slots: Slots;
  readonly #files: FileWriter;
  readonly #gauges = { running: 0, pending: 0, users: 0, envelopes: 0 };
  #cancelGauges: (() => void) | null = null;
  #stopping = false;

  constructor(isolate: Isolate<"delivery">, deps: DeliveryDeps) {
    const { settings } = isolate;
    this.#isolate = isolate;
    this.#deps = deps;
    this.#queue = queueClient(isolate.ask("delivery-queue"));
    this.#privileged = new Caller(isolate.ask("delivery-privileged"));
    this.#reporter = new DeliveryReporter(isolate, this.#queue, deps.clock.now);
    const accounts = new Accounts(isolate.ask("delivery-lookup"), deps.clock.steady);
    this.#slots = new Slots(settings.maxSession);
    this.#files = deps.files ??
      new PooledWriter(serveFilePool(isolate, "mailbox", () => this.#slots.waiting > 0), deps.clock);
    this.#attempts = new Attempts(isolate, accounts, deps, this.#files, isolate);
  }

  accept(job: Job): void {
    const ids = this.#queue.take(job);
    if (ids.length === 0) return;
    if (this.#slots.waiting >= MAX_WAITING_JOBS) return this.#reporter.refuse(ids, "Too many deliveries are waiting");
    const { actions } = this.#isolate.settings;
    if (isPrivileged(actions[job.action], "")) this.#passOn(job, ids);
    else this.#schedule(job, this.#perUser(job), () => this.#work(job, ids));
  }

  /** Deliveries that begin from now on are made by the settings as they are now. */
  reload(): void {
    this.#slots.resize(this.#isolate.settings.maxSession);
  }

  /** Deliveries that still run after a while are ended; their mail is tried again. */
  async stop(why = { replaced: false }): Promise<void> {
    this.#stopping = true;
    await finish({
      clock: this.#deps.clock,
      replaced: why.replaced,
      ended: this.#slots.close(),
      cut: () => {
        this.#attempts.stop("shutting down");
        this.#files.close();
      },
      queue: this.#queue,
    });
    this.#cancelGauges?.();
    this.#sendGauges();
  }

  /** A Maildir is written by us, many messages in one go, so only the limit on all counts. Everything else is a session of the user's. */
  #perUser({ action }: Job): number {
    const { actions, maxSession, maxSessionPerUser } = this.#isolate.settings;
    return actions[action]?.method.type === "maildir" ? maxSession : maxSessionPerUser;
  }

  #schedule(job: Job, perUser: number, work: () => Promise<void>): void {
    this.#slots.run(job.lane, perUser, () => work().finally(() => this.#touchGauges()));
    this.#touchGauges();
  }

  async #work(job: Job, ids: readonly EnvelopeId[]): Promise<void> {
    const away: EnvelopeId[] = [];
    try {
      const opened = await this.#queue.open(job.message, ids);
      if (typeof opened === "string") return this.#reporter.refuse(ids, opened);
      const own = opened.envelopes.filter(({ id, exec }) => !isPrivileged(undefined, exec) || void away.push(id));
      await this.#deliverAll(own, opened.body);
    } catch {
      // The queue was replaced: it and the scheduler start over, and send the job again.
    } finally {
      this.#queue.release(away.length === 0 ? ids : without(ids, away));
      // Whatever the action says, a command has to wait for a turn with the user's limit.
      if (away.length > 0) this.#passOn(job, away);
    }
  }

  async #deliverAll(envelopes: readonly Envelope[], body: StoredBody): Promise<void> {
    for (const envelope of envelopes) {
      if (this.#isolate.verbose) {
        debug(
          this.#isolate,
          `mda: attempt for ${envelope.id}: action "${envelope.action}", user "${envelope.user ?? ""}"`,
        );
      }
      const { clock } = this.#deps, begunAt = clock.steady();
      const result = await this.#attempts.run(envelope, body);
      this.#reporter.settle(envelope, result, { durationMs: clock.steady() - begunAt });
    }
  }

  /** Passes envelopes in flight on, to the isolate that may do what they ask for; here they keep their place among the deliveries of the user. */
  #passOn(job: Job, only: readonly EnvelopeId[]): void {
    this.#schedule(job, this.#isolate.settings.maxSessionPerUser, async () => {
      const question = { ...job, type: "privileged-job", only } as const;
      for (let done = false; !done && !this.#stopping;) {
        // A privileged isolate that ended is replaced, and the new one asks the queue what is left to do.
        done = await this.#privileged.ask<"privileged-job-done">(question).then(() => true, () => false);
      }
      this.#queue.release(only);
    });
  }

  #touchGauges(): void {
    this.#cancelGauges ??= this.#deps.clock.after(GAUGE_PERIOD_MS, () => {
      this.#cancelGauges = null;
      this.#sendGauges();
    });
  }

  #sendGauges(): void {
    const now = {
      running: this.#slots.running,
      pending: this.#slots.waiting,
      users: this.#slots.users,
      envelopes: this.#queue.inFlight,
    };
    const keys = {
      running: "mda.running",
      pending: "mda.pending",
      users: "mda.user",
      envelopes: "mda.envelope",
    } as const;
    for (const name of ["running", "pending", "users", "envelopes"] as const) {
      if (now[name] === this.#gauges[name]) continue;
      this.#gauges[name] = now[name];
      this.#isolate.emit({ type: "gauge", key: keys[name], to: now[name] });
    }
  }
}

function without(ids: readonly EnvelopeId[], others: readonly EnvelopeId[]): EnvelopeId[] {
  const left = new Set(ids);
  for (const id of others) left.delete(id);
  return [...left];
}
