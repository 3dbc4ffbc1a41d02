/** What every isolate's entry file runs: receives the start message and the doors from main, answers pings, reports events. */

import { type Channel, DoorChannel } from "./channel.ts";
import {
  checksOf,
  type DoorName,
  type Doors,
  FILE_ROLES,
  type FromMain,
  type MainReply,
  type Peer,
  type ResolverSettings,
  type Role,
  type Settings,
  type ToMain,
} from "../protocol/mod.ts";
import { watchDoor } from "./watch.ts";
import { debug, type Event, isDefect, type Observer, systemReasonAt, type Trace } from "../events/mod.ts";
import { systemClock } from "../clock.ts";

/** The isolate's view of the house. */
export interface Isolate<R extends Role> extends Observer {
  readonly role: R;
  /** 0, 1, … for the smtp isolates; 0 for the others. */
  readonly index: number;
  /** How often an isolate has stood in this place. */
  readonly life?: number;
  readonly settings: Settings[R];
  /** The asking side of a door. The channel survives a restart of the other side: `onreset` is called. */
  ask<N extends DoorName>(name: N): Channel<Doors[N]["asks"], Doors[N]["answers"]>;
  /** The answering side: `welcome` is called with a fresh channel for each peer, and again when that peer was replaced. */
  serve<N extends DoorName>(
    name: N,
    welcome: (channel: Channel<Doors[N]["answers"], Doors[N]["asks"]>, peer: number, life: number) => void,
  ): void;
  /** Sends to main. */
  tell(message: ToMain): void;
  /** control only, which keeps the log itself: hears what this isolate reports. */
  onevent?: (event: Event) => void;
  onsession: (descriptor: number, listener: number, peer: Peer, ticket: number) => void;
  /** smtp only: main's answer to `source`. */
  onsource?: (ticket: number, admitted: boolean) => void;
  /** Main's answers to control's requests. */
  onanswer: (message: { readonly call: number; readonly changed: boolean; readonly error: string | null }) => void;
  /** smtp and relay only: the settings have other certificates. */
  oncertificates?: () => void;
  /** lookup and relay only: the name servers or the hosts file have changed. */
  onresolver?: (resolver: ResolverSettings) => void;
  /** lookup only: main's answers to its questions. */
  ontold?: (answers: readonly MainReply[]) => void;
  /** Called once; main waits a few seconds for the promise. */
  onstop: () => Promise<void> | void;
}

type OpenDoor = Extract<FromMain, { type: "door" }>;

/** The scope of a dedicated worker, as far as it is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent) => void) | null;
  postMessage(message: unknown): void;
  close(): void;
}

/** Entry of a worker: `main` sets the isolate up; when it is done (or its promise is), main hears `ready`. */
export function runIsolate<R extends Role>(role: R, main: (isolate: Isolate<R>) => Promise<void> | void): void {
  const scope = self as unknown as WorkerScope;
  const asking = new Map<DoorName, DoorChannel<unknown, unknown>>();
  const serving = new Map<DoorName, (channel: DoorChannel<unknown, unknown>, peer: number, life: number) => void>();
  const early = new Map<DoorName, OpenDoor[]>();
  /** Which life of the other side stands at the doors that this side asks at. */
  const lives = new Map<DoorName, number>();
  const welcomed = new Map<string, DoorChannel<unknown, unknown>>();
  let verbose = false;
  let traces = new Set<Trace>();
  let isolate: Isolate<R> | null = null;

  const send = (message: ToMain) => scope.postMessage(message);
  const watch = (channel: DoorChannel<unknown, unknown>, name: DoorName, peer: number) => {
    if (isolate !== null) channel.watch = watchDoor(isolate, { role, index: isolate.index, name, peer });
  };
  /** Every door hears of a change, those of events excepted. */
  const watchAll = () => {
    for (const [name, channel] of asking) watch(channel, name, 0);
    for (const [key, channel] of welcomed) {
      const [name, peer] = key.split(" ") as [DoorName, string];
      watch(channel, name, Number(peer));
    }
  };
  /** Main hears of what was refused, and replaces who said it. */
  const inspect = (name: DoorName, peer: number, life: () => number) => ({
    ...checksOf(name, role),
    onfault: (fault: string) => send({ type: "refused", door: name, peer, life: life(), fault }),
  });
  const askDoor = (name: DoorName) => {
    let channel = asking.get(name);
    if (channel === undefined) {
      asking.set(name, channel = new DoorChannel(inspect(name, 0, () => lives.get(name) ?? 0)));
      watch(channel, name, 0);
    }
    return channel;
  };
  const welcome = ({ name, port, peer, life }: OpenDoor) => {
    const key = `${name} ${peer}`;
    const channel = new DoorChannel<unknown, unknown>(inspect(name, peer, () => life));
    watch(channel, name, peer);
    serving.get(name)!(channel, peer, life);
    channel.attach(port);
    welcomed.get(key)?.detach();
    welcomed.set(key, channel);
  };
  const closeDoor = ({ name, peer }: Extract<FromMain, { type: "door-closed" }>) => {
    if (name.startsWith(`${role}-`)) return askDoor(name).detach();
    welcomed.get(`${name} ${peer}`)?.detach();
    welcomed.delete(`${name} ${peer}`);
  };

  let settings: Settings[R];
  const start = async (message: Extract<FromMain, { type: "start" }>) => {
    verbose = message.verbose;
    traces = new Set(message.traces);
    settings = message.settings as Settings[R];
    const silent = role === "control" || (FILE_ROLES as readonly Role[]).includes(role);
    const events = silent ? null : askDoor(`${role}-control` as DoorName);
    isolate = {
      role,
      index: message.index,
      life: message.life ?? 1,
      get settings() {
        return settings;
      },
      emit: (event) => events === null ? isolate?.onevent?.(event) : events.send(event),
      ask: (name) => askDoor(name) as never,
      serve(name, handler) {
        serving.set(name, handler as never);
        for (const door of early.get(name) ?? []) welcome(door);
        early.delete(name);
      },
      tell: send,
      traces: (trace) => traces.has(trace),
      get verbose() {
        return verbose;
      },
      onsession: () => {},
      onanswer: () => {},
      onstop: () => {},
    };
    watchAll();
    const began = systemClock.steady();
    await main(isolate);
    const name = role === "smtp" ? `smtp-${message.index}` : role;
    if (verbose) debug(isolate, `isolate ${name} is ready after ${Math.round(systemClock.steady() - began)} ms`);
    send({ type: "ready" });
  };

  const openDoor = (door: OpenDoor) => {
    const { name, port, life } = door;
    if (name.startsWith(`${role}-`)) {
      lives.set(name, life);
      return askDoor(name).attach(port);
    }
    if (serving.has(name)) return welcome(door);
    early.set(name, [...early.get(name) ?? [], door]);
  };

  scope.onmessage = (event) => {
    const message = event.data as FromMain;
    switch (message.type) {
      case "start":
        start(message).catch((error) => {
          if (!isDefect(error)) return send({ type: "failed", reason: systemReasonAt(error) });
          // Reaches main's onerror, which restarts this isolate.
          queueMicrotask(() => {
            throw error;
          });
        });
        return;
      case "door":
        return openDoor(message);
      case "door-closed":
        return closeDoor(message);
      case "ping":
        return send({ type: "pong", count: message.count });
      case "session":
        return isolate?.onsession(message.descriptor, message.listener, message.peer, message.ticket);
      case "source-answer":
        return isolate?.onsource?.(message.ticket, message.admitted);
      case "verbosity":
        verbose = message.verbose;
        traces = new Set(message.traces);
        return watchAll();
      case "certificates":
        settings = { ...settings, ...message.certificates };
        return isolate?.oncertificates?.();
      case "resolver":
        settings = { ...settings, resolver: message.resolver };
        return isolate?.onresolver?.(message.resolver);
      case "answer":
        return isolate?.onanswer(message);
      case "told":
        return isolate?.ontold?.(message.answers);
      case "stop":
        Promise.resolve(isolate?.onstop()).finally(() => send({ type: "stopped" }));
        return;
    }
  };
}
