/** SCRAM from outside: msmtp with GNU SASL, and by hand in Python with and without channel binding; tables that change; what the log says. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { type Daemon, DOMAIN, OWNER, run, withDaemon } from "./harness.ts";
import { freePort } from "../ports.ts";

const certificate = (file: string) => fileURLToPath(new URL(`../smtp/certificates/${file}`, import.meta.url));
const CRYPT = "$6$abcdefgh$Bk2D4uYVcw0FbFPsWa0iJZ1DNfy8v6OjKcRcuBfMkWD1KdADPVnmQf5cr0O8HfAYpq1XrrjdgIRINkwgSKJ8/1";

/** A SCRAM client of RFC 5802 in as few words as there are. Prints the last reply to each attempt. */
const CLIENT = `
import base64, hashlib, hmac, os, smtplib, ssl, sys
port, host = int(sys.argv[1]), sys.argv[2]
def b(data): return base64.b64encode(data).decode()
def mac(key, text): return hmac.new(key, text.encode(), "sha256").digest()
def attempt(what, mechanism, header, user, password, bind=False, cheat=None):
    context = ssl._create_unverified_context()
    client = smtplib.SMTP("127.0.0.1", port, timeout=30)
    client.ehlo("a.example")
    client._host = host
    client.starttls(context=context)
    client.ehlo("a.example")
    if what == "offers":
        print(client.esmtp_features["auth"].strip())
        return client.quit()
    data = hashlib.sha256(client.sock.getpeercert(True)).digest() if bind else b""
    if cheat is not None: data = cheat
    nonce = b(os.urandom(12))
    bare = "n=%s,r=%s" % (user, nonce)
    code, text = client.docmd("AUTH", "%s %s" % (mechanism, b((header + bare).encode())))
    if code != 334:
        print(what, code)
        return client.close()
    first = base64.b64decode(text).decode()
    parts = dict(part.split("=", 1) for part in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts["s"]), int(parts["i"]))
    key = mac(salted, "Client Key")
    final = "c=%s,r=%s" % (b(header.encode() + data), parts["r"])
    message = ",".join([bare, first, final])
    proof = bytes(x ^ y for x, y in zip(key, mac(hashlib.sha256(key).digest(), message)))
    code, text = client.docmd(b(("%s,p=%s" % (final, b(proof))).encode()))
    if code == 334:
        assert base64.b64decode(text).decode() == "v=" + b(mac(mac(salted, "Server Key"), message)), "the server proves itself"
        code, text = client.docmd("")
    print(what, code)
    client.close()
P = "p=tls-server-end-point,,"
S, PLUS = "SCRAM-SHA-256", "SCRAM-SHA-256-PLUS"
attempt("offers", "", "", "", "")
attempt("plain", S, "n,,", "carol", "sesame")
attempt("upper", S, "n,,", "Carol", "sesame")
attempt("wrong", S, "n,,", "carol", "Sesame")
attempt("stranger", S, "n,,", "mallory", "sesame")
attempt("bound", PLUS, P, "carol", "sesame", bind=True)
attempt("elsewhere", PLUS, P, "carol", "sesame", cheat=bytes(32))
attempt("downgraded", S, "y,,", "carol", "sesame")
attempt("malformed", S, "n,,m=1,", "carol", "sesame")
`;

Deno.test("a table of SCRAM verifiers: msmtp and Python log in, bound to the certificate or not; PLAIN still works", async () => {
  const submission = freePort();
  const folder = await Deno.makeTempDir();
  const key = `${folder}/mx.key`, other = `${folder}/other.key`, logins = `${folder}/logins`;
  await Deno.writeTextFile(key, Deno.readTextFileSync(certificate("mx.key")), { mode: 0o600 });
  await Deno.writeTextFile(other, Deno.readTextFileSync(certificate("other.key")), { mode: 0o600 });
  await Deno.writeTextFile(logins, "");
  const config = ({ port, mail }: { port: number; mail: string }) => `
pki "mx.example.org" cert "${certificate("mx.pem")}" key "${key}"
pki "other.example.net" cert "${certificate("other.pem")}" key "${other}"
table logins "${logins}"
listen on 127.0.0.1 port ${port}
listen on 127.0.0.1 port ${submission} tls-require pki "mx.example.org" pki "other.example.net" auth <logins>
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
match from auth for domain "${DOMAIN}" action "inbox"
match from any for any reject
`;
  try {
    await withDaemon({ config, args: ["-v", "-T", "all"] }, async (daemon) => {
      const made = await daemon.tool("smtpctl", ["encrypt", "--scram"], "sesame\n");
      const verifier = made.stdout.trim();
      await replaceTable(daemon, logins, `carol ${verifier}\ndora dora:${verifier}\n`);

      for (const host of ["mx.example.org", "other.example.net", "nowhere.example"]) {
        const python = await run("python3", ["-c", CLIENT, String(submission), host]);
        assert.deepEqual(python.stdout.trim().split("\n"), [
          "PLAIN LOGIN SCRAM-SHA-256 SCRAM-SHA-256-PLUS",
          "plain 235",
          "upper 235",
          "wrong 535",
          "stranger 535",
          "bound 235",
          "elsewhere 535",
          "downgraded 535",
          "malformed 501",
        ], python.stderr);
      }

      const msmtp = (user: string, password: string, method: string, to: string) =>
        run("msmtp", [
          ...["--host=127.0.0.1", `--port=${submission}`, "--tls=on", "--tls-starttls=on", "--tls-certcheck=off"],
          ...[`--auth=${method}`, `--user=${user}`, `--passwordeval=echo ${password}`],
          ...["--from=a@example.net", `${to}@${DOMAIN}`],
        ], { input: "Subject: hello\n\nhello\n" });
      for (const method of ["scram-sha-256", "plain", "login", "on"]) {
        const sent = await msmtp("dora", "sesame", method, method);
        assert.equal(sent.code, 0, `${method}: ${sent.stderr}`);
        await daemon.mailbox(method).arrived(1);
        assert.equal((await msmtp("dora", "open", method, "b")).code, 77, `${method} with a wrong password`);
      }

      // Whoever takes the strongest mechanism must not be locked out because his hash is another.
      await replaceTable(daemon, logins, `carol ${verifier}\neve ${CRYPT}\n`);
      const sent = await msmtp("eve", "sesame", "on", "eve");
      assert.equal(sent.code, 0, sent.stderr);
      assert.match((await msmtp("carol", "sesame", "scram-sha-256", "b")).stderr, /does not support/);

      const log = daemon.log.join("\n");
      assert.match(log, /smtp authentication user=carol result=ok$/m);
      assert.match(log, /smtp authentication user=mallory result=permfail$/m);
      assert.match(log, /command="AUTH SCRAM-SHA-256 \(\.\.\.\)"/);
      const [, , keys = ""] = verifier.split("$");
      const secrets = ["sesame", btoa("sesame"), btoa("\0carol\0sesame"), "SCRAM-SHA-256$", "$6$", ...keys.split(":")];
      for (const secret of secrets) assert.ok(!log.includes(secret), `${secret} is in the log`);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Sessions that begin from now on see the new content. */
async function replaceTable(daemon: Daemon, file: string, text: string): Promise<void> {
  await Deno.writeTextFile(file, text);
  const from = daemon.log.length;
  const { code, stdout } = await daemon.tool("smtpctl", ["update", "table", "logins"]);
  assert.equal(code, 0, stdout);
  await daemon.logged(/Table "logins" successfully updated/, from);
}
