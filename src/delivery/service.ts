/** The delivery isolate at its doors: jobs from the scheduler, messages from the queue, accounts from lookup, outcomes and events out. */

import { type Envelope, type EnvelopeId, newSessionId, type Outcome, random32 } from "../envelope/mod.ts";
import { debug } from "../events/mod.ts";
import type { Isolate, Job } from "../isolate/mod.ts";
import { Accounts } from "./accounts.ts";
import { type AttemptResult, Attempts, type DeliveryTools } from "./attempt.ts";
import { systemClock } from "./clock.ts";
import { actAsRoot, actAsSelf } from "./identity.ts";
import { Slots } from "./slots.ts";
import { type Opened, QueueClient } from "./source.ts";
import { EX, exited } from "./sysexits.ts";

/** Jobs that wait for their turn. The scheduler has a limit of its own; this one is for a scheduler gone mad. */
const WAITING_LIMIT = 20_000;
/** Final outcomes that are remembered. */
const FINAL_LIMIT = 4_096;
/** How long deliveries may go on after the daemon was told to stop, in ms. */
const STOP_GRACE_MS = 2_000;
/** Gauges are told at most so often, in ms. */
const GAUGE_PERIOD_MS = 250;

/** Sets the isolate up. Returns when it is ready for jobs. `tools` are replaced by tests. */
export function serveDelivery(isolate: Isolate<"delivery">, tools: Partial<DeliveryTools> = {}): void {
  const service = new DeliveryService(isolate, {
    clock: systemClock,
    actAs: isolate.settings.house.root ? actAsRoot() : actAsSelf,
    random: random32,
    ...tools,
  });
  isolate.serve("scheduler-delivery", (channel) => channel.onmessage = (job) => service.accept(job));
  isolate.onstop = () => service.stop();
}

class DeliveryService {
  readonly #isolate: Isolate<"delivery">;
  readonly #tools: DeliveryTools;
  readonly #queue: QueueClient;
  readonly #attempts: Attempts;
  readonly #slots: Slots;
  /** Envelopes whose delivery waits or runs: after a restart of its own the scheduler may send them again. */
  readonly #busy = new Set<EnvelopeId>();
  /** Outcomes after which an envelope never comes back, unless the queue died before it heard of it. Then it is told again. */
  readonly #final = new Map<EnvelopeId, Outcome>();
  readonly #gauges = { running: 0, pending: 0, users: 0, envelopes: 0 };
  #cancelGauges: (() => void) | null = null;

  constructor(isolate: Isolate<"delivery">, tools: DeliveryTools) {
    const { settings } = isolate;
    this.#isolate = isolate;
    this.#tools = tools;
    this.#queue = new QueueClient(isolate.ask("delivery-queue"));
    const accounts = new Accounts(isolate.ask("delivery-lookup"), tools.clock.now);
    this.#attempts = new Attempts(settings, accounts, tools);
    this.#slots = new Slots(settings.maxSessions);
  }

  accept(job: Job): void {
    const ids = job.ids.filter((id) => !this.#busy.has(id) && !this.#toldAgain(id));
    if (ids.length === 0) return;
    if (this.#slots.waiting >= WAITING_LIMIT) return this.#refuse(ids, "Too many deliveries are waiting");
    for (const id of ids) this.#busy.add(id);
    this.#schedule(job, ids, this.#perUser(job));
  }

  async stop(): Promise<void> {
    const ended = this.#slots.close();
    const cancel = this.#tools.clock.after(STOP_GRACE_MS, () => this.#attempts.stop("shutting down"));
    await ended;
    cancel();
    this.#cancelGauges?.();
    this.#tellGauges();
  }

  /** A Maildir is written by us, many messages in one go, so only the limit on all counts. Everything else is a session of the user's. */
  #perUser({ action }: Job): number {
    const { actions, maxSessions, maxSessionsPerUser } = this.#isolate.settings;
    const { method, wrapper = null } = actions[action] ?? {};
    return method?.type === "maildir" && wrapper === null ? maxSessions : maxSessionsPerUser;
  }

  #schedule(job: Job, ids: readonly EnvelopeId[], perUser: number): void {
    this.#slots.run(job.key, perUser, () => this.#work(job, ids, perUser));
    this.#touchGauges();
  }

  async #work(job: Job, ids: readonly EnvelopeId[], perUser: number): Promise<void> {
    let again = false;
    try {
      const opened = await this.#queue.open(job.message, ids);
      if (typeof opened === "string") return this.#refuse(ids, opened);
      // A command under a maildir action: it has to wait for a turn with the user's limit after all.
      const { maxSessionsPerUser } = this.#isolate.settings;
      again = perUser > maxSessionsPerUser && opened.envelopes.some(({ exec }) => (exec ?? "") !== "");
      if (!again) await this.#deliverAll(opened);
    } catch {
      // The queue was replaced: it and the scheduler start over, and send the job again.
    } finally {
      if (again) this.#schedule(job, ids, this.#isolate.settings.maxSessionsPerUser);
      else for (const id of ids) this.#busy.delete(id);
      this.#touchGauges();
    }
  }

  async #deliverAll({ envelopes, body }: Opened): Promise<void> {
    for (const envelope of envelopes) {
      if (this.#isolate.verbose) {
        debug(
          this.#isolate,
          `mda: attempt for ${envelope.id}: action "${envelope.action}", user "${envelope.user ?? ""}"`,
        );
      }
      const result = await this.#attempts.run(envelope, body);
      this.#settle(envelope, result);
    }
  }

  #settle(envelope: Envelope, { outcome, stat, user }: AttemptResult): void {
    this.#queue.settle(envelope.id, outcome);
    this.#busy.delete(envelope.id);
    if (outcome.result !== "tempfail") this.#remember(envelope.id, outcome);
    this.#isolate.report({
      type: "delivery",
      agent: "mda",
      session: newSessionId(),
      envelope: envelope.id,
      from: envelope.sender,
      to: envelope.dest,
      rcpt: envelope.rcpt,
      delayMs: Math.max(0, this.#tools.clock.now() - envelope.createdAt),
      outcome: outcome.result,
      stat,
      user,
    });
  }

  #refuse(ids: readonly EnvelopeId[], text: string): void {
    const { outcome } = exited(EX.TEMPFAIL, text);
    for (const id of ids) this.#queue.settle(id, outcome);
    this.#isolate.report({
      type: "log",
      level: "warn",
      text: `warn: mda: ${ids.length} envelope(s) held back: ${text}`,
    });
  }

  #remember(id: EnvelopeId, outcome: Outcome): void {
    if (this.#final.size >= FINAL_LIMIT) this.#final.delete(this.#final.keys().next().value!);
    this.#final.set(id, outcome);
  }

  /** An outcome was lost with a queue that died: say it again instead of delivering a second time. */
  #toldAgain(id: EnvelopeId): boolean {
    const outcome = this.#final.get(id);
    if (outcome === undefined) return false;
    this.#queue.settle(id, outcome);
    return true;
  }

  #touchGauges(): void {
    this.#cancelGauges ??= this.#tools.clock.after(GAUGE_PERIOD_MS, () => {
      this.#cancelGauges = null;
      this.#tellGauges();
    });
  }

  #tellGauges(): void {
    const now = {
      running: this.#slots.running,
      pending: this.#slots.waiting,
      users: this.#slots.users,
      envelopes: this.#busy.size,
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
      this.#isolate.report({ type: "gauge", key: keys[name], to: now[name] });
    }
  }
}
