/** The text form of envelopes, read. */

import assert from "node:assert/strict";
import fc from "fast-check";
import type { Envelope } from "../../src/envelope/mod.ts";
import { exportEnvelope, NotAnEnvelope, parseEnvelope } from "../../src/queue/transfer/envelope_parse.ts";
import { formatEnvelope } from "../../src/queue/transfer/envelope_text.ts";
import { evpid } from "../ids.ts";

const word = fc.stringMatching(/^[a-z0-9.-]{1,12}$/);
const mailbox = fc.record({ local: fc.stringMatching(/^[a-z@+. ]{1,10}$/).map((text) => `${text}x`), domain: word });
const status = fc.record({ class: fc.constantFrom(2, 4, 5), code: fc.constantFrom("0.0", "4.7", "7.25", "1.10") });
const when = fc.integer({ min: 0, max: 2e12 });
const line = fc.stringMatching(/^[ -~]{0,40}$/);

const common = {
  id: fc.constant("0badcafe00000001"),
  sender: fc.option(mailbox),
  rcpt: mailbox,
  dest: mailbox,
  origin: fc.record({
    address: fc.constantFrom("local", "192.0.2.1", "[2001:db8::1]"),
    hostname: fc.constantFrom("<unknown>", "client.example"),
    helo: word,
    smtpname: word,
    tag: fc.constantFrom("", "tag"),
    username: fc.constantFrom("", "alice"),
    authenticated: fc.boolean(),
  }),
  dsn: fc.record({
    notify: fc.integer({ min: 0, max: 15 }),
    ret: fc.constantFrom("", "FULL", "HDRS"),
    envid: fc.constantFrom("", "QQ+3D1"),
    orcpt: fc.constantFrom("", "rfc822;bob@example.org", "utf-8;b"),
  }),
  internal: fc.boolean(),
  createdAt: when,
  tries: fc.nat(100),
  lastTryAt: when,
  lastBounceAt: when,
  errorLine: line,
  status: fc.option(status),
  suspended: fc.boolean(),
  ...{
    mailAuth: fc.constantFrom(undefined, { spf: "pass", dkim: "none", arc: "none", dmarc: "fail", policy: "reject" }),
  },
};
const handling = fc.constantFrom(undefined, { smtpUtf8: true }, { smtpUtf8: true, utf8Header: true }, {
  requireTls: true,
});
const envelopes = fc.oneof(
  fc.record({ ...common, action: word, agent: fc.constant("mta"), handling }, { noNullPrototype: true }),
  fc.record({
    ...common,
    action: word,
    agent: fc.constant("mda"),
    user: word,
    subAddress: fc.constantFrom("", "tag"),
    exec: fc.constantFrom("", "cat > /dev/null"),
  }, { noNullPrototype: true }),
  fc.record({
    ...common,
    action: fc.constant(""),
    agent: fc.constant("bounce"),
    bounce: fc.record({
      kind: fc.constantFrom("failed", "delayed", "delivered", "relayed"),
      text: line,
      status,
      delaySeconds: fc.constantFrom(undefined, 14_400),
      ttlSeconds: fc.constantFrom(60, 345_600),
    }),
  }, { noNullPrototype: true }),
);

Deno.test("parseEnvelope() makes the envelope that exportEnvelope() wrote", () => {
  fc.assert(
    fc.property(envelopes, (drawn) => {
      const envelope = JSON.parse(JSON.stringify(drawn)) as Envelope;
      assert.deepEqual(parseEnvelope(envelope.id, exportEnvelope(envelope, 345_600)), envelope);
    }),
    { numRuns: 500, seed: 20261122 },
  );
});

const TEXT = `version: 3
dispatcher: out
type: mta
smtpname: mx.example.org
helo: client.example.net
hostname: client.example.net
errorline: 450 4.2.1 try: later
sockaddr: 192.0.2.7
sender: a@example.net
rcpt: b@example.org
dest: b@other.example
ctime: 1700000000
last-try: 0
last-bounce: 0
ttl: 0
retry: 2
flags: authenticated,internal
dsn-notify: 0
dsn-orcpt: b@example.org
esc-class: 4
esc-code: 21
`;

Deno.test("parseEnvelope() reads OpenSMTPD's own form", () => {
  const { origin, errorLine, status, tries, internal, dsn, createdAt } = parseEnvelope(evpid("0badcafe00000001"), TEXT);
  assert.deepEqual(
    { authenticated: origin.authenticated, errorLine, status, tries, internal, orcpt: dsn.orcpt, createdAt },
    {
      authenticated: true,
      errorLine: "450 4.2.1 try: later",
      status: { class: 4, code: "2.1" },
      tries: 2,
      internal: true,
      orcpt: "rfc822;b@example.org",
      createdAt: 1_700_000_000_000,
    },
  );
  const bounce = parseEnvelope(
    evpid("0badcafe00000001"),
    TEXT.replace("type: mta", "type: bounce") + "bounce-ttl: 60\nbounce-type: error\n",
  );
  assert.deepEqual(bounce.bounce, {
    kind: "failed",
    text: "450 4.2.1 try: later",
    status: { class: 4, code: "2.1" },
    ttlSeconds: 60,
  });
  assert.equal(bounce.action, "");
});

const wrong = [
  { change: ["version: 3", "version: 2"], says: "Its version is not 3" },
  { change: ["version: 3\n", ""], says: "Its version is not 3" },
  { change: ["helo: client.example.net\n", ""], says: '"helo" is missing' },
  { change: ["hostname: client.example.net", "hostname:"], says: '"hostname" is missing' },
  { change: ["dispatcher: out\n", ""], says: '"dispatcher" is missing' },
  { change: ["type: mta", "type: xyz"], says: '"type" is unknown' },
  { change: ["type: mta", "type: mda"], says: '"mda-user" is missing' },
  { change: ["type: mta", "type: bounce"], says: '"bounce-type" is unknown' },
  { change: ["retry: 2", "retry: two"], says: '"retry" is not a number' },
  { change: ["retry: 2", "retry: 2\nretry: 3"], says: '"retry" comes twice' },
  { change: ["rcpt: b@example.org", "rcpt: b"], says: '"rcpt" is not an address' },
  { change: ["flags: auth", "flags: funny,auth"], says: 'There is no flag "funny"' },
  { change: ["ttl: 0", "color: red"], says: 'There is no such line: "color: red"' },
  { change: ["ttl: 0", "nothing"], says: 'There is no such line: "nothing"' },
  { change: ["dsn-notify: 0", "dsn-notify: 99"], says: '"dsn-notify" is unknown' },
  { change: ["esc-class: 4", "esc-class: 3"], says: '"esc-class" is unknown' },
  { change: ["ttl: 0", "vaultpost: {"], says: '"vaultpost" cannot be read' },
] as const;
for (const { change: [from, to], says } of wrong) {
  Deno.test(`parseEnvelope() refuses a text with "${to.slice(0, 30)}" for "${from.trim()}": ${says}`, () => {
    assert.ok(TEXT.includes(from));
    assert.throws(
      () => parseEnvelope(evpid("0badcafe00000001"), TEXT.replace(from, to)),
      (error) => error instanceof NotAnEnvelope && error.message === says,
    );
  });
}

Deno.test("parseEnvelope() makes an envelope of any text, or refuses it", () => {
  const lines = TEXT.split("\n");
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.constantFrom(...lines), fc.string())), (some) => {
      try {
        formatEnvelope(parseEnvelope(evpid("0badcafe00000001"), some.join("\n")), 60);
      } catch (error) {
        assert.ok(error instanceof NotAnEnvelope, `${error}`);
      }
    }),
  );
});
