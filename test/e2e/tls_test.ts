/** TLS of the running daemon, seen with openssl: names and certificates, clients' certificates, resumption, and what breaks. */

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { SYSTEM_BUNDLES } from "../../src/daemon/files.ts";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, PROJECT, run, withDaemon } from "./harness.ts";
import { freePort } from "../ports.ts";

const stored = (file: string) => Deno.readTextFileSync(new URL(`../smtp/certificates/${file}`, import.meta.url));
const smtps = freePort(), verified = freePort(), starttls = freePort(), anyAuthority = freePort();
/** Without any authorities of the system the start is refused: see test/daemon/certificates_test.ts. */
const PUBLIC = SYSTEM_BUNDLES.some((path) => existsSync(path));
const VERIFIER =
  "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";

function config({ port, folder }: { port: number; folder: string }): string {
  for (const file of ["mx.pem", "mx.key", "other.pem", "other.key", "client.pem", "client.key", "authority.pem"]) {
    Deno.writeTextFileSync(`${folder}/${file}`, stored(file), { mode: 0o600 });
  }
  return `
pki "mx.example.org" cert "${folder}/mx.pem" key "${folder}/mx.key"
pki "other.example.net" cert "${folder}/other.pem" key "${folder}/other.key"
ca "clients" cert "${folder}/authority.pem"
table users { carol = "${VERIFIER}" }
listen on 127.0.0.1 port ${port}
listen on 127.0.0.1 port ${smtps} smtps pki "mx.example.org" pki "other.example.net" auth-optional <users>
listen on 127.0.0.1 port ${verified} smtps verify pki "mx.example.org" ca clients
${PUBLIC ? `listen on 127.0.0.1 port ${anyAuthority} tls-require verify pki "mx.example.org"` : ""}
listen on 127.0.0.1 port ${starttls} tls-require pki "mx.example.org"
match from any for domain "${DOMAIN}" reject
`;
}

/** What openssl prints of a connection on which EHLO and QUIT are said. */
async function client(port: number, ...options: string[]): Promise<string> {
  // What comes in ends only with the session: the daemon closes after QUIT.
  const args = ["s_client", "-connect", `127.0.0.1:${port}`, "-ign_eof", "-crlf", ...options];
  const { stdout, stderr } = await run("openssl", args, { input: "EHLO a.example\nquit\n" });
  return stdout + stderr;
}

const shown = (said: string) => /^subject=.*CN ?= ?(\S+)/m.exec(said)?.[1];

Deno.test("TLS of a running daemon", async (test) => {
  await withDaemon({ config }, async (daemon) => {
    const file = (name: string) => `${daemon.folder}/${name}`;
    for (
      const [name, want] of [
        ["mx.example.org", "mx.example.org"],
        ["other.example.net", "other.example.net"],
        ["a.wild.example", "other.example.net"],
        ["a.b.wild.example", "mx.example.org"],
        ["nowhere.example", "mx.example.org"],
      ] as const
    ) {
      await test.step(`who asks for ${name} is shown ${want}`, async () => {
        const said = await client(smtps, "-servername", name);
        assert.equal(shown(said), want);
        assert.match(said, /221 2\.0\.0/);
      });
    }
    await test.step("a listener with verify serves who has a certificate of its authority, and nobody else", async () => {
      const own = ["-cert", file("client.pem"), "-key", file("client.key")];
      const foreign = ["-cert", file("other.pem"), "-key", file("other.key")];
      assert.match(await client(verified, ...own), /221 2\.0\.0/);
      for (const options of [[], foreign]) {
        const said = await client(verified, ...options);
        assert.ok(!/^2\d\d/m.test(said), said);
      }
      await daemon.logged(/io-error: peer sent no certificates/);
    });
    await test.step({
      name: "verify without ca asks for a certificate of a public authority",
      ignore: !PUBLIC,
      fn: async () => {
        const options = ["-starttls", "smtp", "-cert", file("client.pem"), "-key", file("client.key")];
        const said = await client(anyAuthority, ...options);
        assert.equal(shown(said), "mx.example.org");
        assert.ok(!/^221/m.test(said), said);
      },
    });
    await test.step("a session without a certificate cannot be resumed where one is needed", async () => {
      const saved = file("session");
      assert.match(await client(smtps, "-sess_out", saved), /221 2\.0\.0/);
      assert.ok(!/^2\d\d/m.test(await client(verified, "-sess_in", saved)));
    });
    await test.step("a resumed session is offered no login that is bound to a certificate", async () => {
      const saved = file("session");
      assert.match(
        await client(smtps, "-sess_out", saved),
        /250-AUTH PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS\r?\n/,
      );
      const again = await client(smtps, "-sess_in", saved);
      assert.match(again, /^Reused, /m);
      assert.match(again, /250-AUTH PLAIN LOGIN SCRAM-SHA-256\r?\n/);
    });
    await test.step("TLS 1.1 is not spoken", async () => {
      const said = await client(smtps, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0");
      assert.ok(!/^2\d\d/m.test(said), said);
    });
    await test.step("a handshake that breaks ends its own session only", () => breakHandshakes(daemon));
  });
});

async function breakHandshakes(daemon: Daemon): Promise<void> {
  const other = await Client.connect(starttls);
  await other.say("EHLO a.example", "250");
  for (const junk of ["\x16\x03\x01\x00\x05hello", "GET / HTTP/1.0\r\n\r\n", "\x80\x2e\x01", "\0".repeat(300)]) {
    const from = daemon.log.length;
    const broken = await Client.connect(starttls);
    await broken.say("EHLO a.example", "250");
    await broken.say("STARTTLS", "220");
    await broken.write(Uint8Array.from(junk, (letter) => letter.charCodeAt(0)));
    await daemon.logged(/disconnected reason="io-error: [^"]*" address=127\.0\.0\.1$/, from);
    broken.close();
  }
  await other.say("MAIL FROM:<a@example.net>", "530");
  await other.say("NOOP", "250");
  other.close();
}

Deno.test("a key that others may read keeps the daemon from starting, one that its group may read does not", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = `${folder}/smtpd.conf`;
    await Deno.writeTextFile(file, config({ port: freePort(), folder }));
    const check = () =>
      run(fileURLToPath(new URL(`file://${PROJECT}/scripts/smtpd`)), ["-n", "--one-user", "-f", file]);
    for (
      const [name, mode, fault] of [
        ["mx.key", 0o640, null],
        ["mx.key", 0o644, /key .*mx\.key: mode 0644 is too open, use chmod 0600/],
        ["mx.key", 0o620, /key .*mx\.key: mode 0620 is too open/],
        ["mx.pem", 0o644, null],
        ["mx.pem", 0o666, /certificate .*mx\.pem: mode 0666 is too open, use chmod 0644/],
        ["authority.pem", 0o664, /CA file .*authority\.pem: mode 0664 is too open/],
      ] as const
    ) {
      await Deno.chmod(`${folder}/${name}`, mode);
      const { code, stderr } = await check();
      assert.equal(code, fault === null ? 0 : 1, stderr);
      if (fault !== null) assert.match(stderr, fault);
      await Deno.chmod(`${folder}/${name}`, 0o600);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
