/** Filters and what proves who a client is: TLS, logins, masks, in the real daemon with a real client. */

import assert from "node:assert/strict";
import { ALL_PHASES, type FilterHarness, inbox, install, received } from "./filter_harness.ts";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, run, withDaemon } from "./harness.ts";
import { freePort } from "../ports.ts";

const CERTIFICATES = new URL("../smtp/certificates/", import.meta.url);
const SECRET = "sesame-sesame";

const [SIGNED, STRICT] = [freePort(), freePort()];

async function hash(): Promise<string> {
  const { stdout } = await run("openssl", ["passwd", "-6", "-salt", "salt", SECRET]);
  return stdout.trim();
}

/** Python's client: STARTTLS, AUTH by both mechanisms, a wrong password first. */
const CLIENT = `
import smtplib, ssl, sys
server = smtplib.SMTP("127.0.0.1", int(sys.argv[1]), local_hostname="client.example.com")
context = ssl._create_unverified_context()
server.ehlo(); server.starttls(context=context); server.ehlo()
server.user, server.password = "carol", "wrong-wrong"
try: server.auth("PLAIN", server.auth_plain); sys.exit(3)
except smtplib.SMTPAuthenticationError: pass
server.password = "${SECRET}"
server.auth("LOGIN", server.auth_login, initial_response_ok=False)
server.sendmail("carol@${DOMAIN}", ["bob@${DOMAIN}"], "Subject: x\\r\\n\\r\\nbody\\r\\n")
server.quit()
`;

Deno.test("filters are sent reports of TLS and logins, and reports hold no secret", async (test) => {
  const credentials = await hash();
  const chroot = Deno.uid() === 0 ? ' user nobody group nogroup chroot "/"' : "";
  const config = ({ port, mail, folder }: FilterHarness) => {
    for (const name of ["mx.pem", "mx.key"]) {
      Deno.copyFileSync(new URL(name, CERTIFICATES), `${folder}/${name}`);
      Deno.chmodSync(`${folder}/${name}`, 0o600);
    }
    const { all } = install(folder, { all: { register: ["report|smtp-in|*", ...ALL_PHASES], record: true } });
    return `table users { carol = "${credentials}" }
pki cert1 cert "${folder}/mx.pem" key "${folder}/mx.key"
filter all ${all}${chroot}
filter known phase mail-from match !auth <users> reject "550 5.7.1 Log in"
filter nobody phase auth match src "127.0.0.0/8" reject "535 5.7.8 Not from there"
listen on 127.0.0.1 port ${port}
listen on 127.0.0.1 port ${SIGNED} tls pki cert1 auth-optional <users> filter { all, known }
listen on 127.0.0.1 port ${STRICT} auth-optional <users> filter nobody
${inbox(mail)}`;
  };
  await withDaemon({ config }, async (daemon: Daemon) => {
    await test.step("a client that logs in is let through, and its password is in the phase auth only", async () => {
      const { code, stderr } = await run("python3", ["-c", CLIENT, String(SIGNED)]);
      assert.equal(code, 0, stderr);
      await daemon.mailbox("bob").message();
      const lines = await received(daemon, "all", /link-disconnect/);
      const find = (pattern: RegExp) => lines.findIndex((line) => pattern.test(line));
      const order = [
        /^filter\|.*\|starttls\|/,
        /filter-response\|\w+\|tls\|proceed$/,
        /link-tls\|\w+\|TLSv1\.3:\w+:\d+$/,
        /protocol-client\|\w+\|AUTH PLAIN \*+$/i,
        /^filter\|.*\|auth\|\w+\|\w+\|PLAIN \S+$/,
        /link-auth\|\w+\|fail\|carol$/,
        /protocol-client\|\w+\|AUTH LOGIN$/i,
        /protocol-client\|\w+\|\*{8}$/,
        /link-auth\|\w+\|pass\|carol$/,
        /^filter\|.*\|mail-from\|/,
      ].map(find);
      assert.ok(order.every((place, at) => place >= 0 && (at === 0 || place > order[at - 1]!)), `${order}`);
      const reports = lines.filter((line) => line.startsWith("report|")).join("\n");
      for (const word of [SECRET, "wrong-wrong"]) {
        for (const text of [word, btoa(word), btoa(`\0carol\0${word}`)]) assert.ok(!reports.includes(text), text);
      }
    });
    await test.step("a client that has not logged in is turned away by a table of credentials", async () => {
      const client = await Client.connect(SIGNED!);
      await client.say("EHLO client.example.com", "250");
      await client.say("MAIL FROM:<a@example.com>", "550 5.7.1 Log in");
      client.close();
    });
    await test.step("a built-in filter refuses AUTH before the password is looked at", async () => {
      const client = await Client.connect(STRICT!);
      await client.say("EHLO client.example.com", "250");
      await client.say(`AUTH PLAIN ${btoa(`\0carol\0${SECRET}`)}`, "535 5.7.8 Not from there");
      await client.say("NOOP", "250");
      client.close();
    });
  });
});
