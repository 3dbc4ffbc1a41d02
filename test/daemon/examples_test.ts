/** The configurations of conf/examples pass `smtpd -n` where the files, programs and interfaces that they name are there. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";

const SMTPD = fileURLToPath(new URL("../../scripts/smtpd", import.meta.url));
const EXAMPLES = new URL("../../conf/examples/", import.meta.url);

const DKIM_KEYS = new URL("../mail_auth/dkim/fixtures/", import.meta.url);
const CERTIFICATES = new URL("../smtp/certificates/", import.meta.url);

/** The text with its files in `folder`, where they are laid, a program that is everywhere, and addresses for its interfaces. */
function settled(text: string, folder: string): string {
  Deno.copyFileSync(new URL("mx.pem", CERTIFICATES), `${folder}/cert.pem`);
  Deno.copyFileSync(new URL("mx.key", CERTIFICATES), `${folder}/key.pem`);
  Deno.chmodSync(`${folder}/cert.pem`, 0o644);
  Deno.chmodSync(`${folder}/key.pem`, 0o600);
  for (const kind of ["rsa2048", "ed25519"]) {
    Deno.copyFileSync(new URL(`${kind}.pem`, DKIM_KEYS), `${folder}/${kind}.pem`);
    Deno.chmodSync(`${folder}/${kind}.pem`, 0o600);
  }
  Deno.writeTextFileSync(`${folder}/aliases`, "postmaster: root\nroot: nobody\n");
  Deno.writeTextFileSync(`${folder}/logins`, `alice $6$salt$${"x".repeat(86)}\n`, { mode: 0o600 });
  return text.replace(/"[^"]*(\.crt|fullchain\.pem)"/g, `"${folder}/cert.pem"`)
    .replace(/(?<=^dkim .*)key "[^"]*-ed25519\.pem"/gm, `key "${folder}/ed25519.pem"`)
    .replace(/(?<=^dkim .*)key "\/etc[^"]*"/gm, `key "${folder}/rsa2048.pem"`)
    .replace(/key "\/etc[^"]*"/g, `key "${folder}/key.pem"`)
    .replaceAll("/etc/aliases", `${folder}/aliases`).replaceAll("/etc/vaultpost/logins", `${folder}/logins`)
    .replace(/proc-exec "[^\s"]+/g, 'proc-exec "/bin/cat').replace(' \\\n\tgroup "ssl-cert"', "")
    .replace(/^listen on eth/gm, "listen on 192.0.2.");
}

for (const { name } of Deno.readDirSync(EXAMPLES)) {
  Deno.test(`conf/examples/${name} passes smtpd -n`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      const text = settled(await Deno.readTextFile(new URL(name, EXAMPLES)), folder);
      await Deno.writeTextFile(`${folder}/smtpd.conf`, text);
      const ran = await new Deno.Command(SMTPD, {
        args: ["-n", "--one-user", "-f", `${folder}/smtpd.conf`],
        env: { SMTPD_SPOOL: `${folder}/spool`, SMTPD_SOCKET: `${folder}/control.sock` },
        stderr: "piped",
      }).output();
      const said = new TextDecoder().decode(ran.stderr).trimEnd().split("\n");
      // Users such as vmail, the addresses of documentation and a full name are not those of every machine.
      const ofTheMachine =
        /there is no user|has no user|the certificate is for "mx\.example\.org"|everybody may read it|this server is called|: cannot listen on 192\.0\.2\.\d:\d+: this machine does not/;
      assert.deepEqual(said.filter((line) => !ofTheMachine.test(line)), ["configuration OK"]);
      assert.equal(ran.code, 0);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
