/** The records that the DNS needs for a new mail host, each with a sentence. Only what is true of what the host does. Pure. */

import { recordName, zoneLine } from "../../../dkim_keys/mod.ts";
import { familyOf, reverseName } from "../../../net/mod.ts";
import { LETS_ENCRYPT } from "./answers.ts";
import type { CertificateChoice } from "./answers.ts";

export interface DnsRecord {
  /** Lines of a zone; a comment where only the operator knows what to write. */
  readonly line: string;
  readonly about: string;
  /** In another zone, often another's: who gave the address makes its name. */
  readonly elsewhere?: true;
}

export interface RecordsInput {
  readonly domain: string;
  readonly hostname: string;
  /** Public ones. */
  readonly addresses: readonly string[];
  /** Null where the keys are not made yet. */
  readonly keys: readonly { readonly selector: string; readonly record: string | null }[];
  readonly certificate: CertificateChoice;
}

/** A line of a zone. */
function line(name: string, type: string, value: string): string {
  return `${`${name}.`.padEnd(34)} IN ${type.padEnd(4)} ${value}`;
}

/** All records, in the order in which they are worth to be made. */
export function recordsFor(input: RecordsInput): readonly DnsRecord[] {
  const { domain, hostname, addresses } = input;
  const records = [
    ...addressRecords(input),
    { line: line(domain, "MX", `10 ${hostname}.`), about: `Mail for ${domain} goes to this host.` },
    ...authenticationRecords(input),
    ...tlsRecords(input),
    {
      line: line(`_submission._tcp.${domain}`, "SRV", `0 1 587 ${hostname}.`),
      about: "Mail programs find where to send mail, with STARTTLS (RFC 6186).",
    },
    {
      line: line(`_submissions._tcp.${domain}`, "SRV", `0 1 465 ${hostname}.`),
      about: "The same with TLS from the start (RFC 8314).",
    },
    ...addresses.map((address): DnsRecord => ({
      line: line(reverseName(address)!, "PTR", `${hostname}.`),
      about:
        "The name of the address. Whoever gave you the address makes this record, often on a web page: ask for it.",
    })),
  ];
  return records.map((record) => isInZone(record, domain) ? record : { ...record, elsewhere: true });
}

/** The host may have its name in another zone. */
function isInZone({ line }: DnsRecord, domain: string): boolean {
  const [owner = ""] = line.replace(/^; /, "").split(" ", 1);
  return owner === `${domain}.` || owner.endsWith(`.${domain}.`);
}

function addressRecords({ hostname, addresses }: RecordsInput): readonly DnsRecord[] {
  if (addresses.length === 0) {
    return [{
      line: `; ${line(hostname, "A", "192.0.2.25")}`,
      about:
        "The address of this host: it has none that others reach, so write the public one here, and remove the semicolon.",
    }];
  }
  return addresses.map((address) => ({
    line: line(hostname, familyOf(address) === 4 ? "A" : "AAAA", address),
    about: `Where ${hostname} is.`,
  }));
}

/** SPF, DKIM, DMARC. */
function authenticationRecords({ domain, hostname, keys }: RecordsInput): readonly DnsRecord[] {
  return [
    {
      line: line(domain, "TXT", '"v=spf1 mx -all"'),
      about: `SPF: only the hosts of the MX record send mail of ${domain}. Add the hosts of others who do.`,
    },
    ...hostname === domain ? [] : [{
      line: line(hostname, "TXT", '"v=spf1 a -all"'),
      about: "SPF for bounces, which have no sender: the name in EHLO is checked instead.",
    }],
    ...keys.map((key) => dkimRecord(domain, key)),
    {
      line: line(`_dmarc.${domain}`, "TXT", `"v=DMARC1; p=none; rua=mailto:postmaster@${domain}"`),
      about:
        "DMARC: says that SPF or DKIM pass for mail with this domain in From, and where reports go. Later p=quarantine or p=reject.",
    },
  ];
}

function dkimRecord(domain: string, { selector, record }: RecordsInput["keys"][number]): DnsRecord {
  const name = recordName(domain, selector);
  if (record !== null) {
    return {
      line: zoneLine(name, record),
      about: "DKIM: with this key receivers verify that mail is signed here, and unchanged.",
    };
  }
  const kind = selector.endsWith("-ed25519") ? "k=ed25519" : "k=rsa";
  return {
    line: `; ${line(name, "TXT", `"v=DKIM1; ${kind}; p=…"`)}`,
    about:
      "DKIM: with this key receivers verify signatures. The key is made when the files are written, and with it this record.",
  };
}

function tlsRecords({ domain, hostname, certificate }: RecordsInput): readonly DnsRecord[] {
  const reports = {
    line: line(`_smtp._tls.${domain}`, "TXT", `"v=TLSRPTv1; rua=mailto:postmaster@${domain}"`),
    about: "TLS-RPT: others report by mail when TLS to this host fails.",
  };
  if (certificate.kind !== "acme" || certificate.directory !== LETS_ENCRYPT) return [reports];
  return [reports, {
    line: line(hostname, "CAA", '0 issue "letsencrypt.org"'),
    about: `CAA: no other authority issues certificates for ${hostname}.`,
  }];
}

/** The records as the text of a zone, with the sentences as comments. */
export function zoneText(domain: string, records: readonly DnsRecord[]): string {
  const part = (some: readonly DnsRecord[]) => some.flatMap(({ line, about }) => [`; ${about}`, line]);
  const own = records.filter(({ elsewhere }) => elsewhere !== true);
  const others = records.filter(({ elsewhere }) => elsewhere === true);
  return [
    `; For the zone of ${domain}, see docs/deliverability.md. Then: smtpctl check`,
    ...part(own),
    ...others.length === 0 ? [] : [
      `; Not in the zone of ${domain}:`,
      ...part(others.map((one) => ({ ...one, line: one.line.replace(/^(?:; )?/, "; ") }))),
    ],
    "",
  ].join("\n");
}
