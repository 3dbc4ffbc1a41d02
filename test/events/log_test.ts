/** The log line of every event: scripts read these. */

import { equal, match, ok } from "node:assert/strict";
import { type Event, eventLevel, formatDuration, formatEvent, MAX_VIS_CHARS, vis } from "../../src/events/mod.ts";
import { evpid, msgid } from "../ids.ts";

const session = "00112233aabbccdd";
const alice = { local: "alice", domain: "example.org" };
const bob = { local: "bob", domain: "example.net" };
const delivery = {
  type: "delivery",
  session,
  envelope: evpid("7b23f1c8a1b2c3d4"),
  from: alice,
  to: bob,
  rcpt: bob,
  delayMs: 3_661_000,
} as const;
const dropped = {
  envelope: evpid("7b23f1c8a1b2c3d4"),
  from: null,
  to: bob,
  rcpt: bob,
  delayMs: 345_600_000,
  stat: "Envelope expired",
} as const;

const rows: readonly { readonly name: string; readonly event: Event; readonly line: string | null }[] = [
  {
    name: "a client connects",
    event: {
      type: "smtp-connected",
      session,
      address: "192.0.2.7",
      host: "mx.example.net",
      family: "inet4",
      smtps: false,
    },
    line: "00112233aabbccdd smtp connected address=192.0.2.7 host=mx.example.net",
  },
  {
    name: "a client's name is no way to write a second line",
    event: { type: "smtp-connected", session, address: "local", host: "a\nb", family: "local", smtps: false },
    line: "00112233aabbccdd smtp connected address=local host=a\\nb",
  },
  {
    name: "TLS starts",
    event: { type: "smtp-tls", session, ciphers: "TLSv1.3:TLS_AES_256_GCM_SHA384:256" },
    line: "00112233aabbccdd smtp tls ciphers=TLSv1.3:TLS_AES_256_GCM_SHA384:256",
  },
  {
    name: "the client showed a certificate that leads to a trusted authority",
    event: { type: "smtp-cert-check", session, result: "verified", fingerprint: "SHA256:00ff" },
    line: '00112233aabbccdd smtp cert-check result="verified" fingerprint="SHA256:00ff"',
  },
  {
    name: "the client showed a certificate that nobody asked for",
    event: { type: "smtp-cert-check", session, result: "unchecked", fingerprint: "SHA256:00ff" },
    line: '00112233aabbccdd smtp cert-check result="unchecked" fingerprint="SHA256:00ff"',
  },
  {
    name: "a message is accepted",
    event: { type: "smtp-message", session, message: msgid("7b23f1c8"), bytes: 2048, rcpts: 2, proto: "ESMTP" },
    line: "00112233aabbccdd smtp message msgid=7b23f1c8 size=2048 nrcpt=2 proto=ESMTP",
  },
  {
    name: "a message that was checked is accepted",
    event: {
      ...{ type: "smtp-message", session, message: msgid("7b23f1c8"), bytes: 2048, rcpts: 2, proto: "ESMTP" },
      mailAuth: { spf: "softfail", dkim: "pass", arc: "none", dmarc: "fail", policy: "quarantine" },
    },
    line: "00112233aabbccdd smtp message msgid=7b23f1c8 size=2048 nrcpt=2 proto=ESMTP " +
      "spf=softfail dkim=pass arc=none dmarc=fail policy=quarantine",
  },
  {
    name: "a message that was checked is refused",
    event: {
      ...{ type: "smtp-failed-command", session, command: "DATA", reply: "550 5.7.1 No", address: "192.0.2.7" },
      mailAuth: { spf: "fail", dkim: "none", arc: "none", dmarc: "none" },
    },
    line: '00112233aabbccdd smtp failed-command command="DATA" result="550 5.7.1 No" address=192.0.2.7 ' +
      "spf=fail dkim=none arc=none dmarc=none",
  },
  {
    name: "an envelope of it",
    event: { type: "smtp-envelope", session, envelope: evpid("7b23f1c8a1b2c3d4"), from: alice, to: bob },
    line: "00112233aabbccdd smtp envelope evpid=7b23f1c8a1b2c3d4 from=<alice@example.org> to=<bob@example.net>",
  },
  {
    name: "it is signed",
    event: {
      type: "smtp-signed",
      session,
      message: msgid("7b23f1c8"),
      domain: "example.org",
      selectors: ["s2026", "s2026-ed25519"],
    },
    line: "00112233aabbccdd smtp dkim-signed msgid=7b23f1c8 domain=example.org selectors=s2026,s2026-ed25519",
  },
  {
    name: "it is not signed",
    event: { type: "smtp-unsigned", session, message: msgid("7b23f1c8"), deferred: false, reason: 'no "key"\nfor x' },
    line: '00112233aabbccdd smtp dkim-unsigned msgid=7b23f1c8 reason="no \\"key\\"\\nfor x"',
  },
  {
    name: "a notice that has to wait for its signature",
    event: { type: "queue-unsigned", message: msgid("7b23f1c8"), deferred: true, reason: "later" },
    line: 'queue: dkim-deferred msgid=7b23f1c8 reason="later"',
  },
  {
    name: "the null reverse-path",
    event: { type: "smtp-envelope", session, envelope: evpid("7b23f1c8a1b2c3d4"), from: null, to: bob },
    line: "00112233aabbccdd smtp envelope evpid=7b23f1c8a1b2c3d4 from=<> to=<bob@example.net>",
  },
  {
    name: "a command is refused; its quotes cannot end the field",
    event: {
      type: "smtp-failed-command",
      session,
      command: 'RCPT TO:<"x"@y>',
      reply: "550 5.1.1 Invalid recipient",
      address: "[2001:db8::1]",
    },
    line:
      '00112233aabbccdd smtp failed-command command="RCPT TO:<\\"x\\"@y>" result="550 5.1.1 Invalid recipient" address=[2001:db8::1]',
  },
  {
    name: "input that is no command",
    event: { type: "smtp-bad-input", session, reply: "500 5.5.2 Line too long", address: "192.0.2.1" },
    line: '00112233aabbccdd smtp bad-input result="500 5.5.2 Line too long" address=192.0.2.1',
  },
  {
    name: "a client says QUIT",
    event: { type: "smtp-disconnected", session, reason: "quit", tls: false, smtps: false, local: false },
    line: "00112233aabbccdd smtp disconnected reason=quit",
  },
  {
    name: "a reason of several words is quoted",
    event: {
      type: "smtp-disconnected",
      session,
      reason: "io-error: Connection reset by peer",
      address: "192.0.2.7",
      tls: false,
      smtps: false,
      local: false,
    },
    line: '00112233aabbccdd smtp disconnected reason="io-error: Connection reset by peer" address=192.0.2.7',
  },
  {
    name: "a relay connects",
    event: { type: "relay-connecting", session, address: "smtp://192.0.2.9:25", host: "mx.example.net" },
    line: "00112233aabbccdd mta connecting address=smtp://192.0.2.9:25 host=mx.example.net",
  },
  { name: "a relay is connected", event: { type: "relay-connected", session }, line: "00112233aabbccdd mta connected" },
  {
    name: "a relay's TLS",
    event: { type: "relay-tls", session, ciphers: "TLSv1.2:X:128" },
    line: "00112233aabbccdd mta tls ciphers=TLSv1.2:X:128",
  },
  {
    name: "a relay's certificate",
    event: { type: "relay-cert-check", session, result: "unverified", fingerprint: "SHA256:ab" },
    line: '00112233aabbccdd mta cert-check result="unverified" fingerprint="SHA256:ab"',
  },
  {
    name: "a relay fails",
    event: { type: "relay-error", session, reason: "Connection refused" },
    line: "00112233aabbccdd mta error reason=Connection refused",
  },
  {
    name: "a relay is done",
    event: { type: "relay-disconnected", session, reason: "quit", messages: 3 },
    line: "00112233aabbccdd mta disconnected reason=quit messages=3",
  },
  {
    name: "a relayed envelope; rcpt says nothing new",
    event: {
      ...delivery,
      agent: "mta",
      outcome: "ok",
      stat: "250 2.0.0 Ok",
      source: "192.0.2.1",
      relay: "192.0.2.9 (mx.example.net)",
    },
    line:
      "00112233aabbccdd mta delivery evpid=7b23f1c8a1b2c3d4 from=<alice@example.org> to=<bob@example.net> rcpt=<-> " +
      'source="192.0.2.1" relay="192.0.2.9 (mx.example.net)" delay=1h1m1s result="Ok" stat="250 2.0.0 Ok"',
  },
  {
    name: "a relayed envelope that was expanded",
    event: { ...delivery, agent: "mta", rcpt: alice, outcome: "tempfail", stat: "Network error" },
    line:
      "00112233aabbccdd mta delivery evpid=7b23f1c8a1b2c3d4 from=<alice@example.org> to=<bob@example.net> rcpt=<alice@example.org> " +
      'source="-" relay="-" delay=1h1m1s result="TempFail" stat="Network error"',
  },
  {
    name: "a local delivery quotes nothing and always says rcpt",
    event: { ...delivery, agent: "mda", user: "bob", delayMs: 0, outcome: "ok", stat: "Delivered" },
    line: "00112233aabbccdd mda delivery evpid=7b23f1c8a1b2c3d4 from=<alice@example.org> to=<bob@example.net> " +
      "rcpt=<bob@example.net> user=bob delay=0s result=Ok stat=Delivered",
  },
  {
    name: "a local delivery for good refused",
    event: {
      ...delivery,
      agent: "mda",
      user: "bob",
      delayMs: 999,
      outcome: "permfail",
      stat: "Error (mda: \u001b[31mno)",
    },
    line: "00112233aabbccdd mda delivery evpid=7b23f1c8a1b2c3d4 from=<alice@example.org> to=<bob@example.net> " +
      "rcpt=<bob@example.net> user=bob delay=0s result=PermFail stat=Error (mda: \\^[[31mno)",
  },
  {
    name: "an envelope expires",
    event: { ...dropped, type: "queue-expire", agent: "mta" },
    line:
      "relay: Expire for 7b23f1c8a1b2c3d4: from=<>, to=<bob@example.net>, rcpt=<->, delay=4d, stat=Envelope expired",
  },
  {
    name: "an envelope is removed",
    event: { ...dropped, type: "queue-remove", agent: "mda", rcpt: alice },
    line:
      "delivery: Remove for 7b23f1c8a1b2c3d4: from=<>, to=<bob@example.net>, rcpt=<alice@example.org>, delay=4d, stat=Envelope expired",
  },
  { name: "a counter is not logged", event: { type: "count", key: "queue.bounce", by: 1 }, line: null },
  { name: "a gauge is not logged", event: { type: "gauge", key: "mda.user", to: 1 }, line: null },
  {
    name: "our own words stand as they are",
    event: { type: "log", level: "info", text: 'info: Table "aliases" successfully updated' },
    line: 'info: Table "aliases" successfully updated',
  },
  {
    name: "our own words stay on one line",
    event: { type: "log", level: "info", text: "one\ntwo" },
    line: "one\\ntwo",
  },
  {
    name: "an anomaly says so",
    event: { type: "log", level: "warn", text: "queue: double bounce!" },
    line: "warn: queue: double bounce!",
  },
  {
    name: "an anomaly says so once",
    event: { type: "log", level: "warn", text: "warn: queue: no return path!" },
    line: "warn: queue: no return path!",
  },
  {
    name: "debug lines are marked",
    event: { type: "log", level: "debug", text: "looking up" },
    line: "debug: looking up",
  },
  { name: "traces are bare", event: { type: "trace", trace: "rules", text: "rule 1 matched" }, line: "rule 1 matched" },
];

for (const { name, event, line } of rows) {
  Deno.test(`formatEvent(${event.type}): ${name}`, () => equal(formatEvent(event), line));
}

Deno.test("eventLevel() is info for what happens, the text's own for text, debug for traces", () => {
  equal(eventLevel({ type: "relay-connected", session }), "info");
  equal(eventLevel({ type: "log", level: "crit", text: "x" }), "crit");
  equal(eventLevel({ type: "trace", trace: "io", text: "x" }), "debug");
});

const visRows = [
  ["plain text, with blanks", "plain text, with blanks"],
  ["\r\n\t\0", "\\r\\n\\t\\0"],
  ["\x001", "\\0001"],
  ['back\\slash "quote"', 'back\\\\slash \\"quote\\"'],
  ["\x1b\x7f", "\\^[\\^?"],
  ["é", "\\M-C\\M-)"],
  ["\u0085", "\\M-B\\M^E"],
  ["\u00a0", "\\M-B\\240"],
  ["", ""],
] as const;
for (const [text, want] of visRows) {
  Deno.test(`vis() writes ${JSON.stringify(text)} as ${want}`, () => equal(vis(text), want));
}

Deno.test("vis() cuts what is too long and stays printable ASCII", () => {
  const long = vis("ä\n".repeat(MAX_VIS_CHARS));
  ok(long.length < MAX_VIS_CHARS + 8);
  match(long, /^[ -~]*$/);
});

const durations = [[0, "0s"], [0.9, "0s"], [59, "59s"], [60, "1m"], [93_784, "1d2h3m4s"], [-5, "-5s"], [
  86_400,
  "1d",
]] as const;
for (const [seconds, want] of durations) {
  Deno.test(`formatDuration(${seconds}) is ${want}`, () => equal(formatDuration(seconds), want));
}
