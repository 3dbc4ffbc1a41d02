/** What a query asks for, as conditions on one message, each with the keys of the index that lead to the messages that may fulfil it. Pure. */

import type { HistoryOutcome, HistoryQuery } from "../protocol/mod.ts";
import { HISTORY_OUTCOMES } from "../protocol/history.ts";
import { isFinal, type MessageSummary, parts, peerText } from "./summary.ts";
import { type Field, fieldHash, type FieldKey, replyForm } from "./fields.ts";

/** Where messages that fulfil a condition are found; all of its parts together. */
export interface Lead {
  readonly keys: readonly FieldKey[];
  /** Replies whose form passes. */
  readonly form?: (form: string) => boolean;
  /** Messages of which more is to be expected. */
  readonly open?: true;
}

export interface Condition {
  fulfilled(summary: MessageSummary): boolean;
  /** Null: every message has to be looked at. */
  readonly lead: Lead | null;
}

/** The conditions of a query, all of which a message has to fulfil. */
export function conditionsOf(query: HistoryQuery): Condition[] {
  const { from, to, domain, messageId, id, peer, login, reply, outcome, since, until } = query;
  const conditions: (Condition | null)[] = [
    ...query.words.map(anyOf),
    from === undefined ? null : sender(from),
    to === undefined ? null : recipient(to),
    domain === undefined ? null : domainIs(domain),
    messageId === undefined ? null : textIs("messageId", bare(messageId), (summary) => [summary.messageId]),
    id === undefined ? null : idIs(id),
    peer === undefined ? null : textIs("peer", peerText(peer), (summary) => [summary.peer]),
    login === undefined ? null : textIs("login", login, (summary) => [summary.login]),
    reply === undefined ? null : replyHas(reply),
    outcome === undefined ? null : outcomeIs(outcome),
    since === undefined && until === undefined
      ? null
      : { lead: null, fulfilled: ({ at }) => at >= (since ?? -Infinity) && at <= (until ?? Infinity) },
  ];
  return conditions.filter((one) => one !== null);
}

/** Whether a text is the one that was asked for, in which `*` stands for any text. Both are in lower case then. */
function matcher(wanted: string): (text: string) => boolean {
  const pattern = wanted.toLowerCase();
  if (!pattern.includes("*")) return (text) => text.toLowerCase() === pattern;
  const expression = pieces(pattern);
  return (text) => passes(text.toLowerCase(), expression);
}

/** What stands between the wildcards. */
function pieces(pattern: string): readonly string[] {
  return pattern.split("*");
}

/** Without regular expressions: those of many wildcards would take for ever. */
function passes(text: string, [first = "", ...rest]: readonly string[]): boolean {
  if (rest.length === 0) return text === first;
  const last = rest.at(-1)!;
  if (!text.startsWith(first) || text.length < first.length + last.length || !text.endsWith(last)) return false;
  let at = first.length;
  for (const piece of rest.slice(0, -1)) {
    const found = text.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return at <= text.length - last.length;
}

function textIs(field: Field, wanted: string, texts: (summary: MessageSummary) => Iterable<string>): Condition {
  const matches = matcher(wanted);
  return {
    lead: wanted.includes("*") ? null : { keys: [fieldHash(field, wanted.toLowerCase())] },
    fulfilled: (summary) => some(texts(summary), (text) => text !== "" && matches(text)),
  };
}

/** An address, its domain by `@domain`, or without @ a name or a domain. */
function addressIs(
  wanted: string,
  fields: { readonly whole: Field; readonly name: Field; readonly domain: Field },
  texts: (summary: MessageSummary) => Iterable<string>,
): Condition {
  const text = wanted.toLowerCase().replace(/^<(.+)>$/, "$1");
  if (text.includes("@") || text === "<>") {
    const whole = text.startsWith("@") ? `*${text}` : text;
    const { name, domain } = parts(whole);
    const matches = matcher(whole);
    return {
      lead: !whole.includes("*")
        ? { keys: [fieldHash(fields.whole, whole)] }
        : !domain.includes("*") && domain !== ""
        ? { keys: [fieldHash(fields.domain, domain)] }
        : !name.includes("*") && name !== ""
        ? { keys: [fieldHash(fields.name, name)] }
        : null,
      fulfilled: (summary) => some(texts(summary), matches),
    };
  }
  const matches = matcher(text);
  return {
    lead: text.includes("*") ? null : { keys: [fieldHash(fields.name, text), fieldHash(fields.domain, text)] },
    fulfilled: (summary) =>
      some(texts(summary), (address) => {
        const { name, domain } = parts(address);
        return matches(name) || matches(domain);
      }),
  };
}

const senderOf = ({ from }: MessageSummary): string[] => from === "" ? [] : [from];
const SENDER = { whole: "from", name: "fromName", domain: "fromDomain" } as const;
const RECIPIENT = { whole: "to", name: "toName", domain: "toDomain" } as const;

function sender(wanted: string): Condition {
  return addressIs(wanted === "" ? "<>" : wanted, SENDER, senderOf);
}

function recipient(wanted: string): Condition {
  return addressIs(wanted, RECIPIENT, ({ addresses }) => addresses);
}

function domainIs(wanted: string): Condition {
  const domain = wanted.toLowerCase().replace(/^@/, ""), matches = matcher(domain);
  return {
    lead: domain.includes("*") ? null : { keys: [fieldHash("fromDomain", domain), fieldHash("toDomain", domain)] },
    fulfilled: (summary) =>
      some(
        [...senderOf(summary), ...summary.addresses],
        (address) => address !== "<>" && matches(parts(address).domain),
      ),
  };
}

/** An id of a message, an envelope or a session, or the reference of a refusal, which begins with that of its session. */
function idIs(wanted: string): Condition {
  const id = wanted.toLowerCase().replace(/-\d+$/, "");
  const matches = matcher(id);
  const keys = [fieldHash("id", id), fieldHash("session", id)];
  if (id.length === 16) keys.push(fieldHash("id", id.slice(0, 8)));
  return {
    lead: id.includes("*") ? null : { keys },
    fulfilled: (summary) =>
      matches(summary.id) || matches(summary.session) || (id.length === 16 && summary.envelopes.has(id)) ||
      (id.includes("*") && some(summary.envelopes.keys(), matches)),
  };
}

function outcomeIs(outcome: HistoryOutcome): Condition {
  return {
    lead: isFinal(outcome) ? { keys: [fieldHash("outcome", outcome)] } : { keys: [], open: true },
    fulfilled: (summary) => summary.outcome === outcome,
  };
}

/** A part of a reply. Words that vary from reply to reply are found when they are whole. */
function replyHas(wanted: string): Condition {
  const text = wanted.toLowerCase().replace(/\s+/g, " ").trim();
  const middle = pieces(text);
  const whole = ["", ...middle, ""];
  return {
    lead: replyLead(middle),
    fulfilled: ({ replies }) => some(replies, (reply) => passes(reply.replace(/\s+/g, " "), whole)),
  };
}

/** The begin of a code, such as `5.1`. */
const PART_OF_CODE = /^(?:\d{1,2}|[245]\.(?:\d{1,3}\.?)?)$/;

function replyLead(middle: readonly string[]): Lead | null {
  const forms: string[] = [], varying: string[] = [];
  for (const piece of middle) {
    // What touches a wildcard may be a part of a word.
    const start = piece === middle[0] || piece.startsWith(" "), end = piece === middle.at(-1) || piece.endsWith(" ");
    const words = piece.split(" ").filter((word) => word !== "");
    words.forEach((word, at) => {
      const cut = (at === 0 && !start) || (at === words.length - 1 && !end);
      const { form, varying: own } = replyForm(word);
      if (PART_OF_CODE.test(word)) forms.push(word);
      else if (own.length > 0) cut || varying.push(own[0]!);
      else if (form !== "") forms.push(form);
    });
  }
  if (varying.length > 0) return { keys: [fieldHash("replyWord", varying[0]!)] };
  return forms.length === 0 ? null : { keys: [], form: (form) => forms.every((one) => form.includes(one)) };
}

/** A word that may be any of the texts. */
function anyOf(word: string): Condition {
  const text = word.trim();
  const outcome = HISTORY_OUTCOMES.find((known) => known === text.toLowerCase());
  const any = [
    sender(text),
    recipient(text),
    textIs("messageId", bare(text), (summary) => [summary.messageId]),
    idIs(text),
    textIs("peer", peerText(text), (summary) => [summary.peer]),
    textIs("login", text, (summary) => [summary.login]),
    textIs("replyClass", text, (summary) => summary.replyClasses),
    replyHas(text),
    ...outcome === undefined ? [] : [outcomeIs(outcome)],
  ];
  return { lead: together(any), fulfilled: (summary) => any.some((one) => one.fulfilled(summary)) };
}

/** Where messages are found that fulfil any of the conditions. */
function together(any: readonly Condition[]): Lead | null {
  const keys: FieldKey[] = [], forms: ((form: string) => boolean)[] = [];
  let open = false;
  for (const { lead } of any) {
    if (lead === null) return null;
    keys.push(...lead.keys);
    if (lead.form !== undefined) forms.push(lead.form);
    open ||= lead.open === true;
  }
  return {
    keys,
    ...forms.length > 0 ? { form: (form: string) => forms.some((one) => one(form)) } : {},
    ...open ? { open } : {},
  };
}

function bare(id: string): string {
  return id.trim().replace(/^<(.*)>$/, "$1");
}

function some(texts: Iterable<string>, test: (text: string) => boolean): boolean {
  for (const text of texts) if (test(text)) return true;
  return false;
}
