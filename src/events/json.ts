/**
 * Events as records: lines of JSON, and fields of journald. One table says which fields each event has, under names that stay as they are; docs/logs.md
 * lists them. Pure; the text of each line is in log.ts.
 */

import { formatMailbox, type Mailbox } from "../envelope/mod.ts";
import type { DsnEvent, Event, LogLevel } from "./types.ts";
import { MAX_VIS_CHARS, safeJson } from "./vis.ts";

/** A line of the log with all that is known of it. */
export interface LogEntry {
  readonly level: LogLevel;
  /** The line as text, without its end. */
  readonly text: string;
  /** ms since the epoch. */
  readonly at: number;
  /** Who says it: `main`, `control`, `smtp 2`. */
  readonly isolate: string;
  readonly event: Event;
}

type Type = Event["type"];
/** Events without a line have no row. */
type Unlogged = "count" | "gauge" | "histogram" | "smtp-committed" | "dialogue" | "queue-message" | DsnEvent["type"];
type Logged = Exclude<Type, Unlogged>;
/** Fields that the history alone keeps. */
type Detail = "detail" | "mechanism";
type FieldsOf<T extends Type> = Exclude<keyof Extract<Event, { type: T }>, "type" | "level" | "accepted" | Detail>;

const DROPPED = ["agent", "envelope", "from", "to", "rcpt", "delayMs", "stat"] as const;
const SIGNED = ["message", "domain", "selectors"] as const;
const UNSIGNED = ["message", "deferred", "reason"] as const;

/** The fields of each event in its line of JSON, in this order, behind `time`, `level`, `event` and `isolate`. */
export const EVENT_FIELDS: { readonly [T in Logged]: readonly (FieldsOf<T> & string)[] } = {
  "smtp-connected": ["session", "address", "host", "family", "smtps"],
  "smtp-tls": ["session", "ciphers"],
  "smtp-cert-check": ["session", "result", "fingerprint"],
  "smtp-authentication": ["session", "user", "result"],
  "smtp-message": ["session", "message", "bytes", "rcpts", "proto", "mailAuth"],
  "smtp-envelope": ["session", "envelope", "from", "to"],
  "smtp-signed": ["session", ...SIGNED],
  "smtp-unsigned": ["session", ...UNSIGNED],
  "smtp-failed-command": ["session", "command", "reply", "address", "mailAuth"],
  "smtp-bad-input": ["session", "reply", "address"],
  "smtp-disconnected": ["session", "reason", "address", "tls", "smtps", "local"],
  "relay-connecting": ["session", "address", "host"],
  "relay-connected": ["session"],
  "relay-tls": ["session", "ciphers"],
  "relay-cert-check": ["session", "result", "fingerprint"],
  "relay-error": ["session", "reason"],
  "relay-disconnected": ["session", "reason", "messages"],
  delivery: [
    ...["agent", "session", "envelope", "from", "to", "rcpt", "delayMs", "outcome", "stat"] as const,
    ...["source", "relay", "user", "replyClass"] as const,
  ],
  "queue-expire": DROPPED,
  "queue-remove": DROPPED,
  "queue-signed": SIGNED,
  "queue-unsigned": UNSIGNED,
  "admin-act": ["by", "act", "envelope", "message", "what", "count"],
  log: ["text"],
  trace: ["trace", "text"],
};

/** Names and values of an event, those it has. Mailboxes are text, null for the null sender; text is cut at MAX_VIS_CHARS. */
function fieldsOf(event: Event): [name: string, value: unknown][] {
  const names: readonly string[] = Object.hasOwn(EVENT_FIELDS, event.type) ? EVENT_FIELDS[event.type as Logged] : [];
  const values = event as unknown as Readonly<Record<string, unknown>>;
  return names.flatMap((name): [string, unknown][] => {
    const value = values[name];
    if (value === undefined) return [];
    return [[name, name === "text" && event.type === "log" ? bare(event.level, String(value)) : plain(value)]];
  });
}

function plain(value: unknown): unknown {
  if (typeof value === "string") return value.slice(0, MAX_VIS_CHARS);
  return isMailbox(value) ? formatMailbox(value).slice(0, MAX_VIS_CHARS) : value;
}

function isMailbox(value: unknown): value is Mailbox {
  return typeof value === "object" && value !== null && "local" in value && "domain" in value;
}

/** Without the level in front, which has a field of its own. */
function bare(level: LogLevel, text: string): string {
  return (text.startsWith(`${level}: `) ? text.slice(level.length + 2) : text).slice(0, MAX_VIS_CHARS);
}

/** The line of JSON, without its end. */
export function formatJsonLine({ level, at, isolate, event }: LogEntry): string {
  const head = { time: new Date(at).toISOString(), level, event: event.type, isolate };
  return safeJson({ ...head, ...Object.fromEntries(fieldsOf(event)) });
}

/** Fields for journald beside MESSAGE and PRIORITY: `VAULTPOST_` and the name of the line of JSON, in capitals. */
export function journalFields({ isolate, event }: LogEntry): [name: string, value: string][] {
  const all: [string, unknown][] = [["event", event.type], ["isolate", isolate], ...fieldsOf(event)];
  return all.filter(([, value]) => value !== null).map(([name, value]) => [
    `VAULTPOST_${name.replace(/[A-Z]/g, "_$&").toUpperCase()}`,
    typeof value === "object" ? safeJson(value) : String(value),
  ]);
}
