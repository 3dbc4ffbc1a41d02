/** An aggregate report as text: the XML of RFC 9990, and the mail that carries it. Pure but for the compression; lines of the mail end with LF. */

import { formatDate } from "../../date.ts";
import type { PublishedPolicy, ReportRow } from "./result.ts";

/** All that is said to one domain about one day. */
export interface AggregateReport {
  /** Who reports: a domain, as the name of the organisation too. */
  readonly reporter: string;
  /** Whom to ask about it. */
  readonly contact: string;
  /** Unique among the reports of this host: letters, digits and dots. */
  readonly id: string;
  /** Seconds since the epoch. */
  readonly begin: number;
  /** The last second that it is about. */
  readonly end: number;
  /** Name and version of this program. */
  readonly generator: string;
  readonly policy: PublishedPolicy;
  readonly records: ReadonlyArray<{ readonly row: ReportRow; readonly count: number }>;
  /** What is left out or was not understood. */
  readonly errors: readonly string[];
}

/** Returns the XML of a report. No text in it, whoever wrote it, can end an element. */
export function formatReport(report: AggregateReport): string {
  const { policy } = report;
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<feedback xmlns="urn:ietf:params:xml:ns:dmarc-2.0">',
    element("version", "1.0"),
    "<report_metadata>",
    element("org_name", report.reporter),
    element("email", report.contact),
    element("report_id", report.id),
    `<date_range>${element("begin", report.begin)}${element("end", report.end)}</date_range>`,
    ...report.errors.map((error) => element("error", error)),
    element("generator", report.generator),
    "</report_metadata>",
    "<policy_published>",
    element("domain", policy.domain),
    element("discovery_method", "treewalk"),
    element("p", policy.p),
    ...optional("sp", policy.sp),
    ...optional("np", policy.np),
    ...optional("fo", policy.fo),
    element("adkim", policy.adkim),
    element("aspf", policy.aspf),
    element("testing", policy.testing ? "y" : "n"),
    "</policy_published>",
    ...report.records.flatMap(({ row, count }) => formatRecord(row, count)),
    "</feedback>",
    "",
  ];
  return lines.join("\n");
}

function formatRecord(row: ReportRow, count: number): string[] {
  const { override, spfAuth } = row;
  return [
    "<record>",
    `<row>${element("source_ip", row.source)}${element("count", count)}<policy_evaluated>` +
    element("disposition", row.disposition) + element("dkim", row.dkim) + element("spf", row.spf) +
    (override === null ? "" : `<reason>${element("type", override)}</reason>`) + "</policy_evaluated></row>",
    `<identifiers>${element("header_from", row.headerFrom)}${element("envelope_from", row.envelopeFrom)}</identifiers>`,
    "<auth_results>",
    ...row.dkimAuth.map(({ domain, selector, result }) =>
      `<dkim>${element("domain", domain)}${element("selector", selector)}${element("result", result)}</dkim>`
    ),
    ...(spfAuth === null ? [] : [
      `<spf>${element("domain", spfAuth.domain)}${element("scope", "mfrom")}${element("result", spfAuth.result)}</spf>`,
    ]),
    "</auth_results>",
    "</record>",
  ];
}

function optional(name: string, text: string | null): string[] {
  return text === null ? [] : [element(name, text)];
}

function element(name: string, content: string | number): string {
  return `<${name}>${escape(`${content}`)}</${name}>`;
}

const ESCAPES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;" };

/** XML has no control characters (XML 1.0 §2.2), not even as references: they are left out. */
function escape(text: string): string {
  return text.toWellFormed().replace(/[\p{Cc}\ufffe\uffff]/gu, "").replace(
    /[&<>]/g,
    (character) => ESCAPES[character]!,
  );
}

/** A report with what its mail needs besides. */
export interface ReportMail {
  readonly report: AggregateReport;
  /** Address that it is from. */
  readonly from: string;
  readonly to: readonly string[];
  /** ms since the epoch. */
  readonly now: number;
  /** What stands before the `@` of Message-ID. */
  readonly messageId: string;
  /** Name of this host. */
  readonly host: string;
  /** Occurs nowhere else. */
  readonly boundary: string;
}

/** Returns the compressed report in base64, with LF behind each line of 76 characters: what the mail is mostly made of. */
export async function packReport(report: AggregateReport): Promise<string> {
  const xml = new Blob([formatReport(report)]).stream().pipeThrough(new CompressionStream("gzip"));
  const packed = new Uint8Array(await new Response(xml).arrayBuffer());
  return packed.toBase64().replace(/.{1,76}/g, "$&\n");
}

/** Returns the mail that carries a report which packReport() has made, as RFC 9990 wants it by mail. */
export function composeReportMail(mail: ReportMail, packed: string): string {
  const { report, boundary } = mail;
  const { reporter, policy, begin, end, id } = report;
  const file = `${reporter}!${policy.domain}!${begin}!${end}!${id.replace(/[^A-Za-z0-9]/g, "")}.xml.gz`;
  const day = new Date(begin * 1000).toISOString().slice(0, 10);
  return [
    `Subject: Report Domain: ${policy.domain}`,
    ` Submitter: ${reporter}`,
    ` Report-ID: <${id}@${reporter}>`,
    `From: <${mail.from}>`,
    `To: ${mail.to.map((address) => `<${address}>`).join(",\n ")}`,
    `Date: ${formatDate(new Date(mail.now), 0)}`,
    `Message-ID: <${mail.messageId}@${mail.host}>`,
    // RFC 3834 §5: keeps vacation programs quiet.
    "Auto-Submitted: auto-generated",
    "MIME-Version: 1.0",
    "Content-Type: multipart/mixed;",
    ` boundary="${boundary}"`,
    "",
    `--${boundary}`,
    "Content-Type: text/plain; charset=us-ascii",
    "",
    `This is a DMARC aggregate report of ${reporter} about mail that names`,
    `${policy.domain} as its author's domain, received on ${day} (UTC).`,
    "A record in the DNS of that domain asks for it.",
    "",
    `--${boundary}`,
    "Content-Type: application/gzip",
    "Content-Transfer-Encoding: base64",
    "Content-Disposition: attachment;",
    ` filename="${file}"`,
    "",
    `${packed}--${boundary}--`,
    "",
  ].join("\n");
}
