/** What the events of a message, or of a session, say: who connected, what was refused, and what became of each recipient. Pure. One function is long: a case per event. */

import { type EnvelopeId, formatMailbox, isEnvelopeId, type MessageId, messageOf } from "../envelope/mod.ts";
import type { AcceptedEnvelope, DeliveryEvent, Event, QueueEvent, RecordedEvent } from "../events/mod.ts";
import type { Present, PresentEnvelope } from "./types.ts";
import { addressOf } from "./words.ts";

/** An event of one type, and when it came. */
export interface Seen<T extends Event["type"]> {
  readonly at: number;
  readonly event: Extract<Event, { type: T }>;
}

export interface Attempt {
  readonly at: number;
  readonly event: DeliveryEvent;
}

/** `lost`: it is no longer in the queue, and its end is not in the history. */
export type Fate =
  | "delivered"
  | "relayed"
  | "bounced"
  | "expired"
  | "removed"
  | "deferred"
  | "held"
  | "queued"
  | "lost";

/** One recipient after expansion. */
export interface EnvelopeStory {
  readonly id: EnvelopeId;
  /** What the client named, and what the rules made of it. */
  readonly rcpt: string;
  readonly dest: string;
  /** What sentences call it: the address; with the one that it came of, where that is another; the user, where an address leads to several. */
  readonly name: string;
  readonly agent: "mda" | "mta" | "bounce";
  readonly acceptedAt: number;
  readonly attempts: readonly Attempt[];
  /** How many there were, those included that are not in the history. */
  readonly tries: number;
  readonly gone: { readonly at: number; readonly event: QueueEvent } | null;
  readonly present: PresentEnvelope | null;
  readonly fate: Fate;
}

export type Refusal = Seen<"smtp-failed-command" | "smtp-bad-input">;

export interface Known {
  readonly message: MessageId | null;
  readonly session: string | null;
  readonly connected: Seen<"smtp-connected"> | null;
  readonly login: string | null;
  /** Those that the session brought: one, but for the story of a session. */
  readonly accepted: readonly Seen<"smtp-message">[];
  readonly refusals: readonly Refusal[];
  readonly envelopes: readonly EnvelopeStory[];
  /** The DSN that the message itself is. */
  readonly asDsn: Seen<"queue-dsn-written"> | null;
  /** How it came into the queue without a client. */
  readonly queued: Seen<"queue-message"> | null;
  readonly disconnected: Seen<"smtp-disconnected"> | null;
  /** What administrators did to it. */
  readonly acts: readonly Seen<"admin-act">[];
}

interface Draft {
  id: EnvelopeId;
  rcpt: string;
  dest: string;
  agent: EnvelopeStory["agent"];
  user: string;
  acceptedAt: number;
  attempts: Attempt[];
  gone: EnvelopeStory["gone"];
}

/** Gathers what the events say, in order of time. `id` is what was asked for: of an envelope, the others are left out. */
export function gather(events: readonly RecordedEvent[], id: string, present: Present | null): Known {
  const drafts = new Map<EnvelopeId, Draft>();
  const only = onlyEnvelope(events, id, present);
  const accepted: Seen<"smtp-message">[] = [], refusals: Refusal[] = [], acts: Seen<"admin-act">[] = [];
  let connected: Known["connected"] = null, disconnected: Known["disconnected"] = null, asDsn: Known["asDsn"] = null;
  let queued: Known["queued"] = null, login: string | null = null, session: string | null = null;
  const named = isEnvelopeId(id) && only === null ? null : id.slice(0, 8);
  const draftOf = (envelope: EnvelopeId, make: () => Omit<Draft, "id" | "attempts" | "gone">): Draft | null => {
    if (only !== null && envelope !== only) return null;
    const known = drafts.get(envelope) ?? { id: envelope, attempts: [], gone: null, ...make() };
    drafts.set(envelope, known);
    return known;
  };
  const take = (envelopes: readonly AcceptedEnvelope[], at: number) => {
    for (const one of envelopes) {
      const rcpt = formatMailbox(one.rcpt), dest = formatMailbox(one.dest);
      const { agent, user = "" } = one;
      draftOf(one.id, () => ({ rcpt, dest, agent, user, acceptedAt: at }));
    }
  };
  for (const { at, event } of events) {
    switch (event.type) {
      case "smtp-connected":
        connected ??= { at, event };
        session ??= event.session;
        break;
      case "smtp-authentication":
        if (event.result === "ok") login = event.user;
        break;
      case "smtp-message":
        accepted.push({ at, event });
        session ??= event.session;
        take(event.detail?.envelopes ?? [], at);
        break;
      case "smtp-envelope": {
        const to = formatMailbox(event.to);
        draftOf(event.envelope, () => ({ rcpt: to, dest: to, agent: "mta", user: "", acceptedAt: at }));
        break;
      }
      case "smtp-failed-command":
      case "smtp-bad-input":
        refusals.push({ at, event });
        session ??= event.session;
        break;
      case "smtp-disconnected":
        disconnected = { at, event };
        session ??= event.session;
        break;
      case "admin-act":
        acts.push({ at, event });
        break;
      case "queue-message":
        queued = { at, event };
        take(event.envelopes, at);
        break;
      case "queue-dsn-written":
        if (event.dsn === named) {
          asDsn = { at, event };
          take(event.envelopes, at);
        }
        break;
      case "delivery": {
        const draft = draftOf(event.envelope, () => newDraft(event, at));
        if (draft === null) break;
        draft.agent = event.agent;
        draft.user = event.user ?? draft.user;
        draft.dest = formatMailbox(event.to);
        draft.attempts.push({ at, event });
        break;
      }
      case "queue-expire":
      case "queue-remove": {
        const draft = draftOf(event.envelope, () => newDraft(event, at));
        if (draft !== null) draft.gone = { at, event };
        break;
      }
    }
  }
  for (const one of present?.envelopes ?? []) {
    draftOf(one.id, () => ({
      rcpt: one.rcpt,
      dest: one.dest,
      agent: one.agent,
      user: "",
      acceptedAt: one.createdAt,
    }));
  }
  const all = [...drafts.values()], counts = Map.groupBy(all, ({ rcpt }) => rcpt);
  const envelopes = all.map((draft) => {
    return finished(draft, draftName(draft, { ofSeveral: counts.get(draft.rcpt)!.length > 1 }), present);
  });
  const message = accepted[0]?.event.message ?? queued?.event.message ?? asDsn?.event.dsn ?? messageOfFirst(envelopes);
  return { message, session, connected, login, accepted, refusals, envelopes, asDsn, queued, disconnected, acts };
}

/** The envelope that was asked for, where the id is one of those that are known. */
function onlyEnvelope(events: readonly RecordedEvent[], id: string, present: Present | null): EnvelopeId | null {
  if (!isEnvelopeId(id)) return null;
  const isKnown = present?.envelopes?.some((one) => one.id === id) === true || events.some(({ event }) => {
    if (event.type === "smtp-message") return event.detail?.envelopes.some((one) => one.id === id) === true;
    if (event.type === "queue-dsn-written" || event.type === "queue-message") {
      return event.envelopes.some((one) => one.id === id);
    }
    return "envelope" in event && event.envelope === id;
  });
  return isKnown ? id : null;
}

function newDraft(event: DeliveryEvent | QueueEvent, at: number): Omit<Draft, "id" | "attempts" | "gone"> {
  return {
    rcpt: addressOf(event.rcpt),
    dest: addressOf(event.to),
    agent: event.agent,
    user: "user" in event && event.user !== undefined ? event.user : "",
    acceptedAt: at - event.delayMs,
  };
}

function messageOfFirst([first]: readonly EnvelopeStory[]): MessageId | null {
  return first === undefined ? null : messageOf(first.id);
}

/** The address, and the one that it came of. */
export function nameOf({ dest, rcpt }: { readonly dest: string; readonly rcpt: string }): string {
  return dest.toLowerCase() === rcpt.toLowerCase() ? dest : `${dest} (for ${rcpt})`;
}

function draftName({ dest, rcpt, user }: Draft, { ofSeveral }: { readonly ofSeveral: boolean }): string {
  const local = dest.slice(0, dest.lastIndexOf("@")).toLowerCase(), name = user.toLowerCase();
  const isUser = ofSeveral && name !== "" && local !== name && !local.startsWith(`${name}+`);
  return isUser ? `user ${user} (for ${rcpt})` : nameOf({ dest, rcpt });
}

function finished(draft: Draft, name: string, present: Present | null): EnvelopeStory {
  const queued = present?.envelopes?.find(({ id }) => id === draft.id) ?? null;
  const last = draft.attempts.at(-1)?.event;
  const tries = Math.max(draft.attempts.length, queued?.tries ?? 0, last?.detail?.tries ?? 0);
  const agent = queued?.agent ?? draft.agent;
  return { ...draft, name, agent, tries, present: queued, fate: fateOf(draft, queued, present) };
}

function fateOf({ attempts, gone }: Draft, queued: PresentEnvelope | null, present: Present | null): Fate {
  const last = attempts.at(-1)?.event;
  if (gone !== null) return gone.event.type === "queue-expire" ? "expired" : "removed";
  if (last?.outcome === "ok") return last.agent === "mda" ? "delivered" : "relayed";
  if (last?.outcome === "permfail" || last?.outcome === "loop") return "bounced";
  if (queued !== null) {
    return queued.suspended ? "held" : queued.tries > 0 || last !== undefined ? "deferred" : "queued";
  }
  const isGone = present !== null && present.envelopes !== null && !present.more;
  return isGone ? "lost" : last === undefined ? "queued" : "deferred";
}
