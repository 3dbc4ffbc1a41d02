/** What main and the isolates say to each other over the port of each worker. Types, limits and checks only. */

import { type Trace, TRACES } from "../events/mod.ts";
import { type Check, flag, list, type MessageTable, oneOf, record, tagged, text, whole } from "./check.ts";
import { call, longText } from "./shapes.ts";
import type { Certificates, ResolverSettings } from "./settings.ts";
import type { DoorName, Role } from "./doors.ts";
import type { FileRole } from "./files.ts";
import type { PasswordCheck } from "./login.ts";
import type { Account } from "./lookup.ts";

export interface Peer {
  /** IPv4, bare IPv6, or "local". */
  readonly address: string;
  readonly port: number;
  /** Who is on the other end of a unix socket; null when unknown. */
  readonly uid: number | null;
  /** The address that the client connected to, for listeners whose name depends on it. */
  readonly local?: string;
}

/** Under these numbers, which no listener of smtpd.conf has, control gets the connections of its socket and of the admin address. */
export const CONTROL_LISTENER = -1, ADMIN_LISTENER = -2;

export type FromMain<Settings = unknown> =
  | {
    readonly type: "start";
    readonly role: Role;
    readonly index: number;
    /** How often an isolate has stood in this place; 1 when it is left out. */
    readonly life?: number;
    readonly settings: Settings;
    readonly verbose: boolean;
    readonly traces: readonly Trace[];
  }
  /**
   * The other side of a door, at start and again whenever that side was replaced. `peer` tells several smtp isolates apart, and `life` one from
   * those that were in its place before: it only grows.
   */
  | {
    readonly type: "door";
    readonly name: DoorName;
    readonly peer: number;
    readonly life: number;
    readonly port: MessagePort;
  }
  /** The other side has ended; another will follow. */
  | { readonly type: "door-closed"; readonly name: DoorName; readonly peer: number }
  | { readonly type: "ping"; readonly count: number }
  /** An accepted connection (smtp: of `listener`; control: CONTROL_LISTENER or ADMIN_LISTENER). `ticket` comes back in `sessions-ended`. */
  | {
    readonly type: "session";
    readonly descriptor: number;
    readonly listener: number;
    readonly peer: Peer;
    readonly ticket: number;
  }
  /** smtp only: whether the client behind the proxy has a session to spare. */
  | { readonly type: "source-answer"; readonly ticket: number; readonly admitted: boolean }
  | { readonly type: "verbosity"; readonly verbose: boolean; readonly traces: readonly Trace[] }
  /** smtp and relay only: in the place of those in the settings, for connections that begin from now on. */
  | { readonly type: "certificates"; readonly certificates: Certificates }
  /** lookup and relay only: in the place of those in the settings. */
  | { readonly type: "resolver"; readonly resolver: ResolverSettings }
  /** control only: main's answer to a request. */
  | MainAnswer
  /** lookup only: what main knows of what it was asked, in no order. */
  | { readonly type: "told"; readonly answers: readonly MainReply[] }
  /** Finish what can be finished and say `stopped`. */
  | { readonly type: "stop" };

export type ToMain =
  | { readonly type: "ready" }
  /** It cannot start, for a reason of the house and not of the program: main ends it as if it had died. */
  | { readonly type: "failed"; readonly reason: string }
  | { readonly type: "pong"; readonly count: number }
  /** smtp: these sessions ended, main may accept others. */
  | { readonly type: "sessions-ended"; readonly tickets: readonly number[] }
  /** smtp: a session that came through a proxy is of this client. Answered by `source-answer`: main counts for all smtp isolates. */
  | { readonly type: "source"; readonly ticket: number; readonly address: string }
  | { readonly type: "stopped" }
  /** What came from the other side of a door is not what may come from there; `peer` and `life` tell who that is, as in `door`. */
  | {
    readonly type: "refused";
    readonly door: string;
    readonly peer: number;
    readonly life: number;
    readonly fault: string;
  }
  /** control only: what smtpctl asked of main. */
  | { readonly type: "request"; readonly call: number; readonly request: MainRequest }
  /** filter only: a program was started, or has ended. */
  | { readonly type: "program"; readonly pid: number; readonly running: boolean }
  /** filter only: without this program no mail may pass. */
  | { readonly type: "lost-program"; readonly reason: string }
  /** delivery, errand and lookup: one isolate more of the file role that works for them. */
  | { readonly type: "grow"; readonly role: FileRole }
  /** lookup only: what only main may find out. Answered by `told`. */
  | { readonly type: "ask"; readonly questions: readonly MainQuestion[] }
  /** control only, when main logs to syslog: finished lines. */
  | {
    readonly type: "syslog";
    readonly lines: readonly { readonly level: "debug" | "info" | "warn" | "crit"; readonly text: string }[];
  };

export type MainRequest =
  | { readonly type: "stop" }
  | { readonly type: "pause-smtp"; readonly paused: boolean }
  /** Load all certificates, keys and CA files again. */
  | { readonly type: "update-pki" }
  /** Is there anything against reading this table again? `error` of the answer says what. */
  | { readonly type: "check-table"; readonly table: string }
  /** Do all isolates run? `error` of the answer names those that do not. */
  | { readonly type: "isolates" }
  | { readonly type: "verbosity"; readonly verbose: boolean; readonly traces: readonly Trace[] };
/** Main's answer to control. `changed` is false when it was so already. */
export interface MainAnswer {
  readonly type: "answer";
  readonly call: number;
  readonly changed: boolean;
  /** Why it could not be done, or not all of it. */
  readonly error: string | null;
}

/** What lookup asks of main, which has the rights of the user, and the C library. */
export type MainQuestion =
  /** getpwnam(3): accounts of whatever the name service knows. */
  | { readonly type: "account"; readonly call: number; readonly name: string }
  /** The password of a system account, */
  | { readonly type: "login"; readonly call: number; readonly user: string; readonly password: string }
  /** or of a hash that only crypt(3) knows. */
  | { readonly type: "crypt"; readonly call: number; readonly hash: string; readonly password: string };
export type MainReply =
  | { readonly type: "account"; readonly call: number; readonly result: Account | null | { readonly error: string } }
  | { readonly type: "login"; readonly call: number; readonly result: PasswordCheck }
  | { readonly type: "crypt"; readonly call: number; readonly result: PasswordCheck };

/** What was found in a home; `refused` says why nothing of the file is used. */
export type Forward =
  | { readonly kind: "none" }
  | { readonly kind: "text"; readonly path: string; readonly text: string }
  | { readonly kind: "refused"; readonly temporary: boolean; readonly reason: string };

/** A `.forward` is smaller than this, in bytes. */
export const FORWARD_LIMIT = 4096;

const mainRequest: Check<MainRequest> = tagged<MainRequest, "type">("type", {
  stop: {},
  "pause-smtp": { paused: flag },
  "update-pki": {},
  "check-table": { table: text() },
  isolates: {},
  verbosity: { verbose: flag, traces: list(oneOf(...TRACES), TRACES.length) },
});
const houseQuestion: Check<MainQuestion> = tagged<MainQuestion, "type">("type", {
  account: { call, name: text() },
  login: { call, user: text(), password: text() },
  crypt: { call, hash: text(), password: text() },
});
const syslogLine = record<Extract<ToMain, { type: "syslog" }>["lines"][number]>({
  level: oneOf("debug", "info", "warn", "crit"),
  text: longText,
});
/** Process ids of the first processes of a system belong to it. */
const FIRST_PID = 2;

/** What isolates say to main. */
export const TO_MAIN: MessageTable<ToMain> = {
  ready: {},
  failed: { reason: longText },
  pong: { count: whole() },
  "sessions-ended": { tickets: list(whole()) },
  source: { ticket: whole(), address: text(64) },
  stopped: {},
  refused: { door: text(64), peer: whole(), life: whole(), fault: text() },
  request: { call, request: mainRequest },
  program: { pid: whole(FIRST_PID, 2 ** 31 - 1), running: flag },
  "lost-program": { reason: longText },
  grow: { role: oneOf("mailbox", "file", "forward") },
  ask: { questions: list(houseQuestion) },
  syslog: { lines: list(syslogLine) },
};

/** Which of it only isolates of one role may say. */
export const SPOKEN_BY: { readonly [T in ToMain["type"]]?: Role } = {
  "sessions-ended": "smtp",
  source: "smtp",
  request: "control",
  program: "filter",
  "lost-program": "filter",
  ask: "lookup",
  syslog: "control",
};
