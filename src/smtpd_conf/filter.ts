/** `proc`, `filter` and `admd` of smtpd.conf(5). What a filter does to a session is not known here. */

import type { Context } from "./context.ts";
import { declare, use } from "./draft.ts";
import { parseOptions } from "./options.ts";
import { atTable, parseFilterNames, parseTable } from "./references.ts";
import type {
  FilterCondition,
  FilterDecisionKind,
  FilterPhase,
  FilterProcess,
  FilterStep,
  SourceLine,
} from "../config/mod.ts";
import { refusalReply } from "../config/refusal.ts";
import { shown } from "../config/values.ts";
import { isMailAuthWord, mailAuthWordsOf } from "../envelope/mod.ts";

const KINDS = ["proc", "proc-exec", "chain", "phase"] as const;
const PHASES = ["connect", "helo", "ehlo", "auth", "mail-from", "rcpt-to", "data", "commit"] as const;
/** Conditions that look at what the client says only later, and the phases from which they may be asked. */
const CONDITIONS: Readonly<Record<FilterCondition["kind"], readonly FilterPhase[]>> = {
  "fcrdns": PHASES,
  "rdns": PHASES,
  "src": PHASES,
  "helo": ["helo", "ehlo", "auth", "mail-from", "rcpt-to", "data", "commit"],
  "auth": ["auth", "mail-from", "rcpt-to", "data", "commit"],
  "mail-from": ["mail-from", "rcpt-to", "data", "commit"],
  "rcpt-to": ["rcpt-to"],
  "spf": ["commit"],
  "dkim": ["commit"],
  "dmarc": ["commit"],
};
const CONDITION_WORDS = Object.keys(CONDITIONS) as FilterCondition["kind"][];
/** Words of ours, which are not reserved: names of macros and tags keep working. */
const CHECKS = ["spf", "dkim", "dmarc"] as const;
const KEYWORDS = CONDITION_WORDS.filter((word) => !isCheck(word)) as Exclude<
  FilterCondition["kind"],
  typeof CHECKS[number]
>[];
const WITH_TEXT = ["reject", "disconnect", "rewrite", "report"] as const;
const WITHOUT_TEXT = ["junk", "bypass"] as const;

/** After `admd`: the name of this server in the filters' handshake. */
export function parseAdmd({ cursor, draft }: Context): void {
  const textAt = cursor.peek().at;
  const text = cursor.expectString("a name");
  if (text === null) return;
  if (!/^[\x20-\x7e]+$/.test(text)) return cursor.fail(textAt, `invalid admd: ${shown(text)}`);
  draft.admd = text;
}

/** Reads what follows `proc` into the draft. */
export function parseProc(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  const name = cursor.expectString("the name of a process");
  if (name === null) return;
  if (draft.processes.has(name)) return cursor.fail(at, `process "${shown(name)}" is already declared`);
  declare(draft, { kind: "process", name }, at);
  const process = parseProcess(context, at, name);
  if (process !== null) draft.processes.set(name, process);
}

/** The command and the options behind it. Null after a mistake. */
function parseProcess({ cursor }: Context, at: SourceLine, name: string): FilterProcess | null {
  const commandAt = cursor.peek().at;
  const command = cursor.expectString("a command");
  if (command === null) return null;
  if (!/\S/.test(command)) cursor.fail(commandAt, "the command is empty");
  const process = { at, name, command, user: null, group: null, chroot: null } as {
    -readonly [Key in keyof FilterProcess]: FilterProcess[Key];
  };
  const text = (key: "user" | "group" | "chroot") => ({
    parse: (_at: SourceLine, word: string) => void (process[key] = cursor.expectString(`a ${word}`)),
  });
  parseOptions(cursor, "process option", { "user": text("user"), "group": text("group"), "chroot": text("chroot") });
  if (process.chroot !== null && !process.chroot.startsWith("/")) {
    cursor.fail(at, `chroot "${shown(process.chroot)}" does not start with a slash`);
  }
  return cursor.failed ? null : process;
}

/** After `filter` at the start of a line. */
export function parseFilter(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  const name = cursor.expectString("the name of a filter");
  if (name === null) return;
  if (draft.filters.has(name)) return cursor.fail(at, `filter "${shown(name)}" is already declared`);
  // The name stands in what is reported to programs.
  // deno-lint-ignore no-control-regex
  if (name === "" || /^<|[|\x00-\x1f\x7f]/.test(name)) {
    return cursor.fail(at, `invalid name of a filter: "${shown(name)}"`);
  }
  declare(draft, { kind: "filter", name }, at);
  const token = cursor.peek();
  const kind = KINDS.find((candidate) => token.kind === "keyword" && token.text === candidate);
  if (kind === undefined) return cursor.unknownWord("kind of filter", KINDS);
  cursor.take();
  const steps = parseKind(context, at, kind, name);
  if (steps !== null && !cursor.failed) draft.filters.set(name, { chain: kind === "chain", steps });
}

/** What follows the kind; gives what the filter consists of, null after a mistake. */
function parseKind(
  context: Context,
  at: SourceLine,
  kind: typeof KINDS[number],
  name: string,
): readonly FilterStep[] | null {
  const { cursor, draft } = context;
  switch (kind) {
    case "proc": {
      const processAt = cursor.peek().at;
      const process = cursor.expectString("the name of a process");
      if (process === null) return null;
      use(draft, { kind: "process", name: process });
      if (!draft.processes.has(process)) {
        cursor.failUndefined(processAt, { kind: "process", name: process }, () => draft.processes.keys());
      }
      return [{ kind: "process", name, process }];
    }
    case "proc-exec": {
      const process = parseProcess(context, at, name);
      if (process === null) return null;
      // A process of its own: no declared one can have a newline in its name.
      const key = `proc-exec\n${name}`;
      draft.processes.set(key, process);
      return [{ kind: "process", name, process: key }];
    }
    case "chain":
      return cursor.expectMark("{") ? parseFilterNames(cursor, draft) : null;
    case "phase":
      return parsePhase(context, at, name);
  }
}

function parsePhase(context: Context, at: SourceLine, name: string): FilterStep[] | null {
  const { cursor } = context;
  const token = cursor.peek();
  const phase = PHASES.find((candidate) => token.kind === "keyword" && token.text === candidate);
  if (phase === undefined) {
    cursor.unknownWord("filter phase", PHASES);
    return null;
  }
  cursor.take();
  if (!cursor.expectKeyword("match")) return null;
  const negated = cursor.acceptMark("!");
  const condition = parseCondition(context, phase, name);
  if (condition === null) return null;
  const decision = parseDecision(context, phase, condition.kind);
  return decision === null ? null : [{ kind: "builtin", at, name, phase, negated, condition, decision: decision }];
}

function parseCondition({ cursor, draft }: Context, phase: FilterPhase, name: string): FilterCondition | null {
  const token = cursor.peek();
  const check = CHECKS.find((word) => cursor.atWord(word));
  if (check !== undefined) return parseCheck({ cursor, draft }, { phase, name, kind: check });
  const kind = KEYWORDS.find((word) => token.kind === "keyword" && token.text === word);
  if (kind === undefined) {
    cursor.unknownWord("filter condition", CONDITION_WORDS);
    return null;
  }
  if (!CONDITIONS[kind].includes(phase)) {
    cursor.fail(token.at, `syntax error: condition "${kind}" is not known in phase "${phase}"`);
    return null;
  }
  cursor.take();
  if (kind === "fcrdns") return { kind };
  const regex = cursor.acceptKeyword("regex");
  if ((kind === "rdns" || kind === "auth") && !regex && !atTable(cursor)) return { kind, test: null };
  const table = parseTable(cursor, draft, { option: kind });
  return table === null ? null : { kind, test: { regex, table } };
}

function isCheck(kind: FilterCondition["kind"]): kind is typeof CHECKS[number] {
  return CHECKS.some((check) => check === kind);
}

/** `spf RESULT`, `dkim { RESULT, … }`, `dmarc <table>`: a policy of DMARC is one of its words, though some are reserved. */
function parseCheck(
  { cursor, draft }: Pick<Context, "cursor" | "draft">,
  { phase, name, kind }: {
    readonly phase: FilterPhase;
    readonly name: string;
    readonly kind: typeof CHECKS[number];
  },
): FilterCondition | null {
  const { at } = cursor.take();
  if (phase !== "commit") {
    cursor.fail(at, `filter "${shown(name)}": ${kind} is known at phase commit only`);
    return null;
  }
  if (cursor.atMark("<")) {
    const table = parseTable(cursor, draft, { option: kind, kinds: ["list"] });
    return table === null ? null : { kind, table };
  }
  const words: string[] = [];
  const several = cursor.acceptMark("{");
  do {
    if (several) cursor.skipNewlines();
    const token = cursor.peek();
    if (token.kind !== "keyword" && token.kind !== "string" || !isMailAuthWord(kind, token.text)) {
      const known = mailAuthWordsOf(kind);
      if (token.kind === "keyword" || token.kind === "string") cursor.unknownWord(`result of ${kind}`, known);
      else cursor.unexpected(`a result of ${kind} (${known.join(", ")})`);
      return null;
    }
    words.push(cursor.take().text);
    if (!several) break;
    cursor.skipNewlines();
    cursor.acceptMark(",");
    cursor.skipNewlines();
  } while (!cursor.acceptMark("}"));
  return { kind, words };
}

function refuses(word: typeof WITH_TEXT[number]): boolean {
  return word === "reject" || word === "disconnect";
}

/** The text of a refusal; one without a reply code gets one, and a warning. */
function replyOf({ draft }: Context, at: SourceLine, text: string): string {
  const reply = refusalReply(text);
  const [, code, status] = /^([45])\d\d ([245])\.\d{1,3}\.\d{1,3}(?: |$)/.exec(text) ?? [];
  if (code !== status) {
    draft.warnings.push(
      `${at.file}:${at.line}: warning: in "${shown(text)}" the reply code and the status code behind it are of two ` +
        `classes: both begin with 4 (try again) or with 5 (never) (RFC 2034)`,
    );
  }
  if (reply !== text) {
    draft.warnings.push(
      `${at.file}:${at.line}: warning: "${shown(text)}" has no reply code: write one from 400 to 599 before it; ` +
        `until then clients hear "${shown(reply)}"`,
    );
  }
  return reply;
}

function parseDecision(
  context: Context,
  phase: FilterPhase,
  condition: FilterCondition["kind"],
): FilterDecisionKind | null {
  const { cursor } = context;
  const token = cursor.peek();
  const word = token.kind === "keyword" ? token.text : "";
  const withText = WITH_TEXT.find((known) => known === word);
  if (withText === "rewrite" && isCheck(condition)) {
    cursor.fail(
      token.at,
      `syntax error: "rewrite" is not allowed in phase "commit": there is nothing to put in its place`,
    );
    return null;
  }
  if (withText !== undefined) {
    cursor.take();
    const text = cursor.expectString(`a text for "${word}"`);
    if (text === null) return null;
    return { kind: withText, text: refuses(withText) ? replyOf(context, token.at, text) : text };
  }
  const kind = WITHOUT_TEXT.find((known) => known === word);
  if (kind === undefined) {
    cursor.unknownWord("filter decision", [...WITH_TEXT, ...WITHOUT_TEXT]);
    return null;
  }
  if (phase === "commit" && !isCheck(condition)) {
    cursor.fail(token.at, `syntax error: "${word}" is not allowed in phase "commit"`);
    return null;
  }
  cursor.take();
  return { kind };
}
