/**
 * What `smtpd -n` advises on configurations that are right by the grammar: each row a text and every warning about it. Long on purpose: one row
 * a case, read as a table.
 */

import assert from "node:assert/strict";
import { adviseOn, type SystemUsers } from "../../src/advice/mod.ts";
import { configOf, type Input } from "../config/helper.ts";
import { entries, FILES, parseEntry } from "../config/corpus.ts";

interface Row extends Input {
  readonly name: string;
  readonly text: string;
  /** Without `warning: `. */
  readonly want: readonly string[];
  /** Is there a user _smtpd? */
  readonly user?: boolean;
  /** Accounts of the machine; without it there is everybody. */
  readonly users?: SystemUsers;
}

const EVERYBODY: SystemUsers = { uidOf: () => Promise.resolve(1000), names: () => [] };

function linesOf({ text, user = true, users, ...input }: Row): Promise<string[]> {
  const config = configOf(text, input);
  const encoder = new TextEncoder();
  const read = (path: string) => encoder.encode(input.files?.[path] ?? "");
  const readText = (path: string) => {
    if (Object.hasOwn(input.files ?? {}, path)) return input.files![path]!;
    throw new Error("No such file");
  };
  return adviseOn(
    config,
    read,
    { readText, hasUser: () => user, interfaceList: () => "; interfaces: lo (127.0.0.1)" },
    users ?? EVERYBODY,
  );
}

const ON = 'listen on eth0\naction "out" relay\naction "in" mbox\n';
const OPEN = "open relay: this rule relays mail of anybody to anywhere";
const CURE = ': write "auth" into it, or name the clients ("from src") or the domains ("for domain")';
const open = (line: number, but = ""): string => `c:${line}: warning: ${OPEN}${but}${CURE}`;

const relays: readonly Row[] = [
  { name: "from any for any", text: `${ON}match from any for any action "out"`, want: [open(4)] },
  {
    name: "a network that is all of them",
    text: `${ON}match from src { "10.0.0.0/8", "0.0.0.0/0" } for any action "out"`,
    want: [open(4)],
  },
  {
    name: "such a network in a file",
    text: `table lan file:/lan\n${ON}match from src <lan> for any action "out"`,
    files: { "/lan": "# @list\n127.0.0.1\n0.0.0.0/0\n" },
    want: [open(5)],
  },
  { name: "whoever is not local", text: `${ON}match !from local for any action "out"`, want: [open(4)] },
  {
    name: "whoever is not in the LAN",
    text: `${ON}match !from src "10.0.0.0/8" for any action "out"`,
    want: [open(4)],
  },
  { name: "whoever is not on the socket", text: `${ON}match !from socket for any action "out"`, want: [open(4)] },
  { name: "an address like any", text: `${ON}match from src regex ".*" for any action "out"`, want: [open(4)] },
  {
    name: "whatever is not ours",
    text: `${ON}match from any !for domain "example.org" action "out"`,
    want: [open(4)],
  },
  { name: "every domain, by a pattern", text: `${ON}match from any for domain "*" action "out"`, want: [open(4)] },
  {
    name: "every domain, by an expression",
    text: `${ON}match from any for domain regex "." action "out"`,
    want: [open(4)],
  },
  { name: "whoever has not logged in", text: `${ON}match !auth from any for any action "out"`, want: [open(4)] },
  {
    name: "a sender, which anybody can write",
    text: `${ON}match from any mail-from "@example.org" for any action "out"`,
    want: [open(4, ': a sender ("mail-from") keeps nobody out')],
  },
  {
    name: "the same, as a source",
    text: `${ON}match from mail-from "@example.org" for any action "out"`,
    want: [open(4, ': a sender ("mail-from") keeps nobody out')],
  },
  {
    name: "a name in HELO",
    text: `${ON}match from any helo "pc.example.org" for any action "out"`,
    want: [open(4, ': a name in HELO ("helo") keeps nobody out')],
  },
  {
    name: "a client that has some name",
    text: `${ON}match from rdns for any action "out"`,
    want: [open(4, ': a name of the client ("rdns") keeps nobody out')],
  },
  { name: "TLS, which anybody has", text: `${ON}match tls from any for any action "out"`, want: [open(4)] },
  {
    name: "one listener of two",
    text: `pki p cert "/x" key "/y"\nlisten on eth0 tls-require pki p auth\n${ON}match from any for any action "out"`,
    want: [open(6)],
  },
  {
    name: "a listener where a login is optional",
    text:
      `pki p cert "/x" key "/y"\nlisten on eth0 tls pki p auth-optional\naction "out" relay\nmatch from any for any action "out"`,
    want: [open(4)],
  },
  {
    name: "loopback behind a proxy",
    text: 'listen on 127.0.0.1 proxy-v2\naction "out" relay\nmatch from any for any action "out"',
    want: [open(3)],
  },
  {
    name: "a rule behind one that takes only a part",
    text: `${ON}match from any for domain "example.org" action "in"\nmatch from any for any action "out"`,
    want: [open(5)],
  },
  {
    name: "a listener for clients with certificates of anybody",
    text:
      'pki p cert "/x" key "/y"\nlisten on eth0 tls-require verify pki p\naction "out" relay\nmatch from any for any action "out"',
    want: [open(4)],
  },
  {
    name: "too many addresses: '::/0'",
    text: `${ON}match from src "::/0" for any action "out"`,
    want: [open(4)],
  },
  {
    name: "too many addresses: { '::/0' }",
    text: `${ON}match from src { "::/0" } for any action "out"`,
    want: [open(4)],
  },
  {
    name: "too many addresses: '[::/0]'",
    text: `${ON}match from src "[::/0]" for any action "out"`,
    want: [open(4)],
  },
  {
    name: "too many addresses: '2000::/3'",
    text: `${ON}match from src "2000::/3" for any action "out"`,
    want: [open(4)],
  },
  {
    name: "too many addresses: '2a00::/8'",
    text: `${ON}match from src "2a00::/8" for any action "out"`,
    want: [open(4)],
  },
  {
    name: "too many addresses: { '2000::/4', '3000::/4' }",
    text: `${ON}match from src { "2000::/4", "3000::/4" } for any action "out"`,
    want: [open(4)],
  },
  {
    name: "too many addresses: regex '.'",
    text: `${ON}match from src regex "." for any action "out"`,
    want: [open(4)],
  },
  {
    name: "too many addresses: { '0.0.0.0/2' }",
    text: `${ON}match from src { "0.0.0.0/2" } for any action "out"`,
    want: [open(4)],
  },
  {
    name: "too many addresses: '128.0.0.0/1'",
    text: `${ON}match from src "128.0.0.0/1" for any action "out"`,
    want: [open(4)],
  },
  {
    name: "IPv6 by a table in a file",
    text: `table lan file:/lan\n${ON}match from src <lan> for any action "out"`,
    files: { "/lan": "10.0.0.0/8\n::/0\n" },
    want: [open(5)],
  },
  {
    name: "IPv6 at the wildcard address",
    text: `listen on ::\naction "out" relay\nmatch from src "::/0" for any action "out"`,
    want: [open(3)],
  },
  {
    name: "IPv6 of a list that takes one network out",
    text: `${ON}match from src { "::/0", "!2001:db8::/32" } for any action "out"`,
    want: [open(4)],
  },
  {
    name: "IPv6 behind a rule for all of IPv4",
    text: `${ON}match from src "0.0.0.0/0" for any reject\nmatch from any for any action "out"`,
    want: [open(5)],
  },
  {
    name: "all of IPv6 where only IPv4 gets in",
    text: `listen on 192.0.2.1\naction "out" relay\nmatch from src "::/0" for any action "out"`,
    want: [],
  },
  {
    name: "the same by the family",
    text: `listen on eth0 inet4\naction "out" relay\nmatch from src "::/0" for any action "out"`,
    want: [],
  },
  {
    name: "all of IPv4 at an address of IPv6",
    text: `listen on "2001:db8::1"\naction "out" relay\nmatch from src "0.0.0.0/0" for any action "out"`,
    want: [],
  },
  {
    name: "IPv6 networks of one's own",
    text: `${ON}match from src { "2001:db8::/32", "fc00::/7", "fe80::/10", "::1", "10.0.0.0/8" } for any action "out"`,
    want: [],
  },
  {
    name: "anybody at link-local and loopback addresses",
    text:
      `listen on "::1"\nlisten on "[::1]" port 26\nlisten on fe80::1\nlisten on 127.0.0.2\naction "out" relay\nmatch from any for any action "out"`,
    want: [],
  },
  {
    name: "names that anybody can have: regex '.'",
    text: `${ON}match from rdns regex "." for any action "out"`,
    want: [open(4, ': a name of the client ("rdns") keeps nobody out')],
  },
  {
    name: "names that anybody can have: regex 'mail'",
    text: `${ON}match from rdns regex "mail" for any action "out"`,
    want: [open(4, ': a name of the client ("rdns") keeps nobody out')],
  },
  {
    name: "names that anybody can have: '*'",
    text: `${ON}match from rdns "*" for any action "out"`,
    want: [open(4, ': a name of the client ("rdns") keeps nobody out')],
  },
  {
    name: "names that anybody can have: '*.org'",
    text: `${ON}match from rdns "*.org" for any action "out"`,
    want: [open(4, ': a name of the client ("rdns") keeps nobody out')],
  },
  {
    name: "names that anybody can have: { '*.com', '*.net' }",
    text: `${ON}match from rdns { "*.com", "*.net" } for any action "out"`,
    want: [open(4, ': a name of the client ("rdns") keeps nobody out')],
  },
  {
    name: "names that anybody can have: 'mail.*'",
    text: `${ON}match from rdns "mail.*" for any action "out"`,
    want: [open(4, ': a name of the client ("rdns") keeps nobody out')],
  },
  {
    name: "names that anybody can have: '*.co.uk'",
    text: `${ON}match from rdns "*.co.uk" for any action "out"`,
    want: [open(4, ': a name of the client ("rdns") keeps nobody out')],
  },
  {
    name: "names that anybody can have: '*com'",
    text: `${ON}match from rdns "*com" for any action "out"`,
    want: [open(4, ': a name of the client ("rdns") keeps nobody out')],
  },
  {
    name: "names that anybody can have: regex '[.]com$'",
    text: `${ON}match from rdns regex "[.]com$" for any action "out"`,
    want: [open(4, ': a name of the client ("rdns") keeps nobody out')],
  },
  {
    name: "whoever has no name of ours",
    text: `${ON}match !from rdns ".example.org" for any action "out"`,
    want: [open(4, ': a name of the client ("rdns") keeps nobody out')],
  },
  {
    name: "names of ours: '*.example.org'",
    text: `${ON}match from rdns "*.example.org" for any action "out"`,
    want: [],
  },
  {
    name: "names of ours: '.example.org'",
    text: `${ON}match from rdns ".example.org" for any action "out"`,
    want: [],
  },
  {
    name: "names of ours: { 'a.example', 'mx.b.example' }",
    text: `${ON}match from rdns { "a.example", "mx.b.example" } for any action "out"`,
    want: [],
  },
  {
    name: "names of ours: regex '[.]example[.]org$'",
    text: `${ON}match from rdns regex "[.]example[.]org$" for any action "out"`,
    want: [],
  },
  {
    name: "names of ours: '*.example.co.uk'",
    text: `${ON}match from rdns "*.example.co.uk" for any action "out"`,
    want: [],
  },
  {
    name: "names of ours: '*mx.example.org'",
    text: `${ON}match from rdns "*mx.example.org" for any action "out"`,
    want: [],
  },
  {
    name: "a filter: whoever is in no network",
    text:
      `filter f phase connect match !src { "0.0.0.0/0", "::/0" } reject "550 no"\nlisten on eth0 filter f\naction "out" relay\nmatch from any for any action "out"`,
    want: [open(4)],
  },
  {
    name: "a filter: whoever is not in all of IPv4",
    text:
      `filter f phase connect match !src "0.0.0.0/0" reject "550 no"\nlisten on eth0 filter f\naction "out" relay\nmatch from any for any action "out"`,
    want: [open(4)],
  },
  {
    name: "a filter: whoever has no address",
    text:
      `filter f phase connect match !src regex "." reject "550 no"\nlisten on eth0 filter f\naction "out" relay\nmatch from any for any action "out"`,
    want: [open(4)],
  },
  {
    name: "a filter: a client without a name",
    text:
      `filter f phase connect match !rdns reject "550 no"\nlisten on eth0 filter f\naction "out" relay\nmatch from any for any action "out"`,
    want: [open(4)],
  },
  {
    name: "a filter: a client without confirmed name",
    text:
      `filter f phase connect match !fcrdns reject "550 no"\nlisten on eth0 filter f\naction "out" relay\nmatch from any for any action "out"`,
    want: [open(4)],
  },
  {
    name: "a filter: a name that anybody can have",
    text:
      `filter f phase connect match !rdns regex "." reject "550 no"\nlisten on eth0 filter f\naction "out" relay\nmatch from any for any action "out"`,
    want: [open(4)],
  },
  {
    name: "a filter: some senders",
    text:
      `filter f phase mail-from match !helo "x.example" reject "550 no"\nlisten on eth0 filter f\naction "out" relay\nmatch from any for any action "out"`,
    want: [open(4)],
  },
  {
    name: "a filter: some networks",
    text:
      `filter f phase connect match src "5.0.0.0/8" reject "550 no"\nlisten on eth0 filter f\naction "out" relay\nmatch from any for any action "out"`,
    want: [open(4)],
  },
  {
    name: "a filter: networks of ours",
    text:
      `filter f phase connect match !src { "10.0.0.0/8", "2001:db8::/32" } reject "550 no"\nlisten on eth0 filter f\naction "out" relay\nmatch from any for any action "out"`,
    want: [],
  },
  {
    name: "a filter: names of ours",
    text:
      `filter f phase connect match !rdns "*.example.org" reject "550 no"\nlisten on eth0 filter f\naction "out" relay\nmatch from any for any action "out"`,
    want: [],
  },
  {
    name: "a filter: everybody",
    text:
      `filter f phase connect match src { "0.0.0.0/0", "::/0" } reject "550 no"\nlisten on eth0 filter f\naction "out" relay\nmatch from any for any action "out"`,
    want: [],
  },
  { name: "the sources by name", text: `${ON}match from src "192.0.2.0/24" for any action "out"`, want: [] },
  {
    name: "half a list that excludes",
    text: `${ON}match from src { "10/8", "!10.1.2.3" } for any action "out"`,
    want: [],
  },
  { name: "the local ones", text: `${ON}match for any action "out"`, want: [] },
  { name: "who has logged in", text: `${ON}match auth from any for any action "out"`, want: [] },
  { name: "who has logged in, as a source", text: `${ON}match from auth for any action "out"`, want: [] },
  { name: "a name that is ours", text: `${ON}match from rdns ".example.org" for any action "out"`, want: [] },
  {
    name: "a backup for some domains",
    text: `${ON}match from any for domain { "a.example", "b.example" } action "out"`,
    want: [],
  },
  { name: "some recipients", text: `${ON}match from any for rcpt-to "joe@a.example" action "out"`, want: [] },
  { name: "local delivery of everything", text: `${ON}match from any for any action "in"`, want: [] },
  {
    name: "a rule that turns strangers away before",
    text: `${ON}match !auth from any for any reject\nmatch from any for any action "out"`,
    want: [],
  },
  {
    name: "the same by their address",
    text: `${ON}match !from src "10.0.0.0/8" for any reject\nmatch from any for any action "out"`,
    want: [],
  },
  {
    name: "listeners that ask for a login",
    text:
      'pki p cert "/x" key "/y"\nlisten on eth0 smtps pki p auth\nlisten on lo\naction "out" relay\nmatch from any for any action "out"',
    want: [],
  },
  {
    name: "a listener for clients with certificates of one's own authority",
    text:
      'pki p cert "/x" key "/y"\nca c cert "/z"\nlisten on eth0 smtps verify ca c pki p\naction "out" relay\nmatch from any for any action "out"',
    want: [],
  },
  {
    name: "the tag of a listener that asks for a login",
    text:
      'pki p cert "/x" key "/y"\nlisten on eth0 port 587 tls-require pki p auth tag S\nlisten on eth0\naction "out" relay\nmatch tag S from any for any action "out"',
    want: [],
  },
  {
    name: "a filter that refuses who has not logged in",
    text:
      'filter f phase mail-from match !auth reject "530 5.7.0 Log in"\nlisten on eth0 filter f\naction "out" relay\nmatch from any for any action "out"',
    want: [],
  },
];

const TAKEN = "takes all of it; the first rule that fits counts";
const TAKE = "take all of it; the first rule that fits counts";
const rules: readonly Row[] = [
  {
    name: "a rule behind one for everything",
    text:
      `${ON}match from any for any action "in"\nmatch from local for local action "in"\nmatch for domain "x" reject`,
    want: [
      `c:5: warning: no mail reaches this rule: the one in line 4 ${TAKEN}`,
      `c:6: warning: no mail reaches this rule: the one in line 4 ${TAKEN}`,
    ],
  },
  {
    name: "a rule twice",
    text: `${ON}match for domain "a.example" action "in"\nmatch for domain "a.example" reject`,
    want: [`c:5: warning: no mail reaches this rule: the one in line 4 ${TAKEN}`],
  },
  {
    name: "domains of which all are in a list before, one by its pattern",
    text:
      `table t { "a.example", "*.b.example" }\n${ON}match for domain <t> action "in"\nmatch for domain { "x.b.example", "a.example" } reject`,
    want: [`c:6: warning: no mail reaches this rule: the one in line 5 ${TAKEN}`],
  },
  {
    name: "logins behind those of anybody",
    text: `${ON}match auth for any action "in"\nmatch auth <u> for any reject`.replace(
      "listen",
      'table u { a }\npki p cert "/x" key "/y"\nlisten on eth0 smtps pki p auth\nlisten',
    ),
    want: [`c:8: warning: no mail reaches this rule: the one in line 7 ${TAKEN}`],
  },
  {
    name: "the socket behind all that is local",
    text: `${ON}match from local for any action "in"\nmatch from socket for any action "out"`,
    want: [`c:5: warning: no mail reaches this rule: the one in line 4 ${TAKEN}`],
  },
  {
    name: "a network inside another",
    text:
      `${ON}match from src "10.0.0.0/8" for any action "in"\nmatch from src "10.1.0.0/16" for any reject\nmatch from src { "10.2.3.4", "10.4/14" } for any reject`,
    want: [
      `c:5: warning: no mail reaches this rule: the one in line 4 ${TAKEN}`,
      `c:6: warning: no mail reaches this rule: the one in line 4 ${TAKEN}`,
    ],
  },
  {
    name: "a network of IPv6 inside another",
    text: `${ON}match from src "2001:db8::/32" for any action "in"\nmatch from src "2001:db8:1::/48" for any reject`,
    want: [`c:5: warning: no mail reaches this rule: the one in line 4 ${TAKEN}`],
  },
  {
    name: "networks that are not inside",
    text:
      `${ON}match from src { "10.0.0.0/9", "!10.1.0.0/16" } for any action "in"\nmatch from src "10.1.0.0/16" for any reject\nmatch from src "10.0.0.0/9" for any reject\nmatch from src "10.0.0.0/8" for any reject`,
    want: [],
  },
  {
    name: "a list behind one that takes a network out",
    text:
      `${ON}match from src { "10.0.0.0/8", "!10.1.0.0/16" } for any action "in"\nmatch from src { "10.0.0.0/8" } for any reject`,
    want: [],
  },
  {
    name: "the loopback behind all that is local",
    text:
      `${ON}match from local for any action "in"\nmatch from src "127.0.0.1" for any reject\nmatch from src { "::1", "127.0.0.1" } for any reject\nmatch from src "127.0.0.0/8" for any reject\nmatch from src "192.0.2.1" for any reject`,
    want: [
      `c:5: warning: no mail reaches this rule: the one in line 4 ${TAKEN}`,
      `c:6: warning: no mail reaches this rule: the one in line 4 ${TAKEN}`,
    ],
  },
  {
    name: "recipients of a domain that is taken",
    text:
      `${ON}match from any for domain { "example.org", "*.example.com" } action "in"\nmatch from any for rcpt-to "x@example.org" reject\nmatch from any for rcpt-to "@a.example.com" reject\nmatch from any for rcpt-to { "x@example.org", "y@example.net" } reject\nmatch from any for rcpt-to "x" reject`,
    want: [
      `c:5: warning: no mail reaches this rule: the one in line 4 ${TAKEN}`,
      `c:6: warning: no mail reaches this rule: the one in line 4 ${TAKEN}`,
    ],
  },
  {
    name: "a domain of which all recipients are taken",
    text:
      `${ON}match from any for rcpt-to { "@example.org", "x@example.net" } action "in"\nmatch from any for domain "example.org" reject\nmatch from any for domain "example.net" reject`,
    want: [`c:5: warning: no mail reaches this rule: the one in line 4 ${TAKEN}`],
  },
  {
    name: "domains that two rules take",
    text:
      `${ON}match from any for domain "a.example" action "in"\nmatch from any for domain "b.example" reject\nmatch from any for domain { "a.example", "b.example" } action "out"\nmatch from any for domain { "a.example", "c.example" } action "out"\nmatch for domain { "a.example", "b.example" } action "out"`,
    want: [
      `c:6: warning: no mail reaches this rule: those in line 4 and line 5 ${TAKE}`,
      `c:8: warning: no mail reaches this rule: the one in line 6 ${TAKEN}`,
    ],
  },
  {
    name: "networks and recipients that two rules take",
    text:
      `${ON}match from src "10.0.0.0/8" for any action "in"\nmatch from local for any reject\nmatch from src { "10.1.2.3", "127.0.0.1" } for any reject\nmatch from any for domain "a.example" action "in"\nmatch from any for rcpt-to "x@b.example" reject\nmatch from any for rcpt-to { "y@a.example", "x@b.example" } reject`,
    want: [
      `c:6: warning: no mail reaches this rule: those in line 4 and line 5 ${TAKE}`,
      `c:9: warning: no mail reaches this rule: those in line 7 and line 8 ${TAKE}`,
    ],
  },
  {
    name: "domains that rules with other criteria take",
    text:
      `${ON}match from any for domain "a.example" action "in"\nmatch for domain "b.example" reject\nmatch tls from any for domain "b.example" reject\nmatch from any for domain { "a.example", "b.example" } action "out"`,
    want: [],
  },
  {
    name: "a tag that no listener has",
    text: `${ON}match tag SUB for any action "in"`,
    want: ['c:4: warning: no mail reaches this rule: no listener has the tag "sub"'],
  },
  {
    name: "a rule of an included file",
    text: `${ON}include "/r"\nmatch for local action "in"`,
    files: { "/r": "\nmatch for local reject\n" },
    want: [`c:5: warning: no mail reaches this rule: the one in /r:2 ${TAKEN}`],
  },
  {
    name: "rules that part the mail among them",
    text:
      `${ON}match for local action "in"\nmatch from any for local action "in"\nmatch tls for any action "out"\nmatch for any action "out"\nmatch from any !for local reject`,
    want: [],
  },
  {
    name: "a table that may change while the daemon runs",
    text: `table t file:/t\n${ON}match for domain <t> action "in"\nmatch for domain "a.example" reject`,
    files: { "/t": "a.example\n" },
    want: [],
  },
  {
    name: "other criteria",
    text:
      `${ON}match mail-from "a@example.org" for any action "in"\nmatch mail-from "@example.org" for any action "out"\nmatch helo x for any reject\nmatch for any reject`,
    want: [],
  },
  {
    name: "the tag of a listener, in any case",
    text: 'listen on lo tag Sub\naction "in" mbox\nmatch tag SUB for any action "in"',
    want: [],
  },
];

const HASH = `$6$salt$${"x".repeat(86)}`;
const LOCAL = 'action "in" mbox alias <t>\nmatch for local action "in"';
const aliases = (text: string, more: Partial<Row> = {}) => ({
  text: `table t file:/aliases\n${LOCAL}`,
  files: { "/aliases": text, "/list": "" },
  ...more,
});
const listener = (values: string, more: string): Pick<Row, "text" | "files"> => ({
  text: `pki p cert "/x" key "/y"\ntable t ${more}\nlisten on eth0 smtps pki p auth <t>\nmatch for local reject`,
  files: { "/t": values },
});

const values: readonly Row[] = [
  {
    name: "aliases that cannot work",
    ...aliases(
      '# ours\nroot: alice\n\nhash: alice # the boss\ntwo alice bob\nquote: "alice\nnone: ,\nlist: :include:/gone\nfine: :include:/list, |cmd, "| cmd x", /f, error:550 x\n',
    ),
    want: [
      '/aliases:4: warning: the alias "hash" cannot work: "alice # the boss": a comment stands on a line of its own: its mail will be refused',
      '/aliases:5: warning: the alias "two" cannot work: "alice bob": targets are parted by commas: its mail will be refused',
      '/aliases:6: warning: the alias "quote" cannot work: a quote is not closed, or "\\" stands at the end: its mail will be refused',
      '/aliases:7: warning: the alias "none" cannot work: it names nobody: its mail will be refused',
      '/aliases:8: warning: the alias "list" includes /gone, which cannot be read: No such file',
    ],
  },
  {
    name: "aliases that lead in a circle",
    ...aliases(
      "a: b\nb: A\nc: a, b\nme: me\nmy: me, a\nout: a, x@example.net\nd: e\ne: bob\nf: f+tag\ng: h+x\nh: g\n",
    ),
    want: [
      '/aliases:10: warning: the alias "g" leads back to itself and nowhere else: its mail will be refused',
      '/aliases:11: warning: the alias "h" leads back to itself and nowhere else: its mail will be refused',
      '/aliases:1: warning: the alias "a" leads back to itself and nowhere else: its mail will be refused',
      '/aliases:2: warning: the alias "b" leads back to itself and nowhere else: its mail will be refused',
      '/aliases:3: warning: the alias "c" leads back to itself and nowhere else: its mail will be refused',
    ],
  },
  {
    name: "an include file of which a part is left out",
    ...aliases("list: :include:/list\n", {
      files: {
        "/aliases": "list: :include:/list\n",
        "/list": "# ours\nbob, carol # and a comment\n\ndan eve\nfay \\\n, gus\n:include:/other\nhal,\n",
      },
    }),
    want: [
      '/list:4: warning: of this line of the alias "list" the rest is left out: "dan eve": targets are parted by commas',
      '/list:7: warning: of this line of the alias "list" the rest is left out: an include file includes no other',
    ],
  },
  {
    name: "an alias with more than 2047 characters, which is one",
    ...aliases(`all: ${Array.from({ length: 200 }, (_, at) => `user${at}@example.net`).join(", ")}\n`),
    want: [],
  },
  {
    name: "aliases that are written in smtpd.conf",
    text: 'action "in" mbox virtual { "a@b" = "x y" }\nmatch for local action "in"',
    want: ['c:1: warning: the alias "a@b" cannot work: "x y": targets are parted by commas: its mail will be refused'],
  },
  {
    name: "more mistakes than anyone reads",
    ...aliases(Array.from({ length: 30 }, (_, at) => `a${at}: x y\n`).join("")),
    want: [
      ...Array.from(
        { length: 20 },
        (_, at) =>
          `/aliases:${
            at + 1
          }: warning: the alias "a${at}" cannot work: "x y": targets are parted by commas: its mail will be refused`,
      ),
      "c:1: warning: and 10 more of table <t>",
    ],
  },
  {
    name: "a command without the user that it needs",
    ...aliases("a: b\nlist: |/usr/bin/list, c\nmore: |x\n", { user: false }),
    want: [
      '/aliases:2: warning: commands and files of aliases need the user _smtpd, which this machine does not have: the mail of "list" will come back',
    ],
  },
  { name: "no command, and no such user", ...aliases("a: b\n", { user: false }), want: [] },
  {
    name: "passwords in clear, schemes that are not known",
    ...listener(
      `bob secret\neve: eve:{SSHA}abc\ncarol {PLAIN}open\ndan ${HASH}\nfay {SHA512-CRYPT}${HASH}\ngus SCRAM-SHA-256$1:a$b:c\nhal *\niva $6$short\njoe {BLF-CRYPT}$2b$12$cut\nkim $9$abc$def\n`,
      "file:/t",
    ),
    want: [
      '/t:1: warning: the password of "bob" is in clear, which lets nobody in: write what "smtpctl encrypt" makes of it',
      '/t:2: warning: the scheme {SSHA} of "eve" cannot be verified: logins will fail',
      '/t:3: warning: the password of "carol" is in clear for all who can read the file: write what "smtpctl encrypt" makes of it',
      '/t:6: warning: the SCRAM verifier of "gus" is damaged: logins will fail',
      ...['8: warning: the hash of "iva', '9: warning: the hash of "joe', '10: warning: the hash of "kim'].map((who) =>
        `/t:${who}" is damaged or of no known scheme: logins will fail: write what "smtpctl encrypt" prints`
      ),
    ],
  },
  {
    name: "a table of logins without anybody",
    ...listener("# nobody yet\n", "file:/t"),
    want: ["c:3: warning: table <t> is empty: nobody can log in"],
  },
  {
    name: "the same in a file of passwd(5)",
    ...listener(`# users\nbob:{SHA512-CRYPT}${HASH}:1:1::/x:\neve:{sha512.hex}00:1:1::/x:\nmax:secret\n`, "passwd:/t"),
    want: [
      '/t:3: warning: the scheme {sha512.hex} of "eve" cannot be verified: logins will fail',
      '/t:4: warning: the password of "max" is in clear, which lets nobody in: write what "smtpctl encrypt" makes of it',
    ],
  },
  {
    name: "smarthosts and their labels",
    text: `table s { gmail = "me:secret", odd = "secret" }
action "a" relay host "smtp+tls://gmail@mx.example" auth <s>
action "b" relay host "smtp+tls://gmial@mx.example" auth <s>
action "c" relay host "smtp://mx.example" auth <s>
action "d" relay host "smtp+tls://gmail@mx.example"
action "e" relay host "smtps://gmail@mx example" auth <s>
match for any action "a"`,
    want: [
      'c:1: warning: the value of the label "odd" is no user:password',
      'c:3: warning: action "b": the host "smtp+tls://gmial@mx.example" has the label "gmial", which table <s> does not have: its mail will wait',
      'c:4: warning: action "c": the host "smtp://mx.example" has no label, so that "auth" has no effect: write smtps://LABEL@mx.example or smtp+tls://LABEL@…',
      'c:5: warning: action "d": the host "smtp+tls://gmail@mx.example" has a label, which needs "auth": its mail will wait',
      'c:6: warning: action "e": the host "smtps://gmail@mx example" has " example" behind the name: write [scheme://][label@]host[:port], IPv6 addresses in brackets: its mail will wait',
    ],
  },
  {
    name: "addresses and their names",
    text:
      `table n file:/n\nlisten on lo hostnames <n>\naction "a" relay src { "192.0.2.1", eth0 } helo-src <n>\nmatch for any action "a"`,
    files: {
      "/n":
        "192.0.2.1 a.example\n2001:db8::1 b.example\n[2001:db8::2]: c.example\n2001:DB8:0::3 d.example\neth0 e.example\n192.0.2.9 f..example\n",
    },
    want: [
      '/n:4: warning: "2001:DB8:0::3" is never looked up: write it as 2001:db8::3',
      '/n:5: warning: "eth0" is no address: it is never looked up',
      'c:3: warning: "eth0" is no address: no mail leaves from it; interfaces: lo (127.0.0.1)',
    ],
  },
  {
    name: "sources that are no addresses",
    text:
      `table lan { "10.0.0.0/8", "192.168", "[2001:db8::/32]", "host.example" }\nmatch from src <lan> for local reject`,
    want: ['c:1: warning: "host.example" is no address or network: no client comes from it'],
  },
  {
    name: "accounts that are none",
    text:
      `table u { bob = "1000:1000:/home/bob", eve = "1000:/home/eve" }\naction "in" maildir userbase <u>\nmatch for local action "in"`,
    want: ['c:1: warning: the value of "eve" is no account, uid:gid:home: its mail will be refused for now'],
  },
];

const NOBODY = "no mail from other machines is taken here: no rule with an action is for them: " +
  'write "from any" or "from src" into one, such as "match from any for domain …"';
const NO_GAIN = "a login here opens nothing: no rule lets those who have logged in send to others: ";
const NO_LOGIN = 'no mail reaches this rule: no listener has "auth" or "auth-optional", so that nobody can log in';
const ADD = 'add a rule such as "match from auth for any action …"';
const DOORS = 'pki p cert "/x" key "/y"\naction "in" mbox\naction "out" relay\n';

const reach: readonly Row[] = [
  {
    name: "a public listener, and rules for this machine alone",
    text: 'listen on eth0\naction "in" mbox\nmatch for local action "in"\nmatch from socket for any action "in"',
    want: [`c:1: warning: ${NOBODY}`],
  },
  {
    name: "a public listener whose tag no such rule has",
    text: `listen on eth0 tag A\nlisten on eth1 tag B\n${DOORS}match tag B from any for local action "in"`,
    want: [`c:1: warning: ${NOBODY}`],
  },
  {
    name: "rules for those who have logged in, and a listener where nobody can",
    text: `listen on eth0\n${DOORS}match auth for local action "in"\nmatch from auth for any action "out"`,
    want: [`c:1: warning: ${NOBODY}`, `c:5: warning: ${NO_LOGIN}`, `c:6: warning: ${NO_LOGIN}`],
  },
  {
    name: "a login, and no rule for it",
    text:
      `${DOORS}listen on eth0 tls pki p\nlisten on eth0 port 587 tls-require pki p auth\nmatch from any for domain "example.org" action "in"\nmatch for any action "out"`,
    want: [`c:5: warning: ${NO_GAIN}${ADD}`],
  },
  {
    name: "a login, and a rule for it that is for local clients",
    text:
      `${DOORS}listen on eth0 port 587 tls-require pki p auth-optional\nmatch from any for domain "example.org" action "in"\nmatch auth for any action "out"`,
    want: [
      `c:4: warning: ${NO_GAIN}the rule in line 6 is for clients of this machine only: write "from auth" into it`,
    ],
  },
  {
    name: "a login with its rule, by its tag, by a filter, and one that keeps others out",
    text: `${DOORS}filter f phase mail-from match !auth reject "530 5.7.0 no"
listen on eth0 smtps pki p auth tag S
listen on eth1 smtps pki p auth
listen on eth2 smtps pki p auth-optional filter f
match from auth for any action "out"
match tag S from any for any action "out"
match from any for domain "example.org" action "in"`,
    want: [],
  },
  {
    name: "logins that keep all others out",
    text: `${DOORS}listen on eth0 smtps pki p auth\nmatch from any for domain "example.org" action "in"`,
    want: [],
  },
  {
    name: "listeners of this machine, and rules from addresses and names",
    text:
      `listen on lo\nlisten on eth0 tag A\nlisten on eth1 tag B\n${DOORS}match tag A from src "10/8" for any action "out"\nmatch tag B from rdns "*.example.org" for any action "out"`,
    want: [],
  },
];

const patterns: readonly Row[] = [
  {
    name: "domains that fit nothing",
    text:
      'action "in" mbox\nmatch from any for domain { "@example.org", "user@example.org", "exmaple,org", ".example.org", "example.com.", "a..b", "http://x", "mail example" } action "in"',
    want: [
      'c:2: warning: "@example.org" is no domain, and fits none: write it without the "@"',
      'c:2: warning: "user@example.org" is an address, and fits no domain: write it behind "rcpt-to" or "mail-from"',
      'c:2: warning: "exmaple,org" is no domain, and fits none: several are written { "a.example", "b.example" }',
      'c:2: warning: ".example.org" fits no domain: all below a domain are "*.example.org"',
      'c:2: warning: "example.com." fits no domain: write it without the dot at its end',
      'c:2: warning: "a..b" is no domain, and fits none',
      'c:2: warning: "http://x" is no domain, and fits none',
      'c:2: warning: "mail example" is no domain, and fits none: several are written { "a.example", "b.example" }',
    ],
  },
  {
    name: "bytes that are not UTF-8",
    text: 'action "in" mbox\nmatch for domain "caf\ufffd.example" action "in"',
    want: ['c:2: warning: "caf\ufffd.example" is no domain: it holds bytes that are not UTF-8'],
  },
  {
    name: "addresses that fit nothing",
    text:
      'action "in" mbox\nmatch for rcpt-to "example.org" action "in"\nmatch mail-from { "*@example.org", "<a@b.example>", "a@b,c", "@.example" } for any action "in"\nmatch !from mail-from "*" for any reject',
    want: [
      'c:2: warning: "example.org" is a user of any domain: write "@example.org" for all of a domain',
      'c:3: warning: "*@example.org" fits no address: a "*" in front of the "@" stands for itself: write "@example.org" for all of a domain',
      'c:3: warning: "<a@b.example>" fits no address: write it without "<" and ">"',
      'c:3: warning: "@.example" fits no address: ".example" fits no domain: all below a domain are "*.example"',
      'c:3: warning: "a@b,c" fits no address: several are written { "a@b.example", "@c.example" }',
      'c:4: warning: "*" fits no address: a "*" in front of the "@" stands for itself: write "@" for everybody',
    ],
  },
  {
    name: "the same in a table file, of a filter and of senders",
    text:
      `table d file:/d\ntable s file:/s\n${DOORS}filter f phase ehlo match helo <d> reject "550 no"\nfilter g phase rcpt-to match rcpt-to { "x.org" } reject "550 no"\nfilter h phase connect match src "192.0.2.0/33" reject "550 no"\nlisten on lo smtps pki p filter { f, g, h } auth senders <s>\nmatch for local action "in"`,
    files: { "/d": "good.example\n@bad.example\n", "/s": "bob: bob@example.org, *@x.example\n" },
    want: [
      '/d:2: warning: "@bad.example" is no domain, and fits none: write it without the "@"',
      '/s:1: warning: an address of "bob" fits nothing: "*@x.example" fits no address: a "*" in front of the "@" stands for itself: write "@x.example" for all of a domain',
      'c:7: warning: "x.org" is a user of any domain: write "@x.org" for all of a domain',
      'c:8: warning: "192.0.2.0/33" is no address or network: no client comes from it',
    ],
  },
  {
    name: "networks that are none, behind an open relay: with their line",
    text:
      'listen on eth0\naction "in" mbox\nmatch from src "192.0.2.0/33" for any action "in"\nmatch from src { "192.0.2.300", "10.1" } for any action "in"',
    want: [
      'c:3: warning: "192.0.2.0/33" is no address or network: no client comes from it',
      'c:4: warning: "192.0.2.300" is no address or network: no client comes from it',
    ],
  },
  {
    name: "virtual addresses of domains that no rule takes",
    text:
      'table v file:/v\naction "in" mbox virtual <v>\nmatch for domain { "a.example", "*.b.example" } action "in"\nmatch for domain "münchen.example" action "in"',
    files: {
      "/v":
        "x@a.example: joe\nx@c.b.example: joe\n@xn--mnchen-3ya.example: joe\n@: joe\njoe: joe\nx@b.example: joe\n@d.example joe\n@*.b.example: joe\n",
    },
    want: [
      '/v:6: warning: the key "x@b.example" is never looked up: no rule with this table is for the domain "b.example"',
      '/v:7: warning: the key "@d.example" is never looked up: no rule with this table is for the domain "d.example"',
    ],
  },
  {
    name: "virtual addresses where the domains are not known",
    text:
      'action "in" mbox virtual { "x@d.example" = joe }\nmatch for domain "a.example" action "in"\nmatch for local action "in"',
    want: [],
  },
  {
    name: "patterns that fit",
    text:
      'action "in" mbox\nmatch for domain { "example.org", "*.example.org", "münchen.example", "[192.0.2.1]", "a_b.example", localhost, "mx*" } mail-from { "bob", "bob+x", "@example.org", "bob@", "@", "@*.example.org", "first.last", "o\'b@example.org" } helo { "[10.0.0.1]", "PC-1" } action "in"',
    want: [],
  },
];

const ACCOUNTS = new Map<string, number | "unknown">([["root", 0], ["alice", 1000], ["far", "unknown"]]);
const MACHINE: SystemUsers = {
  uidOf: (name) => Promise.resolve(ACCOUNTS.get(name) ?? null),
  names: () => [...ACCOUNTS.keys()],
};
const NO_USER = "and its mail will be refused: there is no such user or alias";
const AS_ROOT = "delivers nothing: lead it to a person: its mail will come back";

const people: readonly Row[] = [
  {
    name: "aliases to users who are not there",
    ...aliases(
      "root: alcie\npostmaster: Alice\nabuse: you, postmaster, x@y.example\nme: me\nalice: alice\nfar: far\ntag: alice+x\nlist: :include:/list\n",
      {
        files: {
          "/aliases":
            "root: alcie\npostmaster: Alice\nabuse: you, postmaster, x@y.example\nme: me\nalice: alice\nfar: far\ntag: alice+x\nlist: :include:/list\n",
          "/list": "alice\nbobby, eve@x.example\n",
        },
        users: MACHINE,
      },
    ),
    want: [
      `/aliases:1: warning: the alias "root" leads to "alcie", ${NO_USER}, did you mean "alice"?`,
      `/aliases:3: warning: the alias "abuse" leads to "you", ${NO_USER}`,
      `/aliases:4: warning: the alias "me" leads to "me", ${NO_USER}`,
      `/aliases:8: warning: the alias "list" leads to "bobby", ${NO_USER}`,
    ],
  },
  {
    name: "virtual users, of the system and of a table",
    text: `table u { vmail = "5000:5000:/srv" }
action "a" maildir virtual { "x@d.example" = "nobody-here", "y@d.example" = "alice" }
action "b" maildir virtual { "x@e.example" = "vmial", "y@e.example" = "vmail, other", other = "vmail" } userbase <u>
match for domain "d.example" action "a"
match for domain "e.example" action "b"`,
    users: MACHINE,
    want: [
      `c:2: warning: the alias "x@d.example" leads to "nobody-here", ${NO_USER}`,
      'c:3: warning: the alias "x@e.example" leads to "vmial", whom table <u> does not have: its mail will be refused',
    ],
  },
  ...([
    ["maildir", 'c:1: warning: the alias "hostmaster" leads to "root", for whom action "in" ' + AS_ROOT],
    ['lmtp "/run/l"', 'c:1: warning: the alias "hostmaster" leads to "root", for whom action "in" ' + AS_ROOT],
    ["mbox", null],
    ["maildir user root", null],
    ['maildir "/srv/x" user alice', null],
    ["forward-only", null],
  ] as const).map(([method, want]) => ({
    name: `root's mail with ${method}`,
    text: `action "in" ${method} alias { hostmaster = root }\nmatch for local action "in"`,
    users: MACHINE,
    want: want === null ? [] : [want],
  })),
];

const literals: readonly Row[] = [
  {
    name: "formats that nothing can be made of",
    text: `mda wrapper w "/bin/wrap %{user.name} %{mda}"
action "a" maildir "~/%{user.usernam}"
action "b" mda "/bin/x %{foo}" user alice
action "c" lmtp "/run/%{rcpt.usr}"
action "d" mbox wrapper w
action "e" maildir "Mail/%{user.username}"
action "f" mda "/bin/x %{mda} " user alice
action "g" mda "/bin/x %{rcpt:upper}" user alice
action "h" mda "/bin/x %{rcpt" user alice
action "i" mbox alias { p = "|/bin/p %{user.usernam}", q = "/var/%{dest.user}" }
match for local action "a"`,
    want: [
      'c:2: warning: action "a": maildir "~/%{user.usernam}" cannot work: unknown token "user.usernam", did you mean "user.username"?: its mail will come back',
      'c:3: warning: action "b": mda "/bin/x %{foo}" cannot work: unknown token "foo": its mail will come back',
      'c:4: warning: action "c": lmtp "/run/%{rcpt.usr}" cannot work: unknown token "rcpt.usr", did you mean "rcpt.user"?: its mail will come back',
      'c:5: warning: action "d": wrapper "/bin/wrap %{user.name} %{mda}" cannot work: unknown token "user.name": its mail will come back',
      'c:6: warning: action "e": maildir "Mail/%{user.username}" is no absolute path: begin it with "/" or "~/": its mail will come back',
      'c:7: warning: action "f": mda "/bin/x %{mda} " cannot work: %{mda} is known in wrappers only: its mail will come back',
      'c:8: warning: action "g": mda "/bin/x %{rcpt:upper}" cannot work: unknown modifier "upper": its mail will come back',
      'c:9: warning: action "h": mda "/bin/x %{rcpt" cannot work: %{ without }: its mail will come back',
      'c:10: warning: the alias "p" cannot work: unknown token "user.usernam", did you mean "user.username"?: its mail will come back',
    ],
  },
  {
    name: "formats that work, and ranges that only some values have",
    text: `mda wrapper w "/bin/wrap %{mda}"
action "a" maildir "%{user.directory}/x/%{rcpt.domain[0:300]:lowercase|strip}"
action "b" mda "date +%s; %% %{dest.user[-1000:]:raw} %{mbox.from}" user alice
action "c" lmtp "/run/%{sender.domain}" wrapper w
match for local action "a"`,
    want: [],
  },
  {
    name: "names of hosts that are none",
    text: `listen on lo hostname "mail example"
listen on lo port 26 hostname "mail_1.example.org"
action "a" relay helo "http://x"
action "b" relay backup mx "a,b"
action "c" relay helo "[192.0.2.1]" mail-from "*@example.org"
action "d" relay helo "mail.münchen.example" mail-from "@example.org"
match for any action "a"`,
    want: [
      'c:1: warning: hostname "mail example" is no host name: others may refuse its greeting',
      'c:3: warning: action "a": helo "http://x" is no host name: others may refuse its mail',
      'c:4: warning: action "b": backup mx "a,b" is no host name',
      'c:5: warning: action "c": mail-from: "*@example.org" fits no address: a "*" in front of the "@" stands for itself: write "@example.org" for all of a domain',
    ],
  },
];

const REACH = /no mail from other machines is taken here|a login here opens nothing/;

for (const row of [...relays, ...rules, ...values, ...reach, ...patterns, ...people, ...literals]) {
  Deno.test(`adviseOn(): ${row.name}: ${row.want.length === 0 ? "silence" : "warned of"}`, async () => {
    const lines = await linesOf(row);
    // Rows about rules let anybody relay now and then.
    const mine = (relays as readonly Row[]).includes(row)
      ? lines.filter((line) => line.includes(OPEN))
      : lines.filter((line) => !line.includes(OPEN) && (reach.includes(row) || !REACH.test(line)));
    assert.deepEqual(mine.toSorted(), row.want.toSorted());
    assert.ok(!lines.some((line) => /secret/.test(line)), "no secret is logged");
  });
}

/** What is said of right configurations of the corpus: of no other. */
const CORPUS: Readonly<Record<string, readonly RegExp[]>> = {
  "a-provider-for-each-sender": [
    /:11: warning: action "two": the host "two@smtp\.two\.test:587" has a label, which needs smtp\+tls or smtps/,
  ],
  "first-match": [/:8: warning: no mail reaches this rule: the one in line 7 takes all of it/],
  "guarded-mail-host": [/^\/etc\/virtuals:2: .*domain "example\.net"/, /^\/etc\/virtuals:5: .*domain "example\.net"/],
  "interface-groups": [/:4: warning: no mail from other machines/, /:5: warning: no mail from other machines/],
  "macros": [/:11: warning: action "inbox": maildir "\$name" is no absolute path/],
  "match-all-criteria": [/:9: warning: no mail reaches this rule: no listener has the tag "sub"/],
  "relay-for-customers": [/:17: warning: .*nobody can log in/, /:19: warning: .*nobody can log in/],
  "signing-proxy": [/:16: warning: .*nobody can log in/],
};

for (const entry of entries("valid")) {
  Deno.test(`adviseOn(): corpus/valid/${entry.name}.conf`, async () => {
    const result = parseEntry(entry);
    assert.ok(result.ok);
    const read = (path: string) => Deno.readFileSync(new URL(`.${path}`, FILES));
    const lines = await adviseOn(result.config, read, {
      readText: () => null,
      hasUser: () => true,
      interfaceList: () => "",
    }, EVERYBODY);
    const own = lines.filter((line) => !line.startsWith("/etc/people:"));
    const want = CORPUS[entry.name] ?? [];
    assert.equal(own.length, want.length, own.join("\n"));
    want.forEach((pattern, at) => assert.match(own[at]!, pattern));
  });
}
