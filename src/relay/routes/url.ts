/** URLs of smarthosts, `[proto://][label@]host[:port]`, as in `relay host`. Pure. */

import { isIPv6 } from "node:net";
import { asciiDomain } from "../../envelope/mod.ts";

/** opportunistic: STARTTLS when offered. mandatory: STARTTLS or nothing. never: in clear. implicit: TLS before the greeting (smtps). */
export type TlsMode = "opportunistic" | "mandatory" | "never" | "implicit";

export interface RelayUrl {
  readonly scheme: "smtp" | "smtp+tls" | "smtp+notls" | "smtps" | "lmtp";
  readonly tls: TlsMode;
  readonly lmtp: boolean;
  /** Key into the credentials table; "" for none. */
  readonly label: string;
  /** Lower-case name, or address without brackets. */
  readonly host: string;
  readonly literal: boolean;
  readonly port: number;
}

const SCHEMES: Record<RelayUrl["scheme"], { readonly tls: TlsMode; readonly port: number }> = {
  "smtp": { tls: "opportunistic", port: 25 },
  "smtp+tls": { tls: "mandatory", port: 25 },
  "smtp+notls": { tls: "never", port: 25 },
  "smtps": { tls: "implicit", port: 465 },
  // LMTP has no port of its own and must not use 25 (RFC 2033 §5).
  "lmtp": { tls: "never", port: 0 },
};

const MAX_URL_CHARS = 1023;

/** Schemes of other programs and of older versions, and what is meant. */
const MEANT: Readonly<Record<string, RelayUrl["scheme"]>> = {
  "tls": "smtp+tls",
  "tls+auth": "smtp+tls",
  "starttls": "smtp+tls",
  "smtp+auth": "smtp+tls",
  "smtp+starttls": "smtp+tls",
  "smtp+tls+auth": "smtp+tls",
  "secure": "smtps",
  "secure+auth": "smtps",
  "smtps+auth": "smtps",
  "ssl": "smtps",
  "ssl+auth": "smtps",
};

/** Parses the URL of a smarthost, smtpd.conf(5) "host". Returns null for what cannot be parsed; `relayUrlFault` says why. */
export function parseRelayUrl(text: string): RelayUrl | null {
  const url = readUrl(text);
  return typeof url === "string" ? null : url;
}

/**
 * Takes what should be a relay URL and returns what is wrong with it and what to write instead, to stand behind the words "the host …"; null
 * when nothing is. The label is not in it: people write passwords there.
 */
export function relayUrlFault(text: string): string | null {
  const url = readUrl(text);
  return typeof url === "string" ? url : null;
}

function readUrl(text: string): RelayUrl | string {
  if (text.length > MAX_URL_CHARS) return `has more than ${MAX_URL_CHARS} characters`;
  const [, proto, rest] = /^(?:([^:/@[\]]*):\/\/)?(.*)$/s.exec(text)!;
  const scheme = (proto ?? "smtp").toLowerCase();
  if (!Object.hasOwn(SCHEMES, scheme)) return schemeFault(scheme);
  const { tls, port: usualPort } = SCHEMES[scheme as RelayUrl["scheme"]];
  const at = rest!.indexOf("@");
  const label = at < 0 ? "" : rest!.slice(0, at);
  if (at === 0) return "has no label before the @";
  const place = parsePlace(rest!.slice(at + 1));
  if (at > 0 && tls !== "mandatory" && tls !== "implicit") return labelFault(scheme, rest!.slice(at));
  if (typeof place === "string") return place;
  const port = place.port ?? usualPort;
  if (port === 0) return `has no port, which ${scheme} needs: write ${scheme}://HOST:PORT`;
  const { host, literal } = place;
  return { scheme: scheme as RelayUrl["scheme"], tls, lmtp: scheme === "lmtp", label, host, literal, port };
}

function schemeFault(scheme: string): string {
  if (Object.hasOwn(MEANT, scheme)) return `has the unknown scheme ${scheme}: write ${MEANT[scheme]}://`;
  return `has the unknown scheme ${scheme.slice(0, 32)}: write one of ${Object.keys(SCHEMES).join(", ")}`;
}

/** No secret goes in clear (RFC 4954 §4). */
function labelFault(scheme: string, rest: string): string {
  if (scheme === "lmtp") return "has a label, which lmtp cannot use: there is no login without TLS";
  return `has a label, which needs smtp+tls or smtps: write smtp+tls://LABEL${rest}`;
}

function parsePlace(text: string): { host: string; literal: boolean; port: number | null } | string {
  if (isIPv6(text)) return `is an IPv6 address without brackets: write [${text}]`;
  const [, inside, name, behind] = /^(?:\[([^\]]+)\]|([A-Za-z0-9._\-\u0080-\u{10ffff}]+))(.*)$/su.exec(text) ?? [];
  if (behind === undefined) return text === "" ? "names no host" : `names no host: ${JSON.stringify(text)}`;
  const colon = behind.startsWith(":") ? behind.slice(1) : null;
  // Behind a literal anything but a port is ignored, as upstream does; behind a name it is an error.
  if (colon === null && behind !== "" && inside === undefined) {
    return `has ${
      JSON.stringify(behind)
    } behind the name: write [scheme://][label@]host[:port], IPv6 addresses in brackets`;
  }
  const port = colon === null ? null : parsePort(colon);
  if (port === undefined) {
    return `has ${
      JSON.stringify(colon)
    } for a port, which is a number from 1 to 65535 (IPv6 addresses stand in brackets)`;
  }
  if (inside === undefined) {
    const host = asciiDomain(name!.toLowerCase());
    return host === null ? `has ${JSON.stringify(name)}, which is no name of a host` : { host, literal: false, port };
  }
  const address = inside.replace(/^ipv6:/i, "");
  return { host: address.toLowerCase(), literal: true, port };
}

/** Returns undefined for what is no port. */
function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65535 ? port : undefined;
}
