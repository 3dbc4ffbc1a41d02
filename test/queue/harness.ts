/** A queue isolate without a worker: the test holds the other end of every door. For tests only. */

import {
  type Envelope,
  type EnvelopeContent,
  type EnvelopeId,
  isEnvelopeId,
  type Mailbox,
  type MessageId,
  messageOf,
  newEnvelopeId,
  NO_DSN,
} from "../../src/envelope/mod.ts";
import type { Event } from "../../src/events/mod.ts";
import type {
  AgentToQueue,
  ControlToQueue,
  DoorName,
  Doors,
  Expansion,
  FromLookup,
  QueueSettings,
  QueueToAgent,
  QueueToControl,
  QueueToScheduler,
  QueueToSmtp,
  SchedulerToQueue,
  SmtpToQueue,
  Ticket,
  ToLookup,
} from "../../src/protocol/mod.ts";
import type { Channel, DoorPeer, Isolate } from "../../src/isolate/mod.ts";
import { serveQueue } from "../../src/queue/serve.ts";
import { EnvelopeMac, JobMac, MAC_KEY_OCTETS } from "../../src/mac/mod.ts";
import { type Clock, systemClock } from "../../src/clock.ts";

/** Far longer than the queue takes for an answer on a busy machine. */
const MAX_WAIT_MS = 60_000;

/** The test's end of a door: keeps what it receives and wakes whoever waits for it. */
export class End<Out, In> {
  readonly received: In[] = [];
  readonly other: Channel<In, Out>;
  #send: (message: Out) => void = () => {};
  #waiting: (() => void)[] = [];
  onmessage: (message: In) => void = () => {};

  constructor() {
    this.other = {
      send: (message: In) => {
        const copy = structuredClone(message);
        queueMicrotask(() => {
          this.received.push(copy);
          this.onmessage(copy);
          for (const wake of this.#waiting.splice(0)) wake();
        });
      },
      onmessage: () => {},
      onreset: () => {},
    };
    this.#send = (message) => queueMicrotask(() => this.other.onmessage(message));
  }

  send(message: Out): void {
    this.#send(structuredClone(message));
  }

  /** The next message, from those received or to come, that `wanted` accepts; it is taken out. */
  async next<Kind extends In>(wanted: (message: In) => message is Kind): Promise<Kind> {
    for (;;) {
      const index = this.received.findIndex(wanted);
      if (index >= 0) return this.received.splice(index, 1)[0] as Kind;
      const { promise, resolve } = Promise.withResolvers<boolean>();
      this.#waiting.push(() => resolve(true));
      const timer = setTimeout(() => resolve(false), MAX_WAIT_MS);
      const woken = await promise;
      clearTimeout(timer);
      if (!woken) {
        const types = this.received.map((message) => (message as { readonly type?: string }).type);
        throw new Error(`No such message has come in ${MAX_WAIT_MS} ms, but: ${types.join(", ") || "none"}`);
      }
    }
  }
}

/** A test for the type of a message, for `End.next`. */
export function typed<M extends { type: string }, T extends M["type"]>(type: T) {
  return (message: M): message is Typed<M, T> => message.type === type;
}
/** Those of a union of messages that may have this type. */
export type Typed<M extends { type: string }, T> = M extends unknown ? (T extends M["type"] ? M : never) : never;

export interface QueueHarness {
  readonly scheduler: End<SchedulerToQueue, QueueToScheduler>;
  readonly lookup: End<FromLookup, ToLookup>;
  readonly smtp: End<SmtpToQueue, QueueToSmtp>;
  readonly delivery: End<AgentToQueue, QueueToAgent>;
  readonly relay: End<AgentToQueue, QueueToAgent>;
  /** An isolate that delivers and has no job yet; `delivery` and `relay` have one for all that they speak of. */
  enterAgent(door: "delivery-queue" | "privileged-queue" | "relay-queue"): End<AgentToQueue, QueueToAgent>;
  readonly control: End<ControlToQueue, QueueToControl>;
  readonly events: Event[];
  /** What isolates at the doors were accused of. */
  readonly refused: string[];
  readonly ids: MessageId[];
  /** ms since the epoch, moved by the test. */
  clock: { now: number };
  settings: QueueSettings;
  /** Kept when the queue wants to be replaced, with the reason. */
  ended: Promise<unknown>;
  /** Replaces the smtp isolate: the old one's sessions are gone. */
  replaceSmtp(): void;
  stop(): void;
}

export const SETTINGS = { serverName: "mx.example.org", version: "1", timeZone: "UTC", root: false };
/** 2026-11-22 12:00:00 UTC */
export const NOON = 1_795_348_800_000;

export function settingsFor(spool: string, more: Partial<QueueSettings> = {}): QueueSettings {
  return {
    shared: SETTINGS,
    spool,
    reserve: { share: null, bytes: 0 },
    compression: false,
    recordKeys: null,
    ttlSeconds: 345_600,
    actionTtlSeconds: { inbox: null, out: null, short: 60 },
    warnIntervalsSeconds: [14_400],
    envelopeMacKey: new Uint8Array(MAC_KEY_OCTETS),
    jobMacKey: new Uint8Array(MAC_KEY_OCTETS),
    ...more,
  };
}

/** Opens a queue on a folder. Its first ids have arrived when the promise is kept. `steady` replaces the clock that turns are measured by, `after` its timers. */
export async function openQueue(
  spool: string,
  more: Partial<QueueSettings> = {},
  { steady = systemClock.steady, after = systemClock.after }: Partial<Pick<Clock, "steady" | "after">> = {},
): Promise<QueueHarness> {
  const clock = { now: NOON };
  const events: Event[] = [];
  const settings = settingsFor(spool, more);
  const asked = {
    "queue-scheduler": new End<never, never>(),
    "queue-lookup": new End<never, never>(),
    "queue-signer": new End<never, never>(),
  };
  const served = new Map<DoorName, (channel: Channel<never, never>, from: DoorPeer) => void>();
  const isolate: Isolate<"queue"> = {
    role: "queue",
    index: 0,
    settings,
    emit: (event) => void events.push(event),
    ask: <N extends DoorName>(name: N) =>
      asked[name as keyof typeof asked].other as unknown as Channel<Doors[N]["asks"], Doors[N]["answers"]>,
    serve: (name, welcome) => void served.set(name, welcome as never),
    traces: () => false,
    verbose: false,
    recording: settings.shared.recording === true,
    onstop: () => {},
  };
  const ended = Promise.withResolvers<unknown>();
  const refused: string[] = [];
  await serveQueue(isolate, { ...systemClock, now: () => clock.now, steady, after }, ended.resolve);
  const enter = <Out, In>(name: DoorName) => {
    const end = new End<Out, In>();
    served.get(name)!(end.other as never, { peer: 0, life: 1, refuse: (fault: string) => void refused.push(fault) });
    return end;
  };
  /** An smtp isolate that has asked lookup about the envelopes that it brings. */
  const enterSmtp = () => {
    const end = enter<SmtpToQueue, QueueToSmtp>("smtp-queue");
    const send = end.send.bind(end);
    end.send = (message) => {
      const { type } = message;
      if (type !== "commit" || !Array.isArray(message.envelopes)) return send(message);
      send({ ...message, envelopes: message.envelopes.map((each) => authorised(each, message.message)) });
    };
    return end;
  };
  /** An isolate that delivers and shows a job of the scheduler's for all that it speaks of. */
  const enterAgent = (name: "delivery-queue" | "relay-queue") => {
    const end = enter<AgentToQueue, QueueToAgent>(name);
    const send = end.send.bind(end);
    end.send = (message) => {
      const ids = message.type === "open" ? message.ids : message.type === "outcome" ? [message.id] : [];
      for (const id of ids) if (isEnvelopeId(id)) send(jobOf(name === "relay-queue" ? "mta" : "mda", [id]));
      send(message);
    };
    return end;
  };
  let stopped = false;
  const harness = {
    scheduler: asked["queue-scheduler"] as unknown as QueueHarness["scheduler"],
    lookup: asked["queue-lookup"] as unknown as QueueHarness["lookup"],
    smtp: enterSmtp(),
    delivery: enterAgent("delivery-queue"),
    relay: enterAgent("relay-queue"),
    enterAgent: enter<AgentToQueue, QueueToAgent>,
    control: enter<ControlToQueue, QueueToControl>("control-queue"),
    events,
    refused,
    ids: [] as MessageId[],
    clock,
    settings,
    ended: ended.promise,
    replaceSmtp() {
      const old = harness.smtp;
      harness.smtp = enterSmtp();
      old.other.onreset();
    },
    stop() {
      if (!stopped) isolate.onstop();
      stopped = true;
    },
  };
  harness.ids.push(...(await harness.smtp.next(typed("ids"))).ids);
  return harness;
}

/** Runs a test with a queue on a fresh folder. */
export async function withQueue(
  test: (harness: QueueHarness, spool: string) => Promise<void>,
  more: Partial<QueueSettings> = {},
): Promise<void> {
  const spool = await Deno.makeTempDir();
  const harness = await openQueue(spool, more);
  try {
    await test(harness, spool);
  } finally {
    harness.stop();
    await Deno.remove(spool, { recursive: true });
  }
}

export const SENDER: Mailbox = { local: "alice", domain: "example.net" };

const schedulerMac = new JobMac(new Uint8Array(MAC_KEY_OCTETS));

/** What shows that the scheduler has given an agent these envelopes of one message. */
export function jobOf(agent: "mda" | "mta", ids: readonly EnvelopeId[]): Extract<AgentToQueue, { type: "take" }> {
  const message = messageOf(ids[0]!);
  return { type: "take", message, ids, mac: schedulerMac.of({ agent, message, ids }) };
}

const lookupMac = new EnvelopeMac(new Uint8Array(MAC_KEY_OCTETS));

/** Lookup's answer `result` to the question where a notice goes. */
export function expanded(question: Extract<ToLookup, { type: "expand" }>, result: Expansion): FromLookup {
  const { call } = question;
  if (!result.ok) return { type: "expanded", call, result };
  const targets = result.targets.map((target, index) => {
    const mac = lookupMac.of({ ...question, ...target, internal: result.internal[index]! });
    return { ...target, mac };
  });
  return { type: "expanded", call, result: { ...result, targets } };
}

/** The envelope with lookup's MAC for its message, unless it has one; what is none stays as it is. */
export function authorised(content: EnvelopeContent, message: MessageId): EnvelopeContent {
  if (content?.mac !== undefined || content?.origin?.address === undefined || content.rcpt === undefined) {
    return content;
  }
  return { ...content, mac: lookupMac.of({ ...content, message }) };
}

export function contentFor(message: MessageId, more: Partial<EnvelopeContent> = {}): EnvelopeContent {
  const to = { local: "bob", domain: "Example.org" };
  return {
    id: newEnvelopeId(message),
    sender: SENDER,
    rcpt: to,
    dest: to,
    origin: {
      address: "192.0.2.7",
      hostname: "client.example.net",
      helo: "client.example.net",
      smtpname: "mx.example.org",
      tag: "",
      username: "",
      authenticated: false,
    },
    dsn: NO_DSN,
    action: "inbox",
    agent: "mda",
    internal: false,
    createdAt: NOON,
    user: "bob",
    subAddress: "",
    exec: "",
    ...more,
  };
}

export const MTA = { agent: "mta", action: "out" } as const;

export const utf8 = (text: string) => new TextEncoder().encode(text);
export const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** Enqueues a small message and waits until it is durable and the scheduler knows. */
export async function enqueue(
  harness: QueueHarness,
  body = "Subject: hi\n\nHello\n",
  ...more: Partial<EnvelopeContent>[]
): Promise<EnvelopeContent[]> {
  const message = harness.ids.pop()!;
  const envelopes = (more.length === 0 ? [{}] : more).map((each) => contentFor(message, each));
  harness.smtp.send({ type: "commit", message, tail: utf8(body), envelopes });
  await harness.smtp.next((received): received is Extract<QueueToSmtp, { type: "committed" }> =>
    received.type === "committed" && received.message === message
  );
  await ticketsOf(harness, envelopes.length);
  return envelopes;
}

/** The next tickets that the scheduler receives, `count` of them. */
export async function ticketsOf(harness: QueueHarness, count = 1): Promise<Ticket[]> {
  const tickets: Ticket[] = [];
  while (tickets.length < count) tickets.push(...(await harness.scheduler.next(typed("enqueued"))).tickets);
  return tickets;
}

let calls = 0;

/** Opens a message as delivery does. */
export async function open(harness: QueueHarness, envelopes: readonly EnvelopeContent[]) {
  const call = ++calls;
  const message = messageOf(envelopes[0]!.id);
  harness.delivery.send({ type: "open", call, message, ids: envelopes.map(({ id }) => id) });
  return await harness.delivery.next(typed("opened"));
}

export async function list(harness: QueueHarness): Promise<readonly (Envelope & { readonly expiresAt: number })[]> {
  harness.control.send({ type: "list", call: ++calls, message: null, after: "", limit: 1000 });
  return (await harness.control.next(typed("listed"))).envelopes;
}

export function logged(harness: QueueHarness): string[] {
  return harness.events.flatMap((event) => event.type === "log" ? [event.text] : []);
}
