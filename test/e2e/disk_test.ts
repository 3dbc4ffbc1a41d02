/** The disk of the spool fails below the database: it is full, or its reads and writes end with errors. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { Daemon, DOMAIN, maildirConfig, PROJECT, run } from "./harness.ts";

const SMTPD = join(PROJECT, "scripts/smtpd");
const LINE = `${"x".repeat(76)}\r\n`;

/** Null when the program can be run, else why not. */
async function lacks(command: string, ...args: string[]): Promise<string | null> {
  try {
    const { code, stderr } = await run(command, args);
    return code === 0 ? null : stderr.trim() || `status ${code}`;
  } catch (error) {
    return (error as Error).message;
  }
}

Deno.test("a full disk refuses mail at MAIL with 452, and mail is taken again when there is room", async () => {
  const missing = await lacks("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt");
  if (missing !== null) return console.warn(`Skipped: a file system of limited size needs root: ${missing}`);
  const mount = 'mkdir -p "$SMTPD_SPOOL" && mount -t tmpfs -o size=40m tmpfs "$SMTPD_SPOOL" && exec "$0" "$@"';
  const daemon = await Daemon.start({
    config: (daemon) => `queue reserve 2M\n${maildirConfig(daemon)}`,
    program: ["unshare", "-m", "sh", "-c", mount, SMTPD],
    args: ["-P", "mda"],
  });
  try {
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.net", "250");
    assert.match(await client.say("MAIL FROM:<a@example.net> SIZE=100000000", "4"), /^452 4\.3\.1 /);
    const body = new TextEncoder().encode(`Subject: large\r\n\r\n${LINE.repeat(40_000)}.\r\n`);
    let accepted = 0, late = 0;
    for (let full = false; !full;) {
      assert.ok(accepted + late < 30, "the disk is full by now");
      const reply = await client.say("MAIL FROM:<a@example.net>", "");
      full = reply.startsWith("452 4.3.1 ");
      if (full) break;
      assert.match(reply, /^250 /);
      await client.say(`RCPT TO:<bob@${DOMAIN}>`, "250");
      await client.say("DATA", "354");
      await client.write(body);
      // It may get full in the middle of a message: no sooner than now can that be known.
      if (/^250 /.test(await client.reply())) accepted++;
      else late++;
    }
    assert.ok(accepted > 2, `${accepted} messages fit`);
    assert.match((await daemon.tool("smtpctl", ["show", "status"])).stdout, /^QUEUE disk full: /m);
    await daemon.logged(
      / smtp failed-command command="MAIL FROM:<a@example\.net>" result="452 4\.3\.1 .*" address=127/,
    );
    await daemon.tool("smtpctl", ["resume", "mda"]);
    await daemon.logged(/there is room on the disk of the spool again/);
    await daemon.logged(/ mda delivery .* result=Ok /, 0, accepted);
    // The last of it is being erased.
    for (let tries = 0; !(await client.say("MAIL FROM:<a@example.net>", "")).startsWith("250"); tries++) {
      assert.ok(tries < 100, "there is room now");
      await daemon.tool("smtpctl", ["show", "status"]);
    }
    await client.say(`RCPT TO:<carol@${DOMAIN}>`, "250");
    await client.say("DATA", "354");
    await client.write(new TextEncoder().encode("Subject: again\r\n\r\n.\r\n"));
    await client.reply("250");
    assert.match(await daemon.mailbox("carol").text(), /^Subject: again$/m);
    assert.equal((await daemon.tool("smtpctl", ["show", "status"])).stdout.includes("QUEUE"), false);
    client.close();
    assert.equal(await daemon.stop(), 0);
    const bobs = [...Deno.readDirSync(join(daemon.mail, "bob/new"))].length;
    assert.ok(bobs <= accepted, "nothing that was refused is delivered");
  } finally {
    await daemon.remove();
  }
});

for (const emptied of ["by smtpctl remove all", "by its deliveries"]) {
  Deno.test(`a spool that is full to its last block can be emptied ${emptied}`, async () => {
    const missing = await lacks("unshare", "-m", "mount", "-t", "tmpfs", "tmpfs", "/mnt");
    if (missing !== null) return console.warn(`Skipped: a file system of limited size needs root: ${missing}`);
    const mount = 'mkdir -p "$SMTPD_SPOOL" && mount -t tmpfs -o size=16m tmpfs "$SMTPD_SPOOL" && exec "$0" "$@"';
    const daemon = await Daemon.start({
      config: (daemon) => `queue reserve 0\n${maildirConfig(daemon)}`,
      program: ["unshare", "-m", "sh", "-c", mount, SMTPD],
      args: ["-P", "mda"],
    });
    try {
      const body = new TextEncoder().encode(`Subject: large\r\n\r\n${LINE.repeat(30_000)}.\r\n`);
      let client = await Client.connect(daemon.port), accepted = 0;
      await client.say("EHLO client.example.net", "250");
      for (let refused = 0; refused < 3;) {
        // With what others leave: a message that is refused in the middle has used the last of it.
        const small = refused > 0;
        if (!(await client.say("MAIL FROM:<a@example.net>", "")).startsWith("250")) {
          refused++;
          continue;
        }
        await client.say(`RCPT TO:<bob@${DOMAIN}>`, "250");
        await client.say("DATA", "354");
        await client.write(small ? body.subarray(-400_000) : body);
        if (/^250 /.test(await client.reply())) accepted++;
        else refused++;
      }
      client.close();
      assert.ok(accepted > 1, `${accepted} messages fit`);
      if (emptied === "by its deliveries") await daemon.tool("smtpctl", ["resume", "mda"]);
      else {
        const removed = await daemon.tool("smtpctl", ["remove", "all"]);
        assert.match(removed.stdout, new RegExp(`^${accepted} envelopes removed`), removed.stderr);
      }
      client = await Client.connect(daemon.port);
      await client.say("EHLO client.example.net", "250");
      for (let tries = 0; !(await client.say("MAIL FROM:<a@example.net>", "")).startsWith("250"); tries++) {
        assert.ok(tries < 600, `there is room now: ${(await daemon.tool("smtpctl", ["show", "status"])).stdout}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      client.close();
      if (emptied === "by its deliveries") await daemon.logged(/ mda delivery .* result=Ok /, 0, accepted);
      assert.equal((await daemon.tool("smtpctl", ["show", "queue"])).stdout, "");
      assert.equal(await daemon.stop(), 0);
    } finally {
      await daemon.remove();
    }
  });
}

/** Writes and syncs of the database end with EIO while the file named by FAULTS exists. */
const SHIM = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>
static int fails(int fd) {
  char link[64], path[512];
  const char *faults = getenv("FAULTS");
  if (faults == NULL || access(faults, F_OK) != 0) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return strstr(path, "/queue.db") != NULL;
}
#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)
ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
  REAL(pwrite64);
  if (fails(fd)) { errno = EIO; return -1; }
  return real(fd, bytes, count, at);
}
ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
  REAL(pwrite);
  if (fails(fd)) { errno = EIO; return -1; }
  return real(fd, bytes, count, at);
}
int fsync(int fd) {
  REAL(fsync);
  if (fails(fd)) { errno = EIO; return -1; }
  return real(fd);
}
int fdatasync(int fd) {
  REAL(fdatasync);
  if (fails(fd)) { errno = EIO; return -1; }
  return real(fd);
}
`;

Deno.test("a disk that fails refuses mail with 451 and raises an alarm, and mail goes on when it works again", async () => {
  const folder = await Deno.makeTempDir();
  const source = join(folder, "shim.c"), shim = join(folder, "shim.so"), faults = join(folder, "faults");
  await Deno.writeTextFile(source, SHIM);
  const missing = await lacks("cc", "-shared", "-fPIC", "-o", shim, source, "-ldl");
  if (missing !== null) {
    await Deno.remove(folder, { recursive: true });
    return console.warn(`Skipped: the disk that fails is made by a C compiler: ${missing}`);
  }
  // The other processes do not get the variables of the parent's.
  const daemon = await Daemon.start({
    program: ["env", `LD_PRELOAD=${shim}`, `FAULTS=${faults}`, SMTPD],
    twoUsers: false,
  });
  try {
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.net", "250");
    const send = async (to: string, code: string) => {
      await client.begin("a@example.net", `${to}@${DOMAIN}`);
      await client.write(new TextEncoder().encode("Subject: hello\r\n\r\nHello.\r\n.\r\n"));
      return await client.reply(code);
    };
    await send("bob", "250");
    await daemon.mailbox("bob").text();
    await Deno.writeTextFile(faults, "");
    assert.match(await send("carol", "4"), /^451 4\.3\.0 /);
    await daemon.logged(/^crit: queue: cannot write to the spool: disk I\/O error/);
    assert.match((await daemon.tool("smtpctl", ["show", "status"])).stdout, /^QUEUE disk failing: .*disk I\/O error$/m);
    await Deno.remove(faults);
    await send("dave", "250");
    assert.match(await daemon.mailbox("dave").text(), /^Subject: hello$/m);
    assert.match((await daemon.tool("smtpctl", ["show", "status"])).stdout, /^QUEUE disk failing: /m);
    client.close();
    assert.equal(await daemon.stop(), 0);
  } finally {
    await daemon.remove();
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("a torn database: the daemon repairs it, delivers what can be read, and logs what is set aside", async () => {
  const daemon = await Daemon.start({ args: ["-P", "mda"] });
  try {
    const client = await Client.connect(daemon.port);
    await client.say("EHLO client.example.net", "250");
    const count = 40;
    for (let i = 0; i < count; i++) {
      const text = `Subject: number ${i}\r\n\r\n${`${i} bottles\r\n`.repeat(200)}`;
      await client.send("a@example.net", `user${i}@${DOMAIN}`, text);
    }
    client.close();
    await daemon.stop();
    const path = join(daemon.env.SMTPD_SPOOL!, "queue.db");
    const found = new TextDecoder("latin1").decode(await Deno.readFile(path)).indexOf("17 bottles\n");
    using file = await Deno.open(path, { write: true });
    // The page in which a message lies among others.
    await file.seek(Math.floor(found / 16_384) * 16_384, Deno.SeekMode.Start);
    await file.write(new Uint8Array(16_384));
    await daemon.launch();
    await daemon.tool("smtpctl", ["resume", "mda"]);
    await daemon.logged(/^crit: queue: the database was damaged: .* the old file is kept as /);
    const damaged = (await daemon.tool("smtpctl", ["show", "damaged"])).stdout.trim().split("\n");
    assert.ok(damaged.length >= 1 && damaged.length < 10, damaged.join("\n"));
    assert.match(damaged[0]!, /^message [0-9a-f]{8}\|\d{4}-\d\d-\d\dT.*\|a part of its text is lost$/);
    assert.match((await daemon.tool("smtpctl", ["show", "status"])).stdout, /^QUEUE damaged: \d+ set aside, /m);
    await daemon.logged(/ mda delivery .* result=Ok /, 0, count - damaged.length);
    for (const line of damaged) {
      const { code } = await daemon.tool("smtpctl", ["remove", line.slice(8, 16)]);
      assert.equal(code, 0);
    }
    assert.equal((await daemon.tool("smtpctl", ["show", "damaged"])).stdout, "");
    assert.equal(await daemon.stop(), 0);
  } finally {
    await daemon.remove();
  }
});
