/** The examples of smtpd.conf(5): each is right, and between them they use every option there is. */

import assert from "node:assert/strict";
import { DEFAULT_RELAY_LIMITS, DEFAULTS } from "../../src/config/defaults.ts";
import { adviseOn } from "../../src/advice/mod.ts";
import { RESERVED } from "../../src/config/words.ts";
import { regexWarnings } from "../../src/daemon/mod.ts";
import { parseProtocols } from "../../src/config/protocols.ts";
import { complaints, configOf, parse, RULE } from "./helper.ts";
import { literalBlocks } from "./mdoc.ts";

const examples = literalBlocks("smtpd.conf.5");
/** Files that the examples name. */
const files = {
  "/etc/aliases": "root: alice\n",
  "/etc/vaultpost/actions.conf": 'action "outbound" relay\n',
  "/etc/vaultpost/more": "postmaster: alice\n",
  "/etc/vaultpost/nets": "192.0.2.0/24\n",
  "/etc/vaultpost/users": "alice: $6$salt$hash\n",
  "/libexec/table-ldap": "",
  "/libexec/table-socketmap": "",
};

Deno.test("smtpd.conf(5) has examples in every part", () => assert.ok(examples.length >= 12, `${examples.length}`));

for (const [index, text] of examples.entries()) {
  Deno.test(`smtpd.conf(5): example ${index} is right, and nothing is warned of`, () => {
    // Some show settings only; a whole configuration has a rule.
    const whole = text + RULE;
    assert.deepEqual(complaints(whole, { files }), []);
    const result = parse(whole, { files, verbose: true });
    assert.deepEqual(result.ok && result.warnings, []);
    const config = configOf(whole, { files });
    assert.deepEqual(regexWarnings(config), []);
    for (
      const { protocols } of [
        ...Object.values(config.actions).filter((action) => action.kind === "relay"),
        ...config.listen,
      ]
    ) {
      if (protocols !== null) assert.notEqual(parseProtocols(protocols), null, protocols);
    }
  });
}

Deno.test("smtpd.conf(5): mail reaches every rule of the examples, as smtpd -n sees it", async () => {
  const readText = (path: string) => (files as Record<string, string>)[path] ?? "";
  const machine = { readText, hasUser: () => true, interfaceList: () => "" };
  const users = { uidOf: () => Promise.resolve(1000), names: () => [] };
  for (const text of examples) {
    const read = (path: string) => new TextEncoder().encode(readText(path));
    const advice = await adviseOn(configOf(text + RULE, { files }), read, machine, users);
    const unmet = advice.filter((line) => /no mail reaches this rule/.test(line));
    // A last rule that fits everything leaves nothing to the one that is put behind it here.
    const own = unmet.filter((line) => Number(line.split(":")[1]) < text.split("\n").length);
    assert.deepEqual(own, [], text);
  }
});

/** Lines as the parser sees them: joined, without comments, quoted strings as `""`, marks apart. */
const lines = examples.join("\n").replaceAll("\\\n", " ").split("\n").map((line) =>
  line.replace(/"[^"]*"/g, '""').replace(/#.*/, "").replace(/[{}!=,]/g, " $& ").trim().replace(/\s+/g, " ")
);

/** Lines that hold `words` in this order and next to each other. */
function shows(start: RegExp, words: string): boolean {
  return lines.some((line) => start.test(line) && ` ${line} `.includes(` ${words} `));
}

const LOCAL = /^action \S+ (?!relay)/, RELAY = /^action \S+ relay/, MATCH = /^match/, LISTEN = /^listen on/;
const SOCKET = /^listen on socket/, TABLE = /^table/, ANY = /^/;

const kebab = (key: string) => key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
/** Known to the defaults, but not taken in a configuration yet, or not a word of its own. */
const NO_LIMIT = ["family", "maxMessageBytes"];
const NO_SMTP = [...NO_LIMIT, "subAddressDelimiter", "bannerDelaySeconds", "trusted"];
const limits = (keys: object, without: readonly string[] = NO_LIMIT) =>
  Object.keys(keys).filter((key) => !without.includes(key)).map(kebab);

/** Every option, by the lines that it belongs to. */
const options: ReadonlyArray<readonly [RegExp, readonly string[]]> = [
  [LOCAL, ['"" mbox', '"" maildir', 'maildir ""', "junk", 'lmtp ""', "rcpt-to", 'mda ""', "expand-only"]],
  [LOCAL, ["forward-only", "user", "alias", "virtual", "userbase", "wrapper", "ttl"]],
  [RELAY, ["host", "domain", "auth", "srs", "backup", "backup mx", "tls", "tls no-verify", "helo", "src", "helo-src"]],
  [RELAY, ["mail-from", "pki", "ca", "protocols", "ciphers", "ttl"]],
  [MATCH, ["from any", "from local", "from socket", "from src", "from rdns", "from rdns regex", 'from rdns ""']],
  [MATCH, ["from auth", "from auth <staff>", "from mail-from", "for any", "for local", "for domain", "for rcpt-to"]],
  [MATCH, ["tag", "helo", "auth", "auth <staff>", "tls", "mail-from", "rcpt-to", "regex", "action", "reject"]],
  [MATCH, ["! from local", "! from socket", "! from src", "! from rdns", "! from auth", "! from auth <staff>"]],
  [MATCH, ["! from mail-from", "! for local", "! for domain", "! for rcpt-to"]],
  [MATCH, ["! from", "! for", "! tag", "! helo", "! auth", "! tls", "! mail-from", "! rcpt-to"]],
  [MATCH, ["src", "rdns", "domain", "tag", "helo", "auth", "mail-from", "rcpt-to"].map((word) => `${word} regex`)],
  [LISTEN, ["inet4", "inet6", "port", "tls", "tls-require", "tls-require verify", "smtps", "smtps verify", "pki"]],
  [LISTEN, ["ca", "protocols", "ciphers", "hostname", "tag"]],
  [LISTEN, ["auth", "auth <users>", "auth-optional", "auth-optional <users>"]],
  [LISTEN, ["received-auth", "mask-src", "no-dsn", "proxy-v2", "hostnames <names>", "senders <allowed>", "masquerade"]],
  [LISTEN, ["filter all", "filter {"]],
  [RELAY, ["filter {"]],
  [SOCKET, ["mask-src", "no-dsn", "tag", "filter sign"]],
  [/^proc/, ["user", "group", "chroot"]],
  [/^filter/, ["proc scanner", 'proc-exec ""', "chain {"]],
  [
    /^filter/,
    ["connect", "helo", "ehlo", "auth", "mail-from", "rcpt-to", "data", "commit"].map((one) => `phase ${one}`),
  ],
  [/^filter/, ["fcrdns", "rdns", "src", "helo", "auth", "auth {", "mail-from", "rcpt-to", "rdns regex", "match !"]],
  [/^filter/, ["reject", "disconnect", "rewrite", "junk", "bypass", "report"]],
  [/^admd/, ['""']],
  [/^admin listen on/, ["port", "socket", "mode", "group", "auth", "hostname"]],
  [/^dmarc reports/, ["from"]],
  [/^history/, ["keep", "size", "refs"]],
  [/^pki/, ["cert", "key", "dhe none"]],
  [/^pki/, ["acme", "contact", "names", "challenge dns-01", "hook", "listen on", "port", "key rsa", "ca"]],
  [/^ca/, ["cert"]],
  [/^bounce/, ["warn-interval"]],
  [/^queue/, ["ttl"]],
  [/^smtp/, ["ciphers", "max-message-size", "sub-addr-delim", "banner-delay", "trusted"]],
  [/^smtp limit/, limits(DEFAULTS.smtp, NO_SMTP)],
  [/^mda/, ["wrapper"]],
  [/^mda limit/, limits(DEFAULTS.mda)],
  [/^mta limit/, [...limits(DEFAULT_RELAY_LIMITS), "for domain", "inet4", "inet6"]],
  [/^scheduler limit/, limits(DEFAULTS.scheduler)],
  [/^srs/, ["key", "key backup", "ttl"]],
  [/^include/, ['""']],
  [/^lan =/, ['""']],
  [MATCH, ["$lan"]],
  [TABLE, ["{", "=", '""', "getpwnam", "socketmap"]],
];

for (const [start, words] of options) {
  Deno.test(`smtpd.conf(5) shows on lines ${start}: ${words.join(", ")}`, () => {
    assert.deepEqual(words.filter((word) => !shows(start, word)), []);
  });
}

Deno.test("smtpd.conf(5) shows every kind of table", () => {
  for (const backend of ["file", "static", "db", "passwd", "sqlite", "ldap"]) {
    assert.ok(lines.some((line) => TABLE.test(line) && line.includes(` ${backend}:/`)), backend);
  }
});

/** Reserved words that nothing in the grammar takes. */
const UNSUPPORTED = `
  data-line
  noop
  quit
  recipient
  rset
  smtp-in
  smtp-out
  tagged
`.trim().split(/\s+/);

Deno.test("smtpd.conf(5) shows every reserved word that is supported", () => {
  const missing = [...RESERVED].filter((word) => !shows(ANY, word));
  assert.deepEqual(missing.toSorted(), UNSUPPORTED.toSorted());
});
