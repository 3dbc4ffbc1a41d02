/** What every isolate's entry file runs: receives the start message and the doors from main, answers pings, emits events. */

import { debug, type EmitEvent, isDefect, type Observer, packed, systemReasonAt, type Trace } from "../events/mod.ts";
import type { DoorName, Doors, OwnDoors, Role, Settings, ToIsolate, ToSupervisor } from "../protocol/mod.ts";
import { isolateName } from "../protocol/roles.ts";
import { systemClock } from "../clock.ts";
import type { Channel } from "./channel.ts";
import { type DoorPeer, IsolateDoors } from "./doors.ts";
import { type PostPort, WorkerPort } from "./message_port.ts";

/** The isolate's view of the system. */
export interface Isolate<R extends Role> extends Observer {
  readonly role: R;
  /** 0, 1, … where there are several isolates of the role; 0 for the others. */
  readonly index: number;
  /** How often an isolate has stood in this place. */
  readonly life?: number;
  readonly settings: Settings[R];
  /** Events go to control; an isolate that has no door there does with them what it sets here. */
  emit: EmitEvent;
  /** The asking side of a door; `peer` says to which isolate, where there are several of the role. The channel survives a restart of the other side: `onreset` is called. */
  ask<N extends DoorName>(name: N, peer?: number): Channel<Doors[N]["asks"], Doors[N]["answers"]>;
  /** The answering side: `welcome` is called with a fresh channel for each peer, and again when that peer was replaced. */
  serve<N extends DoorName>(
    name: N,
    welcome: (channel: Channel<Doors[N]["answers"], Doors[N]["asks"]>, from: DoorPeer) => void,
  ): void;
  /** Called when main has put others in the place of some of the settings; `settings` has them already. */
  onsettings?: (changes: Partial<Settings[R]>) => void;
  /**
   * Called when main gives the settings of a configuration that was read anew; `settings` has them already. What it throws, or rejects with, says why they
   * cannot be used: `settings` are the old ones again then.
   */
  onreload?: (generation: number) => Promise<void> | void;
  /** Called when sessions of a generation have had their time. */
  onretire?: (generation: number) => void;
  /** Called when no session of a generation is left. */
  onforget?: (generation: number) => void;
  /** Number of the configuration that the isolate has started with. */
  readonly generation?: number;
  /** Called once; main waits for the promise, a few seconds, or longer where another isolate takes the place of this one. */
  onstop: (why?: { readonly replaced: boolean }) => Promise<void> | void;
}

/** Sets an isolate up; when it is done (or its promise is), the isolate is ready. */
export type IsolateMain<R extends Role> = (isolate: Isolate<R>) => Promise<void> | void;

/** Entry of a worker: `main` sets the isolate up when main has sent the start message. `doors` is its row of src/protocol/isolates. */
export function runIsolate<R extends Role>(role: R, doors: OwnDoors<R>, main: IsolateMain<R>): void {
  new IsolateRuntime({ role, doors, main }, self as unknown as PostPort);
}

/** What a worker's entry file says of its isolate. */
interface Entry<R extends Role> {
  readonly role: R;
  readonly doors: OwnDoors<R>;
  readonly main: IsolateMain<R>;
}

type Start = Extract<ToIsolate, { type: "start" }>;

/** Does what main says to this isolate. */
export class IsolateRuntime<R extends Role> {
  readonly #role: R;
  readonly #main: IsolateMain<R>;
  readonly #port: WorkerPort;
  readonly #doors: IsolateDoors;
  readonly #reports: DoorName | null;
  #isolate: Isolate<R> | null = null;
  #settings!: Settings[R];
  /** Those that it goes back to when it cannot use the ones that it is given now. */
  #settingsBefore: Settings[R] | null = null;
  #verbose = false;
  #traces: ReadonlySet<Trace> = new Set();
  /** Settings follow each other, and none come before the isolate is set up. */
  #settled: Promise<void> = Promise.resolve();

  constructor({ role, doors, main }: Entry<R>, port: PostPort) {
    this.#role = role;
    this.#main = main;
    // This side does not check what main sends.
    this.#port = new WorkerPort(port, {
      onmessage: (message) => this.#receive(message as ToIsolate),
      onfault: () => {},
      takesPorts: true,
    });
    this.#doors = new IsolateDoors({ role, doors, refused: (what) => this.#send(what), main: this.#port.door });
    const reports = `${role}-control`;
    this.#reports = Object.hasOwn(doors, reports) ? reports as DoorName : null;
  }

  #send(message: ToSupervisor): void {
    this.#port.send(message);
  }

  #receive(message: ToIsolate): void {
    switch (message.type) {
      case "start":
        this.#settled = this.#start(message).catch((error) => this.#fail(error));
        return;
      case "door":
        return this.#doors.open(message);
      case "door-closed":
        return this.#doors.close(message);
      case "ping":
        return this.#send({ type: "pong", count: message.count });
      case "verbosity":
        return this.#setVerbosity(message);
      case "settings":
        this.#settings = { ...this.#settings, ...message.changes as Partial<Settings[R]> };
        if (this.#settingsBefore !== null) this.#settingsBefore = { ...this.#settingsBefore, ...message.changes };
        return this.#isolate?.onsettings?.(message.changes as Partial<Settings[R]>);
      case "reload":
        this.#settled = this.#settled.then(() => this.#reload(message));
        return;
      case "retire":
        return void this.#settled.then(() => this.#isolate?.onretire?.(message.generation));
      case "forget":
        return void this.#settled.then(() => this.#isolate?.onforget?.(message.generation));
      case "stop":
        return void this.#stop({ replaced: message.replaced === true });
    }
    message satisfies never;
  }

  async #reload({ call, generation, settings }: Extract<ToIsolate, { type: "reload" }>): Promise<void> {
    this.#settingsBefore = this.#settings;
    this.#settings = settings as Settings[R];
    let fault: string | null = null;
    try {
      await this.#isolate?.onreload?.(generation);
    } catch (error) {
      this.#settings = this.#settingsBefore;
      fault = error instanceof Error ? error.message : String(error);
    }
    this.#settingsBefore = null;
    this.#send({ type: "reloaded", call, fault });
  }

  async #start(message: Start): Promise<void> {
    this.#settings = message.settings as Settings[R];
    this.#isolate = this.#makeIsolate(message);
    this.#setVerbosity(message);
    const began = systemClock.steady();
    await this.#main(this.#isolate);
    if (this.#verbose) {
      const name = isolateName(this.#role, message.index);
      debug(this.#isolate, `isolate ${name} is ready after ${Math.round(systemClock.steady() - began)} ms`);
    }
    this.#send({ type: "ready" });
  }

  #makeIsolate({ index, life, generation }: Start): Isolate<R> {
    const events = this.#reports === null ? null : this.#doors.ask(this.#reports);
    const settings = () => this.#settings,
      recording = () => this.#settings.shared.recording === true,
      verbose = () => this.#verbose;
    return {
      role: this.#role,
      index,
      life: life ?? 1,
      generation: generation ?? 0,
      get settings() {
        return settings();
      },
      get verbose() {
        return verbose();
      },
      get recording() {
        return recording();
      },
      traces: (trace) => this.#traces.has(trace),
      emit: (event) => events?.send(packed(event)),
      ask: (name, peer) => this.#doors.ask(name, peer) as never,
      serve: (name, welcome) => this.#doors.serve(name, welcome as never),
      onstop: () => {},
    };
  }

  #setVerbosity({ verbose, traces }: Pick<Start, "verbose" | "traces">): void {
    this.#verbose = verbose;
    this.#traces = new Set(traces);
    if (this.#isolate !== null) this.#doors.observe(this.#isolate.index, this.#isolate);
  }

  #fail(error: unknown): void {
    if (!isDefect(error)) return this.#send({ type: "failed", reason: systemReasonAt(error) });
    // Reaches main's onerror, which replaces this isolate.
    queueMicrotask(() => {
      throw error;
    });
  }

  async #stop(why: { readonly replaced: boolean }): Promise<void> {
    try {
      await this.#isolate?.onstop(why);
    } finally {
      this.#send({ type: "stopped" });
    }
  }
}
