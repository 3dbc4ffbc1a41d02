/**
 * What messages are found by. Each text that a message can be found by becomes one number of 32 bits, made of its field and the text: the index of a segment has
 * no more than that. Two texts may have one number: whoever finds a message by it looks at the message itself. Pure.
 */

/** `fromName`, `toName`: what stands before the @; `reply`: the form of a reply; `replyWord`: a word of one that varies. */
export type Field =
  | "id"
  | "session"
  | "from"
  | "fromName"
  | "fromDomain"
  | "to"
  | "toName"
  | "toDomain"
  | "peer"
  | "login"
  | "messageId"
  | "outcome"
  | "replyClass"
  | "reply"
  | "replyWord";

declare const kind: unique symbol;
/** What a text of a field is found by: 32 bits. */
export type FieldKey = number & { readonly [kind]: "field" };

const SEEDS: Readonly<Record<Field, number>> = {
  id: 1,
  session: 2,
  from: 3,
  fromName: 4,
  fromDomain: 5,
  to: 6,
  toName: 7,
  toDomain: 8,
  peer: 9,
  login: 10,
  messageId: 11,
  outcome: 12,
  reply: 13,
  replyWord: 14,
  replyClass: 15,
};

/** FNV-1a, over the codes of the text. It is stored: another one makes another version of the segments. */
export function fieldHash(field: Field, text: string): FieldKey {
  let hash = (0x811c9dc5 ^ SEEDS[field]) >>> 0;
  hash = Math.imul(hash, 0x01000193);
  for (let at = 0; at < text.length; at++) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  // The last characters have passed one multiplication only.
  hash ^= hash >>> 15;
  hash = Math.imul(hash, 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) as FieldKey;
}

/** Codes of replies stay what they are; other words with a digit or an @ differ from reply to reply. RFC 5321 §4.2, RFC 3463. */
const CODE = /^(?:\d{3}|[245]\.\d{1,3}\.\d{1,3})$/;
const VARIES = /[0-9@]/;
/** Characters of a reply that are looked at, and words of one that vary. */
const MAX_REPLY_CHARS = 600, MAX_VARYING_WORDS = 8;

/** A reply in lower case as what it has in common with others, `*` for each word that varies, and these words. */
export interface ReplyForm {
  readonly form: string;
  readonly varying: readonly string[];
}

/** What was split last: most attempts of an hour have the same replies. */
const known = new Map<string, ReplyForm>();
const MAX_KNOWN_REPLIES = 500;

/** Splits a reply into its form and what varies. */
export function replyForm(reply: string): ReplyForm {
  let split = known.get(reply);
  if (split === undefined) {
    split = splitReply(reply);
    if (known.size >= MAX_KNOWN_REPLIES) known.clear();
    // What varies does not come again.
    if (split.varying.length === 0) known.set(reply, split);
  }
  return split;
}

function splitReply(reply: string): ReplyForm {
  const words: string[] = [], varying: string[] = [];
  for (const raw of reply.slice(0, MAX_REPLY_CHARS).toLowerCase().split(/\s+/)) {
    const word = trimWord(raw);
    if (word === "") continue;
    if (!VARIES.test(word) || CODE.test(word)) words.push(word);
    else {
      if (varying.length < MAX_VARYING_WORDS) varying.push(word);
      if (words.at(-1) !== "*") words.push("*");
    }
  }
  return { form: words.join(" "), varying };
}

/** Without the marks around it. */
function trimWord(text: string): string {
  let start = 0, end = text.length;
  while (start < end && !isWordCode(text.charCodeAt(start))) start++;
  while (end > start && !isWordCode(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

function isWordCode(code: number): boolean {
  return (code >= 0x61 && code <= 0x7a) || (code >= 0x30 && code <= 0x39) || code > 0x7f;
}
