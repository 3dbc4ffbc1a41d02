/** Parts of a stored message, whose lines end with LF. Pure. */

const LF = 10;

/** Returns where the header section ends, its last line end included, and where the body begins, behind the blank line. */
export function headerEnd(text: Uint8Array): { readonly header: number; readonly body: number } {
  if (text[0] === LF) return { header: 0, body: 1 };
  for (let at = text.indexOf(LF); at >= 0; at = text.indexOf(LF, at + 1)) {
    if (text[at + 1] === LF) return { header: at + 1, body: at + 2 };
  }
  return { header: text.length, body: text.length };
}
