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

/** Splits the ids of a job into tasks; `others` are smarthosts to try after the first, as URLs. */
export function splitTask(message: MessageId, ids: readonly EnvelopeId[], others: readonly string[] = []): Task[] {
  const tasks: Task[] = [];
  const left = others.length === 0 ? {} : { others };
  for (let start = 0; start < ids.length; start += TASK_RECIPIENTS) {
    tasks.push({ message, ids: ids.slice(start, start + TASK_RECIPIENTS), afterDeadConnection: false, ...left });
  }
  return tasks;
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

/** First in, first out, without moving what is behind. */
export class TaskQueue {
  #tasks: Task[] = [];
  #head = 0;

  get length(): number {
    return this.#tasks.length - this.#head;
  }

  push(task: Task): void {
    this.#tasks.push(task);
  }

  /** It has waited already: it is the next. */
  putBack(task: Task): void {
    if (this.#head > 0) this.#tasks[--this.#head] = task;
    else this.#tasks.unshift(task);
  }

  shift(): Task | undefined {
    if (this.#head === this.#tasks.length) return undefined;
    const task = this.#tasks[this.#head++]!;
    if (this.#head > 1024 && this.#head * 2 > this.#tasks.length) {
      this.#tasks = this.#tasks.slice(this.#head);
      this.#head = 0;
    }
    return task;
  }

  /** Takes all out. */
  clear(): Task[] {
    const all = this.#tasks.slice(this.#head);
    this.#tasks = [];
    this.#head = 0;
    return all;
  }
}
