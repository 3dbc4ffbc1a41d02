/** What each event adds to a story, in sentences. Pure. One function is long: a case per event. */

import { formatMailbox, type Routed } from "../envelope/mod.ts";
import type { AcceptedEnvelope, AdminActEvent, FilterNote, MessageDetail, RecordedEvent } from "../events/mod.ts";
import { recipientsOf } from "./attempts.ts";
import { clientOf } from "./headline.ts";
import { type Known, nameOf } from "./known.ts";
import { spanOf } from "./span.ts";
import { goalText, placeOf, treeLines } from "./tree.ts";
import type { StoryLine } from "./types.ts";
import { addressOf, counted, listOf, replyOf, senderOf, tlsOf } from "./words.ts";

/** Recipients whose way is told one by one; others are grouped by rule and action. */
const MAX_TREES = 20;

/** A line that is told of one recipient, and of several where the same happened to them: `text` makes it of their names. */
interface EventLine extends StoryLine {
  readonly of?: { readonly name: string; readonly text: (names: string) => string };
}
type Line = Omit<EventLine, "at">;

/** Events that differ in their recipient alone are told together within this time, in ms. */
const TOGETHER_MS = 60_000;

/** The lines of all events but attempts; what happened to several recipients alike is one line. */
export function eventLines(events: readonly RecordedEvent[], known: Known, id: string): StoryLine[] {
  const lines: StoryLine[] = [],
    open = new Map<string, { readonly at: number; readonly place: number; names: string[] }>();
  for (const { of, ...line } of events.flatMap((one) => linesOf(one, known, id))) {
    const key = of === undefined ? "" : `${line.kind} ${of.text("")}`;
    const group = open.get(key);
    if (of === undefined) lines.push(line);
    else if (group === undefined || line.at - group.at > TOGETHER_MS) {
      open.set(key, { at: line.at, place: lines.length, names: [of.name] });
      lines.push(line);
    } else {
      group.names.push(of.name);
      const { names, place } = group, listed = names.length > 4 ? { detail: [recipientsOf(names)] } : {};
      lines[place] = { ...lines[place]!, text: of.text(listOf(names.slice(0, 4), names.length)), ...listed };
    }
  }
  return lines;
}

/** The line of what happened to one recipient. */
function each(line: Omit<Line, "text" | "of">, name: string, text: (names: string) => string): Line {
  return { ...line, text: text(name), of: { name, text } };
}

/** What one event adds to the story; attempts are told together elsewhere. */
function linesOf({ at, event }: RecordedEvent, known: Known, id: string): EventLine[] {
  const dated = (...lines: readonly Line[]): EventLine[] => lines.map((line) => ({ at, ...line }));
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
      const one = known.envelopes.find(({ id }) => id === event.envelope);
      if (one === undefined) return [];
      const age = event.type === "queue-expire" ? `, ${spanOf(event.delayMs)} after it was accepted` : "";
      const what = event.type === "queue-expire" ? "Given up" : "Removed from the queue";
      const stat = replyOf(event.stat);
      return dated(each({ kind: "queue", level: "bad" }, one.name, (names) => `${what} for ${names}${age}: ${stat}.`));
    }
    case "admin-act": {
      const words = ACTS[event.act], one = known.envelopes.find(({ id }) => id === event.envelope);
      if (words === undefined) return [];
      const line = { kind: "queue", level: "info" } as const;
      if (one === undefined) return dated({ ...line, text: `${words} by ${event.by}.` });
      return dated(each(line, one.name, (names) => `${words} by ${event.by} for ${names}.`));
    }
    case "queue-message": {
      const { how, from, bytes, envelopes, more } = event, all = counted(envelopes.length + more, "envelope");
      const sender = senderOf(addressOf(from));
      const text = how === "import"
        ? `Taken into the queue from files, by smtpctl import or discover: ${bytes} octets from ${sender}, ${all}.`
        : `Written by this host: a report of DMARC from ${sender}, ${bytes} octets, ${all}.`;
      return dated({ kind: "message", level: "ok", text });
    }
    case "queue-dsn-asked":
      return dated(each(
        { kind: "dsn", level: "info" },
        addressOf(event.rcpt),
        (names) => `${DSN_ASKED[event.kind]} ${names}: a DSN is to be written.`,
      ));
    case "queue-dsn-written":
      return dated(dsnLine(event, id));
    case "queue-dsn-dropped": {
      const one = known.envelopes.find(({ id }) => id === event.envelope), reason = replyOf(event.reason);
      const line = { kind: "dsn", level: "warn" } as const;
      if (one === undefined) return dated({ ...line, text: `No DSN is sent: ${reason}.` });
      return dated(each(line, one.name, (names) => `No DSN is sent about ${names}: ${reason}.`));
    }
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
  const command = event.type === "smtp-bad-input" ? "The input of the client" : event.command;
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
