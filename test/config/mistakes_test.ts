/**
 * What is reported about wrong configurations: each row a text, and every line that must be said of it.
 * Long on purpose: one row a mistake, read as a table.
 */

import assert from "node:assert/strict";
import { LANGUAGE_LIMITS } from "../../src/config/limits.ts";
import { complaints, type Input, RULE } from "./helper.ts";

interface Row extends Input {
  readonly name: string;
  readonly text: string;
  readonly want: readonly string[];
}

const DELAY = "(a whole number and one of s, m, h, d are needed)";
const NUMBER = "(quote it to use it as a word)";
const RESERVED = "(quote it to use it as a name)";
const END = "expected the end of the line, found";

const rows: readonly Row[] = [
  // Lines and directives
  {
    name: "an empty file has no rules",
    text: "",
    want: ['no rules, nothing to do: write one, such as: match for local action "NAME"'],
  },
  {
    name: "comments alone have no rules",
    text: "# a\n\n# b",
    want: ['no rules, nothing to do: write one, such as: match for local action "NAME"'],
  },
  {
    name: "a misspelt directive",
    text: "\nlisen on lo",
    want: ['c:2: syntax error: unknown directive "lisen", did you mean "listen"?'],
  },
  {
    name: "an unknown directive like no other",
    text: "greylist yes",
    want: ['c:1: syntax error: unknown directive "greylist"'],
  },
  {
    name: "a reserved word that begins no directive",
    text: "port 25",
    want: ['c:1: syntax error: unknown directive "port"'],
  },
  { name: "a line that begins with a mark", text: "{ a }", want: ['c:1: syntax error: expected directive, found "{"'] },
  {
    name: "a line that begins with a number",
    text: "25",
    want: [`c:1: syntax error: expected directive, found the number 25 ${NUMBER}`],
  },
  {
    name: "several mistakes are reported in the order of their lines",
    text: "listen on\nqueue ttl 5\ntable t { }\nmatch nonsense reject\nmatch reject",
    want: [
      'c:1: syntax error: expected an interface, an address, a host name or "socket", found the end of the line',
      `c:2: invalid ttl delay: 5 ${DELAY}`,
      "c:3: syntax error: the list is empty",
      'c:4: syntax error: unknown match option "nonsense"',
    ],
  },
  {
    name: "two mistakes on a line are reported once",
    text: "listen on lo port 0 port 0",
    want: ["c:1: invalid port: 0"],
  },
  {
    name: "a key of the queue that is too short is not shown",
    text: "queue encryption tooshort",
    want: ["c:1: queue encryption: the key must be exactly 32 characters long, this one has 8"],
  },
  {
    name: "a reserve is a size or a share",
    text: "queue reserve 500%",
    want: ["c:1: invalid reserve: 500% (a size such as 200M, or a share: 5%)"],
  },
  {
    name: "the queue has one key",
    text: 'queue encryption stdin\nqueue encryption "-"',
    want: ["c:2: queue encryption is already specified"],
  },
  {
    name: "a key that was replaced is not asked for at the terminal",
    text: "queue encryption backup stdin",
    want: ["c:1: only the present key can be read from the terminal or stdin"],
  },
  {
    name: "the path of a key file is absolute",
    text: "queue encryption file:queue.key",
    want: ["c:1: the path of the key file must be absolute: queue encryption file:/path"],
  },
  {
    name: "a mistake on a continued line is reported at its own line",
    text: "listen on lo \\\n prot 25",
    want: ['c:2: syntax error: unknown listen option "prot", did you mean "port"?'],
  },
  {
    name: "lines that end with a carriage return",
    text: "match reject\r\n",
    want: [
      "c:1: syntax error: expected the end of the rule, found a carriage return (lines must end with a newline only)",
    ],
  },
  {
    name: "a mistake inside braces does not spoil the lines after them",
    text: `table t {\n a,\n = b\n c\n}\ntable u { d }\nmatch from src <t> reject${RULE}`,
    want: ['c:3: syntax error: expected an entry of the list or "}", found "="'],
  },
  {
    name: "a forgotten brace ends where a directive begins",
    text: `table t { a,\n b\nlisten on lo\nlisen on lo${RULE}`,
    want: [
      `c:3: syntax error: expected an entry of the list or "}", found the reserved word "listen" ${RESERVED}; the "{" of line 1 is not closed`,
      'c:4: syntax error: unknown directive "lisen", did you mean "listen"?',
    ],
  },
  {
    name: "no more messages than anyone reads",
    text: "x\n".repeat(LANGUAGE_LIMITS.diagnostics + 50),
    want: [
      ...Array.from(
        { length: LANGUAGE_LIMITS.diagnostics },
        (_, line) => `c:${line + 1}: syntax error: unknown directive "x"`,
      ),
      "too many errors",
    ],
  },
  // Macros and includes
  {
    name: "a macro's value is no bare number",
    text: "a = 25",
    want: [`c:1: syntax error: expected a value for the macro "a", found the number 25 ${NUMBER}`],
  },
  {
    name: "a macro's name has no blanks",
    text: '"a b" = c',
    want: ['c:1: macro name cannot contain whitespace: "a b"'],
  },
  {
    name: "a macro's name is not reserved",
    text: "table = c",
    want: ['c:1: syntax error: expected the name of a table, found "="'],
  },
  { name: "an unknown macro", text: `listen on $lan${RULE}`, want: ['c:1: macro "lan" is not defined'] },
  {
    name: "a macro that is defined only later",
    text: `listen on $lan\nlan = lo${RULE}`,
    want: ['c:1: macro "lan" is not defined: it stands in line 2: move it up'],
  },
  { name: "a macro's value is one word", text: "a = b c", want: [`c:1: syntax error: ${END} "c"`] },
  {
    name: "an include that is not there",
    text: 'include "/x"',
    want: ["c:1: failed to include file /x: No such file"],
  },
  {
    name: "a mistake in an included file has its name and line",
    text: `include "/x"\nnonsense${RULE}`,
    files: { "/x": "\nbad line" },
    want: ['/x:2: syntax error: unknown directive "bad"', 'c:2: syntax error: unknown directive "nonsense"'],
  },
  {
    name: "a file that includes itself",
    text: 'include "c"',
    want: ["c:1: failed to include file c: it includes itself"],
  },
  {
    name: "two files that include each other",
    text: 'include "/x"',
    files: { "/x": 'include "c"' },
    want: ["/x:1: failed to include file c: it includes itself"],
  },
  { name: "an include with more on its line", text: 'include "/x" y', want: [`c:1: syntax error: ${END} "y"`] },
  // Tables
  { name: "a table twice", text: "table t { a }\ntable t { b }", want: ["c:2: table <t> is already declared"] },
  {
    name: "a built-in table",
    text: 'table "<localhost>" { a }',
    want: ["c:1: table <<localhost>> is already declared"],
  },
  { name: "a name like a built-in table's", text: 'table "<x>" { a }', want: ['c:1: invalid name of a table: "<x>"'] },
  {
    name: "a reserved word as a table's name",
    text: "table domain { a }",
    want: [`c:1: syntax error: expected the name of a table, found the reserved word "domain" ${RESERVED}`],
  },
  {
    name: "a table without content",
    text: "table t",
    want: ["c:1: syntax error: expected a list in braces, a path or a back-end, found the end of the line"],
  },
  {
    name: "a table that mixes keys and pairs",
    text: "table t { a, b = c }",
    want: ["c:1: syntax error: a table holds either keys or pairs of key and value, not both"],
  },
  {
    name: "a brace that is not closed before a macro",
    text: 'table t { a,\n b\nlan = "c"\nmatch reject',
    want: [
      'c:3: syntax error: a table holds either keys or pairs of key and value, not both; is the "{" of line 1 closed?',
    ],
  },
  {
    name: "a number in a table",
    text: "table t { 1 }",
    want: [`c:1: syntax error: expected an entry of the list or "}", found the number 1 ${NUMBER}`],
  },
  {
    name: "an unquoted @ in a table",
    text: "table t { @a }",
    want: ['c:1: syntax error: expected an entry of the list or "}", found "@" (quote a word that starts with it)'],
  },
  { name: "a pair without a value", text: "table t { a = }", want: ['c:1: syntax error: expected a value, found "}"'] },
  {
    name: "two commas",
    text: "table t { a,, b }",
    want: ['c:1: syntax error: expected an entry of the list or "}", found ","'],
  },
  {
    name: "a key that is too long",
    text: `table t { ${"k".repeat(1024)} }`,
    want: ["c:1: key is too long for a table"],
  },
  {
    name: "a table file that is not there",
    text: `table t file:/x${RULE}`,
    want: ["c:1: table <t>: cannot read /x: No such file"],
  },
  {
    name: "a table file that is malformed",
    text: `table t "/x"${RULE}`,
    files: { "/x": "a b\nc\n" },
    want: [
      'c:1: table <t>: /x:2: an entry of a map needs a key and a value ("# @list" as the first line makes the file a list)',
    ],
  },
  {
    name: "a relative path",
    text: "table t file:x",
    want: ['c:1: invalid path for table <t>: "x" does not start with a slash'],
  },
  { name: "a database without a path", text: "table t db", want: ["c:1: table <t> needs a path: db:/path"] },
  { name: "a file table without a path", text: "table t file", want: ["c:1: table <t> needs a path: file:/path"] },
  { name: "an undefined table", text: "match from src <users> reject", want: ["c:1: table <users> is not defined"] },
  {
    name: "an undefined table near a defined one",
    text: "table users { a }\nmatch from src <user-s> reject",
    want: ['c:2: table <user-s> is not defined, did you mean "users"?'],
  },
  {
    name: "a table that comes later",
    text: "match from src <t> reject\ntable t { a }",
    want: ["c:1: table <t> is not defined: it stands in line 2: move it up"],
  },
  {
    name: "an unclosed table name",
    text: "table t { a }\nmatch from src <t reject",
    want: [`c:2: syntax error: expected ">", found the reserved word "reject" ${RESERVED}`],
  },
  {
    name: "a reserved word as a reference",
    text: "match tag <tag> reject",
    want: [`c:1: syntax error: expected the name of a table, found the reserved word "tag" ${RESERVED}`],
  },
  {
    name: "a map for domains",
    text: "table m { a = b }\nmatch for domain <m> reject",
    want: [
      'c:2: table <m> may not be used for "for domain" lookups: it holds pairs of key and value, a list of keys is needed',
    ],
  },
  {
    name: "an inline map for domains",
    text: "match for domain { a = b } reject",
    want: [
      'c:1: this table may not be used for "for domain" lookups: it holds pairs of key and value, a list of keys is needed',
    ],
  },
  {
    name: "a list for aliases",
    text: 'action "a" mbox alias { b }',
    want: [
      'c:1: this table may not be used for "alias" lookups: it holds keys only, pairs of key and value are needed',
    ],
  },
  {
    name: "the name of a table for the table",
    text: 'table names { a = b }\naction "a" mbox alias names',
    want: [
      'c:2: this table may not be used for "alias" lookups: it holds keys only, pairs of key and value are needed; the table of that name is written <names>',
    ],
  },
  {
    name: "a table from a relative path, which is one mistake however often it is used",
    text: 'table names file:names\naction "a" mbox alias <names>',
    want: ['c:1: invalid path for table <names>: "names" does not start with a slash'],
  },
  {
    name: "a list for the relay's domains",
    text: 'action "a" relay domain "b"',
    want: [
      'c:1: "b" may not be used for "domain" lookups: it holds keys only, pairs of key and value are needed; the name of a table is written <b>, and "table b …" stands on a line before',
    ],
  },
  {
    name: "a map for the relay's hosts",
    text: 'action "a" relay host { b = c }',
    want: [
      'c:1: this table may not be used for "host" lookups: it holds pairs of key and value, a list of keys is needed',
    ],
  },
  {
    name: "a list for the users",
    text: 'action "a" maildir userbase { b }',
    want: [
      'c:1: this table may not be used for "userbase" lookups: it holds keys only, pairs of key and value are needed',
    ],
  },
  // Actions
  {
    name: "a file in the place of a table",
    text: `action "a" mbox alias file:/etc/aliases\n${RULE}`,
    want: [
      'c:1: "file:/etc/aliases" may not be used for "alias" lookups: it holds keys only, pairs of key and value are needed; write "table NAME file:/etc/aliases" on a line before, and <NAME> here',
    ],
  },
  {
    name: "an option of OpenSMTPD 5 in the place of a table",
    text: `listen on lo auth mask-source\n${RULE}`,
    want: [
      'c:1: "mask-source" may not be used for "auth" lookups: it holds keys only, pairs of key and value are needed; did you mean the option "mask-src"?',
    ],
  },
  {
    name: "a word that is no key in the place of a table",
    text: `listen on lo auth "a b"\n${RULE}`,
    want: [
      'c:1: "a b" may not be used for "auth" lookups: it holds keys only, pairs of key and value are needed; a table for "auth" is written { KEY = VALUE } or <NAME>',
    ],
  },
  ...["alias <x>", "virtual <x>", "userbase <x>", "deliver to mbox", "maildir", "via x"].map((words) => ({
    name: `"${words}" in a rule, as before OpenSMTPD 6.4`,
    text: `listen on lo\nmatch for local ${words}`,
    want: [
      `c:2: syntax error: "${
        words.split(" ")[0]
      }" is no match option: since OpenSMTPD 6.4 it is a part of "action NAME …", and the rule ends in "action NAME"`,
    ],
  })),
  ...([["reject", '"match … reject"'], ["map", '"table"'], ["enqueuer", '"listen on socket filter"']] as const).map((
    [word, now],
  ) => ({
    name: `a line that begins with "${word}"`,
    text: `${word} x y`,
    want: [`c:1: syntax error: unknown directive "${word}": since OpenSMTPD 6.4 it is ${now}`],
  })),
  {
    name: "a backslash with a blank behind it",
    text: `action "a" mbox \\ \t\n  alias { a = b }\n${RULE}`,
    want: [
      'c:2: syntax error: unknown directive "alias"; the backslash of line 1 joins no lines: there is a blank behind it',
    ],
  },
  {
    name: "a mistake far from such a backslash, for itself",
    text: `action "a" mbox \\ \n\nalias\n${RULE}`,
    want: ['c:3: syntax error: unknown directive "alias"'],
  },
  {
    name: "an action twice, both wrong, for each mistake",
    text: 'action "a" mbocks\naction "a" maildirr\nmatch for local action "a"',
    want: [
      'c:1: syntax error: unknown action method "mbocks"',
      'c:2: action "a" is already declared',
      'c:2: syntax error: unknown action method "maildirr", did you mean "maildir"?',
    ],
  },
  { name: "an action twice", text: 'action "a" mbox\naction "a" relay', want: ['c:2: action "a" is already declared'] },
  {
    name: "a reserved word as an action's name",
    text: "action relay relay",
    want: [`c:1: syntax error: expected the name of an action, found the reserved word "relay" ${RESERVED}`],
  },
  {
    name: "an action without a method",
    text: 'action "a"',
    want: ["c:1: syntax error: expected action method, found the end of the line"],
  },
  {
    name: "a misspelt method",
    text: 'action "a" maildirr',
    want: ['c:1: syntax error: unknown action method "maildirr", did you mean "maildir"?'],
  },
  {
    name: "an unknown option of a local action",
    text: 'action "a" mbox host b',
    want: ['c:1: syntax error: unknown action option "host"'],
  },
  {
    name: "an unquoted path",
    text: 'action "a" maildir /b',
    want: ['c:1: syntax error: expected action option, found "/" (quote a word that starts with it)'],
  },
  {
    name: "lmtp without a destination",
    text: 'action "a" lmtp',
    want: ["c:1: syntax error: expected host:port or the path of a socket, found the end of the line"],
  },
  {
    name: "lmtp without a port",
    text: 'action "a" lmtp localhost',
    want: ["c:1: invalid lmtp destination: localhost (host:port, [ipv6]:port or /path is needed)"],
  },
  {
    name: "mda without a command",
    text: 'action "a" mda user b',
    want: [`c:1: syntax error: expected a command, found the reserved word "user" ${RESERVED}`],
  },
  ...["mbox", "forward-only", "expand-only"].map((method) => ({
    name: `user with ${method}`,
    text: `action "a" ${method} user b`,
    want: [`c:1: "user" may not be specified for ${method}`],
  })),
  { name: "user twice", text: 'action "a" maildir user b user c', want: ['c:1: "user" is already specified'] },
  {
    name: "alias and virtual",
    text: 'action "a" mbox alias { b = c } virtual { b = c }',
    want: ['c:1: "virtual" and "alias" are mutually exclusive'],
  },
  {
    name: "userbase twice",
    text: 'action "a" mbox userbase { b = c } userbase { b = c }',
    want: ['c:1: "userbase" is already specified'],
  },
  { name: "an undefined wrapper", text: 'action "a" maildir wrapper b', want: ['c:1: wrapper "b" is not defined'] },
  {
    name: "accounts as aliases",
    text: 'table t getpwnam\naction "a" mbox alias <t>',
    want: ['c:2: table <t> may not be used for "alias" lookups: it holds accounts, for a userbase only'],
  },
  {
    name: "accounts as addresses",
    text: "table t getpwnam\nmatch from src <t> reject",
    want: ['c:2: table <t> may not be used for "from src" lookups: it holds accounts, for a userbase only'],
  },
  { name: "accounts with a path", text: "table t getpwnam:/x", want: ["c:1: table <t>: getpwnam has no path"] },
  {
    name: "a wrapper that is declared twice",
    text: 'mda wrapper b "x"\nmda wrapper b "y"',
    want: ['c:2: wrapper "b" is already declared'],
  },
  {
    name: "ttl before other options",
    text: 'action "a" maildir ttl 4d user b',
    want: ['c:1: syntax error: "ttl" must be the last option of an action'],
  },
  {
    name: "ttl of a relay before other options",
    text: 'action "a" relay ttl 4d host b',
    want: ['c:1: syntax error: "ttl" must be the last option of an action'],
  },
  { name: "ttl twice", text: 'action "a" mbox ttl 4d ttl 4d', want: ['c:1: "ttl" is already specified'] },
  { name: "an invalid ttl", text: 'action "a" mbox ttl 4w', want: [`c:1: invalid ttl delay: 4w ${DELAY}`] },
  { name: "host twice", text: 'action "a" relay host b host c', want: ['c:1: "host" is already specified'] },
  {
    name: "host and domain",
    text: 'action "a" relay host b domain { c = d }',
    want: ['c:1: "domain" and "host" are mutually exclusive'],
  },
  {
    name: "backup and host",
    text: 'action "a" relay host b backup',
    want: ['c:1: "backup" and "host" are mutually exclusive'],
  },
  {
    name: "auth without host",
    text: 'action "a" relay auth { b = c }',
    want: ['c:1: "auth" needs "host" or "domain" before it'],
  },
  { name: "srs without a key", text: 'action "a" relay srs', want: ['c:1: "srs" needs "srs key" before it'] },
  {
    name: "a relay's unknown pki is reported at its line",
    text: `action "a" relay \\\n pki b${RULE}`,
    want: ['c:2: pki "b" is not defined'],
  },
  {
    name: "a relay's unknown ca is reported at its line",
    text: `action "a" relay ca b${RULE}`,
    want: ['c:1: ca "b" is not defined'],
  },
  {
    name: "verify where no-verify is meant",
    text: 'action "a" relay tls verify',
    want: ['c:1: syntax error: unknown relay option "verify"'],
  },
  // Rules
  { name: "an undefined action", text: 'match for any action "a"', want: ['c:1: action "a" is not defined'] },
  {
    name: "an undefined action near a defined one",
    text: 'action "inbox" mbox\nmatch action "inbx"',
    want: ['c:2: action "inbx" is not defined, did you mean "inbox"?'],
  },
  {
    name: "an action that comes later",
    text: 'match for any action "a"\naction "a" mbox',
    want: ['c:1: action "a" is not defined: it stands in line 2: move it up'],
  },
  {
    name: "what is used before the file that defines it is included",
    text: `match for any action "a"\ninclude "/x"`,
    files: { "/x": '\naction "a" mbox' },
    want: ['c:1: action "a" is not defined: it stands in /x:2: move it up'],
  },
  {
    name: "a filter, its process, a pki and a wrapper that come later",
    text: `listen on lo filter f tls pki p\nfilter f proc q\nproc q "x"\npki p cert "/x" key "/y"
action "a" maildir wrapper w\nmda wrapper w "x"\nlisten on lo tls pki p${RULE}`,
    want: [
      'c:1: filter "f" is not defined: it stands in line 2: move it up',
      'c:2: process "q" is not defined: it stands in line 3: move it up',
      'c:5: wrapper "w" is not defined: it stands in line 6: move it up',
    ],
  },
  {
    name: "a filter whose line is wrong, which is one mistake however often it is used",
    text: `filter f phase conect match fcrdns junk\nlisten on lo filter f${RULE}`,
    want: ['c:1: syntax error: unknown filter phase "conect", did you mean "connect"?'],
  },
  ...([
    ["listen on lo starttls", "listen option", "starttls", "tls"],
    ["listen on lo TLS", "listen option", "TLS", "tls"],
    ["listen on lo tsl", "listen option", "tsl", "tls"],
    ["listen on lo ssl", "listen option", "ssl", "smtps"],
    ["match from all reject", "source of a match", "all", "any"],
    ["match from any for any relay", "match option", "relay", "action"],
    ['action "a" relay via x', "relay option", "via", "host"],
    ["pki a certificate x", "pki option", "certificate", "cert"],
  ] as const).map(([text, what, word, meant]) => ({
    name: `"${word}", which is "${meant}" here`,
    text: text + RULE,
    want: [`c:1: syntax error: unknown ${what} "${word}", did you mean "${meant}"?`],
  })),
  {
    name: "typographic quotes",
    text: `table t { a, \u201cb\u201d }${RULE}`,
    want: [`c:1: syntax error: \u201c is a typographic quote: write straight quotes, "…" or '…'`],
  },
  {
    name: "a typographic dash",
    text: `smtp max-message-size \u20131${RULE}`,
    want: ['c:1: syntax error: \u2013 is a typographic dash: write "-"'],
  },
  {
    name: "a no-break space",
    text: `listen on\u00a0lo${RULE}`,
    want: ["c:1: syntax error: a special blank that looks like an ordinary one: write an ordinary one"],
  },
  {
    name: "a brace that is not closed before the end of the file",
    text: "match reject\ntable t {\n a,\n b",
    want: [
      'c:4: syntax error: expected an entry of the list or "}", found the end of the file; the "{" of line 2 is not closed',
    ],
  },
  {
    name: "a quote that is not closed in its line",
    text: `table t { "a, b }\nlisten on "lo"\nmatch for domain <t> reject${RULE}`,
    want: [
      `c:3: syntax error: expected an entry of the list or "}", found the reserved word "match" ${RESERVED}; ` +
      "a quoted string goes from line 1 to line 2: is a quote missing?",
    ],
  },
  {
    name: "a quote that is not closed before the end of the file",
    text: "match reject\nlisten on 'lo\n",
    want: ["c:2: syntax error: quoted string is not closed before the end of the file"],
  },
  {
    name: "a blank before the path of a table",
    text: `table t file: "/x"${RULE}`,
    want: ['c:1: table <t> needs a path right behind "file:"'],
  },
  {
    name: "a rule without an outcome",
    text: "match from any",
    want: ['c:1: syntax error: expected "action" or "reject", found the end of the line'],
  },
  {
    name: "a rule that goes on after its outcome",
    text: "match reject for any",
    want: [`c:1: syntax error: expected the end of the rule, found the reserved word "for" ${RESERVED}`],
  },
  {
    name: "a negated outcome",
    text: "match ! reject",
    want: ['c:1: syntax error: unknown match option "reject"'],
  },
  {
    name: "a misspelt option of a rule",
    text: "match rcptto a reject",
    want: ['c:1: syntax error: unknown match option "rcptto", did you mean "rcpt-to"?'],
  },
  {
    name: "a source that is none",
    text: "match from domain a reject",
    want: ['c:1: syntax error: unknown source of a match "domain"'],
  },
  {
    name: "a destination that is none",
    text: "match for src a reject",
    want: ['c:1: syntax error: unknown destination of a match "src"'],
  },
  ...["from any", "for any", "tag a", "mail-from a", "rcpt-to a"].map((option) => ({
    name: `"${option}" twice in a rule`,
    text: `match ${option} ${option} reject`,
    want: [`c:1: "${option.split(" ")[0]}" is already specified`],
  })),
  {
    name: "from twice in different forms",
    text: "match from any from local reject",
    want: ['c:1: "from" is already specified'],
  },
  {
    name: "from mail-from is a mail-from too",
    text: "match from mail-from a mail-from b reject",
    want: ['c:1: "mail-from" is already specified'],
  },
  {
    name: "for rcpt-to is a rcpt-to too",
    text: "match rcpt-to a for rcpt-to b reject",
    want: ['c:1: "rcpt-to" is already specified'],
  },
  // Listeners
  { name: "listen without on", text: "listen lo", want: ['c:1: syntax error: expected "on", found "lo"'] },
  { name: "a port out of range", text: "listen on lo port 65536", want: ["c:1: invalid port: 65536"] },
  { name: "a negative port", text: "listen on lo port -1", want: ["c:1: invalid port: -1"] },
  {
    name: "an unknown service",
    text: "listen on lo port foo",
    want: ["c:1: invalid port: foo (a number, or a service of /etc/services)"],
  },
  {
    name: "a port that is a quoted number",
    text: 'listen on lo port "25"',
    want: ["c:1: invalid port: 25 (a number, or a service of /etc/services)"],
  },
  {
    name: "port without a port",
    text: "listen on lo port tag a",
    want: [`c:1: syntax error: expected a port, found the reserved word "tag" ${RESERVED}`],
  },
  { name: "port twice", text: "listen on lo port 1 port 2", want: ['c:1: "port" is already specified'] },
  {
    name: "both families",
    text: "listen on lo inet4 inet6",
    want: ['c:1: "inet6" and "inet4" are mutually exclusive'],
  },
  { name: "two kinds of TLS", text: "listen on lo tls smtps", want: ['c:1: "smtps" and "tls" are mutually exclusive'] },
  {
    name: "verify after tls",
    text: "listen on lo tls verify",
    want: ['c:1: syntax error: unknown listen option "verify"'],
  },
  { name: "TLS without a certificate", text: "listen on lo tls", want: ['c:1: "tls" needs a certificate: add "pki"'] },
  {
    name: "a certificate without TLS",
    text: `pki a cert "/a" key "/b"\nlisten on lo pki a`,
    want: ['c:2: "pki" needs one of "tls", "tls-require" and "smtps"'],
  },
  { name: "an undefined pki", text: "listen on lo tls pki a", want: ['c:1: pki "a" is not defined'] },
  { name: "an undefined ca", text: "listen on lo ca a", want: ['c:1: ca "a" is not defined'] },
  {
    name: "a pki twice on a listener",
    text: `pki a cert "/a" key "/b"\nlisten on lo tls pki a pki A`,
    want: ['c:2: pki "a" is already specified'],
  },
  {
    name: "a tag of 33 characters",
    text: `listen on lo tag ${"a".repeat(33)}`,
    want: ["c:1: tag is too long: at most 32"],
  },
  {
    name: "the socket twice",
    text: "listen on socket\nlisten on socket",
    want: ["c:2: socket listener is already specified"],
  },
  ...["port 25", "tls", "auth", "hostname a"].map((option) => ({
    name: `the socket with ${option}`,
    text: `listen on socket ${option}`,
    want: [`c:1: syntax error: unknown listen option "${option.split(" ")[0]}"`],
  })),
  {
    name: "passwords in clear where others can listen",
    text: 'listen on "0.0.0.0" auth-optional { a = b }',
    want: [
      'c:1: "auth-optional" needs one of "tls", "tls-require" and "smtps": passwords are not asked for in clear',
    ],
  },
  {
    name: "logins without passwords",
    text: "listen on lo auth { a, b }",
    want: [
      'c:1: this table may not be used for "auth" lookups: it holds keys only, pairs of key and value are needed',
    ],
  },
  {
    name: "auth and auth-optional",
    text: "listen on lo auth auth-optional",
    want: ['c:1: "auth-optional" and "auth" are mutually exclusive'],
  },
  {
    name: "reports of DMARC from no address",
    text: 'listen on lo mail-auth\ndmarc reports from "postmaster"',
    want: ['c:2: invalid address: postmaster (one such as "postmaster@example.org")'],
  },
  {
    name: "reports of DMARC from an address with quotes",
    text: 'listen on lo mail-auth\ndmarc reports from "a b@example.org"',
    want: ['c:2: invalid address: a b@example.org (one such as "postmaster@example.org")'],
  },
  {
    name: "reports of DMARC without an address",
    text: "listen on lo mail-auth\ndmarc reports",
    want: ['c:2: syntax error: expected "from", found the end of the line'],
  },
  {
    name: "reports of DMARC twice",
    text: "listen on lo mail-auth\ndmarc reports from a@b.example\ndmarc reports from c@b.example",
    want: ["c:3: dmarc reports are already declared in line 2"],
  },
  {
    name: "reports of DMARC without a listener that checks mail",
    text: "listen on lo\ndmarc reports from a@b.example",
    want: ['c:2: dmarc reports need a listener with "mail-auth": nothing is checked that could be reported'],
  },
  {
    name: "DMARC and a word that is none of it",
    text: "listen on lo mail-auth\ndmarc report from a@b.example",
    want: ['c:2: syntax error: unknown dmarc directive "report", did you mean "reports"?'],
  },
  {
    name: "the admin page on a name",
    text: "admin listen on localhost port 80",
    want: ["c:1: invalid address: localhost"],
  },
  {
    name: "the admin page without a port",
    text: "admin listen on 127.0.0.1",
    want: ['c:1: syntax error: expected "port", found the end of the line'],
  },
  {
    name: "the admin page on a port out of range",
    text: "admin listen on 127.0.0.1 port 65536",
    want: ["c:1: invalid port: 65536"],
  },
  {
    name: "the admin page twice",
    text: "admin listen on ::1 port 80\nadmin listen on ::1 port 81\nadmin listen on ::1 port 80",
    want: ["c:3: admin listener is already specified: [::1]:80"],
  },
  {
    name: "more admin pages than are served",
    text: Array.from({ length: 9 }, (_, at) => `admin listen on ::1 port ${80 + at}`).join("\n"),
    want: ["c:9: too many admin listeners: at most 8 are served"],
  },
  {
    name: "an admin page with an option that is none",
    text: 'admin listen on ::1 port 80 mode 0600\nadmin listen on socket "/a" aut',
    want: [
      'c:1: syntax error: unknown admin option "mode"',
      'c:2: syntax error: unknown admin option "aut", did you mean "auth"?',
    ],
  },
  {
    name: "an admin page with an option twice",
    text: "admin listen on ::1 port 80 auth auth",
    want: ["c:1: auth is already specified"],
  },
  {
    name: "an admin socket that is none",
    text: 'admin listen on socket run/x\nadmin listen on socket "/a" mode 999\nadmin listen on socket',
    want: [
      'c:1: the path of the socket must begin with "/": run/x',
      "c:2: invalid mode: 999 (three octal digits, such as 0660)",
      "c:3: syntax error: expected the path of the socket of the admin page, found the end of the line",
    ],
  },
  {
    name: "admin with nothing that we know",
    text: "admin page",
    want: ['c:1: syntax error: expected "listen", found "page"'],
  },
  {
    name: "a host name beyond ASCII that is none",
    text: `listen on lo hostname "ü/x"${RULE}`,
    want: ["c:1: not a valid domain name: ü/x"],
  },
  // Certificates
  { name: "a pki's name that is none", text: `pki "a b" cert "/x"`, want: ["c:1: not a valid domain name: a b"] },
  { name: "a ca's name that is none", text: `ca "-" cert "/x"`, want: ["c:1: not a valid domain name: -"] },
  { name: "a pki without a key", text: `\npki a cert "/x"${RULE}`, want: ['c:2: pki "a" has no key'] },
  { name: "a pki without a cert", text: `pki a key "/x"${RULE}`, want: ['c:1: pki "a" has no cert'] },
  {
    name: "a list of ciphers that does not hold",
    text: 'action "a" relay helo x ciphers "HIGH:!CHACHA20" protocols "tlsv1.3" tls',
    want: [
      "c:1: ciphers leave out TLS_CHACHA20_POLY1305_SHA256, which cannot be switched off: add them, " +
      'or write "HIGH:!aNULL", or no list',
    ],
  },
  {
    name: "words of ciphers that do not exist, and what else is wrong",
    text: 'smtp ciphers "HIGH:!aNUL"\nlisten on lo smtps pki x ciphers "HIGH:foo"',
    want: [
      'c:1: unknown word "aNUL" in the list of ciphers, did you mean "aNULL"?',
      'c:2: pki "x" is not defined',
    ],
  },
  {
    name: "protocols that are not offered",
    text: 'listen on lo protocols "sslv3"\naction "a" relay protocols "tlsv1.4"',
    want: [
      'c:1: protocols "sslv3" names no TLS version that is offered: use tlsv1.2, tlsv1.3 or all',
      'c:2: protocols "tlsv1.4" names no TLS version that is offered: use tlsv1.2, tlsv1.3 or all',
    ],
  },
  {
    name: "an unknown dhe",
    text: "pki a dhe strong",
    want: ["c:1: invalid dhe keyword: strong (none, auto or legacy is needed)"],
  },
  {
    name: "an unknown pki option",
    text: "pki a crt b",
    want: ['c:1: syntax error: unknown pki option "crt", did you mean "cert"?'],
  },
  // Numbers and delays
  {
    name: "a size that is none",
    text: "smtp max-message-size 10Q",
    want: ["c:1: invalid size: 10Q (a number, or one with B, K, M, G, T, P or E behind it)"],
  },
  {
    name: "a negative size",
    text: "smtp max-message-size -1",
    want: ["c:1: invalid size: -1 (a number, or one with B, K, M, G, T, P or E behind it)"],
  },
  {
    name: "a size beyond all bounds",
    text: "smtp max-message-size 16E",
    want: ["c:1: invalid size: 16E (a number, or one with B, K, M, G, T, P or E behind it)"],
  },
  {
    name: "two characters as a delimiter",
    text: 'smtp sub-addr-delim "++"',
    want: ['c:1: sub-addr-delim must be one printable character other than "@": ++'],
  },
  {
    name: "the @ as a delimiter",
    text: 'smtp sub-addr-delim "@"',
    want: ['c:1: sub-addr-delim must be one printable character other than "@": @'],
  },
  {
    name: "an unknown smtp limit",
    text: "smtp limit max-mail 1",
    want: ['c:1: syntax error: unknown smtp limit keyword "max-mail", did you mean "max-mails"?'],
  },
  {
    name: "a limit without a number",
    text: "smtp limit max-mails",
    want: ["c:1: syntax error: expected a number, found the end of the line"],
  },
  {
    name: "a limit that stops all mail",
    text: "smtp limit max-rcpt 0",
    want: ["c:1: invalid value for smtp limit max-rcpt: 0 (from 1 to 2147483647)"],
  },
  {
    name: "a negative delay",
    text: "mta limit conn-delay-host -1",
    want: ["c:1: invalid value for mta limit conn-delay-host: -1 (from 0 to 2147483647)"],
  },
  {
    name: "an unknown mta limit",
    text: "mta limit max-conn-per-hots 1",
    want: ['c:1: syntax error: unknown mta limit keyword "max-conn-per-hots", did you mean "max-conn-per-host"?'],
  },
  {
    name: "an unknown mda limit",
    text: "mda limit foo 1",
    want: ['c:1: syntax error: unknown mda limit keyword "foo"'],
  },
  {
    name: "an unknown scheduler limit",
    text: "scheduler limit foo 1",
    want: ['c:1: syntax error: unknown scheduler limit keyword "foo"'],
  },
  ...["0s", "04d", "4", "4D", "1d2h", "99999999999d", "4 d"].map((delay) => ({
    name: `"${delay}" is no delay`,
    text: `queue ttl "${delay}"`,
    want: [`c:1: invalid ttl delay: ${delay} ${DELAY}`],
  })),
  {
    name: "an invalid warn-interval",
    text: "bounce warn-interval 1h, x",
    want: [`c:1: invalid bounce delay: x ${DELAY}`],
  },
  { name: "an empty srs key", text: 'srs key ""', want: ["c:1: the srs key is empty"] },
  { name: "srs ttl of less than a day", text: "srs ttl 23h", want: ["c:1: srs ttl must be at least 1d"] },
  // Filters: the grammar
  { name: "a filter of an undefined process", text: "filter a proc b", want: ['c:1: process "b" is not defined'] },
  { name: "a chain of an undefined filter", text: "filter a chain { b }", want: ['c:1: filter "b" is not defined'] },
  {
    name: "a condition too early",
    text: 'filter a phase connect match helo b reject "550 x"',
    want: ['c:1: syntax error: condition "helo" is not known in phase "connect"'],
  },
  {
    name: "junk in commit",
    text: "filter a phase commit match fcrdns junk",
    want: ['c:1: syntax error: "junk" is not allowed in phase "commit"'],
  },
  {
    name: "a phase that is none",
    text: "filter a phase noop match fcrdns junk",
    want: ['c:1: syntax error: unknown filter phase "noop"'],
  },
  {
    name: "a decision without a text",
    text: "filter a phase helo match fcrdns reject",
    want: ['c:1: syntax error: expected a text for "reject", found the end of the line'],
  },
  { name: "admd that cannot be printed", text: 'admd "a\x01"', want: ["c:1: invalid admd: a?"] },
];

for (const row of rows) {
  Deno.test(`parseConfig() refuses ${row.name}`, () => assert.deepEqual(complaints(row.text, row), row.want));
}
