/** The scheduler isolate: doors and one timer around the deterministic Scheduler. */

import type { EnvelopeId } from "../envelope/mod.ts";
import { type Channel, type Isolate, Tally } from "../isolate/mod.ts";
import type {
  ControlToScheduler,
  Job,
  QueueToScheduler,
  RelayToScheduler,
  SchedulerToControl,
  SchedulerToQueue,
} from "../protocol/mod.ts";
import { type Effects, Scheduler } from "./scheduler.ts";
import { formatDuration, HISTOGRAMS, logTrace, type Observer } from "../events/mod.ts";
import { JobMac } from "../mac/mod.ts";
import { type Clock, systemClock } from "../clock.ts";

/** Envelopes that relay may name in one message. */
const MAX_RESCHEDULED_ENVELOPES = 100_000;
/** A timer takes 31 bits of milliseconds; an hour is often enough to look. */
const MAX_SLEEP_MS = 3_600_000;

/** The clock was set when it differs so much from what has passed since it was last read; less is drift. In ms. */
const STEP_MS = 5_000;

/** Runs the scheduler isolate: serves its doors and sends what is due, until the isolate stops. */
export function serveScheduler(isolate: Isolate<"scheduler">, clock: Clock = systemClock): void {
  new SchedulerService(isolate, clock).serve();
}

/** Brings what the doors say to the Scheduler, and what that decides to the doors, by one timer. */
class SchedulerService {
  readonly #isolate: Isolate<"scheduler">;
  readonly #clock: Clock;
  readonly #scheduler: Scheduler;
  readonly #tally: Tally;
  readonly #mac: JobMac;
  readonly #agents: { readonly mda: Channel<Job, never>; readonly mta: Channel<Job, RelayToScheduler> };
  #queue: Channel<SchedulerToQueue, QueueToScheduler> | null = null;
  #cancelTimer = () => {};
  #armedAt = Infinity;
  #isPlanned = false;
  /** What the time is ahead of the steady clock, in ms. */
  #offset: number;

  constructor(isolate: Isolate<"scheduler">, clock: Clock) {
    this.#isolate = isolate;
    this.#clock = clock;
    this.#scheduler = new Scheduler(isolate.settings, isolate.settings.paused);
    this.#mac = new JobMac(isolate.settings.jobMacKey);
    this.#tally = new Tally(isolate.emit, clock);
    this.#agents = {
      mda: isolate.ask("scheduler-delivery") as Channel<Job, never>,
      mta: isolate.ask("scheduler-relay"),
    };
    this.#offset = clock.now() - clock.steady();
  }

  serve(): void {
    const { mda, mta } = this.#agents;
    this.#isolate.serve("queue-scheduler", (channel) => this.#serveQueue(channel));
    this.#isolate.serve("control-scheduler", (channel) => {
      channel.onmessage = (message) => {
        channel.send(answer(this.#scheduler, message, this.#now()));
        this.#plan();
      };
    });
    mta.onmessage = ({ ids }) => {
      const count = this.#scheduler.reschedule(ids.slice(0, MAX_RESCHEDULED_ENVELOPES), this.#now());
      if (count > 0) this.#tally.add("scheduler.envelope.rescheduled", count);
      this.#plan();
    };
    this.#isolate.onreload = () => {
      this.#scheduler.configure(this.#isolate.settings);
      this.#plan();
    };
    mda.onreset = () => this.#lost("mda");
    mta.onreset = () => this.#lost("mta");
    this.#isolate.onstop = () => {
      this.#cancelTimer();
      this.#tally.flush();
    };
  }

  /** A fresh queue sends all of its tickets: what was known is forgotten. */
  #serveQueue(channel: Channel<SchedulerToQueue, QueueToScheduler>): void {
    this.#queue = channel;
    this.#scheduler.reset();
    channel.onmessage = (message) => {
      receive(this.#scheduler, this.#tally, message, this.#now());
      if (message.type === "settled" && message.again && this.#isolate.traces("scheduler")) {
        traceRetry(this.#isolate, this.#scheduler, message.id, this.#clock.now());
      }
      this.#plan();
    };
    this.#plan();
  }

  #lost(agent: "mda" | "mta"): void {
    this.#scheduler.lost(agent, this.#now());
    this.#plan();
  }

  /** The time, in ms since the epoch; all that is known is brought in line when the clock was set. */
  #now(): number {
    const now = this.#clock.now(), step = now - this.#clock.steady() - this.#offset;
    this.#offset += step;
    if (Math.abs(step) < STEP_MS) return now;
    this.#scheduler.stepped(step);
    this.#cancelTimer();
    this.#armedAt = Infinity;
    const words = `${formatDuration(Math.round(Math.abs(step) / 1000))} ${step > 0 ? "ahead" : "back"}`;
    this.#isolate.emit({ type: "log", level: "info", text: `info: scheduler: the clock was set ${words}` });
    this.#plan();
    return now;
  }

  /** Runs the scheduler soon: all messages of one post are taken in before, since their microtasks come after the last of them. */
  #plan(): void {
    if (this.#isPlanned) return;
    this.#isPlanned = true;
    queueMicrotask(() => this.#run());
  }

  #run(): void {
    this.#isPlanned = false;
    const now = this.#now();
    const effects = this.#scheduler.run(now);
    const { jobs, dsns, expired } = effects;
    if (this.#isolate.traces("scheduler")) traceEffects(this.#isolate, effects);
    for (const { agent, job } of jobs) this.#agents[agent].send({ ...job, mac: this.#mac.of({ agent, ...job }) });
    for (const { message, ids } of dsns) this.#queue?.send({ type: "dsn", message, ids });
    if (expired.length > 0) this.#queue?.send({ type: "expired", ids: expired });
    if (expired.length > 0) this.#tally.add("scheduler.envelope.expired", expired.length);
    this.#tally.set("scheduler.envelope", this.#scheduler.size);
    this.#tally.set("scheduler.envelope.inflight", this.#scheduler.inflight);
    this.#arm(now);
  }

  /** One timer, moved only when it would come too late: to wake for nothing is cheaper than to set a timer for each message. */
  #arm(now: number): void {
    const at = Math.min(this.#scheduler.nextAt(), now + MAX_SLEEP_MS);
    if (at >= this.#armedAt) return;
    this.#cancelTimer();
    this.#armedAt = at;
    this.#cancelTimer = this.#clock.after(Math.max(0, at - now), () => {
      this.#armedAt = Infinity;
      this.#plan();
    });
  }
}

function traceEffects(observer: Observer, { jobs, dsns, expired }: Effects): void {
  const about = (message: string, ids: readonly string[]) => `for message ${message}: ${ids.join(", ")}`;
  for (const { agent, job } of jobs) {
    logTrace(
      observer,
      "scheduler",
      `${agent} job of action "${job.action}", key "${job.lane}" ${about(job.message, job.ids)}`,
    );
  }
  for (const { message, ids } of dsns) logTrace(observer, "scheduler", `bounce job ${about(message, ids)}`);
  for (const id of expired) logTrace(observer, "scheduler", `${id} is expired`);
}

function traceRetry(observer: Observer, scheduler: Scheduler, id: EnvelopeId, now: number): void {
  const [state] = scheduler.states([id]);
  if (state === undefined || state.state === "unknown") return;
  logTrace(observer, "scheduler", `${id} is tried again in ${Math.max(0, Math.ceil((state.at - now) / 1000))} s`);
}

function receive(scheduler: Scheduler, tally: Tally, message: QueueToScheduler, now: number): void {
  switch (message.type) {
    case "enqueued": {
      let added = 0;
      for (const ticket of message.tickets) if (scheduler.add(ticket, now)) added++;
      return tally.add("scheduler.envelope.incoming", added);
    }
    case "settled":
      if (message.again) scheduler.retry(message.id, now, message.retryClass);
      else scheduler.drop([message.id]);
      return tally.add(message.again ? "scheduler.envelope.updated" : "scheduler.envelope.removed");
    case "dropped":
      scheduler.drop(message.ids);
      return tally.add("scheduler.envelope.removed", message.ids.length);
    case "loaded":
      return;
  }
}

function answer(scheduler: Scheduler, message: ControlToScheduler, now: number): SchedulerToControl {
  const { call } = message;
  switch (message.type) {
    case "schedule":
      return { type: "scheduled", call, ...scheduler.schedule(message.target, { now, from: message.from }) };
    case "find":
      return { type: "found", call, ...scheduler.find(message.domain, message.from) };
    case "suspend":
      return {
        type: "suspended",
        call,
        count: message.suspended ? scheduler.suspend(message.ids, now) : scheduler.resume(message.ids, now),
      };
    case "pause":
      return { type: "paused", call, changed: scheduler.setPaused(message) };
    case "lanes":
      return { type: "lanes", call, ...scheduler.lanes(message.most) };
    case "ages":
      return { type: "ages", call, ...scheduler.ages(HISTOGRAMS["queue.age"].bounds, now) };
    case "states":
      return { type: "states", call, states: scheduler.states(message.ids) };
    case "waits":
      return { type: "waits", call, waits: scheduler.waits(message.ids) };
  }
}
