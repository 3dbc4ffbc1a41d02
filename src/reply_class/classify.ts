/** Understands a refusal: from its code, its enhanced code and its words to one class. Pure; the rules are in rules.ts. */

import type { ReplyClass, ReplyDetail } from "./classes.ts";
import { CODES, STATUSES, WEAK_WORDS, type WordRule, WORDS } from "./rules.ts";

/** What a host said, or what this server says of a failure of its own. */
export interface ReplyToClassify {
  /** Three digits; 0 or absent for words of this server. */
  readonly code?: number;
  /** Enhanced code, as in `5.1.1`; "" or absent when there is none: the one that the text begins with is taken. */
  readonly status?: string;
  /** What stands behind the codes; they may stand in front of it. */
  readonly text: string;
}

/** A class, and what narrows it. */
export interface Meaning {
  readonly class: ReplyClass;
  readonly detail?: ReplyDetail;
}

/** What is read of a text, in UTF-16 units: what a reply means stands in its first lines. */
const MAX_TEXT_CHARS = 700;
/** Octets of a phrase that it is found by. */
const KEY_CHARS = 3;
const UNKNOWN: Meaning = { class: "unknown" };

interface Phrase {
  readonly text: string;
  /** A word may go on behind it. */
  readonly open: boolean;
  /** The lower comes first. */
  readonly rank: number;
  readonly rule: WordRule;
}

/** Phrases by how they begin, so that a text is read once, whatever the number of rules. */
type PhraseIndex = ReadonlyMap<number, readonly Phrase[]>;

/** Built by the first failure: who never has one pays nothing. */
let words: PhraseIndex | null = null, weakWords: PhraseIndex | null = null;
let statuses: ReadonlyMap<string, Meaning> | null = null;

/**
 * Takes a refusal and returns its class: by words that are clear, else by the enhanced code, else by words that are less clear, else by the code.
 * `unknown` for what says nothing, and for 2xx and 3xx. Never throws; its cost is bounded whatever the text.
 */
export function classify(reply: ReplyToClassify): ReplyClass {
  return meaningOf(reply).class;
}

/** Takes the text of an outcome as queue and log have it, `550 5.1.1 No such user` or words of this server, and returns its class. Never throws. */
export function classifyText(text: string): ReplyClass {
  return meaningOf({ text }).class;
}

/** As `classify`, with what narrows the class. */
export function meaningOf(reply: ReplyToClassify): Meaning {
  const { code, status, text } = partsOf(reply);
  if (code >= 200 && code < 400) return UNKNOWN;
  // What this server says of its own failures has no code: whether it is for good its status says.
  const severity = code >= 500 ? 5 : code >= 400 ? 4 : status.startsWith("5") ? 5 : 4;
  const said = normalize(text);
  return found(words ??= indexOf(WORDS), said, severity) ??
    (statuses ??= statusesOf()).get(status) ??
    found(weakWords ??= indexOf(WEAK_WORDS), `${status} ${said}`, severity) ??
    byCode(code, status);
}

function byCode(code: number, status: string): Meaning {
  const known = CODES[code];
  if (status.startsWith("5.7.")) return { class: "policy" };
  if (known !== undefined) return { class: known };
  return { class: (code >= 400 && code < 500) || status.startsWith("4.") ? "temporary" : "unknown" };
}

/** Takes the codes off the front of the text, where they are not given. */
function partsOf({ code = 0, status = "", text }: ReplyToClassify) {
  let rest = text.slice(0, MAX_TEXT_CHARS);
  const front = /^([2-6]\d\d)(?:[ -]|$)/.exec(rest);
  if (front !== null && (code === 0 || Number(front[1]) === code)) {
    code ||= Number(front[1]);
    rest = rest.slice(front[0].length);
  }
  const enhanced = /^#?([245]\.\d{1,3}\.\d{1,3})(?: |$)/.exec(rest);
  if (enhanced !== null) {
    status ||= enhanced[1]!;
    rest = rest.slice(enhanced[0].length);
  } else if (status === "" || /\.0\.0$/.test(status)) {
    // qmail has it behind the words: (#5.1.1)
    status = /\(#([245]\.\d{1,3}\.\d{1,3})\)/.exec(rest)?.[1] ?? status;
  }
  return { code, status, text: rest };
}

/** In lower case, with single blanks and plain apostrophes. */
function normalize(text: string): string {
  return text.toLowerCase().replaceAll("’", "'").replace(/[\s_]+/g, " ");
}

/** The first rule in the order of the table of which a phrase stands in the text. */
function found(index: PhraseIndex, text: string, severity: 4 | 5): Meaning | null {
  let best: Phrase | null = null;
  for (let at = 0, inWord = false; at < text.length; at++) {
    const letter = isWord(text.charCodeAt(at));
    if (!letter || inWord) {
      inWord = letter;
      continue;
    }
    inWord = true;
    const phrases = index.get(keyAt(text, at));
    if (phrases === undefined) continue;
    for (const phrase of phrases) {
      if (best !== null && phrase.rank >= best.rank) break;
      if (phrase.rule.only !== undefined && phrase.rule.only !== severity) continue;
      if (!text.startsWith(phrase.text, at)) continue;
      if (!phrase.open && isWord(text.charCodeAt(at + phrase.text.length))) continue;
      best = phrase;
      break;
    }
  }
  return best === null ? null : best.rule;
}

function indexOf(rules: readonly WordRule[]): PhraseIndex {
  const index = new Map<number, Phrase[]>();
  rules.forEach((rule, rank) => {
    for (const said of rule.says) {
      const open = said.endsWith("*");
      const text = open ? said.slice(0, -1) : said;
      const key = keyAt(text, 0);
      const phrases = index.get(key);
      const phrase = { text, open, rank, rule };
      if (phrases === undefined) index.set(key, [phrase]);
      else phrases.push(phrase);
    }
  });
  return index;
}

function statusesOf(): ReadonlyMap<string, Meaning> {
  const known = new Map<string, Meaning>();
  for (const { codes, only, ...meaning } of STATUSES) {
    for (const range of codes) {
      const [first, last = first] = range.split("-");
      const [subject, from] = first!.split(".").map(Number), to = Number(last!.split(".")[1]);
      for (let detail = from!; detail <= to; detail++) {
        for (const severity of only === undefined ? [4, 5] : [only]) {
          const code = `${severity}.${subject}.${detail}`;
          if (!known.has(code)) known.set(code, meaning);
        }
      }
    }
  }
  return known;
}

/** The first KEY_CHARS units from `at` as one number. */
function keyAt(text: string, at: number): number {
  let key = 0;
  for (let i = 0; i < KEY_CHARS; i++) {
    const unit = text.charCodeAt(at + i);
    key = key * 256 + (unit < 256 ? unit : 0);
  }
  return key;
}

function isWord(unit: number): boolean {
  return (unit >= 97 && unit <= 122) || (unit >= 48 && unit <= 57);
}
