/** Recorded events for tests: those of one message, made short. Times are in seconds from the beginning. */

import type { Routed } from "../../src/envelope/mod.ts";
import type { AttemptDetail, Event, MessageDetail, RecordedEvent, RefusalDetail } from "../../src/events/mod.ts";
import type { PresentEnvelope } from "../../src/story/mod.ts";
import { evpid, msgid } from "../ids.ts";

export const T0 = Date.UTC(2026, 10, 30, 14);
export const MESSAGE = msgid("0a0b0c0d"), DSN = msgid("0d0d0d0d"), SESSION = "00000000000000ff";
export const envelopeOf = (number: number, message: string = MESSAGE) =>
  evpid(`${message}${number.toString(16).padStart(8, "0")}`);
export const mailbox = (address: string) => {
  const at = address.lastIndexOf("@");
  return { local: address.slice(0, at), domain: address.slice(at + 1) };
};

export const recorded = (seconds: number, event: Event, isolate = "smtp-1"): RecordedEvent => ({
  at: T0 + seconds * 1000,
  isolate,
  event,
});

const ORIGIN = {
  address: "192.0.2.9",
  hostname: "client.example.com",
  helo: "client.example.com",
  smtpname: "mx.example.org",
  tag: "",
  username: "",
  authenticated: false,
};

export function connected(seconds = 0): RecordedEvent {
  return recorded(seconds, {
    type: "smtp-connected",
    session: SESSION,
    address: "192.0.2.9",
    host: "client.example.com",
    family: "inet4",
    smtps: false,
    detail: { confirmed: "pass", listener: "192.0.2.1:25", tag: "" },
  });
}

export function disconnected(seconds: number, reason = "quit"): RecordedEvent {
  return recorded(seconds, {
    type: "smtp-disconnected",
    session: SESSION,
    reason,
    tls: false,
    smtps: false,
    local: false,
  });
}

export interface Recipient {
  readonly rcpt: string;
  readonly dest?: string;
  readonly agent?: "mda" | "mta";
  readonly action?: string;
}

/** The acceptance of a message from alice@example.com. */
export function accepted(
  seconds: number,
  recipients: readonly Recipient[],
  detail: Partial<MessageDetail> = {},
  event: Partial<Extract<Event, { type: "smtp-message" }>> = {},
): RecordedEvent {
  return recorded(seconds, {
    type: "smtp-message",
    session: SESSION,
    message: MESSAGE,
    bytes: 1234,
    rcpts: new Set(recipients.map(({ rcpt }) => rcpt)).size,
    proto: "ESMTP",
    ...event,
    detail: {
      origin: ORIGIN,
      ciphers: null,
      sender: mailbox("alice@example.com"),
      messageId: "<one@example.com>",
      eightBit: false,
      begunAt: T0 + seconds * 1000 - 40,
      durableAt: T0 + seconds * 1000,
      envelopes: recipients.map(({ rcpt, dest = rcpt, agent = "mta", action = "out" }, index) => ({
        id: envelopeOf(index + 1),
        rcpt: mailbox(rcpt),
        dest: mailbox(dest),
        agent,
        action,
      })),
      suppressed: [],
      routed: recipients.map(({ rcpt, action = "out" }) => routed(rcpt, { action })),
      filters: [],
      more: 0,
      ...detail,
    },
  });
}

export function routed(address: string, more: Partial<Routed> = {}): Routed {
  return {
    address,
    how: "recipient",
    rule: { file: "/etc/smtpd.conf", line: 12 },
    result: "action",
    children: [],
    ...more.result === undefined ? { goal: { kind: "relay", text: "" } } : {},
    ...more,
  };
}

/** An attempt for one envelope. */
export function attempt(
  seconds: number,
  envelope: number,
  {
    rcpt,
    dest = rcpt,
    outcome = "tempfail",
    stat,
    agent = "mta",
    message = MESSAGE,
    detail,
    from = "alice@example.com",
  }: {
    readonly rcpt: string;
    readonly dest?: string;
    readonly outcome?: "ok" | "tempfail" | "permfail" | "loop";
    readonly stat: string;
    readonly agent?: "mda" | "mta";
    readonly message?: string;
    readonly from?: string;
    readonly detail?: Partial<AttemptDetail>;
  },
): RecordedEvent {
  return recorded(seconds, {
    type: "delivery",
    agent,
    session: "00000000000000aa",
    envelope: envelopeOf(envelope, message),
    from: from === "" ? null : mailbox(from),
    to: mailbox(dest),
    rcpt: mailbox(rcpt),
    delayMs: seconds * 1000,
    outcome,
    stat,
    ...agent === "mda" ? { user: "bob" } : { relay: "192.0.2.7 (mx.example.org)", source: "-" },
    ...detail === undefined ? {} : {
      detail: agent === "mda" ? { method: "maildir", tries: 1, ...detail } : {
        method: "smtp",
        host: "mx.example.org",
        address: "192.0.2.7",
        port: 25,
        tries: 1,
        ...detail.code === undefined ? {} : { tls: null },
        ...detail,
      },
    },
  }, agent === "mda" ? "delivery" : "relay");
}

export function refused(
  seconds: number,
  { command, reply, ...detail }: { readonly command: string; readonly reply: string } & Partial<RefusalDetail>,
): RecordedEvent {
  return recorded(seconds, {
    type: "smtp-failed-command",
    session: SESSION,
    command,
    reply,
    address: "192.0.2.9",
    detail: {
      ref: `${SESSION}-1`,
      origin: ORIGIN,
      host: "client.example.com",
      tag: "",
      ciphers: null,
      rcpts: [],
      ...detail,
    },
  });
}

/** An envelope in the queue. */
export function queued(number: number, rcpt: string, more: Partial<PresentEnvelope> = {}): PresentEnvelope {
  return {
    id: envelopeOf(number),
    agent: "mta",
    from: "alice@example.com",
    rcpt,
    dest: rcpt,
    createdAt: T0,
    expiresAt: T0 + 4 * 86_400_000,
    lastTryAt: 0,
    tries: 0,
    error: "",
    suspended: false,
    state: "pending",
    at: T0,
    wait: null,
    ...more,
  };
}
