/** Evaluation of match rules. */

import assert from "node:assert/strict";
import type { Rule } from "../../src/config/mod.ts";
import { RuleSet, type Subject } from "../../src/rules/mod.ts";
import { TableSet } from "../../src/tables/mod.ts";
import { forAny, fromAny, HERE, list, mailbox, rule, subject, test } from "./support.ts";

const TABLES = [
  list("doms", "example.com", "*.example.net"),
  list("nets", "203.0.113.0/24", "[2001:db8::/32]"),
  list("names", "*.example.net"),
  list("tags", "office"),
  list("helos", "*.example.net"),
  list("logins", "carol", "dave@example.com"),
  list("senders", "@example.net", "root"),
  list("withlocal", "local"),
  list("patterns", "^203\\.0\\.113\\.", "^mx[0-9]*\\.", "^carol$", "@EXAMPLE\\.(net|com)$".toLowerCase(), "(broken"),
  list("empty"),
  list("idn", "b\u00fccher.example", "*.b\u00fccher.example", "xn--r8jz45g.example", "@stra\u00dfe.example"),
];

function decide(rules: readonly Rule[], what: Subject): string {
  const set = new TableSet(Object.fromEntries(TABLES.map((table) => [table.name, table])), HERE, "+");
  const decision = new RuleSet(rules, set).match(what);
  return decision.kind === "action" ? decision.name : decision.kind;
}

const rdns = (table: string | null, negated = false): Rule["from"] => ({
  kind: "rdns",
  negated,
  test: table === null ? null : test(table),
});
const src = (table: string, negated = false): Rule["from"] => ({ kind: "source", ...test(table, negated) });
const pattern = (negated = false) => ({ table: "patterns", negated, regex: true });
const socket = (negated = false): Rule["from"] => ({ kind: "socket", negated });
const login = (username: string) => ({ authenticated: true, username });
const remote = { address: "203.0.113.5", hostname: "mx.example.net" };
const nameless = { ...remote, hostname: "<unknown>" };
const anyway = { from: fromAny, for: forAny };

const rows: {
  because: string;
  rule: Parameters<typeof rule>[0];
  subject: Parameters<typeof subject>[0];
  want: boolean;
}[] = [
  { because: "the defaults are from local, for local", rule: {}, subject: {}, want: true },
  { because: "the local socket is local", rule: {}, subject: { origin: { address: "local" } }, want: true },
  { because: "IPv6 loopback is local", rule: {}, subject: { origin: { address: "[::1]" } }, want: true },
  { because: "a remote client is not local", rule: {}, subject: { origin: remote }, want: false },
  { because: "for local is the server's name", rule: {}, subject: { dest: mailbox("b@MAIL.example.org") }, want: true },
  { because: "for local is its address", rule: {}, subject: { dest: mailbox("b@[127.0.0.1]") }, want: true },
  { because: "for local is no other domain", rule: {}, subject: { dest: mailbox("b@example.com") }, want: false },
  {
    because: "for domain, by name",
    rule: { for: test("doms") },
    subject: { dest: mailbox("b@Example.COM") },
    want: true,
  },
  {
    because: "for domain, by wildcard",
    rule: { for: test("doms") },
    subject: { dest: mailbox("b@a.example.net") },
    want: true,
  },
  {
    because: "for domain, negated",
    rule: { for: test("doms", true) },
    subject: { dest: mailbox("b@x.test") },
    want: true,
  },
  {
    because: "for domain in A-labels, the table in U-labels (RFC 5890 \u00a72.3.2.1)",
    rule: { for: test("idn") },
    subject: { dest: mailbox("b@XN--bcher-kva.example") },
    want: true,
  },
  {
    because: "the same by a wildcard",
    rule: { for: test("idn") },
    subject: { dest: mailbox("b@a.xn--bcher-kva.example") },
    want: true,
  },
  {
    because: "for domain in A-labels, as is the table",
    rule: { for: test("idn") },
    subject: { dest: mailbox("b@xn--r8jz45g.example") },
    want: true,
  },
  {
    because: "for another domain in A-labels",
    rule: { for: test("idn") },
    subject: { dest: mailbox("b@xn--strae-oqa.example") },
    want: false,
  },
  {
    because: "mail-from in A-labels, the table in U-labels",
    rule: { for: forAny, mailFrom: test("idn") },
    subject: { sender: mailbox("jos\u00e9@xn--strae-oqa.example"), dest: mailbox("b@x.test") },
    want: true,
  },
  { because: "for any", rule: { for: forAny }, subject: { dest: mailbox("b@x.test") }, want: true },
  { because: "from any", rule: { from: fromAny }, subject: { origin: remote }, want: true },
  { because: "from any, negated", rule: { from: src("<anyhost>", true) }, subject: { origin: remote }, want: false },
  { because: "from src, IPv4", rule: { from: src("nets") }, subject: { origin: remote }, want: true },
  {
    because: "from src, IPv6",
    rule: { from: src("nets") },
    subject: { origin: { address: "[2001:db8::9]" } },
    want: true,
  },
  {
    because: "from src, another",
    rule: { from: src("nets") },
    subject: { origin: { address: "192.0.2.1" } },
    want: false,
  },
  {
    because: "!from src, another",
    rule: { from: src("nets", true) },
    subject: { origin: { address: "192.0.2.1" } },
    want: true,
  },
  { because: "!from local", rule: { from: src("<localhost>", true) }, subject: { origin: remote }, want: true },
  { because: "!from local, from local", rule: { from: src("<localhost>", true) }, subject: {}, want: false },
  { because: "from socket", rule: { from: socket() }, subject: { origin: { address: "local" } }, want: true },
  { because: "from socket, over loopback", rule: { from: socket() }, subject: {}, want: false },
  { because: "!from socket, over loopback", rule: { from: socket(true) }, subject: {}, want: true },
  { because: "from rdns, with a name", rule: { from: rdns(null) }, subject: { origin: remote }, want: true },
  { because: "from rdns, without a name", rule: { from: rdns(null) }, subject: { origin: nameless }, want: false },
  {
    because: "!from rdns, without a name",
    rule: { from: rdns(null, true) },
    subject: { origin: nameless },
    want: true,
  },
  { because: "from rdns <names>", rule: { from: rdns("names") }, subject: { origin: remote }, want: true },
  { because: "!from rdns <names>", rule: { from: rdns("names", true) }, subject: { origin: remote }, want: false },
  {
    because: "!from rdns <tags>, not in it",
    rule: { from: rdns("tags", true) },
    subject: { origin: remote },
    want: true,
  },
  { because: "from rdns <names>, nameless", rule: { from: rdns("names") }, subject: { origin: nameless }, want: false },
  {
    because: "!from rdns <names>, nameless",
    rule: { from: rdns("names", true) },
    subject: { origin: nameless },
    want: false,
  },
  { because: "tag", rule: { tag: test("tags") }, subject: { origin: { tag: "Office" } }, want: true },
  { because: "tag, none", rule: { tag: test("tags") }, subject: {}, want: false },
  { because: "!tag, none", rule: { tag: test("tags", true) }, subject: {}, want: true },
  { because: "helo", rule: { helo: test("helos") }, subject: { origin: { helo: "MX.example.net" } }, want: true },
  {
    because: "helo, another",
    rule: { helo: test("helos") },
    subject: { origin: { helo: "mx.example.com" } },
    want: false,
  },
  { because: "auth", rule: { auth: { negated: false, test: null } }, subject: { origin: login("carol") }, want: true },
  {
    because: "auth, local submission",
    rule: { auth: { negated: false, test: null } },
    subject: { origin: login("") },
    want: true,
  },
  { because: "auth, none", rule: { auth: { negated: false, test: null } }, subject: {}, want: false },
  { because: "!auth, none", rule: { auth: { negated: true, test: null } }, subject: {}, want: true },
  {
    because: "auth <logins>",
    rule: { auth: { negated: false, test: test("logins") } },
    subject: { origin: login("Carol") },
    want: true,
  },
  {
    because: "auth <logins>, by address, with a tag",
    rule: { auth: { negated: false, test: test("logins") } },
    subject: { origin: login("dave+x@example.com") },
    want: true,
  },
  {
    because: "auth <logins>, eve",
    rule: { auth: { negated: false, test: test("logins") } },
    subject: { origin: login("eve") },
    want: false,
  },
  {
    because: "!auth <logins>, eve",
    rule: { auth: { negated: true, test: test("logins") } },
    subject: { origin: login("eve") },
    want: true,
  },
  {
    because: "auth <logins>, a name without a login is none",
    rule: { auth: { negated: false, test: test("logins") } },
    subject: { origin: { authenticated: false, username: "carol" } },
    want: false,
  },
  {
    because: "from src regex",
    rule: { from: { kind: "source", ...pattern() } },
    subject: { origin: remote },
    want: true,
  },
  {
    because: "!from src regex",
    rule: { from: { kind: "source", ...pattern(true) } },
    subject: { origin: remote },
    want: false,
  },
  {
    because: "from src regex, another",
    rule: { from: { kind: "source", ...pattern() } },
    subject: { origin: { address: "192.0.2.1" } },
    want: false,
  },
  {
    because: "from rdns regex",
    rule: { from: { kind: "rdns", negated: false, test: pattern() } },
    subject: { origin: remote },
    want: true,
  },
  {
    because: "!from rdns regex, nameless",
    rule: { from: { kind: "rdns", negated: true, test: pattern(true) } },
    subject: { origin: nameless },
    want: false,
  },
  {
    because: "for domain regex",
    rule: { for: pattern() },
    subject: { dest: mailbox("b@MX1.example.org") },
    want: true,
  },
  {
    because: "for domain regex, another",
    rule: { for: pattern() },
    subject: { dest: mailbox("b@a.mx1.example.org") },
    want: false,
  },
  { because: "tag regex", rule: { tag: pattern() }, subject: { origin: { tag: "Carol" } }, want: true },
  { because: "!tag regex, none", rule: { tag: pattern(true) }, subject: {}, want: true },
  { because: "helo regex", rule: { helo: pattern() }, subject: { origin: { helo: "MX9.example.org" } }, want: true },
  {
    because: "auth regex",
    rule: { auth: { negated: false, test: pattern() } },
    subject: { origin: login("Carol") },
    want: true,
  },
  {
    because: "auth regex, a name without a login is none",
    rule: { auth: { negated: false, test: pattern() } },
    subject: { origin: { authenticated: false, username: "carol" } },
    want: false,
  },
  {
    because: "!auth regex, not authenticated",
    rule: { auth: { negated: true, test: pattern(true) } },
    subject: {},
    want: true,
  },
  { because: "mail-from regex", rule: { mailFrom: pattern() }, subject: {}, want: true },
  { because: "mail-from regex, null sender", rule: { mailFrom: pattern() }, subject: { sender: null }, want: false },
  {
    because: "rcpt-to regex",
    rule: { rcptTo: pattern(), for: forAny },
    subject: { dest: mailbox("Bob@Example.COM") },
    want: true,
  },
  { because: "rcpt-to regex, another", rule: { rcptTo: pattern() }, subject: {}, want: false },
  {
    because: "mail-from regex, an empty table",
    rule: { mailFrom: { table: "empty", negated: false, regex: true } },
    subject: {},
    want: false,
  },
  { because: "tls, in clear", rule: { tls: { negated: false } }, subject: {}, want: false },
  { because: "tls, under TLS", rule: { tls: { negated: false } }, subject: { tls: true }, want: true },
  { because: "!tls, in clear", rule: { tls: { negated: true } }, subject: {}, want: true },
  { because: "mail-from, by domain", rule: { mailFrom: test("senders") }, subject: {}, want: true },
  {
    because: "mail-from, by user",
    rule: { mailFrom: test("senders") },
    subject: { sender: mailbox("Root@x.test") },
    want: true,
  },
  { because: "mail-from, null sender", rule: { mailFrom: test("senders") }, subject: { sender: null }, want: false },
  {
    because: "!mail-from, null sender",
    rule: { mailFrom: test("senders", true) },
    subject: { sender: null },
    want: true,
  },
  {
    because: "rcpt-to, by user",
    rule: { rcptTo: test("senders") },
    subject: { dest: mailbox("root+x@localhost") },
    want: true,
  },
  { because: "rcpt-to, another", rule: { rcptTo: test("senders") }, subject: {}, want: false },
  {
    because: "two criteria, one false",
    rule: { tls: { negated: false }, helo: test("helos") },
    subject: {},
    want: false,
  },
  { because: "internal is from local", rule: { for: forAny }, subject: { origin: remote, internal: true }, want: true },
  {
    because: "internal is not from src",
    rule: { from: src("nets") },
    subject: { origin: remote, internal: true },
    want: false,
  },
  {
    because: "internal is from src local",
    rule: { from: src("withlocal") },
    subject: { origin: remote, internal: true },
    want: true,
  },
  {
    because: "internal has no socket",
    rule: { from: socket() },
    subject: { origin: { address: "local" }, internal: true },
    want: false,
  },
  {
    because: "internal has no socket to negate",
    rule: { from: socket(true) },
    subject: { internal: true },
    want: false,
  },
  {
    because: "internal has no name",
    rule: { from: rdns(null) },
    subject: { origin: remote, internal: true },
    want: false,
  },
  {
    because: "internal has no name to negate",
    rule: { from: rdns(null, true) },
    subject: { origin: nameless, internal: true },
    want: false,
  },
  {
    because: "internal is named local",
    rule: { from: rdns("withlocal") },
    subject: { origin: remote, internal: true },
    want: true,
  },
];
for (const { because, rule: criteria, subject: parts, want } of rows) {
  Deno.test(`RuleSet.match() ${want ? "fits" : "does not fit"}: ${because}`, () => {
    assert.equal(decide([rule(criteria)], subject(parts)), want ? "a" : "none");
  });
}

Deno.test("RuleSet.match() takes the first rule that fits", () => {
  const rules = [
    rule({ for: test("doms"), action: "no" }),
    rule({ ...anyway, action: "one" }),
    rule({ ...anyway, action: "two" }),
  ];
  assert.equal(decide(rules, subject()), "one");
});

Deno.test("RuleSet.match() stops at a rule that rejects", () => {
  assert.equal(decide([rule({ reject: true }), rule()], subject()), "reject");
});

Deno.test("RuleSet.match() finds nothing without rules", () => assert.equal(decide([], subject()), "none"));

const long = "x".repeat(1100);
const errors: { because: string; rules: Rule[]; want: string }[] = [
  { because: "an error ends the evaluation", rules: [rule({ helo: test("helos") }), rule()], want: "error" },
  { because: "an error is not negated", rules: [rule({ helo: test("helos", true) }), rule()], want: "error" },
  {
    because: "a criterion that is false comes first",
    rules: [rule({ tag: test("tags"), helo: test("helos") }), rule()],
    want: "a",
  },
  { because: "a rule that fits comes first", rules: [rule(), rule({ helo: test("helos") })], want: "a" },
];
for (const { because, rules, want } of errors) {
  Deno.test(`RuleSet.match() with a HELO too long for a key: ${because}`, () => {
    assert.equal(decide(rules, subject({ origin: { helo: long } })), want);
  });
}

Deno.test("RuleSet refuses rules that name a table which is not there", () => {
  assert.throws(() => decide([rule({ for: test("nosuch") })], subject()), /no table "nosuch"/);
});

const unsure = { ...nameless, hostnameUnsure: true } as const;
const unsureRules: { because: string; rules: Rule[]; want: string }[] = [
  { because: "from rdns", rules: [rule({ ...anyway, from: rdns(null) })], want: "error" },
  { because: "!from rdns", rules: [rule({ ...anyway, from: rdns(null, true), reject: true })], want: "error" },
  { because: "from rdns <names>", rules: [rule({ ...anyway, from: rdns("names") })], want: "error" },
  {
    because: "!from rdns <names>",
    rules: [rule({ ...anyway, from: rdns("names", true), reject: true })],
    want: "error",
  },
  { because: "no rule asks", rules: [rule(anyway)], want: "a" },
];
for (const { because, rules, want } of unsureRules) {
  Deno.test(`RuleSet.match() while name servers fail, for a client whose name is not known: ${because} is ${want}`, () => {
    assert.equal(decide(rules, subject({ origin: unsure })), want);
    const internal = decide(rules, subject({ origin: unsure, internal: true }));
    assert.notEqual(internal, "error", "made here: it has no client");
  });
}

/** Which rules match by what a message was found to be; `assumed`: before it has come. */
const CHECKED: readonly {
  readonly because: string;
  readonly negated?: true;
  readonly reject?: true;
  readonly mailAuth: Subject["mailAuth"];
  readonly want: string;
}[] = [
  { because: "one of its results", mailAuth: ["spf=pass", "dmarc=fail"], want: "a" },
  { because: "none of its results", mailAuth: ["spf=pass", "dmarc=pass"], want: "none" },
  { because: "! turns it round", negated: true, mailAuth: ["spf=pass", "dmarc=pass"], want: "a" },
  { because: "! of one of its results", negated: true, mailAuth: ["dmarc=fail"], want: "none" },
  { because: "a message that is not checked", mailAuth: undefined, want: "none" },
  { because: "the same, with !", negated: true, mailAuth: undefined, want: "none" },
  { because: "before it has come, without the rule", mailAuth: { assumed: false }, want: "none" },
  { because: "before it has come, with the rule", mailAuth: { assumed: true }, want: "a" },
  { because: "before it has come, with the rule and !", negated: true, mailAuth: { assumed: true }, want: "a" },
  { because: "before it has come, a rule that rejects", reject: true, mailAuth: { assumed: true }, want: "none" },
  { because: "a rule that rejects", reject: true, mailAuth: ["dmarc=fail"], want: "reject" },
];

for (const { because, negated = false, reject = false, mailAuth, want } of CHECKED) {
  Deno.test(`match mail-auth: ${because}`, () => {
    const set = new TableSet({ results: list("results", "dmarc=fail", "spf=fail") }, HERE, "+");
    const rules = [rule({ ...anyway, mailAuth: test("results", negated), reject })];
    const decision = new RuleSet(rules, set).match({
      ...subject({ dest: mailbox("b@example.com") }),
      ...(mailAuth === undefined ? {} : { mailAuth }),
    });
    assert.equal(decision.kind === "action" ? decision.name : decision.kind, want);
  });
}
