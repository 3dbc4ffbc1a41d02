/** The last line of a program's output that is not empty, however much it prints. Pure. */

/** What is kept of a line; the text that is made of it is shorter still. */
const MAX_LINE_OCTETS = 1024;
const LF = 10;

export class LastLine {
  #complete = new Uint8Array(0);
  #open = new Uint8Array(0);

  push(bytes: Uint8Array): void {
    const last = bytes.lastIndexOf(LF);
    if (last < 0) {
      this.#open = joined(this.#open, bytes);
      return;
    }
    // The last of the lines that are complete now and not empty.
    let end = last;
    while (end >= 0) {
      const before = end === 0 ? -1 : bytes.lastIndexOf(LF, end - 1);
      const line = before < 0 ? joined(this.#open, bytes.subarray(0, end)) : bytes.subarray(before + 1, end);
      if (line.length > 0) {
        this.#complete = line.slice(0, MAX_LINE_OCTETS);
        break;
      }
      end = before;
    }
    this.#open = joined(new Uint8Array(0), bytes.subarray(last + 1));
  }

  /** Empty when nothing was said. */
  bytes(): Uint8Array {
    return this.#open.length > 0 ? this.#open : this.#complete;
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(Math.min(first.length + second.length, MAX_LINE_OCTETS));
  all.set(first);
  all.set(second.subarray(0, all.length - first.length), first.length);
  return all;
}
