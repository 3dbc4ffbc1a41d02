/** From facts to findings: tables, a row per case. */

import { deepEqual, equal, match } from "node:assert/strict";
import { createHash, X509Certificate } from "node:crypto";
import {
  blocklistFinding,
  blocklistName,
  type CertificateFacts,
  certificateFindings,
  clockFinding,
  configFindings,
  diskFinding,
  dkimFindings,
  type DomainFacts,
  domainFindings,
  fileFinding,
  type HostFacts,
  hostFindings,
  issuerOf,
  plainListenerFindings,
  ptrFinding,
  queueFindings,
  relayFinding,
  tlsaFits,
  unsignedFinding,
} from "../../src/checkup/mod.ts";
import { about, exitStatus, formatFinding, gotWorse, summaryOf, worstOf } from "../../src/findings/mod.ts";
import type { Finding, FindingLevel, QueueFacts } from "../../src/protocol/mod.ts";
import type { DnsAnswer } from "../../src/mail_auth/dns.ts";
import { selfSignedCertificate } from "../../src/tls/mod.ts";

const records = <T>(...all: T[]): DnsAnswer<T> => ({ kind: "records", records: all });
const none: DnsAnswer<never> = { kind: "none", exists: false }, silent: DnsAnswer<never> = { kind: "temporary" };
const NOW = Date.UTC(2026, 10, 30), DAY = 86_400_000;

const DOMAIN: DomainFacts = {
  domain: "example.org",
  receives: true,
  sends: true,
  mx: records({ preference: 10, host: "mail.example.org" }),
  ours: ["mail.example.org"],
  host: "mail.example.org",
  spf: [{ address: "192.0.2.25", verdict: { result: "pass", mechanism: "mx", reason: null } }],
  dmarc: { result: "pass", reason: null, record: { policy: "reject", reports: true } },
  mtaSts: records("v=STSv1; id=20261130"),
  mtaStsHost: records("192.0.2.80"),
  tlsRpt: records("v=TLSRPTv1; rua=mailto:postmaster@example.org"),
};
const spf = (
  result: DomainFacts["spf"][number]["verdict"]["result"],
  reason: string | null = null,
): Partial<DomainFacts> => ({
  spf: [{ address: "192.0.2.25", verdict: { result, mechanism: null, reason } }],
});
const dmarc = (more: Partial<DomainFacts["dmarc"]>): Partial<DomainFacts> => ({ dmarc: { ...DOMAIN.dmarc, ...more } });

/** A check of the domain, what differs from one that is all right, and what is found. */
const DOMAINS: [check: string, differs: Partial<DomainFacts>, level: FindingLevel, line: RegExp][] = [
  ["mx", {}, "ok", /mail goes to mail\.example\.org$/],
  ["mx", { mx: none }, "error", /does not arrive: publish example\.org\. IN MX 10 mail\.example\.org\.$/],
  ["mx", { mx: records({ preference: 0, host: "" }), ours: [] }, "error", /null MX/],
  [
    "mx",
    { mx: records({ preference: 10, host: "mx.example.net" }), ours: [] },
    "warning",
    /none of the addresses of this host/,
  ],
  ["mx", { mx: silent }, "unknown", /does not answer now/],
  ["spf", {}, "ok", /passes, by mx$/],
  ["spf", spf("none"), "error", /publish example\.org\. IN TXT "v=spf1 mx -all"$/],
  ["spf", spf("fail"), "error", /forbids mail from this address: add ip4:192\.0\.2\.25/],
  ["spf", spf("softfail"), "warning", /does not vouch .*\(softfail\)/],
  ["spf", spf("permerror", "Two records"), "error", /cannot be used \(Two records\): mend it/],
  ["spf", spf("temperror"), "unknown", /does not answer now/],
  ["dmarc", {}, "ok", /the policy is reject$/],
  [
    "dmarc",
    dmarc({ result: "none", record: null }),
    "warning",
    /no DMARC record: publish _dmarc\.example\.org\. IN TXT/,
  ],
  ["dmarc", dmarc({ result: "permerror", reason: "No p", record: null }), "error", /cannot be used \(No p\)/],
  ["dmarc", dmarc({ result: "temperror", record: null }), "unknown", /does not answer now/],
  ["dmarc", dmarc({ record: { policy: "none", reports: true } }), "info", /only reported: .* publish p=quarantine$/],
  ["dmarc", dmarc({ record: { policy: "none", reports: false } }), "warning", /has no effect: add rua=/],
  ["mta-sts", {}, "ok", /the page that it serves is not looked at$/],
  ["mta-sts", { mtaSts: none }, "info", /there is no MTA-STS record/],
  ["mta-sts", { mtaSts: records("v=spf1 -all") }, "info", /there is no MTA-STS record/],
  ["mta-sts", { mtaSts: records("v=STSv1; id=1", "v=STSv1; id=2") }, "error", /several MTA-STS records/],
  ["mta-sts", { mtaSts: records("v=STSv1; id=2026-11") }, "error", /no id of letters and digits/],
  ["mta-sts", { mtaStsHost: none }, "error", /no host mta-sts\.example\.org that serves the policy/],
  ["mta-sts", { mtaSts: silent }, "unknown", /does not answer now/],
  ["tls-rpt", {}, "ok", /failures of TLS are reported$/],
  ["tls-rpt", { tlsRpt: none }, "info", /nobody reports .*: publish _smtp\._tls\.example\.org\. IN TXT/],
  ["tls-rpt", { tlsRpt: records("v=TLSRPTv1; rua=ftp:x") }, "warning", /names no place for reports/],
  ["tls-rpt", { tlsRpt: silent }, "unknown", /does not answer now/],
];
for (const [check, differs, level, line] of DOMAINS) {
  Deno.test(`${check}: ${level} for ${JSON.stringify(differs).slice(0, 90)}`, () =>
    expectOne(domainFindings({ ...DOMAIN, ...differs }), check, level, line));
}

function expectOne(findings: readonly Finding[], check: string, level: FindingLevel, line: RegExp): void {
  const found = findings.filter((one) => one.check === check);
  equal(found.length, 1, JSON.stringify(findings));
  equal(found[0]!.level, level, formatFinding(found[0]!));
  match(formatFinding(found[0]!), line);
}

Deno.test("a domain that is only sent from has no MX, MTA-STS and TLS-RPT to look at", () => {
  const checks = domainFindings({ ...DOMAIN, receives: false }).map(({ check }) => check);
  deepEqual(checks, ["spf", "dmarc"]);
});

Deno.test("dkim: the record of each key", () => {
  const rows: [Parameters<typeof dkimFindings>[0][number]["published"], boolean, FindingLevel, RegExp][] = [
    ["ok", false, "ok", /the DNS has our key/],
    ["missing", false, "error", /publish s1\._domainkey\.example\.org\. IN TXT \( "v=DKIM1; p=x" \)$/],
    ["missing", true, "info", /waits for its record: publish/],
    ["ok", true, "info", /smtpctl update dkim$/],
    ["differs", false, "error", /replace it by/],
    ["several", false, "error", /leave only/],
    ["unknown", false, "unknown", /does not answer/],
  ];
  for (const [published, waits, level, line] of rows) {
    const key = { domain: "example.org", selector: "s1", record: "v=DKIM1; p=x", published, waits };
    expectOne(dkimFindings([key]), "dkim", level, line);
  }
  expectOne(
    unsignedFinding(["example.org"], { signs: false }),
    "dkim",
    "warning",
    /smtpctl dkim generate example\.org$/,
  );
});

const HOST: HostFacts = {
  host: "mail.example.org",
  four: records("192.0.2.25"),
  six: none,
  own: ["192.0.2.25"],
  spf: [{ address: "192.0.2.25", result: "pass" }],
  tlsa: records("3 1 1 00"),
  listens: true,
  fits: () => true,
  caa: records("0 issue letsencrypt.org"),
  issuer: { name: "Let's Encrypt", caa: "letsencrypt.org" },
};
const HOSTS: [check: string, differs: Partial<HostFacts>, level: FindingLevel, line: RegExp][] = [
  ["address", {}, "ok", /192\.0\.2\.25$/],
  ["address", { four: none }, "error", /has no address: publish mail\.example\.org\. IN A 192\.0\.2\.25$/],
  ["address", { four: records("192.0.2.99") }, "error", /192\.0\.2\.99 is not of this host: publish/],
  ["address", { four: records("192.0.2.25", "192.0.2.99") }, "warning", /192\.0\.2\.99 is not of this host/],
  ["address", { own: [] }, "info", /only private addresses/],
  ["address", { own: ["192.0.2.25", "2001:db8::25"] }, "info", /2001:db8::25 is not published/],
  ["address", { six: silent }, "unknown", /does not answer/],
  ["spf-helo", {}, "ok", /passes$/],
  [
    "spf-helo",
    { spf: [{ address: "192.0.2.25", result: "none" }] },
    "info",
    /publish mail\.example\.org\. IN TXT "v=spf1 a -all"$/,
  ],
  ["spf-helo", { spf: [{ address: "192.0.2.25", result: "fail" }] }, "error", /do not pass SPF \(fail\)/],
  ["spf-helo", { spf: [{ address: "192.0.2.25", result: "neutral" }] }, "warning", /do not pass SPF \(neutral\)/],
  ["tlsa", {}, "ok", /fits/],
  ["tlsa", { tlsa: none }, "info", /no TLSA record/],
  [
    "tlsa",
    { fits: () => false },
    "error",
    /who goes by DANE sends nothing: publish .* at _25\._tcp\.mail\.example\.org/,
  ],
  ["tlsa", { fits: () => null }, "unknown", /cannot be compared/],
  ["caa", {}, "ok", /issued by letsencrypt\.org$/],
  ["caa", { caa: none }, "info", /any authority may issue/],
  [
    "caa",
    { caa: records("0 issue other.example") },
    "warning",
    /cannot renew it: publish .* CAA 0 issue "letsencrypt\.org"$/,
  ],
  ["caa", { caa: silent }, "unknown", /does not answer/],
];
for (const [check, differs, level, line] of HOSTS) {
  Deno.test(`${check}: ${level} for ${JSON.stringify(differs).slice(0, 90)}`, () =>
    expectOne(hostFindings({ ...HOST, ...differs }), check, level, line));
}

Deno.test("ptr: the name of an address, and whether it leads back", () => {
  const back = (addresses: DnsAnswer<string>, name = "mail.example.org") => [{ name, addresses }];
  const rows: [Partial<Parameters<typeof ptrFinding>[0]>, FindingLevel, RegExp][] = [
    [{}, "ok", /mail\.example\.org, which leads back$/],
    [{ names: none, back: [] }, "error", /no name: ask .* 25\.2\.0\.192\.in-addr\.arpa\. IN PTR mail\.example\.org\.$/],
    [{ back: back(records("192.0.2.99")) }, "error", /does not lead back to it/],
    [{ back: back(silent) }, "unknown", /does not say whether/],
    [{ names: silent }, "unknown", /does not answer/],
    [
      { names: records("a.provider.example"), back: back(records("192.0.2.25"), "a.provider.example") },
      "warning",
      /in EHLO/,
    ],
  ];
  for (const [differs, level, line] of rows) {
    const facts = {
      address: "192.0.2.25",
      names: records("mail.example.org"),
      back: back(records("192.0.2.25")),
      hosts: ["mail.example.org"],
    };
    expectOne([ptrFinding({ ...facts, ...differs })], "ptr", level, line);
  }
});

Deno.test("blocklists: the name that is asked for, and what the answers mean", () => {
  equal(blocklistName("192.0.2.25", "list.example"), "25.2.0.192.list.example");
  match(blocklistName("2001:db8::25", "list.example"), /^5\.2\.0\.0\..*\.8\.b\.d\.0\.1\.0\.0\.2\.list\.example$/);
  const rows: [DnsAnswer<string>, FindingLevel, RegExp][] = [
    [none, "ok", /not listed/],
    [records("127.0.0.2"), "error", /listed \(127\.0\.0\.2\)/],
    [records("127.255.255.254"), "unknown", /does not answer this resolver/],
    [records("192.0.2.1"), "unknown", /it may have ended/],
    [silent, "unknown", /does not answer now/],
  ];
  for (const [answer, level, line] of rows) {
    expectOne([blocklistFinding({ address: "192.0.2.25", list: "list.example", answer })], "blocklist", level, line);
  }
});

const SELF = selfSignedCertificate({ name: "mail.example.org", now: NOW, days: 90 });
const certificate = (differs: Partial<CertificateFacts>) =>
  certificateFindings({
    name: "mail.example.org",
    pem: SELF.cert,
    acme: false,
    hosts: ["mail.example.org"],
    trusted: [],
    now: NOW,
    ...differs,
  });

Deno.test("certificates: time, name and chain", () => {
  const rows: [subject: RegExp, Partial<CertificateFacts>, FindingLevel, RegExp][] = [
    [/expiry$/, {}, "ok", /expires on 2027-02-28, in 90 days$/],
    [/expiry$/, { now: NOW + 80 * DAY }, "warning", /in 10 days: renew it$/],
    [/expiry$/, { now: NOW + 89 * DAY, acme: true }, "error", /in 1 day: see the log/],
    [/expiry$/, { now: NOW + 91 * DAY }, "error", /has expired on 2027-02-28/],
    [/expiry$/, { now: NOW - DAY }, "error", /not valid yet: is the clock right/],
    [/for mail/, {}, "ok", /it is for this name/],
    [/for mx/, { hosts: ["mx.example.org"] }, "warning", /it is for mail\.example\.org: get one for mx\.example\.org/],
    [/chain$/, {}, "info", /self-signed/],
  ];
  for (const [subject, differs, level, line] of rows) {
    const found = certificate(differs).filter((one) => subject.test(one.subject));
    expectOne(found, "certificate", level, line);
  }
  expectOne(
    certificate({ pem: { fault: "No such file" } }),
    "certificate",
    "error",
    /cannot be used: No such file: mend the file$/,
  );
  equal(issuerOf(SELF.cert), null);
  expectOne(plainListenerFindings(["192.0.2.25:25"]), "tls", "warning", /in clear/);
});

Deno.test("a chain that lacks what leads to its authority, one that leads there, and no authorities to compare with", () => {
  const folder = new URL("../smtp/certificates/", import.meta.url);
  const read = (name: string) => Deno.readTextFileSync(new URL(name, folder));
  const own = new X509Certificate(read("client.pem")), now = Date.parse(own.validFrom) + DAY;
  const chain = (differs: Partial<CertificateFacts>) =>
    certificate({ pem: read("client.pem"), now, hosts: [], ...differs }).filter(({ subject }) =>
      /chain$/.test(subject)
    );
  expectOne(chain({ trusted: null }), "certificate", "unknown", /no certificates of public authorities/);
  expectOne(chain({}), "certificate", "warning", /holds the certificate alone.*fullchain\.pem$/);
  expectOne(chain({ trusted: [new X509Certificate(read("authority.pem"))] }), "certificate", "ok", /issued by/);
});

Deno.test("TLSA records are compared as DANE has it", () => {
  const own = new X509Certificate(SELF.cert);
  const spki = own.publicKey.export({ type: "spki", format: "der" });
  const digest = (name: string, octets: Uint8Array) => createHash(name).update(octets).digest("hex");
  const rows: [string, boolean | null][] = [
    [`3 1 1 ${digest("sha256", spki)}`, true],
    [`3 1 1 ${digest("sha256", spki).toUpperCase()}`, true],
    [`3 1 2 ${digest("sha512", spki)}`, true],
    [`3 0 1 ${digest("sha256", own.raw)}`, true],
    [`3 1 0 ${spki.toString("hex")}`, true],
    [`3 1 1 ${digest("sha256", own.raw)}`, false],
    [`2 1 1 ${digest("sha256", spki)}`, false],
    [`1 1 1 ${digest("sha256", spki)}`, null],
    ["3 1 9 00", null],
  ];
  for (const [record, want] of rows) equal(tlsaFits(record, SELF.cert), want, record);
});

Deno.test("clock: the kernel, timesyncd, and a clock that went back", () => {
  const clock = { kernel: null, timesyncd: null, now: NOW, lastSeen: NOW - DAY };
  expectOne([clockFinding({ ...clock, kernel: true })], "clock", "ok", /adjtimex/);
  expectOne([clockFinding({ ...clock, timesyncd: true })], "clock", "ok", /timesyncd/);
  expectOne([clockFinding({ ...clock, kernel: false })], "clock", "warning", /nothing keeps the clock right/);
  expectOne([clockFinding(clock)], "clock", "info", /timedatectl/);
  expectOne(
    [clockFinding({ ...clock, kernel: true, lastSeen: NOW + DAY })],
    "clock",
    "error",
    /the clock went back: set it/,
  );
});

Deno.test("disk: free space and inodes against the reserve of the queue", () => {
  const GIB = 2 ** 30;
  const disk = (free: number, freeInodes: number, reserve: { share: number | null; bytes: number }) =>
    diskFinding({
      use: "queue",
      path: "/q",
      space: { free: free * GIB, total: 100 * GIB, freeInodes, inodes: 1000 },
      reserve,
    });
  const usual = { share: 0.05, bytes: GIB };
  expectOne([disk(50, 900, usual)], "disk", "ok", /50\.0 GiB of 100\.0 GiB are free \(50 %\), 90 % of the inodes$/);
  expectOne([disk(0.5, 900, usual)], "disk", "error", /mail is refused below 1\.0 GiB: make room/);
  expectOne([disk(1.5, 900, usual)], "disk", "warning", /make room soon/);
  expectOne([disk(50, 10, usual)], "disk", "error", /1 % of the inodes/);
  const mailboxes = { free: 0.5 * GIB, total: 100 * GIB, freeInodes: 9, inodes: 0 };
  expectOne(
    [diskFinding({ use: "mailboxes", path: "/home", space: mailboxes, reserve: usual })],
    "disk",
    "error",
    /free \(0 %\): make room: when it is full, mail waits$/,
  );
  expectOne([disk(50, 10, { share: null, bytes: GIB })], "disk", "ok", /1 % of the inodes/);
  expectOne(
    [diskFinding({ use: "queue", path: "/q", space: null, reserve: usual })],
    "disk",
    "unknown",
    /cannot be asked/,
  );
});

Deno.test("permissions: owners and modes of what the daemon goes by", () => {
  const rows: [Partial<Parameters<typeof fileFinding>[0]>, FindingLevel, RegExp][] = [
    [{ state: { uid: 0, mode: 0o100644 } }, "ok", /the file: mode 0644$/],
    [{ state: { uid: 7, mode: 0o100644 } }, "error", /another user \(uid 7\): chown root \/f$/],
    [{ state: { uid: 7, mode: 0o100644 }, owners: [7] }, "ok", /mode 0644/],
    [{ state: { uid: 0, mode: 0o100666 } }, "error", /others may change the file \(mode 0666\): chmod go-w \/f$/],
    [{ state: { uid: 0, mode: 0o041777 } }, "ok", /mode 1777/],
    [
      { state: { uid: 0, mode: 0o100644 }, wants: "secret" },
      "error",
      /others may read the file \(mode 0644\): chmod 0600 \/f$/,
    ],
    [{ state: { uid: 0, mode: 0o040755 }, wants: "secret" }, "error", /the file \(mode 0755\): chmod 0700 \/f$/],
    [{ state: { uid: 0, mode: 0o100600 }, wants: "secret" }, "ok", /mode 0600/],
    [{ state: "missing" }, "error", /the file is missing/],
    [{ state: "missing", optional: true }, "info", /is not there/],
    [{ state: "hidden" }, "unknown", /cannot be looked at/],
  ];
  for (const [differs, level, line] of rows) {
    const file = { what: "the file", path: "/f", state: "missing", owners: [], wants: "guarded", ...differs } as const;
    expectOne([fileFinding(file)], "permissions", level, line);
  }
});

Deno.test("the configuration's warnings, and a stranger who tries the rules", () => {
  expectOne(configFindings("/c", []), "config", "ok", /no warning/);
  expectOne(
    configFindings("/c", ["/c:7: warning: a rule is never reached"]),
    "config",
    "warning",
    /config \/c:7: a rule is never reached$/,
  );
  expectOne(
    configFindings("/c", ["warning: this server is called x"]),
    "config",
    "warning",
    /config \/c: this server is called x$/,
  );
  for (const [result, level] of [["refused", "ok"], ["taken", "error"], ["unknown", "unknown"]] as const) {
    expectOne([relayFinding({ place: "0.0.0.0:25", client: "203.0.113.77", result })], "open-relay", level, /./);
  }
});

const QUEUE: QueueFacts = {
  envelopes: 3,
  more: false,
  suspended: 0,
  oldestAt: NOW - 60_000,
  deferred: [],
  paused: [],
  diskErrors: [],
};
const QUEUES: [check: string, differs: Partial<QueueFacts>, lines: RegExp[]][] = [
  ["queue", {}, [/^ok .*3 envelopes$/, /^ok .*oldest envelope is 1m old$/]],
  ["queue", { oldestAt: null, envelopes: 0 }, [/^ok .*0 envelopes$/, /^ok .*nothing waits$/]],
  ["queue", { oldestAt: NOW - 2 * DAY, envelopes: 20_000, more: true }, [
    /^warning .*more than 20000/,
    /^warning .*2d.* old/,
  ]],
  ["queue", { suspended: 2 }, [/^info .*of which 2 are suspended/, /^ok/]],
  ["deferred", { deferred: [{ domain: "a.test", envelopes: 9, error: "451 no" }] }, []],
  ["deferred", { deferred: [{ domain: "a.test", envelopes: 10, error: "451 no" }] }, [
    /^warning .*10 envelopes wait for a\.test: 451 no/,
  ]],
  ["paused", { paused: ["mta"] }, [/^warning paused mta: .*smtpctl resume mta$/]],
  ["spool", { diskErrors: ["QUEUE disk full"] }, [/^error .*QUEUE disk full/]],
];
for (const [check, differs, lines] of QUEUES) {
  Deno.test(`queue health: ${JSON.stringify(differs).slice(0, 80)}`, () => {
    const found = queueFindings({ ...QUEUE, ...differs }, NOW).filter((one) => one.check === check).map(formatFinding);
    equal(found.length, lines.length, found.join("\n"));
    for (const [index, line] of lines.entries()) match(found[index]!, line);
  });
}

const finding = (level: FindingLevel, check = "mx", subject = "a"): Finding => ({
  check,
  subject,
  level,
  text: "t",
  advice: null,
});

Deno.test("the exit status is that of the worst finding, and 3 only where nothing worse is known", () => {
  const rows: [FindingLevel[], number, string][] = [
    [["ok", "info"], 0, "all is well"],
    [["ok", "warning", "unknown"], 1, "1 warning, 1 could not be checked"],
    [["error", "warning", "error"], 2, "2 errors, 1 warning"],
    [["ok", "unknown"], 3, "1 could not be checked"],
    [[], 0, "all is well"],
  ];
  for (const [levels, status, summary] of rows) {
    const findings = levels.map((level) => finding(level));
    equal(exitStatus(findings), status);
    equal(summaryOf(findings), summary);
  }
});

Deno.test("what became worse: new and graver warnings and errors, and nothing that is merely unknown", () => {
  const before = [finding("ok", "mx"), finding("warning", "spf"), finding("error", "ptr"), finding("unknown", "dmarc")];
  const now = [
    finding("error", "mx"),
    finding("warning", "spf"),
    finding("error", "spf", "b"),
    finding("error", "ptr"),
    finding("warning", "dmarc"),
    finding("unknown", "caa"),
    finding("info", "tlsa"),
  ];
  deepEqual(gotWorse(before, now).map(({ check, subject }) => `${check} ${subject}`), ["mx a", "spf b", "dmarc a"]);
  deepEqual(gotWorse(now, now), []);
  const [one, other] = configFindings("/c", ["warning: x", "warning: y"]);
  deepEqual(gotWorse([one!], [one!, other!]), [other]);
});

Deno.test("where there are too many findings the worst stay, and one says that others are left out", () => {
  const { ok, warning, error } = about("disk", "/");
  const all = [ok("1"), warning("2"), ok("3"), error("4")];
  const texts = (most: number) => worstOf(all, most).map(({ text }) => text.replace(/ findings.*/, " left out"));
  deepEqual(texts(4), ["1", "2", "3", "4"]);
  deepEqual(texts(3), ["2", "4", "2 left out"]);
  deepEqual(texts(2), ["4", "3 left out"]);
});
