/** `listen on … mail-auth` in the real daemon, with a name server of the test: what is found, where it stands, and what filters make of it. */

import assert from "node:assert/strict";
import { join } from "node:path";
import { a, fakeDns, txt, type Zone } from "../dns/fake_dns.ts";
import { sealedBy, signedBy, testKey } from "../mail_auth/simple_signer.ts";
import { freePort } from "../ports.ts";
import { Client } from "./client.ts";
import { type Daemon, DOMAIN, OWNER, withDaemon } from "./harness.ts";

const GOOD = testKey("good.test", "rsa"), QUARANTINE = testKey("quarantine.test"), LIST = testKey("list.test");
const MX = `mx.${DOMAIN}`;

const ZONE: Zone = {
  "good.test": [txt("v=spf1 ip4:127.0.0.1 -all")],
  "s._domainkey.good.test": [txt(GOOD.record.slice(0, 200), GOOD.record.slice(200))],
  "_dmarc.good.test": [txt("v=DMARC1; p=reject")],
  "quarantine.test": [txt("v=spf1 -all")],
  "s._domainkey.quarantine.test": [txt(QUARANTINE.record)],
  "_dmarc.quarantine.test": [txt("v=DMARC1; p=quarantine")],
  "list.test": [txt("v=spf1 ip4:127.0.0.1 -all")],
  "s._domainkey.list.test": [txt(LIST.record)],
  "soft.test": [txt("v=spf1 ~all")],
  "slow.test": "SERVFAIL",
  "_dmarc.slow.test": "SERVFAIL",
  "nothing.test": [a("127.0.0.1")],
};

const mail = (from: string, more = "") =>
  `From: A <a@${from}>\r\nTo: b@${DOMAIN}\r\nSubject: checked\r\n${more}\r\nThe body.\r\n`;

/** A message for a user of its own, the reply to it, and what its results begin with. */
interface Case {
  readonly what: string;
  readonly sender: string;
  readonly message: string;
  readonly reply?: RegExp;
  /** Of Authentication-Results, one after the other. */
  readonly results?: readonly RegExp[];
  readonly log: string;
  readonly junk?: true;
}

const CASES: readonly Case[] = [
  {
    what: "SPF and DKIM pass, and so does DMARC",
    sender: "a@good.test",
    message: signedBy(GOOD, mail("good.test")),
    results: [
      /spf=pass smtp\.mailfrom=good\.test;\s+spf=pass smtp\.helo=good\.test/,
      /dkim=pass \(2048-bit key\) header\.d=good\.test/,
      /arc=none/,
      /dmarc=pass/,
    ],
    log: "spf=pass dkim=pass arc=none dmarc=pass",
  },
  {
    what: "a changed body fails DKIM, and SPF of another domain does not help",
    sender: "a@list.test",
    message: signedBy(GOOD, mail("good.test")).replace("The body", "Another body"),
    reply: /^550 5\.7\.1 Not authorised by the policy of its domain/,
    log: "spf=pass dkim=fail arc=none dmarc=fail policy=reject",
  },
  {
    what: "a message without a signature fails for a domain that asks for quarantine",
    sender: "a@list.test",
    message: mail("quarantine.test"),
    results: [/spf=pass/, /dkim=none/, /dmarc=fail \(.*\) header\.from=quarantine\.test policy\.dmarc=quarantine/],
    log: "spf=pass dkim=none arc=none dmarc=fail policy=quarantine",
    junk: true,
  },
  {
    what: "a message that fails passes with the seal of a trusted list",
    sender: "a@list.test",
    message: sealedBy(LIST, mail("good.test"), "list.test; dmarc=pass header.from=good.test"),
    results: [/arc=pass \(i=1; sealed by list\.test\)/, /dmarc=pass \(by the ARC seals of trusted hosts\)/],
    log: "spf=pass dkim=none arc=pass dmarc=pass",
  },
  {
    what: "and with the seal of another it does not",
    sender: "a@list.test",
    message: sealedBy(QUARANTINE, mail("good.test"), "quarantine.test; dmarc=pass"),
    reply: /^550 5\.7\.1/,
    log: "spf=pass dkim=none arc=pass dmarc=fail policy=reject",
  },
  {
    what: "name servers that fail are a temporary error of the results, and no failure",
    sender: "a@slow.test",
    message: mail("slow.test"),
    results: [/spf=temperror/, /dkim=none/, /dmarc=temperror/],
    log: "spf=temperror dkim=none arc=none dmarc=temperror",
  },
  {
    what: "a domain without any record",
    sender: "a@nothing.test",
    message: mail("nothing.test"),
    results: [/spf=none/, /dkim=none/, /arc=none/, /dmarc=none/],
    log: "spf=none dkim=none arc=none dmarc=none",
  },
  {
    what: "the null sender: SPF is of the name in EHLO",
    sender: "",
    message: mail("nothing.test"),
    results: [/spf=pass smtp\.helo=good\.test/],
    log: "spf=pass dkim=none arc=none dmarc=none",
  },
  {
    what: "two From fields pass nothing",
    sender: "a@good.test",
    message: signedBy(GOOD, mail("good.test", "From: c@elsewhere.test\r\n")),
    results: [/dmarc=permerror/],
    log: "spf=pass dkim=pass arc=none dmarc=permerror",
  },
  {
    what: "a filter that matches a table of results",
    sender: "a@soft.test",
    message: mail("soft.test"),
    reply: /^550 5\.7\.23 No soft ones/,
    log: "spf=softfail dkim=none arc=none dmarc=none",
  },
];

interface Ports {
  readonly checked: number;
  readonly users: number;
  readonly open: number;
}

function config(mailFolder: string, port: number, { users, open }: Ports): string {
  return `table soft { softfail }
table sealers { "list.test", "other.test" }
table users { "carol" = "$2b$04$x1Q9r0Fq1q2J0vM8x5Vfde0m3Wc9C5sE6b2rT8e1rJb1ZkQ0f0b1S" }
filter "policy" phase commit match dmarc reject reject "550 5.7.1 Not authorised by the policy of its domain"
filter "quarantine" phase commit match dmarc quarantine junk
filter "soft" phase commit match spf <soft> reject "550 5.7.23 No soft ones"
listen on socket
listen on 127.0.0.1 port ${port} hostname ${MX} mail-auth trust <sealers> filter { "policy", "quarantine", "soft" }
listen on 127.0.0.1 port ${users} hostname ${MX} mail-auth tag RULES
listen on 127.0.0.1 port ${open} hostname ${MX}
action "inbox" maildir "${mailFolder}/%{rcpt.user}" virtual { "@" = ${OWNER} } user ${OWNER}
action "rules" maildir "${mailFolder}/%{rcpt.user}-quarantined" virtual { "@" = ${OWNER} } user ${OWNER}
match from any tag RULES for domain "${DOMAIN}" mail-auth "dmarc=quarantine" action "rules"
match from any tag RULES for rcpt-to "pay@${DOMAIN}" ! mail-auth { "dmarc=pass" } reject
match from any tag RULES for rcpt-to "only@other.test" mail-auth "dmarc=pass" action "inbox"
match from any for domain "${DOMAIN}" action "inbox"
`;
}

/** The results of a delivered message, unfolded. */
function resultsOf(text: string): string[] {
  const header = text.slice(0, text.indexOf("\n\n") + 1);
  return [...header.matchAll(/^Authentication-Results:((?:.*\n)(?:[ \t].*\n)*)/gm)].map(([, value]) =>
    value!.replace(/\s+/g, " ").trim()
  );
}

async function session(port: number): Promise<Client> {
  const client = await Client.connect(port);
  await client.say("EHLO good.test", "250");
  return client;
}

async function give(client: Client, { sender, message }: Case, rcpt: string): Promise<string> {
  await client.begin(sender, rcpt);
  await client.write(new TextEncoder().encode(message));
  return await client.say(".", "");
}

Deno.test("mail-auth: what is found out about a message, and what becomes of it", async (test) => {
  const dns = await fakeDns(ZONE);
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-dns-" });
  await Deno.chmod(folder, 0o755);
  await Deno.writeTextFile(
    join(folder, "resolv.conf"),
    `nameserver [127.0.0.1]:${dns.port}\noptions timeout:1 attempts:1\n`,
  );
  const ports = { checked: 0, users: freePort(), open: freePort() };
  try {
    await withDaemon({
      config: ({ port, mail }) => config(mail, port, ports),
      env: { ASR_CONFIG: join(folder, "resolv.conf") },
    }, async (daemon) => {
      for (const [at, one] of CASES.entries()) await test.step(one.what, () => check(daemon, one, `u${at}`));
      await test.step("results of others that bear our name are removed, and no others", () => forged(daemon));
      await test.step("a large message has its results in front, too", () => large(daemon));
      await test.step("rules with mail-auth decide at the end of the message", () => rules(daemon, ports.users));
      await test.step("a listener without mail-auth checks nothing, and the local socket neither", async () => {
        const client = await session(ports.open);
        await client.send("a@good.test", `open@${DOMAIN}`, mail("good.test"));
        client.close();
        assert.deepEqual(resultsOf(await daemon.mailbox("open").text()), []);
        await daemon.tool("sendmail", [`local@${DOMAIN}`], "Subject: x\n\nx\n");
        assert.deepEqual(resultsOf(await daemon.mailbox("local").text()), []);
      });
      await test.step("smtpctl show envelope and show stats have the results", async () => {
        await daemon.tool("smtpctl", ["pause", "mda"]);
        const client = await session(ports.users);
        const reply = await client.send("a@good.test", `held@${DOMAIN}`, signedBy(GOOD, mail("good.test")));
        client.close();
        const id = / ([0-9a-f]{8}) /.exec(reply)![1]!;
        const listed = (await daemon.tool("smtpctl", ["show", "queue", id])).stdout;
        const shown = await daemon.tool("smtpctl", ["show", "envelope", listed.slice(0, 16)]);
        assert.match(shown.stdout, /^mail-auth: spf=pass dkim=pass arc=none dmarc=pass$/m);
        const stats = (await daemon.tool("smtpctl", ["show", "stats"])).stdout;
        assert.match(stats, /^smtp\.dmarc\.fail=4$/m);
        assert.match(stats, /^smtp\.spf\.softfail=1$/m);
        assert.match(stats, /^smtp\.arc\.pass=2$/m);
        await daemon.tool("smtpctl", ["resume", "mda"]);
        await daemon.mailbox("held").arrived(1);
      });
    });
  } finally {
    await dns.close();
    await Deno.remove(folder, { recursive: true });
  }
});

async function check(daemon: Daemon, one: Case, user: string): Promise<void> {
  const from = daemon.log.length;
  const client = await session(daemon.port);
  const reply = await give(client, one, `${user}@${DOMAIN}`);
  await client.say("QUIT", "221");
  client.close();
  assert.match(reply, one.reply ?? /^250 /);
  const line = await daemon.logged(/ smtp (?:message|failed-command) /, from);
  assert.ok(line.endsWith(` ${one.log}`), line);
  if (one.reply !== undefined) return assert.deepEqual(daemon.mailbox(user).names(), []);
  const text = await daemon.mailbox(user).text();
  const [results, ...others] = resultsOf(text);
  assert.deepEqual(others, []);
  assert.ok(results!.startsWith(`${MX};`), results);
  for (const wanted of one.results ?? []) assert.match(results!, wanted);
  assert.equal(/^X-Spam: Yes$/m.test(text), one.junk === true);
  assert.match(text, /^Return-Path: .*\nDelivered-To: .*\nAuthentication-Results: [^]*\nReceived: [^]*\nFrom: A </);
}

async function forged(daemon: Daemon): Promise<void> {
  const ours = [
    `Authentication-Results: ${MX}; dmarc=pass`,
    `AUTHENTICATION-results : (x) ${MX.toUpperCase()} 1;\r\n\tspf=pass`,
    `Authentication-Results: "${MX}";\r\n dkim=pass;\r\n dmarc=pass`,
  ];
  const others = ["Authentication-Results: other.example; spf=fail", `X-Authentication-Results: ${MX}; spf=pass`];
  const message = mail("nothing.test", [...ours, ...others].map((field) => `${field}\r\n`).join(""));
  const client = await session(daemon.port);
  await client.send("a@nothing.test", `forged@${DOMAIN}`, message);
  await client.send("a@nothing.test", `hidden@${DOMAIN}`, `Subject: x\r\nno field\r\n${ours[0]}\r\n\r\nbody\r\n`);
  client.close();
  const text = await daemon.mailbox("forged").text();
  const [own, ...rest] = resultsOf(text);
  assert.match(own!, /dmarc=none/);
  assert.deepEqual(rest, ["other.example; spf=fail"]);
  assert.match(text, /^X-Authentication-Results: mx/m);
  assert.doesNotMatch(text, /dmarc=pass|dkim=pass/);
  const hidden = await daemon.mailbox("hidden").text();
  assert.match(hidden, /\nSubject: x\n\nno field\nAuthentication-Results: /, "it stands in the body for every reader");
}

async function rules(daemon: Daemon, port: number): Promise<void> {
  const client = await session(port);
  const send = async (message: string, ...rcpts: readonly string[]) => {
    await client.say("MAIL FROM:<a@list.test>", "250");
    for (const rcpt of rcpts) await client.say(`RCPT TO:<${rcpt}>`, "250");
    await client.say("DATA", "354");
    await client.write(new TextEncoder().encode(message));
    return await client.say(".", "");
  };
  const passing = signedBy(GOOD, mail("good.test"));
  assert.match(await send(mail("quarantine.test"), `r1@${DOMAIN}`), /^250/);
  assert.match(await send(passing, `r1@${DOMAIN}`), /^250/);
  await daemon.mailbox("r1-quarantined").message();
  assert.match(await daemon.mailbox("r1").text(), /dmarc=pass/);
  assert.match(await send(passing, `pay@${DOMAIN}`), /^250/);
  // No other rule takes it: it is accepted for the moment.
  assert.match(await send(passing, "only@other.test", `r2@${DOMAIN}`), /^250/);
  await daemon.mailbox("only").message();
  const from = daemon.log.length;
  assert.match(await send(mail("nothing.test"), `r3@${DOMAIN}`, `pay@${DOMAIN}`), /^550 /);
  await daemon.logged(/failed-command command="DATA" .* dmarc=none$/, from);
  assert.match(await send(mail("nothing.test"), "only@other.test"), /^550 5\.7\.1|^550 /);
  client.close();
  await daemon.mailbox("pay").message();
  assert.deepEqual(daemon.mailbox("r3").names(), [], "a message is refused for all of its recipients");
}

async function large(daemon: Daemon): Promise<void> {
  const body = `${"0123456789".repeat(7)}\r\n`.repeat(20_000);
  const client = await session(daemon.port);
  await client.send("a@good.test", `large@${DOMAIN}`, signedBy(GOOD, mail("good.test").replace("The body.\r\n", body)));
  client.close();
  const text = await daemon.mailbox("large").text();
  assert.match(resultsOf(text)[0]!, /dkim=pass [^]* dmarc=pass/);
  assert.ok(text.endsWith(body.replaceAll("\r", "")));
}
