/**
 * Isolates that have fallen say what they may not say, at every door and to main: it is refused before anybody believes it, who said it is
 * replaced, it is logged, and the daemon goes on.
 */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, maildirConfig, ownDaemon, withDaemon } from "./harness.ts";

const HOSTILE = ownDaemon("e2e/hostile_daemon.ts");

interface Row {
  readonly who: string;
  readonly door: string;
  readonly payload: string;
  readonly fault: RegExp;
}
const row = (who: string, door: string, payload: string, fault: RegExp): Row => ({ who, door, payload, fault });

/** In rounds, so that an isolate that was replaced has time to come back. Every door is tried from every side that may speak there. */
const ROWS: readonly Row[] = [
  row("smtp-0", "smtp-queue", "null", /a post is null, not a list/),
  row("queue", "queue-scheduler", "null", /a post is null/),
  row("relay", "relay-queue", "negative", /open: call is the number -1, not a whole number/),
  row("delivery", "delivery-queue", "fraction", /read: index is the number 0\.5, not a whole number/),
  row("scheduler", "scheduler-relay", "bad job", /job: action is an object, not text/),
  row("privileged", "privileged-queue", "text", /a post is text of 100000 characters/),
  row("lookup", "smtp-lookup", "not asked of lookup", /tested answers a question that was not asked/),
  row("control", "control-queue", "no type", /a message of the type missing may not come from there/),
  row("login", "login-control", "another's event", /a message of the type "queue-remove" may not come from there/),

  row("smtp-0", "smtp-lookup", "another's question", /a message of the type "credentials" may not come from there/),
  row("queue", "smtp-queue", "endless list", /a post is a list of 4294967295, not a list of up to/),
  row("relay", "scheduler-relay", "not a number", /reschedule: ids\[0\] is NaN, not an id of an envelope/),
  row("delivery", "delivery-lookup", "prototype", /a message of the type "__proto__" may not/),
  row("scheduler", "queue-scheduler", "inherited", /a message of the type "hasOwnProperty" may not/),
  row("privileged", "privileged-lookup", "number", /a post is the number 7, not a list/),
  row("lookup", "relay-lookup", "list of null", /a message is null, not an object/),
  row("control", "control-scheduler", "list of null", /a message is null/),
  row("login", "lookup-login", "null", /a post is null/),

  row("queue", "queue-signer", "null", /a post is null/),
  row("signer", "smtp-signer", "not asked of signer", /signed answers a question that was not asked/),
  row(
    "smtp-0",
    "smtp-signer",
    "a signature for what nobody let out",
    /sign: the grant of 00000001 is not as lookup has/,
  ),
  row("signer", "signer-control", "another's event", /a message of the type "queue-remove" may not/),

  row("smtp-0", "smtp-control", "another's event", /a message of the type "queue-remove" may not/),
  row("queue", "relay-queue", "not asked", /chunk answers a question that was not asked/),
  row(
    "relay",
    "relay-control",
    "a session with escapes",
    /relay-connected: session is text of 12 characters, not an id of a session/,
  ),
  row("delivery", "delivery-privileged", "null", /a post is null/),
  row("scheduler", "control-scheduler", "not asked of scheduler", /paused answers a question that was not asked/),
  row("privileged", "delivery-privileged", "null", /a post is null/),
  row("lookup", "lookup-login", "null", /a post is null/),
  row("control", "control-lookup", "null", /a post is null/),

  row("smtp-0", "smtp-queue", "wrong inside", /commit: envelopes\[0\]\.id is the number 7, not an id of an envelope/),
  row("queue", "queue-control", "another's statistic", /count: key is a statistic of somebody else/),
  row("relay", "relay-lookup", "null", /a post is null/),
  row("delivery", "delivery-control", "port", /a post carries ports/),
  row("scheduler", "scheduler-control", "strange type", /of the type "\\\^\[\[2J\\ncrit: queue: forged" may not/),
  row("lookup", "lookup-control", "null", /a post is null/),

  row("smtp-0", "smtp-queue", "mail for root's command", /commit: an envelope of [0-9a-f]{8} is not as lookup has/),
  row("relay", "relay-queue", "a job that nobody gave", /take: message 00000001 was not given to this isolate/),
  row("smtp-0", "smtp-queue", "too many octets", /chunk: bytes has 1048576 octets, more than 262144/),
  row("control", "main", "null", /main refuses what isolate control said: it is null, not an object/),
  row(
    "relay",
    "main",
    "another's message",
    /main refuses what isolate relay said: .*"request" may not come from there/,
  ),
  row("smtp-0", "main", "another's request to main", /what isolate smtp-0 said: .*"stop" may not come from there/),
  row("lookup", "main", "list of null", /main refuses what isolate lookup said: a message is null, not an object/),
  row("queue", "main", "another's request to main", /what isolate queue said: a post may not come from there/),
  row("delivery", "main", "pong of no ping", /main refuses what isolate delivery said: pong: it was not asked/),
  row("acme", "acme-control", "another's event", /a message of the type "queue-remove" may not/),
  row("history", "history-control", "another's event", /a message of the type "queue-remove" may not/),
  row("history", "control-history", "not asked of history", /story answers a question that was not asked/),
  row("acme", "main", "another's request to main", /what isolate acme said: .*"stop" may not come from there/),
  row("scheduler", "main", "a false word", /main refuses what isolate scheduler said: refused: there is no such door/),
];

/** Nothing is wrong with what these say, but that they say it so fast. */
const FLOODS: readonly Row[] = [
  row("relay", "scheduler-relay", "a flood", /: more than 100000 messages per second come from there/),
  row("smtp-0", "main", "a flood to main", /smtp-0 said: more than 20000 messages per second come from there/),
  row("lookup", "main", "the same word over and over", /lookup said: more than 100 messages per second come/),
];

/** The login isolate only stands where a listener asks for AUTH, the signer where there are keys, acme where it obtains certificates, and the history where it is wanted. */
function config(daemon: { port: number; mail: string; folder: string }): string {
  const key = `${daemon.folder}/dkim.pem`;
  const { privateKey } = generateKeyPairSync("ed25519");
  Deno.writeTextFileSync(key, privateKey.export({ type: "pkcs8", format: "pem" }) as string, { mode: 0o600 });
  return `history keep 1d\npki "mx.example.org" acme "https://127.0.0.1:1/directory"\ntable users { "u" = "x" }\ndkim "${DOMAIN}" selector "s" key "${key}"\naction "out" relay dkim\n` +
    maildirConfig(daemon).replace(/^(listen on 127.*)$/m, "$1 auth-optional <users>");
}

Deno.test("what a fallen isolate says is refused at every door, and who said it is replaced", async () => {
  await withDaemon({ program: HOSTILE, config }, async (daemon) => {
    const deaths = await areRefused(daemon, ROWS);
    // Everything works as if nothing had been said.
    for (const role of ["queue", "scheduler", "lookup", "delivery"]) await isOpen(daemon, deaths, role, doorOf(role));
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.com", "250");
    await client.send("a@example.com", `kept@${DOMAIN}`, "Subject: kept\r\n\r\nkept\r\n");
    assert.match(await daemon.mailbox("kept").text(), /^Subject: kept$/m);
    assert.equal((await daemon.tool("smtpctl", ["show", "status"])).code, 0);
  });
});

Deno.test("an isolate that floods a door, or main, is replaced, and the others go on", async () => {
  await withDaemon({ program: HOSTILE }, async (daemon) => {
    const deaths = await areRefused(daemon, FLOODS);
    assert.deepEqual([...deaths.keys()], ["relay", "smtp", "lookup"]);
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.com", "250");
    await client.send("a@example.com", `kept@${DOMAIN}`, "Subject: kept\r\n\r\nkept\r\n");
    assert.match(await daemon.mailbox("kept").text(), /^Subject: kept$/m);
    assert.deepEqual(daemon.log.filter((line) => / ended and starts again /.test(line)).length, FLOODS.length);
  });
});

Deno.test("a line of the log cannot be forged by an isolate of another role", async () => {
  await withDaemon({ program: HOSTILE }, async (daemon) => {
    await daemon.logged(/^up: smtp-0 smtp-control 1$/);
    await say(daemon, { who: "smtp-0", door: "smtp-control", payload: "forged" });
    const line = await daemon.logged(/mda delivery result=Ok/);
    assert.equal(line, "smtp: 0000000000000000 mda delivery result=Ok\\n\\^[[2J\\M-b\\M^@\\M-.fdp");
  });
});

/** Has each of these say what it may not, and waits until it is refused and replaced. Returns who was replaced how often. */
async function areRefused(daemon: Daemon, rows: readonly Row[]): Promise<Deaths> {
  const deaths: Deaths = new Map();
  for (const { who, door, payload, fault } of rows) {
    const role = roleOf(who);
    await isOpen(daemon, deaths, who, door === "main" ? doorOf(role) : door);
    const from = daemon.log.length;
    const refused = daemon.logged(new RegExp(`^warn: .* (?:said|said at the door ${door}): `), from);
    await say(daemon, { who, door, payload });
    assert.match(await refused, fault);
    const end = new RegExp(`^warn: isolate ${role} ended and starts again in .*: It said something malformed`);
    const at = daemon.log.indexOf(await daemon.logged(end, from), from) + 1;
    deaths.set(role, { count: (deaths.get(role)?.count ?? 0) + 1, at });
  }
  return deaths;
}

function roleOf(who: string): string {
  return who.replace("-0", "");
}

/** A door that a role has beside those that are tried. */
function doorOf(role: string): string {
  return role === "control" ? "queue-control" : `${role}-control`;
}

/** By role: how often it was replaced, and where the log stood then. */
type Deaths = Map<string, { readonly count: number; readonly at: number }>;

/** Waits until the door stands between those who live now: who was silent for too long on a busy machine was replaced besides. */
async function isOpen(daemon: Daemon, deaths: Deaths, who: string, door: string): Promise<void> {
  const role = roleOf(who);
  const [from, to] = door.split("-") as [string, string];
  const life = 1 + (deaths.get(from === role ? to : from)?.count ?? 0);
  const up = new RegExp(`^up: ${who} ${door} \\d+$`);
  for (let count = 1;; count++) {
    const line = await daemon.logged(up, deaths.get(role)?.at ?? 0, count);
    if (Number(line.split(" ").at(-1)) >= life) return;
  }
}

async function say(daemon: Daemon, order: Omit<Row, "fault">): Promise<void> {
  await Deno.writeTextFile(`${daemon.folder}/order`, JSON.stringify(order));
  await Deno.rename(`${daemon.folder}/order`, `${daemon.folder}/say`);
}
