/** POSIX extended regular expressions (IEEE 1003.1 §9.4, as the GNU C library reads them) to the syntax of RE2. Matches nothing itself. */

export type Translation =
  | { readonly ok: true; readonly pattern: string }
  | { readonly ok: false; readonly reason: string };

const CLASSES: ReadonlySet<string> = new Set([
  ...["alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space", "upper", "xdigit"],
]);
/** GNU's additions: what stands behind a backslash, and what RE2 calls it. Start and end of a word are any edge of one. */
const ESCAPES: ReadonlyMap<string, { readonly pattern: string; readonly repeats: boolean }> = new Map([
  ["w", { pattern: "[0-9A-Za-z_]", repeats: true }],
  ["s", { pattern: "[[:space:]]", repeats: true }],
  ["b", { pattern: "\\b", repeats: false }],
  ["<", { pattern: "\\b", repeats: false }],
  [">", { pattern: "\\b", repeats: false }],
  ["`", { pattern: "\\A", repeats: false }],
  ["'", { pattern: "\\z", repeats: false }],
]);

class Invalid extends Error {}

/** Reads `pattern`; `(?i)` in front means what it means to RE2. Never throws. */
export function translateEre(pattern: string): Translation {
  const folded = pattern.startsWith("(?i)");
  try {
    const body = new Translator(folded ? pattern.slice(4) : pattern).run();
    return { ok: true, pattern: folded ? `(?i)${body}` : body };
  } catch (error) {
    if (error instanceof Invalid) return { ok: false, reason: error.message };
    throw error;
  }
}

class Translator {
  readonly #characters: readonly string[];
  #at = 0;
  readonly #output: string[] = [];
  /** Where in the output the open groups begin. */
  readonly #groups: number[] = [];
  /** Where in the output that begins which a repetition would repeat; -1 when there is no such thing. */
  #atom = -1;

  constructor(pattern: string) {
    this.#characters = Array.from(pattern);
  }

  run(): string {
    for (let char = this.#next(); char !== ""; char = this.#next()) this.#step(char);
    if (this.#groups.length > 0) throw new Invalid('a "(" is not closed');
    return this.#output.join("");
  }

  #next(): string {
    return this.#characters[this.#at++] ?? "";
  }

  #step(char: string): void {
    switch (char) {
      case "\\":
        return this.#escape(this.#next());
      case "[":
        return this.#put(this.#bracket());
      case "(":
        this.#groups.push(this.#output.length);
        return this.#putFence("(?:");
      case ")":
        return this.#close();
      case "|":
      case "^":
      case "$":
        return this.#putFence(char);
      case "*":
      case "+":
      case "?":
        return this.#repeat(char);
      case "{":
        return this.#repeat(this.#interval());
      case ".":
        return this.#put(char);
      default:
        return this.#put(literal(char));
    }
  }

  #put(text: string): void {
    this.#atom = this.#output.length;
    this.#output.push(text);
  }

  /** What cannot be repeated, and ends what could. */
  #putFence(text: string): void {
    this.#atom = -1;
    this.#output.push(text);
  }

  #close(): void {
    const begin = this.#groups.pop();
    // POSIX leaves it open, GNU takes it for a character.
    if (begin === undefined) return this.#put("\\)");
    this.#output.push(")");
    this.#atom = begin;
  }

  #escape(char: string): void {
    if (char === "") throw new Invalid("a backslash stands at the end");
    if (/^[1-9]$/.test(char)) throw new Invalid(`the back-reference "\\${char}" cannot be matched in bounded time`);
    const known = ESCAPES.get(char);
    if (known === undefined) return this.#put(literal(char));
    return known.repeats ? this.#put(known.pattern) : this.#putFence(known.pattern);
  }

  /** Puts what is repeated into a group of its own, since RE2 has another meaning for `a+?` and none for `a**`. */
  #repeat(operator: string): void {
    if (this.#atom < 0) throw new Invalid(`nothing stands before "${operator}" to be repeated`);
    const repeated = this.#output.splice(this.#atom).join("");
    this.#output.push(`(?:${repeated}${operator})`);
  }

  /** After `{`: `n}`, `n,}`, `n,m}` or `,m}`. */
  #interval(): string {
    const end = this.#characters.indexOf("}", this.#at);
    const text = end < 0 ? "" : this.#characters.slice(this.#at, end).join("");
    const found = /^(?:(\d{1,5})(?:(,)(\d{1,5})?)?|,(\d{1,5}))$/.exec(text);
    if (found === null) throw new Invalid('"{" must begin an interval such as {2,3}');
    this.#at = end + 1;
    const least = Number(found[1] ?? 0);
    const most = found[4] ?? found[3];
    if (most === undefined) return `{${least}${found[2] ?? ""}}`;
    if (Number(most) < least) throw new Invalid(`the interval {${text}} ends before it begins`);
    return `{${least},${Number(most)}}`;
  }

  /** After `[`. A backslash is a character here. */
  #bracket(): string {
    let output = "[";
    let char = this.#next();
    if (char === "^") {
      output += "^";
      char = this.#next();
    }
    for (let first = true; first || char !== "]"; first = false, char = this.#next()) {
      if (char === "") throw new Invalid('a "[" is not closed');
      if (char === "[" && this.#characters[this.#at] === ":") {
        output += this.#class();
        continue;
      }
      const from = this.#element(char);
      if (this.#characters[this.#at] !== "-" || this.#characters[this.#at + 1] === "]") {
        output += literal(from);
        continue;
      }
      this.#at++;
      const to = this.#element(this.#next());
      if (to.codePointAt(0)! < from.codePointAt(0)!) throw new Invalid(`the range ${from}-${to} ends before it begins`);
      output += `${literal(from)}-${literal(to)}`;
    }
    return `${output}]`;
  }

  /** After `[` with `:` ahead: `:name:]`. */
  #class(): string {
    const end = this.#characters.indexOf("]", this.#at + 1);
    const name = this.#characters.slice(this.#at + 1, end - 1).join("");
    if (end < 0 || this.#characters[end - 1] !== ":" || !CLASSES.has(name)) {
      throw new Invalid(`"[:${name}:]" is no class of characters`);
    }
    this.#at = end + 1;
    return `[:${name}:]`;
  }

  /** A character of a bracket expression, or `[.c.]` or `[=c=]`. */
  #element(char: string): string {
    if (char === "") throw new Invalid('a "[" is not closed');
    const kind = this.#characters[this.#at];
    if (char !== "[" || (kind !== "." && kind !== "=")) return char;
    const [element, end, close] = this.#characters.slice(this.#at + 1, this.#at + 4);
    if (end !== kind || close !== "]") throw new Invalid(`"[${kind}" must hold one character`);
    this.#at += 4;
    return element!;
  }
}

/** A character that stands for itself, in and out of brackets. */
function literal(char: string): string {
  return /^[!-/:-@[-`{-~]$/.test(char) ? `\\${char}` : char;
}
