/** Quoted-printable, RFC 2045 §6.7, of octets with LF line ends. Pure. */

const LF = 10, SPACE = 32, TAB = 9, EQUALS = 61;
/** Longest encoded line, with the `=` of a soft break. */
const WIDTH = 76;
const HEX = new TextEncoder().encode("0123456789ABCDEF");

/** Lines end where they did; long ones get soft breaks. */
export function encodeQuotedPrintable(input: Uint8Array): Uint8Array<ArrayBuffer> {
  // At worst every octet becomes three, and every 25 of those a soft break.
  const out = new Uint8Array(input.length * 3 + Math.ceil(input.length * 3 / (WIDTH - 3)) * 2 + 2);
  let size = 0;
  let column = 0;
  for (let at = 0; at < input.length; at++) {
    const octet = input[at]!;
    if (octet === LF) {
      out[size++] = LF;
      column = 0;
      continue;
    }
    const last = at + 1 === input.length || input[at + 1] === LF;
    const blank = octet === SPACE || octet === TAB;
    // A blank at the end of a line would be lost on the way.
    const plain = blank ? !last : octet > SPACE && octet < 127 && octet !== EQUALS;
    const width = plain ? 1 : 3;
    if (column + width > (last ? WIDTH : WIDTH - 1)) {
      out[size++] = EQUALS;
      out[size++] = LF;
      column = 0;
    }
    if (plain) out[size++] = octet;
    else {
      out[size++] = EQUALS;
      out[size++] = HEX[octet >> 4]!;
      out[size++] = HEX[octet & 15]!;
    }
    column += width;
  }
  return out.subarray(0, size);
}
