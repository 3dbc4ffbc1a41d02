/** Rules on the text of one file: lengths, names, clocks, unfinished work, doc comments. Relies on `deno fmt`: a block ends at its own indentation. */

import { basename } from "node:path";

export interface Source {
  /** Path from the project's folder. */
  readonly file: string;
  readonly text: string;
}

const MAX_FILE_LINES = 400, MAX_FUNCTION_LINES = 60;

/** Words that meant two things or nothing to a stranger, and what to say instead. Matched as parts of identifiers. */
const DROPPED_WORDS: Readonly<Record<string, string>> = {
  desk: "what it is: requests, context, router, client",
  house: "system, settings, harness",
  clerk: "requests",
  doorway: "listening sockets, or a door's side",
  courier: "reporter",
  saying: "reply buffer",
  resident: "worker",
  gatekeeper: "listener filters",
  troubles: "disk errors",
  wary: "maySeeSecret",
  manner: "message policy",
  ledger: "what it counts: in-flight, sent mail",
  patience: "command limits, or a limit in milliseconds",
  errand: "privileged",
  verdict: "disposition, decision, outcome or result",
  seat: "session record",
  seal: "MAC for commands, encrypt for records",
  unseal: "decrypt",
  crowd: "burst limiter, or what is many",
  guest: "turn taker",
  told: "sent, logged or reported",
  tell: "send, log or report",
  telling: "sending, logging or reporting",
  hear: "receive",
  heard: "received",
};

/** A verdict is what a check of mail authentication brought, and a seal is one of ARC (RFC 8617): in files that speak of these. */
const MAIL_AUTH_NAMES = /^(?:verdict|seal|sealer)s?$/, SPEAKS_OF_MAIL_AUTH = /mail_auth/;

/** Types and classes that were renamed; the words themselves are good words elsewhere. */
const DROPPED_NAMES: Readonly<Record<string, string>> = {
  Gate: "ProxyIntake or SessionFilters",
  Gates: "ProxyIntakes",
  Seals: "RecordCipher",
  Facts: "ConnectionFacts or Resumable",
  Verdict: "Disposition, FilterDecision or PasswordCheck",
  Office: "ConnectionDeps",
  Manner: "MessagePolicy",
  Supplies: "MessageDeps",
  Seat: "SessionRecord",
  Directory: "LookupClient",
  Intake: "QueueClient",
  Crowd: "BurstLimiter",
  Turns: "FairTurns",
  Guard: "LoginThrottle",
  Pace: "ProgressTimer",
  Aside: "Quarantine",
  Way: "RelayHop",
  Standing: "ConnectionDemand",
  Report: "FilterReport or EmitEvent",
  Said: "SentCommand",
  Told: "KnownTransaction",
  Asked: "PendingQuestion",
};

/** Tells whether a file is of this program or its test, which name what is wrong. */
export const isTidy = (file: string): boolean => /^(?:test\/)?scripts\/tidy/.test(file);

/** Where timers may be set. */
const CLOCK = "src/clock.ts";

/** 1-based line of the octet at `index`. */
export function lineOf(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < index; at = text.indexOf("\n", at + 1)) line++;
  return line;
}

/** Complaints about `code` (src/ and workers/) and, where a rule is for them too, `tests`; one line each. */
export function checkText(code: readonly Source[], tests: readonly Source[]): string[] {
  return [
    ...code.flatMap((source) => [...lengths(source), ...limits(source), ...timers(source), ...documented(source)]),
    ...[...code, ...tests].flatMap((source) => [...fileName(source), ...unfinished(source), ...words(source)]),
  ];
}

/** The comment that a file begins with. */
function header(text: string): string {
  return /^(?:#!.*\n)?\s*(\/\*\*[^]*?\*\/)/.exec(text)?.[1] ?? "";
}

function* lengths({ file, text }: Source): Generator<string> {
  const lines = text.split("\n");
  const explained = /\blong\b/i.test(header(text));
  if (lines.length > MAX_FILE_LINES && !explained) {
    yield `${file} has ${lines.length} lines: split it, or let its header say why it is so long`;
  }
  for (let at = 0; at < lines.length; at++) {
    const [, indent, head] = /^(\s*)(.*(?:=>|\)(?:: [^{]+)?) )\{$/.exec(lines[at]!) ?? [];
    if (head === undefined || /^(?:\} )?(?:else|if|for|while|switch|catch|with)\b/.test(head)) continue;
    const end = lines.findIndex((line, n) => n > at && line.startsWith(`${indent}}`));
    // A signature of several lines begins above.
    let first = at;
    while (lines[first]!.startsWith(`${indent})`) && first > 0) {
      do first--; while (!lines[first]!.startsWith(indent!) || /^\s/.test(lines[first]!.slice(indent!.length)));
    }
    const length = end - first + 1;
    if (length > MAX_FUNCTION_LINES && !explained) {
      yield `${file}:${
        first + 1
      }: a function of ${length} lines: split it, or let the file's header say why it is so long`;
    }
  }
}

/** `MAX_LINE` says nothing; `MAX_LINE_OCTETS` and `MAX_SESSIONS` say what is counted. */
function* limits({ file, text }: Source): Generator<string> {
  for (const declaration of text.matchAll(/^(?:export )?const ([A-Z][^;]*);/gm)) {
    for (const [, name, value] of declaration[1]!.matchAll(/([A-Z][A-Z0-9_]*)(?::[^=,]+)? = ([\d(][^,;]*)/g)) {
      const isLimit = /^(MAX|MIN)_|_(MAX|MIN|LIMIT)$/.test(name!);
      if (isLimit && /^[\d_ *().<+-]+$/.test(value!) && !/(S|OCTETS|_MS)$/.test(name!)) {
        const line = lineOf(text, declaration.index);
        yield `${file}:${line}: ${name} does not say what it counts: end it in a unit, as in MAX_LINE_OCTETS`;
      }
    }
  }
}

function* timers({ file, text }: Source): Generator<string> {
  if (file === CLOCK) return;
  for (const match of code(text).matchAll(/(?<![.\w])set(Timeout|Interval)\(/g)) {
    yield `${file}:${lineOf(text, match.index)}: set${match[1]}() is for ${CLOCK}: take a Clock as an argument`;
  }
}

function* unfinished({ file, text }: Source): Generator<string> {
  if (isTidy(file)) return;
  for (const match of text.matchAll(/\b(TODO|FIXME|XXX)\b/g)) {
    yield `${file}:${lineOf(text, match.index)}: ${match[1]}: finish it, or leave it out`;
  }
}

function* fileName({ file }: Source): Generator<string> {
  if (!/^[a-z0-9_]+(\.d)?\.tsx?$/.test(basename(file))) yield `${file}: file names are snake_case: rename it`;
}

function* words({ file, text }: Source): Generator<string> {
  if (isTidy(file)) return;
  const ofMailAuth = SPEAKS_OF_MAIL_AUTH.test(file) || SPEAKS_OF_MAIL_AUTH.test(text);
  const seen = new Set<string>();
  for (const match of code(text).matchAll(/[A-Za-z_$][\w$]*/g)) {
    const name = match[0];
    if (seen.has(name)) continue;
    seen.add(name);
    const word = name.replace(/([a-z0-9])([A-Z])/g, "$1_$2").toLowerCase().split("_")
      .find((part) =>
        !(ofMailAuth && MAIL_AUTH_NAMES.test(part)) &&
        (Object.hasOwn(DROPPED_WORDS, part.replace(/s$/, "")) || Object.hasOwn(DROPPED_WORDS, part))
      );
    const instead = word !== undefined
      ? DROPPED_WORDS[word] ?? DROPPED_WORDS[word.replace(/s$/, "")]
      : Object.hasOwn(DROPPED_NAMES, name) && !(ofMailAuth && name === "Verdict")
      ? DROPPED_NAMES[name]
      : undefined;
    if (instead !== undefined) yield `${file}:${lineOf(text, match.index)}: "${name}" was dropped: say ${instead}`;
  }
}

/** A doc comment of an exported function begins with a capital, ends with a period, and has a verb's worth of words. */
function* documented({ file, text }: Source): Generator<string> {
  for (const match of text.matchAll(/(\/\*\*(?:[^*]|\*(?!\/))*\*\/\n)?^export (?:async )?function\*? (\w+)/gm)) {
    const where = `${file}:${lineOf(text, match.index + match[0].length)}: ${match[2]}()`;
    if (match[1] === undefined) {
      yield `${where} has no doc comment: say what it takes, returns and throws`;
      continue;
    }
    const comment = match[1].replace(/^\s*\/?\*+\/? ?|\*\/\s*$/gm, "").replace(/\s+/g, " ").trim();
    if (!/^[A-Z"`0-9#<]/.test(comment) || !/[.:`)]$/.test(comment) || comment.split(" ").length < 3) {
      yield `${where}: its doc comment is no sentence: begin with a capital, end with a period`;
    }
  }
}

/** Returns the text with comments and strings blanked out, every octet in its place. */
export function code(text: string): string {
  const blank = (part: string) => part.replace(/[^\n]/g, " ");
  return text.replace(
    /\/\*[^]*?\*\/|\/\/.*|(?<=[(,=:[!&|?{};] *|^\s*|return )\/(?![/*])(?:[^/\\[\n]|\\.|\[(?:[^\]\\\n]|\\.)*\])+\/[a-z]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[^])*`/g,
    (part) => blank(part),
  );
}
