/** `smtpctl dmarc read FILE`: what others say of mail in our name, one line per source. Asks no daemon. */

import { isDefect, safeJson, safeLine, systemReason } from "../../../events/mod.ts";
import { InputTooLarge, type Terminal } from "../../terminal.ts";
import { type ReportSummary, type SourceSummary, summariseReport } from "./summary.ts";
import { MAX_INPUT_OCTETS, UnpackError, unpackReports } from "./unpack.ts";
import { XmlError } from "./xml.ts";

/** Prints the reports in `file`, `-` for standard input. Returns the exit status: 1 when one of them cannot be read. */
export async function readDmarcReports(file: string, format: "text" | "json", terminal: Terminal): Promise<number> {
  const complain = (text: string) => {
    terminal.err(`smtpctl: ${safeLine(`${file === "-" ? "standard input" : file}: ${text}`)}\n`);
    return 1;
  };
  try {
    const input = file === "-" ? await terminal.input(MAX_INPUT_OCTETS) : readFile(file);
    let status = 0;
    for (const [index, { name, xml }] of (await unpackReports(input)).entries()) {
      try {
        const report = summariseReport(xml);
        if (format === "json") terminal.out(`${safeJson(recordOf(report))}\n`);
        else {terminal.out(`${index === 0 ? "" : "\n"}${
            describe(report).map((line) => `${safeLine(line)}\n`).join("")
          }`);}
      } catch (error) {
        if (!(error instanceof XmlError)) throw error;
        status = complain(`${name === "" ? "" : `${name}: `}${error.message}`);
      }
    }
    return status;
  } catch (error) {
    if (error instanceof UnpackError || error instanceof InputTooLarge) return complain(error.message);
    if (isDefect(error)) throw error;
    return complain(systemReason(error));
  }
}

function readFile(path: string): Uint8Array<ArrayBuffer> {
  using file = Deno.openSync(path);
  const { isFile, size } = file.statSync();
  if (!isFile) throw new UnpackError("it is no file");
  if (size > MAX_INPUT_OCTETS) throw new UnpackError(`it is larger than ${MAX_INPUT_OCTETS} octets`);
  const octets = new Uint8Array(size);
  let length = 0;
  for (let count; length < size && (count = file.readSync(octets.subarray(length))) !== null;) length += count;
  return octets.subarray(0, length);
}

/** The same for programs. */
function recordOf({ begin, end, sources, messages, ...whose }: ReportSummary): unknown {
  const time = (seconds: number | null) => seconds === null ? null : new Date(seconds * 1000).toISOString();
  const { reporter, contact, id, domain, policy } = whose;
  return {
    ...{ reporter, contact, id, domain, policy, begin: time(begin), end: time(end), messages },
    sources: sources.map(({ from, authenticated, ...counts }) => ({
      ...counts,
      from: [...from],
      authenticated: [...authenticated],
    })),
  };
}

/** The lines of a report: whose it is, then one per source, in columns. */
function describe(report: ReportSummary): string[] {
  const { reporter, contact, domain, policy, messages } = report;
  const who = contact === "" ? reporter : `${reporter} <${contact}>`;
  const head = `${domain}: ${messages} message${messages === 1 ? "" : "s"} ${spanOf(report)}, policy ${
    policy || "unknown"
  }, says ${who}`;
  const rows = [
    ["source", "messages", "dkim", "spf", "failed", "junked", "refused", "from", "authenticated"],
    ...report.sources.map(columnsOf),
  ];
  const widths = rows[0]!.map((_, column) =>
    rows.reduce((width, row) => Math.max(width, Math.min(row[column]!.length, 45)), 0)
  );
  const isText = (column: number) => column === 0 || column >= 7;
  return [
    head,
    ...rows.map((row) =>
      row.map((cell, column) => isText(column) ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)).join(
        "  ",
      ).trimEnd()
    ),
  ];
}

function columnsOf(source: SourceSummary): string[] {
  const { messages, dkim, spf, failed, quarantined, rejected } = source;
  const counts = [messages, dkim, spf, failed, quarantined, rejected].map(String);
  const names = (set: ReadonlySet<string>) => set.size === 0 ? "-" : [...set].join(",");
  return [source.source || "-", ...counts, names(source.from), names(source.authenticated)];
}

function spanOf({ begin, end }: ReportSummary): string {
  const day = (seconds: number) => new Date(seconds * 1000).toISOString().slice(0, 10);
  if (begin === null || end === null) return "at an unknown time";
  return day(begin) === day(end) ? `on ${day(begin)}` : `from ${day(begin)} to ${day(end)}`;
}
