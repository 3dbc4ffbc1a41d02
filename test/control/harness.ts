/** A system of fakes around the control isolate: doors that answer, a main that listens. */

import { type Envelope, NO_DSN } from "../../src/envelope/mod.ts";
import type { HistoryCaller } from "../../src/control/history_requests.ts";
import type { MainCaller } from "../../src/control/main_caller.ts";
import { Caller, type Channel, type Isolate } from "../../src/isolate/mod.ts";
import type {
  Checked,
  ControlToMain,
  DoorName,
  Finding,
  FromHistory,
  PeerLife,
  ProcessWalls,
  ToHistory,
} from "../../src/protocol/mod.ts";
import type { Trace } from "../../src/events/mod.ts";
import { evpid } from "../ids.ts";

type Message = Record<string, unknown> & { type: string; call?: number };

export const DAEMON_UID = 4711;

/** An envelope as the queue lists it. */
export function envelope(id: string, changes: Partial<Envelope> = {}): Envelope & { expiresAt: number } {
  return {
    id: evpid(id),
    sender: { local: "alice", domain: "example.org" },
    rcpt: { local: "bob", domain: "example.net" },
    dest: { local: "bob", domain: "example.net" },
    origin: {
      address: "192.0.2.7",
      hostname: "h",
      helo: "h",
      smtpname: "s",
      tag: "",
      username: "",
      authenticated: false,
    },
    dsn: NO_DSN,
    action: "out",
    agent: "mta",
    internal: false,
    createdAt: 1_700_000_000_000,
    tries: 0,
    lastTryAt: 0,
    lastBounceAt: 0,
    errorLine: "",
    status: null,
    suspended: false,
    expiresAt: 1_700_345_600_000,
    ...changes,
  };
}

/** What the fake isolates answer to each type of question; absent questions stay unanswered. */
export type Answers = Readonly<Record<string, (question: Message) => Record<string, unknown>>>;

export class FakeSystem {
  readonly toMain: ControlToMain[] = [];
  readonly asked: { door: string; question: Message }[] = [];
  readonly requests: Omit<ControlToMain, "call">[] = [];
  readonly #channels = new Map<string, Channel<unknown, unknown>>();
  readonly #served = new Map<string, (channel: Channel<unknown, unknown>, from: PeerLife) => void>();
  readonly traces = new Set<Trace>();
  /** What main answers as `changed`. */
  changed = true;
  /** What main answers as `error`. */
  error: string | null = null;
  /** What main finds when it checks the host, and what of it became worse. */
  checked: Checked | null = null;
  worse: readonly Finding[] = [];
  /** What main says of the processes. */
  walls: readonly ProcessWalls[] = [];
  /** Whether the history is on. */
  recording = false;
  readonly isolate: Isolate<"control">;

  constructor(
    answers: Answers,
    admin: Isolate<"control">["settings"]["admin"] = [],
    listing = { envelopes: 256, messages: 1024 },
  ) {
    const channelOf = (name: string) => {
      let channel = this.#channels.get(name);
      if (channel === undefined) {
        this.#channels.set(name, channel = name === "control-main" ? this.#main() : this.#fake(name, answers));
      }
      return channel;
    };
    const recording = () => this.recording;
    this.isolate = {
      get recording() {
        return recording();
      },
      role: "control",
      index: 0,
      settings: {
        shared: { serverName: "mx.example.org", version: "0.0.0", timeZone: "UTC", root: false },
        admin,
        maxConnections: { control: 64, admin: 32 },
        log: [{ id: 1, kind: "syslog", format: "text" }],
        startedAt: Date.now() - 5000,
        listing,
        pid: 1,
        uid: DAEMON_UID,
        paused: { mda: false, mta: true, smtp: false },
      },
      emit: () => {},
      ask: ((name: DoorName) => channelOf(name)) as unknown as Isolate<"control">["ask"],
      serve:
        ((name: DoorName, welcome: (channel: Channel<unknown, unknown>, from: PeerLife) => void) =>
          this.#served.set(name, welcome)) as unknown as Isolate<"control">["serve"],
      traces: (trace) => this.traces.has(trace),
      verbose: false,
      onstop: () => {},
    };
  }

  /** Who asks main and the history. */
  callers(): { readonly main: MainCaller; readonly history: HistoryCaller } {
    const { ask } = this.isolate;
    return {
      main: new Caller(ask("control-main")),
      history: new Caller(ask("control-history" as "control-lookup") as unknown as Channel<ToHistory, FromHistory>),
    };
  }

  /** A peer of a door that control serves. */
  peer(name: DoorName, peer = 0): Channel<unknown, unknown> {
    const channel: Channel<unknown, unknown> = { send: () => {}, onmessage: () => {}, onreset: () => {} };
    this.#served.get(name)!(channel, { peer, life: 1 });
    return channel;
  }

  /** The isolate behind a door was replaced. */
  reset(name: DoorName): void {
    this.#channels.get(name)!.onreset();
  }

  /** Main's side of the door to it. */
  #main(): Channel<unknown, unknown> {
    const channel: Channel<unknown, unknown> = {
      onmessage: () => {},
      onreset: () => {},
      send: (message) => {
        const said = message as ControlToMain;
        this.toMain.push(said);
        if (said.type === "log" || said.type === "admin-token-used") return;
        const { call, ...request } = said;
        this.requests.push(request);
        const answer = said.type === "walls"
          ? { type: "walls", processes: this.walls }
          : said.type === "checkup" || said.type === "last-checkup"
          ? { type: "checked", checked: this.checked, worse: this.worse }
          : said.type === "certificates"
          ? { type: "certificates", call: said.call, certificates: [] }
          : said.type === "configuration"
          ? {
            type: "configuration",
            ...{ file: "/etc/smtpd.conf", readAt: 0, generation: 1, olderGenerations: 1, olderSessions: 2 },
          }
          : { type: "answer", changed: this.changed, error: this.error };
        queueMicrotask(() => channel.onmessage({ ...answer, call }));
      },
    };
    return channel;
  }

  #fake(door: string, answers: Answers): Channel<unknown, unknown> {
    const channel: Channel<unknown, unknown> = {
      onmessage: () => {},
      onreset: () => {},
      send: (message) => {
        const question = message as Message;
        this.asked.push({ door, question });
        const answer = answers[question.type]?.(question);
        if (answer !== undefined) queueMicrotask(() => channel.onmessage({ ...answer, call: question.call }));
      },
    };
    return channel;
  }
}
