/** Format specifiers of paths and commands: the examples of smtpd.conf(5), ranges, modifiers, what is made harmless. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { expandFormat, expandPath, type FormatValues } from "../../src/delivery/mod.ts";

const VALUES: FormatValues = {
  sender: { local: "Al+x", domain: "Ex.org" },
  rcpt: { local: "Bob+tag", domain: "Example.org" },
  dest: { local: "bob", domain: "inner.example.org" },
  username: "bob",
  directory: "/home/bob",
};
const NULL_SENDER = { ...VALUES, sender: null };
const from = (local: string): FormatValues => ({ ...VALUES, sender: { local, domain: "x.org" } });
const to = (local: string): FormatValues => ({ ...VALUES, rcpt: { local, domain: "x.org" } });
const BAD = Symbol("error");

interface Row {
  readonly template: string;
  readonly want: string | typeof BAD;
  readonly because: string;
  readonly values?: FormatValues;
}

const rows: Row[] = [
  { template: "%{rcpt}", want: "Bob+tag@Example.org", because: "+ and @ are harmless" },
  { template: "%{rcpt.user:strip|lowercase}", want: "bob", because: "modifiers apply from left to right" },
  { template: "%{rcpt:strip}", want: "Bob@Example.org", because: "strip keeps the domain" },
  { template: "%{rcpt.domain[0]}", want: "E", because: "a range of one character" },
  { template: "%{rcpt.domain[-3:]}", want: "org", because: "a negative begin counts from the end" },
  { template: "%{rcpt.domain[0:-4]}", want: "Example", because: "a negative end is one less" },
  { template: "%{rcpt.domain[:3]}", want: "Exam", because: "the end is inclusive" },
  { template: "%{rcpt.domain[-1]}", want: BAD, because: "a single negative index ends before it begins" },
  { template: "%{rcpt.domain[50]}", want: BAD, because: "there is no such character" },
  { template: "%{rcpt.domain[2:50]}", want: "ample.org", because: "an end beyond the end is clipped" },
  { template: "%{rcpt.domain[3:1]}", want: BAD, because: "the end is before the begin" },
  { template: "%{rcpt.domain[1025:]}", want: BAD, because: "ranges have a limit" },
  { template: "%{rcpt.domain[]}", want: BAD, because: "an empty range says nothing" },
  { template: "%{rcpt.domain[x]}", want: BAD, because: "a range is made of numbers" },
  { template: "%{user.directory}/m", want: "/home/bob/m", because: "the home of the account" },
  { template: "~/m", want: "/home/bob/m", because: "a tilde at the very beginning is the home" },
  { template: "x ~/m", want: "x ~/m", because: "a tilde elsewhere is a tilde" },
  { template: "~bob/m", want: "~bob/m", because: "only ~/ is the home" },
  { template: "%%{rcpt}", want: "%{rcpt}", because: "two percent signs are one" },
  { template: "date +%Y 100%", want: "date +%Y 100%", because: "a lone percent sign stays" },
  { template: "[%{sender}]", want: "[]", because: "the null sender is empty", values: NULL_SENDER },
  { template: "%{sender[3]}", want: "", because: "a range of nothing is nothing", values: NULL_SENDER },
  { template: "%{mbox.from}", want: "MAILER-DAEMON", because: "bounces come from there", values: NULL_SENDER },
  { template: "%{mbox.from}", want: "Al+x@Ex.org", because: "else it is the sender" },
  { template: "%{nosuch}", want: BAD, because: "there is no such token" },
  { template: "%{rcpt.nosuch}", want: BAD, because: "an address has two parts" },
  { template: "%{mda}", want: BAD, because: "there is no wrapped command" },
  { template: "%{rcpt", want: BAD, because: "the brace is never closed" },
  { template: "%{}", want: BAD, because: "a token has a name" },
  { template: `%{rcpt:${"raw|".repeat(40)}raw}`, want: BAD, because: "a token has fewer than 128 characters" },
  { template: "%{RCPT.User}", want: "Bob+tag", because: "tokens are case-insensitive" },
  {
    template: "%{dest.user}@%{dest.domain}",
    want: "bob@inner.example.org",
    because: "dest is the address after expansion",
  },
  { template: "%{user.username}", want: "bob", because: "the recipient's account" },
  { template: "%{rcpt.user[0:2]:lowercase}", want: "bob", because: "modifiers may follow a range" },
  { template: "%{rcpt.user[0:2]:uppercase}", want: "BOB", because: "modifiers may follow a range" },
  { template: "%{rcpt.user:backwards}", want: BAD, because: "there is no such modifier" },
  { template: "%{rcpt.user:strip:raw}", want: BAD, because: "modifiers are separated by bars" },
  { template: "%{sender.user}", want: "a:b", because: "a bar could start a command", values: from("a|b") },
  { template: "%{sender.user:raw}", want: "a|b", because: "raw asks for it", values: from("a|b") },
  {
    template: "%{sender.user}",
    want: "::::::::::::::",
    because: "the whole set is replaced",
    values: from("!#$%&'*?`{|}~|"),
  },
  {
    template: "%{sender.user}",
    want: "::reboot::",
    because: "a quoted local part is no command",
    values: from('";reboot;"'),
  },
  { template: "%{sender.user}", want: "::x::y:", because: "a line end is no separator", values: from('"\nx >y"') },
  { template: "%{rcpt.user}", want: "a/b", because: "in a command a slash is harmless", values: to("a/b") },
  { template: "%{rcpt.user[1]}", want: "é", because: "a character is not an octet", values: to("Zé") },
  { template: "x".repeat(1024), want: BAD, because: "the result has fewer than 1024 octets" },
];
for (const { template, want, because, values } of rows) {
  const shown = template.length > 50 ? template.slice(0, 50) + "…" : template;
  Deno.test(`expandFormat() of ${shown} gives ${want === BAD ? "an error" : want}: ${because}`, () => {
    const expanded = expandFormat(template, values ?? VALUES, "+");
    assert.equal(expanded.ok ? expanded.text : BAD, want);
  });
}

const paths: Row[] = [
  {
    template: "/m/%{rcpt.user}",
    want: "/m/a:b",
    because: "a slash would name somebody else's folder",
    values: to("a/b"),
  },
  { template: "/m/%{rcpt.user:raw}", want: "/m/a:b", because: "raw does not change that", values: to("a/b") },
  { template: "/m/%{rcpt.user}/x", want: BAD, because: "`..` climbs out", values: to("..") },
  { template: "/m/%{rcpt.user}", want: BAD, because: "`.` is the folder of all", values: to(".") },
  { template: "/m/%{rcpt.user[0]}.", want: BAD, because: "`..` may be put together", values: to(".x") },
  {
    template: "/m/../n/%{rcpt.user}",
    want: "/m/../n/a",
    because: "what the administrator wrote stands",
    values: to("a"),
  },
  { template: "~/%{rcpt.user}", want: "/home/bob/a", because: "the home keeps its slashes", values: to("a") },
  { template: "/m/%{rcpt.user:raw}", want: BAD, because: "no path holds a NUL", values: to("a\0b") },
];
for (const { template, want, because, values } of paths) {
  Deno.test(`expandPath() of ${template} with ${JSON.stringify(values?.rcpt.local)} gives ${want === BAD ? "an error" : want}: ${because}`, () => {
    const expanded = expandPath(template, values ?? VALUES, "+");
    assert.equal(expanded.ok ? expanded.text : BAD, want);
  });
}

Deno.test("expandPath() never throws, and what it gives stays below the folder of the template", () => {
  const local = fc.string({ unit: fc.constantFrom("a", "B", ".", "/", "+", "%", "{", "}", "\0", "\n", '"', "é") });
  const token = fc.constantFrom(
    "%{rcpt.user}",
    "%{rcpt.user:raw}",
    "%{rcpt.user[0]}",
    "%{rcpt:strip}",
    "/",
    ".x",
    "%",
    "%{",
  );
  fc.assert(fc.property(local, fc.array(token, { maxLength: 6 }), (name, tokens) => {
    const expanded = expandPath(`/mail/${tokens.join("")}`, to(name), "+");
    if (!expanded.ok) return;
    const parts = expanded.text.split("/");
    assert.equal(parts[1], "mail");
    assert.ok(!parts.includes("..") && !parts.includes("."), expanded.text);
  }));
});
Deno.test("expandFormat() hands the shell nothing but harmless characters, whatever the sender", () => {
  fc.assert(fc.property(fc.string({ unit: "binary" }), (name) => {
    const expanded = expandFormat("%{sender.user}", from(name), "+");
    if (expanded.ok) assert.ok(!/[ \t\r\n"$'`\\;&|<>(){}*?!#~\0]/.test(expanded.text), expanded.text);
  }));
});

/** `.It Li %{…}` and the value below it, under "Format specifiers". */
const documented = Deno.readTextFileSync(new URL("../../conf/man/smtpd.conf.5", import.meta.url))
  .matchAll(/^\.It Li (%\{.*\})\n\.Li (\S+)/gm).toArray();

Deno.test("smtpd.conf(5) says what format specifiers stand for", () => {
  assert.ok(documented.length >= 14, `${documented.length}`);
  const values: FormatValues = {
    sender: { local: "alice", domain: "example.net" },
    rcpt: { local: "Bob+tag", domain: "example.org" },
    dest: { local: "bob", domain: "example.org" },
    username: "bob",
    directory: "/home/bob",
  };
  for (const [, template, text] of documented) {
    assert.deepEqual(expandFormat(template!, values, "+"), { ok: true, text });
  }
});
