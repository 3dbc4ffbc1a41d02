/** Examples of what events carry while the history records, all optional fields included. */

import assert from "node:assert/strict";
import type { Mailbox, Routed } from "../../src/envelope/mod.ts";
import {
  type AttemptDetail,
  type ConnectionDetail,
  type DialogueEvent,
  type DsnEvent,
  type Event,
  type MessageDetail,
  packed,
  type RefusalDetail,
} from "../../src/events/mod.ts";
import { compileTable } from "../../src/protocol/check.ts";
import { unpacked } from "../../src/protocol/event_details.ts";
import { EVENTS, type Reporter } from "../../src/protocol/events.ts";
import { evpid, msgid } from "../ids.ts";

const box: Mailbox = { local: "a", domain: "x.test" };
const origin = {
  address: "[::1]",
  hostname: "h",
  helo: "h",
  smtpname: "s",
  tag: "t",
  username: "u",
  authenticated: true,
};

export const ROUTED: Routed = {
  address: "list@x.test",
  how: "recipient",
  rule: { file: "/etc/smtpd.conf", line: 12 },
  result: "action",
  action: "in",
  children: [{
    address: "list",
    how: "user",
    rule: null,
    result: "expanded",
    more: 3,
    children: [
      { address: "nobody", how: "alias", table: "aliases", rule: null, result: "unknown", reason: "r", children: [] },
      {
        address: "bob",
        how: "forward",
        table: "/home/list/.forward:2",
        rule: null,
        result: "action",
        action: "in",
        goal: { kind: "maildir", user: "bob", text: "maildir" },
        children: [],
      },
    ],
  }],
};

export const CONNECTION_DETAIL: ConnectionDetail = { confirmed: "temporary", listener: "[::1]:25", tag: "t" };

export const MESSAGE_DETAIL: MessageDetail = {
  origin,
  ciphers: "TLSv1.3:TLS_AES_256_GCM_SHA384:256",
  sender: box,
  messageId: "<1@x.test>",
  eightBit: true,
  handling: { smtpUtf8: true, utf8Header: true, requireTls: true },
  begunAt: 1.5,
  durableAt: 2,
  envelopes: [
    { id: evpid("0a0b0c0d00000001"), rcpt: box, dest: box, agent: "mda", action: "in", user: "u" },
    { id: evpid("0a0b0c0d00000002"), rcpt: box, dest: box, agent: "mta", action: "out" },
  ],
  suppressed: [{ rcpt: box, dest: box, by: evpid("0a0b0c0d00000001") }],
  routed: [ROUTED],
  filters: [
    { filter: "f", kind: "builtin", phase: "connect", decision: "junk" },
    { filter: "g", kind: "program", phase: "commit", decision: "rewrite", text: "t" },
  ],
  more: 1,
};

export const BARE_REFUSAL_DETAIL: RefusalDetail = {
  ref: "00000000000000ff-1",
  origin: null,
  host: "<unknown>",
  tag: "",
  ciphers: null,
  rcpts: [],
};
export const REFUSAL_DETAIL: RefusalDetail = {
  ref: "00000000000000ff-2",
  origin,
  host: "h",
  tag: "t",
  ciphers: "c",
  sender: null,
  rcpts: ["a@x.test"],
  routed: ROUTED,
  filter: { filter: "f", kind: "program", phase: "rcpt-to", decision: "reject", text: "550 no" },
};

export const ATTEMPT_DETAILS: readonly AttemptDetail[] = [
  { method: "mbox", durationMs: 0.5, tries: 1 },
  { session: "00000000000000ff", method: "smtp", host: "mx.x.test", address: "::1", port: 25, tries: 2 },
  { method: "smtp", tls: null, source: "::1", tries: 0 },
  {
    method: "lmtp",
    tls: { ciphers: "c", verified: true, fingerprint: "SHA256:00ff" },
    code: 550,
    status: { class: 5, code: "1.1" },
    stage: "RCPT",
    durationMs: 12,
    tries: 1,
  },
];

export const DIALOGUES: readonly Omit<DialogueEvent, "type" | "session">[] = [
  { side: "in", lines: [{ ms: 0, from: "server", text: "220 s" }, { ms: 1.5, from: "client", text: "X" }], before: 0 },
  { side: "out", message: msgid("0a0b0c0d"), lines: [], before: 12 },
];

type Of<T extends DsnEvent["type"]> = readonly Omit<Extract<DsnEvent, { type: T }>, "type">[];
export const DSN_EVENTS: { readonly [T in DsnEvent["type"]]: Of<T> } = {
  "queue-dsn-asked": [{
    envelope: evpid("0a0b0c0d00000001"),
    request: evpid("0a0b0c0d00000002"),
    kind: "failed",
    rcpt: box,
    status: { class: 5, code: "1.1" },
  }],
  "queue-dsn-written": [{
    message: msgid("0a0b0c0d"),
    requests: [evpid("0a0b0c0d00000002")],
    kind: "delayed",
    rcpts: [box],
    dsn: msgid("0a0b0c0e"),
    to: box,
    bytes: 1,
    envelopes: [{ id: evpid("0a0b0c0e00000001"), rcpt: box, dest: box, agent: "mta", action: "out" }],
    routed: ROUTED,
  }],
  "queue-dsn-dropped": [{ envelope: evpid("0a0b0c0d00000001"), reason: "no return path" }],
};

/** A detail as it travels. */
export const sent = <T>(detail: T): T => JSON.stringify(detail) as unknown as T;

/** What control says of an event that this role reports, from the door on; null where it takes it as it was. */
export function doorFault(role: Reporter, event: Event): string | null {
  const check = compileTable(EVENTS[role]).get(event.type);
  const arrived = structuredClone(packed(event));
  const fault = check === undefined ? "may not come from there" : check(arrived);
  if (fault !== null) return fault;
  const whole = unpacked(arrived);
  if (typeof whole === "string") return whole;
  assert.deepEqual(whole, JSON.parse(JSON.stringify(event)));
  return null;
}
