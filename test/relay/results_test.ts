/** TLS policy, and what becomes of envelopes by the replies of a server. */

import assert from "node:assert/strict";
import { NOTIFY } from "../../src/envelope/mod.ts";
import type { Script } from "../smtp_client/fake_server.ts";
import { tlsFiles, viaSmarthost } from "./via.ts";

const tlsCases = [
  { scheme: "smtp", script: { keywords: ["STARTTLS"], tls: tlsFiles }, want: "ok", secure: true, because: "offered" },
  { scheme: "smtp", script: {}, want: "ok", secure: false, because: "not offered" },
  {
    scheme: "smtp",
    script: { keywords: ["STARTTLS"], breakTls: true },
    want: "ok",
    secure: false,
    because: "the handshake fails: once more in clear",
  },
  {
    scheme: "smtp",
    script: { keywords: ["STARTTLS"], reply: (line: string) => line === "STARTTLS" ? "454 4.7.0 no" : undefined },
    want: "ok",
    secure: false,
    because: "refused: in clear",
  },
  {
    scheme: "smtp+notls",
    script: { keywords: ["STARTTLS"], tls: tlsFiles },
    want: "ok",
    secure: false,
    because: "not wanted",
  },
  {
    scheme: "smtp+tls",
    script: { keywords: ["STARTTLS"], breakTls: true },
    want: "tempfail",
    because: "the handshake fails",
  },
  { scheme: "smtp+tls", script: {}, want: "tempfail", because: "not offered" },
  { scheme: "smtp+tls", script: { keywords: ["STARTTLS"], tls: tlsFiles }, want: "tempfail", because: "self-signed" },
  { scheme: "smtps", script: { smtps: true, tls: tlsFiles }, want: "tempfail", because: "self-signed" },
  {
    scheme: "smtp+tls",
    tls: "no-verify",
    script: { keywords: ["STARTTLS"], tls: tlsFiles },
    want: "ok",
    secure: true,
    because: "self-signed, but nobody looks",
  },
  {
    scheme: "smtps",
    tls: "no-verify",
    script: { smtps: true, tls: tlsFiles },
    want: "ok",
    secure: true,
    because: "self-signed, but nobody looks",
  },
  {
    scheme: "smtp+tls",
    ca: "own",
    script: { keywords: ["STARTTLS"], tls: tlsFiles },
    want: "ok",
    secure: true,
    because: "signed by the action's CA",
  },
  {
    scheme: "smtp",
    tls: "verify",
    ca: "own",
    script: { keywords: ["STARTTLS"], tls: tlsFiles },
    want: "ok",
    secure: true,
    because: "signed by the action's CA",
  },
  {
    scheme: "smtp",
    tls: "verify",
    script: { keywords: ["STARTTLS"], tls: tlsFiles },
    want: "tempfail",
    because: "self-signed",
  },
] as const;
for (const row of tlsCases) {
  const { scheme, script, want, because } = row;
  const tls = "tls" in row ? row.tls : null, ca = "ca" in row ? row.ca : null;
  Deno.test(`${scheme} with tls ${tls}${ca === null ? "" : " and ca"}: ${want}, for STARTTLS is ${because}`, () =>
    viaSmarthost(script, async (world, server) => {
      const [result] = await world.settled(world.send({ rcpts: ["a@x.test"] }));
      assert.equal(result!.split(" ")[0], want);
      assert.equal(server.messages().length, want === "ok" ? 1 : 0);
      if (want === "ok") {
        assert.equal(server.sessions.at(-1)!.secure, "secure" in row && row.secure);
        assert.equal(world.events.some((event) => event.type === "relay-tls"), server.sessions.at(-1)!.secure);
      }
      const check = world.events.find((event) => event.type === "relay-cert-check");
      if (ca !== null) assert.equal(check?.result, "valid");
      else if (check !== undefined) assert.equal(check.result, "unverified");
    }, { scheme, actions: { out: { host: "hosts", tls, ca } }, ca: { own: tlsFiles.cert } }));
}

const on = (verb: string, reply: string | null): Script => ({
  reply: (line) => line.startsWith(verb) ? reply : undefined,
});
const results: { name: string; script: Script; want: string }[] = [
  { name: "MAIL 451", script: on("MAIL", "451 4.3.0 no"), want: "tempfail 451 4.3.0 no" },
  { name: "MAIL 550", script: on("MAIL", "550 5.7.1 no"), want: "permfail 550 5.7.1 no" },
  { name: "RCPT 451", script: on("RCPT", "451 4.3.0 no"), want: "tempfail 451 4.3.0 no" },
  { name: "RCPT 550", script: on("RCPT", "550 5.1.1 no"), want: "permfail 550 5.1.1 no" },
  { name: "RCPT 300", script: on("RCPT", "300 odd"), want: "tempfail 300 odd" },
  { name: "DATA 451", script: on("DATA", "451 4.3.0 no"), want: "tempfail 451 4.3.0 no" },
  { name: "DATA 554", script: on("DATA", "554 5.5.1 no"), want: "permfail 554 5.5.1 no" },
  { name: "DATA 250", script: on("DATA", "250 what"), want: "tempfail 250 what" },
  { name: "end of data 451", script: { dataReply: () => "451 4.3.0 no" }, want: "tempfail 451 4.3.0 no" },
  { name: "end of data 554", script: { dataReply: () => "554 5.7.1 no" }, want: "permfail 554 5.7.1 no" },
  { name: "end of data 354", script: { dataReply: () => "354 more?" }, want: "tempfail 354 more?" },
  {
    name: "a reply of several lines",
    script: on("RCPT", "550-5.1.1 no\r\n550 5.1.1 such user"),
    want: "permfail 550 5.1.1 no such user",
  },
  { name: "421 at MAIL", script: on("MAIL", "421 4.3.2 bye"), want: "tempfail 421 4.3.2 bye" },
  { name: "421 at RCPT", script: on("RCPT", "421 4.3.2 bye"), want: "tempfail 421 4.3.2 bye" },
  { name: "421 at the end of data", script: { dataReply: () => "421 4.3.2 bye" }, want: "tempfail 421 4.3.2 bye" },
  { name: "a hang-up at RCPT", script: on("RCPT", null), want: "tempfail Connection closed unexpectedly" },
  {
    name: "a hang-up at the end of data",
    script: { dataReply: () => null },
    want: "tempfail Connection closed unexpectedly",
  },
  {
    name: "silence at RCPT",
    script: { reply: (line) => /^(RCPT|DATA)/.test(line) ? "" : undefined },
    want: "tempfail Connection timeout",
  },
  { name: "nonsense at RCPT", script: on("RCPT", "hello"), want: 'tempfail Invalid reply code: "hello"' },
];
for (const { name, script, want } of results) {
  for (const keywords of [[], ["PIPELINING"]]) {
    Deno.test(`${name}${keywords.length > 0 ? " with PIPELINING" : ""}: ${want}`, () =>
      viaSmarthost({ ...script, keywords }, async (world) => {
        assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), [want]);
      }, { timeoutMs: 300 }));
  }
}

Deno.test("all recipients refused: no data, RSET, and the next message goes on the same session", () =>
  viaSmarthost({ reply: (line) => line.includes("<no@") ? "550 5.1.1 no" : undefined }, async (world, server) => {
    const ids = [...world.send({ rcpts: ["no@x.test"] }), ...world.send({ rcpts: ["a@x.test"] })];
    assert.deepEqual(await world.settled(ids), ["permfail 550 5.1.1 no", "ok 250 2.0.0 queued"]);
    assert.equal(server.sessions.length, 1);
    assert.deepEqual(server.lines().map((line) => line.split(" ")[0]), [
      "EHLO",
      "MAIL",
      "RCPT",
      "RSET",
      "MAIL",
      "RCPT",
      "DATA",
    ]);
  }));

Deno.test("SIZE smaller than the message: permanent failure without a transaction", () =>
  viaSmarthost({ keywords: ["SIZE 5"] }, async (world, server) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), ["permfail message too large for peer"]);
    assert.deepEqual(server.lines(), ["EHLO relay.example.org"]);
  }));

Deno.test("EHLO refused: HELO, with the action's name", () =>
  viaSmarthost(on("EHLO", "500 5.5.1 what"), async (world, server) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), ["ok 250 2.0.0 queued"]);
    assert.deepEqual(server.lines().slice(0, 2), ["EHLO other.example.org", "HELO other.example.org"]);
  }, { actions: { out: { host: "hosts", helo: "other.example.org" } } }));

Deno.test("DSN parameters go along when offered, and the duty with them", () =>
  viaSmarthost({ keywords: ["DSN"] }, async (world, server) => {
    const dsn = { notify: NOTIFY.SUCCESS, ret: "FULL", envid: "e1", orcpt: "rfc822;a@x.test" } as const;
    const [id] = world.send({ rcpts: ["a@x.test"], dsn });
    await world.settled([id!]);
    assert.deepEqual(world.outcomes.get(id!), { result: "ok", text: "250 2.0.0 queued", dsnRelayed: true });
    assert.deepEqual(server.lines().slice(1, 3), [
      "MAIL FROM:<s@example.org> RET=FULL ENVID=e1",
      "RCPT TO:<a@x.test> NOTIFY=SUCCESS ORCPT=rfc822;a@x.test",
    ]);
  }));

Deno.test("mail-from replaces the sender", () =>
  viaSmarthost({}, async (world, server) => {
    await world.settled(world.send({ rcpts: ["a@x.test"] }));
    assert.equal(server.lines()[1], "MAIL FROM:<s@new.example.org>");
  }, { actions: { out: { host: "hosts", mailFrom: "@new.example.org" } } }));

Deno.test("an lmtp smarthost settles each recipient by its own reply", () =>
  viaSmarthost({ lmtp: true, dataReply: () => "250 2.0.0 stored\r\n452 4.2.2 full" }, async (world, server) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test", "b@x.test"] })), [
      "ok 250 2.0.0 stored",
      "tempfail 452 4.2.2 full",
    ]);
    assert.equal(server.lines()[0], "LHLO relay.example.org");
  }, { scheme: "lmtp" }));
