/** `proc`, `filter` and `admd` of smtpd.conf(5). The grammar is complete; none of them is supported yet. */

import type { Context } from "./context.ts";
import { parseOptions } from "./options.ts";
import { atTable, parseFilterNames, parseTable } from "./references.ts";
import type { SourceLine } from "./types.ts";
import { shown } from "./values.ts";
import { suggestion } from "./words.ts";

const KINDS = ["proc", "proc-exec", "chain", "phase"] as const;
const PHASES = ["connect", "helo", "ehlo", "auth", "mail-from", "rcpt-to", "data", "commit"] as const;
type Phase = typeof PHASES[number];
/** Conditions that look at what the client says only later, and the phases from which they may be asked. */
const CONDITIONS: Readonly<Record<string, readonly Phase[]>> = {
  "fcrdns": PHASES,
  "rdns": PHASES,
  "src": PHASES,
  "helo": ["helo", "ehlo", "auth", "mail-from", "rcpt-to", "data", "commit"],
  "auth": ["auth", "mail-from", "rcpt-to", "data", "commit"],
  "mail-from": ["mail-from", "rcpt-to", "data", "commit"],
  "rcpt-to": ["rcpt-to"],
};
const WITH_TEXT = ["reject", "disconnect", "rewrite", "report"];
const WITHOUT_TEXT = ["junk", "bypass"];

/** After `admd`: the name of this server in the filters' handshake. */
export function parseAdmd({ cursor }: Context, at: SourceLine): void {
  const textAt = cursor.peek().at;
  const text = cursor.expectString("a name");
  if (text !== null && !/^[\x20-\x7e]+$/.test(text)) cursor.fail(textAt, `invalid admd: ${shown(text)}`);
  cursor.unsupported(at, `"admd"`);
}

/** After `proc`. */
export function parseProc(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  const name = cursor.expectString("the name of a process");
  if (name === null || cursor.expectString("a command") === null) return;
  parseProcessOptions(context);
  if (draft.processes.has(name)) return cursor.fail(at, `process "${shown(name)}" is already declared`);
  draft.processes.add(name);
  cursor.unsupported(at, `"proc"`);
}

function parseProcessOptions({ cursor }: Context): void {
  const text = { parse: (_at: SourceLine, word: string) => void cursor.expectString(`a ${word}`) };
  parseOptions(cursor, "process option", { "user": text, "group": text, "chroot": text });
}

/** After `filter` at the start of a line. */
export function parseFilter(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  const name = cursor.expectString("the name of a filter");
  if (name === null) return;
  if (draft.filters.has(name)) return cursor.fail(at, `filter "${shown(name)}" is already declared`);
  const token = cursor.peek();
  const kind = KINDS.find((candidate) => token.kind === "keyword" && token.text === candidate);
  if (kind === undefined) return cursor.unknownWord("kind of filter", KINDS);
  cursor.take();
  const process = parseKind(context, kind, name);
  if (cursor.failed) return;
  draft.filters.set(name, { chain: kind === "chain", process });
  cursor.unsupported(at, `"filter"`);
}

/** What follows the kind; gives the process behind the filter. */
function parseKind(context: Context, kind: typeof KINDS[number], name: string): string | null {
  const { cursor, draft } = context;
  switch (kind) {
    case "proc": {
      const { at } = cursor.peek();
      const process = cursor.expectString("the name of a process");
      if (process !== null && !draft.processes.has(process)) {
        cursor.fail(at, `process "${shown(process)}" is not defined${suggestion(process, draft.processes)}`);
      }
      return process;
    }
    case "proc-exec":
      if (cursor.expectString("a command") !== null) parseProcessOptions(context);
      // A process of its own, which no declared one can be called.
      return `proc-exec\n${name}`;
    case "chain":
      if (cursor.expectMark("{")) parseFilterNames(cursor, draft);
      return null;
    case "phase":
      parsePhase(context);
      return null;
  }
}

function parsePhase({ cursor, draft }: Context): void {
  const token = cursor.peek();
  const phase = PHASES.find((candidate) => token.kind === "keyword" && token.text === candidate);
  if (phase === undefined) return cursor.unknownWord("filter phase", PHASES);
  cursor.take();
  if (!cursor.expectKeyword("match")) return;
  cursor.acceptMark("!");
  const condition = cursor.peek();
  const phases = condition.kind === "keyword" && Object.hasOwn(CONDITIONS, condition.text)
    ? CONDITIONS[condition.text]!
    : null;
  if (phases === null) return cursor.unknownWord("filter condition", Object.keys(CONDITIONS));
  if (!phases.includes(phase)) {
    return cursor.fail(condition.at, `syntax error: condition "${condition.text}" is not known in phase "${phase}"`);
  }
  cursor.take();
  if (condition.text !== "fcrdns") {
    const regex = cursor.acceptKeyword("regex");
    const optional = condition.text === "rdns" || condition.text === "auth";
    if (regex || !optional || atTable(cursor)) parseTable(cursor, draft, { option: condition.text });
  }
  parseDecision(cursor, phase);
}

function parseDecision(cursor: Context["cursor"], phase: Phase): void {
  const token = cursor.peek();
  const word = token.kind === "keyword" ? token.text : "";
  if (WITH_TEXT.includes(word)) {
    cursor.take();
    cursor.expectString(`a text for "${word}"`);
  } else if (WITHOUT_TEXT.includes(word)) {
    if (phase === "commit") return cursor.fail(token.at, `syntax error: "${word}" is not allowed in phase "commit"`);
    cursor.take();
  } else {
    cursor.unknownWord("filter decision", [...WITH_TEXT, ...WITHOUT_TEXT]);
  }
}
