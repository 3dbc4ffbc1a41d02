/** Answers the requests of smtpctl and the admin page by asking the other isolates. Uses no sockets. The long function is one switch, a case per request. */

import { type EnvelopeCursor, type EnvelopeId, LAST_ENVELOPE_ID, type MessageId } from "../envelope/mod.ts";
import {
  type AdminActEvent,
  type Counts,
  formatStats,
  type LogLevel,
  type Stats,
  type Trace,
  TRACES,
} from "../events/mod.ts";
import { Caller, type Isolate } from "../isolate/mod.ts";
import type {
  CertificateEntry,
  Checked,
  ConfigurationState,
  ControlToMain,
  DamagedEntry,
  HistoryQuery,
  HistoryState,
  HostRecord,
  MainAnswer,
  ProcessWalls,
  QueueToControl,
  RelayRecord,
  SchedulerToControl,
  Target,
} from "../protocol/mod.ts";
import { formatFinding, summaryOf } from "../findings/mod.ts";
import { describeLane } from "../story/mod.ts";
import { Activity } from "./activity.ts";
import { AdminTokens } from "./admin_tokens.ts";
import type { MainCaller } from "./main_caller.ts";
import { failed, shown } from "./answers.ts";
import { classifyOutcome } from "./classified.ts";
import type { ControlRequest, Subsystem } from "./parse.ts";
import { type ControlAnswer, type JsonRecord, MONITOR_PERIOD_MS, type Rates, type TopSample } from "./protocol.ts";
import {
  type FoundPage,
  type HistoryCaller,
  HistoryFault,
  HistoryRequests,
  type Recalled,
  relayOf,
} from "./history_requests.ts";
import { describeHistory, historyRecord, type KnownHistory } from "./history_status.ts";
import { notQueued, QueueRequests, type QueueRow } from "./queue_requests.ts";
import {
  certificateRecord,
  damagedRecord,
  describeCertificate,
  describeToken,
  dkimRecord,
  envelopeRecord,
  laneRecord,
  relayRecords,
  statsRecord,
  statusRecord,
  tokenRecord,
} from "./records.ts";
import { type Clock, sleep, systemClock } from "../clock.ts";
import type { Dialogue } from "../story/mod.ts";

/** A peer that does not answer a health question in this time counts as ill, in ms. */
const HEALTH_TIMEOUT_MS = 2_000;

/** Rows of each list that `top` gets at most. */
const MAX_TOP_ROWS = 100;
type Ages = Extract<SchedulerToControl, { type: "ages" }>;

/** What is looked at for each request of `/metrics`: sizes in bytes, an age in seconds, a time in seconds since the epoch. */
export interface Measures {
  readonly queueAges: Counts | null;
  readonly queueOldest: number | null;
  readonly diskFree: number | null;
  readonly diskSize: number | null;
  readonly certificateExpiry: number | null;
}

const NO_LANES: Pick<Extract<SchedulerToControl, { type: "lanes" }>, "lanes" | "count" | "oldestAt"> = {
  lanes: [],
  count: 0,
  oldestAt: null,
};
const NO_RELAYS: { readonly relays?: readonly RelayRecord[] } = {};
const NO_HOSTS: { readonly hosts?: readonly HostRecord[] } = {};

/** Who asks at the control socket. */
const SMTPCTL = "smtpctl";

/** A question to main, without its number. */
type MainRequest = DistributiveOmit<
  Exclude<ControlToMain, { type: "log" | "walls" | "files" | "reload" | "configuration" | "certificates" }>,
  "call"
>;
type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never;

/** Answers each request by asking the isolate that has the answer. */
export class ControlRequests {
  /** Takes in the events for those who look on. */
  readonly activity = new Activity();
  /** Those of the admin page. */
  readonly tokens: AdminTokens;
  readonly #isolate: Isolate<"control">;
  readonly #stats: Stats;
  readonly #log: (level: LogLevel, text: string) => void;
  readonly #queue;
  readonly #scheduler;
  readonly #queued: QueueRequests;
  readonly #history: HistoryRequests;
  readonly #relay;
  readonly #lookup;
  readonly #paused: Record<Subsystem, boolean>;
  readonly #traces: Set<Trace>;
  readonly #clock: Clock;
  readonly #main: MainCaller;
  #lastCheckup: Checked | null = null;

  /** `main` asks main, `history` the isolate of the history; `log` writes a line of this isolate. */
  constructor(
    isolate: Isolate<"control">,
    { main, history }: { readonly main: MainCaller; readonly history: HistoryCaller },
    stats: Stats,
    log: (level: LogLevel, text: string) => void,
    clock: Clock = systemClock,
  ) {
    this.#clock = clock;
    this.#isolate = isolate;
    this.#main = main;
    this.tokens = new AdminTokens(main, clock);
    this.#stats = stats;
    this.#log = log;
    this.#queue = new Caller(isolate.ask("control-queue"));
    this.#scheduler = new Caller(isolate.ask("control-scheduler"));
    this.#relay = new Caller(isolate.ask("control-relay"));
    this.#lookup = new Caller(isolate.ask("control-lookup"));
    this.#queued = new QueueRequests(this.#queue, this.#scheduler, () => isolate.settings.listing);
    this.#history = new HistoryRequests({
      history,
      queue: this.#queue,
      scheduler: this.#scheduler,
      relays: async () => (await this.#relay.ask<"records">({ type: "show-records", what: "relays" })).relays ?? [],
      recording: () => isolate.recording === true,
      configFile: async () => (await this.#configuration())?.file ?? null,
      envelopesPerPage: () => isolate.settings.listing.envelopes,
      clock,
    });
    this.#paused = { ...isolate.settings.paused };
    this.#traces = new Set(TRACES.filter((trace) => isolate.traces(trace)));
    this.#scheduler.onreset = () => this.#pauseAgain();
  }

  /** At most `limit` envelopes after the id `after`, of one message or of all, with where each stands. */
  queuePage(after: EnvelopeCursor, limit: number, message: MessageId | null = null): Promise<QueueRow[]> {
    return this.#queued.queuePage(after, limit, message);
  }

  /** One envelope, with where it stands; null when it is not in the queue. */
  async queueRow(id: EnvelopeId): Promise<QueueRow | null> {
    const { envelope } = await this.#envelope(id);
    if (envelope === null) return null;
    const { states: [state] } = await this.#scheduler.ask<"states">({ type: "states", ids: [id] });
    return { envelope, state: state ?? { id, state: "unknown", at: 0 } };
  }

  /** The lanes that hold most and the oldest, each with how it stands in a sentence. */
  async laneRecords(): Promise<JsonRecord[]> {
    const [{ lanes }, { relays = [] }] = await Promise.all([
      this.#scheduler.ask<"lanes">({ type: "lanes", most: MAX_TOP_ROWS }),
      this.#relay.ask<"records">({ type: "show-records", what: "relays" }).catch(() => NO_RELAYS),
    ]);
    const now = this.#clock.now();
    return lanes.map((lane) => laneRecord(lane, describeLane(lane, relayOf(lane, relays), now)));
  }

  /** Messages of the history, newest first; `before` is the `next` of the page before. Rejects with HistoryFault, whose message is for people. */
  find(query: HistoryQuery, page: { readonly limit: number; readonly before?: string }): Promise<FoundPage> {
    return this.#history.find(query, page);
  }

  /** The story of a message, an envelope, a session or a refusal. Rejects with HistoryFault where nothing is known of the id. */
  story(id: string): Promise<Recalled> {
    return this.#history.story(id);
  }

  /** What was said in the sessions of it. Rejects as `story` does. */
  dialogue(id: string): Promise<readonly Dialogue[]> {
    return this.#history.dialogue(id);
  }

  get uptimeSeconds(): number {
    return (Date.now() - this.#isolate.settings.startedAt) / 1000;
  }

  /** The answers to one request; the last has `ok`. `by`: who asks, for the record of what was done. */
  async *answer(request: ControlRequest, by: string = SMTPCTL): AsyncGenerator<ControlAnswer> {
    if (request.json === true) {
      const records = this.#records(request);
      if (records !== null) return yield* records;
    }
    switch (request.do) {
      case "show-queue":
        return yield* this.#queued.showQueue(request.message);
      case "show-message":
        return yield* this.#queued.showMessage(request.message);
      case "show-envelope": {
        const { text } = await this.#envelope(request.envelope);
        if (text === null) return yield failed(notQueued({ envelope: request.envelope }));
        return yield* shown(text.replace(/\n$/, "").split("\n"));
      }
      case "show-stats":
        return yield* shown(formatStats(this.#stats, this.uptimeSeconds));
      case "show-status":
        return yield* shown([
          ...(["mda", "mta", "smtp"] as const).map((one) => this.#status(one)),
          ...await this.diskErrors(),
          ...describeHistory(await this.#historyState()),
          ...await this.#walls(),
          ...describeConfiguration(await this.#configuration()),
        ]);
      case "show-damaged":
        return yield* shown(
          (await this.#damaged()).map(({ id, foundAt, reason }) =>
            `${id}|${new Date(foundAt).toISOString()}|${reason}`
          ),
        );
      case "show-certificates":
        return yield* shown((await this.#certificates()).map(describeCertificate));
      case "show-relay":
        return yield* shown((await this.#relay.ask<"shown">({ type: "show", what: request.what })).lines);
      case "check": {
        const { findings } = await this.checkup(request.blocklists);
        for (const finding of findings) yield { finding };
        return yield { ok: true };
      }
      case "find":
        return yield* this.#find(request);
      case "story":
        return yield* this.#story(request);
      case "monitor":
        return yield* this.#monitor();
      case "top":
        return yield* this.#top(request.intervalMs);
      case "export":
        yield { total: this.#stats.get("scheduler.envelope") };
        return yield* this.#queued.export();
      case "backup":
        // The files of the configuration come with the first answer.
        if (request.step === "begin") {
          for (const line of (await this.#main.ask<"files">({ type: "files" })).paths) yield { line };
        }
        return yield* this.#queued.backup(request);
      case "discover":
        return yield* this.#queued.discover(request);
      case "schedule": {
        const count = await this.#queued.scheduleAll(request.target);
        this.#acted(by, { act: "retry", ...targetOf(request), count });
        return yield await this.#queued.counted(request, count);
      }
      case "remove": {
        const { count, whole } = await this.#queued.remove(request.target);
        this.#acted(by, { act: "remove", ...targetOf(request), count });
        return yield whole ? { ok: true, count } : await this.#queued.counted(request, count);
      }
      case "pause-envelope":
      case "resume-envelope": {
        const count = await this.#queued.setSuspended(request.target, { suspended: request.do === "pause-envelope" });
        this.#acted(by, { act: request.do === "pause-envelope" ? "hold" : "release", ...targetOf(request), count });
        return yield await this.#queued.counted(request, count);
      }
      case "pause":
      case "resume":
        if (this.#paused[request.what] !== (request.do === "pause")) {
          this.#acted(by, { act: request.do, what: request.what });
        }
        return yield await this.#setPaused(request.what, { paused: request.do === "pause" });
      case "resume-route": {
        const { lines: [error] } = await this.#relay.ask<"shown">({ type: "resume-route", route: request.route });
        return yield error === undefined ? { ok: true } : failed(error);
      }
      case "log":
        if (!request.verbose) this.#traces.clear();
        return yield await this.#setVerbosity(request.verbose);
      case "trace":
      case "untrace":
        this.#mark(request.what, { on: request.do === "trace" });
        return yield await this.#setVerbosity(this.#isolate.verbose);
      case "update-table": {
        const checked = await this.#askMain({ type: "check-table", table: request.table });
        if (checked.error !== null) return yield failed(checked.error);
        const { error } = await this.#lookup.ask<"updated">({ type: "update-table", table: request.table });
        return yield error === null ? { ok: true } : failed(error);
      }
      case "reload": {
        const { lines, faults } = await this.#main.ask<"reloaded">({ type: "reload" });
        for (const line of [...lines, ...faults]) yield { line };
        return yield faults.length === 0 ? { ok: true } : failed("nothing is changed: smtpd goes on with what it has");
      }
      case "stop":
        await this.#askMain({ type: "stop" });
        return yield { ok: true };
      case "update-pki":
      case "update-dkim": {
        const { error } = await this.#askMain({ type: request.do });
        return yield error === null ? { ok: true } : failed(error);
      }
      case "admin-token": {
        const added = await this.tokens.add(request);
        if ("error" in added) return yield failed(added.error);
        this.#acted(by, { act: "token-made", what: added.name });
        yield { record: { name: added.name } };
        return yield { ok: true };
      }
      case "admin-tokens": {
        const { tokens, error } = await this.tokens.state();
        if (error !== null) return yield failed(error);
        return yield* shown(tokens.map((token) => describeToken(token, this.#clock.now())));
      }
      case "admin-revoke": {
        const error = await this.tokens.remove(request.name);
        if (error !== null) return yield failed(error);
        this.#acted(by, { act: "token-revoked", what: request.name });
        return yield { ok: true };
      }
      case "dkim-check":
        return yield* this.#dkim({ type: "dkim-check" });
      case "dkim-rotate":
        return yield* this.#dkim({ type: "dkim-rotate", domain: request.domain });
    }
    request satisfies never;
  }

  /** The answers as records; null for a request that has none. */
  #records(request: ControlRequest): AsyncGenerator<ControlAnswer> | null {
    switch (request.do) {
      case "show-queue":
        return this.#queued.showQueue(request.message, "records");
      case "show-envelope":
        return this.#showEnvelope(request.envelope);
      case "show-stats":
        return this.#inRecords(() => [statsRecord(this.#stats.entries(), this.uptimeSeconds)]);
      case "show-status":
        return this.#inRecords(
          async () => [statusRecord(this.#paused, {
            problems: await this.diskErrors(),
            history: historyRecord(await this.#historyState()),
            configuration: await this.#configuration(),
            processes: await this.#processes(),
          })],
        );
      case "show-damaged":
        return this.#inRecords(async () => (await this.#damaged()).map(damagedRecord));
      case "show-certificates":
        return this.#inRecords(async () => (await this.#certificates()).map(certificateRecord));
      case "show-relay":
        return this.#inRecords(async () =>
          relayRecords(await this.#relay.ask<"records">({ type: "show-records", what: request.what }))
        );
      case "admin-tokens":
        return this.#tokenRecords();
      case "dkim-check":
        return this.#dkim({ type: "dkim-check" }, "records");
      default:
        return null;
    }
  }

  /**
   * Reports what was done; nothing where it has changed no envelope: an id that is not there is none of a message. Of smtpctl that is a part of the
   * story of a message, and of nothing else.
   */
  #acted(by: string, act: Omit<AdminActEvent, "type" | "by">): void {
    if (act.count === 0) return;
    this.#isolate.emit({ type: "admin-act", by, ...act });
  }

  async *#tokenRecords(): AsyncGenerator<ControlAnswer> {
    const { tokens, error } = await this.tokens.state();
    if (error !== null) return yield failed(error);
    for (const token of tokens) yield { record: tokenRecord(token, this.#clock.now()) };
    yield { ok: true };
  }

  async *#inRecords(make: () => JsonRecord[] | Promise<JsonRecord[]>): AsyncGenerator<ControlAnswer> {
    for (const record of await make()) yield { record };
    yield { ok: true };
  }

  async *#showEnvelope(id: EnvelopeId): AsyncGenerator<ControlAnswer> {
    const { envelope } = await this.#envelope(id);
    if (envelope === null) return yield failed(notQueued({ envelope: id }));
    yield { record: envelopeRecord(envelope, classifyOutcome) };
    yield { ok: true };
  }

  #envelope(id: EnvelopeId): Promise<Extract<QueueToControl, { type: "envelope" }>> {
    return this.#queue.ask<"envelope">({ type: "envelope", id });
  }

  async #certificates(): Promise<readonly CertificateEntry[]> {
    return (await this.#main.ask<"certificates">({ type: "certificates" })).certificates;
  }

  async #damaged(): Promise<readonly DamagedEntry[]> {
    return (await this.#queue.ask<"damaged">({ type: "damaged" })).entries;
  }

  /** What main has to say of the keys of DKIM. */
  async *#dkim(
    question: { readonly type: "dkim-check" } | { readonly type: "dkim-rotate"; readonly domain: string },
    form: "lines" | "records" = "lines",
  ): AsyncGenerator<ControlAnswer> {
    const { lines, keys = [], error } = await this.#main.ask<"dkim">(question);
    if (form === "records") { for (const key of keys) yield { record: dkimRecord(key) }; }
    else for (const line of lines) yield { line };
    yield error === null ? { ok: true } : failed(error);
  }

  /** What the last check found, of the day or asked for; null before there was one. */
  get lastCheckup(): Checked | null {
    return this.#lastCheckup;
  }

  /** Has main check this host now. */
  async checkup(blocklists: readonly string[] = []): Promise<Checked> {
    const queue = await this.#queued.facts(this.#pausedNames(), await this.diskErrors());
    const { checked } = await this.#main.ask<"checked">({ type: "checkup", queue, blocklists, keeps: false });
    if (checked === null) throw new Error("main has not checked this host");
    this.#lastCheckup = checked;
    return checked;
  }

  /** The check of the day: what became worse since the one before is logged. */
  async dailyCheckup(): Promise<void> {
    const queue = await this.#queued.facts(this.#pausedNames(), await this.diskErrors());
    const { checked, worse } = await this.#main.ask<"checked">({ type: "checkup", queue, blocklists: [], keeps: true });
    if (checked === null) return;
    this.#lastCheckup = checked;
    this.#log("info", `info: check: ${summaryOf(checked.findings)}`);
    for (const one of worse) this.#log("warn", `warn: check: ${formatFinding(one).replace(/ +/, " ")}`);
  }

  /** When the last check of the day was, in milliseconds since the epoch; null for never. What it found is shown from now on. */
  async loadCheckup(): Promise<number | null> {
    const { checked } = await this.#main.ask<"checked">({ type: "last-checkup" });
    this.#lastCheckup ??= checked;
    return checked?.at ?? null;
  }

  #pausedNames(): Subsystem[] {
    return (["mda", "mta", "smtp"] as const).filter((what) => this.#paused[what]);
  }

  /** Asks the isolates that mail cannot do without whether they answer. True for those that do in time. */
  async health(): Promise<{ readonly queue: boolean; readonly scheduler: boolean }> {
    const [queue, scheduler] = await Promise.all([
      inTime(
        this.#clock,
        this.#queue.ask<"listed">({ type: "list", message: null, after: LAST_ENVELOPE_ID, limit: 1 }),
      ),
      inTime(this.#clock, this.#scheduler.ask<"states">({ type: "states", ids: [] })),
    ]);
    return { queue, scheduler };
  }

  /** What is measured for `/metrics`; null for what does not answer. */
  async measure(): Promise<Measures> {
    const [ages, answer, certificates] = await Promise.all([
      this.ages(),
      this.#queue.ask<"disk-errors">({ type: "disk-errors" }).catch(() => null),
      this.#certificates().catch(() => []),
    ]);
    const first = Math.min(...certificates.map(({ notAfter }) => notAfter));
    return {
      queueAges: ages,
      queueOldest: ages?.oldest ?? null,
      diskFree: answer?.disk?.free ?? null,
      diskSize: answer?.disk?.total ?? null,
      certificateExpiry: Number.isFinite(first) ? Math.floor(first / 1000) : null,
    };
  }

  /** How old what is in the queue is; null when the scheduler does not answer. */
  ages(): Promise<Ages | null> {
    return this.#scheduler.ask<"ages">({ type: "ages" }).catch(() => null);
  }

  /** What is wrong with the spool, a line each. */
  async diskErrors(): Promise<readonly string[]> {
    let lines: readonly string[] = ["QUEUE not answering"];
    await inTime(
      this.#clock,
      this.#queue.ask<"disk-errors">({ type: "disk-errors" }).then((answer) => lines = answer.lines),
    );
    return lines;
  }

  /** Why mail is refused although all isolates answer, a sentence each. */
  async refusals(): Promise<readonly string[]> {
    const full = (await this.diskErrors()).filter((line) => line.startsWith("QUEUE disk full"));
    let tables: readonly string[] = ["lookup does not answer"];
    await inTime(
      this.#clock,
      this.#lookup.ask<"table-faults">({ type: "table-faults" }).then(({ faults }) => tables = faults),
    );
    let missing: string | null = "main does not answer";
    await inTime(
      this.#clock,
      this.#askMain({ type: "isolates" }).then(({ error }) => {
        missing = error === null ? null : `isolates that do not run: ${error}`;
      }),
    );
    return [...full.map((line) => line.replace(/^QUEUE /, "")), ...tables, ...missing === null ? [] : [missing]];
  }

  paused(what: Subsystem): boolean {
    return this.#paused[what];
  }

  async #historyState(): Promise<KnownHistory> {
    return await this.#history.state().catch(() => "silent" as const);
  }

  async *#find({ query, limit, before }: Extract<ControlRequest, { do: "find" }>): AsyncGenerator<ControlAnswer> {
    try {
      const { messages, next, stopped } = await this.find(query, { limit, before });
      for (const found of messages) yield { found };
      const state = await this.#history.state();
      yield { search: { next, stopped, oldestAt: state?.oldestAt ?? null, notes: notesOf(state) } };
    } catch (error) {
      if (!(error instanceof HistoryFault)) throw error;
      return yield failed(error.message);
    }
    yield { ok: true };
  }

  async *#story({ id, dialogue }: Extract<ControlRequest, { do: "story" }>): AsyncGenerator<ControlAnswer> {
    try {
      yield { story: (await this.story(id)).story };
      if (dialogue) { for (const one of await this.dialogue(id)) yield { dialogue: one }; }
    } catch (error) {
      if (!(error instanceof HistoryFault)) throw error;
      return yield failed(error.message);
    }
    yield { ok: true };
  }

  /** Endless: ends when its reader does. */
  async *#monitor(): AsyncGenerator<ControlAnswer> {
    for (;;) {
      yield { sample: this.#stats.sample() };
      await sleep(MONITOR_PERIOD_MS, this.#clock);
    }
  }

  /** Endless, too. */
  async *#top(intervalMs: number): AsyncGenerator<ControlAnswer> {
    const clock = this.#clock, watched = this.activity.watch(clock.steady());
    try {
      for (let rates: Rates | null = null;; rates = watched.take(clock.steady())) {
        yield { top: await this.look(rates) };
        await sleep(intervalMs, clock);
      }
    } finally {
      watched.end();
    }
  }

  /** What `top` shows now. An isolate that is being replaced has nothing to say. */
  async look(rates: Rates | null): Promise<TopSample> {
    const [{ lanes, count, oldestAt }, { hosts = [] }] = await Promise.all([
      this.#scheduler.ask<"lanes">({ type: "lanes", most: MAX_TOP_ROWS }).catch(() => NO_LANES),
      this.#relay.ask<"records">({ type: "show-records", what: "hosts", slowest: MAX_TOP_ROWS }).catch(() => NO_HOSTS),
    ]);
    return {
      serverName: this.#isolate.settings.shared.serverName,
      at: this.#clock.now(),
      uptimeSeconds: Math.floor(this.uptimeSeconds),
      rates,
      sessions: this.#stats.get("smtp.session"),
      relaySessions: this.#stats.get("mta.session"),
      localDeliveries: this.#stats.get("mda.running"),
      envelopes: this.#stats.get("scheduler.envelope"),
      inflight: this.#stats.get("scheduler.envelope.inflight"),
      oldestAt,
      paused: (["smtp", "mda", "mta"] as const).filter((what) => this.#paused[what]),
      laneCount: count,
      lanes,
      hosts,
    };
  }

  async #setPaused(what: Subsystem, { paused }: { readonly paused: boolean }): Promise<ControlAnswer> {
    const changed = what === "smtp"
      ? (await this.#askMain({ type: "pause-smtp", paused })).changed
      : (await this.#scheduler.ask<"paused">({ type: "pause", agent: what, paused })).changed;
    this.#paused[what] = paused;
    if (!changed) return failed(`${what} is ${paused ? "paused" : "running"} already`);
    this.#log("info", `info: ${what} ${paused ? "paused" : "resumed"}`);
    return { ok: true };
  }

  /** A new scheduler starts with the state of the command line: what smtpctl paused and resumed since is sent to it. */
  #pauseAgain(): void {
    for (const agent of ["mda", "mta"] as const) {
      if (this.#paused[agent] === this.#isolate.settings.paused[agent]) continue;
      this.#scheduler.ask<"paused">({ type: "pause", agent, paused: this.#paused[agent] }).catch(() => {
        // It ended once more: the next reset asks again.
      });
    }
  }

  #mark(what: Trace | "all", { on }: { readonly on: boolean }): void {
    for (const trace of what === "all" ? TRACES : [what]) {
      if (on) this.#traces.add(trace);
      else this.#traces.delete(trace);
    }
  }

  async #setVerbosity(verbose: boolean): Promise<ControlAnswer> {
    await this.#askMain({ type: "verbosity", verbose, traces: [...this.#traces] });
    return { ok: true };
  }

  #status(what: Subsystem): string {
    return `${what.toUpperCase()} ${this.#paused[what] ? "paused" : "running"}`;
  }

  /** Which configuration is in use; null when main does not answer. */
  async #configuration(): Promise<ConfigurationState | null> {
    let found: ConfigurationState | null = null;
    await inTime(
      this.#clock,
      this.#main.ask<"configuration">({ type: "configuration" }).then((answer) => found = answer),
    );
    return found;
  }

  /** What stands around each process, and what each isolate may do. */
  async #walls(): Promise<readonly string[]> {
    const processes = await this.#processes();
    return processes === null ? ["PROCESS unknown: main does not answer"] : processes.flatMap(describeWalls);
  }

  /** Null when main does not answer. */
  async #processes(): Promise<readonly ProcessWalls[] | null> {
    let found: readonly ProcessWalls[] | null = null;
    await inTime(
      this.#clock,
      this.#main.ask<"walls">({ type: "walls" }).then(({ processes }) => found = processes),
    );
    return found;
  }

  #askMain(request: MainRequest): Promise<MainAnswer> {
    return this.#main.ask<"answer">(request);
  }
}

/** What of an act's target is one thing. */
function targetOf({ target }: { readonly target: Target }): Pick<AdminActEvent, "envelope" | "message" | "what"> {
  if (target === "all") return { what: "all" };
  return "domain" in target ? { what: target.domain } : target;
}

/** What is wrong with the history, for who looks for something in it. */
function notesOf(state: HistoryState | null): string[] {
  if (state === null) return [];
  return [
    ...state.stopped === null ? [] : [`nothing is recorded now: ${state.stopped}`],
    ...state.damaged.map((file) => `a part of the history cannot be read and was set aside: ${file}`),
    ...state.leftOut === 0 ? [] : [`${state.leftOut} events were not recorded since the history was started`],
  ];
}

/** Lines about the configuration: when it was read, and how many sessions go on with older ones. */
function describeConfiguration(state: ConfigurationState | null): string[] {
  if (state === null) return ["CONFIG unknown: main does not answer"];
  const { file, readAt, generation, olderGenerations, olderSessions } = state;
  const old = olderGenerations === 0
    ? ""
    : `, ${olderSessions} session${olderSessions === 1 ? "" : "s"} of ${olderGenerations} older one${
      olderGenerations === 1 ? "" : "s"
    }`;
  return [`CONFIG ${file} read ${new Date(readAt).toISOString()}, generation ${generation}${old}`];
}

/** Lines about one process: what the kernel says of it, what it says itself, what is missing, and its isolates. */
function describeWalls({ process, pid, stands, says, missing, isolates }: ProcessWalls): string[] {
  const name = `PROCESS ${process}`;
  return [
    `${name} ${pid === null ? "does not run" : `pid ${pid}: ${stands.join(", ")}`}`,
    ...says.length === 0 ? [] : [`${name} says of itself: ${says.join(", ")}`],
    ...missing.length === 0 ? [] : [`${name} lacks: ${missing.join("; ")}`],
    ...isolates.map((isolate) => `${name} isolate ${isolate}`),
  ];
}

/** Returns whether `answer` comes before HEALTH_TIMEOUT_MS have passed. */
async function inTime(clock: Clock, answer: Promise<unknown>): Promise<boolean> {
  let cancelLimit = () => {};
  const late = new Promise<boolean>((resolve) => {
    cancelLimit = clock.after(HEALTH_TIMEOUT_MS, () => resolve(false));
  });
  try {
    return await Promise.race([answer.then(() => true, () => false), late]);
  } finally {
    cancelLimit();
  }
}
