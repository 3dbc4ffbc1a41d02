/** The checks of every door: what each side may say, and which answers a question may get. A door or a message without its checks does not compile. */

import { FROM_FILES, TO_FILES } from "./files.ts";
import { type Check, compileTable, type MessageTable, type Replies } from "./check.ts";
import type { DoorName, Doors, Role } from "./doors.ts";
import {
  CONTROL_LOOKUP_REPLIES,
  CONTROL_QUEUE_REPLIES,
  CONTROL_RELAY_REPLIES,
  CONTROL_SCHEDULER_REPLIES,
  CONTROL_TO_LOOKUP,
  CONTROL_TO_QUEUE,
  CONTROL_TO_RELAY,
  CONTROL_TO_SCHEDULER,
  LOOKUP_TO_CONTROL,
  QUEUE_TO_CONTROL,
  RELAY_TO_CONTROL,
  SCHEDULER_TO_CONTROL,
} from "./control.ts";
import { EVENTS } from "./events.ts";
import { FILTER_TO_SESSION, SESSION_TO_FILTER } from "./filters.ts";
import { QUEUE_TO_SMTP, SMTP_TO_QUEUE } from "./smtp_queue.ts";
import { FROM_LOGIN, LOGIN_REPLIES, TO_LOGIN } from "./login.ts";
import { FROM_LOOKUP, LOOKUP_QUESTIONS, LOOKUP_REPLIES, TO_LOOKUP } from "./lookup.ts";
import { FILTER_REPLIES, FROM_FILTER, TO_FILTER } from "./table_programs.ts";
import {
  AGENT_REPLIES,
  AGENT_TO_QUEUE,
  FROM_PRIVILEGED,
  PRIVILEGED_REPLIES,
  QUEUE_TO_AGENT,
  QUEUE_TO_SCHEDULER,
  RELAY_TO_SCHEDULER,
  SCHEDULER_TO_QUEUE,
  TO_AGENT,
  TO_PRIVILEGED,
} from "./queue_work.ts";

interface DoorTables<Asks extends { readonly type: string }, Answers extends { readonly type: string }> {
  readonly asks: MessageTable<Asks>;
  readonly answers: MessageTable<Answers>;
  readonly replies: Replies<Asks, Answers>;
}

const AGENT_QUEUE = { asks: AGENT_TO_QUEUE, answers: QUEUE_TO_AGENT, replies: AGENT_REPLIES };
const FILES = { asks: FROM_FILES, answers: TO_FILES, replies: {} };
const ASKS_LOOKUP = { asks: TO_LOOKUP, answers: FROM_LOOKUP, replies: LOOKUP_REPLIES };
const ASKS_FILTER = { asks: SESSION_TO_FILTER, answers: FILTER_TO_SESSION, replies: {} };

export const DOOR_TABLES: { readonly [N in DoorName]: DoorTables<Doors[N]["asks"], Doors[N]["answers"]> } = {
  "smtp-lookup": ASKS_LOOKUP,
  "smtp-queue": { asks: SMTP_TO_QUEUE, answers: QUEUE_TO_SMTP, replies: {} },
  "queue-scheduler": { asks: QUEUE_TO_SCHEDULER, answers: SCHEDULER_TO_QUEUE, replies: {} },
  "scheduler-relay": { asks: TO_AGENT, answers: RELAY_TO_SCHEDULER, replies: {} },
  "scheduler-delivery": { asks: TO_AGENT, answers: {}, replies: {} },
  "relay-queue": AGENT_QUEUE,
  "delivery-queue": AGENT_QUEUE,
  "delivery-errand": { asks: TO_PRIVILEGED, answers: FROM_PRIVILEGED, replies: PRIVILEGED_REPLIES },
  "errand-queue": AGENT_QUEUE,
  "errand-lookup": ASKS_LOOKUP,
  "mailbox-delivery": FILES,
  "file-errand": FILES,
  "forward-lookup": FILES,
  "relay-lookup": ASKS_LOOKUP,
  "delivery-lookup": ASKS_LOOKUP,
  "queue-lookup": ASKS_LOOKUP,
  "lookup-filter": { asks: TO_FILTER, answers: FROM_FILTER, replies: FILTER_REPLIES },
  "smtp-filter": ASKS_FILTER,
  "relay-filter": ASKS_FILTER,
  "lookup-login": { asks: TO_LOGIN, answers: FROM_LOGIN, replies: LOGIN_REPLIES },
  "control-queue": { asks: CONTROL_TO_QUEUE, answers: QUEUE_TO_CONTROL, replies: CONTROL_QUEUE_REPLIES },
  "control-scheduler": {
    asks: CONTROL_TO_SCHEDULER,
    answers: SCHEDULER_TO_CONTROL,
    replies: CONTROL_SCHEDULER_REPLIES,
  },
  "control-relay": { asks: CONTROL_TO_RELAY, answers: RELAY_TO_CONTROL, replies: CONTROL_RELAY_REPLIES },
  "control-lookup": { asks: CONTROL_TO_LOOKUP, answers: LOOKUP_TO_CONTROL, replies: CONTROL_LOOKUP_REPLIES },
  "smtp-control": { asks: EVENTS.smtp, answers: {}, replies: {} },
  "lookup-control": { asks: EVENTS.lookup, answers: {}, replies: {} },
  "queue-control": { asks: EVENTS.queue, answers: {}, replies: {} },
  "scheduler-control": { asks: EVENTS.scheduler, answers: {}, replies: {} },
  "relay-control": { asks: EVENTS.relay, answers: {}, replies: {} },
  "delivery-control": { asks: EVENTS.delivery, answers: {}, replies: {} },
  "errand-control": { asks: EVENTS.errand, answers: {}, replies: {} },
  "filter-control": { asks: EVENTS.filter, answers: {}, replies: {} },
  "login-control": { asks: EVENTS.login, answers: {}, replies: {} },
};

/** Where a door lets through less than its messages allow: questions to lookup. */
const ALLOWED: { readonly [N in DoorName]?: readonly string[] } = {
  "smtp-lookup": LOOKUP_QUESTIONS.smtp,
  "relay-lookup": LOOKUP_QUESTIONS.relay,
  "delivery-lookup": LOOKUP_QUESTIONS.delivery,
  "errand-lookup": LOOKUP_QUESTIONS.errand,
  "queue-lookup": LOOKUP_QUESTIONS.queue,
};

/** What one side of a door checks. */
export interface DoorChecks {
  /** Of what arrives, by type. */
  readonly arriving: ReadonlyMap<string, Check<unknown>>;
  /** Answers that its own questions may get, by the type of the question; empty where it asks none. */
  readonly replies: ReadonlyMap<string, readonly string[]>;
}

/** The checks of the side of a door that `role` has. */
export function checksOf(name: DoorName, role: Role): DoorChecks {
  const { asks, answers, replies } = DOOR_TABLES[name];
  const allowed = ALLOWED[name];
  if (!name.startsWith(`${role}-`)) {
    const arriving = [...compileTable(asks)].filter(([type]) => allowed === undefined || allowed.includes(type));
    return { arriving: new Map(arriving), replies: new Map() };
  }
  return { arriving: compileTable(answers), replies: new Map(Object.entries(replies)) };
}
