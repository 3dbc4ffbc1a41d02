/**
 * Every door of the system: which isolate may speak to which, with which messages, and which answers a question may get. The one table from
 * which types and lists derive. A door that is not listed does not exist: main makes the ports from DOORS, and what an isolate has of the doors
 * (isolates/) does not compile unless it stands here. Main alone loads this: an isolate loads the checks of its own doors only. Plain data: all
 * of this is posted. Every question carries `call`, a number of the asker's choosing; the answer carries the same. Messages without `call` need
 * no answer.
 */

import { ACME_MAIN } from "./acme.ts";
import { CONTROL_LOOKUP, CONTROL_QUEUE, CONTROL_RELAY, CONTROL_SCHEDULER } from "./control.ts";
import type { Door, OwnSide } from "./door.ts";
import { EVENT_DOORS } from "./events.ts";
import { FILES } from "./files.ts";
import { SESSION_FILTER } from "./filters.ts";
import { CONTROL_HISTORY } from "./history.ts";
import { LOOKUP_LOGIN } from "./login.ts";
import { DELIVERY_LOOKUP, PRIVILEGED_LOOKUP, QUEUE_LOOKUP, RELAY_LOOKUP, SMTP_LOOKUP } from "./lookup.ts";
import { LOOKUP_MAIN } from "./lookup_main.ts";
import { CONTROL_MAIN, DELIVERY_MAIN, FILTER_MAIN, PRIVILEGED_MAIN, SMTP_MAIN } from "./main.ts";
import {
  AGENT_QUEUE,
  DELIVERY_PRIVILEGED,
  QUEUE_SCHEDULER,
  SCHEDULER_DELIVERY,
  SCHEDULER_RELAY,
} from "./queue_work.ts";
import type { Role } from "./roles.ts";
import { SIGNER } from "./signer.ts";
import { SMTP_QUEUE } from "./smtp_queue.ts";
import { LOOKUP_FILTER } from "./table_programs.ts";

/** Each door as "caller-callee"; both sides may send. */
export const DOORS = {
  "smtp-lookup": SMTP_LOOKUP,
  "smtp-queue": SMTP_QUEUE,
  "queue-scheduler": QUEUE_SCHEDULER,
  "scheduler-relay": SCHEDULER_RELAY,
  "scheduler-delivery": SCHEDULER_DELIVERY,
  "relay-queue": AGENT_QUEUE,
  "delivery-queue": AGENT_QUEUE,
  /** Commands, and files that users name: delivery may not touch them. */
  "delivery-privileged": DELIVERY_PRIVILEGED,
  "privileged-queue": AGENT_QUEUE,
  /** Users' files: the isolates that touch them ask the isolates that have tasks for them; main has those of lookup, with which they share memory. */
  "mailbox-delivery": FILES,
  "file-privileged": FILES,
  "forward-main": FILES,
  "relay-lookup": RELAY_LOOKUP,
  "delivery-lookup": DELIVERY_LOOKUP,
  "privileged-lookup": PRIVILEGED_LOOKUP,
  /** Notices and reports are ordinary mail: the queue asks where they go before it enqueues them, and the DNS who wants reports. */
  "queue-lookup": QUEUE_LOOKUP,
  /** Tables that programs answer for. */
  "lookup-filter": LOOKUP_FILTER,
  /** Events of sessions with filters, and what their filters say to them. */
  "smtp-filter": SESSION_FILTER,
  "relay-filter": SESSION_FILTER,
  /** Is this the password of that hash? */
  "lookup-login": LOOKUP_LOGIN,
  /** Signatures of DKIM: for mail that comes in, and for notices. */
  "smtp-signer": SIGNER,
  "queue-signer": SIGNER,
  "control-queue": CONTROL_QUEUE,
  "control-scheduler": CONTROL_SCHEDULER,
  "control-relay": CONTROL_RELAY,
  "control-lookup": CONTROL_LOOKUP,
  /** What is recorded of messages, and what is asked about it. */
  "control-history": CONTROL_HISTORY,
  /** Connections, files and programs for certificates that are obtained. */
  "acme-main": ACME_MAIN,
  /** What only main may do, or may find out: see main.ts. */
  "smtp-main": SMTP_MAIN,
  "lookup-main": LOOKUP_MAIN,
  "control-main": CONTROL_MAIN,
  "filter-main": FILTER_MAIN,
  "delivery-main": DELIVERY_MAIN,
  "privileged-main": PRIVILEGED_MAIN,
  /** What each role may report, see events.ts. */
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

/** What an isolate of a role has of the doors: its side of each that it stands at. One that is left out, or is not its own, does not compile. */
export type OwnDoors<R extends Role> =
  & { readonly [N in DoorName as N extends `${R}-${string}` ? N : never]: OwnSide<Doors[N]["answers"]> }
  & { readonly [N in DoorName as N extends `${string}-${R}` ? N : never]: OwnSide<Doors[N]["asks"]> };

/** The door between main and an isolate of the role; never where there is none. */
export type MainDoorName = Extract<DoorName, `${string}-main`>;
