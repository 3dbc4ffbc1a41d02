/** What check_test.ts runs in a network of its own: a host that is right, then wrong in one thing after the other. Prints a line at its end, or throws. */

import { deepEqual, equal, match, ok } from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash, X509Certificate } from "node:crypto";
import { askControl } from "../../src/control/mod.ts";
import { makeKey, readKeyFile, recordName } from "../../src/dkim_keys/mod.ts";
import { selfSignedCertificate } from "../../src/tls/mod.ts";
import type { Finding } from "../../src/protocol/mod.ts";
import { a, fakeDns, mx, ptr, txt, type Zone, type ZoneRecord } from "../dns/fake_dns.ts";
import { Daemon } from "./harness.ts";
import { PUBLIC_ADDRESS } from "./own_network.ts";

const ADDRESS = PUBLIC_ADDRESS, REVERSE = "25.2.0.192.in-addr.arpa", HOST = "mail.example.org", DOMAIN = "example.org";

const folder = await Deno.makeTempDir({ prefix: "vaultpost-e2e-" });
await Deno.chmod(folder, 0o755);
const pair = selfSignedCertificate({ name: HOST, now: Date.now(), days: 90 });
const key = await makeKey("ed25519-sha256"), read = readKeyFile(key);
ok(read.ok);
const files = { cert: `${folder}/cert.pem`, key: `${folder}/key.pem`, dkim: `${folder}/dkim.pem` };
await Deno.writeTextFile(files.cert, pair.cert, { mode: 0o644 });
await Deno.writeTextFile(files.key, pair.key, { mode: 0o600 });
await Deno.writeTextFile(files.dkim, key, { mode: 0o600 });

const spki = new X509Certificate(pair.cert).publicKey.export({ type: "spki", format: "der" });
const tlsa = (certificate: Buffer): ZoneRecord => ({
  type: "TLSA",
  data: { usage: 3, selector: 1, matchingType: 1, certificate },
});
const caa = (value: string): ZoneRecord => ({ type: "CAA", data: { flags: 0, tag: "issue", value } });
const RIGHT: Zone = {
  [DOMAIN]: [mx(10, HOST), txt("v=spf1 mx -all")],
  [HOST]: [a(ADDRESS), txt("v=spf1 a -all"), caa("letsencrypt.org")],
  [REVERSE]: [ptr(HOST)],
  [recordName(DOMAIN, "k")]: [txt(read.record)],
  [`_dmarc.${DOMAIN}`]: [txt(`v=DMARC1; p=reject; rua=mailto:postmaster@${DOMAIN}`)],
  [`_mta-sts.${DOMAIN}`]: [txt("v=STSv1; id=1")],
  [`mta-sts.${DOMAIN}`]: [a("192.0.2.80")],
  [`_smtp._tls.${DOMAIN}`]: [txt(`v=TLSRPTv1; rua=mailto:postmaster@${DOMAIN}`)],
  [`_25._tcp.${HOST}`]: [tlsa(createHash("sha256").update(spki).digest())],
};
const zone: Zone = {};

/** Puts the right zone in place, but for `differs`. Nothing is remembered of it. */
function publish(differs: Record<string, readonly ZoneRecord[] | "SERVFAIL" | null> = {}): void {
  for (const name of Object.keys(zone)) delete zone[name];
  for (const [name, entry] of Object.entries({ ...RIGHT, ...differs })) {
    if (entry !== null) zone[name] = typeof entry === "string" ? entry : entry.map((one) => ({ ...one, ttl: 0 }));
  }
}

publish();
const dns = await fakeDns(zone);
await Deno.writeTextFile(`${folder}/resolv.conf`, `nameserver [127.0.0.1]:${dns.port}\noptions timeout:1 attempts:1\n`);
const daemon = await Daemon.start({
  twoUsers: false,
  env: { ASR_CONFIG: `${folder}/resolv.conf`, SMTPD_STATE: `${folder}/state` },
  config: ({ mail }) => `
pki ${HOST} cert "${files.cert}"
pki ${HOST} key "${files.key}"
dkim "${DOMAIN}" selector "k" key "${files.dkim}"
admin listen on 127.0.0.1 port 8025
listen on socket
listen on ${ADDRESS} tls pki ${HOST} hostname ${HOST}
listen on ${ADDRESS} port 2525 tag OPEN hostname ${HOST}
action "in" maildir "${mail}/%{rcpt.user}" virtual { "@" = nobody } user nobody
action "out" relay dkim helo ${HOST}
match from any for domain "${DOMAIN}" action "in"
match from any tag OPEN for domain "known.example" action "out"
match from local for any action "out"
`,
});

async function check(...args: string[]): Promise<{ code: number; findings: Finding[]; stdout: string }> {
  const ran = await daemon.tool("smtpctl", ["check", "--json", ...args]);
  equal(ran.stderr, "");
  const document = JSON.parse(ran.stdout) as { exitStatus: number; findings: Finding[] };
  equal(ran.code, document.exitStatus);
  // Whether something keeps the clock of the machine right is not the test's business, nor how full its disk is.
  return { ...ran, findings: document.findings.filter((one) => !["clock", "disk"].includes(one.check)) };
}

/** The same without a program each time. */
async function findingsNow(): Promise<Finding[]> {
  const findings: Finding[] = [];
  for await (const answer of askControl(daemon.env.SMTPD_SOCKET!, { do: "check", blocklists: [] })) {
    if ("finding" in answer) findings.push(answer.finding);
  }
  return findings.filter((one) => !["clock", "disk"].includes(one.check));
}

const bad = (findings: readonly Finding[]) =>
  findings.filter(({ level }) => level !== "ok" && level !== "info").map(({ level, check, subject }) =>
    `${level} ${check} ${subject}`
  );

/** What is made wrong, and all that is found. */
const WRONG: [about: string, differs: Parameters<typeof publish>[0], want: string[]][] = [
  ["no MX record", { [DOMAIN]: [txt("v=spf1 a:mail.example.org -all")] }, [`error mx ${DOMAIN}`]],
  ["mail goes elsewhere", { [DOMAIN]: [mx(10, "mx.example.net"), txt(`v=spf1 ip4:${ADDRESS} -all`)] }, [
    `warning mx ${DOMAIN}`,
  ]],
  ["an SPF record without this host", { [DOMAIN]: [mx(10, HOST), txt("v=spf1 ip4:192.0.2.99 -all")] }, [
    `error spf ${DOMAIN} from ${ADDRESS}`,
  ]],
  ["no PTR record", { [REVERSE]: null }, [`error ptr ${ADDRESS}`]],
  ["a name that does not lead back", { [REVERSE]: [ptr("host.provider.example")] }, [`error ptr ${ADDRESS}`]],
  ["another key", {
    [recordName(DOMAIN, "k")]: [txt("v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")],
  }, [`error dkim ${DOMAIN} k`]],
  ["no DMARC record", { [`_dmarc.${DOMAIN}`]: null }, [`warning dmarc ${DOMAIN}`]],
  ["a broken MTA-STS record", { [`_mta-sts.${DOMAIN}`]: [txt("v=STSv1; id=")] }, [`error mta-sts ${DOMAIN}`]],
  ["a TLSA record of another certificate", { [`_25._tcp.${HOST}`]: [tlsa(Buffer.alloc(32))] }, [`error tlsa ${HOST}`]],
  ["name servers that fail", { [`_smtp._tls.${DOMAIN}`]: "SERVFAIL" }, [`unknown tls-rpt ${DOMAIN}`]],
];

try {
  const right = await check();
  deepEqual(bad(right.findings), [], right.stdout);
  const seen = new Set(right.findings.map((one) => one.check));
  for (
    const one of [
      "mx",
      "address",
      "ptr",
      "spf",
      "dkim",
      "dmarc",
      "mta-sts",
      "tls-rpt",
      "tlsa",
      "caa",
      "certificate",
      "open-relay",
      "permissions",
      "queue",
      "config",
    ]
  ) ok(seen.has(one), one);
  for (const [about, differs, want] of WRONG) {
    publish(differs);
    deepEqual(bad(await findingsNow()), want, about);
  }

  publish({ "25.2.0.192.list.test": [a("127.0.0.2")] });
  const asked = dns.queries.length;
  await findingsNow();
  ok(!dns.queries.slice(asked).some((query) => query.includes("list.test")), "nobody asked for blocklists");
  deepEqual(bad((await check("--blocklists=list.test,other.test")).findings), [`error blocklist ${ADDRESS} list.test`]);

  publish();
  await Deno.chmod(files.dkim, 0o644);
  const open = bad(await findingsNow());
  ok(open.includes(`error permissions ${files.dkim}`), open.join());
  await Deno.chmod(files.dkim, 0o600);

  await daemon.tool("smtpctl", ["pause", "mta"]);
  const lines = await daemon.tool("smtpctl", ["check"]);
  match(lines.stdout, /^warning paused mta: mta is paused: when that is over: smtpctl resume mta$/m);
  match(lines.stdout, /^ok {6}mx example\.org: mail goes to mail\.example\.org$/m);
  equal(lines.code, 1);
  const checkup = await (await fetch("http://127.0.0.1:8025/api/v1/checkup")).json();
  ok(checkup.findings.some((one: Finding) => one.check === "paused" && one.subject === "mta"), JSON.stringify(checkup));
  await daemon.tool("smtpctl", ["resume", "mta"]);

  // The rules are asked as they are in the running daemon: what a stranger may not now, others may.
  const relay = right.findings.filter((one) => one.check === "open-relay").map(({ subject, level }) =>
    `${level} ${subject}`
  );
  deepEqual(relay.sort(), [`ok ${ADDRESS}:25`, `ok ${ADDRESS}:2525`]);

  const code = await daemon.stop();
  equal(code, 0);
  const alone = await daemon.tool("smtpctl", ["check", "-f", daemon.configFile]);
  match(alone.stdout, /^ok {6}spf example\.org from 192\.0\.2\.25: passes, by mx$/m);
  ok(!alone.stdout.includes("open-relay") && !alone.stdout.includes("queue size"), "nobody is asked");

  // A daemon with an open relay: its rules say so.
  const text = (await Deno.readTextFile(daemon.configFile)).replace('for domain "known.example"', "for any");
  await Deno.writeTextFile(daemon.configFile, text);
  await daemon.launch();
  const relays = bad(await findingsNow());
  ok(relays.includes(`error open-relay ${ADDRESS}:2525`), relays.join());
  ok(!relays.includes(`error open-relay ${ADDRESS}:25`), relays.join());
} finally {
  await daemon.stop().catch(() => {});
  await daemon.remove();
  await dns.close();
  await Deno.remove(folder, { recursive: true });
}
console.log("all is as it should be");
