/** Each rule of scripts/tidy.ts, tried with an example that breaks it and one that keeps it. */

import { deepEqual, equal, match, throws } from "node:assert/strict";
import { checkImports } from "../../scripts/tidy/imports.ts";
import { withJsonForms } from "../../scripts/tidy/json_forms.ts";
import { withMetrics } from "../../scripts/tidy/metrics.ts";
import { checkParameters } from "../../scripts/tidy/parameters.ts";
import { checkRfcs, rfcTable } from "../../scripts/tidy/rfcs.ts";
import { checkText, type Source } from "../../scripts/tidy/text.ts";

const long = (count: number) => "  step();\n".repeat(count);

interface Row {
  readonly rule: string;
  readonly wrong: Source;
  readonly complaint: RegExp;
  readonly right: Source;
}

const file = (file: string, text: string): Source => ({ file, text });

const imports: readonly Row[] = [
  {
    rule: "a folder does not import from above",
    wrong: file("src/net/a.ts", 'import { b } from "../queue/mod.ts";'),
    complaint: /^src\/net\/a\.ts:1: src\/net is below src\/queue and may not import it$/,
    right: file("src/queue/a.ts", 'import { b } from "../net/mod.ts";'),
  },
  {
    rule: "a folder has its place in the layers",
    wrong: file("src/attic/a.ts", 'import { b } from "../net/mod.ts";'),
    complaint: /src\/attic has no place in the layers: give it one/,
    right: file("src/rules/a.ts", 'import { b } from "../net/mod.ts";'),
  },
  {
    rule: "another folder is imported by its front door",
    wrong: file("src/queue/a.ts", 'import { b } from "../net/names.ts";'),
    complaint: /src\/net\/names\.ts is inside of src\/net: import src\/net\/mod\.ts/,
    right: file("src/queue/a.ts", 'import { b } from "./names.ts";'),
  },
  {
    rule: "the front door of a folder that is imported by file has types only",
    wrong: file("src/config/mod.ts", 'export * from "./limits.ts";'),
    complaint: /^src\/config\/mod\.ts:1: write "export type": values are imported from their files$/,
    right: file("src/queue/a.ts", 'import { LIMITS } from "../config/limits.ts";'),
  },
  {
    rule: "an isolate does not load the table of all doors",
    wrong: file("src/isolate/a.ts", 'import { DOORS } from "../protocol/doors.ts";'),
    complaint: /^src\/isolate\/a\.ts:1: the table of all doors is for src\/supervisor: an isolate has its own in /,
    right: file("src/supervisor/a.ts", 'import { DOORS } from "../protocol/doors.ts";'),
  },
  {
    rule: "what one isolate has of the doors is imported by its entry file",
    wrong: file("workers/relay.ts", 'import { SMTP_DOORS } from "../src/protocol/isolates/smtp.ts";'),
    complaint: /isolates\/smtp\.ts is what one isolate has of the doors: only workers\/smtp\.ts imports it/,
    right: file("workers/smtp.ts", 'import { SMTP_DOORS } from "../src/protocol/isolates/smtp.ts";'),
  },
  {
    rule: "only workers/ imports what starts an isolate",
    wrong: file("src/daemon/a.ts", 'import { serveQueue } from "../queue/serve.ts";'),
    complaint: /src\/queue\/serve\.ts is where an isolate starts: only workers\/ imports it/,
    right: file("workers/queue.ts", 'import { serveQueue } from "../src/queue/serve.ts";'),
  },
  {
    rule: "the parser of smtpd.conf is loaded by those who need it",
    wrong: file("src/cli/sendmail/a.ts", 'import { parseConfig } from "../../smtpd_conf/mod.ts";'),
    complaint: /the parser of smtpd\.conf is for .*: take what is needed from src\/config/,
    right: file("src/cli/smtpd/a.ts", 'import { parseConfig } from "../../smtpd_conf/mod.ts";'),
  },
  {
    rule: "packages are named in deno.json",
    wrong: file("src/net/a.ts", 'import x from "npm:x@1";'),
    complaint: /"npm:x@1" is not of deno\.json: name it there/,
    right: file("src/net/a.ts", 'import x from "x";'),
  },
  {
    rule: "an import at run time names a file, and stands in a tool only",
    wrong: file("src/queue/a.ts", 'const x = await import("./b.ts");'),
    complaint: /import\(\) is not used here: import at the top of the file/,
    right: file("src/cli/smtpctl/a.ts", 'const x = await import("./b.ts");'),
  },
];

const texts: readonly Row[] = [
  {
    rule: "a file of more than 400 lines says why",
    wrong: file("src/net/a.ts", `/** Names. */\n${"\n".repeat(400)}`),
    complaint: /^src\/net\/a\.ts has 402 lines: split it, or let its header say why it is so long$/,
    right: file("src/net/a.ts", `/** Names. Long on purpose: a table. */\n${"\n".repeat(400)}`),
  },
  {
    rule: "a function of more than 60 lines says why",
    wrong: file("src/net/a.ts", `function f() {\n${long(60)}}\n`),
    complaint: /^src\/net\/a\.ts:1: a function of 62 lines: split it/,
    right: file("src/net/a.ts", `function f() {\n${long(58)}}\n`),
  },
  {
    rule: "a method of more than 60 lines with a signature of several lines says why",
    wrong: file("src/net/a.ts", `class A {\n  async #f(\n    a: string,\n  ): Promise<void> {\n${long(58)}  }\n}\n`),
    complaint: /^src\/net\/a\.ts:2: a function of 62 lines/,
    right: file("src/net/a.ts", `class A {\n${`  f(): void {\n${long(20)}  }\n`.repeat(4)}}\n`),
  },
  {
    rule: "a callback of more than 60 lines says why",
    wrong: file("src/net/a.ts", `serve(door, (channel) => {\n${long(60)}});\n`),
    complaint: /a function of 62 lines/,
    right: file("src/net/a.ts", `if (yes) {\n${long(60)}}\n`),
  },
  {
    rule: "a dropped word does not come back as part of a name",
    wrong: file("src/net/a.ts", "const frontDesk = 1;"),
    complaint: /"frontDesk" was dropped: say what it is/,
    right: file("src/net/a.ts", 'const context = "desk"; // desk'),
  },
  {
    rule: "a dropped name of a type does not come back",
    wrong: file("test/net/a_test.ts", "class Guard {}"),
    complaint: /"Guard" was dropped: say LoginThrottle/,
    right: file("test/net/a_test.ts", "const guard = /Guard is away/;"),
  },
  {
    rule: "file names are snake_case",
    wrong: file("src/net/host-port.ts", ""),
    complaint: /^src\/net\/host-port\.ts: file names are snake_case: rename it$/,
    right: file("src/net/host_port.ts", ""),
  },
  {
    rule: "a limit says what it counts",
    wrong: file("src/net/a.ts", "const MAX_LINE = 512;"),
    complaint: /MAX_LINE does not say what it counts: end it in a unit/,
    right: file("src/net/a.ts", "const MAX_LINE_OCTETS = 512, MAX_HOSTS = 4, LINGER_MS = 5;"),
  },
  {
    rule: "timers are set by the clock",
    wrong: file("src/net/a.ts", "setTimeout(f, 1);"),
    complaint: /setTimeout\(\) is for src\/clock\.ts: take a Clock as an argument/,
    right: file("src/clock.ts", "setTimeout(f, 1);"),
  },
  {
    rule: "intervals are set by the clock",
    wrong: file("src/net/a.ts", "const t = setInterval(f, 1);"),
    complaint: /setInterval\(\) is for src\/clock\.ts/,
    right: file("src/net/a.ts", "socket.setTimeout(1); // setInterval(f, 1)"),
  },
  {
    rule: "work is finished",
    wrong: file("scripts/a.ts", `// ${"TO"}DO: more`),
    complaint: /finish it, or leave it out/,
    right: file("scripts/a.ts", "// to do more"),
  },
  {
    rule: "an exported function has a doc comment",
    wrong: file("src/net/a.ts", "export function f(): void {}\n"),
    complaint: /^src\/net\/a\.ts:1: f\(\) has no doc comment: say what it takes, returns and throws$/,
    right: file("src/net/a.ts", "/** Takes nothing and returns nothing. */\nexport function f(): void {}\n"),
  },
  {
    rule: "the doc comment of an exported function is a sentence",
    wrong: file("src/net/a.ts", "/** a name */\nexport async function f() {}\n"),
    complaint: /f\(\): its doc comment is no sentence: begin with a capital, end with a period/,
    right: file("src/net/a.ts", "/** a name */\nfunction f() {}\n"),
  },
];

const rfcs: readonly Row[] = [
  {
    rule: "sections are written with §",
    wrong: file("src/net/a.ts", `// RFC 5321 ${"section"} 4.5`),
    complaint: /"RFC 5321 section" is written "RFC 5321 §4\.5\.3\.1"/,
    right: file("src/net/a.ts", "// RFC 5321 §4.5, §4.6 and §5"),
  },
  {
    rule: "RFC stands in capitals, with a space",
    wrong: file("test/net/a_test.ts", `// ${"rfc"} 5321`),
    complaint: /is written "RFC 5321 §4\.5\.3\.1"/,
    right: file("test/net/a_test.ts", "// RFC 5321"),
  },
  {
    rule: "a section has a number behind §",
    wrong: file("src/net/a.ts", "// RFC 5321 § 4"),
    complaint: /is written/,
    right: file("src/net/a.ts", "// RFC 5321 §4"),
  },
];

const parameters: readonly Row[] = [
  {
    rule: "no boolean is a parameter by position",
    wrong: file("src/net/a.ts", "\nfunction f(name: string, utf8: boolean): void {}"),
    complaint:
      /^src\/net\/a\.ts:2: "utf8" is a boolean by position: take \{ utf8 \}, a literal such as "utf8", or make two functions$/,
    right: file("src/net/a.ts", "function f(name: string, { utf8 }: { readonly utf8: boolean }): void {}"),
  },
  {
    rule: "nor one that may be left out, or be null",
    wrong: file("src/net/a.ts", "interface A {\n  f(\n    found?: boolean | null,\n    at: string,\n  ): void;\n}"),
    complaint: /^src\/net\/a\.ts:2: "found" is a boolean/,
    right: file("src/net/a.ts", "type F = (found: boolean | null) => void;"),
  },
  {
    rule: "nor one that is known by its default",
    wrong: file("src/net/a.ts", "class A {\n  constructor(limit: number, binary = false) {}\n}"),
    complaint: /"binary" is a boolean/,
    right: file("src/net/a.ts", 'call((name, utf8) => f(name, utf8 ? "utf8" : "ascii"), { utf8: false, at: 1 });'),
  },
  {
    rule: "no two bare numbers stand side by side",
    wrong: file("src/net/a.ts", "const f = (list: Map<string, number>, size: number, limit: number | null) => 1;"),
    complaint: /"size" and "limit" are bare numbers side by side: take \{ size, limit \}, or brand one$/,
    right: file("src/net/a.ts", "const f = (size: number, name: string, limit: number) => 1;"),
  },
  {
    rule: "nor do such as are known by their defaults",
    wrong: file("src/net/a.ts", "function f(bytes: Uint8Array, most = 1_000, at = bytes.length) {}"),
    complaint: /"most" and "at" are bare numbers/,
    right: file("src/net/a.ts", "for (let most = 1, at = 2; at < f(most, at);) g(most = 1, at = x);"),
  },
  {
    rule: "but a span, in its order, and branded ones",
    wrong: file("src/net/a.ts", "abstract push(bytes: Uint8Array, end: number, start: number): void;"),
    complaint: /"end" and "start" are bare numbers/,
    right: file("src/net/a.ts", "f(bytes: Uint8Array, start: number, end?: number); g(lane: Lane, slot: number);"),
  },
];

const checks: readonly [readonly Row[], (source: Source) => readonly string[]][] = [
  [imports, (source) => checkImports([source])],
  [texts, (source) => source.file.startsWith("src/") ? checkText([source], []) : checkText([], [source])],
  [parameters, (source) => checkParameters([source])],
  [rfcs, (source) => checkRfcs([source])],
];
for (const [rows, check] of checks) {
  for (const { rule, wrong, complaint, right } of rows) {
    Deno.test(`tidy: ${rule}`, () => {
      const complaints = check(wrong);
      equal(complaints.length, 1, complaints.join("\n"));
      match(complaints[0]!, complaint);
      deepEqual(check(right), []);
    });
  }
}

Deno.test("tidy: files do not import each other in a circle", () => {
  const a = file("src/net/a.ts", 'export * from "./b.ts";'),
    b = file("src/net/b.ts", 'import type { A } from "./c.ts";');
  const c = file("src/net/c.ts", 'import { a } from "./a.ts";');
  deepEqual(checkImports([a, b]), []);
  match(
    checkImports([a, b, c]).join(),
    /in a circle, .*: src\/net\/a\.ts → src\/net\/b\.ts → src\/net\/c\.ts → src\/net\/a\.ts$/,
  );
});

Deno.test("tidy: docs/rfcs.md has a row per RFC and section, with code and tests", () => {
  const table = rfcTable([file("src/net/a.ts", "// RFC 5321 §4.5, §4.10")], [
    file("test/net/a_test.ts", "// RFC 5321 §4.5"),
  ]);
  deepEqual(table.split("\n").filter((line) => line.startsWith("| 5321")), [
    "| 5321 | §4.5 | [net/a.ts](../src/net/a.ts) | [net/a_test.ts](../test/net/a_test.ts) |",
    "| 5321 | §4.10 | [net/a.ts](../src/net/a.ts) |  |",
  ]);
});

Deno.test("tidy: the list of statistics in smtpctl(8) has every metric, and needs its place", () => {
  const page = Deno.readTextFileSync(new URL("../../conf/man/smtpctl.8", import.meta.url));
  match(withMetrics(page), /^\.It Li scheduler\.delivery\.ok Pq counter$/m);
  throws(() => withMetrics(".Sh NAME\n"), /no place for the statistics/);
});

Deno.test("tidy: the names of --json in smtpctl(8) are those of the table, and need their place", () => {
  const page = Deno.readTextFileSync(new URL("../../conf/man/smtpctl.8", import.meta.url));
  match(withJsonForms(page), /^\.It Sy show queue Pq an object a line\n\.Li envelope$/m);
  throws(() => withJsonForms(".Sh NAME\n"), /no place for the names of --json/);
});
