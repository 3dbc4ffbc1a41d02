/** smtpd.conf(5) from text to a checked Config. Pure but for the injected `ConfigFiles`; never throws. */

import { systemReason } from "../events/mod.ts";
import { parseAction } from "./action.ts";
import { checkDraft, checkWhole, expiryWarnings, unusedWarnings } from "./check.ts";
import type { ConfigFiles, Context } from "./context.ts";
import { Cursor, hint } from "./cursor.ts";
import * as directives from "./directives.ts";
import { parseDkim } from "./dkim.ts";
import { parseDmarc } from "./dmarc.ts";
import { declaredKey, emptyDraft, finishDraft } from "./draft.ts";
import { parseAdmd, parseFilter, parseProc } from "./filter.ts";
import { parseHistory } from "./history.ts";
import { Lexer, type Token } from "./lexer.ts";
import { parseAdmin } from "./admin.ts";
import { parseListen } from "./listen.ts";
import { parseLog } from "./log.ts";
import { Macros } from "./macros.ts";
import { parseMatch } from "./match.ts";
import { parseQueue } from "./queue.ts";
import { parseTableDirective } from "./table.ts";
import type { Diagnostic, ParseResult, SourceLine } from "../config/mod.ts";
import { MACHINE_STATE, UNIT_CREDENTIALS } from "../config/paths.ts";
import { shown } from "../config/values.ts";
import { BEFORE_6_4, DIRECTIVES, RESERVED } from "../config/words.ts";

export interface ParseOptions {
  /** `-D name=value`; they win over the macros of the file. */
  readonly defines: ReadonlyArray<readonly [string, string]>;
  readonly files: ConfigFiles;
  /** Folder of the credentials that the service manager hands over; that of our unit without it. */
  readonly credentials?: string;
  /** Warn of macros that are not used. */
  readonly verbose?: boolean;
}

const PARSERS: Readonly<Record<string, (context: Context, at: SourceLine) => void>> = {
  "action": parseAction,
  "admd": parseAdmd,
  "bounce": directives.parseBounce,
  "ca": directives.parseCa,
  "filter": parseFilter,
  "include": directives.parseInclude,
  "listen": parseListen,
  "match": parseMatch,
  "mda": directives.parseMda,
  "mta": directives.parseMta,
  "pki": directives.parsePki,
  "proc": parseProc,
  "queue": parseQueue,
  "scheduler": directives.parseScheduler,
  "smtp": directives.parseSmtp,
  "srs": directives.parseSrs,
  "table": parseTableDirective,
};

/**
 * Reads and checks a configuration. Every mistake that can be found is reported, in the order in which it was met; a `fatal`
 * message concerns the file as a whole and has no line.
 */
export function parseConfig(file: string, options: ParseOptions): ParseResult {
  let text: string;
  try {
    text = options.files.readText(file);
  } catch (error) {
    return {
      ok: false,
      diagnostics: [],
      fatal: `cannot open ${shown(file)}: ${shown(systemReason(error))}`,
    };
  }
  const macros = new Macros(options.defines);
  const lexer = new Lexer(file, text, macros);
  const draft = emptyDraft();
  const state = options.files.state ?? MACHINE_STATE;
  const cursor = new Cursor(lexer, (name) => {
    return name.kind === "macro" ? macros.placeOf(name.name) : draft.declared.get(declaredKey(name));
  }, options.credentials ?? UNIT_CREDENTIALS);
  const context: Context = { cursor, lexer, macros, draft, files: options.files };
  while (cursor.peek().kind !== "end" && !cursor.tooMany) {
    parseLine(context);
    cursor.finishLine();
  }
  cursor.explain();
  const diagnostics = [...cursor.diagnostics];
  if (!cursor.tooMany) diagnostics.push(...checkDraft(draft));
  const fatal = diagnostics.length === 0 ? checkWhole(draft) : cursor.tooMany ? "too many errors" : null;
  if (diagnostics.length > 0 || fatal !== null) {
    return { ok: false, diagnostics, fatal, partial: finishDraft(file, draft, state) };
  }
  const { key, extra } = draft.srs;
  if (key === null && extra !== null) {
    draft.warnings.push(
      `${extra.file}:${extra.line}: warning: "srs backup" and "srs ttl" have no effect without "srs key"`,
    );
  }
  draft.warnings.push(...expiryWarnings(draft));
  const unused = !options.verbose
    ? []
    : macros.unused().map(({ name, at }) =>
      `${at === null ? "-D: " : `${at.file}:${at.line}: `}warning: macro "${shown(name)}" is not used`
    );
  return {
    ok: true,
    config: finishDraft(file, draft, state),
    warnings: [...draft.warnings, ...unused],
    notes: unusedWarnings(draft),
  };
}

/** One line: nothing, a macro or a directive. */
function parseLine(context: Context): void {
  const { cursor } = context;
  const token = cursor.peek();
  if (cursor.atEnd()) return;
  if (token.kind === "keyword" && Object.hasOwn(PARSERS, token.text)) {
    cursor.take();
    return PARSERS[token.text]!(context, token.at);
  }
  if (token.kind !== "string" && !BEFORE_6_4.has(token.text)) return cursor.unknownWord("directive", DIRECTIVES);
  cursor.take();
  if (cursor.acceptMark("=")) return directives.parseMacro(context, token.at, token.text);
  // No reserved words, so that macros, filters and tags may be called so.
  if (token.text === "admin") return parseAdmin(context, token.at);
  if (token.text === "dkim") return parseDkim(context, token.at);
  if (token.text === "dmarc") return parseDmarc(context, token.at);
  if (token.text === "history") return parseHistory(context, token.at);
  if (token.text === "log") return parseLog(context, token.at);
  cursor.fail(token.at, `syntax error: unknown directive "${shown(token.text)}"${directiveHint(token)}`);
}

function directiveHint(token: Token): string {
  const now = token.kind === "keyword" || !RESERVED.has(token.text) ? BEFORE_6_4.get(token.text) : undefined;
  return now === undefined ? hint(token, DIRECTIVES) : `: since OpenSMTPD 6.4 it is ${now}`;
}

/** Returns a mistake as it is printed, `file:line: message`. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  return `${diagnostic.file}:${diagnostic.line}: ${diagnostic.message}`;
}
