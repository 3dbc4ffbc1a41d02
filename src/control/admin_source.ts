/** What the admin page and its API are given: the requests of smtpctl, and what control itself knows. */

import type { AdminOutcome, AdminRow, AdminSource, Fault, FoundPage, RequestResult } from "../admin/mod.ts";
import { formatMailbox, type MessageId, messageOf, type ReversePath } from "../envelope/mod.ts";
import type { Event, Stats } from "../events/mod.ts";
import type { Isolate } from "../isolate/mod.ts";
import type { Clock } from "../clock.ts";
import { dialogueRecord, foundRecord, storyRecord } from "./history_records.ts";
import { HistoryFault, HistoryUnavailable } from "./history_requests.ts";
import type { FailingDomains } from "./failing_domains.ts";
import type { DaySeries } from "./day_series.ts";
import type { OpenSessions } from "./open_sessions.ts";
import type { ControlRequest } from "./parse.ts";
import type { JsonRecord, Rates } from "./protocol.ts";
import { classifyOutcome } from "./classified.ts";
import { envelopeRecord, queueRecord } from "./records.ts";
import { flagsOf } from "./listing.ts";
import type { ControlRequests } from "./requests.ts";

/** What it is made from. */
export interface AdminSourceDeps {
  readonly isolate: Isolate<"control">;
  readonly requests: ControlRequests;
  readonly stats: Stats;
  readonly sessions: OpenSessions;
  readonly outcomes: Outcomes;
  readonly series: DaySeries;
  readonly failing: FailingDomains;
  readonly clock: Pick<Clock, "now" | "steady">;
}

/** Those who want to know what becomes of messages: an event costs one look while there are none. */
export class Outcomes {
  readonly #listeners = new Set<(outcome: AdminOutcome) => void>();

  observe(event: Event): void {
    if (this.#listeners.size === 0) return;
    const outcome = outcomeOf(event);
    if (outcome !== null) { for (const listener of this.#listeners) listener(outcome); }
  }

  /** Returns what ends it. */
  listen(listener: (outcome: AdminOutcome) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }
}

/** Makes the source for the admin server. */
export function adminSource(deps: AdminSourceDeps): AdminSource {
  const { isolate, requests, stats, sessions, outcomes, series, failing, clock } = deps;
  return {
    // A reload may give the server another name.
    get serverName() {
      return isolate.settings.shared.serverName;
    },
    version: isolate.settings.shared.version,
    uptimeSeconds: () => requests.uptimeSeconds,
    stats: () => {
      stats.set("mta.domain.failing", failing.count(clock.now()));
      return stats.entries();
    },
    histogram: (key) => stats.histogram(key),
    measure: () => requests.measure(),
    series: (query) => series.record(query),
    queuePage: (after, limit, message = null) => requests.queuePage(after, limit, message),
    envelope: (id) => requests.queueRow(id),
    recordOf: { queued: ({ envelope, state }) => queueRecord(envelope, state, classifyOutcome), whole: wholeRecord },
    health: () => requests.health(),
    diskErrors: () => requests.diskErrors(),
    checkup: () => requests.lastCheckup,
    refusals: () => requests.refusals(),
    paused: () => ({ mda: requests.paused("mda"), mta: requests.paused("mta"), smtp: requests.paused("smtp") }),
    recording: () => isolate.recording === true,
    find: (query, page) => findPage(requests, { do: "find", query, ...page }),
    story: (id, options) => recall(requests, id, options),
    ask: (request, by) => collected(requests.answer(request, by)),
    look: async (rates) => lookRecord(await requests.look(rates as Rates | null), isolate),
    watch: (onoutcome) => {
      const watched = requests.activity.watch(clock.steady());
      const stop = outcomes.listen(onoutcome);
      return {
        rates: () => ({ ...watched.take(clock.steady()) }),
        end: () => {
          watched.end();
          stop();
        },
      };
    },
    lanes: () => requests.laneRecords(),
    sessions: (page) => ({ records: sessions.records(page), count: sessions.size }),
    tokens: () => requests.tokens.list(),
    tokenUsed: (name) => requests.tokens.used(name),
    act: (act) => isolate.emit({ type: "admin-act", ...act }),
  };
}

/** All answers to a request: its records, and its end. */
async function collected(answers: ReturnType<ControlRequests["answer"]>): Promise<RequestResult> {
  const records: JsonRecord[] = [];
  for await (const answer of answers) {
    if ("record" in answer) records.push(answer.record);
    else if ("ok" in answer) return { records, end: answer };
  }
  return { records, end: { ok: false, error: "there is no answer" } };
}

async function findPage(
  requests: ControlRequests,
  request: Extract<ControlRequest, { do: "find" }>,
): Promise<FoundPage | Fault> {
  const items: JsonRecord[] = [];
  let end: Pick<FoundPage, "next" | "stopped" | "notes"> = { next: null, stopped: true, notes: [] };
  for await (const answer of requests.answer(request)) {
    if ("found" in answer) items.push(foundRecord(answer.found));
    else if ("search" in answer) end = answer.search;
    else if ("ok" in answer && !answer.ok) return { fault: answer.error, unavailable: true };
  }
  const { next, stopped, notes } = end;
  return { items, next, stopped, notes };
}

async function recall(
  requests: ControlRequests,
  id: string,
  { dialogue }: { readonly dialogue: boolean },
): Promise<JsonRecord | Fault> {
  try {
    const { story, events } = await requests.story(id);
    const said = dialogue ? await requests.dialogue(id) : null;
    return {
      ...storyRecord(story),
      events: events.map(({ at, isolate, event }) => ({
        ...{ at: new Date(at).toISOString(), isolate, event: event as unknown as JsonRecord },
      })),
      ...said === null ? {} : { dialogue: said.map(dialogueRecord) },
    };
  } catch (error) {
    if (!(error instanceof HistoryFault)) throw error;
    return { fault: error.message, unavailable: error instanceof HistoryUnavailable };
  }
}

function wholeRecord({ envelope, state }: AdminRow): JsonRecord {
  const { state: standing, dueAt, inflightSince } = queueRecord(envelope, state, classifyOutcome);
  return {
    ...envelopeRecord(envelope, classifyOutcome),
    state: standing!,
    dueAt: dueAt!,
    inflightSince: inflightSince!,
    flags: flagsOf(envelope, state),
  };
}

function lookRecord(
  look: Awaited<ReturnType<ControlRequests["look"]>>,
  { recording }: Isolate<"control">,
): JsonRecord {
  const { serverName, at, uptimeSeconds, rates, sessions, relaySessions, localDeliveries } = look;
  const { envelopes, inflight, oldestAt, laneCount } = look;
  return {
    ...{ serverName, at: new Date(at).toISOString(), uptimeSeconds, rates: rates === null ? null : { ...rates } },
    ...{ sessions, relaySessions, localDeliveries, envelopes, inflight, laneCount },
    oldestAt: oldestAt === null ? null : new Date(oldestAt).toISOString(),
    history: recording === true,
  };
}

/** What became of a message by an event; null for events that say nothing of that. */
function outcomeOf(event: Event): AdminOutcome | null {
  const none = { message: null, envelope: null, session: null, from: null, to: null, text: null };
  switch (event.type) {
    case "smtp-message":
      return { ...none, what: "accepted", message: event.message, session: event.session };
    case "smtp-failed-command":
    case "smtp-bad-input":
      return { ...none, what: "refused", session: event.session, text: event.reply };
    case "delivery":
    case "queue-expire":
    case "queue-remove":
      return {
        what: whatOf(event),
        message: messageOf(event.envelope) satisfies MessageId,
        envelope: event.envelope,
        session: null,
        from: pathText(event.from),
        to: formatMailbox(event.to),
        text: event.stat,
      };
    default:
      return null;
  }
}

function whatOf(event: Extract<Event, { stat: string }>): AdminOutcome["what"] {
  if (!("outcome" in event)) return event.type === "queue-remove" ? "removed" : "failed";
  if (event.outcome === "tempfail") return "deferred";
  if (event.outcome !== "ok") return "failed";
  return event.agent === "mda" ? "delivered" : "relayed";
}

function pathText(path: ReversePath): string {
  return path === null ? "" : formatMailbox(path);
}
