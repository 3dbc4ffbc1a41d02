/** Counters and gauges of `smtpctl show stats`, kept from events. Knows no clock and no output format but that of `show stats`. */

import { formatDuration } from "./duration.ts";
import type { Event } from "./types.ts";

/** Keys whose value may fall; all others only grow. */
export const GAUGES: ReadonlySet<string> = new Set([
  "bounce.session",
  "control.session",
  "mda.envelope",
  "mda.pending",
  "mda.running",
  "mda.user",
  "mta.connector",
  "mta.domain",
  "mta.envelope",
  "mta.host",
  "mta.relay",
  "mta.route",
  "mta.session",
  "mta.source",
  "mta.task",
  "mta.task.running",
  "queue.damaged",
  "queue.evpcache.size",
  "scheduler.envelope",
  "scheduler.envelope.inflight",
  "scheduler.ramqueue.envelope",
  "scheduler.ramqueue.hold",
  "scheduler.ramqueue.holdq",
  "scheduler.ramqueue.message",
  "smtp.session",
  "smtp.smtps",
  "smtp.tls",
]);

/** Keys that are counted here, from events: what an isolate says of them itself would count twice. */
const DERIVED = /^(smtp\.(session|tls|smtps)|scheduler\.delivery|scheduler\.envelope\.(expired|removed))(\.|$)/;

/** Keys that isolates may bring in; more are dropped, so that a broken isolate cannot fill the memory. */
const MAX_KEYS = 512;
const KEY = /^[a-z][a-z0-9.-]{0,62}$/;

const OUTCOME_KEYS: Readonly<Record<string, string>> = {
  ok: "scheduler.delivery.ok",
  tempfail: "scheduler.delivery.tempfail",
  permfail: "scheduler.delivery.permfail",
  loop: "scheduler.delivery.loop",
};

/** Sessions that one smtp isolate has open: they are gone when it is. */
interface OpenSessions {
  all: number;
  tls: number;
  smtps: number;
}

/** All statistics of one run of the daemon. A key appears once it was touched. */
export class Stats {
  readonly #values = new Map<string, number>();
  readonly #kinds = new Map<string, "count" | "gauge">();
  readonly #open = new Map<number, OpenSessions>();
  /** Clients that went away, for `smtpctl monitor`. */
  #disconnects = 0;

  get(key: string): number {
    return this.#values.get(key) ?? 0;
  }

  add(key: string, by: number): void {
    const value = this.#values.get(key);
    if (value !== undefined) this.#values.set(key, value + by);
    else if (this.#values.size < MAX_KEYS) this.#values.set(key, by);
  }

  set(key: string, to: number): void {
    if (this.#values.has(key) || this.#values.size < MAX_KEYS) this.#values.set(key, to);
  }

  /** Touched keys, sorted, with what kind of number each is. */
  entries(): { readonly key: string; readonly value: number; readonly kind: "count" | "gauge" }[] {
    return [...this.#values.keys()].sort().map((key) => ({
      key,
      value: this.get(key),
      kind: this.#kinds.get(key) ?? (GAUGES.has(key) ? "gauge" : "count"),
    }));
  }

  /** Takes in one event. `peer` is the smtp isolate that sent it. */
  observe(event: Event, peer = 0): void {
    switch (event.type) {
      case "count":
        if (this.#accepts(event.key, event.by)) this.add(event.key, event.by);
        return;
      case "gauge":
        if (!this.#accepts(event.key, event.to)) return;
        this.#kinds.set(event.key, "gauge");
        return this.set(event.key, event.to);
      case "smtp-connected":
        return this.#connected(peer, event.family, event.smtps);
      case "smtp-tls":
        this.#sessions(peer).tls++;
        return this.add("smtp.tls", 1);
      case "smtp-disconnected":
        return this.#disconnected(peer, event.tls, event.smtps);
      case "delivery":
        return this.#delivered(event.outcome);
      case "queue-expire":
        return this.add("scheduler.envelope.expired", 1);
      case "queue-remove":
        return this.add("scheduler.envelope.removed", 1);
    }
  }

  /** The smtp isolate `peer` was replaced: its sessions are gone and will report no end. */
  forgetSessions(peer: number): void {
    const open = this.#open.get(peer);
    if (open === undefined) return;
    this.#open.delete(peer);
    this.#disconnects += open.all;
    this.#lower("smtp.session", open.all);
    this.#lower("smtp.tls", open.tls);
    this.#lower("smtp.smtps", open.smtps);
  }

  /** What one line of `smtpctl monitor` is made of. */
  sample(): MonitorSample {
    return {
      sessions: this.get("smtp.session"),
      connects: this.get("smtp.session.inet4") + this.get("smtp.session.inet6") + this.get("smtp.session.local"),
      disconnects: this.#disconnects,
      envelopes: this.get("scheduler.envelope"),
      enqueued: this.get("scheduler.envelope.incoming"),
      ok: this.get("scheduler.delivery.ok"),
      tempfail: this.get("scheduler.delivery.tempfail"),
      permfail: this.get("scheduler.delivery.permfail"),
      loop: this.get("scheduler.delivery.loop"),
      expired: this.get("scheduler.envelope.expired"),
      removed: this.get("scheduler.envelope.removed"),
      bounces: this.get("queue.bounce"),
    };
  }

  #accepts(key: unknown, value: unknown): boolean {
    return typeof key === "string" && KEY.test(key) && !DERIVED.test(key) && typeof value === "number" &&
      Number.isFinite(value);
  }

  #sessions(peer: number): OpenSessions {
    let open = this.#open.get(peer);
    if (open === undefined) this.#open.set(peer, open = { all: 0, tls: 0, smtps: 0 });
    return open;
  }

  #connected(peer: number, family: "inet4" | "inet6" | "local", smtps: boolean): void {
    const open = this.#sessions(peer);
    open.all++;
    this.add("smtp.session", 1);
    this.add(family === "inet4" ? "smtp.session.inet4" : `smtp.session.${family === "inet6" ? "inet6" : "local"}`, 1);
    if (!smtps) return;
    open.smtps++;
    this.add("smtp.smtps", 1);
  }

  #delivered(outcome: string): void {
    const key = OUTCOME_KEYS[outcome];
    if (key !== undefined) this.add(key, 1);
  }

  #disconnected(peer: number, tls: boolean, smtps: boolean): void {
    const open = this.#sessions(peer);
    this.#disconnects++;
    if (open.all > 0) {
      open.all--;
      this.#lower("smtp.session", 1);
    }
    if (tls && open.tls > 0) {
      open.tls--;
      this.#lower("smtp.tls", 1);
    }
    if (smtps && open.smtps > 0) {
      open.smtps--;
      this.#lower("smtp.smtps", 1);
    }
  }

  #lower(key: string, by: number): void {
    if (by > 0) this.add(key, -by);
  }
}

/** Totals since the start, but for `sessions` and `envelopes`, which are what is there now. */
export interface MonitorSample {
  readonly sessions: number;
  readonly connects: number;
  readonly disconnects: number;
  readonly envelopes: number;
  readonly enqueued: number;
  readonly ok: number;
  readonly tempfail: number;
  readonly permfail: number;
  readonly loop: number;
  readonly expired: number;
  readonly removed: number;
  readonly bounces: number;
}

/** Lines of `show stats`: sorted `key=value`, and how long the daemon runs, in seconds and for people. */
export function formatStats(stats: Stats, uptimeSeconds: number): string[] {
  const lines = stats.entries().map(({ key, value }) => `${key}=${value}`);
  lines.push(`uptime=${Math.floor(uptimeSeconds)}`, `uptime.human=${formatDuration(uptimeSeconds)}`);
  return lines.sort((a, b) => keyOf(a) < keyOf(b) ? -1 : 1);
}

function keyOf(line: string): string {
  return line.slice(0, line.indexOf("="));
}
