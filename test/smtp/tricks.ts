/** Known ways to hide the end of a message in its middle, RFC 5321 §4.1.1.4: what a server takes for it must be CRLF.CRLF and nothing else. */

export interface Trick {
  /** Stands behind a line without its end and before the hidden commands. */
  readonly end: string;
  /** What our server makes of the message; `whole`: takes it, as one, with `stored` in place of `end`. */
  readonly fate: "bare" | "whole";
  readonly stored?: string;
  readonly because: string;
}

export const TRICKS: readonly Trick[] = [
  { end: "\n.\n", fate: "bare", because: "LF.LF" },
  { end: "\n.\r\n", fate: "bare", because: "LF.CRLF, which Postfix took for the end until 2023" },
  { end: "\r\n.\n", fate: "bare", because: "CRLF.LF" },
  { end: "\r.\r", fate: "bare", because: "CR.CR" },
  { end: "\r\n.\r", fate: "bare", because: "CRLF.CR, which Cisco's gateways made an end of" },
  { end: "\r.\r\n", fate: "bare", because: "CR.CRLF" },
  { end: "\n.\r", fate: "bare", because: "LF.CR" },
  { end: "\r.\n", fate: "bare", because: "CR.LF" },
  { end: "\r\r\n.\r\r\n", fate: "bare", because: "CR CR LF on both sides" },
  { end: "\r\n.\r\r\n", fate: "bare", because: "CR CR LF behind the dot" },
  { end: "\r\r\n.\r\n", fate: "bare", because: "CR CR LF before the dot: refused, although its end is one" },
  { end: "\n\r\n.\n\r\n", fate: "bare", because: "LF CR LF on both sides" },
  { end: "\n\r.\n\r", fate: "bare", because: "LF CR on both sides" },
  { end: "\r\n\n.\n", fate: "bare", because: "a blank line, then LF.LF" },
  { end: "\r\n.\n\r\n", fate: "bare", because: "CRLF.LF and a blank line" },
  { end: "\n.\n\r\n", fate: "bare", because: "LF.LF and a blank line" },
  { end: "\r\n\0.\r\n", fate: "whole", stored: "\n\0.\n", because: "NUL before the dot is data" },
  { end: "\r\n.\0\r\n", fate: "whole", stored: "\n\0\n", because: "and behind it" },
  { end: "\r\n\0\r\n.\0\r\n", fate: "whole", stored: "\n\0\n\0\n", because: "and alone in a line" },
  { end: "\r\0\n.\r\0\n", fate: "bare", because: "NUL in the middle of the line end" },
  { end: "\n\0.\n", fate: "bare", because: "NUL behind a bare LF" },
  { end: "\r\n..\r\n", fate: "whole", stored: "\n.\n", because: "two dots are one dot of text" },
  { end: "\r\n...\r\n", fate: "whole", stored: "\n..\n", because: "three are two" },
  { end: "\r\n. \r\n", fate: "whole", stored: "\n \n", because: "a dot and a blank" },
  { end: "\r\n .\r\n", fate: "whole", stored: "\n .\n", because: "a blank and a dot" },
  { end: "\r\n.\t\r\n", fate: "whole", stored: "\n\t\n", because: "a dot and a tabulator" },
  { end: "\r\n\r\n..\r\n", fate: "whole", stored: "\n\n.\n", because: "two dots behind a blank line" },
  { end: "\r\n\v.\v\r\n", fate: "whole", stored: "\n\v.\v\n", because: "a vertical tabulator is no line end" },
  { end: "\f.\f", fate: "whole", stored: "\f.\f", because: "nor is a form feed" },
  { end: "\x85.\x85", fate: "whole", stored: "\x85.\x85", because: "nor is NEL of ISO 8859-1" },
  { end: "\xe2\x80\xa8.\xe2\x80\xa8", fate: "whole", stored: "\xe2\x80\xa8.\xe2\x80\xa8", because: "nor is U+2028" },
  { end: "\r\n=2E\r\n", fate: "whole", stored: "\n=2E\n", because: "nor is a dot in quoted-printable" },
];

/** What the trick is to bring about. `number` tells messages apart. */
export function hidden(number = 0): string {
  return `MAIL FROM:<smuggler@example.net>\r\nRCPT TO:<victim@example.org>\r\nDATA\r\nSubject: smuggled ${number}\r\n\r\nevil`;
}

/** A message with the trick in its middle, without the end of the data. */
export function message({ end }: Trick, number = 0): string {
  return `Subject: outer ${number}\r\n\r\nfirst${end}${hidden(number)}\r\n`;
}

/** As one reads it in a log. */
export function shown(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
