/** Findings of a check of this host, for whoever makes, prints or keeps them: how they are made, shown, counted and compared. Pure. */

import type { Finding, FindingLevel } from "../protocol/mod.ts";

const SEVERITY: Readonly<Record<FindingLevel, number>> = { ok: 0, info: 1, unknown: 2, warning: 3, error: 4 };

/** Makes the findings of one check of one subject. */
export function about(check: string, subject: string) {
  const make = (level: FindingLevel) => (text: string, advice: string | null = null): Finding => ({
    check,
    subject,
    level,
    text,
    advice,
  });
  return {
    ok: make("ok"),
    info: make("info"),
    warning: make("warning"),
    error: make("error"),
    unknown: make("unknown"),
  };
}

/** Returns at most `most` findings: the worst, in the order in which they came, and one that says how many are left out. */
export function worstOf(findings: readonly Finding[], most: number): readonly Finding[] {
  if (findings.length <= most) return findings;
  const worst = findings.toSorted((one, other) => SEVERITY[other.level] - SEVERITY[one.level]).slice(0, most - 1);
  const kept = new Set(worst), left = findings.length - kept.size;
  const note = about("check", "").info(`${left} findings are left out, none of which is worse than one that is shown`);
  return [...findings.filter((one) => kept.has(one)), note];
}

/** What monitoring systems take: 0 all is well, 1 there are warnings, 2 there are errors, 3 something could not be checked and no more is known. */
export function exitStatus(findings: readonly Finding[]): 0 | 1 | 2 | 3 {
  const has = (level: FindingLevel) => findings.some((one) => one.level === level);
  return has("error") ? 2 : has("warning") ? 1 : has("unknown") ? 3 : 0;
}

/** One line: level, what was looked at, what was found, what to do. */
export function formatFinding({ check, subject, level, text, advice }: Finding): string {
  const of = subject === "" ? check : `${check} ${subject}`;
  return `${level.padEnd(7)} ${of}: ${text}${advice === null ? "" : `: ${advice}`}`;
}

/** The findings that are warnings and errors now, and were less or not there before. */
export function gotWorse(before: readonly Finding[], now: readonly Finding[]): readonly Finding[] {
  // One line of the configuration may have several warnings, and those of the host have none.
  const key = ({ check, subject, text }: Finding) => `${check}\n${subject}\n${check === "config" ? text : ""}`;
  const known = new Map<string, number>();
  for (const one of before) known.set(key(one), Math.max(known.get(key(one)) ?? 0, SEVERITY[one.level]));
  return now.filter((one) =>
    SEVERITY[one.level] >= SEVERITY.warning && SEVERITY[one.level] > (known.get(key(one)) ?? SEVERITY.ok)
  );
}

/** How many there are of each level, in words, as in `1 error, 2 warnings`. */
export function summaryOf(findings: readonly Finding[]): string {
  const count = (level: FindingLevel) => findings.filter((one) => one.level === level).length;
  const errors = count("error"), warnings = count("warning"), unknown = count("unknown");
  const parts = [
    ...errors > 0 ? [`${errors} error${errors > 1 ? "s" : ""}`] : [],
    ...warnings > 0 ? [`${warnings} warning${warnings > 1 ? "s" : ""}`] : [],
    ...unknown > 0 ? [`${unknown} could not be checked`] : [],
  ];
  return parts.length === 0 ? "all is well" : parts.join(", ");
}
