/** The command line of smtpd(8). Reads no file. */

import { parseArgs } from "node:util";
import { PRODUCT, VERSION } from "../../config/paths.ts";
import { suggestion } from "../../config/words.ts";
import { type Trace, TRACES } from "../../events/mod.ts";
import { guessOption, type InfoOption } from "../getopt.ts";
import { TOOLS, usageOf } from "../usage.ts";

const USAGE = usageOf("smtpd").trimEnd();

/** What the command line says. */
export interface CommandLine {
  foreground: boolean;
  log: "stderr" | "syslog";
  check: boolean;
  verbose: boolean;
  /** The folder of letters that are replayed against the configuration; null without. */
  expect: string | null;
  /** Everything in one process, also when root starts it. */
  oneUser: boolean;
  /** The configuration that -f names; null without one. */
  file: string | null;
  defines: [string, string][];
  traces: Trace[];
  paused: { smtp: boolean; mda: boolean; mta: boolean };
}

const LETTERS = TOOLS.smtpd.options.map(({ letter }) => letter).join("");

/** Takes the arguments of the program. Returns the options, the option for help or version, or the text to print before exit status 1. */
export function readOptions(args: string[]): CommandLine | { readonly info: InfoOption } | string {
  let parsed;
  try {
    parsed = parseArgs({
      args,
      allowPositionals: true,
      options: {
        d: { type: "boolean", short: "d" },
        F: { type: "boolean", short: "F" },
        h: { type: "boolean", short: "h" },
        n: { type: "boolean", short: "n" },
        v: { type: "boolean", short: "v" },
        D: { type: "string", short: "D", multiple: true },
        f: { type: "string", short: "f" },
        P: { type: "string", short: "P", multiple: true },
        T: { type: "string", short: "T", multiple: true },
        expect: { type: "string" },
        "one-user": { type: "boolean" },
        help: { type: "boolean" },
        version: { type: "boolean" },
      },
    });
  } catch (error) {
    // Behind its first sentence the parser explains how to write positional arguments, which there are none of.
    const text = (error as Error).message.replace(/\. To specify a positional argument.*/s, "")
      .replace(/^Option '(-\w).*' argument missing.*/s, "$1 needs a value");
    const word = /^Unknown option '(-.*)'$/.exec(text)?.[1];
    return `smtpd: ${text}${
      word === undefined ? "" : guessOption(word, word.slice(1), LETTERS, ["--expect", "--one-user"])
    }\n${USAGE}`;
  }
  const { values, positionals } = parsed;
  if (values.help) return { info: "help" };
  if (values.version) return { info: "version" };
  if (values.h) return `version: ${PRODUCT} ${VERSION}\n${USAGE}`;
  if (positionals.length > 0) return `smtpd: "${positionals[0]}" is no option\n${USAGE}`;
  if (values.expect !== undefined && values.n !== true) {
    return `smtpd: --expect is a check of the configuration: write -n --expect ${values.expect}\n${USAGE}`;
  }
  const defines: [string, string][] = [];
  for (const define of values.D ?? []) {
    const split = define.lastIndexOf("=");
    if (split < 1) return `smtpd: could not parse macro definition ${define}: write -D name=value`;
    defines.push([define.slice(0, split), define.slice(split + 1)]);
  }
  return {
    foreground: values.d === true || values.F === true,
    log: values.d === true ? "stderr" : "syslog",
    check: values.n === true,
    verbose: values.v === true,
    expect: values.expect ?? null,
    oneUser: values["one-user"] === true,
    file: values.f ?? null,
    defines,
    traces: readTraces(values.T ?? []),
    paused: readPaused(values.P ?? []),
  };
}

/** Trace names of -T; `all` stands for every one. Unknown names are warned of, as upstream does. */
function readTraces(names: string[]): Trace[] {
  const traces = new Set<Trace>();
  for (const name of names) {
    const wanted = TRACES.filter((trace) => name === "all" || name === trace || ALIASES[name] === trace);
    if (wanted.length === 0) {
      console.error(
        `warn: unknown trace flag "${name}"${suggestion(name, TRACES)}, known are: all ${TRACES.join(" ")}`,
      );
    }
    for (const trace of wanted) traces.add(trace);
  }
  return [...traces];
}

const ALIASES: Readonly<Record<string, Trace>> = { transfer: "mta", bounces: "bounce", stats: "stat", table: "tables" };

/** Subsystems of -P; unknown names are warned of, as for -T. */
function readPaused(names: string[]): CommandLine["paused"] {
  for (const name of names) {
    if (!["smtp", "mda", "mta"].includes(name)) {
      console.error(`warn: unknown subsystem "${name}", those that can be paused are: smtp mda mta`);
    }
  }
  return { smtp: names.includes("smtp"), mda: names.includes("mda"), mta: names.includes("mta") };
}
