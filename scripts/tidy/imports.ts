/** Who may import whom: layers between folders, no circle between files, and one front door per folder. Reads import lines as text. */

import { basename, dirname, join, normalize } from "node:path";
import { lineOf, type Source } from "./text.ts";

/** From low to high. A folder imports only what is below it or beside it. */
const LAYERS: ReadonlyArray<readonly string[]> = [
  ["src/bounded_map.ts", "src/builtin.ts", "src/clock.ts", "src/date.ts"],
  ["src/net", "src/sockets", "src/kernel", "src/reply_class"],
  ["src/envelope", "src/mac"],
  ["src/events"],
  ["src/config"],
  ["src/mail_auth"],
  ["src/protocol"],
  ["src/isolate"],
  ["src/process"],
  ["src/supervisor", "src/host"],
  ["src/smtpd_conf", "src/smtp_client", "src/queue_client", "src/file_client", "src/signer_client", "src/sasl"],
  ["src/findings", "src/search", "src/story", "src/tables", "src/dns", "src/tls", "src/dkim_keys", "src/smtp"],
  [
    "src/rules",
    "src/queue",
    "src/schedule",
    "src/relay",
    "src/delivery",
    "src/control",
    "src/admin",
    "src/programs",
    "src/login",
    "src/signer",
    "src/acme",
    "src/history",
    "src/advice",
    "src/checkup",
  ],
  ["src/lookup"],
  ["src/daemon"],
  ["src/explain"],
  ["src/cli", "workers"],
  ["src/main.ts"],
];

/** Who may load the parser of smtpd.conf: the daemon before it starts isolates, and three tools. */
const MAY_PARSE = ["src/daemon", "src/cli/smtpd", "src/cli/maps", "src/cli/smtpctl", "src/smtpd_conf"];

/** Folders whose `mod.ts` has types only: values are imported from their files, so that an isolate loads only those that it uses. */
const BY_FILE = ["src/config", "src/protocol"];
/** Control loads the admin server when the configuration has one. */
const LOADS_ADMIN = "src/control/admin_server.ts";
/** One folder per method of mail authentication, each with a `mod.ts`: an isolate loads the methods that it uses. */
const BY_METHOD = "src/mail_auth";
/** Puts the parts of several isolates together in one process, file by file: through their `mod.ts` each isolate would load what only this folder needs. Isolates that it takes as they are it starts as workers do. */
const ASSEMBLES = "src/explain";
/** What one isolate has of the doors: for its entry file alone. The table of all doors would make it load the checks of all. */
const OWN_DOORS = "src/protocol/isolates/", ALL_DOORS = "src/protocol/doors.ts";

interface Import {
  readonly file: string;
  readonly line: number;
  readonly target: string;
}

const level = (unit: string): number => LAYERS.findIndex((units) => units.includes(unit));

/** The folder of src/, `workers`, or the file itself for one right under src/. */
function unitOf(path: string): string {
  const parts = path.split("/");
  return parts[0] === "src" ? parts.slice(0, 2).join("/") : parts[0]!;
}

/** Complaints about the imports of `code`, one line each. */
export function checkImports(code: readonly Source[]): string[] {
  const complaints: string[] = [];
  const imports = code.flatMap((source) => importsOf(source, complaints));
  for (const found of imports) complaints.push(...judge(found));
  for (const source of code) complaints.push(...valuesOfDoor(source));
  const circle = findCircle(imports);
  if (circle !== null) {
    complaints.push(`Files import each other in a circle, move what both need into a third: ${circle.join(" → ")}`);
  }
  return complaints;
}

function importsOf({ file, text }: Source, complaints: string[]): Import[] {
  const found: Import[] = [];
  for (const match of text.matchAll(/^\s*(?:import|export)\b[^;"']*?["']([^"']+)["']/gm)) {
    const specifier = match[1]!;
    const line = lineOf(text, match.index + match[0].length);
    if (specifier.startsWith(".")) found.push({ file, line, target: normalize(join(dirname(file), specifier)) });
    else if (/^(https?|jsr|npm):/.test(specifier)) {
      complaints.push(`${file}:${line}: "${specifier}" is not of deno.json: name it there and import it by that name`);
    }
  }
  // A permission check does not see an import whose name is made at run time. A tool may load at need what it seldom needs, and so may control.
  const mayLoadLate = file === "src/main.ts" || file.startsWith("src/cli/") || file === LOADS_ADMIN;
  for (const match of text.matchAll(/\bimport\(\s*(?:import\.meta\.resolve\(\s*)?(["'])?/g)) {
    const start = text.slice(text.lastIndexOf("\n", match.index) + 1, match.index);
    // The table of tools has the names of its files in quotes.
    if (file === "src/main.ts") continue;
    if (/^\s*(\*|\/\/)/.test(start) || (match[1] !== undefined && mayLoadLate)) continue;
    const instead = mayLoadLate ? "name the file in quotes" : "import at the top of the file";
    complaints.push(`${file}:${lineOf(text, match.index)}: import() is not used here: ${instead}`);
  }
  return found;
}

/** Tells whether `target` is where an isolate starts. */
const startsIsolate = (target: string): boolean => /\/serve(_[a-z]+)?\.ts$/.test(target);

function* judge({ file, line, target }: Import): Generator<string> {
  const from = unitOf(file), to = unitOf(target), where = `${file}:${line}: `;
  if (startsIsolate(target) && from !== "workers" && from !== ASSEMBLES && from !== to) {
    return yield `${where}${target} is where an isolate starts: only workers/ imports it`;
  }
  if (to === "src/smtpd_conf" && !MAY_PARSE.some((place) => file.startsWith(`${place}/`))) {
    yield `${where}the parser of smtpd.conf is for ${MAY_PARSE.join(", ")}: take what is needed from src/config`;
  }
  if (from === to) return;
  if (target === ALL_DOORS && from !== "src/supervisor") {
    yield `${where}the table of all doors is for src/supervisor: an isolate has its own in ${OWN_DOORS}, types are in src/protocol/mod.ts`;
  }
  if (target.startsWith(OWN_DOORS)) {
    const entry = `workers/${basename(target)}`;
    if (file !== entry) yield `${where}${target} is what one isolate has of the doors: only ${entry} imports it`;
    return;
  }
  if (level(from) < 0) yield `${where}${from} has no place in the layers: give it one in scripts/tidy/imports.ts`;
  else if (level(to) < 0) yield `${where}${target} is outside of the layers`;
  else if (level(to) > level(from)) yield `${where}${from} is below ${to} and may not import it`;
  if (to.endsWith(".ts") || target === `${to}/mod.ts` || (from === "workers" && startsIsolate(target))) return;
  if (from === ASSEMBLES) return;
  if (BY_FILE.includes(to) && dirname(target) === to) return;
  if (to === BY_METHOD && (dirname(target) === to || basename(target) === "mod.ts")) return;
  yield `${where}${target} is inside of ${to}: import ${to}/mod.ts`;
}

/** What loads values in the `mod.ts` of a folder that is imported by file: with it, every isolate would load the whole folder. */
function* valuesOfDoor({ file, text }: Source): Generator<string> {
  if (!BY_FILE.some((folder) => file === `${folder}/mod.ts`)) return;
  for (const { index } of text.matchAll(/^(?:import|export)\b(?! type\b)/gm)) {
    yield `${file}:${lineOf(text, index)}: write "export type": values are imported from their files`;
  }
}

/** The first circle between files, as a path of names, or null. */
function findCircle(imports: readonly Import[]): string[] | null {
  const arrows = new Map<string, Set<string>>();
  for (const { file, target } of imports) arrows.set(file, (arrows.get(file) ?? new Set()).add(target));
  const done = new Set<string>();
  const walk = (file: string, path: readonly string[]): string[] | null => {
    if (path.includes(file)) return [...path.slice(path.indexOf(file)), file];
    if (done.has(file)) return null;
    for (const next of arrows.get(file) ?? []) {
      const found = walk(next, [...path, file]);
      if (found !== null) return found;
    }
    done.add(file);
    return null;
  };
  for (const file of arrows.keys()) {
    const found = walk(file, []);
    if (found !== null) return found;
  }
  return null;
}
