/** Text of smtpd.conf to tokens: continuation, comments, quotes, numbers, macros, included files. Independent of the grammar. */

import type { SourceLine } from "../config/mod.ts";
import { LANGUAGE_LIMITS } from "../config/limits.ts";
import { shown } from "../config/values.ts";
import { RESERVED } from "../config/words.ts";
import type { Macros } from "./macros.ts";

/**
 * `string` is a quoted string or a word that is not reserved; `mark` is a single character or `=>`;
 * `bad` carries a message as its text, "" when all was said before, and the rest of its line is gone.
 */
export interface Token {
  readonly kind: "string" | "keyword" | "number" | "mark" | "newline" | "end" | "bad";
  readonly text: string;
  readonly at: SourceLine;
  /** `bad` only: a macro of this name is not defined. */
  readonly macro?: string;
}

interface Source {
  readonly file: string;
  readonly text: string;
  position: number;
  line: number;
  /** The newline that ends a last line without one was given out. */
  finished: boolean;
}

/** The value of a macro that is being read in the place of its name. */
interface Expansion {
  readonly text: string;
  position: number;
}

interface Bookmark {
  readonly position: number;
  readonly line: number;
  readonly expansion: Expansion | null;
  readonly expansionPosition: number;
}

const WORD_START = /^[A-Za-z0-9:_]$/;
/** Letters, digits and ASCII punctuation but `( ) { } < > ! = # ,`. */
const WORD_BODY = /^[A-Za-z0-9"$%&'*+\-./:;?@[\\\]^_`|~]$/;
/** What word processors and web pages put in the place of plain characters. */
const STRANGE: readonly (readonly [RegExp, string])[] = [
  [/^[\u2018-\u201f\u2039\u203a\u00ab\u00bb\u00b4`]$/, "% is a typographic quote: write straight quotes, \"…\" or '…'"],
  [/^[\u00a0\u2000-\u200b\u202f\u3000]$/, "a special blank that looks like an ordinary one: write an ordinary one"],
  [/^[\u2010-\u2015\u2212]$/, '% is a typographic dash: write "-"'],
  [/^\ufeff$/, "a byte order mark: save the file without it"],
];
const DIGIT = /^[0-9]$/;
/** What must follow the digits of a number; after anything else they are a word. "" is the end of the file. */
const NUMBER_END: ReadonlySet<string> = new Set(["", " ", "\t", "\n", "\r", "\v", "\f", ")", ",", "/", "}", "="]);

/** A stream of tokens over a stack of files. Every character read counts against one budget, so it always ends. */
export class Lexer {
  readonly #macros: Macros;
  readonly #sources: Source[] = [];
  #expansion: Expansion | null = null;
  #budget: number = LANGUAGE_LIMITS.totalLength;
  /** Line of the character that was read last. */
  #line = 1;
  #included = 0;
  #unjoined: SourceLine | null = null;
  #spanned: { readonly start: SourceLine; readonly end: SourceLine } | null = null;

  constructor(file: string, text: string, macros: Macros) {
    this.#macros = macros;
    this.#sources.push({ file, text, position: 0, line: 1, finished: false });
  }

  /** The quoted string that was read last of those with a newline inside, which is allowed and seldom meant. */
  get spanned(): { readonly start: SourceLine; readonly end: SourceLine } | null {
    return this.#spanned;
  }

  /** The line that was read last of those with blanks behind a backslash at their end, which joins no lines then. */
  get unjoined(): SourceLine | null {
    return this.#unjoined;
  }

  macroNames(): Iterable<string> {
    return this.#macros.names();
  }

  /** Why `file` cannot be included here, or null when it can. */
  refusesInclude(file: string): string | null {
    if (this.#sources.some((source) => source.file === file)) return "it includes itself";
    if (this.#sources.length >= LANGUAGE_LIMITS.includeDepth) return "includes are nested too deeply";
    return this.#included >= LANGUAGE_LIMITS.includes ? "too many files are included" : null;
  }

  /** The next tokens come from `text`, then from where the file before it was left. */
  include(file: string, text: string): void {
    this.#included++;
    this.#sources.push({ file, text, position: 0, line: 1, finished: false });
  }

  next(): Token {
    for (;;) {
      if (this.#budget <= 0) return this.#exhausted();
      this.#skipBlanks();
      const char = this.#char();
      const at = this.#here();
      if (char === "") {
        const ended = this.#endOfSource(at);
        if (ended !== null) return ended;
        continue;
      }
      if (char === "$" && this.#expansion === null) {
        const bad = this.#expand(at);
        if (bad !== null) return bad;
        continue;
      }
      return this.#token(char, at);
    }
  }

  #token(char: string, at: SourceLine): Token {
    if (char === "\n") return { kind: "newline", text: char, at };
    if (char === '"' || char === "'") return this.#quoted(char, at);
    if (char === "-" || DIGIT.test(char)) {
      const number = this.#number(char, at);
      if (number !== null) return number;
    }
    const strange = STRANGE.find(([pattern]) => pattern.test(char));
    if (strange !== undefined) return this.#bad(`syntax error: ${strange[1].replace("%", char)}`, at);
    if (WORD_START.test(char)) return this.#word(char, at);
    if (char === "=") {
      const mark = this.#bookmark();
      if (this.#char() === ">") return { kind: "mark", text: "=>", at };
      this.#reset(mark);
    }
    return { kind: "mark", text: char, at };
  }

  /** Blanks, and comments up to (not with) their newline. A comment that ends in a backslash takes the next line with it. */
  #skipBlanks(): void {
    for (;;) {
      const mark = this.#bookmark();
      let char = this.#char();
      if (char === "#") {
        let before = mark;
        while (char !== "\n" && char !== "") {
          before = this.#bookmark();
          char = this.#char();
        }
        return this.#reset(before);
      }
      if (char !== " " && char !== "\t") return this.#reset(mark);
    }
  }

  /** A newline for a last line that has none, then back to the including file, then the end. */
  #endOfSource(at: SourceLine): Token | null {
    const source = this.#source();
    if (!source.finished) {
      source.finished = true;
      return { kind: "newline", text: "\n", at };
    }
    if (this.#sources.length === 1) return { kind: "end", text: "", at };
    this.#sources.pop();
    return null;
  }

  /** Puts the value of `$name` before what follows. A `$` inside the value is an ordinary character. */
  #expand(at: SourceLine): Token | null {
    let name = "";
    for (;;) {
      const mark = this.#bookmark();
      const char = this.#char();
      if (!/^[A-Za-z0-9_]$/.test(char) || name.length >= LANGUAGE_LIMITS.tokenLength) {
        this.#reset(mark);
        break;
      }
      name += char;
    }
    const value = this.#macros.use(name);
    if (value === undefined) {
      if (this.#macros.isBroken(name)) return this.#bad("", at);
      return { ...this.#bad(`macro "${shown(name)}" is not defined`, at), macro: name };
    }
    this.#expansion = { text: value, position: 0 };
    return null;
  }

  #quoted(quote: string, at: SourceLine): Token {
    let text = "", lines = false;
    for (;;) {
      let char = this.#raw();
      if (char === "") return this.#bad("syntax error: quoted string is not closed before the end of the file", at);
      if (char === quote) {
        if (lines) this.#spanned = { start: at, end: this.#here() };
        return { kind: "string", text, at };
      }
      if (char === "\n") {
        lines = true;
        continue;
      }
      if (char === "\0") return this.#bad("syntax error: NUL character in a quoted string", at);
      if (char === "\\") {
        const mark = this.#bookmark();
        const next = this.#raw();
        if (next === "\n") continue;
        // Only these three are escapes; of any other pair both characters stay, and the second may begin an escape itself.
        if (next === quote || next === " " || next === "\t") char = next;
        else this.#reset(mark);
      }
      if (text.length >= LANGUAGE_LIMITS.tokenLength) return this.#bad("string is too long", at);
      text += char;
    }
  }

  /** A signed 64-bit number, or null when the text is a word or a lone `-`; then only `first` has been read. */
  #number(first: string, at: SourceLine): Token | null {
    const start = this.#bookmark();
    let text = first;
    for (;;) {
      const mark = this.#bookmark();
      const char = this.#char();
      if (DIGIT.test(char) && text.length < LANGUAGE_LIMITS.tokenLength) {
        text += char;
        continue;
      }
      this.#reset(mark);
      if (text === "-" || !NUMBER_END.has(char)) break;
      const value = BigInt(text);
      if (value !== BigInt.asIntN(64, value)) return this.#bad(`"${shown(text)}" is an invalid number: too large`, at);
      return { kind: "number", text, at };
    }
    this.#reset(start);
    return null;
  }

  #word(first: string, at: SourceLine): Token {
    let text = first;
    for (;;) {
      const mark = this.#bookmark();
      const char = this.#char();
      if (!WORD_BODY.test(char)) {
        this.#reset(mark);
        return { kind: RESERVED.has(text) ? "keyword" : "string", text, at };
      }
      if (text.length >= LANGUAGE_LIMITS.tokenLength) return this.#bad("string is too long", at);
      text += char;
    }
  }

  /** A lexical error: what is left of the line, and of the macro, cannot be trusted. */
  #bad(message: string, at: SourceLine): Token {
    this.#expansion = null;
    let mark = this.#bookmark();
    for (let char = this.#char(); char !== "\n" && char !== ""; char = this.#char()) mark = this.#bookmark();
    this.#reset(mark);
    return { kind: "bad", text: message, at };
  }

  #exhausted(): Token {
    const at = this.#here();
    this.#expansion = null;
    this.#sources.length = 1;
    const source = this.#source();
    const first = source.position < source.text.length;
    source.position = source.text.length;
    source.finished = true;
    return first ? { kind: "bad", text: "configuration is too large", at } : { kind: "end", text: "", at };
  }

  /** Next character outside quotes; a backslash joins lines, and is dropped before anything else. "" at the end. */
  #char(): string {
    for (;;) {
      const char = this.#raw();
      if (char !== "\\") return char;
      const next = this.#raw();
      if (next === "\n") continue;
      if (next === " " || next === "\t" || next === "\r") this.#noteUnjoined();
      return next;
    }
  }

  /** Behind a backslash and a blank. */
  #noteUnjoined(): void {
    const { text, position, line, file } = this.#source();
    if (this.#expansion !== null) return;
    let at = position;
    while (text[at] === " " || text[at] === "\t" || text[at] === "\r") at++;
    if (text[at] === "\n") this.#unjoined = { file, line };
  }

  /** Next character as it stands, of the macro first. Counts lines, but not those in macros. */
  #raw(): string {
    this.#budget--;
    if (this.#expansion !== null) {
      const char = this.#expansion.text[this.#expansion.position++];
      if (char !== undefined) return char;
      this.#expansion = null;
    }
    const source = this.#source();
    this.#line = source.line;
    const char = source.text[source.position];
    if (char === undefined) return "";
    source.position++;
    if (char === "\n") source.line++;
    return char;
  }

  #bookmark(): Bookmark {
    const { position, line } = this.#source();
    return { position, line, expansion: this.#expansion, expansionPosition: this.#expansion?.position ?? 0 };
  }

  #reset(mark: Bookmark): void {
    const source = this.#source();
    source.position = mark.position;
    source.line = mark.line;
    this.#expansion = mark.expansion;
    if (mark.expansion !== null) mark.expansion.position = mark.expansionPosition;
  }

  #source(): Source {
    return this.#sources[this.#sources.length - 1]!;
  }

  #here(): SourceLine {
    return { file: this.#source().file, line: this.#line };
  }
}
