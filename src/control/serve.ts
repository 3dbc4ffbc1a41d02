/** Puts the control isolate together: events in, log and statistics out, the control socket and the admin page on top. One function is long: each part needs the others. */

import type net from "node:net";
import type { AdminServer } from "../admin/mod.ts";
import { type Event, eventLevel, formatEvent, type LogLevel, type StatEvent, Stats } from "../events/mod.ts";
import type { ControlToMain, Peer } from "../protocol/mod.ts";
import { attributed, REPORTERS } from "../protocol/events.ts";
import { isolateName } from "../protocol/roles.ts";
import { ADMIN_LISTENER } from "../protocol/main.ts";
import { Caller, type Isolate } from "../isolate/mod.ts";
import { adoptSocket } from "../sockets/mod.ts";
import { startAdminServer } from "./admin_server.ts";
import { adminSource, type AdminSourceDeps, Outcomes } from "./admin_source.ts";
import { checkDaily } from "./daily_check.ts";
import type { Activity } from "./activity.ts";
import { classified } from "./classified.ts";
import type { MainCaller } from "./main_caller.ts";
import { ControlRequests } from "./requests.ts";
import { DaySeries } from "./day_series.ts";
import { FailingDomains } from "./failing_domains.ts";
import { EventFlow } from "./flow.ts";
import { Logbook, type LogOutput, outputsOf } from "./logbook.ts";
import { OpenSessions } from "./open_sessions.ts";
import { HistoryDoor, type HistoryRecorder, recordHistory } from "./recorder.ts";
import { Ordering } from "./ordering.ts";
import { ControlSessions } from "./sessions.ts";
import { systemClock } from "../clock.ts";

/** Runs the control isolate: log, statistics, control socket, admin page. Connections of the control socket and of the admin address are handed over by main. */
export function serveControl(isolate: Isolate<"control">): void {
  const stats = new Stats();
  const main: MainCaller = new Caller(isolate.ask("control-main"));
  const outputs = () => logOutputs(isolate, (message) => main.send(message));
  const logbook = new Logbook(outputs());
  const log = (level: LogLevel, text: string) => logbook.line(level, text);
  isolate.onsettings = (changes) => {
    if (changes.log !== undefined) logbook.redirect(outputs());
  };
  const history = new HistoryDoor(isolate.ask("control-history"));
  const requests = new ControlRequests(isolate, { main, history }, stats, log);
  const sessions = new ControlSessions({
    uid: isolate.settings.uid,
    maxConnections: isolate.settings.maxConnections.control,
    answer: (request, uid) => requests.answer(request, uid === 0 ? "smtpctl" : `smtpctl:${uid}`),
    oncount: (open) => stats.set("control.session", open),
  });
  const recorder = recordHistory({ isolate, history, stats, log });
  // The events of this isolate itself pass no door.
  const books: Books = {
    ...{ isolate, stats, logbook, activity: requests.activity, recorder },
    sessions: new OpenSessions(() => systemClock.now()),
    outcomes: new Outcomes(),
    series: new DaySeries(systemClock, async () => (await requests.ages())?.counts ?? null),
    failing: new FailingDomains(),
  };
  isolate.emit = (event) => take(books, event, { peer: 0, name: "control" });
  const ordering = new Ordering(systemClock.steady);
  for (const role of REPORTERS) {
    isolate.serve(`${role}-control`, (channel, { peer, life }) => {
      const from = { peer, name: isolateName(role, peer) };
      const emit = (event: Event) => take(books, event, from);
      const flow = new EventFlow(systemClock.steady, (leftOut) => {
        log("warn", `warn: control: isolate ${from.name} reports too much: ${leftOut} events were left out`);
      });
      channel.onmessage = (sent) => {
        // Nothing is kept of a number, and attempts wait for it.
        if (sent.type === "smtp-committed") return ordering.reported({ isolate: peer, number: sent.number });
        if (!flow.take()) return;
        if (sent.type === "delivery") ordering.after(sent.accepted, () => emit(sent));
        else emit(attributed(role, sent));
      };
      if (life > 1) stats.add("isolate.restart", 1);
      if (role !== "smtp") return;
      ordering.addReporter({ isolate: peer, life }, { known: (isolate.life ?? 1) === 1 });
      channel.onreset = () => {
        ordering.lost(peer);
        stats.forgetSessions(peer);
        books.sessions.lost(peer);
      };
    });
  }
  const admin = new AdminPage(
    { ...books, requests, clock: systemClock },
    (text) => log("warn", text),
  );
  admin.configure();
  let sinks = isolate.settings.log;
  isolate.onreload = () => {
    const { settings } = isolate;
    if (JSON.stringify(settings.log) !== JSON.stringify(sinks)) logbook.redirect(outputs());
    sinks = settings.log;
    admin.configure();
  };
  const stopChecking = checkEveryDay(requests, log);
  main.onmessage = (message) => {
    if (message.type !== "session") return;
    const { listener, peer } = message, socket = adoptSocket(message.descriptor);
    if (listener !== ADMIN_LISTENER) {
      sessions.serve(socket, peer).catch((error) => log("warn", `warn: control: ${error.message}`));
    } else admin.serve(socket, peer);
  };
  isolate.onstop = () => {
    stopChecking();
    sessions.close();
    admin.close();
    ordering.flush();
    logbook.flush();
    return recorder.flush();
  };
}

/** What events end in. */
interface Books {
  readonly isolate: Isolate<"control">;
  readonly stats: Stats;
  readonly logbook: Logbook;
  readonly activity: Activity;
  readonly sessions: OpenSessions;
  readonly outcomes: Outcomes;
  readonly recorder: HistoryRecorder;
  readonly series: DaySeries;
  readonly failing: FailingDomains;
}

/** Returns what ends it. */
function checkEveryDay(requests: ControlRequests, log: (level: LogLevel, text: string) => void): () => void {
  return checkDaily({
    clock: systemClock,
    random: Math.random,
    lastAt: () => requests.loadCheckup(),
    check: () => requests.dailyCheckup(),
    warn: (text) => log("warn", text),
  });
}

/** One event: counted always, logged when its level is enabled. A malformed one must not take the log down. */
function take(
  { isolate, stats, logbook, activity, sessions, outcomes, recorder, series, failing }: Books,
  reported: Event,
  { peer, name }: { readonly peer: number; readonly name: string },
): void {
  try {
    const event = classified(reported, { recording: isolate.recording === true });
    stats.observe(event, peer);
    activity.observe(event);
    if (isolate.settings.admin.length > 0) sessions.observe(event, peer);
    outcomes.observe(event);
    recorder.take(event, name);
    series.observe(event);
    if (event.type === "delivery") failing.observe(event, systemClock.now());
    if (event.type === "count" || event.type === "gauge" || event.type === "histogram") {
      if (!isolate.traces("stat")) return;
      const trace = statTrace(event);
      return logbook.line("debug", formatEvent(trace)!, { event: trace, isolate: name });
    }
    if (event.type === "trace" && !isolate.traces(event.trace)) return;
    const level = eventLevel(event);
    if (level === "debug" && event.type !== "trace" && !isolate.verbose) return;
    const line = formatEvent(event);
    if (line !== null) logbook.line(level, line, { event, isolate: name });
  } catch (error) {
    logbook.line("warn", `warn: control: cannot log an event: ${(error as Error).message}`);
  }
}

function statTrace(event: StatEvent): Event {
  const change = event.type === "gauge"
    ? `${event.key} = ${event.to}`
    : `${event.key} +${event.type === "count" ? event.by : event.counts.reduce((sum, count) => sum + count, 0)}`;
  return { type: "trace", trace: "stat", text: `stat: ${change}` };
}

function logOutputs(isolate: Isolate<"control">, send: (message: ControlToMain) => void): LogOutput[] {
  return outputsOf(
    isolate.settings.log,
    (bytes) => Deno.stderr.writeSync(bytes),
    (target, lines) => send({ type: "log", target, lines }),
  );
}

/** The admin server; null while nothing is served. */
class AdminPage {
  readonly #deps: AdminSourceDeps;
  readonly #warn: (text: string) => void;
  #server: Promise<AdminServer> | null = null;

  constructor(deps: AdminSourceDeps, warn: (text: string) => void) {
    this.#deps = deps;
    this.#warn = warn;
  }

  /** Serves what the settings name from now on: the server is loaded when it is needed first. */
  configure(): void {
    const { settings } = this.#deps.isolate, { admin: listeners } = settings;
    this.#deps.series.configure({ on: listeners.length > 0 });
    if (listeners.length === 0) {
      this.close();
      this.#server = null;
    } else if (this.#server === null) {
      const source = adminSource(this.#deps);
      this.#server = startAdminServer({ listeners, maxConnections: settings.maxConnections.admin, source });
      this.#server.catch((error) => this.#warn(`warn: admin: the page cannot be served: ${error.message}`));
    } else void this.#server.then((server) => server.configure(listeners), () => {});
  }

  /** Serves a connection as soon as the server is loaded. */
  serve(socket: net.Socket, { address, uid, local = "" }: Peer): void {
    if (this.#server === null) return void socket.destroy();
    const source = address === "local" ? `uid:${uid ?? "-"}` : address;
    this.#server.then((server) => server.serve(socket, { place: local, source }), () => socket.destroy());
  }

  close(): void {
    this.#deps.series.close();
    void this.#server?.then((server) => server.close(), () => {});
  }
}
