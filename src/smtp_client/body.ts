/** A stored body made ready for DATA: LF becomes CRLF and leading dots are doubled, in one pass over the bytes. Pure. */

const LF = 10, CR = 13, SPACE = 32, DOT = 46;

/** A stored body: chunks of lines that end with LF, without dot-stuffing. What `opened` of the queue returns, as an interface. */
export interface Body {
  /** Size of the whole as stored, in octets: what is sent is longer, see `wireOctets`. */
  readonly bytes: number;
  readonly chunks: number;
  /** Chunk `index`, 0 … chunks − 1. Asked for in order, each once or, where the size must be found out first, twice a transaction. */
  chunk(index: number): Uint8Array | Promise<Uint8Array>;
  /** What `wireOctets` counts, where it is known without. */
  wireOctets?(): number | Promise<number>;
}

/** Returns the size of a body as RFC 1870 §5 has it: octets as they are sent, CRLF as two, without doubled dots and the final one. */
export async function wireOctets(body: Body): Promise<number> {
  if (body.wireOctets !== undefined) return await body.wireOctets();
  const counter = new WireCounter();
  for (let index = 0; index < Math.max(body.chunks, 1); index++) counter.add(await body.chunk(index));
  return counter.octets;
}

/** Counts what a DataEncoder makes of the same chunks. */
class WireCounter {
  #octets = 0;
  #last = LF;

  add(chunk: Uint8Array): void {
    this.#octets += chunk.length;
    for (let at = chunk.indexOf(LF); at >= 0; at = chunk.indexOf(LF, at + 1)) {
      if ((at > 0 ? chunk[at - 1] : this.#last) !== CR) this.#octets++;
    }
    if (chunk.length > 0) this.#last = chunk[chunk.length - 1]!;
  }

  get octets(): number {
    return this.#octets + (this.#octets > 0 && this.#last !== LF ? 2 : 0);
  }
}

/** A body that is all in memory. */
export function bodyOf(bytes: Uint8Array): Body {
  return { bytes: bytes.length, chunks: 1, chunk: () => bytes };
}

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
  encode(chunk: Uint8Array, { last }: { readonly last: boolean }): Uint8Array {
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
