/** References to RFCs in comments and test names: that they have one form, and where each stands, as a table that can be followed both ways. */

import { isTidy, lineOf, type Source } from "./text.ts";

/** `RFC 5321 §4.5.3.1`, also `RFC 3463 §3.2, §3.3`. */
const REFERENCE = /\bRFC (\d{3,5})((?:,? (?:and )?§[\dA-Z]+(?:\.\d+)*)*)/g;

/** Complaints about references that have another form, one line each. */
export function checkRfcs(sources: readonly Source[]): string[] {
  const complaints: string[] = [];
  for (const { file, text } of sources) {
    if (isTidy(file)) continue;
    for (
      const match of text.matchAll(
        /\brfc[ -]?\d{3,5}\b(?! ?;)|\bRFC-?\d{3,5}\b|\bRFC \d+,? (?:section|sec\.?|par\.?|\d+(?:\.\d+)*)\b|\bRFC \d+,? §(?![\dA-Z])/g,
      )
    ) {
      if (/^rfc\d+$/.test(match[0])) continue;
      complaints.push(`${file}:${lineOf(text, match.index)}: "${match[0]}" is written "RFC 5321 §4.5.3.1"`);
    }
  }
  return complaints;
}

/** The text of docs/rfcs.md: one row per RFC and section, with the files that apply it and the tests that name it. */
export function rfcTable(code: readonly Source[], tests: readonly Source[]): string {
  const rows = new Map<string, { files: Set<string>; tests: Set<string> }>();
  const collect = (sources: readonly Source[], kind: "files" | "tests") => {
    for (const { file, text } of sources) {
      for (const [, rfc, tail = ""] of text.matchAll(REFERENCE)) {
        const sections = [...tail.matchAll(/§([\dA-Z]+(?:\.\d+)*)/g)].map(([, section]) => section!);
        for (const section of sections.length === 0 ? [""] : sections) {
          const key = `${rfc} ${section}`;
          const row = rows.get(key) ?? { files: new Set(), tests: new Set() };
          rows.set(key, row);
          row[kind].add(file);
        }
      }
    }
  };
  collect(code, "files");
  collect(tests.filter(({ file }) => file.startsWith("test/") && !isTidy(file)), "tests");
  const keys = [...rows.keys()].sort((a, b) => compare(a.split(" "), b.split(" ")));
  const link = (file: string) => `[${file.replace(/^(src|test)\//, "")}](../${file})`;
  const lines = keys.map((key) => {
    const [rfc, section] = key.split(" ");
    const { files, tests } = rows.get(key)!;
    const list = (names: Set<string>) => [...names].sort().map(link).join(", ");
    return `| ${rfc} | ${section === "" ? "" : `§${section}`} | ${list(files)} | ${list(tests)} |`;
  });
  return `# RFCs, where they are applied and tested

Written by \`scripts/tidy.ts --write\` from the references in the code; do not edit it.

| RFC | section | code | tests |
| --- | --- | --- | --- |
${lines.join("\n")}
`;
}

/** Numbers by value, section by section. */
function compare(a: readonly string[], b: readonly string[]): number {
  const parts = ([rfc = "", section = ""]: readonly string[]) => [rfc, ...section.split(".")];
  const left = parts(a), right = parts(b);
  for (let at = 0; at < Math.max(left.length, right.length); at++) {
    const difference = Number(left[at] ?? -1) - Number(right[at] ?? -1);
    if (difference !== 0 && !Number.isNaN(difference)) return difference;
    if (left[at] !== right[at]) return (left[at] ?? "") < (right[at] ?? "") ? -1 : 1;
  }
  return 0;
}
