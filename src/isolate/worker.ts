/** What every isolate's entry file runs: receives the start message and the doors from main, answers pings, reports events. */

import { type Channel, DoorChannel } from "./channel.ts";
import type { DoorName, Doors, FromMain, Peer, Role, ToMain } from "./doors.ts";
import type { Settings } from "./settings.ts";
import type { Report, Trace } from "../events/mod.ts";

/** The isolate's view of the house. */
export interface Isolate<R extends Role> {
  readonly role: R;
  /** 0, 1, … for the smtp isolates; 0 for the others. */
  readonly index: number;
  readonly settings: Settings[R];
  /** Tells the log and the counters. */
  readonly report: Report;
  /** The asking side of a door. The channel survives a restart of the other side: `onreset` is called. */
  ask<N extends DoorName>(name: N): Channel<Doors[N]["asks"], Doors[N]["answers"]>;
  /** The answering side: `welcome` is called with a fresh channel for each peer, and again when that peer was replaced. */
  serve<N extends DoorName>(
    name: N,
    welcome: (channel: Channel<Doors[N]["answers"], Doors[N]["asks"]>, peer: number) => void,
  ): void;
  /** Sends to main. */
  tell(message: ToMain): void;
  /** True when debug lines of this subsystem are wanted: check before building one. */
  traces(trace: Trace): boolean;
  readonly verbose: boolean;
  onsession: (descriptor: number, listener: number, peer: Peer) => void;
  /** Main's answers to control's requests. */
  onanswer: (message: { readonly call: number; readonly changed: boolean }) => void;
  /** Called once; main waits a few seconds for the promise. */
  onstop: () => Promise<void> | void;
}

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
  const serving = new Map<DoorName, (channel: DoorChannel<unknown, unknown>, peer: number) => void>();
  const early = new Map<DoorName, { port: MessagePort; peer: number }[]>();
  const welcomed = new Map<string, DoorChannel<unknown, unknown>>();
  let verbose = false;
  let traces = new Set<Trace>();

  const tell = (message: ToMain) => scope.postMessage(message);
  const askDoor = (name: DoorName) => {
    let channel = asking.get(name);
    if (channel === undefined) asking.set(name, channel = new DoorChannel());
    return channel;
  };
  const welcome = (name: DoorName, port: MessagePort, peer: number) => {
    const key = `${name} ${peer}`;
    const channel = new DoorChannel<unknown, unknown>();
    serving.get(name)!(channel, peer);
    channel.attach(port);
    welcomed.get(key)?.detach();
    welcomed.set(key, channel);
  };
  const closeDoor = ({ name, peer }: Extract<FromMain, { type: "door-closed" }>) => {
    if (name.startsWith(`${role}-`)) return askDoor(name).detach();
    welcomed.get(`${name} ${peer}`)?.detach();
    welcomed.delete(`${name} ${peer}`);
  };

  let isolate: Isolate<R> | null = null;
  const start = async (message: Extract<FromMain, { type: "start" }>) => {
    verbose = message.verbose;
    traces = new Set(message.traces);
    const events = role === "control" ? null : askDoor(`${role}-control` as DoorName);
    isolate = {
      role,
      index: message.index,
      settings: message.settings as Settings[R],
      report: (event) => events?.send(event),
      ask: (name) => askDoor(name) as never,
      serve(name, handler) {
        serving.set(name, handler as never);
        for (const { port, peer } of early.get(name) ?? []) welcome(name, port, peer);
        early.delete(name);
      },
      tell,
      traces: (trace) => traces.has(trace),
      get verbose() {
        return verbose;
      },
      onsession: () => {},
      onanswer: () => {},
      onstop: () => {},
    };
    await main(isolate);
    tell({ type: "ready" });
  };

  const openDoor = ({ name, port, peer }: Extract<FromMain, { type: "door" }>) => {
    if (name.startsWith(`${role}-`)) return askDoor(name).attach(port);
    if (serving.has(name)) return welcome(name, port, peer);
    const waiting = early.get(name) ?? [];
    waiting.push({ port, peer });
    early.set(name, waiting);
  };

  scope.onmessage = (event) => {
    const message = event.data as FromMain;
    switch (message.type) {
      case "start":
        start(message).catch((error) => {
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
        return tell({ type: "pong", count: message.count });
      case "session":
        return isolate?.onsession(message.descriptor, message.listener, message.peer);
      case "verbosity":
        verbose = message.verbose;
        traces = new Set(message.traces);
        return;
      case "answer":
        return isolate?.onanswer(message);
      case "stop":
        Promise.resolve(isolate?.onstop()).finally(() => tell({ type: "stopped" }));
        return;
    }
  };
}
