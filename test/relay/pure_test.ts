/**
 * The decisions of relaying: URLs, exchangers, results, routes and when to connect. Without sockets and time. Long on purpose: tables with one
 * line per case.
 */

import assert from "node:assert/strict";
import type { MessageId } from "../../src/envelope/mod.ts";
import { better, NOTHING_LEFT } from "../../src/relay/reason.ts";
import { Deferred } from "../../src/relay/deferred.ts";
import { DEFAULT_RELAY_LIMITS } from "../../src/config/defaults.ts";
import { chooseRoute, type ConnectionDemand } from "../../src/relay/routes/choose.ts";
import { findExchangers } from "../../src/relay/routes/mx.ts";
import { ownHost } from "../../src/relay/routes/own.ts";
import { outcomeOf } from "../../src/relay/session/result.ts";
import { RouteTable } from "../../src/relay/routes/routes.ts";
import { rewriteSender } from "../../src/relay/routes/sender.ts";
import { mxTarget, smarthostTarget } from "../../src/relay/routes/target.ts";
import { splitTask, type Task, TaskQueue } from "../../src/relay/tasks.ts";
import { parseRelayUrl, relayUrlFault } from "../../src/relay/routes/url.ts";
import { ACTION, names, NOT_OWN } from "./world.ts";
import { evpid, msgid } from "../ids.ts";

const urls = [
  { url: "mx.example.net", want: "smtp opportunistic mx.example.net 25 " },
  { url: "smtp://MX.example.net", want: "smtp opportunistic mx.example.net 25 " },
  { url: "SMTP+TLS://mx.example.net:2525", want: "smtp+tls mandatory mx.example.net 2525 " },
  { url: "smtp+notls://mx_1.example.net", want: "smtp+notls never mx_1.example.net 25 " },
  { url: "smtps://label@mx.example.net", want: "smtps implicit mx.example.net 465 label" },
  { url: "smtp+tls://label@[192.0.2.1]:26", want: "smtp+tls mandatory 192.0.2.1 26 label" },
  { url: "lmtp://localhost:24", want: "lmtp never localhost 24 " },
  { url: "[2001:db8::1]", want: "smtp opportunistic 2001:db8::1 25 " },
  { url: "smtp://[IPv6:2001:db8::1]:26", want: "smtp opportunistic 2001:db8::1 26 " },
  { url: "[192.0.2.1]foo", want: "smtp opportunistic 192.0.2.1 25 " },
  { url: "smtp://mail.Bücher.example:26", want: "smtp opportunistic mail.xn--bcher-kva.example 26 " },
  { url: "smtp://ü/x", want: null },
  { url: "lmtp://localhost", want: null },
  { url: "http://mx.example.net", want: null },
  { url: "smtp://label@mx.example.net", want: null },
  { url: "smtp+notls://label@mx.example.net", want: null },
  { url: "mx.example.net:0", want: null },
  { url: "mx.example.net:65536", want: null },
  { url: "mx.example.net:", want: null },
  { url: "mx example.net", want: null },
  { url: "mx.example.net\r\nQUIT", want: null },
  { url: "", want: null },
  { url: "constructor://mx.example.net", want: null },
  { url: `mx.${"x".repeat(1023)}`, want: null },
];
for (const { url, want } of urls) {
  Deno.test(`parseRelayUrl: ${JSON.stringify(url.slice(0, 40))} is ${want ?? "refused"}`, () => {
    const found = parseRelayUrl(url);
    assert.equal(found && `${found.scheme} ${found.tls} ${found.host} ${found.port} ${found.label}`, want);
  });
}

const urlFaults = [
  {
    url: "smtp://me@relay.example.net:587",
    want: /^has a label, which needs smtp\+tls or smtps: write smtp\+tls:\/\/LABEL@relay\.example\.net:587$/,
  },
  { url: "me@relay.example.net", want: /^has a label, which needs smtp\+tls or smtps/ },
  { url: "smtp+notls://me@x", want: /^has a label, which needs smtp\+tls or smtps/ },
  { url: "lmtp://me@x:24", want: /^has a label, which lmtp cannot use/ },
  { url: "tls+auth://me@x", want: /^has the unknown scheme tls\+auth: write smtp\+tls:\/\/$/ },
  { url: "smtps+auth://me@x", want: /^has the unknown scheme smtps\+auth: write smtps:\/\/$/ },
  { url: "2001:db8::5", want: /^is an IPv6 address without brackets: write \[2001:db8::5\]$/ },
  { url: "smtp+tls://lab@2001:db8::5", want: /^is an IPv6 address without brackets: write \[2001:db8::5\]$/ },
  { url: "SSL://x", want: /^has the unknown scheme ssl: write smtps:\/\/$/ },
  { url: "http://x", want: /^has the unknown scheme http: write one of smtp, smtp\+tls, smtp\+notls, smtps, lmtp$/ },
  { url: "smtps://@x", want: /^has no label before the @$/ },
  { url: "smtp://", want: /^names no host$/ },
  { url: "smtps://label@mx example", want: /^has " example" behind the name/ },
  { url: "smtp://x/", want: /^has "\/" behind the name/ },
  { url: "smtp://x:0", want: /^has "0" for a port, which is a number from 1 to 65535/ },
  { url: "2001:db8::1", want: /^is an IPv6 address without brackets: write \[2001:db8::1\]$/ },
  { url: "lmtp://x", want: /^has no port, which lmtp needs/ },
  { url: "x".repeat(1024), want: /^has more than 1023 characters$/ },
];
for (const { url, want } of urlFaults) {
  Deno.test(`relayUrlFault: ${url.slice(0, 40)} ${want.source.slice(0, 50)}`, () => {
    assert.equal(parseRelayUrl(url), null);
    assert.match(relayUrlFault(url)!, want);
  });
}

Deno.test("relayUrlFault has nothing to say of a URL that can be used", () =>
  assert.equal(relayUrlFault("smtp+tls://me@relay.example.net:587"), null));

const policies = [
  { url: "smtp://x", tls: null, want: "opportunistic false" },
  { url: "smtp://x", tls: "verify", want: "mandatory true" },
  { url: "smtp://x", tls: "no-verify", want: "mandatory false" },
  { url: "smtp+tls://x", tls: null, want: "mandatory true" },
  { url: "smtp+tls://x", tls: "no-verify", want: "mandatory false" },
  { url: "smtps://x", tls: null, want: "implicit true" },
  { url: "smtps://x", tls: "no-verify", want: "implicit false" },
  { url: "smtp+notls://x", tls: null, want: "never false" },
  {
    url: "smtp+notls://x",
    tls: "verify",
    want: 'relay host "smtp+notls://x" never uses TLS, which its action asks for',
  },
  { url: "lmtp://x:24", tls: "no-verify", want: 'relay host "lmtp://x:24" never uses TLS, which its action asks for' },
  {
    url: "smtps://label@x",
    tls: null,
    want: 'relay host "smtps://********@x" has a label, but its action no auth table',
  },
  {
    url: "gopher://me:secret@x",
    tls: null,
    want:
      'relay host "gopher://********@x" has the unknown scheme gopher: write one of smtp, smtp+tls, smtp+notls, smtps, lmtp',
  },
  { url: null, tls: null, want: "cannot retrieve smarthost" },
] as const;
for (const { url, tls, want } of policies) {
  Deno.test(`smarthostTarget: ${url} with tls ${tls} is ${want}`, () => {
    const result = smarthostTarget({ ...ACTION, tls }, url);
    assert.equal(result.ok ? `${result.target.tls} ${result.target.verify}` : result.text, want);
  });
}

Deno.test("targets of two actions are never one, even to the same host", () => {
  const one = smarthostTarget({ ...ACTION, name: "a" }, "smtp://x"),
    other = smarthostTarget({ ...ACTION, name: "b" }, "smtp://x");
  assert.ok(one.ok && other.ok);
  assert.notEqual(one.target.key, other.target.key);
});

const senders = [
  { mailFrom: null, sender: "a@b", want: "a@b" },
  { mailFrom: "x@y", sender: "a@b", want: "x@y" },
  { mailFrom: "@y", sender: "a@b", want: "a@y" },
  { mailFrom: "x", sender: "a@b", want: "x@b" },
  { mailFrom: "x@y", sender: null, want: "" },
];
for (const { mailFrom, sender, want } of senders) {
  Deno.test(`rewriteSender: mail-from ${mailFrom} makes <${sender ?? ""}> <${want}>`, () => {
    const [local, domain] = sender?.split("@") ?? [];
    assert.equal(rewriteSender(sender === null ? null : { local: local!, domain: domain! }, mailFrom), want);
  });
}

const zone = names({
  mx: {
    "two.test": [[10, "a.test"], [20, "b.test"]],
    "null.test": [[0, ""]],
    "local.test": [[10, "localhost"]],
    "partly.test": [[0, "localhost"], [10, "a.test"]],
    "dead.test": [[10, "gone.test"]],
    "brokenhost.test": [[10, "gone.test"], [20, "fail.test"]],
    "equal.test": [[10, "a.test"], [10, "b.test"], [20, "c.test"]],
    "behind.test": [[10, "gone.test"], [20, "b.test"]],
    "behind2.test": [[10, "fail.test"], [20, "b.test"]],
    "plain.test": "nodata",
    "empty.test": "nodata",
    "broken.test": "temporary",
    "bad.test": "invalid",
    "three.test": [[10, "a.test"], [20, "b.test"], [30, "c.test"]],
  },
  addresses: {
    "a.test": ["192.0.2.1", "2001:db8::1"],
    "b.test": ["192.0.2.2"],
    "c.test": ["192.0.2.3"],
    "plain.test": ["192.0.2.9"],
  },
});
const all = "10 192.0.2.1, 10 2001:db8::1, 20 192.0.2.2, 30 192.0.2.3";
const looped = (domain: string, what: string) =>
  `permfail 5.4.6 Mail for ${domain} loops back to this host: ${what} is this host itself`;
const exchangers: readonly {
  readonly domain: string;
  readonly want: string;
  /** Of a backup: its name. */
  readonly backup?: string;
  /** Addresses and names of this host. */
  readonly own?: readonly string[];
}[] = [
  { domain: "two.test", want: "10 192.0.2.1, 10 2001:db8::1, 20 192.0.2.2" },
  { domain: "plain.test", want: "0 192.0.2.9" },
  { domain: "partly.test", want: "10 192.0.2.1, 10 2001:db8::1" },
  { domain: "null.test", want: "permfail 5.1.10 Domain does not accept mail" },
  { domain: "local.test", want: "permfail 5.1.10 Domain does not accept mail" },
  { domain: "nowhere.test", want: "permfail 5.1.2 Domain does not exist" },
  {
    domain: "broken.test",
    want: "tempfail 4.4.3 Temporary failure in MX lookup of broken.test: SERVFAIL from 192.0.2.53",
  },
  {
    domain: "brokenhost.test",
    want: "tempfail 4.4.3 Temporary failure in MX lookup of fail.test: SERVFAIL from 192.0.2.53",
  },
  { domain: "bad.test", want: "permfail 5.1.2 Invalid domain name" },
  {
    domain: "dead.test",
    want: "tempfail 4.4.4 No MX found for domain dead.test: none of its mail hosts has an address",
  },
  {
    domain: "empty.test",
    want: "tempfail 4.4.4 No MX found for domain empty.test: it has neither a mail exchanger nor an address",
  },
  { domain: "[192.0.2.7]", want: "0 192.0.2.7" },
  { domain: "[IPv6:2001:DB8::7]", want: "0 2001:db8::7" },
  { domain: "[nonsense]", want: "permfail 5.1.2 Invalid domain name" },
  { domain: "three.test", backup: "b.test", want: "10 192.0.2.1, 10 2001:db8::1" },
  { domain: "three.test", backup: "other.test", want: `unlisted: ${all}` },
  { domain: "three.test", backup: "A.test", want: looped("three.test", "its mail exchanger a.test") },
  // RFC 5321 §5.1, by address and by name; as a backup or not.
  { domain: "three.test", own: ["192.0.2.3"], want: "10 192.0.2.1, 10 2001:db8::1, 20 192.0.2.2" },
  { domain: "three.test", own: ["c.test"], want: "10 192.0.2.1, 10 2001:db8::1, 20 192.0.2.2" },
  { domain: "three.test", own: ["192.0.2.2"], want: "10 192.0.2.1, 10 2001:db8::1" },
  { domain: "three.test", own: ["2001:db8::1"], want: looped("three.test", "its mail exchanger a.test") },
  { domain: "three.test", own: ["192.0.2.2"], backup: "other.test", want: "10 192.0.2.1, 10 2001:db8::1" },
  { domain: "three.test", own: ["192.0.2.2"], backup: "c.test", want: "10 192.0.2.1, 10 2001:db8::1" },
  { domain: "equal.test", own: ["192.0.2.2"], want: looped("equal.test", "its mail exchanger b.test") },
  {
    domain: "behind.test",
    own: ["b.test"],
    want: "tempfail 4.4.4 No MX found for domain behind.test: none of its mail hosts has an address",
  },
  {
    domain: "behind2.test",
    own: ["b.test"],
    want: "tempfail 4.4.3 Temporary failure in MX lookup of fail.test: SERVFAIL from 192.0.2.53",
  },
  { domain: "plain.test", own: ["192.0.2.9"], want: looped("plain.test", "it") },
  { domain: "plain.test", own: ["plain.test"], want: looped("plain.test", "it") },
  { domain: "[192.0.2.7]", own: ["192.0.2.7"], want: looped("192.0.2.7", "it") },
  { domain: "[IPv6:::ffff:192.0.2.7]", own: ["192.0.2.7"], want: looped("::ffff:192.0.2.7", "it") },
];
for (const { domain, want, backup, own = [] } of exchangers) {
  const as = `${backup === undefined ? "" : ` as backup ${backup}`}${own.length === 0 ? "" : ` on ${own}`}`;
  Deno.test(`findExchangers: ${domain}${as} is ${want}`, async () => {
    const is = (text: string) => own.includes(text);
    const self = { own: { ...NOT_OWN, name: is, address: is }, backupName: backup ?? null };
    const found = await findExchangers(mxTarget(ACTION, domain), zone, self);
    const shown = found.ok
      ? `${found.unlisted ? "unlisted: " : ""}${
        found.list.map(({ preference, address }) => `${preference} ${address}`).join(", ")
      }`
      : `${found.result} ${found.enhanced} ${found.text}`;
    assert.equal(shown, want);
  });
}

Deno.test("findExchangers: a smarthost is never looked up by MX, and may be this host", async () => {
  const own = { ...NOT_OWN, name: () => true, address: () => true };
  const of = (url: string) => {
    const action = { ...ACTION, host: "hosts" };
    const result = smarthostTarget(action, url);
    assert.ok(result.ok);
    return findExchangers(result.target, zone, { own, backupName: null });
  };
  assert.deepEqual((await of("smtp://b.test")).ok, true);
  assert.deepEqual(await of("smtp://127.0.0.1:2525"), {
    ok: true,
    list: [{ host: "127.0.0.1", address: "127.0.0.1", preference: 0 }],
  });
  assert.deepEqual((await of("smtp://[127.0.0.1]:2525")).ok, true);
  const { result, enhanced, text } = await of("smtp://two.test") as { result: string; enhanced: string; text: string };
  assert.equal(`${result} ${enhanced} ${text}`, "tempfail 4.4.4 Host not found: two.test does not exist");
});

const PUBLIC = [{ address: "192.0.2.1", port: 25 }], ALL = [{ address: "0.0.0.0", port: 25 }];
const ownRows = [
  { address: "192.0.2.1", own: true, because: "an interface has it" },
  { address: "::ffff:192.0.2.1", own: true, because: "the same as IPv4-mapped IPv6" },
  { address: "2001:DB8:0::1", own: true, because: "an interface has it, in another spelling" },
  { address: "fe80::1", own: true, because: "of an interface with a scope" },
  { address: "192.0.2.2", own: false, because: "of another host" },
  { address: "0.0.0.0", own: true, because: "leads here" },
  { address: "::", own: true, because: "leads here" },
  { address: "127.0.0.1", own: true, because: "loopback" },
  { address: "::1", own: true, because: "loopback" },
  { address: "127.0.0.9", own: false, because: "on loopback, where nothing of ours answers" },
  { address: "127.0.0.9", listeners: [{ address: "127.0.0.9", port: 25 }], own: true, because: "a listener is there" },
  { address: "127.0.0.9", listeners: [{ address: "127.0.0.9", port: 587 }], own: false, because: "at another port" },
  { address: "127.0.0.9", listeners: ALL, own: true, because: "a listener on all addresses answers" },
  { address: "127.0.0.9", listeners: [{ address: "::", port: 25 }], own: true, because: "as above, by IPv6" },
  { address: "192.0.2.7", listeners: ALL, own: false, because: "of another host, whatever answers here" },
  { address: "192.0.2.8", listeners: [{ address: "192.0.2.8", port: 25 }], own: true, because: "a listener is there" },
] as const;
for (const { address, own, because, ...rest } of ownRows) {
  const listeners = "listeners" in rest ? rest.listeners : PUBLIC;
  Deno.test(`ownHost: ${address} is ${own ? "" : "not "}own with ${listeners[0].address}: ${because}`, () => {
    const interfaces = () => ["127.0.0.1", "::1", "192.0.2.1", "2001:db8::1", "fe80::1"];
    const host = ownHost({ names: [], listeners }, () => 0, interfaces);
    assert.equal(host.address(address, 25), own);
  });
}

Deno.test("ownHost: an address that is learnt is own for an hour; who is called localhost may be anybody", () => {
  let now = 0;
  const host = ownHost(
    { names: ["mx.example.org", "localhost.localdomain", "plain"], listeners: [] },
    () => now,
    () => [],
  );
  host.learn("::ffff:192.0.2.1");
  assert.equal(host.address("192.0.2.1", 25), true);
  now = 3_600_000;
  assert.equal(host.address("192.0.2.1", 25), false);
  const names = ["mx.example.org", "localhost", "localhost.localdomain", "plain", "mx.example.net"];
  assert.deepEqual(names.map((name) => host.greets(name)), [true, false, false, false, false]);
});

Deno.test("ownHost: an address that an interface gets later is own then", () => {
  let now = 0;
  const addresses: string[] = [];
  const host = ownHost({ names: ["MX.example.org", "mx2.example.org."], listeners: [] }, () => now, () => addresses);
  assert.equal(host.address("192.0.2.1", 25), false);
  addresses.push("192.0.2.1");
  now = 1_000;
  assert.equal(host.address("192.0.2.1", 25), true);
  const names = ["mx.example.org", "mx2.example.org", "localhost", "example.org"];
  assert.deepEqual(names.map((name) => host.name(name)), [true, true, true, false]);
});

const replies = [
  { result: "ok", code: 250, text: "2.0.0 queued", dsn: true, want: "ok - relayed" },
  { result: "ok", code: 250, text: "queued", dsn: false, want: "ok -" },
  { result: "permfail", code: 550, text: "5.1.1 no such user", dsn: true, want: "permfail 5.1.1" },
  { result: "permfail", code: 550, text: "no such user", dsn: true, want: "permfail 5.0.0" },
  { result: "permfail", code: 550, text: "4.1.1 odd class", dsn: true, want: "permfail 5.0.0" },
  { result: "tempfail", code: 421, text: "4.7.0 later", dsn: true, want: "tempfail 4.7.0" },
  { result: "tempfail", code: 450, text: "later", dsn: true, want: "tempfail 4.0.0" },
] as const;
for (const { result, code, text, dsn, want } of replies) {
  Deno.test(`outcomeOf: ${code} ${text} is ${want}`, () => {
    const reply = { code, text, lines: [text] };
    const outcome = outcomeOf({ outcome: result, text: `${code} ${text}`, reply, stage: "EOM" }, { relaysDsn: dsn });
    assert.equal(outcome.text, `${code} ${text}`);
    const status = outcome.result === "ok" ? "-" : `${outcome.status.class}.${outcome.status.code}`;
    assert.equal(`${outcome.result} ${status}${outcome.result === "ok" && outcome.dsnRelayed ? " relayed" : ""}`, want);
  });
}

// ── routes ──────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────

const NOW = 1_000_000_000;

function demand(change: Partial<ConnectionDemand> = {}): ConnectionDemand {
  return {
    domain: "x.test",
    exchangers: [
      { host: "a", address: "192.0.2.1", preference: 10 },
      { host: "b", address: "192.0.2.2", preference: 10 },
      { host: "c", address: "2001:db8::3", preference: 20 },
    ],
    limits: DEFAULT_RELAY_LIMITS,
    pending: 1,
    connections: 0,
    idle: 0,
    ready: 0,
    lastTakenAt: NOW,
    lastConnectAt: -Infinity,
    source: null,
    smarthost: false,
    mayReplaceSession: false,
    moved: false,
    random: () => 0,
    // Of one local address, unless a case says otherwise.
    relay: { connections: change.connections ?? 0, lastConnectAt: change.lastConnectAt ?? -Infinity },
    ...change,
  };
}

function choose(state: ConnectionDemand, table = new RouteTable(), now = NOW): string {
  const choice = chooseRoute(state, table, now);
  switch (choice.kind) {
    case "connect":
      return choice.exchanger.address;
    case "wait":
      return `wait ${choice.until - now}`;
    case "enough":
      return "enough";
    case "none":
      return choice.reason.text;
  }
}

Deno.test("chooseRoute connects to the best preference when there is work and nothing in the way", () => {
  assert.equal(choose(demand()), "192.0.2.1");
  assert.equal(choose(demand({ pending: 0 })), "enough");
  assert.equal(choose(demand({ idle: 1, connections: 1, ready: 1 })), "enough");
});

Deno.test("chooseRoute takes the route with the fewest connections among equals", () => {
  const table = new RouteTable();
  table.connecting(table.route("192.0.2.1", NOW - 60_000), "x.test", NOW - 60_000);
  table.ready(table.route("192.0.2.1", NOW));
  assert.equal(
    choose(demand({ pending: 5, connections: 1, ready: 1, lastConnectAt: NOW - 60_000 }), table),
    "192.0.2.2",
  );
});

Deno.test("chooseRoute draws among equal hosts, and among a host's addresses with IPv4 first", () => {
  const exchangers = [
    { host: "a", address: "192.0.2.1", preference: 10 },
    { host: "a", address: "192.0.2.2", preference: 10 },
    { host: "a", address: "2001:db8::1", preference: 10 },
    { host: "b", address: "2001:db8::2", preference: 10 },
    { host: "c", address: "192.0.2.3", preference: 20 },
  ];
  const drawn = (...numbers: number[]) => choose(demand({ exchangers, random: () => numbers.shift()! }));
  assert.deepEqual([drawn(0, 0), drawn(0.49, 0.5), drawn(0.5, 0), drawn(0.999, 0.999)], [
    "192.0.2.1",
    "192.0.2.2",
    "2001:db8::2",
    "2001:db8::2",
  ]);
});

Deno.test("chooseRoute tries the next host at once when one could not be used, unless the administrator wrote a delay", () => {
  const moved = { lastConnectAt: NOW - 100 };
  assert.equal(choose(demand(moved)), "wait 1900");
  assert.equal(choose(demand({ ...moved, moved: true })), "192.0.2.1");
  const limits = { ...DEFAULT_RELAY_LIMITS, connDelayRelay: 10 };
  assert.equal(choose(demand({ ...moved, moved: true, limits })), "wait 9900");
});

Deno.test("chooseRoute reports what the hosts said, rather than what befell connections", () => {
  const table = new RouteTable();
  const failures = [
    { text: "a (192.0.2.1) port 25: Connection refused", enhanced: "4.4.1" },
    { text: "554 5.7.1 listed", enhanced: "5.7.1" },
    { text: "c (2001:db8::3) port 25: No route to host", enhanced: "4.4.1" },
  ];
  for (const [at, { address }] of demand().exchangers.entries()) {
    table.disable(table.route(address, NOW), 1, "network", NOW, failures[at]!);
  }
  const choice = chooseRoute(demand(), table, NOW);
  assert.deepEqual(choice, { kind: "none", reason: failures[1] });
});

Deno.test("better() keeps a host's own words, and any reason when merely nothing is left to try", () => {
  const refused = { text: "mx1.example.net (192.0.2.1) port 25: Connection refused", enhanced: "4.4.1" };
  const words = { text: "451 4.7.1 Greylisted", enhanced: "4.7.1" };
  const rows = [
    [null, NOTHING_LEFT, NOTHING_LEFT],
    [refused, NOTHING_LEFT, refused],
    [words, NOTHING_LEFT, words],
    [words, refused, words],
    [refused, words, words],
    [NOTHING_LEFT, refused, refused],
  ] as const;
  for (const [earlier, later, want] of rows) assert.equal(better(earlier, later), want);
});

Deno.test("chooseRoute goes to a worse preference only when all better routes are in error", () => {
  const table = new RouteTable();
  table.disable(table.route("192.0.2.1", NOW), 1, "network", NOW);
  assert.equal(choose(demand(), table), "192.0.2.2");
  table.disable(table.route("192.0.2.2", NOW), 1, "network", NOW);
  assert.equal(choose(demand(), table), "2001:db8::3");
  table.disable(table.route("2001:db8::3", NOW), 1, "network", NOW);
  assert.equal(choose(demand(), table), "Network error on destination MXs");
  table.disable(table.route("192.0.2.1", NOW), 1, "rejects", NOW);
  assert.equal(choose(demand(), table), "Destination seems to reject all mails");
  assert.equal(choose(demand(), table, NOW + 16_000), "192.0.2.2");
});

Deno.test("chooseRoute waits for a better preference that is only delayed", () => {
  const table = new RouteTable();
  for (const address of ["192.0.2.1", "192.0.2.2"]) {
    const route = table.route(address, NOW);
    table.connecting(route, "x.test", NOW - 4_000);
    table.ready(route);
    table.disconnected(route, "x.test", NOW - 4_000);
  }
  assert.equal(choose(demand(), table), "wait 1000");
  assert.equal(choose(demand(), table, NOW + 1_000), "192.0.2.1");
});

Deno.test("chooseRoute keeps the delays of relay (2 s), route (5 s) and reconnection (3 s)", () => {
  assert.equal(choose(demand({ pending: 9, connections: 1, lastConnectAt: NOW - 500 })), "wait 1500");
  const one = demand({ exchangers: [{ host: "a", address: "192.0.2.1", preference: 10 }] });
  const table = new RouteTable();
  const route = table.route("192.0.2.1", NOW);
  table.connecting(route, "x.test", NOW - 60_000);
  table.ready(route);
  table.disconnected(route, "x.test", NOW - 1_000);
  assert.equal(choose(one, table), "wait 2000");
  assert.equal(choose({ ...one, mayReplaceSession: true }, table), "192.0.2.1");
  table.connecting(route, "x.test", NOW);
  assert.equal(choose({ ...one, pending: 9, connections: 1, ready: 1 }, table, NOW + 3_000), "wait 2000");
});

Deno.test("chooseRoute allows one connection to a route on probation, and no second one", () => {
  const one = demand({
    exchangers: [{ host: "a", address: "192.0.2.1", preference: 10 }],
    pending: 9,
    connections: 1,
  });
  const table = new RouteTable();
  table.connecting(table.route("192.0.2.1", NOW), "x.test", NOW - 60_000);
  assert.equal(choose(one, table), "wait 5000");
});

Deno.test("chooseRoute keeps the limits of route, host, relay, domain and source", () => {
  const one = demand({
    exchangers: [{ host: "a", address: "192.0.2.1", preference: 10 }],
    pending: 99,
    ready: 2,
    connections: 2,
  });
  const busy = (count: number) => {
    const table = new RouteTable();
    const route = table.route("192.0.2.1", NOW);
    for (let at = 0; at < count; at++) table.connecting(route, "x.test", NOW - 60_000);
    table.ready(route);
    return table;
  };
  const limits = DEFAULT_RELAY_LIMITS;
  assert.equal(choose(one, busy(4)), "192.0.2.1");
  assert.equal(choose(one, busy(5)), "wait 5000");
  assert.equal(choose({ ...one, limits: { ...limits, maxConnPerHost: 3 } }, busy(3)), "wait 5000");
  assert.equal(choose({ ...one, limits: { ...limits, maxConnPerRelay: 2 } }, busy(2)), "wait 5000");
  assert.equal(choose({ ...one, limits: { ...limits, maxConnPerConnector: 2 } }, busy(2)), "wait 5000");
  assert.equal(choose({ ...one, limits: { ...limits, maxConnPerDomain: 2 } }, busy(2)), "wait 5000");
  assert.equal(choose({ ...one, limits: { ...limits, maxConnPerSource: 2 } }, busy(2)), "wait 5000");
});

/** Each delay, what it counts from, and what it leaves alone. */
const delays = [
  { key: "connDelayHost", from: { domain: "other.test", source: "192.0.2.77", host: true } },
  { key: "connDelayRoute", from: { domain: "other.test", source: null, host: true } },
  { key: "connDelaySource", from: { domain: "other.test", source: null, host: false } },
  { key: "connDelayDomain", from: { domain: "x.test", source: "192.0.2.77", host: false } },
] as const;
const NO_DELAYS = {
  ...DEFAULT_RELAY_LIMITS,
  ...{ connDelayHost: 0, connDelayRoute: 0, connDelaySource: 0, connDelayConnector: 0, connDelayRelay: 0 },
  ...{ connDelayDomain: 0, reconnDelayRoute: 0 },
};
const ONE = [{ host: "a", address: "192.0.2.1", preference: 10 }];

for (const { key, from } of delays) {
  Deno.test(`chooseRoute keeps ${key}, and no other delay counts from that connection`, () => {
    const table = new RouteTable();
    const route = table.route(from.host ? "192.0.2.1" : "192.0.2.200", NOW, from.source);
    table.connecting(route, from.domain, NOW - 1_000);
    table.ready(route);
    table.ready(table.route("192.0.2.1", NOW));
    const one = demand({ exchangers: ONE });
    assert.equal(choose({ ...one, limits: { ...NO_DELAYS, [key]: 7 } }, table), "wait 6000");
    for (const other of delays) {
      const broader = { connDelayRoute: ["connDelayHost", "connDelaySource"] }[key as "connDelayRoute"] ?? [];
      if (other.key === key || broader.includes(other.key)) continue;
      assert.equal(choose({ ...one, limits: { ...NO_DELAYS, [other.key]: 7 } }, table), "192.0.2.1", other.key);
    }
  });
}

Deno.test("chooseRoute counts for a relay what goes out from all local addresses, for a connector what goes from one", () => {
  const relay = { connections: 3, lastConnectAt: NOW - 1_000 };
  const one = { ...demand({ exchangers: ONE, limits: NO_DELAYS }), relay, source: "192.0.2.50", pending: 9 };
  const two = { ...one, connections: 1, lastConnectAt: NOW - 2_000 };
  assert.equal(choose(one), "192.0.2.1");
  assert.equal(choose({ ...one, limits: { ...NO_DELAYS, maxConnPerRelay: 3 } }), "wait 5000");
  assert.equal(choose({ ...one, limits: { ...NO_DELAYS, maxConnPerConnector: 1 } }), "192.0.2.1");
  assert.equal(choose({ ...two, limits: { ...NO_DELAYS, maxConnPerConnector: 1 } }), "wait 5000");
  assert.equal(choose({ ...two, limits: { ...NO_DELAYS, connDelayRelay: 7 } }), "wait 6000");
  assert.equal(choose({ ...two, limits: { ...NO_DELAYS, connDelayConnector: 7 } }), "wait 5000");
});

Deno.test("chooseRoute spares piles and successors the usual delays, never those that were written", () => {
  const table = new RouteTable();
  const route = table.route("192.0.2.1", NOW);
  table.connecting(route, "x.test", NOW - 1_000);
  table.ready(route);
  const pile = demand({ exchangers: ONE, pending: 99, connections: 1, ready: 1, smarthost: true });
  const successor = demand({ exchangers: ONE, mayReplaceSession: true });
  for (const one of [pile, successor]) {
    assert.equal(choose(one, table), "192.0.2.1");
    assert.equal(choose({ ...one, limits: { ...DEFAULT_RELAY_LIMITS, connDelayRoute: 9 } }, table), "wait 8000");
    assert.equal(choose({ ...one, limits: { ...DEFAULT_RELAY_LIMITS, connDelayDomain: 2 } }, table), "wait 1000");
  }
});

Deno.test("chooseRoute opens few connections while the present ones keep up", () => {
  const table = new RouteTable();
  assert.equal(
    choose(demand({ pending: 1, connections: 1, ready: 1, lastConnectAt: NOW - 60_000 }), table),
    "wait 2000",
  );
  const stalled = demand({
    pending: 1,
    connections: 1,
    ready: 1,
    lastConnectAt: NOW - 60_000,
    lastTakenAt: NOW - 2_000,
  });
  assert.equal(choose(stalled, table), "192.0.2.1");
  assert.equal(
    choose(demand({ pending: 6, connections: 3, ready: 3, lastConnectAt: NOW - 60_000 }), table),
    "enough",
  );
});

Deno.test("chooseRoute does not delay a smarthost in good standing when work piles up", () => {
  const table = new RouteTable();
  const route = table.route("192.0.2.1", NOW);
  table.connecting(route, "x.test", NOW);
  table.ready(route);
  const pile = demand({
    exchangers: [{ host: "a", address: "192.0.2.1", preference: 0 }],
    pending: 11,
    connections: 1,
    ready: 1,
    lastConnectAt: NOW,
    smarthost: true,
  });
  assert.equal(choose(pile, table), "192.0.2.1");
  assert.equal(choose({ ...pile, pending: 10 }, table), "wait 2000");
  assert.equal(choose({ ...pile, smarthost: false }, table), "wait 2000");
});

Deno.test("chooseRoute uses only the wanted family", () => {
  const limits = { ...DEFAULT_RELAY_LIMITS, family: 6 as const };
  assert.equal(choose(demand({ limits })), "2001:db8::3");
  const only = demand({ limits, exchangers: [{ host: "a", address: "192.0.2.1", preference: 10 }] });
  assert.equal(choose(only), "Address family mismatch on destination MXs");
});

Deno.test("RouteTable: penalties of 15, 60, 135 s up to an hour, cleared by a session that gets ready", () => {
  const table = new RouteTable();
  const route = table.route("192.0.2.1", NOW);
  const enabled: string[] = [];
  table.onenabled = ({ host }) => enabled.push(host.address);
  let now = NOW;
  for (const want of [15, 60, 135, 240]) {
    assert.equal(table.disable(route, 1, "network", now), want * 1000);
    assert.notEqual(table.route("192.0.2.1", now + want * 1000 - 1).disabled, null);
    now += want * 1000;
    assert.equal(table.route("192.0.2.1", now).disabled, null);
    assert.equal(route.fresh, true);
  }
  assert.equal(enabled.length, 4);
  for (let at = 0; at < 20; at++) table.disable(route, 1, "network", now);
  assert.equal(table.disable(route, 1, "network", now), 3_600_000);
  table.forgive(route);
  table.ready(route);
  assert.deepEqual([route.penalty, route.fresh, route.disabled], [0, false, null]);
  table.disable(route, 1, "network", now);
  assert.equal(table.route("192.0.2.1", now + 15_000 + 3_600_000).penalty, 0);
});

Deno.test("RouteTable forgets idle hosts when there are too many, never those in use", () => {
  const table = new RouteTable();
  const kept = table.route("kept", NOW);
  table.connecting(kept, "x.test", NOW);
  for (let at = 0; at < 12_000; at++) table.route(`host${at}`, NOW);
  assert.ok(table.size <= 10_000);
  assert.equal(table.route("kept", NOW), kept);
});

Deno.test("tasks: at most 100 recipients each, first in first out, a task put back is next", () => {
  const ids = Array.from({ length: 250 }, (_, at) => evpid(`0000000100000${at + 100}`));
  assert.deepEqual(splitTask(msgid("00000001"), ids).map((task) => task.ids.length), [100, 100, 50]);
  const queue = new TaskQueue();
  for (let at = 0; at < 5000; at++) {
    queue.push({ message: String(at) as MessageId, ids: [], afterDeadConnection: false });
  }
  for (let at = 0; at < 4000; at++) assert.equal(queue.shift()!.message, String(at));
  queue.putBack({ message: "back" as MessageId, ids: [], afterDeadConnection: true });
  assert.equal(queue.shift()!.message, "back");
  assert.equal(queue.length, 1000);
  assert.equal(queue.clear().length, 1000);
  assert.equal(queue.shift(), undefined);
});

Deno.test("tasks: recipients of a message that waits join it, up to as many as one transaction may have", () => {
  const task = (message: string, from: number, count: number, more: Partial<Task> = {}): Task => ({
    message: msgid(message),
    ids: Array.from({ length: count }, (_, at) => evpid(message + String(from + at).padStart(8, "0"))),
    afterDeadConnection: false,
    ...more,
  });
  const lengths = (queue: TaskQueue) => queue.clear().map(({ ids }) => ids.length);
  const one = "00000001", two = "00000002";
  const queue = new TaskQueue(100);
  for (const each of [task(one, 1, 60), task(two, 1, 1), task(one, 100, 40), task(one, 200, 1)]) queue.push(each);
  assert.deepEqual(lengths(queue), [100, 1, 1]);
  queue.push(task(one, 1, 1));
  queue.shift();
  queue.push(task(one, 2, 1));
  assert.deepEqual(lengths(queue), [1], "what a session has begun is not joined");
  for (
    const other of [{ others: ["smtp://b"] }, { further: true }, { afterDeadConnection: true }, {
      avoid: ["192.0.2.1"],
    }] as const
  ) {
    queue.push(task(one, 1, 1));
    queue.push(task(one, 2, 1, other));
    assert.deepEqual(lengths(queue), [1, 1], JSON.stringify(other));
  }
});

Deno.test("Deferred remembers some envelopes of a domain for four hours, and releases them once", () => {
  const deferred = new Deferred(2);
  deferred.remember("a.example", [evpid("0000000100000001"), evpid("0000000100000002"), evpid("0000000100000003")], 0);
  deferred.remember("b.example", [evpid("0000000100000004")], 0);
  assert.deepEqual(deferred.release("a.example", 1000), ["0000000100000001", "0000000100000002"]);
  assert.deepEqual(deferred.release("a.example", 1000), []);
  assert.deepEqual(deferred.release("b.example", 4 * 3_600_000), [], "its time is over");
  deferred.remember("b.example", [evpid("0000000100000005")], 5 * 3_600_000);
  assert.deepEqual(deferred.release("b.example", 5 * 3_600_000), ["0000000100000005"]);
  const none = new Deferred(0);
  none.remember("a.example", [evpid("0000000100000001")], 0);
  assert.deepEqual(none.release("a.example", 0), []);
});
