/** The settings that the daemon would cut from a configuration, and the machine as its isolates would see it, without a daemon. */

import type { Config, Environment } from "../config/mod.ts";
import { controlSocketPath, submissionSocketPath } from "../config/paths.ts";
import { domainsOf, loadDomain, type LoadedKey } from "../daemon/signing_key_files.ts";
import { Fatal } from "../daemon/fatal.ts";
import { LookupRequests } from "../daemon/lookup_requests.ts";
import { NameService } from "../daemon/machine/name_service.ts";
import { readResolver, readServerName } from "../daemon/machine/machine_names.ts";
import { cutSettings } from "../daemon/settings.ts";
import { resolveListeners } from "../daemon/sockets/listeners.ts";
import { actAsRoot, actAsSelf, readForward } from "../delivery/mod.ts";
import { systemReason } from "../events/mod.ts";
import { MainClient } from "../lookup/main_client.ts";
import { openMachine } from "../lookup/machine.ts";
import type { Machine } from "../lookup/lookup_engine.ts";
import type { Account, Forward, LookupToMain, MainToLookup, Settings } from "../protocol/mod.ts";
import { systemClock } from "../clock.ts";
import { memoryDoor } from "./memory_door.ts";

/** A configuration as the daemon would have it. */
export interface OfflineSettings {
  readonly settings: Settings;
  /** What could not be read, and what is not known for it; a sentence each. */
  readonly unknown: readonly string[];
}

/** Cuts the settings of a configuration. Keys of DKIM that only root may read are left out, and said. Throws Fatal. */
export async function offlineSettings(config: Config, env: Environment): Promise<OfflineSettings> {
  const resolver = readResolver(env), serverName = readServerName(resolver.hosts);
  const listeners = await resolveListeners(config, serverName, submissionSocketPath(controlSocketPath(env)));
  const { keys, unknown } = readableKeys(config);
  const settings = cutSettings(config, {
    env,
    users: null,
    // Sessions bring their own TLS: no certificate is needed.
    certificates: { pki: {}, ca: {} },
    signing: keys,
    queueKeys: null,
    listeners,
    saltKey: new Uint8Array(32),
    serverName,
    resolver,
    log: [],
    descriptors: null,
    paused: { smtp: false, mda: false, mta: false },
  });
  return { settings, unknown };
}

function readableKeys(config: Config): { readonly keys: readonly LoadedKey[]; readonly unknown: readonly string[] } {
  const keys: LoadedKey[] = [], unknown: string[] = [];
  for (const lines of domainsOf(config)) {
    try {
      keys.push(...loadDomain(lines).signing);
    } catch (error) {
      if (!(error instanceof Fatal)) throw error;
      unknown.push(`whether mail of ${lines[0]!.domain} is signed: ${error.faults.join("; ")}${asRoot()}`);
    }
  }
  return { keys, unknown };
}

/** What may help who is not root. */
function asRoot(): string {
  return Deno.uid() === 0 ? "" : " (root may read it)";
}

/**
 * Returns the machine as lookup sees it, with what main would answer: accounts of the name service, and `.forward` files, read as their users by root. `unread`
 * is called with what cannot be known without root.
 */
export function offlineMachine(unread: (text: string) => void): Machine {
  const door = memoryDoor<LookupToMain, MainToLookup>();
  const requests = new LookupRequests(new NameService(), undefined, systemClock);
  const actAs = Deno.uid() === 0 ? actAsRoot() : actAsSelf;
  requests.serve(door.answering, (who, suffix) => {
    return Promise.resolve().then(() => {
      return Deno.uid() === 0 ? readForward(actAs, who, suffix) : readOwn(who, suffix, unread);
    });
  });
  return { ...openMachine(), main: new MainClient(door.asking, systemClock) };
}

/** Without root, a `.forward` that may not be read is not known, which the daemon would know. Throws then. */
function readOwn(who: Account, suffix: string, unread: (text: string) => void): Forward {
  const fail = (text: string): never => {
    unread(`what becomes of mail for ${who.name}: ${text}`);
    throw new Error(text);
  };
  for (const name of suffix === "" ? [".forward"] : [`.forward${suffix}`, ".forward"]) {
    const path = `${who.home}/${name}`;
    try {
      Deno.lstatSync(path);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) continue;
      return fail(`only root can see whether ${path} is there: ${systemReason(error)}`);
    }
    if (who.uid !== Deno.uid()) return fail(`only root can read ${path}`);
  }
  return readForward(actAsSelf, who, suffix);
}
