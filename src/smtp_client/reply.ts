/** Replies of a server, read from bytes as they come. Pure: uses no socket and gives codes no meaning. */

/** One whole reply, RFC 5321 §4.2. */
export interface Reply {
  readonly code: number;
  /** What stands behind the code; the lines of a multi-line reply joined with a space, cut at REPLY_OCTETS. Printable. */
  readonly text: string;
  /** The text of each line, at most REPLY_LINES of them: the keywords of EHLO. */
  readonly lines: readonly string[];
}

/** What is kept of a line of a reply, without its line end, in octets: a longer line counts by its code, and is cut. RFC 5321 §4.5.3.1.5 asks for 512. */
export const REPLY_OCTETS = 2047;
/** Lines of one reply that are kept; the code of the last line counts, however many there are. */
const REPLY_LINES = 1024;
/** One reply is no longer than this, in octets, all its lines together: a longer one counts by its code, and ends the connection. */
export const MAX_REPLY_OCTETS = 1024 * 1024;
/** What is quoted of a line that is no reply, in octets. */
const QUOTED_OCTETS = 80;

const LF = 10, CR = 13, SPACE = 32, DASH = 45;
const decoder = new TextDecoder();
// Control characters would let a server write lines of its own into our log and bounces.
// deno-lint-ignore no-control-regex
const UNPRINTABLE = /[\x00-\x1f\x7f-\x9f\u2028\u2029]/g;
const ENHANCED = /^[245]\.\d{1,3}\.\d{1,3} /;

/** The code and the text, as written in `stat=` and in bounces. */
export function formatReply(reply: Reply): string {
  return reply.text === "" ? String(reply.code) : `${reply.code} ${reply.text}`;
}

/** Cuts a stream of bytes into replies. */
export class ReplyReader {
  /** The start of a line that is not complete, at most REPLY_OCTETS + 1 of it: the last may be the CR. */
  #held: Uint8Array | null = null;
  /** Octets of the reply that is not complete. */
  #octets = 0;
  #lines: string[] = [];
  #count = 0;
  #code = 0;

  /** True between replies: nothing has come that is not part of a whole reply. */
  get idle(): boolean {
    return this.#held === null && this.#count === 0;
  }

  /**
   * Takes what was read, adds every reply that is now complete to `replies`. Returns what is wrong with the input, or null; nothing may be
   * pushed after an error. A reply of more than MAX_REPLY_OCTETS octets is added as if its last line had come, and is an error.
   */
  push(bytes: Uint8Array, replies: Reply[]): string | null {
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(LF, start);
      if (end < 0) break;
      this.#octets += end + 1 - start;
      const error = this.#line(this.#whole(bytes, start, end), replies);
      if (error !== null) return error;
      if (this.#octets > MAX_REPLY_OCTETS) return this.#endless(replies);
      start = end + 1;
    }
    if (start === bytes.length) return null;
    this.#octets += bytes.length - start;
    this.#held = this.#whole(bytes, start, bytes.length).slice();
    return this.#octets > MAX_REPLY_OCTETS ? this.#endless(replies) : null;
  }

  /** A line that ends, or is broken off, at `end`: with what is held of it in front, and cut. */
  #whole(bytes: Uint8Array, start: number, end: number): Uint8Array {
    const held = this.#held;
    this.#held = null;
    const room = REPLY_OCTETS + 1 - (held?.length ?? 0);
    const more = bytes.subarray(start, Math.min(end, start + room));
    if (held === null) return more;
    const line = new Uint8Array(held.length + more.length);
    line.set(held);
    line.set(more, held.length);
    return line;
  }

  #line(cut: Uint8Array, replies: Reply[]): string | null {
    const end = cut[cut.length - 1] === CR ? cut.length - 1 : Math.min(cut.length, REPLY_OCTETS);
    const code = replyCode(cut, end);
    // Between the lines of a reply some servers let slip a line of a program of theirs: it is part of the text.
    if (code === 0 && this.#count === 0) return invalid(cut.subarray(0, end));
    const text = code === 0 ? textOf(cut, 0, end) : textOf(cut, 4, end);
    const more = code === 0 || (end > 3 && cut[3] === DASH);
    this.#count++;
    if (code !== 0) this.#code = code;
    if (this.#lines.length < REPLY_LINES) this.#lines.push(text);
    if (!more) this.#complete(replies);
    return null;
  }

  #complete(replies: Reply[]): void {
    const lines = this.#lines;
    replies.push({ code: this.#code, text: lines.length === 1 ? lines[0]! : joinLines(lines), lines });
    this.#lines = [];
    this.#count = 0;
    this.#octets = 0;
  }

  #endless(replies: Reply[]): string {
    const held = this.#held;
    this.#held = null;
    if (held !== null) {
      const error = this.#line(held, replies);
      if (error !== null) return error;
    }
    if (this.#count > 0) this.#complete(replies);
    return "Reply of the remote host is too long";
  }
}

function textOf(line: Uint8Array, start: number, end: number): string {
  if (end <= start) return "";
  return decoder.decode(line.subarray(start, end)).replace(UNPRINTABLE, " ").trimEnd();
}

/** The complaint about a line that is no reply, with the line: it may be a greeting of something else than a mail server. */
function invalid(line: Uint8Array): string {
  return `Invalid reply code: "${textOf(line, 0, Math.min(line.length, QUOTED_OCTETS))}"`;
}

/** The code of a line that ends at `end`, 0 for a malformed one: `[2-5]dd`, then a space, a dash or the end. */
function replyCode(line: Uint8Array, end: number): number {
  if (end < 3) return 0;
  const hundreds = line[0]! - 48, tens = line[1]! - 48, ones = line[2]! - 48;
  if (hundreds < 2 || hundreds > 5 || tens < 0 || tens > 9 || ones < 0 || ones > 9) return 0;
  if (end > 3 && line[3] !== SPACE && line[3] !== DASH) return 0;
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
  for (let index = 1; index < lines.length && joined.length < REPLY_OCTETS; index++) {
    const text = lines[index]!.replace(ENHANCED, "");
    if (text !== "") joined += (joined === "" ? "" : " ") + text;
  }
  return joined.slice(0, REPLY_OCTETS);
}
