/** Listeners from outside: whose connection it is, who may send as whom, what the server is called where. */

import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { networkInterfaces } from "node:os";
import { fileURLToPath } from "node:url";
import { DOMAIN, OWNER, run, withDaemon, within } from "./harness.ts";
import { freePort } from "../ports.ts";

Deno.test("behind a proxy, rules, the log and the Received header have the client that swaks names", async () => {
  const proxied = freePort();
  const config = ({ port, mail }: { port: number; mail: string }) => `
smtp limit max-connections-per-minute 3
smtp trusted 203.0.113.7
listen on 127.0.0.1 port ${port}
listen on 127.0.0.1 port ${proxied} proxy-v2
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
match from src { "192.0.2.0/24", "2001:db8::/32" } for domain "${DOMAIN}" action "inbox"
`;
  await withDaemon({ config }, async (daemon) => {
    const swaks = (to: string, ...more: string[]) =>
      run("swaks", ["--server", `127.0.0.1:${proxied}`, "-f", "a@example.net", "-t", `${to}@${DOMAIN}`, ...more]);
    const proxy = (version: string, family: string, source: string) => {
      const to = source.includes(":") ? "2001:db8::9" : "203.0.113.9";
      const ports = ["--proxy-source-port", "4321", "--proxy-dest-port", "25"];
      return [
        "--proxy-version",
        version,
        "--proxy-family",
        family,
        "--proxy-source",
        source,
        "--proxy-dest",
        to,
        ...ports,
      ];
    };
    assert.equal((await swaks("one", ...proxy("1", "TCP4", "192.0.2.5"))).code, 0);
    assert.match(await daemon.mailbox("one").text(), /^Received: from \S+ \(\S+ \[192\.0\.2\.5\]\)$/m);
    await daemon.logged(/smtp connected address=192\.0\.2\.5 /);
    assert.equal((await swaks("two", ...proxy("2", "AF_INET6", "2001:db8::5"))).code, 0);
    assert.match(await daemon.mailbox("two").text(), /^Received: from \S+ \(\S+ \[2001:db8::5\]\)$/m);
    assert.notEqual((await swaks("three", ...proxy("1", "TCP4", "198.51.100.1"))).code, 0, "no rule is for it");
    assert.notEqual((await swaks("four", "--timeout", "1")).code, 0, "who came directly gets no reply");
    await daemon.logged(/smtp: proxy event=closed address=127\.0\.0\.1 reason=/);

    const codes = [];
    for (let count = 0; count < 4; count++) {
      codes.push((await swaks("five", "--quit-after", "banner", ...proxy("1", "TCP4", "192.0.2.66"))).code);
    }
    assert.deepEqual(codes.map((code) => code === 0), [true, true, true, false]);
    await daemon.logged(/smtp: 192\.0\.2\.66 is turned away: more than 3 connections in a minute$/);
    for (let count = 0; count < 5; count++) {
      const { code } = await swaks("six", "--quit-after", "banner", ...proxy("1", "TCP4", "203.0.113.7"));
      assert.equal(code, 0, "a trusted network");
    }
  });
});

const HASH = "$6$abcdefgh$Bk2D4uYVcw0FbFPsWa0iJZ1DNfy8v6OjKcRcuBfMkWD1KdADPVnmQf5cr0O8HfAYpq1XrrjdgIRINkwgSKJ8/1";

Deno.test("who has logged in with swaks sends as himself, whatever From says", async () => {
  const config = ({ port, mail }: { port: number; mail: string }) => `
table logins { carol = "${HASH}" }
table allowed { carol = "carol@example.org, @carol.example.org" }
listen on 127.0.0.1 port ${port} auth <logins> senders <allowed> masquerade
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
match from auth for domain "${DOMAIN}" action "inbox"
`;
  await withDaemon({ config }, async (daemon) => {
    const login = ["--auth", "PLAIN", "--auth-user", "carol", "--auth-password", "sesame"];
    const swaks = (from: string, to: string, ...more: string[]) => {
      const envelope = ["-f", from, "-t", `${to}@${DOMAIN}`];
      return run("swaks", ["--server", `127.0.0.1:${daemon.port}`, ...envelope, ...login, ...more]);
    };
    const boss = ["--data", "From: The Boss <boss@example.org>\\nSubject: x\\n\\nx\\n"];
    const refused = await swaks("boss@example.org", "a", ...boss);
    assert.match(refused.stdout, /^<\*\* 550 5\.7\.1 Sender rejected/m);
    await daemon.logged(/smtp failed-command command="MAIL FROM:<boss@example\.org>" result="550 5\.7\.1 /);
    assert.equal((await swaks("carol@example.org", "b", ...boss)).code, 0);
    assert.match(await daemon.mailbox("b").text(), /^From: The Boss <carol@example\.org>$/m);
    assert.equal((await swaks("x@carol.example.org", "c", "--data", "Subject: x\\n\\nx\\n")).code, 0);
    const bare = await daemon.mailbox("c").text();
    for (const field of [/^From: <x@carol\.example\.org>$/m, /^Date: /m, /^Message-ID: </m]) assert.match(bare, field);
  });
});

/** The first line that a server says. */
async function banner(host: string, port: number): Promise<string> {
  const socket = net.connect({ host, port });
  try {
    const [bytes] = await within(once(socket, "data"), `the banner of ${host} port ${port}`);
    return String(bytes).trimEnd();
  } finally {
    socket.destroy();
  }
}

Deno.test("listeners on interfaces, families, names of hosts and services; the banner is that of the address", async () => {
  const [onLo, onName, only4, wild] = [freePort(), freePort(), freePort(), freePort()];
  const v6 = networkInterfaces().lo?.some(({ address }) => address === "::1") ?? false;
  const config = ({ port }: { port: number }) => `
table names { 127.0.0.1 = a.example.org, "127.0.0.2" = b.example.org, "::1" = c.example.org }
listen on 127.0.0.1 port ${port} hostname plain.example.org tag T mask-src no-dsn
listen on lo port ${onLo} hostname lo.example.org hostnames <names>
listen on localhost port ${onName} hostname name.example.org inet4
listen on lo inet4 port ${only4} hostname four.example.org
listen on "0.0.0.0" port ${wild} hostname other.example.org hostnames <names>
match from any for any reject
`;
  await withDaemon({ config, args: ["-v"] }, async (daemon) => {
    assert.equal(await banner("127.0.0.1", daemon.port), "220 plain.example.org ESMTP Vaultpost");
    assert.equal(await banner("127.0.0.1", onLo), "220 a.example.org ESMTP Vaultpost");
    assert.equal(await banner("127.0.0.1", onName), "220 name.example.org ESMTP Vaultpost");
    assert.equal(await banner("127.0.0.1", only4), "220 four.example.org ESMTP Vaultpost");
    assert.equal(await banner("127.0.0.2", wild), "220 b.example.org ESMTP Vaultpost");
    assert.equal(await banner("127.0.0.3", wild), "220 other.example.org ESMTP Vaultpost");
    if (v6) assert.equal(await banner("::1", onLo), "220 c.example.org ESMTP Vaultpost");
    assert.ok(!daemon.log.some((line) => line.includes(`listening on ::1 port ${only4}`)));
    assert.equal(daemon.log.some((line) => line.includes(`listening on ::1 port ${onLo}`)), v6);
  });
});

const wrong = [
  { on: "nosuchthing0", want: /:1: "nosuchthing0" is no interface, address or known host name/ },
  { on: "127.0.0.1 inet6", want: /:1: "127\.0\.0\.1" has no IPv6 address to listen on; interfaces: / },
  {
    on: "192.0.2.222 port 2525",
    want: /cannot listen on 192\.0\.2\.222:2525: this machine does not have that address/,
  },
  { on: "lo port nosuchservice", want: /:1: invalid port: nosuchservice/ },
];
for (const { on, want } of wrong) {
  Deno.test(`smtpd does not start with: listen on ${on}`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${folder}/c`, `listen on ${on}\nmatch for any reject\n`);
      const env = { SMTPD_SPOOL: `${folder}/spool`, SMTPD_SOCKET: `${folder}/sock` };
      const smtpd = fileURLToPath(new URL("../../scripts/smtpd", import.meta.url));
      const { code, stderr } = await run(smtpd, ["-d", "--one-user", "-f", `${folder}/c`], { env });
      assert.equal(code, 1, stderr);
      assert.match(stderr, want);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}
