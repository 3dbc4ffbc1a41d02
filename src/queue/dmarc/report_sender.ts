/**
 * Sends the reports of past days, one mail per domain and day. What a report is made of is removed in the transaction that enqueues its mail, see
 * Notices. Whether a domain still wants reports, and where, the DNS is asked, by way of lookup, when they are written: nothing
 * that an smtp isolate says decides who gets mail.
 */

import {
  type EnvelopeContent,
  formatMailbox,
  hex8,
  type MessageId,
  NO_DSN,
  NOTIFY,
  random32,
} from "../../envelope/mod.ts";
import { systemReason } from "../../events/mod.ts";
import type { Caller } from "../../isolate/mod.ts";
import type { DnsAnswer } from "../../mail_auth/dns.ts";
import {
  type AggregateReport,
  composeReportMail,
  type Destination,
  destinationsOf,
  packReport,
  type PublishedPolicy,
  type ReportMail,
  type ReportRow,
  verifyDestination,
} from "../../mail_auth/dmarc_report/mod.ts";
import type { DmarcReportSettings, FromLookup, ToLookup } from "../../protocol/mod.ts";
import { localOrigin, newBoundary, type Notice, type Notices } from "../notices.ts";
import type { QueueState } from "../queue_state.ts";
import { queueMessage } from "../recorded.ts";
import type { DayOfDomain, ReportKey, ReportRows } from "../store/report_rows.ts";
import { dayOf } from "./collector.ts";

const MINUTE_MS = 60_000, HOUR_MS = 60 * MINUTE_MS, DAY_MS = 24 * HOUR_MS;
/** After midnight, UTC: hosts that keep a time of their own do not all begin at once. */
const FIRST_MS = 10 * MINUTE_MS, SPREAD_MS = 45 * MINUTE_MS;
/** What had no answer is tried again so often, and given up so many days after its day. */
const RETRY_MS = HOUR_MS, MAX_AGE_DAYS = 3;
/** Reports that are looked for at one time. */
const BATCH_REPORTS = 500;

/** What it needs besides the queue. */
export interface ReportSenderDeps {
  readonly rows: ReportRows;
  readonly lookup: Caller<ToLookup, FromLookup>;
  readonly notices: Notices;
}

/** Where the mail goes, and by which its signatures are made. */
type Routed = Pick<Notice, "envelopes" | "grant">;

/** A report with those who get it. */
interface Addressed {
  readonly report: AggregateReport;
  readonly packed: string;
  readonly destinations: readonly Destination[];
}

/** Why a report is not sent. `again`: it may be later. */
interface Unsent {
  readonly again: boolean;
  readonly reason: string;
}

export class ReportSender {
  readonly #queue: QueueState;
  readonly #rows: ReportRows;
  readonly #lookup: Caller<ToLookup, FromLookup>;
  readonly #notices: Notices;
  readonly #settings: DmarcReportSettings;
  #cancel = () => {};
  #stopped = false;

  constructor(queue: QueueState, { rows, lookup, notices }: ReportSenderDeps, settings: DmarcReportSettings) {
    this.#queue = queue;
    this.#rows = rows;
    this.#lookup = lookup;
    this.#notices = notices;
    this.#settings = settings;
  }

  /** Sends what is due from now on, every day. Returns what ends that. */
  start(): () => void {
    this.#plan();
    return () => {
      this.#stopped = true;
      this.#cancel();
    };
  }

  /** The next time at which reports are sent, at the latest in an hour: the time of day may be set meanwhile. */
  #plan(): void {
    if (this.#stopped) return;
    const now = this.#queue.clock.now();
    const today = dayOf(now) * DAY_MS + this.#offset();
    const next = now < today ? today : today + DAY_MS;
    this.#cancel = this.#queue.clock.after(Math.min(next - now, RETRY_MS), () => {
      this.sendDue().catch((error) => this.#queue.warn(`dmarc: reports cannot be sent: ${systemReason(error)}`))
        .finally(() => this.#plan());
    });
  }

  /** Of a name of this host, so that it is the same every day. */
  #offset(): number {
    let sum = 0;
    for (const character of this.#settings.host) sum = (sum * 31 + character.charCodeAt(0)) % SPREAD_MS;
    return FIRST_MS + sum;
  }

  /** Sends the reports of the days that are over, one after the other. Rejects when the database fails. */
  async sendDue(): Promise<void> {
    const now = this.#queue.clock.now(), today = dayOf(now);
    // Those of yesterday wait for their time.
    const before = now >= today * DAY_MS + this.#offset() ? today : today - 1;
    for (const key of this.#rows.due({ before, limit: BATCH_REPORTS })) {
      if (this.#stopped) return;
      const unsent = await this.#send(key, { last: key.day <= today - MAX_AGE_DAYS });
      if (unsent === null) continue;
      const { again, reason } = unsent;
      const about = `the report about ${key.domain} of ${dateOf(key.day)}`;
      this.#queue.info(`dmarc: ${about} is ${again ? "sent later" : "not sent"}: ${reason}`);
      if (!again) this.#drop(key);
    }
  }

  /** `last`: it is not tried again. Returns null when it is in the queue. */
  async #send(key: ReportKey, { last }: { readonly last: boolean }): Promise<Unsent | null> {
    const data = this.#rows.read(key);
    if (data === null) return null;
    try {
      return await this.#notices.withId((message) => this.#sendAs(message, { key, data, last }));
    } catch (error) {
      return { again: !last, reason: systemReason(error) };
    }
  }

  async #sendAs(
    message: MessageId,
    { key, data, last }: { readonly key: ReportKey; readonly data: DayOfDomain; readonly last: boolean },
  ): Promise<Unsent | null> {
    const destinations = await this.#destinations(key.domain, { last });
    if ("reason" in destinations) return destinations;
    const addressed = await this.#address(key, data, { message, destinations });
    if ("reason" in addressed) return addressed;
    const routed = await this.#expand(message, addressed.destinations);
    if ("reason" in routed) return { ...routed, again: routed.again && !last };
    return await this.#enqueue(key, { message, text: this.#compose(message, addressed), ...routed });
  }

  /** Those who want reports about a domain by its record of now, and of other organisations, who agree to get them. */
  async #destinations(domain: string, { last }: { readonly last: boolean }): Promise<readonly Destination[] | Unsent> {
    const dns = { txt: (name: string) => this.#txt(name) };
    const wanted = await destinationsOf(domain, dns);
    if (wanted === null) return { again: !last, reason: "its record could not be asked for" };
    const agreed: Destination[] = [];
    for (const destination of wanted) {
      const verified = await verifyDestination(destination, domain, dns);
      if (verified.kind === "temporary" && !last) {
        return { again: true, reason: `whether ${destination.domain} wants it could not be asked for` };
      }
      const found = verified.kind === "agreed" ? verified.destination : null;
      const known = agreed.some((other) => other.local === found?.local && other.domain === found.domain);
      if (found !== null && !known) agreed.push(found);
    }
    return agreed.length > 0 ? agreed : { again: false, reason: "nobody wants it by mail" };
  }

  async #txt(name: string): Promise<DnsAnswer<string>> {
    try {
      return (await this.#lookup.ask<"dns">({ type: "dns", kind: "txt", name })).answer;
    } catch {
      return { kind: "temporary" };
    }
  }

  /** The report, and of the destinations those for which its mail is not too large. */
  async #address(
    key: ReportKey,
    data: DayOfDomain,
    { message, destinations }: { readonly message: MessageId; readonly destinations: readonly Destination[] },
  ): Promise<Addressed | Unsent> {
    const { from, host } = this.#settings;
    const report: AggregateReport = {
      reporter: from.domain,
      contact: formatMailbox(from),
      id: `${key.day}.${message}${hex8(random32())}`,
      begin: key.day * DAY_MS / 1000,
      end: (key.day + 1) * DAY_MS / 1000 - 1,
      generator: `Vaultpost ${this.#queue.settings.shared.version}`,
      policy: JSON.parse(data.policy) as PublishedPolicy,
      records: data.rows.map(({ facts, count }) => ({ row: JSON.parse(facts) as ReportRow, count })),
      errors: data.omitted === 0 ? [] : [`${data.omitted} messages are in no record: ${host} keeps no more of one day`],
    };
    if (report.records.length === 0) return { again: false, reason: "none of its messages has a place" };
    const packed = await packReport(report);
    const size = this.#compose(message, { report, packed, destinations }).length;
    const fitting = destinations.filter(({ maxOctets }) => maxOctets === null || size <= maxOctets);
    if (fitting.length === 0) return { again: false, reason: `its ${size} octets are more than it may have` };
    return { report, packed, destinations: fitting };
  }

  #compose(message: MessageId, { report, packed, destinations }: Addressed): Uint8Array<ArrayBuffer> {
    const mail: ReportMail = {
      report,
      from: formatMailbox(this.#settings.from),
      to: destinations.map(formatMailbox),
      now: this.#queue.clock.now(),
      messageId: `${message}.${report.id}`,
      host: this.#settings.host,
      boundary: newBoundary(message),
    };
    return new TextEncoder().encode(composeReportMail(mail, packed));
  }

  /** Where the mail goes by the rules, as mail of this host itself. */
  async #expand(
    message: MessageId,
    destinations: readonly Destination[],
  ): Promise<Routed | Unsent> {
    const sender = this.#settings.from, origin = localOrigin(this.#settings.host);
    const envelopes: EnvelopeContent[] = [];
    let unsent: Unsent | null = null, grant: string | undefined;
    for (const { local, domain } of destinations) {
      const order = { message, sender, rcpt: { local, domain }, origin };
      const result = await this.#notices.expand(order);
      if (!result.ok) {
        const reason = `${result.code} ${result.text}, for ${formatMailbox(order.rcpt)}`;
        if (result.code < 500) return { again: true, reason };
        unsent = { again: false, reason };
        continue;
      }
      grant ??= result.grant;
      // Nobody waits for a notice that a report could not be delivered: the log has it.
      const dsn = { ...NO_DSN, notify: NOTIFY.NEVER };
      envelopes.push(...this.#notices.envelopes(order, result.targets, { dsn }));
    }
    return envelopes.length > 0
      ? { envelopes, grant }
      : unsent ?? { again: false, reason: "its address leads nowhere" };
  }

  #enqueue(key: ReportKey, notice: Notice): Promise<Unsent | null> {
    const queue = this.#queue, { message, envelopes } = notice;
    return new Promise((resolve, reject) => {
      this.#notices.enqueue(notice, {
        claim: () => this.#rows.remove(key),
        done: (written) => {
          resolve(null);
          if (!written) return;
          queue.tally.add("dmarc.report");
          if (queue.observer.recording === true) queue.emit(queueMessage("report", envelopes, notice.text.length));
          const to = [...new Set(envelopes.map(({ rcpt }) => `<${formatMailbox(rcpt)}>`))].join(", ");
          queue.info(`dmarc: the report about ${key.domain} of ${dateOf(key.day)} goes to ${to} as message ${message}`);
        },
        failed: (error) => resolve({ again: true, reason: systemReason(error) }),
      }).catch(reject);
    });
  }

  #drop(key: ReportKey): void {
    this.#queue.commits.later({
      frees: true,
      apply: () => void this.#rows.remove(key),
      done: () => {},
      failed: () => {},
    });
  }
}

function dateOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}
