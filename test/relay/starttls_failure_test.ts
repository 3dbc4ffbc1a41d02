/** STARTTLS that fails, in every way a host has: an opportunist goes on in clear, once; who must have TLS waits, with the host's words. */

import assert from "node:assert/strict";
import type { Script, ServerSession } from "../smtp_client/fake_server.ts";
import { tlsFiles, viaSmarthost } from "./via.ts";

/** Says it, and hangs up behind it. */
function andClose(reply: string, session: ServerSession): string {
  queueMicrotask(() => session.hangUp());
  return reply;
}

/** `code`: of the outcome where TLS is demanded, 7.5 without. `clear`: the mail goes in clear in the same session. */
const refusals: { because: string; words: RegExp; script: Script; code?: string; clear?: "same" }[] = [
  { because: "421", words: /^421 4\.7\.0 no TLS$/, code: "7.0", script: answers(() => "421 4.7.0 no TLS") },
  {
    because: "421, and closes",
    code: "7.0",
    words: /^421 4\.7\.0 no TLS$/,
    script: answers((session) => andClose("421 4.7.0 no TLS", session)),
  },
  {
    because: "454",
    words: /^454 4\.7\.0 later$/,
    code: "7.0",
    script: answers(() => "454 4.7.0 later"),
    clear: "same",
  },
  { because: "501", words: /^501 5\.5\.4 what$/, code: "5.4", script: answers(() => "501 5.5.4 what"), clear: "same" },
  {
    because: "454 4.3.0",
    words: /^454 4\.3\.0 asleep$/,
    code: "3.0",
    script: answers(() => "454 4.3.0 asleep"),
    clear: "same",
  },
  { because: "421 4.3.2", words: /^421 4\.3\.2 down$/, code: "3.2", script: answers(() => "421 4.3.2 down") },
  { because: "421 without a code", words: /^421 down$/, code: "0.0", script: answers(() => "421 down") },
  { because: "554 without a code", words: /^554 no$/, code: "7.0", script: answers(() => "554 no"), clear: "same" },
  {
    because: "220 and 421 behind it",
    words: /^421 4\.3\.2 down$/,
    code: "3.2",
    script: answers(() => "220 a\r\n421 4.3.2 down"),
  },
  {
    because: "454, and closes",
    code: "7.0",
    words: /^454 4\.7\.0 later$/,
    script: answers((session) => andClose("454 4.7.0 later", session)),
  },
  {
    because: "554, and closes",
    code: "7.0",
    words: /^554 5\.7\.0 no$/,
    script: answers((session) => andClose("554 5.7.0 no", session)),
  },
  { because: "nothing, and closes", words: /^Connection closed unexpectedly$/, script: answers(() => null) },
  { because: "nonsense", words: /^Invalid reply code: "what\?"$/, script: answers(() => "what?") },
  { because: "silence", words: /^Connection timeout$/, script: answers(() => "") },
  { because: "220, and closes", words: /./, script: answers((session) => andClose("220 go", session)) },
  { because: "220, and then no TLS", words: /./, script: { breakTls: true } },
  {
    because: "220 and something behind it",
    words: /^Remote host sent too much data$/,
    script: answers(() => "220 a\r\n220 b"),
  },
];

function answers(reply: (session: ServerSession) => string | null): Script {
  return { reply: (line, session) => line === "STARTTLS" ? reply(session) : undefined };
}

for (const { because, words, script, code = "7.5", clear } of refusals) {
  const offered = { ...script, keywords: ["PIPELINING", "STARTTLS"] };
  Deno.test(`STARTTLS answered by ${because}: mail that may go in clear does, once`, () =>
    viaSmarthost(offered, async (world, server) => {
      assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), ["ok 250 2.0.0 queued"]);
      assert.equal(server.sessions.length, clear === "same" ? 1 : 2);
      assert.equal(server.messages().length, 1);
      assert.equal(server.lines().filter((line) => line === "STARTTLS").length, 1);
    }, { timeoutMs: 300 }));

  Deno.test(`STARTTLS answered by ${because}: mail that must have TLS waits, and log and queue have the words`, () =>
    viaSmarthost(offered, async (world, server) => {
      const ids = world.send({ rcpts: ["a@x.test"] });
      const [result] = await world.settled(ids);
      const { status, remote } = world.outcomes.get(ids[0]!) as { status?: unknown; remote?: string };
      assert.deepEqual({ status, remote }, { status: { class: 4, code }, remote: "mx.example.net" });
      const where =
        /^tempfail (?:mx\.example\.net \(127\.0\.0\.1\) port \d+: (?!\d))?|(?: \(mx[^()]*\([\d.]+\) port \d+, at STARTTLS\))$/g;
      const said = result!.replaceAll(where, "");
      assert.match(said, words);
      const reasons = world.events.flatMap((event) => event.type === "relay-error" ? [event.reason] : []);
      assert.equal(reasons.length, 1);
      assert.match(reasons[0]!, words);
      assert.equal(server.sessions.length, 1);
      assert.ok(!server.lines().some((line) => line.startsWith("MAIL")));
    }, { scheme: "smtp+tls", timeoutMs: 300 }));
}

Deno.test("a host that has no TLS today, and takes nothing without: its 530 is not final", () => {
  const reply = (line: string, session: ServerSession) => {
    if (line === "STARTTLS") return andClose("454 4.7.0 later", session);
    return line.startsWith("MAIL") ? "530 5.7.0 Must issue a STARTTLS command first" : undefined;
  };
  return viaSmarthost({ keywords: ["STARTTLS"], reply }, async (world) => {
    const ids = world.send({ rcpts: ["a@x.test"] });
    assert.deepEqual(await world.settled(ids), [
      "tempfail 530 5.7.0 Must issue a STARTTLS command first (TLS failed: 454 4.7.0 later)",
    ]);
    assert.deepEqual((world.outcomes.get(ids[0]!) as { status?: unknown }).status, { class: 4, code: "7.10" });
  });
});

Deno.test("a server that turns the client away behind the handshake, with TLS 1.3: in clear", () => {
  let secured = 0;
  const reply = (line: string, session: ServerSession) =>
    line.startsWith("EHLO") && session.secure && ++secured ? null : undefined;
  return viaSmarthost({ keywords: ["STARTTLS"], tls: tlsFiles, reply }, async (world, server) => {
    assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), ["ok 250 2.0.0 queued"]);
    assert.equal(secured, 1);
    assert.equal(server.sessions.length, 2);
    assert.equal(server.sessions[1]!.secure, false);
  });
});

for (
  const { where, step, script } of [
    { where: "the greeting", step: "the greeting", script: { banner: "220 hello\r\n421 4.3.2 no, down" } },
    { where: "its answer to EHLO", step: "EHLO", script: saysMore("EHLO", "250 mx.example.net\r\n421 4.3.2 no, down") },
  ]
) {
  Deno.test(`421 right behind ${where}: the outcome has its words and code`, () =>
    viaSmarthost(script, async (world, { port }) => {
      const ids = world.send({ rcpts: ["a@x.test"] });
      const said = `421 4.3.2 no, down (mx.example.net (127.0.0.1) port ${port}, at ${step})`;
      assert.deepEqual(await world.settled(ids), [`tempfail ${said}`]);
      assert.deepEqual((world.outcomes.get(ids[0]!) as { status?: unknown }).status, { class: 4, code: "3.2" });
    }));
}

function saysMore(verb: string, reply: string): Script {
  return { reply: (line) => line.startsWith(verb) ? reply : undefined };
}

Deno.test("REQUIRETLS and a host that refuses STARTTLS: the outcome has its words", () =>
  viaSmarthost({ keywords: ["STARTTLS", "REQUIRETLS"], ...answers(() => "454 4.3.0 asleep") }, async (world) => {
    const [text] = await world.settled(world.send({ rcpts: ["a@x.test"], handling: { requireTls: true } }));
    assert.match(text!, /^permfail REQUIRETLS: .* \(TLS failed: 454 4\.3\.0 asleep\)$/);
  }));
