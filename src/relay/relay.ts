/** All mail of one action for one destination or smarthost: its tasks, its sessions, and when to open another one. Decisions are in choose.ts, dialogues in session.ts. It is long because all that changes a relay is here. */

import type { RelayLimits } from "../config/mod.ts";
import { debug } from "../events/mod.ts";
import { NO_REQUIRETLS_CODE } from "../smtp_client/mod.ts";
import { chooseRoute, type ConnectionDemand } from "./routes/choose.ts";
import type { Exchanger } from "./routes/mx.ts";
import { better, NOTHING_LEFT, type Reason, reasonOfBlock, reasonOfBreaks, reasonOfRefusals } from "./reason.ts";
import type { RelayDeps, Siblings } from "./relay_deps.ts";
import { groupOf } from "./routes/group.ts";
import type { Route } from "./routes/routes.ts";
import type { Ending, Session, SessionOwner } from "./session/session.ts";
import { avoiding, type Target } from "./routes/target.ts";
import { maxTaskRecipients, type Task, TaskQueue } from "./tasks.ts";

/** MX records are looked up again after so many ms; the resolver decides whether that takes a query. */
const REFRESH_MS = 300_000;
/** MX hosts that one attempt goes to when each ends the session over it. */
const MAX_TRIED_HOSTS = 5;
/** Sessions in a row that a host ended over their first message after which it is left alone for a while. */
const MAX_BROKEN_SESSIONS = 5;

export class Relay implements SessionOwner {
  readonly target: Target;
  readonly limits: RelayLimits;
  readonly #siblings: Siblings;
  readonly #deps: RelayDeps;
  readonly #tasks: TaskQueue;
  readonly #sessions = new Set<Session>();
  readonly #idle = new Set<Session>();
  /** null until they are known. */
  #exchangers: readonly Exchanger[] | null = null;
  /** With REQUIRETLS: addresses of exchangers that are not used, and why. */
  readonly #unsuited = new Map<string, string>();
  #foundAt = 0;
  #finding = false;
  #failing = 0;
  #mayReplaceSession = false;
  #moved: boolean;
  #stopped = false;
  #finishing = false;
  #readyCount = 0;
  #lastTakenAt = 0;
  #lastConnectAt = -Infinity;
  #cancelTimer: (() => void) | null = null;
  #timerAt = Infinity;

  constructor(target: Target, limits: RelayLimits, siblings: Siblings, deps: RelayDeps) {
    this.target = target;
    this.#tasks = new TaskQueue(maxTaskRecipients(target));
    this.limits = limits;
    this.#siblings = siblings;
    this.#deps = deps;
    this.#moved = target.avoids.length > 0;
  }

  // ── for the service ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  get tasks(): number {
    return this.#tasks.length;
  }
  get connections(): number {
    return this.#sessions.size;
  }
  get lastConnectAt(): number {
    return this.#lastConnectAt;
  }
  /** When it will look again whether to connect; Infinity for no such plan. */
  get timerAt(): number {
    return this.#timerAt;
  }
  get finding(): boolean {
    return this.#finding;
  }

  accept(task: Task): void {
    // The first to wait: the time that a task has waited counts from now.
    if (this.#tasks.length === 0) this.#lastTakenAt = this.#deps.clock.steady();
    this.#tasks.push(task);
    this.#drain();
  }

  /** Takes out all tasks that no session has begun. */
  clear(): Task[] {
    const tasks = this.#tasks.clear();
    this.#settleDown();
    return tasks;
  }

  /** A route was enabled, or time has passed. */
  wake(): void {
    this.#drain();
  }

  /** No new connections; sessions end after the transaction that runs. */
  stop(): void {
    this.#stopped = true;
    this.#setTimer(Infinity);
    for (const session of this.#sessions) session.stop();
  }

  /** It gets no more mail: sessions that wait for some end, once there is none left. */
  finish(): void {
    this.#finishing = true;
    for (const session of [...this.#idle]) session.stop();
    this.#settleDown();
  }

  // ── for the sessions ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Returns the next task of a session, or null when there is none now. */
  next(): Task | null {
    if (this.#stopped) return null;
    const task = this.#tasks.shift();
    if (task === undefined) return null;
    this.#lastTakenAt = this.#deps.clock.steady();
    return task;
  }

  ready(session: Session): void {
    this.#readyCount++;
    this.#deps.table.ready(session.route);
  }

  accepted(route: Route): void {
    this.#deps.table.accepted(route);
  }

  blocked(route: Route, exchanger: Exchanger, reply: string, failure?: Reason): void {
    const { clock, table } = this.#deps;
    const now = clock.steady();
    const others = groupOf(this.#exchangers ?? [], exchanger).map(({ address }) =>
      table.route(address, now, route.source)
    );
    const routes = [...new Set([route, ...others])];
    const delay = table.suspend(routes, { reply, now });
    if (delay !== null) {
      const reason = failure ??
        reasonOfBlock({ host: exchanger.host, address: exchanger.address }, clock.now() + delay);
      for (const one of routes) {
        one.failure = reason;
        this.#deps.log(`smtp-out: Suspending route ${routeName(one)} for ${delay / 1000}s: blocked, ${reply}`);
      }
    }
    this.#moved = true;
    for (const session of this.#sessions) if (routes.includes(session.route)) session.stop();
  }

  idle(session: Session): void {
    this.#idle.add(session);
    this.#drain();
    if (this.#finishing && this.#idle.has(session)) session.stop();
  }

  leaving(session: Session): void {
    this.#idle.delete(session);
  }

  unsuited({ address }: Exchanger, reason: string): void {
    this.#unsuited.set(address, reason);
  }

  elsewhere(task: Task, exchanger: Exchanger, reason: string): void {
    // Here it would come back for ever.
    if (this.target.requireTls) this.#refuse([task], reason);
    else this.#deps.elsewhere(task, this.target, exchanger, reason);
  }

  moveOn(task: Task, exchanger: Exchanger, reason: Reason): boolean {
    if (this.#stopped) return false;
    const moved = { ...task, reason: better(task.reason, reason) };
    if (this.target.avoids.length + 1 < MAX_TRIED_HOSTS && this.#leftWithout(exchanger)) {
      this.#deps.moveOn(moved, avoiding(this.target, exchanger.address));
      return true;
    }
    if ((task.others ?? []).length === 0) return false;
    void this.#deps.nextHost(moved, this.target, reason);
    return true;
  }

  /** True when there is another exchanger that might be up. */
  #leftWithout({ address: tried }: Exchanger): boolean {
    const { clock, table } = this.#deps;
    const source = this.target.source?.address ?? null;
    return (this.#exchangers ?? []).some(({ address }) =>
      address !== tried && !this.target.avoids.includes(address) && !this.#unsuited.has(address) &&
      table.route(address, clock.steady(), source).disabled === null
    );
  }

  hasOthers(): boolean {
    return this.#sessions.size > 1;
  }

  putBack(task: Task): void {
    // Nobody would take it: it comes again after the next start.
    if (this.#stopped) return;
    this.#tasks.putBack(task);
  }

  ended(session: Session, ending: Ending): void {
    const { clock, table } = this.#deps;
    this.#sessions.delete(session);
    this.#idle.delete(session);
    this.#siblings.connections--;
    if (ending.ready) this.#readyCount--;
    table.disconnected(session.route, this.target.domain, clock.steady());
    this.#blame(session, ending);
    this.#mayReplaceSession ||= ending.fullTerm;
    if (ending.loops) {
      this.#deps.learnOwn(session.route.host.address);
      // Looked up again, without what leads here.
      this.#exchangers = null;
    }
    this.#drain();
    this.#settleDown();
  }

  /** Leaves the route alone for a while when its host is at fault. */
  #blame({ route }: Session, { ready, sent, broke, refused, failure, remote }: Ending): void {
    if (sent > 0) route.broken = 0;
    // It is left alone already, for longer.
    if (route.disabled === "blocked") return;
    if (refused > 0) {
      this.#disable(route, 2, "rejects", (next) => reasonOfRefusals(remote, { count: refused, next }));
    } else if (!ready && route.connections === 0 && !this.#stopped) {
      this.#disable(route, 1, "network", () => failure);
    }
    if (sent === 0 && broke && ++route.broken >= MAX_BROKEN_SESSIONS) {
      route.broken = 0;
      const count = MAX_BROKEN_SESSIONS;
      this.#disable(route, 1, "network", (next) => reasonOfBreaks(remote, { count, next }));
    }
  }

  /** `reason` is given when the host is tried next, in ms since the epoch. */
  #disable(
    route: Route,
    penalty: number,
    why: "network" | "rejects",
    reason: (next: number) => Reason | null,
  ): void {
    const delay = this.#deps.table.disable(route, penalty, why, this.#deps.clock.steady());
    route.failure = reason(this.#deps.clock.now() + delay);
    this.#moved = true;
    this.#deps.log(`smtp-out: Disabling route ${routeName(route)} for ${delay / 1000}s`);
  }

  // ── work ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

  #drain(): void {
    for (const session of this.#idle) {
      const task = this.next();
      if (task === null) break;
      this.#idle.delete(session);
      session.assign(task);
    }
    if (this.#tasks.length === 0 || this.#stopped) return this.#setTimer(Infinity);
    if (this.#exchangers === null) return void this.#find();
    // A busy relay may live for weeks: hosts move in the meantime.
    if (this.#deps.clock.steady() > this.#foundAt + REFRESH_MS) this.#find();
    while (this.#connect(this.#exchangers));
  }

  /** True when it began a connection and may need another. */
  #connect(exchangers: readonly Exchanger[]): boolean {
    const { clock, table } = this.#deps;
    const now = clock.steady();
    const { avoids } = this.target;
    const suited = exchangers.filter(({ address }) => !this.#unsuited.has(address) && !avoids.includes(address));
    // Those that are avoided may do another time.
    if (suited.length === 0 && avoids.length > 0) return this.#noWay(NOTHING_LEFT);
    // RFC 8689 §4.2.1: after the last exchanger the message is returned.
    if (suited.length === 0) return this.#refuse(this.#tasks.clear(), this.#unsuited.get(exchangers[0]!.address)!);
    const choice = chooseRoute(this.#demand(suited), table, now);
    switch (choice.kind) {
      case "enough":
        return false;
      case "wait":
        this.#debug(() => `next connection in ${Math.ceil(choice.until - now)} ms at the earliest`);
        this.#setTimer(choice.until);
        return false;
      case "none":
        return this.#noWay(choice.reason);
      case "connect":
        this.#open(choice.route, choice.exchanger, now);
        return true;
    }
  }

  /** Messages with REQUIRETLS that no host is to be given. */
  #refuse(tasks: readonly Task[], reason: string): false {
    this.#setTimer(Infinity);
    const { domain } = this.target;
    this.#end(
      tasks,
      (task) => this.#deps.fail(task, "permfail", { text: reason, enhanced: NO_REQUIRETLS_CODE }, domain),
    );
    return false;
  }

  #demand(exchangers: readonly Exchanger[]): ConnectionDemand {
    return {
      domain: this.target.domain,
      exchangers,
      limits: this.limits,
      pending: this.#tasks.length,
      relay: this.#siblings,
      connections: this.#sessions.size,
      idle: this.#idle.size,
      ready: this.#readyCount,
      lastTakenAt: this.#lastTakenAt,
      lastConnectAt: this.#lastConnectAt,
      source: this.target.source?.address ?? null,
      smarthost: !this.target.mx,
      mayReplaceSession: this.#mayReplaceSession,
      moved: this.#moved,
      random: this.#deps.random,
    };
  }

  #open(route: Route, exchanger: Exchanger, now: number): void {
    this.#debug(() =>
      `connection ${this.#sessions.size + 1} by route ${routeName(route)} for ${this.#tasks.length} tasks`
    );
    this.#mayReplaceSession = false;
    this.#moved = false;
    this.#lastConnectAt = now;
    this.#siblings.connections++;
    this.#siblings.lastConnectAt = now;
    this.#deps.table.connecting(route, this.target.domain, now);
    const session = this.#deps.session(this, route, exchanger);
    this.#sessions.add(session);
    session.run();
  }

  #debug(text: () => string): void {
    const { observer } = this.#deps;
    if (observer.verbose) debug(observer, `mta: ${this.target.name}: ${text()}`);
  }

  /** Sessions that still work will see to the tasks; without any there is nothing to wait for. */
  #noWay(reason: Reason): false {
    this.#setTimer(Infinity);
    if (this.#sessions.size > 0) return false;
    this.#deps.log(
      `smtp-out: No valid route for [connector:[${
        this.target.source?.address ?? ""
      }]->${this.target.name}]: ${reason.text}`,
    );
    this.#giveUp((task) => this.#deps.detour(task, this.target, reason));
    return false;
  }

  async #find(): Promise<void> {
    if (this.#finding) return;
    this.#finding = true;
    this.#foundAt = this.#deps.clock.steady();
    const found = await this.#deps.find(this.target);
    this.#finding = false;
    if (found.ok) {
      this.#debug(() => `goes to ${found.list.map(({ host, address }) => `${host} (${address})`).join(", ")}`);
      this.#exchangers = found.list;
      this.#drain();
    } else if (this.#exchangers === null) {
      const what = this.target.mx ? "Failed to resolve MX for" : "Cannot send to";
      this.#deps.log(`smtp-out: ${what} ${this.target.name}: ${found.text}`);
      const { result, text, enhanced } = found;
      const reason = { text, enhanced };
      this.#giveUp((task) =>
        result === "permfail"
          ? this.#deps.fail(task, result, reason, this.target.domain)
          : this.#deps.nextHost(task, this.target, reason)
      );
    }
    this.#settleDown();
  }

  /** All waiting tasks, one after another: each opens its message. */
  async #giveUp(end: (task: Task) => Promise<void>): Promise<void> {
    await this.#end(this.#tasks.clear(), end);
  }

  async #end(tasks: readonly Task[], end: (task: Task) => Promise<void>): Promise<void> {
    this.#failing++;
    for (const task of tasks) await end(task);
    this.#failing--;
    this.#drain();
    this.#settleDown();
  }

  #setTimer(at: number): void {
    // An earlier look finds out for itself that it has to wait longer.
    if (at !== Infinity && this.#timerAt <= at) return;
    this.#cancelTimer?.();
    this.#cancelTimer = null;
    this.#timerAt = at;
    if (at === Infinity) return;
    this.#cancelTimer = this.#deps.clock.after(Math.max(0, at - this.#deps.clock.steady()), () => {
      this.#cancelTimer = null;
      this.#timerAt = Infinity;
      this.#drain();
    });
  }

  #settleDown(): void {
    if (this.#tasks.length > 0 || this.#sessions.size > 0 || this.#finding || this.#failing > 0) return;
    this.#setTimer(Infinity);
    this.#deps.empty(this);
  }
}

/** Returns a route as the log and `show routes` write it; `[]` is any local address. */
export function routeName(route: Route): string {
  const { address, name } = route.host;
  return `[${route.source ?? ""}] <-> ${address} (${name || address})`;
}
