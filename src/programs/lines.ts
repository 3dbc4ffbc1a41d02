/** Bytes of a program's output to lines, bounded. Independent of the content of lines. */

const LF = 0x0a;

/** Cuts at LF. A line longer than the limit is given as far as it fits, and marked as cut; its rest is dropped. */
export class LineCutter {
  readonly #limit: number;
  readonly #decoder: TextDecoder | null;
  #kept: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;

  /** `limit`: bytes of a line without its LF. In `binary` each byte becomes the character with its number. */
  constructor(limit: number, encoding: "utf-8" | "binary" = "utf-8") {
    this.#limit = limit;
    this.#decoder = encoding === "binary" ? null : new TextDecoder();
  }

  /** Lines that are complete now. */
  push(bytes: Uint8Array): { readonly text: string; readonly cut: boolean }[] {
    const lines = [];
    let start = 0;
    for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, start)) {
      this.#keep(bytes.subarray(start, end));
      lines.push(this.#take());
      start = end + 1;
    }
    this.#keep(bytes.subarray(start));
    return lines;
  }

  /** The line that has no LF yet is longer than a line may be. */
  get overflows(): boolean {
    return this.#size > this.#limit;
  }

  /** What stands behind the last LF; null for nothing. */
  finish(): string | null {
    return this.#size === 0 ? null : this.#take().text;
  }

  #text(): string {
    const decoder = this.#decoder;
    if (decoder === null) return this.#kept.map(binaryText).join("");
    return this.#kept.map((bytes) => decoder.decode(bytes, { stream: true })).join("") + decoder.decode();
  }

  #keep(bytes: Uint8Array): void {
    const room = this.#limit - this.#size;
    this.#size = Math.min(this.#size + bytes.length, this.#limit + 1);
    if (room > 0 && bytes.length > 0) this.#kept.push(bytes.slice(0, room));
  }

  #take(): { text: string; cut: boolean } {
    const text = this.#text();
    const cut = this.overflows;
    this.#kept = [];
    this.#size = 0;
    return { text, cut };
  }
}

/** A character for each byte. */
export function binaryText(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode.apply(null, bytes.subarray(at, at + 8192) as unknown as number[]);
  }
  return text;
}

/** The bytes of a text that `binaryText` made. */
export function binaryBytes(text: string): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at);
  return bytes;
}
