import assert from "node:assert/strict";
import { MAX_COMMAND_OCTETS, parseCommand } from "../../src/smtp/session/command.ts";
import { CommandLines } from "../../src/smtp/lines.ts";
import { mailParameters, rcptParameters } from "../../src/smtp/session/parameters.ts";
import { bytesOf } from "./support.ts";

const rows: readonly { line: string; verb: string; argument?: string; because: string }[] = [
  { line: "HELO a.example", verb: "HELO", argument: "a.example", because: "a verb and an argument" },
  { line: "ehlo   a.example  ", verb: "EHLO", argument: "a.example", because: "case and blanks do not matter" },
  {
    line: "MAIL FROM:<a@b> SIZE=1",
    verb: "MAIL",
    argument: "<a@b> SIZE=1",
    because: "the argument is behind the colon",
  },
  { line: "mail from: <a@b>", verb: "MAIL", argument: "<a@b>", because: "a blank behind the colon is tolerated" },
  { line: "MAIL FROM :<a@b>", verb: "malformed", argument: "MAIL", because: "one before it is not" },
  { line: "MAIL  FROM:<a@b>", verb: "malformed", argument: "MAIL", because: "nor are two behind the verb" },
  { line: "MAIL", verb: "malformed", argument: "MAIL", because: "MAIL alone is known, but not enough" },
  { line: "MAIL FROM", verb: "malformed", argument: "MAIL", because: "nor without its colon" },
  { line: "MAIL FROM:", verb: "MAIL", argument: "", because: "an empty argument is for the session to refuse" },
  { line: "MAIL TO:<a@b>", verb: "malformed", argument: "MAIL", because: "MAIL has FROM" },
  { line: "MAIL\tFROM:<a@b>", verb: "malformed", argument: "MAIL", because: "a tab is no blank" },
  { line: "rcpt from:<a@b>", verb: "malformed", argument: "RCPT", because: "RCPT has TO" },
  { line: "RCPT", verb: "malformed", argument: "RCPT", because: "RCPT alone is not enough" },
  { line: "RCPT <a@b>", verb: "malformed", argument: "RCPT", because: "nor is an address without TO" },
  { line: "MAILFROM:<a@b>", verb: "unknown", because: "a longer word" },
  { line: "RCPT:<a@b>", verb: "unknown", because: "another word" },
  { line: "STARTTLS\tx", verb: "malformed", argument: "STARTTLS", because: "a tab behind a longer verb" },
  { line: "BDAT\t3", verb: "malformed", argument: "BDAT", because: "a tab behind BDAT" },
  { line: "RCPT TO:<a@b>", verb: "RCPT", argument: "<a@b>", because: "RCPT" },
  { line: "DATA", verb: "DATA", argument: "", because: "no argument" },
  { line: "DATA ", verb: "DATA", argument: "", because: "a blank at the end is no argument" },
  { line: "DATAX", verb: "unknown", because: "a longer word" },
  { line: "DATA\tx", verb: "malformed", argument: "DATA", because: "only a blank separates" },
  { line: "STARTTLS", verb: "STARTTLS", argument: "", because: "a longer verb" },
  { line: "STARTTLSX", verb: "unknown", because: "an even longer word" },
  { line: "STARTLESS", verb: "unknown", because: "not STARTTLS" },
  { line: "NOOP a b", verb: "NOOP", argument: "a b", because: "an argument with a blank" },
  { line: "GET / HTTP/1.1", verb: "HTTP", argument: "", because: "a browser" },
  { line: "post /x HTTP/1.0", verb: "HTTP", argument: "", because: "methods in lower case" },
  { line: "CONNECT mx.example.org:25 HTTP/1.1", verb: "HTTP", argument: "", because: "a proxy's client" },
  { line: "GET", verb: "HTTP", argument: "", because: "HTTP before it had versions" },
  { line: "PROPFIND /dav HTTP/1.1 ", verb: "HTTP", argument: "", because: "a method that is known by what follows" },
  { line: "PRI * HTTP/2.0", verb: "HTTP", argument: "", because: "the preface of HTTP/2" },
  { line: "GETTER", verb: "unknown", argument: "", because: "a word that only begins like a method" },
  { line: "Host: a.example", verb: "unknown", argument: "", because: "no method" },
  { line: "wiz", verb: "WIZ", argument: "", because: "three letters" },
  { line: "", verb: "unknown", because: "an empty line" },
  { line: ".", verb: "unknown", because: "a dot" },
  { line: " NOOP", verb: "unknown", because: "no blank may stand in front" },
  { line: "\x0dATA", verb: "unknown", because: "a control character is not a letter" },
];
for (const { line, verb, argument, because } of rows) {
  Deno.test(`parseCommand(${JSON.stringify(line)}) is ${verb}: ${because}`, () => {
    const bytes = bytesOf(`xx${line}\r\n`);
    assert.deepEqual(parseCommand(bytes, 2, bytes.length - 2), { verb, argument: argument ?? "", line });
  });
}

const secrets: readonly { line: string; shown: string; because: string }[] = [
  { line: "AUTH PLAIN AHUAcA==", shown: "AUTH PLAIN ********", because: "an initial response" },
  { line: "auth plain  AHUAcA== x", shown: "auth plain  ********", because: "whatever follows, in any case" },
  { line: "AUTH\tPLAIN\tAHUAcA==", shown: "AUTH\tPLAIN\t********", because: "though it is no command at all" },
  { line: " AUTH PLAIN AHUAcA==", shown: " AUTH PLAIN ********", because: "nor is one with a blank in front" },
  { line: "AUTHPLAIN AHUAcA==", shown: "AUTHPLAIN ********", because: "nor one without the blank" },
  { line: "AUTH AHUAcA==", shown: "AUTH ********", because: "the mechanism was forgotten" },
  { line: "AUTH PLAINAHUAcA==", shown: "AUTH ********", because: "the blank behind it was" },
  { line: "AUTHAHUAcA==", shown: "AUTH ********", because: "both blanks were" },
  { line: "AUTH PLAIN", shown: "AUTH PLAIN", because: "there is nothing to hide" },
  { line: "authplain AHUAcA== AHUAcA==", shown: "authplain ********", because: "the word behind is no mechanism" },
  { line: "AUTH LOGIN", shown: "AUTH LOGIN", because: "a mechanism is no secret" },
  { line: "NOOP AUTH PLAIN x", shown: "NOOP AUTH PLAIN x", because: "other commands have none" },
];
for (const { line, shown, because } of secrets) {
  Deno.test(`parseCommand(${JSON.stringify(line)}) shows the log ${JSON.stringify(shown)}: ${because}`, () => {
    assert.equal(parseCommand(bytesOf(line), 0, line.length).line, shown);
  });
}

Deno.test("parseCommand() shows what is not ASCII as UTF-8, bad sequences replaced", () => {
  const bytes = new TextEncoder().encode("NOOP j\u00f6rg");
  assert.equal(parseCommand(bytes, 0, bytes.length).line, "NOOP j\u00f6rg");
  const bad = bytesOf("NOOP \xff");
  assert.equal(parseCommand(bad, 0, bad.length).line, "NOOP \ufffd");
});

const streams: readonly { input: string; want: readonly string[]; because: string }[] = [
  { input: "NOOP a\r\nNOOP b\r\n", want: ["NOOP a", "NOOP b"], because: "two lines" },
  { input: "NOOP a\r\nNOOP b", want: ["NOOP a"], because: "the second has no end" },
  { input: "NOOP\n", want: ["! Bare"], because: "LF alone ends no line" },
  { input: "NO\rOP\r\n", want: ["! Bare"], because: "CR inside a line" },
  { input: "NOOP\r\r\n", want: ["! Bare"], because: "two CR" },
  { input: "\n", want: ["! Bare"], because: "LF at once" },
  { input: "NO\0P\r\n", want: ["! NUL"], because: "NUL" },
  {
    input: `NOOP ${"x".repeat(MAX_COMMAND_OCTETS - 5)}\r\n`,
    want: [`NOOP ${"x".repeat(MAX_COMMAND_OCTETS - 5)}`],
    because: "longest",
  },
  {
    input: `NOOP ${"x".repeat(MAX_COMMAND_OCTETS - 4)}\r\n`,
    want: ["! Command line too long"],
    because: "one octet more",
  },
  { input: "x".repeat(MAX_COMMAND_OCTETS + 2), want: ["! Command line too long"], because: "no end in sight" },
];
for (const { input, want, because } of streams) {
  Deno.test(`CommandLines, split at every byte: ${because}`, () => {
    const bytes = bytesOf(input);
    // Long inputs are split at the places that matter.
    const splits = bytes.length < 100 ? [...bytes.keys()] : [1, 2046, 2047, 2048, 2049, bytes.length - 1];
    for (const split of splits) {
      const seen: string[] = [];
      const lines = new CommandLines();
      for (const part of [bytes.subarray(0, split), bytes.subarray(split)]) {
        for (let at = 0;;) {
          const next = lines.next(part, at);
          at = lines.position;
          if (next === null) break;
          seen.push(typeof next === "string" ? `! ${next.slice(10)}` : next.line);
          if (typeof next === "string") break;
        }
        if (seen.at(-1)?.startsWith("!")) break;
      }
      assert.equal(seen.length, want.length, `split at ${split}`);
      want.forEach((line, index) =>
        assert.ok(seen[index] === line || line.startsWith("!") && seen[index]!.includes(line.slice(2)), seen[index])
      );
    }
  });
}

const parameters: readonly { rest: string; of: "MAIL" | "RCPT"; utf8?: true; want: string; because: string }[] = [
  { of: "MAIL", rest: `ENVID=${"x".repeat(100)}`, want: "ok", because: "100 octets of ENVID" },
  { of: "MAIL", rest: `ENVID=${"x".repeat(101)}`, want: "501", because: "101 are too many" },
  { of: "MAIL", rest: "ENVID=a+2Bb", want: "ok", because: "xtext" },
  { of: "MAIL", rest: "ENVID=a+2", want: "501", because: "half of a hex pair" },
  { of: "MAIL", rest: "ENVID=\x1b[2J", want: "501", because: "a control character" },
  { of: "MAIL", rest: "RET=NONE", want: "501", because: "RFC 3461 §4.3: RET is FULL or HDRS" },
  { of: "MAIL", rest: "RET=FULL ret=FULL", want: "501", because: "RFC 3461 §4: no parameter comes twice" },
  { of: "MAIL", rest: "SIZE=1 BODY=7BIT SIZE=1", want: "501", because: "RFC 1870 §3: nor does SIZE" },
  { of: "MAIL", rest: "BODY=BINARYMIME", want: "555", because: "RFC 3030 §3: BINARYMIME is not offered" },
  { of: "MAIL", rest: "AUTH=<>", want: "ok", because: "RFC 4954 §5: nobody in particular" },
  { of: "MAIL", rest: "AUTH=e+3Dmc2@example.com", want: "ok", because: "RFC 4954 §5: an address in xtext" },
  { of: "MAIL", rest: "AUTH=", want: "501", because: "RFC 4954 §5: neither" },
  { of: "MAIL", rest: "AUTH=a+4", want: "501", because: "RFC 4954 §5: half of a hex pair" },
  { of: "MAIL", rest: "SIZE=", want: "501", because: "no digits" },
  { of: "MAIL", rest: "SIZE=000000000000000000001", want: "501", because: "more than 20 digits" },
  { of: "MAIL", rest: "smtputf8", want: "ok", because: "RFC 6531 §3.4: in any case" },
  { of: "MAIL", rest: "SMTPUTF8=yes", want: "501", because: "RFC 6531 §3.4: it has no value" },
  { of: "MAIL", rest: "REQUIRETLS", want: "ok", because: "RFC 8689 §2: under TLS" },
  { of: "MAIL", rest: "REQUIRETLS=1", want: "501", because: "RFC 8689 §2: it has no value" },
  { of: "RCPT", rest: `ORCPT=rfc822;${"x".repeat(493)}`, want: "ok", because: "500 octets of ORCPT" },
  { of: "RCPT", rest: `ORCPT=rfc822;${"x".repeat(494)}`, want: "501", because: "501 are too many" },
  { of: "RCPT", rest: "ORCPT=;a", want: "501", because: "no type" },
  { of: "RCPT", rest: "ORCPT=rf:c;a", want: "501", because: "the type is an atom" },
  { of: "RCPT", rest: "ORCPT=rfc822;a ORCPT=rfc822;a", want: "501", because: "RFC 3461 §4: no parameter comes twice" },
  { of: "RCPT", rest: "ORCPT=rfc822;j\u00f6rg", want: "501", because: "RFC 3461 §4: xtext is ASCII" },
  { of: "RCPT", rest: "ORCPT=utf-8;j\\x{F6}rg@example.org", want: "ok", because: "RFC 6533 §3: utf-8-addr-xtext" },
  { of: "RCPT", rest: "ORCPT=utf-8;j\\x{G6}rg@example.org", want: "501", because: "RFC 6533 §3: no hex digit" },
  {
    of: "RCPT",
    rest: "ORCPT=utf-8;j\u00f6rg@example.org",
    want: "501",
    because: "RFC 6533 §3: unitext needs SMTPUTF8",
  },
  {
    of: "RCPT",
    utf8: true,
    rest: "ORCPT=UTF-8;j\u00f6rg@example.org",
    want: "ok",
    because: "RFC 6533 §3: utf-8-addr-unitext",
  },
  { of: "RCPT", utf8: true, rest: "ORCPT=utf-8;j\ufffdrg@example.org", want: "501", because: "no UTF-8" },
  { of: "RCPT", rest: "NOTIFY=", want: "501", because: "an empty list" },
  { of: "RCPT", rest: "NOTIFY=delay,SUCCESS", want: "ok", because: "any case" },
];
for (const { rest, of, utf8, want, because } of parameters) {
  Deno.test(`parameters of ${of}, ${rest.slice(0, 30)}: ${because}`, () => {
    const parsed = of === "MAIL"
      ? mailParameters(rest, { dsn: true, maxBytes: 1000, tls: true })
      : rcptParameters(rest, { dsn: true, smtpUtf8: utf8 ?? false });
    assert.equal(parsed.ok ? "ok" : parsed.reply.slice(0, 3), want);
  });
}

Deno.test("parameters of MAIL, REQUIRETLS in clear is refused with 530 5.7.10 (RFC 8689 §2)", () => {
  const parsed = mailParameters("REQUIRETLS", { dsn: true, maxBytes: 1000, tls: false });
  assert.match(parsed.ok ? "" : parsed.reply, /^530 5\.7\.10 /);
});
