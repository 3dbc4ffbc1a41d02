/** The lookup isolate at its doors, with a fake system around it. */

import assert from "node:assert/strict";
import type { Event, Trace } from "../../src/events/mod.ts";
import type { Channel, Isolate } from "../../src/isolate/mod.ts";
import type {
  ControlToLookup,
  Forward,
  FromLookup,
  LookupSettings,
  LookupToControl,
  ToLookup,
} from "../../src/protocol/mod.ts";
import { type ClientNamer, type LookupParts, serveLookup } from "../../src/lookup/serve.ts";
import { EnvelopeMac } from "../../src/mac/mod.ts";
import { FixtureDns } from "../mail_auth/fixture_dns.ts";
import { SystemAccounts } from "../../src/lookup/mod.ts";
import { msgid } from "../ids.ts";
import { CLIENT, forAny, fromAny, list, local, mailbox, map, relay, rule } from "../rules/support.ts";

const PASSWD = "root:x:0:0::/root:/bin/sh\nbob:x:1000:1001::/home/bob:/bin/sh\nvmail:x:8:8::/var/vmail:/bin/false\n";

const SETTINGS: LookupSettings = {
  shared: { serverName: "mail.example.org", version: "0", timeZone: "UTC", root: false },
  tables: {
    base: map("base", { joe: "2000:2000:/home/virtual/joe", odd: "nonsense" }),
    addresses: list("addresses", "192.0.2.1", "192.0.2.9", "[2001:db8::1]", "nonsense"),
    names: map("names", { "192.0.2.1": "a.example.org", "[2001:db8::1]": "b.example.org" }),
    senders: map("senders", {
      carol: "carol@example.org, @carol.example.org,",
      josé: "josé@bücher.example",
      dave: "@*.example.net, list+admin@example.org",
      root: "@",
      eve: "",
    }),
    secrets: map("secrets", { label: "user:pa:ss", odd: "nonsense", half: "user:", other: ":x" }),
    unwanted: list(
      "unwanted",
      "eve@example.net",
      "@bücher.example",
      "*.spam.example",
      "192.0.2.0/24",
      "bücher.example",
    ),
    patterns: list("patterns", "^x.*@bücher\\.example$"),
    users: map("users", { carol: "$6$x" }),
    hosts: list("hosts", "smtp://a.example.net", "smtp://b.example.net"),
    routes: map("routes", { "example.com": "smtps://mx.example.com" }),
  },
  tableFiles: {
    al: {
      name: "al",
      backend: "file",
      kind: "map",
      path: "/etc/aliases",
      files: ["/etc/aliases"],
      includes: ["bob, :include:/l"],
    },
  },
  programTables: [],
  authTables: [],
  saltKey: new Uint8Array(32),
  senderTables: ["senders"],
  hostnameTables: ["names"],
  filterTables: ["unwanted", "patterns", "users"],
  rules: [rule({ for: forAny, from: fromAny })],
  actions: {
    a: local("a", { alias: "al" }),
    virtual: local("virtual", { userbase: "base" }),
    vmail: local("vmail", { user: "vmail" }),
    ghost: local("ghost", { user: "nobody" }),
    both: local("both", { userbase: "base", user: "vmail" }),
    out: relay("out"),
    smart: relay("smart", { host: "hosts" }),
    routed: relay("routed", { domain: "routes" }),
    from: relay("from", { src: "addresses", heloSrc: "names" }),
    bare: relay("bare", { src: "addresses" }),
    login: relay("login", { host: "hosts", auth: "secrets" }),
  },
  subAddressDelimiter: "+",
  localAddresses: ["127.0.0.1"],
  envelopeMacKey: new Uint8Array(32),
  commandUser: "_smtpd",
  resolver: { servers: [], timeoutMs: 1, attempts: 1, hosts: [] },
};

/** Both ends of a door without a port between them. */
function pair<Answer, Ask>() {
  const answers: Answer[] = [];
  const served: Channel<Answer, Ask> = {
    send: (message) => void answers.push(message),
    onmessage: () => {},
    onreset: () => {},
  };
  return { answers, served };
}

interface HarnessParts {
  namer?: ClientNamer;
  /** Text of the aliases file. */
  aliases?: () => string;
  passwd?: () => string;
  traces?: readonly Trace[];
  tables?: LookupSettings["tables"];
  main?: LookupParts["machine"]["main"];
  dns?: LookupParts["dns"];
  answersDns?: boolean;
}

function harness(parts: HarnessParts = {}) {
  const { traces = ["expand"] } = parts;
  const events: Event[] = [];
  const questions = pair<FromLookup, ToLookup>(), ofRelay = pair<FromLookup, ToLookup>();
  const orders = pair<LookupToControl, ControlToLookup>();
  const doors: string[] = [];
  const isolate: Isolate<"lookup"> = {
    role: "lookup",
    index: 0,
    settings: {
      ...SETTINGS,
      tables: { ...SETTINGS.tables, ...parts.tables },
      ...(parts.answersDns === undefined ? {} : { answersDns: parts.answersDns }),
    },
    emit: (event) => void events.push(event),
    ask: () => assert.fail("lookup asks nobody"),
    serve(name, welcome) {
      doors.push(name);
      if (name === "smtp-lookup") welcome(questions.served as never, { peer: 0, life: 1, refuse: () => {} });
      if (name === "relay-lookup") welcome(ofRelay.served as never, { peer: 0, life: 1, refuse: () => {} });
      if (name === "control-lookup") welcome(orders.served as never, { peer: 0, life: 1, refuse: () => {} });
    },
    traces: (trace) => traces.includes(trace),
    verbose: false,
    onstop: () => {},
  };
  const machine: LookupParts["machine"] = {
    accounts: new SystemAccounts({ read: parts.passwd ?? (() => PASSWD), stamp: () => "" + Math.random() }, () => 0),
    readText: () => {
      throw new Error("No such file");
    },
    file: (path) => {
      assert.equal(path, "/etc/aliases");
      const aliases = parts.aliases ?? (() => "team: bob, :include:/l\n");
      return { read: () => new TextEncoder().encode(aliases()), stamp: () => "" };
    },
    sqlite: () => assert.fail("there is no database"),
    ...parts.main === undefined ? {} : { main: parts.main },
  };
  const namer = parts.namer ?? { reverse: () => assert.fail("no name is to be asked for") };
  serveLookup(isolate, { machine, namer, ...(parts.dns === undefined ? {} : { dns: parts.dns }) });
  const ask = (question: ToLookup) => {
    questions.answers.length = 0;
    questions.served.onmessage(question);
    return questions.answers;
  };
  const order = (table: string) => {
    orders.served.onmessage({ type: "update-table", call: 7, table });
    return orders.answers;
  };
  const askAsRelay = (question: ToLookup) => {
    ofRelay.answers.length = 0;
    ofRelay.served.onmessage(question);
    return ofRelay.answers;
  };
  return { ask, askAsRelay, order, events, doors, answers: questions.answers };
}

const logged = (events: readonly Event[], level: string) =>
  events.flatMap((event) => event.type === "log" && event.level === level ? [event.text] : []);

const MESSAGE = msgid("00000001");
const expansion = (rcpt: string): ToLookup => ({
  type: "expand",
  call: 5,
  message: MESSAGE,
  origin: CLIENT,
  tls: false,
  sender: null,
  rcpt: mailbox(rcpt),
});

Deno.test("serveLookup() serves every door that leads to it", () => {
  const doors = [
    "smtp-lookup",
    "relay-lookup",
    "delivery-lookup",
    "privileged-lookup",
    "queue-lookup",
    "control-lookup",
  ];
  assert.deepEqual(harness().doors, doors);
});

Deno.test("serveLookup() expands a recipient in the turn of the question, and logs a missing include", () => {
  const { ask, events } = harness();
  const bob = { agent: "mda", action: "a", dest: mailbox("team@x"), user: "bob", subAddress: "", exec: "" } as const;
  const order = { message: MESSAGE, origin: CLIENT, sender: null, rcpt: mailbox("team@x"), internal: false };
  const mac = new EnvelopeMac(new Uint8Array(32)).of({ ...order, ...bob });
  const result = { ok: true, targets: [{ ...bob, oncePer: "sub-address", mac }], internal: [false] };
  assert.deepEqual(ask(expansion("team@x")), [{ type: "expanded", call: 5, result }]);
  assert.deepEqual(logged(events, "warn"), ["Cannot read the include file /l: No such file"]);
  assert.deepEqual(events.filter(({ type }) => type === "trace"), [
    { type: "trace", trace: "expand", text: "expand: team@x: 1 envelopes" },
  ]);
});

Deno.test("serveLookup() turns unknown users away, and nobody while the accounts cannot be read", () => {
  const reply = ({ ask }: ReturnType<typeof harness>) => {
    const [answer] = ask(expansion("eve@x"));
    return answer?.type === "expanded" && !answer.result.ok ? answer.result.code : null;
  };
  assert.equal(reply(harness()), 550);
  const broken = harness({
    passwd: () => {
      throw new Error("Too many open files");
    },
  });
  assert.equal(reply(broken), 451);
  assert.deepEqual(logged(broken.events, "warn"), [
    "Accounts: Cannot read the system accounts: Too many open files",
  ]);
});

const bob = { name: "bob", uid: 1000, gid: 1001, home: "/home/bob" };
const joe = { name: "joe", uid: 2000, gid: 2000, home: "/home/virtual/joe" };
const vmail = { name: "vmail", uid: 8, gid: 8, home: "/var/vmail" };
const accounts = [
  { action: "a", user: "bob", want: { ok: true, account: bob, identity: bob }, because: "a system account" },
  { action: "a", user: "Bob", want: { ok: true, account: bob, identity: bob }, because: "the key is folded" },
  {
    action: "vmail",
    user: "bob",
    want: { ok: true, account: bob, identity: vmail },
    because: "the action names a user",
  },
  { action: "virtual", user: "joe", want: { ok: true, account: joe, identity: joe }, because: "of the userbase" },
  { action: "both", user: "joe", want: { ok: true, account: joe, identity: vmail }, because: "userbase and user" },
  { action: "a", user: "eve", want: "permanent", because: "no such account" },
  { action: "virtual", user: "bob", want: "permanent", because: "an account that is not in the userbase" },
  { action: "ghost", user: "bob", want: "permanent", because: "the action's user is unknown" },
  { action: "virtual", user: "odd", want: "temporary", because: "a userbase entry is malformed" },
  { action: "nosuch", user: "bob", want: "temporary", because: "the action is gone" },
  { action: "out", user: "bob", want: "temporary", because: "a relay has no accounts" },
] as const;
for (const { action, user, want, because } of accounts) {
  Deno.test(`serveLookup() answers for the account ${user} of action ${action}: ${because}`, () => {
    const [answer] = harness().ask({ type: "account", call: 3, action, user });
    assert.ok(answer?.type === "account" && answer.call === 3);
    const { result } = answer;
    assert.deepEqual(result.ok ? result : result.temporary ? "temporary" : "permanent", want);
  });
}

Deno.test("serveLookup() hands out smarthosts in turn, by domain, or none", () => {
  const { ask } = harness();
  const url = (action: string, domain: string) => {
    const [answer] = ask({ type: "smarthost", call: 1, action, domain });
    return answer?.type === "smarthost" ? answer.url : undefined;
  };
  assert.deepEqual([1, 2, 3].map(() => url("smart", "any.example")), [
    "smtp://a.example.net",
    "smtp://b.example.net",
    "smtp://a.example.net",
  ]);
  const [answer] = ask({ type: "smarthost", call: 1, action: "smart", domain: "any.example" });
  assert.deepEqual(answer, {
    type: "smarthost",
    call: 1,
    url: "smtp://b.example.net",
    others: ["smtp://a.example.net"],
  });
  assert.equal(url("routed", "Example.com"), "smtps://mx.example.com");
  assert.equal(url("routed", "a.example.com"), null);
  assert.equal(url("out", "example.com"), null);
  assert.equal(url("nosuch", "example.com"), null);
});

const sources = [
  { action: "from", want: ["192.0.2.1 a.example.org", "2001:db8::1 b.example.org"] },
  { action: "bare", want: ["192.0.2.1 null", "192.0.2.9 null", "2001:db8::1 null"] },
  { action: "out", want: [] },
  { action: "nosuch", want: [] },
];
for (const { action, want } of sources) {
  Deno.test(`serveLookup() has ${want.length} local addresses for action ${action}, each first in its turn`, () => {
    const { ask } = harness();
    const next = () => {
      const [answer] = ask({ type: "sources", call: 4, action });
      assert.ok(answer?.type === "sources");
      return answer.sources.map(({ address, helo }) => `${address} ${helo}`);
    };
    const first = next();
    assert.deepEqual(first.toSorted(), want);
    // What cannot be used has a turn too.
    assert.deepEqual(
      new Set([first, next(), next(), next(), next()].map(([name]) => name)),
      new Set([...want, first[0]]),
    );
  });
}

const credentials = [
  { action: "login", label: "label", want: { user: "user", password: "pa:ss" } },
  { action: "login", label: "Label", want: { user: "user", password: "pa:ss" } },
  { action: "login", label: "unknown", want: null, lack: "label" },
  { action: "login", label: "odd", want: null, lack: "form" },
  { action: "login", label: "half", want: null, lack: "form" },
  { action: "login", label: "other", want: null, lack: "form" },
  { action: "smart", label: "label", want: null },
  { action: "a", label: "label", want: null },
  { action: "nosuch", label: "label", want: null },
];
for (const { action, label, want, lack } of credentials) {
  Deno.test(`serveLookup() has ${want === null ? "no" : "the"} credentials of "${label}" for action ${action}`, () => {
    const { askAsRelay, events } = harness({ traces: ["lookup", "tables"] });
    assert.deepEqual([...askAsRelay({ type: "credentials", call: 4, action, label })], [
      { type: "credentials", call: 4, credentials: want, ...(lack === undefined ? {} : { lack }) },
    ]);
    assert.ok(!JSON.stringify(events).includes("pa:ss"), "no trace shows a secret");
  });
}

Deno.test("serveLookup() gives credentials to the relay isolate alone", () => {
  const { ask, events } = harness();
  assert.deepEqual([...ask({ type: "credentials", call: 4, action: "login", label: "label" })], [
    { type: "credentials", call: 4, credentials: null },
  ]);
  assert.equal(logged(events, "crit").length, 1);
});

Deno.test("serveLookup() gives the local socket the server's own name, without DNS", () => {
  assert.deepEqual(harness().ask({ type: "client-name", call: 2, address: "local" }), [
    { type: "client-name", call: 2, hostname: "mail.example.org", confirmed: "pass" },
  ]);
});

Deno.test("serveLookup() gives a client the name that DNS has for it", async () => {
  const asked: string[] = [];
  const namer: ClientNamer = {
    reverse(address) {
      asked.push(address);
      return Promise.resolve({ hostname: "host.example.net", confirmed: "fail" });
    },
  };
  const { ask, answers } = harness({ namer });
  ask({ type: "client-name", call: 2, address: "[2001:db8::1]" });
  await Promise.resolve();
  assert.deepEqual(asked, ["2001:db8::1"]);
  assert.deepEqual(answers, [{ type: "client-name", call: 2, hostname: "host.example.net", confirmed: "fail" }]);
});

Deno.test("serveLookup() calls a client <unknown> when the resolver breaks", async () => {
  const { ask, answers, events } = harness({ namer: { reverse: () => Promise.reject(new Error("No sockets")) } });
  ask({ type: "client-name", call: 2, address: "192.0.2.1" });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(answers, [{ type: "client-name", call: 2, hostname: "<unknown>", confirmed: "temporary" }]);
  assert.deepEqual(logged(events, "warn"), ["No name for the client 192.0.2.1: No sockets"]);
});

const malformed: { question: unknown; want: unknown[]; because: string }[] = [
  { question: null, want: [], because: "nothing at all" },
  { question: { type: "expand" }, want: [], because: "a question without a number" },
  { question: { type: "dance", call: 1 }, want: [], because: "a question of no known type" },
  {
    question: { type: "expand", call: 1, rcpt: { local: 7 } },
    want: [{
      type: "expanded",
      call: 1,
      result: { ok: false, code: 451, text: "4.3.0 Temporary failure: <7@undefined>" },
    }],
    because: "a recipient that is none",
  },
  {
    question: { type: "client-name", call: 1, address: 7 },
    want: [{ type: "client-name", call: 1, hostname: "<unknown>", confirmed: "temporary" }],
    because: "an address that is none",
  },
  {
    question: { type: "account", call: 1, action: "a", user: null },
    want: [{
      type: "account",
      call: 1,
      result: { ok: false, temporary: true, text: "Temporary failure in user lookup" },
    }],
    because: "a user that is none",
  },
  {
    question: { type: "smarthost", call: 1, action: "routed", domain: {} },
    want: [{ type: "smarthost", call: 1, url: null }],
    because: "a domain that is none",
  },
];
for (const { question, want, because } of malformed) {
  Deno.test(`serveLookup() survives ${because}, logs it, and answers the next question`, () => {
    const { ask, events } = harness();
    assert.deepEqual([...ask(question as ToLookup)], want);
    assert.equal(logged(events, "crit").length, 1);
    assert.equal(ask(expansion("bob@x")).length, 1);
  });
}

Deno.test("serveLookup() reads a table again when it is asked to, and says so", () => {
  let text = "team: bob\n";
  const { ask, order, events } = harness({ aliases: () => text });
  text = "team: root\n";
  assert.deepEqual(order("al"), [{ type: "updated", call: 7, error: null }]);
  assert.deepEqual(logged(events, "info"), ['info: Table "al" successfully updated']);
  const [answer] = ask(expansion("team@x"));
  assert.ok(answer?.type === "expanded" && answer.result.ok);
  assert.deepEqual(answer.result.targets.map((target) => target.agent === "mda" && target.user), ["root"]);
});

Deno.test("serveLookup() keeps a table whose file cannot be read, and says why", () => {
  let text = "team: bob\n";
  const { ask, order, events } = harness({ aliases: () => text });
  text = "\nteam: eve\nbad\n";
  assert.deepEqual(order("al"), [{
    type: "updated",
    call: 7,
    error:
      '/etc/aliases:3: an entry of a map needs a key and a value ("# @list" as the first line makes the file a list)',
  }]);
  assert.deepEqual(logged(events, "info"), [
    'info: Failed to update table "al": /etc/aliases:3: an entry of a map needs a key and a value ("# @list" as the first line makes the file a list)',
  ]);
  const [answer] = ask(expansion("team@x"));
  assert.ok(answer?.type === "expanded" && answer.result.ok);
});

const traced = (events: readonly Event[]) => events.flatMap((event) => event.type === "trace" ? [event.text] : []);

Deno.test("serveLookup() traces questions, rules and tables, but no secret of a smarthost's URL", () => {
  const { ask, events } = harness({
    traces: ["lookup", "rules", "tables"],
    tables: { hosts: list("hosts", "smtps://user:p@ss@a.example.net") },
  });
  ask({ type: "account", call: 1, action: "virtual", user: "joe" });
  ask({ type: "account", call: 2, action: "a", user: "nobody-here" });
  ask({ type: "smarthost", call: 3, action: "smart", domain: "example.com" });
  ask({ type: "smarthost", call: 4, action: "routed", domain: "elsewhere.example" });
  ask({ type: "client-name", call: 5, address: "local" });
  assert.deepEqual(traced(events), [
    'tables: base: lookup "joe" -> found',
    'lookup: account "joe" of action "virtual": uid 2000, home /home/virtual/joe',
    'lookup: account "nobody-here" of action "a": Permanent failure in user lookup',
    "tables: hosts: fetch -> found",
    "tables: hosts: fetch -> found",
    'lookup: smarthost of action "smart" for example.com: smtps://********@a.example.net',
    'tables: routes: lookup "elsewhere.example" -> not found',
    'lookup: smarthost of action "routed" for elsewhere.example: none',
    "lookup: name of local: mail.example.org, forward-confirmed: pass",
  ]);
});

const sendings: readonly { user: string; sender: string; want: "ok" | "permfail"; because: string }[] = [
  { user: "carol", sender: "carol@example.org", want: "ok", because: "her address" },
  { user: "CAROL", sender: "Carol@Example.ORG", want: "ok", because: "in any case" },
  { user: "carol", sender: "carol+tag@example.org", want: "ok", because: "with a tag of hers" },
  { user: "josé", sender: "josé@xn--bcher-kva.example", want: "ok", because: "his domain is in U-labels there" },
  { user: "carol", sender: "x@carol.example.org", want: "ok", because: "anybody at her domain" },
  {
    user: "carol",
    sender: "joe@example.org",
    want: "permfail",
    because: "somebody else: the last comma stands for nobody",
  },
  { user: "carol", sender: "", want: "permfail", because: "nobody" },
  { user: "dave", sender: "x@a.example.net", want: "ok", because: "a wildcard" },
  { user: "dave", sender: "x@example.net", want: "permfail", because: "not the domain itself" },
  { user: "dave", sender: "list+admin@example.org", want: "ok", because: "a tag that is written" },
  { user: "dave", sender: "list@example.org", want: "permfail", because: "nothing but that tag" },
  { user: "root", sender: "x@anywhere.example", want: "ok", because: "@ is everybody" },
  { user: "root", sender: "", want: "ok", because: "and nobody" },
  { user: "eve", sender: "eve@example.org", want: "permfail", because: "no address at all" },
  { user: "mallory", sender: "mallory@example.org", want: "permfail", because: "a user who is not in the table" },
];
for (const { user, sender, want, because } of sendings) {
  Deno.test(`may ${user} send as <${sender}>? ${want}: ${because}`, () => {
    const { ask } = harness();
    const [local = "", domain = ""] = sender.split("@");
    const answers = ask({
      type: "may-send",
      call: 3,
      table: "senders",
      user,
      sender: sender === "" ? null : { local, domain },
    });
    assert.deepEqual(answers, [{ type: "may-send", call: 3, result: want }]);
  });
}

Deno.test("a listener has the name of its address, and smtp isolates cannot ask other tables", () => {
  const { ask } = harness();
  const name = (table: string, address: string) => ask({ type: "listener-name", call: 5, table, address });
  assert.deepEqual(name("names", "192.0.2.1"), [{ type: "listener-name", call: 5, name: "a.example.org" }]);
  assert.deepEqual(name("names", "[2001:db8::1]"), [{ type: "listener-name", call: 5, name: "b.example.org" }]);
  assert.deepEqual(name("names", "192.0.2.2"), [{ type: "listener-name", call: 5, name: null }]);
  assert.deepEqual(name("secrets", "label"), [{ type: "listener-name", call: 5, name: null }]);
  const sender = { local: "user", domain: "x" };
  const guess = ask({ type: "may-send", call: 6, table: "secrets", user: "label", sender });
  assert.deepEqual(guess, [{ type: "may-send", call: 6, result: "tempfail" }]);
});

const DNS_QUESTIONS = [
  { kind: "txt", name: "a.test", want: { kind: "records", records: ["v=spf1 -all"] } },
  { kind: "a", name: "a.test", want: { kind: "records", records: ["192.0.2.1"] } },
  { kind: "aaaa", name: "a.test", want: { kind: "none", exists: true } },
  { kind: "mx", name: "a.test", want: { kind: "records", records: ["10 mx.a.test"] } },
  { kind: "ptr", name: "192.0.2.1", want: { kind: "records", records: ["a.test"] } },
  { kind: "txt", name: "none.test", want: { kind: "none", exists: false } },
  { kind: "txt", name: "slow.test", want: { kind: "temporary" } },
] as const;
for (const { kind, name, want } of DNS_QUESTIONS) {
  Deno.test(`sessions that check mail ask the DNS: ${kind} of ${name}`, async () => {
    const dns = new FixtureDns({
      "a.test": [{ TXT: "v=spf1 -all" }, { A: "192.0.2.1" }, { MX: [10, "mx.a.test"] }],
      "1.2.0.192.in-addr.arpa": [{ PTR: "a.test" }],
      "slow.test": ["TIMEOUT"],
    });
    const { ask, answers } = harness({ dns, answersDns: true });
    ask({ type: "dns", call: 7, kind, name });
    await new Promise((resolve) => setTimeout(resolve));
    assert.deepEqual(answers, [{ type: "dns", call: 7, answer: want }]);
  });
}

Deno.test("sessions cannot ask the DNS where no listener checks mail", async () => {
  const dns = new FixtureDns({ "a.test": [{ TXT: "secret" }] });
  const { ask, answers } = harness({ dns });
  ask({ type: "dns", call: 7, kind: "txt", name: "a.test" });
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual(answers, [{ type: "dns", call: 7, answer: { kind: "temporary" } }]);
  assert.deepEqual(dns.questions, []);
});

const filterTests = [
  { table: "unwanted", service: "mailaddr", key: "Eve@Example.net", found: true },
  { table: "unwanted", service: "mailaddr", key: "eve+tag@example.net", found: true },
  { table: "unwanted", service: "mailaddr", key: "adam@example.net", found: false },
  { table: "unwanted", service: "mailaddr", key: "", found: false },
  { table: "unwanted", service: "mailaddr", key: "x@xn--bcher-kva.example", found: true },
  { table: "unwanted", service: "domain", key: "xn--bcher-kva.example", found: true },
  { table: "unwanted", service: "domain", key: "a.spam.example", found: true },
  { table: "unwanted", service: "netaddr", key: "192.0.2.7", found: true },
  { table: "unwanted", service: "netaddr", key: "[2001:db8::1]", found: false },
  { table: "unwanted", service: "netaddr", key: "local", found: false },
  { table: "patterns", service: "regex", key: "xyz@xn--bcher-kva.example", found: true },
  { table: "patterns", service: "regex", key: "yxz@xn--bcher-kva.example", found: false },
  { table: "users", service: "auth", key: "Carol", found: true },
  { table: "users", service: "auth", key: "dave", found: false },
  // Of pairs: it cannot tell.
  { table: "secrets", service: "domain", key: "label", found: null },
] as const;
for (const { table, service, key, found } of filterTests) {
  Deno.test(`filters ask: is "${key}" in the ${service} table "${table}"? ${found}`, () => {
    const { ask } = harness();
    assert.deepEqual(ask({ type: "test", call: 4, table, service, key }), [{ type: "tested", call: 4, found }]);
  });
}

Deno.test("an isolate has so many questions at one time that wait for others, and no more; the other isolates are answered", async () => {
  const { promise: forward, resolve } = Promise.withResolvers<Forward>();
  const main = { knownForward: () => undefined, forward: () => forward, knownAccount: () => null } as never;
  const { ask, askAsRelay, answers } = harness({ traces: [], main });
  const LIMIT = 20_000;
  const asked = Array.from({ length: LIMIT + 1 }, () => ask(expansion("bob@x")).slice());
  assert.deepEqual(asked.slice(0, LIMIT).flat(), []);
  const [refused] = asked[LIMIT]!;
  assert.ok(refused?.type === "expanded" && !refused.result.ok && refused.result.code === 451);
  const [sources] = askAsRelay({ type: "sources", call: 1, action: "bare" });
  assert.equal(sources?.type, "sources");
  answers.length = 0;
  resolve({ kind: "none" });
  while (answers.length < LIMIT) await new Promise((resolve) => setTimeout(resolve));
  assert.ok(answers.every((answer) => answer.type === "expanded" && answer.result.ok));
});
