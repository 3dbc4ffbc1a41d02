/**
 * Every door of the house: who may speak to whom, and with which messages, which stand in doors/ by pair of isolates. A door that is not listed
 * does not exist: main makes the ports from DOORS, and an isolate can only name a door of its own. Plain data only: all of this is posted.
 * Every question carries `call`, a number of the asker's choosing; the answer carries the same. Messages without `call` want no answer.
 */

import type {
  ControlToLookup,
  ControlToQueue,
  ControlToRelay,
  ControlToScheduler,
  LookupToControl,
  QueueToControl,
  RelayToControl,
  SchedulerToControl,
} from "./control.ts";
import type { EventOf } from "./events.ts";
import type { QueueToSmtp, SmtpToQueue } from "./smtp_queue.ts";
import type { FromLogin, ToLogin } from "./login.ts";
import type { FromLookup, ToLookup } from "./lookup.ts";
import type { FromFilter, ToFilter } from "./table_programs.ts";
import type {
  AgentToQueue,
  FromPrivileged,
  Job,
  QueueToAgent,
  QueueToScheduler,
  RelayToScheduler,
  SchedulerToQueue,
  ToPrivileged,
} from "./queue_work.ts";
import type { FromFiles, ToFiles } from "./files.ts";
import type { FilterToSession, SessionToFilter } from "./filters.ts";

/** The roles. There may be several smtp isolates, and of the three that touch users' files (see file_pool.ts); filter only stands where the config names programs, login where a listener asks for AUTH; the others have one isolate. */
export type Role =
  | "smtp"
  | "lookup"
  | "queue"
  | "scheduler"
  | "relay"
  | "delivery"
  | "errand"
  | "mailbox"
  | "file"
  | "forward"
  | "filter"
  | "login"
  | "control";

/** Each door as "caller-callee"; both sides may send. The value tells what each side says. */
export interface Doors {
  "smtp-lookup": { asks: ToLookup; answers: FromLookup };
  "smtp-queue": { asks: SmtpToQueue; answers: QueueToSmtp };
  "queue-scheduler": { asks: QueueToScheduler; answers: SchedulerToQueue };
  "scheduler-relay": { asks: Job; answers: RelayToScheduler };
  "scheduler-delivery": { asks: Job; answers: never };
  "relay-queue": { asks: AgentToQueue; answers: QueueToAgent };
  "delivery-queue": { asks: AgentToQueue; answers: QueueToAgent };
  /** Commands, and files that users name: delivery may not touch them. */
  "delivery-errand": { asks: ToPrivileged; answers: FromPrivileged };
  "errand-queue": { asks: AgentToQueue; answers: QueueToAgent };
  "errand-lookup": { asks: ToLookup; answers: FromLookup };
  /** Users' files: who asks for a task has the isolates come to him. */
  "mailbox-delivery": { asks: FromFiles; answers: ToFiles };
  "file-errand": { asks: FromFiles; answers: ToFiles };
  "forward-lookup": { asks: FromFiles; answers: ToFiles };
  "relay-lookup": { asks: ToLookup; answers: FromLookup };
  "delivery-lookup": { asks: ToLookup; answers: FromLookup };
  /** Bounces are ordinary mail: the queue asks where the sender's address goes before it enqueues the notice. */
  "queue-lookup": { asks: ToLookup; answers: FromLookup };
  /** Tables that programs answer for. */
  "lookup-filter": { asks: ToFilter; answers: FromFilter };
  /** Events of sessions with filters, and what their filters say to them. */
  "smtp-filter": { asks: SessionToFilter; answers: FilterToSession };
  "relay-filter": { asks: SessionToFilter; answers: FilterToSession };
  /** Is this the password of that hash? */
  "lookup-login": { asks: ToLogin; answers: FromLogin };
  "control-queue": { asks: ControlToQueue; answers: QueueToControl };
  "control-scheduler": { asks: ControlToScheduler; answers: SchedulerToControl };
  "control-relay": { asks: ControlToRelay; answers: RelayToControl };
  "control-lookup": { asks: ControlToLookup; answers: LookupToControl };
  /** Events flow one way, into control, which keeps the log and the counters; each role has its own, see doors/events.ts. */
  "smtp-control": { asks: EventOf<"smtp">; answers: never };
  "lookup-control": { asks: EventOf<"lookup">; answers: never };
  "queue-control": { asks: EventOf<"queue">; answers: never };
  "scheduler-control": { asks: EventOf<"scheduler">; answers: never };
  "relay-control": { asks: EventOf<"relay">; answers: never };
  "delivery-control": { asks: EventOf<"delivery">; answers: never };
  "errand-control": { asks: EventOf<"errand">; answers: never };
  "filter-control": { asks: EventOf<"filter">; answers: never };
  "login-control": { asks: EventOf<"login">; answers: never };
}
export type DoorName = keyof Doors;

export const DOORS: readonly DoorName[] = [
  "smtp-lookup",
  "smtp-queue",
  "queue-scheduler",
  "scheduler-relay",
  "scheduler-delivery",
  "relay-queue",
  "delivery-queue",
  "delivery-errand",
  "errand-queue",
  "mailbox-delivery",
  "file-errand",
  "forward-lookup",
  "relay-lookup",
  "delivery-lookup",
  "errand-lookup",
  "queue-lookup",
  "lookup-filter",
  "smtp-filter",
  "relay-filter",
  "lookup-login",
  "control-queue",
  "control-scheduler",
  "control-relay",
  "control-lookup",
  "smtp-control",
  "lookup-control",
  "queue-control",
  "scheduler-control",
  "relay-control",
  "delivery-control",
  "errand-control",
  "filter-control",
  "login-control",
];
