/** Finds the command that abbreviated words mean, as `sh ro` means `show routes`. The commands are in commands.ts. */

import { suggestion } from "../../config/words.ts";
import { parseEnvelopeId, parseMessageId } from "../../envelope/mod.ts";

/** Words and parameters separated by blanks, as in "show queue <msgid>". */
export interface Command<T> {
  readonly pattern: string;
  /** What it does, as a sentence; neighbours with the same one are listed together. */
  readonly about: string;
  /** Makes the value of the parameters, in order. */
  readonly make: (...parameters: string[]) => T;
  /** Options of its own, of a command of one word; `makeOf` makes the value of those that were given. */
  readonly options?: readonly CommandOption[];
  readonly makeOf?: (given: ReadonlyMap<string, readonly string[]>, operands: readonly string[]) => T;
  /** What else may stand behind the word of such a command; nothing without it. */
  readonly operands?: Operands;
}

/** Words that a command with options of its own takes besides these. */
export interface Operands {
  /** As `--help` and the manual page write them: `word ...`. */
  readonly term: string;
  readonly least: number;
  readonly most: number;
}

/** An option of one command. */
export interface CommandOption {
  /** With its dashes. */
  readonly name: string;
  /** What its argument is called; absent when it takes none. */
  readonly value?: string;
  /** The argument may be missing. */
  readonly optional?: true;
  /** It may be given several times. */
  readonly repeated?: true;
  /** A sentence. */
  readonly about: string;
}

export type Resolved<T> =
  | { readonly ok: true; readonly value: T }
  /**
   * The commands that could have been meant; none when the first word is unknown. `guess` is `, did you mean …?` or "" for that one, `fault` what is
   * wrong with which word.
   */
  | { readonly ok: false; readonly possibilities: readonly string[]; readonly guess: string; readonly fault?: string };

/** Returns whether a word can be this parameter. What it is made of is read by `make`. */
const PARAMETERS: Readonly<Record<string, (word: string) => boolean>> = {
  "<msgid>": (word) => parseMessageId(word) !== null,
  "<evpid>": (word) => parseEnvelopeId(word) !== null,
  "<domain>": (word) => /^[^\s@/]{1,255}$/.test(word),
  // What could be an id, if only a wrong one, is no folder: `./` before it makes it one.
  "<folder>": (word) => /^(?!(?:[0-9a-f]{8}|[0-9a-f]{16})$)[^]+$/i.test(word),
  "<keyfile>": (word) => word !== "",
  "<file>": (word) => word !== "",
  "<routeid>": (word) => /^\d{1,15}$/.test(word),
  "<str>": (word) => word !== "",
};

/** What a word that stands where one of these could is not. */
const MUST_BE: Readonly<Record<string, string>> = {
  "<msgid>": "message id: that is 8 hexadecimal digits, which are not all 0",
  "<evpid>": "envelope id: that is 16 hexadecimal digits, of which the first 8 are not all 0",
  "<domain>": "domain: that is up to 255 characters without blanks, slashes and @",
  "<folder>": "folder: write ./ before a name that could be an id",
  "<routeid>": "route id: that is a number, which show routes prints",
};

/**
 * Finds the command that `args` mean. Each word may be cut to a prefix that only one command has at its place; a whole word wins over a
 * prefix. Options are never cut, and words from place `literal` on, which stood behind `--`, are none.
 */
export function resolveCommand<T>(
  commands: readonly Command<T>[],
  args: readonly string[],
  literal: number = args.length,
): Resolved<T> {
  const narrowed = narrow(commands, args, literal);
  if (!narrowed.ok) return narrowed;
  const found = narrowed.left.find(({ tokens }) => tokens.length === args.length);
  if (found === undefined) {
    const fault = args.length === 0 ? "a command is missing" : `"${args.join(" ")}" is not complete`;
    return { ok: false, possibilities: patterns(narrowed.left), guess: "", fault };
  }
  const parameters = args.filter((_, place) => found.tokens[place]! in PARAMETERS);
  return { ok: true, value: found.command.make(...parameters) };
}

/** The commands that begin with `args`, read as resolveCommand() does. */
export function commandsWith<T>(commands: readonly Command<T>[], args: readonly string[]): Resolved<Command<T>[]> {
  const narrowed = narrow(commands, args, args.length);
  return narrowed.ok ? { ok: true, value: narrowed.left.map(({ command }) => command) } : narrowed;
}

interface Candidate<T> {
  readonly command: Command<T>;
  readonly tokens: readonly string[];
}

function narrow<T>(
  commands: readonly Command<T>[],
  args: readonly string[],
  literal: number,
): { readonly ok: true; readonly left: readonly Candidate<T>[] } | Extract<Resolved<T>, { ok: false }> {
  let left: readonly Candidate<T>[] = commands.map((command) => ({ command, tokens: command.pattern.split(" ") }));
  for (const [place, arg] of args.entries()) {
    const open = left.filter(({ tokens }) => place < literal || !tokens[place]?.startsWith("-"));
    const exact = open.filter(({ tokens }) => tokens[place] === arg);
    const meant = exact.length > 0 ? exact : open.filter(({ tokens }) => matches(tokens[place], arg));
    const words = new Set(meant.map(({ tokens }) => tokens[place]));
    if (meant.length === 0) {
      const known = new Set(left.map(({ tokens }) => tokens[place] ?? "").filter((word) => /^[a-z]/.test(word)));
      const guess = suggestion(arg, known);
      if (place === 0) return { ok: false, possibilities: [], guess };
      const fault = (guess === "" ? faultOf(arg, left, place) : null) ??
        `unknown word "${arg}" behind "${args.slice(0, place).join(" ")}"${guess}`;
      return { ok: false, possibilities: patterns(left), guess: "", fault };
    }
    if (words.size > 1) {
      return { ok: false, possibilities: patterns(meant), guess: "", fault: `"${arg}" is short for several words` };
    }
    left = meant;
  }
  return { ok: true, left };
}

/** Why `arg` cannot stand at `place` of any of these; null when it is likely to be a word. */
function faultOf<T>(arg: string, left: readonly Candidate<T>[], place: number): string | null {
  const tokens = new Set(left.map(({ tokens }) => tokens[place]));
  if (tokens.size === 1 && tokens.has(undefined)) return `"${arg}" is a word too many`;
  const faults = [...tokens].flatMap((token) => MUST_BE[token ?? ""] ?? []);
  const onlyParameters = faults.length > 0 && faults.length === tokens.size;
  if (faults.length === 0 || !(onlyParameters || /^[0-9a-f]*\d[0-9a-f]*$/i.test(arg))) return null;
  return `"${arg}" is no ${faults.join("; no ")}`;
}

function matches(token: string | undefined, arg: string): boolean {
  if (token === undefined || arg === "") return false;
  const parameter = PARAMETERS[token];
  return parameter === undefined ? token.startsWith(arg) && !token.startsWith("-") : parameter(arg);
}

function patterns(list: readonly { readonly command: { readonly pattern: string } }[]): string[] {
  return list.map(({ command }) => command.pattern);
}

/** A term and a sentence for each sentence of the commands: those that share one are written as alternatives. */
export function describeCommands<T>(commands: readonly Command<T>[]): [term: string, about: string][] {
  const groups = Map.groupBy(commands, ({ about }) => about);
  return [...groups].map(([about, group]) => [alternatives(group.map(({ pattern }) => pattern.split(" "))), about]);
}

/** `show queue [<msgid>]`, `remove <evpid> | <msgid> | all`: what all begin with, then what differs. */
function alternatives(list: readonly (readonly string[])[]): string {
  const [first] = list;
  const shared = first!.findIndex((word, place) => list.some((tokens) => tokens[place] !== word));
  const start = first!.slice(0, shared < 0 ? undefined : shared).join(" ");
  const ends = list.map((tokens) => tokens.slice(start.split(" ").length).join(" ")).filter((end) => end !== "");
  if (ends.length === 0) return start;
  return ends.length < list.length ? `${start} [${ends.join(" | ")}]` : `${start} ${ends.join(" | ")}`;
}
