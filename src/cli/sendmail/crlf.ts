/** The line ends of an SMTP client: CRLF as the protocol requires, or LF alone, as people and simple programs write. Pure. */

const LF = 10, CR = 13;
/** Octets of a line that are looked at to find out which command it is. */
const COMMAND = 64;

/**
 * Takes what a client says and returns it for a server that accepts CRLF only. The first line decides for the whole session: one that ends with CRLF is
 * followed by what comes, octet for octet, so that an LF alone reaches the server, which refuses it; after one that ends with LF each LF that has no
 * CR gets one. The octets of BDAT (RFC 3030 §2), which are counted, stay as they are.
 */
export class LineEnds {
  #last = 0;
  /** Null until the first line has ended. */
  #addsCr: boolean | null = null;
  /** Start of the line. */
  #line = "";
  /** Between DATA and the single dot, where no line is a command. */
  #inData = false;
  /** Octets of a BDAT that are still to come. */
  #counted = 0;

  /** The octets for the server. */
  convert(piece: Uint8Array): Uint8Array {
    if (this.#addsCr === false) return piece;
    const out = new Uint8Array(2 * piece.length);
    let size = 0;
    for (const octet of piece) {
      if (octet === LF && this.#counted === 0) {
        this.#addsCr ??= this.#last !== CR;
        if (this.#addsCr && this.#last !== CR) out[size++] = CR;
      }
      out[size++] = octet;
      this.#notice(octet);
    }
    return out.subarray(0, size);
  }

  #notice(octet: number): void {
    this.#last = octet;
    if (this.#counted > 0) {
      // An LF behind them ends an empty line, whatever their last one is.
      if (--this.#counted === 0) this.#last = 0;
    } else if (octet !== LF) {
      if (this.#line.length < COMMAND) this.#line += String.fromCharCode(octet);
    } else {
      const line = this.#line.replace(/\r$/, "");
      this.#line = "";
      if (this.#inData) this.#inData = line !== ".";
      else if (/^data[ \t]*$/i.test(line)) this.#inData = true;
      else this.#counted = Number(/^bdat[ \t]+(\d{1,15})(?:[ \t]|$)/i.exec(line)?.[1] ?? 0);
    }
  }
}
