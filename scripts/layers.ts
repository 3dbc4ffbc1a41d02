/**
 * Fails when an import points upward: a folder of src/ may import only what is below it or beside it, through that folder's mod.ts, and
 * never in a circle. Reads import lines as text; knows nothing of types.
 */

import { dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** From low to high; folders of one line may know each other as long as no circle comes of it. */
const LAYERS: ReadonlyArray<readonly string[]> = [
  ["src/bounded_map.ts", "src/clock.ts", "src/date.ts"],
  ["src/net", "src/sockets"],
  ["src/envelope", "src/mac"],
  ["src/events"],
  ["src/config"],
  ["src/protocol"],
  ["src/isolate"],
  ["src/supervisor"],
  ["src/smtpd_conf", "src/smtp_client", "src/queue_client", "src/sasl"],
  ["src/tables", "src/dns", "src/tls", "src/smtp"],
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
    "src/advice",
  ],
  ["src/lookup"],
  ["src/daemon"],
  ["src/cli", "workers"],
  ["src/main.ts"],
];

interface Import {
  readonly file: string;
  readonly line: number;
  readonly target: string;
}

const level = (unit: string): number => LAYERS.findIndex((units) => units.includes(unit));

/** Folder of src/, `workers`, or the file itself for one right under src/. */
function unitOf(path: string): string {
  const parts = path.split("/");
  const inner = parts.slice(0, 3).join("/");
  if (level(inner) >= 0) return inner;
  return parts[0] === "src" ? parts.slice(0, 2).join("/") : parts[0]!;
}

async function* sources(folder: string): AsyncGenerator<string> {
  for await (const entry of Deno.readDir(folder)) {
    const path = join(folder, entry.name);
    if (entry.isDirectory) yield* sources(path);
    else if (/\.tsx?$/.test(entry.name)) yield path;
  }
}

/** Relative imports of one file, and complaints about imports that no one can check. */
function importsOf(file: string, text: string, complaints: string[]): Import[] {
  const found: Import[] = [];
  const lineOf = (index: number) => text.slice(0, index).split("\n").length;
  for (const match of text.matchAll(/^\s*(?:import|export)\b[^;"']*?["']([^"']+)["']/gm)) {
    const specifier = match[1]!;
    const line = lineOf(match.index + match[0].length);
    if (specifier.startsWith(".")) found.push({ file, line, target: normalize(join(dirname(file), specifier)) });
    else if (/^(https?|jsr|npm):/.test(specifier)) {
      complaints.push(`${file}:${line}: "${specifier}" is not of deno.json`);
    }
  }
  // A permission check does not see an import whose name is made at run time.
  for (const match of text.matchAll(/\bimport\(\s*(?!["'])/g)) {
    if (!/^\s*(\*|\/\/)/.test(text.slice(text.lastIndexOf("\n", match.index) + 1, match.index + 1))) {
      complaints.push(`${file}:${lineOf(match.index)}: import() of a name that is not a literal`);
    }
  }
  return found;
}

/** Tells whether this is the import of an isolate's start, `serve.ts` or `serve_*.ts`, by its entry in workers/: only they may. */
const startsIsolate = (from: string, target: string): boolean =>
  from === "workers" && /\/serve(_\w+)?\.ts$/.test(target);

/** What is wrong with one import, or null. */
function judge({ file, line, target }: Import): string | null {
  const from = unitOf(file), to = unitOf(target);
  if (from === to) return null;
  const where = `${file}:${line}: `;
  if (level(from) < 0) return `${where}${from} has no place in the layers`;
  if (level(to) < 0) return `${where}${target} is outside of the layers`;
  if (level(to) > level(from)) return `${where}${from} is below ${to} and may not import it`;
  if (to.startsWith("src/") && !to.endsWith(".ts") && target !== `${to}/mod.ts` && !startsIsolate(from, target)) {
    return `${where}${target} is a room of ${to}: import ${to}/mod.ts`;
  }
  return null;
}

/** The first circle between folders, as a path of names, or null. */
function circle(arrows: ReadonlyMap<string, ReadonlySet<string>>): string[] | null {
  const done = new Set<string>();
  const walk = (unit: string, path: readonly string[]): string[] | null => {
    if (path.includes(unit)) return [...path.slice(path.indexOf(unit)), unit];
    if (done.has(unit)) return null;
    for (const next of arrows.get(unit) ?? []) {
      const found = walk(next, [...path, unit]);
      if (found !== null) return found;
    }
    done.add(unit);
    return null;
  };
  for (const unit of arrows.keys()) {
    const found = walk(unit, []);
    if (found !== null) return found;
  }
  return null;
}

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const complaints: string[] = [];
const arrows = new Map<string, Set<string>>();
let files = 0;
for (const top of ["src", "workers"]) {
  for await (const path of sources(join(root, top))) {
    files++;
    const file = relative(root, path);
    for (const found of importsOf(file, await Deno.readTextFile(path), complaints)) {
      const complaint = judge(found);
      if (complaint !== null) complaints.push(complaint);
      const from = unitOf(file), to = unitOf(found.target);
      if (from !== to) arrows.set(from, (arrows.get(from) ?? new Set()).add(to));
    }
  }
}
const found = circle(arrows);
if (found !== null) complaints.push(`Folders import each other in a circle: ${found.join(" → ")}`);
for (const complaint of complaints) console.error(complaint);
console.error(
  complaints.length === 0 ? `Layers: ${files} files, every arrow points down` : `Layers: ${complaints.length} wrong`,
);
Deno.exit(complaints.length === 0 ? 0 : 1);
