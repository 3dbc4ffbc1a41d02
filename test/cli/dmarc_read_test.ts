/** smtpctl dmarc read: the reports of others, in every form in which they come, and what is refused of those that are made to do harm. */

import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { JSON_FORMS } from "../../src/cli/smtpctl/json_fields.ts";
import { smtpctlMain } from "../../src/cli/smtpctl/smtpctl.ts";
import { summariseReport } from "../../src/cli/smtpctl/dmarc/summary.ts";
import { MAX_REPORT_OCTETS, UnpackError, unpackReports } from "../../src/cli/smtpctl/dmarc/unpack.ts";
import { readXml, type XmlElement, XmlError } from "../../src/cli/smtpctl/dmarc/xml.ts";
import {
  type AggregateReport,
  composeReportMail,
  formatReport,
  packReport,
} from "../../src/mail_auth/dmarc_report/mod.ts";
import { environment, FakeTerminal, withFolder } from "./fakes.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function childrenOf(text: string): XmlElement[] {
  const found: XmlElement[] = [];
  readXml(text, { child: (element) => found.push(element) });
  return found;
}

/** What stands in the first child of the root. */
const READ: readonly { readonly says: string; readonly xml: string; readonly text: string }[] = [
  { says: "plain text", xml: "<a><b> x </b></a>", text: "x" },
  { says: "the five entities", xml: "<a><b>&lt;&amp;&gt;&quot;&apos;</b></a>", text: "<&>\"'" },
  { says: "characters by number", xml: "<a><b>&#233;&#xe9;&#x1F600;</b></a>", text: "éé😀" },
  { says: "a section of characters", xml: "<a><b>1<![CDATA[<&]]>2</b></a>", text: "1<&2" },
  {
    says: "comments and instructions, which it skips",
    xml: "<?xml version='1.0'?><!-- < --><a><?x?><b>x<!--y--></b></a>",
    text: "x",
  },
  { says: "attributes, which it skips", xml: "<a x='1' y=\">\"><b z = '2' >x</b ></a >\n", text: "x" },
  { says: "names without their prefixes", xml: "\ufeff<n:a xmlns:n='urn:x'><n:b>x</n:b></n:a>", text: "x" },
  { says: "an element that is empty", xml: "<a><b/></a>", text: "" },
];
for (const { says, xml, text } of READ) {
  Deno.test(`readXml() reads ${says}`, () => {
    const [child] = childrenOf(xml);
    assert.deepEqual({ name: child!.name, text: child!.text }, { name: "b", text });
  });
}

const REFUSED: readonly { readonly what: string; readonly xml: string; readonly why: RegExp }[] = [
  {
    what: "a document type",
    xml: '<!DOCTYPE a [<!ENTITY x "y">]>\n<a>&x;</a>',
    why: /^line 1: a document type is not read/,
  },
  { what: "an entity of its own", xml: "<a>\n<b>&lol;</b></a>", why: /^line 2: the entity &lol; is not one of XML/ },
  { what: "the name of what every object has", xml: "<a><b>&toString;</b></a>", why: /the entity &toString;/ },
  { what: "a bare ampersand", xml: "<a><b>a & b</b></a>", why: /the entity/ },
  { what: "a character that is none", xml: "<a><b>&#0;</b></a>", why: /the entity &#0;/ },
  { what: "half of a character", xml: "<a><b>&#xd800;</b></a>", why: /the entity/ },
  { what: "elements that overlap", xml: "<a><b><c></b></c></a>", why: /<\/b> stands where <\/c> must/ },
  { what: "a name without end", xml: `<${"a".repeat(65)}/>`, why: /^line 1: the name a{64}\.\.\. has more than 64/ },
  { what: "an end without a start", xml: "</a>", why: /<\/a> closes nothing/ },
  { what: "what is not closed", xml: "<a><b></b>", why: /<a> is not closed/ },
  { what: "a tag that is not closed", xml: "<a><b", why: /the tag of <b> is malformed/ },
  { what: "a comment that is not closed", xml: "<a><!-- </a>", why: /"-->" is missing/ },
  { what: "an attribute without quotes", xml: "<a x=1></a>", why: /the tag of <a> is malformed/ },
  { what: "two documents", xml: "<a/><a/>", why: /a second document/ },
  { what: "text behind it", xml: "<a/>x", why: /text outside/ },
  { what: "nothing", xml: " \n", why: /there is no element/ },
  { what: "elements nested without end", xml: "<a>".repeat(100_000), why: /nested more than 20 deep/ },
  { what: "elements without number", xml: `<a><b>${"<c/>".repeat(10_001)}`, why: /more than 10000 elements/ },
  { what: "a text without end", xml: `<a><b>${"x".repeat(100_001)}`, why: /more than 100000 characters/ },
];
for (const { what, xml, why } of REFUSED) {
  Deno.test(`readXml() refuses ${what}`, () => {
    assert.throws(() => childrenOf(xml), (error) => error instanceof XmlError && why.test(error.message));
  });
}

const REPORT: AggregateReport = {
  reporter: "mx.example.net",
  contact: "postmaster@example.net",
  id: "1.2a",
  begin: 1_795_910_400,
  end: 1_795_996_799,
  generator: "Vaultpost <1>",
  policy: { domain: "example.org", p: "reject", sp: null, np: "none", adkim: "r", aspf: "s", fo: "1", testing: false },
  errors: ["]]> & <x>\u0007"],
  records: [
    {
      count: 120,
      row: {
        source: "2001:db8::1",
        disposition: "pass",
        dkim: "pass",
        spf: "fail",
        override: null,
        headerFrom: "example.org",
        envelopeFrom: "lists.example",
        dkimAuth: [{ domain: "example.org", selector: "s2026", result: "pass" }, {
          domain: "lists.example",
          selector: "x",
          result: "fail",
        }],
        spfAuth: { domain: "lists.example", result: "pass" },
      },
    },
    {
      count: 2,
      row: {
        source: "203.0.113.9",
        disposition: "reject",
        dkim: "fail",
        spf: "fail",
        override: null,
        headerFrom: "a.example.org",
        envelopeFrom: "",
        dkimAuth: [],
        spfAuth: null,
      },
    },
    {
      count: 3,
      row: {
        source: "203.0.113.9",
        disposition: "none",
        dkim: "fail",
        spf: "fail",
        override: "local_policy",
        headerFrom: "example.org",
        envelopeFrom: "",
        dkimAuth: [],
        spfAuth: { domain: "helo.example", result: "none" },
      },
    },
  ],
};
const SUMMARY = `example.org: 125 messages on 2026-11-29, policy reject, says mx.example.net <postmaster@example.net>
source       messages  dkim  spf  failed  junked  refused  from                       authenticated
2001:db8::1       120   120    0       0       0        0  example.org                example.org/s2026,spf:lists.example
203.0.113.9         5     0    0       5       0        2  a.example.org,example.org  -
`;

const MAIL = {
  report: REPORT,
  from: "postmaster@example.net",
  to: ["rua@example.org"],
  now: 1_796_000_000_000,
  messageId: "1",
  host: "mx.example.net",
  boundary: "b0undary",
};
const mailOf = async (report = REPORT) => bytes(composeReportMail({ ...MAIL, report }, await packReport(report)));

/** As RFC 7489 had it, by a host that knows no namespace. */
const OLD = `<?xml version="1.0" encoding="iso-8859-1"?>
<feedback><report_metadata><org_name>Gro\u00df</org_name><email>a@old.example</email><report_id>9</report_id>
<date_range><begin>1795910400</begin><end>1796083199</end></date_range></report_metadata>
<policy_published><domain>example.org</domain><adkim>r</adkim><p>none</p><sp>none</sp><pct>100</pct></policy_published>
<record><row><source_ip>::ffff:192.0.2.1</source_ip><count>1</count><policy_evaluated><disposition>quarantine</disposition>
<dkim>fail</dkim><spf>fail</spf><reason><type>forwarded</type></reason></policy_evaluated></row>
<identifiers><header_from>Example.ORG</header_from></identifiers>
<auth_results><dkim><domain>other.example</domain><result>pass</result></dkim></auth_results></record></feedback>`;
const OLD_SUMMARY = `example.org: 1 message from 2026-11-29 to 2026-11-30, policy none, says Groß <a@old.example>
source     messages  dkim  spf  failed  junked  refused  from         authenticated
192.0.2.1         1     0    0       1       1        0  example.org  other.example
`;

/** Made by zipfile of Python: a member that is no report, one that is, and a comment at the end; stored, and deflated. */
const ZIPS = {
  stored:
    "UEsDBBQAAAAAAAAAIVw0EzPBCQAAAAkAAAAKAAAAcmVhZG1lLnR4dG5vIHJlcG9ydFBLAwQUAAAAAAAAACFcaSfROPUAAAD1AAAAIwAAAHppcC5leGFtcGxlIWV4YW1wbGUub3JnITAhODYzOTkueG1sPD94bWwgdmVyc2lvbj0iMS4wIj8+CjxmZWVkYmFjaz48cmVwb3J0X21ldGFkYXRhPjxvcmdfbmFtZT56aXAuZXhhbXBsZTwvb3JnX25hbWU+PGRhdGVfcmFuZ2U+PGJlZ2luPjA8L2JlZ2luPjxlbmQ+ODYzOTk8L2VuZD48L2RhdGVfcmFuZ2U+PC9yZXBvcnRfbWV0YWRhdGE+Cjxwb2xpY3lfcHVibGlzaGVkPjxkb21haW4+ZXhhbXBsZS5vcmc8L2RvbWFpbj48cD5ub25lPC9wPjwvcG9saWN5X3B1Ymxpc2hlZD48L2ZlZWRiYWNrPgpQSwECFAMUAAAAAAAAACFcNBMzwQkAAAAJAAAACgAAAAAAAAAAAAAAgAEAAAAAcmVhZG1lLnR4dFBLAQIUAxQAAAAAAAAAIVxpJ9E49QAAAPUAAAAjAAAAAAAAAAAAAACAATEAAAB6aXAuZXhhbXBsZSFleGFtcGxlLm9yZyEwITg2Mzk5LnhtbFBLBQYAAAAAAgACAIkAAABnAQAADwBtYWRlIGJ5IHppcGZpbGU=",
  deflated:
    "UEsDBBQAAAAAAAAAIVw0EzPBCQAAAAkAAAAKAAAAcmVhZG1lLnR4dG5vIHJlcG9ydFBLAwQUAAAACAAAACFcaSfROJkAAAD1AAAAIwAAAHppcC5leGFtcGxlIWV4YW1wbGUub3JnITAhODYzOTkueG1sZY/bCoJAEIbvfYrwAVwjiIRpfZRldCdb2sOwalhP34QhUXcfP/9hBtol+N2d8uhSPJf7qi5bXcCFyHbY3zRk4pQnE2hCixNqSHkwEQPpp+OKFgzsCdSmgrjIZIyDcEeDi7oGtQJQtPp0PDQNqDeC+jar36kCOHnXPwzPnXfjlSRhU0Bp+uxWMislqwasY4pyC0vXf1JtPxUvUEsBAhQDFAAAAAAAAAAhXDQTM8EJAAAACQAAAAoAAAAAAAAAAAAAAIABAAAAAHJlYWRtZS50eHRQSwECFAMUAAAACAAAACFcaSfROJkAAAD1AAAAIwAAAAAAAAAAAAAAgAExAAAAemlwLmV4YW1wbGUhZXhhbXBsZS5vcmchMCE4NjM5OS54bWxQSwUGAAAAAAIAAgCJAAAACwEAAA8AbWFkZSBieSB6aXBmaWxl",
};
const zip = (how: keyof typeof ZIPS) => Uint8Array.fromBase64(ZIPS[how]);
const ZIP_SUMMARY = `example.org: 0 messages on 1970-01-01, policy none, says zip.example
source  messages  dkim  spf  failed  junked  refused  from  authenticated
`;

const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));
const INPUTS: readonly {
  readonly form: string;
  readonly input: () => Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;
  readonly stdout: string;
}[] = [
  { form: "as XML", input: () => bytes(formatReport(REPORT)), stdout: SUMMARY },
  { form: "in gzip", input: () => new Uint8Array(gzipSync(formatReport(REPORT))), stdout: SUMMARY },
  { form: "as a whole mail", input: () => mailOf(), stdout: SUMMARY },
  { form: "of RFC 7489, in ISO 8859-1", input: () => latin1(OLD), stdout: OLD_SUMMARY },
  { form: "stored in a zip archive", input: () => zip("stored"), stdout: ZIP_SUMMARY },
  { form: "deflated in a zip archive", input: () => zip("deflated"), stdout: ZIP_SUMMARY },
  {
    form: "in a zip archive that is attached to a mail beside another",
    input: () =>
      bytes(
        `From a@b Mon Jan  1 00:00:00 2026\nSubject: two\nContent-Type: multipart/mixed; boundary=x\n\n--x\n\nHi\n--x\n` +
          `Content-Type: application/zip\nContent-Transfer-Encoding: base64\n\n${ZIPS.deflated}\n--x\n` +
          `Content-Type: application/octet-stream; name="r.xml.gz"\nContent-Transfer-Encoding: base64\n\n` +
          `${gzipSync(OLD.replace("iso-8859-1", "utf-8")).toString("base64")}\n--x--\n`,
      ),
    stdout: `${ZIP_SUMMARY}\n${OLD_SUMMARY}`,
  },
];
for (const { form, input, stdout } of INPUTS) {
  Deno.test(`smtpctl dmarc read sums up a report ${form}, of a file and of standard input`, async () => {
    const octets = await input();
    const piped = new FakeTerminal(octets);
    assert.equal(await smtpctlMain(["dmarc", "read", "-"], environment({}), piped), 0, piped.stderr);
    assert.equal(piped.stdout, stdout);
    await withFolder(async (folder) => {
      Deno.writeFileSync(`${folder}/report`, octets);
      const terminal = new FakeTerminal();
      assert.equal(await smtpctlMain(["dm", "r", `${folder}/report`], environment({}), terminal), 0, terminal.stderr);
      assert.equal(terminal.stdout, stdout);
    });
  });
}

/** Of an archive: what stands at a place behind the mark of its directory entry of the report. */
function damagedZip(place: number, value: number): Uint8Array<ArrayBuffer> {
  const octets = zip("deflated"), view = new DataView(octets.buffer);
  const entry = octets.length - 22 - 15 - 0x89 + 46 + 10;
  assert.equal(view.getUint32(entry, true), 0x02014b50);
  view.setUint32(entry + place, value, true);
  return octets;
}

const FAULTS: readonly {
  readonly what: string;
  readonly input: () => Uint8Array<ArrayBuffer> | Promise<Uint8Array<ArrayBuffer>>;
  readonly stderr: string;
}[] = [
  {
    what: "no report",
    input: () => bytes("hello"),
    stderr: "it holds no report: that is XML, alone, in gzip, in a zip archive, or attached to a mail",
  },
  {
    what: "a mail without one",
    input: () => bytes("Subject: x\n\nhello\n"),
    stderr: "it holds no report: that is XML, alone, in gzip, in a zip archive, or attached to a mail",
  },
  {
    what: "XML of something else",
    input: () => bytes("<html><b/></html>"),
    stderr: "it is no report of DMARC: its element is <html>, not <feedback>",
  },
  {
    what: "a report of nobody",
    input: () => bytes("<feedback/>"),
    stderr: "it is no report of DMARC: it does not say whose it is",
  },
  {
    what: "an entity that grows",
    input: () => bytes('<!DOCTYPE f [<!ENTITY a "aaa"><!ENTITY b "&a;&a;">]><feedback>&b;</feedback>'),
    stderr: "line 1: a document type is not read: reports have none",
  },
  {
    what: "gzip that grows",
    input: () => new Uint8Array(gzipSync(new Uint8Array(MAX_REPORT_OCTETS + 1), { level: 1 })),
    stderr: `unpacked, it is larger than ${MAX_REPORT_OCTETS} octets`,
  },
  {
    what: "two that grow less, in one mail",
    input: () => {
      const half = gzipSync(`<feedback>${" ".repeat(MAX_REPORT_OCTETS / 2)}</feedback>`, { level: 1 }).toString(
        "base64",
      );
      const part = "--b\nContent-Disposition: attachment; filename=r.gz\nContent-Transfer-Encoding: base64\n";
      return bytes(`Content-Type: multipart/mixed; boundary=b\n\n${`${part}\n${half}\n`.repeat(2)}--b--\n`);
    },
    stderr: `unpacked, it is larger than ${MAX_REPORT_OCTETS} octets`,
  },
  {
    what: "a mail of many small parts",
    input: () => bytes(`Content-Type: multipart/mixed; boundary=b\n\n${"--b\n\nx\n".repeat(1001)}--b--\n`),
    stderr: "the mail has more than 1000 lines between parts",
  },
  {
    what: "a text that is too long, before its references are replaced",
    input: () => bytes(`<feedback><x>${"&amp;".repeat(300_000)}&lol;</x></feedback>`),
    stderr: "line 1: a text has more than 100000 characters",
  },
  {
    what: "gzip that is cut off",
    input: () => new Uint8Array(gzipSync(formatReport(REPORT)).subarray(0, 300)),
    stderr: "it cannot be unpacked: it is damaged",
  },
  {
    what: "a zip archive without a directory",
    input: () => zip("stored").subarray(0, 300),
    stderr: "the zip archive is damaged",
  },
  {
    what: "a zip member that lies beyond its end",
    input: () => damagedZip(20, 0x7fff_ffff),
    stderr: "the zip archive is damaged",
  },
  {
    what: "a zip member that starts beyond its end",
    input: () => damagedZip(42, 0xffff_fff0),
    stderr: "the zip archive is damaged",
  },
  {
    what: "a zip member of another method",
    input: () => damagedZip(10, 99),
    stderr: "the zip archive is packed by method 99, which is not read",
  },
  {
    what: "an encrypted zip member",
    input: () => damagedZip(8, 1 | (8 << 16)),
    stderr: "the zip archive is encrypted",
  },
  {
    what: "a mail with too many parts within parts",
    input: () => {
      let text = "";
      for (let depth = 0; depth < 500; depth++) {
        text += `Content-Type: multipart/mixed; boundary=b${depth}\n\n--b${depth}\n`;
      }
      return bytes(`${text}\nend\n`);
    },
    stderr: "the mail is malformed, or its parts are nested too deep",
  },
];
for (const { what, input, stderr } of FAULTS) {
  Deno.test(`smtpctl dmarc read refuses ${what}`, async () => {
    const terminal = new FakeTerminal(await input());
    assert.equal(await smtpctlMain(["dmarc", "read", "-"], environment({}), terminal), 1);
    assert.equal(terminal.stderr, `smtpctl: standard input: ${stderr}\n`);
    assert.equal(terminal.stdout, "");
  });
}

Deno.test("smtpctl dmarc read --json prints an object a report, with the names of smtpctl(8)", async () => {
  const terminal = new FakeTerminal(latin1(OLD));
  assert.equal(await smtpctlMain(["dmarc", "read", "-", "--json"], environment({}), terminal), 0);
  const report = JSON.parse(terminal.stdout);
  assert.deepEqual(Object.keys(report), Object.keys(JSON_FORMS["dmarc read"]!.fields));
  assert.deepEqual([report.domain, report.messages, report.begin], ["example.org", 1, "2026-11-29T00:00:00.000Z"]);
  assert.deepEqual([report.sources[0].source, report.sources[0].from], ["192.0.2.1", ["example.org"]]);
});

Deno.test("smtpctl dmarc read says which file is not there, and that a folder is none", async () => {
  await withFolder(async (folder) => {
    const wrong = [
      [`${folder}/none`, "No such file or directory"],
      [folder, "it is no file"],
      ["/dev/null/none", "Not a directory"],
      [`${folder}/${"x".repeat(300)}`, "File name too long"],
    ] as const;
    for (const [path, why] of wrong) {
      const terminal = new FakeTerminal();
      assert.equal(await smtpctlMain(["dmarc", "read", path], environment({}), terminal), 1);
      assert.equal(terminal.stderr, `smtpctl: ${path}: ${why}\n`);
    }
  });
});

Deno.test("smtpctl dmarc read shows a report of very many sources", async () => {
  const records = Array.from(
    { length: 150_000 },
    (_, at) => `<record><row><source_ip>x${at}</source_ip><count>1</count></row></record>`,
  );
  const xml = `<feedback><report_metadata/><policy_published/>${records.join("")}</feedback>`;
  const terminal = new FakeTerminal(bytes(xml));
  assert.equal(await smtpctlMain(["dmarc", "read", "-"], environment({}), terminal), 0);
  assert.match(terminal.stdout, /^: 150000 messages .*\n.*\nx0 +1 /);
});

Deno.test("what a stranger wrote into a report controls no terminal", async () => {
  const xml = OLD.replace("a@old.example", "\x1b[2J\u009b31m").replace("iso-8859-1", "utf-8");
  const terminal = new FakeTerminal(bytes(xml));
  assert.equal(await smtpctlMain(["dmarc", "read", "-"], environment({}), terminal), 0);
  assert.doesNotMatch(terminal.stdout, /[^\P{Cc}\n]/u);
});

Deno.test("unpackReports() and summariseReport() take any octets", async () => {
  const seeds = [bytes(formatReport(REPORT)), zip("deflated"), zip("stored"), await mailOf(), bytes(OLD)];
  const changed = fc.tuple(fc.nat(seeds.length - 1), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 8 })).map(
    ([which, changes]) => {
      const octets = seeds[which]!.slice();
      for (const [at, octet] of changes) octets[at % octets.length] = octet;
      return octets;
    },
  );
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(fc.uint8Array({ maxLength: 300 }).map((octets) => octets.slice()), changed),
      async (octets) => {
        try {
          for (const { xml } of await unpackReports(octets)) summariseReport(xml);
        } catch (error) {
          assert.ok(error instanceof UnpackError || error instanceof XmlError, `${error}`);
        }
      },
    ),
    { numRuns: 300 },
  );
});
