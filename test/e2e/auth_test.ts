/** Logins from outside: Python's smtplib and swaks against the daemon, what they may do then, and what the log says. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { Client } from "./client.ts";
import { DOMAIN, ownDaemon, OWNER, run, withDaemon } from "./harness.ts";
import { freePort } from "../ports.ts";

const HASH = "$6$abcdefgh$Bk2D4uYVcw0FbFPsWa0iJZ1DNfy8v6OjKcRcuBfMkWD1KdADPVnmQf5cr0O8HfAYpq1XrrjdgIRINkwgSKJ8/1";
const YESCRYPT = "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$2XG8TbeFGEUHepjXSRRwTEN/pknneEfp/PquC6DSDN4";
const certificate = (file: string) => fileURLToPath(new URL(`../smtp/certificates/${file}`, import.meta.url));

const CLIENT = `
import base64, smtplib, ssl, sys
host, port = "127.0.0.1", int(sys.argv[1])
context = ssl._create_unverified_context()
def connect():
    client = smtplib.SMTP(host, port, timeout=30)
    client.starttls(context=context)
    client.ehlo("a.example")
    return client
def attempt(user, password, method):
    client = connect()
    try:
        client.user, client.password = user, password
        code, text = client.auth(method, getattr(client, "auth_" + method.lower()))
        print(method, user, code)
    except smtplib.SMTPAuthenticationError as error:
        print(method, user, error.smtp_code)
    client.quit()
for method in ["PLAIN", "LOGIN"]:
    attempt("Carol", "sesame", method)
    attempt("yves", "sesame", method)
    attempt("carol", "open", method)
    attempt("nobody", "sesame", method)
client = connect()
print(*client.docmd("AUTH", "LOGIN"))
print(*client.docmd("*"))
try:
    client.sendmail("a@example.net", ["b@${DOMAIN}"], "Subject: no\\r\\n\\r\\n")
except smtplib.SMTPSenderRefused as error:
    print(error.smtp_code)
client.login("carol", "sesame")
client.sendmail("a@example.net", ["b@${DOMAIN}"], "Subject: yes\\r\\n\\r\\n")
client.quit()
`;

Deno.test("smtplib and swaks log in, and only who has may send", async () => {
  const submission = freePort();
  const folder = await Deno.makeTempDir();
  // A key that others may read is refused.
  const key = `${folder}/mx.key`;
  await Deno.writeTextFile(key, Deno.readTextFileSync(certificate("mx.key")), { mode: 0o600 });
  const config = ({ port, mail }: { port: number; mail: string }) => `
pki "mx.example.org" cert "${certificate("mx.pem")}" key "${key}"
table logins { carol = "${HASH}", yves = "yves:${YESCRYPT}" }
listen on 127.0.0.1 port ${port} auth-optional <logins>
listen on 127.0.0.1 port ${submission} tls-require pki "mx.example.org" auth <logins> received-auth
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
match from any auth { carol } for domain "${DOMAIN}" action "inbox"
match from any for any reject
`;
  try {
    await withDaemon({ config, args: ["-v", "-T", "all"] }, async (daemon) => {
      const python = await run("python3", ["-c", CLIENT, String(submission)]);
      assert.deepEqual(python.stdout.trim().split("\n"), [
        ...["PLAIN", "LOGIN"].flatMap((method) => [
          `${method} Carol 235`,
          `${method} yves 235`,
          `${method} carol 535`,
          `${method} nobody 535`,
        ]),
        "334 b'VXNlcm5hbWU6'",
        "501 b'5.5.2 Syntax error: Authentication cancelled'",
        "530",
      ], python.stderr);
      const text = await daemon.mailbox("b").text();
      assert.match(text, /with ESMTPSA id [0-9a-f]{8} \(TLS[^)]*\) auth=yes user=carol\n/);

      const swaks = (...more: string[]) =>
        run("swaks", ["--server", "127.0.0.1", "--port", String(daemon.port), "-f", "a@example.net", ...more]);
      const login = ["--auth", "PLAIN", "--auth-user", "carol", "--auth-password"];
      assert.equal((await swaks("-t", `c@${DOMAIN}`)).code, 24, "no recipient is taken without a login");
      assert.equal((await swaks("-t", `c@${DOMAIN}`, ...login, "open")).code, 28, "a wrong password");
      const sent = await swaks("-t", `c@${DOMAIN}`, ...login, "sesame");
      assert.equal(sent.code, 0, sent.stdout);
      await daemon.mailbox("c").arrived(1);

      await misspeak(daemon.port);
      const log = daemon.log.join("\n");
      assert.match(log, /smtp authentication user=carol result=ok$/m);
      assert.match(log, /smtp authentication user=nobody result=permfail$/m);
      const secrets = ["sesame", btoa("sesame"), btoa("\0carol\0sesame"), "$6$", "$y$"];
      for (const secret of secrets) assert.ok(!log.includes(secret), `${secret} is in the log`);
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

/** Says AUTH in many wrong ways, the password in each. */
async function misspeak(port: number): Promise<void> {
  const secret = btoa("sesame"), all = btoa("\0carol\0sesame");
  const dialogues: readonly (readonly [line: string, code: string])[][] = [
    [[`AUTH PLAIN ${all}`, "503"], [all, "500"]],
    [["EHLO a.example", "250"], [`AUTH PLAIN ${all} ${all}`, "501"], [`AUTH PLAIN sesame`, "501"], ["sesame", "500"]],
    [["EHLO a.example", "250"], [`AUTH CRAM-MD5 ${secret}`, "504"], [secret, "500"]],
    [["EHLO a.example", "250"], ["AUTH LOGIN", "334"], ["sesame!", "501"], [secret, "500"], ["sesame", "500"]],
    [["EHLO a.example", "250"], ["AUTH LOGIN", "334"], [btoa("carol"), "334"], [`${secret}=`, "501"], [secret, "500"]],
    [["EHLO a.example", "250"], [`AUTH SCRAM-SHA-256 ${all}`, "504"], [all, "500"]],
    [["EHLO a.example", "250"], [`AUTHPLAIN ${all} ${all}`, "500"], [`auth\tPLAIN ${all}`, "501"]],
    [["EHLO a.example", "250"], ["MAIL FROM:<a@example.net>", "250"], ["AUTH LOGIN", "503"], [secret, "500"]],
  ];
  for (const dialogue of dialogues) {
    const client = await Client.connect(port);
    for (const [line, code] of dialogue) await client.say(line, code);
    client.close();
  }
}

Deno.test("AUTH in clear where others can listen is refused by the check", async () => {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, `listen on "0.0.0.0" auth { a = b }\nmatch for any reject\n`);
  try {
    const smtpd = fileURLToPath(new URL("../../scripts/smtpd", import.meta.url));
    const { code, stderr } = await run(smtpd, ["-n", "--one-user", "-f", file]);
    assert.equal(code, 1);
    assert.match(stderr, /:1: "auth" needs one of "tls", "tls-require" and "smtps"/);
  } finally {
    await Deno.remove(file);
  }
});

const GATE = `#!/bin/sh
while read -r line; do [ "$line" = "config|ready" ] && break; done
echo "register|auth"
echo "register|ready"
while IFS='|' read -r word version time table op service id key; do
  case "$op $service $key" in
    "check auth carol:Se|Same") echo "check-result|$id|found" ;;
    "check auth away:"*) echo "check-result|$id|error|the directory is away" ;;
    "check auth "*) echo "check-result|$id|not-found" ;;
    *) echo "$op-result|$id|error|not asked for" ;;
  esac
done
`;

Deno.test("the service auth of a table program decides who logs in", async () => {
  const submission = freePort();
  const config = ({ port, mail, folder }: { port: number; mail: string; folder: string }) => {
    Deno.mkdirSync(`${folder}/libexec`);
    Deno.writeTextFileSync(`${folder}/libexec/table-gate`, GATE, { mode: 0o755 });
    return `
table gate gate
listen on 127.0.0.1 port ${port}
listen on 127.0.0.1 port ${submission} auth <gate>
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
match from auth for any action "inbox"
`;
  };
  await withDaemon({ config, args: ["-v", "-T", "all"] }, async (daemon) => {
    const curl = (user: string, options: string) =>
      run("curl", [
        ...["-sS", "--url", `smtp://127.0.0.1:${submission}/a.example`, "--user", user, "--login-options", options],
        ...["--mail-from", "a@example.net", "--mail-rcpt", `b@${DOMAIN}`, "--upload-file", "-"],
      ], { input: "Subject: hello\r\n\r\nhello\r\n" });
    for (const method of ["AUTH=PLAIN", "AUTH=LOGIN"]) {
      assert.equal((await curl("Carol:Se|Same", method)).code, 0);
      assert.equal((await curl("carol:se|same", method)).code, 67, "another case is another password");
      assert.match((await curl("away:x", method)).stderr, /454|67/);
    }
    await daemon.mailbox("b").arrived(2);
    const log = daemon.log.join("\n");
    assert.match(log, /tables: gate: check auth "carol" -> found/i);
    assert.match(log, /smtp authentication user=Carol result=ok/);
    assert.match(log, /smtp authentication user=away result=tempfail/);
    for (const secret of ["Se|Same", "se|same", btoa("Se|Same"), btoa("\0Carol\0Se|Same")]) {
      assert.ok(!log.includes(secret), `${secret} is in the log`);
    }
  });
});

const SYSTEM_CLIENT = `
import smtplib, sys
for user, password in [("carol", "sesame"), ("yves", "sesame"), ("carol", "Sesame"), ("locked", "sesame"), ("never", "*"),
                       ("expired", "sesame"), ("root", "sesame"), ("nobody", "")]:
    client = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), timeout=30)
    client.ehlo("a.example")
    try:
        client.user, client.password = user, password or "x"
        print(client.esmtp_features["auth"].strip(), user, client.auth("PLAIN", client.auth_plain)[0])
    except smtplib.SMTPAuthenticationError as error:
        print(user, error.smtp_code)
    client.close()
`;

Deno.test({
  name: "accounts of the system log in by their password, as a made-up shadow file has it",
  ignore: Deno.build.os !== "linux",
  async fn() {
    const submission = freePort();
    const shadow = await Deno.makeTempFile();
    await Deno.writeTextFile(
      shadow,
      [
        `carol:${HASH}:19000:0:99999:7:::`,
        `yves:${YESCRYPT}:19000:0:99999:7:::`,
        `locked:!${HASH}:19000:0:99999:7:::`,
        "never:*:19000:0:99999:7:::",
        `expired:${HASH}:19000:0:99999:7::19001:`,
        "",
      ].join("\n"),
    );
    const program = ownDaemon("e2e/shadow_daemon.ts", shadow);
    const config = () => `listen on 127.0.0.1 port ${submission} auth\nmatch from any for any reject\n`;
    try {
      await withDaemon({ program, config }, async (daemon) => {
        const python = await run("python3", ["-c", SYSTEM_CLIENT, String(submission)]);
        assert.deepEqual(python.stdout.trim().split("\n"), [
          "PLAIN LOGIN carol 235",
          "PLAIN LOGIN yves 235",
          "carol 535",
          "locked 535",
          "never 535",
          "expired 535",
          "root 535",
          "nobody 535",
        ], python.stderr);
        const log = daemon.log.join("\n");
        assert.match(log, /smtp authentication user=yves result=ok/);
        for (const secret of ["sesame", btoa("\0carol\0sesame"), "$6$", "$y$"]) {
          assert.ok(!log.includes(secret), `${secret} is in the log`);
        }
      });
    } finally {
      await Deno.remove(shadow);
    }
  },
});
