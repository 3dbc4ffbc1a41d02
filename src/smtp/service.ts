/** The state of the smtp isolate: sessions come in from main and end here. Holds what all of them share, which is why it is long; one session is connection.ts. */

import { newEnvelopeId, newSessionId } from "../envelope/mod.ts";
import type {
  Certificates,
  FilterToSession,
  FromLookup,
  LoginResult,
  Peer,
  QueueToSmtp,
  SessionToFilter,
  SmtpSettings,
  SmtpToQueue,
  ToLookup,
} from "../protocol/mod.ts";
import { type Channel } from "../isolate/mod.ts";
import { adoptSocket } from "../sockets/mod.ts";
import { type EmitEvent, NO_OBSERVER, type Observer } from "../events/mod.ts";
import { Connection, type ConnectionDeps } from "./connection.ts";
import {
  connectionFacts,
  endpoint,
  type ListenerContext,
  listenerContext,
  listenerFilters,
  tlsOf,
} from "./listener.ts";
import { greet, type GreetingDeps } from "./greeting.ts";
import { BurstLimiter } from "./burst_limiter.ts";
import { LookupClient } from "./lookup_client.ts";
import { prepareHashing } from "../mail_auth/dkim/mod.ts";
import { type CheckedSession, mailChecks } from "./mail_check.ts";
import { FilterClient } from "./filter/filter_client.ts";
import { type Host, SessionFilters } from "./filter/session_filters.ts";
import { type AskSource, ProxyIntakes } from "./proxy/proxy_intake.ts";
import { QueueClient } from "./queue_client.ts";
import { countingFor } from "./report_results.ts";
import { authenticationBy, type AuthenticatorSource } from "./message/authentication.ts";
import { dateWriter } from "./message/received.ts";
import { reconsidering } from "./reconsider.ts";
import { tickMs } from "./progress_timer.ts";
import type { ConnectionFacts, ScramQuestion } from "./session/state.ts";
import { FairTurns } from "./fair_turns.ts";
import { SocketWire, type Wire } from "./wire.ts";
import type { Clock } from "../clock.ts";

/** What the service needs of time. */
export interface ServiceClock extends Pick<Clock, "now" | "steady" | "every"> {
  /** Calls `run` once, after what the sockets bring in the meantime. */
  soon(run: () => void): void;
}

export interface ServiceOptions {
  readonly settings: SmtpSettings;
  readonly lookup: Channel<ToLookup, FromLookup>;
  readonly queue: Channel<SmtpToQueue, QueueToSmtp>;
  /** Needed where listeners have filters. */
  readonly filter?: Channel<SessionToFilter, FilterToSession>;
  /** Returns the door to a further filter isolate. */
  readonly filterOf?: (isolate: number) => Channel<SessionToFilter, FilterToSession>;
  readonly emit: EmitEvent;
  /** Counts how long a client has waited for a reply, in ms. */
  readonly replied?: (afterMs: number) => void;
  /** From 0 to 1. */
  readonly random?: () => number;
  /** Number of the configuration that `settings` are of; 0 without it. */
  readonly generation?: number;
  /** What authenticates messages, in the order in which their fields stand, from the top; or what returns it for a configuration. */
  readonly authenticators?:
    | readonly AuthenticatorSource[]
    | ((settings: SmtpSettings) => readonly AuthenticatorSource[]);
  /** For the server's part of a SCRAM exchange; random without it. */
  readonly nonce?: () => string;
  /** Which traces are enabled; none without it. */
  readonly observer?: Pick<Observer, "traces" | "verbose" | "noted" | "recording">;
  readonly clock: ServiceClock;
  /** Without it, clients behind a proxy are counted here. */
  readonly askSource?: AskSource;
  /** Sessions come by `connect` alone, with wires that have their own TLS: no certificate is loaded. */
  readonly ownTls?: true;
  /** Is called with what was found about each message that was checked. */
  readonly checked?: (checked: CheckedSession) => void;
  /** The session with this number of main's is over: main may accept another. */
  ended(sessionNumber: number): void;
}

/** How long transactions may go on when the isolate stops, and how often that is looked at, in milliseconds. */
const STOP_MS = 3000;
const STOP_LOOK_MS = 50;
/** A failed login is answered after up to this time, in milliseconds. */
const FAILURE_DELAY_MS = 1000;

/** Where the end of a session is reported: main by the number, the proxy intakes by the source; null for a client without a proxy. */
interface SessionRecord {
  /** The configuration that it began with. */
  readonly configured: Configured;
  readonly sessionNumber: number;
  readonly source: string | null;
}

/** A connection that main has accepted: its descriptor, the listener that it came to, and the number by which main knows it. */
interface Accepted {
  readonly descriptor: number;
  readonly listener: number;
  readonly peer: Peer;
  readonly sessionNumber: number;
  /** Number of the configuration by which it is served. */
  readonly generation?: number;
}

/** What the sessions of one configuration share. */
interface Configured {
  readonly generation: number;
  settings: SmtpSettings;
  listeners: readonly ListenerContext[];
  readonly deps: ConnectionDeps;
  readonly greeting: GreetingDeps;
}

export class SmtpService {
  readonly #options: ServiceOptions;
  readonly #queue: QueueClient;
  readonly #lookup: LookupClient;
  readonly #steady: () => number;
  /** By index of the filter isolate. */
  readonly #filters = new Map<number, FilterClient>();
  /** By generation: the configuration in use, and those of which there are sessions left. */
  readonly #configured = new Map<number, Configured>();
  /** The one that came last. */
  #current: Configured;
  readonly #connections = new Map<Connection, SessionRecord>();
  readonly #proxies: ProxyIntakes;
  readonly #busy = new Set<Connection>();
  readonly #turns: FairTurns;
  readonly #bursts: BurstLimiter;
  #stopTicking: (() => void) | null = null;
  #stopping = false;

  /** Throws when a certificate cannot be read. */
  constructor(options: ServiceOptions) {
    this.#options = options;
    const { settings, clock, emit } = options;
    this.#queue = new QueueClient(options.queue, emit);
    const steady = this.#steady = clock.steady;
    this.#lookup = new LookupClient(options.lookup, steady);
    this.#proxies = new ProxyIntakes(
      settings,
      { now: steady, every: (ms, run) => clock.every(ms, run) },
      emit,
      options.askSource,
    );
    // Before it may say something: made for the isolate that there is at the start.
    if (options.filter !== undefined) this.#filterClient(0);
    this.#queue.onreset = () => this.#forEach((one) => one.waitsForQueue && one.peerGone());
    this.#lookup.onreset = () => this.#forEach((one) => one.waitsForLookup && one.peerGone());
    this.#turns = new FairTurns(clock);
    this.#bursts = new BurstLimiter(clock);
    this.#current = this.#configure(settings, options.generation ?? 0);
    this.#configured.set(this.#current.generation, this.#current);
  }

  /**
   * Serves the sessions that come with this generation by these settings. Sessions of others go on with what they have. Throws when a certificate cannot be
   * read: then nothing has changed.
   */
  reload(settings: SmtpSettings, generation: number): void {
    const known = this.#configured.get(generation);
    this.#current = known ?? this.#configure(settings, generation);
    this.#configured.set(generation, this.#current);
    this.#proxies.configure(settings);
  }

  /** Sessions of this generation end when their transaction is over, or after a few seconds. */
  async retire(generation: number): Promise<void> {
    const configured = this.#configured.get(generation);
    const ours = [...this.#connections].filter(([, record]) => record.configured === configured).map(([one]) => one);
    if (configured !== undefined) await this.#end(ours);
  }

  /** No session of this generation will come any more, and none is left. */
  forget(generation: number): void {
    if (generation !== this.#current.generation) this.#configured.delete(generation);
    for (const [index, client] of this.#filters) if (index > 0 && client.lost) this.#filters.delete(index);
  }

  #configure(settings: SmtpSettings, generation: number): Configured {
    const { clock } = this.#options;
    const lookup = generation === 0 ? this.#lookup : this.#lookup.of(generation);
    const known = [...this.#configured.values()].at(-1) ?? null;
    const { filterIsolates = {} } = settings;
    const filters = this.#options.filter === undefined
      ? null
      : (process: string) => this.#filterClient(Object.hasOwn(filterIsolates, process) ? filterIsolates[process]! : 0);
    return {
      generation,
      settings,
      listeners: settings.listeners.map((listener) => ({
        ...this.#options.ownTls
          ? { ...listenerContext(settings, { ...listener, tls: "none" }, clock), listener }
          : listenerContext(settings, listener, clock, known),
        filters: listenerFilters(settings, listener, filters, lookup),
      })),
      deps: this.#depsOf(settings, lookup),
      greeting: {
        lookup,
        serverName: settings.shared.serverName,
        bannerDelayMs: settings.bannerDelayMs,
        trusts: (address) => this.#proxies.trusts(address),
        after: (ms, run) => void this.#after(ms, run),
      },
    };
  }

  #filterClient(isolate: number): FilterClient {
    const { filter, filterOf, clock } = this.#options;
    let client = this.#filters.get(isolate);
    if (client !== undefined) return client;
    client = new FilterClient(isolate === 0 || filterOf === undefined ? filter! : filterOf(isolate), () => clock.now());
    this.#filters.set(isolate, client);
    return client;
  }

  #depsOf(settings: SmtpSettings, lookup: LookupClient): ConnectionDeps {
    const { clock, emit, observer = NO_OBSERVER } = this.#options;
    return {
      queue: this.#queue,
      emit,
      traces: (trace) => observer.traces(trace),
      ...observer.noted === undefined ? {} : { noted: observer.noted },
      get verbose() {
        return observer.verbose;
      },
      get recording() {
        return observer.recording === true;
      },
      now: () => clock.now(),
      steady: this.#steady,
      ...this.#options.replied === undefined ? {} : { replied: this.#options.replied },
      date: dateWriter(settings.shared.timeZone),
      newEnvelopeId,
      newToken: newSessionId,
      authentication: authenticationBy(this.#authenticators(settings, lookup)),
      ...reconsidering(settings, lookup),
      expand: (connection, slot, question) => lookup.expand(question, (result) => connection.expanded(slot, result)),
      authenticate: (connection, user, password) => this.#authenticate(lookup, connection, user, password),
      scram: (connection, question) => this.#scram(lookup, connection, question),
      judgeSender: (connection, question) => lookup.judgeSender(question, (result) => connection.senderJudged(result)),
      later: (connection) => this.#later(connection),
      yield: (connection, { wasted }) => wasted ? this.#turns.addLate(connection) : this.#turns.add(connection),
      crowded: () => this.#turns.crowded,
      admit: (job) => this.#bursts.admit(job),
    };
  }

  /**
   * Shows these certificates to those who connect from now on; sessions that began before go on with what they had. What cannot be used
   * changes nothing, and is logged.
   */
  renew(certificates: Certificates): void {
    const settings = { ...this.#current.settings, ...certificates };
    try {
      this.#current.listeners = this.#current.listeners.map((one) => ({
        ...one,
        tls: tlsOf(settings, one.listener, this.#options.clock),
      }));
      this.#current.settings = settings;
    } catch (error) {
      const text = `warn: smtp: The certificates stay as they were: ${(error as Error).message}`;
      this.#options.emit({ type: "log", level: "warn", text });
    }
  }

  /** What authenticates messages; nothing is loaded for it where there is nothing to do. */
  #authenticators(settings: SmtpSettings, lookup: LookupClient): readonly AuthenticatorSource[] {
    const { authenticators: given = [] } = this.#options;
    const authenticators = typeof given === "function" ? given(settings) : given;
    const checks = settings.listeners.some(({ mailAuth }) => mailAuth !== null);
    if (checks || settings.signing !== undefined) prepareHashing();
    return checks ? [...authenticators, this.#mailChecks(settings, lookup)] : authenticators;
  }

  #mailChecks({ dmarcReports: from }: SmtpSettings, lookup: LookupClient): AuthenticatorSource {
    const count = from === undefined ? null : countingFor(from, this.#queue);
    const { checked: report } = this.#options;
    const decided = (checked: CheckedSession) => {
      count?.(checked);
      report?.(checked);
    };
    return mailChecks({
      ...(count === null && report === undefined ? {} : { decided }),
      lookup,
      now: () => this.#options.clock.now(),
      after: (ms, run) => this.#after(ms, run),
    });
  }

  /** Sessions that are open. */
  get size(): number {
    return this.#connections.size;
  }

  /** Takes over an accepted connection; a little later when many come at once. */
  session(accepted: Accepted): void {
    this.#bursts.admit(() => this.#accept(accepted));
  }

  #accept({ descriptor, listener, peer, sessionNumber, generation }: Accepted): void {
    const configured = this.#configured.get(generation ?? 0), context = configured?.listeners[listener];
    if (configured === undefined || context === undefined) {
      // This isolate has taken the place of another one during a reload. By another configuration the number may be that of a listener with more rights.
      const text = `warn: smtp: no listener ${listener} of generation ${generation ?? 0}: the connection is closed`;
      this.#options.emit({ type: "log", level: "warn", text });
      adoptSocket(descriptor).destroy();
      return this.#options.ended(sessionNumber);
    }
    if (!context.listener.proxyV2) {
      return this.#start(descriptor, context, peer, { configured, sessionNumber, source: null });
    }
    this.#proxies.enter({
      sessionNumber,
      descriptor,
      peer,
      tlsFirst: context.listener.tls === "smtps",
      passed: (passed, client, source) => this.#start(passed, context, client, { configured, sessionNumber, source }),
      refused: () => this.#options.ended(sessionNumber),
    });
  }

  #start(descriptor: number, context: ListenerContext, peer: Peer, record: SessionRecord): void {
    let wire: SocketWire;
    try {
      wire = new SocketWire(descriptor, { tls: context.tls, tlsFirst: context.listener.tls === "smtps" }, (reason) => {
        connection.gone(reason);
        this.#remove(connection);
      });
    } catch {
      // The client has left between main and here.
      return this.#ended(record);
    }
    const connection = this.#open(context, peer, wire, record);
    wire.listen(connection);
    this.#welcome(connection, context, peer, record.configured);
  }

  /** A session over any wire; the owner of the wire must call `closed` at its end. For tests and for `session`. */
  connect(listener: number, peer: Peer, wire: Wire): Connection {
    const configured = this.#current;
    const context = configured.listeners[listener]!;
    const connection = this.#open(context, peer, wire, { configured, sessionNumber: 0, source: null });
    this.#welcome(connection, context, peer, configured);
    return connection;
  }

  /** The wire of a session from `connect` is gone. */
  closed(connection: Connection, reason: string): void {
    connection.gone(reason);
    this.#remove(connection);
  }

  /** Ends idle sessions at once and the others when their transaction is over, or after a few seconds. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#bursts.flush();
    this.#proxies.stop();
    await this.#end(null);
    this.#stopTicking?.();
    this.#stopTicking = null;
  }

  /** Ends these sessions, or all there are and will be, as `stop` says. */
  async #end(only: readonly Connection[] | null): Promise<void> {
    const sessions = () => only ?? [...this.#connections.keys()];
    const deadline = this.#steady() + STOP_MS;
    for (const one of sessions()) one.stop({ now: false });
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.every(STOP_LOOK_MS, () => {
        const open = sessions().some((one) => one.session.phase !== "closed");
        if (open && this.#steady() < deadline) return;
        cancel();
        resolve();
      });
    });
    for (const one of sessions()) one.stop({ now: true });
  }

  #open(context: ListenerContext, peer: Peer, wire: Wire, record: SessionRecord): Connection {
    const { policy, filters } = context, { settings, deps } = record.configured;
    const facts = connectionFacts(settings, context, peer, this.#queue.room);
    const sessionFilters = filters === null ? null : (host: Host) =>
      new SessionFilters(
        facts,
        filters,
        deps,
        context.listener.socket ? filters.destination : endpoint(peer),
        host,
      );
    const connection = new Connection(facts, policy, deps, wire, sessionFilters);
    this.#connections.set(connection, record);
    this.#stopTicking ??= this.#options.clock.every(tickMs(settings.idleTimeoutMs), () => this.#tick());
    return connection;
  }

  #welcome(connection: Connection, context: ListenerContext, peer: Peer, { greeting }: Configured): void {
    if (this.#stopping) connection.stop({ now: false });
    greet(connection, context, peer, greeting);
  }

  /** Failures are answered late, which slows down guessing and reveals nothing by its time. */
  #authenticate(lookup: LookupClient, connection: Connection, user: string, password: string | null): void {
    const { facts } = connection;
    const table = facts.auth!.table;
    const answer = (result: LoginResult) => connection.loginAnswered({ on: "authenticated", user, result });
    lookup.authenticate({ table, user, password: password ?? "", client: countedAs(facts) }, (result) => {
      if (result === "permfail") this.#late(() => answer(result));
      else answer(result);
    });
  }

  #late(reply: () => void): void {
    const { random = Math.random } = this.#options;
    this.#after(Math.max(1, Math.round(random() * FAILURE_DELAY_MS)), reply);
  }

  /** Calls `run` once, unless what is returned is called before. */
  #after(ms: number, run: () => void): () => void {
    const cancel = this.#options.clock.every(ms, () => {
      cancel();
      run();
    });
    return cancel;
  }

  #scram(lookup: LookupClient, connection: Connection, question: ScramQuestion): void {
    const { facts } = connection;
    const { user } = question;
    const table = facts.auth!.table!;
    const client = countedAs(facts);
    if (question.do === "challenge") {
      const nonce = this.#options.nonce?.() ?? newNonce();
      return lookup.challenge({ table, user, client }, (challenge) => {
        connection.loginAnswered({ on: "challenged", challenge, nonce });
      });
    }
    const answer = (result: LoginResult, signature = "") =>
      connection.loginAnswered({ on: "proved", result, signature });
    const proof = question.proof ?? { message: "", proof: "" };
    lookup.prove({ table, user, client, ...proof }, (result, signature) => {
      if (result === "permfail") this.#late(() => answer("permfail"));
      else answer(result, signature);
    });
  }

  #remove(connection: Connection): void {
    const record = this.#connections.get(connection);
    if (record === undefined) return;
    this.#connections.delete(connection);
    this.#busy.delete(connection);
    this.#turns.delete(connection);
    if (this.#connections.size === 0) {
      this.#stopTicking?.();
      this.#stopTicking = null;
    }
    this.#ended(record);
  }

  #ended({ sessionNumber, source }: SessionRecord): void {
    if (source !== null) this.#proxies.left(source);
    this.#options.ended(sessionNumber);
  }

  #tick(): void {
    const now = this.#steady();
    const limit = { limitMs: this.#current.settings.idleTimeoutMs };
    this.#queue.look(now);
    this.#lookup.look();
    this.#forEach((one) => one.tick(now, limit));
  }

  #forEach(run: (connection: Connection) => void): void {
    for (const connection of [...this.#connections.keys()]) run(connection);
  }

  /** Answers that arrive together end in one write a session. */
  #later(connection: Connection): void {
    if (this.#busy.size === 0) {
      queueMicrotask(() => {
        const busy = [...this.#busy];
        this.#busy.clear();
        for (const one of busy) one.run();
      });
    }
    this.#busy.add(connection);
  }
}

/** The address that failed logins are counted for; null for clients on this machine, whose users share one. */
function countedAs({ loopback, address }: ConnectionFacts): string | null {
  return loopback ? null : address;
}

/** 144 bits that nobody can guess, printable and without a comma (RFC 5802 §7). */
function newNonce(): string {
  return btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(18))));
}
