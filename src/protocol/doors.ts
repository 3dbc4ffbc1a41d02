/**
 * Every door of the system: which isolate may speak to which, with which messages, and which answers a question may get. The one table from
 * which types, lists and checks derive. A door that is not listed does not exist: main makes the ports from DOORS, and an isolate can only name
 * a door of its own. Plain data only: all of this is posted. Every question carries `call`, a number of the asker's choosing; the answer
 * carries the same. Messages without `call` need no answer.
 */

import { type Check, compileTable, type MessageTable, type Replies } from "./check.ts";
import {
  CONTROL_LOOKUP_REPLIES,
  CONTROL_QUEUE_REPLIES,
  CONTROL_RELAY_REPLIES,
  CONTROL_SCHEDULER_REPLIES,
  CONTROL_TO_LOOKUP,
  CONTROL_TO_QUEUE,
  CONTROL_TO_RELAY,
  CONTROL_TO_SCHEDULER,
  type ControlToLookup,
  type ControlToQueue,
  type ControlToRelay,
  type ControlToScheduler,
  LOOKUP_TO_CONTROL,
  type LookupToControl,
  QUEUE_TO_CONTROL,
  type QueueToControl,
  RELAY_TO_CONTROL,
  type RelayToControl,
  SCHEDULER_TO_CONTROL,
  type SchedulerToControl,
} from "./control.ts";
import { type EventOf, EVENTS, type Reporter } from "./events.ts";
import { FROM_FILES, type FromFiles, TO_FILES, type ToFiles } from "./files.ts";
import { FILTER_TO_SESSION, type FilterToSession, SESSION_TO_FILTER, type SessionToFilter } from "./filters.ts";
import { FROM_LOGIN, type FromLogin, LOGIN_REPLIES, TO_LOGIN, type ToLogin } from "./login.ts";
import { FROM_LOOKUP, type FromLookup, LOOKUP_QUESTIONS, LOOKUP_REPLIES, TO_LOOKUP, type ToLookup } from "./lookup.ts";
import {
  CONTROL_MAIN_REPLIES,
  CONTROL_TO_MAIN,
  type ControlToMain,
  DELIVERY_TO_MAIN,
  type DeliveryToMain,
  FILTER_TO_MAIN,
  type FilterToMain,
  LOOKUP_MAIN_REPLIES,
  LOOKUP_TO_MAIN,
  type LookupToMain,
  MAIN_TO_CONTROL,
  MAIN_TO_LOOKUP,
  MAIN_TO_SMTP,
  type MainToControl,
  type MainToLookup,
  type MainToSmtp,
  PRIVILEGED_TO_MAIN,
  type PrivilegedToMain,
  SMTP_MAIN_REPLIES,
  SMTP_TO_MAIN,
  type SmtpToMain,
} from "./main.ts";
import {
  AGENT_REPLIES,
  AGENT_TO_QUEUE,
  type AgentToQueue,
  FROM_PRIVILEGED,
  type FromPrivileged,
  type Job,
  PRIVILEGED_REPLIES,
  QUEUE_TO_AGENT,
  QUEUE_TO_SCHEDULER,
  type QueueToAgent,
  type QueueToScheduler,
  RELAY_TO_SCHEDULER,
  type RelayToScheduler,
  SCHEDULER_TO_QUEUE,
  type SchedulerToQueue,
  TO_AGENT,
  TO_PRIVILEGED,
  type ToPrivileged,
} from "./queue_work.ts";
import type { Role } from "./roles.ts";
import { QUEUE_TO_SMTP, type QueueToSmtp, SMTP_TO_QUEUE, type SmtpToQueue } from "./smtp_queue.ts";
import { FILTER_REPLIES, FROM_FILTER, type FromFilter, TO_FILTER, type ToFilter } from "./table_programs.ts";

interface Message {
  readonly type: string;
}

/** What each side of a door says. */
export interface Door<Asks extends Message, Answers extends Message> {
  /** Of the caller, by type. */
  readonly asks: MessageTable<Asks>;
  /** Of the callee, by type. */
  readonly answers: MessageTable<Answers>;
  readonly replies: Replies<Asks, Answers>;
  /** Where the door lets through less than the caller's messages allow. */
  readonly allowed?: readonly Asks["type"][];
}

/** A door with these tables. */
function door<Asks extends Message, Answers extends Message>(
  asks: MessageTable<Asks>,
  answers: MessageTable<Answers>,
  replies: Replies<Asks, Answers>,
): Door<Asks, Answers> {
  return { asks, answers, replies };
}

/** Events flow one way, into control, which keeps the log and the counters; each role has its own, see events.ts. */
type EventDoors = { readonly [R in Reporter as `${R}-control`]: Door<EventOf<R>, never> };
const EVENT_DOORS = Object.fromEntries(
  Object.entries(EVENTS).map(([role, asks]) => [`${role}-control`, { asks, answers: {}, replies: {} }]),
) as unknown as EventDoors;

/** Doors at which lookup is asked; each role gets answers to its own questions only. */
const asksLookup = (allowed: readonly ToLookup["type"][]): Door<ToLookup, FromLookup> => ({
  asks: TO_LOOKUP,
  answers: FROM_LOOKUP,
  replies: LOOKUP_REPLIES,
  allowed,
});
const AGENT_QUEUE = door<AgentToQueue, QueueToAgent>(AGENT_TO_QUEUE, QUEUE_TO_AGENT, AGENT_REPLIES);
const FILES = door<FromFiles, ToFiles>(FROM_FILES, TO_FILES, {});
const SESSION_FILTER = door<SessionToFilter, FilterToSession>(SESSION_TO_FILTER, FILTER_TO_SESSION, {});

/** Each door as "caller-callee"; both sides may send. */
export const DOORS = {
  "smtp-lookup": asksLookup(LOOKUP_QUESTIONS.smtp),
  "smtp-queue": door<SmtpToQueue, QueueToSmtp>(SMTP_TO_QUEUE, QUEUE_TO_SMTP, {}),
  "queue-scheduler": door<QueueToScheduler, SchedulerToQueue>(QUEUE_TO_SCHEDULER, SCHEDULER_TO_QUEUE, {}),
  "scheduler-relay": door<Job, RelayToScheduler>(TO_AGENT, RELAY_TO_SCHEDULER, {}),
  "scheduler-delivery": door<Job, never>(TO_AGENT, {}, {}),
  "relay-queue": AGENT_QUEUE,
  "delivery-queue": AGENT_QUEUE,
  /** Commands, and files that users name: delivery may not touch them. */
  "delivery-privileged": door<ToPrivileged, FromPrivileged>(TO_PRIVILEGED, FROM_PRIVILEGED, PRIVILEGED_REPLIES),
  "privileged-queue": AGENT_QUEUE,
  /** Users' files: the isolates that touch them ask the isolates that have tasks for them; main has those of lookup, with which they share memory. */
  "mailbox-delivery": FILES,
  "file-privileged": FILES,
  "forward-main": FILES,
  "relay-lookup": asksLookup(LOOKUP_QUESTIONS.relay),
  "delivery-lookup": asksLookup(LOOKUP_QUESTIONS.delivery),
  "privileged-lookup": asksLookup(LOOKUP_QUESTIONS.privileged),
  /** Bounces are ordinary mail: the queue asks where the sender's address goes before it enqueues the notice. */
  "queue-lookup": asksLookup(LOOKUP_QUESTIONS.queue),
  /** Tables that programs answer for. */
  "lookup-filter": door<ToFilter, FromFilter>(TO_FILTER, FROM_FILTER, FILTER_REPLIES),
  /** Events of sessions with filters, and what their filters say to them. */
  "smtp-filter": SESSION_FILTER,
  "relay-filter": SESSION_FILTER,
  /** Is this the password of that hash? */
  "lookup-login": door<ToLogin, FromLogin>(TO_LOGIN, FROM_LOGIN, LOGIN_REPLIES),
  "control-queue": door<ControlToQueue, QueueToControl>(CONTROL_TO_QUEUE, QUEUE_TO_CONTROL, CONTROL_QUEUE_REPLIES),
  "control-scheduler": door<ControlToScheduler, SchedulerToControl>(
    CONTROL_TO_SCHEDULER,
    SCHEDULER_TO_CONTROL,
    CONTROL_SCHEDULER_REPLIES,
  ),
  "control-relay": door<ControlToRelay, RelayToControl>(CONTROL_TO_RELAY, RELAY_TO_CONTROL, CONTROL_RELAY_REPLIES),
  "control-lookup": door<ControlToLookup, LookupToControl>(
    CONTROL_TO_LOOKUP,
    LOOKUP_TO_CONTROL,
    CONTROL_LOOKUP_REPLIES,
  ),
  /** What only main may do, or may find out: see main.ts. */
  "smtp-main": door<SmtpToMain, MainToSmtp>(SMTP_TO_MAIN, MAIN_TO_SMTP, SMTP_MAIN_REPLIES),
  "lookup-main": door<LookupToMain, MainToLookup>(LOOKUP_TO_MAIN, MAIN_TO_LOOKUP, LOOKUP_MAIN_REPLIES),
  "control-main": door<ControlToMain, MainToControl>(CONTROL_TO_MAIN, MAIN_TO_CONTROL, CONTROL_MAIN_REPLIES),
  "filter-main": door<FilterToMain, never>(FILTER_TO_MAIN, {}, {}),
  "delivery-main": door<DeliveryToMain, never>(DELIVERY_TO_MAIN, {}, {}),
  "privileged-main": door<PrivilegedToMain, never>(PRIVILEGED_TO_MAIN, {}, {}),
  ...EVENT_DOORS,
} as const satisfies { readonly [N in `${Role}-${Role | "main"}`]?: unknown };

export type DoorName = keyof typeof DOORS;
export const DOOR_NAMES = Object.keys(DOORS) as readonly DoorName[];

/** What is said at each door. */
export type Doors = {
  readonly [N in DoorName]: typeof DOORS[N] extends Door<infer Asks, infer Answers>
    ? { readonly asks: Asks; readonly answers: Answers }
    : never;
};

/** The door between main and an isolate of the role; never where there is none. */
export type MainDoorName = Extract<DoorName, `${string}-main`>;

/** The roles on the two sides of a door. */
export interface DoorSides {
  readonly asker: Role;
  readonly answerer: Role | "main";
}

/** Returns the roles on the two sides of a door. */
export function sidesOf(name: DoorName): DoorSides {
  const [asker, answerer] = name.split("-") as [Role, Role | "main"];
  return { asker, answerer };
}

/** Returns the door at which a role asks another, or main; null where there is none. */
export function doorBetween(asker: Role, answerer: Role | "main"): DoorName | null {
  const name = `${asker}-${answerer}`;
  return Object.hasOwn(DOORS, name) ? name as DoorName : null;
}

/** What one side of a door checks. */
export interface DoorChecks {
  /** Of what arrives, by type. */
  readonly arriving: ReadonlyMap<string, Check<unknown>>;
  /** Answers that its own questions may get, by the type of the question; empty where it asks none. */
  readonly replies: ReadonlyMap<string, readonly string[]>;
}

/** Returns the checks of the side of a door that `side` has. */
export function checksOf(name: DoorName, side: Role | "main"): DoorChecks {
  const { asks, answers, replies, allowed }: Door<Message, Message> = DOORS[name] as never;
  if (sidesOf(name).asker === side) {
    return { arriving: compileTable(answers), replies: new Map(Object.entries(replies)) };
  }
  const arriving = [...compileTable(asks)].filter(([type]) => allowed === undefined || allowed.includes(type));
  return { arriving: new Map(arriving), replies: new Map() };
}
