/** `smtpd -n`: everything that can be wrong before the daemon starts, without starting it. */

import type { Config, Environment, FilterStep, Rule, SourceLine } from "../../config/mod.ts";
import { testOf } from "../../config/filter_condition.ts";
import { controlSocketPath, spoolPath, submissionSocketPath } from "../../config/paths.ts";
import { shown } from "../../config/values.ts";
import { regexFault } from "../../tables/mod.ts";
import { spoolFault } from "./spool_guard.ts";
import { listenWarnings } from "./advise.ts";
import { Fatal, gather } from "../fatal.ts";
import { acmeCertificates, checkAcme } from "../acme/acme_files.ts";
import { loadCertificates, readIfPresent } from "../files.ts";
import { resolveListeners } from "../sockets/listeners.ts";
import { NameService } from "../machine/name_service.ts";
import { describeOneProcess, oneProcessWall } from "../one_process.ts";
import { checkLogFiles } from "../log_sinks.ts";
import { oneProcessFiles } from "../one_process_files.ts";
import { describeProcesses } from "../describe_processes.ts";
import { describeGrants, grantsFor } from "../permissions.ts";
import { filterPrograms } from "../programs.ts";
import { checkQueueKeys } from "../queue_keys.ts";
import { readResolver, readServerName } from "../machine/machine_names.ts";
import { cutSettings } from "../settings.ts";
import { loadSigningKeys } from "../signing_key_files.ts";
import { chooseUsers } from "../users.ts";

/**
 * Loads certificates and keys, and looks up what the listeners listen on and the programs of filters. Returns warnings of listeners that could
 * not listen now and, with `verbose`, the lines that say what each isolate may do.
 * Throws Fatal.
 */
export async function checkConfig(
  config: Config,
  env: Environment,
  options: { readonly verbose: boolean; readonly oneUser: boolean },
): Promise<string[]> {
  const faults = await machineFaults(config, env, options);
  if (faults.length > 0) throw new Fatal(...faults);
  const certificates = loadCertificates(config);
  const signing = loadSigningKeys(config);
  checkQueueKeys(config);
  const resolver = readResolver(env);
  const serverName = readServerName(resolver.hosts);
  const listeners = await resolveListeners(config, serverName, submissionSocketPath(controlSocketPath(env)));
  const warnings = await listenWarnings(config, env, listeners);
  const { users } = await chooseUsers(env, options);
  const settings = cutSettings(config, {
    env,
    users,
    certificates,
    signing,
    // Nothing is started, so the key of the encryption is not read.
    queueKeys: null,
    acme: acmeCertificates(config, { files: false }),
    listeners,
    // Nothing is started: the secret is not needed.
    saltKey: new Uint8Array(),
    serverName,
    resolver,
    log: [],
    descriptors: null,
    paused: { smtp: false, mda: false, mta: false },
  });
  if (!options.verbose) return warnings;
  const grants = grantsFor(settings);
  const wall = () => oneProcessWall(settings, Deno.uid() ?? 0, () => oneProcessFiles({ config, env }));
  const denoDir = Deno.build.standalone ? null : env.get("DENO_DIR") ?? null;
  return [
    ...warnings,
    ...users === null ? [`One process: ${describeOneProcess(wall())}`] : [],
    "What each isolate may do:",
    ...describeGrants(grants).map((line) => `  ${line}`),
    ...users === null ? [] : describeProcesses(grants, users, { program: Deno.execPath(), denoDir }),
  ];
}

/** All that keeps the daemon from starting with this configuration on this machine, in one go, each with file and line. */
export async function machineFaults(
  config: Config,
  env: Environment,
  { oneUser }: { readonly oneUser: boolean },
): Promise<readonly string[]> {
  const serverName = readServerName(readResolver(env).hosts);
  try {
    await gather([
      () => loadCertificates(config),
      () => loadSigningKeys(config),
      () => checkQueueKeys(config),
      () => checkAcme(config),
      async () => {
        const { spoolOwners } = await chooseUsers(env, { oneUser });
        const fault = spoolFault(spoolPath(env), Deno.uid() ?? 0, spoolOwners);
        if (fault !== null) throw new Fatal(fault);
      },
      () => resolveListeners(config, serverName, submissionSocketPath(controlSocketPath(env))),
      () => filterPrograms(config, env, []),
      () => checkLogFiles(config.log),
    ]);
    return [];
  } catch (error) {
    if (!(error instanceof Fatal)) throw error;
    return error.faults;
  }
}

/** Entries of one table that are looked at before the daemon starts; what is in files is reported in the log. */
const MAX_CHECKED_ENTRIES = 1000;

/** `file:line: warning: …` for each regular expression in smtpd.conf that is not valid: it would match nothing. */
export function regexWarnings(config: Config): string[] {
  const warnings: string[] = [];
  const seen = new Set<string>();
  for (
    const { at, name } of [...config.rules.flatMap(regexTables), ...Object.values(config.filters).flatMap(filterTables)]
  ) {
    if (seen.has(name)) continue;
    seen.add(name);
    for (const [pattern] of (config.tables[name]?.entries ?? []).slice(0, MAX_CHECKED_ENTRIES)) {
      const fault = regexFault(pattern);
      if (fault === null) continue;
      warnings.push(
        `${at.file}:${at.line}: warning: the regular expression "${shown(pattern)}" finds nothing: ${shown(fault)}`,
      );
    }
  }
  return warnings;
}

/** `file:line: warning: …` for each local action as a user whom this machine does not know: its mail would be refused. */
export async function userWarnings(config: Config): Promise<string[]> {
  const warnings: string[] = [];
  const passwd = `\n${readIfPresent("/etc/passwd") ?? ""}`;
  const names = new NameService();
  try {
    for (const action of Object.values(config.actions)) {
      if (action.kind !== "local" || action.user === null || passwd.includes(`\n${action.user}:`)) continue;
      // A name service that fails may know the user.
      if (await names.find(action.user) !== null) continue;
      const { file, line } = config.declared[`action ${action.name}`] ?? { file: config.file, line: 0 };
      warnings.push(
        `${file}:${line}: warning: action "${shown(action.name)}": there is no user "${
          shown(action.user)
        }", its mail will be refused`,
      );
    }
  } finally {
    names.close();
  }
  return warnings;
}

interface Use {
  readonly at: SourceLine;
  readonly name: string;
}

function filterTables(steps: readonly FilterStep[]): Use[] {
  return steps.flatMap((step) => {
    const test = step.kind === "process" ? null : testOf(step.condition);
    return step.kind === "builtin" && test?.regex ? [{ at: step.at, name: test.table }] : [];
  });
}

function regexTables({ at, tag, from, helo, auth, mailFrom, rcptTo, for: destination }: Rule): Use[] {
  const source = from.kind === "source" ? from : from.kind === "rdns" ? from.test : null;
  const tests = [tag, source, destination, helo, auth?.test ?? null, mailFrom, rcptTo];
  return tests.flatMap((test) => test?.regex ? [{ at, name: test.table }] : []);
}
