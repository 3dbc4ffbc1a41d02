/** Signals, in every phase of the daemon's life: those that should end it do so in good order, the others end nothing. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { Daemon, PROJECT, USERS_OPTION } from "./harness.ts";

const HARMLESS = ["SIGHUP", "SIGUSR1", "SIGUSR2", "SIGPIPE"] as const;

Deno.test("a daemon that serves survives the signals that do not mean its end, and stops by SIGINT", async () => {
  const daemon = await Daemon.start();
  try {
    for (const signal of HARMLESS) Deno.kill(daemon.pid, signal);
    await daemon.logged(/^info: .*smtpd\.conf was read again and is as it was$/);
    await daemon.logged(/^info: SIGUSR1 is ignored: the log goes to no file$/);
    await daemon.logged(/^info: SIGUSR2 is ignored$/);
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.com", "250");
    Deno.kill(daemon.pid, "SIGINT");
    // It stops: that is no other state.
    Deno.kill(daemon.pid, "SIGHUP");
    Deno.kill(daemon.pid, "SIGTERM");
    assert.equal(await daemon.ended(), 0);
    assert.equal(daemon.log.at(-1), "Exiting");
    client.close();
  } finally {
    await daemon.remove();
  }
});

/** Bits of the masks of signals in /proc/PID/status. */
const HUP = 1n << 0n, USR2 = 1n << 11n;

Deno.test("a daemon that starts survives SIGHUP from its first moment on, in the background too", async () => {
  const daemon = await Daemon.start();
  assert.equal(await daemon.stop(), 0);
  try {
    const start = (...args: string[]) =>
      new Deno.Command(join(PROJECT, "scripts/smtpd"), {
        args: [...args, ...USERS_OPTION, "-f", daemon.configFile],
        env: { ...daemon.env, NO_COLOR: "1" },
        stdin: "null",
        stdout: "null",
        stderr: "null",
      }).spawn();
    const child = start("-d");
    // The shell needs a moment to read the first line of its script: from then on, before it has read another file.
    const mask = async (name: string) =>
      BigInt(
        `0x${new RegExp(`^${name}:\\s*(.*)$`, "m").exec(await Deno.readTextFile(`/proc/${child.pid}/status`))![1]}`,
      );
    while (!(await mask("SigIgn") & HUP)) { /* not yet */ }
    child.kill("SIGHUP");
    // While the runtime changes from ignoring the signal to catching it, there is a moment in which it would end the process: nobody can help that.
    while (!(await mask("SigCgt") & USR2)) { /* not yet */ }
    const pidFile = `${daemon.folder}/smtpd.pid`;
    for (let up = false; !up; up = await exists(pidFile)) {
      child.kill("SIGHUP");
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    child.kill("SIGTERM");
    assert.equal((await child.status).code, 0);

    assert.equal((await start().status).code, 0);
    const pid = Number(await Deno.readTextFile(pidFile));
    Deno.kill(pid, "SIGHUP");
    Deno.kill(pid, "SIGUSR1");
    assert.equal((await daemon.tool("smtpctl", ["show", "status"])).code, 0);
    Deno.kill(pid, "SIGTERM");
    while (await exists(pidFile)) await new Promise((resolve) => setTimeout(resolve, 10));
  } finally {
    await daemon.remove();
  }
});

Deno.test("a daemon that ends leaves alone the file of the next one, which has started meanwhile", async () => {
  const daemon = await Daemon.start({});
  try {
    const pidFile = `${daemon.folder}/smtpd.pid`;
    await Deno.remove(pidFile);
    await Deno.writeTextFile(pidFile, "another's");
    assert.equal(await daemon.stop(), 0);
    assert.equal(await Deno.readTextFile(pidFile), "another's");
    assert.equal(await exists(`${daemon.folder}/smtpd.sock`), false);
  } finally {
    await daemon.remove();
  }
});

Deno.test("the shell that starts smtpd ignores SIGHUP before it runs anything", async () => {
  const folder = await Deno.makeTempDir();
  try {
    // The first program that the script runs sends the signal to all of its session.
    const real = (await new Deno.Command("sh", { args: ["-c", "command -v readlink"] }).output()).stdout;
    const script = `#!/bin/sh\nkill -HUP 0\nexec ${new TextDecoder().decode(real).trim()} "$@"\n`;
    await Deno.writeTextFile(join(folder, "readlink"), script, { mode: 0o755 });
    const { code, stdout } = await new Deno.Command("setsid", {
      args: ["-w", join(PROJECT, "scripts/smtpd"), "--version"],
      env: { PATH: `${folder}:${Deno.env.get("PATH")}` },
      stderr: "null",
    }).output();
    assert.equal(code, 0);
    assert.match(new TextDecoder().decode(stdout), /^smtpd \(/);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}
