/**
 * `smtpctl setup` from nothing to a mail that has arrived, in a network of its own: what it writes passes smtpd -n, the daemon starts with it at the ports
 * of mail, and takes no mail for others. And its script: what it may, and how it ends without input.
 */

import { deepEqual, equal, match } from "node:assert/strict";
import { join } from "node:path";
import { PROJECT, run, systemUsers } from "./harness.ts";

const ROOT = Deno.uid() === 0;
const SCRIPTS = join(PROJECT, "scripts");

async function withFolder(body: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
  try {
    await Deno.chmod(folder, 0o755);
    await body(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** A resolver whose name server does not answer, and is not waited for long. */
async function nobodyAnswers(folder: string): Promise<string> {
  const path = `${folder}/resolv.conf`;
  await Deno.writeTextFile(path, "nameserver [127.0.0.1]:9\noptions timeout:1 attempts:1\n");
  return path;
}

Deno.test({
  name: "smtpctl setup makes a mail host: files, records, a daemon that starts, and a mail that arrives",
  ignore: !ROOT,
  fn: () =>
    withFolder(async (folder) => {
      const [smtpd, smtpq] = systemUsers();
      await Deno.mkdir(`${folder}/mail`);
      await Deno.chown(`${folder}/mail`, 65534, 65534);
      const env = {
        SMTPD_SPOOL: `${folder}/spool`,
        SMTPD_SOCKET: `${folder}/smtpd.sock`,
        SMTPD_STATE: `${folder}/state`,
        SMTPD_MAIL: `${folder}/mail`,
        SMTPD_USER: smtpd,
        SMTPD_QUEUE_USER: smtpq,
        ASR_CONFIG: await nobodyAnswers(folder),
      };
      // A client of SMTP speaks to the new host in its own network.
      const script = `
ip link set lo up 2>/dev/null || ifconfig lo up
${SCRIPTS}/smtpctl setup --domain Bücher.example --hostname mail.bücher.example --reader nobody \\
  --mailbox mbox --address 192.0.2.25 --root ${folder}/host || exit
${SCRIPTS}/smtpd -n -f ${folder}/host/etc/vaultpost/smtpd.conf 2>&1
printf 'Subject: from elsewhere\\n\\nHello.\\n' | ${SCRIPTS}/smtp -s smtp+notls://127.0.0.1:25 -F me@example.net nobody@xn--bcher-kva.example 2>&1
echo status $?
${SCRIPTS}/smtpctl stop
`;
      const ran = await run("unshare", ["-n", "sh", "-c", script], { env });
      equal(ran.code, 0, ran.stdout + ran.stderr);
      match(ran.stdout, /^smtpd -n: configuration OK$/m);
      match(
        ran.stdout,
        /^smtpd is started\.\nThe test mail to postmaster@xn--bcher-kva\.example is in .*\/mail\/nobody\.$/m,
      );
      match(ran.stdout, /^configuration OK$/m);
      match(ran.stdout, /^status 0\ncommand succeeded$/m);
      const mail = await Deno.readTextFile(`${folder}/mail/nobody`);
      match(mail, /^Delivered-To: postmaster@xn--bcher-kva\.example$/m);
      match(mail, /^Subject: Mail arrives$/m);
    }),
});

Deno.test("scripts/smtpctl setup shows without writing, and ends with words at the end of the input", async () => {
  await withFolder(async (folder) => {
    const env = { ASR_CONFIG: await nobodyAnswers(await Deno.makeTempDir({ dir: folder })) };
    const setup = (...args: string[]) => run(join(SCRIPTS, "smtpctl"), ["setup", ...args], { env });
    const [shown, asked, refused] = await Promise.all([
      setup(
        "--dry-run",
        "--domain",
        "example.org",
        "--hostname",
        "mail.example.org",
        "--reader",
        "nobody",
        "--root",
        folder,
      ),
      setup("--root", `${folder}/two`),
      setup("--domain", "example.org", "--hostname", "192.0.2.1", "--reader", "nobody", "--root", folder),
    ]);
    deepEqual([shown.code, shown.stderr], [0, ""]);
    match(shown.stdout, /^example\.org\. +IN MX +10 mail\.example\.org\.$/m);
    deepEqual([asked.code, asked.stdout], [1, ""]);
    match(asked.stderr, /smtpctl: standard input ended at this question: answer it, or give the option --domain\n$/);
    equal(refused.code, 1);
    match(refused.stderr, /^smtpctl: "192\.0\.2\.1" is not the name of a host/);
    equal([...Deno.readDirSync(folder)].length, 1, "only that of the name server");
  });
});
