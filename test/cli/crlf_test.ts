/** Line ends of `sendmail -bs`: the first line decides, wherever the pieces are cut. */

import { equal } from "node:assert/strict";
import { LineEnds } from "../../src/cli/sendmail/crlf.ts";

const rows: { what: string; said: string; received: string }[] = [
  { what: "CRLF stays", said: "EHLO x\r\nQUIT\r\n", received: "EHLO x\r\nQUIT\r\n" },
  { what: "LF gets a CR", said: "EHLO x\nQUIT\n", received: "EHLO x\r\nQUIT\r\n" },
  {
    what: "an LF behind a first CRLF stays one",
    said: "NOOP\r\nDATA\r\na\n.\nb\r\n",
    received: "NOOP\r\nDATA\r\na\n.\nb\r\n",
  },
  { what: "a CRLF behind a first LF stays one", said: "NOOP\nA\r\n\r\nB\n", received: "NOOP\r\nA\r\n\r\nB\r\n" },
  { what: "empty lines", said: "\n\n\r\n\n", received: "\r\n\r\n\r\n\r\n" },
  { what: "a CR alone is no line end", said: "a\rb\nc\rd\n", received: "a\rb\r\nc\rd\r\n" },
  { what: "no line end at all", said: "QUIT", received: "QUIT" },
  {
    what: "BDAT is counted",
    said: "NOOP\nBDAT 4\na\nb\nBDAT 2 LAST\nc\nQUIT\n",
    received: "NOOP\r\nBDAT 4\r\na\nb\nBDAT 2 LAST\r\nc\nQUIT\r\n",
  },
  {
    what: "a CR that ends a BDAT is no part of what follows",
    said: "bdat 1\n\r\nQUIT\n",
    received: "bdat 1\r\n\r\r\nQUIT\r\n",
  },
  {
    what: "BDAT in a text is text",
    said: "data\nBDAT 9\nx\n.\nQUIT\n",
    received: "data\r\nBDAT 9\r\nx\r\n.\r\nQUIT\r\n",
  },
  { what: "BDAT behind a text", said: "DATA\nx\n.\nBDAT 2\n\n\n\n", received: "DATA\r\nx\r\n.\r\nBDAT 2\r\n\n\n\r\n" },
];
for (const { what, said, received } of rows) {
  Deno.test(`sendmail -bs: ${what}`, () => {
    for (const step of [1, 2, 3, 1000]) {
      const ends = new LineEnds();
      let out = "";
      for (let at = 0; at < said.length; at += step) {
        out += new TextDecoder().decode(ends.convert(new TextEncoder().encode(said.slice(at, at + step))));
      }
      equal(out, received, `pieces of ${step}`);
    }
  });
}
