/** The scheduler isolate: doors and one timer around the deterministic Scheduler. */

import type { EnvelopeId } from "../envelope/mod.ts";
import { type Channel, type Isolate, Tally } from "../isolate/mod.ts";
import type {
  ControlToScheduler,
  Job,
  QueueToScheduler,
  SchedulerToControl,
  SchedulerToQueue,
} from "../protocol/mod.ts";
import { type Effects, Scheduler } from "./scheduler.ts";
import { formatDuration, logTrace, type Observer } from "../events/mod.ts";
import { type Clock, systemClock } from "../clock.ts";

/** Envelopes that relay may name in one message. */
const MAX_RESCHEDULED_ENVELOPES = 100_000;
/** A timer takes 31 bits of milliseconds; an hour is often enough to look. */
const MAX_SLEEP_MS = 3_600_000;

/** The clock was set when it differs so much from what has passed since it was last read; less is drift. In ms. */
const STEP_MS = 5_000;

/** Runs the scheduler isolate. */
export function serveScheduler(isolate: Isolate<"scheduler">, clock: Clock = systemClock): void {
  const { settings } = isolate;
  const scheduler = new Scheduler(settings, settings.paused);
  const tally = new Tally(isolate.emit, clock);
  const agents = {
    mda: isolate.ask("scheduler-delivery") as Channel<Job, never>,
    mta: isolate.ask("scheduler-relay"),
  };
  let queue: Channel<SchedulerToQueue, QueueToScheduler> | null = null;
  let cancelTimer = () => {};
  let armedAt = Infinity;
  let planned = false;

  let offset = clock.now() - clock.steady();
  /** The time; all that is known is brought in line when the clock was set. */
  const look = (): number => {
    const now = clock.now(), step = now - clock.steady() - offset;
    offset += step;
    if (Math.abs(step) < STEP_MS) return now;
    scheduler.stepped(step);
    cancelTimer();
    armedAt = Infinity;
    const words = `${formatDuration(Math.round(Math.abs(step) / 1000))} ${step > 0 ? "ahead" : "back"}`;
    isolate.emit({ type: "log", level: "info", text: `info: scheduler: the clock was set ${words}` });
    plan();
    return now;
  };

  const run = () => {
    planned = false;
    const now = look();
    const effects = scheduler.run(now);
    const { jobs, dsns, expired } = effects;
    if (isolate.traces("scheduler")) tellEffects(isolate, effects);
    for (const { agent, job } of jobs) agents[agent].send(job);
    for (const { message, ids } of dsns) queue?.send({ type: "dsn", message, ids });
    if (expired.length > 0) queue?.send({ type: "expired", ids: expired });
    if (expired.length > 0) tally.add("scheduler.envelope.expired", expired.length);
    tally.set("scheduler.envelope", scheduler.size);
    tally.set("scheduler.envelope.inflight", scheduler.inflight);
    arm(scheduler.nextAt(), now);
  };
  /** One timer, moved only when it would come too late: to wake for nothing is cheaper than to set a timer for each message. */
  const arm = (at: number, now: number) => {
    at = Math.min(at, now + MAX_SLEEP_MS);
    if (at >= armedAt) return;
    cancelTimer();
    armedAt = at;
    cancelTimer = clock.after(Math.max(0, at - now), () => {
      armedAt = Infinity;
      plan();
    });
  };
  // All messages of one post are taken in before anything is sent: their microtasks come after the last of them.
  const plan = () => {
    if (planned) return;
    planned = true;
    queueMicrotask(run);
  };

  isolate.serve("queue-scheduler", (channel) => {
    // A fresh queue tells everything again.
    queue = channel;
    scheduler.reset();
    channel.onmessage = (message) => {
      hear(scheduler, tally, message, look());
      if (message.type === "settled" && message.again && isolate.traces("scheduler")) {
        tellRetry(isolate, scheduler, message.id, clock.now());
      }
      plan();
    };
    plan();
  });
  isolate.serve("control-scheduler", (channel) => {
    channel.onmessage = (message) => {
      channel.send(answer(scheduler, message, look()));
      plan();
    };
  });
  agents.mta.onmessage = ({ ids }) => {
    const count = scheduler.reschedule(ids.slice(0, MAX_RESCHEDULED_ENVELOPES), look());
    if (count > 0) tally.add("scheduler.envelope.rescheduled", count);
    plan();
  };
  agents.mda.onreset = () => (scheduler.lost("mda", look()), plan());
  agents.mta.onreset = () => (scheduler.lost("mta", look()), plan());
  isolate.onstop = () => {
    cancelTimer();
    tally.flush();
  };
}

function tellEffects(observer: Observer, { jobs, dsns, expired }: Effects): void {
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

function tellRetry(observer: Observer, scheduler: Scheduler, id: EnvelopeId, now: number): void {
  const [state] = scheduler.states([id]);
  if (state === undefined || state.state === "unknown") return;
  logTrace(observer, "scheduler", `${id} is tried again in ${Math.max(0, Math.ceil((state.at - now) / 1000))} s`);
}

function hear(scheduler: Scheduler, tally: Tally, message: QueueToScheduler, now: number): void {
  switch (message.type) {
    case "enqueued": {
      let added = 0;
      for (const ticket of message.tickets) if (scheduler.add(ticket, now)) added++;
      return tally.add("scheduler.envelope.incoming", added);
    }
    case "settled":
      scheduler.settle(message.id, message.again, now);
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
      return { type: "scheduled", call, ...scheduler.schedule(message.target, now, message.from) };
    case "find":
      return { type: "found", call, ...scheduler.find(message.domain, message.from) };
    case "suspend":
      return { type: "suspended", call, count: scheduler.suspend(message.ids, message.suspended, now) };
    case "pause":
      return { type: "paused", call, changed: scheduler.pause(message.agent, message.paused) };
    case "states":
      return { type: "states", call, states: scheduler.states(message.ids) };
  }
}
