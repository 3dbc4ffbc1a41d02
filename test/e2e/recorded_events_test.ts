/** What a real daemon records of its sessions: every kind of event that a story is made of, found in the store when it has stopped. */

import assert from "node:assert/strict";
import { join } from "node:path";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import type { DialogueEvent, Event, RecordedEvent } from "../../src/events/mod.ts";
import { find, HistoryStore, story } from "../../src/history/mod.ts";
import { freePort } from "../ports.ts";
import { type FakeServer, fakeServer } from "../smtp_client/fake_server.ts";
import { tlsFiles } from "../relay/via.ts";
import { Client } from "./client.ts";
import { Daemon, DOMAIN, OWNER, within } from "./harness.ts";

/** Of "sesame". */
const HASH = "$6$abcdefgh$Bk2D4uYVcw0FbFPsWa0iJZ1DNfy8v6OjKcRcuBfMkWD1KdADPVnmQf5cr0O8HfAYpq1XrrjdgIRINkwgSKJ8/1";
const SUBJECT = "a secret of the heart";
const certificate = (file: string) => fileURLToPath(new URL(`../smtp/certificates/${file}`, import.meta.url));

interface Ports {
  readonly tls: number;
  readonly next: number;
  readonly lmtp: number;
}

const configOf = (ports: Ports) => ({ port, mail, folder }: { port: number; mail: string; folder: string }) => {
  // A key that others may read would be refused.
  Deno.writeTextFileSync(join(folder, "mx.key"), Deno.readTextFileSync(certificate("mx.key")), { mode: 0o600 });
  return `history keep 1d refs
pki hop cert "${certificate("mx.pem")}"
pki hop key "${folder}/mx.key"
table logins { carol = "${HASH}" }
filter "named" phase rcpt-to match rcpt-to { "never@${DOMAIN}" } reject "550 5.7.1 not to them"
filter "odd" phase ehlo match helo { "odd.example" } junk
filter "both" chain { "odd", "named" }
listen on socket
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN} tag OUTSIDE filter "both"
listen on 127.0.0.1 port ${ports.tls} smtps pki hop auth-optional <logins>
table people { "list@${DOMAIN}" = "bob@${DOMAIN}, eve@${DOMAIN}, bob@${DOMAIN}, far@away.test", "bob@${DOMAIN}" = ${OWNER}, "eve@${DOMAIN}" = ${OWNER}, "alice@${DOMAIN}" = ${OWNER} }
action "inbox" maildir "${mail}/%{dest.user}" virtual <people> user ${OWNER}
action "boxes" lmtp "127.0.0.1:${ports.lmtp}" rcpt-to virtual { "@" = ${OWNER} } user ${OWNER}
action "out" relay host "smtp+tls://127.0.0.1:${ports.next}" tls no-verify
match from any for domain "${DOMAIN}" action "inbox"
match from any for domain "boxes.test" action "boxes"
match from any for any action "out"
`;
};

/** Says lines under TLS, each when the one before was answered. */
function sayUnderTls(port: number, lines: readonly string[]): Promise<void> {
  return new Promise((resolve, reject) => {
    const left = [...lines];
    const socket = tls.connect({ host: "127.0.0.1", port, rejectUnauthorized: false });
    socket.on("error", reject).on("close", () => resolve());
    let text = "";
    socket.on("data", (bytes) => {
      text += bytes;
      if (!/^\d{3}(?: .*)?\r\n$/m.test(text.slice(text.lastIndexOf("\n", text.length - 3) + 1))) return;
      text = "";
      const next = left.shift();
      if (next === undefined) socket.end();
      else socket.write(`${next}\r\n`);
    });
  });
}

async function sessions(daemon: Daemon, ports: Ports): Promise<string> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO odd.example", "250");
  await client.say("DATA", "503");
  await client.say("MAIL FROM:<alice@example.org> BODY=8BITMIME", "250");
  await client.say(`RCPT TO:<never@${DOMAIN}>`, "550");
  const refused = await client.say(`RCPT TO:<nobody@${DOMAIN}>`, "550");
  await client.say(`RCPT TO:<list@${DOMAIN}>`, "250");
  await client.say("RCPT TO:<no@away.test>", "250");
  await client.say("RCPT TO:<x@boxes.test>", "250");
  await client.say("DATA", "354");
  await client.write(new TextEncoder().encode(`Subject: ${SUBJECT}\r\nMessage-ID: <m1@x.test>\r\n\r\nbody\r\n`));
  await client.say(".", "250");
  await client.say("QUIT", "221");
  client.close();
  const secret = btoa("\0carol\0wrong"), right = btoa("\0carol\0sesame");
  await sayUnderTls(ports.tls, [
    "EHLO a.example",
    `AUTH PLAIN ${secret}`,
    "AUTH LOGIN",
    btoa("carol"),
    btoa("wrong"),
    "QUIT",
  ]);
  await sayUnderTls(ports.tls, ["EHLO a.example", `AUTH PLAIN ${right}`, "QUIT"]);
  const bad = await Client.connect(daemon.port);
  await bad.say("EHLO a.example\nX", "500");
  bad.close();
  return /\(ref ([0-9a-f]{16}-\d+)\)\r?\n?$/.exec(refused)?.[1] ?? assert.fail(refused);
}

function recordedIn(
  folder: string,
): { events: RecordedEvent[]; byRef(ref: string): readonly RecordedEvent[]; close(): void } {
  const policy = { keepMs: Infinity, maxBytes: Infinity }, reserve = { share: null, bytes: 0 };
  const log = (_level: string, text: string) => console.error(text);
  const store = new HistoryStore({ folder, policy, reserve, now: Date.now, log });
  const { messages } = find(store, { query: { words: [] }, limit: 50, before: "" }, () => 0);
  const events = messages.flatMap(({ id }) =>
    [true, false].flatMap((dialogues) => [...story(store, id, { dialogues }).events])
  );
  return {
    events,
    byRef: (ref) => story(store, ref, { dialogues: false }).events,
    close: () => store.close(),
  };
}

Deno.test("a daemon records connections, refusals, messages, attempts, notices and dialogues, and nothing of secrets or mail", async () => {
  const next = await fakeServer({
    keywords: ["STARTTLS", "PIPELINING"],
    tls: tlsFiles,
    reply: (line) => line.startsWith("RCPT TO:<no@") ? "550 5.1.1 no such user here" : undefined,
  });
  const lmtp: FakeServer = await fakeServer({
    lmtp: true,
    reply: (line) => line.startsWith("RCPT TO:<x@") ? "452 4.2.2 mailbox full" : undefined,
  });
  const ports: Ports = { tls: freePort(), next: next.port, lmtp: lmtp.port };
  const daemon = await Daemon.start({ config: configOf(ports) });
  let ref: string;
  try {
    ref = await sessions(daemon, ports);
    // The notice about no@away.test comes back to alice.
    await daemon.mailbox("alice").arrived(1);
    await daemon.mailbox("eve").arrived(1);
    await daemon.logged(/ mta delivery .* to=<far@away\.test> .*result="Ok"/);
    await daemon.logged(/ mda delivery .* to=<x@boxes\.test> .*result=TempFail/);
    const [line = ""] = (await daemon.tool("smtpctl", ["show", "queue"])).stdout.split("\n");
    assert.equal((await daemon.tool("smtpctl", ["pause", "envelope", line.slice(0, 16)])).code, 0);
    assert.equal((await daemon.tool("smtpctl", ["remove", line.slice(0, 16)])).code, 0);
    assert.equal(await within(daemon.stop(), "the end"), 0);
    look(join(daemon.folder, "spool", "history"), ref, ports, daemon.configFile);
  } catch (error) {
    console.error(daemon.log.slice(-80).join("\n"));
    await daemon.kill().catch(() => {});
    throw error;
  } finally {
    await daemon.remove();
    await next.close();
    await lmtp.close();
  }
});

function look(folder: string, ref: string, ports: Ports, file: string): void {
  const recorded = recordedIn(folder);
  const all = recorded.events.map(({ event }) => event);
  const of = <T extends Event["type"]>(type: T) => {
    const found = all.filter((event) => event.type === type) as Extract<Event, { type: T }>[];
    assert.ok(found.length > 0, `no ${type} in ${[...new Set(all.map(({ type }) => type))]}`);
    return found;
  };
  for (const secret of [SUBJECT, "sesame", btoa("\0carol\0").slice(0, 8), btoa("wrong"), "d3Jvbmc"]) {
    assert.ok(!JSON.stringify(all).includes(secret), secret);
  }
  assert.ok(of("smtp-connected").some(({ detail }) => detail?.tag === "OUTSIDE"));
  of("smtp-tls");
  assert.deepEqual(
    new Set(of("smtp-authentication").map(({ mechanism, result }) => `${mechanism} ${result}`)),
    new Set([
      "PLAIN permfail",
      "LOGIN permfail",
      ...all.some((event) => event.type === "smtp-authentication" && event.result === "ok") ? ["PLAIN ok"] : [],
    ]),
  );
  of("smtp-bad-input");
  of("smtp-disconnected");

  const refusals = of("smtp-failed-command");
  const refused = refusals.find(({ detail }) => detail?.ref === ref)!;
  assert.ok(refused.command.includes("nobody@"), "the reference leads to the refusal");
  assert.ok(recorded.byRef(ref).some(({ event }) => event.type === "smtp-failed-command" && event.detail?.ref === ref));
  assert.deepEqual([refused.replyClass, refused.detail!.routed!.result], ["no-such-user", "unknown"]);
  assert.ok(refusals.some(({ detail, replyClass }) => detail?.filter?.filter === "named" && replyClass === "policy"));

  const message = of("smtp-message").find(({ detail }) => detail!.messageId === "<m1@x.test>")!;
  const { routed, envelopes, eightBit, filters, origin, durableAt, begunAt } = message.detail!;
  assert.deepEqual([eightBit, origin.helo, filters.map(({ filter }) => filter)], [true, "odd.example", [
    "odd",
    "named",
  ]]);
  assert.ok(durableAt >= begunAt && envelopes.length === 5, `${envelopes.length} envelopes`);
  const [list] = routed;
  const lines = Deno.readTextFileSync(file).split("\n");
  assert.equal(list!.rule!.file, file);
  assert.match(lines[list!.rule!.line - 1]!, /^match from any for domain "example\.org"/);
  assert.deepEqual(list!.children.map(({ address, result }) => `${address} ${result}`), [
    `bob@${DOMAIN} action`,
    `bob@${DOMAIN} dropped`,
    `eve@${DOMAIN} action`,
    "far@away.test action",
  ]);

  const attempts = of("delivery");
  const attempt = (dest: string) => attempts.find(({ to }) => `${to.local}@${to.domain}` === dest)!;
  assert.equal(attempt(`eve@${DOMAIN}`).detail!.method, "maildir");
  const far = attempt("far@away.test").detail!;
  assert.deepEqual([far.code, far.port, far.address, far.stage], [250, ports.next, "127.0.0.1", "EOM"]);
  assert.match(far.tls!.ciphers, /^TLSv1\.[23]:/);
  const no = attempt("no@away.test");
  assert.deepEqual([no.replyClass, no.detail!.code, no.detail!.status], ["no-such-user", 550, {
    class: 5,
    code: "1.1",
  }]);
  const boxes = attempt("x@boxes.test");
  assert.deepEqual([boxes.replyClass, boxes.detail!.code, boxes.detail!.port], ["mailbox-full", 452, ports.lmtp]);

  const [asked] = of("queue-dsn-asked"), [written] = of("queue-dsn-written");
  assert.deepEqual([asked!.envelope, asked!.rcpt.local], [no.envelope, "no"]);
  assert.deepEqual([written!.requests, written!.message], [[asked!.request], message.message]);
  assert.ok(attempts.some(({ envelope }) => envelope.startsWith(written!.dsn)), "the story of the notice is there");
  assert.ok(of("queue-remove").some(({ envelope }) => envelope === boxes.envelope));
  assert.ok(of("admin-act").length >= 2);

  const dialogues = of("dialogue");
  const said = (from: (one: DialogueEvent) => boolean) =>
    dialogues.filter(from).flatMap(({ lines }) => lines.map(({ text }) => text)).join("\n");
  assert.match(said(({ session }) => session === refused.session), /RCPT TO:<nobody@example\.org>\n550 .*\(ref /);
  assert.match(said(({ side }) => side === "in"), /AUTH PLAIN \*{8}\n535/);
  assert.match(
    said(({ session }) => session === no.session),
    /RCPT TO:<no@away\.test>.*\n[^]*550 5\.1\.1 no such user/,
  );
  assert.match(said(({ session }) => session === boxes.detail!.session), /^220[^]*LHLO[^]*452 4\.2\.2 mailbox full/);
  recorded.close();
}
