/** A reply that is longer than RFC 5321 §4.5.3.1.5 allows counts by its code, at every step of a session. */

import assert from "node:assert/strict";
import type { FakeServer, Script } from "../smtp_client/fake_server.ts";
import { tlsFiles, viaSmarthost } from "./via.ts";
import type { World } from "./world.ts";

const WORDS = "x".repeat(5_000);
const kinds = {
  "a long line": (code: number) => `${code} ${WORDS}`,
  "many lines": (code: number) => `${code}-x\r\n`.repeat(2_000) + `${code} end`,
};

/** A host that wants TLS and a name, and answers `step` like this. */
function host(step: string, reply: string, keywords: readonly string[]): Script {
  const hello = `250-mx.example.net\r\n250-STARTTLS\r\n250-${WORDS}\r\n${"250-X\r\n".repeat(500)}250 AUTH PLAIN`;
  return {
    keywords: ["STARTTLS", "AUTH PLAIN", ...keywords],
    tls: tlsFiles,
    ...(step === "220" ? { banner: reply } : {}),
    reply: (line) => {
      if (line.startsWith(step)) return step === "EHLO" && reply.startsWith("2") ? hello : reply;
      return line.startsWith("AUTH") ? "235 2.7.0 yes" : undefined;
    },
    ...(step === "." ? { dataReply: () => reply } : {}),
  };
}

/** Mail to such a host. */
async function via(script: Script, act: (world: World, server: FakeServer) => Promise<void>): Promise<void> {
  let port = 0;
  await viaSmarthost(script, (world, server) => {
    port = server.port;
    return act(world, server);
  }, {
    actions: { out: { host: "hosts", auth: "secrets", tls: "no-verify" } },
    credentials: () => ({ user: "u", password: "p" }),
    smarthost: () => `smtp+tls://label@mx.example.net:${port}`,
  });
}

type Step = readonly [step: string, code: number];
const good: Step[] = [["220", 220], ["EHLO", 250], ["AUTH", 235], ["MAIL", 250], ["RCPT", 250], ["DATA", 354], [
  ".",
  250,
], ["QUIT", 221]];
const bad: Step[] = [["220", 554], ["EHLO", 550], ["AUTH", 535], ["MAIL", 550], ["RCPT", 552], ["DATA", 451], [
  ".",
  554,
]];
for (const [kind, make] of Object.entries(kinds)) {
  for (const keywords of [[], ["PIPELINING"]]) {
    const how = `${kind}${keywords.length > 0 ? ", with PIPELINING" : ""}`;
    for (const [step, code] of good) {
      Deno.test(`${step} answered ${code} in ${how}: the mail goes`, () =>
        via(host(step, make(code), keywords), async (world, server) => {
          const ids = [...world.send({ rcpts: ["a@x.test"] }), ...world.send({ rcpts: ["b@x.test"] })];
          assert.deepEqual((await world.settled(ids)).map((text) => text.slice(0, 6)), ["ok 250", "ok 250"]);
          assert.equal(server.sessions.length, 1);
        }));
    }
    for (const [step, code] of bad) {
      Deno.test(`${step} answered ${code} in ${how}: the code decides`, () =>
        via(host(step, make(code), keywords), async (world) => {
          const [result] = await world.settled(world.send({ rcpts: ["a@x.test"] }));
          const errors = world.events.flatMap((event) => event.type === "relay-error" ? [event.reason] : []);
          // Before a transaction the session reports it.
          const outcome = errors.length > 0 ? `tempfail ${errors[0]}` : result!;
          const wanted = code >= 500 && errors.length === 0 ? "permfail" : "tempfail";
          assert.equal(outcome.slice(0, wanted.length + 6), `${wanted} ${code} x`);
        }));
    }
  }
}
