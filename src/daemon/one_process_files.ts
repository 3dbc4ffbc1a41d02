/**
 * Which files the one process may use behind Landlock, where all isolates share it and it starts no programs. It is the sum of what its isolates and main use:
 * what the configuration names, in its folders, since files are replaced there; the system's own files; the program's.
 */

import { dirname } from "node:path";
import type { Config, Environment } from "../config/mod.ts";
import { controlSocketPath, libexecFolders, spoolPath, statePath } from "../config/paths.ts";
import type { LandlockRules } from "../kernel/mod.ts";
import { resolverFiles } from "./machine/machine_names.ts";
import { namedFiles } from "./named_files.ts";
import { programFiles } from "./processes.ts";

/** Of the system: its configuration, its libraries and their data, what the kernel tells. No mail, no homes, nothing that is temporary. */
const SYSTEM_FOLDERS = ["/etc", "/usr", "/lib", "/lib64", "/sys", "/dev/null", "/dev/urandom", "/dev/random"];

/** What the rules follow from. */
export interface OneProcessSource {
  readonly config: Config;
  readonly env: Environment;
  /** Stands for the system's shadow file. */
  readonly shadow?: string;
}

/** Returns the rules. What is not there now is left out: it is not used, or it cannot be used after it was made. */
export function oneProcessFiles({ config, env, shadow }: OneProcessSource): LandlockRules {
  const keys = config.dkim.map(({ keyFile }) => keyFile);
  const named = [...namedFiles(config), ...resolverFiles(env), ...shadow === undefined ? [] : [shadow]];
  const program = programFiles(env.get("DENO_DIR") ?? null);
  return {
    read: present([...SYSTEM_FOLDERS, ...program, ...libexecFolders(env), ...named.flatMap(foldersOf)]),
    execute: [],
    // A rotation of DKIM makes the next keys beside those that are there; files of the log are opened again by SIGUSR1.
    write: present([
      ...[spoolPath(env), statePath(env)],
      ...keys.flatMap(foldersOf),
      ...config.log.flatMap((sink) => sink.kind === "file" ? [dirname(sink.path)] : []),
    ]),
    sockets: present([
      dirname(controlSocketPath(env)),
      ...config.admin.flatMap((admin) => "path" in admin ? [dirname(admin.path)] : []),
    ]),
    // A configuration that is read again may name other addresses.
    tcp: "any",
    // Seccomp refuses signals where no programs are started, and a service manager may listen on an abstract socket.
    neighbours: true,
  };
}

/** Returns those of `rules` that `stands` does not let through, each in words. */
export function beyond(stands: LandlockRules, rules: LandlockRules): readonly string[] {
  const has = (folders: readonly (readonly string[])[], path: string) =>
    folders.flat().some((folder) => path === folder || path.startsWith(folder === "/" ? folder : `${folder}/`));
  const { read, write, sockets = [] } = stands;
  return [
    ...rules.read.filter((path) => !has([read, write, sockets], path)).map((path) => `it may not read ${path}`),
    ...rules.write.filter((path) => !has([write, sockets], path)).map((path) => `it may not write ${path}`),
    ...(rules.sockets ?? []).filter((path) => !has([sockets], path)).map((path) => `it may not listen in ${path}`),
  ];
}

/** The folder of a file, and that of the file which a link of that name leads to now. */
function foldersOf(path: string): readonly string[] {
  const folders = [dirname(path)];
  try {
    folders.push(dirname(Deno.realPathSync(path)));
  } catch {
    // It is not there yet, or may not be looked at.
  }
  return folders;
}

function present(paths: readonly string[]): readonly string[] {
  return [...new Set(paths)].filter((path) => {
    try {
      Deno.statSync(path);
      return true;
    } catch {
      return false;
    }
  });
}
