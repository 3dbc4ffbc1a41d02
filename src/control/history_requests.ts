/** What smtpctl and the admin page ask about messages, past and present: the history, the queue and the scheduler answer, joined. Uses no sockets. */

import { isEnvelopeId, isMessageId, isSessionId, type MessageId, messageOf } from "../envelope/mod.ts";
import type { RecordedEvent } from "../events/mod.ts";
import type { Caller } from "../isolate/mod.ts";
import type {
  FoundMessage,
  FromHistory,
  HistoryQuery,
  HistoryState,
  LaneState,
  QueueToControl,
  RelayRecord,
  ToHistory,
  WaitState,
} from "../protocol/mod.ts";
import { MAX_WAITS } from "../protocol/control.ts";
import { type Clock, sleep, systemClock } from "../clock.ts";
import {
  type Dialogue,
  dialoguesOf,
  isIncomplete,
  laneReason,
  type Present,
  type PresentEnvelope,
  type Story,
  storyOf,
} from "../story/mod.ts";
import { formatMailbox } from "../envelope/mod.ts";
import type { ListedEnvelope } from "./listing.ts";
import type { QueueCaller, SchedulerCaller } from "./queue_requests.ts";

/** Asks the isolate of the history. */
export type HistoryCaller = Pick<Caller<ToHistory, FromHistory>, "ask">;

/** An isolate that does not answer in this time is said not to, in ms. */
const ANSWER_MS = 15_000;
/** What the queue has settled is reported by others, and comes this much later at most, in ms. */
const UNDER_WAY_MS = 300;
/** Questions to the history for one page of a search: each looks for a bounded time. */
const MAX_ROUNDS = 20;
/** Messages of a session whose envelopes are asked of the queue. */
const MAX_SESSION_MESSAGES = 20;

/** Why a question has no answer, as a sentence without its end. */
export class HistoryFault extends Error {}

/** The same of an isolate that does not answer now: later it may. */
export class HistoryUnavailable extends HistoryFault {}

export interface FoundPage {
  readonly messages: readonly FoundMessage[];
  /** What `before` is to be for those behind these; null at the end. */
  readonly next: string | null;
  /** The search has ended before all was looked at. */
  readonly stopped: boolean;
}

/** A story, and the events that it was told from. */
export interface Recalled {
  readonly story: Story;
  readonly events: readonly RecordedEvent[];
}

export interface HistoryDeps {
  readonly history: HistoryCaller;
  readonly queue: QueueCaller;
  readonly scheduler: SchedulerCaller;
  /** What relay knows of its destinations. */
  readonly relays: () => Promise<readonly RelayRecord[]>;
  /** Whether anything is recorded now. */
  readonly recording: () => boolean;
  /** The configuration that is in use, for a hint; null when that is not known. */
  readonly configFile: () => Promise<string | null>;
  /** How many envelopes one question to the queue may name. */
  readonly envelopesPerPage: () => number;
  readonly clock?: Clock;
}

/** Finds messages, and tells their stories. */
export class HistoryRequests {
  readonly #deps: HistoryDeps;
  readonly #clock: Clock;

  constructor(deps: HistoryDeps) {
    this.#deps = deps;
    this.#clock = deps.clock ?? systemClock;
  }

  /** Messages that the query matches, newest first, behind `before`; "" begins. Rejects with HistoryFault when the history is off or does not answer. */
  async find(
    query: HistoryQuery,
    { limit, before = "" }: { readonly limit: number; readonly before?: string },
  ): Promise<FoundPage> {
    await this.#demandHistory();
    const messages: FoundMessage[] = [];
    let cursor: string | null = before, stopped = false;
    for (let round = 0; cursor !== null && messages.length < limit; round++) {
      if (round === MAX_ROUNDS) {
        stopped = true;
        break;
      }
      const wanted: number = limit - messages.length;
      const answer: Extract<FromHistory, { type: "found" }> = await this.#answer(
        this.#deps.history.ask<"found">({ type: "find", query, limit: wanted, before: cursor }),
        HISTORY,
      );
      messages.push(...answer.messages);
      cursor = answer.next;
      if (!answer.more) break;
    }
    return { messages, next: cursor, stopped };
  }

  /** What the history holds; null when it is off. Rejects with HistoryFault when it does not answer. */
  async state(): Promise<HistoryState | null> {
    if (!this.#deps.recording()) return null;
    return (await this.#answer(this.#deps.history.ask<"history-state">({ type: "history-state" }), HISTORY)).state;
  }

  /**
   * The story of a message, an envelope, a session or a refusal, by its id; of a message also by its Message-ID where that is unique. Rejects with
   * HistoryFault when nothing is known of it.
   */
  async story(asked: string): Promise<Recalled> {
    const id = await this.#idOf(asked);
    const { events, truncated, notes } = await this.#events(id);
    const present = await this.#present(id, events, notes);
    if (events.length === 0 && (present.envelopes ?? []).length === 0) throw await this.#nothing(asked, present);
    const about = { id, present, truncated };
    if (!truncated && isIncomplete(events, about)) {
      await sleep(UNDER_WAY_MS, this.#clock);
      const later = await this.#events(id);
      return { story: storyOf(later.events, about), events: later.events };
    }
    return { story: storyOf(events, about), events };
  }

  /** What client and server said in the sessions of it, as far as it is kept. */
  async dialogue(asked: string): Promise<readonly Dialogue[]> {
    const id = await this.#idOf(asked);
    await this.#demandHistory();
    const answer = await this.#answer(this.#deps.history.ask<"dialogue">({ type: "dialogue", id }), HISTORY);
    return dialoguesOf(answer.events);
  }

  /** An id in the form in which it is kept. */
  async #idOf(asked: string): Promise<string> {
    const text = asked.trim(), id = text.toLowerCase();
    if (isMessageId(id) || isEnvelopeId(id) || isSessionId(id) || /^[0-9a-f]{1,16}-\d{1,9}$/.test(id)) return id;
    if (!text.includes("@") && !text.startsWith("<")) {
      throw new HistoryFault(
        `"${text}" is no id: that of a message has 8 hexadecimal digits, of an envelope or a session 16; a Message-ID has an @`,
      );
    }
    const { messages, next } = await this.find({ words: [], messageId: text }, { limit: 11 });
    if (messages.length === 1 && next === null) return messages[0]!.id;
    if (messages.length === 0) throw new HistoryFault(`the history has no message with the Message-ID ${text}`);
    const ids = messages.slice(0, 10).map(({ id }) => id).join(" ");
    throw new HistoryFault(
      `${messages.length > 10 ? "more than 10" : messages.length} messages have the Message-ID ${text}: ${ids}`,
    );
  }

  async #demandHistory(): Promise<void> {
    if (!this.#deps.recording()) throw new HistoryFault(await this.#offText());
  }

  async #offText(): Promise<string> {
    const file = await this.#deps.configFile() ?? "smtpd.conf";
    return `nothing is recorded, the history is off: write "history keep 30d" in ${file}, then smtpctl reload`;
  }

  /** What the history has of it. That it cannot be asked is a note: the queue may know something. */
  async #events(id: string): Promise<Pick<Extract<FromHistory, { type: "story" }>, "events" | "truncated"> & Notes> {
    const none = { events: [], truncated: false };
    if (!this.#deps.recording()) {
      return { ...none, notes: [`This is what the queue knows: ${await this.#offText()}.`] };
    }
    try {
      const answer = await this.#answer(this.#deps.history.ask<"story">({ type: "story", id }), HISTORY);
      const { stopped = null } = await this.state() ?? {};
      const notes = stopped === null ? [] : [`Nothing is recorded now: ${stopped}.`];
      if (answer.events.length === 0) notes.unshift(NOTHING_KEPT);
      return { ...answer, notes };
    } catch (error) {
      if (!(error instanceof HistoryFault)) throw error;
      return { ...none, notes: [`This is what the queue knows: ${error.message}.`] };
    }
  }

  /** Where those stand that are in the queue now. */
  async #present(
    id: string,
    events: readonly RecordedEvent[],
    notes: readonly string[],
  ): Promise<Present> {
    const nothing = { now: this.#clock.now(), envelopes: [], more: false, notes };
    const messages = messagesOf(id, events);
    if (messages.length === 0) return nothing;
    try {
      const listed: ListedEnvelope[] = [];
      let more = messages.length > MAX_SESSION_MESSAGES;
      for (const message of messages.slice(0, MAX_SESSION_MESSAGES)) {
        const page = await this.#listed(message, MAX_WAITS - listed.length);
        listed.push(...page.envelopes);
        more ||= page.more;
      }
      const wanted = isEnvelopeId(id) ? listed.filter((one) => one.id === id) : listed;
      const waits = await this.#waits(wanted.length > 0 ? wanted : listed);
      return { now: this.#clock.now(), envelopes: waits, more, notes };
    } catch (error) {
      const reason = error instanceof HistoryFault ? error.message : "the queue or the scheduler was replaced just now";
      return {
        ...nothing,
        envelopes: null,
        notes: [...notes, `Where it stands in the queue is not known: ${reason}.`],
      };
    }
  }

  async #listed(
    message: MessageId,
    most: number,
  ): Promise<{ readonly envelopes: readonly ListedEnvelope[]; readonly more: boolean }> {
    const envelopes: ListedEnvelope[] = [];
    let after: ListedEnvelope["id"] | "" | null = "";
    while (after !== null && envelopes.length < most) {
      const limit: number = Math.min(this.#deps.envelopesPerPage(), most - envelopes.length);
      const page: Extract<QueueToControl, { type: "listed" }> = await this.#answer(
        this.#deps.queue.ask<"listed">({ type: "list", message, after, limit }),
        "the queue",
      );
      envelopes.push(...page.envelopes);
      after = page.next;
    }
    return { envelopes, more: after !== null };
  }

  async #waits(listed: readonly ListedEnvelope[]): Promise<readonly PresentEnvelope[]> {
    if (listed.length === 0) return [];
    const ids = listed.map(({ id }) => id);
    const { waits } = await this.#answer(this.#deps.scheduler.ask<"waits">({ type: "waits", ids }), "the scheduler");
    const byId = new Map(waits.map((one) => [one.state.id, one]));
    const open = waits.some(({ lane }) => lane?.agent === "mta" && lane.limit === "open");
    const relays = open ? await this.#deps.relays().catch(() => []) : [];
    const now = this.#clock.now();
    return listed.map((envelope) => presentOf(envelope, byId.get(envelope.id) ?? null, { relays, now }));
  }

  /** Says that nothing is known of an id, where it was looked for, and what would help. */
  async #nothing(asked: string, present: Present): Promise<HistoryFault> {
    const queue = present.envelopes === null ? "" : `${asked} is not in the queue`;
    const note = present.notes.find((one) => one !== NOTHING_KEPT);
    if (!this.#deps.recording()) return new HistoryFault(`${queue === "" ? asked : queue}; ${await this.#offText()}`);
    if (note !== undefined) return new HistoryFault(`${queue}${queue === "" ? "" : "; "}${note.replace(/\.$/, "")}`);
    const oldestAt = (await this.state().catch(() => null))?.oldestAt ?? null;
    const reach = oldestAt === null ? "which is empty yet" : `which goes back to ${new Date(oldestAt).toISOString()}`;
    return new HistoryFault(`${queue}, and nothing is known of it in the history, ${reach}`);
  }

  /** Rejects with HistoryFault when `who` does not answer in time, or ends. */
  async #answer<T>(asked: Promise<T>, who: string): Promise<T> {
    const late = Promise.withResolvers<never>();
    const cancel = this.#clock.after(ANSWER_MS, () => late.reject(new HistoryUnavailable(`${who} does not answer`)));
    try {
      return await Promise.race([asked, late.promise]);
    } catch (error) {
      if (error instanceof HistoryFault) throw error;
      throw new HistoryUnavailable(`${who} is being started anew: try again`);
    } finally {
      cancel();
    }
  }
}

const HISTORY = "the history";
const NOTHING_KEPT = "This is what the queue knows: the history has nothing of it.";

interface Notes {
  readonly notes: readonly string[];
}

/** Messages that an id is of: its own, or those of the session. */
function messagesOf(id: string, events: readonly RecordedEvent[]): readonly MessageId[] {
  if (isMessageId(id)) return [id];
  const accepted = new Set(events.flatMap(({ event }) => event.type === "smtp-message" ? [event.message] : []));
  if (accepted.size > 0) return [...accepted];
  return isEnvelopeId(id) ? [messageOf(id)] : [];
}

function presentOf(
  { id, agent, sender, rcpt, dest, createdAt, expiresAt, lastTryAt, tries, errorLine, suspended }: ListedEnvelope,
  wait: WaitState | null,
  { relays, now }: { readonly relays: readonly RelayRecord[]; readonly now: number },
): PresentEnvelope {
  const { state, at } = wait?.state ?? { state: "unknown", at: 0 } as const;
  return {
    id,
    agent,
    from: sender === null ? "" : formatMailbox(sender),
    rcpt: formatMailbox(rcpt),
    dest: formatMailbox(dest),
    createdAt,
    expiresAt,
    lastTryAt,
    tries,
    error: errorLine,
    suspended,
    state,
    at,
    wait: state === "inflight" || wait === null || wait.lane === null
      ? null
      : laneReason(wait.lane, relayOf(wait.lane, relays), now),
  };
}

/** What relay knows of the destination of a lane: of several actions, the one that is held up. */
export function relayOf({ agent, name }: LaneState, relays: readonly RelayRecord[]): RelayRecord | null {
  if (agent !== "mta") return null;
  const of = relays.filter(({ relay }) => relay.startsWith(`[relay:${name},`));
  return of.find(({ retryAt, waitsForMx }) => retryAt !== null || waitsForMx) ?? of[0] ?? null;
}
