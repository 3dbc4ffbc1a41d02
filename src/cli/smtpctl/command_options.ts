/** Options of a command of smtpctl(8), which may stand before, among and behind its words. */

import { suggestion } from "../../config/words.ts";
import { safeLine } from "../../events/mod.ts";
import type { Terminal } from "../terminal.ts";
import { printInfo, table } from "../usage.ts";
import type { InfoOption } from "../getopt.ts";
import type { Command, CommandOption, Operands } from "./words.ts";

/** Values by option, in the order in which they were given; "" for an option without one. */
export type GivenOptions = ReadonlyMap<string, readonly string[]>;

export type ReadOptions =
  | { readonly given: GivenOptions; readonly operands: readonly string[] }
  | { readonly info: InfoOption }
  /** What is wrong, as a sentence without its end. */
  | { readonly wrong: string };

/** A row of the table that has options of its own. */
export type OptionCommand<T> = Command<T> & Required<Pick<Command<T>, "options" | "makeOf">>;

const NO_OPERANDS: Operands = { term: "", least: 0, most: 0 };

/**
 * The command of one word or two with options of its own that these arguments mean, and what stands beside its words; null when they mean another one, or
 * none. The words may be cut short; the second stands right behind the first.
 */
export function optionCommand<T>(
  commands: readonly Command<T>[],
  args: readonly string[],
): { readonly command: OptionCommand<T>; readonly rest: readonly string[] } | null {
  const at = args.findIndex((arg) => !arg.startsWith("-")), word = args[at] ?? "";
  if (word === "") return null;
  const meant = meantBy(commands, word, 0);
  if (meant.length === 0) return null;
  const two = meant.some(({ pattern }) => pattern.includes(" "));
  const [found, ...others] = two ? meantBy(meant, args[at + 1] ?? "", 1) : meant;
  if (found?.options === undefined || found.makeOf === undefined || (two && others.length > 0)) return null;
  return { command: found as OptionCommand<T>, rest: args.toSpliced(at, two ? 2 : 1) };
}

/** Those that have the word at this place, else those that have one which begins with it, if that is one word only. */
function meantBy<T>(commands: readonly Command<T>[], word: string, place: number): readonly Command<T>[] {
  const at = ({ pattern }: Command<T>) => pattern.split(" ")[place] ?? "";
  const exact = commands.filter((one) => at(one) === word);
  if (exact.length > 0 || word === "") return exact;
  const begun = commands.filter((one) => at(one).startsWith(word));
  return begun.every((one) => at(one) === at(begun[0]!)) ? begun : [];
}

/** A command line that means nothing exits with this status. */
const EX_INVALID = 255;

/** Reads the options of a command. A number is the exit status: help was printed, or what is wrong. */
export function readOptionCommand<T>(
  { command, rest }: { readonly command: OptionCommand<T>; readonly rest: readonly string[] },
  terminal: Terminal,
): { readonly value: T } | number {
  const read = readOptions(command.options, rest, command.operands);
  if ("given" in read) return { value: command.makeOf(read.given, read.operands) };
  if ("wrong" in read) {
    terminal.err(`smtpctl ${command.pattern}: ${safeLine(read.wrong)}; --help lists the options\n`);
    return EX_INVALID;
  }
  if (read.info === "version") return printInfo("smtpctl", "version", terminal);
  terminal.out(optionsHelp(command));
  return 0;
}

/**
 * Reads what stands behind the word of a command. An argument stands in the next word or behind `=`, an optional one behind `=` alone. `--` ends the
 * options where words may stand beside them.
 */
export function readOptions(
  options: readonly CommandOption[],
  args: readonly string[],
  { term, least, most }: Operands = NO_OPERANDS,
): ReadOptions {
  const given = new Map<string, string[]>(), operands: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const arg = args[at]!;
    if (arg === "--help" || arg === "-h") return { info: "help" };
    if (arg === "--version") return { info: "version" };
    const equals = arg.indexOf("=");
    const name = equals < 0 ? arg : arg.slice(0, equals);
    if (arg === "--" && most > 0) {
      operands.push(...args.slice(at + 1));
      break;
    }
    const option = options.find((one) => one.name === name);
    if (option === undefined) {
      if (!arg.startsWith("-") || (arg === "-" && most > 0)) {
        if (most === 0) return { wrong: `"${arg}" is a word too many: all it needs are options` };
        operands.push(arg);
        continue;
      }
      const guess = suggestion(name, [...options.map((one) => one.name), "--help", "--version"]);
      return { wrong: `unknown option ${name}${guess}` };
    }
    let value = equals < 0 ? null : arg.slice(equals + 1);
    if (option.value === undefined && value !== null) return { wrong: `${name} takes no argument` };
    if (option.value !== undefined && option.optional !== true && value === null) value = args[++at] ?? null;
    if (option.value !== undefined && option.optional !== true && (value === null || value === "")) {
      return { wrong: `${name} needs an argument: ${option.about.replace(/\.$/, "")}` };
    }
    const values = given.get(name);
    if (values !== undefined && option.repeated !== true) return { wrong: `${name} is given twice` };
    if (values === undefined) given.set(name, [value ?? ""]);
    else values.push(value ?? "");
  }
  if (operands.length < least) return { wrong: `${term} is missing` };
  if (operands.length > most) return { wrong: `"${operands[most]}" is a word too many` };
  return { given, operands };
}

/** `[--name value]` for each. */
function optionsUsage(options: readonly CommandOption[]): string {
  return options.map((option) => `[${optionTerm(option)}]${option.repeated === true ? " ..." : ""}`).join(" ");
}

/** What `--help` prints of a command with options of its own. */
function optionsHelp<T>({ pattern, about, options, operands }: OptionCommand<T>): string {
  const rows = options.map((option): [string, string] => [optionTerm(option), option.about]);
  const words = operands === undefined ? "" : operands.least === 0 ? ` [${operands.term}]` : ` ${operands.term}`;
  return `usage: smtpctl ${pattern} ${optionsUsage(options)}${words}\n${about}\n\n${table(rows)}`;
}

function optionTerm({ name, value, optional }: CommandOption): string {
  return value === undefined ? name : optional === true ? `${name}[=${value}]` : `${name} ${value}`;
}
