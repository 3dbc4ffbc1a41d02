/** The mbox format: From_ line, quoting of lines that look like one, empty line at the end. Pure: chunks in, pieces out. */

const LF = 10;
const FROM = new TextEncoder().encode("From ");
const QUOTE = new TextEncoder().encode(">");
const NEWLINE = new TextEncoder().encode("\n");

/** Returns the line `From sender date`, the date as ctime(3) writes it in zone `timeZone`. `now` in ms since the epoch. */
export function fromLine(sender: string, now: number, timeZone: string): string {
  const parts: Record<string, string> = {};
  for (const { type, value } of zoned(timeZone).formatToParts(now)) parts[type] = value;
  const { weekday, month, day, hour, minute, second, year } = parts;
  return `From ${sender} ${weekday} ${month} ${day!.padStart(2)} ${hour}:${minute}:${second} ${year}\n`;
}

let cached: { zone: string; format: Intl.DateTimeFormat } | null = null;
function zoned(zone: string): Intl.DateTimeFormat {
  if (cached?.zone === zone) return cached.format;
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone,
    hourCycle: "h23",
    weekday: "short",
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    year: "numeric",
  });
  cached = { zone, format };
  return format;
}

/**
 * Puts `>` before lines that start with `From `: before each of them (`everyLine`, file targets), or only after an empty line (system
 * mailboxes), which is where a reader looks for the next message.
 */
export class FromQuoter {
  readonly #everyLine: boolean;
  #lineStart = true;
  #afterEmpty = true;
  /** The start of a line that may still become `From `. */
  #held: Uint8Array = FROM.subarray(0, 0);

  constructor({ everyLine }: { readonly everyLine: boolean }) {
    this.#everyLine = everyLine;
  }

  /** Hands the pieces of a chunk to `write`, in order; views of the chunk where possible. */
  push(chunk: Uint8Array, write: (piece: Uint8Array) => void): void {
    const bytes = this.#held.length === 0 ? chunk : concat(this.#held, chunk);
    this.#held = FROM.subarray(0, 0);
    let written = 0;
    let at = 0;
    while (at < bytes.length) {
      if (this.#lineStart && (this.#everyLine || this.#afterEmpty)) {
        const same = commonPrefix(bytes, at);
        if (same === FROM.length) {
          write(bytes.subarray(written, at));
          write(QUOTE);
          written = at;
        } else if (at + same === bytes.length) {
          // A copy: the chunk is not ours for longer than this call.
          this.#held = bytes.slice(at);
          break;
        }
      }
      const end = bytes.indexOf(LF, at);
      if (end < 0) {
        this.#lineStart = false;
        at = bytes.length;
        break;
      }
      this.#afterEmpty = this.#lineStart && end === at;
      this.#lineStart = true;
      at = end + 1;
    }
    if (at > written) write(bytes.subarray(written, at));
  }

  /** The end of the message: a line end if the last line has none, then an empty line. */
  finish(write: (piece: Uint8Array) => void): void {
    if (this.#held.length > 0) write(this.#held);
    if (!this.#lineStart || this.#held.length > 0) write(NEWLINE);
    write(NEWLINE);
  }
}

/** How many octets at `at` are those of `From `. */
function commonPrefix(bytes: Uint8Array, at: number): number {
  let same = 0;
  while (same < FROM.length && bytes[at + same] === FROM[same]) same++;
  return same;
}

function concat(first: Uint8Array, second: Uint8Array): Uint8Array {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}
