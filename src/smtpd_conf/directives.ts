/** The directives of smtpd.conf(5) that fit in a few lines each; the big ones have files of their own. */

import { systemReason } from "../events/mod.ts";
import { expectDelay } from "./action.ts";
import { parseAcme } from "./acme.ts";
import type { Context } from "./context.ts";
import type { SourceLine } from "../config/mod.ts";
import { DEFERRED_LIMIT, LANGUAGE_LIMITS } from "../config/limits.ts";
import { SET_PLACES } from "../config/source_line.ts";
import { isDomainName, isNetwork, parseSize, shown } from "../config/values.ts";
import { declare, type PkiDraft } from "./draft.ts";
import { expectCount, parseMdaLimits, parseMtaLimits, parseSchedulerLimits, parseSmtpLimits } from "./limits.ts";
import { parseTable } from "./references.ts";
import { parseCiphers } from "./tls_options.ts";

/** After `include`: the file's tokens come next, and then the rest of this file. */
export function parseInclude({ cursor, lexer, files }: Context, at: SourceLine): void {
  const path = cursor.expectString("the path of a file");
  if (path === null) return;
  if (!cursor.atEnd()) return cursor.unexpected("the end of the line");
  const refused = lexer.refusesInclude(path);
  if (refused !== null) return cursor.fail(at, `failed to include file ${shown(path)}: ${refused}`);
  let text: string;
  try {
    text = files.readText(path);
  } catch (error) {
    return cursor.fail(at, `failed to include file ${shown(path)}: ${shown(systemReason(error))}`);
  }
  // The newline of this line was looked at already: it comes first, then the other file.
  lexer.include(path, text);
}

/** After `name =`. */
export function parseMacro({ cursor, macros }: Context, at: SourceLine, name: string): void {
  const value = cursor.expectString(`a value for the macro "${shown(name)}"`);
  if (value === null) return macros.defineBroken(name);
  if (/\s/.test(name)) return cursor.fail(at, `macro name cannot contain whitespace: "${shown(name)}"`);
  macros.define(name, value, at);
}

/** After `bounce`. The list is set anew; four delays are kept. */
export function parseBounce({ cursor, draft }: Context, at: SourceLine): void {
  if (!cursor.expectKeyword("warn-interval")) return;
  const intervals: number[] = [];
  do {
    const seconds = expectDelay({ cursor }, "bounce");
    if (seconds === null) return;
    intervals.push(seconds);
  } while (cursor.acceptMark(","));
  const kept = LANGUAGE_LIMITS.warnIntervals;
  if (intervals.length > kept) {
    draft.warnings.push(`${at.file}:${at.line}: warning: only the first ${kept} delays of warn-interval are used`);
  }
  draft.bounce.warnIntervalsSeconds = intervals.slice(0, kept);
  draft.declared.set(SET_PLACES.warnInterval, at);
}

/** Reads what follows `ca` into the draft. */
export function parseCa({ cursor, draft }: Context, at: SourceLine): void {
  const name = expectDomain({ cursor });
  if (name === null) return;
  // Known even if the rest of the line is wrong: what names it is then not a mistake too.
  draft.ca.set(name, "");
  declare(draft, { kind: "ca", name }, at);
  if (!cursor.expectKeyword("cert")) return;
  draft.ca.set(name, cursor.expectKeyFile() ?? "");
}

/** After `pki`. Two lines of one name add up, so that each can give a part. */
export function parsePki(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  const name = expectDomain({ cursor });
  if (name === null) return;
  const pki: PkiDraft = draft.pki.get(name) ?? { at, cert: null, key: null, acme: null };
  // Known even if the rest of the line is wrong: what names it is then not a mistake too.
  draft.pki.set(name, pki);
  declare(draft, { kind: "pki", name }, pki.at);
  if (cursor.acceptWord("acme")) {
    if (pki.acme !== null) return cursor.fail(at, `pki "${shown(name)}" has "acme" already`);
    pki.acme = parseAcme(context, name);
  } else parsePkiOptions({ cursor, draft }, pki);
  // What a broken line lacks is not known.
  if (cursor.failed) {
    pki.cert ??= "";
    pki.key ??= "";
  }
}

function parsePkiOptions({ cursor, draft }: Pick<Context, "cursor" | "draft">, pki: PkiDraft): void {
  while (!cursor.atEnd()) {
    if (cursor.acceptKeyword("cert")) pki.cert = cursor.expectKeyFile();
    else if (cursor.acceptKeyword("key")) pki.key = cursor.expectKeyFile();
    else if (cursor.acceptKeyword("dhe")) {
      const { at } = cursor.peek();
      const word = cursor.expectString("none, auto or legacy");
      if (word === null) return;
      const dhe = (["none", "auto", "legacy"] as const).find((known) => known === word.toLowerCase());
      if (dhe === undefined) {
        return cursor.fail(at, `invalid dhe keyword: ${shown(word)} (none, auto or legacy is needed)`);
      }
      // It would be offered beside what every client of TLS 1.2 has; no client needs it.
      const known =
        `${at.file}:${at.line}: warning: dhe ${dhe}: only elliptic curves (ECDHE) are offered, as by "dhe none"`;
      if (dhe !== "none") draft.warnings.push(known);
    } else return cursor.unknownWord("pki option", ["cert", "key", "dhe", "acme"]);
  }
}

/** Name of a pki or ca: a host name or `*`, kept in lower case. */
function expectDomain({ cursor }: Pick<Context, "cursor">): string | null {
  const { at } = cursor.peek();
  const name = cursor.expectString('a host name or "*"')?.toLowerCase() ?? null;
  if (name === null || name === "*" || isDomainName(name)) return name;
  cursor.fail(at, `not a valid domain name: ${shown(name)}`);
  return null;
}

/** Reads what follows `mda` into the draft. */
export function parseMda(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  if (cursor.acceptKeyword("limit")) return parseMdaLimits(context);
  if (!cursor.acceptKeyword("wrapper")) return cursor.unknownWord("mda directive", ["limit", "wrapper"]);
  const name = cursor.expectString("the name of a wrapper");
  const command = name === null ? null : cursor.expectString("a command");
  if (name === null || command === null) return;
  if (draft.wrappers.has(name)) return cursor.fail(at, `wrapper "${shown(name)}" is already declared`);
  draft.wrappers.set(name, command);
  declare(draft, { kind: "wrapper", name }, at);
}

/** Reads what follows `mta` into the draft. */
export function parseMta(context: Context): void {
  const { cursor, draft } = context;
  if (cursor.acceptKeyword("limit")) return parseMtaLimits(context);
  if (!cursor.acceptKeyword("max-deferred")) return cursor.unknownWord("mta directive", ["limit", "max-deferred"]);
  draft.mta.maxDeferred = expectCount(context, DEFERRED_LIMIT.word, DEFERRED_LIMIT) ?? draft.mta.maxDeferred;
}

/** Reads what follows `scheduler` into the draft. */
export function parseScheduler(context: Context): void {
  if (context.cursor.expectKeyword("limit")) parseSchedulerLimits(context);
}

/** Reads what follows `smtp` into the draft. */
export function parseSmtp(context: Context): void {
  const { cursor, draft } = context;
  if (cursor.acceptKeyword("limit")) return parseSmtpLimits(context);
  if (cursor.acceptKeyword("max-message-size")) {
    const token = cursor.peek();
    const text = token.kind === "number" ? cursor.take().text : cursor.expectString("a size such as 35M");
    if (text === null) return;
    const bytes = parseSize(text);
    if (bytes === null) {
      return cursor.fail(
        token.at,
        `invalid size: ${shown(text)} (a number, or one with B, K, M, G, T, P or E behind it)`,
      );
    }
    draft.smtp.maxMessageBytes = bytes;
  } else if (cursor.acceptKeyword("ciphers")) {
    parseCiphers(context);
  } else if (cursor.acceptKeyword("sub-addr-delim")) {
    const { at } = cursor.peek();
    const text = cursor.expectString("a character");
    if (text === null) return;
    if (!/^[\x21-\x3f\x41-\x7e]$/.test(text)) {
      return cursor.fail(at, `sub-addr-delim must be one printable character other than "@": ${shown(text)}`);
    }
    draft.smtp.subAddressDelimiter = text;
  } else if (cursor.acceptWord("banner-delay")) {
    const { at } = cursor.peek();
    const seconds = expectDelay({ cursor }, "banner");
    if (seconds === null) return;
    const most = LANGUAGE_LIMITS.bannerDelaySeconds;
    if (seconds > most) return cursor.fail(at, `the banner-delay is too long: at most ${most}s`);
    draft.smtp.bannerDelaySeconds = seconds;
  } else if (cursor.acceptWord("trusted")) {
    parseTrusted(context);
  } else {
    cursor.unknownWord("smtp directive", [
      "limit",
      "max-message-size",
      "ciphers",
      "sub-addr-delim",
      "banner-delay",
      "trusted",
    ]);
  }
}

/** After `smtp trusted`. Main looks at the table for every connection: it must be written in smtpd.conf. */
function parseTrusted({ cursor, draft, files }: Context): void {
  const { at } = cursor.peek();
  const name = parseTable(cursor, draft, { option: "trusted", kinds: ["list"] });
  if (name === null) return;
  const table = draft.tables.get(name)?.table ?? null;
  if (table === null) {
    return cursor.fail(at, `"smtp trusted" needs a list that is written in smtpd.conf: <${shown(name)}> is not`);
  }
  const wrong = table.entries.find(([key]) => !isNetwork(key));
  if (wrong !== undefined) {
    return cursor.fail(at, `not an address or a network: ${shown(wrong[0])}${files.interfaceList?.() ?? ""}`);
  }
  draft.smtp.trusted = table.entries.map(([key]) => key);
}

/** Reads what follows `srs` into the draft. */
export function parseSrs({ cursor, draft }: Context): void {
  if (cursor.acceptKeyword("key")) {
    const which = cursor.acceptKeyword("backup") ? "backupKey" : "key";
    const { at } = cursor.peek();
    const key = cursor.expectString("a key");
    if (key === "") cursor.fail(at, "the srs key is empty");
    draft.srs[which] = key;
    if (which === "backupKey") draft.srs.extra = at;
    else draft.declared.set(SET_PLACES.srs, at);
  } else if (cursor.acceptKeyword("ttl")) {
    const ttlAt = cursor.peek().at;
    const seconds = expectDelay({ cursor }, "ttl");
    if (seconds === null) return;
    if (seconds < 86_400) cursor.fail(ttlAt, "srs ttl must be at least 1d");
    draft.srs.ttlDays = Math.floor(seconds / 86_400);
    draft.srs.extra = ttlAt;
  } else {
    cursor.unknownWord("srs directive", ["key", "ttl"]);
  }
}
