/** smtpd for tests that need more of it than scripts/smtpd lets an operator have: its own isolates, or another shadow file. Started by `ownDaemon` of harness.ts. */

import { statePath } from "../../src/config/paths.ts";
import { parseConfig } from "../../src/smtpd_conf/mod.ts";
import { type DaemonOptions, runDaemon } from "../../src/daemon/mod.ts";
import type { Role } from "../../src/protocol/mod.ts";

/** The config that the daemon was started with. */
export const CONFIG_FILE = Deno.args[Deno.args.indexOf("-f") + 1]!;

type Own = Partial<Pick<DaemonOptions, "verbose" | "traces" | "paused" | "shadow">> & {
  /** As it says who starts. */
  readonly name: string;
  /** The entry file of a role's isolate; undefined for that of the project. */
  readonly entry?: (role: Role) => URL | undefined;
};

/** Runs the daemon to its end, and ends this process. */
export async function runOwnDaemon({ name, entry = () => undefined, ...options }: Own): Promise<never> {
  const parsed = parseConfig(CONFIG_FILE, {
    defines: [],
    files: { readText: Deno.readTextFileSync, state: statePath(Deno.env) },
  });
  if (!parsed.ok) throw new Error(JSON.stringify(parsed));
  await runDaemon({
    config: parsed.config,
    env: Deno.env,
    log: "stderr",
    verbose: false,
    traces: [],
    paused: { smtp: false, mda: false, mta: false },
    ...options,
    entry: (role) => entry(role) ?? new URL(`../../workers/${role}.ts`, import.meta.url),
    onready: () => console.error(`info: Vaultpost (${name}) starting`),
  });
  Deno.exit(0);
}
