/** What the parts of the queue share: the store, the group commit, the caches, and the line to the scheduler. Holds no rules. */

import { BoundedMap } from "../bounded_map.ts";
import {
  type Acceptance,
  type Envelope,
  type EnvelopeContent,
  type EnvelopeId,
  envelopeIdOf,
  messageIdOf,
  type MessageNumber,
  rowOf,
} from "../envelope/mod.ts";
import { type EmitEvent, logTrace, type Observer, systemReason } from "../events/mod.ts";
import type { Channel, Tally } from "../isolate/mod.ts";
import { retryClassOf } from "./retry_class.ts";
import type { QueueSettings, QueueToScheduler, RetryClass, SchedulerToQueue, Ticket } from "../protocol/mod.ts";
import { EnvelopeMac, JobMac } from "../mac/mod.ts";
import type { ReportCollector } from "./dmarc/collector.ts";
import { Quarantine } from "./repair/quarantine.ts";
import { Commits } from "./store/commits.ts";
import { Ids } from "./ids.ts";
import { Recent } from "./store/recent.ts";
import { Damaged } from "./store/records.ts";
import { markSuspect } from "./repair/repair.ts";
import { Ballast } from "./store/ballast.ts";
import { readDisk, Space } from "./store/space.ts";
import { databaseFault, DiskErrors } from "./store/disk_errors.ts";
import { laneOf, type TicketRow } from "./store/rows.ts";
import type { MessageRange } from "./store/ranges.ts";
import type { Store } from "./store/store.ts";
import type { Clock } from "../clock.ts";

export interface QueueParts {
  readonly store: Store;
  readonly settings: QueueSettings;
  readonly scheduler: Channel<QueueToScheduler, SchedulerToQueue>;
  readonly observer: Observer;
  readonly tally: Tally;
  /** ms since the epoch. */
  readonly clock: Clock;
}

/** The disk is looked at whenever so much was stored, besides once per second. */
const MEASURE_BYTES = 16 * 1024 * 1024;
/** At most one alarm about failed writes in this time. */
const ALARM_MS = 1000;

/** Messages whose numbers are remembered: more than sessions that may wait for theirs. */
const MAX_ACCEPTED_MESSAGES = 65_536;
/** More than can be committed in a millisecond, and few enough for the numbers of the next two centuries. */
const NUMBERS_PER_MS = 1024;

export class QueueState {
  readonly store: Store;
  settings: QueueSettings;
  readonly observer: Observer;
  readonly emit: EmitEvent;
  readonly tally: Tally;
  readonly clock: Clock;
  readonly commits: Commits;
  readonly recent = new Recent();
  readonly quarantine: Quarantine;
  readonly diskErrors = new DiskErrors();
  /** Checks that envelopes are as lookup has decided them. */
  readonly mac: EnvelopeMac;
  /** Checks that agents were given the jobs that they take. */
  readonly jobMac: JobMac;
  readonly space: Space;
  readonly ids: Ids;
  /** Counts results of DMARC; null where no reports are configured. */
  results: ReportCollector | null = null;
  readonly #ballast: Ballast;
  readonly #scheduler: Channel<QueueToScheduler, SchedulerToQueue>;
  #tickets: Ticket[] = [];
  /** Messages whose chunks are to be erased bit by bit. */
  readonly #erasing: MessageNumber[] = [];
  /** Ends this isolate. */
  onmalformed: (error: unknown) => void = () => {};
  #malformed = false;
  /** What is kept for removals has been given to them. */
  #released = false;
  #alarmAt = 0;
  #unmeasured = 0;
  /** Greater in each life of this isolate than in those before. */
  #lastNumber: number;
  readonly #accepted = new BoundedMap<MessageNumber, Acceptance>(MAX_ACCEPTED_MESSAGES);

  constructor(parts: QueueParts) {
    this.store = parts.store;
    this.settings = parts.settings;
    this.mac = new EnvelopeMac(parts.settings.envelopeMacKey);
    this.jobMac = new JobMac(parts.settings.jobMacKey);
    this.observer = parts.observer;
    this.emit = parts.observer.emit;
    this.tally = parts.tally;
    this.clock = parts.clock;
    this.#scheduler = parts.scheduler;
    this.#lastNumber = Math.floor(parts.clock.now()) * NUMBERS_PER_MS;
    this.commits = new Commits(parts.store, parts.observer, parts.clock);
    this.quarantine = new Quarantine(this);
    const disk = () => readDisk(parts.settings.spool);
    this.#ballast = new Ballast(parts.settings.spool);
    this.#ballast.restore(disk());
    this.space = new Space(
      parts.settings.reserve,
      disk,
      () => this.store.unused(),
      () => this.#released ? this.#ballast.missing : 0,
    );
    this.commits.onfull = () => this.#release();
    this.commits.sparing = () => this.#released;
    this.ids = new Ids((range) => this.#taken(range));
    this.commits.onflushed = () => this.#sendTickets();
    this.commits.onerror = (error) => this.#alarm(error);
  }

  /** Other settings hold from now on. The keys of records and of MACs, and the spool, stay what they were. */
  configure(settings: QueueSettings): void {
    this.settings = settings;
    this.store.setCompression({ on: settings.compression });
    this.space.configure(settings.reserve);
    this.measure();
  }

  /** The database itself is damaged: this isolate ends, and the next one repairs it. */
  malformed(error: unknown): void {
    if (this.#malformed) return;
    this.#malformed = true;
    markSuspect(this.settings.spool);
    const text = systemReason(error);
    this.emit({ type: "log", level: "crit", text: `queue: the database is damaged and will be repaired: ${text}` });
    this.onmalformed(error);
  }

  /** Runs what a door receives, or what is left of it after a pause: damage of the database itself ends this isolate. */
  guard(work: () => void): void {
    try {
      work();
    } catch (error) {
      if (databaseFault(error) !== "corrupt") throw error;
      this.malformed(error);
    }
  }

  #taken(range: MessageRange): boolean {
    try {
      return this.store.taken(range);
    } catch (error) {
      // Nothing is put where nothing can be read.
      if (databaseFault(error) !== "corrupt") throw error;
      this.malformed(error);
      return true;
    }
  }

  /** Seconds that an envelope of this action is kept; null when the configuration has no such action. */
  ttlSeconds(action: string): number | null {
    if (action === "") return this.settings.ttlSeconds;
    const ttl = Object.hasOwn(this.settings.actionTtlSeconds, action)
      ? this.settings.actionTtlSeconds[action]
      : undefined;
    return ttl === undefined ? null : ttl ?? this.settings.ttlSeconds;
  }

  /** As ttlSeconds, for an envelope that is queued whatever the configuration says. */
  ttlOf(envelope: EnvelopeContent): number {
    return this.ttlSeconds(envelope.action) ?? this.settings.ttlSeconds;
  }

  /** From memory or from the database; null when it is not queued, or damaged: then it is set aside. */
  envelope(id: EnvelopeId): Envelope | null {
    const row = rowOf(id);
    const recent = this.recent.envelope(row);
    if (recent !== undefined) return recent;
    try {
      return this.store.envelope(row);
    } catch (error) {
      if (!(error instanceof Damaged)) throw error;
      this.quarantine.envelope(id, error.message);
      return null;
    }
  }

  /** A new envelope is durable: its ticket goes to the scheduler with the others of this commit. */
  enqueued(content: EnvelopeContent): void {
    this.#tickets.push({
      id: content.id,
      agent: content.agent,
      action: content.action,
      lane: laneOf(content),
      createdAt: content.createdAt,
      expiresAt: content.createdAt + this.ttlOf(content) * 1000,
      tries: 0,
      suspended: false,
    });
  }

  /** Envelopes that start-up found. Those of an unknown action are left alone, and `unknown` is called for them. */
  loaded(rows: readonly TicketRow[], unknown: (id: EnvelopeId, action: string) => void): void {
    const tickets: Ticket[] = [];
    for (const row of rows) {
      const id = envelopeIdOf(row);
      if (row.damaged !== undefined) {
        this.quarantine.envelope(id, row.damaged);
        continue;
      }
      if (this.quarantine.has(row)) continue;
      const ttl = this.ttlSeconds(row.action);
      if (ttl === null) {
        unknown(id, row.action);
        continue;
      }
      const { agent, action, lane, created_at, tries, suspended, last_try_at } = row;
      const retryClass = agent === "mta" ? retryClassOf(row.error) : undefined;
      const expiresAt = created_at + ttl * 1000;
      tickets.push({
        id,
        agent,
        action,
        lane: lane,
        createdAt: created_at,
        expiresAt,
        tries,
        suspended: suspended === 1,
        restored: true,
        ...(retryClass === undefined ? {} : { failed: { retryClass, at: last_try_at } }),
      });
    }
    if (tickets.length > 0) this.#scheduler.send({ type: "enqueued", tickets });
  }

  /** Looks how full the disk is. Where it is tight, the log is emptied before it is large, and free pages are given back. */
  measure(): void {
    this.#unmeasured = 0;
    if (this.space.room !== Infinity || this.#released) this.store.makeRoom();
    if (this.#ballast.missing > 0) this.#restoreBallast();
    this.space.measure(this.clock.now());
  }

  /** What is kept for removals and outcomes is theirs now. */
  #release(): boolean {
    if (!this.#ballast.release()) return false;
    this.#released = true;
    // First of all the log, which takes as much room as its pages do: with the last of the room gone it could never be emptied.
    this.store.emptyLog();
    this.warn("queue: the disk is full: what is kept for removals is used, mail is refused until it can be kept again");
    return true;
  }

  #restoreBallast(): void {
    this.#ballast.restore(readDisk(this.settings.spool));
    if (this.#ballast.missing === 0) this.#released = false;
  }

  /** So many bytes were stored: a disk that is nearly full is looked at more often. */
  stored(bytes: number): void {
    this.#unmeasured += bytes;
    if (this.#unmeasured > Math.min(MEASURE_BYTES, this.space.room / 4)) this.measure();
  }

  /** Numbers a message that was committed for an smtp isolate; relay and delivery get it, and the log keeps to it. */
  committed(message: MessageNumber, { isolate, life }: Omit<Acceptance, "number">): number {
    const number = ++this.#lastNumber;
    this.#accepted.set(message, { isolate, life, number });
    return number;
  }

  /** Undefined for what was accepted long ago, or not by smtp. */
  acceptanceOf(message: MessageNumber): Acceptance | undefined {
    return this.#accepted.get(message);
  }

  allLoaded(): void {
    this.#scheduler.send({ type: "loaded" });
  }

  settled(id: EnvelopeId, how: { readonly again: boolean; readonly retryClass?: RetryClass }): void {
    this.#scheduler.send({ type: "settled", id, ...how });
  }

  dropped(ids: readonly EnvelopeId[]): void {
    if (ids.length > 0) this.#scheduler.send({ type: "dropped", ids });
  }

  /** A line in the log of what happens. */
  info(text: string): void {
    this.emit({ type: "log", level: "info", text });
  }

  /** A line in the log of what should not happen. */
  warn(text: string): void {
    this.emit({ type: "log", level: "warn", text });
  }

  /** Erases the chunks of an orphan, a message without envelopes, a few at a time between other work. */
  erase(message: MessageNumber): void {
    this.#erasing.push(message);
    if (this.#erasing.length === 1) this.#eraseNext();
  }

  /** Erases what an earlier life of this isolate received in part or had begun to erase. */
  eraseOrphans(): void {
    for (const message of this.store.orphans()) this.erase(message);
  }

  #eraseNext(): void {
    const message = this.#erasing[0];
    if (message === undefined) return;
    let finished = false;
    this.commits.unsynced({
      frees: true,
      apply: () => {
        finished = this.store.eraseSome(message);
      },
      done: () => {
        if (finished) this.#erasing.shift();
        if (finished && this.observer.traces("queue")) {
          logTrace(this.observer, "queue", `purged message ${messageIdOf(message)}`);
        }
        this.#eraseNext();
      },
      failed: null,
    });
  }

  #sendTickets(): void {
    if (this.#tickets.length === 0) return;
    this.#scheduler.send({ type: "enqueued", tickets: this.#tickets });
    this.#tickets = [];
  }

  /** Every lasting failure of the disk is here: in the log, and in `smtpctl show status`. */
  #alarm(error: unknown): void {
    const now = this.clock.now();
    this.diskErrors.note(error, now);
    if (databaseFault(error) === "corrupt") this.malformed(error);
    if (databaseFault(error) === "full") {
      this.space.full(now);
      this.store.makeRoom();
    }
    if (now - this.#alarmAt < ALARM_MS) return;
    this.#alarmAt = now;
    const text = systemReason(error);
    this.emit({ type: "log", level: "crit", text: `queue: cannot write to the spool: ${text}` });
  }
}
