/**
 * Sends the reports of past days, one mail per domain and day. What a report is made of is removed in the transaction that enqueues its mail, so that
 * no crash loses or doubles it. Whether a domain still wants reports, and where, the DNS is asked, by way of lookup, when they are written: nothing
 * that an smtp isolate says decides who gets mail.
 */

import {
  type Deliverable,
  type EnvelopeContent,
  type EnvelopeId,
  envelopeNumber,
  formatMailbox,
  hex8,
  type Mailbox,
  type MessageId,
  messageNumber,
  newEnvelopeId,
  NO_DSN,
  NOTIFY,
  type Origin,
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
import { CHUNK_BYTES } from "../../protocol/smtp_queue.ts";
import type { NoticeSigner } from "../notice_signer.ts";
import { freshEnvelope } from "../validate_envelope.ts";
import type { QueueState } from "../queue_state.ts";
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
  readonly notices: NoticeSigner;
}

/** Where the mail goes, and by which its signatures are made; see NoticeSigner. */
interface Routed {
  readonly envelopes: readonly EnvelopeContent[];
  readonly grant: string | undefined;
}

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
  readonly #notices: NoticeSigner;
  readonly #settings: DmarcReportSettings;
  #ids: MessageId[] = [];
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
    const message = this.#newMessageId();
    let taken = false;
    try {
      const destinations = await this.#destinations(key.domain, { last });
      if ("reason" in destinations) return destinations;
      const addressed = await this.#address(key, data, { message, destinations });
      if ("reason" in addressed) return addressed;
      const routed = await this.#expand(message, addressed.destinations);
      if ("reason" in routed) return { ...routed, again: routed.again && !last };
      // What was signed under an id is not signed again under it.
      taken = this.#queue.ids.take(this, message);
      const body = await this.#notices.sign(message, routed.grant, this.#compose(message, addressed));
      return await this.#enqueue(key, message, body, routed.envelopes);
    } catch (error) {
      return { again: !last, reason: systemReason(error) };
    } finally {
      if (!taken) this.#ids.push(message);
    }
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
      boundary: `${message}/${hex8(random32())}${hex8(random32())}${hex8(random32())}`,
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
      const { result } = await this.#lookup.ask<"expanded">({ type: "expand", tls: false, ...order });
      if (!result.ok) {
        const reason = `${result.code} ${result.text}, for ${formatMailbox(order.rcpt)}`;
        if (result.code < 500) return { again: true, reason };
        unsent = { again: false, reason };
        continue;
      }
      grant ??= result.grant;
      for (const [index, target] of result.targets.entries()) {
        const internal = result.internal[index] ?? false;
        if (!this.#queue.mac.verify({ ...order, ...target, internal }, target.mac)) {
          throw new Error("lookup has not decided where it goes");
        }
        envelopes.push(makeEnvelope(order, target, this.#queue.clock.now()));
      }
    }
    return envelopes.length > 0
      ? { envelopes, grant }
      : unsent ?? { again: false, reason: "its address leads nowhere" };
  }

  async #enqueue(
    key: ReportKey,
    id: MessageId,
    body: Uint8Array<ArrayBuffer>,
    envelopes: readonly EnvelopeContent[],
  ): Promise<Unsent | null> {
    const queue = this.#queue, { store } = queue, number = messageNumber(id);
    const chunks = Math.ceil(body.length / CHUNK_BYTES);
    const parts = await Promise.all(
      Array.from(
        { length: chunks },
        (_, i) => store.makeChunk(number, i, body.subarray(i * CHUNK_BYTES, (i + 1) * CHUNK_BYTES)),
      ),
    );
    const rows = envelopes.map((content) => store.makeEnvelope(content));
    return await new Promise((resolve) => {
      let written = false;
      queue.commits.now({
        bytes: body.length,
        apply: () => {
          written = this.#rows.remove(key);
          if (!written) return;
          store.addMessage(number, { bytes: body.length, chunks });
          for (const [i, part] of parts.entries()) store.putChunk(number, i, part);
          for (const row of rows) store.putEnvelope(row);
        },
        done: () => {
          resolve(null);
          if (!written) return;
          const kept = new Map(envelopes.map((content) => [envelopeNumber(content.id), freshEnvelope(content)]));
          queue.recent.put(number, { bytes: body.length, chunks, first: body, envelopes: kept });
          for (const content of envelopes) queue.enqueued(content);
          queue.tally.add("dmarc.report");
          const to = [...new Set(envelopes.map(({ rcpt }) => `<${formatMailbox(rcpt)}>`))].join(", ");
          queue.info(`dmarc: the report about ${key.domain} of ${dateOf(key.day)} goes to ${to} as message ${id}`);
        },
        failed: (error) => resolve({ again: true, reason: systemReason(error) }),
      });
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

  #newMessageId(): MessageId {
    if (this.#ids.length === 0) this.#ids = this.#queue.ids.reserve(this);
    return this.#ids.pop()!;
  }
}

function dateOf(day: number): string {
  return new Date(day * DAY_MS).toISOString().slice(0, 10);
}

/** The daemon itself as a client. */
function localOrigin(host: string): Origin {
  return {
    address: "local",
    hostname: "localhost",
    helo: host,
    smtpname: host,
    tag: "",
    username: "",
    authenticated: false,
  };
}

/** Nobody waits for a notice that a report could not be delivered: the log has it. */
function makeEnvelope(
  { message, sender, rcpt, origin }: {
    readonly message: MessageId;
    readonly sender: Mailbox;
    readonly rcpt: Mailbox;
    readonly origin: Origin;
  },
  target: Deliverable,
  createdAt: number,
): EnvelopeContent {
  const { agent, action, dest } = target;
  const id: EnvelopeId = newEnvelopeId(message);
  const dsn = { ...NO_DSN, notify: NOTIFY.NEVER };
  const content = { id, sender, rcpt, dest, origin, dsn, action, agent, internal: true, createdAt };
  return target.agent === "mta"
    ? content
    : { ...content, user: target.user, subAddress: target.subAddress, exec: target.exec };
}
