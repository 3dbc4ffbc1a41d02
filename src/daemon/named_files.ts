/** The files that a configuration consists of and names: for a backup, and for the rules of Landlock. */

import { resolve } from "node:path";
import type { Config, Environment } from "../config/mod.ts";
import { MAILNAME, statePath } from "../config/paths.ts";
import { tableFilesOf } from "../lookup/mod.ts";
import { parseConfig } from "../smtpd_conf/mod.ts";

/** Returns the absolute paths of the files: the configuration, what it includes, certificates, keys, tables. Programs are not among them. */
export function namedFiles(config: Config): readonly string[] {
  const { pki, ca, dkim, queue } = config;
  const encryption = [queue.encryption, ...queue.oldKeys];
  const files = [
    config.file,
    ...Object.values(config.declared).map(({ file }) => file),
    ...Object.values(pki).flatMap((
      { certFile, keyFile, acme },
    ) => [certFile, keyFile, ...acme?.ca == null ? [] : [acme.ca]]),
    ...Object.values(ca),
    ...dkim.map(({ keyFile }) => keyFile),
    ...encryption.flatMap((key) => key?.kind === "file" ? [key.path] : []),
    ...tableFilesOf(config),
  ];
  return [...new Set(files.map((file) => resolve(file)))];
}

/** Returns the files and folders that a backup has beside the spool. Some of them may not be there. */
export function filesToKeep(config: Config, env: Environment): readonly string[] {
  return [...namedFiles(config), MAILNAME, resolve(statePath(env))];
}

/** As `filesToKeep`, for the configuration in `file`, while no daemon runs. Throws an Error when it cannot be read. */
export function filesToKeepOf(file: string, env: Environment): readonly string[] {
  const parsed = parseConfig(file, { defines: [], files: { readText: Deno.readTextFileSync } });
  if (parsed.ok) return filesToKeep(parsed.config, env);
  const [first] = parsed.diagnostics;
  const why = parsed.fatal ?? (first === undefined ? "it is wrong" : `line ${first.line}: ${first.message}`);
  throw new Error(`smtpd is not running, and ${file} cannot be used (${why}): start smtpd, or correct that file`);
}
