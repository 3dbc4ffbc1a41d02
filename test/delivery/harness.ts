/** The delivery and privileged isolates without workers: doors of plain objects, a queue in memory, a lookup that knows a few accounts. */

import { type ActAs, actAsRoot, actAsSelf, type DeliveryDeps, DirectWriter } from "../../src/delivery/mod.ts";
import { serveDelivery } from "../../src/delivery/serve.ts";
import { servePrivileged } from "../../src/delivery/serve_privileged.ts";
import type { LocalAction } from "../../src/config/types.ts";
import { type Envelope, messageOf, NO_DSN, type Outcome, random32 } from "../../src/envelope/mod.ts";
import type { DeliveryEvent, Event, Trace } from "../../src/events/mod.ts";
import type {
  Account,
  AccountResult,
  AgentToQueue,
  DeliverySettings,
  FromPrivileged,
  Job,
  QueueToAgent,
  ToLookup,
  ToPrivileged,
} from "../../src/protocol/mod.ts";
import type { Channel, Isolate } from "../../src/isolate/mod.ts";
import { type Clock, systemClock } from "../../src/clock.ts";
import { evpid } from "../ids.ts";

export const ROOT = Deno.uid() === 0;
export const NOBODY: Account = { name: "nobody", uid: 65534, gid: 65534, home: "/nonexistent" };

/** Whom deliveries of most tests act for: as root an unprivileged account, else the one that runs the tests. */
export function tester(home: string): Account {
  return ROOT ? { ...NOBODY, name: "bob", home } : { name: "bob", uid: Deno.uid() ?? -1, gid: Deno.gid() ?? -1, home };
}

/** A new folder that `tester` may write to. */
export function makeHome(): string {
  const home = Deno.makeTempDirSync({ prefix: "delivery-" });
  Deno.chmodSync(home, 0o755);
  if (ROOT) Deno.chownSync(home, NOBODY.uid, NOBODY.gid);
  return home;
}

export function localAction(fields: Partial<LocalAction> & Pick<LocalAction, "method">): LocalAction {
  return {
    kind: "local",
    name: "test",
    user: null,
    alias: null,
    virtual: null,
    userbase: null,
    wrapper: null,
    ttlSeconds: null,
    ...fields,
  };
}

export function settingsOf(fields: Partial<DeliverySettings> = {}): DeliverySettings {
  return {
    shared: { serverName: "mx.example.org", version: "0", timeZone: "UTC", root: ROOT },
    actions: {},
    maxSession: 50,
    maxSessionPerUser: 7,
    subAddressDelimiter: "+",
    mailDirectory: "/nonexistent",
    path: "/usr/bin:/bin",
    helpers: "/libexec",
    uid: Deno.uid() ?? -1,
    gid: Deno.gid() ?? -1,
    ...fields,
  };
}

let count = 0;
export function envelopeOf(fields: Partial<Envelope> = {}): Envelope {
  const id = evpid((++count).toString(16).padStart(8, "0").repeat(2));
  return {
    id,
    sender: { local: "alice", domain: "example.net" },
    rcpt: { local: "Bob", domain: "Example.org" },
    dest: { local: "bob", domain: "example.org" },
    origin: {
      address: "192.0.2.1",
      hostname: "client.example.net",
      helo: "client.example.net",
      smtpname: "mx.example.org",
      tag: "",
      username: "",
      authenticated: false,
    },
    dsn: NO_DSN,
    action: "test",
    agent: "mda",
    internal: false,
    createdAt: Date.now(),
    user: "bob",
    subAddress: "",
    exec: "",
    tries: 0,
    lastTryAt: 0,
    lastBounceAt: 0,
    errorLine: "",
    status: null,
    suspended: false,
    ...fields,
  };
}

/** What tests replace. Files are written in the thread of the test, with `actAs` and `random`. */
export type TestDeps = Partial<DeliveryDeps> & {
  readonly actAs?: ActAs;
  readonly random?: () => number;
  readonly lockClock?: Clock;
};

function toolsOf({ shared }: DeliverySettings, tools: TestDeps): Partial<DeliveryDeps> {
  const { clock = systemClock, lockClock = clock, actAs = shared.root ? actAsRoot() : actAsSelf, random = random32 } =
    tools;
  const { root, timeZone, serverName: hostname } = shared;
  return { files: new DirectWriter({ actAs, root, clock: lockClock, timeZone, random, hostname }), ...tools };
}

/** One end of a door whose other end is a function. Messages of one turn arrive together, as in the daemon. */
class FakeChannel<Out, In> implements Channel<Out, In> {
  onmessage: (message: In) => void = () => {};
  onreset: () => void = () => {};
  constructor(public peer: (message: Out) => void) {}
  send(message: Out): void {
    this.peer(structuredClone(message));
  }
}

export interface Result {
  readonly outcome: Outcome;
  readonly event: DeliveryEvent;
}

export class World {
  readonly events: Event[] = [];
  readonly outcomes: { id: string; outcome: Outcome }[] = [];
  readonly account: Account;
  accounts: (user: string) => AccountResult;
  /** Chunks of the body of every message, unless `bodies` has others. */
  readonly bodies = new Map<string, Uint8Array[]>();
  readonly envelopes = new Map<string, Envelope>();
  /** Called for each question to the queue: answers false to stay silent. */
  onqueue: (message: AgentToQueue) => boolean = () => true;
  lookups = 0;
  /** What is traced. */
  readonly traced = new Set<Trace>();
  /** The history records. */
  recording = false;
  readonly #job: Channel<never, Job>;
  readonly #waiting = new Map<string, (result: Result) => void>();
  readonly #delivery: Isolate<"delivery">;
  #privileged: Isolate<"privileged">;
  /** The queue's door to delivery, and the one to privileged. */
  readonly queue: FakeChannel<AgentToQueue, QueueToAgent>;
  readonly privilegedQueue: FakeChannel<AgentToQueue, QueueToAgent>;
  /** Delivery's side of its door to privileged. */
  readonly privileged: FakeChannel<ToPrivileged, FromPrivileged>;
  /** Privileged jobs that were sent. */
  readonly sentAway: ToPrivileged[] = [];
  #privilegedPeer: FakeChannel<FromPrivileged, ToPrivileged>;

  constructor(settings: DeliverySettings, account: Account, given: TestDeps = {}) {
    const tools = toolsOf(settings, given);
    this.account = account;
    this.accounts = () => ({ ok: true, account, identity: account });
    this.#job = new FakeChannel<never, Job>(() => {});
    this.queue = new FakeChannel((message) => this.#queueReceives(this.queue, message));
    this.privilegedQueue = new FakeChannel((message) => this.#queueReceives(this.privilegedQueue, message));
    this.privileged = new FakeChannel((message) => {
      this.sentAway.push(message);
      this.#privilegedPeer.onmessage(message);
    });
    this.#privilegedPeer = this.#newPrivilegedPeer();
    const doors = { "delivery-queue": this.queue, "delivery-privileged": this.privileged };
    this.#delivery = this.#isolate("delivery", settings, doors, () => this.#job);
    serveDelivery(this.#delivery, tools);
    this.#privileged = this.#isolate(
      "privileged",
      settings,
      { "privileged-queue": this.privilegedQueue },
      () => this.#privilegedPeer,
    );
    servePrivileged(this.#privileged, tools);
  }

  #newPrivilegedPeer(): FakeChannel<FromPrivileged, ToPrivileged> {
    return new FakeChannel((message) => queueMicrotask(() => this.privileged.onmessage(message)));
  }

  /** The privileged isolate dies, and another comes. */
  replacePrivileged(given: TestDeps = {}): void {
    const tools = toolsOf(this.#privileged.settings, given);
    this.#privilegedPeer.peer = () => {};
    this.#privilegedPeer = this.#newPrivilegedPeer();
    const { settings } = this.#privileged;
    this.#privileged = this.#isolate(
      "privileged",
      settings,
      { "privileged-queue": this.privilegedQueue },
      () => this.#privilegedPeer,
    );
    servePrivileged(this.#privileged, tools);
    this.privileged.onreset();
  }

  #isolate<R extends "delivery" | "privileged">(
    role: R,
    settings: DeliverySettings,
    doors: Record<string, unknown>,
    served: () => unknown,
  ): Isolate<R> {
    const lookup: FakeChannel<ToLookup, unknown> = new FakeChannel((message) => {
      this.lookups++;
      if (message.type !== "account") throw new Error("Unexpected question");
      queueMicrotask(() =>
        lookup.onmessage({ type: "account", call: message.call, result: this.accounts(message.user) })
      );
    });
    const recording = () => this.recording;
    return {
      role,
      index: 0,
      settings: settings as Isolate<R>["settings"],
      emit: (event) => this.#report(event),
      ask: (name) => (doors[name] ?? lookup) as never,
      serve: (_name, welcome) => welcome(served() as never, { peer: 0, life: 1, refuse: () => {} }),
      traces: (trace) => this.traced.has(trace),
      verbose: false,
      get recording() {
        return recording();
      },
      onstop: () => {},
    };
  }

  /** The scheduler sends this envelope's job. */
  send(envelope: Envelope, body: string | Uint8Array[]): Promise<Result> {
    const chunks = typeof body === "string" ? [new TextEncoder().encode(body)] : body;
    this.bodies.set(messageOf(envelope.id), chunks);
    this.envelopes.set(envelope.id, envelope);
    const result = new Promise<Result>((resolve) => this.#waiting.set(envelope.id, resolve));
    this.job([envelope]);
    return result;
  }

  job(envelopes: readonly Envelope[]): void {
    const { id, action, user } = envelopes[0]!;
    for (const envelope of envelopes) this.envelopes.set(envelope.id, envelope);
    const ids = envelopes.map((envelope) => envelope.id);
    this.#job.onmessage({ type: "job", message: messageOf(id), action, lane: user ?? "", ids, mac: "" });
  }

  async stop(): Promise<void> {
    await Promise.all([this.#delivery.onstop(), this.#privileged.onstop()]);
  }

  #report(event: Event): void {
    this.events.push(event);
    if (event.type !== "delivery") return;
    const { outcome } = this.outcomes.findLast(({ id }) => id === event.envelope)!;
    this.#waiting.get(event.envelope)?.({ outcome, event });
  }

  #queueReceives(door: FakeChannel<AgentToQueue, QueueToAgent>, message: AgentToQueue): void {
    if (message.type === "take" || !this.onqueue(message)) return;
    if (message.type === "outcome") {
      this.outcomes.push(message);
      return;
    }
    if (message.type === "arrived") {
      queueMicrotask(() => door.onmessage({ type: "arrived", call: message.call }));
      return;
    }
    const chunks = this.bodies.get(message.message)!;
    queueMicrotask(() => {
      if (message.type === "read") {
        door.onmessage({ type: "chunk", call: message.call, bytes: chunks[message.index]!.slice() });
        return;
      }
      const envelopes = message.ids.flatMap((id) => this.envelopes.get(id) ?? []);
      door.onmessage({
        type: "opened",
        call: message.call,
        envelopes,
        bytes: chunks.reduce((sum, chunk) => sum + chunk.length, 0),
        chunks: chunks.length,
        first: (chunks[0] ?? new Uint8Array(0)).slice(),
      });
    });
  }
}

/** Runs `work` in a world with one action and removes its files afterwards. */
export async function withWorld(
  action:
    | Partial<LocalAction> & Pick<LocalAction, "method">
    | ((home: string) => Partial<LocalAction> & Pick<LocalAction, "method">),
  work: (world: World, home: string) => Promise<void>,
  options: {
    settings?: (home: string) => Partial<DeliverySettings>;
    tools?: TestDeps;
    account?: (home: string) => Account;
  } = {},
): Promise<void> {
  const home = makeHome();
  const one = localAction(typeof action === "function" ? action(home) : action);
  const settings = settingsOf({ actions: { [one.name]: one }, ...options.settings?.(home) });
  const world = new World(settings, (options.account ?? tester)(home), options.tools);
  try {
    await work(world, home);
  } finally {
    await world.stop();
    Deno.removeSync(home, { recursive: true });
  }
}
