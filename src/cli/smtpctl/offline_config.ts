/** Reads a configuration for tools that use it without a daemon. */

import type { Config, Environment } from "../../config/mod.ts";
import { credentialsPath, statePath } from "../../config/paths.ts";
import { findConfig, findProgram, noConfigAdvice } from "../../config/search.ts";
import { interfaceList } from "../../daemon/mod.ts";
import { inspectTableFile, openMachine, readTableBytes } from "../../lookup/mod.ts";
import { formatDiagnostic, parseConfig } from "../../smtpd_conf/mod.ts";

/** Returns the configuration that is named, or that smtpd would take; or lines that say what is wrong with it. */
export function readOffline(
  named: string | null,
  env: Environment,
): { readonly config: Config } | { readonly faults: readonly string[] } {
  const { file, found } = findConfig(named);
  const parsed = parseConfig(file, {
    defines: [],
    credentials: credentialsPath(env),
    files: {
      state: statePath(env),
      readText: Deno.readTextFileSync,
      readBytes: readTableBytes,
      inspectTable: (backend, path) => inspectTableFile(backend, path, openMachine()),
      programPath: (name) => findProgram(name, env),
      interfaceList,
    },
  });
  if (parsed.ok) return { config: parsed.config };
  const { diagnostics, fatal } = parsed;
  const advice = found === false ? noConfigAdvice({ searched: true, option: "--config" }) : "";
  return { faults: [...diagnostics.map(formatDiagnostic), ...fatal === null ? [] : [`${fatal}${advice}`]] };
}
