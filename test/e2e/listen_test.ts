/** Listeners from outside: whose connection it is behind a proxy. */

import assert from "node:assert/strict";
import { DOMAIN, freePort, OWNER, run, withDaemon } from "./harness.ts";

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
    assert.notEqual((await swaks("four", "--timeout", "5")).code, 0, "who came directly hears nothing");
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
