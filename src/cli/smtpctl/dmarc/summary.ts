/** An aggregate report of DMARC, RFC 9990 or RFC 7489, read from its XML and summed up by source. Strangers wrote what is in it. */

import { normalAddress } from "../../../net/mod.ts";
import { readXml, type XmlElement, XmlError } from "./xml.ts";

/** What one source sent. */
export interface SourceSummary {
  /** Its address; what was written, where that is none. */
  readonly source: string;
  messages: number;
  /** Those that passed by an aligned signature, and by an aligned SPF; one may have passed by both. */
  dkim: number;
  spf: number;
  /** Those that passed by neither. */
  failed: number;
  quarantined: number;
  rejected: number;
  /** Author domains, most of them one. */
  readonly from: Set<string>;
  /** Who was authenticated, aligned or not: `example.org/s2026`, `spf:example.net`. */
  readonly authenticated: Set<string>;
}

export interface ReportSummary {
  readonly reporter: string;
  readonly contact: string;
  readonly id: string;
  readonly domain: string;
  readonly policy: string;
  /** Seconds since the epoch; null where it does not say. */
  readonly begin: number | null;
  readonly end: number | null;
  /** By number of messages, the most first. */
  readonly sources: readonly SourceSummary[];
  readonly messages: number;
}

/** Sources in one report, and names that are kept of one source. */
const MAX_SOURCES = 200_000, MAX_NAMES = 5;
/** Messages of one row that are believed. */
const MAX_COUNT = 1e12;

/** Sums up a report. Throws XmlError. */
export function summariseReport(xml: Uint8Array): ReportSummary {
  let metadata: XmlElement | null = null, published: XmlElement | null = null;
  const sources = new Map<string, SourceSummary>();
  readXml(decode(xml), {
    child: (element, root) => {
      if (root !== "feedback") throw new XmlError(`it is no report of DMARC: its element is <${root}>, not <feedback>`);
      if (element.name === "report_metadata") metadata ??= element;
      else if (element.name === "policy_published") published ??= element;
      else if (element.name === "record") addRecord(sources, element);
    },
  });
  if (metadata === null || published === null) {
    throw new XmlError("it is no report of DMARC: it does not say whose it is");
  }
  const about: XmlElement = metadata, policy: XmlElement = published;
  const sorted = [...sources.values()].sort((one, other) => other.messages - one.messages);
  return {
    reporter: textAt(about, "org_name"),
    contact: textAt(about, "email"),
    id: textAt(about, "report_id"),
    domain: textAt(policy, "domain"),
    policy: textAt(policy, "p"),
    begin: secondsAt(about, "begin"),
    end: secondsAt(about, "end"),
    sources: sorted,
    messages: sorted.reduce((sum, { messages }) => sum + messages, 0),
  };
}

/** The encodings that XML declarations of reports name; anything else is read as UTF-8, its faults as U+FFFD. */
function decode(xml: Uint8Array): string {
  const [, name = "utf-8"] = /^[^>]{0,200}?\bencoding\s*=\s*["']([A-Za-z0-9_-]{1,40})["']/.exec(
    String.fromCharCode(...xml.subarray(0, 200)),
  ) ?? [];
  const known = /^(?:iso-8859-\d{1,2}|windows-125\d|us-ascii)$/i.test(name) ? name.toLowerCase() : "utf-8";
  try {
    return new TextDecoder(known).decode(xml);
  } catch {
    return new TextDecoder().decode(xml);
  }
}

function childOf(element: XmlElement | undefined, name: string): XmlElement | undefined {
  return element?.children.find((child) => child.name === name);
}

function textAt(element: XmlElement | undefined, ...path: string[]): string {
  return path.reduce<XmlElement | undefined>(childOf, element)?.text ?? "";
}

function secondsAt(about: XmlElement, name: "begin" | "end"): number | null {
  const text = textAt(about, "date_range", name);
  return /^\d{1,11}$/.test(text) ? Number(text) : null;
}

function addRecord(sources: Map<string, SourceSummary>, record: XmlElement): void {
  const row = childOf(record, "row"), evaluated = childOf(row, "policy_evaluated");
  const written = textAt(row, "source_ip"), count = textAt(row, "count");
  const messages = /^\d{1,15}$/.test(count) ? Math.min(Number(count), MAX_COUNT) : 0;
  const source = normalAddress(written) ?? written;
  const summary = sources.get(source) ?? emptySource(source);
  if (!sources.has(source) && sources.size === MAX_SOURCES) {
    throw new XmlError(`it names more than ${MAX_SOURCES} sources`);
  }
  sources.set(source, summary);
  const dkim = textAt(evaluated, "dkim") === "pass", spf = textAt(evaluated, "spf") === "pass";
  const disposition = textAt(evaluated, "disposition");
  summary.messages += messages;
  if (dkim) summary.dkim += messages;
  if (spf) summary.spf += messages;
  if (!dkim && !spf) summary.failed += messages;
  if (disposition === "quarantine") summary.quarantined += messages;
  if (disposition === "reject") summary.rejected += messages;
  keep(summary.from, textAt(record, "identifiers", "header_from"));
  for (const result of childOf(record, "auth_results")?.children ?? []) {
    if (textAt(result, "result") !== "pass") continue;
    const domain = textAt(result, "domain"), selector = textAt(result, "selector");
    if (result.name === "dkim") keep(summary.authenticated, selector === "" ? domain : `${domain}/${selector}`);
    if (result.name === "spf") keep(summary.authenticated, `spf:${domain}`);
  }
}

function emptySource(source: string): SourceSummary {
  return {
    source,
    messages: 0,
    dkim: 0,
    spf: 0,
    failed: 0,
    quarantined: 0,
    rejected: 0,
    from: new Set(),
    authenticated: new Set(),
  };
}

function keep(names: Set<string>, name: string): void {
  if (name !== "" && names.size < MAX_NAMES) names.add(name.toLowerCase());
}
