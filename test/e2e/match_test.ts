/** Criteria of match in the real daemon: what the session knows reaches the rules, and regular expressions work without any permission. */

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { join } from "node:path";
import tls from "node:tls";
import { fileURLToPath } from "node:url";
import { Client } from "./client.ts";
import { Daemon, withDaemon, within } from "./harness.ts";

const certificate = (name: string) => fileURLToPath(new URL(`../smtp/certificates/${name}`, import.meta.url));

function config({ folder, port }: { folder: string; port: number }): string {
  for (const name of ["mx.pem", "mx.key"]) {
    Deno.copyFileSync(certificate(name), join(folder, name));
    Deno.chmodSync(join(folder, name), 0o600);
  }
  return `pki server cert "${folder}/mx.pem" key "${folder}/mx.key"
listen on 127.0.0.1 port ${port} tls pki server tag "door-1"
action "out" relay host "smtp://127.0.0.1:1"
match from any helo "*.liar.test" for any reject
match from any mail-from regex { "^(a+)+$", "^no-?reply@", "(broken" } for any reject
match tls from any for domain "tls.test" action "out"
match !tls from any for domain "clear.test" action "out"
match tag regex "^door-[0-9]$" from any for rcpt-to regex "^box[0-9]+@tag\\.test$" action "out"
match from rdns for domain "named.test" action "out"
match auth from any for domain "auth.test" action "out"
match !auth from any for domain "stranger.test" action "out"
`;
}

/** What RCPT answers to `sender` for each recipient, in a session of its own. */
async function codes(daemon: Daemon, helo: string, sender: string, rcpts: readonly string[]): Promise<string[]> {
  const client = await Client.connect(daemon.port);
  await client.say(`EHLO ${helo}`, "250");
  await client.say(`MAIL FROM:<${sender}>`, "250");
  const found: string[] = [];
  for (const rcpt of rcpts) found.push((await client.say(`RCPT TO:<${rcpt}>`, "")).slice(0, 3));
  client.close();
  return found;
}

/** The same after STARTTLS. */
async function codesUnderTls(daemon: Daemon, rcpts: readonly string[]): Promise<string[]> {
  let socket: net.Socket = net.connect(daemon.port, "127.0.0.1");
  const say = async (line: string | null) => {
    if (line !== null) socket.write(`${line}\r\n`);
    let text = "";
    while (!/^\d{3} .*\r\n$/m.test(text)) text += (await within(once(socket, "data"), `a reply to ${line}`))[0];
    return text.slice(0, 3);
  };
  await say(null);
  await say("EHLO client.test");
  assert.equal(await say("STARTTLS"), "220");
  socket = tls.connect({ socket, rejectUnauthorized: false });
  await within(once(socket, "secureConnect"), "the handshake");
  await say("EHLO client.test");
  await say("MAIL FROM:<x@client.test>");
  const found: string[] = [];
  for (const rcpt of rcpts) found.push(await say(`RCPT TO:<${rcpt}>`));
  socket.destroy();
  return found;
}

Deno.test("the rules see TLS, HELO, tag, authentication and patterns of the real session", async () => {
  await withDaemon({ config }, async (daemon) => {
    const rcpts = ["a@tls.test", "a@clear.test", "box7@tag.test", "box@tag.test", "a@auth.test", "a@stranger.test"];
    assert.deepEqual(await codes(daemon, "client.test", "x@client.test", rcpts), [
      "550",
      "250",
      "250",
      "550",
      "550",
      "250",
    ]);
    assert.deepEqual(await codesUnderTls(daemon, rcpts), ["250", "550", "250", "550", "550", "250"]);
    assert.deepEqual(await codes(daemon, "mx.liar.test", "x@client.test", ["a@clear.test"]), ["550"]);
    assert.deepEqual(await codes(daemon, "client.test", "No-Reply@shop.test", ["a@clear.test"]), ["550"]);
    // A pattern that keeps a backtracking engine busy for ever.
    const evil = `${"a".repeat(60)}@${"b".repeat(60)}.test`;
    assert.deepEqual(await codes(daemon, "client.test", evil, ["a@clear.test"]), ["250"]);
    await daemon.logged(/^\S+: warning: the regular expression "\(broken" finds nothing/);
  });
});
