/**
 * The log line of each event, in OpenSMTPD's formats: scripts and readers depend on them. Pure; where lines go is src/control's business.
 * Long on purpose: one line per event, read as a table.
 */

import { formatMailAuth, formatMailbox, type MailAuth, type Mailbox, type ReversePath } from "../envelope/mod.ts";
import { formatDuration } from "./duration.ts";
import type {
  AdminActEvent,
  DeliveryEvent,
  Event,
  LogLevel,
  QueueEvent,
  RelayEvent,
  SmtpEvent,
  TextEvent,
} from "./types.ts";
import { vis } from "./vis.ts";

type SigningEvent = Extract<Event, { type: "smtp-signed" | "smtp-unsigned" | "queue-signed" | "queue-unsigned" }>;

const RESULTS = { ok: "Ok", tempfail: "TempFail", permfail: "PermFail", loop: "PermFail" } as const;
/** The isolates whose sessions have lines, by the words that OpenSMTPD has for them. */
const SESSION_WORDS = { smtp: "smtp", relay: "mta", delivery: "mda" } as const;
/** What lines about queued mail call the agent of an envelope. */
const AGENT_NAMES = { mda: "delivery", mta: "relay", bounce: "bounce" } as const;

/** Level of the event's line. Trace lines are of level debug: they are written only while their subsystem is traced. */
export function eventLevel(event: Event): LogLevel {
  if (event.type === "log") return event.level;
  return event.type === "trace" ? "debug" : "info";
}

/** An event of a line that is about none. */
export function textEvent(level: LogLevel, text: string): TextEvent {
  return { type: "log", level, text };
}

/** The line without its end, or null for an event that has none (statistics, and what only the history keeps). Text from outside is vis-encoded. */
export function formatEvent(event: Event): string | null {
  switch (event.type) {
    case "smtp-connected":
    case "smtp-tls":
    case "smtp-cert-check":
    case "smtp-authentication":
    case "smtp-message":
    case "smtp-envelope":
    case "smtp-signed":
    case "smtp-unsigned":
    case "smtp-failed-command":
    case "smtp-bad-input":
    case "smtp-disconnected":
      return `${event.session} ${SESSION_WORDS.smtp} ${formatSmtp(event)}`;
    case "relay-connecting":
    case "relay-connected":
    case "relay-tls":
    case "relay-cert-check":
    case "relay-error":
    case "relay-disconnected":
      return `${event.session} ${SESSION_WORDS.relay} ${formatRelay(event)}`;
    case "delivery":
      return event.agent === "mta" ? formatRelayed(event) : formatDelivered(event);
    case "queue-signed":
    case "queue-unsigned":
      return `queue: ${formatSigning(event)}`;
    case "queue-expire":
    case "queue-remove":
      return formatDropped(event);
    case "admin-act":
      return formatAct(event);
    case "log":
    case "trace":
      return formatText(event);
    case "count":
    case "gauge":
    case "histogram":
    case "smtp-committed":
    case "queue-message":
    case "queue-dsn-asked":
    case "queue-dsn-written":
    case "queue-dsn-dropped":
    case "dialogue":
      return null;
  }
  event satisfies never;
  // What a broken isolate may send.
  return null;
}

/** What smtpctl does has no line: who may use it may read the log of the shell. */
function formatAct({ by, act, envelope, message, what, count }: AdminActEvent): string | null {
  if (by === "smtpctl" || by.startsWith("smtpctl:")) return null;
  return `admin: ${vis(by)} ${act}` +
    (envelope === undefined ? "" : ` evpid=${envelope}`) +
    (message === undefined ? "" : ` msgid=${message}`) +
    (what === undefined ? "" : ` ${vis(what)}`) +
    (count === undefined ? "" : ` envelopes=${count}`);
}

function formatSmtp(event: SmtpEvent): string {
  switch (event.type) {
    case "smtp-connected":
      return `connected address=${vis(event.address)} host=${vis(event.host)}`;
    case "smtp-tls":
      return `tls ciphers=${vis(event.ciphers)}`;
    case "smtp-cert-check":
      return `cert-check result="${event.result}" fingerprint="${vis(event.fingerprint)}"`;
    case "smtp-authentication":
      return `authentication user=${vis(event.user)} result=${event.result}`;
    case "smtp-message":
      return `message msgid=${event.message} size=${event.bytes} nrcpt=${event.rcpts} proto=${event.proto}` +
        checked(event);
    case "smtp-envelope":
      return `envelope evpid=${event.envelope} from=${path(event.from)} to=${path(event.to)}`;
    case "smtp-signed":
    case "smtp-unsigned":
      return formatSigning(event);
    case "smtp-failed-command":
      return `failed-command command="${vis(event.command)}" result="${vis(event.reply)}" address=${
        vis(event.address)
      }` + checked(event);
    case "smtp-bad-input":
      return `bad-input result="${vis(event.reply)}" address=${vis(event.address)}`;
    case "smtp-disconnected":
      return `disconnected reason=${word(event.reason)}` +
        (event.address === undefined ? "" : ` address=${vis(event.address)}`);
  }
}

function formatSigning(event: SigningEvent): string {
  if ("domain" in event) {
    return `dkim-signed msgid=${event.message} domain=${vis(event.domain)} selectors=${vis(event.selectors.join(","))}`;
  }
  const { message, deferred, reason } = event;
  return `dkim-${deferred ? "deferred" : "unsigned"} msgid=${message} reason="${vis(reason)}"`;
}

/** What the checks of a message have found, behind all else. */
function checked({ mailAuth }: { readonly mailAuth?: MailAuth }): string {
  return mailAuth === undefined ? "" : ` ${formatMailAuth(mailAuth)}`;
}

function formatRelay(event: RelayEvent): string {
  switch (event.type) {
    case "relay-connecting":
      return `connecting address=${vis(event.address)} host=${vis(event.host)}`;
    case "relay-connected":
      return "connected";
    case "relay-tls":
      return `tls ciphers=${vis(event.ciphers)}`;
    case "relay-cert-check":
      return `cert-check result="${event.result}" fingerprint="${vis(event.fingerprint)}"`;
    case "relay-error":
      return `error reason=${vis(event.reason)}`;
    case "relay-disconnected":
      return `disconnected reason=${word(event.reason)} messages=${event.messages}`;
  }
}

/** mta quotes its values; `rcpt` is `-` when it says nothing new. */
function formatRelayed(event: DeliveryEvent): string {
  const rcpt = sameMailbox(event.rcpt, event.to) ? "<->" : path(event.rcpt);
  return `${event.session} ${SESSION_WORDS.relay} delivery evpid=${event.envelope} from=${path(event.from)} to=${
    path(event.to)
  } rcpt=${rcpt} ` +
    `source="${vis(event.source ?? "-")}" relay="${vis(event.relay ?? "-")}" delay=${delay(event.delayMs)} ` +
    `result="${RESULTS[event.outcome]}" stat="${vis(event.stat)}"`;
}

function formatDelivered(event: DeliveryEvent): string {
  return `${event.session} ${SESSION_WORDS.delivery} delivery evpid=${event.envelope} from=${path(event.from)} to=${
    path(event.to)
  } ` +
    `rcpt=${path(event.rcpt)} user=${vis(event.user ?? "-")} delay=${delay(event.delayMs)} ` +
    `result=${RESULTS[event.outcome]} stat=${printable(event.stat)}`;
}

function formatDropped(event: QueueEvent): string {
  const rcpt = sameMailbox(event.rcpt, event.to) ? "<->" : path(event.rcpt);
  return `${AGENT_NAMES[event.agent]}: ${event.type === "queue-expire" ? "Expire" : "Remove"} for ${event.envelope}: ` +
    `from=${path(event.from)}, to=${path(event.to)}, rcpt=${rcpt}, delay=${delay(event.delayMs)}, stat=${
      vis(event.stat)
    }`;
}

/** Anomalies and debug lines start with their level's name; upstream's info and trace lines stand as they are. */
function formatText(event: TextEvent): string {
  const text = printable(event.text);
  if (event.type === "trace" || event.level === "info") return text;
  return text.startsWith(`${event.level}: `) ? text : `${event.level}: ${text}`;
}

/** Our own words, and those that delivery has quoted: quotes stay as they are, but nothing may start a new line. */
function printable(text: string): string {
  return vis(text).replaceAll('\\"', '"');
}

function path(mailbox: ReversePath): string {
  return mailbox === null ? "<>" : `<${vis(formatMailbox(mailbox))}>`;
}

/** A reason that is one word stands bare, any other is quoted. */
function word(text: string): string {
  return /^[\w-]+$/.test(text) ? text : `"${vis(text)}"`;
}

function delay(ms: number): string {
  return formatDuration(ms / 1000);
}

function sameMailbox(a: Mailbox, b: Mailbox): boolean {
  return a.local === b.local && a.domain === b.domain;
}
