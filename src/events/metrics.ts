/**
 * Every statistic of `smtpctl show stats`: the one table from which the type of its keys, what each isolate may report, the admin page's metrics and the
 * manual page follow. A new metric is a row of METRICS, counted from events in stats.ts or reported by an isolate (CONTRIBUTING.md, "An event with its
 * metric"). Holds no values: those are in stats.ts.
 */

import type { ReplyClass } from "../reply_class/mod.ts";

/** Isolates that report statistics of their own. */
export type MetricReporter = "queue" | "scheduler" | "relay" | "delivery" | "acme" | "history";

export interface Metric {
  /** A counter only grows while the daemon runs; a gauge may fall. */
  readonly kind: "counter" | "gauge";
  /** A sentence for Prometheus and the manual page. */
  readonly help: string;
  /** Isolates that report it; none where the control isolate counts it from events. */
  readonly from: readonly MetricReporter[];
  /** Control counts it from events, too: a report of it is traced, and not added. */
  readonly derived?: true;
}

const counter = (help: string, ...from: MetricReporter[]) => ({ kind: "counter", help, from }) as const;
const gauge = (help: string, ...from: MetricReporter[]) => ({ kind: "gauge", help, from }) as const;
/** A counter that control keeps from events, whatever an isolate reports of it. */
const derived = (help: string, ...from: MetricReporter[]) => ({ kind: "counter", help, from, derived: true }) as const;

/** Why attempts failed: a counter for each class of src/reply_class. `/metrics` has them as one metric with the label `class`. */
export const FAILURE_PREFIX = "delivery.failure.";
const FAILURES = {
  "delivery.failure.authentication": counter("Attempts that failed: sender or login could not be verified."),
  "delivery.failure.content": counter("Attempts that failed: for what is in the message."),
  "delivery.failure.greylisted": counter("Attempts that failed: the host greylists."),
  "delivery.failure.mailbox-full": counter("Attempts that failed: the mailbox is full."),
  "delivery.failure.no-such-user": counter("Attempts that failed: the address is not known."),
  "delivery.failure.policy": counter("Attempts that failed: for a rule of the host."),
  "delivery.failure.protocol": counter("Attempts that failed: the host did not understand."),
  "delivery.failure.rate": counter("Attempts that failed: too much mail in a short time."),
  "delivery.failure.reputation": counter("Attempts that failed: for the reputation of this server, or a list."),
  "delivery.failure.temporary": counter("Attempts that failed: the host has a problem of its own."),
  "delivery.failure.tls": counter("Attempts that failed: no connection under TLS as it is required."),
  "delivery.failure.too-large": counter("Attempts that failed: the message is too large."),
  "delivery.failure.unknown": counter("Attempts that failed: for a reason that is not understood."),
  "delivery.failure.unreachable": counter("Attempts that failed: the host was not reached."),
} as const satisfies Readonly<Record<`${typeof FAILURE_PREFIX}${ReplyClass}`, Metric>>;

/** The statistics by key, sorted as `show stats` prints them. A key appears there once something touched it. */
export const METRICS = {
  "acme.certificate": counter("Certificates that were obtained or renewed by ACME.", "acme"),
  "acme.expiry": gauge("When the first of the certificates of ACME ends, in seconds since the epoch.", "acme"),
  "acme.failure": counter("Attempts to obtain a certificate by ACME that failed.", "acme"),
  "bounce.envelope": counter("Envelopes that written notices (DSN) report on.", "queue"),
  "bounce.message": counter("Notices (DSN) that were written.", "queue"),
  "control.session": gauge("Open connections to the control socket."),
  ...FAILURES,
  "dkim.deferred": counter("Messages and notices that were put off because they could not be signed."),
  "dkim.signed": counter("Messages and notices that were signed."),
  "dkim.unsigned": counter("Messages and notices that went through an action with dkim without a signature."),
  "dmarc.report": counter("Aggregate reports of DMARC that were written.", "queue"),
  "history.left-out": counter("Events that could not be recorded in the history."),
  "history.message": gauge("Messages in the history.", "history"),
  "history.size": gauge("Octets of the history on the disk.", "history"),
  "isolate.restart": counter(
    "Isolates that took the place of others: after a failure, or since a reload asked for it.",
  ),
  "mda.delivered": counter("Envelopes that were delivered to mailboxes, commands and LMTP servers."),
  "mda.envelope": gauge("Envelopes that local delivery has in hand.", "delivery"),
  "mda.pending": gauge("Local deliveries that wait for a free place.", "delivery"),
  "mda.running": gauge("Local deliveries under way.", "delivery"),
  "mda.user": gauge("Users with a local delivery in hand.", "delivery"),
  "mta.connector": gauge("Connectors to relays.", "relay"),
  "mta.domain.failing": gauge("Domains of which nothing but failures have been reported for 15 minutes."),
  "mta.envelope": gauge("Envelopes that are being relayed.", "relay"),
  "mta.host": gauge("Hosts that mail is relayed to.", "relay"),
  "mta.relay": gauge("Relays that mail waits for.", "relay"),
  "mta.relayed": counter("Envelopes that other hosts have accepted."),
  "mta.route": gauge("Routes to hosts.", "relay"),
  "mta.session": gauge("Open connections to other hosts.", "relay"),
  "mta.task": gauge("Messages to relay that wait for a connection.", "relay"),
  "queue.bounce": counter("Envelopes whose sender is to get a notice (DSN).", "queue"),
  "queue.damaged": gauge("Messages that are damaged and set aside.", "queue"),
  "queue.evpcache.load.hit": counter("Messages that a delivery found in memory.", "queue"),
  "queue.evpcache.load.missed": counter("Messages that a delivery read from the disk.", "queue"),
  "queue.evpcache.size": gauge("Messages that are kept in memory.", "queue"),
  "scheduler.delivery.loop": derived("Deliveries that failed for a loop.", "queue"),
  "scheduler.delivery.ok": derived("Deliveries that succeeded.", "queue"),
  "scheduler.delivery.permfail": derived("Deliveries that failed for good.", "queue"),
  "scheduler.delivery.tempfail": derived("Deliveries that failed for now.", "queue"),
  "scheduler.envelope": gauge("Envelopes in the queue.", "scheduler"),
  "scheduler.envelope.expired": derived("Envelopes that were given up as too old.", "scheduler"),
  "scheduler.envelope.incoming": counter("Envelopes that came into the queue.", "scheduler"),
  "scheduler.envelope.inflight": gauge("Envelopes with a delivery under way.", "scheduler"),
  "scheduler.envelope.removed": derived("Envelopes that an administrator removed.", "scheduler"),
  "scheduler.envelope.rescheduled": counter("Envelopes that smtpctl made due.", "scheduler"),
  "scheduler.envelope.updated": counter("Envelopes that wait for another attempt.", "scheduler"),
  "smtp.arc.fail": counter("Messages whose result of ARC was fail."),
  "smtp.arc.none": counter("Messages whose result of ARC was none."),
  "smtp.arc.pass": counter("Messages whose result of ARC was pass."),
  "smtp.dkim.fail": counter("Messages whose result of DKIM was fail."),
  "smtp.dkim.neutral": counter("Messages whose result of DKIM was neutral."),
  "smtp.dkim.none": counter("Messages whose result of DKIM was none."),
  "smtp.dkim.pass": counter("Messages whose result of DKIM was pass."),
  "smtp.dkim.permerror": counter("Messages whose result of DKIM was permerror."),
  "smtp.dkim.policy": counter("Messages whose result of DKIM was policy."),
  "smtp.dkim.temperror": counter("Messages whose result of DKIM was temperror."),
  "smtp.dmarc.fail": counter("Messages whose result of DMARC was fail."),
  "smtp.dmarc.none": counter("Messages whose result of DMARC was none."),
  "smtp.dmarc.pass": counter("Messages whose result of DMARC was pass."),
  "smtp.dmarc.permerror": counter("Messages whose result of DMARC was permerror."),
  "smtp.dmarc.temperror": counter("Messages whose result of DMARC was temperror."),
  "smtp.message": counter("Messages that were accepted."),
  "smtp.refused": counter("Commands and messages that were refused."),
  "smtp.session": gauge("Open SMTP sessions."),
  "smtp.session.inet4": counter("SMTP sessions over IPv4 since the start."),
  "smtp.session.inet6": counter("SMTP sessions over IPv6 since the start."),
  "smtp.session.local": counter("SMTP sessions over the local socket since the start."),
  "smtp.smtps": gauge("Open SMTP sessions that began with TLS."),
  "smtp.spf.fail": counter("Messages whose result of SPF was fail."),
  "smtp.spf.neutral": counter("Messages whose result of SPF was neutral."),
  "smtp.spf.none": counter("Messages whose result of SPF was none."),
  "smtp.spf.pass": counter("Messages whose result of SPF was pass."),
  "smtp.spf.permerror": counter("Messages whose result of SPF was permerror."),
  "smtp.spf.softfail": counter("Messages whose result of SPF was softfail."),
  "smtp.spf.temperror": counter("Messages whose result of SPF was temperror."),
  "smtp.tls": gauge("Open SMTP sessions under TLS."),
} as const satisfies Readonly<Record<string, Metric>>;

export type MetricKey = keyof typeof METRICS;
type KeyOf<Kind extends Metric["kind"]> = {
  [K in MetricKey]: typeof METRICS[K]["kind"] extends Kind ? K : never;
}[MetricKey];
export type CounterKey = KeyOf<"counter">;
export type GaugeKey = KeyOf<"gauge">;

/** Returns whether `key` is in the table: what an isolate sends may be anything. */
export function isMetricKey(key: unknown): key is MetricKey {
  return typeof key === "string" && Object.hasOwn(METRICS, key);
}

/** The keys of one kind that the isolate `reporter` reports, sorted. */
export function metricsFrom<Kind extends Metric["kind"]>(reporter: MetricReporter, kind: Kind): KeyOf<Kind>[] {
  return (Object.keys(METRICS) as KeyOf<Kind>[]).filter((key) => {
    const metric: Metric = METRICS[key];
    return metric.kind === kind && metric.from.includes(reporter);
  });
}
