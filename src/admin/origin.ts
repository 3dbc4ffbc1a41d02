/** Whose request it is: names under which this server may be asked, and sites from which a browser may do so. Pure. */

import { ipVersion } from "../net/mod.ts";
import { Problem } from "./api/problem.ts";

/** What the checks go by. */
export interface OwnNames {
  /** Of the line of the configuration. */
  readonly hostname: string | null;
  /** The name of this mail server. */
  readonly serverName: string;
}

const METHODS_THAT_READ = new Set(["GET", "HEAD", "OPTIONS"]);

/**
 * A page of another site may reach this server through a name that its owner points here (DNS rebinding): only localhost, addresses, the name of this
 * server and that of the configuration are served. On a unix socket it is the same: a browser comes there through a tunnel or a proxy.
 */
export function isOwnHost(host: string, { hostname, serverName }: OwnNames): boolean {
  const name = host.replace(/:\d*$/, "").replace(/^\[|\]$/g, "").toLowerCase();
  // Nobody can point an address elsewhere.
  if (name === "localhost" || ipVersion(name) !== 0) return true;
  return [hostname, serverName].some((own) => own !== null && own.toLowerCase() === name);
}

/** Throws a Problem for a request that a browser makes for another site. */
export function refuseCrossSite(method: string, path: string, headers: Headers): void {
  const reads = METHODS_THAT_READ.has(method);
  const site = headers.get("sec-fetch-site");
  // Links to the page may come from anywhere; what has data, or changes something, is for the page alone.
  const fromElsewhere = site !== null && site !== "same-origin" && site !== "none";
  if (fromElsewhere && (!reads || path.startsWith("/api/"))) throw crossSite();
  const origin = headers.get("origin");
  if (origin === null) return;
  if (hostOf(origin) !== normal(headers.get("host") ?? "", origin) && (!reads || path.startsWith("/api/"))) {
    throw crossSite();
  }
}

/** Returns whether the browser itself came by TLS. What a proxy says of that is not asked: anybody can write such a header. */
export function cameByTls(headers: Headers): boolean {
  return headers.get("origin")?.startsWith("https://") === true;
}

function crossSite(): Problem {
  return new Problem(
    "cross-site",
    "Open the admin page itself and act there. Behind a proxy, the proxy has to pass on the Host field as the browser sent it.",
  );
}

/** Host and port of an origin; null for one that has none, such as `null`. */
function hostOf(origin: string): string | null {
  try {
    const { protocol, host } = new URL(origin);
    return protocol === "http:" || protocol === "https:" ? host : null;
  } catch {
    return null;
  }
}

/** A Host field as an origin has it: without the port that its scheme has anyway. */
function normal(host: string, origin: string): string | null {
  try {
    return new URL(`${origin.startsWith("https:") ? "https" : "http"}://${host}`).host;
  } catch {
    return null;
  }
}
