/** resolv.conf(5) and hosts(5) as values. Pure: the caller reads the files and passes their text. */

import type { ResolverSettings } from "../protocol/mod.ts";
import { isAddress } from "../net/mod.ts";

type Servers = Pick<ResolverSettings, "servers" | "timeoutMs" | "attempts">;

/** Name servers that are used at most; resolvers stop at three, a few more do no harm. */
const MAX_SERVERS = 8;
const MAX_HOSTS = 10_000;

/**
 * Reads `nameserver` and `options timeout: attempts:`. `nameserver [1.2.3.4]:5353` is OpenBSD's way to name a port. Without a server it
 * is the one on this machine, as resolv.conf(5) has it.
 */
export function parseResolvConf(text: string): Servers {
  const servers: { address: string; port: number }[] = [];
  let timeoutMs = 5_000, attempts = 2;
  for (const line of text.split("\n")) {
    const words = line.replace(/[#;].*$/, "").trim().split(/\s+/);
    if (words[0] === "nameserver" && words[1] !== undefined && servers.length < MAX_SERVERS) {
      const server = parseServer(words[1]);
      if (server !== null) servers.push(server);
    }
    if (words[0] !== "options") continue;
    for (const word of words.slice(1)) {
      const [, option, value] = /^(timeout|attempts):(\d{1,4})$/.exec(word) ?? [];
      if (option === "timeout") timeoutMs = Math.min(30, Math.max(1, Number(value))) * 1000;
      if (option === "attempts") attempts = Math.min(5, Math.max(1, Number(value)));
    }
  }
  return { servers: servers.length > 0 ? servers : [{ address: "127.0.0.1", port: 53 }], timeoutMs, attempts };
}

function parseServer(word: string): { address: string; port: number } | null {
  const [, bracketed, portText] = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(word) ?? [];
  const address = bracketed ?? word;
  const port = portText === undefined ? 53 : Number(portText);
  return isAddress(address) && port >= 1 && port <= 65535 ? { address, port } : null;
}

/** Lines of address and names; comments and lines that make no sense are left out. */
export function parseHosts(text: string): ResolverSettings["hosts"] {
  const hosts: { address: string; names: string[] }[] = [];
  for (const line of text.split("\n")) {
    const [address, ...names] = line.replace(/#.*$/, "").trim().split(/\s+/);
    if (address === undefined || !isAddress(address) || names.length === 0) continue;
    if (hosts.length < MAX_HOSTS) hosts.push({ address, names });
  }
  return hosts;
}
