/** What becomes of a message on this machine, as the daemon sees it that root starts here, whoever asks. */

import type { Config, Environment } from "../config/mod.ts";
import { isMachineSpool, queueUserName, smtpdUserName } from "../config/paths.ts";
import { systemClock } from "../clock.ts";
import { NameService } from "../daemon/machine/name_service.ts";
import type { Resolver } from "../dns/mod.ts";
import type { Lookups } from "../lookup/mod.ts";
import type { DeliverySettings, Settings } from "../protocol/mod.ts";
import { ownHost } from "../relay/routes/own.ts";
import { explainEnvelopes, type Stored } from "./behind.ts";
import { lookAt } from "./place.ts";
import type { Step } from "./step.ts";

export interface MachineDeps {
  readonly config: Config;
  readonly env: Environment;
  readonly settings: Settings;
  readonly lookups: Lookups;
  readonly resolver: Resolver;
  /** Milliseconds since the epoch. */
  now(): number;
}

/** Returns what tells of the messages that the queue would have. */
export function behindOf(
  { config, env, settings, lookups, resolver, now }: MachineDeps,
): (stored: Stored) => Promise<Step[]> {
  const own = ownHost(settings.relay.own, systemClock.steady);
  const ready = deliveryOfDaemon(settings.delivery, env);
  return async (stored) => {
    const delivery = await ready;
    return await explainEnvelopes(stored, {
      ...{ config, lookups, own, now },
      settings: { ...settings, delivery },
      names: resolver,
      look: lookAt,
    });
  };
}

/** A daemon whose spool is the machine's is started by root: it delivers as anybody but the user of its queue. */
async function deliveryOfDaemon(settings: DeliverySettings, env: Environment): Promise<DeliverySettings> {
  if (!settings.shared.root && !isMachineSpool(env)) return settings;
  const names = new NameService();
  try {
    const users = await Promise.all([smtpdUserName(env), queueUserName(env)].map((name) => names.find(name)));
    const [smtpd, queue] = users.map((user) => user === null || "error" in user ? null : user.uid);
    return {
      ...settings,
      shared: { ...settings.shared, root: true },
      // Where there is one user only, programs of the mail system may run as that one.
      ...queue == null || queue === smtpd ? {} : { queueUid: queue },
    };
  } finally {
    names.close();
  }
}
