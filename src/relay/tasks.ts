/** Tasks of a relay: messages that wait for a session, first come first served. Pure. */

import type { Reason } from "./reason.ts";
import type { EnvelopeId, MessageId } from "../envelope/mod.ts";

/** One message to some recipients of one relay: one transaction. */
export interface Task {
  readonly message: MessageId;
  readonly ids: readonly EnvelopeId[];
  /** It was given to a connection that turned out to be closed before the first command, or that carried others and took no more. */
  readonly afterDeadConnection: boolean;
  /** The rest of a message of which other recipients have had their transaction: that says nothing new of the host. */
  readonly further?: true;
  /** Local addresses that it could not be sent from to this host. */
  readonly avoid?: readonly string[];
  /** Smarthosts of the action's list that are left to try, as URLs. */
  readonly others?: readonly string[];
  /** The best reason why it could not be sent so far. */
  readonly reason?: Reason;
}

/** RFC 5321 §4.5.3.1.8: every server takes so many recipients in one transaction. */
export const TASK_RECIPIENTS = 100;
/** Those of a smarthost, which relays for others and says so when it takes fewer; as many as a job has. */
export const SMARTHOST_TASK_RECIPIENTS = 1000;

/** Returns how many recipients one task may have; `mx`: the hosts are those of a domain. */
export function maxTaskRecipients({ mx }: { readonly mx: boolean }): number {
  return mx ? TASK_RECIPIENTS : SMARTHOST_TASK_RECIPIENTS;
}

/** Splits the ids of a job into tasks of at most `most`; `others` are smarthosts to try after the first, as URLs. */
export function splitTask(
  message: MessageId,
  ids: readonly EnvelopeId[],
  { others = [], most = TASK_RECIPIENTS }: { readonly others?: readonly string[]; readonly most?: number } = {},
): Task[] {
  const tasks: Task[] = [];
  const left = others.length === 0 ? {} : { others };
  for (let start = 0; start < ids.length; start += most) {
    tasks.push({ message, ids: ids.slice(start, start + most), afterDeadConnection: false, ...left });
  }
  return tasks;
}

/** Returns both as one task, or null where they are not to share a transaction: more than `most` recipients, or another way to go on. */
function joined(task: Task, other: Task, most: number): Task | null {
  const plain = ({ afterDeadConnection, further, avoid, reason }: Task) =>
    !afterDeadConnection && further === undefined && avoid === undefined && reason === undefined;
  if (!plain(task) || !plain(other) || task.ids.length + other.ids.length > most) return null;
  const ways = task.others ?? [], otherWays = other.others ?? [];
  if (ways.length !== otherWays.length || ways.some((way, at) => way !== otherWays[at])) return null;
  return { ...task, ids: [...task.ids, ...other.ids] };
}

/** Returns what one transaction may carry of a task, and the rest: `most` is what the host takes, by its word (RCPTMAX, RFC 9422 §4) or its refusals; null for any number. */
export function partOf(task: Task, most: number | null): { readonly part: Task; readonly rest: Task | null } {
  if (most === null || task.ids.length <= most) return { part: task, rest: null };
  return {
    part: { ...task, ids: task.ids.slice(0, most) },
    rest: { ...task, ids: task.ids.slice(most), further: true },
  };
}

/** Returns the task without those of `ids`. */
export function without(task: Task, ids: ReadonlySet<EnvelopeId>): Task {
  return ids.size === 0 ? task : { ...task, ids: task.ids.filter((id) => !ids.has(id)) };
}

/** First in, first out, without moving what is behind. Recipients of a message that waits already join it, for one transaction. */
export class TaskQueue {
  /** Recipients of one task. */
  readonly #most: number;
  #tasks: { task: Task }[] = [];
  #head = 0;
  /** The last waiting task of each message. */
  readonly #waiting = new Map<MessageId, { task: Task }>();

  /** `most`: recipients of one task, where tasks are joined. */
  constructor(most = TASK_RECIPIENTS) {
    this.#most = most;
  }

  get length(): number {
    return this.#tasks.length - this.#head;
  }

  push(task: Task): void {
    const waiting = this.#waiting.get(task.message);
    const both = waiting === undefined ? null : joined(waiting.task, task, this.#most);
    if (both !== null) waiting!.task = both;
    else {
      const place = { task };
      this.#tasks.push(place);
      this.#waiting.set(task.message, place);
    }
  }

  /** It has waited already: it is the next. */
  putBack(task: Task): void {
    if (this.#head > 0) this.#tasks[--this.#head] = { task };
    else this.#tasks.unshift({ task });
  }

  shift(): Task | undefined {
    if (this.#head === this.#tasks.length) return undefined;
    const place = this.#tasks[this.#head++]!;
    if (this.#waiting.get(place.task.message) === place) this.#waiting.delete(place.task.message);
    if (this.#head > 1024 && this.#head * 2 > this.#tasks.length) {
      this.#tasks = this.#tasks.slice(this.#head);
      this.#head = 0;
    }
    return place.task;
  }

  /** Takes all out. */
  clear(): Task[] {
    const all = this.#tasks.slice(this.#head).map(({ task }) => task);
    this.#tasks = [];
    this.#head = 0;
    this.#waiting.clear();
    return all;
  }
}
