/** Messages of all kinds for tests of DKIM, the same for the same seed: folded and huge headers, tabs, 8-bit text, dots, odd ends. */

import { Buffer } from "node:buffer";

/** Numbers from 0 to 1, the same for the same seed. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** The generator called mulberry32. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  pick<T>(values: readonly T[]): T {
    return values[this.below(values.length)]!;
  }

  /** Few mostly, now and then many. */
  count(usual: number, seldom: number): number {
    return this.below(this.below(50) === 0 ? seldom : usual);
  }
}

const WORDS = [
  "a",
  "Hello",
  "=?utf-8?q?=C3=BC?=",
  "ü",
  "\xff\xfe",
  "<a@b.example>",
  '"x y"',
  ".",
  "..",
  "b=AQID;",
  "x:y",
  "--",
  "\0",
  "(c)",
];
const BLANKS = [" ", " ", " ", "  ", "\t", " \t ", "\t\t"];
const FOLDS = ["\n ", "\n\t", " \n \t", "\n  "];
const NAMES = [
  "To",
  "Cc",
  "Subject",
  "SUBJECT",
  "Date",
  "Message-ID",
  "Received",
  "X-Odd_1!",
  "x",
  "Reply-To",
  "MIME-Version",
];

/** A line or a value without line ends. */
function words(random: Random, blanks: readonly string[], count: number): string {
  let text = "";
  for (let n = 0; n < count; n++) text += random.pick(WORDS) + random.pick(blanks);
  return random.below(3) === 0 ? text : text.trimEnd();
}

function field(random: Random, name: string): string {
  const blanks = random.below(3) === 0 ? [...BLANKS, ...FOLDS] : BLANKS;
  const before = random.pick(["", " ", " ", "\t", "  ", "\n "]);
  const after = random.pick(["", "", "", " ", "\t ", "\n "]);
  return `${name}:${before}${words(random, blanks, random.count(8, 4000)).replace(/\n$/, "")}${after}\n`;
}

function body(random: Random): string {
  if (random.below(12) === 0) return random.pick(["", "\n", "\n\n\n", " \n", "\t\n\n", " ", "x"]);
  let text = "";
  for (let lines = random.count(12, 600); lines > 0; lines--) {
    text += random.pick(["", "", " ", "\t", ".", "..", "> "]) + words(random, BLANKS, random.count(6, 300)) + "\n";
  }
  text += random.pick(["", "", "", "\n", "\n\n\n", " \n\t\n", "."]);
  return random.below(6) === 0 ? text.replace(/\n$/, "") : text;
}

/** Returns the octets of a message in lines that end with LF. Some have no body, no empty line or no last line end. */
export function generateMessage(random: Random): Uint8Array {
  const names = ["From", ...Array.from({ length: random.below(9) }, () => random.pick(NAMES))];
  const fields = names.map((name) => field(random, name)).sort(() => random.next() - 0.5).join("");
  const text = random.below(40) === 0 ? fields : `${fields}\n${body(random)}`;
  return Buffer.from(text, random.below(2) === 0 ? "latin1" : "utf8");
}

/** Changes blanks, line ends or a letter somewhere, as hosts on the way do. */
export function damage(random: Random, message: Uint8Array): Uint8Array {
  const text = Buffer.from(message).toString("latin1");
  const at = random.below(text.length + 1);
  const rest = text.slice(at);
  const changed = random.pick([
    () => text + random.pick(["\n", "\n\n", " \n", "x\n", "\t\n \n"]),
    () => text.replace(/\n+$/, "\n"),
    () => text.slice(0, at) + rest.replace(/(?<=[^\n]) /, random.pick(["  ", "\t", ""])),
    () => text.slice(0, at) + rest.replace(/\n/, " \n"),
    () => text.slice(0, at) + rest.replace(/\t/, " "),
    () => text.slice(0, at) + rest.replace(/\n[ \t]/, " "),
    () => text.slice(0, at) + rest.replace(/e/, "a"),
    () => text.replace(/\nSubject:/i, random.pick(["\nsubject: ", "\nSubject:", "\nX: y\nSubject:"])),
  ])();
  return Buffer.from(changed, "latin1");
}
