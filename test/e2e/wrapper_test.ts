/** Wrappers with the real daemon and the real helper programs, which run as the user. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { PROJECT, run, withDaemon } from "./harness.ts";

const ROOT = Deno.uid() === 0;
const uid = ROOT ? 65534 : Deno.uid()!, gid = ROOT ? 65534 : Deno.gid()!;

/** May the user of the tests start the project's programs? A checkout in a private folder keeps him out. */
async function reachable(): Promise<boolean> {
  if (!ROOT) return true;
  const looked = await run("setpriv", [
    ...["--reuid", `${uid}`, "--regid", `${gid}`, "--clear-groups"],
    ...[join(PROJECT, "scripts/mail.maildir"), "-x"],
  ]).catch(() => ({ stderr: "" }));
  return looked.stderr.startsWith("usage: ");
}

Deno.test({
  name: "A wrapper gets the message and passes it on to a Maildir, a file, a command and a mailbox",
  ignore: !await reachable(),
  fn: async () => {
    const boxes = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
    // The user may not make a file there.
    await Deno.chmod(boxes, 0o755);
    await withDaemon({
      env: { SMTPD_MAIL: boxes },
      config: ({ port, mail, folder }) => {
        Deno.mkdirSync(join(folder, "home"));
        if (ROOT) Deno.chownSync(join(folder, "home"), uid, gid);
        return `table users { bob = "${uid}:${gid}:${folder}/home", box = "${uid}:${gid}:${folder}/home" }
mda wrapper w "sed 's/^Subject: /Subject: [%{rcpt.user}] /' | %{mda}"
listen on 127.0.0.1 port ${port} hostname mx.example.net
action "in" maildir "${mail}/bob" userbase <users> wrapper w
action "system" mbox userbase <users> wrapper w
match from any for rcpt-to "box@example.net" action "system"
match from any for domain "example.net" action "in"
`;
      },
    }, async (daemon) => {
      const send = async (to = "bob") => {
        const client = await Client.connect(daemon.port);
        await client.say("EHLO client.example.com", "250");
        await client.begin("alice@example.com", `${to}@example.net`);
        await client.write(new TextEncoder().encode("Subject: hello\r\n\r\nbody\r\n"));
        await client.say(".", "250");
        client.close();
      };
      await send();
      const text = await daemon.mailbox("bob").text();
      assert.match(text, /^Return-Path: <alice@example\.com>\nDelivered-To: bob@example\.net\n/);
      assert.match(text, /^Subject: \[bob\] hello$/m);
      await daemon.logged(/ mda delivery .*result="?Ok"?/);

      for (let count = 1; count <= 2; count++) {
        await send("box");
        await daemon.logged(/ mda delivery .* user=box .*result="?Ok"?/, 0, count);
      }
      const mbox = Deno.readTextFileSync(join(boxes, "box"));
      assert.equal(
        mbox.match(/^From alice@example\.com .*\nReturn-Path: <alice@example\.com>\nDelivered-To: box@/gm)?.length,
        2,
      );
      assert.match(mbox, /^Subject: \[box\] hello$/m);
      const { uid: owner, mode } = Deno.statSync(join(boxes, "box"));
      assert.deepEqual([owner, mode! & 0o777], [uid, 0o600]);

      const home = join(daemon.folder, "home");
      const forward = join(home, ".forward");
      Deno.writeTextFileSync(forward, `${home}/box, "|cat >got.tmp; mv got.tmp got"\n`);
      if (ROOT) Deno.chownSync(forward, uid, gid);
      // What was read is remembered for a second of real time.
      await new Promise((resolve) => setTimeout(resolve, 1100));
      await send();
      await daemon.logged(/ mda delivery .* user=bob .*result="?Ok"?/, 0, 3);
      for (const name of ["box", "got"]) {
        assert.match(Deno.readTextFileSync(join(home, name)), /^Subject: \[bob\] hello$/m);
        assert.equal(Deno.statSync(join(home, name)).uid, uid);
      }
      assert.match(Deno.readTextFileSync(join(home, "box")), /^From alice@example\.com /);
    });
    await Deno.remove(boxes, { recursive: true });
  },
});
