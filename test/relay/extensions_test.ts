/** What the next host offers and what a message asks of it: SMTPUTF8, REQUIRETLS, LIMITS. */

import assert from "node:assert/strict";
import { tlsFiles, viaMx, viaSmarthost } from "./via.ts";

Deno.test("RFC 6531 §3.5: an address beyond ASCII fails with 5.6.7 where SMTPUTF8 is not offered", () =>
  viaSmarthost({}, async (world, server) => {
    const ids = world.send({ rcpts: ["jörg@x.test", "a@x.test"], handling: { smtpUtf8: true } });
    assert.deepEqual(await world.settled(ids), [
      "permfail SMTPUTF8 is required but the server does not offer it",
      "ok 250 2.0.0 queued",
    ]);
    const outcome = world.outcomes.get(ids[0]!)!;
    assert.deepEqual(outcome.result === "ok" ? null : outcome.status, { class: 5, code: "6.7" });
    assert.equal(server.lines()[1], "MAIL FROM:<s@example.org>");
  }));

Deno.test("RFC 6531 §3.4: SMTPUTF8 is passed on where it is offered", () =>
  viaSmarthost({ keywords: ["SMTPUTF8", "8BITMIME"] }, async (world, server) => {
    const ids = world.send({ rcpts: ["jörg@x.test"], handling: { smtpUtf8: true, utf8Header: true } });
    assert.deepEqual(await world.settled(ids), ["ok 250 2.0.0 queued"]);
    assert.deepEqual(
      server.lines().slice(1, 3),
      [
        "MAIL FROM:<s@example.org> BODY=8BITMIME SMTPUTF8",
        "RCPT TO:<jörg@x.test>",
      ].map((line) => new TextDecoder("latin1").decode(new TextEncoder().encode(line))),
    );
  }));

for (const keywords of [["REQUIRETLS"], []]) {
  const offered = keywords.length > 0;
  Deno.test(`RFC 8689 §4.2.1: REQUIRETLS goes by verified TLS to a host that ${offered ? "offers" : "does not offer"} it`, () =>
    viaSmarthost({ keywords: ["STARTTLS", ...keywords], tls: tlsFiles }, async (world, server) => {
      const ids = world.send({ rcpts: ["a@x.test"], handling: { requireTls: true } });
      const [text] = await world.settled(ids);
      assert.equal(text, offered ? "ok 250 2.0.0 queued" : "permfail REQUIRETLS: the next host does not offer it");
      const said = server.lines().filter((line) => line.startsWith("MAIL"));
      assert.deepEqual(said, offered ? ["MAIL FROM:<s@example.org> REQUIRETLS"] : []);
      const outcome = world.outcomes.get(ids[0]!)!;
      if (outcome.result !== "ok") assert.deepEqual(outcome.status, { class: 5, code: "7.30" });
    }, { actions: { out: { host: "hosts", ca: "own" } }, ca: { own: tlsFiles.cert } }));
}

Deno.test("RFC 8689 §4.2.1: REQUIRETLS does not go in clear, though mail without it does", () =>
  viaMx([{ preference: 10, script: { keywords: ["REQUIRETLS"] } }], async (world, [server]) => {
    const safe = world.send({ rcpts: ["a@x.test"], handling: { requireTls: true } });
    const plain = world.send({ rcpts: ["b@x.test"] });
    assert.deepEqual(await world.settled([...safe, ...plain]), [
      "permfail REQUIRETLS: the connection to the next host is not under TLS",
      "ok 250 2.0.0 queued",
    ]);
    assert.equal(server!.messages().length, 1);
  }));

Deno.test("RFC 9422 §4: no more recipients in a transaction than RCPTMAX, no more transactions in a session than MAILMAX", () =>
  viaMx([{ preference: 10, script: { keywords: ["LIMITS MAILMAX=2 RCPTMAX=2"] } }], async (world, [server]) => {
    const ids = world.send({ rcpts: ["a@x.test", "b@x.test", "c@x.test", "d@x.test", "e@x.test"] });
    assert.deepEqual(new Set(await world.settled(ids)), new Set(["ok 250 2.0.0 queued"]));
    const sessions = server!.sessions.map(({ lines }) => lines.map((line) => line.slice(0, 4)).join(" "));
    assert.deepEqual(sessions, [
      "EHLO MAIL RCPT RCPT DATA MAIL RCPT RCPT DATA QUIT",
      "EHLO MAIL RCPT DATA",
    ]);
  }));

Deno.test("RFC 8689 §4.2.1: REQUIRETLS goes by the next exchanger when the first cannot, other mail by the first", () =>
  viaMx([
    { preference: 10, script: { keywords: ["REQUIRETLS"] } },
    { preference: 20, script: { keywords: ["STARTTLS", "REQUIRETLS"], tls: tlsFiles } },
  ], async (world, [first, second]) => {
    const plain = world.send({ rcpts: ["b@x.test"] });
    assert.deepEqual(await world.settled(plain), ["ok 250 2.0.0 queued"]);
    const safe = world.send({ rcpts: ["a@x.test"], handling: { requireTls: true } });
    assert.deepEqual(await world.settled(safe), ["ok 250 2.0.0 queued"]);
    assert.ok((await world.show("relays")).some((line) => line.includes("[relay:x.test,smtp,mx,requiretls]")));
    assert.equal(first!.messages().length, 1);
    assert.ok(second!.lines().includes("MAIL FROM:<s@example.org> REQUIRETLS"));
    assert.ok(!world.log().some((line) => line.includes("Disabling")), "no host is blamed");
  }, {
    actions: { out: { ca: "own" } },
    ca: { own: tlsFiles.cert },
    // The name of its certificate.
    mx: { "x.test": [[10, "mx1.test"], [20, "mx.example.net"]] },
    addresses: { "mx1.test": ["127.0.0.1"], "mx.example.net": ["127.0.0.2"] },
    limits: { connDelayRoute: 0, connDelayRelay: 0 },
  }));

Deno.test("RFC 6531 §3.5: a host that cannot take many messages is not blamed for it", () =>
  viaMx([{ preference: 10, script: {} }], async (world) => {
    const handling = { smtpUtf8: true, utf8Header: true } as const;
    const ids = Array.from({ length: 12 }, () => world.send({ rcpts: ["a@x.test"], handling })).flat();
    const texts = await world.settled(ids);
    assert.deepEqual(new Set(texts), new Set(["permfail SMTPUTF8 is required but the server does not offer it"]));
    assert.ok(!world.log().some((line) => line.includes("rejects-all")), "it was not asked");
  }));
