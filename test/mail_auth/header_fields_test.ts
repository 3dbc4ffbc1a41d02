import { deepStrictEqual, strictEqual } from "node:assert";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { fromDomains, headerFields, MAX_FROM_OCTETS } from "../../src/mail_auth/header_fields.ts";

const octets = (text: string) => new TextEncoder().encode(text);

const blocks: readonly { block: string; want: readonly (readonly [name: string, value: string])[]; because: string }[] =
  [
    { block: "", want: [], because: "there may be no field at all" },
    { block: "A: 1\nB: 2\n", want: [["a", "1"], ["b", "2"]], because: "names are compared in lower case" },
    {
      block: "Subject: a\n b\n\tc\nTo: x\n",
      want: [["subject", "a b\tc"], ["to", "x"]],
      because: "folded lines go on",
    },
    { block: "Subject \t: a\n", want: [["subject", "a"]], because: "blanks may stand before the colon" },
    { block: "From a@b Sat\nA: 1\n", want: [["", ""], ["a", "1"]], because: "mbox's line is no field" },
    { block: " x: 1\nA: 1\n", want: [["", ""], ["a", "1"]], because: "nothing is there that it could continue" },
    { block: "no colon\nA: 1\n", want: [["", ""], ["a", "1"]], because: "a field has a colon" },
    { block: "Größe: 1\n", want: [["", ""]], because: "names are ASCII, RFC 6532 §3.2" },
    { block: "A: 1", want: [["a", "1"]], because: "the last line end may be missing" },
    { block: "A:\nB:  \n", want: [["a", ""], ["b", ""]], because: "values may be empty" },
    { block: "A: ü\n", want: [["a", "ü"]], because: "values are UTF-8" },
  ];
for (const { block, want, because } of blocks) {
  Deno.test(`headerFields(${JSON.stringify(block)}): ${because}`, () => {
    const fields = headerFields(octets(block));
    deepStrictEqual(fields.map((field) => [field.name, field.value()]), want);
    deepStrictEqual(Buffer.concat(fields.map((field) => field.octets)).toString(), block);
  });
}

Deno.test("headerFields() keeps every octet of anything, and From of anything is judged", () => {
  const piece = fc.constantFrom(
    ...'From: ,to:,\n,\n ,\t,<,>,@,",\\,(,),[,],.,;,=?utf-8?q?,?=,a,b.c,ü,\0,\r'.split(","),
    ",",
  );
  fc.assert(fc.property(
    fc.oneof(
      fc.uint8Array({ maxLength: 200 }),
      fc.array(piece, { maxLength: 60 }).map((parts) => octets("From:" + parts.join(""))),
    ),
    (block) => {
      const fields = headerFields(block);
      deepStrictEqual(Buffer.concat(fields.map((field) => field.octets)), Buffer.from(block));
      const found = fromDomains(fields);
      if (found.kind === "one") strictEqual(/^[a-z0-9_.-]+$/.test(found.domain), true, found.domain);
    },
  ));
});

Deno.test("From is read up to 16 KiB", () => {
  const from = (length: number) => fromDomains(headerFields(octets(`From: <a@example.org>${" ".repeat(length)}\n`)));
  deepStrictEqual(from(10_000), { kind: "one", domain: "example.org" });
  deepStrictEqual(from(MAX_FROM_OCTETS), { kind: "invalid" });
});

const froms: readonly { from: string | readonly string[]; want: string; because: string }[] = [
  { from: "a@Example.ORG", want: "example.org", because: "an address is enough" },
  { from: "Joe Q. Public <a@example.org>", want: "example.org", because: "the address stands in <>" },
  { from: '"Joe, <x@other.net>" <a@example.org>', want: "example.org", because: "quoted is no address" },
  { from: '"a@other.net"@example.org', want: "example.org", because: "a local part may be quoted" },
  { from: '"a\\"@other.net"@example.org', want: "example.org", because: "a quote may be quoted" },
  { from: "a@example.org (x@other.net)", want: "example.org", because: "a comment is no address" },
  { from: "a(b(c)d\\))@(e)example(f).(g)org", want: "example.org", because: "comments stand anywhere" },
  { from: "Joe\n <a@example.org>", want: "example.org", because: "the field may be folded" },
  { from: "a@example.org.", want: "example.org", because: "the root is left out" },
  { from: "<@x.net,@y.net:a@example.org>", want: "example.org", because: "a route names no author" },
  { from: "Team: a@example.org, B <b@example.org>;", want: "example.org", because: "groups are allowed, RFC 6854" },
  { from: "a@example.org, b@EXAMPLE.org", want: "example.org", because: "two authors of one domain" },
  { from: ", a@example.org ,,", want: "example.org", because: "elements may be empty, RFC 5322 §4.4" },
  { from: "=?utf-8?Q?Joe,_Inc=2E?= <a@example.org>", want: "example.org", because: "an encoded word is one word" },
  { from: "=?utf-8?B?YUBvdGhlci5uZXQ=?= <a@example.org>", want: "example.org", because: "it hides no address" },
  { from: "a@example.org <a@example.org>", want: "example.org", because: "many write it twice" },
  { from: "Joe @ Work <a@example.org>", want: "example.org", because: "no domain is meant" },
  { from: "a..b.@example.org", want: "example.org", because: "some local parts have such dots" },
  { from: "a@bücher.example", want: "xn--bcher-kva.example", because: "domains are compared as A-labels" },
  { from: "用户@例子.广告", want: "xn--fsqu00a.xn--4rr70v", because: "mailboxes may be beyond ASCII, RFC 6531" },
  { from: "a@xn--bcher-kva.example", want: "xn--bcher-kva.example", because: "that is one" },
  { from: "a@example.org, b@other.net", want: "several", because: "two authors of two domains" },
  { from: "a@other.net <a@example.org>", want: "several", because: "programs differ in which they take" },
  { from: "Team: a@example.org; b@other.net", want: "several", because: "something stands behind the group" },
  { from: ["a@example.org", "a@example.org"], want: "several", because: "RFC 5322 §3.6 allows one field" },
  { from: [], want: "none", because: "there is no field" },
  { from: "", want: "none", because: "the field is empty" },
  { from: "undisclosed: ;", want: "none", because: "the group is empty" },
  { from: "(a@example.org)", want: "none", because: "a comment is no address" },
  { from: "Joe", want: "invalid", because: "no address is there" },
  { from: "<>", want: "invalid", because: "nobody is no author" },
  { from: "<@example.org>", want: "invalid", because: "a local part is missing" },
  { from: "a@", want: "invalid", because: "a domain is missing" },
  { from: "a@b@example.org", want: "invalid", because: "programs differ in which @ counts" },
  { from: "a@example.org>", want: "invalid", because: "a bracket is missing" },
  { from: "<a@example.org", want: "invalid", because: "a bracket is missing" },
  { from: "<a@example.org> <b@other.net>", want: "invalid", because: "a comma is missing" },
  { from: "<a@example.org> b@other.net", want: "invalid", because: "something stands behind" },
  { from: "a@example.org b@other.net", want: "invalid", because: "a comma is missing" },
  { from: '"Joe <a@example.org>', want: "invalid", because: "a quote is missing" },
  { from: "Joe (x <a@example.org>", want: "invalid", because: "the comment does not end" },
  { from: "a@[192.0.2.1]", want: "invalid", because: "an address of a host has no policy" },
  { from: "a@example.org, Joe", want: "invalid", because: "one of two is no address" },
  { from: "a@exa mple.org", want: "invalid", because: "a name has no blanks" },
  { from: "a@-x.org", want: "invalid", because: "no host is called so" },
  { from: "a@example.org\0.other.net", want: "invalid", because: "no host is called so" },
  { from: "a@other.net: a@example.org;", want: "invalid", because: "not all programs know groups" },
  { from: "a@other.net:;", want: "invalid", because: "not all programs know groups" },
  { from: "a@other.net\0 <a@example.org>", want: "invalid", because: "a text may end at a NUL" },
  { from: '"\x1b[2K" <a@example.org>', want: "invalid", because: "no name has control characters" },
  { from: "=?utf-8?Q?<a@other.net>?= <a@example.org>", want: "invalid", because: "programs differ in what it is" },
];
for (const { from, want, because } of froms) {
  Deno.test(`fromDomains(${JSON.stringify(from)}) is ${want}: ${because}`, () => {
    const block = [from].flat().map((value) => `From: ${value}\n`).join("");
    const found = fromDomains(headerFields(octets(`Subject: x\n${block}To: y@z.example\n`)));
    strictEqual(found.kind === "one" ? found.domain : found.kind, want);
  });
}
