/** The table that a bench run ends with: plain Markdown, each number beside its ratio to Postfix's. */

import { availableParallelism } from "node:os";
import type { Latency } from "./latency.ts";
import type { Measure } from "./load.ts";
import type { PairRow, Rest } from "./pairs.ts";
import type { Server } from "./server.ts";

export type Row =
  | { readonly kind: "load"; readonly scenario: string; readonly server: Server; readonly measure: Measure }
  | { readonly kind: "latency"; readonly server: Server; readonly latency: Latency };

const REFERENCE = "Postfix";

const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
const rule = (columns: number) => line(Array.from({ length: columns }, () => "---"));

/** `1234 (2.10×)`: a value and its ratio to the reference, where there is one. */
function against(value: number, reference: number | undefined, digits: number): string {
  const text = value.toFixed(digits);
  return reference === undefined ? text : `${text} (${(value / reference).toFixed(2)}×)`;
}

type Load = Extract<Row, { kind: "load" }>;

function loadTable(rows: readonly Load[]): string[] {
  const heads = ["", "server", "accepted/s", "delivered/s", "CPU s per 1,000", "peak memory MB"];
  const lines = [line(heads), rule(heads.length)];
  let last = "";
  for (const { scenario, server, measure } of rows) {
    const base = rows.find((row) => row.scenario === scenario && row.server.name === REFERENCE)?.measure;
    lines.push(line([
      scenario === last ? "" : scenario,
      server.name + (measure.stoppedAt === null ? "" : ` (stopped after ${measure.stoppedAt})`),
      against(measure.acceptedPerSecond, base?.acceptedPerSecond, 0),
      against(measure.deliveredPerSecond, base?.deliveredPerSecond, 0),
      against(measure.cpuSecondsPerThousand, base?.cpuSecondsPerThousand, 2),
      against(measure.peakBytes / 1e6, base === undefined ? undefined : base.peakBytes / 1e6, 0),
    ]));
    last = scenario;
  }
  return lines;
}

function latencyTable(rows: ReadonlyArray<Extract<Row, { kind: "latency" }>>): string[] {
  const heads = ["end of data to 250, 20 sessions", "p50 ms", "p99 ms", "synced before 250", "synced at delivery"];
  const base = rows.find((row) => row.server.name === REFERENCE)?.latency;
  return [
    line(heads),
    rule(heads.length),
    ...rows.map(({ server, latency }) => {
      const [before = "", after = ""] = server.syncs.split(" | ");
      return line([server.name, against(latency.p50, base?.p50, 1), against(latency.p99, base?.p99, 1), before, after]);
    }),
  ];
}

/** Memory and processor time of servers that have been started and have done nothing yet. */
export function restTable(rest: readonly Rest[]): string {
  const base = rest.find(({ server }) => server.name === REFERENCE);
  const heads = ["at rest, all processes", "memory MB (PSS)", "CPU s since the start"];
  return [
    "",
    line(heads),
    rule(heads.length),
    ...rest.map(({ server, bytes, cpuSeconds }) =>
      line([
        server.name,
        against(bytes / 1e6, base === undefined ? undefined : base.bytes / 1e6, 0),
        cpuSeconds.toFixed(1),
      ])
    ),
  ].join("\n");
}

/** Ratios of two users to one process, of rounds that alternated. */
export function pairTable(rows: readonly PairRow[], what = "two users ÷ one process"): string {
  const heads = [`${what}, medians`, "accepted/s", "delivered/s", "CPU a message", "least to most"];
  return [
    "",
    line(heads),
    rule(heads.length),
    ...rows.map(({ scenario, accepted, delivered, cpu, cpuRange }) =>
      line([
        scenario,
        ...[accepted, delivered, cpu].map((ratio) => `${ratio.toFixed(2)}×`),
        cpuRange.map((ratio) => ratio.toFixed(2)).join(" to "),
      ])
    ),
  ].join("\n");
}

export function table(rows: readonly Row[]): string {
  const latencies = rows.filter((row) => row.kind === "latency");
  const servers = [...new Set(rows.map((row) => row.server))];
  const notes = servers.flatMap(({ name, note }) => note === undefined ? [] : [`${name} ${note}.`]);
  return [
    "",
    `2 KB messages, ${availableParallelism()} cores, ${
      new Date().toISOString().slice(0, 10)
    }; (×) is the ratio to ${REFERENCE}.`,
    "",
    ...loadTable(rows.filter((row) => row.kind === "load")),
    ...(latencies.length > 0 ? ["", ...latencyTable(latencies)] : []),
    ...(notes.length > 0 ? ["", ...notes] : []),
  ].join("\n");
}
