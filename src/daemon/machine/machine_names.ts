/** What the files of this machine say: its resolver, its own name, its addresses. */

import { hostname, networkInterfaces } from "node:os";
import type { Environment } from "../../config/mod.ts";
import { MAILNAME, resolvConfPath } from "../../config/paths.ts";
import { parseHosts, parseResolvConf } from "../../dns/mod.ts";
import type { ResolverSettings } from "../../protocol/mod.ts";
import { readIfPresent } from "../files.ts";

const HOSTS = "/etc/hosts";

/** Files that `readResolver` reads. */
export function resolverFiles(env: Environment): string[] {
  return [resolvConfPath(env), HOSTS];
}

/** Resolver settings of this machine: resolv.conf(5) and hosts(5). */
export function readResolver(env: Environment): ResolverSettings {
  const { servers, timeoutMs, attempts } = parseResolvConf(readIfPresent(resolvConfPath(env)) ?? "");
  return { servers, timeoutMs, attempts, hosts: parseHosts(readIfPresent(HOSTS) ?? "") };
}

/** First line of the mail name file, else the host name, with its domain when the hosts file has it. */
export function readServerName(hosts: ResolverSettings["hosts"]): string {
  const mailname = readIfPresent(MAILNAME)?.split("\n", 1)[0]?.trim();
  if (mailname) return mailname;
  const name = hostname();
  if (name.includes(".")) return name;
  const known = hosts.find(({ names }) => names.some((one) => one.toLowerCase() === name.toLowerCase()));
  return known?.names.find((one) => one.includes(".")) ?? name;
}

/** Text of every address of this machine: IPv4 dotted, IPv6 in brackets. Collected once, at start. */
export function localAddresses(): string[] {
  return Object.values(networkInterfaces()).flat().map((one) =>
    one!.family === "IPv4" ? one!.address : `[${one!.address.replace(/%.*/, "")}]`
  );
}
