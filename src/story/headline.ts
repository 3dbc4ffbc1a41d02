/** The sentence that answers first: where a message is, and why. Pure. */

import { messageOf } from "../envelope/mod.ts";
import type { DeliveryEvent } from "../events/mod.ts";
import type { EnvelopeStory, Fate, Known, Refusal } from "./known.ts";
import { spanOf } from "./span.ts";
import type { Present, StoryLevel } from "./types.ts";
import { capitalized, counted, hostOf, listOf, relayOf, replyOf, senderOf, timesOf } from "./words.ts";

/** What went wrong stands first. */
const ORDER: readonly Fate[] = [
  "bounced",
  "expired",
  "removed",
  "lost",
  "held",
  "deferred",
  "queued",
  "relayed",
  "delivered",
];
const LEVELS: Readonly<Record<Fate, StoryLevel>> = {
  bounced: "bad",
  expired: "bad",
  removed: "bad",
  lost: "warn",
  held: "warn",
  deferred: "warn",
  queued: "info",
  relayed: "ok",
  delivered: "ok",
};

export interface Headline {
  readonly text: string;
  readonly level: StoryLevel;
}

/** Takes all that is known, and the id that was asked for, and returns one sentence: the reason first. */
export function headlineOf(known: Known, id: string, present: Present | null): Headline {
  const refused = known.refusals.find(({ event }) => event.detail?.ref === id);
  if (refused !== undefined) return { text: `${refusalSentence(refused, known)}.`, level: "bad" };
  const recipients = known.envelopes.filter(({ agent }) => agent !== "bounce");
  if (recipients.length > 0) return ofRecipients(recipients, known, present);
  const waiting = known.envelopes.length;
  if (waiting > 0) return { text: "Its DSN waits in the queue to be written.", level: "info" };
  if (known.accepted.length > 0) return { text: acceptedSentence(known), level: "info" };
  return ofSession(known);
}

function ofRecipients(recipients: readonly EnvelopeStory[], known: Known, present: Present | null): Headline {
  const groups = Map.groupBy(recipients, ({ fate }) => fate);
  const fates = ORDER.filter((fate) => groups.has(fate));
  const now = present?.now ?? null;
  const whole = { all: recipients.length, now, acts: known.acts };
  const clauses = fates.map((fate) => clauseOf(fate, groups.get(fate)!, whole));
  const refused = known.refusals.filter(({ event }) => event.type === "smtp-failed-command" && isRcpt(event.command));
  if (refused.length > 0) {
    const others = counted(refused.length, "other recipient");
    clauses.push(`${others} ${refused.length === 1 ? "was" : "were"} refused: ${replyOf(refused[0]!.event.reply)}`);
  }
  return { text: `${capitalized(clauses.join("; "))}.`, level: LEVELS[fates[0]!] };
}

interface Whole {
  /** Recipients in all. */
  readonly all: number;
  /** Ms since the epoch; null where nothing is known of now. */
  readonly now: number | null;
  readonly acts: Known["acts"];
}

/** What became of these recipients, whose fate is the same, as a part of a sentence. */
function clauseOf(fate: Fate, some: readonly EnvelopeStory[], { all, now, acts }: Whole): string {
  const names = namesOf(some, all), first = typicalOf(some);
  const answer = answerOf(first);
  const because = answer === "" ? "" : `: ${answer}`;
  switch (fate) {
    case "delivered":
      return `delivered to ${names}`;
    case "relayed":
      return `relayed for ${names}${because}`;
    case "bounced":
      return isRefusal(first)
        ? `refused for good for ${names}${because}`
        : `not delivered to ${names}, for good${because}`;
    case "expired": {
      const spent = first.gone === null ? "" : ` after ${spanOf(first.gone.event.delayMs)}`;
      return `given up for ${names}${spent}, ${tried(first)}${because}`;
    }
    case "removed":
      return `removed from the queue${byWhom(acts, "remove", first)} before it was delivered to ${names}${because}`;
    case "lost":
      return `no longer in the queue for ${names}, and how it ended is not in the history${because}`;
    case "held":
      return `held${byWhom(acts, "hold", first)} for ${names} until an administrator lets it go${because}`;
    case "deferred":
      return `not delivered yet to ${names}${because}; ${tried(first)}${nextTry(first, now)}`;
    case "queued":
      return `waits in the queue for ${names}${firstTry(first)}`;
  }
  return fate satisfies never;
}

/** `bob@example.org`, `all 12 recipients`, `2 of 5 recipients (…)`. */
function namesOf(some: readonly EnvelopeStory[], all: number): string {
  if (all === 1) return some[0]!.name;
  if (some.length === all && all > 2) return `all ${all} recipients`;
  const names = listOf(some.slice(0, 4).map(({ name }) => name), some.length);
  return all > 4 && some.length > 1 ? `${some.length} of ${all} recipients (${names})` : names;
}

/** The one that stands for the others: its last answer is that of most of them. */
function typicalOf(some: readonly EnvelopeStory[]): EnvelopeStory {
  if (some.length === 1) return some[0]!;
  const groups = [...Map.groupBy(some, answerOf)].sort(([, one], [, other]) => other.length - one.length);
  return groups[0]![1][0]!;
}

/** The last answer, with who gave it; "" where there is none. */
function answerOf({ attempts, gone, present }: EnvelopeStory): string {
  const last = attempts.at(-1)?.event;
  if (last !== undefined) return answerText(last);
  if (present !== null && present.error !== "") return `the last answer was ${replyOf(present.error)}`;
  return gone === null ? "" : replyOf(gone.event.stat);
}

/** `mx.example.org (192.0.2.7) answered 452 4.2.2 Mailbox full`, or what went wrong without an answer. */
export function answerText(event: DeliveryEvent): string {
  const stat = replyOf(event.stat), host = whereOf(event);
  if (event.agent === "mda") return stat;
  if (isReply(event)) return `${host === "" ? "the host" : host} answered ${stat}`;
  return host === "" || stat.includes(host) ? stat : `${host}: ${stat}`;
}

/** Somebody answered: it is no error of the connection, or of this host. */
function isReply({ detail, stat }: DeliveryEvent): boolean {
  return detail?.code !== undefined || /^[2-5]\d\d(?:[ -]|$)/.test(stat);
}

function isRefusal({ attempts }: EnvelopeStory): boolean {
  const last = attempts.at(-1)?.event;
  return last !== undefined && last.agent === "mta" && isReply(last);
}

/** The host of an attempt as `name (address)`; "" for a local delivery. */
export function whereOf({ detail, relay, agent }: DeliveryEvent): string {
  if (agent === "mda") return "";
  if (detail?.host !== undefined || detail?.address !== undefined) return hostOf(detail.host, detail.address);
  return relay === undefined || relay === "-" ? "" : relayOf(relay);
}

/** ` by admin:alice`: who has done that last to an envelope or its message; "" where it is not known. */
function byWhom(acts: Known["acts"], act: "hold" | "remove", { id }: EnvelopeStory): string {
  const last = acts.findLast(({ event }) =>
    event.act === act && (event.envelope === id || event.message === messageOf(id))
  );
  return last === undefined ? "" : ` by ${last.event.by}`;
}

function tried({ tries }: EnvelopeStory): string {
  return tries === 0 ? "never tried" : `tried ${timesOf(tries)}`;
}

function nextTry({ present }: EnvelopeStory, now: number | null): string {
  if (present === null || now === null) return "";
  if (present.state === "inflight") return ", an attempt is under way";
  if (present.state === "unknown") return "";
  const left = present.at - now;
  if (left > 1_000) return `, next try in about ${spanOf(left)}${present.wait === null ? "" : `, but ${present.wait}`}`;
  return present.wait === null ? ", next try is due" : `, next try is due, but ${present.wait}`;
}

function firstTry({ present }: EnvelopeStory): string {
  if (present === null) return "";
  if (present.state === "inflight") return ": the first attempt is under way";
  return present.wait === null ? "" : `: ${present.wait}`;
}

function acceptedSentence({ accepted }: Known): string {
  const [first] = accepted, { message, rcpts } = first!.event;
  return `Accepted as message ${message} for ${counted(rcpts, "recipient")}; what became of it is not known.`;
}

function ofSession(known: Known): Headline {
  const { refusals, disconnected } = known;
  const [first] = refusals, others = refusals.length - 1;
  if (first !== undefined) {
    const more = others === 0 ? "" : `, and ${counted(others, "other command")} of the session`;
    return { text: `${refusalSentence(first, known)}${more}.`, level: "bad" };
  }
  const left = disconnected === null ? "" : `: the session ended with "${replyOf(disconnected.event.reason)}"`;
  return { text: `No message came from ${clientOf(known)}${left}.`, level: "info" };
}

/** `Refused with 550 5.1.1 …: RCPT TO:<bob@example.org> from client.example.com (192.0.2.9)`. */
function refusalSentence({ event }: Refusal, known: Known): string {
  const command = event.type === "smtp-failed-command" ? event.command : "";
  const what = event.type === "smtp-bad-input" ? "the input" : command === "" ? "the connection" : replyOf(command);
  const sender = event.detail?.sender;
  const from = sender === undefined || /^MAIL/i.test(command)
    ? ""
    : `, with mail from ${senderOf(sender === null ? "" : `${sender.local}@${sender.domain}`)}`;
  return `Refused with ${replyOf(event.reply)}: ${what} of ${clientOf(known, event.address)}${from}`;
}

/** The client as `name (address)`. */
export function clientOf({ connected, refusals }: Known, address?: string): string {
  const event = connected?.event;
  if (event === undefined) {
    return hostOf(refusals[0]?.event.detail?.host, address ?? refusals[0]?.event.address) || "a client";
  }
  return event.family === "local" ? "this host" : hostOf(event.host, event.address);
}

function isRcpt(command: string): boolean {
  return /^RCPT/i.test(command);
}
