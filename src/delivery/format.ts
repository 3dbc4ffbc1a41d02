/** Format specifiers `%{token[range]:modifiers}` of paths and commands, see smtpd.conf(5). Pure; reads no account and runs nothing. */

import { formatMailbox, type Mailbox, type ReversePath } from "../envelope/mod.ts";

/** What the tokens stand for. */
export interface FormatValues {
  readonly sender: ReversePath;
  readonly rcpt: Mailbox;
  readonly dest: Mailbox;
  /** Name and home of the recipient's account, also when the delivery runs as another user. */
  readonly username: string;
  readonly directory: string;
  /** Wrappers only: the command that is wrapped. */
  readonly mda?: string;
}

export type Expanded = { readonly ok: true; readonly text: string } | { readonly ok: false; readonly error: string };

/** Octets of the result, with the NUL that C would need. */
const MAX_RESULT_OCTETS = 1024;
const MAX_TOKEN_CHARS = 128;
const MAX_RANGE_CHARS = 1024;

/**
 * What a value may not bring along. The first set is OpenSMTPD's. The second holds what cannot stand in an unquoted local part but in a
 * quoted one (RFC 5321 §4.1.2), which OpenSMTPD refuses and we accept: blanks, quotes, redirections, control characters. Without it
 * the sender `";reboot;"@example.org` would be a command.
 */
// deno-lint-ignore no-control-regex
const UNSAFE = /[!#$%&'*?`{|}~\x00-\x20\x7f"\\;<>()]/g;

interface Token {
  readonly name: string;
  readonly range: string | null;
  readonly modifiers: readonly string[];
}

/**
 * Expands a command. `%%` is a percent sign, a `%` before anything but `%` and `{` stays, `~/` at the very beginning is the home folder.
 * Fails on an unknown token, a bad range or modifier, an open `%{` and a result of 1024 octets or more.
 */
export function expandFormat(template: string, values: FormatValues, delimiter: string): Expanded {
  return expand(template, values, delimiter, (value) => value);
}

/**
 * Expands a path. Here a slash in an address becomes `:`, even with `raw`, and no value can make a `.` or `..` of a component:
 * `a/b@example.org` or `".."@example.org` would otherwise reach another user's mail.
 */
export function expandPath(template: string, values: FormatValues, delimiter: string): Expanded {
  const expanded = expand(template, values, delimiter, (value, token) => {
    return token === "user.directory" ? value : value.replaceAll("/", ":");
  });
  if (!expanded.ok) return expanded;
  if (expanded.text.includes("\0")) return { ok: false, error: "NUL in a path" };
  if (dotComponents(expanded.text) > dotComponents(template)) {
    return { ok: false, error: "an address as `.` or `..` of a path" };
  }
  return expanded;
}

function dotComponents(path: string): number {
  return path.split("/").filter((part) => part === "." || part === "..").length;
}

function expand(
  template: string,
  values: FormatValues,
  delimiter: string,
  clean: (value: string, token: string) => string,
): Expanded {
  let out = "";
  let at = 0;
  if (template.startsWith("~/")) {
    out = values.directory;
    at = 1;
  }
  for (;;) {
    const percent = template.indexOf("%", at);
    if (percent < 0) break;
    out += template.slice(at, percent);
    const next = template[percent + 1];
    if (next !== "{") {
      out += "%";
      at = percent + (next === "%" ? 2 : 1);
      continue;
    }
    const end = template.indexOf("}", percent);
    if (end < 0) return { ok: false, error: "%{ without }" };
    const value = expandToken(template.slice(percent + 2, end), values, delimiter, clean);
    if (!value.ok) return value;
    out += value.text;
    at = end + 1;
  }
  out += template.slice(at);
  if (new TextEncoder().encode(out).length >= MAX_RESULT_OCTETS) return { ok: false, error: "expansion is too long" };
  return { ok: true, text: out };
}

function expandToken(
  text: string,
  values: FormatValues,
  delimiter: string,
  clean: (value: string, token: string) => string,
): Expanded {
  if (text.length >= MAX_TOKEN_CHARS) return { ok: false, error: "token is too long" };
  const token = parseToken(text);
  if (token === null) return { ok: false, error: `bad specifier %{${text}}` };
  let value = valueOf(token.name, values);
  if (value === null) return { ok: false, error: `unknown token "${token.name}"` };
  let raw = token.name === "user.directory" || token.name === "mda";
  for (const modifier of token.modifiers) {
    switch (modifier) {
      case "lowercase":
        value = value.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
        break;
      case "uppercase":
        value = value.replace(/[a-z]+/g, (letters) => letters.toUpperCase());
        break;
      case "strip":
        value = strip(value, delimiter);
        break;
      case "raw":
        raw = true;
        break;
      default:
        return { ok: false, error: `unknown modifier "${modifier}"` };
    }
  }
  if (!raw) value = sanitise(value);
  value = clean(value, token.name);
  return token.range === null ? { ok: true, text: value } : cut(value, token.range);
}

/** `name`, `name[range]`, `name:mod|mod`, `name[range]:mod|mod`. */
function parseToken(text: string): Token | null {
  const parts = /^([a-z.]+)(?:\[([^\]]*)\])?(?::(.*))?$/is.exec(text);
  if (parts === null) return null;
  return {
    name: parts[1]!.toLowerCase(),
    range: parts[2] ?? null,
    modifiers: parts[3]?.toLowerCase().split("|") ?? [],
  };
}

function valueOf(token: string, values: FormatValues): string | null {
  const [name, part] = token.split(".", 2) as [string, string | undefined];
  switch (token) {
    case "user.username":
      return values.username;
    case "user.directory":
      return values.directory;
    case "mda":
      return values.mda ?? null;
    case "mbox.from":
      return values.sender === null ? "MAILER-DAEMON" : formatMailbox(values.sender);
  }
  if (name !== "sender" && name !== "rcpt" && name !== "dest") return null;
  const mailbox = values[name];
  if (part !== undefined && part !== "user" && part !== "domain") return null;
  if (mailbox === null) return "";
  return part === undefined ? formatMailbox(mailbox) : part === "user" ? mailbox.local : mailbox.domain;
}

/** Returns an address without the sub-address: `bob+tag@example.org` becomes `bob@example.org`. */
function strip(value: string, delimiter: string): string {
  const at = value.lastIndexOf("@");
  const local = at < 0 ? value : value.slice(0, at);
  const tag = delimiter === "" ? -1 : local.indexOf(delimiter);
  return tag < 0 ? value : local.slice(0, tag) + (at < 0 ? "" : value.slice(at));
}

/** Returns a value with `:` for each character that a shell or a path could take for its own. */
export function sanitise(value: string): string {
  return value.replace(UNSAFE, ":");
}

/** `i`, `a:b`, `a:`, `:b`; the end is inclusive; negative numbers count from the end of the value. */
function cut(value: string, range: string): Expanded {
  const parts = /^(?:(-?\d{1,5})|(-?\d{1,5})?:(-?\d{1,5})?)$/.exec(range);
  const bad: Expanded = { ok: false, error: `bad range [${range}]` };
  if (parts === null || range === ":") return bad;
  const single = parts[1];
  const begin = Number(single ?? parts[2] ?? 0);
  const last = single ?? parts[3];
  const end = last === undefined ? MAX_RANGE_CHARS : Number(last);
  if (Math.abs(begin) > MAX_RANGE_CHARS || Math.abs(end) > MAX_RANGE_CHARS) return bad;
  const characters = Array.from(value);
  const length = characters.length;
  if (length === 0) return { ok: true, text: "" };
  const from = begin < 0 ? begin + length : begin;
  // A negative end is one less than a negative begin: [0:-4] of `example.org` is `example`.
  const to = Math.min(end < 0 ? end + length - 1 : end, length - 1);
  if (from < 0 || from >= length || to < from) return bad;
  return { ok: true, text: characters.slice(from, to + 1).join("") };
}

/** What all tokens stand for in formatFault(): long enough for most ranges. */
const SAMPLE = { local: "somebody", domain: "example.org" };

/** Returns why a path or command can never be expanded; null when it can. `wrapper`: `%{mda}` may stand in it. Ranges that only some values have are right. */
export function formatFault(template: string, { wrapper }: { readonly wrapper: boolean }): string | null {
  const values = { sender: SAMPLE, rcpt: SAMPLE, dest: SAMPLE, username: "somebody", directory: "/home/somebody" };
  const expanded = expandFormat(template, wrapper ? { ...values, mda: "true" } : values, "+");
  if (expanded.ok || expanded.error === "expansion is too long") return null;
  return /^bad range \[-?\d{0,4}(?::-?\d{0,4})?\]$/.test(expanded.error) ? null : expanded.error;
}

/** The tokens of paths and commands, for messages. */
export const FORMAT_TOKENS: readonly string[] = [
  "sender",
  "sender.user",
  "sender.domain",
  "rcpt",
  "rcpt.user",
  "rcpt.domain",
  "dest",
  "dest.user",
  "dest.domain",
  "user.username",
  "user.directory",
  "mbox.from",
];
