/** A stored body made ready for DATA: LF becomes CRLF and leading dots are doubled, in one pass over the bytes. Pure. */

/** A stored body: chunks of lines that end with LF, without dot-stuffing. What `opened` of the queue tells, as an interface. */
export interface Body {
  /** Size of the whole as stored, in octets. */
  readonly bytes: number;
  readonly chunks: number;
  /** Chunk `index`, 0 … chunks − 1. Asked for in order, each once a transaction. */
  chunk(index: number): Uint8Array | Promise<Uint8Array>;
}

/** A body that is all in memory. */
export function bodyOf(bytes: Uint8Array): Body {
  return { bytes: bytes.length, chunks: 1, chunk: () => bytes };
}

const LF = 10, CR = 13, SPACE = 32, DOT = 46;

/** Encoder of one message's data; feed it every chunk, then take the end. */
export class DataEncoder {
  #lineStart = true;
  /** The chunk before ended with a CR whose meaning depends on the next byte. */
  #cr = false;

  /**
   * The chunk as it goes on the wire (RFC 5321 §4.5.2 for the dots). A CR before a LF is part of the line end. Any other CR is sent as a
   * space: some servers take a bare CR for a line end, and `CR . CR` would then end the message and start a smuggled one.
   * `last` adds the end of data, with a line end before it when the body has none.
   */
  encode(chunk: Uint8Array, last: boolean): Uint8Array {
    // At most two octets for each, a held CR and the end.
    const out = new Uint8Array(chunk.length * 2 + 6);
    let to = 0;
    let lineStart = this.#lineStart;
    let cr = this.#cr;
    for (let from = 0; from < chunk.length; from++) {
      const octet = chunk[from]!;
      if (octet === LF) {
        cr = false;
        out[to++] = CR;
        out[to++] = LF;
        lineStart = true;
        continue;
      }
      if (cr) {
        out[to++] = SPACE;
        cr = lineStart = false;
      }
      if (octet === CR) {
        cr = true;
        continue;
      }
      if (lineStart) {
        if (octet === DOT) out[to++] = DOT;
        lineStart = false;
      }
      out[to++] = octet;
    }
    this.#lineStart = lineStart;
    this.#cr = cr;
    if (last) to = this.#finish(out, to);
    return out.subarray(0, to);
  }

  #finish(out: Uint8Array, to: number): number {
    if (this.#cr) out[to++] = SPACE;
    if (this.#cr || !this.#lineStart) {
      out[to++] = CR;
      out[to++] = LF;
    }
    out[to++] = DOT;
    out[to++] = CR;
    out[to++] = LF;
    return to;
  }
}
