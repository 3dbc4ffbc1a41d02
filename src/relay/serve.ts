/** The relay isolate at its doors: jobs from the scheduler, messages from the queue, smarthosts from lookup, outcomes and events out. */

import { systemClock } from "../clock.ts";
import type { RelayAction } from "../config/mod.ts";
import { Resolver } from "../dns/mod.ts";
import type { EnvelopeId } from "../envelope/mod.ts";
import { Caller, type Isolate, PeerGone, Tally } from "../isolate/mod.ts";
import type { ControlToRelay, FromLookup, Job, RelaySettings, RelaySource, ToLookup } from "../protocol/mod.ts";
import { QueueClient } from "../queue_client/mod.ts";
import { connectClient, TIMEOUTS } from "../smtp_client/mod.ts";
import { answerAdmin } from "./admin.ts";
import { reasonBehind } from "./routes/choose.ts";
import { Deferred } from "./deferred.ts";
import { DeliveryReporter } from "./delivery_reporter.ts";
import { Gauges } from "./gauges.ts";
import { type Exchangers, findExchangers } from "./routes/mx.ts";
import { ownHost } from "./routes/own.ts";
import { better, NO_SOURCE, type Reason } from "./reason.ts";
import { Relay, routeName } from "./relay.ts";
import type { RelayDeps, Siblings } from "./relay_deps.ts";
import { RouteTable } from "./routes/routes.ts";
import { Smarthosts } from "./smarthosts.ts";
import { Session } from "./session/session.ts";
import { findCredentials, type RelayServiceDeps, sessionDeps } from "./session/session_deps.ts";
import { nextSource } from "./routes/source.ts";
import { firstUsable, fromSource, limitsFor, mxTarget, requiringTls, type Target } from "./routes/target.ts";
import { maxTaskRecipients, splitTask, type Task } from "./tasks.ts";

/** Envelopes that are here at once. The scheduler has a limit of its own; this one is for a faulty scheduler. */
const MAX_IN_FLIGHT_ENVELOPES = 50_000;
/** How long transactions may go on after the daemon was asked to stop, in ms. */
const STOP_GRACE_MS = 6_000;

/** Sets the isolate up. Returns when it is ready for jobs. `deps` are what tests replace. */
export function serveRelay(isolate: Isolate<"relay">, deps: Partial<RelayServiceDeps> = {}): void {
  const resolver = new Resolver(isolate.settings.resolver, { observer: isolate });
  isolate.onsettings = ({ resolver: changed }) => {
    if (changed !== undefined) resolver.configure(changed);
  };
  const own = ownHost(isolate.settings.own, systemClock.steady);
  const service = new RelayService(isolate, {
    clock: systemClock,
    names: resolver,
    timeouts: TIMEOUTS,
    connect: connectClient,
    mxPort: 25,
    random: Math.random,
    own,
    ...deps,
  });
  isolate.onreload = () => {
    own.configure(isolate.settings.own);
    service.reload();
  };
  isolate.serve("scheduler-relay", (channel) => {
    // A new scheduler hands out everything again, in its own order.
    service.forgetWaiting();
    service.onreachable = (ids) => channel.send({ type: "reschedule", ids });
    channel.onmessage = (job) => service.accept(job);
  });
  isolate.serve("control-relay", (channel) => {
    channel.onmessage = (message) => channel.send({ call: message.call, ...service.answer(message) });
  });
  isolate.onstop = () => service.stop();
}

class RelayService {
  /** Called with envelopes that failed because their domain could not be reached, which takes mail again. */
  onreachable: (ids: readonly EnvelopeId[]) => void = () => {};
  readonly #deferred: Deferred;
  readonly #isolate: Isolate<"relay">;
  readonly #deps: RelayServiceDeps;
  readonly #lookup: Caller<ToLookup, FromLookup>;
  readonly #queue: QueueClient;
  readonly #reporter: DeliveryReporter;
  readonly #table = new RouteTable();
  readonly #relays = new Map<string, Relay>();
  /** Those of actions and limits that are others by now, with their names in `#relays`: they send what they have, and get nothing more. */
  readonly #former = new Map<Relay, string>();
  #formers = 0;
  #configured: RelaySettings;
  /** By name. One that a reload has not changed stays the same object. */
  #actions: ReadonlyMap<string, RelayAction>;
  readonly #siblings = new Map<string, Siblings>();
  readonly #smarthosts: Smarthosts;
  readonly #relayDeps: RelayDeps;
  readonly #gauges: Gauges;
  #stopped: (() => void) | null = null;

  constructor(isolate: Isolate<"relay">, deps: RelayServiceDeps) {
    this.#isolate = isolate;
    this.#configured = isolate.settings;
    this.#actions = new Map(Object.entries(isolate.settings.actions));
    this.#deps = deps;
    this.#lookup = new Caller(isolate.ask("relay-lookup"));
    this.#smarthosts = new Smarthosts(this.#lookup, {
      hand: (job, target, others) => this.#hand(job, target, others),
      refuse: (job, text) => this.#refuse(job, text, "4.3.5"),
    });
    this.#queue = new QueueClient(isolate.ask("relay-queue"));
    this.#reporter = new DeliveryReporter(
      this.#queue,
      isolate,
      deps.clock.now,
      (ids) => this.#done(ids),
      isolate.settings.srs,
    );
    this.#deferred = new Deferred(isolate.settings.maxDeferred);
    this.#reporter.onaccepted = (domain) => {
      const ids = this.#deferred.release(domain, deps.clock.steady());
      if (ids.length > 0) this.onreachable(ids);
    };
    this.#reporter.onblocked = (domain, id) => this.#deferred.remember(domain, [id], deps.clock.steady());
    const view = { queue: this.#queue, relays: this.#relays, table: this.#table };
    this.#gauges = new Gauges(view, new Tally(isolate.emit), deps.clock);
    this.#table.onenabled = (route) => this.#log(`smtp-out: Enabling route ${routeName(route)}`);
    const forSessions = sessionDeps(isolate, deps, this.#lookup, this.#reporter);
    this.#relayDeps = {
      clock: deps.clock,
      table: this.#table,
      log: (text) => this.#log(text),
      observer: isolate,
      find: (target) => this.#find(target),
      session: (owner, route, exchanger) => new Session(owner, route, exchanger, forSessions),
      random: deps.random,
      learnOwn: (address) => deps.own.learn(address),
      fail: (task, result, reason, domain) => this.#reporter.fail(task, result, reason, domain),
      elsewhere: (task, target, exchanger, reason) => {
        const relay = this.#relay(requiringTls(target));
        relay.unsuited(exchanger, reason);
        relay.accept(task);
      },
      moveOn: (task, target) => this.#place(task, target),
      detour: (task, target, reason) => this.#detour(task, target, reason),
      nextHost: (task, target, reason) => this.#nextHost(task, target, reason),
      empty: (relay) => this.#forget(relay),
    };
  }

  // ── jobs ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  accept(job: Job): void {
    // It waits in the queue for the next start.
    if (this.#stopped !== null) return;
    const ids = this.#queue.take(job);
    if (ids.length === 0) return;
    const work = { ...job, ids };
    const action = this.#actions.get(job.action);
    if (this.#queue.inFlight > MAX_IN_FLIGHT_ENVELOPES) {
      return this.#refuse(work, "Too many messages are waiting", "4.3.2");
    }
    if (action === undefined) return this.#refuse(work, `Action "${job.action}" is not known`, "4.3.5");
    if (action.host !== null || action.domain !== null) return this.#smarthosts.find(work, action);
    this.#hand(work, { ...mxTarget(action, job.lane), port: this.#deps.mxPort });
  }

  /** `others`: smarthosts that may be tried after this one. */
  #hand(job: Pick<Job, "message" | "ids">, target: Target, others: readonly string[] = []): void {
    for (const task of splitTask(job.message, job.ids, { others, most: maxTaskRecipients(target) })) {
      this.#handTask(task, target);
    }
  }

  #handTask(task: Task, target: Target): void {
    if (target.action.src === null) this.#place(task, target);
    else this.#viaSource(task, target);
  }

  /** Gives a task to the next smarthost of the action's list, or puts it off. */
  async #nextHost(task: Task, target: Target, reason: Reason): Promise<void> {
    const { avoid: _, others = [], ...kept } = task;
    const best = better(task.reason, reason);
    const next = firstUsable(target.action, others);
    if (next.ok) return this.#handTask({ ...kept, others: next.others, reason: best }, next.target);
    return await this.#noRoute(task, target, best);
  }

  /** Gives a task to the relay of the next of the action's local addresses that it was not yet sent from in vain. */
  async #viaSource(task: Task, target: Target): Promise<void> {
    const source = await this.#source(target.action, task.avoid ?? []);
    if (source !== null) return this.#place(task, fromSource(target, source));
    const reason = task.reason ?? NO_SOURCE;
    return await this.#nextHost(task, target, reason);
  }

  /** Puts a task off, and remembers it: when the domain takes mail again it need not wait for the next retry. */
  async #noRoute(task: Task, target: Target, reason: Reason): Promise<void> {
    this.#deferred.remember(target.domain, task.ids, this.#deps.clock.steady());
    return await this.#reporter.fail(task, "tempfail", reason, target.domain);
  }

  async #detour(task: Task, target: Target, found: Reason): Promise<void> {
    if (target.source === null) return await this.#nextHost(task, target, found);
    const avoid = [...task.avoid ?? [], target.source.address];
    return await this.#viaSource({ ...task, avoid, reason: reasonBehind(task.reason, found) }, target);
  }

  async #source(action: RelayAction, avoid: readonly string[]): Promise<RelaySource | null> {
    const ask = async () => (await this.#lookup.ask<"sources">({ type: "sources", action: action.name })).sources;
    try {
      return await nextSource(ask, avoid);
    } catch (error) {
      if (!(error instanceof PeerGone)) throw error;
      return null;
    }
  }

  #place(task: Task, target: Target): void {
    if (this.#stopped !== null) return;
    this.#relay(target).accept(task);
    this.#gauges.touch();
  }

  #relay(wanted: Target): Relay {
    // A task that has come before its action was changed, and is tried by another way, must not set this way for mail that comes now.
    const stale = this.#actions.get(wanted.action.name) !== wanted.action;
    const target = stale ? { ...wanted, key: JSON.stringify([wanted.key, wanted.action]) } : wanted;
    let relay = this.#relays.get(target.key);
    if (relay === undefined) {
      relay = new Relay(target, limitsFor(this.#isolate.settings, target), this.#siblingsOf(target), this.#relayDeps);
      this.#relays.set(target.key, relay);
    }
    return relay;
  }

  /** Counts one more relay in. */
  #siblingsOf({ relayKey }: Target): Siblings {
    const siblings = this.#siblings.get(relayKey) ?? { relays: 0, connections: 0, lastConnectAt: -Infinity };
    siblings.relays++;
    this.#siblings.set(relayKey, siblings);
    return siblings;
  }

  #refuse(job: Job, text: string, enhanced: string): void {
    for (const task of splitTask(job.message, job.ids)) {
      this.#reporter.fail(task, "tempfail", { text, enhanced }, job.lane);
    }
  }

  #done(ids: readonly EnvelopeId[]): void {
    this.#queue.release(ids);
    this.#gauges.touch();
  }

  #forget(relay: Pick<Relay, "target">): void {
    const { key, relayKey } = relay.target;
    const name = this.#former.get(relay as Relay) ?? key;
    this.#former.delete(relay as Relay);
    if (this.#relays.get(name) === relay) {
      this.#relays.delete(name);
      const siblings = this.#siblings.get(relayKey);
      if (siblings !== undefined && --siblings.relays === 0) this.#siblings.delete(relayKey);
    }
    this.#gauges.touch();
    if (this.#relays.size === 0) this.#stopped?.();
  }

  /**
   * The settings are others: mail that comes from now on goes by these. What has come goes by those that it came under, and sessions that are ready take
   * no mail of the others.
   */
  reload(): void {
    const before = this.#configured, { settings } = this.#isolate;
    this.#configured = settings;
    this.#deferred.limit = settings.maxDeferred;
    this.#reporter.srs = settings.srs ?? null;
    this.#actions = new Map(
      Object.entries(settings.actions).map(([name, action]) => {
        const known = this.#actions.get(name);
        return [name, JSON.stringify(known) === JSON.stringify(action) ? known! : action];
      }),
    );
    for (const [key, relay] of [...this.#relays]) {
      if (this.#former.has(relay) || waysOf(before, relay.target) === waysOf(settings, relay.target)) continue;
      const name = `${key} ${++this.#formers}`;
      this.#relays.delete(key);
      this.#relays.set(name, relay);
      this.#former.set(relay, name);
      relay.finish();
    }
  }

  /** The scheduler has ended: what no session has begun will come again. */
  forgetWaiting(): void {
    for (const relay of [...this.#relays.values()]) {
      for (const task of relay.clear()) this.#done(task.ids);
    }
  }

  /** Resolves when the transactions that run are done, or after a while, and the queue has their outcomes. */
  async stop(): Promise<void> {
    const ended = new Promise<void>((resolve) => this.#stopped = resolve);
    for (const relay of [...this.#relays.values()]) {
      relay.stop();
      relay.clear();
    }
    let cancel = () => {};
    const late = new Promise<void>((resolve) => cancel = this.#deps.clock.after(STOP_GRACE_MS, resolve));
    if (this.#relays.size > 0) await Promise.race([ended, late]);
    cancel();
    await this.#queue.arrived(this.#deps.clock);
    this.#gauges.close();
  }

  async #find(target: Target): Promise<Exchangers> {
    const backupName = this.#backupName(target.action);
    // Known to be missing before a host is asked, and held to account for it.
    const login = target.label === "" ? null : await findCredentials(this.#lookup, target);
    if (typeof login === "string") return { ok: false, result: "tempfail", text: login, enhanced: "4.3.5" };
    try {
      const found = await findExchangers(target, this.#deps.names, { own: this.#deps.own, backupName });
      if (found.ok && found.unlisted) this.#warn(`${backupName} is not among the mail exchangers of ${target.domain}`);
      return found;
    } catch (error) {
      this.#warn(`Lookup of ${target.domain}: ${error}`);
      return { ok: false, result: "tempfail", text: "Temporary failure in MX lookup", enhanced: "4.4.3" };
    }
  }

  /** Returns, for a backup exchanger, the name under which the domain's MX records know this server. */
  #backupName(action: RelayAction): string | null {
    return action.backup === null ? null : action.backup.mx ?? this.#isolate.settings.shared.serverName;
  }

  /** The administrator asks. */
  answer(message: ControlToRelay): ReturnType<typeof answerAdmin> {
    return answerAdmin(message, {
      clock: this.#deps.clock,
      table: this.#table,
      relays: this.#relays,
      reporter: this.#reporter,
      log: (text) => this.#log(text),
    });
  }

  #log(text: string): void {
    this.#isolate.emit({ type: "log", level: "info", text });
  }

  #warn(text: string): void {
    this.#isolate.emit({ type: "log", level: "warn", text: `warn: relay: ${text}` });
  }
}

/** Returns all that settings say of how mail of a target goes, as text. */
function waysOf(settings: RelaySettings, target: Target): string {
  const action = settings.actions[target.action.name];
  const { pki, ca, filters = {} } = settings;
  return JSON.stringify([
    action,
    limitsFor(settings, target),
    action?.pki == null ? null : pki[action.pki],
    action?.ca == null ? null : ca[action.ca],
    filters[target.action.name],
  ]);
}
