/** What every production of the grammar does with tokens: look, take, expect, complain, and find the next line after a mistake. */

import type { Diagnostic, SourceLine } from "../config/mod.ts";
import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { shown } from "../config/values.ts";
import { DIRECTIVES, RESERVED, suggestion } from "../config/words.ts";
import type { Lexer, Token } from "./lexer.ts";

/** What a path begins with that stands for a credential of the service manager. */
export const CREDENTIAL = "credential:";

/**
 * Tokens with one token of lookahead. After the first mistake of a directive the cursor shows only ends of line until
 * `finishLine`, so that productions end by themselves and a mistake is reported once.
 */
export class Cursor {
  readonly #lexer: Lexer;
  readonly #placeOf: (name: Named) => SourceLine | undefined;
  readonly #credentials: string;
  readonly #diagnostics: Diagnostic[] = [];
  #lookahead: Token | null = null;
  #failed = false;
  /** Where the braces that are open stand, the innermost last. */
  readonly #braces: SourceLine[] = [];
  /** Diagnostics about names that may be defined further down. */
  readonly #undefined: { readonly index: number; readonly name: Named; readonly known: () => Iterable<string> }[] = [];
  /** The token that was consumed last was a newline. */
  #lineBegins = true;

  /** `placeOf`: where a thing of this name has been declared so far, right or wrong. `credentials`: the folder of the service manager's keys. */
  constructor(lexer: Lexer, placeOf: (name: Named) => SourceLine | undefined, credentials: string) {
    this.#lexer = lexer;
    this.#placeOf = placeOf;
    this.#credentials = credentials;
  }

  get diagnostics(): readonly Diagnostic[] {
    return this.#diagnostics;
  }

  get failed(): boolean {
    return this.#failed;
  }

  /** More mistakes than anyone reads: the rest of the file is not looked at. */
  get tooMany(): boolean {
    return this.#diagnostics.length >= LANGUAGE_LIMITS.diagnostics;
  }

  peek(): Token {
    const token = this.#current();
    if (this.#failed) return { kind: "newline", text: "\n", at: token.at };
    return token;
  }

  take(): Token {
    const token = this.peek();
    if (!this.#failed) this.#consume();
    return token;
  }

  /** Says what is wrong and gives up this directive. */
  fail(at: SourceLine, message: string): void {
    if (this.#failed) return;
    this.note(at, message);
    this.#failed = true;
  }

  /** Says what is wrong and goes on with the directive: for what is right by the grammar. */
  note(at: SourceLine, message: string): void {
    if (this.#failed || this.tooMany) return;
    this.#diagnostics.push({ file: at.file, line: at.line, message: message + this.#suspicion(at) });
  }

  /** Fails at a name that nothing was called so far. What it is to be is said by `explain`, when the whole file is read. */
  failUndefined(at: SourceLine, name: Named, known: () => Iterable<string>): void {
    // It was declared by a line that is wrong: that was reported.
    if (this.#placeOf(name) !== undefined) {
      this.#failed = true;
      return;
    }
    if (!this.#failed && !this.tooMany) this.#undefined.push({ index: this.#diagnostics.length, name, known });
    this.fail(at, `${nounOf(name)} is not defined`);
  }

  /** Adds to the diagnostics of `failUndefined` where the name is defined after all, or what it was probably meant to be. */
  explain(): void {
    for (const { index, name, known } of this.#undefined) {
      const one = this.#diagnostics[index]!;
      const place = this.#placeOf(name);
      const line = place === undefined ? "" : place.file === one.file ? `line ${place.line}` : placeText(place);
      const hint = place === undefined ? suggestion(name.name, known()) : `: it stands in ${line}: move it up`;
      this.#diagnostics[index] = { ...one, message: one.message + hint };
    }
  }

  /** What may be the cause of a mistake: a brace or a quote that was forgotten lines before. */
  #suspicion(at: SourceLine): string {
    const brace = this.#braces.at(-1);
    const token = this.#current();
    const lost = token.kind === "end" ||
      (this.#lineBegins && token.kind === "keyword" && DIRECTIVES.includes(token.text));
    const unclosed = brace !== undefined && lost && !sameLine(brace, at) ? brace : null;
    const { spanned, unjoined } = this.#lexer;
    if (unjoined !== null && unjoined.file === at.file && at.line - unjoined.line <= 1 && at.line >= unjoined.line) {
      return `; the backslash of line ${unjoined.line} joins no lines: there is a blank behind it`;
    }
    const behind = unclosed ?? at;
    if (spanned !== null && spanned.end.file === at.file && spanned.end.line >= behind.line) {
      const { start, end } = spanned;
      return `; a quoted string goes from line ${start.line} to line ${end.line}: is a quote missing?`;
    }
    return unclosed === null ? "" : `; the "{" of line ${unclosed.line} is not closed`;
  }

  /** Fails at the next token, which is not what was expected. */
  unexpected(expected: string): void {
    const token = this.peek();
    if (token.kind === "bad" && token.text === "") this.#failed = true;
    if (token.macro !== undefined) {
      return this.failUndefined(token.at, { kind: "macro", name: token.macro }, () => this.#lexer.macroNames());
    }
    this.fail(
      token.at,
      token.kind === "bad" ? token.text : `syntax error: expected ${expected}, found ${named(token)}`,
    );
  }

  /** Fails at the next token, which should have been one of the words. */
  unknownWord(what: string, words: Iterable<string>): void {
    const token = this.peek();
    if (token.kind !== "string" && token.kind !== "keyword") return this.unexpected(what);
    this.fail(token.at, `syntax error: unknown ${what} "${shown(token.text)}"${hint(token, words)}`);
  }

  atKeyword(word: string): boolean {
    const token = this.peek();
    return token.kind === "keyword" && token.text === word;
  }

  atMark(mark: string): boolean {
    const token = this.peek();
    return token.kind === "mark" && token.text === mark;
  }

  atString(): boolean {
    return this.peek().kind === "string";
  }

  atNewline(): boolean {
    return this.peek().kind === "newline";
  }

  /** End of a directive. */
  atEnd(): boolean {
    const { kind } = this.peek();
    return kind === "newline" || kind === "end";
  }

  acceptKeyword(word: string): boolean {
    if (!this.atKeyword(word)) return false;
    this.take();
    return true;
  }

  /** At a word of ours that is not reserved, so that macros of that name keep working. */
  atWord(word: string): boolean {
    const { kind, text } = this.peek();
    return kind === "string" && text === word;
  }

  acceptWord(word: string): boolean {
    if (!this.atWord(word)) return false;
    this.take();
    return true;
  }

  acceptMark(mark: string): boolean {
    if (!this.atMark(mark)) return false;
    this.take();
    return true;
  }

  expectKeyword(word: string): boolean {
    if (this.acceptKeyword(word)) return true;
    const token = this.peek();
    const guess = token.kind === "string" ? hint(token, [word]) : "";
    if (guess === "") this.unexpected(`"${word}"`);
    else this.fail(token.at, `syntax error: expected "${word}", found "${shown(token.text)}"${guess}`);
    return false;
  }

  expectMark(mark: string): boolean {
    if (this.acceptMark(mark)) return true;
    this.unexpected(`"${mark}"`);
    return false;
  }

  /** A STRING; fails and gives null when it is something else. */
  expectString(what: string): string | null {
    if (this.atString()) return this.take().text;
    this.unexpected(what);
    return null;
  }

  /** The path of a certificate or key: as it stands, or of the service manager's credential NAME for `credential:NAME`. */
  expectKeyFile(): string | null {
    const { at } = this.peek();
    const text = this.expectString("the path of a file");
    return text?.startsWith(CREDENTIAL) ? this.credentialPath(at, text) : text;
  }

  /** Where the credential of a text that begins with `credential:` lies; null, and a mistake, when that is no name of one. */
  credentialPath(at: SourceLine, text: string): string | null {
    const name = text.slice(CREDENTIAL.length);
    // No way out of the folder.
    if (/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,254}$/.test(name)) return `${this.#credentials}/${name}`;
    this.fail(at, `not a valid name of a credential: "${shown(name)}" (letters, digits, ".", "_" and "-" are needed)`);
    return null;
  }

  expectNumber(what: string): number | null {
    if (this.peek().kind === "number") return Number(this.take().text);
    this.unexpected(what);
    return null;
  }

  skipNewlines(): void {
    while (!this.#failed && this.atNewline()) this.take();
  }

  /** After a directive: its newline must follow. After a mistake: skips to where the next directive seems to begin. */
  finishLine(): void {
    if (!this.#failed && !this.atEnd()) this.unexpected("the end of the line");
    if (this.#failed) this.#resynchronise();
    else if (this.atNewline()) this.take();
    this.#failed = false;
    this.#braces.length = 0;
  }

  /**
   * To the next newline that is not inside `{ … }`. A directive's first word at the start of a line ends an unclosed brace,
   * so that one forgotten `}` does not hide the mistakes of the whole file.
   */
  #resynchronise(): void {
    for (;;) {
      const token = this.#current();
      if (token.kind === "end") return;
      if (this.#lineBegins && this.#braces.length > 0 && token.kind === "keyword" && DIRECTIVES.includes(token.text)) {
        return;
      }
      this.#consume();
      if (token.kind === "newline" && this.#braces.length === 0) return;
    }
  }

  #current(): Token {
    return this.#lookahead ??= this.#lexer.next();
  }

  #consume(): void {
    const token = this.#current();
    this.#lineBegins = token.kind === "newline";
    if (token.kind === "mark") {
      if (token.text === "{") this.#braces.push(token.at);
      if (token.text === "}") this.#braces.pop();
    }
    // The end stays; all else must be read only when asked for: a macro may be defined or a file included before.
    if (token.kind !== "end") this.#lookahead = null;
  }
}

/** Something that smtpd.conf defines by a name. */
export interface Named {
  readonly kind: "table" | "action" | "filter" | "process" | "pki" | "ca" | "wrapper" | "macro";
  readonly name: string;
}

function nounOf({ kind, name }: Named): string {
  return kind === "table" ? `table <${shown(name)}>` : `${kind} "${shown(name)}"`;
}

function sameLine(one: SourceLine, other: SourceLine): boolean {
  return one.file === other.file && one.line === other.line;
}

/** `file:line`. */
function placeText({ file, line }: SourceLine): string {
  return `${file}:${line}`;
}

/** What a word that is none of `words` was probably meant to be. */
export function hint({ kind, text }: Token, words: Iterable<string>): string {
  if (kind === "string" && RESERVED.has(text) && [...words].includes(text)) return " (write it without quotes)";
  return suggestion(text, words);
}

/** A token as messages show it. */
function named(token: Token): string {
  switch (token.kind) {
    case "newline":
      return "the end of the line";
    case "end":
      return "the end of the file";
    case "keyword":
      return `the reserved word "${token.text}" (quote it to use it as a name)`;
    case "number":
      return `the number ${shown(token.text)} (quote it to use it as a word)`;
    case "mark":
      if (token.text === "\r") return "a carriage return (lines must end with a newline only)";
      return `"${shown(token.text)}"${/^[/@*~[%|.]$/.test(token.text) ? " (quote a word that starts with it)" : ""}`;
    case "string":
    case "bad":
      return `"${shown(token.text)}"`;
  }
}
