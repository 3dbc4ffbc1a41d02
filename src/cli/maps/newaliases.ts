/** newaliases(8): checks the aliases file that the configuration names, makes its map, and has a running daemon read it again. */

import type { Environment } from "../../config/mod.ts";
import { CONFIG_PLACES, controlSocketPath, DEFAULT_ALIASES } from "../../config/paths.ts";
import { findConfig } from "../../config/search.ts";
import { formatDiagnostic, parseConfig, splitDefine } from "../../smtpd_conf/mod.ts";
import { askControl, NotRunning } from "../../control/mod.ts";
import { safeLine, systemReasonAt } from "../../events/mod.ts";
import { getopt, guessInfo } from "../getopt.ts";
import { replaceMap } from "./makemap.ts";
import { parseMapSource } from "./map_source.ts";
import { processTerminal, type Terminal } from "../terminal.ts";
import { lettersOf, printInfo, usageOf } from "../usage.ts";

/** Name of the table that holds the aliases. */
const TABLE = "aliases";

/** Runs newaliases(8) and returns its exit status. */
export async function newaliasesMain(
  args: string[],
  env: Environment,
  terminal: Terminal = processTerminal(),
): Promise<number> {
  const options = getopt(args, lettersOf("newaliases"));
  if (!options.ok) {
    if (options.info !== null) return printInfo("newaliases", options.info, terminal);
    terminal.err(`newaliases: ${options.text}\n${usageOf("newaliases")}`);
    return 1;
  }
  const defines = options.list.filter(([letter]) => letter === "D").map(([, text]) => splitDefine(text));
  if (options.operands.length > 0 || defines.includes(null)) {
    const [extra] = options.operands;
    const guess = extra === undefined ? "" : guessInfo(extra) ?? "";
    const wrong = extra === undefined ? "-D wants macro=value" : `no argument is taken: ${safeLine(extra)}${guess}`;
    terminal.err(`newaliases: ${wrong}\n${usageOf("newaliases")}`);
    return 1;
  }
  try {
    const config = findConfig(options.given.get("f") ?? null);
    const found = findAliases(
      config.file,
      defines.filter((one) => one !== null),
      terminal,
    );
    if (found === null) {
      if (config.found === false) terminal.err(`newaliases: looked for ${CONFIG_PLACES.join(", ")}\n`);
      return 1;
    }
    const { path, map } = found;
    const source = parseMapSource(Deno.readTextFileSync(path), "aliases");
    if (!source.ok) {
      for (const { line, message } of source.faults) terminal.err(`${path}:${line}: ${message}\n`);
      return 1;
    }
    if (map !== null) replaceMap(map, source.entries, Deno.statSync(path));
    const count = source.entries.length;
    terminal.out(`${path}: ${count} ${count === 1 ? "alias" : "aliases"}\n`);
    return await updateTable(env, terminal);
  } catch (error) {
    terminal.err(`newaliases: ${systemReasonAt(error)}\n`);
    return 1;
  }
}

/**
 * The source file of the aliases, and the map that is made of it, if the daemon reads one; null when the configuration is wrong (which has
 * been printed). Throws when there is no file.
 */
function findAliases(
  file: string,
  defines: readonly (readonly [string, string])[],
  terminal: Terminal,
): { readonly path: string; readonly map: string | null } | null {
  // No program is run here, so none is looked for; and no map is opened, since it may be missing yet.
  const files = { readText: (path: string) => Deno.readTextFileSync(path), programPath: (name: string) => name };
  const parsed = parseConfig(file, { defines, files });
  if (!parsed.ok) {
    for (const diagnostic of parsed.diagnostics) terminal.err(`${formatDiagnostic(diagnostic)}\n`);
    if (parsed.fatal !== null) terminal.err(`newaliases: ${parsed.fatal}\n`);
    return null;
  }
  if (parsed.config.tables[TABLE] !== undefined) {
    throw new Error(`table "${TABLE}" is written in ${file}: there is no file to read again`);
  }
  const table = parsed.config.tableFiles[TABLE];
  if (table === undefined) return { path: DEFAULT_ALIASES, map: null };
  if (table.backend === "file") return { path: table.path.replace(/\.db$/, ""), map: null };
  if (table.backend === "db" && table.path.endsWith(".db")) return { path: table.path.slice(0, -3), map: table.path };
  throw new Error(`table "${TABLE}" is ${table.backend}:${table.path}: there are no aliases to make it of`);
}

/** Has a running daemon read the table again; without a daemon there is nothing to do. */
async function updateTable(env: Environment, terminal: Terminal): Promise<number> {
  try {
    for await (const answer of askControl(controlSocketPath(env), { do: "update-table", table: TABLE })) {
      if (!("ok" in answer) || answer.ok) continue;
      terminal.err(`newaliases: ${answer.error || "the daemon could not read the aliases"}\n`);
      return 1;
    }
  } catch (error) {
    if (!(error instanceof NotRunning)) throw error;
  }
  return 0;
}
