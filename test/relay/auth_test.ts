/** Logging in at the next host: what is said, what is not, and what becomes of the mail. */

import assert from "node:assert/strict";
import type { Script } from "../smtp_client/fake_server.ts";
import { tlsFiles, viaSmarthost } from "./via.ts";
import type { WorldOptions } from "./world.ts";

const SECRET = { user: "us", password: "pa:ss" };

/** A server that lets in with the secret of SECRET. */
const guarded = (mechanisms: string | null, script: Script = {}): Script => ({
  keywords: ["STARTTLS", ...mechanisms === null ? [] : [`AUTH ${mechanisms}`]],
  tls: tlsFiles,
  reply: (line) => {
    if (line === `AUTH PLAIN ${btoa("\0us\0pa:ss")}`) return "235 2.7.0 welcome";
    if (line === "AUTH LOGIN") return "334 VXNlcm5hbWU6";
    if (line === btoa("us")) return "334 UGFzc3dvcmQ6";
    if (line === btoa("pa:ss")) return "235 2.7.0 welcome";
    return line.startsWith("AUTH") ? "535 5.7.8 no" : undefined;
  },
  ...script,
});
const login: WorldOptions & { scheme: string } = {
  actions: { out: { host: "hosts", auth: "secrets", tls: "no-verify" } },
  credentials: (action, label) => action === "out" && label === "label" ? SECRET : null,
  scheme: "smtp+tls",
};

/** Mail to a server with this script, with a label in the URL. */
async function viaLogin(
  script: Script,
  act: Parameters<typeof viaSmarthost>[1],
  options: WorldOptions & { scheme?: string; label?: () => string } = {},
): Promise<void> {
  let port = 0;
  const all = { ...login, ...options };
  await viaSmarthost(script, (world, server) => {
    port = server.port;
    return act(world, server);
  }, { ...all, smarthost: () => `${all.scheme}://${options.label?.() ?? "label"}@mx.example.net:${port}` });
}

const accepted = [
  { mechanisms: "LOGIN PLAIN", scheme: "smtp+tls", says: "AUTH PLAIN AHVzAHBhOnNz" },
  { mechanisms: "LOGIN CRAM-MD5", scheme: "smtp+tls", says: "AUTH LOGIN" },
  { mechanisms: "PLAIN", scheme: "smtps", says: "AUTH PLAIN AHVzAHBhOnNz" },
];
for (const { mechanisms, scheme, says } of accepted) {
  Deno.test(`a host that offers ${mechanisms} over ${scheme} is sent ${says}, under TLS, once a session`, () =>
    viaLogin(guarded(mechanisms, { smtps: scheme === "smtps" }), async (world, server) => {
      const ids = [...world.send({ rcpts: ["a@x.test"] }), ...world.send({ rcpts: ["b@x.test"] })];
      assert.deepEqual(await world.settled(ids), ["ok 250 2.0.0 queued", "ok 250 2.0.0 queued"]);
      assert.equal(server.sessions.length, 1);
      assert.equal(server.sessions[0]!.secure, true);
      assert.deepEqual(server.lines().filter((line) => line.startsWith("AUTH")), [says]);
      const [relay] = await world.show("relays");
      assert.match(relay!, /,auth=secrets:label\]/);
      assert.ok(!JSON.stringify(world.events).includes("pa:ss"), "the log does not know the secret");
    }, { scheme }));
}

const refused = [
  { name: "does not offer AUTH", script: guarded(null), reason: "AUTH not advertised", code: "7.4" },
  { name: "offers no mechanism we have", script: guarded("CRAM-MD5"), reason: "no supported AUTH method", code: "7.4" },
  {
    name: "refuses the secret",
    script: guarded("PLAIN", { reply: (line) => line.startsWith("AUTH") ? "535 5.7.8 no" : undefined }),
    reason: "535 5.7.8 no",
    code: "7.8",
  },
  {
    name: "repeats the login that it refuses",
    script: guarded("PLAIN", { reply: (line) => line.startsWith("AUTH") ? `535 5.7.8 no: ${line} pa:ss` : undefined }),
    reason: "535 5.7.8 no: AUTH PLAIN ******** ********",
    code: "7.8",
  },
  {
    name: "has no TLS",
    script: { keywords: ["AUTH PLAIN"] },
    reason: "TLS required but not supported by remote host",
    code: "7.4",
  },
];
for (const { name, script, reason, code } of refused) {
  Deno.test(`a host that ${name}: no mail is sent, the route rests, the reason is ${reason}`, () =>
    viaLogin(script, async (world, server) => {
      const ids = world.send({ rcpts: ["a@x.test"] });
      const where = `mx.example.net (127.0.0.1) port ${server.port}`;
      const said = `${where}, at our login with the label "label")`;
      const text = reason.startsWith("535") ? `${reason} (${said}` : `${where}: ${reason}`;
      assert.deepEqual(await world.settled(ids), [`tempfail ${text}`]);
      const status = { class: 4, code };
      assert.deepEqual(world.outcomes.get(ids[0]!), { result: "tempfail", text, status, remote: "mx.example.net" });
      assert.equal(world.deliveries()[0]!.relay, "127.0.0.1 (mx.example.net)");
      assert.match((await world.show("hoststats"))[0]!, /^mx\.example\.net\|\d+\|/);
      assert.ok((await world.show("hoststats"))[0]!.endsWith(`|${text}`));
      assert.deepEqual(server.lines().filter((line) => line.startsWith("MAIL")), []);
      const reasons = world.events.flatMap((event) => event.type === "relay-error" ? [event.reason] : []);
      assert.deepEqual(reasons, [reason]);
      assert.match((await world.show("routes"))[0]!, / penalty=1 /);
      const logged = JSON.stringify(world.events);
      for (const secret of ["pa:ss", btoa("pa:ss"), btoa("\0us\0pa:ss")]) assert.ok(!logged.includes(secret), secret);
    }));
}

const lacks = [
  { lack: "label", label: "me", text: 'table <secrets> has no label "me"' },
  { lack: "label", label: "me:secret", text: 'table <secrets> has no label "me"' },
  { lack: "form", label: "me", text: 'table <secrets>: the value of the label "me" is no user:password' },
  { lack: null, label: "me", text: 'table <secrets> cannot be asked for the label "me" now' },
] as const;
for (const { lack, label, text } of lacks) {
  Deno.test(`without credentials no host is bothered, and queue and log say: ${text} (${label})`, () =>
    viaLogin(guarded("PLAIN"), async (world, server) => {
      assert.deepEqual(await world.settled(world.send({ rcpts: ["a@x.test"] })), [`tempfail ${text}`]);
      assert.equal(server.sessions.length, 0);
      const line = world.log().find((line) => line.endsWith(`: ${text}`))!;
      assert.match(line, /^smtp-out: Cannot send to \[relay:mx\.example\.net,/);
    }, { credentials: () => lack, label: () => label }));
}

Deno.test("credentials that are gone when the connection stands: the same words", () => {
  let asked = 0;
  return viaLogin(guarded("PLAIN"), async (world) => {
    const [text] = await world.settled(world.send({ rcpts: ["a@x.test"] }));
    assert.match(text!, /^tempfail mx\.example\.net \(127\.0\.0\.1\) port \d+: table <secrets> has no label "label"$/);
  }, { credentials: () => asked++ === 0 ? SECRET : "label" });
});

Deno.test("two labels of one host never share a session", () => {
  const labels = ["one", "two", "one"];
  return viaLogin(guarded("PLAIN"), async (world, server) => {
    for (const rcpt of ["a@x.test", "b@x.test", "c@x.test"]) {
      assert.deepEqual(await world.settled(world.send({ rcpts: [rcpt] })), ["ok 250 2.0.0 queued"]);
    }
    assert.deepEqual(server.sessions.map(({ messages }) => messages.length), [2, 1]);
  }, {
    credentials: () => SECRET,
    label: () => labels.shift()!,
    limits: { connDelayRoute: 0, connDelayRelay: 0 },
  });
});
