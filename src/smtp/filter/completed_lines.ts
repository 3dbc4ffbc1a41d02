/**
 * The header of a message that goes to filters: that of a submission completed before they see it, so that what a filter signs is what is sent,
 * and any without results that bear our name where mail is checked. Takes and gives whole lines as filters get them, see rawlines.ts.
 */

import { type Assembly, type HeaderFault, type HeaderOptions, HeaderSection } from "../message/header.ts";

const LF = 0x0a, DOT = 0x2e;

class Lines implements Assembly {
  buffer = new Uint8Array(4096);
  length = 0;
  sent = 0;

  reserve(extra: number): void {
    const need = this.length + extra;
    if (need <= this.buffer.length) return;
    const bigger = new Uint8Array(Math.max(need, 2 * this.buffer.length));
    bigger.set(this.buffer.subarray(0, this.length));
    this.buffer = bigger;
  }

  append(bytes: Uint8Array): void {
    this.reserve(bytes.length);
    this.buffer.set(bytes, this.length);
    this.length += bytes.length;
  }
}

export class CompletedLines {
  readonly #lines = new Lines();
  readonly #header: HeaderSection;

  constructor(options: Pick<HeaderOptions, "completion" | "isForged">) {
    this.#header = new HeaderSection(this.#lines, options);
  }

  /** Why the message is refused; what comes behind is given as it is. */
  get fault(): HeaderFault | null {
    return this.#header.fault;
  }

  /** What of these lines, and of those before, will not change any more. The last line of a message is a dot alone. */
  push(lines: Uint8Array<ArrayBuffer>): Uint8Array<ArrayBuffer> {
    const header = this.#header;
    let at = 0;
    while (header.open && at < lines.length) {
      const end = lines.indexOf(LF, at) + 1;
      if (end - at === 2 && lines[at] === DOT) {
        header.end();
        break;
      }
      const start = this.#lines.length;
      this.#lines.append(lines.subarray(at, end));
      header.line(start);
      at = end;
    }
    if (!header.open && this.#lines.length === 0) return at === 0 ? lines : lines.slice(at);
    if (!header.open) this.#lines.append(lines.subarray(at));
    return this.#take(header.open ? header.settled : this.#lines.length);
  }

  #take(count: number): Uint8Array<ArrayBuffer> {
    const taken = this.#lines.buffer.slice(0, count);
    this.#lines.buffer.copyWithin(0, count, this.#lines.length);
    this.#lines.length -= count;
    this.#lines.sent += count;
    if (!this.#header.open) this.#lines.buffer = new Uint8Array(0);
    return taken;
  }
}
