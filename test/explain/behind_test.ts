/** What is explained of messages behind their 250, line by line: where they are relayed, by which TLS and limits, where they lie, how long they are kept. */

import assert from "node:assert/strict";
import { type EnvelopeContent, NO_DSN } from "../../src/envelope/mod.ts";
import { explainEnvelopes } from "../../src/explain/behind.ts";
import { type Look, placeState } from "../../src/explain/place.ts";
import { explainSigning } from "../../src/explain/signing.ts";
import { type Step, stepLines } from "../../src/explain/step.ts";
import type { SigningKeyName } from "../../src/protocol/mod.ts";
import { configOf } from "../config/helper.ts";
import { evpid } from "../ids.ts";
import { names, NOT_OWN } from "../relay/world.ts";
import { AT, frontOf, MESSAGE } from "./support.ts";

const CONFIG = `mda wrapper "nice" "/usr/bin/nice %{mda}"
table hosts { "smtps://isp@a.test", "smtp+tls://b.test:587" }
table secrets { "isp" = "user:sesame" }
table sources { "198.51.100.1", "2001:db8:1::1" }
mta limit conn-delay-route 2
mta limit inet4
mta limit for domain "closed.test" session-mail-max 7
queue ttl 2d
bounce warn-interval 1h
srs key "a secret"
action "local" maildir "/srv/mail/%{user.username}" junk
action "box" mbox
action "pipe" mda "/usr/bin/deliver -f '%{sender}' %{dest.user}" user vmail
action "wrapped" maildir wrapper "nice"
action "lmtp" lmtp "127.0.0.1:24" rcpt-to
action "out" relay
action "strict" relay tls protocols "TLSv1.3" ttl 1h
action "smart" relay host <hosts> auth <secrets> helo "out.example.org"
action "from" relay src <sources> srs mail-from "@lists.example.org"
action "backup" relay backup mx "c.test"
match for any action "local"
`;

const ZONE = {
  mx: {
    "two.test": [[10, "a.test"], [20, "b.test"], [20, "none.test"]] as [number, string][],
    "equal.test": [[10, "a.test"], [10, "b.test"]] as [number, string][],
    "null.test": [[0, ""]] as [number, string][],
    "own.test": [[5, "a.test"], [10, "me.test"], [20, "b.test"]] as [number, string][],
    "loop.test": [[10, "me.test"]] as [number, string][],
    "plain.test": "nodata" as const,
    "broken.test": "temporary" as const,
    "closed.test": [[10, "b.test"]] as [number, string][],
  },
  addresses: {
    "a.test": ["192.0.2.1", "2001:db8::1"],
    "b.test": ["192.0.2.2"],
    "plain.test": ["192.0.2.9"],
  },
};

const BY_ZONE = names(ZONE);
/** With a domain and a host that are aliases of others. */
const NAMES: typeof BY_ZONE = {
  ...BY_ZONE,
  mx: (domain) => {
    if (domain !== "alias.test") return BY_ZONE.mx(domain);
    const records = [{ preference: 10, exchange: "alias2.test" }];
    return Promise.resolve({ ok: true, records, canonical: "real.test" });
  },
  addresses: (name, family) => {
    if (name !== "alias2.test") return BY_ZONE.addresses(name, family);
    return Promise.resolve({ ok: true, records: ["192.0.2.5"], canonical: "real2.test" });
  },
};

function mailbox(text: string) {
  const at = text.lastIndexOf("@");
  return { local: text.slice(0, at), domain: text.slice(at + 1) };
}

function envelopeOf(changes: Partial<EnvelopeContent> & Pick<EnvelopeContent, "action">): EnvelopeContent {
  return {
    id: evpid("0000000100000001"),
    sender: mailbox("a@example.net"),
    rcpt: changes.dest ?? mailbox("r@two.test"),
    dest: mailbox("r@two.test"),
    origin: {
      ...{ address: "192.0.2.7", hostname: "c", helo: "c", smtpname: "me", tag: "", username: "" },
      authenticated: false,
    },
    dsn: NO_DSN,
    agent: "mta",
    internal: false,
    createdAt: AT,
    ...changes,
  };
}

/** Folders of others are closed, /srv/mail is vmail's. */
const look: Look = (path) => {
  const folders: Record<string, { uid: number; mode: number }> = {
    "/": { uid: 0, mode: 0o755 },
    "/srv": { uid: 0, mode: 0o755 },
    "/srv/mail": { uid: 0, mode: 0o1777 },
    "/srv/mail/bob": { uid: 1001, mode: 0o700 },
    "/srv/mail/bob/.tag": { uid: 1001, mode: 0o700 },
    "/srv/mail/bob/.tag/new": { uid: 1001, mode: 0o700 },
    "/var": { uid: 0, mode: 0o755 },
    "/var/mail": { uid: 0, mode: 0o755 },
    "/home": { uid: 0, mode: 0o755 },
  };
  const found = folders[path];
  return found === undefined ? { kind: "absent" } : { kind: "directory", gid: 0, ...found };
};

async function linesOf(envelope: EnvelopeContent, text = MESSAGE): Promise<string[]> {
  const { front, config, settings } = await frontOf(CONFIG);
  try {
    const steps = await explainEnvelopes({ envelopes: [envelope], text }, {
      config,
      settings: {
        ...settings,
        delivery: { ...settings.delivery, shared: { ...settings.delivery.shared, root: true } },
      },
      lookups: front.lookups,
      names: NAMES,
      own: { ...NOT_OWN, name: (name) => name === "me.test" },
      look,
      now: () => AT,
    });
    return stepLines(steps, { verbose: true });
  } finally {
    await front.close();
  }
}

const OPPORTUNISTIC =
  "    TLS: by STARTTLS where the host offers it, with any certificate; in clear where it does not, or where TLS fails";
const LIMITS = "    limits: those of mta limit: inet4, conn-delay-route 2 [c:6]";
const EHLO = "    from any address of this host, which says EHLO mail.example.org";
const KEPT =
  "  what fails for now is tried again after 6m40s, 26m40s, 1h, 1h46m40s, …, its sender is told of the delay after 26m40s, and is returned to its sender after 2d [c:8]";
const MAIL = [
  "  a host that offers every extension is told MAIL FROM:<a@example.net> SIZE=46",
  "  a host that offers none is told MAIL FROM:<a@example.net>",
];
const relayed = (to: string, action: string, line: number) => `${to} is relayed by the action "${action}" [c:${line}]`;

interface Row {
  readonly name: string;
  readonly envelope: Partial<EnvelopeContent> & Pick<EnvelopeContent, "action">;
  readonly text?: string;
  readonly want: readonly string[];
}

const ROUTES: readonly Row[] = [
  {
    name: "MX records, the hosts in their order, and one without an address",
    envelope: { action: "out" },
    want: [
      relayed("r@two.test", "out", 16),
      "  the sender is <a@example.net>",
      "  the mail of two.test goes by its MX records",
      "    MX 10 a.test (192.0.2.1, 2001:db8::1)",
      "    MX 20 b.test (192.0.2.2)",
      "    MX 20 none.test: left out, it has no address",
      "    tried in this order until one takes it: a.test 192.0.2.1:25, then b.test 192.0.2.2:25",
      ...[EHLO, OPPORTUNISTIC, LIMITS, ...MAIL, KEPT],
    ],
  },
  {
    name: "equal hosts, and limits of the domain",
    envelope: { action: "out", dest: mailbox("x@closed.test") },
    want: [
      relayed("x@closed.test", "out", 16),
      "  the sender is <a@example.net>",
      "  the mail of closed.test goes by its MX records",
      "    MX 10 b.test (192.0.2.2)",
      "    tried in this order until one takes it: b.test 192.0.2.2:25",
      ...[EHLO, OPPORTUNISTIC],
      "    limits: those of mta limit for domain closed.test: inet4, conn-delay-route 2, session-mail-max 7 [c:7]",
      ...[...MAIL, KEPT],
    ],
  },
  {
    name: "a null MX",
    envelope: { action: "out", dest: mailbox("x@null.test") },
    want: [
      relayed("x@null.test", "out", 16),
      "  the sender is <a@example.net>",
      "  the mail of null.test goes by its MX records",
      "    MX 0 .: left out, it takes no mail (null MX, RFC 7505)",
      "    Domain does not accept mail (5.1.10, returned to the sender)",
      ...[EHLO, OPPORTUNISTIC, LIMITS],
      "  no host is tried: Domain does not accept mail; returned to the sender",
    ],
  },
  {
    name: "a backup that the domain does not know",
    envelope: { action: "backup", dest: mailbox("x@equal.test") },
    want: [
      relayed("x@equal.test", "backup", 20),
      "  the sender is <a@example.net>",
      "  the mail of equal.test goes by its MX records",
      "    MX 10 a.test (192.0.2.1, 2001:db8::1)",
      "    MX 10 b.test (192.0.2.2)",
      "    this host is a backup, but c.test is not among the mail exchangers of equal.test",
      "    tried in this order until one takes it: a.test 192.0.2.1:25, then b.test 192.0.2.2:25; among equals one at random goes first",
      ...[EHLO, OPPORTUNISTIC, LIMITS, ...MAIL, KEPT],
    ],
  },
  {
    name: "aliases of the DNS",
    envelope: { action: "out", dest: mailbox("x@alias.test") },
    want: [
      relayed("x@alias.test", "out", 16),
      "  the sender is <a@example.net>",
      "  the mail of alias.test (a CNAME of real.test) goes by its MX records",
      "    MX 10 alias2.test (192.0.2.5) by its CNAME real2.test",
      "    tried in this order until one takes it: alias2.test 192.0.2.5:25",
      ...[EHLO, OPPORTUNISTIC, LIMITS, ...MAIL, KEPT],
    ],
  },
  {
    name: "this host among the exchangers",
    envelope: { action: "out", dest: mailbox("x@own.test") },
    want: [
      relayed("x@own.test", "out", 16),
      "  the sender is <a@example.net>",
      "  the mail of own.test goes by its MX records",
      "    MX 5 a.test (192.0.2.1, 2001:db8::1)",
      "    MX 10 me.test: left out, it is this host, and mail must not come back to it (RFC 5321 §5.1)",
      "    MX 20 b.test (192.0.2.2): left out, it is not preferred to this host (RFC 5321 §5.1)",
      "    tried in this order until one takes it: a.test 192.0.2.1:25",
      ...[EHLO, OPPORTUNISTIC, LIMITS, ...MAIL, KEPT],
    ],
  },
  {
    name: "a domain without MX, TLS of the action, a ttl of its own",
    envelope: { action: "strict", dest: mailbox("x@plain.test") },
    want: [
      relayed("x@plain.test", "strict", 17),
      "  the sender is <a@example.net>",
      "  plain.test has no MX: its own addresses take the mail",
      "    its addresses: 192.0.2.9",
      "    tried in this order until one takes it: plain.test 192.0.2.9:25",
      EHLO,
      "    TLS: required, by STARTTLS, with a certificate that is valid for the name of the host, protocols TLSv1.3; a host without it gets no mail",
      ...[LIMITS, ...MAIL],
      "  what fails for now is tried again after 6m40s, 26m40s, its sender is told of the delay after 26m40s, and is returned to its sender after 1h [c:17]",
    ],
  },
  {
    name: "smarthosts in turn, with a login of which no secret is shown",
    envelope: { action: "smart" },
    want: [
      relayed("r@two.test", "smart", 18),
      "  the sender is <a@example.net>",
      "  its hosts take turns: the next message begins with the next of them",
      "  the host is b.test:587, as table <hosts> says",
      "    its addresses: 192.0.2.2",
      "    tried in this order until one takes it: b.test 192.0.2.2:587",
      "    from any address of this host, which says EHLO out.example.org",
      "    TLS: required, by STARTTLS, with a certificate that is valid for the name of the host; a host without it gets no mail",
      LIMITS,
      "  the host is a.test:465, as table <hosts> says",
      "    its addresses: 192.0.2.1, 2001:db8::1",
      "    tried in this order until one takes it: a.test 192.0.2.1:465",
      "    from any address of this host, which says EHLO out.example.org",
      "    TLS: required, from the first octet (smtps), with a certificate that is valid for the name of the host",
      '    logs in with the credentials of the label "isp" in table <secrets>',
      ...[LIMITS, ...MAIL, KEPT],
    ],
  },
  {
    name: "a forwarded message, from local addresses, to a host of one family",
    envelope: { action: "from", rcpt: mailbox("list@example.org") },
    want: [
      relayed("r@two.test, for list@example.org,", "from", 19),
      "  the sender is <SRS0=Z8X_=7H=lists.example.org=a@example.org>, rewritten by SRS, since the mail was forwarded [c:10]",
      "  its local addresses take turns: the next message begins with the next of them",
      "  the mail of two.test goes by its MX records, from 198.51.100.1",
      "    MX 10 a.test (192.0.2.1, 2001:db8::1)",
      "    MX 20 b.test (192.0.2.2)",
      "    MX 20 none.test: left out, it has no address",
      "    tried in this order until one takes it: a.test 192.0.2.1:25, then b.test 192.0.2.2:25",
      "    from the address 198.51.100.1, which says EHLO mail.example.org",
      ...[OPPORTUNISTIC, LIMITS],
      "  the mail of two.test goes by its MX records, from 2001:db8:1::1",
      "    MX 10 a.test (192.0.2.1, 2001:db8::1)",
      "    MX 20 b.test (192.0.2.2)",
      "    MX 20 none.test: left out, it has no address",
      "    no host has an address that can be used from 2001:db8:1::1",
      "    from the address 2001:db8:1::1, which says EHLO mail.example.org",
      ...[OPPORTUNISTIC, LIMITS],
      "  a host that offers every extension is told MAIL FROM:<SRS0=Z8X_=7H=lists.example.org=a@example.org> SIZE=46",
      "  a host that offers none is told MAIL FROM:<SRS0=Z8X_=7H=lists.example.org=a@example.org>",
      KEPT,
    ],
  },
  {
    name: "a domain that cannot be looked up now",
    envelope: { action: "out", dest: mailbox("x@broken.test"), sender: null },
    want: [
      relayed("x@broken.test", "out", 16),
      "  the sender is <>",
      "  the mail of broken.test goes by its MX records",
      "    Temporary failure in MX lookup of broken.test: SERVFAIL from 192.0.2.53 (4.4.3, tried again later)",
      ...[EHLO, OPPORTUNISTIC, LIMITS],
      "  no host is tried: Temporary failure in MX lookup of broken.test: SERVFAIL from 192.0.2.53; tried again later",
      "  what fails for now is tried again after 6m40s, 26m40s, 1h, 1h46m40s, …, and is dropped without a notice after 2d [c:8]",
    ],
  },
  {
    name: "octets beyond ASCII, SMTPUTF8 and REQUIRETLS",
    envelope: {
      action: "out",
      dest: mailbox("ü@closed.test"),
      handling: { smtpUtf8: true, requireTls: true },
    },
    text: "Subject: x\n\nbödy\n",
    want: [
      relayed("ü@closed.test", "out", 16),
      "  the sender is <a@example.net>",
      "  the mail of closed.test goes by its MX records",
      "    MX 10 b.test (192.0.2.2)",
      "    tried in this order until one takes it: b.test 192.0.2.2:25",
      ...[EHLO, OPPORTUNISTIC],
      "    limits: those of mta limit for domain closed.test: inet4, conn-delay-route 2, session-mail-max 7 [c:7]",
      "  a host that offers every extension is told MAIL FROM:<a@example.net> SIZE=21 BODY=8BITMIME SMTPUTF8 REQUIRETLS",
      "  a host that offers none is told not sent: REQUIRETLS: the connection to the next host is not under TLS, returned to the sender",
      "  REQUIRETLS: only a host under TLS, with a certificate that is valid for its name, that offers REQUIRETLS itself gets it; else it is returned (5.7.30)",
      KEPT,
    ],
  },
];

const local = (action: string): Row["envelope"] => ({ action, agent: "mda", user: "bob", subAddress: "", exec: "" });
const KEPT_HERE =
  "  what fails for now is tried again after 10s, 40s, 1m30s, 2m40s, …, its sender is told of the delay after 54m, and is returned to its sender after 2d [c:8]";
const BOB = "  as the user bob (uid 1001, gid 1001, home /home/bob)";

const PLACES: readonly Row[] = [
  {
    name: "a Maildir that is there",
    envelope: local("local"),
    want: [
      'r@two.test is delivered here by the action "local" [c:11]',
      BOB,
      "  the file would lie in /srv/mail/bob/new",
      "  /srv/mail/bob is there, and bob may write to it",
      KEPT_HERE,
    ],
  },
  {
    name: "spam, where the action has junk",
    envelope: { ...local("local"), user: "alice" },
    text: "X-Spam: Yes\nSubject: x\n\nbody\n",
    want: [
      'r@two.test is delivered here by the action "local" [c:11]',
      "  as the user alice (uid 1000, gid 1000, home /home/alice)",
      "  the file would lie in /srv/mail/alice/.Junk/new, for the message is marked as spam",
      "  /srv/mail/alice/.Junk is not there, and is made by the first delivery in /srv/mail, which alice may write to",
      KEPT_HERE,
    ],
  },
  {
    name: "the folder of a sub-address",
    envelope: { ...local("local"), subAddress: "tag" },
    want: [
      'r@two.test is delivered here by the action "local" [c:11]',
      BOB,
      "  the file would lie in /srv/mail/bob/.tag/new, the folder of the sub-address tag",
      "  /srv/mail/bob/.tag is there, and bob may write to it",
      KEPT_HERE,
    ],
  },
  {
    name: "a mailbox that is not there yet",
    envelope: local("box"),
    want: [
      'r@two.test is delivered here by the action "box" [c:12]',
      BOB,
      "  appended to /var/mail/bob in mbox format, with the From_ line of a@example.net",
      "  /var/mail/bob is not there, and is made for the user",
      KEPT_HERE,
    ],
  },
  {
    name: "a command, as another user, with its words expanded and made harmless",
    envelope: { ...local("pipe"), sender: mailbox("x'y@example.net"), dest: mailbox("r;id@two.test") },
    want: [
      'r;id@two.test is delivered here by the action "pipe" by the isolate privileged [c:13]',
      "  as the user vmail (uid 8, gid 8, home /var/vmail), for the user bob (home /home/bob)",
      "  runs /bin/sh -c \"/usr/bin/deliver -f 'x:y@example.net' r:id\" in /var/vmail",
      KEPT_HERE,
    ],
  },
  {
    name: "a file that a user names in .forward, where that user may not write",
    envelope: { ...local("local"), exec: ">/home/else/file" },
    want: [
      'r@two.test is delivered here by the action "local" by the isolate privileged [c:11]',
      BOB,
      "  appended to /home/else/file in mbox format, with the From_ line of a@example.net",
      "  /home/else/file is not there, and bob may not make it in /home (owner 0, group 0, mode 0755)",
      KEPT_HERE,
    ],
  },
  {
    name: "an LMTP server",
    envelope: local("lmtp"),
    want: [
      'r@two.test is delivered here by the action "lmtp" [c:15]',
      "  the user is bob (uid 1001, gid 1001, home /home/bob)",
      "  by LMTP to 127.0.0.1:24, RCPT TO:<r@two.test>",
      KEPT_HERE,
    ],
  },
  {
    name: "a message that was here before",
    envelope: local("local"),
    text: "Delivered-To: r@two.test\nSubject: x\n\nbody\n",
    want: [
      'r@two.test is delivered here by the action "local" [c:11]',
      BOB,
      "  not delivered: Loop detected (5.4.6, returned to the sender)",
    ],
  },
  {
    name: "a user who is gone",
    envelope: { ...local("local"), user: "nobody" },
    want: [
      'r@two.test is delivered here by the action "local" [c:11]',
      "  not delivered: Permanent failure in user lookup (5.1.6, returned to the sender)",
    ],
  },
];

for (const { name, envelope, text, want } of [...ROUTES, ...PLACES]) {
  Deno.test(`explained behind the 250: ${name}`, async () => {
    const octets = text === undefined ? MESSAGE : new TextEncoder().encode(text);
    assert.deepEqual(await linesOf(envelopeOf(envelope), octets), want);
  });
}

Deno.test("no secret is in what is explained", async () => {
  const { front, config, settings } = await frontOf(CONFIG);
  try {
    const steps = await explainEnvelopes({ envelopes: [envelopeOf({ action: "smart" })], text: MESSAGE }, {
      ...{ config, settings, lookups: front.lookups, names: names(ZONE), own: NOT_OWN, look, now: () => AT },
    });
    assert.doesNotMatch(JSON.stringify(steps), /sesame|a secret/);
  } finally {
    await front.close();
  }
});

// ── places ────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const BOB_ID = { name: "bob", uid: 1001, gid: 1001 };
const closed: Look = (path) => path === "/" ? look("/") : { kind: "unknown", why: "this process may not look there" };

const STATES: readonly (readonly [path: string, who: typeof BOB_ID, state: string, look?: Look])[] = [
  ["/srv/mail/bob", BOB_ID, "true true"],
  ["/srv/mail/bob", { name: "eve", uid: 1002, gid: 1002 }, "true false"],
  ["/srv/mail/bob/x", { name: "eve", uid: 1002, gid: 1002 }, "null false"],
  ["/srv/mail/bob/x", { name: "root", uid: 0, gid: 0 }, "false true"],
  ["/srv/mail/new/one", BOB_ID, "false true"],
  ["/home/new", BOB_ID, "false false"],
  ["/home/bob", BOB_ID, "null null", closed],
];
for (const [path, who, want, lookBy = look] of STATES) {
  Deno.test(`a place: ${path} for ${who.name}${lookBy === closed ? " that may not be looked at" : ""} is ${want}`, () => {
    const { exists, writable } = placeState(path, who, lookBy);
    assert.equal(`${exists} ${writable}`, want);
  });
}

// ── signatures ────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const SIGNING = `dkim "example.net" selector "s1" key "/k1"
dkim "example.net" selector "s2" key "/k2" headers { "from", "subject", "x-own" }
action "out" relay dkim
action "plain" relay
match for any action "out"
match for any action "plain"
`;
const S1: SigningKeyName = {
  ...{ domain: "example.net", selector: "s1", algorithm: "rsa-sha256" as const, headers: null, expireSeconds: null },
};
const S2: SigningKeyName = { ...S1, selector: "s2", headers: ["from", "subject", "x-own"] };
const LOGGED_IN = { origin: { ...envelopeOf({ action: "" }).origin, authenticated: true } };
const LONG =
  "From, Reply-To, To, Cc, Subject, Date, Message-ID, In-Reply-To, References, MIME-Version, Content-Type, " +
  "Content-Transfer-Encoding";
const NEITHER = 'not signed: none of its recipients goes by an action with "dkim"';

const SIGNED: readonly (readonly [
  name: string,
  envelope: Partial<EnvelopeContent> & Pick<EnvelopeContent, "action">,
  keys: readonly SigningKeyName[],
  want: readonly string[],
  text?: string,
])[] = [
  ["two keys, each with its fields", { action: "out", ...LOGGED_IN }, [S1, S2], [
    "signed for example.net",
    `  by the key of the selector s1: ${LONG} [c:1]`,
    "  by the key of the selector s2: From, Subject, x-own [c:2]",
  ], "From: a@example.net\nSubject: x\nX-Own: y\n\nbody\n"],
  ["another action", { action: "plain", ...LOGGED_IN }, [S1], [NEITHER]],
  ["a stranger's mail that is passed on", { action: "out", internal: true }, [S1], [
    "not signed: a stranger has sent it, and what is only passed on keeps its octets",
  ]],
  ["a stranger's mail that a rule takes", { action: "out" }, [S1], [
    "signed for example.net",
    `  by the key of the selector s1: ${LONG} [c:1]`,
  ]],
  ["another domain", { action: "out", ...LOGGED_IN }, [S1], [
    "not signed: there is no key for example.com",
  ], "From: a@example.com\n\nbody\n"],
  ["keys that cannot be read", { action: "out", ...LOGGED_IN }, [], [
    "whether it is signed is not known: not by the keys that can be read here, there is none of them",
  ]],
];
for (const [name, envelope, keys, want, text = "From: a@example.net\nSubject: x\n\nbody\n"] of SIGNED) {
  Deno.test(`signatures are explained: ${name}`, async () => {
    const deps = { config: configOf(SIGNING), keys, now: () => AT };
    const step: Step = await explainSigning([envelopeOf(envelope)], new TextEncoder().encode(text), deps);
    assert.deepEqual(stepLines([step], { verbose: true }), want);
  });
}
