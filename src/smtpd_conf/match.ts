/** `match …` of smtpd.conf(5): criteria and outcome of a rule. Evaluating rules is src/rules' work. */

import type { Context } from "./context.ts";
import type { Rule, RuleFrom, SourceLine, StaticTable, TableTest } from "../config/mod.ts";
import { BUILTIN_TABLES } from "../config/defaults.ts";
import { OF_THE_ACTION } from "../config/words.ts";
import { shown } from "../config/values.ts";
import { isMailAuthKey } from "../envelope/mod.ts";
import { use } from "./draft.ts";
import { firstOf } from "./options.ts";
import { atTable, parseTable } from "./references.ts";

interface RuleDraft {
  tag: TableTest | null;
  from: RuleFrom;
  for: TableTest;
  helo: TableTest | null;
  auth: Rule["auth"];
  tls: Rule["tls"];
  mailFrom: TableTest | null;
  rcptTo: TableTest | null;
  mailAuth: TableTest | null;
}

/** Where an option stands, and whether `!` stood before it. */
interface Criterion {
  readonly at: SourceLine;
  readonly negated: boolean;
}

const CRITERIA = ["tag", "helo", "tls", "auth", "mail-from", "rcpt-to", "from", "for"] as const;
const FROM = ["socket", "local", "any", "src", "rdns", "auth", "mail-from"] as const;
const FOR = ["local", "any", "domain", "rcpt-to"] as const;

const LIST: readonly StaticTable["kind"][] = ["list"];
const BOTH: readonly StaticTable["kind"][] = ["list", "map"];

/** Reads what follows `match` into the draft. */
export function parseMatch(context: Context, at: SourceLine): void {
  const { cursor, draft } = context;
  const rule: RuleDraft = {
    tag: null,
    from: { kind: "source", ...builtin(BUILTIN_TABLES.localHost) },
    for: builtin(BUILTIN_TABLES.localNames),
    helo: null,
    auth: null,
    tls: null,
    mailFrom: null,
    rcptTo: null,
    mailAuth: null,
  };
  const parser = new MatchParser(context, rule);
  while (!cursor.atEnd() && !cursor.atKeyword("reject") && !cursor.atKeyword("action")) parser.option();
  if (cursor.acceptKeyword("reject")) {
    draft.rules.push({ at, ...rule, outcome: { kind: "reject" } });
  } else if (cursor.acceptKeyword("action")) {
    const nameAt = cursor.peek().at;
    const name = cursor.expectString("the name of an action");
    if (name === null) return;
    use(draft, { kind: "action", name });
    if (!draft.actions.has(name)) {
      return cursor.failUndefined(nameAt, { kind: "action", name }, () => draft.actions.keys());
    }
    draft.rules.push({ at, ...rule, outcome: { kind: "action", name } });
  } else {
    cursor.unexpected(`"action" or "reject"`);
  }
  if (!cursor.atEnd()) cursor.unexpected("the end of the rule");
}

function builtin(table: string, { negated } = { negated: false }): TableTest {
  return { negated, regex: false, table };
}

class MatchParser {
  readonly #context: Context;
  readonly #rule: RuleDraft;
  readonly #seen = new Map<string, string>();

  constructor(context: Context, rule: RuleDraft) {
    this.#context = context;
    this.#rule = rule;
  }

  /** One `[!] option`. */
  option(): void {
    const { cursor } = this.#context;
    const negated = cursor.acceptMark("!");
    const token = cursor.peek();
    // A word of ours that is not reserved.
    if (cursor.acceptWord("mail-auth")) return this.#mailAuth({ at: token.at, negated });
    const word = CRITERIA.find((candidate) => token.kind === "keyword" && token.text === candidate);
    if (word === undefined) {
      if (token.kind !== "mark" && OF_THE_ACTION.has(token.text)) {
        return cursor.fail(
          token.at,
          `syntax error: "${token.text}" is no match option: since OpenSMTPD 6.4 it is a part of ` +
            `"action NAME …", and the rule ends in "action NAME"`,
        );
      }
      const known = [...CRITERIA, "mail-auth"];
      return cursor.unknownWord("match option", negated ? known : [...known, "action", "reject"]);
    }
    cursor.take();
    const criterion = { at: token.at, negated };
    if (word === "from") return this.#from(criterion);
    if (word === "for") return this.#for(criterion);
    this.#criterion(word, word, criterion, word === "auth" ? BOTH : undefined);
  }

  /** The criteria that stand alone, or behind `from` and `for`; `option` is how the whole is called in messages. */
  #criterion(
    word: "tag" | "helo" | "tls" | "auth" | "mail-from" | "rcpt-to",
    option: string,
    criterion: Criterion,
    authKinds: readonly StaticTable["kind"][] = LIST,
  ): void {
    if (!this.#first(criterion, word)) return;
    switch (word) {
      case "tag":
        this.#rule.tag = this.#test(option, LIST, criterion);
        return;
      case "mail-from":
        this.#rule.mailFrom = this.#test(option, BOTH, criterion);
        return;
      case "rcpt-to":
        this.#rule.rcptTo = this.#test(option, BOTH, criterion);
        return;
      case "helo":
        this.#rule.helo = this.#test(option, LIST, criterion);
        return;
      case "auth":
        this.#rule.auth = { negated: criterion.negated, test: this.#optionalTest(option, authKinds, criterion) };
        return;
      case "tls":
        this.#rule.tls = { negated: criterion.negated };
        return;
    }
  }

  #from(criterion: Criterion): void {
    if (!this.#first(criterion, "from")) return;
    const word = this.#oneOf("source of a match", FROM);
    const { negated } = criterion;
    switch (word) {
      case "socket":
        this.#rule.from = { kind: "socket", negated };
        return;
      case "local":
        this.#rule.from = { kind: "source", ...builtin(BUILTIN_TABLES.localHost, { negated }) };
        return;
      case "any":
        this.#rule.from = { kind: "source", ...builtin(BUILTIN_TABLES.anyHost, { negated }) };
        return;
      case "src": {
        const test = this.#test("from src", LIST, criterion);
        if (test !== null) this.#rule.from = { kind: "source", ...test };
        return;
      }
      case "rdns":
        this.#rule.from = { kind: "rdns", negated, test: this.#optionalTest("from rdns", LIST, criterion) };
        return;
      case "auth":
      case "mail-from":
        // Any source; the negation is of what follows only.
        this.#rule.from = { kind: "source", ...builtin(BUILTIN_TABLES.anyHost) };
        return this.#criterion(word, `from ${word}`, criterion);
    }
    word satisfies undefined;
  }

  #for(criterion: Criterion): void {
    if (!this.#first(criterion, "for")) return;
    const word = this.#oneOf("destination of a match", FOR);
    const { negated } = criterion;
    switch (word) {
      case "local":
        this.#rule.for = builtin(BUILTIN_TABLES.localNames, { negated });
        return;
      case "any":
        this.#rule.for = builtin(BUILTIN_TABLES.anyDestination, { negated });
        return;
      case "domain":
        this.#rule.for = this.#test("for domain", LIST, criterion) ?? this.#rule.for;
        return;
      case "rcpt-to":
        this.#rule.for = builtin(BUILTIN_TABLES.anyDestination);
        return this.#criterion(word, "for rcpt-to", criterion);
    }
    word satisfies undefined;
  }

  #mailAuth(criterion: Criterion): void {
    if (!this.#first(criterion, "mail-auth")) return;
    const { cursor, draft } = this.#context;
    const { at } = cursor.peek();
    const table = parseTable(cursor, draft, { option: "mail-auth", kinds: LIST });
    if (table === null) return;
    const { table: content } = draft.tables.get(table)!;
    const wrong = content !== null && "entries" in content
      ? content.entries.find(([key]) => !isMailAuthKey(key))
      : undefined;
    if (wrong !== undefined) {
      return cursor.fail(at, `"${shown(wrong[0])}" is no result: write one as "dmarc=quarantine" or "spf=fail"`);
    }
    this.#rule.mailAuth = { negated: criterion.negated, regex: false, table };
  }

  #oneOf<Word extends string>(what: string, words: readonly Word[]): Word | undefined {
    const { cursor } = this.#context;
    const token = cursor.peek();
    const word = words.find((candidate) => token.kind === "keyword" && token.text === candidate);
    if (word === undefined) cursor.unknownWord(what, words);
    else cursor.take();
    return word;
  }

  /** False, with a diagnostic, when the rule has this option already. */
  #first(criterion: Criterion, word: string): boolean {
    return firstOf(this.#context.cursor, this.#seen, criterion.at, word, word);
  }

  /** `["regex"] table`. */
  #test(option: string, kinds: readonly StaticTable["kind"][], criterion: Criterion): TableTest | null {
    const { cursor, draft } = this.#context;
    const regex = cursor.acceptKeyword("regex");
    const table = parseTable(cursor, draft, { option, kinds: regex ? LIST : kinds });
    return table === null ? null : { negated: criterion.negated, regex, table };
  }

  /** The same where the table may be left out. */
  #optionalTest(option: string, kinds: readonly StaticTable["kind"][], criterion: Criterion): TableTest | null {
    const { cursor } = this.#context;
    return atTable(cursor) || cursor.atKeyword("regex") ? this.#test(option, kinds, criterion) : null;
  }
}
