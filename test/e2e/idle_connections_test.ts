/** A local user opens a thousand connections to each door of the daemon and says nothing: mail goes in and out, and root is answered. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { Client } from "./client.ts";
import { freePort } from "../ports.ts";
import { DOMAIN, maildirConfig, PROJECT, withDaemon, within } from "./harness.ts";

const NOBODY = 65534;
/** Of a daemon started by hand on a plain system. */
const DESCRIPTORS = 1024;

Deno.test("a thousand idle connections of a local user to every door stop neither mail nor root", {
  ignore: Deno.uid() !== 0,
}, async () => {
  const admin = freePort();
  const program = ["sh", "-c", `ulimit -n ${DESCRIPTORS}; exec "$0" "$@"`, join(PROJECT, "scripts/smtpd")] as const;
  const config = (daemon: { port: number; mail: string }) =>
    `admin listen on 127.0.0.1 port ${admin}\n${maildirConfig(daemon)}`;
  await withDaemon({ program, config }, async (daemon) => {
    // Where other users can read it: the checkout may be root's alone.
    const script = `${daemon.folder}/idle.js`, deno = `${daemon.folder}/deno`;
    await Deno.copyFile(fileURLToPath(new URL("./idle_connections.ts", import.meta.url)), `${daemon.folder}/idle.ts`);
    await Deno.copyFile(Deno.execPath(), deno);
    await Deno.chmod(deno, 0o755);
    const idle = new Deno.Command(deno, {
      args: [
        "run",
        "--no-config",
        "--no-check",
        "--quiet",
        "--allow-net",
        "--allow-read",
        "--allow-write",
        script.replace(/js$/, "ts"),
        "1000",
        `${daemon.folder}/smtpd.sock`,
        `${daemon.folder}/smtpd.smtp.sock`,
        `${admin}`,
        `${daemon.port}`,
      ],
      clearEnv: true,
      env: { DENO_DIR: `${daemon.folder}/none`, DENO_NO_UPDATE_CHECK: "1" },
      uid: NOBODY,
      gid: NOBODY,
      cwd: "/",
      stdin: "piped",
      stdout: "piped",
      stderr: "inherit",
    }).spawn();
    try {
      const reader = idle.stdout.pipeThrough(new TextDecoderStream()).getReader();
      const { value } = await within(reader.read(), "the connections of nobody");
      assert.match(value ?? "", /^[34]\d\d\d opened/, "they were made");

      // Root, locally: by the control socket, the submission socket, and the admin address.
      const status = await daemon.tool("smtpctl", ["show", "status"]);
      assert.equal(status.code, 0, status.stderr);
      const sent = await daemon.tool("sendmail", [`root@${DOMAIN}`], "Subject: from root\n\nhere\n");
      assert.equal(sent.code, 0, sent.stderr);
      assert.match(await daemon.mailbox("root").text(), /^Subject: from root$/m);
      const health = await fetch(`http://127.0.0.1:${admin}/health`, { headers: { Connection: "close" } });
      assert.equal((await health.json()).status, "ok");

      // Another machine: loopback is full, the rest of the sessions is not.
      await daemon.logged(/^warn: smtp: uid 65534 has \d+ sessions: more are turned away/);
      await daemon.logged(/^warn: smtp: all clients on this machine have 444 sessions/);
      assert.ok(!daemon.log.some((line) => line.includes("all 507 sessions")), "an eighth is left");
      assert.ok(!daemon.log.some((line) => /descriptors left|Too many open files/.test(line)), daemon.log.join("\n"));

      idle.kill("SIGKILL");
      await idle.status;
      await reader.cancel();
      const client = await Client.admitted(daemon.port);
      await client.say("EHLO client.example.com", "250");
      await client.send("a@example.com", `back@${DOMAIN}`, "Subject: back\r\n\r\nx\r\n");
      await daemon.mailbox("back").arrived(1);
      client.close();
    } finally {
      try {
        idle.kill("SIGKILL");
      } catch {
        // It has ended.
      }
      await idle.stdin.close().catch(() => {});
      await idle.status;
    }
  });
});
