/**
 * What right configurations mean: the Config that comes of each production.
 * Long on purpose: tables of a line each.
 */

import assert from "node:assert/strict";
import type { StaticTable, TableFile } from "../../src/config/mod.ts";
import { DEFAULT_RELAY_LIMITS, DEFAULTS } from "../../src/config/defaults.ts";
import { formatDiagnostic, parseConfig, splitDefine } from "../../src/smtpd_conf/mod.ts";
import { complaints, configOf, type Input, memoryFiles, parse, RULE } from "./helper.ts";

interface Row<Want> extends Input {
  readonly text: string;
  readonly want: Want;
}

function table(name: string, keys: readonly string[]): StaticTable {
  return { name, kind: "list", entries: keys.map((key) => [key, ""] as const) };
}

Deno.test("parseConfig() gives the defaults for what is not written", () => {
  const config = configOf("match reject");
  const { smtp, queue, bounce, mda, mta, scheduler, admin } = config;
  assert.deepEqual({ smtp, queue, bounce, mda, mta, scheduler, admin }, DEFAULTS);
  assert.deepEqual([config.listen, config.tables, config.actions, config.pki, config.ca], [[], {}, {}, {}, {}]);
  assert.equal(smtp.maxMessageBytes, 36_700_160);
  assert.equal(queue.ttlSeconds, 345_600);
  assert.equal(config.file, "c");
});

// Rules

const local = { negated: false, regex: false, table: "<localnames>" };
const anywhere = { negated: false, regex: false, table: "<anydestination>" };
const fromLocal = { kind: "source", negated: false, regex: false, table: "<localhost>" };
const fromAny = { kind: "source", negated: false, regex: false, table: "<anyhost>" };
const first = { negated: false, regex: false, table: "<dynamic:0>" };

const rules: ReadonlyArray<Row<Readonly<Record<string, unknown>>>> = [
  { text: "match reject", want: { from: fromLocal, for: local } },
  { text: "match from any for any reject", want: { from: fromAny, for: anywhere } },
  { text: "match from local for local reject", want: { from: fromLocal, for: local } },
  {
    text: "match ! from local ! for local reject",
    want: { from: { ...fromLocal, negated: true }, for: { ...local, negated: true } },
  },
  { text: "match !from any reject", want: { from: { ...fromAny, negated: true } } },
  { text: "match from socket reject", want: { from: { kind: "socket", negated: false } } },
  { text: "match ! from socket reject", want: { from: { kind: "socket", negated: true } } },
  { text: 'match from src "192.0.2.1" reject', want: { from: { kind: "source", ...first } } },
  { text: "match ! from src { a } reject", want: { from: { kind: "source", ...first, negated: true } } },
  { text: "match for domain example.org reject", want: { for: first } },
  { text: 'match for domain { a, "*.b" } reject', want: { for: first } },
  { text: "match tag a reject", want: { tag: first } },
  { text: "match ! tag a reject", want: { tag: { ...first, negated: true } } },
  { text: "match mail-from a@b reject", want: { mailFrom: first } },
  { text: "match rcpt-to { a@b = c } reject", want: { rcptTo: first } },
  { text: "match from mail-from a reject", want: { from: fromAny, mailFrom: first } },
  { text: "match ! from mail-from a reject", want: { from: fromAny, mailFrom: { ...first, negated: true } } },
  { text: "match for rcpt-to a reject", want: { for: anywhere, rcptTo: first } },
  { text: "match ! for rcpt-to a reject", want: { for: anywhere, rcptTo: { ...first, negated: true } } },
  { text: 'match from src <"<anyhost>"> reject', want: { from: fromAny } },
  { text: "match for any from any reject", want: { from: fromAny, for: anywhere } },
  { text: "match from any \\\n for any \\\n reject", want: { from: fromAny, for: anywhere } },
];

for (const { text, want } of rules) {
  Deno.test(`parseConfig() reads the rule: ${text}`, () => {
    const absent = { tag: null, helo: null, auth: null, tls: null, mailFrom: null, rcptTo: null, mailAuth: null };
    const base = { at: { file: "c", line: 1 }, from: fromLocal, for: local, ...absent, outcome: { kind: "reject" } };
    assert.deepEqual(configOf(text).rules, [{ ...base, ...want }]);
  });
}

Deno.test("parseConfig() keeps the rules in the order of the file, each with its line and action", () => {
  const text = 'action "a" mbox\nmatch action "a"\n\nmatch for any reject\nmatch from any action a';
  const { rules } = configOf(text);
  assert.deepEqual(rules.map((rule) => [rule.at.line, rule.outcome]), [
    [2, { kind: "action", name: "a" }],
    [4, { kind: "reject" }],
    [5, { kind: "action", name: "a" }],
  ]);
});

/** An admin listener of an address without options. */
function adminAt(address: string, port: number) {
  return { address, port, hostname: null, auth: false };
}

// Tables

const tables: ReadonlyArray<Row<readonly StaticTable[]>> = [
  { text: "table t { a }", want: [table("t", ["a"])] },
  { text: "table t { b, a, B }", want: [table("t", ["a", "b"])] },
  { text: "table t { a b }", want: [table("t", ["a", "b"])] },
  { text: "table t {\n a\n b,\n\n c\n}", want: [table("t", ["a", "b", "c"])] },
  { text: "table t { a, b, }", want: [table("t", ["a", "b"])] },
  { text: 'table "domain" { a }\nmatch tag <"domain"> reject', want: [table("domain", ["a"])] },
  {
    text: 'table t { A = B, "c d" => "E f" }',
    want: [{ name: "t", kind: "map", entries: [["a", "B"], ["c d", "E f"]] }],
  },
  {
    text: "match tag a reject\nmatch tag { b } for domain c reject",
    want: [table("<dynamic:0>", ["a"]), table("<dynamic:1>", ["b"]), table("<dynamic:2>", ["c"])],
  },
  { text: 'table "__proto__" { a }', want: [table("__proto__", ["a"])] },
];

for (const { text, want, ...input } of tables) {
  Deno.test(`parseConfig() reads the tables of: ${text}`, () => {
    assert.deepEqual(Object.values(configOf(text + RULE, input).tables), want);
  });
}

const tableFiles: ReadonlyArray<Row<Partial<TableFile>>> = [
  { text: "table t file:/x", files: { "/x": "a\n" }, want: { backend: "file", kind: "list", includes: [] } },
  { text: "table t static:/x", files: { "/x": "a\n" }, want: { backend: "file", kind: "list", includes: [] } },
  {
    text: 'table t "/x"',
    files: { "/x": "a b\nc: d, :include:/y\n" },
    want: { backend: "file", kind: "map", includes: ["d, :include:/y"] },
  },
  { text: "table t db:/x", want: { backend: "db", kind: "dynamic", includes: [] } },
  { text: "table t passwd:/x", want: { backend: "passwd", kind: "dynamic", includes: [] } },
  { text: "table t sqlite:/x", want: { backend: "sqlite", kind: "dynamic", includes: [] } },
];

for (const { text, want, ...input } of tableFiles) {
  Deno.test(`parseConfig() reads the table's file of: ${text}`, () => {
    const { tables, tableFiles } = configOf(text + RULE, input);
    assert.deepEqual([tables, tableFiles], [{}, { t: { name: "t", path: "/x", files: ["/x"], ...want } }]);
  });
}

Deno.test("parseConfig() takes tables of back-ends where lists or maps are wanted", () => {
  const text = "table t db:/x\naction a maildir alias <t>\nmatch for domain <t> action a\nmatch from src <t> reject";
  assert.deepEqual(complaints(text), []);
});

Deno.test("parseConfig() has back-ends opened, and reports why one cannot be", () => {
  const asked: string[] = [];
  const files = {
    ...memoryFiles({ c: `table a db:/good\ntable b sqlite:/bad\n${RULE}` }),
    inspectTable(backend: string, path: string) {
      asked.push(`${backend}:${path}`);
      if (path === "/bad") throw new Error("Permission denied");
      return { files: [path, `${path}-wal`], includes: [] };
    },
  };
  const result = parseConfig("c", { defines: [], files });
  assert.ok(!result.ok);
  assert.deepEqual(result.diagnostics.map(formatDiagnostic), ["c:2: table <b>: cannot open /bad: Permission denied"]);
  assert.deepEqual(asked, ["db:/good", "sqlite:/bad"]);
});

// Actions

const localAction = {
  kind: "local",
  name: "a",
  user: null,
  alias: null,
  virtual: null,
  userbase: null,
  wrapper: null,
  ttlSeconds: null,
};
const relayAction = {
  ...{ kind: "relay", name: "a", helo: null, heloSrc: null, pki: null, ca: null, protocols: null },
  ...{ src: null, mailFrom: null, backup: null, host: null, domain: null, tls: null, auth: null, filter: null },
  ...{ srs: false, dkim: false, ttlSeconds: null },
};

const actions: ReadonlyArray<Row<Readonly<Record<string, unknown>>>> = [
  { text: "mbox", want: { ...localAction, method: { type: "mbox" } } },
  { text: "maildir", want: { ...localAction, method: { type: "maildir", path: null, junk: false } } },
  { text: "maildir junk", want: { ...localAction, method: { type: "maildir", path: null, junk: true } } },
  { text: 'maildir "~/x" junk', want: { ...localAction, method: { type: "maildir", path: "~/x", junk: true } } },
  {
    text: 'maildir "/x/%{rcpt.user}" user u',
    want: { ...localAction, user: "u", method: { type: "maildir", path: "/x/%{rcpt.user}", junk: false } },
  },
  {
    text: "lmtp localhost:submission",
    want: { ...localAction, method: { type: "lmtp", destination: "localhost:587", rcptTo: false } },
  },
  {
    text: "lmtp localhost:24",
    want: { ...localAction, method: { type: "lmtp", destination: "localhost:24", rcptTo: false } },
  },
  {
    text: 'lmtp "/run/x" rcpt-to',
    want: { ...localAction, method: { type: "lmtp", destination: "/run/x", rcptTo: true } },
  },
  {
    text: 'lmtp "[::1]:24"',
    want: { ...localAction, method: { type: "lmtp", destination: "[::1]:24", rcptTo: false } },
  },
  {
    text: 'mda "x %{rcpt}" user u ttl 1h',
    want: { ...localAction, user: "u", ttlSeconds: 3600, method: { type: "mda", command: "x %{rcpt}" } },
  },
  {
    text: "forward-only alias { b = c }",
    want: { ...localAction, alias: "<dynamic:0>", method: { type: "forward-only" } },
  },
  {
    text: "expand-only virtual { b = c } userbase { b = c }",
    want: { ...localAction, virtual: "<dynamic:0>", userbase: "<dynamic:1>", method: { type: "expand-only" } },
  },
  { text: "relay", want: relayAction },
  { text: "relay host smtp://b:26 tls", want: { ...relayAction, host: "<dynamic:0>", tls: "verify" } },
  {
    text: 'relay helo "bücher.example" mail-from "josé@bücher.example"',
    want: { ...relayAction, helo: "xn--bcher-kva.example", mailFrom: "josé@xn--bcher-kva.example" },
  },
  {
    text: 'relay tls no-verify helo b mail-from "@c" ttl 2d',
    want: { ...relayAction, tls: "no-verify", helo: "b", mailFrom: "@c", ttlSeconds: 172_800 },
  },
  {
    text: 'relay domain { b = c } protocols "TLSv1.3"',
    want: { ...relayAction, domain: "<dynamic:0>", protocols: "TLSv1.3" },
  },
  { text: 'relay pki B ca C\npki b cert "/x" key "/y"\nca c cert "/z"', want: { ...relayAction, pki: "b", ca: "c" } },
];

for (const { text, want } of actions) {
  Deno.test(`parseConfig() reads the action: ${text}`, () => {
    assert.deepEqual(configOf(`action "a" ${text}${RULE}`).actions, { a: want });
  });
}

// Listeners

const listener = {
  ...{
    at: { file: "c", line: 1 },
    on: "lo",
    socket: false,
    family: null,
    port: 25,
    tls: "none",
    verify: false,
    pki: [],
  },
  ...{ ca: null, protocols: null, auth: null, hostname: null, hostnames: null, tag: "", filter: null },
  ...{
    maskSource: false,
    receivedAuth: false,
    noDsn: false,
    proxyV2: false,
    submission: false,
    senders: null,
    mailAuth: null,
  },
};
const OPTIONAL = { required: false, table: null };
const services = { "/etc/services": "# comment\ntcpmux 1/tcp\nmyport 4025/udp\nmyport\t4026/tcp mine # mine too\n" };

const listeners: ReadonlyArray<Row<Readonly<Record<string, unknown>>>> = [
  { text: "listen on lo", want: listener },
  { text: "listen on 127.0.0.1 port 2525", want: { ...listener, on: "127.0.0.1", port: 2525 } },
  { text: "listen on ::1", want: { ...listener, on: "::1" } },
  { text: 'listen on "::"', want: { ...listener, on: "::" } },
  { text: "listen on lo port smtp", want: listener },
  { text: "listen on lo port smtps", want: { ...listener, port: 465 } },
  { text: "listen on lo port submission", want: { ...listener, port: 587 } },
  { text: "listen on lo submission tag submission", want: { ...listener, submission: true, tag: "submission" } },
  { text: "listen on lo auth-optional submission", want: { ...listener, submission: true, auth: OPTIONAL } },
  { text: "listen on lo port myport", files: services, want: { ...listener, port: 4026 } },
  { text: "listen on lo port mine", files: services, want: { ...listener, port: 4026 } },
  { text: "listen on lo inet4", want: { ...listener, family: 4 } },
  { text: "listen on lo no-dsn mask-src inet6", want: { ...listener, family: 6, noDsn: true, maskSource: true } },
  { text: `listen on lo tag ${"t".repeat(32)}`, want: { ...listener, tag: "t".repeat(32) } },
  { text: 'listen on lo hostname "bücher.example"', want: { ...listener, hostname: "xn--bcher-kva.example" } },
  {
    text: 'listen on lo hostname b protocols "tlsv1.2"',
    want: { ...listener, hostname: "b", protocols: "tlsv1.2" },
  },
  {
    text: "listen on lo auth received-auth",
    want: { ...listener, auth: { required: true, table: null }, receivedAuth: true },
  },
  { text: "listen on ::1 auth-optional port 26", want: { ...listener, on: "::1", port: 26, auth: OPTIONAL } },
  { text: "listen on socket", want: { ...listener, on: "socket", socket: true, port: 0 } },
  {
    text: "listen on socket tag t mask-src no-dsn",
    want: { ...listener, on: "socket", socket: true, port: 0, tag: "t", maskSource: true, noDsn: true },
  },
];

for (const { text, want, ...input } of listeners) {
  Deno.test(`parseConfig() reads the listener: ${text}`, () => {
    assert.deepEqual(configOf(text + RULE, input).listen, [want]);
  });
}

const secure: ReadonlyArray<Row<Readonly<Record<string, unknown>>>> = [
  { text: "tls pki a", want: { tls: "tls", pki: ["a"] } },
  { text: "tls-require pki A pki b", want: { tls: "tls-require", pki: ["a", "b"] } },
  { text: "tls-require verify pki a ca d", want: { tls: "tls-require", verify: true, pki: ["a"], ca: "d" } },
  {
    text: "tls pki a auth { b = c }",
    want: { tls: "tls", pki: ["a"], auth: { required: true, table: "<dynamic:0>" } },
  },
  { text: 'smtps pki "*"', want: { tls: "smtps", port: 465, pki: ["*"] } },
  { text: "smtps verify port 466 pki a", want: { tls: "smtps", verify: true, port: 466, pki: ["a"] } },
];

for (const { text, want } of secure) {
  Deno.test(`parseConfig() reads the secure listener: ${text}`, () => {
    const pkis = ["a", "b", '"*"'].map((name) => `pki ${name} cert "/x" key "/y"`).join("\n");
    const config = configOf(`${pkis}\nca d cert "/z"\nlisten on lo ${text}${RULE}`);
    assert.deepEqual(config.listen, [{ ...listener, at: { file: "c", line: 5 }, ...want }]);
  });
}

// The rest

/** What a line with `acme` says, besides the defaults. */
function acmePki(name: string, more: object): object {
  const file = `/var/lib/vaultpost/acme/ca.example~3a14000_dir/${name === "*" ? "_" : name}.pem`;
  const defaults = {
    directory: "https://ca.example:14000/dir",
    contact: [],
    challenge: "http-01",
    hook: null,
    names: [name],
    keyType: "ecdsa",
    ca: null,
    listen: { address: null, port: 80 },
  };
  return { name, certFile: file, keyFile: file, acme: { ...defaults, ...more } };
}

const settings: ReadonlyArray<Row<Readonly<Record<string, unknown>>>> = [
  {
    text: 'pki A.b cert "/x"\npki a.B key "/y" dhe NONE',
    want: { pki: { "a.b": { name: "a.b", certFile: "/x", keyFile: "/y", acme: null } } },
  },
  {
    text: 'pki a cert "/x" key "/y"\npki a cert "/z"',
    want: { pki: { a: { name: "a", certFile: "/z", keyFile: "/y", acme: null } } },
  },
  {
    text: 'pki Mx.a acme "https://ca.example:14000/dir"',
    want: { pki: { "mx.a": acmePki("mx.a", {}) } },
  },
  {
    text: 'pki mx.a acme "https://ca.example:14000/dir" contact "x@a.b" challenge tls-alpn-01 key rsa ca "/ca" ' +
      'names { "MX.a", "bücher.example" } listen on "[::1]" port 8443',
    want: {
      pki: {
        "mx.a": acmePki("mx.a", {
          contact: ["mailto:x@a.b"],
          challenge: "tls-alpn-01",
          keyType: "rsa",
          ca: "/ca",
          names: ["xn--bcher-kva.example", "mx.a"],
          listen: { address: "::1", port: 8443 },
        }),
      },
    },
  },
  {
    text: 'pki "*" acme "https://ca.example:14000/dir" challenge dns-01 hook "/bin/h" names { "*.a.b" }',
    want: {
      pki: {
        "*": acmePki("*", {
          challenge: "dns-01",
          hook: "/bin/h",
          names: ["*.a.b"],
          listen: { address: null, port: 0 },
        }),
      },
    },
  },
  { text: 'ca "*" cert "/x"', want: { ca: { "*": "/x" } } },
  { text: "smtp max-message-size 10M", want: { smtp: { ...DEFAULTS.smtp, maxMessageBytes: 10_485_760 } } },
  { text: 'smtp max-message-size ".5k"', want: { smtp: { ...DEFAULTS.smtp, maxMessageBytes: 512 } } },
  { text: "smtp max-message-size 1.5k", want: { smtp: { ...DEFAULTS.smtp, maxMessageBytes: 1536 } } },
  { text: "smtp max-message-size 1000", want: { smtp: { ...DEFAULTS.smtp, maxMessageBytes: 1000 } } },
  { text: "smtp limit max-mails 5 max-rcpt 6", want: { smtp: { ...DEFAULTS.smtp, maxMails: 5, maxRcpt: 6 } } },
  {
    text: 'smtp sub-addr-delim "-"',
    want: { smtp: { ...DEFAULTS.smtp, subAddressDelimiter: "-" } },
  },
  { text: "queue ttl 90s", want: { queue: { ...DEFAULTS.queue, ttlSeconds: 90 } } },
  { text: "queue reserve 5%", want: { queue: { ...DEFAULTS.queue, reserve: { share: 0.05, bytes: Infinity } } } },
  { text: "queue reserve 1G", want: { queue: { ...DEFAULTS.queue, reserve: { share: null, bytes: 1024 ** 3 } } } },
  { text: "queue reserve 0", want: { queue: { ...DEFAULTS.queue, reserve: { share: null, bytes: 0 } } } },
  { text: "queue compression", want: { queue: { ...DEFAULTS.queue, compression: true } } },
  {
    text: "queue encryption 0123456789abcdef0123456789abcdef",
    want: { queue: { ...DEFAULTS.queue, encryption: { kind: "text", text: "0123456789abcdef0123456789abcdef" } } },
  },
  {
    text: "queue encryption",
    want: { queue: { ...DEFAULTS.queue, encryption: { kind: "input", prompt: true } } },
  },
  {
    text: 'queue encryption "-"',
    want: { queue: { ...DEFAULTS.queue, encryption: { kind: "input", prompt: false } } },
  },
  {
    text: "queue encryption file:/etc/queue.key\nqueue encryption backup file:/etc/old.key",
    want: {
      queue: {
        ...DEFAULTS.queue,
        encryption: { kind: "file", path: "/etc/queue.key" },
        oldKeys: [{ kind: "file", path: "/etc/old.key" }],
      },
    },
  },
  { text: "bounce warn-interval 1m, 2h, 3d", want: { bounce: { warnIntervalsSeconds: [60, 7200, 259_200] } } },
  { text: "bounce warn-interval 1m\nbounce warn-interval 2m", want: { bounce: { warnIntervalsSeconds: [120] } } },
  {
    text: "mda limit max-session 1 max-session-per-user 2 task-hiwat 3 task-lowat 0 task-release 4",
    want: { mda: { maxSession: 1, maxSessionPerUser: 2, taskHiwat: 3, taskLowat: 0, taskRelease: 4 } },
  },
  { text: "scheduler limit max-inflight 1", want: { scheduler: { ...DEFAULTS.scheduler, maxInflight: 1 } } },
  {
    text:
      "mta limit max-conn-per-host 1 inet4\nmta limit for domain B.c conn-delay-route 9 inet6\nmta limit max-conn-per-host 2",
    want: {
      mta: {
        maxDeferred: 100,
        limits: { ...DEFAULT_RELAY_LIMITS, maxConnPerHost: 2, family: 4 },
        domainLimits: { "b.c": { ...DEFAULT_RELAY_LIMITS, maxConnPerHost: 1, connDelayRoute: 9, family: 6 } },
      },
    },
  },
  { text: "admin listen on 127.0.0.1 port 8025", want: { admin: [adminAt("127.0.0.1", 8025)] } },
  { text: 'admin listen on "[::1]" port 8025', want: { admin: [adminAt("::1", 8025)] } },
  {
    text: "admin listen on 127.0.0.1 port 8025 auth hostname Mail.Example.org",
    want: { admin: [{ ...adminAt("127.0.0.1", 8025), auth: true, hostname: "mail.example.org" }] },
  },
  // Who comes from elsewhere is asked.
  { text: "admin listen on 192.0.2.1 port 80", want: { admin: [{ ...adminAt("192.0.2.1", 80), auth: true }] } },
  {
    text: 'admin listen on socket "/run/a.sock"\nadmin listen on socket "/run/b.sock" auth group "www-data" mode 0660',
    want: {
      admin: [
        { path: "/run/a.sock", mode: 0o600, group: null, hostname: null, auth: false },
        { path: "/run/b.sock", mode: 0o660, group: "www-data", hostname: null, auth: true },
      ],
    },
  },
  {
    text: 'listen on lo mail-auth\ndmarc reports from "Dmarc+reports@Bücher.Example."',
    want: { dmarcReports: { from: { local: "Dmarc+reports", domain: "xn--bcher-kva.example" } } },
  },
  { text: 'dmarc = "queue ttl 1s"\n$dmarc', want: { queue: { ...DEFAULTS.queue, ttlSeconds: 1 }, dmarcReports: null } },
  { text: "history keep 30d", want: { history: { keepMs: 30 * 86_400_000, maxBytes: 1024 ** 3, refs: false } } },
  {
    text: "history keep 2h refs size 4G",
    want: { history: { keepMs: 7_200_000, maxBytes: 4 * 1024 ** 3, refs: true } },
  },
  { text: 'history = "queue ttl 1s"\n$history', want: { queue: { ...DEFAULTS.queue, ttlSeconds: 1 }, history: null } },
  { text: "log to syslog", want: { log: [{ kind: "syslog", format: "text", at: { file: "c", line: 1 } }] } },
  {
    text: 'log to journald\nlog to file "/var/log//x" format json',
    want: {
      log: [
        { kind: "journald", format: "text", at: { file: "c", line: 1 } },
        { kind: "file", path: "/var/log/x", format: "json", at: { file: "c", line: 2 } },
      ],
    },
  },
  { text: 'log = "queue ttl 1s"\n$log', want: { queue: { ...DEFAULTS.queue, ttlSeconds: 1 }, log: [] } },
  { text: 'admin = "queue ttl 1s"\n$admin', want: { queue: { ...DEFAULTS.queue, ttlSeconds: 1 } } },
  {
    text: 'ttl_of_all = "1s"\nttl_of_all = "2s"\nqueue ttl $ttl_of_all',
    want: { queue: { ...DEFAULTS.queue, ttlSeconds: 2 } },
  },
  { text: "a = 1s\nqueue ttl $a", defines: [["a", "3s"]], want: { queue: { ...DEFAULTS.queue, ttlSeconds: 3 } } },
  { text: 'a = "25"\nadmin listen on ::1 port $a', want: { admin: [adminAt("::1", 25)] } },
  {
    text: 'include "/x"\nqueue ttl $a',
    files: { "/x": 'include "/y"\n# no newline', "/y": "a = 4s" },
    want: { queue: { ...DEFAULTS.queue, ttlSeconds: 4 } },
  },
  {
    text: 'include "/x"\ninclude "/x"',
    files: { "/x": "queue ttl 5s" },
    want: { queue: { ...DEFAULTS.queue, ttlSeconds: 5 } },
  },
];

for (const { text, want, ...input } of settings) {
  Deno.test(`parseConfig() reads: ${text}`, () => {
    const config: Readonly<Record<string, unknown>> = { ...configOf(text + RULE, input) };
    for (const [key, value] of Object.entries(want)) assert.deepEqual(config[key], value);
  });
}

Deno.test("parseConfig() reports each line of an included file by its own name", () => {
  const config = configOf('include "/x"\nlisten on a', { files: { "/x": "\nlisten on b\nmatch reject\n" } });
  assert.deepEqual(config.listen.map(({ at }) => at), [{ file: "/x", line: 2 }, { file: "c", line: 2 }]);
  assert.deepEqual(config.rules[0]?.at, { file: "/x", line: 3 });
});

Deno.test("parseConfig() reads dkim lines, with domains and selectors as A-labels", () => {
  const config = configOf(
    `dkim = "c.pem"
dkim "Example.ORG" selector S2026 key "/a.pem"
dkim "bücher.example" key $dkim headers { "From", Subject, subject } expire 14d selector "ü.k"
action "out" relay dkim
match for any action "out"
`,
  );
  assert.deepEqual(config.dkim, [
    {
      at: { file: "c", line: 2 },
      domain: "example.org",
      selector: "s2026",
      keyFile: "/a.pem",
      headers: null,
      expireSeconds: null,
    },
    {
      at: { file: "c", line: 3 },
      domain: "xn--bcher-kva.example",
      selector: "xn--tda.k",
      keyFile: "c.pem",
      headers: ["from", "subject"],
      expireSeconds: 14 * 86_400,
    },
  ]);
  assert.equal(config.actions.out?.kind === "relay" && config.actions.out.dkim, true);
});

Deno.test("dkim is no reserved word: macros, tags and filters may be called so", () => {
  const config = configOf(
    `filter dkim phase connect match !rdns junk
listen on lo tag dkim filter dkim
action dkim relay
match tag dkim for any action dkim
`,
  );
  assert.deepEqual(Object.keys(config.actions), ["dkim"]);
  assert.deepEqual(config.dkim, []);
});

Deno.test("credential:NAME is a file of the service manager's folder", () => {
  const { pki, ca, dkim, queue } = configOf(
    `pki a cert credential:a.crt key "credential:a.key"
ca b cert credential:b
dkim a.example selector s key credential:dkim_a
queue encryption credential:queue
${RULE}`,
    { credentials: "/c" },
  );
  assert.deepEqual([pki.a!.certFile, pki.a!.keyFile, ca.b, dkim[0]!.keyFile], [
    "/c/a.crt",
    "/c/a.key",
    "/c/b",
    "/c/dkim_a",
  ]);
  assert.deepEqual(queue.encryption, { kind: "file", path: "/c/queue" });
  const { pki: other } = configOf(`pki a cert "/c" key credential:a.key${RULE}`);
  assert.equal(other.a!.keyFile, "/run/credentials/vaultpost.service/a.key");
});

const warned: ReadonlyArray<Row<readonly string[]>> = [
  { text: "a = b", want: [] },
  {
    text: "a = b\nd = lo\nlisten on $d",
    verbose: true,
    defines: [["e", "f"]],
    want: ['-D: warning: macro "e" is not used', 'c:1: warning: macro "a" is not used'],
  },
  {
    text: 'pki a cert "/x" key "/y" dhe Auto',
    want: ['c:1: warning: dhe auto: only elliptic curves (ECDHE) are offered, as by "dhe none"'],
  },
  {
    text: "\nbounce warn-interval 1h, 2h, 3h, 4h, 5h",
    want: ["c:2: warning: only the first 4 delays of warn-interval are used"],
  },
  {
    text: "\nsrs ttl 2d",
    want: ['c:2: warning: "srs backup" and "srs ttl" have no effect without "srs key"'],
  },
  {
    text: 'dkim a.example selector s key "/k" expire 3d\naction out relay dkim',
    want: [
      'c:1: warning: "expire" is shorter than the ttl of an action that signs: mail that is delivered late has no good signature',
    ],
  },
  { text: 'dkim a.example selector s key "/k" expire 3d\naction out relay dkim ttl 2d', want: [] },
  {
    text: "admin listen on 0.0.0.0 port 80",
    want: [
      "c:1: warning: the admin page at 0.0.0.0 has no TLS: tokens can be read on the way; let a proxy with TLS come to 127.0.0.1",
    ],
  },
  {
    text: 'admin listen on socket "/run/a.sock" mode 0666\nadmin listen on socket "/run/b.sock" mode 666 auth',
    want: [
      'c:1: warning: every user of this machine may read the admin page at /run/a.sock: add "auth", or a mode such as 0660',
    ],
  },
  {
    text: 'pki a cert "/x" key "/y"\nca a cert "/z"\nlisten on lo tls pki a ca a',
    want: ['c:3: warning: "ca" has no effect without "tls-require verify" or "smtps verify"'],
  },
  {
    text: "table s { a = b }\nlisten on lo senders <s>",
    want: ['c:2: warning: "senders" has no effect without "auth" or "auth-optional": it is about who has logged in'],
  },
  {
    text: "table ours { example.org }\nmatch from any for domain ours reject",
    want: ['c:2: warning: "for domain" has the one entry "ours"; the table of that name is written <ours>'],
  },
];

for (const { text, want, ...input } of warned) {
  Deno.test(`parseConfig() warns of: ${text}`, () => {
    const result = parse(text + RULE, input);
    assert.ok(result.ok, complaints(text + RULE, input).join("\n"));
    assert.deepEqual(result.warnings, want);
  });
}

Deno.test("parseConfig() knows where limits, ttl, warnings and SRS were set last, and takes none of them for unused", () => {
  const lines = [
    "mta limit conn-delay-route 1",
    "mta limit conn-delay-route 2",
    "mta limit for domain Example.ORG session-mail-max 3",
    "queue ttl 2d",
    "bounce warn-interval 1h",
    "srs key k",
    "history keep 1d",
    "match reject",
  ];
  const parsed = parse(lines.join("\n"));
  assert.ok(parsed.ok);
  const { declared } = parsed.config;
  const found = Object.fromEntries(Object.entries(declared).map(([key, { line }]) => [key, line]));
  assert.deepEqual(found, {
    "mta limit": 2,
    "mta limit for domain example.org": 3,
    "queue ttl": 4,
    "bounce warn-interval": 5,
    "srs key": 6,
    history: 7,
  });
  assert.deepEqual(parsed.notes, []);
});

Deno.test("parseConfig() notes what is never used, once and at its line", () => {
  const text = `table t { a }
table u { a }
action "x" mbox
filter f phase connect match src <t> junk
filter g phase connect match src <u> junk
proc p "/x"
pki a cert "/x" key "/y"
pki b cert "/x" key "/y"
ca c cert "/x"
mda wrapper w "z"
mda wrapper v "z"
action "y" maildir wrapper v
table s { b }
listen on lo tls pki b filter g
match from any for any action "x"
`;
  const result = parse(text);
  assert.ok(result.ok, complaints(text).join("\n"));
  assert.deepEqual(result.notes, [
    'c:4: warning: filter "f" is never used',
    'c:6: warning: process "p" is never used',
    'c:7: warning: pki "a" is never used',
    'c:9: warning: ca "c" is never used',
    'c:10: warning: wrapper "w" is never used',
    'c:12: warning: action "y" is never used',
    "c:13: warning: table <s> is never used",
  ]);
  const all = parse('pki a cert "/x" key "/y"\nlisten on lo tls\nmatch reject\n');
  assert.deepEqual(all.ok && all.notes, [], "a TLS listener without a pki has all of them");
});

Deno.test("parseConfig() says why the file itself cannot be opened", () => {
  const result = parseConfig("/nowhere", { defines: [], files: memoryFiles({}) });
  assert.deepEqual(result, { ok: false, diagnostics: [], fatal: "cannot open /nowhere: No such file" });
});

const defines = [
  { argument: "a=b", want: ["a", "b"] },
  { argument: "a=b=c", want: ["a=b", "c"] },
  { argument: "a=", want: ["a", ""] },
  { argument: "=b", want: null },
  { argument: "a", want: null },
  { argument: "a b=c", want: null },
];

for (const { argument, want } of defines) {
  Deno.test(`splitDefine() of "${argument}"`, () => assert.deepEqual(splitDefine(argument), want));
}

Deno.test("parseConfig() takes the system's accounts for a userbase, whatever their table is called", () => {
  const { actions, tables } = configOf(`table t getpwnam\naction "a" mbox userbase <t>\naction "b" mbox${RULE}`);
  assert.deepEqual(Object.values(actions).map((action) => action.kind === "local" && action.userbase), [
    "<getpwnam>",
    null,
  ]);
  assert.deepEqual(tables["t"]?.entries, []);
});

Deno.test("parseConfig() gives an action the command of its wrapper", () => {
  const { actions } = configOf(`mda wrapper w "x %{mda}"\naction "a" maildir wrapper w${RULE}`);
  assert.equal(actions["a"]?.kind === "local" && actions["a"].wrapper, "x %{mda}");
});
