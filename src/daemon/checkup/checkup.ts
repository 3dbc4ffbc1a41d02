/** The check of this host as the daemon makes it, and as smtpctl does while no daemon runs. */

import { networkInterfaces } from "node:os";
import type { Config, Environment } from "../../config/mod.ts";
import { queueUserName, smtpdUserName } from "../../config/paths.ts";
import { recordAsker, Resolver } from "../../dns/mod.ts";
import { gotWorse } from "../../findings/mod.ts";
import { clockIsKept } from "../../kernel/mod.ts";
import { systemReason } from "../../events/mod.ts";
import type { Checked, Finding, QueueFacts } from "../../protocol/mod.ts";
import { parsePasswd } from "../../tables/mod.ts";
import { advice } from "../checks/advise.ts";
import { readIfPresent } from "../files.ts";
import type { LookupRequests } from "../lookup_requests.ts";
import { readResolver, readServerName } from "../machine/machine_names.ts";
import { domainsOf, loadDomain } from "../signing_key_files.ts";
import { type CheckDeps, checkHost } from "./check_host.ts";
import { checkupFile, readCheckup, writeCheckup } from "./kept_check.ts";

/** What differs between the two. */
type Around = Pick<CheckDeps, "records" | "tryRcpt" | "queue" | "blocklists" | "warnings" | "now">;

function depsOf(config: Config, env: Environment, around: Around): CheckDeps {
  return {
    config,
    env,
    serverName: readServerName(readResolver(env).hosts),
    addresses: Object.values(networkInterfaces()).flatMap((some) => (some ?? []).map(({ address }) => address)),
    keys: () =>
      domainsOf(config).map((lines) => loadDomain(lines)).flatMap(({ signing, waiting }) => [
        ...signing.map((key) => ({ ...key, waits: false })),
        ...waiting.map((key) => ({ ...key, waits: true })),
      ]).map(({ domain, selector, record, waits }) => ({ domain, selector, record, waits })),
    clockKept: clockIsKept,
    lastSeen: readCheckup(checkupFile(env))?.at ?? null,
    users: ownUsers(env),
    ...around,
  };
}

/** The users of the daemon's processes, of /etc/passwd. */
function ownUsers(env: Environment): number[] {
  const passwd = parsePasswd(readIfPresent("/etc/passwd") ?? "");
  return [smtpdUserName(env), queueUserName(env)].flatMap((name) => passwd.get(name)?.uid ?? []);
}

/** What main checks for control. */
export class HostCheck {
  readonly #options: { readonly config: () => Config; readonly env: Environment };
  readonly #lookup: Pick<LookupRequests, "records" | "tryRcpt">;
  readonly #now: () => number;
  readonly #warn: (text: string) => void;

  constructor(
    options: { readonly config: () => Config; readonly env: Environment },
    { lookup, now, warn }: {
      readonly lookup: Pick<LookupRequests, "records" | "tryRcpt">;
      readonly now: () => number;
      readonly warn: (text: string) => void;
    },
  ) {
    this.#options = options;
    this.#lookup = lookup;
    this.#now = now;
    this.#warn = warn;
  }

  /** What the last check of the day found; null where there was none. */
  last(): Checked | null {
    return readCheckup(checkupFile(this.#options.env));
  }

  /** Checks now. With `keeps` it is the check of the day: compared with the last one, and kept for the next. Never rejects. */
  async run(
    { queue, blocklists, keeps }: {
      readonly queue: QueueFacts;
      readonly blocklists: readonly string[];
      readonly keeps: boolean;
    },
  ): Promise<{ readonly checked: Checked; readonly worse: readonly Finding[] }> {
    const { env } = this.#options, config = this.#options.config();
    const findings = await checkHost(depsOf(config, env, {
      records: (kind, name) => this.#lookup.records(kind, name),
      tryRcpt: (question) => this.#lookup.tryRcpt(question),
      warnings: () => advice(config, env, "start"),
      now: this.#now,
      queue,
      blocklists,
    }));
    const checked = { at: this.#now(), findings };
    if (!keeps) return { checked, worse: [] };
    const path = checkupFile(env), before = readCheckup(path);
    try {
      writeCheckup(path, checked);
    } catch (error) {
      this.#warn(`warn: check: what was found cannot be kept in ${path}: ${systemReason(error)}`);
    }
    return { checked, worse: gotWorse(before?.findings ?? [], findings) };
  }
}

/** Checks without a daemon: the queue and the rules are not asked. `warnings`: of reading the configuration. */
export async function checkWithoutDaemon(
  config: Config,
  env: Environment,
  { blocklists, warnings }: { readonly blocklists: readonly string[]; readonly warnings: readonly string[] },
): Promise<readonly Finding[]> {
  const resolver = new Resolver(readResolver(env));
  return await checkHost(depsOf(config, env, {
    records: recordAsker(resolver),
    tryRcpt: null,
    warnings: async () => [...warnings, ...await advice(config, env, "check")],
    now: Date.now,
    queue: null,
    blocklists,
  }));
}
