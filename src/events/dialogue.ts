/**
 * The last lines that the two sides of a session have exchanged, for the case that it goes wrong: bounded in number and characters, and made of texts that are
 * there already, so that a session that goes well costs little. Whoever adds lines has masked secrets. Knows no protocol.
 */

import { type DialogueLine, MAX_DIALOGUE_LINE_CHARS, MAX_DIALOGUE_LINES } from "./detail.ts";

/** Characters of what is kept of one session at most. */
const MAX_DIALOGUE_CHARS = 16_384;

/** One or more lines as text, or a reply of a server. */
type Content = string | { readonly code: number; readonly lines: readonly string[] };

interface Entry {
  /** Milliseconds since the session began. */
  readonly ms: number;
  readonly from: DialogueLine["from"];
  readonly content: Content;
}

export class Dialogue {
  readonly #began: number;
  #entries: Entry[] = [];
  #chars = 0;
  /** Entries that are gone, or were taken. */
  #before = 0;

  /** `now`: milliseconds of a clock that does not go back. */
  constructor(now: number) {
    this.#began = now;
  }

  /** How many entries are kept. */
  get size(): number {
    return this.#entries.length;
  }

  add(now: number, from: DialogueLine["from"], content: Content): void {
    this.#entries.push({ ms: now - this.#began, from, content });
    this.#chars += charsOf(content);
    while (
      this.#entries.length > MAX_DIALOGUE_LINES || (this.#chars > MAX_DIALOGUE_CHARS && this.#entries.length > 1)
    ) {
      this.#chars -= charsOf(this.#entries.shift()!.content);
      this.#before++;
    }
  }

  /** Forgets all but the first `count` entries, if those are there still. */
  forgetBehind(count: number): void {
    if (this.#before > 0 || this.#entries.length <= count) return;
    this.#entries.length = count;
    this.#chars = this.#entries.reduce((sum, { content }) => sum + charsOf(content), 0);
  }

  /** Returns the lines that are kept, and forgets them. `before`: how many entries stood before them. */
  take(): { readonly lines: DialogueLine[]; readonly before: number } {
    const before = this.#before;
    const lines = this.#entries.flatMap(({ ms, from, content }) =>
      linesOf(content).map((text): DialogueLine => ({ ms: Math.round(ms * 10) / 10, from, text }))
    );
    this.#before += this.#entries.length;
    this.#entries = [];
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
