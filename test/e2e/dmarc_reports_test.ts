/** `dmarc reports` in the real daemon: what is received on one day is reported on the next, to those who asked for it in the DNS. */

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { join } from "node:path";
import { DkimVerifier } from "../../src/mail_auth/dkim/mod.ts";
import { fakeDns, txt, type Zone } from "../dns/fake_dns.ts";
import { Client } from "./client.ts";
import { KeepingServer, type KeptMessage, latin1 } from "./kept_mail.ts";
import { type Daemon, DOMAIN, ownDaemon, OWNER, withDaemon } from "./harness.ts";

const LATE = ownDaemon("e2e/late_daemon.ts");

const ZONE: Zone = {
  "good.test": [txt("v=spf1 ip4:127.0.0.1 -all")],
  "_dmarc.good.test": [txt("v=DMARC1; p=reject; rua=mailto:rua@good.test,mailto:all@reports.test!1m")],
  "good.test._report._dmarc.reports.test": [txt("v=DMARC1")],
  "bad.test": [txt("v=spf1 -all")],
  // Another organisation that has not agreed.
  "_dmarc.bad.test": [txt("v=DMARC1; p=none; rua=mailto:victim@third.test")],
};

/** From noon to an hour after midnight, by when reports are sent; and a time that is later than when they are signed. */
const AHEAD_MS = 46_800_000, LATER_MS = 172_800_000;

async function send(daemon: Daemon, { from, rcpt, sender, reply }: {
  readonly from: string;
  readonly rcpt: string;
  readonly sender: string;
  readonly reply: RegExp;
}): Promise<void> {
  const client = await Client.connect(daemon.port);
  await client.say("EHLO good.test", "250");
  await client.begin(sender, rcpt);
  await client.write(
    new TextEncoder().encode(`From: A <a@${from}>\r\nTo: b@${DOMAIN}\r\nSubject: x\r\n\r\nThe body.\r\n`),
  );
  assert.match(await client.say(".", ""), reply);
  client.close();
}

/** The results of the signatures of a message, by a day on which it was made already, with the record of the one key. */
async function signedBy({ octets }: KeptMessage, record: string): Promise<string[][]> {
  const text = latin1(octets).replaceAll("\r\n", "\n"), end = text.indexOf("\n\n") + 1;
  const dns = { txt: () => Promise.resolve({ kind: "records", records: [record] } as const) };
  const verifier = new DkimVerifier({ now: Date.now() + LATER_MS, dns });
  verifier.header(new TextEncoder().encode(text.slice(0, end)));
  verifier.body(new TextEncoder().encode(text.slice(end + 1)));
  return (await verifier.finish()).map(({ result, domain }) => [result, domain]);
}

Deno.test("a day's mail is reported to its domain when the day is over, and smtpctl dmarc read reads it", async () => {
  const dns = await fakeDns(ZONE);
  const next = new KeepingServer();
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-dns-" });
  await Deno.chmod(folder, 0o755);
  await Deno.writeTextFile(
    join(folder, "resolv.conf"),
    `nameserver [127.0.0.1]:${dns.port}\noptions timeout:1 attempts:1\n`,
  );
  const key = generateKeyPairSync("ed25519");
  const pem = key.privateKey.export({ format: "pem", type: "pkcs8" }) as string;
  await Deno.writeTextFile(join(folder, "key.pem"), pem, { mode: 0o600 });
  const spki = key.publicKey.export({ format: "der", type: "spki" });
  const record = `v=DKIM1; k=ed25519; p=${spki.subarray(12).toString("base64")}`;
  const config = ({ port, mail }: { readonly port: number; readonly mail: string }) =>
    `filter "policy" phase commit match dmarc reject reject "550 5.7.1 Not authorised by the policy of its domain"
listen on 127.0.0.1 port ${port} hostname mx.${DOMAIN} mail-auth filter "policy"
dmarc reports from "reports@${DOMAIN}"
action "inbox" maildir "${mail}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
dkim "${DOMAIN}" selector "s" key "${folder}/key.pem"
action "out" relay host "smtp://127.0.0.1:${next.port}" dkim
match from any for domain "${DOMAIN}" action "inbox"
match from local for any action "out"
`;
  try {
    await withDaemon({ program: LATE, config, env: { ASR_CONFIG: join(folder, "resolv.conf") } }, async (daemon) => {
      const good = { from: "good.test", sender: "a@good.test", rcpt: `b@${DOMAIN}`, reply: /^250 / };
      await send(daemon, good);
      await send(daemon, good);
      await send(daemon, { ...good, sender: "a@bad.test", reply: /^550 5\.7\.1 Not authorised/ });
      await send(daemon, { ...good, from: "bad.test", sender: "a@bad.test" });
      // What comes for the reports' own address may be one about them.
      await send(daemon, { ...good, rcpt: `Reports@${DOMAIN}` });
      await Deno.writeTextFile(`${daemon.folder}/spool/ahead`, `${AHEAD_MS}`);
      await daemon.logged(/dmarc: the report about bad\.test of \S+ is not sent: nobody wants it by mail/);
      await daemon.logged(/dmarc: the report about good\.test of \S+ goes to <rua@good\.test>, <all@reports\.test>/);
      const kept = await next.take("all@reports.test");
      assert.equal(kept.from, `reports@${DOMAIN}`);
      assert.deepEqual(kept.to.toSorted(), ["all@reports.test", "rua@good.test"]);
      assert.deepEqual(next.left, []);
      // Whoever gets it believes it: RFC 9990 wants reports to pass DMARC themselves.
      assert.deepEqual(await signedBy(kept, record), [["pass", DOMAIN]]);
      await Deno.writeFile(`${daemon.folder}/report`, kept.octets);
      const read = await daemon.tool("smtpctl", ["dmarc", "read", `${daemon.folder}/report`]);
      const [head, , ...rows] = read.stdout.trim().split("\n").map((line) => line.replace(/ +/g, " "));
      const named = new RegExp(
        `^good\\.test: 3 messages on \\d{4}-\\d\\d-\\d\\d, policy reject, says ${DOMAIN} <reports@${DOMAIN}>$`,
      );
      assert.match(head!, named, read.stderr);
      assert.deepEqual(rows, ["127.0.0.1 3 0 2 1 0 1 good.test spf:good.test"]);
    });
  } finally {
    await dns.close();
    next.close();
    await Deno.remove(folder, { recursive: true });
  }
});
