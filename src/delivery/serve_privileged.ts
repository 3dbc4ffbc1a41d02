/**
 * The privileged isolate: privileged deliveries, those that need a shell or any file. It may do almost anything, so it takes nothing but
 * ids of envelopes, and asks queue and lookup itself what to do for whom. When and how many is decided by the delivery isolate; see serve.ts.
 */

import type { Envelope, EnvelopeId } from "../envelope/mod.ts";
import { debug } from "../events/mod.ts";
import { serveFilePool } from "../file_client/mod.ts";
import type { Isolate } from "../isolate/mod.ts";
import type { ToPrivileged } from "../protocol/mod.ts";
import { Accounts } from "./accounts.ts";
import { Attempts, DEFAULT_DEPS, type DeliveryDeps } from "./attempt.ts";
import { type FileWriter, PooledWriter } from "./methods/file_writer.ts";
import { DeliveryReporter } from "./delivery_reporter.ts";
import { finish } from "./finish.ts";
import { isPrivileged } from "./planner.ts";
import type { QueueClient } from "../queue_client/mod.ts";
import { queueClient } from "./delivered.ts";
import { EX, exited } from "./methods/sysexits.ts";

/** Sets the isolate up. Returns when it is ready for jobs. `deps` are what tests replace. */
export function servePrivileged(isolate: Isolate<"privileged">, deps: Partial<DeliveryDeps> = {}): void {
  const service = new PrivilegedService(isolate, { ...DEFAULT_DEPS, ...deps });
  isolate.serve("delivery-privileged", (channel) => {
    channel.onmessage = async (job) => {
      await service.run(job);
      channel.send({ type: "privileged-job-done", call: job.call });
    };
  });
  isolate.onstop = (why) => service.stop(why);
}

class PrivilegedService {
  readonly #isolate: Isolate<"privileged">;
  readonly #deps: DeliveryDeps;
  readonly #queue: QueueClient;
  readonly #reporter: DeliveryReporter;
  readonly #attempts: Attempts;
  readonly #files: FileWriter;
  readonly #running = new Set<Promise<void>>();
  #stopping = false;

  constructor(isolate: Isolate<"privileged">, deps: DeliveryDeps) {
    this.#isolate = isolate;
    this.#deps = deps;
    this.#queue = queueClient(isolate.ask("privileged-queue"));
    this.#reporter = new DeliveryReporter(isolate, this.#queue, deps.clock.now);
    const accounts = new Accounts(isolate.ask("privileged-lookup"), deps.clock.steady);
    // Half of the room is taken: others may be waiting for it, which only the delivery isolate can see.
    const contended = () => 2 * this.#running.size >= isolate.settings.maxSession;
    this.#files = deps.files ?? new PooledWriter(serveFilePool(isolate, "file", contended), deps.clock);
    this.#attempts = new Attempts(isolate, accounts, deps, this.#files, isolate);
  }

  /** Does one job. Never rejects. */
  async run(job: ToPrivileged): Promise<void> {
    const ids = this.#queue.take(job, job.only);
    if (ids.length === 0 || this.#stopping) return this.#queue.release(ids);
    // The delivery isolate keeps to `max-session`; a new one may send while deliveries of the last one run. This is for a compromised one.
    if (this.#running.size >= 2 * this.#isolate.settings.maxSession) {
      return this.#reporter.refuse(ids, "Too many commands are running");
    }
    const work = this.#work(job, ids);
    this.#running.add(work);
    await work;
    this.#running.delete(work);
  }

  async #work({ message }: ToPrivileged, ids: readonly EnvelopeId[]): Promise<void> {
    try {
      const opened = await this.#queue.open(message, ids);
      if (typeof opened === "string") return this.#reporter.refuse(ids, opened);
      for (const envelope of opened.envelopes) {
        if (this.#stopping) return;
        const { clock } = this.#deps, begunAt = clock.steady();
        const result = await this.#attempt(envelope, opened.body);
        this.#reporter.settle(envelope, result, { durationMs: clock.steady() - begunAt });
      }
    } catch {
      // The queue was replaced: it and the scheduler start over, and send the job again.
    } finally {
      this.#queue.release(ids);
    }
  }

  async #attempt(envelope: Envelope, body: Parameters<Attempts["run"]>[1]) {
    const user = envelope.user ?? "";
    if (this.#isolate.verbose) {
      debug(this.#isolate, `mda: privileged delivery of ${envelope.id}: action "${envelope.action}", user "${user}"`);
    }
    // A Maildir is written for the delivery isolate alone.
    if (isPrivileged(this.#isolate.settings.actions[envelope.action], envelope.exec)) {
      return await this.#attempts.run(envelope, body);
    }
    return { ...exited(EX.TEMPFAIL, "Not a privileged delivery"), user };
  }

  /** Commands that still run after a while are ended; their mail is tried again. */
  async stop(why = { replaced: false }): Promise<void> {
    this.#stopping = true;
    await finish({
      clock: this.#deps.clock,
      replaced: why.replaced,
      ended: Promise.all(this.#running),
      cut: () => {
        this.#attempts.stop("shutting down");
        this.#files.close();
      },
      queue: this.#queue,
    });
  }
}
