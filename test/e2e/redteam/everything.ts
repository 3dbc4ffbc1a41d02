/**
 * All that an isolate may say in the right form, said as hostile as it can be: derived from the table of doors, so that a new type of message is said too.
 * Loaded by hostile.ts when it is ordered.
 */

import { foreign, type Known, type Side } from "../../isolate/hostile_messages.ts";
import { callsOf, type Owned } from "./calls.ts";
import { sidesOf } from "../../../src/protocol/door.ts";
import { DOOR_NAMES } from "../../../src/protocol/doors.ts";
import type { DoorName, Doors, Role } from "../../../src/protocol/mod.ts";

/** A door at which one of these asks, or reports. */
type AskedDoor = Extract<DoorName, `${Owned}-${string}`>;

/** What is not said: it is the authority of the role (SECURITY.md), or ends the isolate, which redteam_test.ts tries by itself. */
const LEFT_OUT: { readonly [N in AskedDoor]?: { readonly [T in Doors[N]["asks"]["type"]]?: string } } = {
  "smtp-filter": { request: "before the first is answered a second one ends it" },
  "relay-filter": { request: "as smtp's" },
  "smtp-signer": { sign: "without the right grant it is replaced" },
  "relay-queue": { take: "without the right MAC it is replaced" },
  "control-queue": {
    remove: "smtpctl remove",
    suspend: "smtpctl pause envelope",
    discover: "smtpctl import",
  },
  "control-scheduler": {
    schedule: "smtpctl schedule",
    suspend: "smtpctl pause envelope",
    pause: "smtpctl pause",
  },
  "control-main": {
    "dkim-rotate": "smtpctl dkim rotate",
    stop: "smtpctl stop",
    "pause-smtp": "smtpctl pause smtp",
    verbosity: "smtpctl log",
  },
};

/** The session of the last question to a filter: a session is of one isolate. */
export const LAST_SESSIONS = { smtp: "00000000000000bb", relay: "00000000000000dd" } as const;
export const LAST_WORDS = "the last words";

const lastOf = (role: Owned) => ({ call: callsOf(role).last });
const lastEvent = (role: Owned) => () => ({
  type: "log" as const,
  level: "info" as const,
  text: role === "login" ? LAST_WORDS : `${role}: ${LAST_WORDS}`,
});
const lastFilterQuestion = (role: "smtp" | "relay") => () => ({
  type: "request" as const,
  session: LAST_SESSIONS[role],
  process: "quiet",
  phase: "connect" as const,
  token: LAST_SESSIONS[role],
  param: "x|pass|127.0.0.1:1|127.0.0.1:2",
  at: 1,
});
/** Doors at which nothing is said: their only question ends who asks it. */
const SILENT = ["smtp-signer"] as const satisfies readonly AskedDoor[];
type SilentDoor = typeof SILENT[number];

/** What is said last at each door; its answer, or its line of the log, is seen. A door that is left out does not compile. */
const LAST: { readonly [N in Exclude<AskedDoor, SilentDoor>]: (known: Known, own: string) => Doors[N]["asks"] } = {
  "smtp-queue": (_known, own) => ({ type: "chunk", message: own as never, bytes: new Uint8Array(0) }),
  "smtp-lookup": () => ({ ...lastOf("smtp"), type: "mechanisms", table: null }),
  "smtp-filter": lastFilterQuestion("smtp"),
  "smtp-main": () => ({ ...lastOf("smtp"), type: "source", sessionNumber: 1, address: "2001:db8::1" }),
  "smtp-control": lastEvent("smtp"),
  "relay-queue": ({ message }) => ({ ...lastOf("relay"), type: "read", message: message as never, index: 0 }),
  "relay-lookup": () => ({ ...lastOf("relay"), type: "sources", action: "out" }),
  "relay-filter": lastFilterQuestion("relay"),
  "relay-control": lastEvent("relay"),
  "lookup-filter": () => ({ ...lastOf("lookup"), type: "table", table: "nosuch", request: { op: "update" } }),
  "lookup-login": () => ({ ...lastOf("lookup"), type: "verify", hash: "h", password: "p" }),
  "lookup-main": () => ({ ...lastOf("lookup"), type: "account", name: "nosuch" }),
  "lookup-control": lastEvent("lookup"),
  "login-control": lastEvent("login"),
  "acme-main": () => ({ ...lastOf("acme"), type: "connect", pki: "nosuch" }),
  "acme-control": lastEvent("acme"),
  "control-queue": () => ({ ...lastOf("control"), type: "damaged" }),
  "control-scheduler": () => ({ ...lastOf("control"), type: "states", ids: [] }),
  "control-relay": () => ({ ...lastOf("control"), type: "show", what: "routes" }),
  "control-lookup": () => ({ ...lastOf("control"), type: "table-faults" }),
  "control-history": () => ({ ...lastOf("control"), type: "history-state" }),
  "control-main": () => ({ ...lastOf("control"), type: "isolates" }),
};

/** How often each message is said: far beyond any credit. Of those that take events each has a line in the log, or is read again by each question. */
const FLOOD = 200, COSTLY_FLOOD = 20;
const COSTLY: readonly Role[] = ["control", "history"];

/** Doors at which the role asks, whose last words are answered or logged. */
export function askedDoors(role: Owned): readonly AskedDoor[] {
  return DOOR_NAMES.filter((name) => sidesOf(name).asker === role && Object.hasOwn(LAST, name)) as AskedDoor[];
}

/** What is posted at each door of the role, in order. `own` is an id of a message that the queue has given the isolate. */
export function* everything(
  role: Owned,
  { known, own }: { readonly known: Known; readonly own: string },
): Generator<{ readonly door: DoorName; readonly messages: readonly unknown[] }> {
  const numbers = { next: callsOf(role).first };
  for (const door of DOOR_NAMES) {
    const { asker, answerer } = sidesOf(door);
    if (asker !== role && answerer !== role) continue;
    const side: Side = asker === role ? "asks" : "answers";
    const leftOut = (LEFT_OUT as Partial<Record<DoorName, object>>)[door] ?? {};
    for (const [type, messages] of foreign(door, side, known)) {
      if (Object.hasOwn(leftOut, type)) continue;
      // An answer that nobody waits for ends who says it.
      const said = side === "asks" ? messages : messages.filter((message) => !("call" in message));
      if (said.length > 0) {
        yield {
          door,
          messages: flooded(said, { numbers, times: COSTLY.includes(answerer as Role) ? COSTLY_FLOOD : FLOOD }),
        };
      }
    }
    if (door === "smtp-queue") {
      yield {
        door,
        messages: Array.from({ length: 10 }, () => ({ type: "chunk", message: own, bytes: new Uint8Array(1) })),
      };
    }
    if (side === "asks" && Object.hasOwn(LAST, door)) {
      yield { door, messages: [LAST[door as keyof typeof LAST](known, own)] };
    }
  }
}

/** Each once, then the first again and again, with numbers of its own and with one that was used. */
function flooded(
  messages: readonly Readonly<Record<string, unknown>>[],
  { numbers, times }: { readonly numbers: { next: number }; readonly times: number },
): readonly unknown[] {
  const numbered = (message: Readonly<Record<string, unknown>>, call: number) =>
    "call" in message ? { ...message, call } : message;
  const again = Array.from({ length: times }, () => messages[0]!);
  const replayed = numbers.next;
  return [
    ...messages.map((message) => numbered(message, numbers.next++)),
    ...again.map((message) => numbered(message, numbers.next++)),
    ...again.map((message) => numbered(message, replayed)),
  ];
}
