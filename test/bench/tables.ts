/**
 * What large tables cost: `scripts/bench tables`. A million aliases in a file, a cdb, Berkeley DB files and SQLite: time to load, bytes an entry,
 * time of a lookup; and how long an alias of 10,000 recipients keeps others waiting. Each table is measured in a process of its own.
 */

import { Steps } from "./steps.ts";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { DatabaseSync } from "node:sqlite";
import type { TableFile } from "../../src/config/mod.ts";
import { NO_OBSERVER } from "../../src/events/mod.ts";
import { inspectTableFile, openMachine, openTableFile } from "../../src/lookup/mod.ts";
import { writeCdb } from "../../src/tables/mod.ts";
import { measureExpansion } from "./expansion.ts";
import { systemClock } from "../../src/clock.ts";

const ENTRIES = 1_000_000;
const LOOKUPS = 200_000;
const RECIPIENTS = 10_000;

interface Measured {
  readonly checkMs: number;
  readonly loadMs: number;
  readonly bytesAnEntry: number;
  readonly hitMicros: number;
  readonly missMicros: number;
}

type Backend = TableFile["backend"];

const keyOf = (index: number) => `user${String(index).padStart(7, "0")}`;
const valueOf = (index: number) => `someone${index}@host${index % 1000}.example.org`;

/** Writes the same aliases in every form that can be made here. */
async function makeTables(folder: string): Promise<{ name: string; backend: Backend; path: string }[]> {
  const indexes = Array.from({ length: ENTRIES }, (_, index) => index);
  const at = (name: string) => join(folder, name);
  await Deno.writeTextFile(at("file"), indexes.map((index) => `${keyOf(index)}: ${valueOf(index)}\n`).join(""));
  const encoder = new TextEncoder();
  const records = indexes.map((index) => ({
    key: encoder.encode(`${keyOf(index)}\0`),
    value: encoder.encode(`${valueOf(index)}\0`),
  }));
  await Deno.writeFile(at("cdb"), writeCdb(records));
  makeSqlite(at("sqlite.db"), indexes);
  await Deno.writeTextFile(
    at("sqlite"),
    `dbpath ${at("sqlite.db")}\nquery_alias SELECT value FROM aliases WHERE key = ?\n`,
  );
  const made: { name: string; backend: Backend; path: string }[] = [
    { name: "file", backend: "file", path: at("file") },
    { name: "cdb", backend: "db", path: at("cdb") },
    { name: "sqlite", backend: "sqlite", path: at("sqlite") },
  ];
  const text = indexes.map((index) => `${keyOf(index)}\\00\n${valueOf(index)}\\00\n`).join("");
  for (const type of ["hash", "btree"]) {
    if (await loadBerkeley(type, at(type), text)) {
      made.splice(-1, 0, { name: `Berkeley DB ${type}`, backend: "db", path: at(type) });
    }
  }
  return made;
}

function makeSqlite(path: string, indexes: readonly number[]): void {
  const database = new DatabaseSync(path);
  database.exec("CREATE TABLE aliases (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID; BEGIN");
  const insert = database.prepare("INSERT INTO aliases VALUES (?, ?)");
  for (const index of indexes) insert.run(keyOf(index), valueOf(index));
  database.exec("COMMIT");
  database.close();
}

/** With Debian's db5.3_load; false without it. */
async function loadBerkeley(type: string, path: string, text: string): Promise<boolean> {
  try {
    const process = new Deno.Command("db5.3_load", { args: ["-T", "-t", type, path], stdin: "piped" }).spawn();
    const writer = process.stdin.getWriter();
    await writer.write(new TextEncoder().encode(text));
    await writer.close();
    return (await process.status).success;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    console.error("Without db5.3_load there are no figures for Berkeley DB");
    return false;
  }
}

/** In a process of its own: opens one table as the daemon does. */
function measureTable(backend: Backend, path: string): Measured {
  const disk = openMachine();
  const collect = (globalThis as { gc?: () => void }).gc!;
  let started = performance.now();
  const lap = () => {
    const now = performance.now(), ms = now - started;
    started = now;
    return ms;
  };
  collect();
  const before = Deno.memoryUsage().rss;
  lap();
  const around = { disk, delimiter: "+", observer: NO_OBSERVER, warn: console.error, clock: systemClock };
  const kind = backend === "file" ? "map" : "dynamic";
  const table = openTableFile({ name: "t", backend, kind, path, files: [path], includes: [] }, around);
  const loadMs = lap();
  // What lies outside of the heap is given back some time after it was collected.
  for (let round = 0; round < 3; round++) collect();
  const bytes = Deno.memoryUsage().rss - before;
  lap();
  for (let step = 0; step < LOOKUPS; step++) {
    const index = (step * 7919) % ENTRIES;
    if (table.lookup(keyOf(index), "alias") !== valueOf(index)) throw new Error(`${backend}: ${keyOf(index)} is wrong`);
  }
  const hitMicros = lap() * 1000 / LOOKUPS;
  for (let step = 0; step < LOOKUPS; step++) {
    if (table.lookup(`nobody${step}`, "alias") !== null) throw new Error("found what is not there");
  }
  const missMicros = lap() * 1000 / LOOKUPS;
  if (backend !== "file") inspectTableFile(backend, path, disk);
  return { checkMs: lap(), loadMs, bytesAnEntry: Math.max(0, bytes) / ENTRIES, hitMicros, missMicros };
}

async function measureApart(backend: Backend, path: string): Promise<Measured> {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--v8-flags=--expose-gc", fileURLToPath(import.meta.url), "--one", backend, path],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error(`The measurement of ${backend}:${path} failed`);
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function measureAll(): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "vaultpost-bench-" });
  try {
    console.error(`Writing ${ENTRIES} aliases in every form`);
    const line = (...cells: string[]) => console.log(`| ${cells.join(" | ")} |`);
    const tables = await makeTables(folder);
    line(
      `${ENTRIES.toLocaleString("en")} aliases`,
      "load ms",
      "bytes an entry",
      "µs a hit",
      "µs a miss",
      "check by main, ms",
    );
    line("---", "---", "---", "---", "---", "---");
    using steps = new Steps(tables.length + 2);
    for (const { name, backend, path } of tables) {
      const { checkMs, loadMs, bytesAnEntry, hitMicros, missMicros } = await measureApart(backend, path);
      steps.pause();
      const check = backend === "file" ? "" : checkMs.toFixed(0);
      line(name, loadMs.toFixed(0), bytesAnEntry.toFixed(0), hitMicros.toFixed(1), missMicros.toFixed(1), check);
      steps.done();
    }
    steps.pause();
    console.log();
    line(
      `alias of ${RECIPIENTS.toLocaleString("en")} recipients`,
      "answer ms",
      "others answered meanwhile",
      "longest wait of others, ms",
    );
    line("---", "---", "---", "---");
    for (const kind of ["relayed", "local"] as const) {
      const { answerMs, others, worstMs } = await measureExpansion(folder, kind, RECIPIENTS);
      steps.pause();
      line(kind, answerMs.toFixed(0), String(others), worstMs.toFixed(1));
      steps.done();
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const [mode, backend, path] = Deno.args;
if (mode === "--one") console.log(JSON.stringify(measureTable(backend as Backend, path!)));
else await measureAll();
