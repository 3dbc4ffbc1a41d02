/** Files of some users do not answer: mail of others, banners and smtpctl do not wait for them, and the daemon ends when it is asked to. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { Daemon, Mailbox } from "./harness.ts";
import { lease, mountDead } from "./hanging_files.ts";

/**
 * What others may have to wait, in milliseconds: the words of a banner, and a mail. Less than the daemon's own patience with files, so that who waited
 * for that would be late. On a machine that is so busy that a mail takes long with nothing hanging: that many times as long. Who is served before the
 * daemon has lost its patience has not waited for that, however long it took.
 */
const BANNER_MS = 2000, MAIL_MS = 5000, BANNER_TIMES = 5, MAIL_TIMES = 10;
const NAMES = ["dead", "leased", "filer", "bob"] as const;
const uidOf = (name: typeof NAMES[number]) => 47_100 + NAMES.indexOf(name);

Deno.test("who has hanging files keeps nobody else from his mail", { ignore: Deno.uid() !== 0 }, async (t) => {
  const boxes = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
  await Deno.chmod(boxes, 0o755);
  const config = ({ port, mail, folder }: { port: number; mail: string; folder: string }) => {
    for (const name of NAMES) {
      Deno.mkdirSync(`${folder}/${name}`);
      Deno.chownSync(`${folder}/${name}`, uidOf(name), uidOf(name));
    }
    Deno.chmodSync(mail, 0o777);
    const users = NAMES.map((name) => `${name} = "${uidOf(name)}:${uidOf(name)}:${folder}/${name}"`);
    return `table users { ${users.join(", ")} }
listen on 127.0.0.1 port ${port} hostname mx.example.org
action "box" mbox userbase <users>
action "dir" maildir "${mail}/%{user.username}" userbase <users>
match from any for rcpt-to "leased@example.org" action "box"
match from any for domain "example.org" action "dir"
`;
  };
  const daemon = await Daemon.start({ config, env: { SMTPD_MAIL: boxes } });
  let undo: (() => void) | null = null;
  try {
    const own = (path: string, name: typeof NAMES[number], content = "") => {
      Deno.writeTextFileSync(path, content, { mode: 0o600 });
      Deno.chownSync(path, uidOf(name), uidOf(name));
    };
    let mails = 0;
    /** The daemon serves somebody else: how long the banner, and all, took. */
    const serve = async (): Promise<[banner: number, all: number]> => {
      const began = performance.now();
      const client = await Client.connect(daemon.port);
      const banner = performance.now() - began;
      await client.say("EHLO client.example.com", "250");
      await client.send("a@example.com", "bob@example.org", `Subject: ${++mails}\r\n\r\nx\r\n`);
      await new Mailbox(join(daemon.mail, "bob")).arrived(mails);
      client.close();
      const { code, stderr } = await daemon.tool("smtpctl", ["show", "status"]);
      assert.equal(code, 0, stderr);
      return [banner, performance.now() - began];
    };
    // The first takes longer: it starts what the second finds.
    await serve();
    const [, usual] = await serve();
    const bannerMs = Math.max(BANNER_MS, BANNER_TIMES * usual), mailMs = Math.max(MAIL_MS, MAIL_TIMES * usual);
    const others = async (hanging: typeof NAMES[number]) => {
      const [banner, all] = await serve();
      const lost = `the files of uid ${uidOf(hanging)} do not answer`;
      if (!daemon.log.some((line) => line.includes(lost))) return;
      assert.ok(banner < bannerMs, `the banner came after ${banner} ms, of ${bannerMs}`);
      assert.ok(all < mailMs, `the mail came after ${all} ms, without hanging files after ${usual}`);
    };
    const sendTo = async (user: string) => {
      const client = await Client.connect(daemon.port);
      await client.say("EHLO client.example.com", "250");
      await client.send("a@example.com", `${user}@example.org`, "Subject: held up\r\n\r\nx\r\n");
      client.close();
    };

    await t.step("a mailbox with a lease", async () => {
      own(join(boxes, "leased"), "leased");
      const unlock = lease(join(boxes, "leased"));
      await sendTo("leased");
      await others("leased");
      unlock();
      await daemon.logged(/ mda delivery .*to=<leased@example\.org> .*result="?Ok"?/);
      assert.match(Deno.readTextFileSync(join(boxes, "leased")), /^From a@example\.com .*\nReturn-Path: /);
    });

    await t.step("a file of a .forward with a lease", async () => {
      const file = join(daemon.folder, "filer/box");
      own(file, "filer");
      own(join(daemon.folder, "filer/.forward"), "filer", `${file}\n`);
      const unlock = lease(file);
      await sendTo("filer");
      await others("filer");
      unlock();
      await daemon.logged(/ mda delivery .*to=<filer@example\.org> .*result="?Ok"?/);
      assert.match(Deno.readTextFileSync(file), /^From a@example\.com /);
    });

    await t.step("a home whose file server is dead", async () => {
      undo = mountDead(join(daemon.folder, "dead"));
      if (undo === null) return console.log("skipped: no file system can be mounted here");
      const held = await Client.connect(daemon.port);
      await held.say("EHLO client.example.com", "250");
      await held.say("MAIL FROM:<a@example.com>", "250");
      const answer = held.say("RCPT TO:<dead@example.org>", "451");
      await others("dead");
      await answer;
      // From now on that user's mail is put off at once.
      const began = performance.now();
      await held.say("RCPT TO:<dead@example.org>", "451");
      assert.ok(performance.now() - began < bannerMs);
      await daemon.logged(/^warn: forward: the files of uid 47100 do not answer/);
      await others("dead");
      held.close();
    });
    await t.step("the daemon ends though one of its threads stands still", async () => {
      const began = performance.now();
      assert.equal(await daemon.stop(), 0);
      assert.ok(performance.now() - began < mailMs);
    });
  } finally {
    await daemon.kill().catch(() => {});
    (undo as (() => void) | null)?.();
    await daemon.remove();
    await Deno.remove(boxes, { recursive: true });
  }
});
