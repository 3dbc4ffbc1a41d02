/**
 * Tells the story of a message, or of a session, from its events and from what is in the queue now. Pure: the same for smtpctl, the admin page and its API.
 * One function is long: a case per event.
 */

import { formatMailbox, type Routed } from "../envelope/mod.ts";
import type { AcceptedEnvelope, AdminActEvent, FilterNote, MessageDetail, RecordedEvent } from "../events/mod.ts";
import { attemptLines, recipientsOf } from "./attempts.ts";
import { clientOf, headlineOf } from "./headline.ts";
import { type EnvelopeStory, gather, type Known, nameOf } from "./known.ts";
import { spanOf } from "./span.ts";
import { goalText, placeOf, treeLines } from "./tree.ts";
import type { Present, Story, StoryFacts, StoryKind, StoryLine } from "./types.ts";
import { addressOf, counted, listOf, replyOf, senderOf, timesOf, tlsOf } from "./words.ts";

/** What belongs to a story beside its events. */
export interface About {
  /** What was asked for: the id of a message, an envelope or a session, or the ref of a refusal. */
  readonly id: string;
  /** Null where nothing is known of now. */
  readonly present?: Present | null;
  /** There are more events than these. */
  readonly truncated?: boolean;
}

/** Lines of one story at most: of more, those in the middle are left out and counted. */
export const MAX_STORY_LINES = 300;
/** Of these, so many from the beginning. */
const FIRST_LINES = 100;
/** Recipients whose way is told one by one; others are grouped by rule and action. */
const MAX_TREES = 20;
/** Characters of all that stands below lines, at most. */
const MAX_DETAIL_CHARS = 200_000;
/** Sentences about what is in the queue now. */
const MAX_NOW_LINES = 20;

/** Takes the events in order of time, and returns the story: the reason first, then what happened, then how it stands now. */
export function storyOf(events: readonly RecordedEvent[], { id, present = null, truncated = false }: About): Story {
  const known = gather(events, id, present);
  const { text, level } = headlineOf(known, id, present);
  const unsorted = [...events.flatMap((one) => eventLines(one, known, id)), ...attemptLines(known.envelopes)];
  const lines = unsorted.sort((one, other) => one.at - other.at || RANKS[one.kind] - RANKS[other.kind]);
  const notes = [...present?.notes ?? []];
  if (truncated) notes.push("There is more than is told here: the history answers a bounded number of events.");
  return {
    id,
    headline: text,
    level,
    facts: factsOf(known, events),
    lines: bounded(lines),
    now: nowOf(known, present),
    notes,
  };
}

/** In which order lines of one moment stand. */
const RANKS: Readonly<Record<StoryKind, number>> = {
  connection: 0,
  refusal: 0,
  check: 1,
  filter: 2,
  recipient: 3,
  message: 4,
  attempt: 5,
  queue: 6,
  dsn: 7,
};

/** Returns whether something has left the queue, and these events do not say how: they may be on their way. */
export function isIncomplete(events: readonly RecordedEvent[], { id, present = null }: About): boolean {
  return gather(events, id, present).envelopes.some(({ fate }) => fate === "lost");
}

function bounded(all: readonly StoryLine[]): readonly StoryLine[] {
  return withinChars(withinLines(all));
}

/** The lines with what stands below them as long as there is room for that. */
function withinChars(lines: readonly StoryLine[]): StoryLine[] {
  let room = MAX_DETAIL_CHARS;
  return lines.map((line) => {
    const text = line.text.replace(/([?!])\.$/, "$1");
    const kept = (line.detail ?? []).filter((one) => (room -= one.length) >= 0);
    return line.detail === undefined ? { ...line, text } : { ...line, text, detail: kept };
  });
}

function withinLines(lines: readonly StoryLine[]): readonly StoryLine[] {
  const left = lines.length - MAX_STORY_LINES;
  if (left <= 0) return lines;
  const end = lines.slice(FIRST_LINES + left + 1);
  const { at } = lines[FIRST_LINES]!;
  const gap: StoryLine = { at, kind: "message", level: "info", text: `${counted(left + 1, "line")} left out here.` };
  return [...lines.slice(0, FIRST_LINES), gap, ...end];
}

function factsOf(known: Known, events: readonly RecordedEvent[]): StoryFacts {
  const { accepted: [first], envelopes, connected, refusals, asDsn } = known;
  const detail = first?.event.detail, refusal = refusals.find(({ event }) => event.detail?.sender !== undefined);
  const recipients = [...new Set(envelopes.filter(({ agent }) => agent !== "bounce").map(({ rcpt }) => rcpt))];
  const refused = refusals.flatMap(({ event }) => event.detail?.rcpts ?? []);
  const to = recipients.length > 0 ? recipients : [...new Set(refused)];
  const attempt = envelopes[0]?.attempts[0]?.event;
  const from = detail !== undefined
    ? addressOf(detail.sender)
    : asDsn !== null
    ? ""
    : attempt !== undefined
    ? addressOf(attempt.from)
    : envelopes[0]?.present?.from ?? (refusal === undefined ? null : addressOf(refusal.event.detail!.sender!));
  return {
    message: known.message,
    session: known.session,
    from,
    to: to.slice(0, 10),
    recipients: first === undefined ? to.length : Math.max(to.length, first.event.rcpts),
    peer: connected !== null || refusals.length > 0 ? clientOf(known) : null,
    login: known.login ?? (detail === undefined || detail.origin.username === "" ? null : detail.origin.username),
    messageId: detail === undefined || detail.messageId === "" ? null : detail.messageId,
    bytes: first?.event.bytes ?? asDsn?.event.bytes ?? null,
    firstAt: events[0]?.at ?? envelopes[0]?.acceptedAt ?? null,
    lastAt: events.at(-1)?.at ?? null,
  };
}

type Line = Omit<StoryLine, "at">;

/** What one event adds to the story; attempts are told together elsewhere. */
function eventLines({ at, event }: RecordedEvent, known: Known, id: string): StoryLine[] {
  const dated = (...lines: readonly Line[]): StoryLine[] => lines.map((line) => ({ at, ...line }));
  switch (event.type) {
    case "smtp-connected": {
      const { detail } = event;
      const to = detail === undefined ? "" : ` to ${detail.listener}${detail.tag === "" ? "" : `, tag ${detail.tag}`}`;
      const doubt = detail?.confirmed === "fail" ? ", whose name does not lead back to its address" : "";
      return dated({
        kind: "connection",
        level: "info",
        text: `Connection from ${clientOf(known, event.address)}${to}${event.smtps ? ", TLS first" : ""}${doubt}.`,
      });
    }
    case "smtp-tls":
      return dated({ kind: "connection", level: "info", text: `TLS: ${tlsOf(event.ciphers)}.` });
    case "smtp-cert-check":
      return dated({ kind: "connection", level: "info", text: `The client showed a certificate: ${event.result}.` });
    case "smtp-authentication": {
      const by = event.mechanism === undefined ? "" : ` by ${event.mechanism}`;
      return dated(
        event.result === "ok" ? { kind: "connection", level: "ok", text: `Logged in as ${event.user}${by}.` } : {
          kind: "connection",
          level: "warn",
          text: `The login of ${event.user}${by} failed${event.result === "tempfail" ? " for now" : ""}.`,
        },
      );
    }
    case "smtp-failed-command":
    case "smtp-bad-input":
      return dated(refusalLine(event));
    case "smtp-message":
      return dated(...acceptanceLines(event, known));
    case "smtp-signed":
    case "queue-signed":
      return dated({
        kind: "check",
        level: "ok",
        text: `Signed for ${event.domain} by DKIM, ${event.selectors.length === 1 ? "selector" : "selectors"} ${
          listOf(event.selectors)
        }.`,
      });
    case "smtp-unsigned":
    case "queue-unsigned":
      return dated({
        kind: "check",
        level: "warn",
        text: event.deferred
          ? `Not taken, since it could not be signed: ${replyOf(event.reason)}.`
          : `Not signed: ${replyOf(event.reason)}.`,
      });
    case "smtp-disconnected":
      return dated({ kind: "connection", level: "info", text: `The session ended: ${replyOf(event.reason)}.` });
    case "relay-error":
      return dated({ kind: "attempt", level: "warn", text: `A connection failed: ${replyOf(event.reason)}.` });
    case "queue-expire":
    case "queue-remove": {
      if (!known.envelopes.some((one) => one.id === event.envelope)) return [];
      const name = nameOf({ dest: addressOf(event.to), rcpt: addressOf(event.rcpt) });
      return dated({
        kind: "queue",
        level: "bad",
        text: event.type === "queue-expire"
          ? `Given up for ${name}, ${spanOf(event.delayMs)} after it was accepted: ${replyOf(event.stat)}.`
          : `Removed from the queue for ${name}: ${replyOf(event.stat)}.`,
      });
    }
    case "admin-act": {
      const words = ACTS[event.act];
      if (words === undefined) return [];
      const one = known.envelopes.find(({ id }) => id === event.envelope);
      const name = one === undefined ? "" : ` for ${one.name}`;
      return dated({ kind: "queue", level: "info", text: `${words} by ${event.by}${name}.` });
    }
    case "queue-dsn-asked":
      return dated({
        kind: "dsn",
        level: "info",
        text: `${DSN_ASKED[event.kind]} ${addressOf(event.rcpt)}: a DSN is to be written.`,
      });
    case "queue-dsn-written":
      return dated(dsnLine(event, id));
    case "queue-dsn-dropped":
      return dated({ kind: "dsn", level: "warn", text: `No DSN is sent: ${replyOf(event.reason)}.` });
    default:
      return [];
  }
}

/** What administrators do to queued mail. */
const ACTS: Partial<Record<AdminActEvent["act"], string>> = {
  hold: "Held",
  release: "Let go",
  retry: "Made due at once",
  remove: "Removed from the queue",
};
const DSN_ASKED = {
  failed: "The sender is to be told of the failure for",
  delayed: "The sender is to be told of the delay for",
  delivered: "The sender has asked to be told of the delivery to",
  relayed: "The sender has asked to be told that it was relayed for",
} as const;
const DSN_KINDS = { failed: "failure", delayed: "delay", delivered: "delivery", relayed: "relaying" } as const;

function dsnLine(event: Extract<RecordedEvent["event"], { type: "queue-dsn-written" }>, id: string): Line {
  const about = listOf(event.rcpts.slice(0, 4).map(addressOf), event.rcpts.length);
  const kind = DSN_KINDS[event.kind];
  const text = id.startsWith(event.dsn)
    ? `Written by this host: a DSN (${kind}) about message ${event.message} to ${about}; smtpctl story ${event.message} tells of that.`
    : `A DSN (${kind}) about ${about} goes to ${
      addressOf(event.to)
    } as message ${event.dsn}: smtpctl story ${event.dsn} tells of it.`;
  return { kind: "dsn", level: "info", text, ...event.routed === undefined ? {} : { detail: treeLines(event.routed) } };
}

function refusalLine(event: Extract<RecordedEvent["event"], { type: "smtp-failed-command" | "smtp-bad-input" }>): Line {
  const { reply, detail } = event;
  const command = event.type === "smtp-bad-input" ? "What is no command" : event.command;
  const what = command === "" ? "The connection" : replyOf(command);
  const more: string[] = [];
  if (detail !== undefined) {
    if (!reply.includes(detail.ref)) more.push(`ref ${detail.ref}`);
    if (detail.sender !== undefined && !/^MAIL/i.test(command)) {
      more.push(`mail from ${senderOf(addressOf(detail.sender))}`);
    }
    if (detail.filter !== undefined) more.push(filterText(detail.filter));
    if (detail.routed !== undefined) more.push(...treeLines(detail.routed));
  }
  if (event.replyClass !== undefined && event.replyClass !== "unknown") more.push(`class ${event.replyClass}`);
  const level = /^4/.test(reply) ? "warn" : "bad";
  return { kind: "refusal", level, text: `${what} was refused: ${replyOf(reply)}.`, detail: more };
}

function filterText({ filter, kind, phase, decision, text }: FilterNote): string {
  const by = kind === "program" ? `filter program ${filter}` : `filter ${filter}`;
  return `${by} at ${phase}: ${decision}${text === undefined || text === "" ? "" : ` "${replyOf(text)}"`}`;
}

/** All that was decided about a message until it was stored. */
function acceptanceLines(event: Extract<RecordedEvent["event"], { type: "smtp-message" }>, known: Known): Line[] {
  const { detail, mailAuth, message, bytes, rcpts, proto } = event;
  const lines: Line[] = [];
  if (mailAuth !== undefined) {
    const { spf, dkim, arc, dmarc, policy } = mailAuth;
    lines.push({
      kind: "check",
      level: dmarc === "fail" || spf === "fail" || dkim === "fail" ? "warn" : "info",
      text: `Checks of the sender: SPF ${spf}, DKIM ${dkim}, ARC ${arc}, DMARC ${dmarc}${
        policy === undefined ? "" : `, whose policy is ${policy}`
      }.`,
    });
  }
  for (const note of detail?.filters ?? []) {
    if (note.decision === "proceed") continue;
    const text = filterText(note);
    lines.push({ kind: "filter", level: "info", text: `${text.charAt(0).toUpperCase()}${text.slice(1)}.` });
  }
  if (detail !== undefined) lines.push(...recipientLines(detail, known));
  const from = detail === undefined ? "" : ` from ${senderOf(addressOf(detail.sender))}`;
  const durable = detail === undefined || detail.begunAt === 0 || detail.durableAt < detail.begunAt
    ? ""
    : `, on stable storage ${Math.round(detail.durableAt - detail.begunAt)} ms after its data began`;
  const messageId = detail === undefined || detail.messageId === ""
    ? []
    : [`Message-ID <${detail.messageId.replace(/^<|>$/g, "")}>`];
  const handling = detail?.handling;
  const asked = handling === undefined ? [] : [
    ...handling.smtpUtf8 === true ? ["SMTPUTF8"] : [],
    ...handling.requireTls === true ? ["REQUIRETLS"] : [],
    ...handling.tlsOptional === true ? ["TLS-Required: No"] : [],
  ];
  lines.push({
    kind: "message",
    level: "ok",
    text: `Accepted as message ${message}${from} by ${proto}: ${bytes} octets for ${
      counted(rcpts, "recipient")
    }${durable}.`,
    detail: [...messageId, ...asked.length === 0 ? [] : [`asks for ${listOf(asked)}`]],
  });
  return lines;
}

/** How each recipient was decided: one by one where there are few; of many, those together that went the same way. */
function recipientLines(detail: MessageDetail, known: Known): Line[] {
  const wanted = new Set(known.envelopes.map(({ rcpt }) => rcpt.toLowerCase()));
  const routed = detail.routed.filter(({ address }) => wanted.has(address.toLowerCase()));
  const groups = routed.length <= MAX_TREES
    ? routed.map((one) => [one])
    : [...Map.groupBy(routed, shapeOf).values()].slice(0, MAX_TREES);
  const lines = groups.map((group) => routeLine(group));
  const shown = groups.reduce((sum, some) => sum + some.length, 0);
  const named = new Set(detail.envelopes.map(({ rcpt }) => formatMailbox(rcpt))).size;
  const left = wanted.size < named ? 0 : Math.max(0, named - shown);
  if (left > 0) lines.push(unlisted(left, detail.envelopes));
  for (const { rcpt, dest, by } of detail.suppressed.slice(0, MAX_TREES)) {
    const name = nameOf({ dest: formatMailbox(dest), rcpt: formatMailbox(rcpt) });
    lines.push({
      kind: "recipient",
      level: "info",
      text: `No copy of its own for ${name}: envelope ${by} brings the message to the same place.`,
    });
  }
  return lines;
}

/** Recipients whose trees are not in the events. */
function unlisted(count: number, envelopes: readonly AcceptedEnvelope[]): Line {
  const actions = [...new Set(envelopes.map(({ action }) => action))];
  return {
    kind: "recipient",
    level: "info",
    text: `${counted(count, "more recipient")}, by ${actions.length === 1 ? "action" : "actions"} ${
      listOf(actions.map((name) => `"${name}"`))
    }.`,
  };
}

/** The way of recipients that were decided alike, with the tree of the first where there is more to it than a rule. */
function routeLine([first, ...others]: readonly Routed[]): Line {
  const routed = first!, end = simpleEnd(routed), count = others.length + 1;
  const who = count === 1 ? `Recipient ${routed.address}` : counted(count, "recipient");
  const listed = count === 1 ? [] : [recipientsOf([routed, ...others].map(({ address }) => address))];
  if (end === null) {
    const tree = count === 1 ? treeLines(routed) : ["such as", ...treeLines(routed).map((line) => `  ${line}`)];
    return { kind: "recipient", level: "info", text: `${who}: ${expansionOf(routed)}.`, detail: [...listed, ...tree] };
  }
  const goal = end.goal === undefined ? end.reason : count === 1 ? goalText(end.goal) : end.goal.kind;
  const text = `${who}: ${decisionOf(routed, goal)}.`;
  return { kind: "recipient", level: "info", text, ...count === 1 ? {} : { detail: listed } };
}

/** A tree without its addresses: what recipients have in common that go the same way. */
function shapeOf({ how, table = "", rule, result, action = "", goal, children }: Routed): string {
  const by = rule === null ? "" : placeOf(rule);
  return `(${[how, table, by, result, action, goal?.kind ?? ""].join("|")}${children.map(shapeOf).join("")})`;
}

/** Where a recipient ends that no alias or file leads elsewhere; null for another. */
function simpleEnd(routed: Routed): Routed | null {
  let node = routed;
  for (;;) {
    const [child, ...others] = node.children;
    if (child === undefined) return node;
    if (others.length > 0 || child.how !== "user") return null;
    node = child;
  }
}

/** Which rule and action took a recipient, and `end`: where it goes, or why not. */
function decisionOf({ rule, action }: Routed, end = ""): string {
  const by = rule === null ? "no rule" : `rule ${placeOf(rule)}`;
  return [by, ...action === undefined ? [] : [`action "${action}"`], ...end === "" ? [] : [end]].join(", ");
}

function expansionOf(routed: Routed): string {
  const { rule } = routed;
  let { children } = routed;
  while (children.length === 1 && children[0]!.how === "user") children = children[0]!.children;
  const by = rule === null ? "" : `rule ${placeOf(rule)}, `;
  return `${by}leads to ${children.length === 1 ? "one address" : `${children.length} addresses`}`;
}

/** What is in the queue now, those that wait alike together. */
function nowOf({ envelopes }: Known, present: Present | null): string[] {
  if (present === null) return [];
  const queued = envelopes.filter((one) => one.present !== null);
  if (queued.length === 0) return [];
  const { now, more } = present;
  const groups = [...Map.groupBy(queued, (one) => standingOf(one, now))];
  const sentences = groups.slice(0, MAX_NOW_LINES).map(([standing, some]) =>
    some.length <= 4
      ? `${listOf(some.map(({ name }) => name))}: ${standing}.`
      : `${some.length} recipients: ${standing}.`
  );
  const left = groups.slice(MAX_NOW_LINES).reduce((sum, [, some]) => sum + some.length, 0);
  if (left > 0) sentences.push(`${counted(left, "more recipient")} in the queue.`);
  if (more) sentences.push("There are more in the queue than are told here: smtpctl show queue lists them.");
  return sentences;
}

/** How an envelope stands, without its name. */
function standingOf({ present, tries, id }: EnvelopeStory, now: number): string {
  const { state, at, suspended, expiresAt, wait, agent } = present!;
  if (agent === "bounce") return "a DSN is to be written";
  const kept = `kept for ${spanOf(expiresAt - now)} more`;
  const tried = tries === 0 ? "not tried yet" : `tried ${timesOf(tries)}`;
  if (suspended) return `held (smtpctl resume envelope ${id} lets it go), ${tried}`;
  const waits = wait === null ? "" : `, ${wait}`;
  if (state === "inflight") return `an attempt is under way since ${spanOf(now - at)}, ${tried}`;
  if (state === "unknown") return `in the queue, ${tried}`;
  const due = at - now > 1_000 ? `next try in about ${spanOf(at - now)}` : "due now";
  return `${due}${waits}, ${tried}, ${kept}`;
}
