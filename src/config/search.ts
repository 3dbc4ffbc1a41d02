/** Where the configuration and the programs that it names are looked for. Looks at the disk, reads nothing and starts nothing. */

import { CONFIG_PLACES, libexecFolders } from "./paths.ts";
import type { Environment } from "./paths.ts";
import { shown } from "./values.ts";

/** What the search for a configuration has come to. */
export interface FoundConfig {
  /** The file: the one that was named, else the first that is there, else the first place. */
  readonly file: string;
  /** Whether `file` was found: null when it was named, and so not looked for. */
  readonly found: boolean | null;
}

/**
 * Takes what `-f` says, null without one, and returns which configuration counts: that file, else the first one of CONFIG_PLACES that is there. A file that may
 * not be looked at is there. `root` is put before the places, for tests.
 */
export function findConfig(named: string | null, root = ""): FoundConfig {
  if (named !== null) return { file: named, found: null };
  const file = CONFIG_PLACES.map((place) => root + place).find((place) => infoOf(place) !== "missing");
  return { file: file ?? root + CONFIG_PLACES[0], found: file !== undefined };
}

/** Returns the words that end a message about a configuration that is nowhere; `option` is what names another one. */
export function noConfigAdvice(
  { searched, option = "-f" }: { readonly searched: boolean; readonly option?: string },
): string {
  const where = searched ? ` (nor is ${CONFIG_PLACES.slice(1).join(" or ")} there)` : "";
  return `${where}: write it, see smtpd.conf(5), have smtpctl setup make it, or name another file with ${option}`;
}

/**
 * Takes the name of a program, without a folder, and returns its path in the first folder that has it: our own, then those of OpenSMTPD's packages. Throws an
 * Error whose message says where was looked, or why the file is none that can be run. `root` is put before the folders: a chroot, or a test's.
 */
export function findProgram(name: string, env: Environment, root = ""): string {
  const folders = libexecFolders(env);
  for (const folder of folders) {
    const path = `${folder}/${name}`, named = `${root}${folder}/${shown(name)}`;
    const info = infoOf(root + path);
    if (info === "missing") continue;
    if (info === "closed") throw new Error(`${named}: Permission denied`);
    if (!info.isFile || ((info.mode ?? 0) & 0o111) === 0) throw new Error(`${named} is not an executable file`);
    return path;
  }
  throw new Error(`${shown(name)} is in none of ${folders.map((folder) => root + folder).join(", ")}`);
}

function infoOf(path: string): Deno.FileInfo | "missing" | "closed" {
  try {
    return Deno.statSync(path);
  } catch (error) {
    const missing = error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory;
    return missing ? "missing" : "closed";
  }
}
