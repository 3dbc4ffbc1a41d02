/** The values of the statistics in metrics.ts, kept from events. Uses no clock and no output format but that of `show stats`. */

import type { MailAuth, Outcome } from "../envelope/mod.ts";
import { formatDuration } from "./duration.ts";
import { type Counts, Histogram, type HistogramKey, type HistogramMetric, HISTOGRAMS } from "./histograms.ts";
import {
  type CounterKey,
  FAILURE_PREFIX,
  type GaugeKey,
  isMetricKey,
  type Metric,
  type MetricKey,
  METRICS,
} from "./metrics.ts";
import type { DeliveryEvent, Event, StatEvent } from "./types.ts";

const OUTCOME_KEYS: Readonly<Record<Outcome["result"], CounterKey>> = {
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

/** One value of `show stats`. */
export interface Statistic {
  readonly key: MetricKey;
  readonly value: number;
  readonly kind: Metric["kind"];
}

/** Returns whether control adds up what an isolate reports: a key of the table that is not counted here already, with a number that is one. */
function isReported(event: Exclude<StatEvent, { type: "histogram" }>, kind: Metric["kind"], value: unknown): boolean {
  if (!isMetricKey(event.key) || typeof value !== "number" || !Number.isFinite(value)) return false;
  const metric: Metric = METRICS[event.key];
  return metric.kind === kind && metric.from.length > 0 && metric.derived === undefined;
}

/** The counter of a class of failures; an isolate may send any word. */
function failureKey(word = "unknown"): CounterKey {
  const key = `${FAILURE_PREFIX}${word}`;
  return isMetricKey(key) ? key as CounterKey : `${FAILURE_PREFIX}unknown`;
}

/** All statistics of one run of the daemon. A key appears once it was touched. */
export class Stats {
  readonly #values = new Map<MetricKey, number>();
  readonly #histograms = new Map<HistogramKey, Histogram>();
  readonly #open = new Map<number, OpenSessions>();
  /** Clients that went away, for `smtpctl monitor`. */
  #disconnects = 0;

  get(key: MetricKey): number {
    return this.#values.get(key) ?? 0;
  }

  /** Adds to a counter, or to a gauge that control keeps itself. */
  add(key: MetricKey, by: number): void {
    this.#values.set(key, this.get(key) + by);
  }

  /** Sets a gauge. */
  set(key: GaugeKey, to: number): void {
    this.#values.set(key, to);
  }

  /** Touched keys, sorted, with what is known of them. */
  entries(): Statistic[] {
    return [...this.#values.keys()].sort().map((key) => ({ key, value: this.get(key), kind: METRICS[key].kind }));
  }

  /** What was counted of a distribution since the start. */
  histogram(key: HistogramKey): Counts {
    return this.#histogram(key);
  }

  #histogram(key: HistogramKey): Histogram {
    let histogram = this.#histograms.get(key);
    if (histogram === undefined) this.#histograms.set(key, histogram = new Histogram(key));
    return histogram;
  }

  /** Takes in one event. `peer` is the smtp isolate that sent it. */
  observe(event: Event, peer = 0): void {
    switch (event.type) {
      case "count":
        if (isReported(event, "counter", event.by)) this.add(event.key, event.by);
        return;
      case "gauge":
        if (isReported(event, "gauge", event.to)) this.set(event.key, event.to);
        return;
      case "histogram":
        return this.#counted(event);
      case "smtp-connected":
        return this.#connected(peer, event);
      case "smtp-tls":
        this.#sessions(peer).tls++;
        return this.add("smtp.tls", 1);
      case "smtp-disconnected":
        return this.#disconnected(peer, event);
      case "delivery":
        return this.#delivered(event);
      case "smtp-signed":
      case "queue-signed":
        return this.add("dkim.signed", 1);
      case "smtp-unsigned":
      case "queue-unsigned":
        return this.add(event.deferred ? "dkim.deferred" : "dkim.unsigned", 1);
      case "queue-expire":
        return this.add("scheduler.envelope.expired", 1);
      case "queue-remove":
        return this.add("scheduler.envelope.removed", 1);
      case "smtp-message":
        this.add("smtp.message", 1);
        return this.#checked(event.mailAuth);
      case "smtp-failed-command":
        this.add("smtp.refused", 1);
        return this.#checked(event.mailAuth);
      case "smtp-cert-check":
      case "smtp-authentication":
      case "smtp-committed":
      case "smtp-envelope":
      case "smtp-bad-input":
      case "relay-connecting":
      case "relay-connected":
      case "relay-tls":
      case "relay-cert-check":
      case "relay-error":
      case "relay-disconnected":
      case "queue-message":
      case "queue-dsn-asked":
      case "queue-dsn-written":
      case "queue-dsn-dropped":
      case "dialogue":
      case "admin-act":
      case "log":
      case "trace":
        return;
    }
    event satisfies never;
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

  #sessions(peer: number): OpenSessions {
    let open = this.#open.get(peer);
    if (open === undefined) this.#open.set(peer, open = { all: 0, tls: 0, smtps: 0 });
    return open;
  }

  #connected(peer: number, { family, smtps }: Extract<Event, { type: "smtp-connected" }>): void {
    const open = this.#sessions(peer);
    open.all++;
    this.add("smtp.session", 1);
    this.add(`smtp.session.${family}`, 1);
    if (!smtps) return;
    open.smtps++;
    this.add("smtp.smtps", 1);
  }

  #checked(mailAuth: MailAuth | undefined): void {
    if (mailAuth === undefined) return;
    const { spf, dkim, arc, dmarc } = mailAuth;
    const keys = [`smtp.spf.${spf}`, `smtp.dkim.${dkim}`, `smtp.arc.${arc}`, `smtp.dmarc.${dmarc}`] as const;
    for (const key of keys) this.add(key, 1);
  }

  #delivered({ outcome, agent, delayMs, replyClass }: DeliveryEvent): void {
    // The door has checked real events; that of a broken isolate counts nothing.
    if (!Object.hasOwn(OUTCOME_KEYS, outcome)) return;
    this.add(OUTCOME_KEYS[outcome], 1);
    if (outcome !== "ok") return this.add(failureKey(replyClass), 1);
    this.add(agent === "mta" ? "mta.relayed" : "mda.delivered", 1);
    this.#histogram("delivery.delay").observe(delayMs / 1000);
  }

  #counted(event: Extract<StatEvent, { type: "histogram" }>): void {
    if (!Object.hasOwn(HISTOGRAMS, event.key)) return;
    const metric: HistogramMetric = HISTOGRAMS[event.key];
    if (metric.from.length > 0) this.#histogram(event.key).add(event);
  }

  #disconnected(peer: number, { tls, smtps }: Extract<Event, { type: "smtp-disconnected" }>): void {
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

  #lower(key: GaugeKey, by: number): void {
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
