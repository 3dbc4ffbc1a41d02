/** Asks at the terminal what was not given as an option, until the answer can be used. */

import { safeLine } from "../../../events/mod.ts";
import type { Checked } from "./answers.ts";

/** A line of standard input without its end; null at the end of the input. */
export type ReadLine = () => Promise<string | null>;

/** The input ended before all was answered. */
export class InputEnded extends Error {}

export interface Question<T> {
  readonly text: string;
  /** What an empty answer stands for; null for nothing. */
  readonly otherwise: string | null;
  readonly check: (answer: string) => Checked<T> | Promise<Checked<T>>;
  /** The option that makes the question needless. */
  readonly option: string;
}

/** Asks by `say`, and again for each answer that is none. Throws InputEnded. */
export async function ask<T>(
  { text, otherwise, check, option }: Question<T>,
  readLine: ReadLine,
  say: (text: string) => void,
): Promise<T> {
  for (;;) {
    say(`${text}${otherwise === null ? "" : ` [${otherwise}]`}: `);
    const line = await readLine();
    if (line === null) {
      say("\n");
      throw new InputEnded(`standard input ended at this question: answer it, or give the option ${option}`);
    }
    const answer = line.trim() === "" && otherwise !== null ? otherwise : line;
    const checked = await check(answer);
    if ("value" in checked) return checked.value;
    say(`${safeLine(checked.fault)}.\n`);
  }
}

/** Characters that a line may have; a longer one is cut, and refused by whoever checks it. */
const MAX_LINE_CHARS = 4096;

/** Reads standard input by lines. */
export function lineReader(input: { read(into: Uint8Array): Promise<number | null> } = Deno.stdin): ReadLine {
  const decoder = new TextDecoder();
  let text = "", ended = false;
  return async () => {
    for (;;) {
      const end = text.indexOf("\n");
      if (end >= 0 || ended) {
        if (end < 0 && text === "") return null;
        const line = text.slice(0, end < 0 ? undefined : end).slice(0, MAX_LINE_CHARS);
        text = end < 0 ? "" : text.slice(end + 1);
        return line.replace(/\r$/, "");
      }
      const octets = new Uint8Array(1024);
      const count = await input.read(octets);
      if (count === null) ended = true;
      else text += decoder.decode(octets.subarray(0, count), { stream: true });
      if (text.length > MAX_LINE_CHARS && !text.includes("\n")) text = text.slice(0, MAX_LINE_CHARS);
    }
  };
}
