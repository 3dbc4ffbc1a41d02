/** What `smtpctl explain` says: steps in the order in which things are decided, each with the line of the configuration that decides it. */

import type { JsonRecord } from "../control/mod.ts";
import { safeLine } from "../events/mod.ts";

/** One decision, or one thing that would be done. */
export interface Step {
  /** A word for programs that read the JSON form: `listener`, `rule`, `reply`, `mx`. Stays as it is. */
  readonly kind: string;
  /** Where the configuration says so; absent for what no line says. */
  readonly where?: { readonly file: string; readonly line: number };
  /** One sentence without its full stop. What strangers wrote may be in it: `stepLines` makes it harmless. */
  readonly text: string;
  /** The same for programs: names in camelCase. */
  readonly detail?: JsonRecord;
  /** What follows from it, in order. */
  readonly children?: readonly Step[];
  /** Printed with `-v` only: why something was not chosen. */
  readonly minor?: true;
}

/** Steps printed below one another at most, and how deep: an alias may have 50,000 members. */
const MAX_PRINTED_STEPS = 1000, MAX_DEPTH_STEPS = 40;

/** Returns the lines of these steps, each indented by two spaces for each step above it, its place in the configuration behind it. */
export function stepLines(steps: readonly Step[], { verbose }: { readonly verbose: boolean }): string[] {
  return linesAt(steps, { verbose, depth: 0 });
}

function linesAt(steps: readonly Step[], how: { readonly verbose: boolean; readonly depth: number }): string[] {
  const all = how.verbose ? steps : steps.filter(({ minor }) => minor !== true);
  // What becomes of each recipient is what was asked: it is never cut.
  const shown = all.filter(({ kind }) => kind !== "result"), results = all.filter(({ kind }) => kind === "result");
  const indent = "  ".repeat(how.depth);
  const lines: string[] = [];
  const line = ({ text, where }: Step) => {
    const place = where === undefined ? "" : ` [${where.file}:${where.line}]`;
    return `${indent}${safeLine(text + place)}`;
  };
  for (const step of shown.slice(0, MAX_PRINTED_STEPS)) {
    const { children = [] } = step;
    lines.push(line(step));
    if (how.depth < MAX_DEPTH_STEPS) lines.push(...linesAt(children, { ...how, depth: how.depth + 1 }));
    else if (children.length > 0) lines.push(`${indent}  ...`);
  }
  if (shown.length > MAX_PRINTED_STEPS) lines.push(`${indent}... and ${shown.length - MAX_PRINTED_STEPS} more`);
  lines.push(...results.map(line));
  return lines;
}

/** Returns a step as JSON: `kind`, `text`, `file`, `line` (null where no line says so), `detail`, `steps`. */
export function stepRecord({ kind, text, where, detail, children = [] }: Step): JsonRecord {
  return {
    kind,
    text,
    file: where?.file ?? null,
    line: where?.line ?? null,
    ...detail === undefined ? {} : { detail },
    ...children.length === 0 ? {} : { steps: children.slice(0, MAX_PRINTED_STEPS).map(stepRecord) },
    ...children.length <= MAX_PRINTED_STEPS ? {} : { omitted: children.length - MAX_PRINTED_STEPS },
  };
}
