/** Values of alias and virtual tables, and lines of include files: lists of targets. Independent of their use. */

import { shown } from "../config/values.ts";
import { asciiDomain, type Mailbox } from "../envelope/mod.ts";

/** What one item of a list names. */
export type ListTarget =
  | { readonly type: "user"; readonly name: string }
  /** An mbox file, or with one slash at its end a Maildir. */
  | { readonly type: "file"; readonly path: string }
  | { readonly type: "pipe"; readonly command: string }
  | { readonly type: "include"; readonly path: string }
  | { readonly type: "address"; readonly mailbox: Mailbox }
  /** `code` 4dd or 5dd. */
  | { readonly type: "error"; readonly code: number; readonly text: string };

/** Longest line and longest item, in characters. A list of 10,000 addresses has some 300,000. */
const MAX_LINE_CHARACTERS = 1_048_576;
const MAX_ITEM_CHARACTERS = 1023;

/**
 * Reads a comma list. `targets` are those in front of the first item that is invalid, and `valid` is false when there is such an item: a
 * table's value is then an error as a whole, an include file's line only stops there.
 */
export function parseTargets(line: string): { readonly valid: boolean; readonly targets: readonly ListTarget[] } {
  const targets: ListTarget[] = [];
  if (line.length > MAX_LINE_CHARACTERS) return { valid: false, targets };
  // Most values are one plain name or address.
  if (!/[,\\"']/.test(line)) {
    const item = line.trim();
    const target = item === "" ? null : parseTarget(item);
    if (target !== null) targets.push(target);
    return { valid: target !== null || item === "", targets };
  }
  for (const item of splitList(line)) {
    const target = item === null ? null : item === "" ? undefined : parseTarget(item);
    if (target === null) return { valid: false, targets };
    if (target !== undefined) targets.push(target);
  }
  return { valid: true, targets };
}

/** Why the value of an alias cannot work, in the words of a message; null when it can. Shows at most the item that is wrong. */
export function targetFault(value: string): string | null {
  if (value.length > MAX_LINE_CHARACTERS) return `it has more than ${MAX_LINE_CHARACTERS} characters`;
  const items = [...splitList(value)];
  for (const item of items) {
    if (item === null) return 'a quote is not closed, or "\\" stands at the end';
    if (item === "" || parseTarget(item) !== null) continue;
    const quoted = `"${shown(item)}"`;
    if (item.length > MAX_ITEM_CHARACTERS) return `${quoted} has more than ${MAX_ITEM_CHARACTERS} characters`;
    if (/(?:^|\s)#/.test(item)) return `${quoted}: a comment stands on a line of its own`;
    if (/^:?include:/i.test(item)) return `${quoted}: the path of an include file begins with a slash`;
    if (/^:?error:/i.test(item)) return `${quoted}: write error:550 and a text in ASCII behind it`;
    if (/^"?\|/.test(item)) return `${quoted}: a command is |command or "|command with arguments"`;
    if (/^[^\s@]+(?:\s+[^\s@]+)+$/.test(item) || /@.*\s.*@/.test(item)) {
      return `${quoted}: targets are parted by commas`;
    }
    return `${quoted} is no user, address, /file, |command, :include:/file or error:CODE TEXT`;
  }
  return items.every((item) => item === "") ? "it names nobody" : null;
}

/** Items between commas that stand outside quotes, trimmed. `\c` is the character c. The last item is null when a quote or `\` hangs. */
function* splitList(line: string): Generator<string | null> {
  let item = "";
  let quote = "";
  for (let at = 0; at < line.length; at++) {
    const character = line[at]!;
    if (character === "\\") {
      if (++at === line.length) return yield null;
      item += line[at]!;
      continue;
    }
    if (character === "," && quote === "") {
      yield item.trim();
      item = "";
      continue;
    }
    item += character;
    if (quote !== "") quote = character === quote ? "" : quote;
    else if (character === '"' || character === "'") quote = character;
  }
  yield quote === "" ? item.trim() : null;
}

const ERROR = /^:?error:([45]\d\d) ([a-z0-9].*)$/i;
const INCLUDE = /^:?include:(\/.+)$/i;
// The whole of ASCII that may stand unquoted in a local part, RFC 5321 §4.1.2, and UTF-8, RFC 6531 §3.3.
const ADDRESS = /^([a-z0-9!#$%*\/?|^{}`~&'+\-=_.\u00a0-\u{10ffff}]+)@([a-z0-9\-.\u00a0-\u{10ffff}]+)$/iu;
const USER = /^[a-z0-9_.\-+]{1,255}$/i;

/** One item of a list: the first form that fits. Null when none does. */
function parseTarget(item: string): ListTarget | null {
  if (item.length > MAX_ITEM_CHARACTERS) return null;
  const error = ERROR.exec(item);
  // RFC 5321 §4.2: the text of a reply is printable ASCII. A control character in it could end the reply early.
  if (error !== null && !/[^ -~]/.test(item)) {
    return { type: "error", code: Number(error[1]), text: error[2]! };
  }
  const include = INCLUDE.exec(item);
  if (include !== null) return { type: "include", path: include[1]! };
  if (item.startsWith('"|')) {
    return item.length > 3 && item.endsWith('"') ? { type: "pipe", command: item.slice(2, -1) } : null;
  }
  if (item.startsWith("|")) return item.length > 1 ? { type: "pipe", command: item.slice(1) } : null;
  const file = fileTarget(item);
  if (file !== undefined) return file;
  const address = ADDRESS.exec(item);
  if (address !== null) {
    const domain = asciiDomain(address[2]!);
    return domain === null ? null : { type: "address", mailbox: { local: address[1]!, domain } };
  }
  return USER.test(item) ? { type: "user", name: item } : null;
}

/** `/file`, `/Maildir/`, `maildir:/Maildir` or `maildir:~/Maildir`, in double quotes or not; undefined for what is none of these. */
function fileTarget(item: string): ListTarget | null | undefined {
  const [, quoted] = /^"((?:\/|maildir:).*)"$/i.exec(item) ?? [];
  const text = quoted ?? item;
  const [, folder] = /^maildir:(.*)$/i.exec(text) ?? [];
  const path = folder ?? text;
  if (folder === undefined ? !path.startsWith("/") : !/^~?\//.test(path)) {
    return folder === undefined ? undefined : null;
  }
  const end = path.replace(/\/+$/, "");
  if (end === "" || end === "~") return null;
  return { type: "file", path: folder === undefined && end === path ? path : `${end}/` };
}

const ORDER = { user: 0, file: 1, pipe: 2, include: 3, address: 4, error: 5 } as const;

/** The bytes that order targets of one type and distinguish them. */
export function targetText(target: ListTarget): string {
  switch (target.type) {
    case "user":
      return target.name;
    case "file":
    case "include":
      return target.path;
    case "pipe":
      return target.command;
    case "address":
      return `${target.mailbox.local}@${target.mailbox.domain}`;
    case "error":
      return `${target.code} ${target.text}`;
  }
}

/** The order in which the targets of a table's value are visited: by type, then by their text. */
export function sortTargets(targets: readonly ListTarget[]): readonly ListTarget[] {
  if (targets.length < 2) return targets;
  return targets.map((target) => ({ target, text: targetText(target) })).sort((one, other) =>
    ORDER[one.target.type] - ORDER[other.target.type] || (one.text < other.text ? -1 : one.text > other.text ? 1 : 0)
  ).map(({ target }) => target);
}

/** Targets of an include file, in its order: `#` starts a comment, a `\` at the end of a line continues it, includes are not nested. */
export function* parseIncludeFile(text: string): Generator<ListTarget, void, undefined> {
  for (const { raw } of logicalLines(text)) yield* parseTargets(stripComment(raw)).targets.filter(isNoInclude);
}

/** What of an include file is left out, with the number of its line (from 1) and why: the first item of a line that is no target ends that line. */
export function* includeFaults(text: string): Generator<{ readonly line: number; readonly fault: string }> {
  for (const { number, raw } of logicalLines(text)) {
    const line = stripComment(raw);
    const fault = line.trim() === "" ? null : targetFault(line);
    if (fault !== null) yield { line: number, fault };
    else if (parseTargets(line).targets.some(({ type }) => type === "include")) {
      yield { line: number, fault: "an include file includes no other" };
    }
  }
}

/** What a `.forward` file says: targets with the numbers of their lines, or the first line that is invalid, with the reason. */
export type ForwardFile =
  | { readonly ok: true; readonly targets: readonly { readonly line: number; readonly target: ListTarget }[] }
  | { readonly ok: false; readonly line: number; readonly fault: string };

/**
 * Targets of a `.forward` file, in its order, comments and continued lines as in an include file; includes are among them, for the caller to leave
 * out. With any line that is invalid the whole file is: what the user meant cannot be determined.
 */
export function parseForwardFile(text: string): ForwardFile {
  const targets: { readonly line: number; readonly target: ListTarget }[] = [];
  for (const { number, raw } of logicalLines(text)) {
    const line = stripComment(raw);
    const list = parseTargets(line);
    const fault = forwardFault(line) ?? (list.valid ? null : targetFault(line) ?? "it is no list of targets");
    if (fault !== null) return { ok: false, line: number, fault };
    for (const target of list.targets) targets.push({ line: number, target });
  }
  return { ok: true, targets };
}

/** U+FFFD stands for bytes that are not UTF-8. A NUL would end a command or a path early. */
function forwardFault(line: string): string | null {
  if (line.includes("\ufffd")) return "it has octets that are not UTF-8";
  return line.includes("\0") ? "it has a NUL" : null;
}

/** Lines joined where the first ends in a `\`, with the number of that one, from 1. */
function logicalLines(text: string): { readonly number: number; readonly raw: string }[] {
  const lines: { number: number; raw: string }[] = [];
  const physical = text.split(/\r?\n/);
  for (let at = 0; at < physical.length; at++) {
    const number = at + 1;
    let raw = physical[at]!;
    while (raw.endsWith("\\") && at + 1 < physical.length) raw = raw.slice(0, -1) + physical[++at]!;
    lines.push({ number, raw });
  }
  return lines;
}

function isNoInclude({ type }: ListTarget): boolean {
  return type !== "include";
}

function stripComment(line: string): string {
  for (let at = 0; at < line.length; at++) {
    if (line[at] === "\\") at++;
    else if (line[at] === "#") return line.slice(0, at);
  }
  return line;
}
