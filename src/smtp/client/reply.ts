/** Replies of a server, read from bytes as they come. Pure: knows no socket and no meaning of a code. */

/** One whole reply, RFC 5321 §4.2. */
export interface Reply {
  readonly code: number;
  /** What stands behind the code; the lines of a multi-line reply joined with a space, cut at REPLY_BYTES. Printable. */
  readonly text: string;
  /** The text of each line, at most REPLY_LINES of them: the keywords of EHLO. */
  readonly lines: readonly string[];
}

/** Longest line of a reply, without its line end, in octets. A longer one is an error. RFC 5321 §4.5.3.1.5 asks for 512. */
export const REPLY_BYTES = 2047;
/** Lines of one reply that are kept; a reply of more than REPLY_LINES_MAX lines is an error. */
const REPLY_LINES = 128;
const REPLY_LINES_MAX = 1024;

const LF = 10, CR = 13, SPACE = 32, DASH = 45;
const decoder = new TextDecoder();
// Control characters would let a server write lines of its own into our log and bounces.
// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\x00-\x1f\x7f]/g;
const ENHANCED = /^[245]\.\d{1,3}\.\d{1,3} /;

/** The code and the text, as written in `stat=` and in bounces. */
export function formatReply(reply: Reply): string {
  return reply.text === "" ? String(reply.code) : `${reply.code} ${reply.text}`;
}

/** Cuts a stream of bytes into replies. */
export class ReplyReader {
  /** Bytes of a line that is not complete. */
  #held: Uint8Array | null = null;
  #lines: string[] = [];
  #count = 0;

  /** True between replies: nothing has come that is not part of a whole reply. */
  get idle(): boolean {
    return this.#held === null && this.#count === 0;
  }

  /** Takes what was read, adds every reply that is now complete to `replies`. The answer is what is wrong with the input, or null. */
  push(bytes: Uint8Array, replies: Reply[]): string | null {
    let input = bytes;
    if (this.#held !== null) {
      input = new Uint8Array(this.#held.length + bytes.length);
      input.set(this.#held);
      input.set(bytes, this.#held.length);
      this.#held = null;
    }
    let start = 0;
    for (;;) {
      const end = input.indexOf(LF, start);
      if (end < 0) break;
      const error = this.#line(input, start, end > start && input[end - 1] === CR ? end - 1 : end, replies);
      if (error !== null) return error;
      start = end + 1;
    }
    if (start === input.length) return null;
    // One more for the CR, which is no part of the line.
    if (input.length - start > REPLY_BYTES + 1) return "Line too long in reply";
    this.#held = input.slice(start);
    return null;
  }

  #line(input: Uint8Array, start: number, end: number, replies: Reply[]): string | null {
    if (end - start > REPLY_BYTES) return "Line too long in reply";
    const code = replyCode(input, start, end);
    if (code === 0) return "Invalid reply code";
    const text = end - start > 4
      ? decoder.decode(input.subarray(start + 4, end)).replace(UNPRINTABLE, " ").trimEnd()
      : "";
    if (++this.#count > REPLY_LINES_MAX) return "Too many lines in reply";
    const more = end - start > 3 && input[start + 3] === DASH;
    if (!more && this.#count === 1) {
      this.#count = 0;
      replies.push({ code, text, lines: [text] });
      return null;
    }
    if (this.#lines.length < REPLY_LINES) this.#lines.push(text);
    if (more) return null;
    replies.push({ code, text: joinLines(this.#lines), lines: this.#lines });
    this.#lines = [];
    this.#count = 0;
    return null;
  }
}

/** The code of the line, 0 for a malformed one: `[2-5]dd`, then a space, a dash or the end. */
function replyCode(input: Uint8Array, start: number, end: number): number {
  if (end - start < 3) return 0;
  const hundreds = input[start]! - 48, tens = input[start + 1]! - 48, ones = input[start + 2]! - 48;
  if (hundreds < 2 || hundreds > 5 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return 0;
  if (end - start > 3 && input[start + 3] !== SPACE && input[start + 3] !== DASH) return 0;
  return hundreds * 100 + tens * 10 + ones;
}

/** Subject and detail, as in `1.1`, of the enhanced code that the text of a reply begins with; null when it has none of this class (RFC 3464 §2.3.4). */
export function enhancedCode(text: string, wanted: 4 | 5): string | null {
  const [, group, code] = /^([245])\.(\d{1,3}\.\d{1,3})(?: |$)/.exec(text) ?? [];
  return code !== undefined && Number(group) === wanted ? code : null;
}

/** One line of several. The enhanced code is repeated on each (RFC 2034 §4): it is kept once. */
function joinLines(lines: readonly string[]): string {
  let joined = lines[0]!;
  for (let index = 1; index < lines.length && joined.length < REPLY_BYTES; index++) {
    const text = lines[index]!.replace(ENHANCED, "");
    if (text !== "") joined += (joined === "" ? "" : " ") + text;
  }
  return joined.slice(0, REPLY_BYTES);
}
