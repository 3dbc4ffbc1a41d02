/** What a configuration says that is to be checked from outside: the domains that mail is for, those that it is from, the names of the host. Pure. */

import type { Config } from "../config/mod.ts";
import { asciiDomain } from "../envelope/mod.ts";
import { normalName } from "../net/mod.ts";

/** Listeners at these are reached from this machine only. */
const LOOPBACK = /^(?:lo|lo0|localhost|127\..*|::1)$/;
const SMTP_PORT = 25;
/** More domains are not asked for: a host with thousands is checked by samples. */
const MAX_DOMAINS = 50;

export interface Subjects {
  /** Domains whose mail is delivered here, in A-labels; none where others cannot bring it. */
  readonly receives: readonly string[];
  /** Domains whose mail is signed here. */
  readonly sends: readonly string[];
  /** Names under which others connect to this host at port 25, and that it says in EHLO. */
  readonly hosts: readonly string[];
  /** Others can bring mail to port 25. */
  readonly listens: boolean;
  /** Mail goes to exchangers directly. */
  readonly relays: boolean;
  /** Tables whose domains are in files, and domains beyond the bound: they are not looked at. */
  readonly leftOut: readonly string[];
}

/** `serverName`: what the host is called where the configuration does not say. */
export function subjectsOf(config: Config, serverName: string): Subjects {
  const receives = new Set<string>(), leftOut = new Set<string>();
  const reached = config.listen.some(isReached);
  for (const rule of reached ? config.rules : []) {
    const { outcome, for: target, from } = rule;
    if (outcome.kind !== "action" || from.negated || from.kind === "socket" || target.negated || target.regex) continue;
    if (config.actions[outcome.name]?.kind !== "local") continue;
    const table = config.tables[target.table];
    if (table === undefined) {
      if (config.tableFiles[target.table] !== undefined || config.programs[target.table] !== undefined) {
        leftOut.add(`the domains of table <${target.table}>`);
      }
      continue;
    }
    for (const [key] of table.entries) {
      const name = nameOf(key);
      if (name !== null) receives.add(name);
    }
  }
  const open = config.listen.filter(({ on, socket, port, submission }) =>
    !socket && port === SMTP_PORT && !submission && !LOOPBACK.test(on)
  );
  const relays = Object.values(config.actions).filter((action) =>
    action.kind === "relay" && action.host === null && action.domain === null
  );
  const hosts = new Set([
    ...open.map(({ hostname }) => hostname ?? serverName),
    ...relays.flatMap((action) =>
      action.kind === "relay" && action.heloSrc === null ? [action.helo ?? serverName] : []
    ),
  ].flatMap((name) => nameOf(name) ?? []));
  const all = [...receives];
  if (all.length > MAX_DOMAINS) leftOut.add(`${all.length - MAX_DOMAINS} more domains`);
  return {
    receives: all.slice(0, MAX_DOMAINS),
    sends: [...new Set(config.dkim.map(({ domain }) => domain))].slice(0, MAX_DOMAINS),
    hosts: [...hosts],
    listens: open.length > 0,
    relays: relays.length > 0,
    leftOut: [...leftOut],
  };
}

/** Can other hosts bring mail to a listener? A proxy brings them to one at the loopback, too. */
export function isReached({ on, socket, proxyV2 }: Config["listen"][number]): boolean {
  return !socket && (proxyV2 || !LOOPBACK.test(on));
}

/** A name that the DNS can have, with a dot; null for an address, a pattern or a bare word. */
function nameOf(text: string): string | null {
  const ascii = asciiDomain(text);
  const name = ascii === null ? null : normalName(ascii);
  return name === null || !name.includes(".") || /^[\d.]+$/.test(name) ? null : name;
}
