/** The session as a machine beside an independent model of it (model.ts): every state that can be reached × every command, and random walks. */

import assert from "node:assert/strict";
import fc from "fast-check";
import { parseCommand } from "../../src/smtp/session/command.ts";
import { step, takes } from "../../src/smtp/session/session.ts";
import {
  type ConnectionFacts,
  type Effect,
  type Input,
  newSession,
  type Session,
} from "../../src/smtp/session/state.ts";
import { answer, MAX_MAILS, MAX_RCPT, type Model, SAID, type SentLine, type ServerModel, start } from "./model.ts";
import { defaultLimits } from "../../src/config/limits.ts";
import { LISTEN_DEFAULTS } from "../../src/config/listen.ts";
import { bytesOf } from "./support.ts";
import { msgid } from "../ids.ts";

const CIPHERS = "TLSv1.3:TLS_AES_256_GCM_SHA384:256";
const SERVERS: readonly ServerModel[] = (["none", "tls", "tls-require", "smtps"] as const).flatMap((tls) =>
  (tls === "none" ? ["none"] as const : ["none", "optional", "required"] as const).map((auth) => ({ tls, auth }))
);

function factsOf({ tls, auth }: ServerModel): ConnectionFacts {
  return {
    ...LISTEN_DEFAULTS,
    ...defaultLimits("smtp"),
    session: "0123456789abcdef",
    hostname: "mx.example.org",
    address: "192.0.2.7",
    socket: false,
    tls,
    dsn: true,
    auth: auth === "none" ? null : { required: auth === "required", table: "logins" },
    senders: null,
    loopback: false,
    maxMessageBytes: 1000,
    maxMails: MAX_MAILS,
    maxRcpt: MAX_RCPT,
    maxErrors: 0,
    room: { bytes: Infinity },
  };
}

/** Everybody that a session asks answers at once. */
function answerTo(effect: Effect): Input | null {
  switch (effect.do) {
    case "expand": {
      const { slot, rcpt } = effect;
      if (rcpt.local === "nobody") return { on: "expanded", slot, result: { ok: false, code: 550, text: "5.1.1 No" } };
      const target = { agent: "mta", action: "out", dest: rcpt } as const;
      return { on: "expanded", slot, result: { ok: true, targets: [target], internal: [false] } };
    }
    case "authenticate": {
      const right = effect.user === "carol" && effect.password === "sesame";
      return { on: "authenticated", user: effect.user, result: right ? "ok" : "permfail" };
    }
    case "secure":
      return { on: "secured", ciphers: CIPHERS, binding: null };
    case "receive":
      return { on: "received", fault: null };
    case "chunk":
      return { on: "chunk-read", fault: null };
    case "commit":
      return { on: "committed", message: msgid("00000001"), bytes: 1 };
    default:
      return null;
  }
}

interface Received {
  readonly session: Session;
  /** Code and enhanced code of each reply. */
  readonly replies: readonly string[];
  readonly closed: boolean;
}

/** Gives the input, and what comes of it, to the machine. */
function give(facts: ConnectionFacts, before: Session, first: Input): Received {
  let session = before;
  const replies: string[] = [];
  let closed = false;
  for (const inputs = [first]; inputs.length > 0;) {
    const done = step(facts, session, inputs.shift()!);
    session = done.session;
    for (const effect of done.effects) {
      assert.ok(!closed, "nothing is done behind the close");
      if (effect.do === "reply") replies.push(lastLine(effect.text));
      if (effect.do === "close") closed = true;
      const next = answerTo(effect);
      if (next !== null) inputs.push(next);
    }
  }
  assert.equal(session.phase === "closed", closed || before.phase === "closed");
  return { session, replies, closed };
}

function lastLine(text: string): string {
  const line = text.trimEnd().split("\r\n").at(-1)!;
  return /^(?:\d{3} \d\.\d\.\d|\d{3})/.exec(line)![0];
}

function begin(harness: ServerModel): Session {
  return give(factsOf(harness), newSession(), { on: "connected", rdns: "client.example.net" }).session;
}

function say(harness: ServerModel, session: Session, { line, more }: SentLine): Received {
  const facts = factsOf(harness);
  const bytes = bytesOf(line);
  const command = parseCommand(bytes, 0, bytes.length);
  if (session.phase !== "closed") assert.ok(takes(facts, session, command), "nothing is left to wait for");
  return give(facts, session, { on: "command", command, more: more === true });
}

/** One line to both; answers what is so afterwards. */
function both(
  harness: ServerModel,
  session: Session,
  model: Model,
  said: SentLine,
  story: string,
): { session: Session; model: Model } {
  const want = answer(harness, model, said);
  const received = say(harness, session, said);
  assert.deepEqual(received.replies, want.replies, `${JSON.stringify(harness)}: ${story}`);
  assert.equal(received.session.phase !== "closed", want.next.open, story);
  return { session: received.session, model: want.next };
}

interface Place {
  readonly session: Session;
  readonly model: Model;
  readonly story: string;
}

/** Every state of the model that lines lead to, each with a session that is in it. */
function explore(harness: ServerModel): readonly Place[] {
  const first = { session: begin(harness), model: start(harness), story: "" };
  const known = new Map<string, Place>([[JSON.stringify(first.model), first]]);
  for (const place of known.values()) {
    for (const said of SAID) {
      const story = `${place.story} / ${said.line}${said.more ? " +" : ""}`;
      const next = both(harness, place.session, place.model, said, story);
      const key = JSON.stringify(next.model);
      if (!known.has(key)) known.set(key, { ...next, story });
    }
  }
  return [...known.values()];
}

for (const harness of SERVERS) {
  const name = `tls ${harness.tls}, auth ${harness.auth}`;
  let places: readonly Place[] = [];
  Deno.test(`every state × every command answers as the model: ${name}`, () => {
    places = explore(harness);
    assert.ok(places.length >= 20, `only ${places.length} states were reached`);
  });
  Deno.test(`every state ends in good order, whatever ends it: ${name}`, () => {
    const facts = factsOf(harness);
    for (const { session, story } of places) {
      if (session.phase === "closed") continue;
      for (const input of [{ on: "idle" }, { on: "peer-gone" }, { on: "stop", now: true }] as const) {
        const { replies, closed } = give(facts, session, input);
        assert.ok(closed && replies.length === 1 && replies[0]!.startsWith("421 4."), `${story} / ${input.on}`);
      }
      const bad = give(facts, session, { on: "bad-input", reply: "500 5.5.2 Bad" });
      assert.ok(bad.closed && bad.replies[0] === "500 5.5.2", story);
      const { closed, session: later } = give(facts, session, { on: "stop", now: false });
      assert.equal(closed, session.transaction === null, `${story}: a transaction may end first`);
      if (!closed) assert.ok(give(facts, later, { on: "command", command: reset(), more: false }).closed, story);
    }
  });
  Deno.test(`what comes from elsewhere at the wrong time changes nothing: ${name}`, () => {
    const facts = factsOf(harness);
    const late: readonly Input[] = [
      { on: "expanded", slot: 999, result: { ok: false, code: 550, text: "5.1.1 Late" } },
      { on: "authenticated", user: "mallory", result: "ok" },
      { on: "sender-judged", result: "ok" },
      { on: "received", fault: null },
      { on: "chunk-read", fault: null },
      { on: "committed", message: msgid("00000001"), bytes: 1 },
      { on: "refused", code: 451, text: "4.3.0 Late" },
    ];
    for (const { session, story } of places) {
      for (const input of late) {
        const { session: after, replies } = give(facts, session, input);
        assert.deepEqual([after.username, after.mails, after.phase], [session.username, session.mails, session.phase]);
        assert.deepEqual(replies, [], `${story} / ${input.on}`);
      }
    }
  });
  Deno.test(`random walks answer as the model: ${name}`, () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom(...SAID), { maxLength: 80 }), (walk) => {
        let now = { session: begin(harness), model: start(harness) };
        for (const said of walk) now = both(harness, now.session, now.model, said, JSON.stringify(walk));
      }),
      { numRuns: 300, seed: 20260102 },
    );
  });
}

function reset() {
  const bytes = bytesOf("RSET");
  return parseCommand(bytes, 0, bytes.length);
}

Deno.test("a client that a filter has turned away may say QUIT and nothing else (RFC 5321 §3.1)", () => {
  const server: ServerModel = { tls: "none", auth: "none" };
  const rejection = { on: "turned-away", rdns: "client.example.net", text: "554 5.7.1 No", close: false } as const;
  const away = give(factsOf(server), newSession(), rejection);
  assert.deepEqual([away.replies, away.closed], [["554 5.7.1"], false]);
  for (const line of ["EHLO client.example.net", "NOOP", "MAIL FROM:<a@example.org>"]) {
    assert.deepEqual(say(server, away.session, { line }).replies, ["503 5.5.1"], line);
  }
  assert.deepEqual(say(server, away.session, { line: "QUIT" }).closed, true);
});
