/** getopt(3): one-letter options in front of the operands, which may share a word, and the two long ones that every tool has. Pure. */

import { suggestion } from "../config/words.ts";

export type Options =
  | {
    readonly ok: true;
    /** Value of each option, "" for one without argument; of an option given twice the last. */
    readonly given: ReadonlyMap<string, string>;
    /** Every option as it was given. */
    readonly list: ReadonlyArray<readonly [letter: string, value: string]>;
    readonly operands: readonly string[];
    /** The operands stood behind `--`: none of them is a misplaced option. */
    readonly literal: boolean;
  }
  | { readonly ok: false; readonly info: InfoOption }
  /** `text` says what is wrong. */
  | { readonly ok: false; readonly info: null; readonly text: string };

/** `--help` and `--version`, which need nothing else. */
export type InfoOption = "help" | "version";

/** The letters of a program's options. */
export interface Letters {
  /** Options that take no argument. */
  readonly plain: string;
  /** Options that take one, in the same word or in the next. */
  readonly valued: string;
  /** Options that may have one in the same word. */
  readonly optional: string;
  /** Long options of other programs, without the dashes, and the letter that each is listed as. One whose letter takes an argument has it behind `=`, or in the next word. */
  readonly long?: Readonly<Record<string, string>>;
  /** Has this option, whose argument was this, another argument in the next word? */
  readonly hasMore?: (letter: string, value: string) => boolean;
}

const LONG: readonly string[] = ["--help", "--version"];

/**
 * Reads the options at the start of `args`, up to the first operand or `--`. `-h` asks for help where it is no option of the program's own.
 * Never throws: what is no option is an answer with `text`, which names the one that was probably meant.
 */
export function getopt(args: readonly string[], letters: Letters): Options {
  const { plain, valued, optional } = letters;
  const list: [string, string][] = [];
  const done = (rest: { readonly operands: readonly string[]; readonly literal: boolean }): Options => ({
    ok: true,
    given: new Map(list),
    list,
    ...rest,
  });
  const wrong = (text: string): Options => ({ ok: false, info: null, text });
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === "--") return done({ operands: args.slice(at + 1), literal: true });
    if (!arg.startsWith("-") || arg === "-") return done({ operands: args.slice(at), literal: false });
    if (arg.startsWith("--")) {
      if (LONG.includes(arg)) return { ok: false, info: arg.slice(2) as InfoOption };
      const [word, value] = splitLong(arg);
      const letter = Object.hasOwn(letters.long ?? {}, word) ? letters.long![word]! : null;
      if (letter === null) return wrong(`unknown option ${arg}${guessOption(arg, "", "")}`);
      const takes = valued.includes(letter);
      if (!takes && value !== null) return wrong(`option takes no argument -- ${word}`);
      if (takes && value === null && at + 1 === args.length) return wrong(`option requires an argument -- ${word}`);
      list.push([letter, takes ? value ?? args[++at]! : ""]);
      continue;
    }
    for (let place = 1; place < arg.length; place++) {
      const letter = arg[place]!;
      if (plain.includes(letter)) {
        list.push([letter, ""]);
        continue;
      }
      const rest = arg.slice(place + 1);
      if (optional.includes(letter)) {
        list.push([letter, rest]);
        break;
      }
      if (!valued.includes(letter)) {
        if (letter === "h") return { ok: false, info: "help" };
        return wrong(`unknown option -- ${letter}${guessOption(arg, letter, plain + valued + optional)}`);
      }
      if (rest === "" && at + 1 === args.length) return wrong(`option requires an argument -- ${letter}`);
      const value = rest === "" ? args[++at]! : rest;
      list.push([letter, value]);
      if (letters.hasMore?.(letter, value)) at++;
      break;
    }
  }
  return done({ operands: [], literal: false });
}

/** `--name=value`: its name and its value, null for one without `=`. */
function splitLong(arg: string): [name: string, value: string | null] {
  const equals = arg.indexOf("=");
  return equals < 0 ? [arg.slice(2), null] : [arg.slice(2, equals), arg.slice(equals + 1)];
}

/**
 * `, did you mean …?` for a word that holds an unknown option: a long option, one of `long` or one that every tool has, with one dash or two, or its
 * letter in the other case, if that is among `letters`; "" when there is no guess.
 */
export function guessOption(word: string, letter: string, letters: string, long: readonly string[] = []): string {
  if (word.startsWith("--") || word.length > 3) return suggestion(word.replace(/^-*/, "--"), [...LONG, ...long]);
  const other = letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase();
  return other !== letter && letters.includes(other) ? `, did you mean "-${other}"?` : "";
}

/** `, did you mean "--help"?` for the operand `help`, the same for `version`; undefined for another. */
export function guessInfo(operand: string): string | undefined {
  return LONG.includes(`--${operand}`) ? `, did you mean "--${operand}"?` : undefined;
}
