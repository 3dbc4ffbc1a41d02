/** What is around the relay isolate, without workers: plain objects at its doors, a queue of messages, a resolver of names. */

import type { RelayAction, RelayLimits } from "../../src/config/mod.ts";
import { DEFAULT_RELAY_LIMITS, plainRelay } from "../../src/config/defaults.ts";
import type { DnsResult, MxRecord } from "../../src/dns/mod.ts";
import { type DsnParameters, type EnvelopeId, type Handling, NO_DSN, type Outcome } from "../../src/envelope/mod.ts";
import type { DeliveryEvent, Event } from "../../src/events/mod.ts";
import type {
  AgentToQueue,
  Credentials,
  CredentialsLack,
  Job,
  QueueToAgent,
  RelaySettings,
  RelaySource,
  RelayToScheduler,
  ToLookup,
} from "../../src/protocol/mod.ts";
import type { Isolate } from "../../src/isolate/mod.ts";
import { serveRelay } from "../../src/relay/serve.ts";
import type { RelayServiceDeps } from "../../src/relay/session/session_deps.ts";
import { uniformTimeouts } from "../../src/smtp_client/mod.ts";
import { until } from "../smtp_client/fake_server.ts";
import { evpid, msgid } from "../ids.ts";

/** Channel of the isolate's side; `inject` plays the other side. */
class TestChannel {
  onmessage: (message: never) => void = () => {};
  onreset: () => void = () => {};
  sent: (message: never) => void = () => {};
  send(message: unknown): void {
    queueMicrotask(() => this.sent(message as never));
  }
  inject(message: unknown): void {
    this.onmessage(message as never);
  }
}

export interface TestMessage {
  readonly rcpts: readonly string[];
  readonly sender?: string | null;
  /** Who it was sent to before it was forwarded. */
  readonly original?: string;
  readonly body?: string;
  readonly bytes?: number;
  readonly dsn?: DsnParameters;
  readonly handling?: Handling;
  readonly action?: string;
}

export interface WorldOptions {
  readonly actions?: Readonly<Record<string, Partial<RelayAction>>>;
  readonly limits?: Partial<RelayLimits>;
  /** Of `mta limit for domain`, on top of `limits`. */
  readonly domainLimits?: Readonly<Record<string, Partial<RelayLimits>>>;
  /** Answers of lookup's `smarthost`, by action; a function may rotate. */
  readonly smarthost?: (action: string, domain: string) => string | null;
  /** What stands behind that one in the action's list. */
  readonly otherSmarthosts?: readonly string[];
  /** Answers of lookup's `sources`. */
  readonly sources?: () => readonly RelaySource[];
  /** Answers of lookup's `credentials`, by action and label. */
  readonly credentials?: (action: string, label: string) => Credentials | CredentialsLack | null;
  readonly mx?: Readonly<Record<string, readonly [number, string][] | "nxdomain" | "nodata" | "temporary" | "invalid">>;
  readonly addresses?: Readonly<Record<string, readonly string[]>>;
  readonly tools?: Partial<RelayServiceDeps>;
  /** One limit for every step of a host, in ms. */
  readonly timeoutMs?: number;
  readonly ca?: Record<string, string>;
  readonly srs?: RelaySettings["srs"];
  /** The history records. */
  readonly recording?: boolean;
}

export interface World {
  readonly events: Event[];
  /** What the scheduler was asked to try at once. */
  readonly rescheduled: readonly EnvelopeId[];
  readonly outcomes: Map<EnvelopeId, Outcome>;
  /** Queues a message and sends its job; the ids are in order of the recipients. */
  send(message: TestMessage): EnvelopeId[];
  job(job: Job): void;
  /** Outcomes of these envelopes, as `result text`, once there are all. */
  settled(ids: readonly EnvelopeId[]): Promise<string[]>;
  deliveries(): DeliveryEvent[];
  log(): string[];
  show(what: "hosts" | "hoststats" | "relays" | "routes"): Promise<string[]>;
  resume(route: number): Promise<string[]>;
  /** A new scheduler comes. */
  restartScheduler(): void;
  remove(id: EnvelopeId): void;
  stop(): Promise<void>;
}

export const ACTION: RelayAction = plainRelay("out");

/** A host that is none of those that mail goes to. */
export const NOT_OWN: RelayServiceDeps["own"] = {
  name: () => false,
  address: () => false,
  greets: () => false,
  learn: () => {},
};

const encoder = new TextEncoder();

function mailbox(text: string) {
  const at = text.lastIndexOf("@");
  return { local: text.slice(0, at), domain: text.slice(at + 1) };
}

const SERVFAIL = { ok: false, reason: "temporary", detail: "SERVFAIL from 192.0.2.53" } as const;

export function names(options: Pick<WorldOptions, "mx" | "addresses">): RelayServiceDeps["names"] {
  const mx = (domain: string): Promise<DnsResult<MxRecord>> => {
    const found = options.mx?.[domain] ?? "nxdomain";
    if (found === "temporary") return Promise.resolve(SERVFAIL);
    if (typeof found === "string") return Promise.resolve({ ok: false, reason: found });
    const records = found.map(([preference, exchange]) => ({ preference, exchange }));
    return Promise.resolve({ ok: true, records });
  };
  const addresses = (name: string): Promise<DnsResult<string>> => {
    if (name === "fail.test") return Promise.resolve(SERVFAIL);
    const found = options.addresses?.[name];
    return Promise.resolve(found === undefined ? { ok: false, reason: "nxdomain" } : { ok: true, records: found });
  };
  const reverse = () => Promise.resolve({ hostname: "ptr.example.net", confirmed: "pass" as const });
  return { mx, addresses, reverse };
}

export function relayWorld(options: WorldOptions = {}): World {
  const events: Event[] = [];
  const outcomes = new Map<EnvelopeId, Outcome>();
  const messages = new Map<string, { message: TestMessage; ids: EnvelopeId[]; removed: Set<EnvelopeId> }>();
  const queue = new TestChannel(),
    lookup = new TestChannel(),
    scheduler = new TestChannel(),
    control = new TestChannel();
  const rescheduled: EnvelopeId[] = [];
  scheduler.sent = (message: RelayToScheduler) => rescheduled.push(...message.ids);
  let welcomeScheduler: (channel: TestChannel) => void = () => {};
  let nextMessage = 1;

  queue.sent = (message: AgentToQueue) => {
    const answer = (text: QueueToAgent) => queue.inject(text);
    if (message.type === "take") return;
    if (message.type === "outcome") {
      outcomes.set(message.id, message.outcome);
      return;
    }
    if (message.type === "arrived") return answer({ type: "arrived", call: message.call });
    const stored = messages.get(message.message);
    if (stored === undefined) return answer({ type: "unreadable", call: message.call, text: "No such message" });
    const body = encoder.encode(stored.message.body ?? "Subject: x\n\nbody\n");
    if (message.type === "read") return answer({ type: "chunk", call: message.call, bytes: body });
    const envelopes = message.ids.filter((id) => !stored.removed.has(id) && !done(id)).map((id) => ({
      id,
      sender: stored.message.sender === null ? null : mailbox(stored.message.sender ?? "s@example.org"),
      rcpt: mailbox(stored.message.original ?? stored.message.rcpts[stored.ids.indexOf(id)]!),
      dest: mailbox(stored.message.rcpts[stored.ids.indexOf(id)]!),
      origin: {
        address: "local",
        hostname: "localhost",
        helo: "localhost",
        smtpname: "me",
        tag: "",
        username: "",
        authenticated: true,
      },
      dsn: stored.message.dsn ?? NO_DSN,
      action: "out",
      agent: "mta" as const,
      internal: false,
      createdAt: 0,
      ...stored.message.handling === undefined ? {} : { handling: stored.message.handling },
      tries: 0,
      lastTryAt: 0,
      lastBounceAt: 0,
      errorLine: "",
      status: null,
      suspended: false,
    }));
    const bytes = stored.message.bytes ?? body.length;
    answer({ type: "opened", call: message.call, envelopes, bytes, chunks: 1, first: body });
  };
  const done = (id: EnvelopeId) => ["ok", "permfail"].includes(outcomes.get(id)?.result ?? "");
  lookup.sent = (question: ToLookup) => {
    if (question.type === "sources") {
      return lookup.inject({ type: "sources", call: question.call, sources: options.sources?.() ?? [] });
    }
    if (question.type === "credentials") {
      const found = options.credentials?.(question.action, question.label) ?? null;
      const answer = typeof found === "string" ? { credentials: null, lack: found } : { credentials: found };
      return lookup.inject({ type: "credentials", call: question.call, ...answer });
    }
    if (question.type !== "smarthost") throw new Error(`Unexpected question ${question.type}`);
    const url = options.smarthost?.(question.action, question.domain) ?? null;
    lookup.inject({ type: "smarthost", call: question.call, url, others: options.otherSmarthosts ?? [] });
  };

  const actions: Record<string, RelayAction> = {};
  for (const [name, action] of Object.entries(options.actions ?? { out: {} })) {
    actions[name] = { ...ACTION, name, ...action };
  }
  const limits = { ...DEFAULT_RELAY_LIMITS, ...options.limits };
  const domainLimits = Object.fromEntries(
    Object.entries(options.domainLimits ?? {}).map(([domain, own]) => [domain, { ...limits, ...own }]),
  );
  const settings: RelaySettings = {
    maxDeferred: 100,
    shared: { serverName: "relay.example.org", version: "1", timeZone: "UTC", root: false },
    actions,
    pki: {},
    ca: options.ca ?? {},
    limits,
    domainLimits,
    ...options.srs === undefined ? {} : { srs: options.srs },
    resolver: { servers: [], timeoutMs: 100, attempts: 1, hosts: [] },
    own: { names: [], listeners: [] },
  };
  const isolate = {
    role: "relay",
    index: 0,
    settings,
    emit: (event: Event) => events.push(event),
    ask: (door: string) => door === "relay-queue" ? queue : lookup,
    serve: (door: string, welcome: (channel: TestChannel) => void) => {
      if (door === "scheduler-relay") welcomeScheduler = welcome;
      welcome(door === "scheduler-relay" ? scheduler : control);
    },
    traces: () => false,
    verbose: false,
    recording: options.recording ?? false,
    onstop: () => {},
  };
  serveRelay(isolate as unknown as Isolate<"relay">, {
    names: names(options),
    timeouts: uniformTimeouts(options.timeoutMs ?? 30_000),
    // The hosts of the tests are on loopback.
    own: NOT_OWN,
    // The first of equals.
    random: () => 0,
    ...options.tools,
  });

  let nextCall = 1;
  const ask = (message: object) =>
    new Promise<string[]>((resolve) => {
      control.sent = (answer: { lines: string[] }) => resolve(answer.lines);
      control.inject({ ...message, call: nextCall++ });
    });
  const job = (one: Job) => scheduler.inject(one);
  return {
    events,
    outcomes,
    rescheduled,
    job,
    send(message) {
      const id = msgid((nextMessage++).toString(16).padStart(8, "0"));
      const ids = message.rcpts.map((_, at) => evpid(id + (at + 1).toString(16).padStart(8, "0")));
      messages.set(id, { message, ids, removed: new Set() });
      const lane = mailbox(message.rcpts[0]!).domain.toLowerCase();
      job({ type: "job", message: id, action: message.action ?? "out", lane, ids, mac: "" });
      return ids;
    },
    async settled(ids) {
      await until(() => ids.every((id) => outcomes.has(id)), `outcomes of ${ids}`);
      return ids.map((id) => `${outcomes.get(id)!.result} ${outcomes.get(id)!.text}`);
    },
    deliveries: () => events.filter((event): event is DeliveryEvent => event.type === "delivery"),
    log: () => events.flatMap((event) => event.type === "log" ? [event.text] : []),
    show: (what) => ask({ type: "show", what }),
    resume: (route) => ask({ type: "resume-route", route }),
    restartScheduler: () => welcomeScheduler(scheduler),
    remove: (id) => messages.get(id.slice(0, 8))!.removed.add(id),
    stop: async () => await isolate.onstop(),
  };
}
