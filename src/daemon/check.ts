/** `smtpd -n`: everything that can be wrong before the daemon starts, without starting it. */

import { type Config, controlSocketPath, type Environment, submissionSocketPath } from "../config/mod.ts";
import { checkProtocols, loadCertificates } from "./files.ts";
import { resolveListeners } from "./listeners.ts";
import { describeGrants, grantsFor } from "./permissions.ts";
import { cutSettings, readResolver, readServerName } from "./settings.ts";

/**
 * Loads certificates and keys. With `verbose`, resolves the listeners too and returns the lines that tell what each isolate may do.
 * Throws Fatal.
 */
export async function checkConfig(config: Config, env: Environment, verbose: boolean): Promise<string[]> {
  const certificates = loadCertificates(config);
  checkProtocols(config);
  if (!verbose) return [];
  const resolver = readResolver(env);
  const serverName = readServerName(resolver.hosts);
  const listeners = await resolveListeners(config, serverName, submissionSocketPath(controlSocketPath(env)));
  const settings = cutSettings(config, {
    env,
    certificates,
    listeners,
    serverName,
    resolver,
    log: "stderr",
    paused: { smtp: false, mda: false, mta: false },
  });
  return ["What each isolate may do:", ...describeGrants(grantsFor(settings)).map((line) => `  ${line}`)];
}
