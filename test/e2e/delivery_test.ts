/** Every way of local delivery in the real daemon, under the permissions that follow from a configuration with folders of its own. */

import assert from "node:assert/strict";
import net from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { Client } from "./client.ts";
import { type Daemon, PROJECT, run, withDaemon } from "./harness.ts";

const ROOT = Deno.uid() === 0;
const uid = ROOT ? 65534 : Deno.uid()!, gid = ROOT ? 65534 : Deno.gid()!;

/** An LMTP server on a socket that takes every message and keeps what it received. */
async function lmtpServer(path: string, received: string[]): Promise<net.Server> {
  const server = net.createServer((socket) => {
    let data = false;
    let rest = "";
    socket.on("error", () => {});
    socket.write("220 lmtp\r\n");
    socket.on("data", (bytes) => {
      const lines = (rest + bytes.toString("latin1")).split("\r\n");
      rest = lines.pop()!;
      for (const line of lines) {
        received.push(line);
        if (data && line !== ".") continue;
        if (line === "DATA") socket.write("354 go\r\n");
        else socket.write(line === "QUIT" ? "221 bye\r\n" : "250 2.0.0 ok\r\n");
        data = line === "DATA";
      }
    });
  }).listen(path);
  await once(server, "listening");
  Deno.chmodSync(path, 0o777);
  return server;
}

async function send(daemon: Daemon, user: string): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.begin("alice@example.com", `${user}@example.net`);
  await client.write(new TextEncoder().encode("Subject: hello\r\n\r\nbody\r\n"));
  await client.say(".", "250");
  client.close();
}

Deno.test("each local method delivers with the permissions that it is given, and no others", async (t) => {
  const received: string[] = [];
  const boxes = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
  await Deno.chmod(boxes, 0o755);
  const config = ({ port, mail, folder }: { port: number; mail: string; folder: string }) => {
    Deno.mkdirSync(join(folder, "home"));
    if (ROOT) Deno.chownSync(join(folder, "home"), uid, gid);
    const to = (user: string) => `match from any for rcpt-to "${user}@example.net" action "${user}"`;
    return `table users { box = "${uid}:${gid}:${folder}/home", dir = "${uid}:${gid}:${folder}/home",
  peer = "${uid}:${gid}:${folder}/home", pipe = "${uid}:${gid}:${folder}/home" }
listen on 127.0.0.1 port ${port} hostname mx.example.net
action "box" mbox userbase <users>
action "dir" maildir "${mail}/%{user.username}" userbase <users>
action "peer" lmtp "${folder}/lmtp" rcpt-to userbase <users>
action "pipe" mda "cat > got.tmp; id -u >> got.tmp; mv got.tmp got" userbase <users>
${["box", "dir", "peer", "pipe"].map(to).join("\n")}
`;
  };
  await withDaemon({ config, env: { SMTPD_MAIL: boxes } }, async (daemon) => {
    const server = await lmtpServer(join(daemon.folder, "lmtp"), received);
    try {
      const { stderr } = await run(
        join(PROJECT, "scripts/smtpd"),
        ["-n", "-v", "--one-user", "-f", daemon.configFile],
        {
          env: { SMTPD_MAIL: boxes },
        },
      );
      await t.step("smtpd -n -v prints them", () => {
        assert.match(stderr, /^ {2}delivery +read=\S*\/lmtp write=\S+\/lmtp net=unix:\S+\/lmtp$/m);
        assert.match(stderr, /^ {2}privileged +run=\/bin\/sh$/m);
        assert.match(stderr, /^ {2}mailbox +read=\S+,\S+ write=\S+( ffi=\S+)?$/m);
        assert.match(stderr, /^ {2}file +read=any write=any( ffi=\S+)?$/m);
        assert.match(stderr, /^ {2}forward +read=any( ffi=\S+)?$/m);
      });
      await t.step("a Maildir in a folder of the config", async () => {
        await send(daemon, "dir");
        assert.match(await daemon.mailbox("dir").text(), /^Return-Path: <alice@example\.com>\nDelivered-To: dir@/);
      });
      await t.step("a mailbox, with its user's rights", async () => {
        await send(daemon, "box");
        await daemon.logged(/ mda delivery .*to=<box@example\.net> .*result="?Ok"?/);
        assert.match(Deno.readTextFileSync(join(boxes, "box")), /^From alice@example\.com .*\nReturn-Path: /);
        assert.equal(Deno.statSync(join(boxes, "box")).uid, uid);
      });
      await t.step("LMTP to a socket", async () => {
        await send(daemon, "peer");
        await daemon.logged(/ mda delivery .*to=<peer@example\.net> .*result="?Ok"?/);
        assert.ok(received.includes("RCPT TO:<peer@example.net>"), received.join("\n"));
      });
      await t.step("a command, as the user", async () => {
        await send(daemon, "pipe");
        await daemon.logged(/ mda delivery .*to=<pipe@example\.net> .*result="?Ok"?/);
        assert.match(Deno.readTextFileSync(join(daemon.folder, "home/got")), new RegExp(`body\\n${uid}\\n$`));
      });
    } finally {
      server.close();
    }
  });
  await Deno.remove(boxes, { recursive: true });
});
