/** Tokens of smtpd.conf, seen through the lexer alone. */

import assert from "node:assert/strict";
import { Lexer } from "../../src/smtpd_conf/lexer.ts";
import { Macros } from "../../src/smtpd_conf/macros.ts";

/** `kind:text@line`, with s, k, n, m for string, keyword, number and mark; `;` for a newline; `bad:` for an error. */
function tokens(text: string, macros: Readonly<Record<string, string>> = {}): string {
  const lexer = new Lexer("c", text, new Macros(Object.entries(macros)));
  const seen: string[] = [];
  for (let token = lexer.next(); token.kind !== "end"; token = lexer.next()) {
    if (token.kind === "newline") seen.push(";");
    else if (token.kind === "bad") seen.push(`bad:${token.text}@${token.at.line}`);
    else seen.push(`${token.kind[0]}:${token.text}@${token.at.line}`);
  }
  return seen.join(" ");
}

interface Row {
  readonly name: string;
  readonly text: string;
  readonly want: string;
  readonly macros?: Readonly<Record<string, string>>;
}

const rows: readonly Row[] = [
  { name: "an empty file is one newline", text: "", want: ";" },
  { name: "a last line without a newline gets one", text: "a", want: "s:a@1 ;" },
  { name: "a newline at the end is followed by the one of the end", text: "a\n", want: "s:a@1 ; ;" },
  { name: "blanks and tabs part words", text: "a \t b", want: "s:a@1 s:b@1 ;" },
  { name: "reserved words are keywords", text: "match from any", want: "k:match@1 k:from@1 k:any@1 ;" },
  { name: "case matters for reserved words", text: "Match", want: "s:Match@1 ;" },
  { name: "a quoted reserved word is a string", text: '"match"', want: "s:match@1 ;" },
  { name: "admin is not reserved", text: "admin", want: "s:admin@1 ;" },
  { name: "a comment goes to the end of the line", text: "a # b\nc", want: "s:a@1 ; s:c@2 ;" },
  { name: "a comment may begin right after a word", text: "a#b\nc", want: "s:a@1 ; s:c@2 ;" },
  { name: "a comment that ends in a backslash swallows the next line", text: "# a \\\nb\nc", want: "; s:c@3 ;" },
  { name: "a comment at the end of the file", text: "# a", want: ";" },
  { name: "a continuation joins lines and counts them", text: "a \\\n b\nc", want: "s:a@1 s:b@2 ; s:c@3 ;" },
  { name: "a continuation may part a word", text: "ab\\\ncd", want: "s:abcd@1 ;" },
  { name: "a word after a continuation stands on its own line", text: "\\\n\\\na", want: "s:a@3 ;" },
  { name: "a backslash before another character is dropped", text: "a\\bc", want: "s:abc@1 ;" },
  { name: "an escaped comma is still a comma", text: "a\\,b", want: "s:a@1 m:,@1 s:b@1 ;" },
  { name: "a backslash at the end of the file", text: "a\\", want: "s:a@1 ;" },
  { name: "double quotes keep blanks", text: '"a b"', want: "s:a b@1 ;" },
  { name: "single quotes keep double quotes", text: "'a \"b\"'", want: 's:a "b"@1 ;' },
  { name: "an escaped quote is a quote", text: '"a\\"b"', want: 's:a"b@1 ;' },
  { name: "an escaped blank is a blank", text: '"a\\ b"', want: "s:a b@1 ;" },
  { name: "the other quote needs no escape and keeps its backslash", text: '"a\\\'b"', want: "s:a\\'b@1 ;" },
  { name: "other escapes keep both characters", text: '"a\\nb"', want: "s:a\\nb@1 ;" },
  { name: "the second of two backslashes may begin an escape", text: '"a\\\\" b"', want: 's:a\\" b@1 ;' },
  { name: "a newline inside quotes is removed and counted", text: '"a\nb"\nc', want: "s:ab@1 ; s:c@3 ;" },
  { name: "a continuation inside quotes is removed and counted", text: '"a\\\nb"\nc', want: "s:ab@1 ; s:c@3 ;" },
  { name: "a hash inside quotes is no comment", text: '"a # b"', want: "s:a # b@1 ;" },
  { name: "an empty quoted string is a string", text: '""', want: "s:@1 ;" },
  {
    name: "quotes that are not closed are reported at their beginning",
    text: 'a\n"b\nc',
    want: "s:a@1 ; bad:syntax error: quoted string is not closed before the end of the file@2 ;",
  },
  {
    name: "a NUL in quotes is an error, and the line is given up",
    text: '"a\0b" c\nd',
    want: "bad:syntax error: NUL character in a quoted string@1 ; s:d@2 ;",
  },
  { name: "a NUL outside quotes is a mark", text: "a\0", want: "s:a@1 m:\0@1 ;" },
  { name: "a word may hold punctuation", text: "smtp+tls://a@b:25/*~[]", want: "s:smtp+tls://a@b:25/*~[]@1 ;" },
  { name: "a word may begin with a colon or underscore", text: "::1 _a", want: "s:::1@1 s:_a@1 ;" },
  { name: "a word does not begin with a slash", text: "/a", want: "m:/@1 s:a@1 ;" },
  { name: "a word does not begin with @, * or %", text: "@a *b %c", want: "m:@@1 s:a@1 m:*@1 s:b@1 m:%@1 s:c@1 ;" },
  {
    name: "marks end a word",
    text: "a,b=c<d>e{f}",
    want: "s:a@1 m:,@1 s:b@1 m:=@1 s:c@1 m:<@1 s:d@1 m:>@1 s:e@1 m:{@1 s:f@1 m:}@1 ;",
  },
  { name: "an arrow is one token", text: "a => b = > c", want: "s:a@1 m:=>@1 s:b@1 m:=@1 m:>@1 s:c@1 ;" },
  { name: "digits are a number", text: "25", want: "n:25@1 ;" },
  { name: "a number may be negative", text: "-25", want: "n:-25@1 ;" },
  {
    name: "a number ends at a comma, a brace, an equals sign",
    text: "1,2}3=4)",
    want: "n:1@1 m:,@1 n:2@1 m:}@1 n:3@1 m:=@1 n:4@1 m:)@1 ;",
  },
  { name: "a number ends at a slash", text: "10/8", want: "n:10@1 m:/@1 n:8@1 ;" },
  { name: "digits with a unit are a word", text: "4d 35M", want: "s:4d@1 s:35M@1 ;" },
  { name: "an address is a word", text: "127.0.0.1", want: "s:127.0.0.1@1 ;" },
  { name: "digits before a comment are a word", text: "25#x", want: "s:25@1 ;" },
  { name: "a lone minus is a mark", text: "- a", want: "m:-@1 s:a@1 ;" },
  { name: "a minus before a word is a mark", text: "-5d", want: "m:-@1 s:5d@1 ;" },
  { name: "a 64-bit number is one", text: "9223372036854775807", want: "n:9223372036854775807@1 ;" },
  {
    name: "a longer number is an error",
    text: "9223372036854775808 a\nb",
    want: 'bad:"9223372036854775808" is an invalid number: too large@1 ; s:b@2 ;',
  },
  { name: "a word of 8096 characters is one", text: "a".repeat(8096), want: `s:${"a".repeat(8096)}@1 ;` },
  { name: "a longer word is an error", text: `${"a".repeat(8097)} b`, want: "bad:string is too long@1 ;" },
  {
    name: "a longer quoted string is an error",
    text: `"${"a".repeat(8097)}" b\nc`,
    want: "bad:string is too long@1 ; s:c@2 ;",
  },
  { name: "a macro stands for its value", text: "$a", macros: { a: "b" }, want: "s:b@1 ;" },
  {
    name: "a macro may be several tokens, keywords too",
    text: "x $a y",
    macros: { a: "tls port 25" },
    want: "s:x@1 k:tls@1 k:port@1 n:25@1 s:y@1 ;",
  },
  { name: "a macro's quotes are quotes", text: "$a", macros: { a: '"b c"' }, want: "s:b c@1 ;" },
  { name: "a macro's end goes on with what follows", text: "$a.d", macros: { a: "b c" }, want: "s:b@1 s:c.d@1 ;" },
  { name: "a dollar inside a value is not expanded", text: "$a", macros: { a: "$b", b: "c" }, want: "m:$@1 s:b@1 ;" },
  { name: "a dollar inside a word is not expanded", text: "x$a", macros: { a: "b" }, want: "s:x$a@1 ;" },
  { name: "a dollar inside quotes is not expanded", text: '"$a"', macros: { a: "b" }, want: "s:$a@1 ;" },
  { name: "an empty macro is nothing", text: "x $a y", macros: { a: "" }, want: "s:x@1 s:y@1 ;" },
  {
    name: "newlines in a macro do not count as lines",
    text: "$a\nd",
    macros: { a: "b\nc" },
    want: "s:b@1 ; s:c@1 ; s:d@2 ;",
  },
  {
    name: "an unknown macro gives up the line",
    text: "a $b c\nd",
    want: 's:a@1 bad:macro "b" is not defined@1 ; s:d@2 ;',
  },
  {
    name: "an unknown macro",
    text: "$mailrot",
    macros: { mailroot: "x" },
    want: 'bad:macro "mailrot" is not defined@1 ;',
  },
  { name: "letters beyond ASCII are marks outside quotes", text: 'é "é"', want: "m:é@1 s:é@1 ;" },
  { name: "a carriage return is a mark", text: "a\r\n", want: "s:a@1 m:\r@1 ; ;" },
];

for (const row of rows) {
  Deno.test(`Lexer: ${row.name}`, () => assert.equal(tokens(row.text, row.macros), row.want));
}
