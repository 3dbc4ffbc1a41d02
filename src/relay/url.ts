/** Relay URLs, `[proto://][label@]host[:port]`, as in `relay host`. Pure. */

import { asciiDomain } from "../envelope/mod.ts";

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

const MAX_LENGTH = 1023;

/** null for what cannot be parsed: unknown protocol, bad host or port, a label where no secret may be sent, lmtp without a port. */
export function parseRelayUrl(text: string): RelayUrl | null {
  if (text.length > MAX_LENGTH) return null;
  const [, proto, rest] = /^(?:([^:/@[\]]*):\/\/)?(.*)$/s.exec(text)!;
  const scheme = (proto ?? "smtp").toLowerCase();
  if (!Object.hasOwn(SCHEMES, scheme)) return null;
  const { tls, port: usualPort } = SCHEMES[scheme as RelayUrl["scheme"]];
  const at = rest!.indexOf("@");
  const label = at < 0 ? "" : rest!.slice(0, at);
  if (at === 0 || (at > 0 && tls !== "mandatory" && tls !== "implicit")) return null;
  const place = parsePlace(rest!.slice(at + 1));
  if (place === null) return null;
  const port = place.port ?? usualPort;
  if (port === 0) return null;
  const { host, literal } = place;
  return { scheme: scheme as RelayUrl["scheme"], tls, lmtp: scheme === "lmtp", label, host, literal, port };
}

function parsePlace(text: string): { host: string; literal: boolean; port: number | null } | null {
  const [, inside, name, behind] = /^(?:\[([^\]]+)\]|([A-Za-z0-9._\-\u0080-\u{10ffff}]+))(.*)$/su.exec(text) ?? [];
  if (behind === undefined) return null;
  const colon = behind.startsWith(":") ? behind.slice(1) : null;
  // Behind a literal anything but a port is ignored, as upstream does; behind a name it is an error.
  if (colon === null && behind !== "" && inside === undefined) return null;
  const port = colon === null ? null : parsePort(colon);
  if (port === undefined) return null;
  if (inside === undefined) {
    const host = asciiDomain(name!.toLowerCase());
    return host === null ? null : { host, literal: false, port };
  }
  const address = inside.replace(/^ipv6:/i, "");
  return { host: address.toLowerCase(), literal: true, port };
}

/** undefined for what is no port. */
function parsePort(text: string): number | undefined {
  if (!/^\d{1,5}$/.test(text)) return undefined;
  const port = Number(text);
  return port >= 1 && port <= 65535 ? port : undefined;
}
