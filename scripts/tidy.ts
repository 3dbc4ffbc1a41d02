/**
 * The rules that neither the formatter, the linter nor the type checker knows: layers, circles, lengths, names, clocks, comments, RFC
 * references. Each complaint says what to do. `scripts/tidy.ts --write` writes what is derived from the code (docs/rfcs.md, the statistics and the names of --json in smtpctl(8), the processes in docs/privileges.md,
 * the completions of the shells);
 * without it that has to be current.
 */

import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { COMPLETIONS } from "./tidy/completions.ts";
import { checkImports } from "./tidy/imports.ts";
import { withJsonForms } from "./tidy/json_forms.ts";
import { withMetricFamilies, withMetrics } from "./tidy/metrics.ts";
import { checkParameters } from "./tidy/parameters.ts";
import { withProcesses } from "./tidy/processes.ts";
import { checkRfcs, rfcTable } from "./tidy/rfcs.ts";
import { checkText, type Source } from "./tidy/text.ts";

const unknown = Deno.args.find((word) => word !== "--write");
if (unknown !== undefined) {
  const asked = unknown === "--help" || unknown === "-h";
  (asked ? console.log : console.error)("usage: scripts/deno run -A scripts/tidy.ts [--write]");
  Deno.exit(asked ? 0 : 1);
}
const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Every TypeScript file below `folder`, with its text. */
function* sources(folder: string): Generator<Source> {
  for (const { name, isDirectory } of Deno.readDirSync(join(root, folder))) {
    const file = `${folder}/${name}`;
    if (isDirectory) yield* sources(file);
    else if (/\.tsx?$/.test(name)) {
      yield { file: relative(root, join(root, file)), text: Deno.readTextFileSync(join(root, file)) };
    }
  }
}

/** "" for a file that is to be written. */
function readIfPresent(path: string): string {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  }
}

const byName = (a: Source, b: Source) => a.file < b.file ? -1 : 1;
const code = [...sources("src"), ...sources("workers")].sort(byName);
const tests = [...sources("test"), ...sources("scripts")].sort(byName);

const complaints = [
  ...checkImports(code),
  ...checkText(code, tests),
  ...checkParameters(code),
  ...checkRfcs([...code, ...tests]),
];
/** What is written from the code, by path. */
const generated: Readonly<Record<string, (old: string) => string>> = {
  "docs/rfcs.md": () => rfcTable(code, tests),
  "conf/man/smtpctl.8": (page) => withJsonForms(withMetrics(page)),
  "docs/metrics.md": withMetricFamilies,
  "docs/privileges.md": withProcesses,
  ...COMPLETIONS,
};
for (const [file, generate] of Object.entries(generated)) {
  const old = readIfPresent(join(root, file)), current = generate(old);
  if (current === old) continue;
  if (Deno.args.includes("--write")) Deno.writeTextFileSync(join(root, file), current);
  else complaints.push(`${file} is not current: run scripts/deno run -A scripts/tidy.ts --write`);
}
for (const complaint of complaints) console.error(complaint);
console.error(`Tidy: ${code.length + tests.length} files, ${complaints.length} complaints`);
Deno.exit(complaints.length === 0 ? 0 : 1);
