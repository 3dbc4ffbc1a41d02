/** Tables that a program answers for, in the real daemon: accepted, refused, failing, dying, updated. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, OWNER, PROJECT, run, withDaemon } from "./harness.ts";

const PROGRAM = join(PROJECT, "test/programs/libexec/table-scripted");

/** Copies the program to where its user may reach it. */
function install(folder: string): void {
  Deno.mkdirSync(join(folder, "libexec"));
  Deno.copyFileSync(PROGRAM, join(folder, "libexec/table-scripted"));
  Deno.chmodSync(join(folder, "libexec/table-scripted"), 0o755);
}

function config({ port, mail, folder }: { port: number; mail: string; folder: string }): string {
  install(folder);
  Deno.writeTextFileSync(join(folder, "people"), `alias bob@${DOMAIN} ${OWNER}\nalias a|b@${DOMAIN} ${OWNER}\n`);
  Deno.writeTextFileSync(join(folder, "domains"), `domain ${DOMAIN}\n`);
  return `
table people scripted:${folder}/people
table domains scripted:${folder}/domains
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN}
action "inbox" maildir "${mail}/%{rcpt.user}" virtual <people> user ${OWNER}
match from any for domain <domains> action "inbox"
`;
}

async function ready(daemon: Daemon): Promise<Client> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO client.example.com", "250");
  await client.say("MAIL FROM:<sender@example.com>", "250");
  return client;
}

Deno.test("mail goes where a table program says", async (test) => {
  await withDaemon({ config }, async (daemon) => {
    const client = await ready(daemon);
    const rcpt = (address: string, code: string) => client.say(`RCPT TO:<${address}>`, code);
    await daemon.logged(/^people: at your service$/);
    await test.step("a recipient that the program knows is accepted, others are not", async () => {
      await rcpt(`bob@${DOMAIN}`, "250");
      await rcpt(`a|b@${DOMAIN}`, "250");
      await rcpt(`eve@${DOMAIN}`, "550");
      await rcpt("bob@elsewhere.example", "550");
      await client.say("DATA", "354");
      await client.say("Subject: by program\r\n\r\nHello\r\n.", "250");
      assert.match(await daemon.mailbox("bob").text(), /by program/);
      await client.say("MAIL FROM:<sender@example.com>", "250");
    });
    await test.step("an error of the program is a temporary failure", async () => {
      await rcpt("bob@broken.example", "451");
      await rcpt(`broken@${DOMAIN}`, "451");
      assert.match(await daemon.logged(/the database is away/), /Table "domains"/);
    });
    for (const harm of ["die", "wrong-id", "garbage", "long"]) {
      await test.step(`a program that does "${harm}" is a temporary failure and is replaced`, async () => {
        const from = daemon.log.length;
        await rcpt(`${harm}@${DOMAIN}`, "451");
        await daemon.logged(/program of table "people" runs again/, from);
        await rcpt(`bob@${DOMAIN}`, "250");
      });
    }
    await test.step("smtpctl update table has the program read its data again, or says why not", async () => {
      await rcpt(`new@${DOMAIN}`, "550");
      Deno.writeTextFileSync(join(daemon.folder, "people"), `alias new@${DOMAIN} ${OWNER}\n`);
      assert.equal((await daemon.tool("smtpctl", ["update", "table", "people"])).code, 0);
      await rcpt(`new@${DOMAIN}`, "250");
      Deno.removeSync(join(daemon.folder, "people"));
      const failed = await daemon.tool("smtpctl", ["update", "table", "people"]);
      assert.notEqual(failed.code, 0);
      assert.match(failed.stdout + failed.stderr, /cannot read the file/);
      await rcpt(`new@${DOMAIN}`, "250");
    });
    client.close();
  });
});

/** Runs smtpd on a config in a folder with the program, to its end. */
async function smtpd(lines: string, ...options: string[]) {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
  try {
    await Deno.chmod(folder, 0o755);
    install(folder);
    Deno.writeTextFileSync(join(folder, "data"), "");
    Deno.writeTextFileSync(
      join(folder, "smtpd.conf"),
      `${lines.replaceAll("DATA", join(folder, "data"))}\nmatch reject\n`,
    );
    const env = {
      SMTPD_SPOOL: join(folder, "spool"),
      SMTPD_SOCKET: join(folder, "s.sock"),
      SMTPD_LIBEXEC: join(folder, "libexec"),
    };
    return await run(join(PROJECT, "scripts/smtpd"), [...options, "--one-user", "-f", join(folder, "smtpd.conf")], {
      env,
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("smtpd does not start when a table program ends before it has registered", async () => {
  const { code, stderr } = await smtpd("table early scripted:DATA", "-d");
  assert.equal(code, 1, stderr);
  assert.match(stderr, /table "early": .*table-scripted failed: it exited with status 3/);
});

Deno.test("smtpd -n -v prints that the filter isolate may start the program, and nothing else", async () => {
  const { code, stderr } = await smtpd("table t scripted:DATA", "-n", "-v");
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^ {2}filter +run=\S+\/libexec\/table-scripted$/m);
});

Deno.test("smtpd -n finds a table program that is not there", async () => {
  const { code, stderr } = await smtpd("table t ldpa:DATA", "-n");
  assert.equal(code, 1);
  assert.match(
    stderr,
    /smtpd\.conf:1: table <t>: no program for back-end "ldpa": table-ldpa is in none of \S+\/libexec, .*\/usr\/libexec\/opensmtpd/,
  );
});
