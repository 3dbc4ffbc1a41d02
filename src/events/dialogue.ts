/**
 * The last lines that the two sides of a session have exchanged, for the case that it goes wrong: bounded in number and characters, and made of texts that are
 * there already, so that a session that goes well costs little. Whoever adds lines has masked secrets. Knows no protocol.
 */

import { type DialogueLine, MAX_DIALOGUE_LINE_CHARS, MAX_DIALOGUE_LINES } from "./detail.ts";

/** Characters of what is kept of one session at most. */
const MAX_DIALOGUE_CHARS = 16_384;

/** One or more lines as text, or a reply of a server. */
type Content = string | { readonly code: number; readonly lines: readonly string[] };
type Side = DialogueLine["from"];

export class Dialogue {
  readonly #began: number;
  /** Three lists of the same length, the oldest entry first: an object per entry would cost more than all else here. */
  #contents: Content[] = [];
  #sides: Side[] = [];
  #times: number[] = [];
  #chars = 0;
  /** Entries that are gone, or were taken. */
  #before = 0;

  /** `now`: milliseconds of a clock that does not go back. */
  constructor(now: number) {
    this.#began = now;
  }

  /** How many entries are kept. */
  get size(): number {
    return this.#contents.length;
  }

  add(now: number, from: Side, content: Content): void {
    this.#contents.push(content);
    this.#sides.push(from);
    this.#times.push(now);
    this.#chars += charsOf(content);
    if (this.#contents.length > MAX_DIALOGUE_LINES || this.#chars > MAX_DIALOGUE_CHARS) this.#shorten();
  }

  #shorten(): void {
    while (this.size > 1 && (this.size > MAX_DIALOGUE_LINES || this.#chars > MAX_DIALOGUE_CHARS)) {
      this.#chars -= charsOf(this.#contents.shift()!);
      this.#sides.shift();
      this.#times.shift();
      this.#before++;
    }
  }

  /** Forgets all but the first `count` entries, if those are there still. */
  forgetBehind(count: number): void {
    if (this.#before > 0 || this.size <= count) return;
    this.#contents.length = this.#sides.length = this.#times.length = count;
    this.#chars = this.#contents.reduce<number>((sum, content) => sum + charsOf(content), 0);
  }

  /** Returns the lines that are kept, and forgets them. `before`: how many entries stood before them. */
  take(): { readonly lines: DialogueLine[]; readonly before: number } {
    const before = this.#before;
    const lines = this.#contents.flatMap((content, at) => {
      const ms = Math.round((this.#times[at]! - this.#began) * 10) / 10, from = this.#sides[at]!;
      return linesOf(content).map((text): DialogueLine => ({ ms, from, text }));
    });
    this.#before += this.size;
    [this.#contents, this.#sides, this.#times] = [[], [], []];
    this.#chars = 0;
    return { lines: lines.slice(-MAX_DIALOGUE_LINES), before };
  }
}

function charsOf(content: Content): number {
  return typeof content === "string" ? content.length : content.lines.reduce((sum, line) => sum + line.length + 4, 0);
}

function linesOf(content: Content): string[] {
  const lines = typeof content === "string"
    ? content.replace(/\r?\n$/, "").split(/\r?\n/)
    : content.lines.map((line, at) => `${content.code}${at + 1 < content.lines.length ? "-" : " "}${line}`);
  return lines.map((line) =>
    line.length <= MAX_DIALOGUE_LINE_CHARS ? line : `${line.slice(0, MAX_DIALOGUE_LINE_CHARS - 3)}...`
  );
}
